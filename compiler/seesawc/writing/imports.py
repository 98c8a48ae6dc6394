"""The text of a script -> its import block: every name that it uses and does not define."""

import builtins
import re
import symtable
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from seesawc.writing.literals import WIDTH

# What a script may use besides parts: one place and one spelling for each name.
LIBRARIES = {
    "Any": "typing",
    "EarlyStopping": "lightning.pytorch.callbacks",
    "Final": "typing",
    "Iterable": "collections.abc",
    "OptimizerLRScheduler": "lightning.pytorch.utilities.types",
    "Path": "pathlib",
    "Trainer": "lightning.pytorch",
    "argparse": "",
    "nn": "torch",
    "np": "numpy as np",
    "partial": "functools",
    "sys": "",
    "torch": "",
}
OWN = {"__file__", "__doc__", "__name__"}
# Of a name, to be sorted: digits are one piece, and other characters one each.
Pieces = tuple[tuple[str, int], ...]


def modules(names: Iterable[str], homes: Mapping[str, str]) -> frozenset[str]:
    """Return the parts that define names."""
    return frozenset(homes[name] for name in names if name in homes)


def block(names: Iterable[str], homes: Mapping[str, str]) -> str:
    """Return the import block of names, sorted and wrapped as ruff does it."""
    lines: dict[tuple[int, bool, str], list[str]] = {}
    for name in sorted(names, key=_member_order):
        assert name in homes or name in LIBRARIES, f"no part defines {name}"
        module = LIBRARIES[name] if name in LIBRARIES else homes[name]
        if " as " in module or not module:
            lines[_group(module or name), False, module or name] = []
        else:
            lines.setdefault((_group(module), True, module), []).append(name)
    blocks: dict[int, list[str]] = {}
    order = sorted(lines.items(), key=lambda line: (*line[0][:2], _natural_order(line[0][2])))
    for (group, _, module), members in order:
        blocks.setdefault(group, []).append(_statement(module, members))
    return "\n\n".join("\n".join(block) for block in blocks.values())


def _group(module: str) -> int:
    """Tell the standard library, libraries and parts apart, in this order."""
    root = re.split(r"[. ]", module)[0]
    return 0 if root in sys.stdlib_module_names else 2 if root == "parts" else 1


def _member_order(name: str) -> tuple[int, tuple[Pieces, Pieces]]:
    """Order constants, classes, and the rest; ruff takes a single capital for a class."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, _natural_order(name)


@cache
def _natural_order(name: str) -> tuple[Pieces, Pieces]:
    """Return a key that takes digits as a number, and tells cases apart last."""
    lower, own = (
        tuple(("0", int(run)) if run.isdigit() else (run, 0) for run in re.findall(r"\d+|\D", text))
        for text in (name.lower(), name)
    )
    return lower, own


def _statement(module: str, members: list[str]) -> str:
    if not members:
        return f"import {module}"
    line = f"from {module} import {', '.join(members)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in members), ")"])


@cache
def free_names(text: str) -> frozenset[str]:
    """Return the names that Python looks up in a module of this text and does not find there."""
    table = symtable.symtable(text, "script", "exec")
    here = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_namespace()}
    return frozenset(_looked_up(table)) - here - set(dir(builtins)) - OWN


def _looked_up(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _looked_up(child)
