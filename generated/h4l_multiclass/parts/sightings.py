"""What a training has seen of each feature, from the tensors of its events."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from parts.datasets import Dataset
from parts.inputs import Logarithms, is_missing
from parts.seen_features import Seen

# Events at a time: there may be no memory for a second copy of them all.
SEEN_AT_ONCE = 65_536


def seen_by(module: nn.Module, train: Mapping[str, Tensor], dataset: Dataset) -> Seen:
    """Return what a network has seen of training events, which `train` holds by input."""
    low, high, lacks = extremes(train["numerical"], dataset.missing)
    taken = [each.chosen for each in module.modules() if isinstance(each, Logarithms)]
    names = list(enumerate(dataset.numerical))
    return Seen(
        ranges={
            name: (low[place].item(), high[place].item()) if low[place] <= high[place] else None
            for place, name in names
        },
        lacking=tuple(name for place, name in names if lacks[place]),
        categories=categories_seen(train["categorical"], dataset.categorical),
        positive=tuple(name for place, name in names if any(bool(each[place]) for each in taken)),
    )


def extremes(numerical: Tensor, missing: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the least and the largest value of each feature that exist, and if any does not.

    Each is (feature,); of a feature that never exists, the least is larger than the largest.
    """
    low = torch.full(numerical.shape[1:], torch.inf, dtype=numerical.dtype)
    high, lacks = -low, torch.zeros_like(low, dtype=torch.bool)
    for chunk in torch.split(numerical, SEEN_AT_ONCE):
        absent = torch.zeros_like(chunk, dtype=torch.bool)
        if missing is not None:
            absent = is_missing(chunk, missing)
        if len(chunk):
            low = torch.minimum(low, chunk.masked_fill(absent, torch.inf).amin(0))
            high = torch.maximum(high, chunk.masked_fill(absent, -torch.inf).amax(0))
            lacks |= absent.any(0)
    return low, high, lacks


def categories_seen(categorical: Tensor, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return all values of each feature, rising."""
    return dict(zip(names, map(tuple, categories_of(categorical)), strict=True))


def categories_of(categorical: Tensor) -> list[list[int]]:
    """Return all values of each column (event, feature), rising."""
    found = []
    for column in categorical.T:
        each = [np.unique(chunk.numpy()) for chunk in torch.split(column, SEEN_AT_ONCE)]
        found.append(np.unique(np.concatenate(each)).tolist())
    return found
