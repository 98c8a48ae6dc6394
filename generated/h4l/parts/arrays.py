"""Events read from files straight into the arrays that tensors will be, of each split its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from parts.columns import Chunk
from parts.datasets import Dataset, Sample, Selected, selected
from parts.event_memory import check_left
from parts.expressions import ExpressionError
from parts.machinery.exits import RefusedError
from parts.overlaps import Overlaps
from parts.readers import quoted
from parts.sample_yields import SampleYields
from parts.splits import SPLITS, assign, fold_numbers

# Events that are added before it is asked whether there is memory for more.
EVENTS_UNCHECKED = 2**18
# What is wrong with a value.
ABSENT = "values that do not exist (null, or behind the end of a list)"


class Rows:
    """Rows of numbers, added block by block.

    Their memory grows in place: Linux moves its pages and copies nothing (mremap), so that what is
    there is never held twice, and what is not yet written takes none.
    """

    def __init__(self, dtype: Any, *width: int) -> None:
        self._dtype = np.dtype(dtype)
        self._width = width
        self._size = 0
        self._memory = mmap(-1, PAGESIZE, flags=MAP_PRIVATE | MAP_ANONYMOUS)

    def add(self, rows: NDArray[Any], chosen: NDArray[np.intp]) -> None:
        """Add the chosen of some rows (row, ...)."""
        size = self._size + len(chosen)
        needed = size * self._dtype.itemsize * math.prod(self._width)
        if needed > len(self._memory):
            self._memory = grown(self._memory, 2 * needed)
        # Checked indices would be gathered elsewhere first.
        np.take(rows, chosen, axis=0, out=self._view(size)[self._size :], mode="clip")
        self._size = size

    def whole(self) -> NDArray[Any]:
        """Return all rows; none is added after that."""
        return self._view(self._size)

    def _view(self, size: int) -> NDArray[Any]:
        # None of it outlives a block, or the memory could not grow.
        count = size * math.prod(self._width)
        return np.frombuffer(self._memory, self._dtype, count).reshape(size, *self._width)


def grown(memory: mmap, size: int) -> mmap:
    """Return memory with the same content and more room, in bytes."""
    try:
        memory.resize(size)
    except SystemError:
        # Other systems than Linux cannot.
        larger = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        larger[: len(memory)] = memory[:]
        return larger
    return memory


@dataclass(frozen=True)
class Arrays:
    """Events of a split; weights are physical."""

    numerical: NDArray[Any]  # (event, feature)
    categorical: NDArray[np.int64]  # (event, feature)
    label: NDArray[np.int64]  # (event,)
    weight: NDArray[np.float64]  # (event,)
    mark: NDArray[np.bool_]  # (event,): what a `Marker` says, or False
    keys: NDArray[np.uint64]  # (event, key): the sample's and the event's own, or (event, 0)


class Marker(Protocol):
    """Looks at a sample's selected events: which to keep, and which to mark."""

    key: np.uint64  # names the sample

    def __call__(self, chunk: Chunk) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return what is kept and what is marked (event,); raises `ExpressionError`."""

    def finish(self) -> None:
        """Raise `RefusedError` for what a sample must not have; all its events were seen."""


class Group(Protocol):
    """Takes the events of a split, or of a fold, in the order of the files."""

    def add(self, columns: Mapping[str, NDArray[Any]], chosen: NDArray[np.intp]) -> None:
        """Take the chosen of some events, whose columns have the names of `Arrays`."""


class Growing:
    """The arrays of a split while events are added."""

    def __init__(self, dataset: Dataset, dtype: np.dtype[Any], n_keys: int) -> None:
        self.dataset = dataset
        self.size = self.checked = 0
        self.rows = {
            "numerical": Rows(dtype, len(dataset.numerical)),
            "categorical": Rows(np.int64, len(dataset.categorical)),
            "label": Rows(np.int64),
            "weight": Rows(np.float64),
            "mark": Rows(np.bool_),
            "keys": Rows(np.uint64, n_keys),
        }

    def add(self, columns: Mapping[str, NDArray[Any]], chosen: NDArray[np.intp]) -> None:
        """Add the chosen of some events; raises `RefusedError` where memory comes to its end."""
        for name, rows in self.rows.items():
            rows.add(columns[name], chosen)
        self.size += len(chosen)
        if self.size - self.checked >= EVENTS_UNCHECKED:
            check_left(self.dataset, self.size)
            self.checked = self.size

    def whole(self) -> Arrays:
        """Return them; nothing is added after that."""
        return Arrays(**{name: rows.whole() for name, rows in self.rows.items()})


def read_arrays(
    dataset: Dataset,
    files: Mapping[str, Sequence[Path]],
    dtype: np.dtype[Any],
    marker: Callable[[Sample], Marker] | None = None,
    yields: SampleYields | None = None,
) -> tuple[Arrays, Arrays, Arrays]:
    """Return the events of training, validation and test; raises `RefusedError`.

    Numerical features are of `dtype`. With a `marker`, events are known by their keys, too.
    `yields` are told what each sample brings.
    """
    one, two, three = (Growing(dataset, dtype, key_columns(dataset, marker)) for _ in SPLITS)
    chosen_for = partial(assign, split=dataset.split)
    read_groups(dataset, files, dtype, (one, two, three), chosen_for, marker, yields)
    return one.whole(), two.whole(), three.whole()


def read_folds(
    dataset: Dataset, files: Mapping[str, Sequence[Path]], folds: int
) -> tuple[Arrays, ...]:
    """Return the events of each fold of a cross-validation; raises `RefusedError`.

    They are read as its trainings do, and once: whatever a training tests is one of the folds.
    Numerical features are of single precision, as exported networks take them.
    """
    groups = [Growing(dataset, np.dtype(np.float32), key_columns(dataset)) for _ in range(folds)]
    chosen_for = partial(fold_numbers, folds=folds)
    read_groups(dataset, files, np.dtype(np.float32), groups, chosen_for)
    return tuple(each.whole() for each in groups)


def key_columns(dataset: Dataset, marker: Callable[[Sample], Marker] | None = None) -> int:
    """Return of how many numbers the keys of an event are: none where nobody marks events."""
    if marker is None:
        return 0
    return 1 + (1 if dataset.event_number else len(dataset.features))


def read_groups(
    dataset: Dataset,
    files: Mapping[str, Sequence[Path]],
    dtype: np.dtype[Any],
    groups: Sequence[Group],
    chosen_for: Callable[[NDArray[np.uint64]], NDArray[np.int64]],
    marker: Callable[[Sample], Marker] | None = None,
    yields: SampleYields | None = None,
) -> None:
    """Add all events to groups, which they are `chosen_for` by their keys (event, key)."""
    overlaps = Overlaps(dataset, files)
    for index, sample in enumerate(dataset.samples):
        faults = Faults(dataset, sample.name)
        mark = marker(sample) if marker is not None else None
        for events in selected(dataset, sample, files[sample.name], dataset.features):
            try:
                found = read_chunk(dataset, events, dtype, faults, mark)
            except ExpressionError as error:
                where = f"{sample.name}: {quoted(events.path)}"
                raise RefusedError(f"{where}: {error}") from error
            overlaps.look(index, events)
            if yields is not None:
                yields.add(sample, events, found.kept)
            group = chosen_for(events.keys)
            for number, taking in enumerate(groups):
                taking.add(found.columns, np.flatnonzero((group == number) & found.kept))
        faults.refuse()
        if mark is not None:
            mark.finish()
    overlaps.check()


@dataclass(frozen=True)
class Block:
    """What a chunk adds to the arrays, by their names, and which of its events are kept."""

    columns: dict[str, NDArray[Any]]
    kept: NDArray[np.bool_]  # (event,)


def read_chunk(
    dataset: Dataset,
    events: Selected,
    dtype: np.dtype[Any],
    faults: "Faults",
    mark: Marker | None,
) -> Block:
    """Return what a chunk adds; raises `ExpressionError`."""
    size = len(events)
    kept, marked = np.ones(size, dtype=bool), np.zeros(size, dtype=bool)
    keys = np.zeros((size, 0), dtype=np.uint64)
    if mark is not None:
        kept, marked = mark(events.chunk)
        keys = np.hstack([np.full((size, 1), mark.key), events.keys])
    # Row by row in memory, as batches will ask for them.
    numerical = np.empty((size, len(dataset.numerical)), dtype=dtype)
    with np.errstate(over="ignore"):
        for index, name in enumerate(dataset.numerical):
            numerical[:, index] = events.chunk.numbers(name)
    faults.look(events, numerical)
    categorical = np.empty((size, len(dataset.categorical)), dtype=np.int64)
    for index, name in enumerate(dataset.categorical):
        categorical[:, index] = whole(events.chunk, name)
    columns = {
        "numerical": numerical,
        "categorical": categorical,
        "label": events.label,
        "weight": events.weight,
        "mark": marked,
        "keys": keys,
    }
    return Block(columns, kept)


def whole(chunk: Chunk, name: str) -> NDArray[np.int64]:
    """Return a categorical feature (event,); raises `ExpressionError` for fractions."""
    values = chunk.numbers(name)
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise ExpressionError(f"categorical features must be whole numbers, unlike {quoted(name)}")
    if (
        values.dtype.kind in "fu"
        and values.size
        and not (-(2.0**63) <= float(values.min()) <= float(values.max()) < 2.0**63)
    ):
        raise ExpressionError(f"values of {quoted(name)} are too large for a category")
    return values.astype(np.int64)


class Faults:
    """Counts values of a sample that no network can learn from."""

    def __init__(self, dataset: Dataset, sample: str) -> None:
        self.dataset = dataset
        self.sample = sample
        self.counts: dict[str, dict[str, int]] = {}
        self.filled: dict[str, int] = {}
        self.weights = 0

    def look(self, events: Selected, numerical: NDArray[Any]) -> None:
        """Count what is wrong with some events."""
        self.weights += len(events) - int(np.count_nonzero(np.isfinite(events.weight)))
        for name in self.dataset.numerical if self.dataset.missing is not None else ():
            absent = events.chunk.values(name).missing
            if absent is not None and name not in self.dataset.derived:
                count = int(np.count_nonzero(absent))
                self.filled[name] = self.filled.get(name, 0) + count
        finite = np.isfinite(numerical)
        if finite.all():
            return
        for index, name in enumerate(self.dataset.numerical):
            if finite[:, index].all():
                continue
            found = events.chunk.values(name)
            values = found.array.astype(np.float64)
            lacking = np.isnan(values)
            if self.dataset.missing is not None and self.dataset.missing != self.dataset.missing:
                lacking = np.zeros_like(lacking)
            absent = lacking & (False if found.missing is None else found.missing)
            self._count(ABSENT, name, absent)
            wrong = np.isinf(values) | (lacking & ~absent)
            self._count("nan or infinite values", name, wrong)
            large = np.isfinite(values) & ~finite[:, index]
            self._count(f"values too large for {numerical.dtype}", name, large)

    def _count(self, what: str, name: str, wrong: NDArray[np.bool_]) -> None:
        if count := int(np.count_nonzero(wrong)):
            counts = self.counts.setdefault(what, {})
            counts[name] = counts.get(name, 0) + count

    def refuse(self) -> None:
        """Raise `RefusedError` if anything was counted."""
        found = []
        for what, counts in self.counts.items():
            # Not in the order in which chunks had them.
            named = [name for name in self.dataset.numerical if name in counts]
            bad = ", ".join(f"{name} ({counts[name]} events)" for name in named)
            hint = "; missing = ... says what stands there" if what == ABSENT else ""
            found.append(f"{what} in {bad}{hint}")
        if self.weights:
            found.append(f"nan or infinite weights ({self.weights} events)")
        if found:
            raise RefusedError(f"{self.sample}: {'; '.join(found)}")
        if filled := [f"{name} ({count} events)" for name, count in self.filled.items() if count]:
            text = f"a null, or behind the end of a list, in {', '.join(filled)}"
            print(f"{self.sample}: {text}: {self.dataset.missing:g}")
