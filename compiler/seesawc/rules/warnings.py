"""What is allowed in a spec, and seldom meant: features that give it away, idle parameters."""

import ast
from collections.abc import Hashable, Iterator, Mapping, Sequence

from attrs import evolve

from parts.grammar import parse, used, with_origins, written
from seesawc.diagnostics import Diagnostic, place_in_file
from seesawc.reading.source import Key, Source
from seesawc.rules.faults import DATASET, TRAINING, Fault, Faults
from seesawc.tables import signatures
from seesawc.tables.dataset import Dataset, Sample, weight_columns
from seesawc.tables.resolution import Experiment
from seesawc.tables.spec import Spec
from seesawc.tables.training import Training


def warnings(source: Source, spec: Spec, trained: Sequence[Experiment]) -> tuple[Diagnostic, ...]:
    """Return what there is to warn of, once for all trainings of a spec."""
    found: dict[Fault, None] = {}
    # Of a sweep, most points have the same samples and features.
    for data in {_looked_at(each.dataset_config): each.dataset_config for each in trained}.values():
        found |= dict.fromkeys([*_weights(data), *_definitions(data)])
    for training in (each.training_config for each in trained):
        found |= dict.fromkeys([*_idle(training), *_overruled(spec, training)])
    faults = (source.fault(each.key, each.message, each.hint) for each in found)
    return tuple(sorted((evolve(f, severity="warning") for f in faults), key=place_in_file))


def _looked_at(data: Dataset) -> Hashable:
    """Return all that warnings of a dataset depend on."""
    derived = tuple(data.derived.items())
    return data.samples, data.classes, data.numerical, data.categorical, derived


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
    terms = {label: dict(_terms(data, label)) for label in data.classes if label}
    for name, key in _features(data):
        origins = set(with_origins([name], data.derived))
        if origins & columns:
            hint = "leave it out: the network would learn nothing else"
            yield Fault(key, f'"{name}" tells the class', hint)
        elif len({_using(origins, of_class) for of_class in terms.values()}) > 1:
            hint = "meant where it cuts; if it defines the classes, leave it out"
            yield Fault(key, f'"{name}" is selected otherwise in one class than in another', hint)


def _using(names: set[str], terms: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the terms that use any of some names."""
    return frozenset(term for term, origins in terms.items() if not names.isdisjoint(origins))


def _terms(data: Dataset, label: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the terms of a class's selections, and what each is made of."""
    for sample in data.samples:
        if sample.label == label:
            for term in _conjuncts(sample):
                yield written(term), frozenset(with_origins(used(term), data.derived))


def _conjuncts(sample: Sample) -> Iterator[ast.expr]:
    """Yield what must be true together for a sample's selection to be so."""
    waiting = [parse(sample.selection).tree] if sample.selection else []
    while waiting:
        term = waiting.pop()
        if isinstance(term, ast.BoolOp) and isinstance(term.op, ast.And):
            waiting += term.values
        else:
            yield term


def _idle(training: Training) -> Faults:
    """Warn of parameters that have no effect as the others are."""
    optimizer, scheduler = training.optimizer, training.scheduler
    driven = list[str]()
    if scheduler is not None:
        known = signatures.schedulers()[scheduler.scheduler_name]
        for name, message, hint in signatures.idle(known, scheduler.scheduler_params):
            yield Fault((TRAINING, "scheduler", "scheduler_params", name), message, hint)
        if signatures.cycles_momentum(known, scheduler.scheduler_params):
            driven.append("momentum")
    known = signatures.optimizers()[optimizer.optimizer_name]
    for name, message, hint in signatures.idle(known, optimizer.optimizer_params, driven):
        yield Fault((TRAINING, "optimizer", "optimizer_params", name), message, hint)


def _overruled(spec: Spec, training: Training) -> Faults:
    """Warn of what an optimizer is given, and a schedule that cycles it overrules."""
    if training.scheduler is None:
        return
    name, params = training.scheduler.scheduler_name, training.scheduler.scheduler_params
    known = signatures.schedulers()[name]
    if not known.parameter("max_lr"):
        return
    key = (TRAINING, "optimizer", "optimizer_params")
    # A default that stands in no spec is nothing that somebody has asked for.
    given = spec.training_config.optimizer.optimizer_params
    start = "base_lr" if known.parameter("base_lr") else "max_lr / div_factor"
    if "lr" in given:
        hint = f"leave it out: the rate begins at {start}"
        yield Fault((*key, "lr"), f"lr has no effect: {name} has rates of its own", hint)
    if not signatures.cycles_momentum(known, params):
        return
    for momentum, what in (("momentum", "momentum"), ("betas", "the first of betas")):
        # Torch makes no optimizer with nesterov and without a momentum.
        if momentum in given and not given.get("nesterov"):
            hint = "leave it out, or set cycle_momentum = false"
            message = f"{what} has no effect: {name} cycles it from base_momentum to max_momentum"
            yield Fault((*key, momentum), message, hint)
