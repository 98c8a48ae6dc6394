"""Which events, weights, epochs and options a training of a classifier uses, worked out anew."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from parts.plots import plot_confusion
from tests.runs.experiments import Run, Workshop, events, reading
from tests.runs.recomputed import (
    Floats,
    auc,
    best_epoch,
    network,
    own,
    significance,
    splits,
    stopped_after,
    yields,
)
from tests.spec_tables import merged

NUMERICAL, CATEGORICAL = ["x", "y", "z"], ["n_jets"]
# Nothing is learnt, so that every loss is one of the weights that the checkpoint has.
FROZEN: dict[str, Any] = {
    "training_config": {"max_epochs": 1, "optimizer": {"optimizer_params": {"lr": 1e-30}}},
    "model_config": {"architecture_config": {"dropout": 0.0}},
    # All at once.
    "dataset_config": {"batch_size": 5000},
}


def table() -> pd.DataFrame:
    """Return events of unequal classes; each split has a category that no other has."""
    frame = events(600)
    frame["weight"] *= np.where(frame["process"] == 0, 3.0, 1.0)
    for category, part in enumerate(splits(frame).values(), 20):
        frame.loc[part.index[::9], "n_jets"] = category
    return frame


@pytest.fixture(scope="module", autouse=True)
def every(workshop: Workshop) -> pd.DataFrame:
    """All events, written where the specs of this file look for them."""
    frame = table()
    workshop.write(frame, "wired")
    workshop.write(events(600, n_classes=3), "three")
    return frame


def train(workshop: Workshop, name: str, *changes: dict[str, Any]) -> Run:
    tables = reading("wired")
    for change in changes:
        tables = merged(tables, change)
    return workshop.train(name, **tables)


def logits(run: Run, frame: pd.DataFrame, checkpoint: str = "") -> torch.Tensor:
    return network(own(run.checkpoint(checkpoint)), frame, NUMERICAL, CATEGORICAL)


def label(frame: pd.DataFrame) -> torch.Tensor:
    return torch.tensor(frame["process"].to_numpy())


def loss_weights(
    every: pd.DataFrame, use_mc_weights: bool = True, use_class_weights: bool = True
) -> pd.Series:
    """Return what the loss weighs events with: mean 1 in training, classes alike if asked."""
    weight = every["weight"] if use_mc_weights else pd.Series(1.0, every.index)
    train = splits(every)["train"].index
    process = every["process"]
    if use_class_weights:
        total = weight[train].groupby(process[train]).sum()
        weight = weight / process.map(total) / process.nunique()
    scaled: pd.Series[float] = weight * len(train) / weight[train].sum()
    return scaled


def mean_loss(loss: torch.Tensor, weight: pd.Series, normalised: bool) -> float:
    """Return the mean weighted loss; in validation by the sum of weights, in training not."""
    weights = torch.tensor(weight.to_numpy())
    return float((loss * weights).sum() / (weights.sum() if normalised else len(weights)))


@pytest.fixture(scope="module")
def noisy(workshop: Workshop, every: pd.DataFrame) -> Run:
    """A run whose best epoch is not its last one."""
    run = train(
        workshop,
        "noisy",
        {
            "training_config": {
                "max_epochs": 8,
                "monitor": "val_auc",
                "optimizer": {"optimizer_params": {"lr": 0.03}},
            }
        },
    )
    best = best_epoch(run.series("val_auc"), "max")
    assert best not in (max(run.series("val_auc")), best_epoch(run.series("val_auc"), "min"))
    return run


def present(frame: pd.DataFrame, name: str) -> Floats:
    values = frame[name].to_numpy(dtype=np.float32).astype(np.float64)
    return np.sort(values[values != -999])


def test_the_scaling_is_that_of_the_training_events(noisy: Run, every: pd.DataFrame) -> None:
    weights = own(noisy.checkpoint())
    train = [present(splits(every)["train"], name) for name in NUMERICAL]
    center, width = (weights[f"inputs.blocks.0.scaling.{name}"] for name in ("center", "width"))
    assert center.tolist() == pytest.approx([x.mean() for x in train], rel=1e-5)
    assert width.tolist() == pytest.approx([x.std() for x in train], rel=1e-5)


def test_events_have_as_many_digits_as_the_precision(
    workshop: Workshop, every: pd.DataFrame
) -> None:
    run = train(workshop, "digits", FROZEN, {"experiment_config": {"precision": 64}})
    center = own(run.checkpoint())["inputs.blocks.0.scaling.center"]
    columns = [splits(every)["train"][name] for name in NUMERICAL]
    expected = [column[column != -999].mean() for column in columns]
    assert center.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scaling", ["minmax", "robust", "quantile"])
def test_other_scalings_are_those_of_the_training_events(
    workshop: Workshop, every: pd.DataFrame, scaling: str
) -> None:
    run = train(workshop, scaling, FROZEN, {"dataset_config": {"scaling": scaling}})
    train_events = [present(splits(every)["train"], name) for name in NUMERICAL]
    weights = {
        name.rpartition(".")[2]: tensor.double().numpy()
        for name, tensor in own(run.checkpoint()).items()
        if "scaling" in name
    }
    if scaling == "quantile":
        edges = [np.quantile(x, np.linspace(0, 1, 201), method="lower") for x in train_events]
        assert weights["edges"] == pytest.approx(np.array(edges), rel=1e-6)
        return
    shares = (0.25, 0.5, 0.75) if scaling == "robust" else (0, 0, 1)
    for place, x in enumerate(train_events):
        low, middle, high = np.quantile(x, shares, method="lower")
        assert weights["center"][place] == pytest.approx(middle, rel=1e-6)
        assert weights["width"][place] == pytest.approx(high - low, rel=1e-5)


def test_the_categories_are_those_of_the_training_events(noisy: Run, every: pd.DataFrame) -> None:
    known = sorted(set(splits(every)["train"]["n_jets"]))
    assert 20 in known
    assert not {21, 22} & set(known)
    assert noisy.checkpoint()["knows"]["categories"] == [known]
    assert own(noisy.checkpoint())["inputs.blocks.1.values"].tolist() == known


@pytest.mark.parametrize("split", ["validation", "test"])
def test_metrics_are_those_of_the_best_epoch_on_their_split(
    noisy: Run, every: pd.DataFrame, split: str
) -> None:
    result = noisy.json("metrics.json")
    found = result["metrics"][split]
    checkpoint = Path(result["checkpoint"]).name
    assert noisy.checkpoint(checkpoint)["global_step"] == best_epoch(noisy.series("val_auc"), "max")
    part = splits(every)[split]
    logit = logits(noisy, part, checkpoint)[:, 0].numpy()
    score, positive = 1 / (1 + np.exp(-logit)), (part["process"] == 1).to_numpy()
    weight = yields(part, every)
    assert found["auc"] == pytest.approx(auc(logit, positive, weight), rel=1e-5)
    right = (logit > 0) == positive
    assert found["accuracy"] == pytest.approx(weight[right].sum() / weight.sum(), rel=1e-5)
    cut = found["significance_cut"]
    if split == "test":
        # No event is so near that rounding could put it on the other side.
        assert np.abs(score - cut).min() > 2e-6
    expected, _ = significance(score, positive, weight, cut)
    assert found["significance"] == pytest.approx(expected, rel=1e-5)
    # Events of one score, and of one weight, leave no doubt what precision means.
    order = np.argsort(-score)
    true, every_weight = np.cumsum((weight * positive)[order]), np.cumsum(weight[order])
    there = every_weight > 1e-9
    precision = np.clip(np.where(there, true, 0) / np.where(there, every_weight, 1), 0, 1)
    average = (np.diff(true, prepend=0) * precision).sum() / true[-1]
    assert found["average_precision"] == pytest.approx(average, rel=1e-4)


def test_the_plots_of_the_test_show_test_events(workshop: Workshop, every: pd.DataFrame) -> None:
    """The table of predicted classes is drawn anew, with what the network says of them."""
    run = train(workshop, "pictured", FROZEN, {"experiment_config": {"plot_metrics_n_epoch": 50}})
    part = splits(every)["test"]
    predicted = (logits(run, part)[:, 0] > 0).long().numpy()
    matrix = np.zeros((2, 2))
    np.add.at(matrix, (part["process"].to_numpy(), predicted), yields(part, every))
    drawn = workshop.folder / "drawn.png"
    plot_confusion(matrix, ("background", "signal"), "pictured, test").savefig(drawn, dpi=120)
    found = workshop.folder / "results" / "toy" / "pictured" / "test" / "confusion.png"
    assert drawn.read_bytes() == found.read_bytes()


def test_the_cut_is_the_best_one_of_validation(noisy: Run, every: pd.DataFrame) -> None:
    result = noisy.json("metrics.json")
    cuts = {name: found["significance_cut"] for name, found in result["metrics"].items()}
    assert cuts["test"] == cuts["validation"]
    part = splits(every)["validation"]
    logit = logits(noisy, part, Path(result["checkpoint"]).name)[:, 0].numpy()
    score, positive = 1 / (1 + np.exp(-logit)), (part["process"] == 1).to_numpy()
    weight = yields(part, every)
    scan = [
        significance(score, positive, weight, cut)
        for cut in np.quantile(score[positive], np.linspace(0, 1, 100, endpoint=False))
    ]
    best = max(z for z, effective in scan if effective >= 10)
    assert result["metrics"]["validation"]["significance"] == pytest.approx(best, rel=1e-5)


MONITORS = {"val_auc": "max", "val_loss": "min", "val_accuracy": "max", "val_significance": "max"}


@pytest.mark.parametrize("monitor", MONITORS)
def test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor(
    workshop: Workshop, every: pd.DataFrame, monitor: str
) -> None:
    """As the run's own series has it: a smaller loss is better, and more of all else."""
    mode, patience = MONITORS[monitor], 3
    run = train(
        workshop,
        f"stopped_{monitor}",
        {
            "training_config": {
                "max_epochs": 40,
                "monitor": monitor,
                "early_stop_patience": patience,
                "optimizer": {"optimizer_params": {"lr": 0.03}},
            }
        },
    )
    series = {step: math.nan if v is None else v for step, v in run.series(monitor).items()}
    values = list(series.values())
    assert len(values) == stopped_after(values, mode, patience) < 40
    best = best_epoch({s: v for s, v in series.items() if not math.isnan(v)}, mode)
    assert Path(run.json("metrics.json")["checkpoint"]).name == f"best-{best:09d}.ckpt"
    assert run.json("checkpoints/newest.json")["step"] == max(series)


