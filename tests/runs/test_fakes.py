"""The three stages, one after another: what they leave, go on from, and refuse."""

import json
import re
import shutil
import signal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from attrs import frozen

from specs.data import make_toys
from tests.runs.experiments import EXPERIMENT, Run, Workshop, same
from tests.runs.fakes import RUN, SPEC, STAGES, VARIANTS, FakesWorkshop, leptons
from tests.runs.starts import Ended, Strike
from tests.spec_tables import merged


@pytest.mark.parametrize("name", RUN)
def test_three_stages_a_closure_and_a_fake_factor(fakes: FakesWorkshop, name: str) -> None:
    folder = fakes.train(name, **VARIANTS[name])
    ended = fakes.run(folder, "closure")
    deviation = fakes.found(name, "ratio").json("closure.json")["neural"]["fakes_ratio"] - 1
    assert ended.status == (0 if abs(deviation) <= SPEC["fakes_config"]["tolerance"] else 5), ended
    ended.quiet()
    assert "fakes / (data - MC)" in ended.output
    members = VARIANTS[name].get("fakes_config", {}).get("n_members", 1)
    events = leptons().drop(columns="weight")
    events.to_parquet(fakes.workshop.folder / "in.parquet")
    fakes.run(folder, "apply", "in.parquet", "out.parquet", "--overwrite").done()
    out = pd.read_parquet(fakes.workshop.folder / "out.parquet")
    pd.testing.assert_frame_equal(out[events.columns], events)
    factor, spread = out["fake_factor"].to_numpy(), out["fake_factor_spread"].to_numpy()
    assert np.isfinite(factor).all()
    cracked = "crack_veto" in VARIANTS[name].get("fakes_config", {})
    crack = np.abs(events["eta"]).between(1.37, 1.52, inclusive="neither") & cracked
    assert (factor[~crack] > 0).all()
    assert (factor[crack] == 0).all()
    assert bool((spread[~crack] > 0).any()) == (members > 1)


def test_the_fake_factor_is_nearly_the_true_one(fakes: FakesWorkshop) -> None:
    fakes.write(leptons(0.1), "many")
    samples = [
        {
            "name": kind,
            "kind": kind,
            "files": ["../data/many.parquet"],
            "selection": f"data_type == {value}",
        }
        for kind, value in (("data", 1), ("mc", 0))
    ]
    folder = fakes.train(
        "many",
        dataset_config={"samples": samples},
        training_config={"max_epochs": 8, "scheduler": {"scheduler_name": "CosineAnnealingLR"}},
        fakes_config={"tolerance": 0.1},
    )
    ended = fakes.run(folder, "closure")
    assert ended.status == 0, ended
    events = leptons(0.1)
    fakes.run(folder, "apply", "data/many.parquet", "many.out.parquet").done()
    factor = pd.read_parquet(fakes.workshop.folder / "many.out.parquet")["fake_factor"]
    true = make_toys.true_jets_fake_factor(*(events[n].to_numpy() for n in ("pt", "eta", "n_jets")))
    loose = events["toy_type"] == make_toys.LOOSE
    deviation = np.log(factor / true)[loose & (events["data_type"] == 1)]
    # The truth itself varies by a factor of six: a constant would deviate by 0.3.
    assert np.std(deviation) < 0.2
    assert abs(np.mean(deviation)) < 0.1


@pytest.fixture(scope="module")
def plain(fakes: FakesWorkshop) -> Path:
    """The folder of scripts that have all run, closure included."""
    folder = fakes.train("plain", **VARIANTS["plain"])
    fakes.run(folder, "closure")
    return folder


