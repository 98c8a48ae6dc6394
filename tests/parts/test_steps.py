"""What a step does to weights: gradients that are scaled or clipped, rates, and schedules."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from parts.steps import Schedule, Steps


def weight() -> nn.Parameter:
    return nn.Parameter(torch.tensor([3.0, 4.0]))


def loss_of(weights: nn.Parameter, factor: float = 1.0) -> Callable[[], Tensor]:
    """Return a loss with gradient `factor` times the weights'."""
    return lambda: factor * (weights**2).sum() / 2


def taking(
    weights: nn.Parameter,
    rate: float = 0.5,
    clip: float | None = None,
    scaler: torch.amp.GradScaler | None = None,
    share: Callable[[int], float] = lambda step: 1.0,
    fused: bool = True,
) -> Steps:
    optimizer = torch.optim.SGD([weights], lr=rate, fused=fused)
    return Steps(optimizer, None, clip, scaler, Tensor.backward, share)


def scaler() -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=2.0**10)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    # The gradient is (3, 4), of norm 5.
    ("clip", "left"),
    [(None, [1.5, 2.0]), (10.0, [1.5, 2.0]), (1.0, [2.7, 3.6])],
)
def test_a_step_follows_the_gradient_no_further_than_its_norm_may_be(
    scaled: bool, fused: bool, clip: float | None, left: list[float]
) -> None:
    weights = weight()
    steps = taking(weights, clip=clip, scaler=scaler() if scaled else None, fused=fused)
    loss, rate = steps.take(loss_of(weights), 0)
    assert (float(loss), rate) == (12.5, 0.5)
    torch.testing.assert_close(weights.detach(), torch.tensor(left))


def test_scaled_gradients_that_are_not_finite_move_nothing_and_lower_the_scale() -> None:
    weights, scaling = weight(), scaler()
    steps = taking(weights, scaler=scaling)
    steps.take(loss_of(weights, 1e36), 0)
    assert weights.tolist() == [3.0, 4.0]
    assert scaling.get_scale() == 2.0**9
    steps.take(loss_of(weights), 1)
    assert weights.tolist() == [1.5, 2.0]


def test_a_step_takes_its_share_of_the_rate_and_leaves_the_rate_as_it_was() -> None:
    weights = weight()
    steps = taking(weights, share=lambda step: (step + 1) / 4)
    assert [steps.take(loss_of(weights), step)[1] for step in (0, 1)] == [0.125, 0.25]
    assert weights.tolist() == [3.0 * 0.875 * 0.75, 4.0 * 0.875 * 0.75]
    assert steps.optimizer.param_groups[0]["lr"] == 0.5


def test_an_optimizer_that_asks_for_its_loss_again_gets_the_loss_of_new_weights() -> None:
    weights = weight()
    optimizer = torch.optim.LBFGS([weights], lr=1.0, max_iter=20)
    Steps(optimizer, None, None, None, Tensor.backward, lambda _: 1.0).take(loss_of(weights), 0)
    torch.testing.assert_close(weights.detach(), torch.zeros(2))


@pytest.mark.parametrize(
    ("interval", "rates"), [("step", [1.0, 0.5, 0.25, 0.125]), ("epoch", [1.0, 1.0, 0.5, 0.5])]
)
def test_a_schedule_moves_with_every_step_or_with_every_epoch(
    interval: str, rates: list[float]
) -> None:
    weights = weight()
    optimizer = torch.optim.SGD([weights], lr=1.0)
    schedule = Schedule(ExponentialLR(optimizer, 0.5), interval)
    steps = Steps(optimizer, schedule, None, None, Tensor.backward, lambda _: 1.0)
    found = []
    for step in range(4):
        found.append(steps.take(loss_of(weights), step)[1])
        schedule.judge(step, {})
        if step == 1:
            schedule.end_epoch()
    assert found == rates


def test_a_schedule_that_judges_moves_in_its_epochs_only() -> None:
    optimizer = torch.optim.SGD([weight()], lr=1.0)
    schedule = Schedule(
        ReduceLROnPlateau(optimizer, factor=0.5, patience=0), "epoch", 2, "val_loss"
    )
    rates = []
    for epoch in range(1, 7):
        schedule.end_step()
        schedule.end_epoch()
        schedule.judge(epoch, {"val_loss": torch.tensor(1.0)})
        rates.append(optimizer.param_groups[0]["lr"])
    # The first judgement is the one to compare with.
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


def test_mixed_precision_computes_each_step_with_the_weights_of_the_step_before() -> None:
    """Within one context of it, torch keeps the copies of weights that it has made."""
    weights = nn.Parameter(torch.ones(1, 1))
    steps = taking(weights, rate=0.25)
    with torch.autocast("cpu", torch.bfloat16):
        found = [
            float(steps.take(lambda: (torch.ones(1, 1) @ weights).float().square().sum(), step)[0])
            for step in range(3)
        ]
    assert found == [1.0, 0.25, 0.0625]
