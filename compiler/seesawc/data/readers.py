"""The name of a file -> the reader that scripts open it with."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from parts.readers import Reader
from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.dataset import READERS, TABLES, reader_of

# Imported by format: one takes a third of a second, all of them more than one.
MODULES = {
    "Root": "parts.root_files",
    "Hdf5": "parts.hdf5_files",
    "Parquet": "parts.parquet_files",
    "Csv": "parts.csv_files",
}


def reader(name: str, table: str | None = None) -> Reader:
    """Return a reader by its name, of a table that may be named; raises `ImportError`."""
    kind = getattr(import_module(MODULES[name]), name)
    found: Reader = kind(table) if name in TABLES else kind()
    return found


def readers_of(paths: Sequence[Path], named: Mapping[str, str]) -> list[Reader]:
    """Return the readers of files; `named` has the tree, or the table, of those that have some.

    Raises `CompileError` for a file that is not there or that none can read, and for a name that
    no file needs.
    """
    for path in paths:
        if not path.exists():
            raise CompileError(Diagnostic(f"there is no file {str(path)!a}"))
    kinds = [kind_of(path) for path in paths]
    for option in named:
        if option not in map(TABLES.get, kinds):
            takes = " or ".join(kind.upper() for kind, name in TABLES.items() if name == option)
            message = f"--{option}, and no file is of {takes}"
            raise CompileError(Diagnostic(message, hint="leave it out"))
    return [reader(kind, named.get(TABLES.get(kind, ""))) for kind in kinds]


def kind_of(path: Path) -> str:
    """Return the name of the reader of a file."""
    named = f"{path}/" if path.is_dir() else path.name
    if not named.endswith(tuple(READERS)):
        endings = ", ".join(ending for ending in READERS if ending != "/")
        hint = f"{endings}, or a folder of Parquet files"
        raise CompileError(Diagnostic(f"{path} is no kind of file that can be read", hint=hint))
    return reader_of(named)


def place_from(folder: Path, path: Path) -> str:
    """Return how a spec in a folder names a file: from there, or in full if it lies elsewhere."""
    full = path.absolute()
    home = folder.absolute().parent
    place = os.path.relpath(full, folder) if full.is_relative_to(home) else str(full)
    is_folder = path.is_dir() and path.suffix != ".parquet"
    return f"{place}/" if is_folder else place
