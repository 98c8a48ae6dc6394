"""Generated files -> a folder: written whole or not at all, or compared with what is there."""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from seesawc.diagnostics import CompileError, Diagnostic

RECORD = "resolved.toml"
# How the last of its tables begins.
BUILD = b"\n[build]\n"
PARTS = "parts/"
SUMS = f"{PARTS}SHA256SUMS"
# What git writes round the sides of a merge that it cannot make.
CONFLICT = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)
# What git is told of all generated folders. Collapsed is not hidden: with -diff an auditor could
# not open parts. Well-known lists of what Python projects ignore would keep them out of a commit.
FOR_GIT = {
    ".gitattributes": f"""\
# From seesawc build, which leaves a file that is there as it is.
# Digests are of bytes; a review shows parts, which many folders share, only on request.
* -text
*/{PARTS}** linguist-generated=true gitlab-generated
""",
    ".gitignore": f"""\
# From seesawc build, which leaves a file that is there as it is.
# Scripts do not run without their parts, which a list above may ignore.
!*/{PARTS}
__pycache__/
""",
}


def read_record(folder: Path) -> dict[str, Any]:
    """Return the [build] table of what lies in `folder`; empty if seesawc did not write it.

    Raises `CompileError` if it cannot be read: without it, a run would get another name.
    """
    with _reading(folder):
        _recover(folder)
        try:
            text = (folder / RECORD).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return {}
    # Before it stand the options, and the points of a sweep, of which there may be thousands.
    _, header, table = text.rpartition(BUILD)
    try:
        build = tomllib.loads((header + table).decode("ascii")).get("build", {})
    except ValueError:
        return {}
    return build if isinstance(build, dict) else {}


def check_merged(folder: Path, spec: Path) -> None:
    """Raise `CompileError` if git has left both sides of a merge in the record of `folder`."""
    with _reading(folder):
        text = (_content(folder / RECORD) or b"").decode("utf-8", "replace")
    if CONFLICT.search(text):
        message = f"{folder / RECORD} holds a merge conflict"
        hint = f"seesawc build --force {spec} resolves it; merge the spec first"
        raise CompileError(Diagnostic(message, hint=hint))


def digest(text: str) -> str:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def recorded(files: Mapping[str, str]) -> dict[str, str]:
    """Return the digests for [build.files]; SHA256SUMS, which is among them, has those of parts."""
    names = (name for name in files if name == SUMS or not name.startswith(PARTS))
    return {name: digest(files[name]) for name in names}


def differing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the paths that are missing in `folder`, differ there, or do not belong there.

    Raises `CompileError` if what is there cannot be read.
    """
    with _reading(folder):
        there = set(_entries(folder, files)) if folder.is_dir() else set()
        changed = {
            name
            for name, text in files.items()
            if name not in there or _content(folder / name) != text.encode()
        }
        return sorted(changed | (there - set(files)))


def write(folder: Path, files: Mapping[str, str], *, force: bool) -> bool:
    """Write the files as a whole, and .gitattributes beside their folder where there is none.

    Returns whether the folder changed; raises `CompileError`.
    """
    _recover(folder)
    changed = bool(differing(folder, files))
    if changed:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise CompileError(Diagnostic(f"{folder} is not a folder", hint="remove it"))
        refuse_loss(folder, force=force)
    with _writing(folder):
        _make_folder(folder.parent)
        tell_git(folder.parent)
        if changed:
            _replace(folder, files)
    return changed


def tell_git(folder: Path) -> None:
    """Write what git is told of the generated folders in `folder`, where there is nothing yet."""
    for name, text in FOR_GIT.items():
        with _writing(folder / name):
            _write_new(folder / name, text)


def _make_folder(folder: Path) -> None:
    """Make a folder, or take the one that a link leads to; raises `CompileError` or `OSError`."""
    if os.path.lexists(folder) and not folder.is_dir():
        what = "a link that leads to no folder" if folder.is_symlink() else "not a folder"
        raise CompileError(Diagnostic(f"{folder} is {what}", hint="remove it"))
    folder.mkdir(parents=True, exist_ok=True)


def refuse_loss(folder: Path, *, force: bool) -> None:
    """Raise if somebody else's work would be lost; `force` gives up edits, but no other folder."""
    with _reading(folder):
        _refuse_loss(folder, force)


def _refuse_loss(folder: Path, force: bool) -> None:
    if not folder.is_dir() or not any(_entries(folder, ())):
        return
    if force and (folder / RECORD).is_file():
        # Its record may be the half of a merge.
        return
    written = read_record(folder).get("files")
    if not isinstance(written, dict):
        message = f"{folder} was not written by seesawc"
        raise CompileError(Diagnostic(message, hint="another --out, or move it away"))
    known = _digests(folder, written)
    ours = {RECORD, *known, *_parents(known)}
    there = sorted(_entries(folder, known))
    # Without the digests of parts, no part is known.
    if SUMS in written and any(name.startswith(PARTS) for name in there):
        there = [SUMS, *there]
    for name in there:
        path = folder / name
        if name == RECORD and not path.is_symlink():
            continue
        if name not in ours:
            hint = "move it away, or --force removes it"
            raise CompileError(Diagnostic(f"{path} was not written by seesawc", hint=hint))
        text = _content(path)
        if text is None or hashlib.sha256(text).hexdigest() != known.get(name):
            what = "edited" if os.path.lexists(path) else "removed"
            hint = "change the spec instead, or --force overwrites it"
            raise CompileError(Diagnostic(f"{path} was {what} by hand", hint=hint))


