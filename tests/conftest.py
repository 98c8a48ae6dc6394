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


# Begun first, so that no processor is idle at the end: they take minutes, or wait for clocks.
LONG = (
    "slurm/test_batch_lines.py",
    "runs/test_fakes.py",
    "runs/test_interruptions.py",
    "runs/test_fakes_wiring.py",
    "parts/test_backends.py",
    "runs/test_scripts.py",
    "parts/test_plots.py",
    "runs/test_options.py",
    "runs/test_sweeps.py",
    "slurm/test_several_tasks.py",
    "runs/test_tracking.py",
    "runs/test_harsh_machines.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    first = {tests / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: first.get(item.path, len(LONG)))


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


@pytest.fixture(scope="session")
def real_files() -> Path:
    """A folder of files that others have written; they are not kept here."""
    place = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SEESAWC_REAL_FILES", place))
    if not folder.is_dir():
        pytest.skip(f"no real files of others at {folder}")
    return folder
