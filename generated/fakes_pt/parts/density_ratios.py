"""The Lightning module of a density ratio, of one network or of several members at once."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from parts.classifiers import Classifier, WarmedUp
from parts.density_losses import Penalty


class DensityRatio(Classifier):
    """Trains a network, or members side by side, to the ratio of two weighted densities.

    The link leads from logits to log r. Members do not share weights: each is trained by its own
    column of the loss weights as it would be alone, and all stop at the same time.
    """

    def __init__(self, *, penalties: Sequence[Penalty] = (), **others: Any) -> None:
        super().__init__(**others)
        self.penalties = penalties

    def objective(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """Return the mean weighted loss, summed over members, and the penalties on top."""
        loss = self.mean_loss(self.loss(logits, label), weight)
        for penalty in self.penalties:
            loss = loss + penalty(logits)
        return loss

    def mean_loss(self, loss: Tensor, weight: Tensor) -> Tensor:
        """Return mean(W * loss), summed over members."""
        return (loss * weight).mean(dim=0).sum()

    def is_mean(self, value: float, loss: Tensor) -> bool:
        """Say that any value may be: densities are differences of weights."""
        return True

    def outputs(self, logits: Tensor, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the log ratio (event, member), and the batch, which plots show it against."""
        numerical, categorical, label, weight, loss_weight = batch
        return {
            "log_ratio": self.link(logits),
            "label": label,
            "weight": weight,
            "loss_weight": loss_weight,
            "numerical": numerical,
            "categorical": categorical,
        }


class WarmedUpDensityRatio(WarmedUp, DensityRatio):
    """A density ratio whose learning rate rises at first, on top of any schedule."""


def known(
    numerical: Sequence[str],
    categorical: Sequence[str],
    logarithmic: Sequence[str],
    categories: list[list[int]],
    stage: str,
    network: nn.Module,
) -> dict[str, Any]:
    """Return what a checkpoint of a stage says that it knows, in plain values."""
    return {
        "stage": stage,
        "numerical": list(numerical),
        "categorical": list(categorical),
        "logarithmic": list(logarithmic),
        "categories": categories,
        # Besides the shapes, which two networks have in common that are not the same.
        "network": ", ".join(dict.fromkeys(type(module).__name__ for module in network.modules())),
    }


class LogRatio(nn.Module):
    """A trained network and its link: from features to log r (event, member)."""

    def __init__(self, network: nn.Module, link: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.link = link

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, member)."""
        return self.link(self.network(numerical, categorical))
