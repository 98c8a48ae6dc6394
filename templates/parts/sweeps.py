"""A sweep: the points of one script, each a run of its own."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any

from parts.arguments import shown
from parts.places import digest
from parts.stops import status_of


def point_script(script: Path, planned: str) -> str:
    """Return the digest of a point's plain script, with the real one of a file that was edited.

    So a point goes on although others were added to the sweep.
    """
    found, record = digest(script), script.with_name("resolved.toml")
    files = tomllib.loads(record.read_text())["build"]["files"] if record.exists() else {}
    return planned if files.get(script.name) == found else f"{planned}+{found}"


def train_all(script: Path, points: dict[str, dict[str, Any]]) -> int:
    """Train points one after another, each in a process of its own; return 0, or the first failure.

    A point that fails does not stop the others. A signal is passed on, and ends the sequence.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    statuses: dict[str, int] = {}
    running: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for process in running:
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, pass_on)
    for identity in points:
        if asked:
            break
        print(f"point {identity}", flush=True)
        command = [sys.executable, str(script), "--point", identity, *arguments]
        # In a group of its own: a Ctrl-C would reach it twice, and the second one does not save.
        process = subprocess.Popen(command, process_group=0)  # noqa: S603
        running[:] = [process]
        if asked:
            process.send_signal(asked[-1])
        status = process.wait()
        # A process that a signal has ended has its negative number.
        statuses[identity] = status if status >= 0 else 128 - status
        running.clear()
    print()
    for identity, point in points.items():
        ended = f"exit status {statuses[identity]}" if identity in statuses else "not started"
        print(f"{ended:15}  {shown(identity, point)}")
    if asked and len(statuses) < len(points):
        return next(reversed(statuses.values()), 0) or status_of(asked[-1])
    return next(filter(None, statuses.values()), 0)
