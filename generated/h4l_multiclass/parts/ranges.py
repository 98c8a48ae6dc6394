"""Events that no network takes, and those unlike what its training has seen."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError
from parts.seen_features import Seen

# From here on, not every whole number is one of 32 bits.
EXACT = 2.0**24
# Of fewer events, it may be chance that most of them lie outside of a range.
ENOUGH = 100
# Nor that all do, of fewer than these.
ENOUGH_OF_ALL = 20
# A few events are always beyond those of the training: so large a share of them is worth a word.
WORTH_SAYING = 1e-3


@dataclass
class Finding:
    """Events of which the same is to be said, and one of them."""

    value: float | int
    row: int
    count: int = 0


@dataclass
class Findings:
    """What there is to say of events, feature by feature; they come chunk by chunk."""

    n_events: int = 0
    refused: dict[str, Finding] = field(default_factory=dict)
    beyond: dict[str, Finding] = field(default_factory=dict)
    # By feature: how many values there are, how many of them no training has seen, what it saw.
    unseen: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def refuse(
        self, what: str, values: NDArray[Any], wrong: NDArray[np.bool_], rows: NDArray[np.int64]
    ) -> None:
        """Note values (event,) that the network cannot take, if there are any, and their `rows`."""
        note(self.refused, what, values, wrong, rows)

    def warn(
        self, what: str, values: NDArray[Any], wrong: NDArray[np.bool_], rows: NDArray[np.int64]
    ) -> None:
        """Note values (event,) of which the training tells nothing, if there are any."""
        note(self.beyond, what, values, wrong, rows)

    def count(self, name: str, there: int, outside: int, seen: str) -> None:
        """Note how many values of a feature exist, and how many were never `seen` in training."""
        before = self.unseen.get(name, (0, 0, seen))
        self.unseen[name] = (before[0] + there, before[1] + outside, seen)

    def check_values(self, where: str = "") -> None:
        """Raise `RefusedError` if there are values that the network cannot take."""
        if self.refused:
            found = "; ".join(self.lines(self.refused))
            raise RefusedError(
                f"{where}values that the network cannot take: {found} (events count from 0)"
            )

    def check_ranges(self, where: str = "") -> None:
        """Raise `RefusedError` if most values of a feature are none that training has seen."""
        accepting = "--accept-ranges" if where else "accept_ranges=True"
        odd = [
            f"{name}: {outside / there:.1%} of {there} values are not {seen}"
            for name, (there, outside, seen) in self.unseen.items()
            if (there >= ENOUGH and 2 * outside > there) or ENOUGH_OF_ALL <= there == outside
        ]
        if odd:
            raise RefusedError(
                f"{where}most events are unlike those of the training; {'; '.join(odd)}."
                f" Are units and meaning the same? {accepting} takes them as they are"
            )

    def beyond_training(self) -> list[str]:
        """Return what there is to say of events that are unlike those of the training."""
        least = WORTH_SAYING * self.n_events
        return list(self.lines({n: each for n, each in self.beyond.items() if each.count > least}))

    def lines(self, which: Mapping[str, Finding]) -> Iterator[str]:
        """Yield what was found, in how many events, and one of them."""
        for what, found in which.items():
            # That it is nan was said.
            value = "" if math.isnan(found.value) else f"{found.value:.9g} in "
            example = f"such as {value}event {found.row}"
            yield f"{what} in {found.count} of {self.n_events} events, {example}"


def note(
    found: dict[str, Finding],
    what: str,
    values: NDArray[Any],
    wrong: NDArray[np.bool_],
    rows: NDArray[np.int64],
) -> None:
    """Add what is wrong with some events, if anything is."""
    places = np.flatnonzero(wrong)
    if len(places):
        first = places[0]
        found.setdefault(what, Finding(values[first].item(), int(rows[first])))
        found[what].count += len(places)


def numerical_input(
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
    missing: float | None,
    seen: Seen,
    findings: Findings,
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return numerical features as a network takes them (event, feature), and note what is odd."""
    taken = np.empty((len(rows), len(names)), dtype=np.float32)
    for index, (name, given) in enumerate(zip(names, columns, strict=True)):
        # As in training: what is compared is what the network sees.
        with np.errstate(over="ignore"):
            column = given.astype(np.float32, copy=False)
        taken[:, index] = column
        ends = seen.ranges[name]
        if ends is not None and is_usual(column, ends, missing):
            findings.count(name, len(rows), 0, said_range(ends))
        else:
            look_closely(name, given, column, missing, seen, findings, rows)
    return taken


