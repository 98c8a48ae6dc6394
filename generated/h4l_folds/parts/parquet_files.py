"""Tables from Parquet, a file or a folder of files, whose names may hold columns (`year=2018`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from parts.arrow_columns import check_readable
from parts.machinery.exits import RefusedError, obey
from parts.parquet_places import ParquetPlace, places_below, unique, values_at
from parts.readers import (
    Column,
    ColumnType,
    Lists,
    NoTableError,
    Schema,
    Table,
    listed,
    quoted,
    unreadable,
)

# Others keep what was freed; scripts need the memory for their tensors.
pa.set_memory_pool(pa.system_memory_pool())
# What pyarrow raises for a damaged file; texts that are not UTF-8 are a ValueError.
DAMAGED_PARQUET = (pa.ArrowException, OSError, ValueError)
PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")
PARQUET_MAGIC = b"PAR1"
# Bytes of each column that are read at a time; without, a whole row group would be.
READ_AHEAD = 2**16
# Values of a row group that is read at once.
WHOLE_GROUP = 2**22
# What Hive writes into a folder's name for a null.
NULL_KEY = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ParquetPart:
    """One file: its columns, its number of events, and what the names of its folders say."""

    path: Path
    places: Mapping[str, ParquetPlace]
    n_events: int
    keys: Mapping[str, str]

    def columns(self) -> dict[str, str]:
        """Return the kinds of columns by their names, for lists with what they hold."""
        kinds = {name: f"{p.type.kind} {p.type.items}" for name, p in self.places.items()}
        return dict.fromkeys(self.keys, "text None") | kinds


@dataclass(frozen=True)
class ParquetTable:
    """The events of files, one file after the other."""

    schema: Schema
    parts: tuple[ParquetPart, ...]

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time; never of two files."""
        kinds = self.schema.columns
        check_readable(self.parts[0].path, kinds, names)
        for part in self.parts:
            for count, read in batches(part, names, size):
                obey()
                yield {
                    name: as_meant(read[name], kinds[name])
                    if name in read
                    else key_column(part.keys[name], kinds[name], count)
                    for name in names
                }


@dataclass(frozen=True)
class Parquet:
    """Opens a Parquet file, or a folder of them."""

    @contextmanager
    def open(self, path: Path) -> Iterator[Table]:
        """Open a file or folder; raises `RefusedError`, `NoTableError` for an empty folder."""
        files = files_below(path) if path.is_dir() else [path]
        parts = tuple(parquet_part(file, keys_of(file, path)) for file in files)
        if not parts:
            raise NoTableError(f"{quoted(path)}: there is no Parquet file in this folder")
        columns = common_columns(parts)
        yield ParquetTable(Schema(columns, sum(part.n_events for part in parts)), parts)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield a folder's Parquet files, in the order of their names; hidden ones are none."""
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith((".", "_")):
                continue
            if path.is_dir():
                yield from files_below(path)
            elif is_parquet(path):
                yield path
    except OSError as error:
        raise unreadable(folder, error) from error


def is_parquet(path: Path) -> bool:
    """Whether a file is meant as Parquet: by its name, or else by its first bytes."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def keys_of(path: Path, folder: Path) -> dict[str, str]:
    """Return what the folders between one and a file in it say: `year=2018`."""
    names = path.parent.relative_to(folder).parts if path != folder else ()
    pairs = (name.partition("=") for name in names if "=" in name)
    return {unquote(key): unquote(value) for key, _, value in pairs}


def parquet_part(path: Path, keys: Mapping[str, str]) -> ParquetPart:
    """Return what a file's end says of it."""
    obey()
    try:
        with pq.ParquetFile(path) as file:
            paths = [file.schema.column(index).path for index in range(len(file.schema))]
            places = list(places_below(file.schema_arrow, iter(paths)))
            return ParquetPart(path, unique(places), file.metadata.num_rows, keys)
    except DAMAGED_PARQUET as error:
        raise unreadable(path, error) from error


def common_columns(parts: Sequence[ParquetPart]) -> dict[str, ColumnType]:
    """Return the columns that all files have; raises `RefusedError` if some lack one."""
    first = parts[0]
    expected = first.columns()
    for part in parts[1:]:
        found = part.columns()
        if lacking := expected.keys() ^ found.keys():
            raise RefusedError(
                f"{quoted(part.path)} and {quoted(first.path)} do not have the same columns: "
                f"only one has {listed(sorted(lacking))}"
            )
        for name, kind in found.items():
            if as_real(kind) != as_real(expected[name]):
                raise RefusedError(
                    f"{quoted(part.path)}: the column {quoted(name)} holds "
                    f"{said_of(part, name)}, but {said_of(first, name)} in {quoted(first.path)}"
                )
    return {name: common_type(parts, name) for name in expected}


