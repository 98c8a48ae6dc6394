"""The name of a file -> the reader that scripts open it with."""

import os
from importlib import import_module
from pathlib import Path

from parts.readers import Reader
from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.dataset import READERS, TABLES

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


def reader_of(path: Path, tree: str | None, table: str | None) -> Reader:
    """Return the reader of a file; raises `CompileError` if none can read it."""
    named = f"{path}/" if path.is_dir() else path.name
    name = next((name for ending, name in READERS.items() if named.endswith(ending)), None)
    if name is None:
        endings = ", ".join(ending for ending in READERS if ending != "/")
        hint = f"{endings}, or a folder of Parquet files"
        raise CompileError(Diagnostic(f"{path} is no kind of file that can be read", hint=hint))
    return reader(name, {"tree": tree, "table": table}.get(TABLES.get(name, "")))


def place_from(folder: Path, path: Path) -> str:
    """Return how a spec in a folder names a file: from there, or in full if it lies elsewhere."""
    full = path.absolute()
    home = folder.absolute().parent
    place = os.path.relpath(full, folder) if full.is_relative_to(home) else str(full)
    is_folder = path.is_dir() and path.suffix != ".parquet"
    return f"{place}/" if is_folder else place
