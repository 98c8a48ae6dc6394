"""The trainings of a cross-validation: every event is tested once, by one that has not seen it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import seesawc
from seesawc import pipeline
from seesawc.writing.scripts import COMBINE
from tests.runs.experiments import Run, Workshop, events, give_store, reading, same
from tests.runs.recomputed import auc, network, own, share
from tests.runs.starts import isolated
from tests.spec_tables import merged

K = 3
NUMERICAL, CATEGORICAL = ["x", "y", "z"], ["n_jets"]
TRAIN = "from seesawc.cli.commands import train_signal; train_signal()"


def fold_of(event: int) -> int:
    """Return the fold of an event number: its share of the events, in equal parts."""
    return min(int(share(event) * K), K - 1)


@pytest.fixture(scope="module")
def every(workshop: Workshop) -> pd.DataFrame:
    """All events with their fold, each of which has a category that no other has."""
    frame = events(600)
    frame["fold"] = frame["event"].map(fold_of)
    for fold, part in frame.groupby("fold"):
        frame.loc[part.index[::9], "n_jets"] = 20 + int(str(fold))
    workshop.write(frame.drop(columns="fold"), "folded")
    return frame


def tables(**changes: Any) -> dict[str, Any]:
    return merged(reading("folded", folds=K, batch_size=50), changes)


@pytest.fixture(scope="module")
def script(workshop: Workshop, every: pd.DataFrame) -> Path:
    return workshop.build("folded", **tables())


@pytest.fixture(scope="module")
def output(workshop: Workshop, script: Path) -> str:
    """What train_signal says, which trains all folds and combines them."""
    spec = workshop.folder / "specs" / "folded.toml"
    places = {
        "ANALYSIS_ML_LOGS_DIR": str(workshop.folder / "logs"),
        "ANALYSIS_ML_RESULTS_DIR": str(workshop.folder / "results"),
        "PYTHONPATH": str(Path(seesawc.__file__).parents[1]),
    }
    give_store(workshop.folder / "logs")
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN, str(spec)],
        cwd=workshop.folder,
        env=isolated() | places,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended
    assert ended.stdout.count(f"\n{COMBINE}\n") == 1
    return ended.stdout


@pytest.fixture(scope="module")
def runs(workshop: Workshop, script: Path, output: str) -> list[Run]:
    """The runs of the folds in order."""
    spec = workshop.folder / "specs" / "folded.toml"
    return [workshop.found(r.name) for r in pipeline.compile_spec(spec, script.parent).runs]


def test_every_fold_is_tested_by_the_training_that_has_not_seen_it(
    runs: list[Run], every: pd.DataFrame
) -> None:
    tested = []
    for fold, run in enumerate(runs):
        metrics = run.json("metrics.json")["metrics"]
        weights = own(run.checkpoint(run.json("done")["checkpoint"]))
        for split, number in (("test", fold), ("validation", (fold + 1) % K)):
            part = every[every["fold"] == number]
            logit = network(weights, part, NUMERICAL, CATEGORICAL)[:, 0].numpy()
            positive, weight = (part[n].to_numpy() for n in ("process", "weight"))
            found = auc(logit, positive == 1, weight)
            assert metrics[split]["auc"] == pytest.approx(found, abs=1e-5)
        # Of the categories that one fold has alone, it learnt that of the third.
        learnt = set(weights["inputs.blocks.1.values"].tolist()) & {20, 21, 22}
        assert learnt == {20 + (fold + 2) % K}
        tested += every.index[every["fold"] == fold].tolist()
    assert sorted(tested) == sorted(every.index)


def test_each_fold_is_a_run_that_says_which_it_is(runs: list[Run]) -> None:
    assert len({run.path for run in runs}) == K
    for fold, run in enumerate(runs):
        (entry,) = run.entries()
        assert (entry.data.params["fold"], entry.data.params["folds"]) == (str(fold), str(K))
        assert not {name for name in entry.data.params if name in ("train", "validation", "test")}
        (trained,) = run.json("run.json")["events"]
        assert trained["split"] == {"number": fold, "folds": K}
        assert run.epochs("val_loss") == [1, 2]
    # They differ in the events that they learn from alone.
    assert len({run.json("run.json")["seed"] for run in runs}) == 1


def test_what_folds_say_together_counts_every_event_once(
    workshop: Workshop, runs: list[Run], every: pd.DataFrame
) -> None:
    combined = workshop.found("folded-combined")
    logits = np.empty(len(every))
    for fold, run in enumerate(runs):
        weights = own(run.checkpoint(run.json("done")["checkpoint"]))
        part = (every["fold"] == fold).to_numpy()
        logits[part] = network(weights, every[part], NUMERICAL, CATEGORICAL)[:, 0].numpy()
    positive, weight = (every[n].to_numpy() for n in ("process", "weight"))
    found = combined.json("metrics.json")
    assert found["events"] == len(every)
    expected = auc(logits, positive == 1, weight)
    assert found["metrics"]["all events"]["auc"] == pytest.approx(expected, abs=1e-5)
    names = sorted(path.name for path in (combined.path / "deploy").glob("*.onnx"))
    assert names == [f"model_{fold}.onnx" for fold in range(K)]


def test_one_fold_alone_trains_what_the_point_of_it_does(
    workshop: Workshop, runs: list[Run]
) -> None:
    alone = workshop.train("alone", **tables(dataset_config={"fold": 2}))
    assert same(alone.weights(), runs[2].weights())
    assert alone.measured() == runs[2].measured()


def test_a_checkpoint_goes_on_where_its_own_fold_is_tested_alone(
    workshop: Workshop, runs: list[Run]
) -> None:
    best = runs[1].path / "checkpoints" / str(runs[1].json("done")["checkpoint"])
    model = {"load_checkpoint": os.path.relpath(best, workshop.folder / "specs")}
    for fold, status in ((1, 0), (2, 1)):
        changes = {"dataset_config": {"fold": fold}, "model_config": model}
        ended = workshop.run(workshop.build(f"tested_{fold}", **tables(**changes)))
        assert ended.status == status, ended
    assert "split: " in ended.error
    tested = workshop.found("tested_1").json("metrics.json")["metrics"]["test"]["auc"]
    assert tested == pytest.approx(runs[1].json("metrics.json")["metrics"]["test"]["auc"])
