"""Files of events by their names -> their readers, each imported where its format is met."""

from pathlib import Path

from parts.machinery.exits import RefusedError
from parts.readers import Reader, quoted
from parts.scored_files import Format, format_of

# The option that names one of several tables, by format.
NAMED_TABLES: dict[Format, str] = {"root": "--tree", "hdf5": "--table"}
# What reads a format, as cards of networks name it.
READERS: dict[Format, str] = {"root": "Root", "hdf5": "Hdf5", "parquet": "Parquet", "csv": "Csv"}


def format_there(path: Path) -> Format:
    """Return the format of a file that is there, or of a folder; raises `RefusedError`."""
    if not path.exists():
        raise RefusedError(f"there is no file {quoted(path)}")
    return "parquet" if path.is_dir() else format_of(path)


def reader_for(path: Path, table: str | None) -> Reader:
    """Return the reader of a file; of these, ROOT and HDF5 have the `table`, if one is named."""
    match format_there(path):
        case "root":
            from parts.root_files import Root

            return Root(table)
        case "hdf5":
            from parts.hdf5_files import Hdf5

            return Hdf5(table)
        case "parquet":
            from parts.parquet_files import Parquet

            return Parquet()
        case "csv":
            from parts.csv_files import Csv

            return Csv()