def test_a_direction_that_is_said_counts(workshop: Workshop, every: pd.DataFrame) -> None:
    changes = {"training_config": {"max_epochs": 4, "monitor": "val_auc", "monitor_mode": "min"}}
    run = train(workshop, "turned", changes)
    best = best_epoch(run.series("val_auc"), "min")
    assert best != best_epoch(run.series("val_auc"), "max")
    assert run.json("done")["checkpoint"] == f"best-{best:09d}.ckpt"


@pytest.mark.parametrize("use_class_weights", [True, False])
@pytest.mark.parametrize("use_mc_weights", [True, False])
def test_losses_weigh_events_as_the_flags_say(
    workshop: Workshop, every: pd.DataFrame, use_mc_weights: bool, use_class_weights: bool
) -> None:
    flags = {"use_mc_weights": use_mc_weights, "use_class_weights": use_class_weights}
    name = f"weighed{use_mc_weights}{use_class_weights}"
    run = train(workshop, name, FROZEN, {"dataset_config": flags})
    weights = loss_weights(every, **flags)
    for split, name in (("train", "train_loss"), ("validation", "val_loss")):
        part = splits(every)[split]
        loss = functional.binary_cross_entropy_with_logits(
            logits(run, part)[:, 0], label(part).double(), reduction="none"
        )
        expected = mean_loss(loss, weights[part.index], split == "validation")
        (found,) = run.series(name).values()
        assert found == pytest.approx(expected, rel=1e-5), name
    # The metrics' weights are the physical ones all the same.
    part = splits(every)["test"]
    positive = (part["process"] == 1).to_numpy()
    expected = auc(logits(run, part)[:, 0].numpy(), positive, yields(part, every))
    assert run.json("metrics.json")["metrics"]["test"]["auc"] == pytest.approx(expected, rel=1e-5)