def as_real(kind: str) -> str:
    """Return a kind as one that whole and real numbers share."""
    return kind.replace("whole", "real")


def said_of(part: ParquetPart, name: str) -> str:
    """Return what a file calls a column's type."""
    return part.places[name].type.said if name in part.places else "a text in its folder's name"


def common_type(parts: Sequence[ParquetPart], name: str) -> ColumnType:
    """Return the type of a column over all files: real if one file has real numbers."""
    found = [part.places[name].type for part in parts if name in part.places]
    if not found:
        return key_type([part.keys[name] for part in parts])
    real = [each for each in found if "real" in (each.kind, each.items)]
    return (real or found)[0]


def key_type(values: Sequence[str]) -> ColumnType:
    """Return what folders' names hold: whole numbers if all are, texts otherwise."""
    texts = {value for value in values if value != NULL_KEY}
    whole = texts and all(is_int64(text) for text in texts)
    return ColumnType("whole" if whole else "text", "folder names")


def is_int64(text: str) -> bool:
    """Whether a text is a whole number of 64 bits."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and -(2**63) <= int(text) < 2**63


def key_column(text: str, kind: ColumnType, count: int) -> Column:
    """Return what a folder's name says, once for each event."""
    absent = np.ones(count, np.bool_) if text == NULL_KEY else None
    if kind.kind == "whole":
        return Column(np.full(count, 0 if text == NULL_KEY else int(text), np.int64), absent)
    return Column(np.full(count, "" if text == NULL_KEY else text, object), absent)


def batches(
    part: ParquetPart, names: Sequence[str], size: int
) -> Iterator[tuple[int, dict[str, Column | Lists]]]:
    """Yield numbers of events and what a file itself has of columns; raises `RefusedError`."""
    places = {name: part.places[name] for name in names if name in part.places}
    if not places:
        for first in range(0, part.n_events, size):
            yield min(size, part.n_events - first), {}
        return
    try:
        with pq.ParquetFile(
            part.path, pre_buffer=False, buffer_size=READ_AHEAD, page_checksum_verification=True
        ) as file:
            for index in range(file.num_row_groups):
                small = values_in(file.metadata.row_group(index), places) <= WHOLE_GROUP
                yield from (whole_group if small else long_group)(file, index, places, size)
                pa.default_memory_pool().release_unused()
    except DAMAGED_PARQUET as error:
        raise unreadable(part.path, error) from error


def values_in(group: pq.RowGroupMetaData, places: Mapping[str, ParquetPlace]) -> int:
    """Return how many values of columns, and of lists in these, a row group has."""
    columns = (group.column(index) for index in range(group.num_columns))
    used = tuple(f"{place.on_disk}." for place in places.values())
    return sum(c.num_values for c in columns if f"{c.path_in_schema}.".startswith(used))


def whole_group(
    file: pq.ParquetFile, index: int, places: Mapping[str, ParquetPlace], size: int
) -> Iterator[tuple[int, dict[str, Column | Lists]]]:
    """Yield a small row group's events; read column by column, it takes the least memory."""
    tables = {
        name: file.read_row_group(index, columns=[place.on_disk], use_threads=False)
        for name, place in places.items()
    }
    tables = {name: table.combine_chunks() for name, table in tables.items()}
    n_events = file.metadata.row_group(index).num_rows
    for first in range(0, n_events, size):
        slices = {name: table.slice(first, size).to_batches() for name, table in tables.items()}
        read = {name: values_at(places[name], batch) for name, (batch,) in slices.items()}
        yield min(size, n_events - first), read


def long_group(
    file: pq.ParquetFile, index: int, places: Mapping[str, ParquetPlace], size: int
) -> Iterator[tuple[int, dict[str, Column | Lists]]]:
    """Yield a large row group's events; each column keeps a page and a dictionary, some 4 MB."""
    on_disk = [place.on_disk for place in places.values()]
    for batch in file.iter_batches(size, [index], columns=on_disk, use_threads=False):
        yield len(batch), {name: values_at(place, batch) for name, place in places.items()}
        # Pages that were read would be kept.
        pa.default_memory_pool().release_unused()


def as_meant(read: Column | Lists, kind: ColumnType) -> Column | Lists:
    """Return whole numbers of a file as real ones where other files have these."""
    if "real" in (kind.kind, kind.items) and read.values.dtype.kind in "iu":
        values: NDArray[np.float64] = read.values.astype(np.float64)
        return replace(read, values=values)
    return read
