"""Several networks in one: members that vary with their events, slices of pt."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parts.splits import shares


class Ensemble(nn.Module):
    """Members side by side, each a network with one output of its own."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, member)."""
        return torch.cat([member(numerical, categorical) for member in self.members], dim=1)


class Sliced(nn.Module):
    """A network for each slice of a numerical feature; below and above the edges, the outer ones.

    All of them see all events, which costs time but lets the whole be exported as one graph.
    """

    def __init__(self, networks: Iterable[nn.Module], feature: int, edges: Sequence[float]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.feature = feature
        # In full, whatever the precision of the network: an edge belongs to the slice above.
        self.edges = torch.tensor(edges, dtype=torch.float64)

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, 1): what the network of an event's slice says."""
        value = numerical[:, self.feature, None]
        index = (value >= self.edges.to(value)).sum(dim=1, keepdim=True)
        each = [network(numerical, categorical) for network in self.networks]
        return torch.cat(each, dim=1).gather(1, index)


def poisson_counts(keys: NDArray[np.uint64], members: int) -> Tensor:
    """Return how often each member sees an event, Poisson of mean 1 (event, member).

    A bootstrap of weighted events. A hash of the event's key (event, key) decides, so that an event
    counts the same in all stages, wherever it stands in a file.
    """
    # P(k) = 1 / (e k!); the rest above 10 is below 1e-8.
    steps = np.cumsum(np.exp(-1.0) / np.cumprod(np.r_[1.0, np.arange(1.0, 11.0)]))
    counts = []
    for member in range(members):
        # Not the hash that splits events: it would be small for all events of training.
        salt = np.full((len(keys), 1), 0x5EE5 + member, dtype=np.uint64)
        counts.append(np.searchsorted(steps, shares(np.hstack([salt, keys]))))
    return torch.tensor(np.stack(counts, axis=1), dtype=torch.float64)


def normalisations(members: int, deviation: float) -> Tensor:
    """Return the factor on the MC yields that each member assumes (member,), in every stage.

    They spread by `deviation`, as a normal distribution does, around 1, which is their mean.
    """
    probability = (torch.arange(members, dtype=torch.float64) + 0.5) / members
    drawn = torch.special.ndtri(probability)
    # An MC yield is not negative, however large its uncertainty.
    factors: Tensor = 1 + deviation * drawn / drawn.std()
    return factors.clamp_min(0)
