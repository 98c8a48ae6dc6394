"""Events of samples -> a folder with a file for each kind of column -> arrays that lie there."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.arrays import Arrays, read_groups
from parts.datasets import Dataset
from parts.sample_yields import SampleYields
from parts.shuffled_records import ShuffledRecords
from parts.splits import SPLITS, Fold, assign, fold_numbers
from parts.windows import MappedRows

# Bytes of events that memory holds of all groups together before they are written.
BYTES_HELD = 2**26
# What a folder holds, by which it is known to be whole.
CONTENTS = "contents.json"
# Pieces of a file that are looked at when it is used again, and their bytes.
PIECES, PIECE = 64, 2**16


def columns_written(dataset: Dataset, dtype: np.dtype[Any]) -> dict[str, tuple[Any, int | None]]:
    """Return the type of each column and, of those with several features, their number."""
    return {
        "numerical": (dtype, len(dataset.numerical)),
        "categorical": (np.int64, len(dataset.categorical)),
        "label": (np.int64, None),
        "weight": (np.float64, None),
    }


def width_of(features: int | None) -> tuple[int, ...]:
    """Return the shape of what one event has of a column."""
    return () if features is None else (features,)


def write_arrays(
    folder: Path, dataset: Dataset, files: Mapping[str, Sequence[Path]], dtype: np.dtype[Any]
) -> None:
    """Write the events of each split, or of each fold, well mixed.

    Raises `RefusedError`, and `OSError` where there is no room.
    """
    split = dataset.split
    count = split.folds if isinstance(split, Fold) else len(SPLITS)
    columns = columns_written(dataset, dtype)
    records = [(name, kind, width_of(features)) for name, (kind, features) in columns.items()]
    groups = [
        ShuffledRecords(folder / f"group_{number}", records, BYTES_HELD // count)
        for number in range(count)
    ]
    chosen_for = (
        partial(fold_numbers, folds=count)
        if isinstance(split, Fold)
        else partial(assign, split=split)
    )
    yields = SampleYields(dataset)
    read_groups(dataset, files, dtype, groups, chosen_for, yields=yields)
    # Any training of a cross-validation finds all its folds one behind the other.
    row_of_groups = [*groups, *(groups[:-1] if isinstance(split, Fold) else ())]
    check_room(folder, sum(each.size * each.dtype.itemsize for each in row_of_groups))
    write_columns(folder, list(columns), row_of_groups)
    for each in groups:
        each.path.unlink(missing_ok=True)
    write_contents(folder, [each.size for each in groups], yields.lines(), list(columns))


def write_contents(
    folder: Path, events: Sequence[int], samples: Sequence[str], columns: Sequence[str]
) -> None:
    """Write what a folder has: `events` of each group, lines on `samples`, and its columns."""
    marks = {name: file_mark(folder / name) for name in columns}
    contents = {"events": list(events), "samples": list(samples), "columns": marks}
    written = {"contents": contents, "sha256": contents_digest(contents)}
    write_synced(folder / CONTENTS, json.dumps(written).encode())


def check_room(folder: Path, needed: int) -> None:
    """Raise `OSError` if a disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"no space left for {folder}: {needed} bytes needed, {free} free"
        )


def write_columns(folder: Path, names: Sequence[str], groups: Sequence[ShuffledRecords]) -> None:
    """Write each column of all groups, one behind the other, into a file of its own."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context((folder / name).open("wb")) for name in names}
        for group in groups:
            for block in group.blocks():
                for name, file in opened.items():
                    file.write(np.ascontiguousarray(block[name]).data)
        for file in opened.values():
            file.flush()
            os.fsync(file.fileno())


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that a crash of the machine leaves whole, once its folder is known."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def contents_of(folder: Path) -> dict[str, Any] | None:
    """Return what a folder says of itself; None unless it is whole."""
    try:
        written = json.loads((folder / CONTENTS).read_bytes())
        said: dict[str, Any] = written["contents"]
        if written["sha256"] != contents_digest(said):
            return None
        whole = all(file_mark(folder / name) == mark for name, mark in said["columns"].items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return said if whole else None


def contents_digest(contents: Any) -> str:
    """Return the SHA-256 of what a folder says of itself."""
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def file_mark(path: Path) -> dict[str, Any]:
    """Return a file's size, and the SHA-256 of so many pieces of it that take no time to read."""
    size = path.stat().st_size
    found = hashlib.sha256()
    with path.open("rb") as file:
        for place in sorted({size * index // PIECES for index in range(PIECES)}):
            file.seek(place)
            found.update(file.read(PIECE))
    return {"bytes": size, "sha256": found.hexdigest()}


def note_use(folder: Path) -> None:
    """Have a folder known as one that is in use."""
    # What has been removed meanwhile is in use here, and nowhere else.
    # Nor does it matter where only somebody else may say so.
    with suppress(FileNotFoundError, PermissionError):
        os.utime(folder / CONTENTS)


@dataclass(frozen=True)
class CachedSplit:
    """The events of a split, and where they lie in the files of the columns."""

    arrays: Arrays
    columns: tuple[MappedRows, ...]
    first: int


def open_splits(
    folder: Path, events: Sequence[int], dataset: Dataset, dtype: np.dtype[Any]
) -> tuple[CachedSplit, ...]:
    """Return training, validation and test of groups with so many `events`."""
    columns = {
        name: MappedRows(folder / name, kind, *width_of(features))
        for name, (kind, features) in columns_written(dataset, dtype).items()
    }
    return tuple(
        CachedSplit(
            arrays_of({name: each.rows(first, end) for name, each in columns.items()}),
            tuple(columns.values()),
            first,
        )
        for first, end in ranges_of(events, dataset.split)
    )


def arrays_of(columns: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return columns as they are read, of events that nobody marks."""
    size = len(columns["label"])
    return Arrays(
        **columns,
        mark=np.broadcast_to(np.False_, size),
        keys=np.zeros((size, 0), dtype=np.uint64),
    )


def ranges_of(events: Sequence[int], split: Any) -> list[tuple[int, int]]:
    """Return the first event of training, validation and test, and that behind the last one."""
    if not isinstance(split, Fold):
        ends = np.cumsum([0, *events]).tolist()
        return list(pairwise(ends))
    ends = np.cumsum([0, *events, *events[:-1]]).tolist()
    test = split.number
    places = ((test + 2, test + split.folds), (test + 1, test + 2), (test, test + 1))
    return [(ends[first], ends[end]) for first, end in places]
