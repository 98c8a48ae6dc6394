"""Scores as further fields of a structured array of HDF5, which is written anew."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parts.hdf5_columns import Hdf5Array
from parts.hdf5_copies import (
    ROWS,
    GrowingDataset,
    check_copyable,
    check_no_company,
    copy_but_for,
    is_ordered,
    whole_rows_of,
    written_hdf5,
)
from parts.readers import quoted
from parts.score_outputs import changed_meanwhile, not_copied, pieces_of
from parts.stretches import STRETCH_BYTES, Stretches

PYTABLES = ("TABLE", b"TABLE")


@dataclass
class ArrayBeside:
    """Scores as further fields of a structured array."""

    source: Path
    dataset: Any
    rows: Stretches
    array: GrowingDataset
    first: int = 0

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the next events, with their scores; those that are `kept` are written."""
        if self.first + len(kept) > len(self.dataset):
            raise changed_meanwhile(self.source)
        if not kept.all():
            check_no_company(self.source, self.dataset.file, [self.dataset])
        dtype = self.array.dataset.dtype
        for piece in pieces_of(len(kept), max(STRETCH_BYTES // dtype.itemsize, 1)):
            held = self.rows.take(self.first + piece.start, self.first + piece.stop)
            rows = with_room(held[ROWS].values, dtype)
            for name, values in columns.items():
                rows[name] = values[piece]
            self.array.add(rows if kept[piece].all() else rows[kept[piece]])
        self.first += len(kept)


@contextmanager
def array_beside(
    source: Path, held: Hdf5Array, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[ArrayBeside]:
    """Open a file with all that another has, whose array will have further fields."""
    dataset = held.dataset
    check_copyable(source, dataset.file)
    if dataset.attrs.get("CLASS") in PYTABLES:
        # Its attributes number its fields and rows, and other arrays index them.
        raise not_copied(source, f"a table of PyTables, {quoted(dataset.name)}")
    kind = with_fields(dataset.id.get_type(), columns)
    ordered = is_ordered(dataset.file)
    with written_hdf5(source, place, "w", ordered) as (file, sink):
        made = copy_but_for({dataset.name: kind}, dataset.file, file, source)
        growing = GrowingDataset(made[dataset.name], sink)
        scored = ArrayBeside(source, dataset, whole_rows_of(source, dataset), growing)
        yield scored
        if scored.first != len(dataset):
            raise changed_meanwhile(source)
        growing.finish()


def with_fields(old: Any, columns: Mapping[str, np.dtype[Any]]) -> Any:
    """Return a type of records with further fields behind those that it has."""
    end = old.get_size()
    kind = h5py.h5t.create(h5py.h5t.COMPOUND, end + sum(d.itemsize for d in columns.values()))
    for index in range(old.get_nmembers()):
        name, offset = old.get_member_name(index), old.get_member_offset(index)
        kind.insert(name, offset, old.get_member_type(index))
    for added, dtype in columns.items():
        kind.insert(added.encode(), end, h5py.h5t.py_create(dtype))
        end += dtype.itemsize
    return kind


def with_room(rows: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return records with further fields, which hold anything, behind those that they have."""
    wide = np.empty(len(rows), dtype)
    if dtype.hasobject:
        for name in rows.dtype.names or ():
            wide[name] = rows[name]
        return wide
    # Field by field takes many times as long.
    size = rows.dtype.itemsize
    to = wide.view(np.uint8).reshape(len(rows), dtype.itemsize)
    to[:, :size] = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), size)
    return wide
