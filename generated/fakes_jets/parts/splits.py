"""Training, validation and test: which of them an event is for follows from a stable hash alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation: tested on a fold, validated on the one after it.

    It is trained on the others. Every event is in one fold, so that of all trainings one has never
    seen it.
    """

    number: int  # from 0
    folds: int


# Shares of training, validation and test; or a fold.
Split = tuple[float, float, float] | Fold


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


def fold_numbers(keys: NDArray[np.uint64], folds: int) -> NDArray[np.int64]:
    """Return the fold of each event, from 0: its hash, a number in [0, 1), in `folds` equal parts.

    All trainings of a cross-validation agree on it.
    """
    # The largest number below 1, times 5, is 5.
    return np.minimum((shares(keys) * folds).astype(np.int64), folds - 1)


def assign(keys: NDArray[np.uint64], split: Split) -> NDArray[np.int64]:
    """Return which of `SPLITS` each event is for (0, 1, 2), by its hash."""
    if isinstance(split, Fold):
        after = (fold_numbers(keys, split.folds) - split.number) % split.folds
        return np.choose(np.minimum(after, 2), [2, 1, 0])
    train, validation, _ = split
    return np.digitize(shares(keys), [train, train + validation])


def parts_of_all(split: Split) -> tuple[float, float, float]:
    """Return the share of all events that training, validation and test have."""
    if isinstance(split, Fold):
        return (split.folds - 2) / split.folds, 1 / split.folds, 1 / split.folds
    return split


def plain_split(split: Split) -> list[float] | dict[str, int]:
    """Return a split in plain values, as JSON has them."""
    return asdict(split) if isinstance(split, Fold) else list(split)


def split_of(said: Sequence[float] | Mapping[str, int]) -> Split:
    """Return the split of plain values; raises `KeyError`, `TypeError` or `ValueError`."""
    if isinstance(said, Mapping):
        number, folds = int(said["number"]), int(said["folds"])
        if not 0 <= number < folds:
            raise ValueError(f"there is no fold {number} of {folds}")
        return Fold(number, folds)
    train, validation, test = map(float, said)
    if not (min(train, validation, test) >= 0 and abs(train + validation + test - 1) < 1e-6):
        raise ValueError(f"{train}, {validation} and {test} are no shares")
    return train, validation, test
