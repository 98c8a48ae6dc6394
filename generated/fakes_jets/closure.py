"""Closure of the fake factor of fakes_jets, on leptons that no network was trained on.

Tight data should be what tight Monte Carlo and fakes add up to, fakes being loose data and loose
Monte Carlo weighted with F and -F. Shown for the network of train_ratio.py and for the classical
binned fake factor.
Compiled from the spec fakes_jets.toml by seesawc; change the spec, not this file.

    python closure.py                  after train_ratio.py; writes closure.json and plots
    python closure.py --again LABEL    for the run that was trained with --again LABEL

Exit status: 0 it closes within the tolerance, 1 refused, 5 it does not.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "pandas==3.1.1",
#     "pyarrow==25.0.1",
#     "torch==2.13.0",
# ]
# ///

import argparse
import errno
import hashlib
import json
import math
import os
import re
import shutil
import signal
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import torch
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from torch import Tensor

EXPERIMENT_NAME = "fakes_jets"
RUN_NAME = "fakes_jets_MLP_20261127T222752Z-ratio"
# The script of the ratio, by digest: what it has left belongs to what is tested here.
RATIO = "f8f3a422619ec22533e0f018de50642986ed56615068e0a97c835c8519a40b2a"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"

# Dataset.
EVENT_NUMBER = "event"
NUMERICAL = ("pt", "eta")
CATEGORICAL = ("n_jets",)
TRAIN, VALIDATION, TEST = (0.7, 0.15, 0.15)

# Fakes.
CATEGORY, TIGHT, LOOSE = ("toy_type", 0, 2)
BINNED: dict[str, list[float]] = {
    "pt": [15.0, 20.0, 30.0, 40.0, 60.0, 100.0, 300.0],
    "eta": [-2.5, -1.5, -0.8, 0.8, 1.5, 2.5],
}
TOLERANCE = 0.05

SPEC_FOLDER = Path(__file__).resolve().parent / "../../specs"


# How a run ends: exit statuses, the exceptions that lead to them, and the signals that ask for it.


PREEMPTED = 75
INTERRUPTED = 130
CANCELLED = 143

# What SLURM, a terminal and a user end a run with.
SIGNALS = {
    signal.SIGTERM: CANCELLED,
    signal.SIGUSR2: PREEMPTED,
    signal.SIGINT: INTERRUPTED,
}


class RefusedError(Exception):
    """The run cannot start, or cannot go on, as things stand; nothing was lost."""


class StoppedError(Exception):
    """A signal asked the run to stop; what it has reached is saved."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped by a signal, exit status {status}")
        self.status = status


class Asked:
    """What signals have asked of this process."""

    def __init__(self) -> None:
        # The exit status that the last of them leads to.
        self.status = 0
        # Whether tasks stop together, between two steps: then none stops alone at `obey`.
        self.together = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C kills the process where it stands."""
        self.status = SIGNALS[signal.Signals(number)]
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)


ASKED = Asked()


def listen(together: bool = False) -> None:
    """Note the signals that end a run, from now on; `together` with other tasks or alone."""
    ASKED.together = together
    for number in SIGNALS:
        signal.signal(number, ASKED.note)


def stop_listening() -> None:
    """Let no signal change how the process ends: Python gives back its handlers before it is over.

    What is ignored stays so.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def obey() -> None:
    """Raise `StoppedError` if a signal has come: called where nothing is half done."""
    if ASKED.status and not ASKED.together:
        raise StoppedError(ASKED.status)


# The exported fake factor, applied to events of any kind that has columns by name.


# Events at a time, which bounds the memory.
CHUNK = 262_144


