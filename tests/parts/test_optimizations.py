"""Optimizers and schedules that a training is not for are refused before its first step."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from parts.classifiers import Classifier
from parts.machinery.exits import NotFiniteError, RefusedError
from parts.optimizations import check_optimization
from parts.steps import checked_rate


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(2))]


def one_cycle(total_steps: int, interval: str) -> dict[str, Any]:
    optimizer = torch.optim.SGD(weights(), lr=0.1)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=total_steps, cycle_momentum=False
    )
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": interval},
    }


def test_what_is_captured_for_a_gpu_is_refused_on_a_cpu() -> None:
    optimizer = torch.optim.Adam(weights(), capturable=True)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with_schedule = {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"},
    }
    for configured in (optimizer, with_schedule):
        with pytest.raises(RefusedError, match="capturable is for GPUs"):
            check_optimization(configured, 4)
    check_optimization(torch.optim.Adam(weights()), 4)


def test_a_schedule_that_ends_before_the_training_is_refused() -> None:
    check_optimization(one_cycle(8, "step"), 8)
    # Of epochs there are fewer than steps; the compiler knows how many.
    check_optimization(one_cycle(7, "epoch"), 8)
    with pytest.raises(RefusedError, match="total_steps = 7, and the training has 8 steps"):
        check_optimization(one_cycle(7, "step"), 8)


def test_a_module_asks_before_it_trains() -> None:
    module = Classifier(
        network=nn.Linear(1, 1),
        loss=lambda logits, label: logits,
        link=torch.sigmoid,
        knows={},
        configure=lambda parameters, steps: one_cycle(steps - 1, "step"),  # type: ignore[arg-type, return-value]
    )
    module.steps = 5
    with pytest.raises(RefusedError, match="OneCycleLR ends after total_steps = 4"):
        module.configure_optimizers()


@pytest.mark.parametrize("rate", [1e39, float("inf"), float("nan")])
def test_a_rate_that_weights_cannot_be_multiplied_with_ends_the_training(rate: float) -> None:
    optimizer = torch.optim.SGD(weights(), lr=0.1)
    assert checked_rate(optimizer, 1) == 0.1
    optimizer.param_groups[0]["lr"] = rate
    with pytest.raises(NotFiniteError, match=r"the learning rate .* at step 3"):
        checked_rate(optimizer, 3)
