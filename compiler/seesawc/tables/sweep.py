"""`[sweep_config]`: which options take which values, and how often each training is repeated."""

from collections.abc import Mapping
from typing import Annotated, Any

from attrs import frozen

from seesawc.tables.values import Count, Rule, Seed, distinct, nonempty, option, unchanged


@frozen(kw_only=True)
class SweepTable:
    """What the author wrote; None: left open."""

    seeds: Annotated[tuple[Seed, ...], Rule(nonempty), Rule(distinct)] | None = option(
        "Seeds that every point is trained with. Left out: experiment_config.seed alone."
    )
    max_parallel: Count | None = option(
        "Members of the job array that run at a time. Left out: no limit."
    )
    grid: Mapping[str, Any] = option(
        "Alternatives of options, in lists, in the spec's own tables; all combinations are points.",
        factory=dict,
    )
    points: tuple[Mapping[str, Any], ...] = option(
        "Further points: values of options, in the spec's own tables.", factory=tuple
    )


@frozen(kw_only=True)
class Sweep(SweepTable):
    """The options with nothing left open; None only where that is a meaning."""

    seeds: tuple[int, ...]


def resolve(table: SweepTable) -> Sweep:
    """Fix what was written; seeds that are left out are none."""
    return Sweep(**unchanged(table, Sweep), seeds=table.seeds or ())
