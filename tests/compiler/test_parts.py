"""The library of parts: what a script builds on, and that the script says the same when it runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from parts.machinery.code import digest_of
from parts.machinery.places import digest
from seesawc import pipeline
from seesawc.package import templates, versions
from seesawc.writing import outputs, parts

ROOT = Path(__file__).parents[2]
# What opens files of a format imports its library only when it opens one.
LATE = {"parts.event_files", "parts.scored_files"}
LIBRARY = parts.library(templates())


def written(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / "parts" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_closure_is_all_that_is_imported_and_nothing_else(tmp_path: Path) -> None:
    written(
        tmp_path,
        a="from parts.below.b import b\n\nA = b\n",
        below__b="import os\n\nfrom parts.c import c\n\nb = c\n",
        c="c = 1\n",
        d="from parts.a import A\n\nd = A\n",
    )
    for package in ("parts", "parts/below"):
        (tmp_path / package / "__init__.py").write_text("")
    found = [part.file for part in parts.closure(tmp_path, frozenset({"parts.a"}))]
    packages = ["parts/__init__.py", "parts/below/__init__.py"]
    assert found == sorted([*packages, "parts/a.py", "parts/below/b.py", "parts/c.py"])
    assert parts.closure(tmp_path, frozenset()) == ()


def test_a_name_that_two_parts_define_is_an_internal_fault(tmp_path: Path) -> None:
    written(tmp_path, a="A = 1\n", b="def A(): ...\n")
    with pytest.raises(AssertionError, match=r"A is defined by parts\.a and parts\.b"):
        parts.homes(tmp_path)


def test_what_a_part_imports_is_defined_elsewhere(tmp_path: Path) -> None:
    text = (
        "from math import log\n\nONE = 1\nTWO: int = 2\n\n\nclass C: ...\n\n\ndef f():\n    x = 1\n"
    )
    written(tmp_path, a=text)
    assert dict(parts.homes(tmp_path)) == dict.fromkeys(["ONE", "TWO", "C", "f"], "parts.a")


def test_each_name_of_the_library_has_one_home() -> None:
    homes = parts.homes(templates())
    assert len(homes) == sum(len(part.names) for part in LIBRARY.values())


@pytest.mark.parametrize("module", sorted(LIBRARY))
def test_a_part_keeps_its_contract(module: str) -> None:
    part = LIBRARY[module]
    tree = ast.parse(part.text)
    assert ast.get_docstring(tree), "it begins with a docstring"
    assert part.text.isascii()
    inner = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("parts")
    ]
    at_the_top = all(node in tree.body for node in inner)
    assert at_the_top or module in LATE, "parts are imported at the top"
    assert all(node.level == 0 and not any(a.asname for a in node.names) for node in inner)
    named = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    assert not [name for name in named if name.startswith("parts")]
    homes = parts.homes(templates())
    for node in inner:
        assert {homes.get(alias.name) for alias in node.names} == {node.module}


@pytest.mark.parametrize("module", sorted(LIBRARY))
def test_what_is_read_off_a_part_is_what_python_finds_in_it(module: str) -> None:
    tree = ast.parse(LIBRARY[module].text)
    names = []
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
                names.append(name)
    assert list(LIBRARY[module].names) == names
    froms = [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {name for name in froms if f"{name}.".startswith("parts.")}
    packages = {".".join(name.split(".")[:end]) for name in used for end in (1, 2)}
    assert set(LIBRARY[module].parts) == used | packages


def test_parts_import_each_other_in_no_circle() -> None:
    for module, part in LIBRARY.items():
        behind = parts.closure(templates(), frozenset(part.parts))
        assert part not in behind or not part.names, module


def test_distributions_are_those_of_top_level_imports() -> None:
    text = (
        "import sys\nimport torch\nfrom lightning.pytorch import Trainer\nfrom parts.x import y\n"
    )
    text += "from lightning_fabric import seed\n\n\ndef f():\n    import mlflow\n"
    assert parts.distributions(text) == {"torch", "lightning"}


def test_all_distributions_of_parts_are_pinned() -> None:
    needed = {name for part in LIBRARY.values() for name in part.distributions}
    assert needed <= versions().keys()


@pytest.mark.parametrize("spec", ["h4l", "h4l_multiclass", "h4l_sweep"])
def test_a_script_finds_the_digest_of_parts_that_it_was_given(spec: str, tmp_path: Path) -> None:
    folder = tmp_path / "generated" / spec
    files = pipeline.compile_spec(ROOT / "specs" / f"{spec}.toml", folder).files
    outputs.write(folder, files, force=False)
    vendored = [name for name in files if name.startswith("parts/") and name.endswith(".py")]
    needed = [part.file for part in parts.needed_by(templates(), files["train_signal.py"])]
    assert set(needed) < set(vendored)
    given = digest_of({name: digest(folder / name) for name in needed})
    assert f'    parts="{given}",\n' in files["train_signal.py"]
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", outputs.SUMS],
        cwd=folder,
        capture_output=True,
    )
    assert done.returncode == 0
    assert len((folder / outputs.SUMS).read_text().splitlines()) == len(vendored)


def test_a_script_imports_all_of_its_parts_when_it_starts(tmp_path: Path) -> None:
    """The digest is of what was imported: one part less, and every run would be an edited one."""
    folder = tmp_path / "generated" / "h4l"
    files = pipeline.compile_spec(ROOT / "specs" / "h4l.toml", folder).files
    outputs.write(folder, files, force=False)
    code = (
        "import runpy, sys; from pathlib import Path; sys.argv = ['train_signal.py']\n"
        "sys.path.insert(0, ''); runpy.run_path('train_signal.py', run_name='imported')\n"
        "from parts.machinery.code import imported\n"
        "print(*sorted(imported(Path.cwd())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = parts.needed_by(templates(), files["train_signal.py"])
    assert done.stdout.split() == [part.file for part in expected]


def test_what_applies_a_network_is_no_part_of_what_trains_it(tmp_path: Path) -> None:
    """Else a mend of what reads other formats would renew runs of this one."""
    files = pipeline.compile_spec(ROOT / "specs" / "h4l.toml", tmp_path / "h4l").files
    trained = {part.file for part in parts.needed_by(templates(), files["train_signal.py"])}
    applied = {part.file for part in parts.needed_by(templates(), files["apply.py"])}
    readers = {f"parts/{name}_files.py" for name in ("root", "hdf5", "parquet", "csv", "scored")}
    assert readers <= applied <= files.keys()
    assert readers & trained == {"parts/root_files.py"}


def test_files_of_several_scripts_hold_each_part_once() -> None:
    events = parts.closure(templates(), frozenset({"parts.events"}))
    losses = parts.closure(templates(), frozenset({"parts.losses"}))
    files = parts.files([*events, *losses, *events])
    assert set(files) == {outputs.SUMS} | {part.file for part in (*events, *losses)}
    assert files == parts.files([*losses, *events])
    assert list(files) == list(parts.files([*losses, *events]))
