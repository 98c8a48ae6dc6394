"""Metrics of weighted events: signed Monte Carlo weights count with their sign everywhere."""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Signed weights whose sum is less than this share of their sizes cancel: what is left is rounding.
ROUNDING = 1e-9
# Effective events, (sum w)^2 / sum w^2, of background that a cut must leave to be judged.
LEAST_BACKGROUND = 10


@dataclass(frozen=True)
class Outputs:
    """Predictions of one split; `loss_weight` is what the loss weighs an event with."""

    probability: Floats  # (event, class)
    label: Ints  # (event,)
    weight: Floats  # (event,)
    loss_weight: Floats  # (event,)


def is_yield(total: Floats, size: Floats) -> Bools:
    """Whether a sum of weights is positive, `size` being the sum of their absolute values."""
    return np.asarray(total > ROUNDING * size)


def sums_above(score: Floats, weights: Floats, cuts: Floats) -> Floats:
    """Sum weights (row, event) over score >= cut: (row, cut); NaN if any score is NaN."""
    if np.isnan(score).any():
        return np.full((len(weights), len(cuts)), np.nan)
    order = np.argsort(-score)
    sums = np.cumsum(np.pad(weights[:, order], ((0, 0), (1, 0))), axis=1)
    return sums[:, np.searchsorted(-score[order], -cuts, side="right")]


def all_cuts(score: Floats) -> Floats:
    """Return a cut for each distinct score, one above all and one below, descending."""
    return np.concatenate(([np.inf], np.unique(score)[::-1], [-np.inf]))


def roc_curve(score: Floats, positive: Bools, weight: Floats) -> tuple[Floats, Floats]:
    """False and true positive rate of `all_cuts`; NaN for a class without yield."""
    rows = np.array([weight * ~positive, weight * positive])
    sums = sums_above(score, rows, all_cuts(score))
    there = is_yield(sums[:, -1], np.abs(rows).sum(axis=1))
    false_rate, true_rate = sums / np.where(there, sums[:, -1], np.nan)[:, np.newaxis]
    return false_rate, true_rate


def auc(score: Floats, positive: Bools, weight: Floats) -> float:
    """P(score of a positive > of a negative) + P(equal) / 2: the area under the ROC curve."""
    false_rate, true_rate = roc_curve(score, positive, weight)
    return float(np.trapezoid(true_rate, false_rate))


def average_precision(score: Floats, positive: Bools, weight: Floats) -> float:
    """Mean precision over recall; precision is kept in 0..1, and 0 where a cut leaves no yield."""
    cuts = np.append(np.inf, np.unique(score)[::-1])
    size = np.abs(weight)
    true, every, sizes = sums_above(score, np.array([weight * positive, weight, size]), cuts)
    there = is_yield(every, sizes)
    precision = np.clip(np.where(there, true, 0) / np.where(there, every, 1), 0, 1)
    if not is_yield(true[-1], size[positive].sum()):
        return math.nan
    return float(np.diff(true) @ precision[1:] / true[-1])


def confusion_matrix(predicted: Ints, label: Ints, weight: Floats, n_classes: int) -> Floats:
    """Sums of weights: (true class, predicted class)."""
    matrix = np.zeros((n_classes, n_classes))
    np.add.at(matrix, (label, predicted), weight)
    return matrix


def accuracy(predicted: Ints, label: Ints, weight: Floats) -> float:
    """Weighted fraction of events predicted correctly; NaN without a positive total weight."""
    total = weight.sum()
    there = is_yield(total, np.abs(weight).sum())
    return float(weight[predicted == label].sum() / total) if there else math.nan


def f1(predicted: Ints, label: Ints, weight: Floats, n_classes: int) -> float:
    """Macro F1, mean of 2 TP / (2 TP + FP + FN); NaN if a class is neither true nor predicted."""
    matrix = confusion_matrix(predicted, label, weight, n_classes)
    both, sizes = (
        each.sum(axis=0) + each.sum(axis=1)
        for each in (matrix, confusion_matrix(predicted, label, np.abs(weight), n_classes))
    )
    return float(np.mean(2 * np.diag(matrix) / np.where(is_yield(both, sizes), both, np.nan)))


def asimov_significance(s: Floats, b: Floats) -> Floats:
    """Median discovery significance, arXiv:1007.1727 eq. 97; 0 for s <= 0, NaN for b <= 0."""
    background = np.where(b > 0, b, np.nan)
    x = np.maximum(s, 0) / background
    series = x**2 * (1 - x / 3 + x**2 / 6)  # The exact form cancels for s << b.
    exact = 2 * ((1 + x) * np.log1p(x) - x)
    return np.asarray(np.sqrt(background * np.where(x < 1e-4, series, exact)))


def significance_scan(
    score: Floats, positive: Bools, weight: Floats, n_cuts: int = 100
) -> tuple[Floats, Floats]:
    """Asimov significance of score >= cut, the cuts at quantiles of the positive events' scores.

    NaN where too little background is left: see `LEAST_BACKGROUND`.
    """
    grid = np.linspace(0, 1, n_cuts, endpoint=False)
    cuts = np.unique(np.quantile(score[positive], grid)) if positive.any() else np.zeros(1)
    rows = np.array([weight * positive, weight * ~positive, weight**2 * ~positive])
    s, b, variance = sums_above(score, rows, cuts)
    enough = (b > 0) & (b**2 >= LEAST_BACKGROUND * variance)
    return cuts, asimov_significance(s, np.where(enough, b, np.nan))


def best_significance(score: Floats, positive: Bools, weight: Floats) -> tuple[float, float]:
    """Highest significance of the scan and its cut; NaN if no cut leaves enough background."""
    cuts, significances = significance_scan(score, positive, weight)
    if np.isnan(significances).all():
        return math.nan, math.nan
    best = np.nanargmax(significances)
    return float(significances[best]), float(cuts[best])


def significance_above(
    score: Floats, positive: Bools, weight: Floats, cut: float | Floats
) -> float:
    """Asimov significance of score >= cut; NaN without a positive background yield there.

    Events may have cuts of their own.
    """
    s, b, size = (
        row @ (score >= cut)
        for row in (weight * positive, weight * ~positive, np.abs(weight * ~positive))
    )
    return float(asimov_significance(np.array(s), np.where(is_yield(b, size), b, np.nan)))


def binary_metrics(outputs: Outputs, cut: float | None = None) -> dict[str, float]:
    """Metrics by name; class 1 is the positive class. Without `cut`, the best one is sought."""
    score, positive, weight = outputs.probability[:, 1], outputs.label == 1, outputs.weight
    if cut is None:
        significance, cut = best_significance(score, positive, weight)
    else:
        significance = significance_above(score, positive, weight, cut)
    return {
        "auc": auc(score, positive, weight),
        "average_precision": average_precision(score, positive, weight),
        "accuracy": accuracy(outputs.probability.argmax(axis=1), outputs.label, weight),
        "significance": significance,
        "significance_cut": cut,
    }


def multiclass_metrics(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, float]:
    """Metrics by name; auc is the mean of the one-vs-rest areas, auc_<class> each of them."""
    predicted, label, weight = outputs.probability.argmax(axis=1), outputs.label, outputs.weight
    areas = {
        "auc_" + re.sub(r"[^A-Za-z0-9]", "_", name): auc(score, label == index, weight)
        for index, (name, score) in enumerate(zip(classes, outputs.probability.T, strict=True))
    }
    return {
        "auc": float(np.mean(list(areas.values()))),
        **areas,
        "f1": f1(predicted, label, weight, len(classes)),
        "accuracy": accuracy(predicted, label, weight),
    }
