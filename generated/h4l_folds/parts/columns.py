"""Names of a spec -> values of events: columns, elements of lists, and what is derived of them."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.expressions import ExpressionError, Values, evaluate
from parts.grammar import parse, with_origins
from parts.readers import Column, ColumnType, Lists, listed, quoted, unknown

ELEMENT = re.compile(r"(.+)\[(\d{1,6})\]")
EMPTY: dict[str, type] = {"condition": bool, "whole": np.int64, "real": np.float64, "text": object}


class LackingError(ExpressionError):
    """A file lacks a column; `there` says which it has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(unknown("column", name, known))
        self.there = f"there is {listed(known)}"


class DerivedError(ExpressionError):
    """A derived column cannot be computed."""


def locate(name: str, columns: Container[str]) -> tuple[str, int | None] | None:
    """Return the column that a name means and, of a list, which element; None if there is none.

    A column that is literally called `jet_pt[0]` comes before an element of `jet_pt`.
    """
    if name in columns:
        return name, None
    element = ELEMENT.fullmatch(name)
    return (element[1], int(element[2])) if element and element[1] in columns else None


def underived(names: Iterable[str], derived: Mapping[str, str]) -> Iterator[str]:
    """Yield what names stand for once derived columns are spelt out, each once."""
    yield from (name for name in with_origins(names, derived) if name not in derived)


def columns_of(
    names: Iterable[str], derived: Mapping[str, str], there: Container[str]
) -> tuple[str, ...]:
    """Return the columns to read of a file for names of any kind; they must be there."""
    places = (locate(name, there) for name in underived(names, derived))
    return tuple(dict.fromkeys(place[0] for place in places if place))


class Chunk:
    """Some events of a file, of which names are looked up.

    `missing` is what stands where a thing does not exist: also for a null, and for an element
    behind the end of a list.
    """

    def __init__(
        self,
        columns: Mapping[str, Column | Lists],
        types: Mapping[str, ColumnType],
        size: int,
        derived: Mapping[str, str],
        missing: float | None,
    ) -> None:
        self.columns = columns
        self.types = types
        self.size = size
        self.derived = derived
        self.missing = missing
        self._found: dict[str, Values] = {}

    def values(self, name: str) -> Values:
        """Return the values of a name; raises `ExpressionError`."""
        if name not in self._found:
            self._found[name] = self._derive(name) if name in self.derived else self._read(name)
        return self._found[name]

    def evaluate(self, expression: str) -> Values:
        """Return the values of an expression; raises `ExpressionError`."""
        return evaluate(parse(expression), self.values, self.size)

    def definition(self, name: str) -> Values:
        """Return what the expression of a derived column gives; raises `ExpressionError`."""
        return evaluate(parse(self.derived[name]), self._operand, self.size)

    def numbers(self, name: str) -> NDArray[Any]:
        """Return values that must be numbers, or 0 and 1; raises `ExpressionError`."""
        found = self.values(name).array
        if found.dtype == object:
            raise ExpressionError(f"{quoted(name)} holds texts, not numbers")
        return found

    def take(self, chosen: NDArray[np.bool_]) -> "Chunk":
        """Return the chosen events alone."""
        if chosen.all():
            return self
        columns = {name: _taken(column, chosen) for name, column in self.columns.items()}
        size = int(np.count_nonzero(chosen))
        return Chunk(columns, self.types, size, self.derived, self.missing)

    def _derive(self, name: str) -> Values:
        """Evaluate a derived column; what is computed from a missing value is missing."""
        try:
            found = self.definition(name)
        except ExpressionError as error:
            raise DerivedError(f"derived {quoted(name)}: {error}") from error
        if found.missing is None or not found.missing.any() or found.array.dtype.kind == "O":
            return found
        array = found.array.astype(np.float64)
        array[found.missing] = np.nan if self.missing is None else self.missing
        return Values(array, found.missing)

    def _operand(self, name: str) -> Values:
        """Return values of which also those are marked that stand for a missing thing."""
        found = self.values(name)
        if name in self.derived or self.missing is None or found.array.dtype.kind not in "iuf":
            return found
        absent = np.isnan(found.array) if np.isnan(self.missing) else found.array == self.missing
        return Values(found.array, absent if found.missing is None else absent | found.missing)

    def _read(self, name: str) -> Values:
        place = locate(name, self.types)
        if place is None:
            raise LackingError(name, self.types)
        column, index = place
        kind = self.types[column]
        if kind.kind == "other":
            raise ExpressionError(f"{quoted(column)} holds {quoted(kind.said)}, no single values")
        found = self.columns[column]
        if isinstance(found, Lists):
            if index is None:
                said = f"a list in each event ({kind.said})"
                first = quoted(f"{column}[0]")
                raise ExpressionError(f"{quoted(column)} holds {said}; {first} is its first")
            return self._filled(name, found.element(index))
        if index is not None:
            raise ExpressionError(f"{quoted(column)} holds {quoted(kind.said)}, no lists")
        return self._filled(name, found)

    def _filled(self, name: str, column: Column) -> Values:
        """Put the missing value where a file has none."""
        values, absent = column.values, column.absent
        if absent is None or not absent.any():
            return Values(values, None)
        if values.dtype == bool:
            count = np.count_nonzero(absent)
            raise ExpressionError(f"{quoted(name)}, true or false, is null in {count} events")
        filler = np.nan if self.missing is None else self.missing
        kind: Any = object if values.dtype.kind == "O" else np.float64
        if values.dtype.kind in "iu" and values.dtype != np.uint64 and float(filler).is_integer():
            # Whole numbers stay whole, as they are in chunks without a null.
            kind = np.int64
        filled = values.astype(kind)
        filled[absent] = None if kind is object else filler
        return Values(filled, absent)


def _taken(column: Column | Lists, chosen: NDArray[np.bool_]) -> Column | Lists:
    if isinstance(column, Lists):
        return Lists(column.values, column.first[chosen], column.length[chosen], column.absent)
    absent = None if column.absent is None else column.absent[chosen]
    return Column(column.values[chosen], absent)


def no_events(
    types: Mapping[str, ColumnType], derived: Mapping[str, str], missing: float | None
) -> Chunk:
    """Return a chunk without events, on which types are checked."""
    columns = {name: _nothing(kind) for name, kind in types.items() if kind.kind != "other"}
    return Chunk(columns, types, 0, derived, missing)


def _nothing(kind: ColumnType) -> Column | Lists:
    if kind.kind == "list":
        none = np.zeros(0, np.int64)
        return Lists(np.zeros(0, EMPTY[kind.items or "real"]), none, none)
    return Column(np.zeros(0, EMPTY[kind.kind]))
