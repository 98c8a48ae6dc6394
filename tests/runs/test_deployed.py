"""A classifier leaves its network, which says elsewhere what it said in the run."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnxruntime import InferenceSession

from parts.machinery.deployments import needed_files
from tests.runs import recomputed
from tests.runs.experiments import Run, Workshop, events
from tests.runs.recomputed import Floats
from tests.runs.starts import Strike
from tests.runs.variants import THREE

TEMPLATES = Path(__file__).parents[2] / "templates"
NETWORK = {"architecture_config": {"model": "ResNet", "batchnorm": True, "act": "RReLU"}}
KINDS: dict[str, dict[str, Any]] = {
    "resnet": {"model_config": NETWORK, "dataset_config": {"scaling": "quantile"}},
    "double": {"experiment_config": {"precision": "64-true"}},
    "bf16": {"experiment_config": {"precision": "bf16-mixed"}},
    "numbers": {"dataset_config": {"categorical": [], "missing": None}},
    "categories": {"dataset_config": {"numerical": [], "missing": None}},
}
# As much as somebody needs who has the folder and no seesawc.
ELSEWHERE = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
said = session.get_modelmeta().custom_metadata_map
columns = json.load(sys.stdin)
inputs = {}
for each in session.get_inputs():
    kind = np.float32 if each.name == "numerical" else np.int64
    names = json.loads(said[each.name])
    inputs[each.name] = np.stack([np.array(columns[name], kind) for name in names], axis=1)
(found,) = session.run(None, inputs)
assert "torch" not in sys.modules
print(json.dumps(found.tolist()))
"""


def scores(network: Path, frame: pd.DataFrame) -> Floats:
    """Return what a network says of events (event, class), in a process that has no torch."""
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(network)],
        input=json.dumps({str(name): frame[name].tolist() for name in frame}),
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(json.loads(ended.stdout))


def assert_tested_alike(run: Run, every: pd.DataFrame) -> None:
    """Assert that the network gives the test events the AUC that the run found."""
    test = recomputed.splits(every)["test"]
    found = scores(run.path / "deploy" / "model.onnx", test)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(test)), abs=1e-6)
    positive = test["process"].to_numpy() == 1
    auc = recomputed.auc(found[:, 1], positive, recomputed.yields(test, every))
    assert auc == pytest.approx(run.json("metrics.json")["metrics"]["test"]["auc"], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_gives_the_auc_of_the_run(workshop: Workshop, kind: str) -> None:
    ended = workshop.run(workshop.build(f"deployed_{kind}", **KINDS[kind])).done()
    run = workshop.found(f"deployed_{kind}")
    assert_tested_alike(run, events(401))
    assert f"\ndeployed    {run.path / 'deploy'}\n" in ended.output
    rounded = re.findall(
        "the network is exported in single precision: probability differs by (.*)"
        " at most from what it is in (.*)\n",
        ended.output,
    )
    precision = KINDS[kind].get("experiment_config", {}).get("precision", "32-true")
    assert [name for _, name in rounded] == [precision] * (precision != "32-true")


def test_the_network_of_classes_gives_one_probability_each(workshop: Workshop) -> None:
    workshop.write(events(401, 3), "three")
    run = workshop.train("deployed_classes", **THREE)
    every = events(401, 3)
    test = recomputed.splits(every)["test"]
    network = run.path / "deploy" / "model.onnx"
    found = scores(network, test)
    said = InferenceSession(network).get_modelmeta().custom_metadata_map
    weight = recomputed.yields(test, every)
    metrics = run.json("metrics.json")["metrics"]["test"]
    assert json.loads(said["classes"]) == ["ggH", "VBF", "W_jets"]
    for index, name in enumerate(("ggH", "VBF", "W_jets")):
        positive = test["process"].to_numpy() == index
        auc = recomputed.auc(found[:, index], positive, weight)
        assert auc == pytest.approx(metrics[f"auc_{name}"], abs=1e-5)


def test_what_is_deployed_names_its_run_and_its_split(workshop: Workshop) -> None:
    run = workshop.train("deployed_named")
    said = InferenceSession(run.path / "deploy" / "model.onnx").get_modelmeta()
    found = {name: json.loads(text) for name, text in said.custom_metadata_map.items()}
    assert found["run"] == "deployed_named"
    assert found["script"] == run.json("run.json")["script"]
    assert found["split"] == [0.6, 0.2, 0.2]
    assert [each["selection"] for each in found["samples"]] == ["process == 1", "process == 0"]
    train = recomputed.splits(events(401))["train"]
    z = train["z"][train["z"] != -999.0].to_numpy(dtype=np.float32)
    assert found["seen"]["ranges"]["z"] == [float(z.min()), float(z.max())]
    assert found["seen"]["lacking"] == ["z"]
    assert found["seen"]["categories"]["n_jets"] == sorted(set(train["n_jets"]))


def test_what_applies_it_lies_beside_it(workshop: Workshop) -> None:
    script = workshop.build("deployed_whole_folder")
    needed = needed_files(TEMPLATES, "apply.py")
    for name in needed:
        (script.parent / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(TEMPLATES / name, script.parent / name)
    ended = workshop.run(script).done()
    assert "network alone" not in ended.output
    run = workshop.found("deployed_whole_folder")
    assert run.deployed().keys() == {*needed, "model.onnx", "SHA256SUMS"}
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=run.path / "deploy", check=True)


def test_without_export_onnx_nothing_is_deployed_nor_needed(workshop: Workshop) -> None:
    script = workshop.build("undeployed", training_config={"export_onnx": False})
    ended = workshop.run(script).done()
    assert "\ndeployed " not in ended.output
    run = workshop.found("undeployed")
    assert run.deployed() == {}
    assert "/deploy" not in run.artifacts()
    assert "onnx" not in script.read_text()
    assert not (script.parent / "parts" / "exports.py").exists()


def test_a_run_that_is_killed_while_it_exports_makes_the_same_folder(workshop: Workshop) -> None:
    whole = workshop.train("deployed_whole")
    script = workshop.folder / "generated" / "deployed_whole" / "train_signal.py"
    logs = workshop.folder / "killed_exports"
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs)}
    run = workshop.found("deployed_whole", logs.name)
    for event, pattern in (
        ("open", "*/deploy.unfinished/.*"),
        ("os.rename", "*/deploy.unfinished"),
        ("os.rename", "*/metrics.json"),
    ):
        strike = Strike(event, pattern, 1, signal.SIGKILL)
        assert workshop.run(script, strike=strike, variables=variables).status == -9
        assert not (run.path / "done").exists()
    workshop.run(script, variables=variables).done()
    assert run.deployed() == whole.deployed()
    assert not list(run.path.glob("deploy.*"))


def test_a_run_that_was_finished_without_a_network_is_left_alone(workshop: Workshop) -> None:
    """As those of older scripts are."""
    script = workshop.build("deployed_once")
    workshop.run(script).done()
    run = workshop.found("deployed_once")
    for path in sorted((run.path / "deploy").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (run.path / "deploy").rmdir()
    before = run.files()
    assert "is finished" in workshop.run(script).done().output
    assert run.files() == before
