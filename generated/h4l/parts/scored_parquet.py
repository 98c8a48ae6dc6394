"""Scores in Parquet: beside the events of a file, all of whose columns are kept, or alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from parts.arrow_arrays import from_numpy
from parts.machinery.exits import RefusedError
from parts.parquet_files import DAMAGED_PARQUET, READ_AHEAD
from parts.readers import quoted, unreadable
from parts.score_outputs import (
    FRIEND,
    changed_meanwhile,
    check_names,
    kept_values,
    not_copied,
    pieces_of,
)

# Bytes in memory of the events that are read at once, and of those that become a row group.
READ_BYTES = 2**23
GROUP_BYTES = 2**25
# Rows beyond which a group is no easier to read.
GROUP_ROWS = 2**20
# Bytes of a number as Parquet stores it; texts have no length of their own.
WIDTHS = {"INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
# What pyarrow itself would take.
USUAL_CODEC = "snappy"


@dataclass
class RowGroups:
    """A file that is being written; rows are gathered to row groups of a sensible size."""

    writer: Any
    held: list[pa.Table] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self.held.append(table)
        n_bytes = sum(each.nbytes for each in self.held)
        if n_bytes >= GROUP_BYTES or sum(map(len, self.held)) >= GROUP_ROWS:
            self.write()

    def write(self) -> None:
        """Write what was gathered, if anything was."""
        table = pa.concat_tables(self.held) if self.held else None
        if table is not None and len(table):
            self.writer.write_table(table, len(table))
        self.held.clear()
        pa.default_memory_pool().release_unused()


@dataclass
class ParquetRows:
    """The rows of a file in its order, in pieces of any size."""

    source: Path
    batches: Iterator[pa.RecordBatch]
    left: pa.Table

    def take(self, count: int) -> pa.Table:
        """Return the next rows; raises `RefusedError`."""
        pieces = [self.left.slice(0, count)]
        missing = count - len(pieces[0])
        self.left = self.left.slice(count)
        while missing:
            self.left = self.following()
            pieces.append(self.left.slice(0, missing))
            self.left = self.left.slice(missing)
            missing -= len(pieces[-1])
        return pa.concat_tables(pieces)

    def following(self) -> pa.Table:
        """Return the next batch; raises `RefusedError` if there is none."""
        batch = next(self.batches, None)
        if batch is None:
            raise changed_meanwhile(self.source)
        return pa.Table.from_batches([batch])


@dataclass
class ParquetBeside:
    """Scores beside the events of a file."""

    rows: ParquetRows
    groups: RowGroups
    schema: pa.Schema
    # Events that are held at a time.
    at_once: int

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the next events, with their scores; those that are `kept` are written."""
        for piece in pieces_of(len(kept), self.at_once):
            table = self.rows.take(piece.stop - piece.start)
            for place in range(len(table.columns), len(self.schema)):
                added = self.schema.field(place)
                values = from_numpy(columns[added.name][piece])
                table = table.append_column(added, values)
            keep = kept[piece]
            self.groups.add(table if keep.all() else table.filter(from_numpy(keep)))


