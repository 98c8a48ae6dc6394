"""What a training has seen of each feature; values that no network takes, and those beyond it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# From here on, not every whole number is one of 32 bits.
EXACT = 2.0**24


@dataclass(frozen=True)
class Seen:
    """What there was of each feature in the training events of a network."""

    # The least and the largest value of a numerical feature; None if it never existed.
    ranges: Mapping[str, tuple[float, float] | None]
    # Numerical features that did not exist in some of the events.
    lacking: tuple[str, ...]
    # All values of a categorical feature.
    categories: Mapping[str, tuple[int, ...]]
    # Of which the network takes the logarithm.
    positive: tuple[str, ...]


def seen_of(said: Mapping[str, Any]) -> Seen:
    """Return what was written as JSON; raises `KeyError`, `TypeError` or `ValueError`."""
    return Seen(
        ranges={n: ends and (float(ends[0]), float(ends[1])) for n, ends in said["ranges"].items()},
        lacking=tuple(said["lacking"]),
        categories={name: tuple(map(int, each)) for name, each in said["categories"].items()},
        positive=tuple(said["positive"]),
    )


@dataclass(frozen=True)
class Findings:
    """What there is to say of events, feature by feature."""

    refused: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    def refuse(self, what: str, values: NDArray[Any], wrong: NDArray[np.bool_]) -> None:
        """Note values (event,) that the network cannot take, if there are any."""
        self.refused.extend(odd_values(what, values, wrong))

    def warn(self, what: str, values: NDArray[Any], wrong: NDArray[np.bool_]) -> None:
        """Note values (event,) of which the training tells nothing, if there are any."""
        self.beyond.extend(odd_values(what, values, wrong))


def odd_values(what: str, values: NDArray[Any], wrong: NDArray[np.bool_]) -> list[str]:
    """Return what is wrong, in how many events, and one of them; nothing if none is."""
    places = np.flatnonzero(wrong)
    if not len(places):
        return []
    first = int(places[0])
    example = f"such as {values[first]:.9g} in event {first}"
    return [f"{what} in {len(places)} of {len(values)} events, {example}"]


def numerical_input(
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
    missing: float | None,
    seen: Seen | None,
    findings: Findings,
) -> NDArray[np.float32]:
    """Return numerical features as a network takes them (event, feature), and note what is odd."""
    taken = []
    for name, given in zip(names, columns, strict=True):
        values = given.astype(np.float64)
        # As in training: what is compared is what the network sees.
        with np.errstate(over="ignore"):
            column = values.astype(np.float32)
        absent = are_missing(column, missing)
        hint = "" if missing is None else f" (what does not exist is {missing:g})"
        findings.refuse(f"{name} is nan{hint}", values, np.isnan(values) & ~absent)
        findings.refuse(f"{name} is infinite", values, np.isinf(values))
        large = np.isinf(column) & np.isfinite(values)
        findings.refuse(f"{name} is too large for float32", values, large)
        if given.dtype.kind in "iu":
            rounded = (np.abs(values) > EXACT) & (column != values)
            findings.warn(f"{name}: whole numbers that float32 rounds", given, rounded)
        if seen is not None:
            there = ~absent & np.isfinite(column)
            compare(name, values, column, there, absent, seen, findings)
        taken.append(column)
    return np.stack(taken, axis=1)


def compare(
    name: str,
    values: NDArray[np.float64],
    column: NDArray[np.float32],
    there: NDArray[np.bool_],
    absent: NDArray[np.bool_],
    seen: Seen,
    findings: Findings,
) -> None:
    """Note what the training had otherwise of a numerical feature; all arrays are (event,)."""
    if name in seen.positive:
        wrong = there & (column <= 0)
        findings.refuse(f"{name} has no logarithm, being 0 or less,", values, wrong)
        there = there & ~wrong
    if name not in seen.lacking:
        findings.warn(f"{name}: missing, as never in training,", values, absent)
    ends = seen.ranges[name]
    if ends is None:
        findings.warn(f"{name}: there, as never in training,", values, there)
        return
    low, high = np.float32(ends[0]), np.float32(ends[1])
    outside = there & ((column < low) | (column > high))
    findings.warn(f"{name}: outside {ends[0]:.6g} to {ends[1]:.6g}", values, outside)


def categorical_input(
    names: Sequence[str], columns: Sequence[NDArray[Any]], seen: Seen | None, findings: Findings
) -> NDArray[np.int64]:
    """Return categorical features as a network takes them (event, feature), and note what is odd.

    Values that it cannot take are 0.
    """
    taken = []
    for name, given in zip(names, columns, strict=True):
        column, usable = given, np.ones(len(given), dtype=bool)
        if given.dtype.kind == "f":
            usable = np.isfinite(given) & (given == np.floor(given))
            findings.refuse(f"{name} is no whole number", given, ~usable)
        if given.dtype.kind in "fu":
            large = usable & ~((given >= -(2.0**63)) & (given < 2.0**63))
            findings.refuse(f"{name} is too large for a category", given, large)
            usable &= ~large
            column = np.where(usable, given, 0)
        column = column.astype(np.int64)
        if seen is not None:
            unknown = usable & ~np.isin(column, np.array(seen.categories[name], dtype=np.int64))
            findings.warn(f"{name}: values never seen in training", given, unknown)
        taken.append(column)
    return np.stack(taken, axis=1)


def are_missing(values: NDArray[Any], missing: float | None) -> NDArray[np.bool_]:
    """Where values (event,) are what stands for a thing that does not exist."""
    if missing is None:
        return np.zeros(len(values), dtype=bool)
    found = np.isnan(values) if missing != missing else values == values.dtype.type(missing)
    return np.asarray(found)
