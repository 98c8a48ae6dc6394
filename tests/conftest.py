"""What all tests share: hypothesis searches alike everywhere, and skips are known ones."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.runs.starts import Warm
from tests.sweeps import WHOLE

pytest_plugins = ["tests.skips"]
# The same examples on every machine, whichever folder is run and whatever failed there before, and
# no deadlines: the machines are busy. `make sweeps` searches at random, and for longer.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    deadline=None,
    database=None,
    max_examples=1000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("explore" if WHOLE else "steady")


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """An interpreter without seesawc whose forks run scripts."""
    interpreter = Warm()
    yield interpreter
    interpreter.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
