"""A sweep: the points of one script, each a run of its own."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from parts.machinery.arguments import shown
from parts.machinery.exits import SIGNALS, stop_listening


def train_all(script: Path, points: dict[str, dict[str, Any]]) -> int:
    """Train points one after another, each in a process of its own; return 0, or the first failure.

    A point that fails does not stop the others. A signal is passed on, and ends the sequence.
    """
    return in_turn(script, points)[0]


def in_turn(script: Path, points: dict[str, dict[str, Any]]) -> tuple[int, dict[str, int]]:
    """Start a script for each point, and return the status of all, and those of the points."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    statuses: dict[str, int] = {}
    asked: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: asked.append(number))
    for index, (identity, point) in enumerate(points.items()):
        if asked:
            break
        print(f"point {index} of {len(points)}, {shown(identity, point, ': ')}", flush=True)
        command = [sys.executable, str(script), "--point", identity, *arguments]
        # In a group of its own: a Ctrl-C would reach it twice, and the second one does not save.
        process = subprocess.Popen(command, process_group=0)  # noqa: S603
        statuses[identity] = wait_and_pass_on(process, asked)
    stop_listening()
    print()
    for identity, point in points.items():
        ended = f"exit status {statuses[identity]}" if identity in statuses else "not started"
        print(f"{ended:15}  {shown(identity, point)}")
    if asked and len(statuses) < len(points):
        status = next(reversed(statuses.values()), 0) or SIGNALS[signal.Signals(asked[-1])]
        return status, statuses
    return next(filter(None, statuses.values()), 0), statuses


def wait_and_pass_on(process: subprocess.Popen[bytes], asked: list[int]) -> int:
    """Return the exit status of a process, which gets all signals of the list as they come."""
    passed = 0
    while True:
        for number in asked[passed:]:
            process.send_signal(number)
            passed += 1
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=0.1)
            # A process that a signal has ended has its negative number.
            return status if status >= 0 else 128 - status
