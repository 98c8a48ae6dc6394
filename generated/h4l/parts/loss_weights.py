"""Weights of the loss: what those of events are multiplied by, class by class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError
from parts.metrics import is_yield


def loss_factors(
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
    classes: Sequence[str],
    use_mc_weights: bool,
    use_class_weights: bool,
) -> NDArray[np.float64]:
    """Return by what weights of the loss exceed an event's own (class,); raises `RefusedError`.

    Over training events, whose `label` and `weight` these are (event,), they have mean 1; signs
    stay, and classes count equally if asked.
    """
    weight = weight if use_mc_weights else np.ones_like(weight)
    totals, sizes = (np.bincount(label, part, len(classes)) for part in (weight, np.abs(weight)))
    for name, total, size in zip(classes, totals, sizes, strict=True):
        if not is_yield(total, size):
            raise RefusedError(f"the training weights of class {name} add up to {total:g}")
    if use_class_weights:
        return np.asarray(len(weight) / len(classes) / totals)
    return np.full(len(classes), len(weight) / totals.sum())