def test_what_the_stages_leave(fakes: FakesWorkshop, plain: Path) -> None:
    for stage in STAGES:
        run = fakes.found("plain", stage)
        assert run.json("done")["script"]
        (entry,) = run.entries()
        assert entry.info.status == "FINISHED"
        assert entry.data.tags["stage"] == stage
        assert entry.data.tags["fakes"] == "plain"
        assert entry.data.params["category"] == "toy_type"
        # What the ratio does not have is no constant of its script.
        none = "model_config.architecture_config.act_out"
        name, out = (none, "none") if stage == "ratio" else ("act_out", "Softabs")
        assert entry.data.params[name] == out
        plots = {name.partition("/")[2] for name in run.artifacts() if name.endswith(".png")}
        shown = {"fake_factor"} if stage == "ratio" else {"log_ratio", "reweighting"}
        each = "fake_factor" if stage == "ratio" else "subtraction"
        shown |= {f"{each}_{name}" for name in ("pt", "eta", "n_jets")} | {"history"}
        assert plots == {f"{name}.png" for name in shown}
        metrics = {"closure", "chi2"} if stage == "ratio" else {"chi2_data", "chi2_mc", "ratio"}
        assert set(run.json("metrics.json")["metrics"]["test"]) == metrics
        assert run.logged().keys() >= {f"val_{name}" for name in metrics}
    closure = fakes.found("plain", "ratio").json("closure.json")
    assert set(closure["neural"]["variables"]) == {"pt", "eta", "n_jets"}


def test_the_exported_network_says_what_it_is_made_of(fakes: FakesWorkshop, plain: Path) -> None:
    path = fakes.found("plain", "ratio").path / "deploy" / "model.onnx"
    session = onnxruntime.InferenceSession(path)
    names = session.get_modelmeta().custom_metadata_map
    assert json.loads(names["numerical"]) == ["pt", "eta"]
    assert json.loads(names["categorical"]) == ["n_jets"]
    inputs = {"numerical": np.array([[30, 1.0]], np.float32), "categorical": np.array([[2]])}
    one = session.run(None, inputs)[0]
    many = session.run(None, {name: np.repeat(array, 7, 0) for name, array in inputs.items()})[0]
    assert one.shape == (1, 1)
    assert many == pytest.approx(np.repeat(one, 7, 0))


def test_the_function_works_without_torch(fakes: FakesWorkshop, plain: Path) -> None:
    script = plain / "use.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parent))\n"
        "from apply import fake_factor\n"
        "print(fake_factor({'pt': [20.0, 50.0], 'eta': [0.1, -2.0], 'n_jets': [1, 3]}).shape)\n"
        "print('torch' in sys.modules, 'lightning' in sys.modules)\n"
    )
    try:
        ended = fakes.workshop.run(script, cold=True).done()
    finally:
        script.unlink()
    assert ended.output == "(2,)\nFalse False\n"


def test_what_is_deployed_works_wherever_it_is_copied(
    fakes: FakesWorkshop, plain: Path, tmp_path: Path
) -> None:
    deployed = fakes.found("plain", "ratio").path / "deploy"
    copied = Path(shutil.copytree(deployed, tmp_path / "copied"))
    leptons().to_parquet(fakes.workshop.folder / "in.parquet")
    found = []
    for place in (plain, copied):
        fakes.run(place, "apply", "in.parquet", "out.parquet", "--overwrite").done()
        found.append(pd.read_parquet(fakes.workshop.folder / "out.parquet"))
    pd.testing.assert_frame_equal(found[0], found[1])


def test_the_same_stages_give_the_same_weights(fakes: FakesWorkshop) -> None:
    folder = fakes.train("everything", **VARIANTS["everything"])
    for stage in STAGES:
        fakes.run(folder, stage, "--again", "2").done()
        first = fakes.found("everything", stage)
        second = fakes.workshop.found(f"everything-{stage}+2")
        assert same(first.weights(), second.weights()), stage
        assert first.measured() == second.measured()
    # It was built on the parents of the same label.
    parents = fakes.workshop.found("everything-ratio+2").json("run.json")["parents"]
    assert all(name.partition(" ")[0].endswith("+2") for name in parents.values())
    # Without such parents, on the plain ones.
    fakes.run(folder, "ratio", "--again", "3").done()
    parents = fakes.workshop.found("everything-ratio+3").json("run.json")["parents"]
    assert not any("+" in name.partition(" ")[0] for name in parents.values())


