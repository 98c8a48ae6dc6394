"""Random states, so that a run that goes on draws the numbers it would have drawn."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from parts.machinery.tasks import of_all_tasks


class RandomStates(Callback):
    """Keeps the states of torch's generators in checkpoints; Lightning keeps none (#19367)."""

    def __init__(self) -> None:
        self.rank = 0

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Let each task draw dropout masks of its own: all of them have begun with one seed."""
        self.rank = trainer.global_rank
        if self.rank > 0:
            torch.manual_seed(torch.initial_seed() + self.rank)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all tasks, as plain values, which `weights_only` can load."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"tasks": of_all_tasks({"cpu": torch.get_rng_state(), "cuda": cuda})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set this task's generators back, if a task of its rank has left their states."""
        if self.rank < len(state["tasks"]):
            own = state["tasks"][self.rank]
            torch.set_rng_state(own["cpu"].cpu())
            if own["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all([each.cpu() for each in own["cuda"]])
