"""The folder in which a fake factor is handed on: its network, and all that applies it."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from parts.cracks import Crack
from parts.exports import FakeFactor, export
from parts.machinery.code import listed_files
from parts.machinery.places import digest, sync_folder, write_atomically
from parts.machinery.ratios import NETWORK, deployment

# The script that applies the network.
APPLY = "apply.py"


def deploy(
    source: Path,
    run: Path,
    log_ratio: nn.Module,
    *,
    features: dict[str, Tensor],
    names: dict[str, tuple[str, ...]],
    missing: float | None,
    crack: Crack | None = None,
) -> Path:
    """Return a folder of the run, with F = e^log_ratio and, copied from `source`, what applies it.

    It is there whole or not at all. Without the script or one of its parts in `source`, the network
    lies there alone. For the rest see `export`.
    """
    folder = deployment(run)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    needed = needed_files(source, APPLY)
    lacking = [name for name in needed if not is_readable(source / name)]
    if lacking:
        print(f"{folder} has the network alone: {source} lacks {', '.join(lacking)}")
    listed = listed_files(source / "resolved.toml", source / "parts" / "SHA256SUMS")
    digests = {name: digest(source / name) for name in needed if name not in lacking}
    if edited := [name for name, value in digests.items() if listed.get(name, value) != value]:
        print(f"{folder} has what was edited by hand: {', '.join(edited)}")
    try:
        export(FakeFactor(log_ratio), unfinished / NETWORK, features, names, missing, crack)
        for name in [] if lacking else needed:
            copy = unfinished / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, (source / name).read_bytes())
        if not lacking:
            sums = "".join(f"{value}  {name}\n" for name, value in digests.items())
            write_atomically(unfinished / "SHA256SUMS", sums.encode())
        # What a start has left that was killed before its end.
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except BaseException:
        # What did not fit on a full disk must not keep it full.
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return folder


def needed_files(source: Path, script: str) -> list[str]:
    """Return a script and the parts that it needs, by their paths below `source`, there or not."""
    found: list[str] = []
    left = [script]
    while left:
        name = left.pop()
        if name not in found:
            found.append(name)
            if is_readable(source / name):
                left += imported_parts(source, (source / name).read_bytes())
    return sorted(found)


def is_readable(path: Path) -> bool:
    """Whether a file is there, and is Python."""
    try:
        ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def imported_parts(source: Path, text: bytes) -> Iterator[str]:
    """Yield the files of the parts that a text imports, and those of their packages."""
    for node in ast.walk(ast.parse(text)):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        package, *names = module.split(".")
        if package == "parts":
            folders = [Path(package, *names[:depth]) for depth in range(len(names))]
            packages = ((folder / "__init__.py").as_posix() for folder in folders)
            yield from (name for name in packages if (source / name).is_file())
            yield Path(package, *names).with_suffix(".py").as_posix()
