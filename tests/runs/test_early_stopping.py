"""Early stopping waits as long, and takes for better, what the spec says; interrupted or not."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, Workshop, give_store, same
from tests.runs.recomputed import stopped_after
from tests.runs.starts import Strike

STEPS = 25  # Of an epoch: 248 training events in batches of 10.
# It learns so fast that it soon does not any more.
CHANGES: dict[str, Any] = {
    "experiment_config": {"log_every_n_steps": 1},
    "dataset_config": {"batch_size": 10},
    "training_config": {
        "max_epochs": 30,
        "monitor": "val_auc",
        "early_stop_patience": 2,
        "optimizer": {"optimizer_params": {"lr": 0.03}},
    },
}


def built(workshop: Workshop, name: str, **options: Any) -> Path:
    training = CHANGES["training_config"] | options
    return workshop.build(name, **CHANGES | {"training_config": training})


def trained(workshop: Workshop, name: str, **options: Any) -> list[float]:
    """Train, and return the monitor after each epoch."""
    workshop.run(built(workshop, name, **options)).done()
    run = workshop.found(name)
    assert run.json("checkpoints/newest.json")["trained"]
    monitor = options.get("monitor", "val_auc")
    return [float(value or "nan") for value in run.series(monitor).values()]


@pytest.fixture(scope="module")
def plain(workshop: Workshop) -> list[float]:
    """The monitor's values where nothing waits."""
    values = trained(workshop, "plain")
    assert len(values) == stopped_after(values, "max", 2) < 12
    return values


@pytest.mark.parametrize(("monitor", "mode"), [("val_auc", "max"), ("val_loss", "min")])
@pytest.mark.parametrize("delta", [0.0, 0.02])
def test_what_is_better_by_less_than_the_delta_counts_as_no_better(
    workshop: Workshop, monitor: str, mode: str, delta: float
) -> None:
    options: dict[str, Any] = {"monitor": monitor, "early_stop_patience": 3}
    options |= {"early_stop_min_delta": delta} if delta else {}
    values = trained(workshop, f"delta_{monitor}_{delta}", **options)
    assert len(values) == stopped_after(values, mode, 3, delta) < 30


def test_a_training_lasts_as_long_as_it_must(workshop: Workshop, plain: list[float]) -> None:
    least = len(plain) + 3
    values = trained(workshop, "late", min_epochs=least)
    assert values[: len(plain)] == plain
    assert len(values) == stopped_after(values, "max", 2, least=least) >= least
    assert "LateStopping" in (workshop.folder / "generated/late/train_signal.py").read_text()


def test_where_only_some_epochs_are_validated_they_decide(workshop: Workshop) -> None:
    options = CHANGES["training_config"] | {"min_epochs": 11}
    changes = CHANGES | {
        "training_config": options,
        "experiment_config": {"check_eval_n_epoch": 2, "check_metrics_n_epoch": 2},
    }
    workshop.run(workshop.build("some", **changes)).done()
    run = workshop.found("some")
    values = [float(value or "nan") for value in run.series("val_auc").values()]
    assert len(values) == stopped_after(values, "max", 2, least=6)
    assert run.json("checkpoints/newest.json")["step"] == len(values) * 2 * STEPS


def test_a_run_that_is_killed_while_it_waits_ends_as_if_it_had_not_been(
    workshop: Workshop, plain: list[float]
) -> None:
    due, least = len(plain), len(plain) + 4
    script = built(workshop, "killed", min_epochs=least, early_stop_min_delta=0.001)
    workshop.run(script).done()
    straight = workshop.found("killed")
    assert straight.json("checkpoints/newest.json")["step"] >= least * STEPS
    logs = workshop.folder / "killed-logs"
    give_store(logs)
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs)}
    # Once a stop would have been due: in an epoch, and where the end of one is being saved.
    strikes = (
        Strike("step", "*", due * STEPS + 7, signal.SIGKILL),
        Strike("os.rename", "*/checkpoints/newest.json", 1, signal.SIGKILL),
        Strike("step", "*", STEPS, signal.SIGTERM),
    )
    for strike in strikes:
        assert workshop.run(script, strike=strike, variables=variables).status != 0
    workshop.run(script, variables=variables).done()
    run: Run = workshop.found("killed", "killed-logs")
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())
    names = ("file", "trained", "best")
    ends = [r.json("checkpoints/newest.json") for r in (run, straight)]
    assert [ends[0][name] for name in names] == [ends[1][name] for name in names]
