"""The runs that the scripts of a spec make, under their names."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from seesawc.tables.resolution import Experiment


@frozen
class PlannedRun:
    """A run that a script makes: its place, its name and what the sweep gives it."""

    # Which member of the batch file's array it is.
    index: int
    # The run name, which names the folder.
    name: str
    # Made from the values; "" for a plain spec.
    identity: str
    # The swept options by dotted key; none for a plain spec.
    values: Mapping[str, Any]


@frozen
class PlannedCombination:
    """What the folds of a training are combined to, under its name."""

    # Which names the folder.
    name: str
    # The swept options by dotted key, besides the fold; none for a plain cross-validation.
    values: Mapping[str, Any]
    # Of each fold, in order.
    runs: tuple[PlannedRun, ...]


def named(trained: Experiment, name: str) -> Experiment:
    """Return the experiment of a point or a stage under its own run name."""
    return evolve(trained, experiment_config=evolve(trained.experiment_config, run_name=name))
