"""Losses: from logits (event, output) and labels (event,) to one number an event (event,)."""

import torch
from torch import Tensor
from torch.nn import functional


def bce(logits: Tensor, label: Tensor) -> Tensor:
    """Return the binary cross entropy."""
    return functional.binary_cross_entropy_with_logits(
        logits[:, 0], label.to(logits.dtype), reduction="none"
    )


def cross_entropy(logits: Tensor, label: Tensor, label_smoothing: float) -> Tensor:
    """Return the cross entropy of several classes."""
    return functional.cross_entropy(
        logits, label, reduction="none", label_smoothing=label_smoothing
    )


def binary_focal(logits: Tensor, label: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of one logit (arXiv:1708.02002, eq. 4)."""
    return focus(bce(logits, label), gamma)


def multiclass_focal(logits: Tensor, label: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of several classes (arXiv:1708.02002, eq. 4)."""
    return focus(cross_entropy(logits, label, label_smoothing=0.0), gamma)


def focus(entropy: Tensor, gamma: float) -> Tensor:
    """Scale entropies by (1 - p)^gamma, p being the probability of the true class."""
    # At p = 1 the slope of a power below 1 is infinite, and times an entropy of 0 it is nan.
    missed = (-torch.expm1(-entropy)).clamp_min(torch.finfo(entropy.dtype).tiny)
    return missed**gamma * entropy


def binary_mse(logits: Tensor, label: Tensor) -> Tensor:
    """Return the squared error of the signal's probability (Brier score)."""
    return (torch.sigmoid(logits[:, 0]) - label.to(logits.dtype)) ** 2


def multiclass_mse(logits: Tensor, label: Tensor) -> Tensor:
    """Return the squared error of the probabilities, summed over classes (Brier score)."""
    target = functional.one_hot(label, logits.shape[1]).to(logits.dtype)
    return ((torch.softmax(logits, dim=1) - target) ** 2).sum(dim=1)
