"""Checkpoints of other runs: tested, continued, or refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.runs.experiments import Run, Workshop, same


def spec(checkpoint: Path, more: bool = False, **changes: Any) -> dict[str, Any]:
    table = {"load_checkpoint": str(checkpoint), "continue_training": more}
    return changes | {"model_config": changes.get("model_config", {}) | table}


def epochs(count: int) -> dict[str, Any]:
    return {
        "training_config": {
            "max_epochs": count,
            "early_stop_patience": 50,
            "scheduler": {
                "scheduler_name": "StepLR",
                "scheduler_params": {"step_size": 1, "gamma": 0.5},
            },
        },
        "experiment_config": {"log_every_n_steps": 2},
    }


@pytest.fixture(scope="module")
def two(workshop: Workshop) -> Run:
    """A run of two epochs."""
    return workshop.train("two", **epochs(2))


@pytest.fixture(scope="module")
def four(workshop: Workshop) -> Run:
    """The same run, of four epochs."""
    return workshop.train("four", **epochs(4))


def newest(run: Run) -> Path:
    return run.path / "checkpoints" / str(run.json("checkpoints/newest.json")["file"])


def test_a_checkpoint_alone_is_only_tested(two: Run, workshop: Workshop) -> None:
    best = Path(two.json("metrics.json")["checkpoint"])
    run = workshop.train("tested", **spec(best, experiment_config={"plot_metrics_n_epoch": 1}))
    assert run.json("metrics.json") == two.json("metrics.json")
    assert not [*(run.path / "checkpoints").glob("*.ckpt")]
    assert run.deployed() == {}
    metrics = run.json("metrics.json")["metrics"]
    recorded = {name for line in run.measured() for name in line} - {"step", "epoch"}
    assert {name for name in recorded if not name.endswith("_uncertainty")} == {
        f"{prefix}_{name}"
        for prefix, split in (("best_val", "validation"), ("test", "test"))
        for name in metrics[split]
    }
    (entry,) = run.entries()
    assert entry.info.status == "FINISHED"
    assert "test/roc.png" in run.artifacts()


def test_a_test_takes_no_part_of_the_training(two: Run, workshop: Workshop) -> None:
    best = Path(two.json("metrics.json")["checkpoint"])
    warmup = {"warmup": {"epochs": 1.0}}
    run = workshop.train("tested2", **spec(best, training_config=warmup))
    assert run.json("metrics.json")["metrics"] == two.json("metrics.json")["metrics"]


@pytest.mark.parametrize("kind", ["last", "best"])
def test_a_continued_run_equals_a_straight_one(
    two: Run, four: Run, workshop: Workshop, kind: str
) -> None:
    assert two.json("metrics.json")["checkpoint"].endswith("best-000000014.ckpt")
    start = newest(two) if kind == "last" else Path(two.json("metrics.json")["checkpoint"])
    run = workshop.train(f"continued_{kind}", **spec(start, more=True, **epochs(4)))
    assert run.epochs("val_loss") == [3, 4]
    assert run.measured() == [line for line in four.measured() if line["epoch"] > 2]
    assert same(run.weights(), four.weights())
    assert run.logged() == run.recorded()
    assert run.json("metrics.json")["metrics"] == four.json("metrics.json")["metrics"]


@pytest.mark.parametrize("kind", ["last", "best"])
def test_nothing_is_left_to_continue(two: Run, workshop: Workshop, kind: str) -> None:
    start = newest(two) if kind == "last" else Path(two.json("metrics.json")["checkpoint"])
    script = workshop.build(f"ended_{kind}", **spec(start, more=True, **epochs(2)))
    workshop.run(script).refused("has had 2 of 2 epochs")


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("features", ("does not fit", "numerical")),
        ("categories", ("does not fit", "categorical")),
        ("width", ("does not fit", "network.layers")),
        ("missing", ("cannot load the checkpoint", "No such file")),
        ("text", ("cannot load the checkpoint",)),
        ("tensor", ("is not a checkpoint of such a script",)),
        ("foreign", ("is not a checkpoint of such a script",)),
    ],
)
def test_a_checkpoint_that_cannot_serve_is_refused(
    two: Run, workshop: Workshop, fault: str, words: tuple[str, ...], more: bool
) -> None:
    checkpoint = newest(two)
    changes = epochs(4)
    if fault == "features":
        changes["dataset_config"] = {"numerical": ["x", "y"]}
    elif fault == "categories":
        changes["dataset_config"] = {"categorical": ["n_jets", "process"]}
    elif fault == "width":
        changes["model_config"] = {"architecture_config": {"n_hidden": 8}}
    else:
        checkpoint = workshop.folder / f"{fault}.ckpt"
    if fault == "text":
        checkpoint.write_text("not a checkpoint")
    elif fault == "tensor":
        torch.save(torch.zeros(3), checkpoint)
    elif fault == "foreign":
        torch.save({"state_dict": {}}, checkpoint)
    script = workshop.build(f"{fault}_{more}", **spec(checkpoint, more, **changes))
    workshop.run(script).refused(*words)
