"""Checkpoints of other runs, tested and continued on other events than those of their training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.runs.experiments import Run, Workshop, events, reading
from tests.runs.recomputed import splits
from tests.spec_tables import merged


@pytest.fixture(scope="module")
def trained(workshop: Workshop) -> Run:
    return workshop.train("trained")


def best(run: Run) -> Path:
    return run.path / "checkpoints" / str(run.json("done")["checkpoint"])


def spec(run: Run, asserted: str = "same", more: bool = False, **changes: Any) -> dict[str, Any]:
    table: dict[str, Any] = {"load_checkpoint": str(best(run)), "checkpoint_events": asserted}
    if more:
        table |= {"continue_training": True}
        changes = merged(changes, {"training_config": {"max_epochs": 4}})
    return merged(changes, {"model_config": table})


@pytest.fixture(scope="module")
def other(workshop: Workshop) -> str:
    """Write events that nobody was trained on, with numbers that others had."""
    frame = events(600).iloc[401:]
    workshop.write(frame.assign(event=np.arange(len(frame)) + 1000), "other")
    return "other"


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("split", {"split": {"train": 0.3, "validation": 0.3, "test": 0.4}}, "split: 0.6"),
        ("number", {"event_number": "process"}, "event_number: event there, process here"),
    ],
)
def test_another_split_is_refused(
    trained: Run, workshop: Workshop, name: str, table: dict[str, Any], words: str, more: bool
) -> None:
    script = workshop.build(f"{name}_{more}", **spec(trained, more=more, dataset_config=table))
    workshop.run(script).refused(words, "checkpoint_events")


def test_other_data_are_refused_unless_the_spec_says_what_they_are(
    trained: Run, workshop: Workshop, other: str
) -> None:
    script = workshop.build("other_data", **spec(trained, **reading(other)))
    workshop.run(script).refused("files of ggH", "files of qqZZ", "checkpoint_events")


def test_unseen_events_are_all_tested(trained: Run, workshop: Workshop, other: str) -> None:
    changes = reading(other) | {"experiment_config": {"plot_metrics_n_epoch": 1}}
    script = workshop.build("unseen", **spec(trained, "unseen", **changes))
    ended = workshop.run(script).done()
    run = workshop.found("unseen")
    frame = pd.read_parquet(workshop.folder / "data" / f"{other}.parquet")
    assert "was trained on none of these events" in ended.output
    counts = [f"background {(frame.process == 0).sum()} ", f"signal {(frame.process == 1).sum()} "]
    (tested,) = [line for line in ended.output.splitlines() if line.startswith("test:")]
    assert all(count in tested for count in counts)
    assert not [line for line in ended.output.splitlines() if line.startswith("train:")]
    metrics = run.json("metrics.json")
    assert metrics["checkpoint_events"] == run.json("run.json")["checkpoint_events"] == "unseen"
    assert list(metrics["metrics"]) == ["test"]
    # The cut is that of the training's validation, and not sought on what is tested.
    content = torch.load(best(trained), weights_only=True)
    validated = content["callbacks"]["Continuation"]["validated"]["values"]
    assert metrics["metrics"]["test"]["significance_cut"] == validated["val_significance_cut"]
    (entry,) = run.entries()
    assert entry.data.params["checkpoint_events"] == "unseen"
    assert entry.data.tags["checkpoint_events"] == "unseen"
    assert "test/roc.png" in run.artifacts()


def test_unseen_events_have_no_cut_where_the_checkpoint_brings_none(
    workshop: Workshop, other: str
) -> None:
    seldom = {"experiment_config": {"check_metrics_n_epoch": 5, "plot_metrics_n_epoch": "never"}}
    cutless = workshop.train("cutless", **seldom, training_config={"max_epochs": 2})
    script = workshop.build("uncut", **spec(cutless, "unseen", **reading(other)))
    ended = workshop.run(script).done()
    assert f"{best(cutless)} brings no cut on the significance" in ended.output
    why = "nan: the validation whose cut is taken has chosen none"
    assert f"significance of test is {why}" in ended.output
    assert "effective background events" not in ended.output
    metrics = workshop.found("uncut").json("metrics.json")["metrics"]["test"]
    assert metrics["significance"] is metrics["significance_cut"] is None


def test_numbered_events_keep_the_split_of_the_training(
    trained: Run, workshop: Workshop, other: str
) -> None:
    ended = workshop.run(
        workshop.build("numbered", **spec(trained, "numbered", **reading(other)))
    ).done()
    frame = pd.read_parquet(workshop.folder / "data" / f"{other}.parquet")
    test = splits(frame)["test"]
    (line,) = [line for line in ended.output.splitlines() if line.startswith("test:")]
    assert f"signal {(test.process == 1).sum()} " in line


def test_a_continued_training_says_of_both_what_it_was_trained_on(
    trained: Run, workshop: Workshop, other: str
) -> None:
    script = workshop.build("more", **spec(trained, "unseen", more=True, **reading(other)))
    workshop.run(script).done()
    run = workshop.found("more")
    first, second = run.checkpoint()["events"]
    assert [first] == trained.checkpoint()["events"]
    assert second["split"] == [0.6, 0.2, 0.2]
    assert second["samples"] != first["samples"]
    # Its own events may be tested again; of the first ones, some may have been trained on.
    again = workshop.build("again", **spec(run, **reading(other)))
    workshop.run(again).done()
    before = workshop.build("before", **spec(run))
    workshop.run(before).refused("files of ggH")


def test_a_checkpoint_that_does_not_know_its_events_is_tested_with_a_word(
    trained: Run, workshop: Workshop
) -> None:
    content = torch.load(best(trained), weights_only=True)
    del content["events"]
    old = workshop.folder / "old.ckpt"
    torch.save(content, old)
    table = {"model_config": {"load_checkpoint": str(old)}}
    ended = workshop.run(workshop.build("old", **table))
    assert ended.status == 0
    assert "does not say which events it was trained on" in ended.output
