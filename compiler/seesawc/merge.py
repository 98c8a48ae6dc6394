"""The texts of several scripts -> one text, and a table of what differs between them."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, count, pairwise
from typing import Any

from attrs import define, field, frozen

from seesawc.literals import Verbatim, literal

# Libraries whose names may stand in the table, such as nn.SiLU: it comes before all definitions.
LIBRARIES = ("nn", "torch")
# Columns that the table has for purposes of its own.
TAKEN = ("point", "script")
WIDTH = 100


@frozen
class Merged:
    """The one text of each group of texts, and each script's row of the table."""

    texts: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]


@frozen
class Hole:
    """A value in a statement that another script may have otherwise; a slice of the text."""

    start: int
    stop: int
    name: str
    value: Any


@frozen
class Statement:
    """A statement at top level, with the empty lines and comments above it."""

    above: str
    text: str
    name: str
    # The text of all but the values: statements of one shape differ in their holes only.
    shape: str
    holes: tuple[Hole, ...]

    @property
    def is_setting(self) -> bool:
        """Whether it gives one value a name."""
        return [hole.name for hole in self.holes] == [self.name]


def merge(scripts: Sequence[tuple[str, ...]]) -> Merged:
    """Merge texts of scripts: each script has the same number of them, in the same order.

    A value that differs becomes `POINT["name"]`; a statement that differs otherwise is written once
    for each variant, and `POINT` says which a script has.
    """
    merging = _Merging(len(scripts))
    texts = tuple(
        merging.text([_statements(text) for text in each]) for each in zip(*scripts, strict=True)
    )
    return Merged(texts, tuple(merging.rows))


