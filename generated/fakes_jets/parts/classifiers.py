"""The Lightning module: one network, its loss and how it is optimised."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from parts.batches import Round, Rounds
from parts.machinery.exits import RefusedError
from parts.optimizations import check_optimization
from parts.placements import Batch
from parts.steps import Schedule, Steps


class Classifier(LightningModule):
    """Trains a network on weighted events; checkpoints state the features and classes it knows."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        link: Callable[[Tensor], Tensor],
        knows: dict[str, Any],
        configure: Callable[[Iterable[nn.Parameter], int], OptimizerLRScheduler] | None = None,
        gradient_clip_val: float | None = None,
    ) -> None:
        super().__init__()
        # A round is several steps: Lightning, left to itself, takes one.
        self.automatic_optimization = False
        self.network = network
        self.loss = loss
        self.link = link
        self.configure = configure
        self.gradient_clip_val = gradient_clip_val
        self.knows = knows
        # Of the whole training; set before it begins. Lightning's estimate would open the rounds
        # before a checkpoint has told them where to go on.
        self.steps = 0
        self.schedule: Schedule | None = None

    def training_step(self, batches: Round, batch_idx: int) -> dict[str, Any]:
        """Take a step with each batch of a round; return losses and learning rates (step,).

        The losses stay on the device: whoever asks for their values waits for the steps.
        """
        steps = self.taking()
        # Lightning counts rounds, and what is asked for its steps must find them.
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        losses, rates = [], []
        for batch in batches:
            loss, rate = steps.take(partial(self.loss_of, batch), self.global_step)
            losses.append(loss)
            rates.append(rate)
            progress.increment_ready()
            progress.increment_completed()
        if self.schedule is not None and batch_idx + 1 == self.trainer.num_training_batches:
            self.schedule.end_epoch()
        return {"losses": torch.stack(losses), "rates": rates}

    def taking(self) -> Steps:
        """Return what takes the steps here."""
        (optimizer,) = self.trainer.optimizers
        return Steps(
            optimizer,
            self.schedule,
            self.gradient_clip_val,
            getattr(self.trainer.precision_plugin, "scaler", None),
            self.leave_gradients,
            self.share,
        )

    def leave_gradients(self, loss: Tensor) -> None:
        """Compute gradients; Lightning's own way calls each callback twice."""
        # Tasks that train together are told before gradients come.
        self.trainer.strategy.pre_backward(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def share(self, step: int) -> float:
        """Return what part of the scheduled learning rate a step is taken with."""
        return 1.0

    def loss_of(self, batch: Batch) -> Tensor:
        """Return the mean weighted loss."""
        numerical, categorical, label, _, weight = batch
        logits = self.network(numerical, categorical)
        # Under mixed precision the loss is computed in full all the same.
        return self.objective(logits.to(weight.dtype), label, weight)

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
        configured: Any = self.configure(self.network.parameters(), self.steps)
        check_optimization(configured, self.steps)
        if isinstance(configured, Optimizer):
            return configured
        # Lightning keeps its state, and does not move it: that is for the steps.
        self.schedule = Schedule(**configured["lr_scheduler"])
        return {"optimizer": configured["optimizer"], "lr_scheduler": self.schedule.scheduler}

    def on_train_epoch_end(self) -> None:
        """Move a schedule that judges by a metric, before checkpoints of this epoch are made.

        Lightning would do so after that, and not at all in an epoch that was gone on with (#4655).
        """
        if self.schedule is not None:
            self.schedule.judge(self.current_epoch + 1, self.trainer.callback_metrics)

    def on_validation_start(self) -> None:
        """Have all tasks judge by what the first one's checkpoints will hold."""
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                # Counts and masks are the same everywhere.
                if buffer.is_floating_point():
                    dist.broadcast(buffer, 0)

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

    def share(self, step: int) -> float:
        """Return what part of the rate a step is taken with; schedules go on to see it in full."""
        rounds: Rounds = self.trainer.train_dataloader  # type: ignore[assignment]
        steps = max(1, math.ceil(self.warmup_epochs * rounds.steps))
        return float(self.warmup(min(1.0, (step + 1) / steps)))


class WarmedUpClassifier(WarmedUp, Classifier):
    """A classifier whose learning rate rises at first, on top of any schedule."""


def linear_warmup(progress: float) -> float:
    """Return the share of the learning rate, rising in a straight line."""
    return progress


def cosine_warmup(progress: float) -> float:
    """Return the share of the learning rate, rising as half a cosine does."""
    return (1 - math.cos(math.pi * progress)) / 2
