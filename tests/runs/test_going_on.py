"""Runs that go on: with another schedule or optimizer, in other precisions, on two tasks."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, Workshop, give_store, same
from tests.runs.starts import Strike

STEPS = 7  # Of an epoch.


def table(epochs: int, scheduler: str = "", **parameters: Any) -> dict[str, Any]:
    """Return a training that may have a schedule; each step is recorded."""
    schedule = {"scheduler_name": scheduler, "scheduler_params": parameters}
    training = {"max_epochs": epochs, **({"scheduler": schedule} if scheduler else {})}
    return {"training_config": training, "experiment_config": {"log_every_n_steps": 1}}


def newest(run: Run) -> Path:
    return run.path / "checkpoints" / str(run.json("checkpoints/newest.json")["file"])


def onwards(run: Run, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of a spec that goes on from a run."""
    model = {"load_checkpoint": str(newest(run)), "continue_training": True}
    return changes | {"model_config": model}


@pytest.fixture(scope="module")
def cosine(workshop: Workshop) -> Run:
    return workshop.train("cosine", **table(2, "CosineAnnealingLR"))


def test_a_longer_training_has_the_schedule_that_its_spec_says(
    workshop: Workshop, cosine: Run
) -> None:
    """The end of the shorter one was at a rate of nothing, from which it would rise."""
    longer = workshop.train("longer", **table(4, "CosineAnnealingLR"))
    script = workshop.build("prolonged", **onwards(cosine, table(4, "CosineAnnealingLR")))
    ended = workshop.run(script).done()
    assert "schedule: T_max 2 there, 4 here" in ended.output
    expected = {s: r for s, r in longer.series("lr").items() if s > 2 * STEPS}
    assert workshop.found("prolonged").series("lr") == expected


def test_a_cycle_that_is_prolonged_is_refused_before_training(workshop: Workshop) -> None:
    short = workshop.train("cycle", **table(2, "OneCycleLR", max_lr=0.01))
    longer = onwards(short, table(4, "OneCycleLR", max_lr=0.01))
    ended = workshop.run(workshop.build("longer_cycle", **longer))
    ended.refused("OneCycleLR", "28 steps for max_epochs = 4", "that of 14 steps")
    assert workshop.found("longer_cycle").measured() == []


def test_a_continuation_that_is_worse_than_it_began_says_so(
    workshop: Workshop, cosine: Run
) -> None:
    """SGD uphill, after AdamW; also if it was killed after training."""
    changes = table(3)
    changes["training_config"]["optimizer"] = {
        "optimizer_name": "SGD",
        "optimizer_params": {"lr": 0.5, "maximize": True},
    }
    script = workshop.build("worse", **onwards(cosine, changes))
    strike = Strike("open", "*/checkpoints/best-*", 1, signal.SIGKILL)
    struck = workshop.run(script, strike=strike)
    assert struck.status == -9, struck
    assert "optimizer: AdamW there, SGD here" in struck.output
    ended = workshop.run(script)
    assert ended.status == 0, ended
    before = cosine.series("val_loss")[2 * STEPS]
    now = workshop.found("worse").series("val_loss")[3 * STEPS]
    assert now > before
    assert f"warning: the continuation is worse than what it began with: val_loss {now:.5g}" in (
        ended.output
    )
    assert f"{before:.5g} in epoch 2" in ended.output


def elsewhere(workshop: Workshop, name: str) -> tuple[dict[str, str], str]:
    """Return the variables that send a run to a place of its own, and that place."""
    place = f"struck_{name}"
    logs, results = workshop.folder / place, workshop.folder / f"{place}-results"
    give_store(logs)
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs), "ANALYSIS_ML_RESULTS_DIR": str(results)}
    return variables, place


def test_two_tasks_lose_no_step_of_a_plateau(workshop: Workshop) -> None:
    """Validated every second epoch, and stopped within one, at the end of one, and by patience."""
    plateau = {"patience": 0, "factor": 0.5, "threshold": 0.5}
    changes = table(12, "ReduceLROnPlateau", **plateau)
    changes["training_config"]["early_stop_patience"] = 3
    changes["experiment_config"] |= {"devices": 2, "check_eval_n_epoch": 2}
    script = workshop.build("pair", **changes)
    workshop.run(script).done()
    straight = workshop.found("pair")
    variables, place = elsewhere(workshop, "pair")
    # Steps of two tasks: four an epoch.
    for strike in (
        Strike("step", "*", 6, signal.SIGTERM),
        Strike("validation", "*", 1, signal.SIGTERM),
        Strike("step", "*", 5, signal.SIGKILL),
    ):
        assert workshop.run(script, strike=strike, variables=variables).status in (143, -9)
    workshop.run(script, variables=variables).done()
    run = workshop.found("pair", place)
    assert len(set(straight.series("lr").values())) > 2
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())


@pytest.mark.parametrize("precision", [64, "bf16"])
def test_plots_that_are_drawn_again_show_what_the_trainer_computed(
    workshop: Workshop, precision: Any
) -> None:
    """Both those of an epoch with others after it, and those of the last."""
    settings = {"precision": precision, "plot_metrics_n_epoch": 1}
    name = f"drawn_{precision}"
    script = workshop.build(name, experiment_config=settings)
    workshop.run(script).done()
    variables, place = elsewhere(workshop, name)
    for pattern in ("*/epoch_0001/*.png", "*/epoch_0002/*.png"):
        strike = Strike("open", pattern, 1, signal.SIGKILL)
        assert workshop.run(script, strike=strike, variables=variables).status == -9
    workshop.run(script, variables=variables).done()
    run, straight = workshop.found(name, place), workshop.found(name)
    assert len(run.plots()) > 6
    assert run.plots() == straight.plots()
    assert run.json("metrics.json")["metrics"] == straight.json("metrics.json")["metrics"]


def test_a_checkpoint_of_64_bits_is_tested_alone(workshop: Workshop) -> None:
    double = {"experiment_config": {"precision": 64}}
    trained = workshop.train("double", **double)
    best = trained.json("metrics.json")["checkpoint"]
    run = workshop.train("double_tested", **double, model_config={"load_checkpoint": best})
    assert run.json("metrics.json")["metrics"] == trained.json("metrics.json")["metrics"]


def test_an_epoch_too_short_for_the_cadence_records_its_learning_rate(workshop: Workshop) -> None:
    changes = table(3, "StepLR", step_size=1, gamma=0.5)
    changes["experiment_config"]["log_every_n_steps"] = 10
    run = workshop.train("short", **changes)
    # Only the step that is due has a loss; the other epochs end with the rate of their last one.
    assert list(run.series("train_loss_step")) == [10, 20]
    assert run.series("lr") == {7: 0.01, 10: 0.005, 20: 0.0025}
    assert run.logged() == run.recorded()
