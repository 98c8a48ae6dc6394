"""Members are independent, slices meet where they should, bootstraps are Poisson."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parts.activations import Abs, Activated, ELUPlus, MinusAbs, MinusSoftabs, Softabs
from parts.ensembles import Ensemble, Sliced, normalisations, poisson_counts
from parts.splits import assign


class Constant(nn.Module):
    """Says the same of every event."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        return self.value.expand(len(numerical), 1)


NONE = torch.empty(4, 0, dtype=torch.int64)


def test_members_stand_side_by_side() -> None:
    ensemble = Ensemble(Constant(value) for value in (1.0, 2.0, 3.0))
    assert ensemble(torch.zeros(4, 1), NONE).tolist() == [[1.0, 2.0, 3.0]] * 4


def test_a_member_learns_from_its_own_column_alone() -> None:
    ensemble = Ensemble([Constant(1.0), Constant(2.0)])
    (ensemble(torch.zeros(4, 1), NONE) * torch.tensor([1.0, 0.0])).sum().backward()
    first, second = (parameter.grad for parameter in ensemble.parameters())
    assert first is not None
    assert first.item() == 4
    assert second is not None
    assert second.item() == 0


def test_a_slice_begins_at_its_edge() -> None:
    sliced = Sliced([Constant(value) for value in (0.0, 1.0, 2.0)], 1, (20.0, 50.0))
    pt = torch.tensor([[0.0, 5.0], [99.0, 20.0], [0.0, 49.9], [0.0, 500.0]])
    assert sliced(pt, NONE)[:, 0].tolist() == [0.0, 1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("activation", "values"),
    [
        (Softabs(), [1.5, 0.125, 0.0, 0.5, 1.5]),
        (MinusSoftabs(), [-1.5, -0.125, 0.0, -0.5, -1.5]),
        (Abs(), [2.0, 0.5, 0.0, 1.0, 2.0]),
        (MinusAbs(), [-2.0, -0.5, 0.0, -1.0, -2.0]),
        (ELUPlus(), [np.exp(-2.0), np.exp(-0.5), 1.0, 2.0, 3.0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_activations_of_outputs(activation: nn.Module, values: list[float]) -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 1.0, 2.0])
    assert activation(x).tolist() == pytest.approx(values)


def test_an_activated_network() -> None:
    assert Activated(Constant(-2.0), Softabs())(torch.zeros(4, 1), NONE).tolist() == [[1.5]] * 4


def keys(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)[:, np.newaxis].view(np.uint64)


def test_counts_are_poisson_of_mean_one_and_independent() -> None:
    counts = poisson_counts(keys(200_000), 3).numpy()
    assert counts.shape == (200_000, 3)
    assert counts.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.01)
    assert counts.var(axis=0) == pytest.approx([1, 1, 1], abs=0.02)
    assert np.mean(counts == 0) == pytest.approx(np.exp(-1), abs=0.005)
    correlation = np.corrcoef(counts.T)
    assert np.abs(correlation - np.eye(3)).max() < 0.01


def test_counts_do_not_depend_on_order_nor_on_the_split() -> None:
    every = keys(60_000)
    counts = poisson_counts(every, 2)
    assert torch.equal(poisson_counts(every[::-1], 2), counts.flip(0))
    training = torch.tensor(assign(every, (0.3, 0.3, 0.4)) == 0)
    assert counts[training].mean(dim=0).tolist() == pytest.approx([1, 1], abs=0.03)


def test_normalisations_vary_by_their_deviation_and_are_the_same_in_every_stage() -> None:
    for members in (2, 3, 5, 1000):
        factors = normalisations(members, 0.1)
        assert torch.equal(factors, normalisations(members, 0.1))
        # The mean of the ensemble assumes the nominal yield.
        assert float(factors.mean()) == pytest.approx(1)
        assert float(factors.std()) == pytest.approx(0.1)
    assert float(normalisations(1000, 2.0).min()) == 0
