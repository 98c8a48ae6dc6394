"""Files of events -> the same events with scores, or the scores alone: chunk by chunk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.applications import Application
from parts.column_names import meaning
from parts.columns import Chunk, no_events
from parts.event_files import NAMED_TABLES, READERS, format_there, reader_for
from parts.expressions import ExpressionError
from parts.machinery.exits import RefusedError, obey
from parts.progress_lines import ProgressLine
from parts.ranges import Findings
from parts.readers import Reader, Table, listed, quoted
from parts.score_outputs import check_free
from parts.scored_columns import Choices, Found, ScoredColumns
from parts.scored_files import Format, Scored, format_of, opened
from parts.splits import SPLITS

# Events that are read at a time.
EVENTS_READ = 2**16


@dataclass(frozen=True)
class Task:
    """A file whose events are to be scored."""

    source: Path
    out: Path
    # Whether the events are written as well, with their scores beside them.
    beside: bool
    reader: Reader
    table: str | None


@dataclass
class Counts:
    """Of the events of a file: how many there are, were scored and written, and of which split."""

    events: int = 0
    scored: int = 0
    written: int = 0
    places: Counter[int] = field(default_factory=Counter)

    def add(self, found: Found) -> None:
        """Count some more."""
        self.events += len(found.kept)
        self.scored += int(np.count_nonzero(found.chosen))
        self.written += int(np.count_nonzero(found.kept))
        if found.places is not None:
            self.places.update(found.places[found.kept].tolist())

    def said(self, application: Application, choices: Choices) -> str:
        """Return what to say of them, and of the columns that they have got."""
        whole = "" if self.written == self.events else f" of {self.events}"
        some = "" if self.scored == self.written else f", {self.scored} of them scored"
        parts = [f"{self.written}{whole} events{some}", meaning(application.card, choices.prefix)]
        if choices.new:
            parts += ["each by the mean of all folds"] if application.folds else []
        elif application.folds:
            parts.append("fold: each was scored by the network that has not seen it")
        else:
            shares = [f"{self.places[i]} {name}" for i, name in enumerate(SPLITS) if self.places[i]]
            parts += [f"split: {', '.join(shares)}"] if shares else []
        return "; ".join(parts)


def apply_to_files(
    application: Application, sources: Sequence[Path], out: Path, choices: Choices
) -> Iterator[str]:
    """Score the events of files, and yield what was written; raises `RefusedError`.

    Of several files, all are looked at before anything is computed.
    """
    if application.folds and choices.only not in (None, "test"):
        raise RefusedError(
            f"--only {choices.only}: each event is a test event of one fold's network, which has"
            " not seen it; the others have"
        )
    tasks = [task_of(application, *pair, choices) for pair in outputs_of(sources, out)]
    # A file that stands alone is looked at once: to open one of CSV is to read it.
    for task in tasks if len(tasks) > 1 else ():
        with task.reader.open(task.source) as table:
            ScoredColumns(application, choices, task.source, table.schema).check()
    if not choices.new:
        application.warn_of_places()
    if len(tasks) > 1:
        out.mkdir(exist_ok=True)
    for task in tasks:
        own = replace(application, findings=Findings())
        counts = apply_to_file(own, task, choices)
        alone = "" if task.beside else f", the scores alone{how_to_join(application, choices)}"
        yield f"wrote {task.out}{alone}: {counts.said(application, choices)}"


def how_to_join(application: Application, choices: Choices) -> str:
    """Return how scores that stand alone go with their events, unless that is row by row."""
    if choices.only is None:
        return ""
    number = application.card.event_number
    how = f"; join by {number}" if number else ""
    return f" (not row by row{how})"


def outputs_of(sources: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Return each file, and where its scores go: several go into a folder, as cp has it."""
    if len(sources) == 1 and not out.is_dir():
        pairs = [(sources[0], out)]
    elif out.is_dir() or not out.exists():
        pairs = [(source, out / name_of_scored(source)) for source in sources]
    else:
        raise RefusedError(f"several files go into a folder, and {quoted(out)} is a file")
    for index, (source, place) in enumerate(pairs):
        if any(place == other for _, other in pairs[:index]):
            raise RefusedError(f"two files are called {quoted(source.name)}: {quoted(place)}")
        here, there = source.resolve(), place.resolve()
        if here == there:
            raise RefusedError(f"{quoted(place)} is one of the files of events")
        if there.is_relative_to(here):
            raise RefusedError(f"{quoted(place)} would lie among the events in {quoted(source)}")
        if here.is_relative_to(there):
            raise RefusedError(f"{quoted(place)} is a folder that {quoted(source)} lies in")
    return pairs


