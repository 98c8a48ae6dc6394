"""What combine.py says of folds is worked out anew, from the data and the checkpoints."""

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from seesawc.writing.scripts import COMBINE
from tests.runs.experiments import EXPERIMENT, Run, Workshop
from tests.runs.recomputed import Floats, auc, network, own, share, significance

K = 3
FOLDS: dict[str, Any] = {"dataset_config": {"folds": K}}
NUMERICAL, CATEGORICAL = ("x", "y", "z"), ("n_jets",)


def points(script: Path) -> list[dict[str, Any]]:
    record = tomllib.loads(script.with_name("resolved.toml").read_text())
    found: list[dict[str, Any]] = record["points"]
    return found


@pytest.fixture(scope="module")
def script(workshop: Workshop) -> Path:
    """What combines the folds of a training, which are all trained."""
    training = workshop.build("folded", **FOLDS)
    workshop.run(training, "--all").done()
    return training.with_name(COMBINE)


@pytest.fixture(scope="module")
def combined(workshop: Workshop, script: Path) -> Run:
    ended = workshop.run(script).done()
    assert "all events" in ended.output
    return workshop.found("folded-combined")


def folds(workshop: Workshop, script: Path) -> list[Run]:
    return [workshop.found(point["run_name"]) for point in points(script)]


@pytest.fixture(scope="module")
def judged(workshop: Workshop, script: Path, combined: Run) -> pd.DataFrame:
    """All events, each with the fold that it is in and the score of that fold's network."""
    frame = pd.read_parquet(workshop.folder / "data" / "toy.parquet")
    frame["fold"] = [int(share(event) * K) for event in frame["event"]]
    for number, run in enumerate(folds(workshop, script)):
        mine = frame["fold"] == number
        weights = own(run.checkpoint(run.json("done")["checkpoint"]))
        logits = network(weights, frame[mine], NUMERICAL, CATEGORICAL)
        frame.loc[mine, "score"] = torch.sigmoid(logits[:, 0]).numpy()
    return frame


def of_all_events(combined: Run, name: str) -> float:
    return float(combined.json("metrics.json")["metrics"]["all events"][name])


def test_the_area_is_that_of_all_events_each_scored_by_the_network_that_has_not_seen_it(
    combined: Run, judged: pd.DataFrame
) -> None:
    columns = [judged[name].to_numpy() for name in ("score", "process", "weight")]
    score, process, weight = columns
    assert combined.json("metrics.json")["events"] == len(judged)
    assert of_all_events(combined, "auc") == pytest.approx(auc(score, process == 1, weight), 1e-5)
    counted = [each["events"] for each in combined.json("metrics.json")["folds"]]
    assert counted == np.bincount(judged["fold"]).tolist()


def test_the_significance_is_above_the_cut_that_the_validation_of_each_fold_has_chosen(
    workshop: Workshop, script: Path, combined: Run, judged: pd.DataFrame
) -> None:
    cuts = [
        run.json("metrics.json")["metrics"]["validation"]["significance_cut"]
        for run in folds(workshop, script)
    ]
    assert len(set(cuts)) == K
    above: Floats = judged["score"].to_numpy() - np.array(cuts)[judged["fold"]]
    weight = judged["weight"].to_numpy()
    expected, _ = significance(above, (judged["process"] == 1).to_numpy(), weight, 0.0)
    assert of_all_events(combined, "significance") == pytest.approx(expected, 1e-5)


