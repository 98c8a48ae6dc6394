"""ROOT files with a TTree or an RNTuple, read with uproot."""

import lzma
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uproot
from cramjam import DecompressionError
from uproot.deserialization import DeserializationError
from uproot.source.file import MultithreadedFileSource

from parts.readers import (
    UNREADABLE,
    NoTableError,
    SeveralTablesError,
    Table,
    lacks,
    listed,
    quoted,
)
from parts.root_trees import tree_table
from parts.root_tuples import tuple_table
from parts.stretches import refusing

# How each file begins.
MAGIC = b"root"
# How ROOT calls what holds events.
TREES = ("TTree", "TNtuple", "TNtupleD")
TUPLES = ("ROOT::RNTuple",)
# What uproot and what it calls raise where a byte is not what it should be, or missing; a missing
# package among them, which the message then names.
DAMAGED = (
    *UNREADABLE,
    AssertionError,
    DecompressionError,
    DeserializationError,
    ImportError,
    LookupError,
    lzma.LZMAError,
    MemoryError,
    RuntimeError,
    struct.error,
    TypeError,
)
# Files are read, not mapped: a mapped one that shrinks, or is lost, kills the process. Caches would
# hold in memory what is read once.
HOW = {
    "handler": MultithreadedFileSource,
    "num_workers": 1,
    "object_cache": None,
    "array_cache": None,
}


@dataclass(frozen=True)
class Root:
    """Reader of ROOT files; of the tree that it names, or of the one that is there."""

    tree: str | None = None

    @contextmanager
    def open(self, path: Path) -> Iterator[Table]:
        """Open a file; raises `RefusedError`, `NoTableError` where it has no such tree."""
        with refusing(path, "as a ROOT file", DAMAGED):
            check_magic(path)
            # In a mere name of a file, uproot takes what comes after a colon for a tree.
            file = uproot.open({str(path): None}, **HOW)
        with file:
            yield self.table(path, file)

    def table(self, path: Path, file: Any) -> Table:
        """Return the table of an open file."""
        with refusing(path, "its directories", DAMAGED):
            classes = file.classnames(recursive=True)
        name = self.chosen(path, classes)
        with refusing(path, f"tree {quoted(name)}", DAMAGED):
            if classes[name] in TUPLES:
                return tuple_table(path, file[name], DAMAGED)
            return tree_table(path, file[name], DAMAGED)

    def chosen(self, path: Path, classes: Mapping[str, str]) -> str:
        """Return which tree is meant, with its cycle."""
        there = [name for name, of in classes.items() if of in TREES + TUPLES]
        newest: dict[str, str] = {}
        for name in sorted(there, key=cycle_of):
            newest[name.rpartition(";")[0]] = name
        if self.tree is not None:
            asked = self.tree.strip("/")
            if asked not in newest and asked not in there:
                raise NoTableError(f"{quoted(path)}: {lacks('tree', self.tree, newest)}")
            return newest.get(asked, asked)
        if not newest:
            raise NoTableError(f"{quoted(path)}: no tree in it")
        if len(newest) > 1:
            several = f"several trees, name one: {listed(newest)}"
            raise SeveralTablesError(f"{quoted(path)}: {several}")
        return next(iter(newest.values()))


def check_magic(path: Path) -> None:
    """Raise `ValueError` for a file that begins otherwise than all of ROOT do."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"it does not begin with {MAGIC.decode()!a}")


def cycle_of(name: str) -> int:
    """Return the cycle in a name of an object; a higher one is newer."""
    return int(name.rpartition(";")[2])
