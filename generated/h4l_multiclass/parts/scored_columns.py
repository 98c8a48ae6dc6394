"""The columns that a file's events get: scores, split or fold, weight; which of them are kept."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.applications import WHAT_NUMBERS_TELL, Application, score_of, spread_of
from parts.column_names import score_names
from parts.columns import (
    Chunk,
    DerivedError,
    LackingError,
    columns_of,
    locate,
    no_events,
    underived,
)
from parts.expressions import ExpressionError
from parts.grammar import parse, with_origins
from parts.machinery.exits import RefusedError
from parts.model_cards import CardSample
from parts.readers import Schema, lacks, listed, quoted
from parts.selections import condition, weights
from parts.splits import SPLITS

# What may stand before the names of columns: any format takes it.
PREFIX = re.compile("[A-Za-z0-9_]*")
# More folds than int8 can number, there will hardly be.
MOST_OF_INT8 = 128


@dataclass(frozen=True)
class Choices:
    """What is asked for besides a network, files and a place for the scores."""

    # The option that names a tree or a table, and which one.
    table: tuple[str, str] | None = None
    # Whose selection and weight count.
    sample: str | None = None
    # Whether no training has seen the events.
    new: bool = False
    # The split whose events alone are written.
    only: str | None = None
    # Whether scores are written without the events.
    friend: bool = False
    # Before the names of all columns that are added.
    prefix: str = ""
    overwrite: bool = False
    # Whether features may be unlike those of the training.
    accept_ranges: bool = False


@dataclass(frozen=True)
class Found:
    """What there is to say of some events."""

    columns: Mapping[str, NDArray[Any]]  # each (event,)
    chosen: NDArray[np.bool_]  # (event,): which were scored
    places: NDArray[np.int64] | None  # (event,): the number of the split, or of the fold
    kept: NDArray[np.bool_]  # (event,): which are written


class ScoredColumns:
    """Works out the columns of the events of a file."""

    def __init__(
        self, application: Application, choices: Choices, path: Path, schema: Schema
    ) -> None:
        self.application = application
        self.choices = choices
        self.path = path
        self.schema = schema
        self.card = application.card
        self.sample = sample_of(application, choices.sample)
        self.derived = self.card.derived
        self.read = self.columns(*self.names())

    def names(self) -> Iterator[str]:
        """Yield all names that are looked up in the file."""
        yield from self.application.names(self.choices.new)
        if self.numbered:
            yield str(self.card.event_number)
        for text in (self.sample.selection, self.sample.weight) if self.sample else ():
            yield from parse(text).references if text else ()

    @property
    def numbered(self) -> bool:
        """Whether events have a number: new ones need none."""
        name, there = self.card.event_number, self.schema.columns
        if name is None or not self.choices.new:
            return name is not None
        return all(locate(each, there) for each in underived((name,), self.derived))

    @property
    def number_read(self) -> tuple[str, ...]:
        """The columns of the file that the event number is, or is derived from."""
        return self.columns(str(self.card.event_number)) if self.numbered else ()

    def columns(self, *names: str) -> tuple[str, ...]:
        """Return the columns of the file that names need."""
        return columns_of(names, self.derived, self.schema.columns)

    def chunk(self, columns: Mapping[str, Any]) -> Chunk:
        """Return events of the file."""
        size = len(next(iter(columns.values())))
        return Chunk(columns, self.schema.columns, size, self.derived, self.card.missing)

    def check(self) -> None:
        """Raise `RefusedError` for what the file lacks, or holds otherwise than is needed."""
        chunk = no_events(self.schema.columns, self.derived, self.card.missing)
        # As in training: whether it is the same, nobody knows.
        twice = [name for name in with_origins(self.names(), self.derived) if self.is_twice(name)]
        problems = dict.fromkeys(
            f"there is a column {quoted(name)} already, which the spec derives; rename one of them"
            for name in twice
        )
        for look in self.looks(chunk):
            try:
                look()
            except ExpressionError as error:
                cause = error.__cause__ if isinstance(error, DerivedError) else error
                # A file without events does not say what its columns would hold.
                if self.schema.n_events or isinstance(cause, LackingError):
                    problems[str(error)] = None
        if problems:
            there = listed(self.schema.columns) or "none"
            text = "; ".join(problems) + self.use_of_number()
            raise RefusedError(f"{quoted(self.path)}: {text}; the columns there are: {there}")

    def use_of_number(self) -> str:
        """Return what the event number is for, if the file lacks it and needs it."""
        name, there = self.card.event_number, self.schema.columns
        if self.choices.new or name is None:
            return ""
        if all(locate(each, there) for each in underived((name,), self.derived)):
            return ""
        return f"; the event number {quoted(name)} {WHAT_NUMBERS_TELL}, which --new does without"

    def is_twice(self, name: str) -> bool:
        """Whether a name is derived, and the file has a column of this name as well."""
        return name in self.derived and name in self.schema.columns

    def looks(self, chunk: Chunk) -> Iterator[Callable[[], object]]:
        """Yield all that is looked up in a chunk."""
        for name in self.application.names(self.choices.new):
            yield partial(chunk.numbers, name)
        if self.numbered or not self.choices.new:
            yield partial(self.application.keys, chunk)
        if self.sample and self.sample.selection:
            yield partial(condition, chunk, self.sample.selection)
        if self.sample and self.sample.weight:
            yield partial(weights, chunk, self.sample.weight)

    def types(self, first: Chunk | None) -> dict[str, np.dtype[Any]]:
        """Return the names and types of the columns that are written; raises `RefusedError`.

        With the `first` events, their number comes before all others, as it is not beside them.
        """
        types: dict[str, np.dtype[Any]] = {}
        if first is not None and self.numbered:
            name = str(self.card.event_number)
            # As wide as training takes it.
            unsigned = first.values(name).array.dtype == np.uint64
            types[name] = np.dtype(np.uint64 if unsigned else np.int64)
        exact = np.float64 if self.card.gives == "fake_factor" else np.float32
        added = dict.fromkeys(self.scores, np.dtype(exact))
        if self.place is not None:
            small = self.application.folds <= MOST_OF_INT8
            added[self.place] = np.dtype(np.int8 if small else np.int16)
        if self.sample:
            added[self.prefixed("sample_weight")] = np.dtype(np.float64)
        if both := types.keys() & added.keys():
            raise RefusedError(
                f"{quoted(next(iter(both)))} is the event number; --prefix names scores apart"
            )
        return types | added

    def prefixed(self, name: str) -> str:
        """Return what an added column is called."""
        return f"{self.choices.prefix}{name}"

    @property
    def place(self) -> str | None:
        """The column of the split or the fold; None where no training has seen any event."""
        if self.choices.new:
            return None
        return self.prefixed("fold" if self.application.folds else "split")

    @property
    def scores(self) -> list[str]:
        """The columns of what comes out of the networks, and of its spread if there is one."""
        names = list(score_names(self.card))
        names += [f"{name}_spread" for name in names] if self.spreads else []
        return list(map(self.prefixed, names))

    @property
    def spreads(self) -> bool:
        """Whether scores have a spread."""
        return self.card.gives == "fake_factor" or (self.application.folds > 1 and self.choices.new)

    def found(self, chunk: Chunk, rows: NDArray[np.int64]) -> Found:
        """Return what there is to say of events, `rows` of the file; raises `ExpressionError`.

        Those that the selection leaves out are not looked at, but for what names them.
        """
        columns: dict[str, NDArray[Any]] = {}
        if self.numbered:
            columns[str(self.card.event_number)] = self.application.numbers(chunk)
        places, kept = None, np.ones(chunk.size, dtype=bool)
        if self.place is not None:
            places = self.application.places(chunk)
            columns[self.place] = places
            if self.choices.only and not self.application.folds:
                kept = places == SPLITS.index(self.choices.only)
        chosen = kept
        if self.sample and self.sample.selection:
            chosen = kept & condition(chunk, self.sample.selection)
        events = chunk.take(chosen)
        folds = places[chosen] if places is not None and self.application.folds else None
        found = self.application.outputs(events, rows[chosen], folds)
        scores = [score_of(found, self.card)]
        if self.spreads:
            scores.append(spread_of(found, self.card))
        # Of no event, their shape does not say how many columns there are.
        tables = [values[:, np.newaxis] if values.ndim == 1 else values for values in scores]
        each = [column for table in tables for column in table.T]
        for name, column in zip(self.scores, each, strict=True):
            columns[name] = filled(column, chosen)
        if self.sample:
            values = weights(events, self.sample.weight)
            columns[self.prefixed("sample_weight")] = filled(values, chosen)
        return Found(columns, chosen, places, kept)


def sample_of(application: Application, name: str | None) -> CardSample | None:
    """Return the sample of the training whose selection and weight are asked for, if any."""
    if name is None:
        return None
    samples = {each.name: each for each in application.card.samples}
    if name not in samples:
        raise RefusedError(f"--sample: {lacks('sample', name, samples)}")
    return samples[name]


def filled(values: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the values of the chosen events, and nan for the others (event,)."""
    if chosen.all():
        return values
    whole = np.full(len(chosen), np.nan, dtype=values.dtype)
    whole[chosen] = values
    return whole