def _digests(folder: Path, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the digests of what was written; without those of parts if their list was edited."""
    text = _content(folder / SUMS) if SUMS in _entries(folder, written) else None
    if text is None or hashlib.sha256(text).hexdigest() != written.get(SUMS):
        return dict(written)
    lines = (line.partition("  ") for line in text.decode(errors="replace").splitlines())
    return {**written, **{name: expected for expected, _, name in lines}}


def _entries(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield the paths of what lies in `folder`, but for caches and what jobs wrote.

    A folder is one entry, unless one of `names` lies in it.
    """
    parents = _parents(names)
    places = [""]
    for place in places:
        for entry in _held(folder / place):
            name = f"{place}{entry.name}"
            if _is_cache(entry) or (not place and _is_job_output(entry)):
                continue
            if name in parents and entry.is_dir(follow_symlinks=False):
                places.append(f"{name}/")
            else:
                yield name


def _parents(names: Iterable[str]) -> set[str]:
    """Return the folders that files lie in, and those that these lie in."""
    found: set[str] = set()
    for name in names:
        while name := name.rpartition("/")[0]:
            found.add(name)
    return found


def _held(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _content(path: Path) -> bytes | None:
    """Return what a file holds; None if the path is no file, or a link to one."""
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return path.read_bytes() if is_file else None


def _is_job_output(entry: os.DirEntry[str]) -> bool:
    """Whether SLURM wrote a file here, where a job was submitted."""
    named = entry.name.startswith("slurm-") and entry.name.endswith(".out")
    return named and entry.is_file(follow_symlinks=False)


def _is_cache(entry: os.DirEntry[str]) -> bool:
    """Whether Python wrote it for what was imported, and git left it behind: it can be lost."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    if entry.name == "__pycache__":
        return True
    held = _held(entry.path)
    return bool(held) and all(map(_is_cache, held))


def way(folder: Path, place: Path) -> str:
    """Return how to go from a folder to a place, also from where links have led to.

    Scripts start where they really lie: from a folder behind a link, another way leads back.
    """
    plain = os.path.relpath(place.absolute(), folder.absolute())
    start, end = os.path.realpath(folder), os.path.realpath(place)
    leads_there = os.path.realpath(Path(start) / plain) == end
    return Path(plain if leads_there else os.path.relpath(end, start)).as_posix()


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot read {error.filename or folder}: {error.strerror}"
        hint = f"who may read {folder}, and what leads to it?"
        raise CompileError(Diagnostic(message, hint=hint)) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CompileError(Diagnostic(f"cannot write {path}: {error.strerror}")) from error


def _write_new(path: Path, text: str) -> None:
    """Write a file, unless there is anything of that name."""
    if os.path.lexists(path):
        return
    number, name = tempfile.mkstemp(prefix=f"{path.name}.new-", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            _fill(file, text)
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def rewrite(path: Path, text: str) -> None:
    """Replace a file's text at once, or not at all; its mode stays, and links still lead to it."""
    with _writing(path):
        target = path.resolve(strict=True)
        mode = target.stat().st_mode & 0o7777
        number, name = tempfile.mkstemp(prefix=f".{target.name}.new-", dir=target.parent)
        new = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                _fill(file, text, mode)
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)


def _replace(folder: Path, files: Mapping[str, str]) -> None:
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        for name, text in files.items():
            for parent in reversed(PurePosixPath(name).parents):
                (new / parent).mkdir(exist_ok=True)
                (new / parent).chmod(0o755)
            with (new / name).open("xb") as file:
                _fill(file, text)
        if folder.exists():
            for entry in filter(_is_job_output, _held(folder)):
                shutil.copy2(entry.path, new)
            shutil.rmtree(_aside(folder), ignore_errors=True)
            folder.rename(_aside(folder))
        new.rename(folder)
    finally:
        _recover(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(_aside(folder), ignore_errors=True)


def _fill(file: BinaryIO, text: str, mode: int = 0o644) -> None:
    """Have all of the text on the disk, in a file whose mode is the same whatever the umask."""
    file.write(text.encode())
    file.flush()
    os.fchmod(file.fileno(), mode)
    os.fsync(file.fileno())


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    """Put the old folder back if a crash came between the two renames."""
    if _aside(folder).is_dir() and not folder.exists():
        _aside(folder).rename(folder)
