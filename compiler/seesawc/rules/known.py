"""A spec of which some options are unknown -> the same, in which a rule that needs them stops."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, cast

from attrs import has

from seesawc.reading.source import Key
from seesawc.rules.faults import DATASET, MODEL, SLURM, TRAINING, Fault, Faults
from seesawc.tables.resolution import RESOLVED_SPELT, Experiment
from seesawc.tables.spec import SPELT, Spec

ARCHITECTURE = (MODEL, "architecture_config")
SPELT_BY = SPELT | RESOLVED_SPELT
# What is resolved from what, where the first may be left open: in order, so that one follows from
# another.
FOLLOWS: tuple[tuple[Key, tuple[Key, ...]], ...] = (
    ((DATASET, "classes"), ((DATASET, "class_values"),)),
    ((DATASET, "split"), ((DATASET, "folds"),)),
    ((TRAINING, "loss"), ((DATASET, "classes"),)),
    ((TRAINING, "loss_params"), ((TRAINING, "loss"),)),
    ((TRAINING, "monitor_mode"), ((TRAINING, "monitor"),)),
    ((*ARCHITECTURE, "n_layers"), ((*ARCHITECTURE, "model"),)),
    ((*ARCHITECTURE, "block_size"), ((*ARCHITECTURE, "model"),)),
    ((*ARCHITECTURE, "embedding_dim"), ((DATASET, "categorical"),)),
    (
        (SLURM, "gpus"),
        (("experiment_config", "accelerator"), ("experiment_config", "devices")),
    ),
    ((SLURM, "tasks_per_node"), ((SLURM, "gpus"),)),
)


class UnknownError(Exception):
    """A rule asks for an option that the spec does not say rightly."""


class _View:
    """A table whose unknown options raise `UnknownError` when they are asked for."""

    def __init__(self, table: Any, key: Key, unknown: Collection[Key]) -> None:
        self._table, self._key, self._unknown = table, key, unknown

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._table, name)
        spelt = SPELT_BY.get(type(self._table), {}).get(name, name)
        return _viewed(value, (*self._key, spelt), self._unknown)


def _viewed(value: Any, key: Key, unknown: Collection[Key]) -> Any:
    if key in unknown:
        raise UnknownError(key)
    inner = [each for each in unknown if each[: len(key)] == key]
    if not inner:
        return value
    if has(type(value)):
        return _View(value, key, inner)
    if isinstance(value, tuple) and value and has(type(value[0])):
        return tuple(_viewed(item, (*key, i), inner) for i, item in enumerate(value))
    # Part of it is not known.
    raise UnknownError(key)


def known(spec: Spec, experiment: Experiment, unknown: frozenset[Key]) -> tuple[Spec, Experiment]:
    """Return a spec and its experiment that raise `UnknownError` for what is not known of them."""
    if not unknown:
        return spec, experiment
    resolved = _View(experiment, (), followed(unknown, len(spec.dataset_config.samples)))
    return cast("Spec", _View(spec, (), unknown)), cast("Experiment", resolved)


def followed(unknown: Iterable[Key], n_samples: int) -> frozenset[Key]:
    """Return the options of an experiment that are unknown if these are in its spec."""
    found = set(unknown)
    if any(key[:2] == (DATASET, "samples") and _tells_class(key) for key in found):
        found.add((DATASET, "classes"))
    if (DATASET, "weight") in found:
        found |= {(DATASET, "samples", index, "weight") for index in range(n_samples)}
    for result, causes in FOLLOWS:
        if any(key[: len(cause)] == cause for cause in causes for key in _with_outer(found, cause)):
            found.add(result)
    return frozenset(found)


def _tells_class(key: Key) -> bool:
    return len(key) < 4 or key[3] in ("class", "class_column")


def _with_outer(found: Iterable[Key], cause: Key) -> Iterator[Key]:
    """Yield keys, and the cause itself where a table that it stands in is unknown."""
    for key in found:
        yield cause if cause[: len(key)] == key else key


def as_far_as_known(faults: Iterable[Fault]) -> Faults:
    """Yield the faults that a rule finds before it asks for what is unknown."""
    try:
        yield from faults
    except UnknownError:
        return
