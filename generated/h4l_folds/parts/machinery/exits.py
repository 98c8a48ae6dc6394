"""How a run ends: exit statuses, the exceptions that lead to them, and the signals that ask for it.

A handler runs wherever the program happens to be, so it only notes what is asked. What it asks is
done at safe points, where nothing is half written: between steps, chunks of files, and phases.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

DONE = 0
REFUSED = 1
NOT_FINITE = 3
DISK_FULL = 4
FAILED = 70
PREEMPTED = 75
INTERRUPTED = 130
CANCELLED = 143

# What SLURM, a terminal and a user end a run with.
SIGNALS = {
    signal.SIGTERM: CANCELLED,
    signal.SIGUSR2: PREEMPTED,
    signal.SIGINT: INTERRUPTED,
}


class RefusedError(Exception):
    """The run cannot start, or cannot go on, as things stand; nothing was lost."""


class NotFiniteError(Exception):
    """The loss is no longer a finite number."""


class StoppedError(Exception):
    """A signal asked the run to stop; what it has reached is saved."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped by a signal, exit status {status}")
        self.status = status


class Asked:
    """What signals have asked of this process."""

    def __init__(self) -> None:
        # The exit status that the last of them leads to.
        self.status = 0
        # Whether tasks stop together, between two steps: then none stops alone at `obey`.
        self.together = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C kills the process where it stands."""
        self.status = SIGNALS[signal.Signals(number)]
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)


ASKED = Asked()


def listen(together: bool = False) -> None:
    """Note the signals that end a run, from now on; `together` with other tasks or alone."""
    ASKED.together = together
    for number in SIGNALS:
        signal.signal(number, ASKED.note)


def stop_listening() -> None:
    """Let no signal change how the process ends: Python gives back its handlers before it is over.

    What is ignored stays so.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def obey() -> None:
    """Raise `StoppedError` if a signal has come: called where nothing is half done."""
    if ASKED.status and not ASKED.together:
        raise StoppedError(ASKED.status)


def open_closed_streams() -> None:
    """Send output that whoever started the script has closed (`>&-`) nowhere.

    Else Python has no stream there, of which much that prints knows nothing.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def carry_out(work: Callable[[], int]) -> int:
    """Return the exit status of a script that trains nothing, and has no run to go on with."""
    open_closed_streams()
    listen()
    try:
        status = work()
    except StoppedError as error:
        print(error, file=sys.stderr)
        status = error.status
    except (RefusedError, OSError, ValueError) as error:
        full = is_disk_full(error)
        print(f"{'stopped' if full else 'refused'}: {error}", file=sys.stderr)
        status = DISK_FULL if full else REFUSED
    stop_listening()
    return status


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception says that a disk, or a quota, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def how_it_ended(error: BaseException) -> tuple[int, str]:
    """Return the exit status that an exception leads to, and what there is to say of it."""
    if isinstance(error, RefusedError):
        return REFUSED, f"refused: {error}"
    if isinstance(error, NotFiniteError):
        return NOT_FINITE, f"stopped: {error}; the checkpoints from before are kept"
    if isinstance(error, StoppedError):
        return error.status, f"{error}; start again to go on"
    if isinstance(error, OSError) and is_disk_full(error):
        return DISK_FULL, f"stopped: {error.strerror}; the checkpoints from before are kept"
    return FAILED, f"failed: {error!r}"
