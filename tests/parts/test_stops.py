"""Between two steps a run that was told to stops, with all that it has reached saved."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from parts.machinery.checkpoints import AtomicCheckpointIO, LastCheckpoints, pointer
from parts.machinery.exits import (
    ASKED,
    CANCELLED,
    INTERRUPTED,
    PREEMPTED,
    StoppedError,
    listen,
    obey,
)
from parts.machinery.stops import SafeStop

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

N_BATCHES = 4


class Line(LightningModule):
    """Learns one number."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return a loss."""
        return ((self.slope - batch[0]) ** 2).mean()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return a loss."""
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return an optimizer."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Sender(Callback):
    """Sends a signal to this process at a step."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Send it."""
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


def nothing() -> None:
    """Secure nothing."""


def fit(
    folder: Path,
    *callbacks: Callback,
    minutes: float = 10,
    secure: Callable[[], None] = nothing,
    sanity: int = 0,
) -> None:
    listen()
    best = ModelCheckpoint(folder, save_top_k=0)
    last = LastCheckpoints(folder, best)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[*callbacks, best, last, SafeStop(last, minutes, secure)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=sanity,
    )
    data: DataLoader[tuple[Tensor, ...]] = DataLoader(TensorDataset(torch.ones(N_BATCHES)))
    trainer.fit(Line(), data, data)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, CANCELLED), (signal.SIGUSR2, PREEMPTED)]
)
@pytest.mark.parametrize(
    ("step", "saved"),
    # Within an epoch after the step; at its last step after the epoch's end.
    [(0, 1), (2, 3), (3, 4), (5, 6)],
)
def test_a_signal_stops_after_its_step_and_all_is_saved(
    tmp_path: Path, number: int, status: int, step: int, saved: int
) -> None:
    with pytest.raises(StoppedError) as stop:
        fit(tmp_path, Sender(number, step))
    assert stop.value.status == status
    assert pointer(tmp_path)["step"] == saved
    assert not pointer(tmp_path)["trained"]


def test_a_signal_at_the_very_last_step_leaves_the_evaluation_to_the_next_start(
    tmp_path: Path,
) -> None:
    with pytest.raises(StoppedError) as stop:
        fit(tmp_path, Sender(signal.SIGTERM, 2 * N_BATCHES - 1))
    assert stop.value.status == CANCELLED
    assert pointer(tmp_path)["trained"]


class SenderAt(Callback):
    """Sends a signal to this process in a hook, and counts the validation batches after it."""

    def __init__(self, hook: str, number: int = signal.SIGTERM, batch: int = 0) -> None:
        self.number, self.batch, self.validated = number, batch, 0
        setattr(self, hook, self.send)

    def send(self, *arguments: Any, **_: Any) -> None:
        """Send it; hooks of batches have the batch's number behind the others."""
        if len(arguments) < 4 or arguments[3] == self.batch:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_end(self, *_: Any) -> None:
        """Count."""
        self.validated += ASKED.status != 0


@pytest.mark.parametrize(
    ("hook", "validated"),
    [
        ("setup", 0),
        ("on_fit_start", 0),
        ("on_sanity_check_start", 0),
        ("on_validation_start", 1),
        ("on_validation_batch_start", 1),
    ],
)
def test_a_signal_before_or_in_the_sanity_check_is_obeyed_after_the_batch_in_hand(
    tmp_path: Path, hook: str, validated: int
) -> None:
    sender = SenderAt(hook)
    with pytest.raises(StoppedError):
        fit(tmp_path, sender, sanity=3)
    assert sender.validated == validated
    assert pointer(tmp_path) == {}


@pytest.mark.parametrize("hook", ["setup", "on_fit_start", "on_train_start"])
def test_a_signal_before_the_first_step_is_obeyed_before_it(tmp_path: Path, hook: str) -> None:
    with pytest.raises(StoppedError):
        fit(tmp_path, SenderAt(hook))
    assert pointer(tmp_path) == {}


def test_a_signal_in_the_validation_of_an_epoch_is_obeyed_after_it(tmp_path: Path) -> None:
    """A start that goes on would leave out the rest of it."""
    sender = SenderAt("on_validation_batch_start")
    with pytest.raises(StoppedError):
        fit(tmp_path, sender)
    assert sender.validated == N_BATCHES
    assert pointer(tmp_path)["step"] == N_BATCHES


def test_lightning_leaves_the_signals_alone(tmp_path: Path) -> None:
    """Its own handler of SIGTERM waits for other tasks, and ends the program with status 0."""
    found = set()

    class Look(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            found.add(signal.getsignal(signal.SIGTERM))

    fit(tmp_path, Look())
    assert found == {ASKED.note}
    assert signal.getsignal(signal.SIGTERM) == ASKED.note


def test_a_signal_after_training_is_obeyed_at_the_next_safe_point(tmp_path: Path) -> None:
    fit(tmp_path)
    obey()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(StoppedError) as stop:
        obey()
    assert stop.value.status == INTERRUPTED


def test_a_training_that_fails_ends_the_tasks_agreement(tmp_path: Path) -> None:
    class Fault(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fit(tmp_path, Fault())
    assert not ASKED.together


class Saved(Callback):
    """Notes which steps are saved within an epoch, and when."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[str] = []

    def secure(self) -> None:
        """Note that what plots are drawn of is kept."""
        self.events.append("secured")

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Note what is saved."""
        self.events.append(f"{trainer.global_step}: {pointer(self.folder).get('step', 0)}")


def test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_secured(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    fit(tmp_path, saved, minutes=1e-9, secure=saved.secure)
    # The last step of an epoch is saved by its end.
    epoch = ["0: 0", "secured", "1: 1", "secured", "2: 2", "secured", "3: 3"]
    later = [re.sub(r"\d", lambda n: str(int(n[0]) + N_BATCHES), text) for text in epoch]
    assert saved.events == epoch + later
    saved.events.clear()
    rarely = tmp_path / "rarely"
    rarely.mkdir()
    saved.folder = rarely
    fit(rarely, saved, minutes=10, secure=saved.secure)
    assert saved.events == ["0: 0", "1: 0", "2: 0", "3: 0", "4: 4", "5: 4", "6: 4", "7: 4"]
