"""Events of the three trainings: data against MC, tight or loose; and tight against loose."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from parts.events import Events
from parts.leptons import Leptons
from parts.machinery.exits import obey


def density_events(leptons: Leptons, tight: bool, members: int) -> Events:
    """Return data (1) against MC (0) of the tight or the loose leptons; yields stay as they are."""
    chosen = leptons.is_tight == tight
    weight = leptons.weight[chosen]
    return Events(
        leptons.numerical[chosen],
        leptons.categorical[chosen],
        leptons.is_data[chosen].long(),
        weight,
        weight[:, None].expand(-1, members),
    )


def ratio_events(leptons: Leptons, subtraction: Tensor, use_data: bool) -> Events:
    """Return tight (1) against loose (0) data, or MC, weighted so that prompt leptons are gone."""
    chosen = leptons.is_data == use_data
    weight = leptons.weight[chosen]
    return Events(
        leptons.numerical[chosen],
        leptons.categorical[chosen],
        leptons.is_tight[chosen].long(),
        weight,
        weight[:, None] * subtraction[chosen],
    )


@torch.no_grad()
def subtraction_weights(leptons: Leptons, numerator: nn.Module, denominator: nn.Module) -> Tensor:
    """Return s (event, member), which turns data, or MC, into data - MC (arXiv:2511.06972).

    1 - 1/r for data and r - 1 for MC, r being the numerator's ratio for tight leptons and the
    denominator's for loose ones. Both networks give log r (event, member).
    """
    numerator, denominator = (
        network.to(leptons.numerical.dtype).eval() for network in (numerator, denominator)
    )
    parts = zip(
        torch.split(leptons.numerical, 65536),
        torch.split(leptons.categorical, 65536),
        torch.split(leptons.is_tight, 65536),
        strict=True,
    )
    found = []
    for x, c, tight in parts:
        obey()
        found.append(torch.where(tight[:, None], numerator(x, c), denominator(x, c)))
    log_ratio = torch.cat(found)
    return torch.where(leptons.is_data[:, None], -torch.expm1(-log_ratio), torch.expm1(log_ratio))


def varied(events: Events, counts: Tensor, mc_factors: Tensor, is_mc: Tensor) -> Events:
    """Return events that each member sees `counts` times (event, member), its MC scaled.

    `mc_factors` (member,) multiply the weights of events that `is_mc` (event,), or all or none.
    """
    factors = torch.where(is_mc.reshape(-1, 1), counts * mc_factors, counts)
    return replace(events, loss_weight=events.loss_weight * factors.to(events.loss_weight.dtype))


def clipped(events: Events, quantile: float) -> Events:
    """Return events whose |loss weights| end at a quantile of them, for each target and member.

    Signs stay. Long tails on both sides of 0 cut away alike; a tail on one side lowers the yield.
    """
    weight = events.loss_weight.clone()
    for label in (0, 1):
        chosen = events.label == label
        size = weight[chosen].abs().sort(dim=0).values
        limit = size[min(int(quantile * len(size)), len(size) - 1)]
        weight[chosen] = weight[chosen].clamp(-limit, limit)
    return replace(events, loss_weight=weight)
