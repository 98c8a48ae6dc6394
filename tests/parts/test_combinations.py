"""What folds say together: events are judged as those of one classifier, cuts fold by fold."""

import math
from dataclasses import replace

import numpy as np
import pytest

from parts.arrays import Arrays
from parts.combinations import (
    SEED_OF_REPLICAS,
    Combined,
    all_outputs,
    check_fold_classes,
    combine_binary,
    combine_multiclass,
)
from parts.machinery.exits import RefusedError
from parts.metrics import (
    Floats,
    Ints,
    Outputs,
    asimov_significance,
    binary_metrics,
    multiclass_metrics,
)
from parts.uncertainties import binary_uncertainties

CLASSES = ("B", "S")


def fold(score: Floats, label: Ints, weight: Floats | None = None) -> Outputs:
    weight = np.ones(len(label)) if weight is None else weight
    return Outputs(np.stack([1 - score, score], axis=1), label, weight, weight)


def some_fold(seed: int, size: int = 3000) -> Outputs:
    """Events that a network tells apart more or less, of which some have negative weights."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, size)
    score = random.beta(2 + label, 3 - label)
    return fold(score, label, np.where(random.random(size) < 0.1, -0.5, 1.5))


def combined(folds: list[Outputs], cuts: list[float]) -> Combined:
    return combine_binary(
        folds, [binary_metrics(f, cut) for f, cut in zip(folds, cuts, strict=True)]
    )


def test_perfect_networks_are_perfect_together() -> None:
    label = np.array([0, 0, 1, 1])
    folds = [fold(np.where(label == 1, high, 0.3), label) for high in (0.7, 0.8, 0.9)]
    found = combined(folds, [0.5, 0.5, 0.5])
    for name in ("auc", "average_precision", "accuracy"):
        assert found.table()["all events"][name] == found.table()["mean of folds"][name] == 1
        assert found.table()["spread"][name] == 0


def test_networks_whose_scores_do_not_mean_the_same_are_worse_together_than_each() -> None:
    """As they are to whoever cuts on the scores of all events."""
    label = np.array([0, 1] * 2)
    folds = [fold(0.1 * n + 0.05 * label, label) for n in (1, 2, 4)]
    found = combined(folds, [0.5, 0.5, 0.5])
    assert [each["auc"] for each in found.tests] == [1, 1, 1]
    scores = [0.1 * n + 0.05 * s for s in (0, 1) for n in (1, 2, 4)]
    background, signal = scores[:3], scores[3:]
    right = sum(s > b for s in signal for b in background)
    assert found.metrics["auc"] == pytest.approx(right / 9)
    assert right < 9


def test_the_spread_is_the_standard_deviation_of_the_tests() -> None:
    folds = [some_fold(seed, 50) for seed in range(3)]
    areas = (0.7, 0.8, 0.9)
    tests = [binary_metrics(each, 0.5) | {"auc": a} for each, a in zip(folds, areas, strict=True)]
    table = combine_binary(folds, tests).table()
    assert list(table) == ["all events", "mean of folds", "spread"]
    assert table["mean of folds"]["auc"] == pytest.approx(0.8)
    assert table["spread"]["auc"] == pytest.approx(0.1)
    assert table["mean of folds"]["significance_cut"] == 0.5
    # No cut is that of all events.
    assert "significance_cut" not in table["all events"]


def test_signal_and_background_are_what_passes_the_cut_of_its_own_fold() -> None:
    score, label = np.array([0.4, 0.6, 0.6, 0.8]), np.array([0, 0, 1, 1])
    weight = np.array([10.0, 20.0, 3.0, 2.0])
    folds = [fold(score, label, weight)] * 3
    # Above 0.5 are 20 and 5; above 0.7, 0 and 2; above 0.3, 30 and 5.
    found = combined(folds, [0.5, 0.7, 0.3])
    expected = asimov_significance(np.array(12.0), np.array(50.0))
    assert found.metrics["significance"] == pytest.approx(float(expected))
    assert found.cut_of_events().tolist() == [0.5] * 4 + [0.7] * 4 + [0.3] * 4


def test_with_one_cut_for_all_it_is_what_the_metrics_of_one_test_are() -> None:
    folds = [some_fold(seed) for seed in range(4)]
    found = combined(folds, [0.6] * 4)
    whole = binary_metrics(all_outputs(folds), 0.6)
    errors = binary_uncertainties(all_outputs(folds), whole, SEED_OF_REPLICAS)
    assert whole.pop("significance_cut") == 0.6
    assert found.metrics == whole
    assert found.uncertainties == errors
    assert all(value > 0 for value in errors.values())


def test_a_fold_without_a_cut_leaves_no_significance_and_all_else() -> None:
    folds = [some_fold(seed) for seed in range(3)]
    found = combined(folds, [0.5, math.nan, 0.5])
    assert math.isnan(found.metrics["significance"])
    assert math.isnan(found.uncertainties["significance"])
    assert math.isnan(found.table()["spread"]["significance_cut"])
    others = combined(folds, [0.5] * 3)
    assert found.metrics["auc"] == others.metrics["auc"]
    assert found.uncertainties["auc"] == others.uncertainties["auc"]


def test_the_fold_that_has_no_cut_is_named_once_and_nothing_is_odd_of_others() -> None:
    folds = [some_fold(seed) for seed in range(3)]
    assert combined(folds, [0.5] * 3).remarks() == []
    (line,) = combined(folds, [0.5, math.nan, 0.5]).remarks()
    assert line.startswith("no significance: fewer than 10")
    assert line.endswith("of the validation of fold 1")


def test_a_metric_without_a_value_is_told_of_with_its_fold() -> None:
    random = np.random.default_rng(1)
    folds = [fold(random.random(60), np.array([0, 1] * 30)) for _ in range(2)]
    assert combined(folds, [0.5, 1.5]).remarks() == [
        "significance of fold 1 is nan: the background's weights do not add up to a yield above"
        " the cut"
    ]
    assert (
        combined(folds, [1.5, 1.5])
        .remarks()[0]
        .startswith("significance of all events is nan: the background's weights do not add up")
    )


def test_of_several_classes_all_events_are_judged_as_one_test() -> None:
    random = np.random.default_rng(3)
    folds = []
    for size in (300, 200, 400):
        label = random.integers(0, 3, size)
        raw = random.random((size, 3)) + np.eye(3)[label]
        weight = random.random(size)
        folds.append(Outputs(raw / raw.sum(axis=1, keepdims=True), label, weight, weight))
    classes = ("a", "b", "c")
    tests = [multiclass_metrics(each, classes) for each in folds]
    found = combine_multiclass(folds, tests, classes)
    assert found.metrics == multiclass_metrics(all_outputs(folds), classes)
    assert found.metrics.keys() == found.uncertainties.keys() == found.table()["spread"].keys()
    assert found.table()["mean of folds"]["f1"] == pytest.approx(np.mean([t["f1"] for t in tests]))


def arrays(label: list[int], weight: list[float]) -> Arrays:
    none = np.zeros((len(label), 0))
    mark = np.zeros(len(label), dtype=bool)
    keys = none.astype(np.uint64)
    return Arrays(none, none.astype(int), np.array(label), np.array(weight), mark, keys)


def test_a_class_that_a_fold_lacks_is_refused_by_name() -> None:
    whole = arrays([0, 1, 1], [1.0, 2.0, -1.0])
    check_fold_classes([whole, whole], CLASSES)
    message = "fold 1: class S has 0 events with weights of sum 0"
    with pytest.raises(RefusedError, match=message):
        check_fold_classes([whole, arrays([0, 0], [1.0, 1.0])], CLASSES)
    cancelling = replace(whole, weight=np.array([1.0, 1.0, -1.0]))
    with pytest.raises(RefusedError, match="fold 0: class S has 2 events with weights of sum 0"):
        check_fold_classes([cancelling, whole], CLASSES)
