"""Tables from CSV files, compressed or not; one with a row unlike its header is refused."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from parts.arrow_columns import check_readable, to_column
from parts.csv_blocks import CsvBlock, csv_blocks, fault_of
from parts.machinery.exits import obey
from parts.readers import Column, ColumnType, Lists, Schema, Table, unreadable

# What a column's cells hold: none a value, whole numbers from 0 on, of which some need 64 bits, ...
Cells = Literal["nothing", "natural", "huge", "whole", "real", "condition", "text"]
CELL_TYPES: dict[Cells, tuple[pa.DataType, ColumnType]] = {
    # A column without a value is as good as any; most needs are met by whole numbers.
    "nothing": (pa.int64(), ColumnType("whole", "no values")),
    "natural": (pa.int64(), ColumnType("whole", "whole numbers")),
    "whole": (pa.int64(), ColumnType("whole", "whole numbers")),
    "huge": (pa.uint64(), ColumnType("whole", "whole numbers")),
    "real": (pa.float64(), ColumnType("real", "real numbers")),
    "condition": (pa.bool_(), ColumnType("condition", "true or false")),
    "text": (pa.string(), ColumnType("text", "texts")),
}
NULL_CELLS = ["", "NA", "N/A", "n/a", "NULL", "null"]
TWO_TO_63 = 2.0**63


@dataclass(frozen=True)
class CsvTable:
    """The events of a file, whose columns are known by their position."""

    path: Path
    names: tuple[str, ...]
    cells: tuple[Cells, ...]
    n_events: int

    @property
    def schema(self) -> Schema:
        """Return the columns; several ones of one name are none that can be read."""
        counts = Counter(self.names)
        several = {
            name: ColumnType("other", f"{count} columns of this name")
            for name, count in counts.items()
            if count > 1
        }
        types = (CELL_TYPES[cells][1] for cells in self.cells)
        return Schema(dict(zip(self.names, types, strict=True)) | several, self.n_events)

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time, of one block of the file."""
        check_readable(self.path, self.schema.columns, names)
        if not names:
            yield from ({} for _ in range(0, self.n_events, size))
            return
        places = {name: self.names.index(name) for name in names}
        types = {str(place): CELL_TYPES[self.cells[place]][0] for place in places.values()}
        with csv_blocks(self.path) as (_, blocks):
            for block in blocks:
                table = read_block(self.path, block, self.names, types, list(types))
                for batch in table.to_batches(size):
                    obey()
                    yield {
                        name: to_column(batch.column(str(place))) for name, place in places.items()
                    }


@dataclass(frozen=True)
class Csv:
    """Opens a CSV file with a header, `.csv` or `.csv.gz`."""

    @contextmanager
    def open(self, path: Path) -> Iterator[Table]:
        """Read through a file for its types, once a process; raises `RefusedError`."""
        try:
            state = path.stat()
        except OSError as error:
            raise unreadable(path, error) from error
        yield scanned(path.absolute(), state.st_size, state.st_mtime_ns)


@cache
def scanned(path: Path, size: int, changed: int) -> CsvTable:
    """Return a file's columns as all its rows have them; size and time say that it is the same."""
    n_events = 0
    with csv_blocks(path) as (names, blocks):
        found: list[Cells] = ["nothing"] * len(names)
        for block in blocks:
            # What holds texts once holds texts.
            types = {str(i): pa.string() for i, cells in enumerate(found) if cells == "text"}
            table = read_block(path, block, names, types)
            n_events += len(table)
            for place, cells in enumerate(found):
                if cells != "text":
                    found[place] = merged(cells, cells_in(block, table, place))
    return CsvTable(path, names, tuple(found), n_events)


def read_block(
    path: Path,
    block: CsvBlock,
    names: tuple[str, ...],
    types: Mapping[str, pa.DataType],
    columns: list[str] | None = None,
) -> pa.Table:
    """Return the columns of a block, named by their positions; raises `RefusedError`."""
    try:
        return arrow_table(block, len(names), types, columns)
    except pa.ArrowException as error:
        raise fault_of(path, block, names) or unreadable(path, error) from error


def arrow_table(
    block: CsvBlock, width: int, types: Mapping[str, pa.DataType], columns: list[str] | None
) -> pa.Table:
    """Return the columns of a block as Arrow reads them; raises `ArrowException`."""
    reading = arrow_csv.ReadOptions(
        column_names=[str(place) for place in range(width)],
        # All of the block: it was cut where rows end.
        block_size=len(block.data) + 1,
        use_threads=False,
    )
    conversion = arrow_csv.ConvertOptions(
        column_types=types,
        include_columns=columns,
        null_values=NULL_CELLS,
        true_values=spellings("true"),
        false_values=spellings("false"),
        strings_can_be_null=True,
    )
    # To look for line breaks in quotes takes as long as all else.
    rows = arrow_csv.ParseOptions(newlines_in_values=b'"' in block.data)
    return arrow_csv.read_csv(pa.BufferReader(block.data), reading, rows, conversion)


@cache
def spellings(word: str) -> list[str]:
    """Return a word in all mixtures of small and capital letters."""
    return ["".join(letters) for letters in product(*zip(word, word.upper(), strict=True))]


def cells_in(block: CsvBlock, table: pa.Table, place: int) -> Cells:
    """Return what a column's cells hold in a block."""
    column = table.column(place)
    if column.null_count == len(column):
        return "nothing"
    if pa.types.is_boolean(column.type):
        return "condition"
    if pa.types.is_integer(column.type):
        return "whole" if pc.min(column).as_py() < 0 else "natural"
    if not pa.types.is_floating(column.type):
        return "text"
    values = column.drop_null().to_numpy()
    if values.min() < 0 or not TWO_TO_63 <= values.max() <= 2 * TWO_TO_63:
        return "real"
    # They may be whole numbers that int64 does not hold, and real ones would round.
    try:
        arrow_table(block, table.num_columns, {str(place): pa.uint64()}, [str(place)])
    except pa.ArrowInvalid:
        return "real"
    return "huge"


def merged(one: Cells, other: Cells) -> Cells:
    """Return what a column holds of which some cells hold one thing and some the other."""
    if one == other or other == "nothing":
        return one
    if one == "nothing":
        return other
    both = {one, other}
    if both & {"condition", "text"}:
        return "text"
    if both == {"natural", "whole"}:
        return "whole"
    return "huge" if both == {"natural", "huge"} else "real"
