"""Networks: from (numerical, categorical) to one logit, or one for each class."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from parts.inputs import Inputs
from parts.memory import check_network


class MLP(nn.Module):
    """A multi-layer perceptron."""

    def __init__(
        self,
        inputs: Inputs,
        n_outputs: int,
        n_layers: int,
        n_hidden: int,
        act: type[nn.Module],
        dropout: float,
        norm: type[nn.Module],
    ) -> None:
        super().__init__()
        self.inputs = inputs
        check_size(inputs.width, n_outputs, n_layers, n_hidden)
        widths = [inputs.width] + [n_hidden] * n_layers
        layers: list[nn.Module] = []
        for width in widths[:-1]:
            layers += [nn.Linear(width, n_hidden), norm(n_hidden), act(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(n_hidden, n_outputs))

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return logits (event, n_outputs)."""
        logits: Tensor = self.layers(self.inputs(numerical, categorical))
        return logits


class ResidualBlock(nn.Module):
    """Normalise, activate, multiply, `block_size` times, and add the input (arXiv:1603.05027)."""

    def __init__(
        self,
        n_hidden: int,
        block_size: int,
        act: type[nn.Module],
        dropout: float,
        norm: type[nn.Module],
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(block_size):
            layers += [norm(n_hidden), act(), nn.Dropout(dropout), nn.Linear(n_hidden, n_hidden)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return (event, n_hidden)."""
        changed: Tensor = self.layers(x)
        return x + changed


class ResNet(nn.Module):
    """Pre-activation residual blocks between a linear stem and a linear head."""

    def __init__(
        self,
        inputs: Inputs,
        n_outputs: int,
        n_layers: int,
        n_hidden: int,
        block_size: int,
        act: type[nn.Module],
        dropout: float,
        norm: type[nn.Module],
    ) -> None:
        super().__init__()
        self.inputs = inputs
        check_size(inputs.width, n_outputs, n_layers + 1, n_hidden)
        blocks = [
            ResidualBlock(n_hidden, block_size, act, dropout, norm)
            for _ in range(n_layers // block_size)
        ]
        self.layers = nn.Sequential(
            nn.Linear(inputs.width, n_hidden),
            *blocks,
            norm(n_hidden),
            act(),
            nn.Linear(n_hidden, n_outputs),
        )

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return logits (event, n_outputs)."""
        logits: Tensor = self.layers(self.inputs(numerical, categorical))
        return logits


def check_size(n_inputs: int, n_outputs: int, n_layers: int, n_hidden: int) -> None:
    """Raise `RefusedError` for layers that memory cannot hold; the first one takes the inputs."""
    weights = n_hidden * (n_inputs + (n_layers - 1) * n_hidden + n_outputs)
    check_network(weights, n_layers, "n_hidden or n_layers")


def described(
    model: type[nn.Module],
    act: type[nn.Module],
    norm: type[nn.Module],
    scaling: Callable[..., nn.Module] | None,
    logarithmic: Sequence[str] = (),
) -> str:
    """Return what, besides shapes, two networks must have in common to be the same."""
    scaled = f"{scaling.__name__ if scaling else 'none'} scaling"
    taken = f", log of {', '.join(logarithmic)}" if logarithmic else ""
    return f"{model.__name__}, {act.__name__}, {norm.__name__}, {scaled}{taken}"


def binary_probability(logits: Tensor) -> Tensor:
    """Return (event, 2): of the background, and of the signal that one logit stands for."""
    # ONNX Runtime's sigmoid is 0 from some -17 on, which would leave many events alike.
    return class_probability(torch.cat([torch.zeros_like(logits), logits], dim=1))


def class_probability(logits: Tensor) -> Tensor:
    """Return (event, class)."""
    return torch.softmax(logits.float(), dim=1)