@pytest.fixture(scope="module")
def straight(fakes: FakesWorkshop) -> Path:
    """The folder of three stages that nothing has interrupted."""
    changes = {"experiment_config": {"log_every_n_steps": 1}, "training_config": {"max_epochs": 4}}
    return fakes.train("straight", **changes)


@pytest.mark.parametrize("stage", ["numerator", "ratio"])
def test_a_stage_that_is_interrupted_ends_as_if_it_had_not_been(
    fakes: FakesWorkshop, straight: Path, stage: str
) -> None:
    strike = Strike("step", "*", 3, signal.SIGTERM)
    assert fakes.run(straight, stage, "--again", "cut", strike=strike).status == 143
    run, wanted = fakes.workshop.found(f"straight-{stage}+cut"), fakes.found("straight", stage)
    assert max(run.series("train_loss_step")) == 3
    fakes.run(straight, stage, "--again", "cut").done()
    assert same(run.weights(), wanted.weights())
    assert run.measured() == wanted.measured()
    assert len(run.entries()) == 1


def test_a_ratio_that_began_with_other_parents_is_refused(
    fakes: FakesWorkshop, straight: Path
) -> None:
    strike = Strike("step", "*", 3, signal.SIGTERM)
    assert fakes.run(straight, "ratio", "--again", "x", strike=strike).status == 143
    for stage in STAGES[:2]:
        fakes.run(straight, stage, "--again", "x").done()
    fakes.run(straight, "ratio", "--again", "x").refused("began with other parents")


def test_a_closure_that_is_struck_ends_at_once(fakes: FakesWorkshop, straight: Path) -> None:
    """While its data are read; there is nothing to save."""
    strike = Strike("open", "*/jets.parquet", 1, signal.SIGINT)
    ended = fakes.run(straight, "closure", strike=strike)
    assert ended.status == 130, ended
    ended.quiet()
    assert ended.error == "stopped by a signal, exit status 130\n"
    assert not (fakes.found("straight", "ratio").path / "closure.json").exists()


def test_two_tasks_agree_with_one(fakes: FakesWorkshop) -> None:
    one = fakes.build("one", dataset_config={"batch_size": 1024})
    two = fakes.build("two", experiment_config={"devices": 2})
    for stage in STAGES:
        fakes.run(one, stage).done()
        fakes.run(two, stage).done()
        first, second = (fakes.found(name, stage).measured()[-1] for name in ("one", "two"))
        assert second == pytest.approx(first, rel=1e-3), stage


# What a ratio asks of its parents.


@pytest.fixture(scope="module")
def two_parents(fakes: FakesWorkshop) -> Path:
    """The folder of scripts of which numerator and denominator have run."""
    folder = fakes.build("parents", training_config={"max_epochs": 1})
    for stage in STAGES[:2]:
        fakes.run(folder, stage).done()
    return folder


@frozen
class Parents:
    """A copy of the parents' runs, to be damaged, and the folder of the scripts."""

    fakes: FakesWorkshop
    folder: Path
    logs: Path

    def ratio(self, *arguments: str) -> Ended:
        """Start the ratio."""
        logs = {"ANALYSIS_ML_LOGS_DIR": str(self.logs)}
        return self.fakes.run(self.folder, "ratio", *arguments, variables=logs)

    def run(self, stage: str) -> Run:
        return Run(self.logs / EXPERIMENT / f"parents-{stage}")


@pytest.fixture
def parents(fakes: FakesWorkshop, two_parents: Path, tmp_path: Path) -> Parents:
    for stage in STAGES[:2]:
        found = fakes.found("parents", stage).path
        shutil.copytree(found, tmp_path / EXPERIMENT / found.name)
    return Parents(fakes, two_parents, tmp_path)


