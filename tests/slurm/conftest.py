"""What the tests of batch files share: one cluster for a session, a repository for each test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.starts import Warm
from tests.slurm.cluster import Cluster, Repository, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if missing():
        pytest.skip("SLURM is not installed: tests/slurm/slurm-local install")
    # SLURM keeps UNIX sockets there, whose paths must be short.
    found = Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")))
    found.control("start")
    try:
        yield found
    finally:
        found.control("stop")
        shutil.rmtree(found.home)


@pytest.fixture
def repository(cluster: Cluster, warm: Warm, tmp_path: Path) -> Iterator[Repository]:
    yield Repository(tmp_path / "repository", cluster, tmp_path / "bin", warm)
    cluster.clear()