def test_flags_that_are_left_out_weigh_classes_alike_by_their_yields(
    workshop: Workshop, every: pd.DataFrame
) -> None:
    """The defaults."""
    left_out = train(workshop, "unflagged", FROZEN)
    said = train(
        workshop,
        "flagged",
        FROZEN,
        {"dataset_config": {"use_mc_weights": True, "use_class_weights": True}},
    )
    assert left_out.series("train_loss") == said.series("train_loss")


def test_dropout_takes_part_in_training_alone(workshop: Workshop, every: pd.DataFrame) -> None:
    dropout = {"model_config": {"architecture_config": {"dropout": 0.5}}}
    run = train(workshop, "dropped", FROZEN, dropout)
    weights = loss_weights(every)
    off = {}
    for split, name in (("train", "train_loss"), ("validation", "val_loss")):
        part = splits(every)[split]
        loss = functional.binary_cross_entropy_with_logits(
            logits(run, part)[:, 0], label(part).double(), reduction="none"
        )
        expected = mean_loss(loss, weights[part.index], split == "validation")
        off[name] = abs(next(iter(run.series(name).values())) / expected - 1)
    assert off["val_loss"] < 1e-5
    assert off["train_loss"] > 1e-3


THREE: dict[str, Any] = {
    "dataset_config": {
        "samples": [
            {
                "name": name,
                "class": name,
                "files": ["../data/three.csv"],
                "selection": f"process == {index}",
            }
            for index, name in enumerate(("ggH", "VBF", "W_jets"))
        ]
    }
}


