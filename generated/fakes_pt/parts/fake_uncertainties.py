"""Statistical uncertainties of density ratios' metrics: of the leptons they are computed with.

What another training would give is no part of them; members of an ensemble show that.
"""

from collections.abc import Mapping

import numpy as np

from parts.binnings import (
    all_variables,
    binned_sums,
    bins_of,
    chi2_and_ndf,
    density_terms,
    quantile_edges,
    ratio_terms,
)
from parts.bootstrap import Replicas, replicate
from parts.estimates import Estimates
from parts.metrics import Bools, Floats
from parts.uncertainties import of_values


def density_uncertainties(
    estimates: Estimates, metrics: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Uncertainties of `density_metrics` by name."""
    replicas = replicate(len(estimates.label), seed)
    of_data, of_mc = density_terms(estimates)
    found = {
        "chi2_data": mean_chi2s(replicas, estimates, of_data),
        "chi2_mc": mean_chi2s(replicas, estimates, of_mc),
        "ratio": quotients(replicas, of_mc, estimates.label == 1),
    }
    return of_values(found, metrics)


def ratio_uncertainties(
    estimates: Estimates, metrics: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Uncertainties of `ratio_metrics` by name."""
    replicas = replicate(len(estimates.label), seed)
    terms = ratio_terms(estimates)
    found = {
        "closure": quotients(replicas, terms, estimates.label == 1),
        "chi2": mean_chi2s(replicas, estimates, terms),
    }
    return of_values(found, metrics)


def quotients(replicas: Replicas, terms: Floats, first: Bools) -> Floats:
    """Quotients (replica,) of the sums of the other terms, less their sign, and of the `first`.

    As metrics have them, also of negative sums.
    """
    others, those = replicas.sums(first.astype(np.int64), terms, 2).T
    return np.asarray(-others / np.where(those != 0, those, np.nan))


def mean_chi2s(replicas: Replicas, estimates: Estimates, terms: Floats) -> Floats:
    """Chi2/ndf (replica,) of 0 of sums of terms, mean over variables: see `mean_chi2`.

    The sums already hold one fluctuation, which makes chi2 larger by ndf; a replica adds its own
    to what is left without it, for else it would have two.
    """
    every = []
    for values in all_variables(estimates):
        edges = quantile_edges(values, 20)
        sums, variance = binned_sums(values, terms, edges)
        chi2, ndf = chi2_and_ndf(sums, variance)
        own = replicas.sums(bins_of(values, edges), terms, len(edges) - 1) - sums
        left = np.sqrt(max(0.0, 1 - ndf / chi2)) if chi2 > 0 else 0.0
        filled = variance != 0
        varied = (left * sums + own)[:, filled] ** 2 / variance[filled]
        every.append(varied.sum(axis=1) / ndf if ndf else np.full(len(own), np.nan))
    return np.asarray(np.mean(every, axis=0))
