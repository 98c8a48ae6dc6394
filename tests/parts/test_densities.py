"""Events of the stages have the labels and weights of the method (arXiv:2511.06972)."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parts.densities import (
    clipped,
    density_events,
    ratio_events,
    subtraction_weights,
    varied,
)
from parts.events import Events
from parts.leptons import Leptons

# Tight and loose, data and MC, in this order.
LEPTONS = Leptons(
    numerical=torch.arange(4.0)[:, None],
    categorical=torch.empty(4, 0, dtype=torch.int64),
    is_data=torch.tensor([True, False, True, False]),
    is_tight=torch.tensor([True, True, False, False]),
    weight=torch.tensor([2.0, -1.0, 3.0, 0.5]),
    keys=np.arange(4, dtype=np.uint64)[:, np.newaxis],
)


class LogOf(nn.Module):
    """The ratios of an ensemble of two, the same for all events."""

    def __init__(self, *ratios: float) -> None:
        super().__init__()
        self.log = torch.tensor(ratios).log()

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        return self.log.expand(len(numerical), -1)


@pytest.mark.parametrize(("tight", "weights"), [(True, [2.0, -1.0]), (False, [3.0, 0.5])])
def test_a_density_is_data_over_mc_with_yields_as_they_are(
    tight: bool, weights: list[float]
) -> None:
    events = density_events(LEPTONS, tight, members=2)
    assert events.label.tolist() == [1, 0]
    assert events.weight.tolist() == weights
    assert events.loss_weight.tolist() == [[w, w] for w in weights]


def test_subtraction_takes_the_numerator_for_tight_and_the_denominator_for_loose() -> None:
    found = subtraction_weights(LEPTONS, LogOf(4.0, 2.0), LogOf(5.0, 10.0))
    wanted = [
        [1 - 1 / 4, 1 - 1 / 2],  # Tight data
        [4 - 1, 2 - 1],  # Tight MC
        [1 - 1 / 5, 1 - 1 / 10],  # Loose data
        [5 - 1, 10 - 1],  # Loose MC
    ]
    assert found.numpy() == pytest.approx(np.array(wanted), rel=1e-5)


@pytest.mark.parametrize(
    ("use_data", "weights"), [(True, [2.0 * 0.1, 3.0 * 0.3]), (False, [-1.0 * 0.2, 0.5 * 0.4])]
)
def test_a_ratio_is_tight_over_loose_of_one_kind(use_data: bool, weights: list[float]) -> None:
    subtraction = torch.tensor([[0.1], [0.2], [0.3], [0.4]])
    events = ratio_events(LEPTONS, subtraction, use_data)
    assert events.label.tolist() == [1, 0]
    assert events.loss_weight[:, 0].tolist() == pytest.approx(weights)


def test_members_see_events_by_their_counts_and_scale_mc() -> None:
    events = density_events(LEPTONS, tight=True, members=2)
    counts, factors = torch.tensor([[0.0, 2.0], [1.0, 3.0]]), torch.tensor([1.5, 0.5])
    found = varied(events, counts, factors, events.label == 0)
    assert found.loss_weight.tolist() == [[0.0, 4.0], [-1.5, -1.5]]
    assert torch.equal(found.weight, events.weight)


def test_clipping_keeps_signs_and_each_target_has_its_own_limit() -> None:
    weight = torch.tensor([1.0, -2, 3, -4, 50, 10, -20, 30, -40, 500])
    label = torch.arange(10) // 5
    none = torch.empty(10, 0)
    events = Events(none, none.long(), label, weight, weight[:, None].expand(-1, 2))
    found = clipped(events, 0.6).loss_weight
    assert found[:, 0].tolist() == [1, -2, 3, -4, 4, 10, -20, 30, -40, 40]
    assert torch.equal(found[:, 0], found[:, 1])
    assert torch.equal(clipped(events, 0.9999).loss_weight, events.loss_weight)
    assert torch.equal(events.loss_weight[:, 0], weight)
