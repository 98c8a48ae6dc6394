"""`[sweep_config]`: which options take which values, and how often each training is repeated."""

from collections.abc import Mapping
from typing import Annotated, Any

from attrs import frozen

from seesawc.tables.values import Count, Rule, Seed, distinct, nonempty, option


@frozen(kw_only=True)
class SweepTable:
    """What the author wrote; None: left open."""

    seeds: Annotated[list[Seed], Rule(nonempty), Rule(distinct)] | None = option(
        "Seeds that every point is trained with. Left out: experiment_config.seed alone."
    )
    max_parallel: Count | None = option(
        "Members of the job array that run at a time. Left out: no limit."
    )
    grid: dict[str, Any] = option(
        "Alternatives of options, in lists, in the spec's own tables; all combinations are points.",
        factory=dict,
    )
    points: list[dict[str, Any]] = option(
        "Further points: values of options, in the spec's own tables.", factory=list
    )


@frozen(kw_only=True)
class Sweep:
    """The options with nothing left open; None only where that is a meaning."""

    seeds: tuple[int, ...]
    max_parallel: int | None
    grid: Mapping[str, Any]
    points: tuple[Mapping[str, Any], ...]


def resolve(table: SweepTable) -> Sweep:
    """Fix what was written; seeds that are left out are none."""
    return Sweep(
        seeds=tuple(table.seeds or ()),
        max_parallel=table.max_parallel,
        grid=table.grid,
        points=tuple(table.points),
    )
