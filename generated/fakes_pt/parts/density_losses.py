"""Losses whose minimum is at a density ratio, each with its link from logits to that ratio.

Logits are (event, member), labels (event,): 1 for the density above, 0 for the one below.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# Within what torch's double and single precision tell from 1/2.
INSIDE = 0.5 - 1e-6


def density_bce(logits: Tensor, label: Tensor) -> Tensor:
    """Return the binary cross entropy; log r = f."""
    target = label[:, None].to(logits.dtype).expand_as(logits)
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def density_exponential(logits: Tensor, label: Tensor) -> Tensor:
    """Return e^-f for target 1 and e^f for target 0; log r = 2f."""
    return torch.exp(torch.where(label[:, None] == 1, -logits, logits))


def density_savage(logits: Tensor, label: Tensor) -> Tensor:
    """Return (1 + e^f)^-2 for target 1 and (1 + e^-f)^-2 for target 0; log r = f."""
    return torch.sigmoid(torch.where(label[:, None] == 1, -logits, logits)) ** 2


def density_tangent(logits: Tensor, label: Tensor) -> Tensor:
    """Return (2 atan f - 1)^2 for target 1 and (2 atan f + 1)^2 for target 0.

    The ratio is (atan f + 1/2) / (1/2 - atan f).
    """
    return (2 * torch.atan(logits) - torch.where(label[:, None] == 1, 1.0, -1.0)) ** 2


def direct_link(logits: Tensor) -> Tensor:
    """Return log r = f of bce and savage."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def exponential_link(logits: Tensor) -> Tensor:
    """Return log r = 2f of the exponential loss."""
    return 2 * direct_link(logits)


def tangent_link(logits: Tensor) -> Tensor:
    """Return log r of the tangent loss; a network may leave the range where there is a ratio."""
    angle = torch.atan(direct_link(logits)).clamp(-INSIDE, INSIDE)
    return torch.log((angle + 0.5) / (0.5 - angle))


def squares(logits: Tensor, w_lambda: float) -> Tensor:
    """Return the penalty w_lambda * mean f^2, summed over members."""
    return w_lambda * logits.square().mean(dim=0).sum()


def effective_size(logits: Tensor, ess_lambda: float) -> Tensor:
    """Return the penalty ess_lambda / (ESS + 1e-8), summed over members.

    ESS = (sum e^f)^2 / sum e^2f is the effective number of events of a batch weighted with e^f.
    """
    largest = logits.max(dim=0, keepdim=True).values
    weight = torch.exp(logits - largest)
    ess = weight.sum(dim=0).square() / weight.square().sum(dim=0)
    return (ess_lambda / (ess + 1e-8)).sum()


Penalty = Callable[[Tensor], Tensor]
