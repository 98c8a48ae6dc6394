"""Folders that are new, and what lies beside them -> what a spec was called before, if it was."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from seesawc.writing.outputs import RECORD, read_record


@frozen
class Left:
    """A generated folder whose spec is gone, and what its record says."""

    folder: Path
    build: Mapping[str, Any]


def left_beside(folders: Iterable[Path]) -> dict[Path, tuple[Left, ...]]:
    """Return what is left of other specs in each place where some of these folders are new.

    Each place is looked through once, however many folders are to be written there.
    """
    places = dict.fromkeys(folder.parent for folder in folders if _is_new(folder))
    return {place: tuple(_left(place)) for place in places if place.is_dir()}


def renamed(folder: Path, record: str, left: Mapping[Path, Iterable[Left]]) -> str:
    """Return what is to be said of runs that a spec had under another name; `record` is its own.

    A run is known by its script, which names its spec: under a new name nothing goes on.
    """
    beside = left.get(folder.parent, ())
    if not beside or not _is_new(folder):
        return ""
    numbers = tomllib.loads(record)["build"]["numbers"]
    for other in beside:
        if other.build.get("numbers") == numbers:
            return (
                f"{other.folder} trains the same, and its spec is gone: if that was renamed, the"
                f" run {other.build.get('run_name')} and its results are not found under the new"
                f" name, and {folder} trains anew; with the name {other.folder.name}.toml it goes"
                " on"
            )
    return ""


def _is_new(folder: Path) -> bool:
    return not (folder / RECORD).exists()


def _left(place: Path) -> Iterator[Left]:
    for folder in sorted(place.iterdir()):
        if (folder / RECORD).is_file():
            build = read_record(folder)
            spec = folder / str(build.get("spec_folder")) / f"{folder.name}.toml"
            if not spec.exists():
                yield Left(folder, build)
