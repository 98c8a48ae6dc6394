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
STAGES = {
    "source",
    "spec",
    "experiment",
    "rules",
    "sweep",
    "stages",
    "plan",
    "fakes_plan",
    "linker",
    "merge",
    "render",
    "resolved",
    "outputs",
}
# What a stage hands on is named by the ones behind it: they import its types, not its work.
TYPES = {
    "spec": {"source"},
    "experiment": {"spec"},
    "rules": {"source", "spec", "experiment"},
    "sweep": {"source", "spec"},
    "choices": {"source"},
    "faults": {"source"},
    "stages": {"source"},
    "fakes_rules": {"experiment", "spec"},
    "plan": {"experiment"},
    "fakes_plan": {"experiment", "plan"},
    "resolved": {"source", "experiment"},
}
# These take what the pipeline returns, but compile nothing.
READERS = {"listing", "submission"}
RESULTS = {"BATCH", "Compiled", "PlannedRun", "places", "variables"}


def modules() -> dict[str, Path]:
    """Return the modules of seesawc by name, such as `tables.values`."""
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
            if inner:
                found[name].add(inner)
    return found


def test_imports_have_no_cycles() -> None:
    order = list(TopologicalSorter(edges()).static_order())
    assert {"cli", "pipeline", "diagnostics"} < set(order)


def test_only_the_pipeline_calls_stages_and_only_the_commands_call_the_pipeline() -> None:
    found = edges()
    assert {name for name, used in found.items() if "pipeline" in used} == {"cli", *READERS}
    assert {name for name, used in found.items() if "cli" in used} <= {"__main__"}
    assert found["pipeline"] | found["scripts"] >= STAGES
    for name in READERS:
        assert functions_used(modules()[name], "pipeline") <= RESULTS, name
    for name, used in found.items():
        if name not in ("cli", "pipeline", "scripts"):
            assert used & STAGES <= TYPES.get(name, set()), name


def functions_used(path: Path, stage: str) -> set[str]:
    """Return what a module takes from a stage."""
    return {
        full.rpartition(".")[2] for full in imported(path) if full.startswith(f"seesawc.{stage}.")
    }


def test_stages_take_types_and_listings_from_each_other_but_no_work() -> None:
    known = modules()
    work = {"read", "resolve", "check", "plan", "link", "merge", "render", "write"}
    work |= {"parse"}
    for name, stages in TYPES.items():
        for stage in stages:
            used = functions_used(known[name], stage)
            assert used, f"{name} does not use {stage}: narrow TYPES"
            assert not used & work, f"{name} calls {stage}"


def test_tables_import_only_tables_and_diagnostics() -> None:
    for name, used in edges().items():
        if name.startswith("tables"):
            outside = {u for u in used if not u.startswith("tables") and u != "diagnostics"}
            assert outside == set(), name


@pytest.mark.parametrize("name", ["diagnostics", "positions", "literals", "tables.values"])
def test_the_lowest_modules_import_nothing_of_seesawc(name: str) -> None:
    assert edges()[name] == set()


def test_parts_import_no_seesawc() -> None:
    parts = sorted((TEMPLATES / "parts").glob("*.py"))
    assert parts
    for path in parts:
        assert not [full for full in imported(path) if full.split(".")[0] == "seesawc"], path


def test_only_the_commands_print_or_exit() -> None:
    for name, path in modules().items():
        if name in ("cli", "__main__"):
            continue
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "exit", "quit", "input"}, name
        assert not called & {"SystemExit"}, name
        assert "click" not in {full.split(".")[0] for full in imported(path)}, name


HEAVY = ("torch", "lightning", "numpy", "pandas", "mlflow", "comet_ml", "matplotlib", "pyarrow")


COMMANDS = ("check", "build", "build --check", "submit", "status", "rerun", "--help", "init new")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_what_only_scripts_need(command: str, tmp_path: Path) -> None:
    (tmp_path / "h4l.toml").write_bytes((TEMPLATES.parent / "specs" / "h4l.toml").read_bytes())
    arguments = command.split() + (["h4l.toml"] if "--help" != command != "init new" else [])
    code = f"""
import sys
from seesawc.cli import main
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
