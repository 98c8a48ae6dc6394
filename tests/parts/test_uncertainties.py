"""Uncertainties of metrics against brute force, known formulas and many samples."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from parts.bands import roc, scan
from parts.bootstrap import REPLICAS, replicate, spread
from parts.metrics import (
    Bools,
    Floats,
    Outputs,
    Ranking,
    binary_metrics,
    multiclass_metrics,
)
from parts.uncertainties import binary_uncertainties, multiclass_uncertainties

pytestmark = pytest.mark.filterwarnings("error")

CLASSES = ("ggH", "VBF", "VH")
# Of 400 replicas 3.5 %, and as much again of what it is compared with.
ALIKE = 0.15


def sample(seed: int, n: int, n_classes: int = 2, *, signed: bool = True) -> Outputs:
    """Predictions that know the class, with weights that are spread, a sixth of them negative."""
    random = np.random.default_rng(seed)
    label = random.integers(0, n_classes, n)
    odds = np.exp(random.normal(0, 1, (n, n_classes)) + 1.2 * np.eye(n_classes)[label])
    sign = np.where(random.random(n) < 1 / 6, -1, 1) if signed else np.ones(n)
    weight = sign * random.uniform(0.5, 1.5, n)
    return Outputs(odds / odds.sum(1, keepdims=True), label, weight, np.abs(weight))


def brute_force(outputs: Outputs, cut: float | None, replicas: int = 300) -> dict[str, float]:
    """The Poisson bootstrap with the metrics themselves: each event so many times."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(replicas):
        times = random.poisson(1, len(outputs.label))
        varied = replace(outputs, weight=outputs.weight * times)
        found.append(
            multiclass_metrics(varied, CLASSES) if cut is None else binary_metrics(varied, cut)
        )
    return {name: float(np.std([each[name] for each in found], ddof=1)) for name in found[0]}


@pytest.mark.parametrize("size", [400, 20_000])
def test_uncertainties_are_those_of_a_bootstrap_by_brute_force(size: int) -> None:
    outputs = sample(1, size)
    metrics = binary_metrics(outputs)
    found = binary_uncertainties(outputs, metrics, 1)
    expected = brute_force(outputs, metrics["significance_cut"])
    assert set(found) == set(metrics) - {"significance_cut"}
    assert found == pytest.approx({name: expected[name] for name in found}, rel=ALIKE)


def test_uncertainties_of_several_classes_are_those_of_a_bootstrap_by_brute_force() -> None:
    """The mean of areas too, which vary together."""
    outputs = sample(2, 3000, 3)
    metrics = multiclass_metrics(outputs, CLASSES)
    found = multiclass_uncertainties(outputs, metrics, 1)
    assert list(found) == list(metrics)
    assert found == pytest.approx(brute_force(outputs, None), rel=ALIKE)


def test_uncertainties_are_how_metrics_of_many_samples_differ() -> None:
    samples = [sample(seed, 2000) for seed in range(300)]
    many = [binary_metrics(each, 0.6) for each in samples]
    found = [binary_uncertainties(s, m, 1) for s, m in zip(samples[:20], many[:20], strict=True)]
    for name in found[0]:
        typical = np.mean([each[name] for each in found])
        assert typical == pytest.approx(np.std([m[name] for m in many]), rel=ALIKE), name


def test_known_uncertainties() -> None:
    outputs = sample(3, 5000, signed=False)
    outputs = replace(outputs, weight=np.ones(5000))
    metrics = binary_metrics(outputs)
    found = binary_uncertainties(outputs, metrics, 1)
    right = metrics["accuracy"]
    assert found["accuracy"] == pytest.approx(math.sqrt(right * (1 - right) / 5000), rel=ALIKE)
    # Hanley and McNeil, Radiology 143 (1982) 29.
    positives = int(outputs.label.sum())
    area, negatives = metrics["auc"], 5000 - positives
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (one - area**2)
    variance = (variance + (negatives - 1) * (two - area**2)) / (positives * negatives)
    assert found["auc"] == pytest.approx(math.sqrt(variance), rel=ALIKE)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_that_are_wholly_separated_have_no_uncertainty_but_of_their_yields(
    n_classes: int,
) -> None:
    """Not how sums of replicas round."""
    outputs = sample(4, 3000, n_classes, signed=False)
    told_apart = replace(outputs, probability=np.eye(n_classes)[outputs.label] * 0.9 + 0.05)
    if n_classes == 2:
        found = binary_uncertainties(told_apart, binary_metrics(told_apart, 0.5), 1)
        assert found.pop("significance") != 0
    else:
        found = multiclass_uncertainties(told_apart, multiclass_metrics(told_apart, CLASSES), 1)
    assert set(found.values()) == {0.0}


