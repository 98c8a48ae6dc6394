"""The losses of an epoch's steps, which stay where they are computed until their mean is due."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from parts.machinery.exits import NotFiniteError


class EpochLosses:
    """Losses of the steps that this task has taken in an epoch."""

    def __init__(self, losses: Sequence[float] = ()) -> None:
        self.parts = [torch.tensor(losses, dtype=torch.float64)]

    def __len__(self) -> int:
        """Return the number of steps."""
        return sum(map(len, self.parts))

    def add(self, losses: Tensor) -> None:
        """Add those of further steps (step,)."""
        self.parts.append(losses.detach())

    def values(self) -> Tensor:
        """Return all losses (step,), once the steps are taken."""
        # What was seen has been brought here; on a GPU, the rest waits for its steps.
        self.parts = [torch.cat([each.cpu().double() for each in self.parts])]
        return self.parts[0]

    def mean(self, trainer: Trainer, left_out: int = 0, steps: int | None = None) -> float:
        """Return the mean over ranks and steps: all, or some before the last ones `left_out`.

        Raises `NotFiniteError`, in all tasks, if it is not finite.
        """
        values = self.values()
        end = len(values) - left_out
        chosen = values[0 if steps is None else max(0, end - steps) : end]
        mean = chosen.mean()
        if trainer.world_size > 1:
            there = mean.to(trainer.strategy.root_device)
            mean = torch.as_tensor(trainer.strategy.reduce(there, reduce_op="mean"))
        value = float(mean)
        if value - value != 0:
            raise NotFiniteError(self.said(trainer.global_step))
        return value

    def said(self, behind: int) -> str:
        """Say which loss is not finite, of the steps up to `behind`, as the record counts them."""
        wrong = (~self.values().isfinite()).nonzero().flatten().tolist()
        if not wrong:
            return f"loss not finite in another task before step {behind}"
        number = wrong[0] + 1
        step = behind - len(self) + number
        return f"loss {float(self.values()[wrong[0]])} at step {step}, batch {number} of its epoch"
