"""Estimates of density ratios for the leptons of one split."""

from dataclasses import dataclass

import numpy as np

from parts.metrics import Floats, Ints


@dataclass(frozen=True)
class Estimates:
    """What the networks say of leptons; a ratio r is that of target 1 to target 0."""

    log_ratio: Floats  # (event, member): log r
    label: Ints  # (event,): the target
    weight: Floats  # (event,): physical and signed
    loss_weight: Floats  # (event, member): what the loss weighs an event with
    numerical: Floats  # (event, feature)
    categorical: Ints  # (event, feature)


def mean_ratio(estimates: Estimates) -> Floats:
    """Return the mean r of all members (event,)."""
    return np.asarray(np.exp(estimates.log_ratio).mean(axis=1))


def subtraction(ratio: Floats, is_data: bool) -> Floats:
    """Return s, which turns data, or Monte Carlo, into data - Monte Carlo; `ratio` is data to MC.

    1 - 1/r for data and r - 1 for Monte Carlo (arXiv:2511.06972).
    """
    return np.asarray(1 - 1 / ratio if is_data else ratio - 1)
