"""Uncertainties of density ratios' metrics: how those of many samples differ."""

from dataclasses import replace

import numpy as np
import pytest

from parts.binnings import density_metrics, ratio_metrics
from parts.estimates import Estimates
from parts.fake_uncertainties import density_uncertainties, ratio_uncertainties

pytestmark = pytest.mark.filterwarnings("error")


def sample(seed: int, n: int = 4000, wrong: float = 0.0) -> Estimates:
    """Data and MC whose density ratio is known, or `wrong` by a slope, by two variables."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n)
    x = random.normal(0.4 * label, 1)
    y = x + random.normal(0, 0.5, n)
    weight = np.where(label == 1, 1.0, random.uniform(0.5, 1.5, n))
    log_ratio = 0.4 * x - 0.08 + wrong * x
    return Estimates(
        log_ratio[:, None], label, weight, weight[:, None],
        np.stack([x, y], axis=1), np.zeros((n, 0), np.int64),
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_uncertainties_are_how_metrics_of_many_samples_differ(wrong: float) -> None:
    """Of chi2, too, which already holds the fluctuation of its sample."""
    samples = [sample(seed, wrong=wrong) for seed in range(200)]
    for metrics, uncertainties in (
        (density_metrics, density_uncertainties),
        (ratio_metrics, ratio_uncertainties),
    ):
        many = [metrics(each) for each in samples]
        found = [uncertainties(each, metrics(each), 1) for each in samples[:20]]
        assert list(found[0]) == list(many[0])
        for name in many[0]:
            typical = np.mean([each[name] for each in found])
            assert typical == pytest.approx(np.std([m[name] for m in many]), rel=0.25), name


def test_a_quotient_of_negative_sums_has_the_uncertainty_of_the_same_with_positive_ones() -> None:
    """Where negative weights prevail, the metric has a value all the same."""
    plain = sample(1)
    negative = replace(plain, weight=-plain.weight, loss_weight=-plain.loss_weight)
    for metrics, uncertainties, name in (
        (density_metrics, density_uncertainties, "ratio"),
        (ratio_metrics, ratio_uncertainties, "closure"),
    ):
        assert metrics(negative)[name] == pytest.approx(metrics(plain)[name])
        found, expected = (
            uncertainties(each, metrics(each), 1)[name] for each in (negative, plain)
        )
        assert found == pytest.approx(expected)


def test_nothing_has_no_uncertainty() -> None:
    nothing = sample(1, 0)
    metrics = density_metrics(nothing)
    assert all(np.isnan(list(density_uncertainties(nothing, metrics, 1).values())))
