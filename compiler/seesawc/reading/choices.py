"""Options that a part of a spec gives anew: a source, and the same one with them put in."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from seesawc.reading.source import Key, Source


@frozen
class Choice:
    """A value of an option, and where a sweep or a stage says so."""

    key: Key
    value: Any
    place: Key

    @property
    def root(self) -> Key:
        """Where the mirror of the spec's tables begins that the option stands in."""
        return self.place[: 3 if self.place[1] == "points" else 2]

    @property
    def option(self) -> Key:
        """Where the option stands, with all its alternatives."""
        return self.place[: len(self.root) + len(self.key)]


def given(source: Source, choices: Iterable[Choice], without: str | None = None) -> Source:
    """Return the source with other values, and without a table; their places are not known."""
    data = {name: value for name, value in source.data.items() if name != without}
    for choice in choices:
        data = _put(data, choice.key, choice.value)
    return evolve(source, data=data)


def placed(source: Source, alone: Source, choices: Iterable[Choice]) -> Source:
    """Return `alone`, which has the values of `choices`, with the places of these values."""
    places: dict[Key, Key] = {}
    for choice in choices:
        for depth in range(1, len(choice.key)):
            if not _is_there(source.data, choice.key[:depth]):
                # A table that the spec itself does not have.
                places[choice.key[:depth]] = (*choice.root, *choice.key[:depth])
        places[choice.key] = choice.place
    return source.moved(alone.data, places)


def _put(table: Mapping[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """Return a table with an option given; the table itself stays as it is."""
    name, rest = str(key[0]), key[1:]
    inner = table.get(name)
    if rest:
        value = _put(inner if isinstance(inner, dict) else {}, rest, value)
    return {**table, name: value}


def _is_there(data: Any, key: Key) -> bool:
    for part in key:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True
