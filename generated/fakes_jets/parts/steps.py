"""The steps of a training: an optimizer, its schedule and all that is done to gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from parts.machinery.exits import NotFiniteError

# What torch can multiply weights with, whatever their precision.
LARGEST_RATE = 3.4e38


@dataclass(frozen=True)
class Schedule:
    """A schedule of the learning rate, and when it moves; one may judge by a metric."""

    scheduler: Any
    interval: str
    frequency: int = 1
    monitor: str = ""

    @property
    def judges(self) -> bool:
        """Whether it moves by what a metric says."""
        return isinstance(self.scheduler, ReduceLROnPlateau)

    def end_step(self) -> None:
        """Move if it does so with every step."""
        if self.interval == "step" and not self.judges:
            self.scheduler.step()

    def end_epoch(self) -> None:
        """Move if it does so with every epoch."""
        if self.interval == "epoch" and not self.judges:
            self.scheduler.step()

    def judge(self, epoch: int, metrics: dict[str, Tensor]) -> None:
        """Move by what a metric says after an epoch, counted from 1, if it is the turn of it."""
        if self.judges and epoch % self.frequency == 0:
            self.scheduler.step(metrics[self.monitor])


@dataclass(frozen=True)
class Steps:
    """Takes steps.

    `backward` leaves gradients of a loss, which `scaler` may have scaled; `gradient_clip_val` is
    the largest norm of theirs. `share` is what part of the scheduled rate a step, counted from 0,
    is taken with.
    """

    optimizer: Optimizer
    schedule: Schedule | None
    gradient_clip_val: float | None
    scaler: torch.amp.GradScaler | None
    backward: Callable[[Tensor], None]
    share: Callable[[int], float]

    def take(self, loss_of: Callable[[], Tensor], step: int) -> tuple[Tensor, float]:
        """Take a step; return its loss, and its learning rate."""
        scheduled = [group["lr"] for group in self.optimizer.param_groups]
        share = self.share(step)
        for group in self.optimizer.param_groups:
            group["lr"] *= share
        rate = checked_rate(self.optimizer, step)
        loss = self.step(loss_of) if self.scaler is None else self.step_scaled(loss_of)
        for group, own in zip(self.optimizer.param_groups, scheduled, strict=True):
            group["lr"] = own
        if self.schedule is not None:
            self.schedule.end_step()
        # Under mixed precision, torch may have kept copies of the weights as they were.
        torch.clear_autocast_cache()
        return loss, rate

    def step(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """Move the weights; an optimizer may ask for the loss more than once."""

        def closure() -> Any:
            loss = self.differentiate(loss_of)
            self.clip()
            return loss

        loss: Any = self.optimizer.step(closure)
        return torch.as_tensor(loss)

    def step_scaled(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """Move the weights by gradients that were scaled; not where these are not finite."""
        assert self.scaler is not None
        loss = self.differentiate(loss_of)
        self.scaler.unscale_(self.optimizer)
        self.clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def differentiate(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """Leave the gradients of a loss, and return it."""
        self.optimizer.zero_grad()
        loss = loss_of()
        # Of both passes, only the one forward is computed in mixed precision.
        with torch.autocast(loss.device.type, enabled=False):
            self.backward(loss if self.scaler is None else self.scaler.scale(loss))
        return loss.detach()

    def clip(self) -> None:
        """Keep the norm of the gradient below its limit."""
        if self.gradient_clip_val is not None:
            weights = [each for group in self.optimizer.param_groups for each in group["params"]]
            clip_grad_norm_(weights, self.gradient_clip_val)


def checked_rate(optimizer: Optimizer, step: int) -> float:
    """Return the learning rate; raises `NotFiniteError` for one that is none."""
    for group in optimizer.param_groups:
        if not group["lr"] <= LARGEST_RATE:
            raise NotFiniteError(f"the learning rate {group['lr']:g} at step {step}")
    return float(optimizer.param_groups[0]["lr"])
