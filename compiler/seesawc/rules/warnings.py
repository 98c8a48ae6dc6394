"""What is allowed in a spec, and seldom meant: features that a network should perhaps not see."""

import ast
from collections.abc import Iterator

from attrs import evolve

from parts.grammar import parse, used, with_origins, written
from seesawc.diagnostics import Diagnostic
from seesawc.reading.source import Key, Source
from seesawc.rules.faults import DATASET, Fault, Faults
from seesawc.tables.dataset import Dataset, Sample, weight_columns
from seesawc.tables.resolution import Experiment


def warnings(source: Source, experiment: Experiment) -> tuple[Diagnostic, ...]:
    """Return a warning for each feature that a weight, or what defines a class, holds."""
    data = experiment.dataset_config
    found = [*_weights(data), *_definitions(data)]
    return tuple(
        evolve(source.fault(each.key, each.message, each.hint), severity="warning")
        for each in found
    )


def _features(data: Dataset) -> Iterator[tuple[str, Key]]:
    for kind in ("numerical", "categorical"):
        for index, name in enumerate(getattr(data, kind)):
            yield name, (DATASET, kind, index)


def _weights(data: Dataset) -> Faults:
    taken = weight_columns(data)
    for name, key in _features(data):
        if name in taken:
            hint = "meant where events are reweighted; else the network sees their weight"
            yield Fault(key, f'"{name}" is part of the weight', hint)


def _definitions(data: Dataset) -> Faults:
    """Warn of features that are, or are made of, what tells the classes apart."""
    columns = {sample.class_column for sample in data.samples if sample.class_column}
    for name, key in _features(data):
        origins = set(with_origins([name], data.derived))
        if origins & columns:
            hint = "leave it out: the network would learn nothing else"
            yield Fault(key, f'"{name}" tells the class', hint)
        elif len({_terms(data, label, origins) for label in data.classes if label}) > 1:
            hint = "meant where it cuts; if it defines the classes, leave it out"
            yield Fault(key, f'"{name}" is selected otherwise in one class than in another', hint)


def _terms(data: Dataset, label: str, names: set[str]) -> frozenset[str]:
    """Return the terms of a class's selections that use any of some names."""
    return frozenset(
        written(term)
        for sample in data.samples
        if sample.label == label
        for term in _conjuncts(sample)
        if not names.isdisjoint(with_origins(used(term), data.derived))
    )


def _conjuncts(sample: Sample) -> Iterator[ast.expr]:
    """Yield what must be true together for a sample's selection to be so."""
    waiting = [parse(sample.selection).tree] if sample.selection else []
    while waiting:
        term = waiting.pop()
        if isinstance(term, ast.BoolOp) and isinstance(term.op, ast.And):
            waiting += term.values
        else:
            yield term
