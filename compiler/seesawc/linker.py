"""From the names of definitions to their text and imports, copied out of the folder of parts."""

import ast
import builtins
import re
import symtable
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from attrs import define, field, frozen

from seesawc.diagnostics import CompileError, Diagnostic, Span, did_you_mean

_LINE_LENGTH = 100


@frozen
class Section:
    """What a script takes from one part: its title, and its definitions as they are written."""

    title: str
    text: str


@frozen
class Linked:
    """The import block of a script, and its sections: each after those that it uses."""

    imports: str
    sections: tuple[Section, ...]


@frozen
class _Import:
    """`import module as alias`, or `from module import symbol as alias`."""

    module: str
    symbol: str | None
    alias: str | None
    span: Span = field(eq=False)

    @property
    def name(self) -> str:
        return self.alias or self.symbol or self.module.partition(".")[0]

    @property
    def part(self) -> str | None:
        return self.module.removeprefix("parts.") if _is_part(self.module) else None

    def __str__(self) -> str:
        source = f"from {self.module} " if self.symbol else ""
        text = f"{source}import {self.symbol or self.module}"
        return f"{text} as {self.alias}" if self.alias else text

    def clashing(self, bound: Iterable["_Import"]) -> "_Import | None":
        """Return what binds the name to something else; `import a.b` only adds to `import a`."""
        for other in bound:
            if self != other and (self.symbol or self.alias or other.symbol or other.alias):
                return other
        return None


@frozen
class _Definition:
    """A constant, function or class; `start` and `stop` slice its lines out of the part."""

    name: str
    node: ast.stmt
    span: Span
    start: int
    stop: int

    @property
    def is_constant(self) -> bool:
        return isinstance(self.node, ast.Assign | ast.AnnAssign)


@frozen
class _Part:
    """One file of parts."""

    path: str
    title: str
    lines: list[str]
    imports: dict[str, list[_Import]] = field(factory=dict, init=False)
    definitions: dict[str, _Definition] = field(factory=dict, init=False)

    def text(self, definition: _Definition) -> str:
        return "\n".join(self.lines[definition.start : definition.stop])

    def span(self, node: ast.stmt | ast.expr | ast.alias) -> Span:
        return Span(self.path, node.lineno, node.col_offset + 1)


def link(folder: Path, wanted: Iterable[str], outline_imports: Iterable[str] = ()) -> Linked:
    """Copy the `wanted` definitions ("part.definition") and all that they use out of `folder`.

    Raises CompileError where a part breaks the contract in templates/README.md.
    """
    linking = _Linking(folder)
    outline = _index("outline imports", "\n".join(outline_imports))
    for definition in outline.definitions.values():
        raise _error("an outline asks for imports only", definition.span)
    for bound in outline.imports.values():
        linking.take(bound)
    for path in sorted(wanted):
        part, _, name = path.rpartition(".")
        linking.keep(part, name, None)
    linking.check_names()
    imports = (each for bound in linking.imports.values() for each in bound)
    return Linked(_import_block(imports), tuple(map(linking.section, linking.ordered())))


