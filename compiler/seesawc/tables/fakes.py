"""`[fakes_config]`: tight and loose leptons, the three trainings, members, slices and closure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

from attrs import frozen

from seesawc.tables.values import (
    Column,
    Count,
    Positive,
    Rule,
    WrongValue,
    between,
    nonempty,
    option,
    required,
    unchanged,
)

STAGES = ("numerator", "denominator", "ratio")


def _ascending(value: Sequence[float]) -> None:
    if any(not low < high for low, high in pairwise(value)):
        raise WrongValue("numbers that do not ascend", "each larger than the one before")


def _two_edges(value: list[float]) -> None:
    if len(value) < 2:
        raise WrongValue("one edge makes no bin", "at least two")


def _interval(value: tuple[float, ...]) -> None:
    if len(value) != 2:
        raise WrongValue(f"{len(value)} numbers", "two: where the crack begins and ends")


# A list, as closure.py has it.
Edges = Annotated[list[float], Rule(nonempty), Rule(_ascending), Rule(_two_edges)]


@frozen(kw_only=True)
class StageTable:
    """`[fakes_config.numerator]` and the like: options that this training has otherwise."""

    model_config: Mapping[str, Any] = option("Options of [model_config].", factory=dict)
    training_config: Mapping[str, Any] = option("Options of [training_config].", factory=dict)


@frozen(kw_only=True)
class FakesTable:
    """What the author wrote; None: left open."""

    category: Column = required("Whole-number column that tells tight leptons from loose ones.")
    tight: int = option("Its value for tight leptons.", 0)
    loose: int = option("Its value for leptons that are loose, but not tight.", 2)
    use_data_in_ratio: bool = option("The ratio learns from data; false: from Monte Carlo.", True)
    n_members: Count = option("Networks of an ensemble, trained side by side.", 1)
    bootstrap: bool | None = option(
        "Each member sees a Poisson bootstrap of the events. Left out: if there are several."
    )
    mc_normalisation: Annotated[float, between(0, 1)] = option(
        "Relative uncertainty of the MC yields, by which members vary them.", 0.0
    )
    pt_slices: Annotated[tuple[Positive, ...], Rule(_ascending)] = option(
        "Where slices of pt meet, each with a network of its own, such as [20, 50].", factory=tuple
    )
    pt: Column | None = option("Numerical feature that is sliced. Left out: pt.")
    crack_veto: bool = option("Leave out leptons in the crack of the calorimeter.", False)
    # No spec can say None, which it becomes without a veto.
    crack: Annotated[tuple[Positive, ...], Rule(_ascending), Rule(_interval)] | None = option(
        "Where |eta| lies in the crack.", factory=lambda: (1.37, 1.52)
    )
    eta: Column | None = option("Column that crack_veto looks at. Left out: eta.")
    binned: Mapping[str, Edges] = option(
        "Classical fake factor: edges of bins by numerical feature. Left out: ten of the first.",
        factory=dict,
    )
    tolerance: Positive = option(
        "Largest deviation of the fakes' yield from 1 with which the closure passes.", 0.1
    )
    numerator: StageTable = option("Data against MC, tight leptons.", factory=StageTable)
    denominator: StageTable = option("Data against MC, loose leptons.", factory=StageTable)
    ratio: StageTable = option("Tight against loose leptons.", factory=StageTable)

    def stage(self, name: str) -> StageTable:
        """Return the table of a stage."""
        table: StageTable = getattr(self, name)
        return table


@frozen(kw_only=True)
class Fakes(FakesTable):
    """The options with nothing left open; None only where that is a meaning."""

    bootstrap: bool
    pt: str | None
    crack: tuple[float, ...] | None
    eta: str | None


def resolve(table: FakesTable) -> Fakes:
    """Fill the columns and the bootstrap where they have a meaning."""
    return Fakes(
        **unchanged(table, Fakes),
        bootstrap=table.n_members > 1 if table.bootstrap is None else table.bootstrap,
        pt=(table.pt or "pt") if table.pt_slices else None,
        crack=table.crack if table.crack_veto else None,
        eta=(table.eta or "eta") if table.crack_veto else None,
    )
