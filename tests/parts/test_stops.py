"""Signals set a flag and nothing else; the run stops at a safe point with the right status."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from parts.checkpoints import AtomicCheckpointIO, LastCheckpoints, pointer
from parts.exits import CANCELLED, INTERRUPTED, PREEMPTED, StoppedError
from parts.stops import SafeStop, listen, stop_at_once

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

N_BATCHES = 4


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Give the signals back."""
    numbers = signal.SIGTERM, signal.SIGUSR2, signal.SIGINT
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class Line(LightningModule):
    """Learns one number."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return a loss."""
        return ((self.slope - batch[0]) ** 2).mean()

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
    """Settle nothing."""


def fit(
    folder: Path, *callbacks: Callback, minutes: float = 10, settle: Callable[[], None] = nothing
) -> None:
    best = ModelCheckpoint(folder, save_top_k=0)
    last = LastCheckpoints(folder, best)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[*callbacks, best, last, SafeStop(last, minutes, settle)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data: DataLoader[tuple[Tensor, ...]] = DataLoader(TensorDataset(torch.ones(N_BATCHES)))
    trainer.fit(Line(), data)


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


def test_a_signal_before_training_or_after_it_stops_at_once(tmp_path: Path) -> None:
    listen(stop_at_once)
    for number, status in ((signal.SIGUSR2, PREEMPTED), (signal.SIGINT, INTERRUPTED)):
        with pytest.raises(StoppedError) as stop:
            os.kill(os.getpid(), number)
        assert stop.value.status == status
    fit(tmp_path)
    with pytest.raises(StoppedError):
        os.kill(os.getpid(), signal.SIGTERM)


class Saved(Callback):
    """Notes which steps are saved within an epoch, and when."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[str] = []

    def settle(self) -> None:
        """Note that plots were waited for."""
        self.events.append("settled")

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Note what is saved."""
        self.events.append(f"{trainer.global_step}: {pointer(self.folder).get('step', 0)}")


def test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_there(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    fit(tmp_path, saved, minutes=1e-9, settle=saved.settle)
    # The last step of an epoch is saved by its end.
    epoch = ["0: 0", "settled", "1: 1", "settled", "2: 2", "settled", "3: 3"]
    later = [re.sub(r"\d", lambda n: str(int(n[0]) + N_BATCHES), text) for text in epoch]
    assert saved.events == epoch + later
    saved.events.clear()
    rarely = tmp_path / "rarely"
    rarely.mkdir()
    saved.folder = rarely
    fit(rarely, saved, minutes=10, settle=saved.settle)
    assert saved.events == ["0: 0", "1: 0", "2: 0", "3: 0", "4: 4", "5: 4", "6: 4", "7: 4"]


def test_the_handler_only_sets_a_flag(tmp_path: Path) -> None:
    stop = SafeStop(LastCheckpoints(tmp_path, ModelCheckpoint(tmp_path)), 10, nothing)
    stop.owner = os.getpid()
    assert stop.status == 0
    stop.note(signal.SIGUSR2, None)
    assert stop.status == PREEMPTED
    stop.note(signal.SIGTERM, None)
    assert stop.status == CANCELLED
    assert not list(tmp_path.iterdir())


def test_worker_processes_do_not_take_the_signal(tmp_path: Path) -> None:
    stop = SafeStop(LastCheckpoints(tmp_path, ModelCheckpoint(tmp_path)), 10, nothing)
    stop.owner = os.getpid() + 1
    stop.note(signal.SIGTERM, None)
    assert stop.status == 0
