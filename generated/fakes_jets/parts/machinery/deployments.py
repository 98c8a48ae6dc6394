"""The folder in which a fake factor is handed on: its network, and all that applies it."""

import ast
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from parts.cracks import Crack
from parts.datasets import Dataset
from parts.events import Events
from parts.exports import FakeFactor, export, seen_by
from parts.machinery.code import listed_files, sums
from parts.machinery.places import sync_folder, write_atomically
from parts.machinery.ratios import NETWORK, deployment

# The script that applies the network.
APPLY = "apply.py"


def deploy(
    source: Path,
    run: Path,
    log_ratio: nn.Module,
    *,
    splits: tuple[Events, Events],
    dataset: Dataset,
    crack: Crack | None = None,
) -> Path:
    """Return a folder of the run, with F = e^log_ratio and, copied from `source`, what applies it.

    It is there whole or not at all. Without the script or one of its parts in `source`, the network
    lies there alone. Of `splits`, training and test, the file keeps what there was in the first,
    and is compared with the network on the second. For the rest see `export`.
    """
    folder = deployment(run)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    needed = needed_files(source, APPLY)
    lacking = [name for name, content in needed.items() if content is None]
    if lacking:
        print(f"{folder} has the network alone: {source} lacks {', '.join(lacking)}")
    listed = listed_files(source / "resolved.toml", source / "parts" / "SHA256SUMS")
    there = {name: content for name, content in needed.items() if content is not None}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in there.items()}
    if edited := [name for name, value in digests.items() if listed.get(name, value) != value]:
        print(f"{folder} has what was edited by hand: {', '.join(edited)}")
    try:
        seen = seen_by(log_ratio, by_input(splits[0]), dataset)
        network = FakeFactor(log_ratio)
        export(network, unfinished / NETWORK, by_input(splits[1]), dataset, crack, seen)
        for name, content in {} if lacking else {**there, "SHA256SUMS": sums(digests)}.items():
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


def by_input(events: Events) -> dict[str, Tensor]:
    """Return the features of events, (event, feature) for each input of a network."""
    return {"numerical": events.numerical, "categorical": events.categorical}


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