@define
class _Merging:
    """The table so far: a row for each script."""

    size: int
    rows: list[dict[str, Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = [{} for _ in range(self.size)]

    def text(self, scripts: Sequence[tuple[Statement, ...]]) -> str:
        """Merge one text of each script."""
        named = [{each.name: each for each in statements} for statements in scripts]
        return "\n".join(
            self.statement(name, [each.get(name) for each in named]) for name in _order(scripts)
        )

    def statement(self, name: str, found: Sequence[Statement | None]) -> str:
        """Merge a statement; the scripts that lack it have None."""
        shapes: dict[str, dict[int, Statement]] = {}
        for index, each in enumerate(found):
            if each is not None:
                shapes.setdefault(each.shape, {})[index] = each
        variants = list(shapes.values())
        first = next(iter(variants[0].values()))
        owners = {index for variant in variants for index in variant}
        partial = len(owners) < self.size
        if len(variants) == 1:
            text = self.filled(name, variants[0], always=partial and first.is_setting)
            if partial and first.is_setting:
                text = _indented(f'if "{name}" in POINT:', text)
            return first.above + text
        texts = []
        for number, variant in enumerate(variants, 1):
            above = next(iter(variant.values())).above
            text = self.filled(name, variant, always=False)
            texts.append(above + re.sub(rf"\b{name}\b", f"{name}_{number}", text, count=1))
        chosen = {i: number for number, variant in enumerate(variants, 1) for i in variant}
        column = self.column([name, f"{name}_variant"], chosen)
        gap = "\n" if first.text.startswith("def ") else ""
        above = f"{gap}\n# Which of them the point has."
        choice = _choice(name, len(variants), column)
        if partial:
            choice = _indented(f'if "{column}" in POINT:', choice)
        return "\n".join([*texts, above, choice])

    def filled(self, name: str, found: dict[int, Statement], *, always: bool) -> str:
        """Return the text of statements of one shape; what differs between them is looked up."""
        first = next(iter(found.values()))
        text, end = "", 0
        for number, hole in enumerate(first.holes):
            values = {index: each.holes[number].value for index, each in found.items()}
            if always or len({literal(value) for value in values.values()}) > 1:
                names = [hole.name, f"{name}_{hole.name}"]
                column = self.column(names, values)
                text += f'{first.text[end : hole.start]}POINT["{column}"]'
                end = hole.stop
        return text + first.text[end:]

    def column(self, names: list[str], values: dict[int, Any]) -> str:
        """Put values into the first column that has room for them, or has them already."""
        name = next(name for name in _names(names) if self.has_room(name, values))
        for index, value in values.items():
            self.rows[index][name] = value
        return name

    def has_room(self, name: str, values: dict[int, Any]) -> bool:
        """Whether no script has another value in a column."""
        return all(
            literal(self.rows[index].get(name, value)) == literal(value)
            for index, value in values.items()
        )


def _names(first: list[str]) -> Iterator[str]:
    yield from (name for name in first if name not in TAKEN)
    yield from (f"{first[-1]}_{number}" for number in count(2))


def _choice(name: str, size: int, column: str) -> str:
    options = [f"{number}: {name}_{number}" for number in range(1, size + 1)]
    line = f'{name} = {{{", ".join(options)}}}[POINT["{column}"]]'
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {option},\n" for option in options)
    return f'{name} = {{\n{inner}}}[POINT["{column}"]]'


def _indented(head: str, text: str) -> str:
    return "\n".join([head, *(f"    {line}" for line in text.split("\n"))])


def _order(scripts: Sequence[tuple[Statement, ...]]) -> list[str]:
    """Return the names of all statements: one that the first lacks follows what it follows."""
    order: list[str] = []
    for names in dict.fromkeys(tuple(each.name for each in statements) for statements in scripts):
        place = 0
        for name in names:
            if name in order:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                place += 1
    return order


def _statements(text: str) -> tuple[Statement, ...]:
    """Cut a text into its statements; what stands below the last one is left out."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if re.match("[A-Za-z_]", line)]
    found, above = [], 0
    for start, stop in pairwise([*starts, len(lines)]):
        while not lines[stop - 1] or lines[stop - 1].startswith("#"):
            stop -= 1
        comments = "".join(f"{line}\n" for line in lines[above:start])
        found.append(Statement(comments, *_parsed("\n".join(lines[start:stop]))))
        above = stop
    return tuple(found)


@cache
def _parsed(text: str) -> tuple[str, str, str, tuple[Hole, ...]]:
    """Return a statement's text, name, shape and holes; scripts of a sweep repeat most texts."""
    (node,) = ast.parse(text).body
    starts = (0, *accumulate(len(line) + 1 for line in text.split("\n")))
    name = _name(node) or text
    holes = []
    for hole, value in _values(node, name):
        assert value.end_lineno is not None
        assert value.end_col_offset is not None
        start = starts[value.lineno - 1] + value.col_offset
        stop = starts[value.end_lineno - 1] + value.end_col_offset
        holes.append(Hole(start, stop, hole, _value(value)))
    holes.sort(key=lambda hole: hole.start)
    edges = [0, *(edge for hole in holes for edge in (hole.start, hole.stop)), len(text)]
    shape = "\0".join(text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True))
    return text, name, shape, tuple(holes)


def _name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(name)):
            return name
        case ast.Assign(targets=[ast.Name(name)]):
            return name
        case ast.Assign(targets=[ast.Tuple(names)]):
            return "_".join(each.id for each in names if isinstance(each, ast.Name))
    return ""


def _values(node: ast.AST, name: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the values that have a name: of settings, keyword arguments and items of dicts."""
    match node:
        case ast.JoinedStr():
            return
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            named = [(name, value)] if name else []
        case ast.keyword(arg=str(argument), value=value):
            named = [(argument, value)]
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            named = [(str(k.value), v) for k, v in pairs if isinstance(k, ast.Constant)]
        case _:
            named = []
    literals = [(key, value) for key, value in named if _value(value) is not NotImplemented]
    yield from literals
    taken = [value for _, value in literals]
    for child in ast.iter_child_nodes(node):
        if child not in taken:
            # Only what stands at the top level is a setting.
            yield from _values(child, "")


def _value(node: ast.expr) -> Any:
    """Return the value of a literal, or the name of something in a library."""
    match node:
        case ast.Call(ast.Name("float"), [ast.Constant(str(text))]):
            return float(text)
        case ast.Attribute(ast.Name(library)) | ast.Attribute(ast.Attribute(ast.Name(library))):
            return Verbatim(ast.unparse(node)) if library in LIBRARIES else NotImplemented
    try:
        return ast.literal_eval(node)
    except ValueError:
        return NotImplemented
