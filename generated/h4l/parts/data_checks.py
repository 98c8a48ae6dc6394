"""Whether files have what a dataset asks of them: columns, and types that its expressions take."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parts.columns import (
    Chunk,
    DerivedError,
    LackingError,
    locate,
    no_events,
    underived,
)
from parts.datasets import Dataset, Sample, class_labels
from parts.event_memory import check_events
from parts.expressions import ExpressionError
from parts.files import find_all
from parts.grammar import with_origins
from parts.machinery.exits import RefusedError, obey
from parts.readers import NoTableError, Schema, quoted
from parts.selections import condition, keys, weights

# Where a fault stands, below [dataset_config].
Option = tuple[str | int, ...]
# Kinds that files of one sample may have in each other's place.
ALIKE = {"whole": "numbers", "real": "numbers"}


@dataclass(frozen=True)
class Problem:
    """What is wrong with the data, and the option that asks for something else."""

    option: Option
    sample: str
    message: str
    path: Path | None = None
    # What there is instead.
    there: str = ""

    def __str__(self) -> str:
        """Return it with the sample, and the file if the message does not name that itself."""
        named = self.path is None or quoted(self.path) in self.message
        place = "" if named else f"{quoted(self.path)}: "
        return f"{self.sample}: {place}{self.message}"


@dataclass(frozen=True)
class Data:
    """The files of a dataset by sample, and what is wrong with them."""

    files: dict[str, list[Path]]
    problems: tuple[Problem, ...]
    # How names were understood that may mean two things.
    notes: tuple[str, ...]
    # How many a sample's files have, whatever is selected of them.
    events: dict[str, int]


def find_data(dataset: Dataset, base: Path) -> Data:
    """Return each sample's files; raises `RefusedError` with all that is wrong with any of them.

    Or if memory cannot hold their events.
    """
    found = look(dataset, base)
    if found.problems:
        lines = dict.fromkeys(map(str, found.problems))
        there = dict.fromkeys(
            f"in {quoted(each.path)} {each.there}" for each in found.problems if each.there
        )
        raise RefusedError("\n  ".join(["the data cannot be used:", *lines, *there]))
    check_events(dataset, found.events)
    return found


def look(dataset: Dataset, base: Path) -> Data:
    """Find the files of a dataset, open each of them once, and check it against what is asked."""
    files: dict[str, list[Path]] = {}
    problems: list[Problem] = []
    notes: dict[str, None] = {}
    events: dict[str, int] = {}
    # Samples may have a file in common.
    known: dict[tuple[str, Path], Schema] = {}
    for index, sample in enumerate(dataset.samples):
        files[sample.name], lacking = find_all(sample.files, base)
        problems += [
            Problem(("samples", index, "files", place), sample.name, text)
            for place, text in lacking
        ]
        first: dict[str, tuple[str, Path]] = {}
        events[sample.name] = 0
        for path in files[sample.name]:
            obey()
            try:
                place = (repr(sample.reader), path)
                if place not in known:
                    with sample.reader.open(path) as table:
                        known[place] = table.schema
                schema = known[place]
            except NoTableError as error:
                problems.append(Problem(("samples", index), sample.name, str(error), path))
                continue
            except RefusedError as error:
                problems.append(Problem(("samples", index, "files"), sample.name, str(error), path))
                continue
            events[sample.name] += schema.n_events
            problems += check_schema(dataset, index, schema, path)
            problems += check_kinds(dataset, index, schema, path, first)
            notes |= dict.fromkeys(elements(dataset, sample, schema))
    return Data(files, tuple(once(problems)), tuple(notes), events)


def once(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the first of problems that many files of a sample have alike."""
    seen = set()
    for problem in problems:
        alike = (problem.option, problem.sample, problem.message)
        if alike not in seen:
            seen.add(alike)
            yield problem


def check_schema(dataset: Dataset, index: int, schema: Schema, path: Path) -> Iterator[Problem]:
    """Yield what a file lacks, or holds otherwise than is asked."""
    sample = dataset.samples[index]
    chunk = no_events(schema.columns, dataset.derived, dataset.missing)
    for name in dataset.derived:
        if name in schema.columns:
            text = f"there is a column {quoted(name)} already"
            yield Problem(("derived", name), sample.name, text, path)
    for option, check in checks(dataset, index, schema, chunk):
        try:
            check()
        except DerivedError:
            # Said where it is derived.
            continue
        except LackingError as error:
            quotes = "; a text stands in quotes" if option[-1] in ("selection", "weight") else ""
            yield Problem(option, sample.name, str(error), path, f"{error.there}{quotes}")
        except ExpressionError as error:
            # A file without events, such as an empty CSV file, does not say what it would hold.
            if schema.n_events:
                yield Problem(option, sample.name, str(error), path)


def checks(
    dataset: Dataset, index: int, schema: Schema, chunk: Chunk
) -> Iterator[tuple[Option, Callable[[], object]]]:
    """Yield all that is looked up in a file of a sample, with the option that asks for it."""
    sample = dataset.samples[index]

    def numbers(name: str) -> Callable[[], object]:
        return lambda: chunk.numbers(name)

    def defined(name: str) -> Callable[[], object]:
        return lambda: chunk.definition(name)

    wanted = dataset.names(sample, dataset.features)
    for name in with_origins(wanted, dataset.derived):
        if name in dataset.derived:
            yield ("derived", name), defined(name)
    for kind in ("numerical", "categorical"):
        for place, name in enumerate(getattr(dataset, kind)):
            yield (kind, place), numbers(name)
    if dataset.event_number:
        yield ("event_number",), lambda: keys(dataset.event_number, chunk, ())
    for name in dataset.further:
        yield (name,), numbers(name)
    if sample.class_column:
        column = sample.class_column
        yield (
            ("samples", index, "class_column"),
            lambda: class_labels(dataset, chunk, column, schema.labels, Counter()),
        )
    if sample.selection:
        selection = sample.selection
        yield ("samples", index, "selection"), lambda: condition(chunk, selection)
    if sample.weight:
        yield ("samples", index, "weight"), lambda: weights(chunk, sample.weight)


def check_kinds(
    dataset: Dataset,
    index: int,
    schema: Schema,
    path: Path,
    first: dict[str, tuple[str, Path]],
) -> Iterator[Problem]:
    """Yield columns that hold something else than in the sample's `first` file that has them."""
    sample = dataset.samples[index]
    names = underived(dataset.names(sample, dataset.features), dataset.derived)
    for name in names if schema.n_events else ():
        place = locate(name, schema.columns)
        if place is None:
            continue
        column = schema.columns[place[0]]
        kind = ALIKE.get(column.kind, column.kind)
        before, where = first.setdefault(place[0], (kind, path))
        if kind != before:
            text = f"{quoted(place[0])} holds {quoted(column.said)}, other than in {quoted(where)}"
            yield Problem(("samples", index, "files"), sample.name, text, path)


def elements(dataset: Dataset, sample: Sample, schema: Schema) -> Iterator[str]:
    """Yield how names were understood that might be columns, or elements of lists."""
    for name in underived(dataset.names(sample, dataset.features), dataset.derived):
        place = locate(name, schema.columns)
        if place and place[1] is not None:
            yield f"{name}: element {place[1]} of the lists in {quoted(place[0])}"
        elif place and name.endswith("]"):
            yield f"{name}: the column of this name"
