"""Events from files: read, checked, split by a stable hash, and given their weights."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from parts.inputs import check_positive
from parts.machinery.exits import RefusedError, obey
from parts.machinery.places import expand
from parts.metrics import is_yield

SPLITS = ("train", "validation", "test")
# Bytes of a file that are read at a time.
READ_AT_ONCE = 2**24
# What readers raise for a file that is damaged; the last two for a compressed one.
UNREADABLE = (OSError, ValueError, EOFError, zlib.error)


@dataclass(frozen=True)
class Sample:
    """Events of one process: which files, which of their events, and the class they belong to."""

    name: str
    label: int
    files: tuple[str, ...]
    columns: tuple[str, ...]
    selection: str | None
    weight: str | None


@dataclass(frozen=True)
class Events:
    """Events of a split; `weight` is the physical one, `loss_weight` the one of the loss."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    label: Tensor  # (event,)
    weight: Tensor  # (event,)
    loss_weight: Tensor  # (event,)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors in the order of a batch."""
        return self.numerical, self.categorical, self.label, self.weight, self.loss_weight


def find_files(samples: Sequence[Sample], base: Path) -> dict[str, list[Path]]:
    """Return each sample's files; raises `RefusedError` with all that is wrong with any of them."""
    found: dict[str, list[Path]] = {}
    problems: list[str] = []
    for sample in samples:
        found[sample.name] = files = []
        for pattern in sample.files:
            place = expand(pattern, base)
            pattern = str(place.relative_to(place.anchor))
            # A name may hold the letters of a pattern; two patterns may match one file.
            matches = [place] if place.is_file() else sorted(Path(place.anchor).glob(pattern))
            files += [path for path in matches if path not in files]
            if not matches:
                problems.append(f"{sample.name}: there is no file {place}")
    for sample in samples:
        for path in found[sample.name]:
            obey()
            try:
                lacking = sorted(set(sample.columns) - set(column_names(path)))
            except UNREADABLE as error:
                problems.append(f"{sample.name}: cannot read {path}: {error}")
                continue
            if lacking:
                problems.append(f"{sample.name}: {path} has no column {', '.join(lacking)}")
    if problems:
        raise RefusedError("\n  ".join(["the data cannot be used:", *dict.fromkeys(problems)]))
    return found


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    if path.suffix == ".parquet":
        return list(pq.read_schema(path).names)
    return list(pd.read_csv(path, nrows=0).columns)


def read_file(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a file; raises `RefusedError`."""
    obey()
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=list(columns), partitioning=None)
            # Not the index that pandas may have kept there: it would hide a column.
            return table.to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
        return pd.read_csv(path, usecols=list(columns))
    except UNREADABLE as error:
        raise RefusedError(f"cannot read {path}: {error}") from error


def fingerprints(files: dict[str, list[Path]]) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {str(path): data_digest(path) for paths in files.values() for path in paths}


def data_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be large."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_AT_ONCE):
            obey()
            found.update(chunk)
    return found.hexdigest()


def check_fingerprints(found: dict[str, str], pinned: dict[str, str], base: Path) -> None:
    """Raise `RefusedError` if a file is not the one that the spec pins."""
    for name, expected in pinned.items():
        path = str(expand(name, base))
        if found.get(path) != expected:
            actual = found.get(path, "not read at all")
            raise RefusedError(f"{path} has changed: {actual}, but the spec pins {expected}")


def read_sample(
    sample: Sample,
    files: Sequence[Path],
    features: Sequence[str],
    missing: float | None,
    event_number: str | None,
) -> pd.DataFrame:
    """Return a sample's selected events with columns `label` and `weight` of our own added."""
    tables = {path: read_file(path, sample.columns) for path in files}
    # An empty CSV file does not say what its columns would hold.
    tables = {path: table for path, table in tables.items() if len(table)}
    if not tables:
        raise RefusedError(f"{sample.name}: there is no event in {', '.join(map(str, files))}")
    for path, table in tables.items():
        if event_number and not pd.api.types.is_integer_dtype(table[event_number]):
            raise RefusedError(f"{path}: the column {event_number} does not hold whole numbers")
        if event_number:
            # Signed and unsigned numbers together would become floating ones, and round.
            table[event_number] = table[event_number].astype(np.int64)
    events = pd.concat(tables.values(), ignore_index=True)
    for name in sample.columns:
        if not pd.api.types.is_numeric_dtype(events[name]) and name in features:
            raise RefusedError(f"{sample.name}: the column {name} does not hold numbers")
    try:
        if sample.selection:
            events = events.query(sample.selection).reset_index(drop=True)
        weight = events.eval(sample.weight) if sample.weight else pd.Series(1.0, events.index)
        weights = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError, pd.errors.UndefinedVariableError) as error:
        raise RefusedError(f"{sample.name}: selection or weight: {error}") from error
    if not len(events):
        raise RefusedError(f"{sample.name}: no event is left after the selection")
    values = events[list(features)].to_numpy(dtype=np.float64)
    # The sentinel may be nan itself, and then differs from itself.
    allowed = np.isfinite(values) | (np.isnan(values) & (missing != missing))
    if not allowed.all():
        counts = dict(zip(features, (~allowed).sum(axis=0), strict=True))
        bad = ", ".join(f"{name} ({count} events)" for name, count in counts.items() if count)
        raise RefusedError(f"{sample.name}: nan or infinite values in {bad}")
    if not np.isfinite(weights).all():
        raise RefusedError(f"{sample.name}: nan or infinite weights")
    # No column of a file may begin with a space.
    added = pd.DataFrame({" label": sample.label, " weight": weights}, events.index)
    return pd.concat([events, added], axis=1)


