"""`[dataset_config]`: samples, features, weights, split, scaling and batches."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from attrs import frozen

from parts.grammar import with_origins
from seesawc.tables import expressions
from seesawc.tables.values import (
    Amount,
    Column,
    Count,
    DataPath,
    Kept,
    Label,
    Name,
    Rule,
    Share,
    Whole,
    WrongValue,
    check_literal,
    distinct,
    nonempty,
    option,
    required,
    unchanged,
)

Scaling = Literal["standard", "minmax", "robust", "quantile", "none"]
# Which reader opens a file, by the end of its name; "/" is that of a folder.
READERS = {
    ".root": "Root",
    ".h5": "Hdf5",
    ".hdf5": "Hdf5",
    ".parquet": "Parquet",
    "/": "Parquet",
    ".csv": "Csv",
    ".csv.gz": "Csv",
}
# Files of these may hold several tables, and the option names one.
TABLES = {"Root": "tree", "Hdf5": "table"}
# Each is a training.
MOST_FOLDS = 100


def reader_of(file: str) -> str:
    """Return which reader opens a file."""
    return next(reader for ending, reader in READERS.items() if file.endswith(ending))


def _file(value: str) -> None:
    if "://" in value:
        raise WrongValue(
            f"{value!a} lies on a server, and files are read from disks",
            "copy it (xrdcp, rucio download, aws s3 cp), or mount it, and name that place",
        )
    if not value.endswith(tuple(READERS)):
        endings = ", ".join(ending for ending in READERS if ending != "/")
        hint = f"{endings}, or a folder of Parquet files, with / at its end"
        raise WrongValue(f"{value!a} is no kind of file that can be read", hint)
    if any("**" in part and part != "**" for part in value.split("/")):
        raise WrongValue(
            f"{value!a}: ** stands for folders, between two /", "* stands for any characters"
        )


def _alike(value: tuple[int | str, ...]) -> None:
    if len({type(each) for each in value}) > 1:
        raise WrongValue("whole numbers and texts in one list", "what the column holds")


def _digest(value: str) -> None:
    if re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise WrongValue(f"{value!a} is not a SHA-256 digest", "64 of the characters 0-9 a-f")


def _folds(value: int) -> None:
    if not 3 <= value <= MOST_FOLDS:
        hint = f"3 to {MOST_FOLDS}: one is tested, one validated, and the rest trained on"
        raise WrongValue(f"{value} folds", hint)


File = Annotated[DataPath, Rule(_file)]
Columns = Annotated[tuple[Column, ...], Rule(distinct)]
ClassValue = int | Annotated[str, Rule(check_literal)]
ClassValues = Annotated[tuple[ClassValue, ...], Rule(nonempty), Rule(distinct), Rule(_alike)]


@frozen(kw_only=True)
class SampleTable:
    """`[[dataset_config.samples]]`: events of one process; None: left open."""

    name: Name = required("Name of the sample.")
    label: Name | None = option("signal: class of its events.")
    class_column: Column | None = option(
        "signal: column of texts or whole numbers that tells the class, in the place of `class`."
    )
    kind: Literal["data", "mc"] | None = option("fakes: data, or Monte Carlo.")
    files: Annotated[tuple[File, ...], Rule(nonempty)] = required(
        "Files, relative to the spec; * and ? stand for any characters. ROOT, HDF5, Parquet, CSV."
    )
    tree: Column | None = option("TTree or RNTuple of ROOT files. Left out: the only one.")
    table: Column | None = option("Array or group of HDF5 files. Left out: the only array.")
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
    class_values: Mapping[Name, ClassValues] | None = option(
        "What a class_column holds for each class, such as [0, 2]. Left out: the class's name, or"
        " its number in the file's own `labels`."
    )
    drop_other_classes: bool = option(
        "Leave out events of which the class_column names no class; false: they are refused.", False
    )
    derived: Mapping[Column, expressions.Derived] = option(
        'Further columns by name, such as ht = "jet1_pt + jet2_pt".', factory=dict
    )
    event_number: Column | None = option(
        "Whole-number column that assigns an event to a split. Left out: all features do."
    )
    weight: expressions.Weight | None = option(
        "Weight of an event: an expression of columns. Left out: 1."
    )
    numerical: Columns = option("Columns of numbers that the network sees.", factory=tuple)
    categorical: Columns = option("Columns of whole numbers that are embedded.", factory=tuple)
    missing: Kept | None = option(
        "Value of a numerical feature that does not exist, such as -999; also of what is derived"
        " from one, of a null, and of an element behind the end of a list."
    )
    split: SplitTable | None = option(
        "Shares of training, validation and test. Left out: 0.6, 0.2 and 0.2, or folds."
    )
    folds: Annotated[int, Rule(_folds)] | None = option(
        "signal: parts of a cross-validation, in the place of `split`. Each fold is tested by a"
        " training that is validated on the fold after it, and has learnt from the others."
    )
    fold: Whole | None = option(
        "Which fold is tested, from 0. Left out: all, each by a training of its own."
    )
    logarithmic: Columns = option(
        "Numerical features whose logarithm is scaled; all their values are positive.",
        factory=tuple,
    )
    scaling: Scaling = option("How numerical features are scaled, on training events.", "standard")
    batch_size: Count = option("Events of a training step, on each device.", 1024)
    max_memory: Amount | None = option(
        "signal: memory that a training may take beyond its imports, such as 4G; events lie on a"
        " disk, below save_dir. Left out: all events are in memory."
    )
    use_mc_weights: bool = option("Event weights, with their sign, enter the loss.", True)
    negative_weights: Literal["keep", "drop", "absolute"] = option(
        "signal: what negative weights do in training: keep their sign, drop out of it, or enter"
        " with their absolute value. Validation and test keep the sign.",
        "keep",
    )
    use_class_weights: bool | None = option(
        "Every class counts as much as any other in the loss. Left out: for signal, not for fakes."
    )
    labels: Mapping[Column, Label] = option(
        'Text of a feature in plots, with its unit: "$p_T$ [GeV]".', factory=dict
    )
    class_labels: Mapping[Name, Label] = option("Text of a class in plots.", factory=dict)
    fingerprints: Mapping[str, Annotated[str, Rule(_digest)]] = option(
        "SHA-256 of files: the script stops if one has changed.", factory=dict
    )

    @property
    def every_fold(self) -> bool:
        """Whether each fold is tested, by as many trainings."""
        return self.folds is not None and self.fold is None


@frozen(kw_only=True)
class Sample(SampleTable):
    """A sample with nothing left open; of label and kind, one is set."""

    weight: str | None


@frozen(kw_only=True)
class Dataset(DatasetTable):
    """The options with nothing left open; the last of two `classes` is the signal."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    # None where there are folds.
    split: SplitTable | None
    use_class_weights: bool


