"""Generated scripts, as files: linted, type-checked, ASCII, without unsafe calls or idle text."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from seesawc.rules.fakes import OUTPUTS
from seesawc.tables.dataset import READERS
from seesawc.writing import scripts
from tests.runs import fakes
from tests.runs.experiments import Workshop
from tests.runs.variants import VARIANTS
from tests.spec_tables import merged

ROOT = Path(__file__).parents[2]
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN = {("os", "system"), ("os", "popen"), ("torch", "save"), ("marshal", "loads")}
# The rest of the events are for the test; the last three are what `apply.py` is imported for.
SAID = {"TEST", "fake_factor", "score", "spread"}
PARTS = {path: ast.parse(path.read_text()) for path in (ROOT / "templates/parts").rglob("*.py")}
# Cross-validations, of which a script of its own combines the folds.
FOLDED: dict[str, dict[str, Any]] = {
    "classes": VARIANTS["multiclass_focal"],
    "swept": {"sweep_config": {"seeds": [1, 2]}},
}
# A sweep whose points differ in every way that one table can hold.
SWEPT = ("onecycle", "stopping", "tested", "multiclass_focal", "unscaled", "resnet", "pinned")


@pytest.fixture(scope="module")
def sources(workshop: Workshop) -> dict[str, Path]:
    """Every script of `generated/` and of the variants, each under a name of its own."""
    folder = workshop.folder / "scripts"
    folder.mkdir()
    sources = {name: workshop.build(name, **VARIANTS[name]) for name in VARIANTS}
    for place in ROOT.glob("generated/*"):
        sources |= {f"{place.name}_{path.stem}": path for path in place.glob("*.py")}
    for name, changes in fakes.VARIANTS.items():
        place = fakes.FakesWorkshop(workshop).build(f"fakes_{name}", **changes)
        sources |= {f"{place.name}_{path.stem}": path for path in place.glob("*.py")}
    for name, changes in FOLDED.items():
        place = workshop.build(
            f"folded_{name}", **merged({"dataset_config": {"folds": 3}}, changes)
        )
        sources[f"folded_{name}_combine"] = place.with_name(scripts.COMBINE)
    points = [{}, *(without_none(VARIANTS[name]) for name in SWEPT)]
    sources["swept"] = workshop.build("swept", sweep_config={"points": points, "seeds": [1, 2]})
    found = {}
    for name, source in sources.items():
        found[name] = folder / f"{name.replace('-', '_')}.py"
        found[name].write_bytes(source.read_bytes())
    assert len(found) > len(VARIANTS)
    return found


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    """Return tables as a point can give them: it takes no option away."""
    return {
        name: without_none(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if value is not None
    }


@pytest.fixture(scope="module")
def trees(sources: dict[str, Path]) -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text()) for name, path in sources.items()}


def run(*command: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def test_ruff_finds_nothing(sources: dict[str, Path]) -> None:
    folder = str(next(iter(sources.values())).parent)
    config = f"--config={ROOT / 'pyproject.toml'}"
    assert run("ruff", "format", "--check", config, folder) == ""
    rules = "--select=E,F,I,UP,B,S,PLE,RUF001,RUF100"
    assert run("ruff", "check", config, rules, "--ignore=S101", folder) == ""


def test_mypy_finds_nothing(sources: dict[str, Path]) -> None:
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    # With the options of `make lint`, whose cache it shares.
    assert run("mypy", config, *map(str, sources.values())) == ""


def test_the_header_names_all_that_a_script_imports_at_the_pinned_versions(
    sources: dict[str, Path], trees: dict[str, ast.Module]
) -> None:
    """What uv installs for a script (PEP 723) is what it was tested with."""
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    distributions = packages_distributions()
    for name, path in sources.items():
        match = re.search(r"^# /// script\n((?:#.*\n)+?)# ///$", path.read_text(), re.MULTILINE)
        assert match, name
        header = tomllib.loads(re.sub(r"^# ?", "", match[1], flags=re.MULTILINE))
        assert set(header["dependencies"]) <= set(pinned), name
        names = {requirement.partition("==")[0] for requirement in header["dependencies"]}
        modules = imported(trees[name]).union(*map(imported, built_on(trees[name])))
        modules -= sys.stdlib_module_names | {"parts"}
        assert ("torch" in modules) != name.endswith(("apply", "combine")), name
        # Besides, the tracker's.
        tracked = {"mlflow"} & names or {"comet-ml"} & names
        assert bool(tracked) != name.endswith(("apply", "closure")), name
        for module in modules:
            ours = {distribution.replace("_", "-") for distribution in distributions[module]}
            assert names & ours, (name, module)


def built_on(tree: ast.Module) -> list[ast.Module]:
    """Return the parts that a script imports, and those that these import."""
    found: dict[Path, ast.Module] = {}
    left = [tree]
    while left:
        for node in left.pop().body:
            module = str(node.module) if isinstance(node, ast.ImportFrom) else ""
            path = ROOT / "templates" / f"{module.replace('.', '/')}.py"
            if path in PARTS and path not in found:
                found[path] = PARTS[path]
                left.append(PARTS[path])
    return list(found.values())


def imported(tree: ast.Module) -> set[str]:
    """Return the packages that a script imports at its top; backends import theirs later."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


