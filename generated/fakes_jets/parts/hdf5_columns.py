"""Columns of an open HDF5 file: fields of a structured array, or plain datasets of one length."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parts.readers import (
    UNREADABLE,
    Column,
    ColumnType,
    Kind,
    Lists,
    Schema,
    kind_of,
    lists_of,
    native,
    quoted,
)
from parts.stretches import (
    STRETCH_BYTES,
    Stretches,
    chunks_of,
    column_said,
    lists_alike,
    refusing,
    stretch_edges,
)

# What h5py raises where a byte is not what it should be, or a type is none that numpy has.
HDF5_DAMAGED = (*UNREADABLE, LookupError, MemoryError, RuntimeError, TypeError)
NUMBERS = ("condition", "whole", "real")


@dataclass(frozen=True)
class Hdf5Array:
    """A structured array, as a table."""

    path: Path
    dataset: Any
    schema: Schema

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time."""
        every = [self.stretches(names)] if names else []
        yield from chunks_of(every, self.schema.n_events, size)

    def stretches(self, names: Sequence[str]) -> Stretches:
        """Return the values of fields, in the chunks of the file."""
        types = self.schema.columns

        def columns(first: int, last: int) -> Mapping[str, Column | Lists]:
            with refusing(self.path, f"array {quoted(self.dataset.name)}", HDF5_DAMAGED):
                rows = rows_of(self.dataset, self.dataset.fields(list(names)), first, last)
                return {name: from_rows(rows[name], types[name].kind) for name in names}

        per_event = sum(bytes_of(self.dataset.dtype[name]) for name in names)
        return in_hdf5_chunks(self.dataset, per_event, columns)


@dataclass(frozen=True)
class Hdf5Datasets:
    """Plain datasets of one length, as a table."""

    path: Path
    datasets: Mapping[str, Any]
    schema: Schema

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time."""
        shapes = [(self.datasets[name].dtype, self.datasets[name].shape[1:]) for name in names]
        per_event = sum(bytes_of(dtype) * int(np.prod(shape)) for dtype, shape in shapes)
        every = [self.stretches(name, per_event) for name in names]
        yield from chunks_of(every, self.schema.n_events, size)

    def stretches(self, name: str, per_event: int) -> Stretches:
        """Return the values of a dataset, in its chunks of the file."""
        dataset, kind = self.datasets[name], self.schema.columns[name].kind

        def columns(first: int, last: int) -> Mapping[str, Column | Lists]:
            with refusing(self.path, column_said(name), HDF5_DAMAGED):
                return {name: from_rows(rows_of(dataset, dataset, first, last), kind)}

        return in_hdf5_chunks(dataset, per_event, columns)


def in_hdf5_chunks(dataset: Any, per_event: int, columns: Any) -> Stretches:
    """Return columns that are read in whole chunks of a dataset, or in parts of one without."""
    at_once = max(STRETCH_BYTES // max(per_event, 1), 1)
    rows = dataset.chunks[0] if dataset.chunks else 1
    step = max(at_once // rows, 1) * rows
    return Stretches(
        stretch_edges(np.arange(0, len(dataset), step), len(dataset)), at_once, columns
    )


def bytes_of(dtype: np.dtype[Any]) -> int:
    """Return about how many bytes a value takes in memory; lists and texts of any length, 64."""
    return 64 if dtype.kind == "O" else dtype.itemsize


def rows_of(dataset: Any, selected: Any, first: int, last: int) -> NDArray[Any]:
    """Return rows of selected fields of a dataset; `ValueError` where a filter is missing."""
    try:
        rows: NDArray[Any] = selected[first:last]
    except OSError as error:
        if lacking := filters_lacking(dataset):
            raise ValueError(f"packed with the filter {lacking}, which h5py lacks here") from error
        raise
    return rows


def filters_lacking(dataset: Any) -> str:
    """Return which filters a dataset needs and this machine's HDF5 has not."""
    created = dataset.id.get_create_plist()
    every = [created.get_filter(index) for index in range(created.get_nfilters())]
    lacking = [(code, name) for code, _, _, name in every if not h5py.h5z.filter_avail(code)]
    return ", ".join(f"{code} {quoted(name.decode('utf-8', 'replace'))}" for code, name in lacking)


def from_rows(rows: NDArray[Any], kind: Kind) -> Column | Lists:
    """Return what h5py has read, as a column of its kind."""
    if kind == "text":
        texts = [as_text(value) for value in rows.tolist()]
        values = np.empty(len(texts), object)
        values[:] = texts
        return Column(values)
    if kind != "list":
        return Column(native(np.ascontiguousarray(rows)))
    if rows.dtype.kind != "O":
        return lists_alike(native(np.ascontiguousarray(rows)))
    found = lists_of(list(rows))
    return replace(found, values=native(found.values))


def as_text(value: bytes | str) -> str:
    """Return a text, whether it has been decoded or not."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def hdf5_type(dtype: np.dtype[Any], shape: tuple[int, ...] = ()) -> ColumnType:
    """Return what values of a type of h5py hold; `shape` is that of each event."""
    base, shape = dtype.base, (*shape, *dtype.shape)
    within = f" {shape}" if shape else ""
    if h5py.check_string_dtype(base) is not None:
        return ColumnType("other" if shape else "text", f"text{within}")
    # Values of any length are objects with the type of what they hold; so are references.
    items = h5py.check_vlen_dtype(base)
    inner = np.dtype(base if items is None else items)
    said = f"{inner}{within}" if items is None else f"lists of {inner}{within}"
    depth = len(shape) + (items is not None)
    kind = kind_of(inner)
    if kind not in NUMBERS or inner.shape or depth > 1:
        return ColumnType("other", said)
    return ColumnType("list", said, kind) if depth else ColumnType(kind, said)
