"""A source with faults -> the spec that its other options make, and which options are unknown."""

from collections.abc import Mapping
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
            for key, fault in spec.faults(evolve(source, data=data)):
                unknown |= _mend(data, key, fault)
        if ("task",) in unknown:
            # It decides which rules there are.
            break
    raise CompileError(*faults)


def _mend(data: dict[str, Any], key: Key, fault: BaseException) -> set[Key]:
    """Take out what is wrong, or put in what is missing; returns which options are unknown now."""
    if isinstance(fault, KeyError):
        name = str(fault.args[0])
        if name in PLACEHOLDERS:
            _inside(data, key)[name] = deepcopy(PLACEHOLDERS[name])
        return {(*key, name)}
    while isinstance(key[-1], int):
        # An item that is wrong makes its list unknown.
        key = key[:-1]
    _inside(data, key[:-1]).pop(key[-1], None)
    if isinstance(fault, spec.Unknown):
        # It may be another option, misspelt.
        return set() if fault.meant is None else {(*key[:-1], fault.meant)}
    return {key}


def _inside(data: Any, key: Key) -> Any:
    for part in key:
        data = data[part]
    return data
