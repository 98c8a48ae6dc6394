"""Events of any kind that has columns by name (a DataFrame, a dict of arrays) -> a chunk."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parts.columns import ELEMENT, Chunk, underived
from parts.machinery.exits import RefusedError
from parts.readers import Column, ColumnType, Lists, kind_of, lists_of, quoted, unknown


def chunk_by_name(
    events: Mapping[str, Any],
    names: Sequence[str],
    derived: Mapping[str, str],
    missing: float | None,
) -> Chunk:
    """Return the events with the columns that names need; raises `RefusedError`."""
    # What the events have need not be derived.
    derived = {name: text for name, text in derived.items() if not has(events, name)}
    columns = dict(column_of(events, name) for name in underived(names, derived))
    types = {name: type_of(column) for name, column in columns.items()}
    size = len(next(iter(columns.values())))
    if any(len(column) != size for column in columns.values()):
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise RefusedError(f"the events have columns of several lengths: {lengths}")
    return Chunk(columns, types, size, derived, missing)


def has(events: Mapping[str, Any], name: str) -> bool:
    """Whether events have a column."""
    try:
        events[name]
    except (LookupError, TypeError, ValueError):
        return False
    return True


def column_of(events: Mapping[str, Any], name: str) -> tuple[str, Column | Lists]:
    """Return the column that a name needs, under its own name; raises `RefusedError`."""
    element = ELEMENT.fullmatch(name)
    home = element[1] if element and not has(events, name) else name
    if not has(events, home):
        raise RefusedError(f"the events have {unknown('column', home, names_in(events))}")
    try:
        if home != name:
            lists = events[home]
            # Items of Arrow's own kind are no numbers.
            lists = lists.to_pylist() if hasattr(lists, "to_pylist") else lists
            items = [np.asarray(() if each is None else each) for each in lists]
            return home, lists_of(items)
        column = np.asarray(events[name])
        if column.ndim != 1 or column.dtype.kind not in "biuf":
            raise ValueError("not one number each")
    except (LookupError, TypeError, ValueError) as error:
        raise RefusedError(
            f"the events have no column {quoted(name)} of one number each"
        ) from error
    return name, Column(column)


def names_in(events: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns, as far as the events tell them."""
    # Of Arrow and of awkward; a DataFrame, as a dict, gives its names in turn.
    for attribute in ("column_names", "fields"):
        if hasattr(events, attribute):
            return list(map(str, getattr(events, attribute)))
    return list(map(str, events)) if hasattr(events, "keys") else []


def type_of(column: Column | Lists) -> ColumnType:
    """Return the type of what was given as an array."""
    kind, said = kind_of(column.values.dtype), str(column.values.dtype)
    return ColumnType("list", said, kind) if isinstance(column, Lists) else ColumnType(kind, said)
