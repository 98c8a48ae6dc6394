"""Scores as further datasets in a copy of an HDF5 file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import commonpath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parts.files import blocks
from parts.hdf5_columns import Hdf5Datasets
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
from parts.hdf5_files import Hdf5
from parts.score_outputs import changed_meanwhile, check_names
from parts.stretches import chunks_of


@dataclass
class DatasetsBeside:
    """Scores as further datasets in a copy of a file."""

    source: Path
    file: h5py.File
    # Those of the source, and those of the scores.
    events: list[Any]
    scores: Mapping[str, GrowingDataset]
    kept: bytearray = field(default_factory=bytearray)

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; at the end, those that are not `kept` are left out."""
        if len(self.kept) + len(kept) > len(self.events[0]):
            raise changed_meanwhile(self.source)
        if not kept.all() and all(self.kept):
            check_copyable(self.source, self.file)
            added = [each.dataset for each in self.scores.values()]
            check_no_company(self.source, self.file, self.events + added)
        self.kept += kept.tobytes()
        for name, values in columns.items():
            self.scores[name].add(values)


@contextmanager
def datasets_beside(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[DatasetsBeside]:
    """Open a copy of a file, with further datasets beside those of its events."""
    with place.open("wb") as copy:
        for block in blocks(source):
            copy.write(block)
    with written_hdf5(source, place, "r+") as (file, sink):
        held = Hdf5(table).found(source, file)
        assert isinstance(held, Hdf5Datasets)
        events = of_events(held)
        scores = {
            name: GrowingDataset(dataset_beside(source, events, name, dtype), sink)
            for name, dtype in columns.items()
        }
        scored = DatasetsBeside(source, file, events, scores)
        yield scored
        if len(scored.kept) != len(events[0]):
            raise changed_meanwhile(source)
        for each in scores.values():
            each.finish()
        names = [each.name for each in events] + [each.dataset.name for each in scores.values()]
    if not all(scored.kept):
        leave_out(source, place, names, np.frombuffer(scored.kept, np.bool_))


def leave_out(source: Path, place: Path, names: list[str], kept: NDArray[np.bool_]) -> None:
    """Write a file anew, where some datasets have but the rows that are `kept`."""
    whole = place.with_name(f"{place.name}.whole")
    place.rename(whole)
    try:
        place.touch()
        with (
            h5py.File(whole, locking="best-effort") as old,
            written_hdf5(source, place, "w", is_ordered(old)) as (new, sink),
        ):
            kinds = {name: old[name].id.get_type() for name in names}
            for name, made in copy_but_for(kinds, old, new, source).items():
                rows, growing = whole_rows_of(source, old[name]), GrowingDataset(made, sink)
                first = 0
                for chunk in chunks_of([rows], len(kept), rows.at_once):
                    held = chunk[ROWS].values
                    growing.add(held[kept[first : first + len(held)]])
                    first += len(held)
                growing.finish()
    finally:
        whole.unlink(missing_ok=True)


def of_events(held: Hdf5Datasets) -> list[Any]:
    """Return the datasets that have a row for each event."""
    return [each for each in held.datasets.values() if len(each) == held.schema.n_events]


def folder_of(events: list[Any]) -> str:
    """Return the group that all datasets of events lie in."""
    return commonpath([str(PurePosixPath(each.name).parent) for each in events])


def dataset_beside(source: Path, events: list[Any], name: str, dtype: np.dtype[Any]) -> Any:
    """Create a dataset for scores, with the chunks and filters of one of the events."""
    like = next((each for each in events if each.ndim == 1), events[0])
    group = events[0].file[folder_of(events)]
    check_names(source, iter(group), {name: dtype})
    if like.chunks is None:
        return group.create_dataset(name, (len(like),), dtype)
    return group.create_dataset(
        name,
        (0,),
        dtype,
        chunks=like.chunks[:1],
        maxshape=(None,),
        compression=like.compression,
        compression_opts=like.compression_opts,
        shuffle=like.shuffle,
        fletcher32=like.fletcher32,
    )
