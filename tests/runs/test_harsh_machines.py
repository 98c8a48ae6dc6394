"""What machines do to runs: full disks, closed pipes, clocks that jump, early signals."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.runs.experiments import Run, Workshop, same, wait_for_step
from tests.runs.starts import Strike, isolated

LONG = {"training_config": {"max_epochs": 2000}}


def test_a_disk_that_fills_ends_the_run_and_keeps_its_checkpoints(
    workshop: Workshop, small_disk: Path
) -> None:
    """The tracker's store lies elsewhere, as a server does."""
    script = workshop.build("filled", **LONG)
    store = workshop.folder / "elsewhere.db"
    variables = {
        "ANALYSIS_ML_LOGS_DIR": str(small_disk),
        "MLFLOW_TRACKING_URI": f"sqlite:///{store}",
    }
    process = workshop.start(script, variables=variables)
    run = Run(small_disk / "toy" / "filled")
    wait_for_step(run, process, 20)
    filling = small_disk / "other"
    with filling.open("wb") as file:
        while shutil.disk_usage(small_disk).free > 4096:
            file.write(bytes(4096))
            file.flush()
    ended = process.wait()
    assert ended.status == 4, ended
    assert "stopped: no space left" in ended.error.lower(), ended
    ended.quiet()
    filling.unlink()
    newest = run.checkpoint()
    assert newest["global_step"] > 0
    assert not list(run.path.rglob(".*"))
    # With space again, it goes on.
    again = workshop.start(script, variables=variables)
    while run.checkpoint()["global_step"] <= newest["global_step"]:
        assert not again.over(), again.wait()
    assert again.signal(signal.SIGTERM).status == 143


def test_a_disk_with_too_little_space_is_refused_at_the_start(
    workshop: Workshop, small_disk: Path
) -> None:
    wide = {"model_config": {"architecture_config": {"n_hidden": 400, "n_layers": 3}}}
    script = workshop.build("too_wide", **wide)
    ended = workshop.run(script, variables={"ANALYSIS_ML_LOGS_DIR": str(small_disk)})
    ended.refused("MB for checkpoints", "MB are free")


def test_a_reader_that_leaves_does_not_end_the_run(workshop: Workshop) -> None:
    script = workshop.build("unread")
    places = {
        "ANALYSIS_ML_LOGS_DIR": str(workshop.folder / "logs"),
        "ANALYSIS_ML_RESULTS_DIR": str(workshop.folder / "results"),
    }
    with subprocess.Popen(
        [str(workshop.warm.launcher / "python"), str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=isolated() | places | workshop.warm.variables(),
        cwd=workshop.folder,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) == 0
    assert (workshop.found("unread").path / "done").exists()


def test_a_clock_that_jumps_back_changes_nothing(workshop: Workshop) -> None:
    """What lies in the run's folder seems to come from the future, the newest least of all."""
    script = workshop.build("late", training_config={"max_epochs": 4})
    straight = workshop.build("in_time", training_config={"max_epochs": 4})
    workshop.run(straight).done()
    process = workshop.start(script)
    run = workshop.found("late")
    wait_for_step(run, process, 10)
    process.signal(signal.SIGTERM)
    for hours, path in enumerate(sorted(run.path.rglob("*"), reverse=True)):
        moment = path.stat().st_mtime + 3600 * hours
        os.utime(path, (moment, moment))
    workshop.run(script).done()
    expected = workshop.found("in_time")
    assert run.measured() == expected.measured()
    assert same(run.weights(), expected.weights())


@pytest.mark.parametrize(
    ("devices", "event", "pattern"),
    [
        (1, "os.rename", "*/run.json"),
        (2, "os.rename", "*/run.json"),
        (2, "subprocess.Popen", "*python*"),
    ],
)
def test_a_signal_at_the_very_start_leaves_nothing_running(
    workshop: Workshop, devices: int, event: str, pattern: str
) -> None:
    """Before the second task is started, and while it is."""
    name = f"early{devices}{event[:2]}"
    script = workshop.build(name, **LONG, experiment_config={"devices": devices})
    run = workshop.found(name)
    ended = workshop.run(script, strike=Strike(event, pattern, 1, signal.SIGTERM))
    assert ended.status == 143, ended
    ended.quiet()
    assert run.json("ended.json")["status"] == 143
    assert not (run.path / "lock").exists()
    assert run.measured() == []
    wait_for_none(script)


def wait_for_none(script: Path) -> None:
    """Wait until no process runs the script."""
    for _ in range(600):
        if not any(script.name in words and str(script) in words for words in command_lines()):
            return
        signal.sigtimedwait([], 0.1)
    raise AssertionError(f"{script} still runs")


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