def smoothed(logit: torch.Tensor, target: torch.Tensor, share: float) -> torch.Tensor:
    spread = (1 - share) * functional.one_hot(target, 3) + share / 3
    return -(spread * torch.log_softmax(logit, 1)).sum(1)


def focal(logit: torch.Tensor, target: torch.Tensor, gamma: float) -> torch.Tensor:
    log_p = torch.log_softmax(logit, 1)[torch.arange(len(target)), target]
    return -((1 - log_p.exp()) ** gamma) * log_p


def brier(logit: torch.Tensor, target: torch.Tensor, _: float) -> torch.Tensor:
    return ((torch.softmax(logit, 1) - functional.one_hot(target, 3)) ** 2).sum(1)


@pytest.mark.parametrize(
    ("name", "table", "loss", "param"),
    [
        ("plain", {}, smoothed, 0.0),
        ("smooth", {"loss_params": {"label_smoothing": 0.2}}, smoothed, 0.2),
        # The gamma of the paper, arXiv:1708.02002.
        ("focal", {"loss": "focal"}, focal, 2.0),
        ("focal_3", {"loss": "focal", "loss_params": {"gamma": 3}}, focal, 3.0),
        ("mse", {"loss": "mse"}, brier, 0.0),
    ],
)
def test_losses_of_several_classes_are_those_that_their_options_say(
    workshop: Workshop, name: str, table: dict[str, Any], loss: Any, param: float
) -> None:
    tables = merged(merged(FROZEN, THREE), {"training_config": table})
    run = workshop.train(f"three_{name}", **tables)
    every = events(600, n_classes=3)
    weights = loss_weights(every)
    for split, series in (("train", "train_loss"), ("validation", "val_loss")):
        part = splits(every)[split]
        each = loss(logits(run, part), label(part), param)
        expected = mean_loss(each, weights[part.index], split == "validation")
        (found,) = run.series(series).values()
        assert found == pytest.approx(expected, rel=1e-5), series
    for split in ("validation", "test"):
        metrics = run.json("metrics.json")["metrics"][split]
        part = splits(every)[split]
        score = torch.softmax(logits(run, part), 1).numpy()
        for index, class_name in enumerate(("ggH", "VBF", "W_jets")):
            positive = (part["process"] == index).to_numpy()
            wanted = auc(score[:, index], positive, yields(part, every))
            assert metrics[f"auc_{class_name}"] == pytest.approx(wanted, rel=1e-4), split


