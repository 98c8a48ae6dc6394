"""Generated files -> a folder: written whole or not at all, or compared with what is there."""

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seesawc.diagnostics import CompileError, Diagnostic

RECORD = "resolved.toml"


def read_record(folder: Path) -> dict[str, Any]:
    """Return the [build] table of what lies in `folder`; empty if seesawc did not write it."""
    _recover(folder)
    try:
        build = tomllib.loads((folder / RECORD).read_text(encoding="ascii")).get("build", {})
    except (OSError, ValueError):
        return {}
    return build if isinstance(build, dict) else {}


def digest(text: str) -> str:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def differing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the names that are missing in `folder`, differ there, or do not belong there."""
    present = folder.iterdir() if folder.is_dir() else ()
    there = {path.name for path in present if not (_is_job_output(path) or _is_cache(path))}
    changed = {
        name
        for name, text in files.items()
        if name not in there or _content(folder / name) != text.encode()
    }
    return sorted(changed | (there - set(files)))


def _content(path: Path) -> bytes | None:
    """Return what a file holds; None if the path is no file."""
    return path.read_bytes() if path.is_file() else None


def write(folder: Path, files: Mapping[str, str], *, force: bool) -> bool:
    """Write the files as a whole; returns whether anything changed; raises `CompileError`."""
    _recover(folder)
    if not differing(folder, files):
        return False
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CompileError(Diagnostic(f"{folder} is not a folder", hint="remove it"))
    refuse_loss(folder, force=force)
    try:
        _replace(folder, files)
    except OSError as error:
        raise CompileError(Diagnostic(f"cannot write {folder}: {error.strerror}")) from error
    return True


def refuse_loss(folder: Path, *, force: bool) -> None:
    """Raise if somebody else's work would be lost; `force` gives up edits, but no other folder."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if force and (folder / RECORD).is_file():
        # Its record may be the half of a merge.
        return
    written = read_record(folder).get("files")
    if not isinstance(written, dict):
        message = f"{folder} was not written by seesawc"
        raise CompileError(Diagnostic(message, hint="another --out, or move it away"))
    for path in sorted(folder.iterdir()):
        if path.name == RECORD or _is_job_output(path) or _is_cache(path):
            continue
        if path.name not in written:
            hint = "move it away, or --force removes it"
            raise CompileError(Diagnostic(f"{path} was not written by seesawc", hint=hint))
        if hashlib.sha256(_content(path) or b"").hexdigest() != written[path.name]:
            hint = "change the spec instead, or --force overwrites it"
            raise CompileError(Diagnostic(f"{path} was edited by hand", hint=hint))


def _replace(folder: Path, files: Mapping[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        for name, text in files.items():
            with (new / name).open("xb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            # The same modes whatever the umask.
            (new / name).chmod(0o644)
        new.chmod(0o755)
        if folder.exists():
            for path in filter(_is_job_output, folder.iterdir()):
                shutil.copy2(path, new)
            shutil.rmtree(_aside(folder), ignore_errors=True)
            folder.rename(_aside(folder))
        new.rename(folder)
    finally:
        _recover(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(_aside(folder), ignore_errors=True)


def _is_job_output(path: Path) -> bool:
    """Whether SLURM wrote a file here, where a job was submitted."""
    return path.match("slurm-*.out")


def _is_cache(path: Path) -> bool:
    """Whether Python wrote it, for a script that was imported; it can be lost."""
    return path.name == "__pycache__"


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    """Put the old folder back if a crash came between the two renames."""
    if _aside(folder).is_dir() and not folder.exists():
        _aside(folder).rename(folder)
