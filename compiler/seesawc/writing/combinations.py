"""The points of a sweep with folds -> those that are combined: all folds of one training each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from seesawc.reading.sweep import Point
from seesawc.tables.resolution import Experiment


@frozen
class Combination:
    """A training of a cross-validation, as a point of its own: the one without its fold."""

    # Made from the values; that of no values where a spec has folds alone.
    identity: str
    # Its values in so many words.
    summary: str
    trained: Experiment
    # Of each fold in order: the run, and as much of its script's digest as one compares by eye.
    runs: tuple[tuple[str, str], ...]


def combinations(
    points: Sequence[Point], trained: Sequence[Experiment], rows: Sequence[Mapping[str, Any]]
) -> Iterator[Combination]:
    """Yield what is combined, in the order of the points, of which the folds are the last axis.

    `trained` and `rows` are what each point trains, and what the record says of it.
    """
    folds = trained[0].dataset_config.folds
    assert folds is not None, "each point is a fold"
    for start in range(0, len(points), folds):
        of_all = slice(start, start + folds)
        whole = Point(start // folds, points[start].choices[:-1])
        data = evolve(trained[start].dataset_config, fold=None)
        runs = tuple((row["run_name"], row["script"][:16]) for row in rows[of_all])
        found = evolve(trained[start], dataset_config=data)
        yield Combination(whole.identity, whole.summary, found, runs)