@pytest.mark.parametrize(
    ("name", "table", "loss"),
    [
        ("focal", {"loss": "focal"}, lambda p: -((1 - p) ** 2) * torch.log(p)),
        ("mse", {"loss": "mse"}, lambda p: (1 - p) ** 2),
    ],
)
def test_losses_of_two_classes_are_those_that_their_options_say(
    workshop: Workshop, every: pd.DataFrame, name: str, table: dict[str, Any], loss: Any
) -> None:
    run = train(workshop, f"two_{name}", FROZEN, {"training_config": table})
    part = splits(every)["validation"]
    signal = torch.sigmoid(logits(run, part)[:, 0])
    each = loss(torch.where(label(part) == 1, signal, 1 - signal))
    expected = mean_loss(each, loss_weights(every)[part.index], True)
    assert list(run.series("val_loss").values()) == pytest.approx([expected], rel=1e-5)


def test_layers_are_normalised_where_that_is_asked_for(
    workshop: Workshop, every: pd.DataFrame
) -> None:
    layernorm = {"model_config": {"architecture_config": {"layernorm": True}}}
    run = train(workshop, "layernorm", layernorm)
    weights = own(run.checkpoint())
    norms = [name for name, tensor in weights.items() if "layers" in name and tensor.ndim == 1]
    # Of two layers, and of each a bias besides; one bias of the last.
    assert len(norms) == 2 * 3 + 1
    assert not any("running" in name for name in weights)
    part = splits(every)["test"]
    score = logits(run, part, Path(run.json("metrics.json")["checkpoint"]).name)[:, 0].numpy()
    expected = auc(score, (part["process"] == 1).to_numpy(), yields(part, every))
    assert run.json("metrics.json")["metrics"]["test"]["auc"] == pytest.approx(expected, rel=1e-5)
    batchnorm = {"model_config": {"architecture_config": {"batchnorm": True}}}
    weights = own(train(workshop, "batchnorm", batchnorm).checkpoint())
    assert sum("running_mean" in name for name in weights) == 2


def test_the_architecture_is_the_one_that_is_asked_for(workshop: Workshop) -> None:
    network = {"n_layers": 3, "n_hidden": 12, "embedding_dim": 5}
    run = train(workshop, "shaped", FROZEN, {"model_config": {"architecture_config": network}})
    shapes = [
        list(t.shape) for n, t in own(run.checkpoint()).items() if "layers" in n and t.ndim == 2
    ]
    # Three values, three flags, and an embedding.
    assert shapes == [[12, 3 + 3 + 5], [12, 12], [12, 12], [1, 12]]


def rates_of(workshop: Workshop, name: str, training: dict[str, Any]) -> list[float]:
    """Return the learning rate of every step."""
    logged = {"experiment_config": {"log_every_n_steps": 1}, "training_config": training}
    return list(train(workshop, name, logged).series("lr").values())


