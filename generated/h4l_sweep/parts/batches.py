"""Batches that are slices of tensors: no event is touched on its own by Python."""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor

from parts.events import Events
from parts.machinery.exits import RefusedError


class Batches:
    """Batches of a split, in an order that only seed and epoch decide.

    Each step's batch is shared out among the ranks, so no event is lost or seen twice. A tail too
    small to give every rank two events joins the batch before: batch normalisation needs two.
    In training, each rank's loss weights are scaled so that the mean of the ranks' mean losses is
    the mean over events, also where they have unequal shares.
    """

    def __init__(
        self, events: Events, batch_size: int, seed: int | None, rank: int, world_size: int
    ) -> None:
        self.events = events
        self.step = batch_size * world_size
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.epoch = self.position = 0
        size = len(events.label)
        tail = size % self.step
        self.length = max(1, size // self.step + (tail >= 2 * world_size))
        self.size = size
        # Events of this rank's largest batch, the last one with what is left over.
        self.largest = -(
            -max(min(self.step, size), size - (self.length - 1) * self.step) // world_size
        )
        # Lightning asks for both, and tells the epoch to what it finds as the sampler of either.
        self.sampler = self.batch_sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.length

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield this rank's part of each batch; without a seed, in the order of the split."""
        order = torch.arange(self.size)
        if self.seed is not None:
            seed = [self.seed]
            if self.world_size > 1:
                # Without a seed in the spec, each task has drawn one of its own.
                dist.broadcast_object_list(seed)
            generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + self.epoch)
            order = self.events.shuffled(generator)
        start, self.position = self.position, 0
        for index in range(start, self.length):
            self.position = (index + 1) % self.length
            end = None if index == self.length - 1 else (index + 1) * self.step
            everybodys = order[index * self.step : end]
            chosen = everybodys[self.rank :: self.world_size]
            *rest, loss_weight = self.events.take(chosen)
            share = len(chosen) * self.world_size / len(everybodys)
            yield (*rest, loss_weight if self.seed is None else loss_weight * share)

    def state_dict(self) -> dict[str, int]:
        """Return where an epoch stands; Lightning keeps it in checkpoints made within one."""
        return {"epoch": self.epoch, "position": self.position, "tasks": self.world_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on within an epoch; raises `RefusedError` if its batches were other ones."""
        if state["position"] and state["tasks"] != self.world_size:
            raise RefusedError(
                f"stopped within an epoch of {state['tasks']} tasks, which {self.world_size} cannot"
                " go on with"
            )
        self.epoch, self.position = state["epoch"], state["position"]
