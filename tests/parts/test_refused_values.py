"""What no network can learn from is refused; a marker sees all events; none is held twice."""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parts.arrays import Arrays, read_arrays
from parts.columns import Chunk
from parts.datasets import EVENTS_AT_ONCE, Dataset, Sample
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.splits import assign

N = 2 * EVENTS_AT_ONCE + 5
FLOAT = np.dtype("float64")


def events(n: int = N) -> dict[str, Any]:
    return {
        "event": np.arange(n),
        "x": np.arange(n) / 4,
        "y": -np.arange(n, dtype=np.float32),
        "k": (np.arange(n) % 5).astype(np.int8),
        "weight": np.where(np.arange(n) % 3 == 0, -0.5, 1.0),
    }


def dataset(folder: Path, columns: Mapping[str, Any], **changed: Any) -> Dataset:
    path = folder / "a.parquet"
    pq.write_table(pa.table(dict(columns)), path)
    sample = Sample("s", (str(path),), Parquet(), 1, weight="weight")
    options: dict[str, Any] = {"categorical": ("k",), "event_number": "event"}
    return Dataset((sample,), ("x", "y"), **options | changed)


def read(
    folder: Path, columns: Mapping[str, Any], dtype: np.dtype[Any] = FLOAT, **changed: Any
) -> tuple[Arrays, Arrays, Arrays]:
    asked = dataset(folder, columns, **changed)
    return read_arrays(asked, {"s": [folder / "a.parquet"]}, dtype)


def test_every_event_is_in_the_split_of_its_number_with_all_that_belongs_to_it(
    tmp_path: Path,
) -> None:
    columns = events()
    split = assign(columns["event"].astype(np.uint64)[:, None], (0.6, 0.2, 0.2))
    found = read(tmp_path, columns)
    assert sum(len(arrays.label) for arrays in found) == N
    for index, arrays in enumerate(found):
        here = split == index
        assert arrays.numerical.tolist() == np.stack([columns["x"], columns["y"]], 1)[here].tolist()
        assert arrays.categorical[:, 0].tolist() == columns["k"][here].tolist()
        assert arrays.weight.tolist() == columns["weight"][here].tolist()
        assert set(arrays.label.tolist()) == {1}
        assert arrays.keys.shape == (here.sum(), 0)
        assert not arrays.mark.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_have_the_precision_that_is_asked_for(tmp_path: Path, dtype: str) -> None:
    first, *_ = read(tmp_path, events(50), np.dtype(dtype))
    assert first.numerical.dtype == dtype
    # As torch takes them without a copy.
    assert first.numerical.flags.c_contiguous
    assert first.numerical.flags.writeable
    kinds = (first.categorical.dtype, first.label.dtype, first.weight.dtype)
    assert [kind.name for kind in kinds] == ["int64", "int64", "float64"]


class Odd:
    """Keeps odd ones, and marks those above a limit."""

    def __init__(self) -> None:
        self.key = np.uint64(77)
        self.seen = 0
        self.ended = 0

    def __call__(self, chunk: Chunk) -> Any:
        """Return which are kept, and which marked."""
        assert not self.ended
        self.seen += chunk.size
        x = chunk.numbers("event")
        return x % 2 == 1, x > 100

    def finish(self) -> None:
        """Note that a sample has been seen."""
        self.ended += 1


def test_a_marker_sees_all_events_and_says_which_are_kept_and_marked(tmp_path: Path) -> None:
    odd, columns = Odd(), events()
    asked = dataset(tmp_path, columns)
    found = read_arrays(asked, {"s": [tmp_path / "a.parquet"]}, FLOAT, lambda _: odd)
    assert (odd.seen, odd.ended) == (N, 1)
    keys = np.concatenate([arrays.keys for arrays in found])
    assert set(keys[:, 0].tolist()) == {77}
    assert sorted(keys[:, 1].tolist()) == list(range(1, N, 2))
    marks = np.concatenate([arrays.mark for arrays in found])
    assert (marks == (keys[:, 1] > 100)).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x": [1.0, math.nan, math.inf]}, r"nan or infinite values in x \(2 events\)"),
        ({"x": pa.array([1.0, None, None])}, r"values that do not exist .* in x \(2 events\)"),
        ({"weight": [1.0, math.nan, math.inf]}, r"nan or infinite weights \(2 events\)"),
        ({"x": [1e39, -1e39, 1.0]}, r"values too large for float32 in x \(2 events\)"),
        ({"k": [1.0, 0.5, 2.0]}, "categorical features must be whole numbers, unlike 'k'"),
        ({"k": pa.array([1, None, 2])}, "categorical features must be whole numbers, unlike 'k'"),
        ({"k": np.array([0, 1, 2**63], np.uint64)}, "values of 'k' are too large for a category"),
        ({"k": [0.0, 1.0, 1e30]}, "values of 'k' are too large for a category"),
        ({"k": [0.0, 1.0, -1e30]}, "values of 'k' are too large for a category"),
    ],
)
def test_what_no_network_can_learn_from_is_counted_and_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedError, match=f"s: .*{said}"):
        read(tmp_path, events(3) | changed, np.dtype("float32"))


