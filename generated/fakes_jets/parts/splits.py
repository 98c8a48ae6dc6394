"""Training, validation and test: which of them an event is for follows from a stable hash alone."""

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


def shares(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each event, a hash of `keys` (event, key).

    The hash is SplitMix64 (Steele et al., OOPSLA 2014): the same on every machine, for ever.
    """
    state = np.zeros(len(keys), dtype=np.uint64)
    for column in keys.T:
        z = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = z ^ (z >> np.uint64(31))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) / 2.0**53)


def assign(keys: NDArray[np.uint64], split: tuple[float, float, float]) -> NDArray[np.int64]:
    """Return each event's split (0, 1, 2): its hash against the shares of `split`."""
    train, validation, _ = split
    return np.digitize(shares(keys), [train, train + validation])
