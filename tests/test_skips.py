"""In CI a test that is skipped for a new reason fails."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest

@pytest.fixture
def lacking():
    pytest.skip("no friends")

def test_one():
    pytest.skip("cannot mount")

def test_two(lacking):
    pass

@pytest.mark.skipif(True, reason="no time")
def test_three():
    pass

def test_four():
    pass
"""
MODULE = "import pytest\npytest.importorskip('friends')\n"


@pytest.mark.parametrize(
    ("ci", "ended"),
    [("true", "1 passed, 1 skipped, 3 errors"), ("", "1 passed, 4 skipped")],
)
def test_only_known_skips_pass_in_ci(tmp_path: Path, ci: str, ended: str) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    options = "-q -p tests.skips --continue-on-collection-errors"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), str(tmp_path), f"--rootdir={tmp_path}"],
        env={"PYTHONPATH": str(ROOT), "CI": ci},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended in found.stdout, found
    assert ("skipped in CI: no time" in found.stdout) == (ci == "true")
