"""Checked spec -> what its files hold, in a few lines; or all faults that only they can show."""

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from parts.data_checks import Option, Problem, look
from parts.datasets import Dataset, EventsError, selected
from parts.machinery.exits import RefusedError
from parts.overlaps import Overlaps
from parts.sample_yields import SampleYields
from parts.splits import SPLITS, Fold, assign, fold_numbers
from seesawc.data.datasets import read_dataset
from seesawc.diagnostics import CompileError
from seesawc.reading.source import Key
from seesawc.rules.faults import DATASET, FAKES
from seesawc.rules.trainings import Checked


@frozen
class Found:
    """What is found of one dataset: lines to show, and faults."""

    lines: tuple[str, ...]
    problems: tuple[Problem, ...]


@frozen
class Division:
    """What events are counted by: splits, or folds, and which of them each event is in."""

    names: tuple[str, ...]
    # Of keys (event, key), the place in `names` (event,).
    places: Callable[[NDArray[np.uint64]], NDArray[np.int64]]


def check(checked: Checked) -> tuple[str, ...]:
    """Open the files of a spec, and return what they hold.

    Raises `CompileError` with all faults, and `ImportError` if a package that reads files lacks.
    """
    trained = checked.stages or tuple(each for _, each in checked.points) or (checked.experiment,)
    base = Path(checked.source.path).absolute().parent
    every_fold = checked.experiment.dataset_config.every_fold
    seen: list[Dataset] = []
    lines: dict[str, None] = {}
    faults, told = [], set()
    for experiment in trained:
        dataset = read_dataset(experiment)
        folds = checked.experiment.dataset_config.folds if every_fold else None
        if folds is not None:
            # The events are the same, whichever fold is tested.
            dataset = replace(dataset, split=Fold(0, folds))
        if dataset in seen:
            continue
        seen.append(dataset)
        found = _found(dataset, base, folds)
        lines |= dict.fromkeys(found.lines)
        for problem in found.problems:
            key = _key(checked, problem.option)
            # Samples may have a file in common.
            alike = (key, problem.message, problem.path)
            if alike not in told:
                told.add(alike)
                faults.append(checked.source.fault(key, str(problem), problem.there or None))
    if faults:
        raise CompileError(*faults)
    return tuple(lines)


def _key(checked: Checked, option: Option) -> Key:
    """Return where in the spec an option of the dataset stands."""
    fakes = checked.spec.fakes_config
    if fakes is not None and option in ((fakes.category,), (fakes.eta or "eta",)):
        return (FAKES, "category" if option == (fakes.category,) else "eta")
    match option:
        case ("samples", int(index)):
            sample = checked.spec.dataset_config.samples[index]
            named = next((name for name in ("tree", "table") if getattr(sample, name)), "files")
            return (DATASET, *option, named)
        case ("samples", int(index), "weight"):
            own = checked.spec.dataset_config.samples[index].weight
            return (DATASET, *option) if own else (DATASET, "weight")
    return (DATASET, *option)


def _found(dataset: Dataset, base: Path, folds: int | None) -> Found:
    """Look at types first, then at events; with wrong types there are none to look at.

    Events are counted by their split, or by `folds` if each of these is tested.
    """
    data = look(dataset, base)
    if data.problems:
        return Found(data.notes, data.problems)
    lines, problems = [*data.notes], list[Problem]()
    division = _division(dataset, folds)
    counts = np.zeros((len(division.names), max(len(dataset.classes), 2)), dtype=np.int64)
    overlaps, yields = Overlaps(dataset, data.files), SampleYields(dataset)
    for index, sample in enumerate(dataset.samples):
        # Without an event number, all features say of which split an event is.
        features = () if dataset.event_number else dataset.features
        finite = True
        try:
            # What a script would print of them.
            with redirect_stdout(StringIO()) as said:
                for events in selected(dataset, sample, data.files[sample.name], features):
                    overlaps.look(index, events)
                    yields.add(sample, events)
                    finite &= bool(np.isfinite(events.weight).all())
                    np.add.at(counts, (division.places(events.keys), events.label), 1)
        except RefusedError as error:
            message = str(error).removeprefix(f"{sample.name}: ")
            # What readers refuse is said of the files.
            asked = error.option if isinstance(error, EventsError) else "files"
            own = () if asked == "event_number" else ("samples", index)
            problems.append(Problem((*own, asked), sample.name, message))
            continue
        lines += said.getvalue().splitlines()
        if not finite:
            problems.append(
                Problem(("samples", index, "weight"), sample.name, "nan or infinite weights")
            )
    lines += yields.lines()
    for overlap in overlaps.found():
        text, (_, second) = overlaps.said(overlap), overlap.samples
        if len(set(overlap.labels)) > 1:
            key = ("samples", second, "selection")
            problems.append(Problem(key, dataset.samples[second].name, text, overlap.path))
        else:
            lines.append(f"warning: {text}")
    if not problems:
        problems += _empty(dataset, division, counts)
        if folds is not None:
            lines += _of_folds(dataset, division, counts)
    return Found(tuple(lines), tuple(problems))


def _division(dataset: Dataset, folds: int | None) -> Division:
    if folds is None:
        return Division(SPLITS, partial(assign, split=dataset.split))
    names = tuple(f"fold {number}" for number in range(folds))
    return Division(names, partial(fold_numbers, folds=folds))


def _of_folds(dataset: Dataset, folds: Division, counts: NDArray[np.int64]) -> Iterator[str]:
    """Yield how many events of each class a fold has; `counts` is (fold, class)."""
    for name, of_fold in zip(folds.names, counts, strict=True):
        events = zip(dataset.classes, of_fold, strict=False)
        yield f"{name}: {', '.join(f'{label} {count}' for label, count in events)} events"


def _empty(dataset: Dataset, division: Division, counts: NDArray[np.int64]) -> Iterator[Problem]:
    """Yield classes without events in a split or a fold; `counts` is (split, class)."""
    for name, of_split in zip(division.names, counts, strict=True):
        for label, count in zip(dataset.classes, of_split, strict=False):
            if not count:
                yield Problem(("samples",), name, f"class {label} has no events")
