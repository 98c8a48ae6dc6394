"""The folder in which a trained network is handed on, and all that applies it."""

import ast
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from parts.machinery.code import listed_files, sums
from parts.machinery.deployed_places import deployment
from parts.machinery.places import sync_folder, write_atomically

# The script that applies a network.
APPLY = "apply.py"


def write_deployment(source: Path, run: Path, networks: Mapping[str, bytes]) -> Path:
    """Return a folder of the run with files of networks and, from `source`, what applies them.

    It is there whole or not at all. Without the script or one of its parts in `source`, the
    networks lie there alone.
    """
    folder, unfinished = deployment(run), unfinished_deployment(run)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for name, content in with_digests(applying(source, folder), networks).items():
            copy = unfinished / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, content)
        # What a start has left that was killed before its end.
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except BaseException:
        # What did not fit on a full disk must not keep it full.
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return folder


def remove_deployment(run: Path) -> None:
    """Remove what a start has left that was killed before its end."""
    for folder in (deployment(run), unfinished_deployment(run)):
        shutil.rmtree(folder, ignore_errors=True)


def unfinished_deployment(run: Path) -> Path:
    """Return where the folder is put together."""
    return run / f"{deployment(run).name}.unfinished"


def applying(source: Path, folder: Path) -> dict[str, bytes]:
    """Return what applies a network, by paths below `source`; say what `folder` will lack of it."""
    needed = needed_files(source, APPLY)
    lacking = [name for name, content in needed.items() if content is None]
    if lacking:
        print(f"{folder} has the network alone: {source} lacks {', '.join(lacking)}")
        return {}
    there = {name: content for name, content in needed.items() if content is not None}
    compiled = listed_files(source / "resolved.toml", source / "parts" / "SHA256SUMS")
    digests = digests_of(there)
    if edited := [name for name, value in digests.items() if compiled.get(name, value) != value]:
        print(f"{folder} has what was edited by hand: {', '.join(edited)}")
    return there


def with_digests(applied: Mapping[str, bytes], networks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files and, where they are whole, the list of their digests."""
    files = {**applied, **networks}
    return {**files, "SHA256SUMS": sums(digests_of(files))} if applied else files


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of files by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def needed_files(source: Path, script: str) -> dict[str, bytes | None]:
    """Return a script and the parts that it needs, by their paths below `source`.

    None stands for one that is not there, or is no Python.
    """
    found: dict[str, bytes | None] = {}
    left = [script]
    while left:
        name = left.pop()
        if name in found:
            continue
        try:
            content = (source / name).read_bytes()
            left += imported_parts(source, ast.parse(content))
            found[name] = content
        except (OSError, SyntaxError, ValueError):
            found[name] = None
    return dict(sorted(found.items()))


def imported_parts(source: Path, tree: ast.Module) -> Iterator[str]:
    """Yield the files of the parts that a module imports, and those of their packages."""
    for node in ast.walk(tree):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        package, *names = module.split(".")
        if package == "parts":
            folders = [Path(package, *names[:depth]) for depth in range(len(names))]
            packages = ((folder / "__init__.py").as_posix() for folder in folders)
            yield from (name for name in packages if (source / name).is_file())
            yield Path(package, *names).with_suffix(".py").as_posix()
