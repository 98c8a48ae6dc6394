"""The points of a sweep with folds -> those that are combined: all folds of one training each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from seesawc.reading.sweep import Point
from seesawc.tables.resolution import Experiment
from seesawc.writing.runs import PlannedCombination, PlannedRun


@frozen
class Combination:
    """A training of a cross-validation, as a point of its own: the one without its fold."""

    # Made from the values; that of no values where a spec has folds alone.
    identity: str
    # Its values in so many words.
    summary: str
    # What it is combined to, and the run of each fold in order.
    planned: PlannedCombination
    trained: Experiment
    # Of each of these runs, as much of its script's digest as one compares by eye.
    digests: tuple[str, ...]


def combined_name(name: str, identity: str = "") -> str:
    """Return the name of what is combined: of one of several, by identity; `name` is the sweep's.

    It is also where the job that combines them keeps its log.
    """
    return f"{name}-{identity}-combined" if identity else f"{name}-combined"


def combinations(
    name: str,
    points: Sequence[Point],
    runs: Sequence[PlannedRun],
    trained: Sequence[Experiment],
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[Combination]:
    """Yield what is combined, in the order of the points, of which the folds are the last axis.

    `name` is that of the sweep; `trained` and `rows` are what each point trains, and what the
    record says of it.
    """
    folds = trained[0].dataset_config.folds
    assert folds is not None, "each point is a fold"
    for start in range(0, len(points), folds):
        of_all = slice(start, start + folds)
        whole = Point(start // folds, points[start].choices[:-1])
        own = combined_name(name, whole.identity if len(points) > folds else "")
        planned = PlannedCombination(own, whole.values, tuple(runs[of_all]))
        data = evolve(trained[start].dataset_config, fold=None)
        found = evolve(trained[start], dataset_config=data)
        digests = tuple(row["script"][:16] for row in rows[of_all])
        yield Combination(whole.identity, whole.summary, planned, found, digests)
