"""The mean of an epoch's losses, of all its steps or of the last ones."""

import pytest
import torch
from lightning.pytorch import Trainer

from parts.machinery.epoch_losses import EpochLosses
from parts.machinery.exits import NotFiniteError


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)


def test_means_are_of_all_steps_or_of_some_before_the_last_ones(trainer: Trainer) -> None:
    losses = EpochLosses([1.0, 2.0])
    losses.add(torch.tensor([3.0, 4.0]))
    losses.add(torch.tensor([5.0]))
    assert len(losses) == 5
    assert losses.mean(trainer) == 3.0
    assert losses.mean(trainer, left_out=1, steps=2) == 3.5
    # An epoch has no steps before its first.
    assert losses.mean(trainer, left_out=3, steps=4) == 1.5


def test_losses_of_many_steps_are_summed_in_full(trainer: Trainer) -> None:
    losses = EpochLosses()
    losses.add(torch.full((10**6,), 0.1, dtype=torch.float32))
    assert losses.mean(trainer) == pytest.approx(float(torch.tensor(0.1)), rel=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named_by_its_step(trainer: Trainer, value: float) -> None:
    losses = EpochLosses()
    losses.add(torch.tensor([1.0, value, value, 1.0]))
    assert losses.mean(trainer, left_out=3, steps=1) == 1.0
    with pytest.raises(NotFiniteError, match=f"loss {value} at step -2, batch 2 of"):
        losses.mean(trainer, steps=2)
