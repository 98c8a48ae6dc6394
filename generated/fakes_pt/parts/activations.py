"""What a network's output goes through before it is a logit."""

import torch
from torch import Tensor, nn


def softabs(x: Tensor) -> Tensor:
    """Return x^2/2 within |x| < 1 and |x| - 1/2 beyond: smooth, and never negative."""
    size = x.abs()
    return torch.where(size < 1, size * size / 2, size - 0.5)


class Softabs(nn.Module):
    """Keeps a logit at or above 0, so that a density ratio is at least 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return softabs(x)


class MinusSoftabs(nn.Module):
    """Keeps a logit at or below 0, so that a density ratio is at most 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return -softabs(x)


class Abs(nn.Module):
    """Keeps a logit at or above 0, with a kink there."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return x.abs()


class MinusAbs(nn.Module):
    """Keeps a logit at or below 0, with a kink there."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return -x.abs()


class ELUPlus(nn.Module):
    """ELU + 1: keeps a logit above 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return nn.functional.elu(x) + 1


class Activated(nn.Module):
    """A network and the activation of its output."""

    def __init__(self, network: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.activation = activation

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, output)."""
        activated: Tensor = self.activation(self.network(numerical, categorical))
        return activated