@define
class _Linking:
    """What one script has taken from the parts in `folder` so far."""

    folder: Path
    parts: dict[str, _Part] = field(factory=dict, init=False)
    kept: dict[str, _Definition] = field(factory=dict, init=False)
    imports: dict[str, list[_Import]] = field(factory=dict, init=False)
    builtin_uses: dict[str, Span] = field(factory=dict, init=False)

    def keep(self, part_name: str, name: str, asked: Span | None) -> None:
        """Take a definition and what it uses; `asked` is the import that leads to it."""
        if part_name not in self.parts:
            self.parts[part_name] = _read(self.folder / f"{part_name}.py", asked)
        part = self.parts[part_name]
        if not (definition := part.definitions.get(name)):
            hint = did_you_mean(name, part.definitions)
            raise _error(f"part `{part_name}` does not define `{name}`", asked, hint)
        if (namesake := self.kept.get(name)) is definition:
            return
        if namesake:
            raise _error(f"`{name}` is also defined in {namesake.span.path}", definition.span)
        self.kept[name] = definition
        for used in sorted(_uses(part, definition) - {name}):
            if used in part.definitions:
                self.keep(part_name, used, definition.span)
            elif bound := part.imports.get(used):
                # `import a` and `import a.b` both bind `a`: take those whose whole name is used.
                text = part.text(definition)
                self.take([each for each in bound if each.module in text] or bound)
            elif hasattr(builtins, used):
                self.builtin_uses.setdefault(used, definition.span)

    def take(self, imports: Iterable[_Import]) -> None:
        """Take imports, or the definitions that they lead to."""
        for each in imports:
            bound = self.imports.get(each.name, [])
            if each.part and each.symbol:
                self.keep(each.part, each.symbol, each.span)
            elif other := each.clashing(bound):
                raise _error(f"`{each}` and `{other}` bind one name", each.span)
            elif each not in bound:
                self.imports[each.name] = [*bound, each]

    def check_names(self) -> None:
        """Refuse a name that means one thing in its part and another where all stand together."""
        places = {name: bound[0].span for name, bound in self.imports.items()}
        for name in sorted(self.kept.keys() & places.keys()):
            message = f"`{name}` is defined here, and imported in {places[name].path}"
            raise _error(message, self.kept[name].span)
        places |= {name: definition.span for name, definition in self.kept.items()}
        for name in sorted(self.builtin_uses.keys() & places.keys()):
            message = f"`{name}` is a builtin here, but {places[name].path} gives it a meaning"
            raise _error(message, self.builtin_uses[name])

    def ordered(self) -> list[_Part]:
        """Sort the parts: each after those that it imports, else by name."""
        done: dict[str, _Part] = {}

        def visit(name: str, above: tuple[str, ...], asked: Span | None) -> None:
            if name in above:
                raise _error(f"parts use each other: {' -> '.join((*above, name))}", asked)
            if name in done or name not in self.parts:
                return
            imports = [bound[0] for bound in self.parts[name].imports.values()]
            used = {each.part: each.span for each in imports if each.part}
            for other in sorted(used):
                visit(other, (*above, name), used[other])
            done[name] = self.parts[name]

        for name in sorted(self.parts):
            visit(name, (), None)
        return list(done.values())

    def section(self, part: _Part) -> Section:
        """Join the kept definitions of a part as ruff format wants it."""
        kept = [each for each in part.definitions.values() if self.kept.get(each.name) is each]
        text = part.text(kept[0])
        for above, below in pairwise(kept):
            if not (above.is_constant and below.is_constant):
                text += "\n\n"
            elif not all(part.lines[above.stop : below.start]):
                text += "\n"
            text += f"\n{part.text(below)}"
        return Section(part.title, text)


def _is_part(module: str | None) -> bool:
    return f"{module}.".startswith("parts.")


def _error(message: str, span: Span | None, hint: str | None = None) -> CompileError:
    return CompileError(Diagnostic(message, span, hint=hint))


def _read(path: Path, asked: Span | None) -> _Part:
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.py"))
        raise _error(f"there is no part `{path.stem}`", asked, did_you_mean(path.stem, known))
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate([] if text.isascii() else text.split("\n"), 1):
        if found := re.search(r"[^\x00-\x7f]+", line):
            span = Span(str(path), number, found.start() + 1, len(found[0]))
            raise CompileError(Diagnostic("a part is pure ASCII", span, line))
    part = _index(str(path), text)
    if not part.title:
        raise _error("a part begins with a docstring", Span(part.path, 1, 1))
    return part