def test_a_ratio_without_parents_is_refused_at_once(fakes: FakesWorkshop) -> None:
    folder = fakes.build("orphan")
    (fakes.workshop.folder / "data" / "jets.parquet").rename(fakes.workshop.folder / "away")
    try:
        # Before the data are even looked for.
        ended = fakes.run(folder, "ratio")
    finally:
        (fakes.workshop.folder / "away").rename(fakes.workshop.folder / "data" / "jets.parquet")
    ended.refused("the numerator has not finished", "train_numerator.py comes first")
    for script, words in (("closure", ()), ("apply", ("data/jets.parquet", "x.parquet"))):
        ended = fakes.run(folder, script, *words)
        ended.refused("the ratio has not finished", "train_ratio.py comes first")


def test_an_unfinished_parent_is_refused(parents: Parents) -> None:
    (parents.run("denominator").path / "done").unlink()
    parents.ratio().refused("the denominator has not finished")


def test_a_parent_of_another_spec_is_refused(parents: Parents) -> None:
    done = parents.run("numerator").path / "done"
    content = json.loads(done.read_text())
    done.write_text(json.dumps(content | {"script": "0" * 64}))
    parents.ratio().refused("does not fit", "another train_numerator.py", "0" * 12)


def test_a_damaged_parent_is_refused(parents: Parents) -> None:
    run = parents.run("numerator")
    checkpoint = run.path / "checkpoints" / run.json("done")["checkpoint"]
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    parents.ratio().refused("missing or damaged", str(checkpoint))


def test_a_checkpoint_that_is_another_network_is_refused(parents: Parents) -> None:
    run = parents.run("numerator")
    done = run.json("done")
    checkpoint = run.path / "checkpoints" / done["checkpoint"]
    content = torch.load(checkpoint, weights_only=True)
    content["knows"]["numerical"] = ["eta", "pt"]
    torch.save(content, checkpoint)
    digest = sha256(checkpoint.read_bytes()).hexdigest()
    (run.path / "done").write_text(json.dumps(done | {"sha256": digest}))
    parents.ratio().refused("the checkpoint does not fit", "numerical")


def test_parents_of_other_data_are_refused(parents: Parents) -> None:
    before = leptons()
    parents.fakes.write(before.iloc[:-10])
    try:
        parents.ratio().refused("was trained on other data")
        parents.ratio("--accept-data").done()
    finally:
        parents.fakes.write(before)


# What is wrong with leptons.


def changed(
    fakes: FakesWorkshop, name: str, frame: pd.DataFrame, changes: dict[str, Any] | None = None
) -> Path:
    fakes.write(frame, name)
    samples = [
        {
            "name": kind,
            "kind": kind,
            "files": [f"../data/{name}.parquet"],
            "selection": f"data_type == {value}",
        }
        for kind, value in (("data", 1), ("mc", 0))
    ]
    tables = {"dataset_config": {"samples": samples, "logarithmic": []}}
    return fakes.build(name, **merged(tables, changes or {}))


def test_a_lepton_that_is_neither_tight_nor_loose(fakes: FakesWorkshop) -> None:
    frame = leptons()
    frame.loc[frame.index[:3], "toy_type"] = 1
    folder = changed(fakes, "neither", frame)
    for stage in STAGES[:2]:
        fakes.run(folder, stage).refused("toy_type is 1", "tight is 0, loose 2")


def test_a_negative_density_says_where(fakes: FakesWorkshop) -> None:
    frame = leptons(0.05)
    here = (frame["data_type"] == 0) & (frame["toy_type"] == 0) & (frame["pt"] > 80)
    frame.loc[here, "weight"] *= 3
    folder = changed(fakes, "negative", frame)
    fakes.run(folder, "numerator").refused("tight, pt from", "data - MC is -")
    assert not (fakes.found("negative", "numerator").path / "done").exists()


