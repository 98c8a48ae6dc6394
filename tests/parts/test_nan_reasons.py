"""Every metric that may be nan says why, and only then."""

import math

import numpy as np
import pytest

from parts.metrics import Outputs, binary_metrics, multiclass_metrics
from parts.nan_reasons import why_nan

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
        (outputs([0, 1] * 30), math.nan, "fewer than 10 effective background events are left"),
    ],
)
def test_a_significance_that_is_nan_says_why(
    found: Outputs, cut: float | None, reason: str
) -> None:
    metrics = binary_metrics(found, cut)
    assert math.isnan(metrics["significance"])
    assert reason in str(why_nan("significance", metrics))


def test_metrics_of_one_class_alone_say_why() -> None:
    metrics = binary_metrics(outputs([0] * 60))
    reasons = {name: why_nan(name, metrics) for name in metrics}
    assert reasons["auc"] == "the weights of a class do not add up to a yield"
    assert reasons["average_precision"] == "the weights of the signal do not add up to a yield"
    assert reasons["accuracy"] is None
    several = multiclass_metrics(outputs([0] * 60), ("a", "b"))
    assert why_nan("auc_b", several) == reasons["auc"]
    cancelled = binary_metrics(outputs([0, 1] * 30, weight=0.0))
    assert why_nan("accuracy", cancelled) == "the weights do not add up to a yield"
