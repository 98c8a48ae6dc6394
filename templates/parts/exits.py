"""How a run ends: exit statuses and the exceptions that lead to them."""

import errno

DONE = 0
REFUSED = 1
NOT_FINITE = 3
DISK_FULL = 4
FAILED = 70
PREEMPTED = 75
INTERRUPTED = 130
CANCELLED = 143


class RefusedError(Exception):
    """The run cannot start, or cannot go on, as things stand; nothing was lost."""


class NotFiniteError(Exception):
    """The loss is no longer a finite number."""


class StoppedError(Exception):
    """A signal asked the run to stop; what it has reached is saved."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped by a signal, exit status {status}")
        self.status = status


def how_it_ended(error: BaseException) -> tuple[int, str]:
    """Return the exit status that an exception leads to, and what there is to say of it."""
    if isinstance(error, RefusedError):
        return REFUSED, f"refused: {error}"
    if isinstance(error, NotFiniteError):
        return NOT_FINITE, f"stopped: {error}; the checkpoints from before are kept"
    if isinstance(error, StoppedError):
        return error.status, f"{error}; start again to go on"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL, f"stopped: {error.strerror}; the checkpoints from before are kept"
    return FAILED, f"failed: {error!r}"
