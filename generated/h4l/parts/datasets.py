"""What is read of each event: samples, features, weights and classes; and their events in turn."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from parts.columns import Chunk, columns_of
from parts.expressions import ExpressionError
from parts.grammar import parse
from parts.machinery.exits import RefusedError, obey
from parts.readers import Reader, listed, quoted
from parts.selections import condition, keys, weights
from parts.splits import Split

# Events that are looked at together: what of them is in use stays in a processor's cache.
EVENTS_AT_ONCE = 2**13
# Of values that nobody has asked for, a message shows so many.
OTHERS = 5


@dataclass(frozen=True)
class Sample:
    """Events of one process: which files, which of their events, and the class they belong to."""

    name: str
    files: tuple[str, ...]
    reader: Reader
    # None where a column tells the class.
    label: int | None = None
    class_column: str | None = None
    selection: str | None = None
    weight: str | None = None


@dataclass(frozen=True)
class Dataset:
    """What is read of the events of some samples."""

    samples: tuple[Sample, ...]
    numerical: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    # What stands for a value of a numerical feature that does not exist.
    missing: float | None = None
    event_number: str | None = None
    # Which of training, validation and test an event is for, by a hash of what names it.
    split: Split = (0.6, 0.2, 0.2)
    # Expressions by name.
    derived: Mapping[str, str] = field(default_factory=dict)
    # In the order of their labels; leptons have none.
    classes: tuple[str, ...] = ()
    # What a class column says for each class. None: its name, or its number in the file.
    class_values: Mapping[str, Sequence[int | str]] | None = None
    drop_other_classes: bool = False
    # Columns that are needed besides.
    further: tuple[str, ...] = ()
    # What plots call features and classes, if not by their names.
    labels: Mapping[str, str] = field(default_factory=dict)
    class_labels: Mapping[str, str] = field(default_factory=dict)
    # Such as "4G", where events lie on a disk; None: all are in memory.
    max_memory: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Return all features, the numerical ones first."""
        return (*self.numerical, *self.categorical)

    @property
    def by_column(self) -> tuple[str, ...]:
        """Return the classes that no sample is of as a whole."""
        whole = {self.classes[each.label] for each in self.samples if each.label is not None}
        return tuple(name for name in self.classes if name not in whole)

    def names(self, sample: Sample, features: Sequence[str]) -> tuple[str, ...]:
        """Return all names that are looked up in a sample's files."""
        others = (self.event_number, sample.class_column, *self.further)
        expressions = [parse(text) for text in (sample.selection, sample.weight) if text]
        used = (name for expression in expressions for name in expression.references)
        return (*features, *(name for name in others if name), *used)


