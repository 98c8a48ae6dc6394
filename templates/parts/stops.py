"""Signals: they set a flag; the run saves at the next safe point and says how it ended."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from parts.checkpoints import LastCheckpoints
from parts.exits import CANCELLED, INTERRUPTED, PREEMPTED, StoppedError

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
        self.owner = 0
        self.status = 0
        self.saved = 0.0

    def on_sanity_check_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take SIGTERM back from Lightning, whose handler waits for the other tasks (#20806)."""
        listen(stop_at_once)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take over the signals, after Lightning has taken them."""
        self.owner = os.getpid()
        self.saved = time.monotonic()
        listen(self.note)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; worker processes inherit this handler and do nothing."""
        if os.getpid() == self.owner:
            self.status = status_of(number)
            # A second Ctrl-C ends the run where it stands.
            signal.signal(signal.SIGINT, stop_at_once)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, and stop if asked to; its last step is left to its end (#19970)."""
        # A job may be killed without warning: it loses the minutes since it saved, and no more.
        due = SAVE if time.monotonic() - self.saved > 60 * self.minutes else 0
        agreed = largest(trainer, self.status or due)
        if not agreed or batch_idx + 1 == trainer.num_training_batches:
            return
        # Every checkpoint promises that the plots of the epochs before are there.
        self.settle()
        self.checkpoints.save(trainer)
        self.saved = time.monotonic()
        if agreed > SAVE:
            raise StoppedError(agreed)

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop between two epochs: the end of the last one has been saved."""
        self.saved = time.monotonic()
        if agreed := largest(trainer, self.status):
            raise StoppedError(agreed)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before the evaluation, which another start makes up for."""
        agreed = largest(trainer, self.status)
        listen(stop_at_once)
        # A signal may have come in between.
        if agreed := agreed or self.status:
            raise StoppedError(agreed)


def largest(trainer: Trainer, status: int) -> int:
    """Return the largest of the numbers that the tasks give, so that all of them act alike."""
    number = torch.tensor(status, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(number, reduce_op="max"))


def listen(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have the signals handled that end a run: of SLURM, and Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, handler)


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """Stop where nothing is to be saved: before training, and while its result is evaluated."""
    raise StoppedError(status_of(number))


def status_of(number: int) -> int:
    """Return the exit status that a signal leads to."""
    known = {signal.SIGUSR2: PREEMPTED, signal.SIGINT: INTERRUPTED}
    return known.get(signal.Signals(number), CANCELLED)