def _index(path: str, text: str) -> _Part:
    """List what the text of a part holds, refusing anything that copying could break."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _error(error.msg, Span(path, error.lineno or 1, error.offset or 1)) from None
    docstring = ast.get_docstring(tree) or ""
    part = _Part(path, docstring.partition("\n")[0].removesuffix("."), text.split("\n"))
    faults: list[Diagnostic] = []
    above = tree.body[0].end_lineno or 0 if docstring else 0
    for node in tree.body[1 if docstring else 0 :]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            faults += _add_imports(part, node)
        else:
            faults += _add_definition(part, node, above)
        above = node.end_lineno or node.lineno
    if faults:
        raise CompileError(*faults)
    return part


def _add_imports(part: _Part, node: ast.Import | ast.ImportFrom) -> Iterator[Diagnostic]:
    for name in node.names:
        symbol = name.name if isinstance(node, ast.ImportFrom) else None
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else name.name
        alias = None if name.asname == name.name and symbol else name.asname
        new = _Import(module, symbol, alias, part.span(name))
        bound = part.imports.setdefault(new.name, [])
        if isinstance(node, ast.ImportFrom) and node.level:
            yield Diagnostic("a part has no relative imports", new.span)
        elif symbol == "*" or module == "__future__":
            yield Diagnostic("a part has no star imports and no `from __future__`", new.span)
        elif _is_part(module) and (not symbol or module == "parts" or name.asname):
            message = "another part is used by `from parts.<part> import <name>`, without `as`"
            yield Diagnostic(message, new.span)
        elif other := new.clashing(bound):
            yield Diagnostic(f"`{new}` and `{other}` bind one name", new.span)
        elif new.name in part.definitions:
            yield Diagnostic(f"`{new.name}` is both imported and defined", new.span)
        bound.append(new)


def _add_definition(part: _Part, node: ast.stmt, above: int) -> Iterator[Diagnostic]:
    """Add a definition below line `above`, with the comments directly over it and at its end."""
    span, start, stop = part.span(node), node.lineno - 1, node.end_lineno or node.lineno
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            start = min([start, *(each.lineno - 1 for each in node.decorator_list)])
        case (
            ast.Assign(targets=[ast.Name(name)], value=value)
            | ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value)
        ):
            if any(isinstance(each, ast.NamedExpr) for each in ast.walk(value)):
                yield Diagnostic("a constant binds one name only", span)
        case _:
            message = "a part holds only absolute imports, constants, functions and classes"
            yield Diagnostic(message, span)
            return
    if start < above:
        yield Diagnostic("a definition stands on lines of its own", span)
    while start > above and part.lines[start - 1].startswith("#"):
        start -= 1
    for number, line in enumerate(part.lines[stop:], stop + 1):
        if line and not line[0].isspace():
            break
        stop = number if line.strip() else stop
    if name in part.definitions:
        yield Diagnostic(f"`{name}` is defined twice", span)
    if name in part.imports:
        yield Diagnostic(f"`{name}` is both imported and defined", span)
    part.definitions[name] = _Definition(name, node, span, start, stop)


def _uses(part: _Part, definition: _Definition) -> set[str]:
    """Return the names that a definition takes from its module, or from the builtins."""
    try:
        table = symtable.symtable(part.text(definition), part.path, "exec")
    except SyntaxError as error:
        raise _error(error.msg, definition.span) from None
    uses = set(_free_names(table))
    for node in _statements(definition.node):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                annotated = (each for each in ast.walk(node.args) if isinstance(each, ast.arg))
                for annotation in (node.returns, *(each.annotation for each in annotated)):
                    uses.update(_annotation_names(annotation) if annotation else ())
            case ast.AnnAssign():
                uses.update(_annotation_names(node.annotation))
            case ast.ImportFrom() if node.level or _is_part(node.module):
                raise _error("another part is imported at the top level", part.span(node))
            case ast.Import(names) if any(_is_part(each.name) for each in names):
                raise _error("another part is imported at the top level", part.span(node))
    return uses


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a statement and those inside of it; walking all expressions too takes far longer."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for each in getattr(node, block, ()):
            yield from _statements(each)


def _free_names(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield what Python looks up in the module; in a class, also what it may have bound before."""
    kind = table.get_type()
    for symbol in table.get_symbols():
        if kind == "module":
            free = symbol.is_referenced() and not symbol.is_assigned()
        elif kind == "class":
            free = symbol.is_referenced() and not symbol.is_free()
        else:
            free = symbol.is_global()
        if free:
            yield symbol.get_name()
    for child in table.get_children():
        yield from _free_names(child)


def _annotation_names(node: ast.AST) -> Iterator[str]:
    """Yield the names in an annotation, also in what is quoted in it."""
    match node:
        case ast.Name(name):
            yield name
        case ast.Subscript(ast.Name("Literal") | ast.Attribute(attr="Literal")):
            yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
        case ast.Constant(str(quoted)):
            # A string that is not Python is a note, as in `Annotated[float, "in GeV"]`.
            with suppress(SyntaxError):
                yield from _annotation_names(ast.parse(f"({quoted})", mode="eval"))
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _annotation_names(child)


def _import_block(imports: Iterable[_Import]) -> str:
    """Write imports as ruff sorts and wraps them."""
    groups: dict[bool, dict[_Import | str, list[_Import]]] = {True: {}, False: {}}
    for each in sorted(imports, key=_import_order):
        statements = groups[each.module.partition(".")[0] in sys.stdlib_module_names]
        key = each.module if each.symbol and not each.alias else each
        statements.setdefault(key, []).append(each)
    return "\n\n".join("\n".join(map(_statement, g.values())) for g in groups.values() if g)


def _statement(imports: list[_Import]) -> str:
    first, *others = imports
    line = ", ".join([str(first), *(each.name for each in others)])
    if len(line) <= _LINE_LENGTH or not first.symbol:
        return line
    names = [str(each).partition(" import ")[2] for each in imports]
    return "\n".join([f"from {first.module} import (", *(f"    {name}," for name in names), ")"])


def _import_order(item: _Import) -> tuple[object, ...]:
    symbol = item.symbol or ""
    kind = 0 if len(symbol) > 1 and symbol.isupper() else 1 if symbol[:1].isupper() else 2
    modules, members = _natural_order(item.module), _natural_order(symbol)
    return bool(item.symbol), modules, kind, members, _natural_order(item.alias or "")[1]


def _natural_order(name: str) -> tuple[list[tuple[str, int, str]], ...]:
    """Return a key that takes digits as a number, unless 0 leads, and tells cases apart last."""
    return tuple(
        [
            ("0", int(run) if run[0] != "0" else 0, run) if run.isdigit() else (run, 0, run)
            for run in re.findall(r"\d+|\D", text)
        ]
        for text in (name.lower(), name)
    )