@dataclass
class ParquetFriend:
    """Scores alone."""

    groups: RowGroups
    schema: pa.Schema

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; of those that are `kept`."""
        found = kept_values(columns, kept)
        arrays = [from_numpy(found[each.name]) for each in self.schema]
        self.groups.add(pa.Table.from_arrays(arrays, schema=self.schema))


@contextmanager
def parquet_friend(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[ParquetFriend]:
    """Open a file of scores alone."""
    schema = pa.schema(new_fields(columns))
    with row_groups(place, schema, USUAL_CODEC, []) as groups:
        yield ParquetFriend(groups, schema)


@contextmanager
def parquet_beside(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[ParquetBeside]:
    """Open a copy of a file with columns to be added; raises `RefusedError`."""
    if source.is_dir():
        raise RefusedError(f"{quoted(source)} is a folder, and scores go into one file; {FRIEND}")
    with opened_parquet(source) as file:
        check_names(source, iter(file.schema_arrow.names), columns)
        schema = file.schema_arrow
        for each in new_fields(columns):
            schema = schema.append(each)
        check_writable(source, schema)
        rows = ParquetRows(
            source, batches_in_order(source, file), pa.Table.from_batches([], file.schema_arrow)
        )
        with row_groups(place, schema, codecs(file, columns), dictionaries(file)) as groups:
            at_once = min(
                (rows_in_bytes(file.metadata.row_group(i)) for i in range(file.num_row_groups)),
                default=1,
            )
            yield ParquetBeside(rows, groups, schema, at_once)
            if len(rows.left) or next(rows.batches, None) is not None:
                raise changed_meanwhile(source)


@contextmanager
def opened_parquet(source: Path) -> Iterator[pq.ParquetFile]:
    """Open a file to be read once, in order; raises `RefusedError`."""
    try:
        file = pq.ParquetFile(
            source, pre_buffer=False, buffer_size=READ_AHEAD, page_checksum_verification=True
        )
    except DAMAGED_PARQUET as error:
        raise unreadable(source, error) from error
    with file:
        yield file


@contextmanager
def row_groups(
    place: Path, schema: pa.Schema, compression: str | Mapping[str, str], words: list[str]
) -> Iterator[RowGroups]:
    """Open a file to be written; one whose block fails is not to be used."""
    with (
        pa.OSFile(str(place), "wb") as file,
        pq.ParquetWriter(file, schema, compression=compression, use_dictionary=words) as writer,
    ):
        groups = RowGroups(writer)
        yield groups
        groups.write()


def new_fields(columns: Mapping[str, np.dtype[Any]]) -> list[pa.Field]:
    """Return columns as Arrow describes them."""
    return [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in columns.items()]


def batches_in_order(source: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield all rows, a bounded number of bytes at a time; raises `RefusedError`."""
    try:
        for index in range(file.num_row_groups):
            size = rows_in_bytes(file.metadata.row_group(index))
            yield from file.iter_batches(size, [index], use_threads=False)
    except DAMAGED_PARQUET as error:
        raise unreadable(source, error) from error


def rows_in_bytes(group: pq.RowGroupMetaData) -> int:
    """Return how many rows are read at once."""
    per_row = max(group.total_byte_size // max(group.num_rows, 1), 1)
    return int(min(max(READ_BYTES // per_row, 1), GROUP_ROWS))


def codecs(file: pq.ParquetFile, columns: Mapping[str, Any]) -> dict[str, str] | str:
    """Return how columns are packed: as the file has them, new ones as its first one."""
    if not file.num_row_groups or not file.metadata.num_columns:
        return USUAL_CODEC
    group = file.metadata.row_group(0)
    there = [group.column(index) for index in range(group.num_columns)]
    found = {each.path_in_schema: each.compression for each in there}
    found |= dict.fromkeys(columns, there[0].compression)
    # What is not packed has one name where it is read and another where it is written.
    return {path: codec.replace("UNCOMPRESSED", "NONE") for path, codec in found.items()}


def dictionaries(file: pq.ParquetFile) -> list[str]:
    """Return the columns whose few values a file has once each, and numbers of these.

    Where values are many, a writer that has tried leaves a longer file, after a longer time.
    """
    groups = (file.metadata.row_group(index) for index in range(min(file.num_row_groups, 1)))
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return [
        each.path_in_schema
        for each in columns
        if each.has_dictionary_page
        and each.total_uncompressed_size < each.num_values * WIDTHS.get(each.physical_type, 2**31)
    ]


def check_writable(source: Path, schema: pa.Schema) -> None:
    """Raise `RefusedError` if a file would not come back as it was, naming the first column."""
    for each in schema:
        alone = pa.schema([each])
        sink = pa.BufferOutputStream()
        try:
            pq.write_table(pa.Table.from_batches([], alone), sink)
        except pa.ArrowException as error:
            raise not_copied(source, said_of_field(each)) from error
        if not pq.read_schema(pa.BufferReader(sink.getvalue())).equals(alone):
            raise not_copied(source, said_of_field(each))


def said_of_field(each: pa.Field) -> str:
    """Return how messages call a column that pyarrow cannot write."""
    return f"a column {quoted(each.name)} of {each.type}"