def test_faults_of_all_chunks_and_columns_are_told_together(tmp_path: Path) -> None:
    columns = events()
    columns["x"][[1, N - 1]] = math.nan
    columns["y"][5] = math.inf
    columns["weight"][7] = math.nan
    said = r"s: nan or infinite values in x \(2 events\), y \(1 events\); nan or infinite weights"
    with pytest.raises(RefusedError, match=said):
        read(tmp_path, columns)


def test_the_largest_categories_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    values = np.array([2**62 + 1, -(2**62) - 1, 2**53 + 1])
    found = read(tmp_path, events(3) | {"k": values})
    kept = np.concatenate([arrays.categorical for arrays in found])
    assert sorted(kept[:, 0].tolist()) == sorted(values.tolist())


def test_infinities_are_refused_also_where_nan_is_missing(tmp_path: Path) -> None:
    columns = events(4) | {"x": [1.0, math.nan, math.inf, -math.inf]}
    with pytest.raises(RefusedError, match=r"nan or infinite values in x \(2 events\)"):
        read(tmp_path, columns, missing=math.nan)


READING = """
import sys
from pathlib import Path
import torch
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.events import read_splits
from parts.parquet_files import Parquet
from parts.root_files import Root
def peak():
    # Not ru_maxrss, which a process inherits.
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
def read(stem):
    ending, reader = {"root": (".root", Root()), "parquet": (".parquet", Parquet())}[sys.argv[1]]
    sample = Sample("s", (stem + ending,), reader, class_column="label", weight="weight")
    dataset = Dataset(
        (sample,), tuple(f"x{i}" for i in range(30)), event_number="event", classes=("B", "S"),
        class_values={"B": (0,), "S": (1,)},
    )
    files = find_data(dataset, Path(sys.argv[2])).files
    splits = read_splits(dataset, files, True, True, torch.float32)
    return sum(t.numel() * t.element_size() for split in splits for t in split.tensors())
# What a first use of the readers takes is not counted.
read("small")
before = peak()
print(read("large"), peak() - before)
"""
WRITING = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, uproot
kind, folder = sys.argv[1], Path(sys.argv[2])
def block(first, size):
    random = np.random.default_rng(first)
    features = {f"x{i}": random.normal(size=size).astype(np.float32) for i in range(30)}
    event, label = np.arange(first, first + size), (random.random(size) < 0.3).astype(np.int8)
    weight = np.ones(size, np.float32)
    return {**features, "event": event, "label": label, "weight": weight}
for stem, size, step in (("small", 1000, 1000), ("large", int(sys.argv[3]), 50_000)):
    blocks = (block(first, step) for first in range(0, size, step))
    if kind == "root":
        with uproot.recreate(folder / f"{stem}.root") as file:
            file.mktree("t", {n: v.dtype for n, v in block(0, 1).items()})
            for each in blocks:
                file["t"].extend(each)
    else:
        with pq.ParquetWriter(folder / f"{stem}.parquet", pa.table(block(0, 1)).schema) as file:
            for each in blocks:
                file.write(pa.table(each))
"""


@pytest.mark.parametrize("kind", ["root", "parquet"])
def test_events_are_held_in_memory_once(tmp_path: Path, kind: str) -> None:
    """In a process of its own, which has not held more before: 500 000 events of 30 features."""

    def run(code: str, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", code, kind, str(tmp_path), *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "templates")},
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout

    run(WRITING, "500000")
    size, grown = map(int, run(READING).split()[-2:])
    assert size > 60e6
    # What of a file is in work at a time counts for more in a small one.
    assert 0.9 < grown / size < 1.7
