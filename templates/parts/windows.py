"""Events that lie on a disk: read as they are needed, in an order that a disk can follow."""

from collections.abc import Sequence
from mmap import ACCESS_COPY, MADV_WILLNEED, PAGESIZE, mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Events that are read at once, and how many such blocks are mixed with each other. The system
# holds what is in use of them, and gives it up where there is need.
BLOCK_EVENTS = 2**13
WINDOW_BLOCKS = 2**6


class MappedRows:
    """A file of rows of numbers, of which nothing takes memory of this process's own."""

    def __init__(self, path: Path, dtype: Any, *width: int) -> None:
        self._dtype, self._width = np.dtype(dtype), width
        self._row = self._dtype.itemsize * int(np.prod(width, dtype=np.int64))
        self._memory: mmap | None = None
        # There is no way to map nothing.
        if path.stat().st_size:
            with path.open("rb") as file:
                # Torch asks for memory that it may write to; what it wrote would be its own.
                self._memory = mmap(file.fileno(), 0, access=ACCESS_COPY)

    def rows(self, first: int, end: int) -> NDArray[Any]:
        """Return some of the rows."""
        if self._memory is None:
            return np.zeros((end - first, *self._width), self._dtype)
        count = (end - first) * self._row // self._dtype.itemsize
        found = np.frombuffer(self._memory, self._dtype, count, first * self._row)
        return found.reshape(end - first, *self._width)

    def will_need(self, first: int, end: int) -> None:
        """Have the system read rows behind the program's back, one after the other."""
        if self._memory is not None:
            start = first * self._row // PAGESIZE * PAGESIZE
            self._memory.madvise(MADV_WILLNEED, start, end * self._row - start)


class Windows:
    """The order of a split's events in an epoch: blocks in any order, events in any of a window.

    The events have been mixed when they were written, so that each block is a fair sample of all.
    """

    def __init__(self, columns: Sequence[MappedRows], first: int, size: int) -> None:
        self.columns = columns
        # Of the split's first event, and of how many it has.
        self.first, self.size = first, size
        self.windows: list[list[int]] = []
        self.of_block = torch.zeros(0, dtype=torch.int64)
        self.asked = 0

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Return all events in an order that the generator decides (event,)."""
        blocks = torch.randperm(-(-self.size // BLOCK_EVENTS), generator=generator)
        parts = torch.split(blocks, WINDOW_BLOCKS) if self.size else ()
        self.windows, self.asked = [part.tolist() for part in parts], 0
        self.of_block = torch.empty_like(blocks)
        order = torch.empty(self.size, dtype=torch.int32 if self.size < 2**31 else torch.int64)
        filled = 0
        for index, part in enumerate(parts):
            self.of_block[part] = index
            rows = torch.cat([torch.arange(*self.ends(block)) for block in part.tolist()])
            mixed = rows[torch.randperm(len(rows), generator=generator)]
            order[filled : filled + len(mixed)] = mixed
            filled += len(mixed)
        return order

    def ends(self, block: int) -> tuple[int, int]:
        """Return a block's first event, and that behind its last."""
        return block * BLOCK_EVENTS, min(self.size, (block + 1) * BLOCK_EVENTS)

    def read_ahead(self, chosen: Tensor) -> None:
        """Have the window of these events read, and the next one, unless that was done."""
        if not self.windows or not len(chosen):
            return
        window = int(self.of_block[int(chosen[0]) // BLOCK_EVENTS])
        for index in range(max(self.asked, window), min(window + 2, len(self.windows))):
            for block in self.windows[index]:
                first, end = self.ends(block)
                for column in self.columns:
                    column.will_need(self.first + first, self.first + end)
            self.asked = index + 1
