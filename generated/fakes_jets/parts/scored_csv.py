"""Scores in CSV: behind the cells of each row as it stands, byte for byte, or alone."""

import csv
import gzip
import io
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from parts.arrow_arrays import from_numpy
from parts.csv_blocks import (
    QUOTED_FIELD,
    CsvBlock,
    first_rows,
    split_header,
    whole_rows,
)
from parts.readers import UNREADABLE, unreadable
from parts.score_outputs import changed_meanwhile, check_names, kept_values

# As much as is worth its time for digits.
GZIP_LEVEL = 6


@dataclass
class CsvLines:
    """The lines of a file as they stand, from its header's end on; what is quoted ends no line."""

    source: Path
    blocks: Iterator[CsvBlock]
    left: list[bytes] = field(default_factory=list)
    # Of `left`, those before it were taken.
    place: int = 0

    def take(self, count: int) -> Iterator[bytes]:
        """Yield lines until so many of them are rows; blank ones are none."""
        while count:
            while self.place == len(self.left):
                self.turn()
            line = self.left[self.place]
            self.place += 1
            count -= bool(line.strip(b"\r\n"))
            yield line

    def turn(self) -> None:
        """Go on to the next block; raises `RefusedError` if there is none."""
        block = next(self.blocks, None)
        if block is None:
            raise changed_meanwhile(self.source)
        self.left, self.place = lines_of(block.data), 0

    def rest(self) -> list[bytes]:
        """Return the blank lines at the end; raises `RefusedError` if rows are left."""
        lines = self.left[self.place :]
        for block in self.blocks:
            lines += lines_of(block.data)
        if any(line.strip(b"\r\n") for line in lines):
            raise changed_meanwhile(self.source)
        return lines


@dataclass
class CsvBeside:
    """Scores behind the cells of each row."""

    lines: CsvLines
    out: BinaryIO
    names: tuple[str, ...]

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the next events, with their scores; those that are `kept` are written."""
        cells = zip(kept.tolist(), cells_by_event(columns, self.names), strict=True)
        written = []
        for line in self.lines.take(len(kept)):
            bare = line.rstrip(b"\r\n")
            if not bare:
                written.append(line)
                continue
            keeps, added = next(cells)
            if keeps:
                written.append(b"%b,%b%b" % (bare, added, line[len(bare) :]))
        self.out.writelines(written)


@dataclass
class CsvFriend:
    """Scores alone."""

    out: BinaryIO
    names: tuple[str, ...]

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; of those that are `kept`."""
        self.out.write(rows_in_csv(kept_values(columns, kept), self.names))


@contextmanager
def csv_friend(
    source: Path,
    table: str | None,
    place: Path,
    columns: Mapping[str, np.dtype[Any]],
    *,
    packed: bool,
) -> Iterator[CsvFriend]:
    """Open a file of scores alone, `packed` by gzip or not."""
    with opened_csv(place, packed) as out:
        out.write(header_cells(columns) + b"\n")
        yield CsvFriend(out, tuple(columns))


@contextmanager
def csv_beside(
    source: Path,
    table: str | None,
    place: Path,
    columns: Mapping[str, np.dtype[Any]],
    *,
    packed: bool,
) -> Iterator[CsvBeside]:
    """Open a copy of a file with cells to be added; raises `RefusedError`."""
    with closing(rows_in_order(source)) as blocks, opened_csv(place, packed) as out:
        blank, first = header_block(blocks)
        names, rows = split_header(source, first)
        check_names(source, iter(names), columns)
        header = first.data.removesuffix(rows.data)
        bare = header.rstrip(b"\r\n")
        end = header[len(bare) :]
        out.write(b"%b%b,%b%b" % (blank, bare, header_cells(columns), end))
        lines = CsvLines(source, chain([rows], blocks))
        yield CsvBeside(lines, out, tuple(columns))
        out.writelines(lines.rest())


def rows_in_order(source: Path) -> Generator[CsvBlock]:
    """Yield a file's rows, packed or not, block by block; raises `RefusedError`."""
    try:
        with gzip.open(source) if source.suffix.lower() == ".gz" else source.open("rb") as file:
            yield from whole_rows(source, cast(BinaryIO, file))
    except UNREADABLE as error:
        raise unreadable(source, error) from error


def header_block(blocks: Iterator[CsvBlock]) -> tuple[bytes, CsvBlock]:
    """Return the blank lines before a file's first block that has more, and that block."""
    blank = b""
    for block in blocks:
        if first_rows(iter([block])).data:
            return blank, block
        blank += block.data
    return blank, CsvBlock(b"", 1)


@contextmanager
def opened_csv(place: Path, packed: bool) -> Iterator[BinaryIO]:
    """Open a file to be written; of one content, a packed one has the same bytes at any time."""
    with place.open("wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, 0) as unpacked:
            yield cast(BinaryIO, unpacked)


def header_cells(columns: Iterable[str]) -> bytes:
    """Return names as cells of a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(columns)
    return text.getvalue().encode()


def lines_of(data: bytes) -> list[bytes]:
    """Return whole rows as they stand, each with its line break, and the blank lines between."""
    if b'"' not in data:
        return data.splitlines(keepends=True)
    # What is quoted may hold line breaks.
    masked = QUOTED_FIELD.sub(lambda match: b"q" * len(match[0]), data)
    lines, end = [], 0
    for line in masked.splitlines(keepends=True):
        lines.append(data[end : end + len(line)])
        end += len(line)
    return lines


def cells_by_event(columns: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> list[bytes]:
    """Return the cells of each event."""
    return rows_in_csv(columns, names).splitlines()


def rows_in_csv(columns: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> bytes:
    """Return rows of numbers, with all digits; what is not a number is `nan`, which is no null."""
    table = pa.table({name: from_numpy(columns[name]) for name in names})
    text = pa.BufferOutputStream()
    arrow_csv.write_csv(table, text, arrow_csv.WriteOptions(include_header=False))
    rows: bytes = text.getvalue().to_pybytes()
    return rows
