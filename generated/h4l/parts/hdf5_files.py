"""HDF5 files with a structured array, or with plain datasets of one length, read with h5py."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parts.hdf5_columns import HDF5_DAMAGED, Hdf5Array, Hdf5Datasets, as_text, hdf5_type
from parts.machinery.exits import RefusedError
from parts.readers import (
    ColumnType,
    NoTableError,
    Schema,
    SeveralTablesError,
    Table,
    lacks,
    listed,
    quoted,
)
from parts.stretches import refusing

# Where SeeSawML keeps what it knows of its arrays, as JSON.
METADATA = "metadata"


@dataclass(frozen=True)
class Hdf5:
    """Reader of HDF5 files; of the array or group that it names, or of the array that is there."""

    table: str | None = None

    @contextmanager
    def open(self, path: Path) -> Iterator[Table]:
        """Open a file; raises `RefusedError`, `NoTableError` where it has no such table."""
        with refusing(path, "as an HDF5 file", HDF5_DAMAGED):
            # Some network file systems cannot lock files, and reading needs no lock. Chunks are
            # read once and whole: a cache of them would only hold memory, for each dataset.
            file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=0)
        with file:
            with refusing(path, "what is in it", HDF5_DAMAGED):
                table = self.found(path, file)
                notes = metadata_of(path, file)
                schema = with_metadata(path, table.schema, notes, table_name(table))
            yield replace(table, schema=schema)

    def found(self, path: Path, file: Any) -> Hdf5Array | Hdf5Datasets:
        """Return the table of an open file."""
        if self.table is None:
            datasets = datasets_in(file)
            arrays = [name for name, each in datasets.items() if is_array(each, 1)]
            if len(arrays) > 1:
                several = f"several structured arrays, name one as the table: {listed(arrays)}"
                raise SeveralTablesError(f"{quoted(path)}: {several}")
            return array_of(path, datasets[arrays[0]]) if arrays else plain_of(path, datasets)
        named = None if self.table in (".", "..") else file.get(self.table)
        if isinstance(named, h5py.Group):
            return plain_of(path, datasets_in(named))
        if named is not None and is_array(named, 1):
            return array_of(path, named)
        if named is not None and is_array(named, None) and named.ndim > 1:
            holds = f"{quoted(self.table)} holds a list of things for each event, not one"
            raise NoTableError(f"{quoted(path)}: {holds}")
        known = [name for name, each in datasets_in(file).items() if is_array(each, 1)]
        groups: list[str] = []
        file.visititems(lambda name, each: note_group(groups, name, each))
        raise NoTableError(f"{quoted(path)}: {lacks('table', self.table, known + groups)}")


def note_group(groups: list[str], name: str, each: Any) -> None:
    """Note the name of what is a group."""
    if isinstance(each, h5py.Group):
        groups.append(name)


def datasets_in(group: Any) -> dict[str, Any]:
    """Return the datasets below a group by their paths; links to other places are not followed."""
    datasets: dict[str, Any] = {}

    def note(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset):
            datasets[name] = each

    group.visititems(note)
    return datasets


def is_array(dataset: Any, ndim: int | None) -> bool:
    """Whether a dataset is a structured array, of so many dimensions."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        return False
    return type_in(dataset).names is not None and ndim in (None, dataset.ndim)


def type_in(dataset: Any) -> np.dtype[Any]:
    """Return the type of a dataset; that of opaque bytes where numpy has none like it."""
    try:
        dtype: np.dtype[Any] = dataset.dtype
    except TypeError:
        return np.dtype("V1")
    return dtype


def array_of(path: Path, dataset: Any) -> Hdf5Array:
    """Return a structured array as a table."""
    columns = {name: hdf5_type(dataset.dtype[name]) for name in dataset.dtype.names}
    return Hdf5Array(path, dataset, Schema(columns, len(dataset)))


def plain_of(path: Path, every: Mapping[str, Any]) -> Hdf5Datasets:
    """Return the datasets of the most common length as a table."""
    datasets = {name: each for name, each in every.items() if each.shape}
    if not datasets:
        raise NoTableError(f"{quoted(path)}: no array in it has events")
    count = Counter(len(each) for each in datasets.values())
    n_events = max(count, key=lambda length: (count[length], length))
    columns = {}
    for name, each in datasets.items():
        columns[name] = hdf5_type(type_in(each), each.shape[1:])
        if len(each) != n_events:
            columns[name] = ColumnType("other", f"{len(each)} values for {n_events} events")
    return Hdf5Datasets(path, datasets, Schema(columns, n_events))


def table_name(table: Hdf5Array | Hdf5Datasets) -> str:
    """Return how a file calls its structured array; nothing where there is none."""
    return str(table.dataset.name).strip("/") if isinstance(table, Hdf5Array) else ""


def metadata_of(path: Path, file: Any) -> Mapping[str, Any]:
    """Return what the file itself says in JSON, if it does."""
    held = file.get(METADATA)
    is_text = isinstance(held, h5py.Dataset) and h5py.check_string_dtype(type_in(held)) is not None
    if not is_text or held.shape != ():
        return {}
    try:
        notes = json.loads(as_text(held[()]))
    except ValueError as error:
        raise RefusedError(f"{quoted(path)}: {quoted(METADATA)} is no JSON: {error}") from error
    if not isinstance(notes, dict):
        raise RefusedError(f"{quoted(path)}: {quoted(METADATA)} is no table of JSON")
    return notes


def with_metadata(path: Path, schema: Schema, notes: Mapping[str, Any], name: str) -> Schema:
    """Return a schema with the labels and pads that a file says; of pads, those of this table."""
    labels, pads = notes.get("labels", {}), notes.get("pad_values", {})
    if isinstance(pads, dict):
        pads = {"" if key == name else key: value for key, value in pads.items()}
        pads = {key: pad for key, pad in pads.items() if key in ("", *schema.columns)}
    else:
        pads = {"": pads}
    if not isinstance(labels, dict) or not all(type(each) is int for each in labels.values()):
        raise RefusedError(f"{quoted(path)}: 'labels' in {quoted(METADATA)} are no whole numbers")
    if not all(type(each) in (int, float) for each in pads.values()):
        raise RefusedError(f"{quoted(path)}: 'pad_values' in {quoted(METADATA)} are no numbers")
    return replace(schema, labels=labels, pads={key: float(pad) for key, pad in pads.items()})
