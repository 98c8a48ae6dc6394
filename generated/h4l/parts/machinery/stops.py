"""Stops: tasks that train together save and stop together, between two steps."""

import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from parts.machinery.checkpoints import LastCheckpoints
from parts.machinery.exits import ASKED, StoppedError

# Asks all tasks to save and to go on; larger numbers are exit statuses.
SAVE = 1


class SafeStop(Callback):
    """Stops between two batches, on all ranks together, and saves every few minutes.

    Lightning's own handlers save inside the handler, which hangs with several ranks (#21406), and
    end with status 0 on SIGTERM, which a job that waits for this one would take for success.
    """

    def __init__(
        self, checkpoints: LastCheckpoints, minutes: float, settle: Callable[[], None]
    ) -> None:
        self.checkpoints = checkpoints
        self.minutes = minutes
        self.settle = settle
        self.saved = 0.0

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Have the tasks stop together from here on, by this callback alone.

        Lightning would take SIGTERM between this and the first batch: its handler waits for the
        other tasks (#20806), and ends the program with status 0.
        """
        ASKED.together = True
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]

    def on_sanity_check_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before anything is computed."""
        obey_together(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop within a sanity check; a validation of trained weights is a part of its epoch."""
        if trainer.sanity_checking:
            obey_together(trainer)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self.saved = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop between two epochs: the end of the last one has been saved."""
        self.saved = time.monotonic()
        obey_together(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, and stop if asked to; its last step is left to its end (#19970)."""
        # A job may be killed without warning: it loses the minutes since it saved, and no more.
        due = SAVE if time.monotonic() - self.saved > 60 * self.minutes else 0
        agreed = largest(trainer, ASKED.status or due)
        if not agreed or batch_idx + 1 == trainer.num_training_batches:
            return
        # Every checkpoint promises that the plots of the epochs before are there.
        self.settle()
        self.checkpoints.save(trainer)
        self.saved = time.monotonic()
        if agreed > SAVE:
            raise StoppedError(agreed)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before the evaluation, which another start makes up for."""
        obey_together(trainer)
        ASKED.together = False

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        """Train together no more."""
        ASKED.together = False


def obey_together(trainer: Trainer) -> None:
    """Raise `StoppedError` in all tasks if a signal has come to any of them."""
    if agreed := largest(trainer, ASKED.status):
        raise StoppedError(agreed)


def largest(trainer: Trainer, status: int) -> int:
    """Return the largest of the numbers that the tasks give, so that all of them act alike."""
    if trainer.world_size == 1:
        # Nothing waits for a GPU that has nobody to agree with.
        return status
    number = torch.tensor(status, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(number, reduce_op="max"))
