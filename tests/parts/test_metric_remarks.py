"""Every metric that may be nan says why, and only then."""

import math

import numpy as np
import pytest

from parts.metric_remarks import remark
from parts.metrics import Outputs, binary_metrics, multiclass_metrics

RANDOM = np.random.default_rng(1)
SCORE = RANDOM.random(60)


def outputs(label: list[int], weight: float = 1.0) -> Outputs:
    size = len(label)
    score = SCORE[:size]
    weights = np.full(size, weight)
    return Outputs(np.stack([1 - score, score], 1), np.array(label, np.int64), weights, weights)


@pytest.mark.parametrize(
    ("found", "cut", "reason"),
    [
        (outputs([0, 1] * 4), None, "fewer than 10 effective background events are left"),
        (outputs([0, 1] * 30), 1.5, "the background's weights do not add up to a yield above"),
        # Of these events, any number of cuts would leave enough.
        (outputs([0, 1] * 30), math.nan, "the validation whose cut is taken has chosen none"),
    ],
)
def test_a_significance_that_is_nan_says_why(
    found: Outputs, cut: float | None, reason: str
) -> None:
    metrics = binary_metrics(found, cut)
    assert math.isnan(metrics["significance"])
    assert reason in str(remark("significance", metrics, tested=cut is not None))
    if math.isnan(metrics["significance_cut"]):
        assert reason in str(remark("significance_cut", metrics, tested=cut is not None))


def test_metrics_of_one_class_alone_say_why() -> None:
    metrics = binary_metrics(outputs([0] * 60))
    reasons = {name: remark(name, metrics) for name in metrics}
    assert reasons["auc"] == "the weights of a class do not add up to a yield"
    assert reasons["average_precision"] == "the weights of the signal do not add up to a yield"
    assert reasons["accuracy"] is None
    several = multiclass_metrics(outputs([0] * 60), ("a", "b"))
    assert remark("auc_b", several) == reasons["auc"]
    cancelled = binary_metrics(outputs([0, 1] * 30, weight=0.0))
    assert remark("accuracy", cancelled) == "the weights do not add up to a yield"


@pytest.mark.parametrize("name", ["auc", "auc_ggH", "average_precision", "accuracy", "f1"])
def test_a_share_beyond_one_is_said_to_mean_nothing(name: str) -> None:
    for value in (1.0001, -0.1, math.inf):
        assert "means nothing" in str(remark(name, {name: value}))
    for value in (0.0, 0.5, 1.0):
        assert remark(name, {name: value}) is None


def test_what_is_no_share_may_be_any_number() -> None:
    for name in ("significance", "loss", "chi2", "significance_cut"):
        assert remark(name, {name: 12.0}) is None
