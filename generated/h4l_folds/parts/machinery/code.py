"""The code that runs: a script and what it imports, whether somebody edited it, and a copy."""

import hashlib
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from parts.machinery.exits import RefusedError
from parts.machinery.places import write_atomically

# Beside the runs of an experiment; no run's name begins with a dot.
KEPT = ".code"


@dataclass(frozen=True)
class Code:
    """A script and the parts that it has imported, as they lie in its folder."""

    script: Path
    # What a run is known by: the SHA-256 of the script, or of a point's own plain script, which
    # says what the parts must be; more is added where somebody has edited something.
    identity: str
    # SHA-256 of all files together.
    digest: str
    # By their paths below the script's folder.
    edited: tuple[str, ...]
    # By the same paths, as they were when the script began.
    files: dict[str, bytes]

    @property
    def resolved(self) -> Path | None:
        """What the script was compiled from; None where that is not what runs, or is not there."""
        path = self.script.with_name("resolved.toml")
        return path if path.exists() and not self.edited else None

    def keep(self, experiment: Path) -> Path:
        """Copy the code below an experiment's folder, once for all runs that have the same."""
        folder = experiment / KEPT / self.digest
        for name, content in self.files.items():
            copy = folder / name
            if not copy.exists() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(copy, content)
        # It may differ in what no script has: the batch job, say.
        if self.resolved and not (folder / self.resolved.name).exists():
            write_atomically(folder / self.resolved.name, self.resolved.read_bytes())
        return folder

    def changed_since(self, kept: Path) -> list[str]:
        """Return which files differ from those that were kept; none if nothing was."""
        there = {p.relative_to(kept).as_posix(): p.read_bytes() for p in kept.rglob("*.py")}
        names = sorted(self.files.keys() | there.keys()) if there else []
        return [name for name in names if self.files.get(name) != there.get(name)]


def code_of(script: Path, parts: str, planned: str | None = None) -> Code:
    """Return the code that runs; `parts` and `planned` are digests that the script was given.

    `planned` is that of the plain script of a sweep's point: so a point goes on although others
    were added to the sweep.
    """
    script = script.resolve()
    contents = {script.name: script.read_bytes(), **imported(script.parent)}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    found = {name: value for name, value in files.items() if name != script.name}
    listed = listed_files(script.with_name("resolved.toml"), script.parent / "parts" / "SHA256SUMS")
    edited = tuple(name for name, value in files.items() if listed.get(name, value) != value)
    if digest_of(found) != parts and not any(name in found for name in edited):
        # Somebody has changed the list of digests as well.
        edited = (*edited, "parts")
    everything = digest_of(files)
    identity = planned or files[script.name]
    # An edited plain script has another digest as it is. That of a sweep, alone, may be any.
    if (edited and edited != (script.name,)) or (planned and (edited or script.name not in listed)):
        identity += f"+{everything}"
    return Code(script, identity, everything, edited, contents)


def imported(folder: Path) -> dict[str, bytes]:
    """Return the parts that this process has imported from a script's folder, by path.

    None lie there if the script was started with those of another folder.
    """
    # It may have been reached by a link.
    above = Path(__file__).parents[2]
    if above.resolve() != folder:
        return {}
    named = sorted(name for name in sys.modules if name.partition(".")[0] == "parts")
    files = [getattr(sys.modules[name], "__file__", None) for name in named]
    found = [Path(file) for file in files if file]
    return {path.relative_to(above).as_posix(): path.read_bytes() for path in found}


def digest_of(files: dict[str, str]) -> str:
    """Return one digest of files: that of their list."""
    return hashlib.sha256(sums(files)).hexdigest()


def sums(files: dict[str, str]) -> bytes:
    """Return the list of digests, sorted by name, as sha256sum prints and checks it."""
    return "".join(f"{value}  {name}\n" for name, value in sorted(files.items())).encode()


def listed_files(record: Path, sums: Path) -> dict[str, str]:
    """Return the digests that files were compiled with, as far as the lists are there.

    Raises `RefusedError` for a list that cannot be read.
    """
    listed: dict[str, str] = {}
    try:
        if record.exists():
            listed |= tomllib.loads(record.read_bytes().decode())["build"]["files"]
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{record} cannot be read: {error!r}; build the spec again") from error
    try:
        if sums.exists():
            lines = (line.split("  ", 1) for line in sums.read_bytes().decode().splitlines())
            listed |= {name: value for value, name in lines}
    except ValueError as error:
        raise RefusedError(f"{sums} cannot be read: {error!r}; build the spec again") from error
    return listed
