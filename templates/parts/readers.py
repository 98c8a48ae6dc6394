"""What every reader of files promises: columns of known types, and their events chunk by chunk.

A reader is a small value that a script names, such as `Root("events")`; it opens one file at a
time. What it raises names the file, and what of it.
"""

import difflib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError

Kind = Literal["condition", "whole", "real", "text", "list", "other"]
# What libraries raise for a file that is damaged; the last two for a compressed one.
UNREADABLE = (OSError, ValueError, EOFError, zlib.error)
# Names that a message lists; files may have thousands of columns.
SHOWN = 40


class NoTableError(RefusedError):
    """A file has no table, or several, where one is meant."""


class SeveralTablesError(NoTableError):
    """A file has several tables, and none is named."""


@dataclass(frozen=True)
class ColumnType:
    """What a column holds: true or false, whole or real numbers, texts, lists, or what else."""

    kind: Kind
    # As the file's own format calls it, for messages.
    said: str
    # What lists hold, which is conditions, whole or real numbers; None for all other kinds.
    items: Kind | None = None


@dataclass(frozen=True)
class Column:
    """Values of a column, one an event."""

    # (event,): of bool, integers or floats as the file has them, in the machine's byte order; of
    # objects for texts, which are str.
    values: NDArray[Any]
    # (event,): where the file has a null. None: nowhere.
    absent: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.values)


@dataclass(frozen=True)
class Lists:
    """Values of a column of lists: those of an event are length numbers, from the first one on."""

    values: NDArray[Any]  # (item,)
    first: NDArray[np.int64]  # (event,)
    length: NDArray[np.int64]  # (event,): 0 also where the file has a null
    absent: NDArray[np.bool_] | None = None  # (item,)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.first)

    def element(self, index: int) -> Column:
        """Return the element of each event's list; absent where a list is too short."""
        there = self.length > index
        places = (self.first + index)[there]
        values = np.zeros(len(there), self.values.dtype)
        values[there] = self.values[places]
        if self.absent is not None:
            there[there] = ~self.absent[places]
        return Column(values, ~there)


def lists_of(items: Sequence[NDArray[Any]]) -> Lists:
    """Return lists that stand each on its own, one an event, as a column."""
    length = np.fromiter(map(len, items), np.int64, len(items))
    values = np.concatenate(items) if len(items) else np.zeros(0)
    return Lists(values, np.cumsum(length) - length, length)


@dataclass(frozen=True)
class Schema:
    """What is known of a table when its file is opened."""

    columns: Mapping[str, ColumnType]
    n_events: int
    # Numbers of classes by name, where the file itself says so.
    labels: Mapping[str, int] = field(default_factory=dict)
    # Which values stand where a thing does not exist, by column or for all ("").
    pads: Mapping[str, float] = field(default_factory=dict)


class Table(Protocol):
    """An open file."""

    @property
    def schema(self) -> Schema:
        """Return columns, their types, and the number of events."""

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time, in the file's order.

        All events are in some chunk, whatever `names` holds. Only these columns are read, and no
        more is held in memory than a chunk needs. Raises `RefusedError`.
        """


class Reader(Protocol):
    """Opens files of one format."""

    def open(self, path: Path) -> AbstractContextManager[Table]:
        """Open a file; raises `RefusedError`, `NoTableError` where it has no such table."""


def quoted(name: object) -> str:
    """Return a name as it may stand in a message: in quotes, on one line, in plain ASCII."""
    return ascii(str(name))


def listed(names: Iterable[object]) -> str:
    """Return names for a message, not more than one reads."""
    every = [quoted(name) for name in names]
    more = [f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
    return ", ".join(every[:SHOWN] + more)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return what to say of a name that is not there, and the nearest ones that are."""
    there = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), there, 3, 0.6)
    meant = " or ".join(quoted(there[each]) for each in near)
    return f"no {what} {quoted(name)}" + (f"; did you mean {meant}?" if meant else "")


def lacks(what: str, name: str, known: Iterable[str]) -> str:
    """Return the same, and which names there are."""
    there = list(known)
    return f"{unknown(what, name, there)}; there is {listed(there) or 'none'}"


def unreadable(path: Path, error: BaseException) -> RefusedError:
    """Return the refusal of a file that cannot be read, on one line."""
    said = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode()
    return RefusedError(f"cannot read {quoted(path)}: {said or type(error).__name__}")


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in the byte order of this machine."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def kind_of(dtype: np.dtype[Any]) -> Kind:
    """Return what a plain numpy type holds."""
    kinds: dict[str, Kind] = {"b": "condition", "i": "whole", "u": "whole", "f": "real"}
    return kinds.get(dtype.kind, "text" if dtype.kind in "SUO" else "other")
