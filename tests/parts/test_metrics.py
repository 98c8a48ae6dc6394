"""The weighted metrics against scikit-learn, brute force and known values."""

import math
import re
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from parts.metrics import (
    Bools,
    Floats,
    Ints,
    Outputs,
    Ranking,
    accuracy,
    asimov_significance,
    binary_metrics,
    confusion_matrix,
    f1,
    multiclass_metrics,
)

pytestmark = pytest.mark.filterwarnings("error")

Events = tuple[Floats, Bools, Floats]


def made(probability: Floats, label: Ints, weight: Floats) -> Outputs:
    """Outputs whose events weigh the same in the loss."""
    return Outputs(probability, label, weight, weight)


def auc(*events: NDArray[Any]) -> float:
    return Ranking.of(*events).auc()


def average_precision(*events: NDArray[Any]) -> float:
    return Ranking.of(*events).average_precision()


def best_significance(*events: NDArray[Any]) -> tuple[float, float]:
    return Ranking.of(*events).best_significance()


def draw(seed: int, n: int = 200, *, signed: bool = False, ties: bool = True) -> Events:
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.4
    score = np.clip(random.normal(0.4 + 0.2 * positive, 0.2), 0, 1)
    weight = random.uniform(0.2, 2.0, n)
    if signed:
        weight *= np.where(random.random(n) < 0.2, -1, 1)
    return (np.round(score, 1) if ties else score), positive, weight


def pairwise_auc(score: Floats, positive: Bools, weight: Floats) -> float:
    total = won = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            total += weight[i] * weight[j]
            won += weight[i] * weight[j] * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return won / total


