import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from seesawc.diagnostics import CompileError
from seesawc.jobs import progress
from seesawc.jobs.progress import ENDED, Progress, expand

LOGS = "ANALYSIS_ML_LOGS_DIR"
JOB = {"job": "12_3", "submitted": "2026-01-01T00:00:00Z", "batch": "/r/generated/h4l/x.sbatch"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


DONE = {"script": "a", "checkpoint": "b", "sha256": "c"}
DAMAGED = (
    b"",
    b'{"script": ',
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"\xff\x00",
    b"[" * 10**5,
    b"9" * 5000,
)


def put(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content) + "\n")
    return path


def lock(folder: Path, pid: int, host: str = "elsewhere", age: float = 0) -> None:
    path = put(folder, "lock", {"host": host, "pid": pid, "job": None, "restarts": 0, "since": ""})
    os.utime(path, (time.time() - age,) * 2)


def read(folder: Path) -> Progress:
    return progress.read(folder, "val_auc", "max")


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_run_without_a_folder_or_without_a_start_has_not_started(folder: Path) -> None:
    assert read(folder / "nowhere") == Progress("not started")
    (folder / "checkpoints").mkdir()
    assert read(folder) == Progress("not started")


def test_a_run_that_has_only_a_job_is_submitted(folder: Path) -> None:
    put(folder, "jobs.jsonl", JOB)
    assert read(folder) == Progress("submitted", jobs=("12_3",))


def test_a_lock_that_beats_is_a_run_that_runs(folder: Path) -> None:
    put(folder, "run.json", {})
    lock(folder, 1, age=150)
    assert read(folder).state == "running"
    lock(folder, 1, age=200)
    assert read(folder).state == "lost"


def test_a_dead_process_of_this_machine_runs_nothing(folder: Path) -> None:
    lock(folder, os.getpid(), socket.gethostname())
    assert read(folder).state == "running"
    lock(folder, dead(), socket.gethostname())
    assert read(folder).state == "lost"
    # The same number elsewhere is another process.
    lock(folder, dead(), "elsewhere")
    assert read(folder).state == "running"


def test_a_process_that_has_the_number_of_a_dead_one_is_another(folder: Path) -> None:
    """As the first process of a container has, and any after a reboot."""
    here = {"host": socket.gethostname(), "pid": os.getpid(), **progress._world()}
    for holder, state in (
        ({"started": progress._started(os.getpid())}, "running"),
        ({"started": "17"}, "lost"),
        # Of those nothing is known but that they beat.
        ({"started": "17", "namespace": "pid:[1]"}, "running"),
        ({"pid": dead(), "boot": "before"}, "running"),
    ):
        put(folder, "lock", here | holder)
        assert read(folder).state == state


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_a_process_that_cannot_be_is_dead(folder: Path, pid: int) -> None:
    lock(folder, pid, socket.gethostname())
    assert read(folder).state == "lost"


@pytest.mark.parametrize("text", ["", '{"host": "elsew', "[1]", "\0\0"])
def test_a_half_written_lock_is_judged_by_its_age(folder: Path, text: str) -> None:
    path = put(folder, "lock", text)
    assert read(folder).state == "running"
    os.utime(path, (0, 0))
    assert read(folder).state == "lost"


@pytest.mark.parametrize(("status", "state"), [*ENDED.items(), (2, "failed"), (-9, "failed")])
def test_a_start_that_ended_says_how(folder: Path, status: int, state: str) -> None:
    put(folder, "run.json", {})
    put(folder, "jobs.jsonl", JOB)
    put(folder, "ended.json", {"status": status, "reason": "for a reason", "time": 1.0})
    found = read(folder)
    assert (found.state, found.reason) == (state, "for a reason")


@pytest.mark.parametrize("text", ["", "{", '{"status": "1"}', '{"status": true}'])
def test_an_end_that_cannot_be_read_is_a_failure(folder: Path, text: str) -> None:
    put(folder, "ended.json", text)
    assert read(folder).state == "failed"


def test_a_run_that_began_and_says_nothing_is_lost(folder: Path) -> None:
    put(folder, "jobs.jsonl", JOB)
    put(folder, "run.json", {})
    assert read(folder).state == "lost"


