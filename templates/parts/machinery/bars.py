"""The bar of a training at a terminal."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import Tensor

from parts.batches import Rounds


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
        """Say which epoch it is, and of how many; count its steps, of which a round is several."""
        rounds: Rounds = trainer.train_dataloader  # type: ignore[assignment]
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.train_progress_bar.set_description(epoch)
        self.train_progress_bar.total = rounds.steps

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the steps taken, at the end of a round in which it is time to."""
        # A GPU is asked for a loss only when it is shown.
        self.loss = outputs["losses"][-1]
        bar, taken = self.train_progress_bar, len(outputs["losses"])
        rounds: Rounds = trainer.train_dataloader  # type: ignore[assignment]
        done = min((batch_idx + 1) * rounds.steps_at_once, rounds.steps)
        rate = self.refresh_rate
        due = done == rounds.steps or done // rate > (done - taken) // rate
        if self.is_enabled and due:
            bar.n = done
            bar.set_postfix(self.get_metrics(trainer, module))

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, module)
        return shown if self.loss is None else {"train_loss": float(self.loss), **shown}