@st.composite
def events(draw: st.DrawFn) -> Events:
    """Events of tied scores and signed weights, each class with a positive yield."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 6), st.booleans(), st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
            ),
            max_size=30,
        )
    )
    rows += [(draw(st.integers(0, 6)), positive, 40.0) for positive in (False, True)]
    score, positive, weight = zip(*rows, strict=True)
    return np.array(score) / 6, np.array(positive), np.array(weight)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_positive_weights_agree_with_scikit_learn(seed: int, ties: bool) -> None:
    score, positive, weight = draw(seed, ties=ties)
    assert auc(score, positive, weight) == pytest.approx(
        sklearn_metrics.roc_auc_score(positive, score, sample_weight=weight), rel=1e-12
    )
    assert average_precision(score, positive, weight) == pytest.approx(
        sklearn_metrics.average_precision_score(positive, score, sample_weight=weight), rel=1e-12
    )
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(
        positive, score, sample_weight=weight, drop_intermediate=False
    )
    ours = Ranking.of(score, positive, weight).roc_curve()
    theirs = np.append(false_rate, 1), np.append(true_rate, 1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_predicted_classes_agree_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    label, predicted = random.integers(0, 4, (2, 300))
    weight = random.uniform(0.1, 3, 300)
    arguments = {"y_true": label, "y_pred": predicted, "sample_weight": weight}
    assert accuracy(predicted, label, weight) == pytest.approx(
        sklearn_metrics.accuracy_score(**arguments)
    )
    assert f1(predicted, label, weight, 4) == pytest.approx(
        sklearn_metrics.f1_score(**arguments, average="macro")
    )
    np.testing.assert_allclose(
        confusion_matrix(predicted, label, weight, 4),
        sklearn_metrics.confusion_matrix(**arguments),
    )


@given(events())
def test_auc_of_signed_weights_and_ties_is_the_pairwise_probability(sample: Events) -> None:
    assert auc(*sample) == pytest.approx(pairwise_auc(*sample), abs=1e-12)


@given(events(), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(sample: Events, random: Random) -> None:
    order = np.array(random.sample(range(len(sample[0])), len(sample[0])))
    shuffled = [column[order] for column in sample]
    for metric in (auc, average_precision, best_significance):
        assert metric(*shuffled) == pytest.approx(metric(*sample), rel=1e-9, nan_ok=True)


# The weights above the first cut add up to 0 exactly, and not quite once they are scaled.
CANCELLING = (
    np.array([1, 1, 1, 1, 0, 0]) / 6,
    np.array([True, False, False, False, True, False]),
    np.array([0.5, 1.0, -1.0, -0.5, 40.0, 40.0]),
)


@example(CANCELLING, 1e-6)
@given(events(), st.sampled_from([1e-6, 0.5, 3.0, 1e6]))
def test_scaling_the_weights_does_not_change_the_ratios(sample: Events, factor: float) -> None:
    score, positive, weight = sample
    label = positive.astype(np.int64)
    predicted = (score > 0.5).astype(np.int64)
    for metric in (auc, average_precision):
        assert metric(score, positive, factor * weight) == pytest.approx(metric(*sample), abs=1e-9)
    assert accuracy(predicted, label, factor * weight) == pytest.approx(
        accuracy(predicted, label, weight), abs=1e-9
    )


@given(events())
def test_auc_of_the_reversed_score_is_the_complement(sample: Events) -> None:
    score, positive, weight = sample
    assert auc(1 - score, positive, weight) == pytest.approx(1 - auc(*sample), abs=1e-9)


def test_average_precision_of_signed_weights_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    positive = np.array([False, True, True, False, True])
    weight = np.array([-0.5, 1.0, -0.25, 2.0, 1.25])
    # Positive yield 0, 1, 0.75, 0.75, 2 of all -0.5, 0.5, 0.25, 2.25, 3.5: precision at most 1.
    by_hand = (1.0 * 1 + -0.25 * 1 + 1.25 * 2 / 3.5) / 2
    assert average_precision(score, positive, weight) == pytest.approx(by_hand)


def test_negative_weights_count_with_their_sign() -> None:
    label, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0])
    weight = np.array([3.0, -1.0, 2.0, -0.5])
    np.testing.assert_array_equal(
        confusion_matrix(predicted, label, weight, 2), [[3.0, -1.0], [-0.5, 2.0]]
    )
    assert accuracy(predicted, label, weight) == pytest.approx(5 / 3.5)
    assert f1(predicted, label, weight, 2) == pytest.approx((6 / 4.5 + 4 / 2.5) / 2)


def test_a_class_without_positive_yield_gives_nan() -> None:
    score, weight = np.array([0.2, 0.6, 0.9]), np.array([1.0, 1.0, -1.0])
    for positive in (np.zeros(3, bool), np.ones(3, bool), np.array([False, False, True])):
        assert math.isnan(auc(score, positive, weight))
    assert math.isnan(average_precision(score, np.zeros(3, bool), weight))
    assert math.isnan(average_precision(score, np.array([False, False, True]), weight))
    label = np.zeros(3, np.int64)
    assert math.isnan(accuracy(label, label, -weight))
    assert math.isnan(f1(label, label, weight, 2))


def test_a_yield_that_is_rounding_is_none() -> None:
    """As if the weights of a class had cancelled exactly."""
    weight = np.array([0.5, 1.0, -1.0, -0.5]) * 1e-6
    assert 0 < weight.sum() < 1e-20
    score, label = np.array([0.2, 0.4, 0.6, 0.8]), np.ones(4, np.int64)
    both = np.append(weight, 1.0)
    for positive in (True, False):
        first = np.append(np.full(4, positive), not positive)
        assert math.isnan(auc(np.append(score, 0.5), first, both))
    assert math.isnan(average_precision(np.append(score, 0.5), np.arange(5) < 4, both))
    assert math.isnan(accuracy(label, label, weight))
    assert math.isnan(f1(label, label, weight, 2))
    outputs = made(np.array([[0.3, 0.7]] * 5), np.append(0 * label, 1), both)
    assert math.isnan(binary_metrics(outputs, cut=0.5)["significance"])


def test_no_events_give_nan() -> None:
    nothing, positive, label = np.empty(0), np.empty(0, bool), np.empty(0, np.int64)
    assert math.isnan(auc(nothing, positive, nothing))
    assert math.isnan(average_precision(nothing, positive, nothing))
    assert math.isnan(accuracy(label, label, nothing))
    assert all(math.isnan(value) for value in best_significance(nothing, positive, nothing))


def test_a_score_that_is_nan_gives_nan() -> None:
    score, positive, weight = draw(0, n=2000)
    score[3] = np.nan
    assert math.isnan(auc(score, positive, weight))
    assert math.isnan(average_precision(score, positive, weight))
    assert all(math.isnan(value) for value in best_significance(score, positive, weight))


@pytest.mark.parametrize(
    ("s", "b", "z"),
    [
        (10.0, 100.0, math.sqrt(2 * (110 * math.log(1.1) - 10))),
        (5.0, 1.0, math.sqrt(2 * (6 * math.log(6) - 5))),
        (0.0, 10.0, 0.0),
        (-3.0, 10.0, 0.0),
        (1e-3, 1e8, 1e-7),
        (1e-10, 1e10, 1e-15),
        (1.0, 0.0, math.nan),
        (1.0, -2.0, math.nan),
    ],
)
def test_asimov_significance_of_known_yields(s: float, b: float, z: float) -> None:
    assert float(asimov_significance(np.array(s), np.array(b))) == pytest.approx(z, nan_ok=True)


def test_asimov_significance_is_smooth_where_its_two_forms_meet() -> None:
    s = np.array([0.99999e-4, 1.00001e-4])
    z = asimov_significance(s, np.ones(2))
    np.testing.assert_allclose(z / s, 1 - s / 6, rtol=1e-9)


def test_the_scan_counts_the_yields_above_each_cut() -> None:
    score, positive, weight = draw(1, n=3000, signed=True, ties=False)
    cuts, significances = Ranking.of(score, positive, weight).significance_scan(n_cuts=20)
    assert cuts.shape == significances.shape == (20,)
    for cut, significance in zip(cuts, significances, strict=True):
        passed = score >= cut
        background = weight[passed & ~positive]
        enough = background.sum() ** 2 >= 10 * np.sum(background**2) and background.sum() > 0
        s = weight[passed & positive].sum()
        expected = asimov_significance(np.array(s), background.sum()) if enough else np.nan
        assert significance == pytest.approx(float(expected), nan_ok=True)
    best, cut = best_significance(score, positive, weight)
    assert best >= np.nanmax(significances)
    assert 0 < cut < 1


def test_cuts_with_too_little_background_are_not_the_best() -> None:
    score = np.concatenate([np.linspace(0, 0.5, 50), np.linspace(0.2, 1, 50)])
    positive = np.arange(100) >= 50
    best, cut = best_significance(score, positive, np.ones(100))
    assert np.sum(score[~positive] >= cut) >= 10
    assert math.isfinite(best)
    few = np.ones(100)
    few[:45] = 0
    assert all(math.isnan(value) for value in best_significance(score, positive, few))


def test_binary_metrics_take_class_1_as_positive() -> None:
    score, positive, weight = draw(2, n=5000, signed=True, ties=False)
    label = positive.astype(np.int64)
    metrics = binary_metrics(made(np.stack([1 - score, score], 1), label, weight))
    assert metrics["auc"] == pytest.approx(auc(score, positive, weight))
    assert metrics["auc"] > 0.6
    assert metrics["accuracy"] == accuracy((score > 0.5).astype(np.int64), label, weight)
    assert (metrics["significance"], metrics["significance_cut"]) == best_significance(
        score, positive, weight
    )
    assert list(metrics) == [
        "auc",
        "average_precision",
        "accuracy",
        "significance",
        "significance_cut",
    ]
    assert all(type(value) is float for value in metrics.values())


def test_multiclass_metrics_are_one_against_the_rest() -> None:
    random = np.random.default_rng(3)
    label, probability = random.integers(0, 3, 500), random.dirichlet((1, 1, 1), 500)
    weight = random.uniform(0.5, 1, 500)
    metrics = multiclass_metrics(made(probability, label, weight), ("ggH", "W+jets", "top"))
    assert list(metrics) == ["auc", "auc_ggH", "auc_W_jets", "auc_top", "f1", "accuracy"]
    assert all(re.fullmatch("[A-Za-z0-9_]+", name) for name in metrics)
    assert all(type(value) is float for value in metrics.values())
    each = [auc(probability[:, k], label == k, weight) for k in range(3)]
    assert metrics["auc"] == pytest.approx(np.mean(each))
    assert metrics["auc_top"] == pytest.approx(each[2])


def test_a_missing_class_makes_the_mean_auc_nan() -> None:
    label, probability = np.array([0, 1, 0, 1]), np.full((4, 3), 1 / 3)
    metrics = multiclass_metrics(made(probability, label, np.ones(4)), ("a", "b", "c"))
    assert math.isnan(metrics["auc"])
    assert math.isnan(metrics["auc_c"])
    assert metrics["auc_a"] == 0.5
