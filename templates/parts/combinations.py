"""A cross-validation as a whole: each event by the network that has not seen it, and its metrics.

The scores of all test folds are taken together, as those of one classifier are: what comes out is
what users of the networks get, whose scores need not mean quite the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from parts.arrays import Arrays
from parts.bootstrap import replicate, spread
from parts.class_yields import check_class_yields, class_yields
from parts.metric_remarks import NO_CUT, remarks
from parts.metrics import (
    Bools,
    Floats,
    Outputs,
    binary_metrics,
    multiclass_metrics,
    significance_above,
)
from parts.uncertainties import binary_uncertainties, multiclass_uncertainties, significances

# What the replicas of an uncertainty are drawn with; the trainings have seeds of their own.
SEED_OF_REPLICAS = 0
SIGNIFICANCE_CUT = "significance_cut"


@dataclass(frozen=True)
class Combined:
    """What a cross-validation says."""

    # Of each test fold.
    folds: tuple[Outputs, ...]
    # Of all events, fold after fold.
    outputs: Outputs
    metrics: Mapping[str, float]
    # Statistical ones, of all events.
    uncertainties: Mapping[str, float]
    # The metrics of each fold's test, as its training has written them.
    tests: tuple[Mapping[str, float], ...]

    def table(self) -> dict[str, Mapping[str, float]]:
        """Return metrics by column and name."""
        means, spreads = mean_and_spread(self.tests)
        return {"all events": self.metrics, "mean of folds": means, "spread": spreads}

    def remarks(self) -> list[str]:
        """Return what is odd about the metrics, a line each, and of which fold."""
        tests = {f"fold {number}": test for number, test in enumerate(self.tests)}
        # All events have a cut, if each fold has its own.
        described = {"all events": {**self.metrics, SIGNIFICANCE_CUT: 0.0}, **tests}
        without = [n for n, t in enumerate(self.tests) if math.isnan(t.get(SIGNIFICANCE_CUT, 0.0))]
        if not without:
            return remarks(described, tested=list(described))
        numbers = ", ".join(map(str, without))
        others = {
            split: {name: values[name] for name in values if not name.startswith("significance")}
            for split, values in described.items()
        }
        return [f"no significance: {NO_CUT} of the validation of fold {numbers}", *remarks(others)]

    def cut_of_events(self) -> Floats:
        """Return the cut of each event's fold, which its validation has chosen (event,)."""
        return cuts_by_event(self.folds, self.tests)


def combine_binary(folds: Sequence[Outputs], tests: Sequence[Mapping[str, float]]) -> Combined:
    """Return metrics of all events, of `folds`, the outputs of each test, and their `tests`.

    The significance is that of the events which pass the cut of their own fold: that was chosen by
    the validation of the training that tests them, and so on none of them. Signal and background
    are summed over the folds before it is computed.
    """
    outputs = all_outputs(folds)
    case = outputs.probability[:, 1], outputs.label == 1, outputs.weight
    metrics = binary_metrics(outputs, math.nan)
    errors = binary_uncertainties(outputs, metrics, SEED_OF_REPLICAS)
    cuts = cuts_by_event(folds, tests)
    # What a fold without a cut would add is not known.
    if not np.isnan(cuts).any():
        metrics["significance"] = significance_above(*case, cuts)
        errors["significance"] = significance_error(outputs, case[0] >= cuts)
    del metrics[SIGNIFICANCE_CUT]
    return Combined(tuple(folds), outputs, metrics, errors, tuple(tests))


def combine_multiclass(
    folds: Sequence[Outputs], tests: Sequence[Mapping[str, float]], classes: tuple[str, ...]
) -> Combined:
    """Return metrics of all events, of `folds`, the outputs of each test, and their `tests`."""
    outputs = all_outputs(folds)
    metrics = multiclass_metrics(outputs, classes)
    errors = multiclass_uncertainties(outputs, metrics, SEED_OF_REPLICAS)
    return Combined(tuple(folds), outputs, metrics, errors, tuple(tests))


def all_outputs(folds: Sequence[Outputs]) -> Outputs:
    """Return the outputs of all folds, one after the other."""
    return Outputs(
        np.concatenate([each.probability for each in folds]),
        np.concatenate([each.label for each in folds]),
        np.concatenate([each.weight for each in folds]),
        np.concatenate([each.loss_weight for each in folds]),
    )


def cuts_by_event(folds: Sequence[Outputs], tests: Sequence[Mapping[str, float]]) -> Floats:
    """Return the cut of each event's fold (event,), fold after fold."""
    return np.repeat(
        [each[SIGNIFICANCE_CUT] for each in tests], [len(each.label) for each in folds]
    )


def significance_error(outputs: Outputs, above: Bools) -> float:
    """Return the statistical uncertainty of the significance of what is above a cut."""
    replicas = replicate(len(outputs.label), SEED_OF_REPLICAS)
    return spread(significances(replicas, above, outputs.label == 1, outputs.weight))


def mean_and_spread(
    tests: Sequence[Mapping[str, float]],
) -> tuple[dict[str, float], dict[str, float]]:
    """Return mean and standard deviation over folds of each metric; NaN where a fold has none."""
    values = {name: np.array([each[name] for each in tests]) for name in tests[0]}
    means = {name: float(each.mean()) for name, each in values.items()}
    return means, {name: float(each.std(ddof=1)) for name, each in values.items()}


def check_fold_classes(folds: Sequence[Arrays], classes: Sequence[str]) -> None:
    """Raise `RefusedError` where a class has no events in a fold, or no yield."""
    for number, events in enumerate(folds):
        check_class_yields(class_yields(events, classes), f"fold {number}")
