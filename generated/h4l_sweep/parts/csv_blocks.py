"""Whole rows of a CSV file, block by block, and the line of a row that is not like its header."""

import csv
import gzip
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from parts.machinery.exits import RefusedError, obey
from parts.readers import UNREADABLE, NoTableError, quoted, unreadable

# Bytes that are read at a time; a block is longer where one row is.
CSV_BLOCK = 2**21
# Bytes of a row, beyond which a file is hardly one of rows.
LONGEST_ROW = 2**28
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What a quote that opens stands after; another one if the two are one in quotes.
BEFORE_QUOTES = np.frombuffer(b',\r\n"', np.uint8)
# A quoted field, from where a field begins to its end, or to the data's end if it has none.
QUOTED_FIELD = re.compile(rb'"(?<![^,\r\n]")[^"]*+(?:""[^"]*+)*+("?)')


@dataclass(frozen=True)
class CsvBlock:
    """Whole rows as they stand in the file."""

    data: bytes
    # The line of the file on which they begin, from 1 on.
    line: int


@contextmanager
def csv_blocks(path: Path) -> Iterator[tuple[tuple[str, ...], Iterator[CsvBlock]]]:
    """Open a file: its header's names, and blocks of its rows; all raise `RefusedError`."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            blocks = whole_rows(path, cast(BinaryIO, file))
            head, first = split_header(path, first_rows(blocks))
            yield head, chain([first] if first.data else [], blocks)
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def whole_rows(path: Path, file: BinaryIO) -> Iterator[CsvBlock]:
    """Yield a file's rows in blocks, checked to be text; raises `RefusedError`."""
    line, left, size = 1, b"", CSV_BLOCK
    while more := file.read(size):
        obey()
        data = left + more
        end = end_of_rows(data)
        if not end and len(data) > LONGEST_ROW:
            raise RefusedError(
                f"{quoted(path)}: the row that begins on line {line} has more than "
                f"{LONGEST_ROW >> 20} MB; does a quote close nowhere?"
            )
        # The end of a row that is longer than a block is looked for in blocks that grow with it.
        size = CSV_BLOCK if end else max(CSV_BLOCK, len(data))
        left = data[end:]
        if end:
            yield checked_text(path, CsvBlock(data[:end], line))
            line += data.count(b"\n", 0, end)
    if left:
        check_closed(path, CsvBlock(left, line))
        yield checked_text(path, CsvBlock(left, line))


def end_of_rows(data: bytes) -> int:
    """Return where the last whole row ends: after a line break that is in no quotes."""
    end = data.rfind(b"\n") + 1
    if b'"' not in data:
        return end
    letters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    # If each second one begins a field, or is half of two, they open and close by turns.
    opening = quotes[::2]
    if not np.isin(letters[opening[opening > 0] - 1], BEFORE_QUOTES).all():
        return end_by_fields(data, end)
    while (before := int(np.searchsorted(quotes, end))) % 2:
        end = data.rfind(b"\n", 0, int(quotes[before - 1])) + 1
    return end


def end_by_fields(data: bytes, end: int) -> int:
    """Return where the last whole row ends if quotes also stand inside of fields."""
    for last in deque(QUOTED_FIELD.finditer(data), maxlen=1):
        # Of a quote at the very end nobody knows yet whether it closes, or is half of two.
        if not last[1] or last.end() == len(data) or end <= last.end():
            return data.rfind(b"\n", 0, last.start()) + 1
    return end


def checked_text(path: Path, block: CsvBlock) -> CsvBlock:
    """Return a block of text; raises `RefusedError` if it is not UTF-8."""
    if not block.data.isascii():
        try:
            block.data.decode()
        except UnicodeDecodeError as error:
            line = block.line + block.data.count(b"\n", 0, error.start)
            raise RefusedError(f"{quoted(path)}: line {line} is not text in UTF-8") from error
    return block


def check_closed(path: Path, block: CsvBlock) -> None:
    """Raise `RefusedError` if the end of a file stands in quotes."""
    for match in QUOTED_FIELD.finditer(block.data):
        if not match[1]:
            line = block.line + block.data.count(b"\n", 0, match.start())
            raise RefusedError(f"{quoted(path)}: line {line} has a quote that nothing closes")


def first_rows(blocks: Iterator[CsvBlock]) -> CsvBlock:
    """Return the first block that has more than blank lines, an empty one if none has."""
    for block in blocks:
        if block.data.removeprefix(BYTE_ORDER_MARK).strip(b"\r\n"):
            return block
    return CsvBlock(b"", 1)


def split_header(path: Path, block: CsvBlock) -> tuple[tuple[str, ...], CsvBlock]:
    """Return the names of a file's first line, and the rows after it in its first block."""
    data = block.data.removeprefix(BYTE_ORDER_MARK)
    rest = data.lstrip(b"\r\n")
    if not rest:
        raise NoTableError(f"{quoted(path)} is empty: it has no header")
    lines = rest.splitlines(keepends=True)
    rows = csv.reader(line.decode() for line in lines)
    try:
        names = tuple(next(rows))
    except csv.Error as error:
        raise unreadable(path, error) from error
    head = b"".join(lines[: rows.line_num])
    line = block.line + data.count(b"\n", 0, len(data) - len(rest)) + head.count(b"\n")
    return names, CsvBlock(rest[len(head) :], line)


def fault_of(path: Path, block: CsvBlock, names: tuple[str, ...]) -> RefusedError | None:
    """Return what is wrong with a block's first row that is not as long as the header."""
    # Of texts, these would be split at more than line breaks.
    rows = csv.reader(line.decode() for line in block.data.splitlines(keepends=True))
    # A row with line breaks in quotes begins where the one before it ended.
    start = 0
    try:
        for row in rows:
            if row and len(row) != len(names):
                return RefusedError(
                    f"{quoted(path)}: line {block.line + start} has {counted(len(row))}, "
                    f"the header has {len(names)}"
                )
            start = rows.line_num
    except csv.Error as error:
        return RefusedError(f"{quoted(path)}: line {block.line + start}: {error}")
    return None


def counted(fields: int) -> str:
    """Return a number of fields in words."""
    return f"{fields} field{'' if fields == 1 else 's'}"
