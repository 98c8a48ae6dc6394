"""Statistical uncertainties of a classifier's metrics: of the events they are computed with.

What another training would give is no part of them.
"""

import math
from collections.abc import Mapping

import numpy as np

from parts.bootstrap import Replicas, replicate, spread
from parts.metrics import Bools, Floats, Ints, Outputs, asimov_significance

# Scores are told apart by so many values of each class; within them they count as equal.
SCORES = 256
# Which of a class's scores these are is seen in so many of them.
EVENTS_ORDERED = 100_000


def binary_uncertainties(
    outputs: Outputs, metrics: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Uncertainties of `binary_metrics` by name; the cut is one that was chosen, and has none."""
    replicas = replicate(len(outputs.label), seed)
    score, positive = outputs.probability[:, 1], outputs.label == 1
    negatives, positives = by_score(replicas, score, positive, outputs.weight)
    cut = metrics["significance_cut"]
    found = {
        "auc": areas(negatives, positives),
        "average_precision": average_precisions(negatives, positives),
        "accuracy": accuracies(confusions(replicas, outputs, 2)),
        "significance": significances(replicas, score >= cut, positive, outputs.weight),
    }
    return of_values(found, metrics)


def multiclass_uncertainties(
    outputs: Outputs, metrics: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Uncertainties of `multiclass_metrics` by name; the areas are in the order of the classes."""
    replicas = replicate(len(outputs.label), seed)
    names = [name for name in metrics if name.startswith("auc_")]
    one_vs_rest = {
        name: areas(*by_score(replicas, score, outputs.label == index, outputs.weight))
        for index, (name, score) in enumerate(zip(names, outputs.probability.T, strict=True))
    }
    matrices = confusions(replicas, outputs, len(names))
    mean = np.mean(list(one_vs_rest.values()), axis=0)
    found = {"auc": mean, **one_vs_rest, "f1": f1s(matrices), "accuracy": accuracies(matrices)}
    return of_values(found, metrics)


def of_values(replicas: Mapping[str, Floats], metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the spread of replicas by name; NaN for what is NaN."""
    return {
        name: math.nan if math.isnan(metrics[name]) else spread(values)
        for name, values in replicas.items()
    }


def by_score(
    replicas: Replicas, score: Floats, positive: Bools, weight: Floats
) -> tuple[Floats, Floats]:
    """Sums of negatives' and of positives' weights, (replica, score) each, the scores ascending."""
    edges = np.unique(np.concatenate([some_scores(score[kind]) for kind in (~positive, positive)]))
    place, size = np.searchsorted(edges, score, side="right"), len(edges) + 1
    sums = replicas.sums(place + size * positive, weight, 2 * size)
    return sums[:, :size], sums[:, size:]


def some_scores(score: Floats) -> Floats:
    """Return scores of about equally many events between them."""
    few = np.sort(score[:: max(1, len(score) // EVENTS_ORDERED)])
    return few[np.linspace(0, len(few) - 1, min(len(few), SCORES)).astype(np.int64)]


def areas(negatives: Floats, positives: Floats) -> Floats:
    """Areas under the ROC curve (replica,)."""
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return np.asarray(
        (positives * below).sum(axis=1)
        / existing(positives.sum(axis=1))
        / existing(negatives.sum(axis=1))
    )


def average_precisions(negatives: Floats, positives: Floats) -> Floats:
    """Mean precisions over recall (replica,), as `average_precision` has them."""
    true, false = (np.cumsum(sums[:, ::-1], axis=1) for sums in (positives, negatives))
    every = true + false
    precision = np.clip(np.where(every > 0, true, 0) / np.where(every > 0, every, 1), 0, 1)
    terms = positives[:, ::-1] * precision
    return np.asarray(terms.sum(axis=1) / existing(true[:, -1]))


def confusions(replicas: Replicas, outputs: Outputs, n_classes: int) -> Floats:
    """Sums of weights (replica, true class, predicted class)."""
    place: Ints = outputs.label * n_classes + outputs.probability.argmax(axis=1)
    sums = replicas.sums(place, outputs.weight, n_classes**2)
    return sums.reshape(-1, n_classes, n_classes)


def accuracies(matrices: Floats) -> Floats:
    """Weighted fractions of events predicted correctly (replica,)."""
    return np.asarray(
        np.trace(matrices, axis1=1, axis2=2) / existing(matrices.sum(axis=(1, 2))),
    )


def f1s(matrices: Floats) -> Floats:
    """Macro F1 (replica,)."""
    both = existing(matrices.sum(axis=1) + matrices.sum(axis=2))
    return np.asarray((2 * np.diagonal(matrices, axis1=1, axis2=2) / both).mean(axis=1))


def significances(replicas: Replicas, above: Bools, positive: Bools, weight: Floats) -> Floats:
    """Asimov significances of what is above a cut (replica,)."""
    place = np.where(above, 1 + positive.astype(np.int64), 0)
    _, b, s = replicas.sums(place, weight, 3).T
    return asimov_significance(s, b)


def existing(sums: Floats) -> Floats:
    """Return sums of weights, NaN where they are not positive."""
    return np.where(sums > 0, sums, np.nan)
