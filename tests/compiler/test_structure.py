import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import seesawc

PACKAGE = Path(seesawc.__file__).parent
TEMPLATES = PACKAGE.parents[1] / "templates"
# Each may import from those behind it, and what is in no room.
ROOMS = ("__main__", "cli", "data", "jobs", "pipeline", "writing", "rules", "reading", "tables")
ANYWHERE = {"diagnostics", "package", ""}


def modules() -> dict[str, Path]:
    """Return the modules of seesawc by name, such as `tables.values`; "" is the package."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    names = {".".join(path.parts).removesuffix("__init__").rstrip("."): path for path in paths}
    return {name: (PACKAGE / path).with_suffix(".py") for name, path in names.items()}


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def edges() -> dict[str, set[str]]:
    """Return which modules of seesawc each of them imports."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        found[name] = set()
        for full in imported(path):
            inner = full.removeprefix("seesawc").lstrip(".") if full.startswith("seesawc") else None
            while inner and inner not in known:
                inner = inner.rpartition(".")[0]
            if inner is not None:
                found[name].add(inner)
    return found


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_lies_in_a_room() -> None:
    assert {room(module) for module in modules()} == {*ROOMS, *ANYWHERE}


def test_imports_go_from_room_to_room_one_way() -> None:
    for module, used in edges().items():
        allowed = ROOMS[ROOMS.index(room(module)) :] if room(module) in ROOMS else ()
        assert {room(other) for other in used} <= {*allowed, *ANYWHERE}, module


def test_imports_have_no_cycles() -> None:
    order = list(TopologicalSorter(edges()).static_order())
    assert {"cli.commands", "pipeline", "diagnostics"} < set(order)


def test_jobs_take_what_the_pipeline_returns_and_compile_nothing() -> None:
    used = {
        full for name in modules() if room(name) == "jobs" for full in imported(modules()[name])
    }
    # Neither the pipeline's functions nor its module.
    assert {full for full in used if "pipeline" in full} == {"seesawc.pipeline.Compiled"}


@pytest.mark.parametrize(
    "name", ["diagnostics", "package", "reading.positions", "tables.values", "writing.literals"]
)
def test_the_lowest_modules_import_nothing_of_seesawc(name: str) -> None:
    assert edges()[name] == set()


def test_of_parts_the_compiler_imports_the_grammar_only() -> None:
    used = {
        full if room(name) == "cli" else full.rpartition(".")[0]
        for name, path in modules().items()
        # What looks into files of data reads them as scripts do.
        if room(name) != "data"
        for full in imported(path)
        if f"{full}.".startswith("parts.")
    }
    # `track` puts a store right, as scripts do, before it opens it.
    assert used == {"parts.grammar", "parts.machinery.stores"}


def test_only_the_commands_import_what_looks_into_data_and_no_module_at_its_top() -> None:
    users = {name for name, used in edges().items() if any(room(each) == "data" for each in used)}
    assert {room(name) for name in users} == {"cli", "data"}
    top = ast.parse(modules()["cli.commands"].read_text()).body
    named = [node.module for node in top if isinstance(node, ast.ImportFrom)]
    assert not [name for name in named if name and name.startswith("seesawc.data")]


def test_parts_are_found_wherever_the_compiler_is(tmp_path: Path) -> None:
    code = """
import sys
before = list(sys.path)
import seesawc
assert sys.path == before
assert [name for name in sys.modules if name.startswith("parts")] == ["parts"]
import parts.grammar
print(parts.grammar.__file__)
"""
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(TEMPLATES / "parts" / "grammar.py")


def test_parts_import_no_seesawc() -> None:
    parts = sorted((TEMPLATES / "parts").rglob("*.py"))
    assert TEMPLATES / "parts" / "machinery" / "runs.py" in parts
    for path in parts:
        assert not [full for full in imported(path) if full.split(".")[0] == "seesawc"], path


def test_only_the_commands_print_or_exit() -> None:
    for name, path in modules().items():
        if room(name) in ("cli", "__main__"):
            continue
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "exit", "quit", "input"}, name
        assert not called & {"SystemExit"}, name
        assert "click" not in {full.split(".")[0] for full in imported(path)}, name


# tomlkit is for `seesawc set`, which edits.
HEAVY = (
    "torch", "lightning", "numpy", "pandas", "mlflow", "comet_ml", "matplotlib", "pyarrow",
    "tomlkit",
)  # fmt: skip


COMMANDS = ("check", "build", "build --check", "submit", "status", "rerun", "--help", "init new")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_what_only_scripts_need(command: str, tmp_path: Path) -> None:
    (tmp_path / "h4l.toml").write_bytes((TEMPLATES.parent / "specs" / "h4l.toml").read_bytes())
    arguments = command.split() + (["h4l.toml"] if "--help" != command != "init new" else [])
    code = f"""
import sys
from seesawc.cli.commands import main
try:
    main({arguments!r})
except SystemExit:
    pass
print("imported:", sorted({set(HEAVY)!r} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("imported: []\n")