def test_the_stronger_mark_counts(folder: Path) -> None:
    put(folder, "ended.json", {"status": 1})
    lock(folder, 1)
    assert read(folder).state == "running"
    put(folder, "done", DONE)
    assert read(folder).state == "done"


def test_epochs_and_the_best_value_come_from_the_record(folder: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"step": 3, "epoch": 1, "time": 1.0, "train_loss_step": 0.9, "lr": 0.1},
        {"step": 7, "epoch": 1, "time": 2.0, "train_loss": 0.9, "val_loss": 0.8, "val_auc": 0.6},
        {"step": 14, "epoch": 2, "time": 3.0, "train_loss": 0.7, "val_loss": 0.5, "val_auc": 0.9},
        {"step": 21, "epoch": 3, "time": 4.0, "train_loss": 0.6, "val_loss": 0.6, "val_auc": None},
        {"step": 22, "epoch": 4, "time": 5.0, "train_loss_step": 0.6, "lr": 0.1},
        {"step": 0, "epoch": 0, "time": 6.0, "artifact": "plot.png"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    put(folder, "metrics.jsonl", text + '{"step": 28, "epoch": 4, "train_loss": 0.1, "val_a')
    found = progress.read(folder, "val_auc", "max")
    assert (found.epoch, found.best) == (3, 0.9)
    assert progress.read(folder, "val_loss", "min").best == 0.5
    assert progress.read(folder, "val_accuracy", "max").best is None


def test_jobs_are_listed_once_and_half_a_line_is_left_out(folder: Path) -> None:
    lines = [JOB, JOB, {"job": "x; rm"}, {"job": "14"}]
    put(folder, "jobs.jsonl", "".join(json.dumps(line) + "\n" for line in lines) + '{"job": "1')
    assert read(folder).jobs == ("12_3", "14")


def test_a_folder_that_cannot_be_read_is_told_in_words(folder: Path) -> None:
    (folder / "metrics.jsonl").symlink_to("metrics.jsonl")
    with pytest.raises(CompileError, match=r"cannot read .*/run: Too many levels of symbolic"):
        read(folder)


def test_places_lie_where_scripts_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", "here")
    specs = tmp_path / "specs"
    assert expand("runs", specs) == (specs / "runs", "")
    assert expand("/runs/${PLACE}", specs) == (Path("/runs/here"), "")
    assert expand("in/${PLACE}", specs) == (specs / "in" / "here", "")
    assert expand("${PLACE}/in", specs) == (tmp_path / "here" / "in", "")
    monkeypatch.delenv(LOGS, raising=False)
    note = f"{LOGS} is not set, using {tmp_path / 'logs'}"
    assert expand(f"${{{LOGS}}}/deep", specs) == (tmp_path / "logs" / "deep", note)


def test_variables_that_are_not_set_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONE", raising=False)
    monkeypatch.setenv(LOGS, "")
    with pytest.raises(CompileError) as error:
        expand(f"${{ONE}}/${{{LOGS}}}", tmp_path)
    (fault,) = error.value.diagnostics
    assert fault.message == f"the experiment needs variables that are not set: ONE, {LOGS}"
    assert fault.hint == f"export ONE=... {LOGS}=..."


@pytest.mark.parametrize(
    "name", ["done", "lock", "ended.json", "run.json", "metrics.jsonl", "jobs.jsonl"]
)
@pytest.mark.parametrize("content", [None, *DAMAGED, "folder"])
def test_whatever_is_damaged_a_run_is_told_to_be_somewhere(
    folder: Path, name: str, content: bytes | str | None
) -> None:
    put(folder, "run.json", {})
    put(folder, "metrics.jsonl", {"epoch": 1, "val_auc": 10**400, "train_loss": True})
    (folder / name).unlink(missing_ok=True)
    if content == "folder":
        (folder / name).mkdir()
    elif isinstance(content, bytes):
        (folder / name).write_bytes(content)
    found = read(folder)
    running = name == "lock" and content is not None
    assert found.state == (
        "running"
        if running
        else "failed"
        if name == "ended.json" and content is not None
        else "lost"
    )
    assert found.best is None
