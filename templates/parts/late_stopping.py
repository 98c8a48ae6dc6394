"""Early stopping that waits for a number of epochs."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


class LateStopping(EarlyStopping):
    """Stops as `EarlyStopping` does, but not before `min_epochs` epochs are done.

    Epochs without a better monitor count from the first one on. Lightning's own `min_epochs` stops
    a training at that epoch even if it has become better in the meantime, and a checkpoint does not
    say that a stop is due.
    """

    def __init__(self, monitor: str, *, min_epochs: int, **options: Any) -> None:
        super().__init__(monitor, **options)
        self.min_epochs = min_epochs

    @property
    def state_key(self) -> str:
        """The name of the state in a checkpoint: that of the class which stops at any epoch."""
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__, 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge where every epoch is validated."""
        super().on_train_epoch_end(trainer, pl_module)
        self._wait(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge where only some are."""
        super().on_validation_end(trainer, pl_module)
        self._wait(trainer)

    def _wait(self, trainer: Trainer) -> None:
        if trainer.current_epoch + 1 < self.min_epochs:
            trainer.should_stop = False