def name_of_scored(source: Path) -> str:
    """Return what the scores of a file are called in a folder; those of a folder are one file."""
    named = source.suffix == ".parquet" or not source.is_dir()
    return source.name if named else f"{source.resolve().name}.parquet"


def task_of(application: Application, source: Path, out: Path, choices: Choices) -> Task:
    """Return what is to be done for a file; raises `RefusedError`."""
    kind = format_there(source)
    table = named_table(application, kind, choices)
    check_free(out, choices.overwrite)
    beside = not choices.friend and format_of(out) == kind
    return Task(source, out, beside, reader_for(source, table), table)


def named_table(application: Application, kind: Format, choices: Choices) -> str | None:
    """Return which tree or table is meant: the one named, or that of the samples if they agree."""
    # What is called so in one format says nothing of another.
    samples = [each for each in application.card.samples if each.reader == READERS[kind]]
    if choices.table is not None:
        given, name = choices.table
        if given != NAMED_TABLES.get(kind):
            raise RefusedError(f"{given} is given, and a file is of {kind}: it has none")
        trained = {each.table for each in samples} or {None}
        if application.card.event_number is None and not choices.new and None not in trained:
            check_trained(given, name, trained)
        return name
    asked = [each for each in samples if choices.sample in (None, each.name)]
    names = {each.table for each in asked if each.table is not None}
    return names.pop() if len(names) == 1 else None


def check_trained(option: str, name: str, trained: Set[str | None]) -> None:
    """Raise `RefusedError` unless a tree or a table is one of those that were `trained` on."""
    if name not in trained:
        raise RefusedError(
            f"{option} {name}: the spec has no event_number, so that only the very values that were"
            f" trained on, which are those of {listed(trained)}, tell what the training has seen;"
            " --new scores events without that"
        )


def apply_to_file(application: Application, task: Task, choices: Choices) -> Counts:
    """Score the events of a file; raises `RefusedError`."""
    where = f"{quoted(task.source)}: "
    with task.reader.open(task.source) as table:
        columns = ScoredColumns(application, choices, task.source, table.schema)
        columns.check()
        types = columns.types(None if task.beside else first_events(columns, table))
        with opened(
            task.source,
            task.out,
            table=task.table,
            beside=task.beside,
            columns=types,
            overwrite=choices.overwrite,
        ) as scored:
            try:
                counts = write_scores(columns, types, table, scored)
            except ExpressionError as error:
                raise RefusedError(f"{where}{error}") from error
            application.finish(choices.accept_ranges, where)
    return counts


def write_scores(
    columns: ScoredColumns, types: Mapping[str, np.dtype[Any]], table: Table, scored: Scored
) -> Counts:
    """Add all events of a file to the output, which is written while the next are scored.

    Raises `ExpressionError` and `RefusedError`.
    """
    counts = Counts()
    progress = ProgressLine(columns.path.name, table.schema.n_events)
    try:
        with ThreadPoolExecutor(1) as writer:
            before: Future[None] | None = None
            for chunk, rows in chunks_in(columns, table):
                found = columns.found(chunk, rows)
                columns.application.findings.check_values(f"{quoted(columns.path)}: ")
                if before is not None:
                    before.result()
                before = writer.submit(scored.add, as_types(found.columns, types), found.kept)
                counts.add(found)
                progress.add(chunk.size)
            if before is not None:
                before.result()
    finally:
        progress.clear()
    return counts


def first_events(columns: ScoredColumns, table: Table) -> Chunk:
    """Return some events of a file with their numbers, to know of what type these are."""
    if table.schema.n_events and columns.number_read:
        for found in table.chunks(columns.number_read, 1):
            return columns.chunk(found)
    return no_events(columns.schema.columns, columns.derived, columns.card.missing)


def chunks_in(columns: ScoredColumns, table: Table) -> Iterator[tuple[Chunk, NDArray[np.int64]]]:
    """Yield the events of a file, and which rows of it they are."""
    row = 0
    if not table.schema.n_events:
        return
    for found in table.chunks(columns.read, EVENTS_READ):
        obey()
        chunk = columns.chunk(found)
        yield chunk, np.arange(row, row + chunk.size)
        row += chunk.size


def as_types(
    columns: Mapping[str, NDArray[Any]], types: Mapping[str, np.dtype[Any]]
) -> dict[str, NDArray[Any]]:
    """Return columns as they are written; raises `RefusedError` for a number that does not fit."""
    found = {}
    for name, dtype in types.items():
        found[name] = columns[name].astype(dtype, copy=False)
        if dtype.kind in "iu" and not np.array_equal(found[name], columns[name]):
            raise RefusedError(f"values of {quoted(name)} are too large for {dtype}")
    return found
