"""The scripts of a sweep's points -> one: constants become columns of a table, blocks variants."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import define, field, frozen

from seesawc.writing import imports
from seesawc.writing.literals import WIDTH, Verbatim, literal
from seesawc.writing.settings import Group, IfThere

# Columns that the table has for purposes of its own.
TAKEN = ("point", "script")


@frozen
class Merged:
    """What one script has for all points: its constants, its body, and a row for each point."""

    groups: tuple[Group, ...]
    body: str
    rows: tuple[dict[str, Any], ...]


@define
class _Table:
    """The table of points so far: a row for each."""

    size: int
    # Constants that a statement outside functions uses, also for points that lack them.
    asked_for: frozenset[str]
    rows: list[dict[str, Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = [{} for _ in range(self.size)]

    def column(self, name: str, values: dict[int, Any]) -> str:
        """Give points their values in a column of their own, and return its name."""
        name = f"{name}_" if name in TAKEN or any(name in row for row in self.rows) else name
        for index, value in values.items():
            self.rows[index][name] = value
        return name


def merge(points: Sequence[tuple[Sequence[Group], str]]) -> Merged:
    """Merge the constants and the bodies of scripts, those of one spec's points."""
    cut = [blocks(body) for _, body in points]
    table = _Table(len(points), _asked_for(cut))
    groups = tuple(_groups([constants for constants, _ in points], table))
    body = "".join(_blocks(cut, table)).lstrip("\n")
    return Merged(groups, body, tuple(table.rows))


def _groups(points: Sequence[Sequence[Group]], table: _Table) -> Iterator[Group]:
    titles = _order([group.title for group in groups] for groups in points)
    for title in titles:
        found = [
            {name: v for g in groups if g.title == title for name, v in g.values.items()}
            for groups in points
        ]
        values = {}
        for name in _order(found):
            own = {index: each[name] for index, each in enumerate(found) if name in each}
            values[name] = next(iter(own.values()))
            if name in table.asked_for:
                own = {index: each.get(name) for index, each in enumerate(found)}
            everywhere = len(own) == table.size
            if not everywhere or len({literal(value) for value in own.values()}) > 1:
                column = table.column(name.replace(", ", "_").lower(), own)
                # What a point lacks is no setting of its run.
                text = Verbatim(f'POINT["{column}"]')
                values[name] = text if everywhere else IfThere(column)
        yield Group(title, values)


def _asked_for(points: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """Return the names that blocks use which are no functions."""
    texts = {text for cut in points for text in cut.values() if not re.search("^def ", text, re.M)}
    return frozenset().union(*map(imports.free_names, texts))


def _blocks(points: Sequence[Mapping[str, str]], table: _Table) -> Iterator[str]:
    """Yield the blocks of all bodies; one that differs stands there once for each variant."""
    for name in _order(points):
        own = {index: cut[name] for index, cut in enumerate(points) if name in cut}
        texts = {text: number for number, text in enumerate(dict.fromkeys(own.values()), 1)}
        if len(texts) == 1:
            yield from texts
            continue
        numbers = {index: texts[text] for index, text in own.items()}
        # In lower case: none is a constant of the script.
        variant = name.lower()
        for text, number in texts.items():
            # The name is first where it is defined.
            defined = rf"\g<1>{variant}_{number}"
            yield re.sub(rf"^(def )?{name}\b", defined, text, count=1, flags=re.M)
        column = table.column(variant, numbers)
        # A point that lacks it calls none of them.
        chosen = f'["{column}"]' if len(own) == table.size else f'.get("{column}", 1)'
        choice = _choice(name, len(texts), f"POINT{chosen}")
        first = next(iter(texts))
        gap = "\n" * (len(first) - len(first.lstrip("\n")))
        yield f"{gap}# Which of them the point has.\n{choice}"


@cache
def blocks(body: str) -> Mapping[str, str]:
    """Return the blocks of a body by what they define, each with the empty lines above it."""
    _, *rest = re.split(r"(\n\n+)(?=\S)", f"\n\n{body}")
    blocks = [gap + text for gap, text in zip(rest[::2], rest[1::2], strict=True)]
    names = [re.findall(r"^(?:def )?(\w+)(?:\(| =)", block, re.M) for block in blocks]
    return {name[-1] if name else block: block for name, block in zip(names, blocks, strict=True)}


def _choice(name: str, size: int, chosen: str) -> str:
    options = [f"{number}: {name.lower()}_{number}" for number in range(1, size + 1)]
    line = f"{name} = {{{', '.join(options)}}}[{chosen}]"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {option},\n" for option in options)
    return f"{name} = {{\n{inner}}}[{chosen}]"


def _order(lists: Iterable[Iterable[str]]) -> list[str]:
    """Return the names of all lists: one that the first lacks follows what it follows."""
    order: list[str] = []
    for names in dict.fromkeys(map(tuple, lists)):
        place = 0
        for name in names:
            if name in order:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                place += 1
    return order
