"""What parts promise each other: one home for each name, plain imports, two floors, no circles."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[2] / "templates"
PATHS = {
    ".".join(path.relative_to(TEMPLATES).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((TEMPLATES / "parts").rglob("*.py"))
}
TREES = {module: ast.parse(path.read_bytes()) for module, path in PATHS.items()}
MACHINERY = "parts.machinery"
# What decides numbers may end a run and knows where files lie; all else of a run's safety is not
# its business.
BELOW = {f"{MACHINERY}.{name}" for name in ("exits", "places")}
# What opens files of a format imports its library only when it opens one.
LATE = {"parts.event_files", "parts.scored_files"}
each_module = pytest.mark.parametrize("module", PATHS)


def is_machinery(module: str) -> bool:
    return f"{module}.".startswith(f"{MACHINERY}.")


def defined(module: str) -> Iterator[str]:
    """Yield the names that a module defines at its top, also below an `if` or `try`."""
    left: list[ast.AST] = list(TREES[module].body)
    while left:
        node = left.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                pass
            case ast.GeneratorExp():
                pass
            case _:
                left += ast.iter_child_nodes(node)


def imports(module: str) -> list[ast.Import | ast.ImportFrom]:
    """Return what a module imports, wherever in it."""
    nodes = ast.walk(TREES[module])
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def named(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return ["." * node.level + (node.module or "")]


def parts_of(module: str) -> list[str]:
    """Return the parts that a module imports."""
    names = (name for node in imports(module) for name in named(node))
    return [name for name in names if name.partition(".")[0] == "parts"]


def test_a_name_is_defined_by_one_part_only() -> None:
    homes = Counter(name for module in PATHS for name in set(defined(module)))
    assert [name for name, count in homes.items() if count > 1] == []


@each_module
def test_parts_are_imported_by_name_and_at_the_top(module: str) -> None:
    for node in imports(module):
        ours = [name for name in named(node) if name.partition(".")[0] in ("parts", "")]
        if not ours:
            continue
        assert isinstance(node, ast.ImportFrom), f"line {node.lineno}: from parts.x import y"
        at_the_top = node in TREES[module].body or module in LATE
        assert at_the_top, f"line {node.lineno}: not at the top"
        assert node.level == 0, f"line {node.lineno}: relative"
        assert ours[0] in PATHS, f"line {node.lineno}: {ours[0]} is no part"
        for alias in node.names:
            assert alias.name in set(defined(ours[0])), f"line {node.lineno}: {alias.name}"
            assert alias.asname is None, f"line {node.lineno}: {alias.name} under another name"


@each_module
def test_parts_are_plain_ascii_and_have_a_docstring(module: str) -> None:
    assert PATHS[module].read_bytes().isascii()
    assert ast.get_docstring(TREES[module])


@each_module
def test_parts_know_nothing_of_the_compiler(module: str) -> None:
    assert b"seesawc" not in PATHS[module].read_bytes()


@pytest.mark.parametrize("module", [module for module in PATHS if not is_machinery(module)])
def test_what_decides_numbers_builds_on_little_of_the_machinery(module: str) -> None:
    assert {part for part in parts_of(module) if is_machinery(part)} <= BELOW


def test_what_decides_numbers_may_build_on_is_at_the_bottom() -> None:
    for module in BELOW:
        assert set(parts_of(module)) <= BELOW


def test_no_part_builds_on_itself_by_way_of_others() -> None:
    left = {module: set(parts_of(module)) for module in PATHS}
    while free := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}