def shares(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each event, a hash of `keys` (event, key).

    The hash is SplitMix64 (Steele et al., OOPSLA 2014): the same on every machine, for ever.
    """
    state = np.zeros(len(keys), dtype=np.uint64)
    for column in keys.T:
        z = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = z ^ (z >> np.uint64(31))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) / 2.0**53)


def assign(keys: NDArray[np.uint64], train: float, validation: float) -> NDArray[np.int64]:
    """Return each event's split (0, 1, 2): its hash against the shares."""
    return np.digitize(shares(keys), [train, train + validation])


def split_keys(
    events: pd.DataFrame, event_number: str | None, features: Sequence[str]
) -> NDArray[np.uint64]:
    """Return what names an event: its number, or else its features, bit by bit (event, key)."""
    names = [event_number] if event_number else list(features)
    keys = events[names].to_numpy(dtype=np.int64 if event_number else np.float64)
    return keys.view(np.uint64)


def to_numbers(events: pd.DataFrame, numerical: Sequence[str], dtype: torch.dtype) -> Tensor:
    """Return the numerical features (event, feature); raises `RefusedError` for too large ones."""
    numbers = torch.tensor(events[list(numerical)].to_numpy(dtype=np.float64), dtype=dtype)
    large = [
        name for name, column in zip(numerical, numbers.T, strict=True) if column.isinf().any()
    ]
    if large:
        raise RefusedError(f"values of {', '.join(large)} are too large for {dtype}")
    return numbers


def to_categories(events: pd.DataFrame, categorical: Sequence[str]) -> Tensor:
    """Return the categorical features (event, feature); raises `RefusedError` for fractions."""
    whole = events[list(categorical)].to_numpy(dtype=np.float64)
    if (whole != np.floor(whole)).any():
        raise RefusedError("categorical features must be whole numbers")
    return torch.tensor(whole, dtype=torch.int64)


def loss_weights(
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
    train: NDArray[np.bool_],
    classes: Sequence[str],
    use_mc_weights: bool,
    use_class_weights: bool,
) -> NDArray[np.float64]:
    """Return weights of mean 1 over training events; signs stay, classes count equally if asked."""
    weight = weight if use_mc_weights else np.ones_like(weight)
    totals, sizes = (
        np.bincount(label[train], part[train], len(classes)) for part in (weight, np.abs(weight))
    )
    for name, total, size in zip(classes, totals, sizes, strict=True):
        if not is_yield(total, size):
            raise RefusedError(f"the training weights of class {name} add up to {total:g}")
    count = np.count_nonzero(train)
    factors = count / len(classes) / totals if use_class_weights else count / totals.sum()
    return np.asarray(weight * np.broadcast_to(factors, totals.shape)[label])


def check_splits(
    split: NDArray[np.int64],
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
    classes: Sequence[str],
) -> None:
    """Print events and yields of each split; raises `RefusedError` where a class has none."""
    if len(classes) == 2:
        print(f"signal: {classes[1]}, background: {classes[0]}")
    for index, name in enumerate(SPLITS):
        chosen = split == index
        counts = np.bincount(label[chosen], minlength=len(classes))
        yields = np.bincount(label[chosen], weight[chosen], len(classes))
        sizes = np.bincount(label[chosen], np.abs(weight[chosen]), len(classes))
        text = [f"{c} {n} ({y:.4g})" for c, n, y in zip(classes, counts, yields, strict=True)]
        print(f"{name}: {', '.join(text)} events (sum of weights)")
        for c, n, y, size in zip(classes, counts, yields, sizes, strict=True):
            if not n or not is_yield(y, size):
                raise RefusedError(f"{name}: class {c} has {n} events with weights of sum {y:g}")


def read_splits(
    samples: Sequence[Sample],
    files: dict[str, list[Path]],
    numerical: Sequence[str],
    categorical: Sequence[str],
    missing: float | None,
    event_number: str | None,
    train: float,
    validation: float,
    classes: Sequence[str],
    use_mc_weights: bool,
    use_class_weights: bool,
    dtype: torch.dtype,
    logarithmic: Sequence[str] = (),
) -> tuple[Events, Events, Events]:
    """Return the events of training, validation and test; raises `RefusedError`."""
    features = [*numerical, *categorical]
    events = pd.concat(
        [
            read_sample(sample, files[sample.name], features, missing, event_number)
            for sample in samples
        ],
        ignore_index=True,
    )
    label = events[" label"].to_numpy(dtype=np.int64)
    weight = events[" weight"].to_numpy()
    split = assign(split_keys(events, event_number, features), train, validation)
    check_splits(split, label, weight, classes)
    weights = weight.copy()
    loss_weight = loss_weights(
        label, weight, split == 0, classes, use_mc_weights, use_class_weights
    )
    # Each split stands for all events: its yields, class by class, are those of all splits.
    for index in range(len(SPLITS)):
        chosen = split == index
        part = np.bincount(label[chosen], weight[chosen], len(classes))
        weight = np.where(chosen, weight * (np.bincount(label, weights) / part)[label], weight)
    numbers = to_numbers(events, numerical, dtype)
    categories = to_categories(events, categorical)
    parts = []
    for index in range(len(SPLITS)):
        chosen = split == index
        parts.append(
            Events(
                numbers[torch.tensor(chosen)],
                categories[torch.tensor(chosen)],
                torch.tensor(label[chosen]),
                torch.tensor(weight[chosen], dtype=dtype),
                torch.tensor(loss_weight[chosen], dtype=dtype),
            )
        )
    for each in parts:
        check_positive(each.numerical, numerical, logarithmic, missing)
    return parts[0], parts[1], parts[2]
