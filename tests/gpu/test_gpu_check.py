"""The check of generated scripts on a GPU: whole where one is, a piece of it on any machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.results import put

HERE = Path(__file__).parent


def prepared(folder: Path, accelerator: str) -> Path:
    """Prepare the check in a folder; returns its command."""
    variables = {**os.environ, "ACCELERATOR": accelerator, "PYTHON": sys.executable}
    command = [str(HERE / "check.sh"), "prepare", str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=variables)
    return folder / "tests" / "gpu" / "check.sh"


def found(command: Path, seconds: int, events: int) -> list[str]:
    """Run the check for some seconds; returns its table."""
    kept = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "PYTEST_CURRENT_TEST")}
    variables = {**kept, "PYTHON": sys.executable, "EVENTS": str(events), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", str(command), str(seconds)], capture_output=True, text=True, env=variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines: list[str] = json.loads((command.parents[2] / "figures.json").read_text())["lines"]
    assert lines
    return lines


def test_the_check_measures_and_names_what_it_had_no_time_for(tmp_path: Path) -> None:
    lines = found(prepared(tmp_path / "gpu", "cpu"), seconds=1, events=20_000)
    assert any("steps of the script, of that speed" in line for line in lines)
    assert "repetition at 32-true" in lines[-1]
    assert lines[-1].startswith("left out")


@pytest.mark.gpu
def test_scripts_train_on_a_gpu_repeat_and_go_on_there(tmp_path: Path) -> None:
    lines = found(prepared(tmp_path / "gpu", "gpu"), seconds=400, events=500_000)
    assert any("killed in its fourth epoch and continued" in line for line in lines)
    assert not any("FAILED" in line for line in lines)


def test_figures_are_kept_in_the_place_of_those_of_the_same_card(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    put("On A", "A, in May", ["speed 1"], file)
    put("On B", "B, in June", ["speed 2"], file)
    put("On A", "A, in July", ["speed 3"], file)
    text = file.read_text()
    assert text.startswith("# Figures")
    assert [line for line in text.splitlines() if line.startswith(("#", "speed"))] == [
        "# Figures",
        "## On A",
        "speed 3",
        "## On B",
        "speed 2",
    ]
    assert "in May" not in text
