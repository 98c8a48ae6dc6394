"""A source with faults -> the spec that its other options make, and which options are unknown."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from attrs import evolve, frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.reading import spec
from seesawc.reading.source import Key, Source
from seesawc.tables.spec import Spec

# What stands for a required option that is missing or broken; nothing looks at it.
SAMPLE = {"name": "x", "files": ["x.csv"]}
PLACEHOLDERS: Mapping[str, Any] = {
    "experiment_config": {"experiment_name": "x"},
    "dataset_config": {"samples": [SAMPLE]},
    "experiment_name": "x",
    "samples": [SAMPLE],
    **SAMPLE,
    "category": "x",
    "scheduler_name": "x",
    "time": "01:00:00",
}
MOST = 20  # Rounds: what is taken out or put in leads to few others.


@frozen
class Understood:
    """A spec, its faults of names, types and ranges, and the options that these leave unknown."""

    spec: Spec
    faults: tuple[Diagnostic, ...] = ()
    unknown: frozenset[Key] = frozenset()


def understood(source: Source) -> Understood:
    """Return what can be understood of a source; raises `CompileError` if that is nothing."""
    try:
        return Understood(spec.read(source))
    except CompileError as error:
        faults = error.diagnostics
    unknown: set[Key] = set()
    data = deepcopy(source.data)
    for _ in range(MOST):
        try:
            return Understood(spec.read(evolve(source, data=data)), faults, frozenset(unknown))
        except CompileError:
            unknown |= _mended(data, spec.faults(evolve(source, data=data)))
        if ("task",) in unknown:
            # It decides which rules there are.
            break
    raise CompileError(*faults)


def _mended(data: dict[str, Any], faults: Iterable[tuple[Key, BaseException]]) -> set[Key]:
    """Take out what is wrong, and put in what is missing; returns which options are unknown now."""
    unknown: set[Key] = set()
    taken: set[Key] = set()
    for key, fault in faults:
        if any(key[: len(outer)] == outer for outer in taken):
            # It went with what it stands in.
            continue
        if isinstance(fault, KeyError):
            unknown.add(_put_in(data, key, str(fault.args[0])))
            continue
        while isinstance(key[-1], int):
            # An item that is wrong makes its list unknown.
            key = key[:-1]
        _inside(data, key[:-1]).pop(key[-1])
        taken.add(key)
        if not isinstance(fault, spec.Unknown):
            unknown.add(key)
        elif fault.meant is not None:
            # It may be another option, misspelt.
            unknown.add((*key[:-1], fault.meant))
    return unknown


def _put_in(data: dict[str, Any], key: Key, name: str) -> Key:
    """Put in what a table lacks, where something can stand for it; returns which option it is."""
    if name in PLACEHOLDERS:
        _inside(data, key)[name] = deepcopy(PLACEHOLDERS[name])
    return (*key, name)


def _inside(data: Any, key: Key) -> Any:
    for part in key:
        data = data[part]
    return data
