"""Events of a split, or of a fold, by class: how many there are, and what they add up to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parts.arrays import Arrays
from parts.machinery.exits import RefusedError
from parts.metrics import is_yield


@dataclass(frozen=True)
class ClassYield:
    """How many events of a class there are, and the sum of their weights."""

    name: str
    events: int
    total: float
    # The sum of the weights' absolute values.
    size: float


def class_yields(events: Arrays, classes: Sequence[str]) -> list[ClassYield]:
    """Return what there is of each class."""
    counts = np.bincount(events.label, minlength=len(classes))
    totals, sizes = (
        np.bincount(events.label, weight, len(classes))
        for weight in (events.weight, np.abs(events.weight))
    )
    rows = zip(classes, counts.tolist(), totals.tolist(), sizes.tolist(), strict=True)
    return [ClassYield(*row) for row in rows]


def check_class_yields(found: Sequence[ClassYield], where: str) -> None:
    """Raise `RefusedError` where a class has no events, or no yield."""
    for each in found:
        if not each.events or not is_yield(np.array(each.total), np.array(each.size)):
            raise RefusedError(
                f"{where}: class {each.name} has {each.events} events with weights of sum"
                f" {each.total:g}"
            )
