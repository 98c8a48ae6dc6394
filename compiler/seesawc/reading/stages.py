"""`[fakes_config]` -> the plain spec of each of the three trainings, and what may be said of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from seesawc.reading.choices import Choice, given, placed
from seesawc.reading.source import Key, Source
from seesawc.tables.fakes import STAGES

TABLE = "fakes_config"


@frozen
class Stage:
    """One of the three trainings: its name, and a spec whose options are those of this stage."""

    name: str
    source: Source


def stages(source: Source) -> tuple[Stage, ...]:
    """Return numerator, denominator and ratio, in this order."""
    return tuple(_stage(source, name) for name in STAGES)


def _stage(source: Source, name: str) -> Stage:
    table = source.data.get(TABLE, {})
    own = table.get(name, {}) if isinstance(table, dict) else {}
    choices = tuple(_choices(own, (), (TABLE, name))) if isinstance(own, dict) else ()
    return Stage(name, placed(source, given(source, choices), choices))


def _choices(table: Mapping[str, Any], key: Key, place: Key) -> Iterator[Choice]:
    """Yield the options of a stage's own tables; one of free names is given as a whole."""
    for name, value in table.items():
        inner = (*key, name)
        if isinstance(value, dict) and not name.endswith("_params"):
            yield from _choices(value, inner, place)
        else:
            yield Choice(inner, value, (*place, *inner))
