"""How far a long work has come: one line that is rewritten, where somebody watches."""

import sys
import time

# Seconds between two of them.
PAUSE = 0.2


class ProgressLine:
    """Counts what is done; tells it on a terminal alone, and leaves nothing there."""

    def __init__(self, what: str, total: int) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.told = time.monotonic()
        self.width = 0

    def add(self, count: int) -> None:
        """Count some more."""
        self.done += count
        if sys.stderr.isatty() and time.monotonic() - self.told > PAUSE:
            self.told = time.monotonic()
            self.write(f"{self.what}: {self.done} of {self.total} events")

    def clear(self) -> None:
        """Take the line away, if there is one."""
        if self.width:
            self.write("")

    def write(self, text: str) -> None:
        """Put a text in the place of the one before."""
        end = "\r" if not text else ""
        print(f"\r{text:{self.width}}", end=end, file=sys.stderr, flush=True)
        self.width = len(text)
