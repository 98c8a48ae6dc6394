"""`[dataset_config]`: samples, features, weights, split, scaling and batches."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from attrs import frozen

from seesawc.tables import expressions
from seesawc.tables.values import (
    Column,
    Count,
    DataPath,
    Name,
    Rule,
    Share,
    WrongValue,
    distinct,
    nonempty,
    option,
    required,
    unchanged,
)

Scaling = Literal["standard", "minmax", "robust", "quantile", "none"]
READERS = (".csv", ".csv.gz", ".parquet")


def _file(value: str) -> None:
    if not value.endswith(READERS):
        raise WrongValue(f"{value!a} is no kind of file that can be read", f"{', '.join(READERS)}")


def _digest(value: str) -> None:
    if re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise WrongValue(f"{value!a} is not a SHA-256 digest", "64 of the characters 0-9 a-f")


File = Annotated[DataPath, Rule(_file)]
Columns = Annotated[tuple[Column, ...], Rule(distinct)]


@frozen(kw_only=True)
class SampleTable:
    """`[[dataset_config.samples]]`: events of one process; None: left open."""

    name: Name = required("Name of the sample.")
    label: Name | None = option("signal: class of its events.")
    kind: Literal["data", "mc"] | None = option("fakes: data, or Monte Carlo.")
    files: Annotated[tuple[File, ...], Rule(nonempty)] = required(
        "Files, relative to the spec; * and ? stand for any characters."
    )
    selection: expressions.Selection | None = option(
        'Which events to take, such as "process == 1 and lep1_pt > 20". Left out: all.'
    )
    weight: expressions.Weight | None = option(
        "Weight of an event: an expression of columns. Left out: dataset_config.weight."
    )


@frozen(kw_only=True)
class SplitTable:
    """`split`: which share of the events serves for what."""

    train: Share = option("Share that the network learns from.", 0.6)
    validation: Share = option("Share that metrics, plots and stopping use.", 0.2)
    test: Share = option("Share that is used once, at the end.", 0.2)


@frozen(kw_only=True)
class DatasetTable:
    """What the author wrote; None: left open."""

    samples: Annotated[tuple[SampleTable, ...], Rule(nonempty)] = required(
        "Where events come from."
    )
    classes: Annotated[tuple[Name, ...], Rule(distinct)] | None = option(
        "Order of the classes; for two, the second is the signal. Left out: as samples name them."
    )
    event_number: Column | None = option(
        "Whole-number column that assigns an event to a split. Left out: all features do."
    )
    weight: expressions.Weight | None = option(
        "Weight of an event: an expression of columns. Left out: 1."
    )
    numerical: Columns = option("Columns of numbers that the network sees.", factory=tuple)
    categorical: Columns = option("Columns of whole numbers that are embedded.", factory=tuple)
    missing: float | None = option(
        "Value of a numerical feature that does not exist, such as -999."
    )
    split: SplitTable = option("Shares of training, validation and test.", factory=SplitTable)
    logarithmic: Columns = option(
        "Numerical features whose logarithm is scaled; all their values are positive.",
        factory=tuple,
    )
    scaling: Scaling = option("How numerical features are scaled, on training events.", "standard")
    batch_size: Count = option("Events of a training step, on each device.", 1024)
    use_mc_weights: bool = option("Event weights, with their sign, enter the loss.", True)
    use_class_weights: bool | None = option(
        "Every class counts as much as any other in the loss. Left out: for signal, not for fakes."
    )
    fingerprints: Mapping[str, Annotated[str, Rule(_digest)]] = option(
        "SHA-256 of files: the script stops if one has changed.", factory=dict
    )


@frozen(kw_only=True)
class Sample(SampleTable):
    """A sample with nothing left open; of label and kind, one is set."""

    weight: str | None


@frozen(kw_only=True)
class Dataset(DatasetTable):
    """The options with nothing left open; the last of two `classes` is the signal."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    use_class_weights: bool


def resolve(table: DatasetTable, task: Literal["signal", "fakes"]) -> Dataset:
    """Fill the classes, which fakes do not have, and each sample's weight from the table's."""
    samples = tuple(
        Sample(**unchanged(sample, Sample), weight=sample.weight or table.weight)
        for sample in table.samples
    )
    return Dataset(
        **unchanged(table, Dataset),
        samples=samples,
        classes=() if task == "fakes" else table.classes or _classes(samples),
        use_class_weights=(
            task == "signal" if table.use_class_weights is None else table.use_class_weights
        ),
    )


def _classes(samples: tuple[Sample, ...]) -> tuple[str, ...]:
    """Order the classes as samples name them, but `background` first and `signal` last."""
    named = dict.fromkeys(sample.label for sample in samples if sample.label is not None)
    return tuple(sorted(named, key=lambda name: (name == "signal") - (name == "background")))


def sample_columns(
    dataset: Dataset, sample: Sample, further: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the columns that a sample's files must have besides the features, each once."""
    wanted = [dataset.event_number] if dataset.event_number else []
    wanted += further
    for expression in (sample.selection, sample.weight):
        wanted += expressions.columns(expression) if expression else []
    features = {*dataset.numerical, *dataset.categorical}
    return tuple(name for name in dict.fromkeys(wanted) if name not in features)
