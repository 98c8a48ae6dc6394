"""Where things lie: `${NAME}` in paths, and files that a crash leaves old or new, never half."""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from uuid import uuid4

from parts.machinery.exits import RefusedError, is_disk_full

# Where a run started by hand goes if the site's variables are not set.
FALLBACKS = {"ANALYSIS_ML_LOGS_DIR": "logs", "ANALYSIS_ML_RESULTS_DIR": "results"}


def expand(path: str, base: Path) -> Path:
    """Return `path` with its `${NAME}` filled in; a relative one starts at `base`.

    What a variable says relatively starts where the run does, as it would in a shell.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ and name in FALLBACKS:
            place = Path.cwd() / FALLBACKS[name]
            print(f"{name} is not set, using {place}", file=sys.stderr)
            return str(place)
        if not os.environ.get(name):
            raise RefusedError(f"the variable {name} is not set; {path} needs it")
        return os.environ[name]

    base = Path.cwd() if path.startswith("${") else base
    return (base / re.sub(r"\$\{([A-Z0-9_]+)\}", value, path)).resolve()


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new."""
    # The temporary file lies in the same folder: across file systems a move is a copy
    # (Lightning #19970), and without fsync the new name may come before its content.
    # Another machine may be writing the same file in a process of the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex}")
    free = shutil.disk_usage(path.parent).free
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        # What did not fit on a full disk must not keep it full.
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and is_disk_full(error):
            text = f"no space left for {path}: {len(data)} bytes needed, {free} free"
            raise OSError(error.errno, text) from error
        raise
    sync_folder(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing atomically, there and below."""
    for path in folder.rglob(".*.[0-9]*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a folder's new names survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file is there, as it was written."""
    return path.is_file() and digest(path) == sha256
