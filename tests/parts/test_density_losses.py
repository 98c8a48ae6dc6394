"""Each loss has its minimum at the density ratio; penalties are what they say."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from parts.density_losses import (
    density_bce,
    density_exponential,
    density_savage,
    density_tangent,
    direct_link,
    effective_size,
    exponential_link,
    squares,
    tangent_link,
)

LABEL = torch.tensor([1, 0])
CASES = {
    "bce": (density_bce, direct_link),
    "exponential": (density_exponential, exponential_link),
    "savage": (density_savage, direct_link),
    "tangent": (density_tangent, tangent_link),
}
Loss = Callable[[Tensor, Tensor], Tensor]
Link = Callable[[Tensor], Tensor]


def minimum(loss: Loss, weight: Tensor) -> Tensor:
    """Return the logit (member,) at which the weighted loss of two events is least."""
    logit = torch.zeros(1, weight.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = (loss(logit.expand(2, -1), LABEL) * weight).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return logit.detach()


@pytest.mark.parametrize(("loss", "link"), CASES.values(), ids=CASES)
def test_the_minimum_is_at_the_ratio_of_weights(loss: Loss, link: Link) -> None:
    weight = torch.tensor([[3.0, 1.0, 0.2], [1.0, 1.0, 1.0]], dtype=torch.float64)
    ratio = link(minimum(loss, weight)).exp()
    assert ratio.tolist()[0] == pytest.approx([3.0, 1.0, 0.2], rel=1e-4)


@pytest.mark.parametrize("loss", [loss for loss, _ in CASES.values()], ids=CASES)
def test_a_loss_is_less_on_the_right_side(loss: Loss) -> None:
    up, down = (
        loss(torch.tensor([[0.3], [0.3]]), LABEL),
        loss(torch.tensor([[-0.3], [-0.3]]), LABEL),
    )
    assert up.shape == (2, 1)
    assert up[0] < down[0]
    assert up[1] > down[1]


@pytest.mark.parametrize("name", ["bce", "savage"])
@pytest.mark.parametrize("size", [50.0, 1000.0])
def test_large_logits_are_finite_with_their_slopes(name: str, size: float) -> None:
    logits = torch.tensor([[size], [-size]], requires_grad=True)
    value = CASES[name][0](logits, LABEL).sum() + CASES[name][0](-logits, LABEL).sum()
    value.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert math.isfinite(float(value))


def test_the_tangent_link_ends_where_there_is_no_ratio() -> None:
    found = tangent_link(torch.tensor([[-10.0], [0.0], [10.0]], dtype=torch.float64))
    assert found[1] == 0
    assert -found[0] == found[2]
    assert 13 < float(found[2]) < 15


def test_links_are_full_precision() -> None:
    half = torch.tensor([[1.0]], dtype=torch.bfloat16)
    assert {link(half).dtype for _, link in CASES.values()} == {torch.float32}


def test_squares_are_the_mean_over_events_and_the_sum_over_members() -> None:
    logits = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    assert float(squares(logits, w_lambda=0.1)) == pytest.approx(0.1 * (5.0 + 2.0))


def test_the_effective_size_is_that_of_weights_e_to_the_f() -> None:
    logits = torch.tensor([[0.0], [math.log(3)]], dtype=torch.float64)
    # (1 + 3)^2 / (1 + 9)
    assert float(effective_size(logits, ess_lambda=2.0)) == pytest.approx(2.0 / 1.6)
    # Also where e^f has no number.
    assert float(effective_size(logits + 1000, 2.0)) == pytest.approx(2.0 / 1.6)
    equal = torch.zeros(7, 3)
    assert float(effective_size(equal, 1.0)) == pytest.approx(3 / 7)
