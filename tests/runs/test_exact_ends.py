"""Each optimizer, schedule and precision: runs that are killed everywhere end as straight ones."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from seesawc.tables import signatures
from tests.runs.experiments import Run, Workshop, give_store
from tests.runs.starts import Strike
from tests.sweeps import sampled

PRECISIONS = (32, 64, "bf16")
# What torch has no default for, and what makes a schedule move in three epochs of seven steps.
SCHEDULES: dict[str, dict[str, Any]] = {
    "ConstantLR": {"total_iters": 1},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 0.001, "max_lr": 0.02, "step_size_up": 5},
    "ExponentialLR": {"gamma": 0.5},
    "LinearLR": {"total_iters": 2},
    "MultiStepLR": {"milestones": [1, 2]},
    "OneCycleLR": {"max_lr": 0.02},
    "PolynomialLR": {"total_iters": 3},
    # Whatever is not twice as good is no better.
    "ReduceLROnPlateau": {"patience": 0, "factor": 0.5, "threshold": 0.5},
    "StepLR": {"step_size": 1, "gamma": 0.5},
}
# Within an epoch, twice in validation (told to stop, the epoch is ended first), within the epoch
# that follows, and after training, while the last plots are drawn: each in a start of its own that
# goes on from the one before.
STRIKES = (
    Strike("step", "*", 3, signal.SIGTERM),
    Strike("validation", "*", 1, signal.SIGKILL),
    Strike("validation", "*", 2, signal.SIGTERM),
    Strike("step", "*", 4, signal.SIGKILL),
    Strike("open", "*/epoch_0003/*.png", 1, signal.SIGKILL),
)


def usable(known: Any) -> list[str]:
    """Return the names that a spec can use."""
    return [name for name, signature in known.items() if signature.refused is None]


def cases() -> Iterator[Any]:
    """Yield (precision, table of the training), one optimizer or schedule at a time."""
    for precision in PRECISIONS:
        for name in usable(signatures.optimizers()):
            training = {"optimizer": {"optimizer_name": name}}
            yield pytest.param(precision, training, id=f"{name}-{precision}")
        for name in usable(signatures.schedulers()):
            schedule = {"scheduler_name": name, "scheduler_params": SCHEDULES.get(name, {})}
            yield pytest.param(precision, {"scheduler": schedule}, id=f"{name}-{precision}")


def bare(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint holds of numbers: no places, and no bytes of the record."""
    return {n: content[n] for n in ("state_dict", "optimizer_states", "lr_schedulers", "epoch")}


def assert_same(found: Any, expected: Any) -> None:
    """Assert that two values are equal bit for bit, tensors in them as well."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for each, other in zip(found, expected, strict=True):
            assert_same(each, other)
    else:
        assert found == expected


def assert_equal(run: Run, straight: Run) -> None:
    """Assert that two runs have the same record, numbers, choice and plots."""
    assert run.measured() == straight.measured()
    assert_same(bare(run.checkpoint()), bare(straight.checkpoint()))
    best = straight.chosen()["checkpoint"]
    assert run.chosen() == straight.chosen()
    assert_same(bare(run.checkpoint(best)), bare(straight.checkpoint(best)))
    assert run.json("metrics.json")["metrics"] == straight.json("metrics.json")["metrics"]
    assert run.plots() == straight.plots()


@pytest.mark.parametrize(("precision", "training"), sampled(cases(), every=22))
def test_a_run_that_is_killed_ends_as_a_straight_one(
    workshop: Workshop, precision: object, training: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.rpartition("-")[0] + f"_{precision}"
    settings = {"precision": precision, "plot_metrics_n_epoch": 3, "log_every_n_steps": 1}
    table = {"max_epochs": 3, **training}
    script = workshop.build(name, experiment_config=settings, training_config=table)
    workshop.run(script).done()
    straight = workshop.found(name)
    assert_equal(interrupted(workshop, script, name), straight)


def interrupted(workshop: Workshop, script: Path, name: str) -> Run:
    """Return the run of a script that is struck, elsewhere, and then comes to its end."""
    place = f"killed_{name}"
    logs, results = workshop.folder / place, workshop.folder / f"{place}-results"
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs), "ANALYSIS_ML_RESULTS_DIR": str(results)}
    give_store(logs)
    for strike in STRIKES:
        ended = workshop.run(script, strike=strike, variables=variables)
        assert ended.status == (143 if strike.number == signal.SIGTERM else -9), (strike, ended)
        ended.quiet()
    workshop.run(script, variables=variables).done()
    return workshop.found(name, place)


def test_numbers_of_an_optimizer_are_as_precise_as_the_weights(workshop: Workshop) -> None:
    """NAdam multiplies one on and on: of 32 bits, torch would load it as one of 64."""
    table = {"max_epochs": 1, "optimizer": {"optimizer_name": "NAdam"}}
    script = workshop.build("nadam", experiment_config={"precision": 64}, training_config=table)
    workshop.run(script).done()
    straight = workshop.found("nadam")
    variables = {"ANALYSIS_ML_LOGS_DIR": str(workshop.folder / "kept")}
    strike = Strike("step", "*", 3, signal.SIGTERM)
    assert workshop.run(script, strike=strike, variables=variables).status == 143
    workshop.run(script, variables=variables).done()
    assert_same(bare(workshop.found("nadam", "kept").checkpoint()), bare(straight.checkpoint()))
    states = straight.checkpoint()["optimizer_states"][0]["state"].values()
    assert {state["mu_product"].dtype for state in states} == {torch.float64}
