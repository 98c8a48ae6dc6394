"""`apply.py` in the folder of a spec gives events the scores that the run itself has judged."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.runs import recomputed
from tests.runs.experiments import Run, Workshop, events

FOLDS: dict[str, Any] = {"dataset_config": {"folds": 3}}


def scored(workshop: Workshop, script: Path, *words: str) -> pd.DataFrame:
    """Return what `apply.py` beside a script writes of the events of both classes."""
    out = workshop.folder / f"{script.parent.name}.parquet"
    out.unlink(missing_ok=True)
    source = str(workshop.folder / "data" / "toy.parquet")
    workshop.run(script.with_name("apply.py"), source, str(out), *words).done()
    return pd.read_parquet(out)


@pytest.fixture(scope="module")
def run(workshop: Workshop) -> Run:
    return workshop.train("applied")


@pytest.fixture(scope="module")
def script(workshop: Workshop, run: Run) -> Path:
    return workshop.folder / "generated" / run.path.name / "train_signal.py"


def test_the_test_events_alone_give_the_auc_of_the_run(
    workshop: Workshop, run: Run, script: Path
) -> None:
    every = events(401)
    found = scored(workshop, script, "--only", "test")
    test = recomputed.splits(every)["test"]
    assert found["event"].tolist() == test["event"].tolist()
    score = found["score"].to_numpy(dtype=np.float64)
    auc = recomputed.auc(score, found["process"].to_numpy() == 1, recomputed.yields(test, every))
    assert auc == pytest.approx(run.json("metrics.json")["metrics"]["test"]["auc"], abs=1e-5)


def test_each_event_is_of_the_split_that_its_number_decides(
    workshop: Workshop, script: Path
) -> None:
    found = scored(workshop, script)
    names = np.array(recomputed.SPLITS)[found["split"]]
    assert names.tolist() == [recomputed.split_of(event) for event in found["event"]]
    assert found.drop(columns=["score", "split"]).equals(events(401))


def test_a_training_that_has_not_ended_has_no_scores(workshop: Workshop) -> None:
    script = workshop.build("unapplied")
    words = (str(workshop.folder / "data" / "toy.parquet"), "none.parquet")
    ended = workshop.run(script.with_name("apply.py"), *words)
    ended.refused("the training has not finished: ")
    assert "train_signal.py comes first" in ended.error


def test_folds_are_applied_once_they_are_combined(workshop: Workshop) -> None:
    script = workshop.build("applied_folds", **FOLDS)
    workshop.run(script, "--all").done()
    words = (str(workshop.folder / "data" / "toy.parquet"), "none.parquet")
    apply = script.with_name("apply.py")
    workshop.run(apply, *words).refused("combine.py comes first")
    workshop.run(script.with_name("combine.py")).done()
    found = scored(workshop, script)
    folds = [int(recomputed.share(event) * 3) for event in found["event"]]
    assert found["fold"].tolist() == folds
    combined = workshop.found("applied_folds-combined")
    columns = (found[name].to_numpy(dtype=np.float64) for name in ("score", "process", "weight"))
    score, process, weight = columns
    auc = recomputed.auc(score, process == 1, weight)
    wanted = combined.json("metrics.json")["metrics"]["all events"]["auc"]
    assert auc == pytest.approx(wanted, abs=1e-5)
    # Others than those that this script has trained are not taken for these.
    record = script.with_name("resolved.toml")
    text = record.read_text()
    record.write_text(text.replace('script = "', 'script = "0'))
    workshop.run(apply, *words).refused("which no script of this folder has trained")
    record.write_text(text)