class EventsError(RefusedError):
    """Events of a sample cannot be used; `option` is what asks for something else."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True)
class Selected:
    """Selected events of a sample."""

    path: Path
    rows: NDArray[np.int64]  # (event,): which of the file's events they are, rising
    chunk: Chunk
    label: NDArray[np.int64]  # (event,)
    weight: NDArray[np.float64]  # (event,)
    keys: NDArray[np.uint64]  # (event, key): what names an event, and so decides its split

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.label)


def selected(
    dataset: Dataset, sample: Sample, files: Sequence[Path], features: Sequence[str]
) -> Iterator[Selected]:
    """Yield a sample's selected events, chunk by chunk; raises `RefusedError`.

    `features` are those that the chunks have. Without an event number, all of them name the event.
    """
    read, kept, others = 0, 0, Counter[object]()
    numbers: list[NDArray[np.uint64]] = []
    with tqdm(desc=sample.name, unit=" events", unit_scale=True, leave=False, disable=None) as bar:
        for path in files:
            of_file: list[NDArray[np.uint64]] = []
            row = 0
            for chunk, labels in chunks(dataset, sample, path, features, bar):
                rows = np.arange(row, row + chunk.size)
                row += chunk.size
                found = select(dataset, sample, path, rows, chunk, features, labels, others)
                kept += len(found)
                if dataset.event_number and len(files) > 1:
                    of_file.append(found.keys[:, 0])
                if len(found):
                    yield found
            read += row
            if of_file:
                numbers.append(distinct(np.concatenate(of_file)))
    where = ", ".join(map(quoted, files))
    if not read:
        raise EventsError(f"{sample.name}: there is no event in {where}", "files")
    said = say_others(dataset, sample, others)
    if not kept:
        why = f": {said}" if said else " after the selection"
        option = "class_column" if said else "selection"
        raise EventsError(f"{sample.name}: no event is left{why}", option)
    say_repeated(sample, numbers)


def chunks(
    dataset: Dataset, sample: Sample, path: Path, features: Sequence[str], bar: tqdm
) -> Iterator[tuple[Chunk, Mapping[str, int]]]:
    """Yield the events of a file, and what numbers it has for classes by name; tell the `bar`."""
    with sample.reader.open(path) as table:
        schema = table.schema
        if not schema.n_events:
            # Its columns need not say what they would hold.
            return
        names = dataset.names(sample, features)
        columns = columns_of(names, dataset.derived, schema.columns)
        bar.total = (bar.total or 0) + schema.n_events
        for found in table.chunks(columns, EVENTS_AT_ONCE):
            obey()
            size = len(next(iter(found.values())))
            chunk = Chunk(found, schema.columns, size, dataset.derived, dataset.missing)
            yield chunk, schema.labels
            bar.update(size)


def select(
    dataset: Dataset,
    sample: Sample,
    path: Path,
    rows: NDArray[np.int64],
    chunk: Chunk,
    features: Sequence[str],
    labels: Mapping[str, int],
    others: Counter[object],
) -> Selected:
    """Return the selected events of a chunk, its `rows` of the file; raises `EventsError`."""
    where = f"{sample.name}: {quoted(path)}"
    if sample.selection:
        with asked_by("selection", where):
            chosen = condition(chunk, sample.selection)
        chunk, rows = chunk.take(chosen), rows[chosen]
    if sample.class_column is None:
        label = np.full(chunk.size, sample.label or 0, dtype=np.int64)
    else:
        with asked_by("class_column", where):
            label = class_labels(dataset, chunk, sample.class_column, labels, others)
        known = label >= 0
        chunk, rows, label = chunk.take(known), rows[known], label[known]
    with asked_by("weight", where):
        weight = weights(chunk, sample.weight)
    with asked_by("event_number", where):
        key = keys(dataset.event_number, chunk, features)
    return Selected(path, rows, chunk, label, weight, key)


@contextmanager
def asked_by(option: str, where: str) -> Iterator[None]:
    """Say of an `ExpressionError` which option asks for what, as `EventsError`."""
    try:
        yield
    except ExpressionError as error:
        raise EventsError(f"{where}: {error}", option) from error


def class_labels(
    dataset: Dataset,
    chunk: Chunk,
    column: str,
    labels: Mapping[str, int],
    others: Counter[object],
) -> NDArray[np.int64]:
    """Return the class of each event, -1 where no class is meant by what its column says.

    That is counted in `others`. Raises `ExpressionError` if no values of classes are known.
    """
    values = chunk.values(column)
    array = values.array
    known = class_values(dataset, column, array.dtype, labels)
    # By value, of which there are few.
    texts = array.dtype.kind == "O"
    distinct, places = np.unique(array.astype(str) if texts else array, return_inverse=True)
    meant = np.array([known.get(value, -1) for value in distinct.tolist()], dtype=np.int64)
    found = np.asarray(meant[places]) if len(distinct) else np.zeros(0, np.int64)
    if values.missing is not None:
        # What is not there is of no class, whatever number stands for it.
        others["null"] += int(np.count_nonzero(values.missing))
        found[values.missing] = -1
    there = found < 0 if values.missing is None else (found < 0) & ~values.missing
    for value in array[there].tolist():
        # One nan is not another.
        others[value if value == value else "nan"] += 1
    return found


def class_values(
    dataset: Dataset, column: str, dtype: np.dtype[Any], labels: Mapping[str, int]
) -> dict[object, int]:
    """Return the label of each value of a class column; raises `ExpressionError`."""
    texts = dtype.kind == "O"
    values: Mapping[str, Sequence[int | str]] | None = dataset.class_values
    if values is None:
        if texts:
            values = {name: (name,) for name in dataset.classes}
        elif lacking := [name for name in dataset.by_column if name not in labels]:
            there = f"the file names {listed(labels)}" if labels else "the file names none"
            raise ExpressionError(
                f"{quoted(column)} holds numbers, and nothing says which is {listed(lacking)}:"
                f" {there}, and there is no [dataset_config.class_values]"
            )
        else:
            values = {name: (labels[name],) for name in dataset.classes if name in labels}
    if any(isinstance(value, str) != texts for each in values.values() for value in each):
        holds, named = ("texts", "numbers") if texts else ("numbers", "texts")
        raise ExpressionError(f"{quoted(column)} holds {holds}, and class_values names {named}")
    return {value: dataset.classes.index(name) for name, each in values.items() for value in each}


def say_others(dataset: Dataset, sample: Sample, others: Counter[object]) -> str:
    """Say which events are of no class; raises `EventsError` unless they may be left out."""
    found = +others
    if not found:
        return ""
    shown = [f"{value!a} ({count} events)" for value, count in found.most_common(OTHERS)]
    more = [f"and {len(found) - OTHERS} more values"] if len(found) > OTHERS else []
    text = f"{quoted(sample.class_column)} is {', '.join(shown + more)}"
    if not dataset.drop_other_classes:
        hint = "which no class names; drop_other_classes leaves them out"
        raise EventsError(f"{sample.name}: {text}, {hint}", "class_column")
    print(f"{sample.name}: {text}: left out")
    return text


def distinct(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return each number once, sorted; the array given is sorted, too."""
    # Thrice as fast as numpy's unique, which hashes.
    numbers.sort()
    return numbers[np.append(True, numbers[1:] != numbers[:-1])] if len(numbers) else numbers


def say_repeated(sample: Sample, numbers: Sequence[NDArray[np.uint64]]) -> None:
    """Say where files of a sample have event numbers in common, which then share a split."""
    if len(numbers) < 2:
        return
    repeated = sum(map(len, numbers)) - len(distinct(np.concatenate(numbers)))
    if repeated:
        print(
            f"{sample.name}: {repeated} event numbers stand in several of its files;"
            " events of one number are of one split"
        )