def member_factors(model: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of each member of the ensemble (event, member).

    `events` has a column (event,) for each feature: a DataFrame, a dict of arrays, an awkward
    record array. Raises `RefusedError` for a column that is missing, or that holds what no event of
    the training could: infinite or missing values, categories that are not whole numbers.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options = onnxruntime.SessionOptions()
    # Its own choice would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(threads)) if threads.isdigit() else 1
    try:
        session = onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its errors have no class in common.
    except Exception as error:
        raise RefusedError(f"cannot read {model}: {error}") from error
    known = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    inputs: dict[str, NDArray[Any]] = {}
    for given in session.get_inputs():
        columns = stacked(events, known[given.name])
        allowed = np.isfinite(columns) | (np.isnan(columns) & (known["missing"] == "nan"))
        if given.name == "categorical":
            allowed = columns == np.floor(columns)
        if not allowed.all():
            bad = [
                n for n, good in zip(known[given.name], allowed.T, strict=True) if not good.all()
            ]
            raise RefusedError(f"values that the network has never seen in {', '.join(bad)}")
        inputs[given.name] = columns.astype(kinds[given.type])
    size = len(next(iter(inputs.values())))
    found = []
    for start in range(0, max(size, 1), CHUNK):
        obey()
        chunk = {name: array[start : start + CHUNK] for name, array in inputs.items()}
        found.append(session.run(None, chunk)[0])
    return np.concatenate(found).astype(np.float64)


def stacked(events: Mapping[str, Any], names: Sequence[str]) -> NDArray[np.float64]:
    """Return columns side by side (event, column); raises `RefusedError`."""
    columns = []
    for name in names:
        try:
            column = np.asarray(events[name], dtype=np.float64)
            if column.ndim != 1:
                raise ValueError("not one number each")
            columns.append(column)
        except (KeyError, TypeError, ValueError) as error:
            message = f"the events have no column {name} of one number each"
            raise RefusedError(message) from error
    return np.stack(columns, axis=1)


# The command line of a training script.


def label(text: str) -> str:
    """Return a text that may become part of a folder's name, or raise."""
    if re.fullmatch(r"[A-Za-z0-9_.+-]{0,50}", text) is None:
        raise argparse.ArgumentTypeError("letters, digits and _ . + - only, 50 of them at most")
    return text


# Metrics of weighted events: signed Monte Carlo weights count with their sign everywhere.


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Signed weights whose sum is less than this share of their sizes cancel: what is left is rounding.
ROUNDING = 1e-9


def is_yield(total: Floats, size: Floats) -> Bools:
    """Whether a sum of weights is positive, `size` being the sum of their absolute values."""
    return np.asarray(total > ROUNDING * size)


# Estimates of density ratios for the leptons of one split.


@dataclass(frozen=True)
class Estimates:
    """What the networks say of leptons; a ratio r is that of target 1 to target 0."""

    log_ratio: Floats  # (event, member): log r
    label: Ints  # (event,): the target
    weight: Floats  # (event,): physical and signed
    loss_weight: Floats  # (event, member): what the loss weighs an event with
    numerical: Floats  # (event, feature)
    categorical: Ints  # (event, feature)


# Where things lie: `${NAME}` in paths, and files that a crash leaves old or new, never half.


# Where a run started by hand goes if the site's variables are not set.
FALLBACKS = {"ANALYSIS_ML_LOGS_DIR": "logs", "ANALYSIS_ML_RESULTS_DIR": "results"}


def expand(path: str, base: Path) -> Path:
    """Return `path` with its `${NAME}` filled in; a relative one starts at `base`.

    What a variable says relatively starts where the run does, as it would in a shell.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ and name in FALLBACKS:
            place = Path.cwd() / FALLBACKS[name]
            print(f"{name} is not set, using {place}", file=sys.stderr)
            return str(place)
        if not os.environ.get(name):
            raise RefusedError(f"the variable {name} is not set; {path} needs it")
        return os.environ[name]

    base = Path.cwd() if path.startswith("${") else base
    return (base / re.sub(r"\$\{([A-Z0-9_]+)\}", value, path)).resolve()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new."""
    # The temporary file lies in the same folder: across file systems a move is a copy
    # (Lightning #19970), and without fsync the new name may come before its content.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    free = shutil.disk_usage(path.parent).free
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        # What did not fit on a full disk must not keep it full.
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"no space left for {path}: {len(data)} bytes needed, {free} free"
            raise OSError(error.errno, text) from error
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's new names survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Events from files: read, checked, split by a stable hash, and given their weights.


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


# Leptons from files: data or Monte Carlo, tight or loose, split by a stable hash.


@dataclass(frozen=True)
class Category:
    """The column that tells tight leptons from loose ones, and its two values."""

    column: str
    tight: int
    loose: int


@dataclass(frozen=True)
class Crack:
    """Where the calorimeter has a gap: leptons with low < |eta| < high are left out."""

    eta: str
    low: float
    high: float


@dataclass(frozen=True)
class Leptons:
    """Leptons of a split; weights are physical and keep their sign, yields and all."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    is_data: Tensor  # (event,), of bool
    is_tight: Tensor  # (event,), of bool
    weight: Tensor  # (event,)
    keys: NDArray[np.uint64]  # (event, key): what names an event and its sample, wherever it stands


def read_leptons(
    samples: Sequence[Sample],
    files: dict[str, list[Path]],
    numerical: Sequence[str],
    categorical: Sequence[str],
    missing: float | None,
    event_number: str | None,
    train: float,
    validation: float,
    category: Category,
    crack: Crack | None,
    dtype: torch.dtype,
) -> tuple[Leptons, Leptons, Leptons]:
    """Return the leptons of training, validation and test; raises `RefusedError`.

    The label of a sample is 1 for data and 0 for Monte Carlo.
    """
    features = [*numerical, *categorical]
    tables = []
    for sample in samples:
        table = read_sample(sample, files[sample.name], features, missing, event_number)
        check_category(sample.name, table[category.column], category)
        if crack is not None:
            check_eta(sample.name, table[crack.eta])
            table = table[~in_crack(table[crack.eta].to_numpy(dtype=np.float64), crack)]
        tables.append(table)
    owners = np.repeat([sample_key(sample.name) for sample in samples], [len(t) for t in tables])
    events = pd.concat(tables, ignore_index=True)
    keys = split_keys(events, event_number, features)
    split = assign(keys, train, validation)
    # Samples number their events alike; what is drawn for one must not be drawn for another.
    keys = np.hstack([owners[:, np.newaxis], keys])
    numbers = to_numbers(events, numerical, dtype)
    categories = to_categories(events, categorical)
    is_data = torch.tensor(events[" label"].to_numpy() == 1)
    is_tight = torch.tensor(events[category.column].to_numpy() == category.tight)
    weight = torch.tensor(events[" weight"].to_numpy(), dtype=dtype)
    parts = []
    for index in range(len(SPLITS)):
        chosen = split == index
        place = torch.tensor(chosen)
        parts.append(
            Leptons(
                numbers[place],
                categories[place],
                is_data[place],
                is_tight[place],
                weight[place],
                keys[chosen],
            )
        )
    for name, part in zip(SPLITS, parts, strict=True):
        check_yields(name, part)
    return parts[0], parts[1], parts[2]


def sample_key(name: str) -> np.uint64:
    """Return a number that a sample's name alone decides."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def check_eta(sample: str, values: pd.Series) -> None:
    """Raise `RefusedError` where nothing can tell whether a lepton lies in the crack."""
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        raise RefusedError(f"{sample}: the column {values.name} does not hold numbers alone")


def check_category(sample: str, values: pd.Series, category: Category) -> None:
    """Raise `RefusedError` for a lepton that is neither tight nor loose: it is never taken so."""
    others = values[(values != category.tight) & (values != category.loose)]
    if len(others):
        counts = others.value_counts(dropna=False).head(5)
        found = ", ".join(f"{value} ({count} events)" for value, count in counts.items())
        raise RefusedError(
            f"{sample}: {category.column} is {found}; tight is {category.tight},"
            f" loose {category.loose}; a selection can leave out the rest"
        )


def in_crack(eta: NDArray[np.float64], crack: Crack) -> NDArray[np.bool_]:
    """Whether leptons lie in the crack: (event,)."""
    return np.asarray((np.abs(eta) > crack.low) & (np.abs(eta) < crack.high))


def check_yields(split: str, leptons: Leptons) -> None:
    """Print events and yields; raises `RefusedError` where there are none, or too much MC."""
    for region, tight in (("tight", True), ("loose", False)):
        here = leptons.is_tight == tight
        yields = []
        for kind, chosen in (("data", here & leptons.is_data), ("MC", here & ~leptons.is_data)):
            weight = leptons.weight[chosen].double().numpy()
            count, total = len(weight), weight.sum()
            yields.append(total)
            print(f"{split}: {region} {kind} {count} events, sum of weights {total:.5g}")
            if not count or not is_yield(total, np.abs(weight).sum()):
                raise RefusedError(
                    f"{split}: {count} {region} events of {kind} with weights of sum {total:g}"
                )
        if yields[0] <= yields[1]:
            raise RefusedError(
                f"{split}: {region} MC, {yields[1]:g}, exceeds data, {yields[0]:g}:"
                " the density of fakes would be negative"
            )


# Sums by bins of the variables, and what they say of density ratios and of the fake factor.


WHOLE_VALUES = 20


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Edges of bins of about equally many events; of one bin a value for few whole numbers."""
    distinct = np.unique(values[np.isfinite(values)])
    whole = distinct.size <= WHOLE_VALUES and (distinct == np.round(distinct)).all()
    if distinct.size and whole and np.abs(distinct).max() < 1e9:
        between = np.floor((distinct[:-1] + distinct[1:]) / 2) + 0.5
        return np.concatenate((distinct[:1] - 0.5, between, distinct[-1:] + 0.5))
    if distinct.size < 2:
        center = distinct[0] if distinct.size else 0.0
        width = max(0.5, 0.01 * abs(center))
        return np.array([center - width, center + width])
    return np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, bins + 1)))


def spans_decades(edges: Floats) -> bool:
    """Whether a variable is positive and spans a factor of 50: its axis is logarithmic."""
    return bool(edges[0] > 0 and edges[-1] > 50 * edges[0])


def even_edges(values: Floats, bins: int) -> Floats:
    """Edges for the eye: even on the axis, and joined until bins hold ten values and 0.2 %.

    A tail that would stretch a linear axis is left outside, to be put into the outer bins.
    """
    values = np.sort(values[np.isfinite(values)])
    grid = fine = quantile_edges(values, 200)
    if len(fine) > max(bins, WHOLE_VALUES) + 1:
        low = fine[0] if fine[0] >= 0 else fine[1]
        high = fine[-1] if spans_decades(fine) else fine[-2]
        space = np.geomspace if spans_decades(np.array([low, high])) else np.linspace
        grid = space(low, high, bins + 1)
    kept, least = [0], max(10, 0.002 * len(values))
    below = np.searchsorted(values, grid)
    below[[0, -1]] = 0, len(values)
    for index in range(1, len(grid)):
        if below[index] - below[kept[-1]] >= least:
            kept.append(index)
    return grid[[*(kept[:-1] or [0]), len(grid) - 1]]


def bins_of(values: Floats, edges: Floats) -> Ints:
    """Bin (event,) of each value; beyond the edges it is the first or last, for NaN the last."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def binned_sums(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Sum of weights and sum of their squares (bin,); nothing is lost beyond the edges."""
    place = bins_of(values, edges)
    sums, squares = (np.bincount(place, weight**power, len(edges) - 1) for power in (1, 2))
    return sums.astype(np.float64), squares.astype(np.float64)


def cell_fake_factor(
    cell: Ints, size: int, is_data: Bools, is_tight: Bools, weight: Floats
) -> tuple[Floats, Floats]:
    """Fake factor, (data - MC, tight) / (data - MC, loose), and its error (cell,).

    Errors are Gaussian, from sums of w^2; NaN where the denominator is not positive.
    """
    fakes = np.where(is_data, weight, -weight)
    (tight, tight2), (loose, loose2) = (
        [np.bincount(cell[here], fakes[here] ** power, size) for power in (1, 2)]
        for here in (is_tight, ~is_tight)
    )
    loose = np.where(loose > 0, loose, np.nan)
    factor = tight / loose
    return factor, np.sqrt(tight2 + factor**2 * loose2) / loose


def chi2_and_ndf(difference: Floats, variance: Floats) -> tuple[float, int]:
    """Chi2, and the number of bins whose variance is not 0; NaN where an input is NaN."""
    filled = variance != 0
    return float(np.sum(difference[filled] ** 2 / variance[filled])), int(filled.sum())


def quotient(numerator: float, denominator: float) -> float:
    """Return the quotient, NaN where there is none."""
    return float(numerator / denominator) if denominator else math.nan


def all_variables(events: Estimates | Leptons) -> Floats:
    """Return all variables (variable, event), numerical ones first."""
    both = (np.asarray(events.numerical), np.asarray(events.categorical))
    return np.hstack([each.astype(np.float64) for each in both]).T


def file_name(variable: str) -> str:
    """Return a variable's name as it may stand in the name of a file."""
    return re.sub(r"[^A-Za-z0-9_]", "_", variable)


# Checkpoints that survive a crash, a full disk and a move between machines.


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file is there, as it was written."""
    return path.exists() and digest(path) == sha256


# Figures of a trained classifier, on matplotlib's objects alone: no pyplot, no rcParams.


# Ten colours told apart with impaired colour vision too: M. A. Petroff, arXiv:2107.02270.
COLORS = color_sequences["petroff10"]


def new_figure(width: float, height: float, caption: str) -> Figure:
    """Open a figure, its size in inches, with the caption in small print on top."""
    figure = Figure((width, height), dpi=120, layout="constrained")
    figure.suptitle(caption, x=0.01, ha="left", fontsize=8, color="0.4", parse_math=False)
    return figure


def dress(axes: Axes, xlabel: str, ylabel: str, **legend: Any) -> None:
    """Labels at the ends, ticks inwards on all sides, and a legend of what is labelled."""
    axes.set_xlabel(xlabel, loc="right")
    axes.set_ylabel(ylabel, loc="top")
    axes.minorticks_on()
    axes.tick_params(which="both", direction="in", top=True, right=True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, title_fontsize=9, borderaxespad=1, **legend)


# Figures of density ratios and of the fake factor, by bins of the variables.


def centers(edges: Floats, shift: float = 0.0) -> Floats:
    """Middles of bins as the axis shows them, shifted by a fraction of the bins."""
    if spans_decades(edges):
        return np.asarray(edges[:-1] ** (0.5 - shift) * edges[1:] ** (0.5 + shift))
    return np.asarray(edges[:-1] * (0.5 - shift) + edges[1:] * (0.5 + shift))


def scale_x(axes: Axes, edges: Floats) -> None:
    """Log scale, with plain numbers, if a variable spans decades; no space beyond the edges."""
    if spans_decades(edges):
        axes.set_xscale("log")
        few = edges[-1] < 2000 * edges[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(edges[0], edges[-1])


def log_y(axes: Axes, values: Floats, headroom: float) -> None:
    """Log scale, at most five decades, where any value is positive; headroom as in `scale_y`."""
    if (values > 0).any():
        high = values[values > 0].max()
        low = max(values[values > 0].min(), high / 1e5) / 2
        axes.set_yscale("log")
        axes.set_ylim(low, high * (high / low) ** headroom)


def chi2_text(difference: Floats, variance: Floats) -> str:
    """Say chi2/ndf in a legend."""
    chi2, ndf = chi2_and_ndf(difference, variance)
    return rf"$\chi^2$/ndf = {chi2:.1f}/{ndf}"


def draw_ratio(panel: Axes, x: Floats, ratio: Floats, error: Floats, **marks: Any) -> None:
    """Points from 0.8 to 1.2; triangles point at those beyond."""
    panel.errorbar(x, ratio, error, fmt="o", markersize=4, **marks)
    for beyond, y, marker in ((ratio > 1.2, 1.19, "^"), (ratio < 0.8, 0.81, "v")):
        panel.plot(x[beyond], np.full(beyond.sum(), y), marker, markersize=5, **marks)
    panel.axhline(1, color="0.5", linewidth=1)
    panel.set_ylim(0.8, 1.2)


# Closure: tight data against tight Monte Carlo and fakes, on leptons no network was trained on.


# The two fake factors that are tested.
KINDS = ("neural", "binned")


@dataclass(frozen=True)
class Yields:
    """Sums of weights and of their squares, each (bin,), by bins of a variable."""

    edges: Floats
    data: tuple[Floats, Floats]  # tight
    mc: tuple[Floats, Floats]  # tight
    fakes: dict[str, tuple[Floats, Floats]]  # by kind: loose data times F less loose MC times F

    def prediction(self, kind: str) -> tuple[Floats, Floats]:
        """Return MC and fakes, and their variance."""
        return self.mc[0] + self.fakes[kind][0], self.mc[1] + self.fakes[kind][1]

    def difference(self, kind: str) -> tuple[Floats, Floats]:
        """Return data - MC - fakes, and its variance."""
        predicted, variance = self.prediction(kind)
        return self.data[0] - predicted, self.data[1] + variance


@dataclass(frozen=True)
class Closure:
    """The test leptons' yields; errors are statistical, those of F itself are no part of them."""

    total: Yields  # of one bin
    variables: dict[str, Yields]
    tolerance: float
    spread: float  # standard deviation of the neural fakes' yield over members, relative
    bins: dict[str, list[float]]  # of the binned fake factor
    unknown: int  # loose test leptons in bins that have none: they take the one of all leptons

    @property
    def passed(self) -> bool:
        """Whether the neural fakes' yield is right within the tolerance."""
        return abs(totals(self.total, "neural")["fakes_ratio"] - 1) <= self.tolerance

    def values(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        found: dict[str, Any] = {"passed": self.passed, "tolerance": self.tolerance}
        for kind in KINDS:
            tests = {name: deviations(y, kind) for name, y in self.variables.items()}
            found[kind] = {**totals(self.total, kind), "variables": tests}
        found["neural"]["spread"] = self.spread
        found["binned"] |= {"bins": self.bins, "leptons_without_bin": self.unknown}
        return found


def close(
    test: Leptons,
    others: Sequence[Leptons],
    names: Sequence[str],
    factors: Floats,
    binned: dict[str, list[float]],
    tolerance: float,
    missing: float | None = None,
) -> Closure:
    """Compare tight data with tight MC and fakes = loose data times F - loose MC times F.

    `factors` (event, member) are the network's for the test leptons, whose mean is F. The binned
    fake factor is derived from the other leptons, those of training and validation: from the
    tested ones it would close by construction. `binned` has edges by name, and the product of
    several is taken; outer bins are open. Empty, it means ten bins of the first variable. A lepton
    whose value is `missing` takes the fake factor of all, and no part in the bins of that variable.
    """
    columns = with_gaps(names, all_variables(test), missing)
    known = with_gaps(names, np.hstack([all_variables(other) for other in others]), missing)
    edges = {name: np.array(bins, dtype=np.float64) for name, bins in binned.items()}
    edges = edges or {names[0]: quantile_edges(known[names[0]], 10)}
    size = math.prod(len(each) - 1 for each in edges.values())
    is_data, is_tight, weight = kinds_and_weight(*others)
    cell, there = cells_of(known, edges)
    cells, _ = cell_fake_factor(cell[there], size, is_data[there], is_tight[there], weight[there])
    single = np.zeros(len(weight), dtype=np.int64)
    inclusive, _ = cell_fake_factor(single, 1, is_data, is_tight, weight)
    cell, there = cells_of(columns, edges)
    of_cell = np.where(there, cells[cell], np.nan)

    is_data, is_tight, weight = kinds_and_weight(test)
    fakes = {
        "neural": factors.mean(axis=1),
        "binned": np.where(np.isnan(of_cell), inclusive, of_cell),
    }
    signed = np.where(is_data, weight, -weight)
    terms = {kind: np.where(is_tight, 0, signed * factor) for kind, factor in fakes.items()}

    def yields(values: Floats, edges: Floats) -> Yields:
        there = ~np.isnan(values)
        data, mc = (
            binned_sums(values[here], weight[here], edges)
            for here in (there & is_tight & is_data, there & is_tight & ~is_data)
        )
        loose = there & ~is_tight
        fakes = {k: binned_sums(values[loose], t[loose], edges) for k, t in terms.items()}
        return Yields(edges, data, mc, fakes)

    members = signed[~is_tight] @ factors[~is_tight]
    several = len(members) > 1
    return Closure(
        total=yields(np.zeros(len(weight)), np.array([-0.5, 0.5])),
        variables={n: yields(v, even_edges(v[is_tight & is_data], 20)) for n, v in columns.items()},
        tolerance=tolerance,
        spread=quotient(members.std(ddof=1), abs(members.mean())) if several else math.nan,
        bins={name: each.tolist() for name, each in edges.items()},
        unknown=int((np.isnan(of_cell) & ~is_tight).sum()),
    )


def kinds_and_weight(*leptons: Leptons) -> tuple[Bools, Bools, Floats]:
    """Return what is data, what is tight, and the weights, each (event,), of all leptons."""
    is_data, is_tight, weight = (
        np.concatenate([getattr(each, name).numpy() for each in leptons])
        for name in ("is_data", "is_tight", "weight")
    )
    return is_data, is_tight, weight.astype(np.float64)


def with_gaps(names: Sequence[str], values: Floats, missing: float | None) -> dict[str, Floats]:
    """Return variables (variable, event) by name, nan where a value is missing."""
    gaps = np.isnan(values) if missing is None else np.isnan(values) | (values == missing)
    return dict(zip(names, np.where(gaps, np.nan, values), strict=True))


def cells_of(columns: dict[str, Floats], edges: dict[str, Floats]) -> tuple[Ints, Bools]:
    """Return the place of each event (event,) in the product of bins, and whether it has one."""
    cell, there = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.bool_)
    for name, each in edges.items():
        cell = cell * (len(each) - 1) + bins_of(columns[name], each)
        there = there & ~np.isnan(columns[name])
    return cell, there


def totals(total: Yields, kind: str) -> dict[str, float]:
    """Yields, and ratios with their errors, which are 1 for a perfect fake factor."""
    (data, data2), (mc, mc2), (fakes, fakes2) = (
        (float(sums[0]), float(squares[0]))
        for sums, squares in (total.data, total.mc, total.fakes[kind])
    )
    yield_ratio, fakes_ratio = quotient(mc + fakes, data), quotient(fakes, data - mc)
    yield_error = math.sqrt(mc2 + fakes2 + yield_ratio**2 * data2)
    fakes_error = math.sqrt(fakes2 + fakes_ratio**2 * (data2 + mc2))
    return {
        "tight_data": data,
        "tight_mc": mc,
        "fakes": fakes,
        "yield_ratio": yield_ratio,
        "yield_ratio_error": quotient(yield_error, abs(data)),
        "fakes_ratio": fakes_ratio,
        "fakes_ratio_error": quotient(fakes_error, abs(data - mc)),
    }


def deviations(yields: Yields, kind: str) -> dict[str, Any]:
    """Chi2 of data - MC - fakes over bins with events, and the bin that is furthest from 0.

    A deviation is in standard errors, positive where data exceed the prediction.
    """
    difference, variance = yields.difference(kind)
    chi2, ndf = chi2_and_ndf(difference, variance)
    pulls = difference / np.sqrt(np.where(variance > 0, variance, np.nan))
    worst = int(np.argmax(np.nan_to_num(np.abs(pulls))))
    # The survival function of chi2 is an incomplete gamma function.
    half = torch.tensor((ndf, chi2), dtype=torch.float64) / 2
    return {
        "chi2": chi2,
        "ndf": ndf,
        "chi2_per_ndf": quotient(chi2, ndf),
        "p_value": float(torch.special.gammaincc(*half)) if ndf else math.nan,
        "largest_deviation": float(pulls[worst]),
        "largest_deviation_bin": yields.edges[worst : worst + 2].tolist(),
    }


def summary(closure: Closure) -> str:
    """Return a table for the terminal: what closes how well, the neural and the binned F."""
    values = closure.values()
    rows: list[tuple[str, ...]] = [("", *KINDS)]
    for title, name in (
        ("(MC + fakes) / data", "yield_ratio"),
        ("fakes / (data - MC)", "fakes_ratio"),
    ):
        cells = (f"{values[k][name]:.4f} +- {values[k][f'{name}_error']:.4f}" for k in KINDS)
        rows.append((title, *cells))
    for name in closure.variables:
        tests = [values[kind]["variables"][name] for kind in KINDS]
        cells = (f"{t['chi2']:.1f}/{t['ndf']}, p = {t['p_value']:.2g}" for t in tests)
        rows.append((f"chi2/ndf by {name}", *cells))
        places = ("{:.3g} to {:.3g}".format(*test["largest_deviation_bin"]) for test in tests)
        pulls = (f"{test['largest_deviation']:+.1f}" for test in tests)
        both = zip(pulls, places, strict=True)
        rows.append(("  furthest (sigma)", *(f"{pull} at {place}" for pull, place in both)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if not math.isnan(closure.spread):
        lines.append(f"The members' yields of fakes spread by {100 * closure.spread:.2g} %.")
    if closure.unknown:
        lines.append(f"{closure.unknown} loose leptons lie in bins without a binned fake factor.")
    verdict = "passed" if closure.passed else "FAILED"
    limit = f"the neural fakes must be right within {100 * closure.tolerance:g} %"
    return "\n".join([*lines, f"closure {verdict}: {limit}"])


def closure_figures(closure: Closure, caption: str) -> dict[str, Figure]:
    """Figures "closure_<variable>" by name."""
    return {
        f"closure_{file_name(name)}": plot_closure(yields, name, caption)
        for name, yields in closure.variables.items()
    }


def plot_closure(yields: Yields, name: str, caption: str) -> Figure:
    """Tight data against MC and fakes by bins of a variable, on linear and logarithmic y."""
    figure = new_figure(14, 6.5, caption)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex=True)
    shown = np.array([yields.data[0], yields.mc[0], *(yields.prediction(k)[0] for k in KINDS)])
    for axes, panel in grid.T:
        draw_yields(axes, yields)
        draw_ratios(panel, yields)
        scale_x(panel, yields.edges)
        dress(axes, "", "events per bin", loc="upper right", ncols=2)
        axes.tick_params(labelbottom=False)
        dress(panel, name, "data / prediction")
    low, high = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(low, high + 0.35 * (high - low))
    log_y(grid[0, 1], shown, headroom=0.35)
    return figure


def draw_yields(axes: Axes, yields: Yields) -> None:
    """Data as points, MC and neural fakes stacked, and what the binned fake factor predicts."""
    edges, mc = yields.edges, yields.mc[0]
    neural, binned = (yields.prediction(kind) for kind in KINDS)
    texts = {kind: chi2_text(*yields.difference(kind)) for kind in KINDS}
    error = np.sqrt(neural[1])
    fill: dict[str, Any] = {"fill": True, "linewidth": 0}
    axes.stairs(neural[0], edges, baseline=mc, color=COLORS[1], **fill, label="fakes, neural")
    axes.stairs(mc, edges, color=COLORS[0], **fill, label="tight MC")
    hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.3", "hatch": "/////"}
    label = f"MC + fakes, {texts['neural']}"
    axes.stairs(neural[0] + error, edges, baseline=neural[0] - error, **fill, **hatch, label=label)
    dashed: dict[str, Any] = {"baseline": None, "linestyle": "--", "color": COLORS[2]}
    label = f"with binned fakes, {texts['binned']}"
    axes.stairs(binned[0], edges, linewidth=1.5, **dashed, label=label)
    data, variance = yields.data
    marks: dict[str, Any] = {"fmt": "o", "markersize": 4, "color": "black"}
    axes.errorbar(centers(edges), data, np.sqrt(variance), **marks, label="tight data")


def draw_ratios(panel: Axes, yields: Yields) -> None:
    """Data over prediction, with the errors of data; bands are those of the predictions."""
    data, variance = yields.data
    for kind, color, shift in (("binned", COLORS[2], 0.1), ("neural", "black", -0.1)):
        predicted, squares = yields.prediction(kind)
        size = np.where(predicted != 0, predicted, np.nan)
        error = np.sqrt(squares) / np.abs(size)
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.3", "hatch": "/////"}
        if kind == "binned":
            look = {"color": color, "alpha": 0.2}
        panel.stairs(1 + error, yields.edges, baseline=1 - error, fill=True, linewidth=0, **look)
        x = centers(yields.edges, shift)
        draw_ratio(panel, x, data / size, np.sqrt(variance) / np.abs(size), color=color)


# The trainings that another one builds on, found by what their run folders record.


def parent_checkpoint(folder: Path, stage: str, script: str) -> Path:
    """Return a stage's best checkpoint; raises `RefusedError` unless `script` has finished it.

    SLURM runs a job after one that it no longer knows as if that had succeeded, so its word for it
    is not enough.
    """
    done = folder / "done"
    if not done.is_file():
        raise RefusedError(f"the {stage} has not finished: {folder}; train_{stage}.py comes first")
    said = json.loads(done.read_text())
    if said["script"] != script:
        raise RefusedError(
            f"{folder} does not fit: it was trained by another train_{stage}.py"
            f" ({said['script'][:12]}, needed is {script[:12]}); build and train all three together"
        )
    checkpoint = folder / "checkpoints" / str(said["checkpoint"])
    if not is_whole(checkpoint, said["sha256"]):
        raise RefusedError(f"{checkpoint} is missing or damaged; train_{stage}.py --again LABEL")
    return checkpoint


def check_parent_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a parent saw other files, by digest."""
    there = set(json.loads((folder / "run.json").read_text())["data"].values())
    if there != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")


# What a run ends with: a table for the reader, and a file for programs.


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values; nan and inf become null, which JSON has instead."""
    text = json.dumps(content, indent=1, default=str, allow_nan=True)
    clean = json.loads(text, parse_constant=lambda _: None)
    write_atomically(path, (json.dumps(clean, indent=1) + "\n").encode())


# What is tested.

FEATURES = (*NUMERICAL, *CATEGORICAL)
SAMPLES = (
    Sample(
        name="data",
        label=1,  # data
        files=("data/toy_jets.parquet",),
        columns=(
            *FEATURES,
            "event",
            "toy_type",
            "data_type",
            "weight",
        ),
        selection="data_type == 1",
        weight="weight",
    ),
    Sample(
        name="prompt",
        label=0,  # mc
        files=("data/toy_jets.parquet",),
        columns=(
            *FEATURES,
            "event",
            "toy_type",
            "data_type",
            "weight",
        ),
        selection="data_type == 0",
        weight="weight",
    ),
)


def arguments() -> argparse.Namespace:
    """Return which run is meant."""
    parser = argparse.ArgumentParser(description="Test the closure of F.", allow_abbrev=False)
    parser.add_argument("--again", metavar="LABEL", type=label, default="", help="of that attempt")
    return parser.parse_args()


def main() -> int:
    """Write closure.json and the plots; return the exit status."""
    again = arguments().again
    name = RUN_NAME + (f"+{again}" if again else "")
    listen()
    try:
        folder = expand(SAVE_DIR, SPEC_FOLDER) / EXPERIMENT_NAME / name
        plots = expand(TRACKER_PATH, SPEC_FOLDER) / EXPERIMENT_NAME / name
        status = test_closure(folder, plots)
    except (RefusedError, OSError, ValueError) as error:
        print(f"refused: {error}", file=sys.stderr)
        status = 1
    except StoppedError as error:
        print(error, file=sys.stderr)
        status = error.status
    stop_listening()
    return status


def test_closure(folder: Path, plots: Path) -> int:
    """Compare the yields of the test leptons; return the exit status."""
    parent_checkpoint(folder, "ratio", RATIO)
    files = find_files(SAMPLES, SPEC_FOLDER)
    check_parent_data(folder, fingerprints(files))
    train, validation, test = read_leptons(
        SAMPLES,
        files,
        numerical=NUMERICAL,
        categorical=CATEGORICAL,
        missing=None,
        event_number=EVENT_NUMBER,
        train=TRAIN,
        validation=VALIDATION,
        category=Category(CATEGORY, TIGHT, LOOSE),
        crack=None,
        dtype=torch.float64,
    )
    columns = np.hstack([test.numerical.numpy(), test.categorical.numpy()]).T
    events = dict(zip(FEATURES, columns, strict=True))
    factors = member_factors(folder / "fake_factor.onnx", events)
    closure = close(
        test,
        (train, validation),
        FEATURES,
        factors,
        binned=BINNED,
        tolerance=TOLERANCE,
        missing=None,
    )
    obey()
    write_json(folder / "closure.json", closure.values())
    place = plots / "closure"
    place.mkdir(parents=True, exist_ok=True)
    for name, figure in closure_figures(closure, f"{folder.name}, test leptons").items():
        figure.savefig(place / f"{name}.png", dpi=120)
    print(f"\n{summary(closure)}\n")
    print(f"numbers     {folder / 'closure.json'}\nplots       {place}")
    return 0 if closure.passed else 5


if __name__ == "__main__":
    sys.exit(main())
