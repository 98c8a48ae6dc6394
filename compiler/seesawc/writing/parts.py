"""Modules of parts: which of them a script builds on, their digest, and what it needs besides."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from attrs import field, frozen

from seesawc.writing import outputs

# A module of a library, and the distribution that it comes from, where their names differ.
DISTRIBUTIONS = {"lightning_fabric": "lightning"}
# What stands at the left end of a line of a part is code; to parse them all would take longer than
# all the rest of a build.
DEFINED = re.compile(r"^(?:(?:def|class) (\w+)|(\w+)(?:: [^=\n]+)? = )", re.MULTILINE)
IMPORTED = re.compile(r"^[ ]*from (parts(?:\.\w+)*) import ", re.MULTILINE)
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
    digest: str = field(init=False)

    @digest.default
    def _digest(self) -> str:
        return outputs.digest(self.text)


@cache
def library(folder: Path) -> Mapping[str, Part]:
    """Return the parts below the folder of templates by module name."""
    found = {}
    for path in sorted((folder / "parts").rglob("*.py")):
        module = ".".join(path.relative_to(folder).with_suffix("").parts)
        text = path.read_text(encoding="ascii")
        found[module.removesuffix(".__init__")] = Part(
            path.relative_to(folder).as_posix(),
            text,
            tuple(defined(text)),
            tuple(dict.fromkeys(imported(text))),
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


def defined(text: str) -> Iterator[str]:
    """Yield what a module defines: functions, classes and constants."""
    for match in DEFINED.finditer(text):
        yield match[1] or match[2]


def imported(text: str) -> Iterator[str]:
    """Yield the parts that a module imports, wherever in it, and the packages that they lie in."""
    for match in IMPORTED.finditer(text):
        names = match[1].split(".")
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
    found = {part.file: part.digest for part in parts}
    return "".join(f"{value}  {file}\n" for file, value in sorted(found.items()))


def files(parts: Iterable[Part]) -> dict[str, str]:
    """Return the files that scripts with these parts need beside them."""
    texts = {part.file: part for part in parts}
    needed = [texts[file] for file in sorted(texts)]
    return {outputs.SUMS: sums(needed), **{part.file: part.text for part in needed}}


def needed_by(folder: Path, text: str) -> tuple[Part, ...]:
    """Return all parts that a text builds on, by what it imports."""
    return closure(folder, frozenset(imported(text)))
