"""What a training has seen of each feature: what a network knows of, and all else is a guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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


def seen_by_any(every: Sequence[Seen]) -> Seen:
    """Return what at least one of several networks, of the same features, has seen."""
    ends = {name: [each.ranges[name] for each in every] for name in every[0].ranges}
    known = {name: [pair for pair in pairs if pair is not None] for name, pairs in ends.items()}
    return Seen(
        ranges={
            name: (min(low for low, _ in pairs), max(high for _, high in pairs)) if pairs else None
            for name, pairs in known.items()
        },
        lacking=tuple(dict.fromkeys(name for each in every for name in each.lacking)),
        categories={
            name: tuple(sorted({value for each in every for value in each.categories[name]}))
            for name in every[0].categories
        },
        positive=every[0].positive,
    )
