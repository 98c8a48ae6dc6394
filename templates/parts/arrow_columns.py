"""Columns from Arrow's arrays: what their types hold, and their values as numpy has them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import types

from parts.machinery.exits import RefusedError
from parts.readers import Column, ColumnType, Kind, Lists, lacks, quoted


def arrow_kind(kind: pa.DataType) -> Kind:
    """Return what a type of Arrow holds that is neither a list nor a record."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return "condition"
    if types.is_integer(kind):
        return "whole"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "real"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    return "other"


def is_list(kind: pa.DataType) -> bool:
    """Whether a type holds lists whose items stand one after the other."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def column_type(kind: pa.DataType, items: pa.DataType | None = None) -> ColumnType:
    """Return the type of a column; `items` is what its lists hold, if it has lists."""
    held = arrow_kind(kind if items is None else items)
    if items is None:
        return ColumnType(held, str(kind))
    if held in ("condition", "whole", "real") and not types.is_dictionary(items):
        return ColumnType("list", str(kind), held)
    return ColumnType("other", str(kind))


def to_column(array: pa.Array) -> Column:
    """Return an array of numbers, conditions or texts; 0, false or "" where it has nulls.

    Raises `ValueError` for texts that are none, which some writers let pass.
    """
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_decimal(array.type):
        # By way of text: Arrow's own cast is off in the last digit for some.
        array = array.cast(pa.string()).cast(pa.float64())
    absent = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if types.is_boolean(array.type):
        return Column(array.fill_null(False).to_numpy(zero_copy_only=False), absent)
    if arrow_kind(array.type) == "text":
        try:
            texts = array.to_numpy(zero_copy_only=False)
        except pa.ArrowException as error:
            raise ValueError("a text is not in UTF-8") from error
        return Column(texts if absent is None else np.where(absent, "", texts), absent)
    return Column(zero_filled(array, absent), absent)


def zero_filled(array: pa.Array, absent: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return numbers without a copy, or as a copy with 0 where they are absent."""
    if absent is None:
        # Arrow's own `to_numpy` imports pandas, where that is installed: a quarter of a second.
        values: NDArray[Any] = np.from_dlpack(array)
        return values
    # What lies below nulls is arbitrary; Arrow fills no float16 (`fill_null`).
    buffers = [None, array.buffers()[1]]
    below = np.from_dlpack(
        pa.Array.from_buffers(array.type, len(array), buffers, offset=array.offset)
    )
    filled: NDArray[Any] = np.where(absent, below.dtype.type(0), below)
    return filled


def to_lists(array: pa.Array, members: tuple[str, ...] = ()) -> Lists:
    """Return an array of lists; of records, these members of members."""
    there = array.is_valid().to_numpy(zero_copy_only=False)
    if types.is_fixed_size_list(array.type):
        ends = np.arange(len(array) + 1, dtype=np.int64) * array.type.list_size
        start = array.offset * array.type.list_size
    else:
        ends = array.offsets.to_numpy().astype(np.int64)
        start = int(ends[0])
        ends -= start
    items = array.values.slice(start, int(ends[-1]))
    for member in members:
        items = member_of(items, member)
    column = to_column(items)
    return Lists(column.values, ends[:-1], np.where(there, np.diff(ends), 0), column.absent)


def member_of(records: pa.Array, name: str) -> pa.Array:
    """Return a member of records, null where its record is."""
    return records.flatten()[records.type.get_field_index(name)]


def check_readable(path: Path, columns: Mapping[str, ColumnType], names: Iterable[str]) -> None:
    """Raise `RefusedError` if a table lacks one of these columns, or its values have no kind."""
    for name in names:
        if name not in columns:
            raise RefusedError(f"{quoted(path)}: {lacks('column', name, columns)}")
        if columns[name].kind == "other":
            raise RefusedError(
                f"{quoted(path)}: the column {quoted(name)} holds neither numbers, conditions, "
                f"texts nor lists of numbers, but {quoted(columns[name].said)}"
            )
