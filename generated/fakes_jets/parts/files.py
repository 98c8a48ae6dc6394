"""The files of samples: found by name or pattern, hashed, and compared with what a spec pins."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from parts.machinery.exits import RefusedError, obey
from parts.machinery.places import expand
from parts.readers import quoted

# Bytes of a file that are read at a time.
BYTES_AT_ONCE = 2**24


class NoFileError(RefusedError):
    """A place or a pattern leads to no file that can be read."""


def find(pattern: str, base: Path) -> list[Path]:
    """Return the files that a place or pattern of a spec means, sorted; raises `NoFileError`.

    A folder counts as one file: its format knows what lies in it.
    """
    try:
        place = expand(pattern, base)
        # A name may hold the letters of a pattern.
        if os.access(place, os.F_OK):
            found = [place]
        else:
            check_folders(place)
            found = sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor))))
    # Python says RuntimeError of links that lead to each other.
    except (OSError, RuntimeError) as error:
        raise NoFileError(f"cannot look for {quoted(pattern)}: {reason(error)}") from error
    if not found:
        raise NoFileError(f"there is no file {quoted(place)}")
    for path in found:
        check_permission(path)
    return found


def check_folders(place: Path) -> None:
    """Raise `NoFileError` for a closed folder on the way to a place, or to its first pattern.

    Names can be looked up in more folders than can be listed, which only patterns need.
    """
    for folder, name in zip(reversed(place.parents), place.parts[1:], strict=True):
        if not folder.is_dir():
            return
        is_pattern = bool(set("*?[") & set(name))
        if not os.access(folder, os.X_OK | (os.R_OK if is_pattern else 0)):
            raise NoFileError(f"no permission to look into the folder {quoted(folder)}")
        if is_pattern:
            return


def check_permission(path: Path) -> None:
    """Raise `NoFileError` for what would block, or cannot be opened."""
    if not path.is_file() and not path.is_dir():
        raise NoFileError(f"{quoted(path)} is no file")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise NoFileError(f"no permission to read {quoted(path)}")


def reason(error: BaseException) -> str:
    """Return what an error says, on one line."""
    said = getattr(error, "strerror", None) or str(error)
    return ascii(said)[1:-1]


def find_all(patterns: Sequence[str], base: Path) -> tuple[list[Path], list[tuple[int, str]]]:
    """Return the files that patterns mean, each once, and what is wrong with which of them."""
    found: dict[Path, None] = {}
    problems = []
    for index, pattern in enumerate(patterns):
        try:
            # Two patterns may match one file.
            found |= dict.fromkeys(find(pattern, base))
        except RefusedError as error:
            problems.append((index, str(error)))
    folders = [path for path in found if path.is_dir()]
    # A folder is read as a whole, so that a file in it would be read twice.
    alone = [path for path in found if not any(folder in path.parents for folder in folders)]
    return alone, problems


def fingerprints(files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Return the SHA-256 of each file, those in folders included."""
    every = (file for paths in files.values() for path in paths for file in inside(path))
    return {str(path): data_digest(path) for path in dict.fromkeys(every)}


def digests_by_sample(
    files: Mapping[str, Sequence[Path]], found: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the digests of each sample's files, of those `found` by path."""
    return {
        name: [found[str(file)] for path in paths for file in inside(path)]
        for name, paths in files.items()
    }


def inside(path: Path) -> Iterable[Path]:
    """Return a file, or the files of a folder."""
    return sorted(filter(Path.is_file, path.rglob("*"))) if path.is_dir() else [path]


def data_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be large."""
    found = hashlib.sha256()
    for chunk in blocks(path):
        found.update(chunk)
    return found.hexdigest()


def blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, block by block; raises `RefusedError`."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(BYTES_AT_ONCE):
                obey()
                yield chunk
    except OSError as error:
        raise RefusedError(f"cannot read {quoted(path)}: {reason(error)}") from error


def check_fingerprints(found: dict[str, str], pinned: dict[str, str], base: Path) -> None:
    """Raise `RefusedError` if a file is not the one that the spec pins."""
    for name, expected in pinned.items():
        path = str(expand(name, base))
        if found.get(path) != expected:
            actual = found.get(path, "not read at all")
            raise RefusedError(f"{path} has changed: {actual}, but the spec pins {expected}")