def resolve(table: DatasetTable, task: Literal["signal", "fakes"], all_tested: bool) -> Dataset:
    """Fill the classes, which fakes do not have, and each sample's weight from the table's."""
    samples = tuple(
        Sample(**unchanged(sample, Sample), weight=sample.weight or table.weight)
        for sample in table.samples
    )
    return Dataset(
        **unchanged(table, Dataset),
        samples=samples,
        split=_split(table, all_tested),
        classes=() if task == "fakes" else table.classes or _classes(table),
        use_class_weights=(
            task == "signal" if table.use_class_weights is None else table.use_class_weights
        ),
    )


def _split(table: DatasetTable, all_tested: bool) -> SplitTable | None:
    if table.folds is not None:
        return None
    if all_tested:
        return SplitTable(train=0.0, validation=0.0, test=1.0)
    return table.split or SplitTable()


def _classes(table: DatasetTable) -> tuple[str, ...]:
    """Order the classes as they are named first, but `background` first and `signal` last."""
    named = dict.fromkeys(sample.label for sample in table.samples if sample.label is not None)
    named |= dict.fromkeys(table.class_values or ())
    return tuple(sorted(named, key=lambda name: (name == "signal") - (name == "background")))


def used_columns(dataset: Dataset, sample: Sample, further: Iterable[str] = ()) -> tuple[str, ...]:
    """Return all columns that are looked up in a sample, derived ones included, each once."""
    wanted = [*dataset.numerical, *dataset.categorical, *further]
    wanted += [name for name in (dataset.event_number, sample.class_column) if name]
    for expression in (sample.selection, sample.weight):
        wanted += expressions.columns(expression) if expression else ()
    return tuple(with_origins(wanted, dataset.derived))


def weight_columns(dataset: Dataset) -> frozenset[str]:
    """Return all columns that weights are computed from."""
    weights = (sample.weight for sample in dataset.samples if sample.weight)
    used = (name for weight in weights for name in expressions.columns(weight))
    return frozenset(with_origins(used, dataset.derived))


def used_derived(dataset: Dataset, further: Iterable[str] = ()) -> dict[str, str]:
    """Return the derived columns that some sample needs, in the order of the spec."""
    used = {name for sample in dataset.samples for name in used_columns(dataset, sample, further)}
    return {name: text for name, text in dataset.derived.items() if name in used}


def label_of(dataset: Dataset, sample: Sample) -> int | None:
    """Return the label of a sample's events: of its class, or 1 for data; None: a column tells."""
    if sample.kind is not None:
        return int(sample.kind == "data")
    return None if sample.label is None else dataset.classes.index(sample.label)