def test_mean_and_spread_are_of_the_tests_that_the_runs_have_written(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    tests = [run.json("metrics.json")["metrics"]["test"] for run in folds(workshop, script)]
    found = combined.json("metrics.json")["metrics"]
    for name in tests[0]:
        values = [test[name] for test in tests]
        assert found["mean of folds"][name] == pytest.approx(np.mean(values))
        assert found["spread"][name] == pytest.approx(np.std(values, ddof=1))


def test_it_leaves_all_networks_plots_and_an_entry_of_the_tracker(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    for number, run in enumerate(folds(workshop, script)):
        copy = combined.path / "deploy" / f"model_{number}.onnx"
        assert copy.read_bytes() == (run.path / "deploy" / "model.onnx").read_bytes()
    plots = workshop.folder / "results" / EXPERIMENT / combined.path.name
    names = ("calibration", "confusion", "roc", "scores", "significance")
    assert sorted(path.name for path in plots.iterdir()) == sorted(
        f"{name}{ending}" for name in names for ending in (".pdf", ".png")
    )
    (entry,) = combined.entries()
    assert entry.info.status == "FINISHED"
    assert entry.data.metrics["test_auc"] == of_all_events(combined, "auc")


def test_what_it_deploys_gives_each_event_the_score_that_it_was_judged_by(
    workshop: Workshop, combined: Run, judged: pd.DataFrame
) -> None:
    out = workshop.folder / "scored.parquet"
    data = workshop.folder / "data" / "toy.parquet"
    workshop.run(combined.path / "deploy" / "apply.py", str(data), str(out)).done()
    scored = pd.read_parquet(out)
    assert scored["event"].tolist() == judged["event"].tolist()
    assert scored["fold"].tolist() == judged["fold"].tolist()
    np.testing.assert_allclose(scored["score"], judged["score"], atol=1e-5)


def test_combined_again_it_leaves_the_same_bytes(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    before = (combined.path / "metrics.json").read_bytes()
    workshop.run(script).done()
    assert (combined.path / "metrics.json").read_bytes() == before
    assert len(combined.entries()) == 1


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """Give a file another content, or none, for a while."""
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    yield
    path.write_bytes(before)


def refused(workshop: Workshop, script: Path, *arguments: str) -> str:
    """Return why nothing is combined; what was combined before stays as it is."""
    combined = workshop.found("folded-combined")
    before = combined.files()
    ended = workshop.run(script, *arguments)
    assert ended.status == 1, ended
    assert "Traceback" not in ended.error
    assert combined.files() == before
    return str(ended.error)


def test_each_fold_that_is_missing_is_named(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    said = refused(workshop, script, "--again", "2")
    for run in folds(workshop, script):
        assert f"not finished: {run.path}+2; train_signal.py comes first" in said


def test_the_runs_of_another_script_are_refused(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    other = workshop.build(
        "folded", **FOLDS, training_config={"optimizer": {"optimizer_params": {"lr": 0.02}}}
    )
    said = refused(workshop, other.with_name(COMBINE))
    assert said.count("it was trained by another train_signal.py") == K
    workshop.build("folded", **FOLDS)


def test_other_data_than_those_of_the_trainings_are_refused(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    data = workshop.folder / "data" / "toy.csv"
    with changed(data, data.read_bytes() + data.read_bytes().splitlines(True)[-1]):
        assert refused(workshop, script).count("was trained on other data") == K


def test_a_network_that_is_not_there_is_named(
    workshop: Workshop, script: Path, combined: Run
) -> None:
    path = folds(workshop, script)[1].path / "deploy" / "model.onnx"
    with changed(path, None):
        said = refused(workshop, script)
    assert f"fold 1: {path} is missing" in said
    assert "fold 0" not in said


def test_help_says_what_it_does(workshop: Workshop, script: Path) -> None:
    said = workshop.run(script, "--help").done().output
    assert "--again LABEL" in said
    assert "Combine" in said


def test_the_points_of_a_sweep_are_combined_that_are_whole_and_compared(
    workshop: Workshop,
) -> None:
    sweep = {"seeds": [1, 2]}
    training = workshop.build("seeded", **FOLDS, sweep_config=sweep)
    script, runs = training.with_name(COMBINE), folds(workshop, training)
    for point in points(training)[: K + 1]:
        workshop.run(training, "--point", point["identity"]).done()
    ended = workshop.run(script)
    assert ended.status == 1
    for run in runs[K + 1 :]:
        assert f"has not finished: {run.path}" in ended.error
    assert f"{runs[K].path} has not" not in ended.error
    (whole,) = (path for path in runs[0].path.parent.glob("seeded-*-combined"))
    said = json.loads((whole / "metrics.json").read_text())
    assert [each["run"] for each in said["folds"]] == [run.path.name for run in runs[:K]]
    head, *rows = ended.output[ended.output.index("auc of all events") :].splitlines()
    assert head.split()[-1] == "spread"
    assert len(rows) == 1
    assert rows[0].endswith("seed=1")
    for point in points(training)[K + 1 :]:
        workshop.run(training, "--point", point["identity"]).done()
    ended = workshop.run(script).done()
    _, *rows = ended.output[ended.output.index("auc of all events") :].splitlines()
    areas = [float(row.split()[0]) for row in rows]
    assert len(areas) == 2
    assert areas == sorted(areas, reverse=True)
    second = workshop.run(script, "--point", "1").done().output
    assert "seeded-" in second
    assert "auc of all events" not in second