def test_no_tight_data(fakes: FakesWorkshop) -> None:
    frame = leptons()
    gone = (frame["data_type"] == 1) & (frame["toy_type"] == 0)
    folder = changed(fakes, "no_tight_data", frame[~gone])
    fakes.run(folder, "numerator").refused("0 tight events of data")


def test_a_feature_without_logarithm(fakes: FakesWorkshop) -> None:
    frame = leptons()
    frame.loc[frame.index[:2], "pt"] = 0.0
    logs = {"dataset_config": {"logarithmic": ["pt"]}}
    folder = changed(fakes, "no_logarithm", frame, logs)
    fakes.run(folder, "numerator").refused("0 or less, in pt (")


def test_a_closure_of_other_data_is_refused(fakes: FakesWorkshop, plain: Path) -> None:
    before = leptons()
    fakes.write(before.iloc[:-10])
    try:
        fakes.run(plain, "closure").refused("was trained on other data")
    finally:
        fakes.write(before)


def test_a_closure_of_another_split_is_refused(fakes: FakesWorkshop) -> None:
    """It would be tested on what the networks have learnt from."""
    changes = {"training_config": {"max_epochs": 1}}
    fakes.train("resplit", **changes)
    split = {"train": 0.2, "validation": 0.2, "test": 0.6}
    other = fakes.build("resplit", dataset_config={"split": split}, **changes)
    fakes.run(other, "closure").refused("does not fit", "another train_ratio.py")
    assert not (fakes.found("resplit", "ratio").path / "closure.json").exists()


def test_a_file_that_is_no_network_is_refused(fakes: FakesWorkshop, plain: Path) -> None:
    path = fakes.found("plain", "ratio").path / "deploy" / "model.onnx"
    before = path.read_bytes()
    path.write_bytes(b"junk")
    try:
        fakes.run(plain, "closure").refused(f"cannot read '{path}'")
        ended = fakes.run(plain, "apply", "data/jets.parquet", "x.parquet")
        ended.refused(f"cannot read '{path}'")
    finally:
        path.write_bytes(before)


def test_other_names_and_values(fakes: FakesWorkshop) -> None:
    frame = leptons().rename(columns={"pt": "el_pt", "eta": "el_eta"})
    frame["el_type"] = np.where(frame.pop("toy_type") == 0, 7, 3)
    folder = changed(
        fakes,
        "renamed",
        frame,
        {
            "dataset_config": {"numerical": ["el_pt", "n_jets"], "categorical": []},
            "fakes_config": {
                "category": "el_type", "tight": 7, "loose": 3, "pt_slices": [30.0], "pt": "el_pt",
                "crack_veto": True, "crack": [1.0, 1.2], "eta": "el_eta",
            },
        },
    )  # fmt: skip
    for stage in STAGES:
        ended = fakes.run(folder, stage).done()
    outside = ~frame["el_eta"].abs().between(1.0, 1.2, inclusive="neither")
    counts = re.findall(r"tight data (\d+) events", ended.output)
    data = (frame["data_type"] == 1) & (frame["el_type"] == 7)
    assert sum(map(int, counts)) == (data & outside).sum()
    fakes.run(folder, "apply", "data/renamed.parquet", "renamed.out.parquet").done()
    factor = pd.read_parquet(fakes.workshop.folder / "renamed.out.parquet")["fake_factor"]
    assert ((factor > 0) == outside).all()


def test_events_without_a_feature(fakes: FakesWorkshop, plain: Path) -> None:
    leptons().drop(columns="eta").to_parquet(fakes.workshop.folder / "lacking.parquet")
    fakes.run(plain, "apply", "lacking.parquet", "x.parquet").refused("no column 'eta'")
    assert not (fakes.workshop.folder / "x.parquet").exists()


def test_a_classifier_of_signal_takes_logarithms_too(workshop: Workshop) -> None:
    script = workshop.build("logs", dataset_config={"logarithmic": ["x"]})
    workshop.run(script).refused("values that have no logarithm, 0 or less, in x (")