@pytest.mark.parametrize("shape", ["linear", "cosine", None])
def test_the_learning_rate_rises_as_the_shape_of_the_warm_up_says(
    workshop: Workshop, shape: str | None
) -> None:
    warmup = {"epochs": 1.5, "shape": shape} if shape else {"epochs": 1.5}
    rates = rates_of(workshop, f"warmed_{shape}", {"max_epochs": 2, "warmup": warmup})
    steps = math.ceil(1.5 * len(rates) / 2)
    rise = np.minimum(1, np.arange(1, len(rates) + 1) / steps)
    if shape == "cosine":
        rise = (1 - np.cos(np.pi * rise)) / 2
    assert rates == pytest.approx((0.01 * rise).tolist(), rel=1e-5)


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_schedule_moves_when_its_interval_says(workshop: Workshop, interval: str) -> None:
    scheduler = {
        "scheduler_name": "ExponentialLR",
        "scheduler_params": {"gamma": 0.5},
        "interval": interval,
    }
    rates = rates_of(workshop, f"scheduled_{interval}", {"max_epochs": 2, "scheduler": scheduler})
    passed = np.arange(len(rates)) // (len(rates) // 2 if interval == "epoch" else 1)
    assert rates == pytest.approx((0.01 * 0.5**passed).tolist(), rel=1e-5)


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_a_schedule_is_as_long_as_the_training(workshop: Workshop, interval: str) -> None:
    """Where a spec leaves its length out."""
    scheduler = {"scheduler_name": "CosineAnnealingLR", "interval": interval}
    rates = rates_of(workshop, f"long_{interval}", {"max_epochs": 3, "scheduler": scheduler})
    passed = np.arange(len(rates))
    if interval == "epoch":
        passed = passed // (len(rates) // 3) * (len(rates) // 3)
    rise = (1 + np.cos(np.pi * passed / len(rates))) / 2
    assert rates == pytest.approx((0.01 * rise).tolist(), rel=1e-5)


def test_the_optimizer_has_its_parameters(workshop: Workshop) -> None:
    params = {"lr": 0.02, "momentum": 0.7, "weight_decay": 0.03, "nesterov": True}
    optimizer = {"optimizer_name": "SGD", "optimizer_params": params}
    run = train(workshop, "optimized", {"training_config": {"optimizer": optimizer}})
    (state,) = run.checkpoint()["optimizer_states"]
    (group,) = state["param_groups"]
    assert group.items() >= params.items()
    assert "momentum_buffer" in state["state"][0]


def test_gradients_are_clipped_to_their_norm(workshop: Workshop) -> None:
    table = {
        "max_epochs": 1,
        "gradient_clip_val": 1e-3,
        "optimizer": {"optimizer_name": "SGD", "optimizer_params": {"lr": 1.0}},
    }
    run = train(
        workshop, "clipped", {"training_config": table, "dataset_config": {"batch_size": 5000}}
    )
    before = train(workshop, "unmoved", FROZEN).weights()
    squares = [float((t - before[n]).double().square().sum()) for n, t in run.weights().items()]
    assert math.sqrt(sum(squares)) == pytest.approx(1e-3, rel=1e-2)


def test_the_order_of_batches_is_that_of_the_seed(workshop: Workshop) -> None:
    """Three runs go on from one checkpoint, whose weights do not change any more."""
    changes = merged(FROZEN, {"dataset_config": {"batch_size": 40}})
    first = train(workshop, "begun", changes)
    orders = {}
    for name, seed in (("one", 1), ("two", 2), ("again", 1)):
        more = {
            "experiment_config": {"seed": seed, "log_every_n_steps": 1},
            "training_config": {"max_epochs": 2},
            "model_config": {
                "load_checkpoint": str(
                    first.path / "checkpoints" / first.json("done")["checkpoint"]
                ),
                "continue_training": True,
            },
        }
        run = train(workshop, f"ordered_{name}", changes, more)
        orders[name] = sorted(run.series("train_loss_step").values())
    assert orders["one"] == orders["again"]
    assert orders["one"] != orders["two"]


def test_the_split_has_the_shares_that_are_asked_for(
    workshop: Workshop, every: pd.DataFrame
) -> None:
    shares = {"train": 0.3, "validation": 0.5, "test": 0.2}
    run = train(workshop, "shared", FROZEN, {"dataset_config": {"split": shares}})
    train_events = splits(every, 0.3, 0.5)["train"]
    center = own(run.checkpoint())["inputs.blocks.0.scaling.center"]
    expected = [present(train_events, name).mean() for name in NUMERICAL]
    assert center.tolist() == pytest.approx(expected, rel=1e-5)
