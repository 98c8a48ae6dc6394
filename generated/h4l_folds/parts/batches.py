"""Batches that are slices of tensors: no event is touched on its own by Python."""

import math
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from parts.events import Events
from parts.machinery.exits import RefusedError
from parts.placements import Batch, Placed

# Most events that are validated at once, so that what lies between batches costs nothing.
VALIDATED_AT_ONCE = {"cpu": 16384, "cuda": 65536}
# Events that are gathered at once, if their batches are smaller.
GATHERED_AT_ONCE = 16384
# Steps of a round: so many that what lies between rounds costs nothing, and so few that a run is
# soon stopped. An epoch has several rounds, and none takes much longer than a second.
MOST_STEPS = 32
LEAST_ROUNDS = 8
MOST_OPERATIONS = 5e10


def steps_at_once(steps: int, operations: float) -> int:
    """Return the steps of a round, of an epoch with so many of so many operations each."""
    few = int(MOST_OPERATIONS // max(1.0, operations))
    return max(1, min(MOST_STEPS, steps // LEAST_ROUNDS, few))


def validated_at_once(network: nn.Module, batch_size: int, device: torch.device) -> int:
    """Return the events of a batch of validation, of which a small network takes many."""
    most = VALIDATED_AT_ONCE.get(device.type, VALIDATED_AT_ONCE["cpu"])
    weights = sum(each.numel() for each in network.parameters())
    return max(batch_size, min(most, int(MOST_OPERATIONS // (2 * max(1, weights)))))


class Shares:
    """A split's events in batches, each step's batch shared out among the ranks.

    So no event is lost or seen twice. A tail too small to give every rank two events joins the
    batch before: batch normalisation needs two.
    """

    def __init__(
        self,
        events: Events,
        batch_size: int,
        rank: int,
        world_size: int,
        device: torch.device | None = None,
    ) -> None:
        self.events = events
        self.placed = Placed(events, device or torch.device("cpu"))
        self.batch_size = batch_size
        self.step = batch_size * world_size
        self.rank, self.world_size = rank, world_size
        size = len(events.label)
        tail = size % self.step
        self.steps = max(1, size // self.step + (tail >= 2 * world_size))
        self.size = size
        # Events of this rank's largest batch, the last one with what is left over.
        self.largest = -(
            -max(min(self.step, size), size - (self.steps - 1) * self.step) // world_size
        )

    def share(self, start: int, stop: int) -> slice:
        """Return this rank's events of some batches, of which `stop` is the first one behind."""
        end = self.size if stop == self.steps else stop * self.step
        return slice(start * self.step + self.rank, end, self.world_size)


class Batches(Shares):
    """Batches of a split in its order, for validation."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        """Yield this rank's part of each batch."""
        for index in range(self.steps):
            yield self.placed.part(self.share(index, index + 1))


def validation_batches(
    events: Events,
    network: nn.Module,
    batch_size: int,
    rank: int,
    world_size: int,
    device: torch.device,
) -> Batches:
    """Return the batches in which a split is validated, where `batch_size` is that of training."""
    at_once = validated_at_once(network, batch_size, device)
    return Batches(events, at_once, rank, world_size, device)


class Round:
    """Batches that steps are taken with, one after the other; each is gathered when it is due."""

    def __init__(self, batches: Iterator[Batch], steps: int) -> None:
        self.batches = batches
        self.steps = steps

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches, once."""
        return self.batches


class Rounds(Shares):
    """Batches of training, several in a round, in an order that only seed and epoch decide.

    Each rank's loss weights are scaled so that the mean of the ranks' mean losses is the mean over
    events, also where they have unequal shares.
    """

    def __init__(
        self,
        events: Events,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(events, batch_size, rank, world_size, device)
        self.seed = seed
        self.epoch = self.position = 0
        self.steps_at_once = steps_at_once(self.steps, 0.0)
        # Lightning asks for both, and tells the epoch to what it finds as the sampler of either.
        self.sampler = self.batch_sampler = self

    def shorten(self, network: nn.Module, passes: int) -> None:
        """Let rounds have fewer steps where those of a network take long, with so many passes."""
        weights = sum(each.numel() for each in network.parameters())
        self.steps_at_once = steps_at_once(self.steps, 6.0 * self.largest * weights * passes)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rounds of an epoch."""
        return math.ceil(self.steps / self.steps_at_once)

    def __iter__(self) -> Iterator[Round]:
        """Yield the rounds of an epoch, from where it stands."""
        seed = [self.seed]
        if self.world_size > 1:
            # Without a seed in the spec, each task has drawn one of its own.
            dist.broadcast_object_list(seed)
        generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + self.epoch)
        order = self.placed.order(self.events.shuffled(generator))
        start, self.position = self.position, 0
        for first in range(start, self.steps, self.steps_at_once):
            stop = min(first + self.steps_at_once, self.steps)
            self.position = stop % self.steps
            yield Round(self.gathered(order, first, stop), stop - first)

    def gathered(self, order: Tensor, first: int, stop: int) -> Iterator[Batch]:
        """Yield this rank's part of some batches."""
        at_once = max(1, GATHERED_AT_ONCE // self.batch_size)
        for start in range(first, stop, at_once):
            behind = min(start + at_once, stop)
            chosen = self.share(start, behind)
            *rest, loss_weight = self.placed.take(order[chosen])
            whole = [self.batch_size] * (behind - start - 1)
            last = len(loss_weight) - sum(whole)
            if behind == self.steps:
                everybodys = self.size - (self.steps - 1) * self.step
                loss_weight[-last:] *= last * self.world_size / everybodys
            parts = (torch.split(t, [*whole, last]) for t in (*rest, loss_weight))
            yield from zip(*parts, strict=True)

    def state_dict(self) -> dict[str, int]:
        """Return where an epoch stands; Lightning keeps it in checkpoints made within one."""
        tasks, steps = self.world_size, self.steps
        return {"epoch": self.epoch, "position": self.position, "tasks": tasks, "steps": steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on within an epoch; raises `RefusedError` if its batches were other ones."""
        if state["position"] and state["tasks"] != self.world_size:
            raise RefusedError(
                f"stopped within an epoch of {state['tasks']} tasks, which {self.world_size} cannot"
                " go on with"
            )
        if state["position"] and state["steps"] != self.steps:
            raise RefusedError(
                f"stopped within an epoch of {state['steps']} batches, and it has {self.steps} now:"
                " only the end of an epoch can be gone on from"
            )
        self.epoch, self.position = state["epoch"], state["position"]
