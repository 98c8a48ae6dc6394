"""A run's folder -> how far the run is; only files are read: no SLURM, no tracker."""

import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.values import PLACE

State = Literal[
    "not started", "submitted", "running", "done", "preempted", "cancelled", "interrupted",
    "lost", "not finite", "disk full", "refused", "failed",
]  # fmt: skip
# What a script's exit status says; any other is a failure.
ENDED: dict[int, State] = {
    1: "refused",
    3: "not finite",
    4: "disk full",
    75: "preempted",
    130: "interrupted",
    143: "cancelled",
}
# A run touches its lock every half a minute; a busy file system may be late.
HEARTBEAT = 180.0
# Where a run goes if the site's variables are not set, as scripts have it.
FALLBACKS = {"ANALYSIS_ML_LOGS_DIR": "logs", "ANALYSIS_ML_RESULTS_DIR": "results"}
JOB = re.compile(r"\d+(_\d+)?", re.ASCII)


@frozen
class Progress:
    """How far a run is: epochs done, the best value of its monitor, and the jobs it was given."""

    state: State
    epoch: int = 0
    best: float | None = None
    reason: str = ""
    jobs: tuple[str, ...] = ()


def expand(place: str, base: Path) -> tuple[Path, str]:
    """Return where a place lies, as a script finds it, and what is to be said about that.

    A relative place starts at `base`. Raises `CompileError` for variables that are not set.
    """
    values, notes, unset = {}, [], []
    for name in dict.fromkeys(PLACE.findall(place)):
        # Set to nothing is not the same as not set: a script refuses it.
        if name not in os.environ and name in FALLBACKS:
            values[name] = str(Path.cwd() / FALLBACKS[name])
            notes.append(f"{name} is not set, using {values[name]}")
        elif not os.environ.get(name):
            unset.append(name)
        else:
            values[name] = os.environ[name]
    if unset:
        raise CompileError(unset_variables(unset))
    start = Path.cwd() if place.startswith("${") else base
    path = (start / PLACE.sub(lambda match: values[match[1]], place)).resolve()
    return path, "; ".join(notes)


def unset_variables(names: list[str]) -> Diagnostic:
    """Return the fault of variables that an experiment needs and the environment lacks."""
    are = "a variable that is" if len(names) == 1 else "variables that are"
    message = f"the experiment needs {are} not set: {', '.join(names)}"
    return Diagnostic(message, hint=f"export {' '.join(f'{name}=...' for name in names)}")


def read(folder: Path, monitor: str, mode: Literal["min", "max"]) -> Progress:
    """Return how far the run of a folder is; raises `CompileError` where it cannot be read."""
    try:
        state, reason = marked(folder)
        epoch, best = _measured(folder / "metrics.jsonl", monitor, mode)
        jobs = _recorded(folder)
    except OSError as error:
        raise CompileError(Diagnostic(f"cannot read {folder}: {error.strerror}")) from error
    if state == "not started" and jobs:
        state = "submitted"
    return Progress(state, epoch, best, reason, jobs)


def read_combined(folder: Path, runs: Sequence[str], record: Path) -> Progress:
    """Return how far the combination of some runs is, in its folder.

    Its jobs are recorded in the folder `record`. Raises `CompileError` as `read` does.
    """
    try:
        running = _is_running(folder / "lock")
        said = _object(_text(folder / "metrics.json")).get("folds")
        jobs = _recorded(record)
    except OSError as error:
        raise CompileError(Diagnostic(f"cannot read {folder}: {error.strerror}")) from error
    folds = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    state: State = "submitted" if jobs else "not started"
    if running is not None:
        state = "running" if running else "lost"
    elif [each.get("run") for each in folds] == list(runs):
        state = "done"
    return Progress(state, jobs=jobs)


def _recorded(folder: Path) -> tuple[str, ...]:
    """Return the jobs that a folder was given."""
    jobs = (str(line.get("job")) for line in _lines(folder / "jobs.jsonl"))
    return tuple(dict.fromkeys(job for job in jobs if JOB.fullmatch(job)))


def marked(folder: Path) -> tuple[State, str]:
    """Return what a run's marks say, the strongest first, and why it ended if it says so."""
    # A damaged one is made anew by the next start.
    if {"script", "checkpoint", "sha256"} <= _object(_text(folder / "done")).keys():
        return "done", ""
    if (running := _is_running(folder / "lock")) is not None:
        return ("running" if running else "lost"), ""
    if _is_there(folder / "ended.json"):
        ended = _object(_text(folder / "ended.json"))
        status = ended.get("status")
        state = ENDED.get(status, "failed") if type(status) is int else "failed"
        return state, str(ended.get("reason", ""))
    left = ("run.json", "metrics.jsonl", "done", "checkpoints/newest.json", "checkpoints/run.json")
    if any(_is_there(folder / name) for name in left):
        # It began, and neither holds the folder nor says how it ended.
        return "lost", ""
    return "not started", ""


def _is_running(lock: Path) -> bool | None:
    """Whether the process that holds a run is alive; None if no process holds it."""
    try:
        age = time.time() - lock.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Half-written, it names nobody, but it is as old as it is.
    return age < HEARTBEAT and not _has_died(_object(_text(lock)))


def _has_died(holder: dict[str, Any]) -> bool:
    """Whether the process that a lock names is known to be dead, as it was seen from here."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or type(pid) is not int:
        return False
    # In a container, or before a reboot, another process may have had the number.
    for name, here in _world().items():
        if holder.get(name) not in (None, here):
            return False
    now = _started(pid)
    return not _is_alive(pid) or now == "ended" or now not in (None, holder.get("started") or now)


def _world() -> dict[str, str | None]:
    """Return where numbers of processes have a meaning: the boot, and the container if any."""
    boot = namespace = None
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return {"boot": boot, "namespace": namespace}


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks of its boot; None if that cannot be known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = text.rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return "ended" if state in "ZX" else fields[18]


def _is_alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _measured(record: Path, monitor: str, mode: Literal["min", "max"]) -> tuple[int, float | None]:
    """Return the epochs that are done and the best value of the monitor."""
    epoch, values = 0, []
    for line in _lines(record, f'"(?:train_loss|{re.escape(monitor)})":'):
        # Lines of single steps stand within an epoch that is not done.
        epoch = max(epoch, _number(line.get("epoch"), int) or 0)
        values.append(_number(line.get(monitor), (int, float)))
    known = [value for value in values if value is not None]
    best = (min if mode == "min" else max)(known) if known else None
    return epoch, best


def _number(value: Any, kinds: Any) -> Any:
    known = isinstance(value, kinds) and not isinstance(value, bool)
    # A damaged number may be longer than any that can be printed.
    return value if known and abs(value) < sys.float_info.max else None


def _lines(path: Path, pattern: str = "") -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of lines; one that is being written is left out."""
    wanted = re.compile(pattern)
    for line in _text(path).splitlines():
        # A long training has a hundred lines of steps for one of epochs.
        if wanted.search(line) and (found := _object(line)):
            yield found


def _object(text: str) -> dict[str, Any]:
    """Return the JSON object of a text; empty if it is half-written or something else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _text(path: Path) -> str:
    """Return what a file holds; nothing if it is not there, or no longer, or is a folder."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
