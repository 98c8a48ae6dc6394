"""Events for a classifier, in tensors by split, with the weights of the loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parts.arrays import Arrays, read_arrays
from parts.class_yields import check_class_yields, class_yields
from parts.datasets import Dataset
from parts.inputs import check_positive
from parts.loss_weights import loss_factors
from parts.readers import quoted
from parts.sample_yields import SampleYields
from parts.separations import deciding
from parts.splits import SPLITS, Split, parts_of_all

# Events at a time while they are given their weights.
WEIGHED_AT_ONCE = 2**16


@dataclass(frozen=True)
class Events:
    """Events of a split; `weight` is the physical one, `loss_weight` the one of the loss."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    label: Tensor  # (event,)
    weight: Tensor  # (event,)
    loss_weight: Tensor  # (event,)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors in the order of a batch."""
        return self.numerical, self.categorical, self.label, self.weight, self.loss_weight

    def on(self, device: torch.device) -> "Events":
        """Return the events on a device."""
        return Events(*(tensor.to(device) for tensor in self.tensors()))

    def take(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Return a batch: of each tensor, the chosen events (event,)."""
        return tuple(tensor.index_select(0, chosen) for tensor in self.tensors())

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Return all events in an order that the generator decides (event,)."""
        return torch.randperm(len(self.label), generator=generator)


def numpy_type(dtype: torch.dtype) -> np.dtype[np.floating]:
    """Return what numpy calls a type of torch."""
    return np.dtype(str(dtype).removeprefix("torch."))


def read_splits(
    dataset: Dataset,
    files: Mapping[str, Sequence[Path]],
    use_mc_weights: bool,
    use_class_weights: bool,
    dtype: torch.dtype,
    logarithmic: Sequence[str] = (),
    negative_weights: str = "keep",
) -> tuple[Events, Events, Events]:
    """Return the events of training, validation and test; raises `RefusedError`.

    What is done with `negative_weights` is done in training, and only in the weights of the loss.
    """
    of_samples = SampleYields(dataset)
    splits = read_arrays(dataset, files, numpy_type(dtype), yields=of_samples)
    print(*of_samples.lines(), sep="\n")
    return weighted_splits(
        splits,
        dataset,
        use_mc_weights,
        use_class_weights,
        dtype,
        logarithmic,
        negative_weights,
    )


def weighted_splits(
    splits: Sequence[Arrays],
    dataset: Dataset,
    use_mc_weights: bool,
    use_class_weights: bool,
    dtype: torch.dtype,
    logarithmic: Sequence[str],
    negative_weights: str,
) -> tuple[Events, Events, Events]:
    """Return training, validation and test, checked, and with the weights of the loss."""
    classes = dataset.classes
    check_splits(splits, dataset.split, classes)
    say_deciding(splits[0], dataset)
    # Where nothing is trained, all events may be there to test.
    first = next(split for split in splits if len(split.label))
    trained = replace(first, weight=treated(first.weight, negative_weights))
    learnt, judged = (
        loss_factors(each.label, each.weight, classes, use_mc_weights, use_class_weights)
        for each in (trained, first)
    )
    # Each split stands for all events: its yields, class by class, are those of all splits.
    yields = np.array([np.bincount(s.label, s.weight, len(classes)) for s in splits])
    shares = yields.sum(axis=0) / np.where(yields, yields, np.nan)
    one, two, three = (
        in_tensors(split, share, judged, use_mc_weights, dtype)
        for split, share in zip(splits, shares, strict=True)
    )
    if first is splits[0]:
        # Plots show the training events with the weights that they have.
        of_loss = in_tensors(trained, shares[0], learnt, use_mc_weights, dtype).loss_weight
        one = replace(one, loss_weight=of_loss)
    for each in (one, two, three):
        check_positive(each.numerical, dataset.numerical, logarithmic, dataset.missing)
    return one, two, three


def treated(weight: NDArray[np.float64], negative: str) -> NDArray[np.float64]:
    """Return weights for training (event,): negative ones kept, dropped, or by absolute value.

    An event that is dropped has weight 0; TMVA calls that IgnoreNegWeightsInTraining
    (arXiv:physics/0703039).
    """
    below = weight < 0
    if negative == "keep" or not below.any():
        return weight
    what = {"drop": "left out of the loss", "absolute": "taken by their absolute value"}[negative]
    print(f"train: {np.count_nonzero(below)} of {len(weight)} weights are negative: {what}")
    return np.where(below, 0.0, weight) if negative == "drop" else np.abs(weight)


def in_tensors(
    split: Arrays,
    share: NDArray[np.float64],
    factors: NDArray[np.float64],
    use_mc_weights: bool,
    dtype: torch.dtype,
) -> Events:
    """Return a split whose features are not copied; `share` and `factors` are (class,)."""
    weight, loss_weight = (torch.empty(len(split.label), dtype=dtype) for _ in range(2))
    # In double precision, of which there may be no memory for all events at once.
    for first in range(0, len(split.label), WEIGHED_AT_ONCE):
        block = slice(first, first + WEIGHED_AT_ONCE)
        own, label = split.weight[block], split.label[block]
        weight[block] = torch.from_numpy(own * share[label])
        loss_weight[block] = torch.from_numpy((own if use_mc_weights else 1.0) * factors[label])
    return Events(
        torch.from_numpy(split.numerical),
        torch.from_numpy(split.categorical),
        torch.from_numpy(split.label),
        weight,
        loss_weight,
    )


def check_splits(splits: Sequence[Arrays], split: Split, classes: Sequence[str]) -> None:
    """Print events and yields of each split; raises `RefusedError` where a class has none.

    A split that has no share of the events has none.
    """
    if len(classes) == 2:
        print(f"signal: {classes[1]}, background: {classes[0]}")
    for name, events, part in zip(SPLITS, splits, parts_of_all(split), strict=True):
        if not part:
            continue
        found = class_yields(events, classes)
        text = [f"{each.name} {each.events} ({each.total:.4g})" for each in found]
        print(f"{name}: {', '.join(text)} events (sum of weights)")
        check_class_yields(found, name)


def say_deciding(train: Arrays, dataset: Dataset) -> None:
    """Name the features that make a network needless, if they are not what defines the classes."""
    columns = [*train.numerical.T, *train.categorical.T]
    for name in deciding(columns, dataset.features, train.label):
        print(f"warning: {quoted(name)} alone tells the classes apart: is it what defines them?")