def is_usual(column: NDArray[np.float32], ends: tuple[float, float], missing: float | None) -> bool:
    """Whether it is plain to see that there is nothing to say of a column (event,)."""
    low, high = np.float32(ends[0]), np.float32(ends[1])
    # What is missing cannot be told so from a value within the range.
    if not len(column) or (missing is not None and low <= np.float32(missing) <= high):
        return False
    # Whole numbers, which may be rounded, are within what is exact; with nan, nothing is true.
    return bool(max(low, -EXACT) <= column.min() and column.max() <= min(high, EXACT))


def look_closely(
    name: str,
    given: NDArray[Any],
    column: NDArray[np.float32],
    missing: float | None,
    seen: Seen,
    findings: Findings,
    rows: NDArray[np.int64],
) -> None:
    """Note what is odd about a numerical feature; all arrays are (event,)."""
    values = given.astype(np.float64)
    absent = are_missing(column, missing)
    hint = "" if missing is None else f" (what does not exist is {missing:g})"
    findings.refuse(f"{name} is nan{hint}", values, np.isnan(values) & ~absent, rows)
    findings.refuse(f"{name} is infinite", values, np.isinf(values), rows)
    large = np.isinf(column) & np.isfinite(values)
    findings.refuse(f"{name} is too large for float32", values, large, rows)
    if given.dtype.kind in "iu":
        rounded = (np.abs(values) > EXACT) & (column != values)
        findings.warn(f"{name}: whole numbers that float32 rounds", given, rounded, rows)
    there = ~absent & np.isfinite(column)
    if name in seen.positive:
        wrong = there & (column <= 0)
        findings.refuse(f"{name} has no logarithm, being 0 or less,", values, wrong, rows)
        there = there & ~wrong
    if name not in seen.lacking:
        findings.warn(f"{name}: missing, as never in training,", values, absent, rows)
    ends = seen.ranges[name]
    if ends is None:
        findings.warn(f"{name}: there, as never in training,", values, there, rows)
        outside, said = there, "there in training"
    else:
        low, high = np.float32(ends[0]), np.float32(ends[1])
        outside, said = there & ((column < low) | (column > high)), said_range(ends)
        what = f"{name}: outside {ends[0]:.6g} to {ends[1]:.6g}"
        findings.warn(what, values, outside, rows)
    findings.count(name, int(np.count_nonzero(there)), int(np.count_nonzero(outside)), said)


def said_range(ends: tuple[float, float]) -> str:
    """Return how a message calls the range of a feature in training."""
    return f"within {ends[0]:.6g} to {ends[1]:.6g}, its range in training"


def categorical_input(
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
    seen: Seen,
    findings: Findings,
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return categorical features as a network takes them (event, feature), and note what is odd.

    Values that it cannot take are 0.
    """
    taken = np.empty((len(rows), len(names)), dtype=np.int64)
    for index, (name, given) in enumerate(zip(names, columns, strict=True)):
        column, usable = given, np.ones(len(given), dtype=bool)
        if given.dtype.kind == "f":
            usable = np.isfinite(given) & (given == np.floor(given))
            findings.refuse(f"{name} is no whole number", given, ~usable, rows)
        if given.dtype.kind in "fu":
            large = usable & ~((given >= -(2.0**63)) & (given < 2.0**63))
            findings.refuse(f"{name} is too large for a category", given, large, rows)
            usable &= ~large
            column = np.where(usable, given, 0)
        column = column.astype(np.int64)
        known = np.array(seen.categories[name], dtype=np.int64)
        unknown = usable & ~np.isin(column, known)
        findings.warn(f"{name}: values never seen in training", given, unknown, rows)
        counts = int(np.count_nonzero(usable)), int(np.count_nonzero(unknown))
        findings.count(name, *counts, "among those seen in training")
        taken[:, index] = column
    return taken


def are_missing(values: NDArray[Any], missing: float | None) -> NDArray[np.bool_]:
    """Where values (event,) are what stands for a thing that does not exist."""
    if missing is None:
        return np.zeros(len(values), dtype=bool)
    found = np.isnan(values) if missing != missing else values == values.dtype.type(missing)
    return np.asarray(found)
