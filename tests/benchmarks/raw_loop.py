"""A training loop as a careful person writes it, and nothing else.

    python raw_loop.py DATA LAYERS HIDDEN BATCH EPOCHS [DEVICE PRECISION]

Fused AdamW, data on the device from the start, each epoch in an order of its own; after it the
validation split is gone through forward. Prints, for each epoch, the seconds of its training and
of the whole. Runs where `parts` can be imported, so that it has the tensors that a script has.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from parts.datasets import Dataset, Sample
from parts.events import read_splits
from parts.parquet_files import Parquet

SEED = 1
FEATURES = tuple(f"x{index:02}" for index in range(28))
AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}

# Features (event, feature), and label and weight (event, 1), in floating point.
Split = tuple[Tensor, Tensor, Tensor]


def read(path: Path) -> tuple[Split, Split]:
    """Return training and validation events as a script splits them."""
    sample = Sample("all", (str(path),), Parquet(), class_column="label")
    values = {"background": (0,), "signal": (1,)}
    dataset = Dataset(
        samples=(sample,),
        numerical=FEATURES,
        event_number="event",
        classes=tuple(values),
        class_values=values,
    )
    found = read_splits(dataset, {"all": [path]}, True, True, torch.float32)
    train, validation = (
        (split.numerical, split.label.float()[:, None], split.loss_weight[:, None])
        for split in found[:2]
    )
    return train, validation


def on(device: str, split: Split) -> Split:
    """Return a split on a device."""
    features, label, weight = (tensor.to(device) for tensor in split)
    return features, label, weight


def network(n_layers: int, n_hidden: int) -> nn.Module:
    """Return the same layers as an MLP of the parts has, without scaling."""
    widths = [len(FEATURES)] + [n_hidden] * n_layers
    layers: list[nn.Module] = []
    for width in widths[:-1]:
        layers += [nn.Linear(width, n_hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(n_hidden, 1))


def batches(split: Split, order: Tensor, batch: int) -> Iterator[Split]:
    """Yield batches in an order."""
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        yield split[0][chosen], split[1][chosen], split[2][chosen]


class Loop:
    """The network and its optimizer, on a device and at a precision."""

    def __init__(self, shape: tuple[int, int], batch: int, device: str, precision: str) -> None:
        torch.manual_seed(SEED)
        self.batch = batch
        self.device = device
        self.network = network(*shape).to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, fused=True)
        self.dtype = AUTOCAST.get(precision)
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed")

    def loss(self, batch: Split) -> Tensor:
        """Return the mean weighted loss, in full precision."""
        with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
            logits = self.network(batch[0])
        return binary_cross_entropy_with_logits(logits.float(), batch[1], weight=batch[2])

    def train(self, split: Split, epoch: int) -> None:
        """Go through the events once."""
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + epoch)
        order = torch.randperm(len(split[0]), generator=generator).to(self.device)
        for batch in batches(split, order, self.batch):
            self.optimizer.zero_grad()
            self.scaler.scale(self.loss(batch)).backward()  # type: ignore[no-untyped-call]
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.wait()

    @torch.no_grad()
    def validate(self, split: Split) -> float:
        """Return the loss of a split."""
        parts = zip(*(torch.split(tensor, self.batch) for tensor in split), strict=True)
        losses = torch.stack([self.loss(batch) * len(batch[0]) for batch in parts])
        return float(losses.sum() / len(split[0]))

    def wait(self) -> None:
        """Wait for what was asked of a GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    """Train for some epochs, and print how long they took."""
    path, *numbers = sys.argv[1:6]
    n_layers, n_hidden, batch, epochs = map(int, numbers)
    device, precision = sys.argv[6:] or ("cpu", "32-true")
    # As scripts do.
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    torch.set_float32_matmul_precision("high")
    train, validation = (on(device, split) for split in read(Path(path)))
    loop = Loop((n_layers, n_hidden), batch, device, precision)
    for epoch in range(epochs):
        began = time.perf_counter()
        loop.train(train, epoch)
        trained = time.perf_counter()
        loop.validate(validation)
        ended = time.perf_counter()
        said = {"train": trained - began, "epoch": ended - began}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
