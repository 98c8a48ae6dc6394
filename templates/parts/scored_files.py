"""Files that scores are written to: beside the events that they are of, or alone, as a friend.

The ending of a file's name says its format. A module of a format is imported when a file of that
format is opened, so that who writes ROOT files needs no pyarrow.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError
from parts.readers import quoted
from parts.score_outputs import FRIEND, check_free, unfinished

Format = Literal["root", "hdf5", "parquet", "csv"]
FORMATS: dict[str, Format] = {
    ".root": "root",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
}


class Scored(Protocol):
    """A file that is being written."""

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the source's next events, each column (event,); those that are `kept` are written.

        Beside the events, they are read again here. Raises `RefusedError`, and `OSError` for a full
        disk.
        """


# source, table, place, columns
Opening = Callable[
    [Path, str | None, Path, Mapping[str, np.dtype[Any]]], AbstractContextManager[Scored]
]


@contextmanager
def opened(
    source: Path,
    out: Path,
    *,
    table: str | None,
    beside: bool,
    columns: Mapping[str, np.dtype[Any]],
    overwrite: bool = False,
) -> Iterator[Scored]:
    """Open a file for scores of the events of `source`, of its tree or array `table`.

    `beside` the events, all that the source holds is copied, and the columns are added; else the
    file has the columns alone. It is there under its name when the block ends, or not at all.
    Raises `RefusedError` before anything is computed.
    """
    named = format_of(out)
    check_place(source, out)
    check_free(out, overwrite)
    if beside and not source.is_dir() and format_of(source) != named:
        said = f"{quoted(out)} is no file of the kind of {quoted(source)}"
        raise RefusedError(f"{said}, so that the events cannot be copied; {FRIEND}")
    opening = writing(out, beside)
    with unfinished(out, overwrite) as place, opening(source, table, place, columns) as scored:
        yield scored


def format_of(path: Path) -> Format:
    """Return the format that a name stands for; raises `RefusedError`."""
    for ending, named in FORMATS.items():
        if path.name.lower().endswith(ending):
            return named
    raise RefusedError(f"{quoted(path)} does not end in one of {', '.join(FORMATS)}")


def check_place(source: Path, out: Path) -> None:
    """Raise `RefusedError` if a file would replace the events, or come to lie among them."""
    if not out.parent.is_dir():
        raise RefusedError(f"there is no folder {quoted(out.parent)} for {quoted(out.name)}")
    if os.access(out, os.F_OK) and out.samefile(source):
        raise RefusedError(f"{quoted(out)} is the file of the events itself")
    if source.is_dir() and source.resolve() in out.resolve().parents:
        raise RefusedError(f"{quoted(out)} would lie among the events in {quoted(source)}")


def writing(out: Path, beside: bool) -> Opening:
    """Return what opens files of a format; its library is imported here."""
    named = format_of(out)
    if named == "parquet":
        from parts.scored_parquet import parquet_beside, parquet_friend

        return parquet_beside if beside else parquet_friend
    if named == "hdf5":
        from parts.scored_hdf5 import hdf5_beside, hdf5_friend

        return hdf5_beside if beside else hdf5_friend
    if named == "root":
        from parts.scored_root import root_beside, root_friend

        return root_beside if beside else root_friend
    from parts.scored_csv import csv_beside, csv_friend

    packed = out.name.lower().endswith(".gz")
    return partial(csv_beside if beside else csv_friend, packed=packed)
