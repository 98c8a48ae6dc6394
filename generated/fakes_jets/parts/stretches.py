"""Columns read in the stretches of events that a file keeps together, handed out in any others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import obey
from parts.readers import Column, Lists, quoted, unreadable

# Bytes, uncompressed, that are read at once where stretches are shorter.
STRETCH_BYTES = 16 * 2**20


@dataclass
class Stretches:
    """Columns that lie in a file in the same stretches; each stretch is read once, in order."""

    # Where stretches begin, and the number of events: increasing, from 0.
    edges: NDArray[np.int64]
    # How many events to read at once; a longer stretch is read as a whole.
    at_once: int
    # Reads events, from a first one to before a last one, which are edges.
    read: Callable[[int, int], Mapping[str, Column | Lists]]
    held: Mapping[str, Column | Lists] = field(default_factory=dict, init=False)
    first: int = field(default=0, init=False)
    last: int = field(default=0, init=False)

    def take(self, first: int, last: int) -> Mapping[str, Column | Lists]:
        """Return the columns of events that come after those taken before."""
        pieces = []
        while first < last:
            if first >= self.last:
                self.turn_to(first)
            stop = min(last, self.last)
            begin, end = first - self.first, stop - self.first
            pieces.append({name: part_of(held, begin, end) for name, held in self.held.items()})
            first = stop
        if len(pieces) == 1:
            return pieces[0]
        return {name: joined([piece[name] for piece in pieces]) for name in pieces[0]}

    def turn_to(self, event: int) -> None:
        """Hold the stretches from that of an event on, and those before no longer."""
        self.held = {}
        begin = int(np.searchsorted(self.edges, event, "right")) - 1
        end = int(np.searchsorted(self.edges, self.edges[begin] + self.at_once, "right")) - 1
        first, last = int(self.edges[begin]), int(self.edges[max(end, begin + 1)])
        self.held = self.read(first, last)
        self.first, self.last = first, last


def chunks_of(
    every: Sequence[Stretches], n_events: int, size: int
) -> Iterator[Mapping[str, Column | Lists]]:
    """Yield the columns of `size` events at a time, of the last ones fewer."""
    for first in range(0, n_events, size):
        obey()
        last = min(first + size, n_events)
        yield {name: held for each in every for name, held in each.take(first, last).items()}


def stretch_edges(begins: Sequence[int] | NDArray[Any], n_events: int) -> NDArray[np.int64]:
    """Return where stretches begin, as a file has it, as edges of its events."""
    edges = np.unique(np.append(np.asarray(begins, np.int64), (0, n_events)))
    return edges[(edges >= 0) & (edges <= n_events)]


def part_of(held: Column | Lists, begin: int, end: int) -> Column | Lists:
    """Return some of the events of a column whose lists lie one after the other."""
    if isinstance(held, Column):
        absent = None if held.absent is None else held.absent[begin:end]
        return Column(held.values[begin:end], absent)
    first, length = held.first[begin:end], held.length[begin:end]
    start, stop = int(first[0]), int(first[-1] + length[-1])
    absent = None if held.absent is None else held.absent[start:stop]
    return Lists(held.values[start:stop], first - start, length, absent)


def joined(pieces: Sequence[Any]) -> Column | Lists:
    """Return pieces of one column, one after the other."""
    values = np.concatenate([piece.values for piece in pieces])
    absent = None
    if any(piece.absent is not None for piece in pieces):
        nowhere = [np.zeros(len(piece.values), np.bool_) for piece in pieces]
        both = zip(pieces, nowhere, strict=True)
        absent = np.concatenate([none if p.absent is None else p.absent for p, none in both])
    if isinstance(pieces[0], Column):
        return Column(values, absent)
    begins = np.cumsum([0] + [len(piece.values) for piece in pieces[:-1]])
    first = [piece.first + begin for piece, begin in zip(pieces, begins, strict=True)]
    length = np.concatenate([piece.length for piece in pieces])
    return Lists(values, np.concatenate(first), length, absent)


def lists_between(values: NDArray[Any], offsets: NDArray[Any]) -> Lists:
    """Return lists that begin and end at offsets; raises `ValueError` where they cannot."""
    edges = offsets.astype(np.int64)
    length = np.diff(edges)
    if len(edges) and (edges[0] < 0 or edges[-1] > len(values) or (length < 0).any()):
        raise ValueError("lists end outside of what they hold")
    return Lists(values, edges[:-1], length)


def lists_alike(values: NDArray[Any]) -> Lists:
    """Return lists of one length for all events, from `(event, item)`."""
    n_events, n_items = values.shape
    first = np.arange(n_events, dtype=np.int64) * n_items
    return Lists(values.reshape(-1), first, np.full(n_events, n_items, np.int64))


@contextmanager
def refusing(path: Path, what: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn what a library raises for a damaged file into a refusal, which says of what."""
    try:
        yield
    except errors as error:
        said = str(error) or type(error).__name__
        raise unreadable(path, ValueError(f"{what}: {said}")) from error


def column_said(name: str) -> str:
    """Return how messages call a column."""
    return f"column {quoted(name)}"
