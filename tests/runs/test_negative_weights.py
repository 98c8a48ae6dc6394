"""Trainings on events whose negative weights prevail somewhere."""

import numpy as np
import pandas as pd
import pytest

from tests.runs.experiments import Run, Workshop, events, reading
from tests.runs.recomputed import splits

EPOCHS = {"max_epochs": 12, "optimizer": {"optimizer_params": {"lr": 0.05}}}


@pytest.fixture(scope="module")
def signed(workshop: Workshop) -> str:
    """Write events whose weights are negative in a corner that both classes have."""
    frame = events(401)
    corner = frame.y > 1.0
    workshop.write(frame.assign(weight=np.where(corner, -0.8, 1.0)), "signed")
    return "signed"


def best_epoch(run: Run) -> int:
    content = run.checkpoint(str(run.json("done")["checkpoint"]))
    return int(content["epoch"]) + 1


def losses(run: Run) -> dict[int, float]:
    return {line["epoch"]: line["val_loss"] for line in run.measured() if "val_loss" in line}


def test_a_loss_that_positive_weights_could_not_give_chooses_no_epoch(
    workshop: Workshop, signed: str
) -> None:
    script = workshop.build("diverging", **reading(signed), training_config=EPOCHS)
    ended = workshop.run(script)
    assert ended.status == 0, ended
    run = workshop.found("diverging")
    found = losses(run)
    # The record has them as they are.
    assert min(found.values()) < 0, found
    possible = {epoch: loss for epoch, loss in found.items() if loss >= 0}
    assert best_epoch(run) == min(possible, key=possible.__getitem__)
    said = [line for line in ended.output.splitlines() if "positive weights could give" in line]
    assert len(said) == 1
    assert f"after epoch {min(e for e, loss in found.items() if loss < 0)} " in said[0]
    assert "negative_weights" in said[0]


def test_a_run_of_such_losses_alone_has_no_best_epoch(workshop: Workshop, signed: str) -> None:
    script = workshop.build(
        "lost",
        **reading(signed),
        training_config=EPOCHS | {"optimizer": {"optimizer_params": {"lr": 1.0}}},
        experiment_config={"check_eval_n_epoch": 6},
    )
    workshop.run(script).refused("no epoch has a val_loss that positive weights could give")
    assert max(losses(workshop.found("lost")).values()) < 0
    assert not (workshop.found("lost").path / "done").exists()


@pytest.mark.parametrize("way", ["drop", "absolute"])
def test_negative_weights_may_be_left_out_of_training(
    workshop: Workshop, signed: str, way: str
) -> None:
    ended = workshop.run(
        workshop.build(way, **reading(signed, negative_weights=way), training_config=EPOCHS)
    ).done()
    run = workshop.found(way)
    assert min(run.series("train_loss").values()) > 0
    train = splits(pd.read_parquet(workshop.folder / "data" / "signed.parquet"))["train"]
    negative = int((train.weight < 0).sum())
    assert f"train: {negative} of {len(train)} weights are negative" in ended.output
    words = {"drop": "left out of the loss", "absolute": "taken by their absolute value"}[way]
    assert f"weights are negative: {words}" in ended.output


def test_a_metric_that_is_nan_in_every_epoch_keeps_no_run_from_its_end(workshop: Workshop) -> None:
    """Too few background events count to judge a significance; that says nothing of the loss."""
    frame = events(401)
    few = (frame.process == 0) & (frame.index % 10 != 0)
    workshop.write(frame.assign(weight=np.where(few, 1e-6, 1.0)), "few_count")
    script = workshop.build(
        "nowhere", **reading("few_count"), training_config={"monitor": "val_significance"}
    )
    ended = workshop.run(script)
    assert ended.status == 0, ended
    run = workshop.found("nowhere")
    assert set(run.series("val_significance").values()) == {None}
    assert min(run.series("val_loss").values()) > 0
