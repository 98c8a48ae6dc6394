"""The losses against torch's own, values by hand, and extreme logits."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from parts.losses import (
    bce,
    binary_focal,
    binary_mse,
    cross_entropy,
    multiclass_focal,
    multiclass_mse,
)

Loss = Callable[[Tensor, Tensor], Tensor]

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
BINARY: tuple[Loss, ...] = (bce, binary_mse, *(partial(binary_focal, gamma=g) for g in GAMMAS))
MULTICLASS: tuple[Loss, ...] = (
    partial(cross_entropy, label_smoothing=0.0),
    partial(cross_entropy, label_smoothing=0.3),
    multiclass_mse,
    *(partial(multiclass_focal, gamma=g) for g in GAMMAS),
)


def draw(outputs: int, n: int = 200) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(outputs)
    logits = 3 * torch.randn(n, outputs, generator=generator, dtype=torch.float64)
    return logits, torch.randint(max(2, outputs), (n,), generator=generator)


@pytest.mark.parametrize("loss", BINARY)
def test_binary_losses_give_one_number_an_event(loss: Loss) -> None:
    logits, label = draw(1)
    assert loss(logits, label).shape == (200,)
    assert (loss(logits, label) >= 0).all()


@pytest.mark.parametrize("loss", MULTICLASS)
def test_multiclass_losses_give_one_number_an_event(loss: Loss) -> None:
    logits, label = draw(4)
    assert loss(logits, label).shape == (200,)
    assert (loss(logits, label) >= 0).all()


def test_entropies_are_those_of_the_probabilities() -> None:
    logits, label = draw(1)
    signal = torch.sigmoid(logits[:, 0])
    expected = -torch.log(torch.where(label == 1, signal, 1 - signal))
    torch.testing.assert_close(bce(logits, label), expected)
    logits, label = draw(4)
    expected = -torch.log(torch.softmax(logits, 1)[torch.arange(200), label])
    torch.testing.assert_close(cross_entropy(logits, label, label_smoothing=0.0), expected)


def test_label_smoothing_spreads_a_share_of_the_target() -> None:
    logits, label = draw(4)
    target = 0.8 * functional.one_hot(label, 4) + 0.2 / 4
    expected = -(target * torch.log_softmax(logits, 1)).sum(1)
    torch.testing.assert_close(cross_entropy(logits, label, label_smoothing=0.2), expected)


def test_focal_without_gamma_is_the_entropy() -> None:
    logits, label = draw(1)
    torch.testing.assert_close(binary_focal(logits, label, gamma=0.0), bce(logits, label))
    logits, label = draw(4)
    torch.testing.assert_close(
        multiclass_focal(logits, label, gamma=0.0), cross_entropy(logits, label, 0.0)
    )


def test_focal_and_squared_losses_of_known_probabilities() -> None:
    # A logit of log 3 is a probability of 3/4.
    logits, label = torch.full((2, 1), math.log(3.0)), torch.tensor([1, 0])
    by_hand = torch.tensor([0.25**2 * math.log(4 / 3), 0.75**2 * math.log(4)])
    torch.testing.assert_close(binary_focal(logits, label, gamma=2.0), by_hand)
    torch.testing.assert_close(binary_mse(logits, label), torch.tensor([1 / 16, 9 / 16]))
    logits = torch.log(torch.tensor([[0.2, 0.3, 0.5]]))
    by_hand = torch.tensor([0.5**3 * math.log(2.0)])
    torch.testing.assert_close(multiclass_focal(logits, torch.tensor([2]), gamma=3.0), by_hand)
    by_hand = torch.tensor([0.2**2 + 0.7**2 + 0.5**2])
    torch.testing.assert_close(multiclass_mse(logits, torch.tensor([1])), by_hand)


@pytest.mark.parametrize("loss", BINARY)
@pytest.mark.parametrize("logit", [-1000.0, -100.0, -20.0, 0.0, 20.0, 100.0, 1000.0])
def test_binary_gradients_are_finite_at_extreme_logits(loss: Loss, logit: float) -> None:
    logits = torch.full((2, 1), logit, requires_grad=True)
    value = loss(logits, torch.tensor([0, 1]))
    (slope,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("loss", MULTICLASS)
@pytest.mark.parametrize("logit", [-1000.0, -100.0, -20.0, 0.0, 20.0, 100.0, 1000.0])
def test_multiclass_gradients_are_finite_at_extreme_logits(loss: Loss, logit: float) -> None:
    logits = torch.tensor([[logit, 0.0, -logit]] * 3, requires_grad=True)
    value = loss(logits, torch.tensor([0, 1, 2]))
    (slope,) = torch.autograd.grad(value.sum(), logits)
    assert value.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("loss", [*BINARY, *MULTICLASS])
def test_gradients_are_those_of_finite_differences(loss: Loss) -> None:
    logits, label = draw(1 if loss in BINARY else 4, n=6)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, label), logits)


@pytest.mark.parametrize("loss", BINARY)
def test_a_negative_weight_pushes_the_other_way(loss: Loss) -> None:
    logits = torch.zeros((2, 1), requires_grad=True)
    weighted = loss(logits, torch.tensor([1, 1])) * torch.tensor([2.0, -2.0])
    (slope,) = torch.autograd.grad(weighted.mean(), logits)
    up, down = slope[:, 0].tolist()
    assert up < 0 < down
    assert up == -down
