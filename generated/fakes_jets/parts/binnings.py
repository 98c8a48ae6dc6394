"""Sums by bins of the variables, and what they say of density ratios and of the fake factor."""

import math
import re

import numpy as np

from parts.estimates import Estimates, mean_ratio
from parts.leptons import Leptons
from parts.metrics import Bools, Floats, Ints

WHOLE_VALUES = 20


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Edges of bins of about equally many events; of one bin a value for few whole numbers."""
    distinct = np.unique(values[np.isfinite(values)])
    whole = distinct.size <= WHOLE_VALUES and (distinct == np.round(distinct)).all()
    if distinct.size and whole and np.abs(distinct).max() < 1e9:
        between = np.floor((distinct[:-1] + distinct[1:]) / 2) + 0.5
        return np.concatenate((distinct[:1] - 0.5, between, distinct[-1:] + 0.5))
    if distinct.size < 2:
        center = distinct[0] if distinct.size else 0.0
        width = max(0.5, 0.01 * abs(center))
        return np.array([center - width, center + width])
    return np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, bins + 1)))


def spans_decades(edges: Floats) -> bool:
    """Whether a variable is positive and spans a factor of 50: its axis is logarithmic."""
    return bool(edges[0] > 0 and edges[-1] > 50 * edges[0])


def even_edges(values: Floats, bins: int) -> Floats:
    """Edges for the eye: even on the axis, and joined until bins hold ten values and 0.2 %.

    A tail that would stretch a linear axis is left outside, to be put into the outer bins.
    """
    values = np.sort(values[np.isfinite(values)])
    grid = fine = quantile_edges(values, 200)
    if len(fine) > max(bins, WHOLE_VALUES) + 1:
        low = fine[0] if fine[0] >= 0 else fine[1]
        high = fine[-1] if spans_decades(fine) else fine[-2]
        space = np.geomspace if spans_decades(np.array([low, high])) else np.linspace
        grid = space(low, high, bins + 1)
    kept, least = [0], max(10, 0.002 * len(values))
    below = np.searchsorted(values, grid)
    below[[0, -1]] = 0, len(values)
    for index in range(1, len(grid)):
        if below[index] - below[kept[-1]] >= least:
            kept.append(index)
    return grid[[*(kept[:-1] or [0]), len(grid) - 1]]


def bins_of(values: Floats, edges: Floats) -> Ints:
    """Bin (event,) of each value; beyond the edges it is the first or last, for NaN the last."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def binned_sums(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Sum of weights and sum of their squares (bin,); nothing is lost beyond the edges."""
    place = bins_of(values, edges)
    sums, squares = (np.bincount(place, weight**power, len(edges) - 1) for power in (1, 2))
    return sums.astype(np.float64), squares.astype(np.float64)


def cell_fake_factor(
    cell: Ints, size: int, is_data: Bools, is_tight: Bools, weight: Floats
) -> tuple[Floats, Floats]:
    """Fake factor, (data - MC, tight) / (data - MC, loose), and its error (cell,).

    Errors are Gaussian, from sums of w^2; NaN where the denominator is not positive.
    """
    fakes = np.where(is_data, weight, -weight)
    (tight, tight2), (loose, loose2) = (
        [np.bincount(cell[here], fakes[here] ** power, size) for power in (1, 2)]
        for here in (is_tight, ~is_tight)
    )
    loose = np.where(loose > 0, loose, np.nan)
    factor = tight / loose
    return factor, np.sqrt(tight2 + factor**2 * loose2) / loose


def binned_fake_factor(
    values: Floats, is_data: Bools, is_tight: Bools, weight: Floats, edges: Floats
) -> tuple[Floats, Floats]:
    """Fake factor and its error (bin,) by bins of one variable; see `cell_fake_factor`."""
    return cell_fake_factor(bins_of(values, edges), len(edges) - 1, is_data, is_tight, weight)


def chi2_and_ndf(difference: Floats, variance: Floats) -> tuple[float, int]:
    """Chi2, and the number of bins whose variance is not 0; NaN where an input is NaN."""
    filled = variance != 0
    return float(np.sum(difference[filled] ** 2 / variance[filled])), int(filled.sum())


def chi2_per_bin(difference: Floats, variance: Floats) -> float:
    """Chi2/ndf over bins with events; NaN without any."""
    chi2, ndf = chi2_and_ndf(difference, variance)
    return chi2 / ndf if ndf else math.nan


def quotient(numerator: float, denominator: float) -> float:
    """Return the quotient, NaN where there is none."""
    return float(numerator / denominator) if denominator else math.nan


def all_variables(events: Estimates | Leptons) -> Floats:
    """Return all variables (variable, event), numerical ones first."""
    both = (np.asarray(events.numerical), np.asarray(events.categorical))
    return np.hstack([each.astype(np.float64) for each in both]).T


def file_name(variable: str) -> str:
    """Return a variable's name as it may stand in the name of a file."""
    return re.sub(r"[^A-Za-z0-9_]", "_", variable)


def mean_chi2(estimates: Estimates, terms: Floats) -> float:
    """Chi2/ndf of 0 of the sums of terms (event,), in 20 quantile bins, mean over variables."""
    every = [
        chi2_per_bin(*binned_sums(values, terms, quantile_edges(values, 20)))
        for values in all_variables(estimates)
    ]
    return float(np.mean(every))


def density_terms(estimates: Estimates) -> tuple[Floats, Floats]:
    """Terms (event,) whose sums say how far reweighted data, and MC, are from data - MC.

    Data times s = 1 - 1/r and data - MC share the data: what is left is data / r - MC. MC times
    s = r - 1 and data - MC share the MC: what is left is data - MC * r.
    """
    weight, ratio, is_data = estimates.weight, mean_ratio(estimates), estimates.label == 1
    return np.where(is_data, weight / ratio, -weight), np.where(is_data, weight, -weight * ratio)


def density_metrics(estimates: Estimates) -> dict[str, float]:
    """Metrics of r = data / MC by name.

    "chi2_data" and "chi2_mc" are mean chi2/ndf of data - MC against data times 1 - 1/r and MC
    times r - 1; "ratio", MC times r over data, is 1 for a well normalised r.
    """
    of_data, of_mc = density_terms(estimates)
    is_data = estimates.label == 1
    return {
        "chi2_data": mean_chi2(estimates, of_data),
        "chi2_mc": mean_chi2(estimates, of_mc),
        "ratio": quotient(-of_mc[~is_data].sum(), of_mc[is_data].sum()),
    }


def ratio_terms(estimates: Estimates) -> Floats:
    """Terms (event,) whose sums say how far loose events times F are from tight ones."""
    weight, tight = estimates.loss_weight.mean(axis=1), estimates.label == 1
    return np.asarray(np.where(tight, weight, -weight * mean_ratio(estimates)))


def ratio_metrics(estimates: Estimates) -> dict[str, float]:
    """Metrics of F = tight / loose by name, with the weights of the loss, which leave fakes.

    "closure" is loose times F over tight; "chi2" the mean chi2/ndf of the two by variable.
    """
    terms, tight = ratio_terms(estimates), estimates.label == 1
    return {
        "closure": quotient(-terms[~tight].sum(), terms[tight].sum()),
        "chi2": mean_chi2(estimates, terms),
    }
