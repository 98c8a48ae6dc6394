"""Modules of parts: which of them a script builds on, their digest, and what it needs besides."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from attrs import frozen

from seesawc.writing import outputs

# A module of a library, and the distribution that it comes from, where their names differ.
DISTRIBUTIONS = {"lightning_fabric": "lightning"}
# What identifies a script before it is known which parts it imports.
UNKNOWN = "0" * 64


@frozen
class Part:
    """One module of parts: its file, its text, what it defines and what it imports."""

    file: str
    text: str
    names: tuple[str, ...]
    # Other parts, with the packages that they lie in.
    parts: tuple[str, ...]
    distributions: frozenset[str]


@cache
def library(folder: Path) -> Mapping[str, Part]:
    """Return the parts below the folder of templates by module name."""
    found = {}
    for path in sorted((folder / "parts").rglob("*.py")):
        module = ".".join(path.relative_to(folder).with_suffix("").parts)
        text = path.read_text(encoding="ascii")
        tree = ast.parse(text)
        found[module.removesuffix(".__init__")] = Part(
            path.relative_to(folder).as_posix(),
            text,
            tuple(name for node in tree.body for name in _defined(node)),
            tuple(dict.fromkeys(imported(tree))),
            frozenset(distributions(text)),
        )
    return found


@cache
def homes(folder: Path) -> Mapping[str, str]:
    """Return which part defines each name."""
    found: dict[str, str] = {}
    for module, part in library(folder).items():
        for name in part.names:
            assert name not in found, f"{name} is defined by {found[name]} and {module}"
            found[name] = module
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the parts that a module imports, wherever in it, and the packages that they lie in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("parts."):
            names = str(node.module).split(".")
            yield from (".".join(names[: end + 1]) for end in range(len(names)))


def distributions(text: str) -> set[str]:
    """Return the distributions that a text imports from at its top level."""
    modules = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    return {DISTRIBUTIONS.get(m, m) for m in modules - sys.stdlib_module_names - {"parts"}}


@cache
def closure(folder: Path, modules: frozenset[str]) -> tuple[Part, ...]:
    """Return all parts that some of them build on, these included, in the order of their files."""
    known = library(folder)
    found: dict[str, Part] = {}
    left = sorted(modules)
    while left:
        module = left.pop()
        if module not in found:
            found[module] = known[module]
            left += known[module].parts
    return tuple(sorted(found.values(), key=lambda part: part.file))


@cache
def digest(parts: tuple[Part, ...]) -> str:
    """Return one digest of parts, as a script works it out when it starts."""
    return outputs.digest(sums(parts))


def sums(parts: Iterable[Part]) -> str:
    """Return the list of digests that `sha256sum --check` takes."""
    found = {part.file: outputs.digest(part.text) for part in parts}
    return "".join(f"{value}  {file}\n" for file, value in sorted(found.items()))


def files(parts: Iterable[Part]) -> dict[str, str]:
    """Return the files that scripts with these parts need beside them."""
    texts = {part.file: part for part in parts}
    needed = [texts[file] for file in sorted(texts)]
    return {outputs.SUMS: sums(needed), **{part.file: part.text for part in needed}}


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
            yield name


def needed_by(folder: Path, text: str) -> tuple[Part, ...]:
    """Return all parts that a text builds on, by what it imports."""
    return closure(folder, frozenset(imported(ast.parse(text))))
