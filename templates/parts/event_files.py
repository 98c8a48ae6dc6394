"""Files of events by their names -> their readers, each imported where its format is met."""

from pathlib import Path

from parts.machinery.exits import RefusedError
from parts.readers import Reader, quoted

# The option that names one of several tables, by format.
NAMED_TABLES = {"Root": "--tree", "Hdf5": "--table"}
ENDINGS = {
    ".root": "Root",
    ".h5": "Hdf5",
    ".hdf5": "Hdf5",
    ".parquet": "Parquet",
    ".csv": "Csv",
    ".csv.gz": "Csv",
}


def format_of(path: Path) -> str:
    """Return the format of a file, or of a folder of them; raises `RefusedError`."""
    for ending, name in ENDINGS.items():
        if path.name.lower().endswith(ending):
            return name
    if path.is_dir():
        return "Parquet"
    if not path.exists():
        raise RefusedError(f"there is no file {quoted(path)}")
    endings = f"{', '.join(ENDINGS)}, or a folder of Parquet files"
    raise RefusedError(f"{quoted(path)} is no kind of file that can be read: {endings}")


def reader_for(path: Path, table: str | None) -> Reader:
    """Return the reader of a file; of these, ROOT and HDF5 have the `table`, if one is named."""
    match format_of(path):
        case "Root":
            from parts.root_files import Root

            return Root(table)
        case "Hdf5":
            from parts.hdf5_files import Hdf5

            return Hdf5(table)
        case "Parquet":
            from parts.parquet_files import Parquet

            return Parquet()
        case _:
            from parts.csv_files import Csv

            return Csv()
