"""`apply.py`, where it stands: found networks, the crack, refusals, and no torch anywhere."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from parts.cracks import Crack
from parts.datasets import Dataset
from parts.machinery.deployed_places import NETWORK
from parts.machinery.deployments import needed_files, write_deployment
from parts.splits import assign, fold_numbers
from tests.applied import read_events, within, write_events
from tests.linear_networks import (
    BIASES,
    CARD,
    drawn_events,
    probability,
    write_folds,
    write_network,
)
from tests.parts.exported import exported_factor
from tests.runs.starts import Ended

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "templates"
# What only those need who train.
HEAVY = (
    "torch",
    "lightning",
    "pandas",
    "matplotlib",
    "mlflow",
    "onnx",
    "onnxscript",
    "seesawc",
    "tqdm",
)
# What a format needs the least of: the libraries of the others.
OTHERS = {
    ".root": ("h5py", "pyarrow"),
    ".h5": ("uproot", "awkward", "cramjam", "pyarrow"),
    ".parquet": ("uproot", "awkward", "cramjam", "h5py"),
    ".csv": ("uproot", "awkward", "cramjam", "h5py"),
}
EVENTS = {"pt": [2.0, 3.0, 5.0], "eta": [-1.4, 1.37, 0.0]}
FACTORS = [0.0, 4.5, 7.5]
RECORD = """
[experiment_config]
experiment_name = "tests"
save_dir = "${PLACE}"

[[stages]]
identity = "ratio"
run_name = "named-ratio"
script = "abc"

[build]
spec_folder = "../../specs"
"""


class Log(nn.Module):
    """Of two members: F is pt and twice pt."""

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        return torch.log(torch.cat([numerical, 2 * numerical], 1))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployed fake factor."""
    features = {"numerical": torch.rand(10, 1) + 1, "categorical": torch.empty(10, 0).long()}
    crack = Crack("eta", 1.37, 1.52)
    network = exported_factor(Log(), features, Dataset((), ("pt",)), crack)
    return write_deployment(TEMPLATES, tmp_path_factory.mktemp("run"), {NETWORK: network})


