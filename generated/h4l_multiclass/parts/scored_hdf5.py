"""Scores in HDF5: beside the events, as further datasets or fields of an array, or alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from parts.hdf5_columns import Hdf5Array, Hdf5Datasets
from parts.hdf5_copies import CHUNK_ROWS, GrowingDataset, written_hdf5
from parts.hdf5_files import Hdf5
from parts.score_outputs import check_names, kept_values
from parts.scored_arrays import ArrayBeside, array_beside
from parts.scored_datasets import DatasetsBeside, datasets_beside, folder_of, of_events


@dataclass
class DatasetsAlone:
    """Scores as datasets, one a column."""

    datasets: Mapping[str, GrowingDataset]

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; of those that are `kept`."""
        for name, values in kept_values(columns, kept).items():
            self.datasets[name].add(values)


@dataclass
class ArrayAlone:
    """Scores as fields of a structured array."""

    array: GrowingDataset

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; of those that are `kept`."""
        rows = np.empty(len(kept), self.array.dataset.dtype)
        for name, values in columns.items():
            rows[name] = values
        self.array.add(rows[kept])


@contextmanager
def hdf5_friend(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[DatasetsAlone | ArrayAlone]:
    """Open a file of scores alone: as the source has its events, or else of plain datasets."""
    array, names = names_like(source, table, columns)
    with written_hdf5(source, place, "w") as (file, sink):
        if array:
            dtype = np.dtype(list(columns.items()))
            growing = GrowingDataset(new_dataset(file, array, dtype), sink)
            yield ArrayAlone(growing)
            growing.finish()
            return
        datasets = {
            name: GrowingDataset(new_dataset(file, names[name], dtype), sink)
            for name, dtype in columns.items()
        }
        yield DatasetsAlone(datasets)
        for each in datasets.values():
            each.finish()


def names_like(
    source: Path, table: str | None, columns: Mapping[str, Any]
) -> tuple[str, dict[str, str]]:
    """Return the array that a friend has, or nothing, and where its datasets lie else."""
    if source.is_dir() or not h5py.is_hdf5(source):
        return "", {name: name for name in columns}
    with Hdf5(table).open(source) as held:
        if isinstance(held, Hdf5Array):
            return str(held.dataset.name), {}
        assert isinstance(held, Hdf5Datasets)
        folder = folder_of(of_events(held))
        there = {name: str(each.name) for name, each in held.datasets.items()}
        return "", {name: there.get(name, f"{folder}/{name}") for name in columns}


@contextmanager
def hdf5_beside(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[ArrayBeside | DatasetsBeside]:
    """Open a copy of a file with columns to be added; raises `RefusedError`."""
    with Hdf5(table).open(source) as held:
        check_names(source, iter(held.schema.columns), columns)
        if isinstance(held, Hdf5Array):
            with array_beside(source, held, place, columns) as scored:
                yield scored
            return
    with datasets_beside(source, table, place, columns) as beside:
        yield beside


def new_dataset(file: h5py.File, name: str, dtype: np.dtype[Any]) -> Any:
    """Create a dataset without rows."""
    return file.create_dataset(name, (0,), dtype, chunks=(CHUNK_ROWS,), maxshape=(None,))