def test_scripts_are_ascii(sources: dict[str, Path]) -> None:
    for name, path in sources.items():
        assert path.read_bytes().isascii(), name
        assert "\t" not in path.read_text(), name


def test_scripts_and_parts_make_no_unsafe_call(trees: dict[str, ast.Module]) -> None:
    for name, tree in (*trees.items(), *PARTS.items()):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert unsafe(node) is None, (name, unsafe(node))
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert allowed(node), (name, ast.unparse(node))


def unsafe(call: ast.Call) -> str | None:
    """Return what is unsafe about a call."""
    match call.func:
        case ast.Name(id=name) if name in FORBIDDEN_CALLS:
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in FORBIDDEN:
            # A checkpoint is written to memory, of plain values.
            return None if ast.unparse(call) == "torch.save(checkpoint, buffer)" else name
    for keyword in call.keywords:
        text = ast.unparse(keyword.value)
        if (keyword.arg, text) in (("shell", "True"), ("weights_only", "False")):
            return f"{keyword.arg}={text}"
    if ast.unparse(call.func) in ("torch.load", "trainer.fit") and "weights_only=True" not in (
        ast.unparse(call)
    ):
        return ast.unparse(call)
    return None


def allowed(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import is neither of the compiler nor of what could run data as code."""
    names = [alias.name for alias in node.names]
    module = node.module if isinstance(node, ast.ImportFrom) else names[0]
    root = str(module).partition(".")[0]
    return root not in ("seesawc", "pickle", "shelve", "marshal", "dill", "joblib")


def test_nothing_in_a_script_is_idle(trees: dict[str, ast.Module]) -> None:
    for name, tree in trees.items():
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        idle = {target for node in tree.body for target in defined(node)} - used
        assert idle - SAID == set(), (name, idle)


def defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement at top level defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def test_no_part_is_idle(trees: dict[str, ast.Module]) -> None:
    """What libraries call is known by its name; the rest is used by a script, or by a part."""
    hooks = (
        *("on_", "configure_", "forward", "training_step", "validation_step", "state_dict"),
        *("load_state_dict", "optimizer_step", "save_checkpoint", "remove_checkpoint"),
        *("set_epoch", "setup", "run", "visit_", "__"),
    )
    everything = (*trees.values(), *PARTS.values())
    nodes = [node for tree in everything for node in ast.walk(tree)]
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    called = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    used |= {*OUTPUTS, *READERS.values()}
    statements = [node for tree in PARTS.values() for node in tree.body]
    assert {name for node in statements for name in defined(node)} - used == set()
    classes = [node for node in statements if isinstance(node, ast.ClassDef)]
    methods = {m.name for node in classes for m in node.body if isinstance(m, ast.FunctionDef)}
    assert {name for name in methods - called if not name.startswith(hooks)} == set()
