"""Statistical errors of curves, by propagation of sums of w^2, in the time of the curves."""

from dataclasses import dataclass, replace

import numpy as np

from parts.metrics import Floats, Ints, Ranking, asimov_significance


@dataclass(frozen=True)
class Roc:
    """A ROC curve, its errors at each cut, and its area; NaN for a class without yield."""

    false_rate: Floats  # (cut,)
    true_rate: Floats  # (cut,)
    false_error: Floats  # (cut,)
    true_error: Floats  # (cut,)
    area: float
    area_error: float

    def thinned(self, points: int) -> "Roc":
        """Return the curve at fewer cuts, closer to each other where few events are left."""
        chosen = some_cuts(len(self.false_rate), points)
        return replace(
            self,
            false_rate=self.false_rate[chosen],
            true_rate=self.true_rate[chosen],
            false_error=self.false_error[chosen],
            true_error=self.true_error[chosen],
        )

    def band(self) -> tuple[Floats, Floats]:
        """Return the outline of one standard error, across the curve: false and true rates.

        Errors of both rates, which share no event, are taken in the direction across.
        """
        cuts = len(self.false_rate)
        step = max(1, cuts // 40, min(8, cuts // 4))
        along_false, along_true = (slope(row, step) for row in (self.false_rate, self.true_rate))
        length = np.hypot(along_false, along_true)
        across_false, across_true = (
            row / np.where(length > 0, length, 1) for row in (-along_true, along_false)
        )
        error = np.hypot(across_false * self.false_error, across_true * self.true_error)
        shifted = (
            (self.false_rate, error * across_false),
            (self.true_rate, error * across_true),
        )
        above, below = ([within(row + sign * shift) for row, shift in shifted] for sign in (1, -1))
        false_rate, true_rate = (
            np.concatenate([there, back[::-1]]) for there, back in zip(above, below, strict=True)
        )
        return false_rate, true_rate


def some_cuts(size: int, points: int) -> Ints:
    """Return places among so many cuts, closer to each other at the highest."""
    last = size - 1
    even, few = np.linspace(0, last, points), np.geomspace(1, max(last, 1), points // 3)
    return np.unique(np.clip(np.concatenate([even, few]), 0, last).astype(np.int64))


def within(rates: Floats) -> Floats:
    """Return rates between 0 and 1, where an error leads no further."""
    return np.asarray(np.clip(rates, 0, 1))


def slope(row: Floats, step: int) -> Floats:
    """Return differences over `step` places to both sides, fewer at the ends."""
    place = np.arange(len(row))
    return np.asarray(
        row[np.minimum(place + step, len(row) - 1)] - row[np.maximum(place - step, 0)]
    )


def roc(ranking: Ranking, points: int | None = None) -> Roc:
    """Return the ROC curve, with errors, and its area over all cuts, with DeLong's error.

    The curve has all distinct cuts, or about so many `points`. DeLong et al., Biometrics 44 (1988)
    837, each event with its signed weight.
    """
    rates, squares = np.array(ranking.roc_curve()), ranking.squares[:, ranking.places]
    # Where it is no yield, rates are NaN.
    total = ranking.sums[:, -1:]
    area = float(np.trapezoid(rates[1], rates[0]))
    # How often an event is on the right side of those of the other class.
    false_rate, true_rate = (rates[:, 1:] + rates[:, :-1]) / 2
    right = np.array([true_rate, 1 - false_rate])
    variance = np.sum(np.diff(squares) * (right - area) ** 2 / total**2)
    every = squares[:, -1:]
    if points is not None:
        chosen = some_cuts(rates.shape[1], points)
        rates, squares = rates[:, chosen], squares[:, chosen]
    errors = np.sqrt((1 - rates) ** 2 * squares + rates**2 * (every - squares)) / total
    return Roc(rates[0], rates[1], errors[0], errors[1], area, float(np.sqrt(variance)))


@dataclass(frozen=True)
class Scan:
    """Asimov significances by the cut, and errors; NaN where too little background is left."""

    cuts: Floats
    significances: Floats
    errors: Floats


def scan(ranking: Ranking) -> Scan:
    """Return the scan of a ranking with errors, from those of the yields s and b."""
    cuts, significances = ranking.significance_scan()
    places = ranking.above(cuts)
    (b, s), (b2, s2) = ranking.sums[:, places], ranking.squares[:, places]
    known = significances > 0
    s, b, z = (np.where(known, row, np.nan) for row in (s, b, asimov_significance(s, b)))
    of_s = np.log1p(s / b) / z
    of_b = (np.log1p(s / b) - s / b) / z
    return Scan(cuts, significances, np.sqrt(of_s**2 * s2 + of_b**2 * b2))
