"""The wheel compiles specs as the checkout does, with the compiler's own dependencies only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seesawc import pipeline
from seesawc.writing import outputs

ROOT = Path(__file__).resolve().parents[1]
SPEC = "h4l"


def run(*command: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command that ends with a status, away from the checkout's modules."""
    variables = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert ended.returncode == status, ended
    return ended


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a fresh installation of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("seesawc-*.whl")
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    constraints = ROOT / "constraints.txt"
    run(*pip, "--python", venv, "install", "--quiet", "--constraint", constraints, wheel)
    return venv / "bin"


def test_the_wheel_needs_neither_torch_nor_numpy(installed: Path) -> None:
    code = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    names = set(run(installed / "python", "-c", code).stdout.lower().split())
    assert {"seesawc", "jinja2"} <= names
    assert not {"torch", "lightning", "numpy", "mlflow", "pip"} & names
    assert len(names) < 12


@pytest.mark.parametrize(("name", "script"), [(SPEC, "signal"), ("fakes_pt", "ratio")])
def test_it_compiles_a_spec_to_the_same_bytes_as_the_checkout(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1789000000")
    texts = []
    for by in ("checkout", "wheel"):
        spec = tmp_path / by / "specs" / f"{name}.toml"
        spec.parent.mkdir(parents=True)
        shutil.copy(ROOT / "specs" / f"{name}.toml", spec)
        folder = pipeline.output_folder(spec)
        if by == "checkout":
            outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=False)
        else:
            run(installed / "seesawc", "build", spec)
        files = [path for path in folder.rglob("*") if path.is_file()]
        texts.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    needed = {f"train_{script}.py", "resolved.toml", "parts/machinery/launches.py"}
    assert needed <= texts[0].keys()
    assert texts[0] == texts[1]


def test_it_writes_and_checks_a_new_spec(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(installed / "seesawc", "init", "higgs")
    assert (
        "1 checked, no mistakes" in run(installed / "seesawc", "check", "specs/higgs.toml").stdout
    )


@pytest.mark.parametrize("command", ["train_signal", "train_fakes", "track"])
def test_what_trains_says_what_to_install(installed: Path, tmp_path: Path, command: str) -> None:
    name = "fakes_pt" if command == "train_fakes" else SPEC
    spec = tmp_path / "specs" / f"{name}.toml"
    spec.parent.mkdir()
    shutil.copy(ROOT / "specs" / f"{name}.toml", spec)
    store = tmp_path / "mlruns" / "mlflow.db"
    store.parent.mkdir()
    store.touch()
    arguments = ["--save-dir", tmp_path] if command == "track" else [spec]
    ended = run(installed / command, *arguments, status=1)
    assert "is missing; pip install 'seesawc[train]'" in ended.stderr
    assert "Traceback" not in ended.stderr
