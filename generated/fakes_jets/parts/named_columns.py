"""Events of any kind that has columns by name (a DataFrame, a dict of arrays) -> a chunk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parts.columns import ELEMENT, Chunk, underived
from parts.given_columns import given_column
from parts.grammar import parse, with_origins
from parts.machinery.exits import RefusedError
from parts.readers import Column, ColumnType, Lists, kind_of, lists_of, quoted, unknown


def chunk_by_name(
    events: Mapping[str, Any],
    names: Sequence[str],
    derived: Mapping[str, str],
    missing: float | None,
) -> Chunk:
    """Return the events with the columns that names need; raises `RefusedError`.

    What the events have is derived only if they have what it is derived from; then it is refused,
    as in files: whether both are the same, nobody knows. Nulls are those of `given_columns`.
    """
    for name in with_origins(names, derived):
        if name in derived and has(events, name) and derivable(events, name, derived):
            raise RefusedError(
                f"the events have a column {quoted(name)}, and what the spec derives it from as"
                " well; leave one of them out"
            )
    derived = {name: text for name, text in derived.items() if not has(events, name)}
    columns = dict(column_of(events, name) for name in underived(names, derived))
    types = {name: type_of(column) for name, column in columns.items()}
    size = len(next(iter(columns.values())))
    if any(len(column) != size for column in columns.values()):
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise RefusedError(f"the events have columns of several lengths: {lengths}")
    return Chunk(columns, types, size, derived, missing)


def derivable(events: Mapping[str, Any], name: str, derived: Mapping[str, str]) -> bool:
    """Whether events have all that a derived column is computed from."""
    for source in parse(derived[name]).references:
        element = ELEMENT.fullmatch(source)
        there = has(events, source) or bool(element and has(events, element[1]))
        if not there and not (source in derived and derivable(events, source, derived)):
            return False
    return True


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
            items = [given_column(np.zeros(0) if each is None else each) for each in lists]
            return home, lists_with_nulls(items)
        return name, given_column(events[name])
    except (LookupError, TypeError, ValueError) as error:
        raise RefusedError(
            f"the events have no column {quoted(name)} of one number each"
        ) from error


def lists_with_nulls(items: Sequence[Column]) -> Lists:
    """Return lists that stand each on its own, one an event, as a column."""
    lists = lists_of([each.values for each in items])
    if all(each.absent is None for each in items):
        return lists
    absent = [
        np.zeros(len(each), np.bool_) if each.absent is None else each.absent for each in items
    ]
    return replace(lists, absent=np.concatenate(absent))


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
