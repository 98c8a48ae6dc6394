"""The bar of a training at a terminal."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import Tensor


class EpochBar(TQDMProgressBar):
    """Counts epochs from 1, as the record does, and shows the loss of the last step."""

    def __init__(self, refresh_rate: int) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self.loss: Tensor | None = None

    def on_train_start(self, *arguments: Any) -> None:
        """Begin; an epoch that is gone on with has no start of its own."""
        super().on_train_start(*arguments)
        self.name_epoch(arguments[0])

    def on_train_epoch_start(self, trainer: Trainer, *others: Any) -> None:
        """Begin an epoch."""
        super().on_train_epoch_start(trainer, *others)
        self.name_epoch(trainer)

    def name_epoch(self, trainer: Trainer) -> None:
        """Say which epoch it is, and of how many."""
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.train_progress_bar.set_description(epoch)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss, which a GPU is asked for only when the bar is drawn."""
        self.loss = outputs["losses"][-1]
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, module)
        return shown if self.loss is None else {"train_loss": float(self.loss), **shown}
