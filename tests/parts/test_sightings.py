"""What a training has seen of each feature is found without a copy of its events."""

import math

import pytest
import torch
from torch import nn

from parts import sightings
from parts.datasets import Dataset
from parts.inputs import Logarithms
from parts.ranges import Seen
from parts.sightings import seen_by

NAMES = ("pt", "eta", "phi")


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize("missing", [-999.0, math.nan])
def test_ranges_are_of_values_that_exist(
    missing: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sightings, "SEEN_AT_ONCE", at_once)
    numerical = torch.tensor([[3, 1], [missing, 2], [-5, missing], [4, 9]], dtype=torch.float32)
    never = torch.full((4, 1), missing)
    train = {
        "numerical": torch.cat([numerical, never], 1),
        "categorical": torch.tensor([[7, 0], [2, 0], [7, -1], [2**60, 0]]),
    }
    dataset = Dataset((), NAMES, ("n_jets", "flavour"), missing)
    logarithms = nn.Sequential(Logarithms([1], 3), nn.Sequential(Logarithms([2], 3)))
    assert seen_by(logarithms, train, dataset) == Seen(
        ranges={"pt": (-5.0, 4.0), "eta": (1.0, 9.0), "phi": None},
        lacking=NAMES,
        categories={"n_jets": (2, 7, 2**60), "flavour": (-1, 0)},
        positive=("eta", "phi"),
    )


def test_without_a_value_that_stands_for_none_nothing_is_lacking() -> None:
    train = {
        "numerical": torch.tensor([[-999.0, 1], [2, 2]], dtype=torch.float64),
        "categorical": torch.empty(2, 0, dtype=torch.int64),
    }
    seen = seen_by(nn.Identity(), train, Dataset((), ("pt", "eta")))
    assert seen == Seen({"pt": (-999.0, 2.0), "eta": (1.0, 2.0)}, (), {}, ())