def delong(score: Floats, positive: Bools) -> float:
    """DeLong's error of an area, pair by pair."""
    won = (score[positive][:, None] > score[~positive]) + 0.5 * (
        score[positive][:, None] == score[~positive]
    )
    return math.sqrt(sum(won.mean(axis=k).var() / won.shape[1 - k] for k in (0, 1)))


@pytest.mark.parametrize("decimals", [1, 9])
def test_the_analytic_error_of_an_area_is_that_of_delong(decimals: int) -> None:
    outputs = sample(4, 700)
    score, positive = np.round(outputs.probability[:, 1], decimals), outputs.label == 1
    found = roc(Ranking.of(score, positive, np.full(700, 3.0)))
    assert found.area_error == pytest.approx(delong(score, positive), rel=1e-9)


def test_bands_are_how_curves_of_many_samples_differ() -> None:
    cuts, many = np.array([0.3, 0.6, 0.9]), []
    for seed in range(300):
        outputs = sample(seed, 2500)
        score = outputs.probability[:, 1]
        curve = roc(outputs.ranking)
        place = np.searchsorted(-np.unique(score)[::-1], -cuts, side="right")
        significances = scan(outputs.ranking)
        at = np.searchsorted(significances.cuts, 0.4)
        rows = (curve.false_rate, curve.true_rate, curve.false_error, curve.true_error)
        many.append(
            np.concatenate(
                [
                    *(row[place] for row in rows),
                    [significances.significances[at], significances.errors[at]],
                ]
            )
        )
    mean, std = np.mean(many, axis=0), np.std(many, axis=0)
    np.testing.assert_allclose(mean[6:12], std[:6], rtol=0.2)
    assert mean[13] == pytest.approx(std[12], rel=0.2)


def test_the_seed_decides_them_to_the_last_bit() -> None:
    outputs = sample(5, 300)
    metrics = binary_metrics(outputs)
    first, same, other = (binary_uncertainties(outputs, metrics, seed) for seed in (1, 1, 2))
    assert first == same != other


def test_what_has_no_value_has_no_uncertainty() -> None:
    outputs = sample(6, 50)
    nothing = replace(outputs, label=np.zeros(50, np.int64))
    metrics = binary_metrics(nothing)
    found = binary_uncertainties(nothing, metrics, 1)
    assert math.isnan(metrics["auc"])
    assert math.isnan(found["auc"])
    assert found["accuracy"] > 0
    assert math.isnan(
        binary_uncertainties(outputs, binary_metrics(outputs, 2.0), 1)["significance"]
    )
    unknown = replace(outputs, probability=np.full((50, 2), np.nan))
    assert math.isnan(binary_uncertainties(unknown, binary_metrics(unknown), 1)["auc"])
    empty = Outputs(np.empty((0, 2)), np.empty(0, np.int64), np.empty(0), np.empty(0))
    assert all(map(math.isnan, binary_uncertainties(empty, binary_metrics(empty), 1).values()))


def test_a_statistic_that_few_replicas_have_has_no_spread() -> None:
    values = np.arange(100.0)
    values[:10] = np.nan
    assert spread(values) == pytest.approx(np.std(np.arange(10, 100), ddof=1))
    values[10] = np.nan
    assert math.isnan(spread(values))


def test_sums_of_signed_weights_vary_by_the_sum_of_their_squares() -> None:
    """Yields as well, of few events and of many."""
    for size in (300, 100_000):
        weight = np.random.default_rng(size).normal(1, 2, size)
        sums = replicate(size, 1).sums(np.zeros(size, np.int64), weight, 1)
        assert sums.shape == (REPLICAS, 1)
        assert sums.mean() == pytest.approx(weight.sum(), abs=0.2 * math.sqrt(weight @ weight))
        assert sums.std() == pytest.approx(math.sqrt(weight @ weight), rel=ALIKE)


def test_a_million_events_take_no_more_than_their_metrics_do() -> None:
    outputs = sample(8, 1_000_000)
    began = time.process_time()
    metrics = binary_metrics(outputs)
    between = time.process_time()
    binary_uncertainties(outputs, metrics, 1)
    assert time.process_time() - between < 2 * (between - began)
