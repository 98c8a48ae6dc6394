"""Events in the order of files -> the same events in an order like chance's, by way of a disk."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import obey
from parts.splits import shares

# Bytes of events that are read again at a time.
BYTES_MERGED = 2**25
# The column by which events are ordered.
BY_HASH = "hash"


class ShuffledRecords:
    """Events on a disk, in the order of a hash of their numbers: the same on every machine.

    They are sorted in two passes: when memory holds `held` bytes of them they are sorted and
    written, and these runs are merged when they are read. However many, the order is the same.
    """

    def __init__(self, path: Path, columns: Sequence[tuple[str, Any, Any]], held: int) -> None:
        self.path = path
        self.names = [name for name, *_ in columns]
        self.dtype = np.dtype([(BY_HASH, np.float64, ()), *columns])
        self.held = held
        self.size = 0
        self._ends = [0]
        self._pending: list[NDArray[Any]] = []

    def add(self, columns: Mapping[str, NDArray[Any]], chosen: NDArray[np.intp]) -> None:
        """Take the chosen of some events; raises `OSError`."""
        records = np.empty(len(chosen), self.dtype)
        for name in self.names:
            records[name] = columns[name][chosen]
        numbers = np.arange(self.size, self.size + len(chosen), dtype=np.uint64)
        records[BY_HASH] = shares(numbers[:, np.newaxis])
        self.size += len(chosen)
        self._pending.append(records)
        if (self.size - self._ends[-1]) * self.dtype.itemsize >= self.held:
            self._write()

    def _write(self) -> None:
        """Write what is held, sorted."""
        run = np.concatenate([np.empty(0, self.dtype), *self._pending])
        self._pending.clear()
        self._ends.append(self.size)
        with self.path.open("ab") as file:
            file.write(run[np.argsort(run[BY_HASH], kind="stable")].data)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all events in their new order; none is added after that. Raises `OSError`."""
        if self._pending:
            self._write()
        if not self.size:
            return
        runs = np.split(np.memmap(self.path, self.dtype, mode="r"), self._ends[1:-1])
        count = -(-self.size * self.dtype.itemsize // BYTES_MERGED)
        limits = np.linspace(0, 1, count + 1)
        places = [np.searchsorted(run[BY_HASH], limits) for run in runs]
        for index in range(count):
            obey()
            pieces = (run[at[index] : at[index + 1]] for run, at in zip(runs, places, strict=True))
            block = np.concatenate(list(pieces))
            yield block[np.argsort(block[BY_HASH], kind="stable")]
