"""The Lightning module: one network, its loss and how it is optimised."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from parts.machinery.exits import NotFiniteError, RefusedError
from parts.optimizations import check_optimization, check_rate


class Classifier(LightningModule):
    """Trains a network on weighted events; checkpoints state the features and classes it knows."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        link: Callable[[Tensor], Tensor],
        knows: dict[str, Any],
        configure: Callable[[Iterable[nn.Parameter], int], OptimizerLRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.link = link
        self.configure = configure
        self.knows = knows
        # Of the whole training; set before it begins. Lightning's estimate would open the batches
        # before a checkpoint has told them where to go on.
        self.steps = 0

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the mean weighted loss; raises `NotFiniteError` before a bad step is taken."""
        numerical, categorical, label, _, weight = batch
        logits = self.network(numerical, categorical)
        # Under mixed precision the loss is computed in full all the same.
        loss = self.objective(logits.to(weight.dtype), label, weight)
        finite = bool(torch.isfinite(loss))
        # All tasks stop together: one that stops alone leaves the others waiting for it.
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            value = "not finite in another task" if finite else loss.item()
            raise NotFiniteError(f"loss {value} at step {self.global_step}, batch {batch_idx}")
        return loss

    def objective(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """Return the mean weighted loss."""
        return (self.loss(logits, label) * weight).mean()

    def mean_loss(self, loss: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted mean of the losses of events."""
        return (loss * weight).sum() / weight.sum()

    def is_mean(self, value: float, loss: Tensor) -> bool:
        """Whether weights that are positive could make `value` the mean of losses (event,).

        Where negative weights prevail, a network that is ever surer of its errors lowers the loss
        without end.
        """
        slack = 1e-6 * float(loss.abs().max())
        return float(loss.min()) - slack <= value <= float(loss.max()) + slack

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Return the loss of each event, and the outputs."""
        numerical, categorical, label, weight, _ = batch
        logits = self.network(numerical, categorical)
        return {"loss": self.loss(logits.to(weight.dtype), label), **self.outputs(logits, batch)}

    def outputs(self, logits: Tensor, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return probability (event, class), and label and weights (event,)."""
        _, _, label, weight, loss_weight = batch
        return {
            "probability": self.link(logits),
            "label": label,
            "weight": weight,
            "loss_weight": loss_weight,
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return what the script configures; nothing for a network that is only tested.

        Raises `RefusedError` for what cannot be trained with here.
        """
        if self.configure is None:
            return None
        configured = self.configure(self.network.parameters(), self.steps)
        check_optimization(configured, self.steps)
        return configured

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Stop where a schedule has led to a learning rate that is none."""
        check_rate(optimizer, self.global_step)

    def on_train_epoch_end(self) -> None:
        """Step the schedules that judge by a metric, before checkpoints of this epoch are made."""
        for config in self.trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and (self.current_epoch + 1) % config.frequency == 0:
                schedule: Any = config.scheduler
                schedule.step(self.trainer.callback_metrics[str(config.monitor)])

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the other schedules.

        Lightning steps those that judge by a metric after checkpoints are made, and not at all in
        an epoch that was gone on with: a continued run would lack these steps (#4655).
        """
        if metric is None:
            super().lr_scheduler_step(scheduler, metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint say what it knows, in plain values."""
        checkpoint["knows"] = self.knows

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit before anything of it is taken."""
        check_fit(self, checkpoint)


def check_fit(classifier: Classifier, checkpoint: dict[str, Any]) -> None:
    """Raise `RefusedError` for a checkpoint of another network, other features or other classes."""
    check_match(classifier, classifier.knows, checkpoint)


def check_match(module: nn.Module, known: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    """Raise `RefusedError` unless a checkpoint knows the same, and has weights of these shapes."""
    knows = checkpoint.get("knows", {})
    problems = [
        f"{name}: {knows.get(name)} there, {value} here"
        for name, value in known.items()
        if knows.get(name) != value
    ]
    here = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
    there = {name: list(tensor.shape) for name, tensor in checkpoint["state_dict"].items()}
    problems += [
        f"{name}: {there.get(name, 'nothing')} there, {here.get(name, 'nothing')} here"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if problems:
        raise RefusedError("\n  ".join(["the checkpoint does not fit:", *problems]))


class WarmedUp(LightningModule):
    """Makes a module's learning rate rise at first, on top of any schedule."""

    def __init__(self, *, warmup: Callable[[float], float], epochs: float, **others: Any) -> None:
        super().__init__(**others)
        self.warmup = warmup
        self.warmup_epochs = epochs

    def optimizer_step(self, *arguments: Any, **keywords: Any) -> None:
        """Take the step at a share of the scheduled rate, which schedulers go on to see in full."""
        optimizer = self.trainer.optimizers[0]
        steps = max(1, math.ceil(self.warmup_epochs * self.trainer.num_training_batches))
        share = self.warmup(min(1.0, (self.global_step + 1) / steps))
        scheduled = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * share
        super().optimizer_step(*arguments, **keywords)
        for group, rate in zip(optimizer.param_groups, scheduled, strict=True):
            group["lr"] = rate


class WarmedUpClassifier(WarmedUp, Classifier):
    """A classifier whose learning rate rises at first, on top of any schedule."""


def linear_warmup(progress: float) -> float:
    """Return the share of the learning rate, rising in a straight line."""
    return progress


def cosine_warmup(progress: float) -> float:
    """Return the share of the learning rate, rising as half a cosine does."""
    return (1 - math.cos(math.pi * progress)) / 2