@pytest.fixture
def deployed(original: Path, tmp_path: Path) -> Path:
    """A copy of it somewhere else, with events in the folder that it is run in."""
    pd.DataFrame({**EVENTS, "name": ["a", "b", "c"]}).to_parquet(tmp_path / "in.parquet")
    return Path(shutil.copytree(original, tmp_path / "copied"))


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside a network of two classes."""
    run = tmp_path_factory.mktemp("linear")
    network = write_network(run / "written.onnx").read_bytes()
    return write_deployment(TEMPLATES, run, {NETWORK: network}) / "apply.py"


@pytest.fixture
def generated(deployed: Path, tmp_path: Path) -> Path:
    """The folder of a spec, whose ratio has finished in the folder `logs`."""
    run = tmp_path / "logs" / "tests" / "named-ratio"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    done = {"script": "abc", "checkpoint": "best.ckpt", "sha256": digest}
    (run / "done").write_text(json.dumps(done))
    folder = tmp_path / "generated" / "named"
    shutil.copytree(deployed, folder, ignore=shutil.ignore_patterns("*.onnx"))
    deployed.rename(run / "deploy")
    (folder / "resolved.toml").write_text(RECORD)
    return folder


def start(
    folder: Path, *words: str | Path, python: tuple[str, ...] = (), safe_path: bool = False
) -> Ended:
    """Run a script as a user does, in a folder with the events."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *python, *map(str, words)],
        cwd=folder,
        env=kept | {"PLACE": str(folder / "logs")} | ({"PYTHONSAFEPATH": "1"} if safe_path else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def assert_applied(folder: Path) -> None:
    out = pd.read_parquet(folder / "out.parquet")
    assert out["name"].tolist() == ["a", "b", "c"]
    assert out["fake_factor"].to_numpy() == pytest.approx(FACTORS, rel=1e-5)
    # Of two members, pt and twice pt.
    deviation = np.array([0.0, 3.0, 5.0]) / np.sqrt(2)
    assert out["fake_factor_spread"].to_numpy() == pytest.approx(deviation, rel=1e-5)


def test_the_header_names_what_is_imported_at_the_pinned_versions() -> None:
    match = re.search(r"# /// script\n((?:#.*\n)+?)# ///\n", (TEMPLATES / "apply.py").read_text())
    assert match
    header = tomllib.loads(re.sub(r"^# ?", "", match[1], flags=re.MULTILINE))
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    distributions = packages_distributions()
    names = {distributions[module][0] for module in imported() - sys.stdlib_module_names}
    assert sorted(header["dependencies"]) == sorted(f"{name}=={pinned[name]}" for name in names)


def imported() -> set[str]:
    """Return the packages that `apply.py` imports, itself or by parts."""
    found = set()
    for name in needed_files(TEMPLATES, "apply.py"):
        for node in ast.walk(ast.parse((TEMPLATES / name).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    return found - {"parts"}


def test_it_is_short_and_imports_nothing_heavy() -> None:
    text = (TEMPLATES / "apply.py").read_bytes()
    assert text.isascii()
    assert len(text.splitlines()) <= 150
    assert not imported() & set(HEAVY)


def without(*modules: str) -> str:
    """Return code in which these cannot be imported, and which then runs what comes after it."""
    return f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.path.pop(0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_copied_folder_works_where_nothing_heavy_can_be_imported(
    deployed: Path, tmp_path: Path
) -> None:
    words = (deployed / "apply.py", "in.parquet", "out.parquet")
    ended = start(tmp_path, "-c", without(*HEAVY, *OTHERS[".parquet"]), *words).done()
    assert ended.output == (
        "wrote out.parquet: 3 events; fake_factor, and fake_factor_spread over the ensemble;"
        " split: 2 train, 1 test\n"
    )
    assert_applied(tmp_path)


@pytest.mark.parametrize("ending", OTHERS)
def test_a_format_needs_the_library_of_no_other(linear: Path, tmp_path: Path, ending: str) -> None:
    write_events(tmp_path / f"events{ending}", drawn_events(50))
    code = without(*HEAVY, *OTHERS[ending])
    start(tmp_path, "-c", code, linear, f"events{ending}", f"out{ending}").done()
    assert len(read_events(tmp_path / f"out{ending}")["score"]) == 50


@pytest.mark.parametrize("safe_path", [False, True])
def test_it_finds_its_parts_wherever_it_is_started(
    deployed: Path, tmp_path: Path, safe_path: bool
) -> None:
    (tmp_path / "link.py").symlink_to(deployed / "apply.py")
    for script in (deployed / "apply.py", tmp_path / "link.py"):
        start(tmp_path, script, "in.parquet", "out.parquet", safe_path=safe_path).done()
        assert_applied(tmp_path)
        (tmp_path / "out.parquet").unlink()


def test_functions_are_imported_from_elsewhere(deployed: Path, tmp_path: Path) -> None:
    script = tmp_path / "analysis.py"
    script.write_text(
        f"import sys\nsys.path.append({str(deployed)!r})\n"
        "from apply import fake_factor, fake_factors, spread\n"
        f"events = {EVENTS}\n"
        "print(fake_factors(events).shape, fake_factor(events), spread(events).round(3))\n"
        f"print(fake_factor({{'pt': [1.0], 'eta': [0.0]}}, network={str(deployed)!r}))\n"
    )
    ended = start(tmp_path, script).done()
    assert ended.output == "(3, 2) [0.  4.5 7.5] [0.    2.121 3.536]\n[1.5]\n"


def test_in_the_folder_of_the_spec_it_is_the_network_of_the_run(
    generated: Path, tmp_path: Path
) -> None:
    start(tmp_path, generated / "apply.py", "in.parquet", "out.parquet").done()
    assert_applied(tmp_path)


def test_a_network_that_it_is_told_of(generated: Path, tmp_path: Path) -> None:
    place = tmp_path / "logs" / "tests" / "named-ratio" / "deploy" / "model.onnx"
    (generated / "resolved.toml").unlink()
    for told in (place, place.parent):
        words = ("in.parquet", "out.parquet", "--network", told)
        start(tmp_path, generated / "apply.py", *words).done()
        assert_applied(tmp_path)
        (tmp_path / "out.parquet").unlink()


def refused(folder: Path, script: Path, *words: str | Path) -> None:
    """Assert that nothing is written, and why."""
    before = sorted(folder.rglob("*.parquet"))
    *given, word = words or ("",)
    given = given or ["in.parquet", "out.parquet"]
    start(folder, script, *given).refused(str(word))
    assert sorted(folder.rglob("*.parquet")) == before


def test_a_ratio_that_is_not_trained_is_refused(generated: Path, tmp_path: Path) -> None:
    run = tmp_path / "logs" / "tests" / "named-ratio"
    script = generated / "apply.py"
    (run / "deploy").rename(tmp_path / "away")
    refused(tmp_path, script, f"{run} has finished without a network")
    done = json.loads((run / "done").read_text())
    (run / "done").write_text(json.dumps(done | {"script": "xyz"}))
    refused(tmp_path, script, "trained by another train_ratio.py (xyz, needed is abc)")
    (run / "done").unlink()
    refused(tmp_path, script, f"the ratio has not finished: {run}; train_ratio.py comes first")
    (generated / "resolved.toml").unlink()
    refused(tmp_path, script, f"neither model.onnx nor resolved.toml is in {generated}")


def test_files_that_cannot_be_used_are_refused(deployed: Path, tmp_path: Path) -> None:
    script = deployed / "apply.py"
    refused(tmp_path, script, "none.parquet", "out.parquet", "there is no file 'none.parquet'")
    refused(tmp_path, script, "in.parquet", "none/out.parquet", "there is no folder 'none'")
    (tmp_path / "junk").write_bytes(b"junk")
    refused(tmp_path, script, "junk", "out.parquet", "'junk' does not end in one of .root, .h5")
    junk = ("--network", "junk", "cannot read 'junk'")
    refused(tmp_path, script, "in.parquet", "out.parquet", *junk)
    pd.DataFrame({"pt": [1.0]}).to_parquet(tmp_path / "lacking.parquet")
    refused(
        tmp_path, script, "lacking.parquet", "out.parquet", "'lacking.parquet': no column 'eta'"
    )
    pd.DataFrame({**EVENTS, "fake_factor": 1}).to_parquet(tmp_path / "again.parquet")
    refused(tmp_path, script, "again.parquet", "out.parquet", "has a column 'fake_factor' already")


def test_scores_of_arrays(linear: Path, tmp_path: Path) -> None:
    """Of two classes, of several, and of folds, whose events have numbers unless they are new."""
    write_folds(tmp_path / "folds", BIASES)
    several = replace(CARD, classes=("a", "b", "c"))
    write_network(tmp_path / "several.onnx", several)
    script = tmp_path / "analysis.py"
    script.write_text(
        f"import sys\nsys.path[:0] = [{str(linear.parent)!r}, {str(ROOT)!r}]\n"
        "import numpy as np\nimport awkward as ak\nimport pandas as pd\n"
        "from apply import fake_factor, score, spread\n"
        "from parts.machinery.exits import RefusedError\n"
        "from tests.linear_networks import drawn_events\n"
        "events = drawn_events(200)\n"
        "found = score(events)\n"
        "assert (score(pd.DataFrame(events)) == found).all()\n"
        "assert (score(ak.Array(events)) == found).all()\n"
        "several = score(events, network='several.onnx')\n"
        "folds = score(events, 'folds')\n"
        "numbers = events.pop('event')\n"
        "new = score(events, 'folds', new=True)\n"
        "wide = spread(events, 'folds')\n"
        "np.savez('found.npz', found=found, several=several, folds=folds, new=new, wide=wide)\n"
        "def say(asked):\n"
        "    try:\n        asked()\n"
        "    except RefusedError as error:\n        print(error)\n"
        "say(lambda: score(events, 'folds'))\n"
        "say(lambda: spread(events))\n"
        "say(lambda: fake_factor(events))\n"
    )
    ended = start(tmp_path, script).done()
    lines = ended.output.splitlines()
    assert lines[0].startswith("the events have no column 'event'")
    assert lines[1:] == [
        "there is one network alone, whose scores have no spread",
        "the network gives scores, and no fake factor",
    ]
    found, events = np.load(tmp_path / "found.npz"), drawn_events(200)
    pt, keys = events["pt"], events["event"].view(np.uint64)[:, np.newaxis]
    every = np.stack([probability(pt, bias) for bias in BIASES])
    within(found["found"], probability(pt))
    within(found["folds"], probability(pt, np.array(BIASES)[fold_numbers(keys, len(BIASES))]))
    within(found["new"], every.mean(axis=0))
    np.testing.assert_allclose(found["wide"], every.std(axis=0, ddof=1), atol=1e-6)
    odds = np.exp(np.outer(pt.astype(np.float64), range(3)))
    within(found["several"], odds / odds.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "words",
    [
        ("in.parquet",),
        ("in.parquet", "out.parquet", "--new", "--only", "test"),
        ("in.parquet", "out.parquet", "--only", "testing"),
        ("in.parquet", "out.parquet", "--tree", "a", "--table", "b"),
        ("in.parquet", "out.parquet", "--prefix", "a b"),
        ("in.parquet", "out.parquet", "--netw", "a"),
    ],
)
def test_wrong_words_are_told_apart_from_refusals(
    linear: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ended = start(tmp_path, linear, *words)
    assert ended.status == 2
    assert ended.error.startswith("usage: apply.py")


def test_options_may_stand_anywhere(linear: Path, tmp_path: Path) -> None:
    """Each of them does what it says."""
    for name in ("a", "b"):
        write_events(tmp_path / f"{name}.root", drawn_events(60), "jes_up")
    before = ("--sample", "signal", "a.root", "--prefix", "p_", "b.root", "--tree", "jes_up")
    words = (*before, "scored", "--only", "test", "--friend", "--network", linear.parent)
    start(tmp_path, linear, *words).done()
    events = drawn_events(60)
    here = assign(events["event"].view(np.uint64)[:, np.newaxis], CARD.split) == 2
    for name in ("a", "b"):
        found = read_events(tmp_path / "scored" / f"{name}.root")
        assert set(found) == {"event", "p_score", "p_split", "p_sample_weight"}
        assert (found["event"] == events["event"][here]).all()
    start(tmp_path, linear, *words).refused("exists; --overwrite replaces it")
    start(tmp_path, linear, *words, "--overwrite").done()
    odd = events | {"pt": events["pt"] * 0 + 50}
    write_events(tmp_path / "odd.csv", {name: values.repeat(5) for name, values in odd.items()})
    new = ("odd.csv", "--new", "out.csv")
    start(tmp_path, linear, *new).refused("most events are unlike those of the training")
    start(tmp_path, linear, *new, "--accept-ranges").done()
    assert set(read_events(tmp_path / "out.csv")) == {*events, "score"}


def test_a_disk_that_fills_up_has_a_status_of_its_own(linear: Path, tmp_path: Path) -> None:
    write_events(tmp_path / "events.csv", drawn_events(50))
    code = """
import errno, os, sys, runpy
def full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")
os.fsync = full
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    ended = start(tmp_path, "-c", code, linear, "events.csv", "out.csv")
    assert ended.status == 4
    assert ended.error.startswith("stopped: ")
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
