"""A training with Lightning as people write it: a DataLoader over a TensorDataset, and `self.log`.

    python plain_lightning.py DATA LAYERS HIDDEN BATCH STEPS

prints the seconds of a step.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.raw_loop import network, read

# Steps before time is taken.
WARM = 5


class Plain(LightningModule):
    """A network, its loss and its optimizer."""

    def __init__(self, n_layers: int, n_hidden: int) -> None:
        super().__init__()
        self.network = network(n_layers, n_hidden)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the mean weighted loss."""
        features, label, weight = batch
        loss = binary_cross_entropy_with_logits(self.network(features), label, weight=weight)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Clock(Callback):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def main() -> None:
    """Train for some steps."""
    path, *numbers = sys.argv[1:]
    n_layers, n_hidden, batch, steps = map(int, numbers)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    train, _ = read(Path(path))
    loader = DataLoader(TensorDataset(*train), batch, shuffle=True)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_steps=WARM + steps,
            max_epochs=-1,
            callbacks=[clock],
            default_root_dir=folder,
        )
        trainer.fit(Plain(n_layers, n_hidden), loader)
    seconds = (clock.times[-1] - clock.times[WARM - 1]) / steps
    print(json.dumps({"steps": seconds}), flush=True)


if __name__ == "__main__":
    main()
