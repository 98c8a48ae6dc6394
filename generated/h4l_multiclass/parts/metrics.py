"""Metrics of weighted events: signed Monte Carlo weights count with their sign everywhere."""

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Signed weights whose sum is less than this share of their sizes cancel: what is left is rounding.
ROUNDING = 1e-9
# Effective events, (sum w)^2 / sum w^2, of background that a cut must leave to be judged.
LEAST_BACKGROUND = 10


def is_yield(total: Floats, size: Floats) -> Bools:
    """Whether a sum of weights is positive, `size` being the sum of their absolute values."""
    return np.asarray(total > ROUNDING * size)


@dataclass(frozen=True)
class Ranking:
    """Events by their scores, the highest first: sorted once for all that is asked of them.

    Where any score is NaN, so are all weights, and whatever is said of them.
    """

    score: Floats  # (event,)
    positive: Bools  # (event,)
    weight: Floats  # (event,)

    @classmethod
    def of(cls, score: Floats, positive: Bools, weight: Floats) -> "Ranking":
        """Sort events, which come in any order."""
        order = np.argsort(score)[::-1]
        ranked = score[order]
        unknown = len(ranked) > 0 and bool(np.isnan(ranked[0]))
        weight = np.full(len(ranked), np.nan) if unknown else weight[order]
        return cls(ranked, positive[order], weight)

    @cached_property
    def places(self) -> Ints:
        """How many events are above a cut: one above all, at each distinct score, one below all."""
        last = np.flatnonzero(self.score[1:] != self.score[:-1]) + 1
        size = [len(self.score)]
        # Of no event, no score.
        return np.concatenate(([0], last, size if size[0] else [], size)).astype(np.int64)

    @property
    def rows(self) -> Floats:
        """Weights of negatives and of positives, 0 for the others: (row, event)."""
        return np.array([self.weight * ~self.positive, self.weight * self.positive])

    @cached_property
    def sums(self) -> Floats:
        """Sums of `rows` over the first events, none to all of them: (row, event + 1)."""
        return cumulated(self.rows)

    @cached_property
    def squares(self) -> Floats:
        """Sums of the squares of `rows`, likewise."""
        return cumulated(self.rows**2)

    def above(self, cuts: Floats) -> Ints:
        """How many events are at or above each of the cuts."""
        return len(self.score) - np.searchsorted(self.score[::-1], cuts, side="left")

    def roc_curve(self) -> tuple[Floats, Floats]:
        """False and true positive rate of all cuts; NaN for a class without yield."""
        sums = self.sums[:, self.places]
        there = is_yield(sums[:, -1], np.abs(self.rows).sum(axis=1))
        false_rate, true_rate = sums / np.where(there, sums[:, -1], np.nan)[:, np.newaxis]
        return false_rate, true_rate

    def auc(self) -> float:
        """P(score of a positive > of a negative) + P(equal) / 2: the area under the ROC curve."""
        false_rate, true_rate = self.roc_curve()
        return float(np.trapezoid(true_rate, false_rate))

    def average_precision(self) -> float:
        """Mean precision over recall; precision is kept in 0..1, and 0 where no yield is left."""
        false, true = self.sums[:, self.places]
        size = np.abs(self.weight)
        every, sizes = false + true, cumulated(size[np.newaxis])[0, self.places]
        there = is_yield(every, sizes)
        precision = np.clip(np.where(there, true, 0) / np.where(there, every, 1), 0, 1)
        if not is_yield(true[-1], size[self.positive].sum()):
            return math.nan
        return float(np.diff(true) @ precision[1:] / true[-1])

    def significance_scan(self, n_cuts: int = 100) -> tuple[Floats, Floats]:
        """Asimov significance of score >= cut, at quantiles of the positive events' scores.

        NaN where too little background is left: see `LEAST_BACKGROUND`.
        """
        grid = np.linspace(0, 1, n_cuts, endpoint=False)
        # Ascending, they are found faster.
        chosen = np.ascontiguousarray(self.score[self.positive][::-1])
        cuts = np.unique(np.quantile(chosen, grid)) if chosen.size else np.zeros(1)
        places = self.above(cuts)
        (b, s), variance = self.sums[:, places], self.squares[0, places]
        enough = (b > 0) & (b**2 >= LEAST_BACKGROUND * variance)
        return cuts, asimov_significance(s, np.where(enough, b, np.nan))

    def best_significance(self) -> tuple[float, float]:
        """Highest significance of the scan and its cut; NaN if none leaves enough background."""
        cuts, significances = self.significance_scan()
        if np.isnan(significances).all():
            return math.nan, math.nan
        best = np.nanargmax(significances)
        return float(significances[best]), float(cuts[best])


def cumulated(rows: Floats) -> Floats:
    """Sum rows (row, event) over the first events, none to all of them: (row, event + 1)."""
    sums = np.zeros((len(rows), rows.shape[1] + 1))
    np.cumsum(rows, axis=1, out=sums[:, 1:])
    return sums


@dataclass(frozen=True)
class Outputs:
    """Predictions of one split; `loss_weight` is what the loss weighs an event with."""

    probability: Floats  # (event, class)
    label: Ints  # (event,)
    weight: Floats  # (event,)
    loss_weight: Floats  # (event,)

    @cached_property
    def ranking(self) -> Ranking:
        """The events by P(class 1), kept for the plots of what metrics were computed of."""
        return self.ranking_of(1)

    def ranking_of(self, index: int) -> Ranking:
        """Return the events by the probability of a class, which is the positive one."""
        return Ranking.of(self.probability[:, index], self.label == index, self.weight)


def confusion_matrix(predicted: Ints, label: Ints, weight: Floats, n_classes: int) -> Floats:
    """Sums of weights: (true class, predicted class)."""
    sums = np.bincount(label * n_classes + predicted, weight, n_classes**2)
    return sums.astype(np.float64).reshape(n_classes, n_classes)


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
    ranking, predicted = outputs.ranking, outputs.probability.argmax(axis=1)
    if cut is None:
        significance, cut = ranking.best_significance()
    else:
        case = outputs.probability[:, 1], outputs.label == 1, outputs.weight
        significance = significance_above(*case, cut)
    return {
        "auc": ranking.auc(),
        "average_precision": ranking.average_precision(),
        "accuracy": accuracy(predicted, outputs.label, outputs.weight),
        "significance": significance,
        "significance_cut": cut,
    }


def multiclass_metrics(outputs: Outputs, classes: tuple[str, ...]) -> dict[str, float]:
    """Metrics by name; auc is the mean of the one-vs-rest areas, auc_<class> each of them."""
    predicted, label, weight = outputs.probability.argmax(axis=1), outputs.label, outputs.weight
    areas = {
        "auc_" + re.sub(r"[^A-Za-z0-9]", "_", name): outputs.ranking_of(index).auc()
        for index, name in enumerate(classes)
    }
    return {
        "auc": float(np.mean(list(areas.values()))),
        **areas,
        "f1": f1(predicted, label, weight, len(classes)),
        "accuracy": accuracy(predicted, label, weight),
    }
