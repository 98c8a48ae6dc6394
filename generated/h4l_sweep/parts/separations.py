"""Features that tell the classes apart all alone: often they are what defines them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Events of a class that are looked at, evenly chosen, and at least; fewer may part by chance.
EVENTS_SEEN = 25_000
FEWEST = 30
# Of the events of the smallest class, so many may be on the wrong side.
STRAY = 1e-3


def deciding(
    features: Sequence[NDArray[np.floating | np.integer]],
    names: Sequence[str],
    label: NDArray[np.int64],
) -> list[str]:
    """Return the names of features (event,) whose values alone say the class of each event."""
    kinds = [np.flatnonzero(label == kind) for kind in np.unique(label)]
    if len(kinds) < 2:
        return []
    # Class by class: of a rare one too few would be left.
    chosen = np.concatenate([each[:: max(1, len(each) // EVENTS_SEEN)] for each in kinds])
    # Events of one value stand in any order, not sample by sample.
    chosen = np.random.default_rng(0).permutation(chosen)
    return [
        name
        for name, values in zip(names, features, strict=True)
        if separates(values[chosen], label[chosen])
    ]


def separates(values: NDArray[np.floating | np.integer], label: NDArray[np.int64]) -> bool:
    """Whether sorted events change their class at most twice for each class but one.

    Strays aside. Events of one value have to stand in any order.
    """
    counts = np.bincount(label)
    counts = counts[counts > 0]
    if len(counts) < 2 or counts.min() < FEWEST:
        return False
    in_order = label[np.argsort(values, kind="stable")]
    changes = np.count_nonzero(in_order[1:] != in_order[:-1])
    return bool(changes <= 2 * (len(counts) - 1) + 2 * STRAY * counts.min())
