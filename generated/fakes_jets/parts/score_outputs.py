"""What all files of scores share: they are there whole or not at all, and refuse alike."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError
from parts.machinery.places import sync_folder
from parts.readers import quoted

# What the scores' own file can do where the events' file cannot be written anew.
FRIEND = "--friend writes the scores alone"
# Errors of the machine rather than of what the user has asked for.
NOT_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)


@contextmanager
def unfinished(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a place for a file, which becomes `out` when the block ends, or nothing if it fails.

    An empty file lies there; raises `RefusedError` where none can.
    """
    # The same name as a process of the same number on another machine has would be one file.
    place = out.with_name(f".{out.name}.{os.getpid()}.{uuid4().hex}")
    create_empty(out, place)
    try:
        yield place
        sync_file(place)
        check_free(out, overwrite)
        place.replace(out)
    except BaseException:
        # What did not fit on a full disk must not keep it full.
        place.unlink(missing_ok=True)
        raise
    sync_folder(out.parent)


def create_empty(out: Path, place: Path) -> None:
    """Create an empty file; raises `RefusedError` where the user has asked for what cannot be."""
    try:
        place.open("xb").close()
    except OSError as error:
        if error.errno in NOT_REFUSED:
            raise
        raise RefusedError(f"cannot write {quoted(out)}: {error.strerror}") from error


def sync_file(place: Path) -> None:
    """Have a file's content on the disk, before its name."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_free(out: Path, overwrite: bool) -> None:
    """Raise `RefusedError` if there is something that must not be replaced."""
    if os.access(out, os.F_OK) and out.is_dir():
        raise RefusedError(f"{quoted(out)} is a folder")
    if not overwrite and os.path.lexists(out):
        raise RefusedError(f"{quoted(out)} exists; --overwrite replaces it")


def not_copied(source: Path, what: str) -> RefusedError:
    """Return the refusal to write scores beside events in a file that holds something else."""
    said = f"{quoted(source)} has {what}, which cannot be written anew beside scores"
    return RefusedError(f"{said}; {FRIEND}")


def check_names(source: Path, there: Iterator[str], columns: Mapping[str, Any]) -> None:
    """Raise `RefusedError` if a file has a column of the name of a new one."""
    if taken := sorted(columns.keys() & set(there)):
        said = f"{quoted(source)} has a column {quoted(taken[0])} already"
        raise RefusedError(f"{said}; --prefix TEXT names new ones apart, and {FRIEND}")


def changed_meanwhile(source: Path) -> RefusedError:
    """Return the refusal of a file whose events are not those that were scored."""
    return RefusedError(f"{quoted(source)} has changed while it was scored: its events are others")


def kept_values(
    columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return the values of the events that are kept."""
    if kept.all():
        return dict(columns)
    return {name: values[kept] for name, values in columns.items()}


def pieces_of(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that make up `count`."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
