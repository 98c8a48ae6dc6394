"""Events on a disk are those that memory would hold, split by split and fold by fold."""

import errno
import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from parts.arrays import Arrays, read_arrays
from parts.cached_arrays import CONTENTS, contents_of, open_splits, write_arrays
from parts.datasets import Dataset, Sample
from parts.parquet_files import Parquet
from parts.splits import Fold, Split

FLOAT = np.dtype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two samples, each of a class, with a selection that leaves out a tenth."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(1)
    samples = []
    for label, name in enumerate(("b", "s")):
        size = 2000 + label
        columns: dict[str, Any] = {
            "pt": random.exponential(30, size), "eta": random.normal(0, 1, size),
            "jets": random.integers(0, 5, size), "event": np.arange(size) + 10_000 * label,
            "weight": random.uniform(-0.5, 1.5, size), "ok": random.random(size) < 0.9,
        }  # fmt: skip
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=300)
        file = str(folder / f"{name}.parquet")
        samples.append(Sample(name, (file,), Parquet(), label, None, "ok", "weight"))
    return Dataset(
        tuple(samples), ("pt", "eta"), ("jets",), event_number="event", classes=("B", "S")
    )


def files_of(dataset: Dataset) -> dict[str, list[Path]]:
    return {each.name: [Path(file) for file in each.files] for each in dataset.samples}


def written(folder: Path, dataset: Dataset, dtype: Any = FLOAT) -> list[int]:
    """Write events, and return how many each group has."""
    folder.mkdir(exist_ok=True)
    write_arrays(folder, dataset, files_of(dataset), dtype)
    contents = contents_of(folder)
    assert contents is not None
    events: list[int] = contents["events"]
    return events


def rows_of(arrays: Arrays) -> NDArray[Any]:
    """Return all events, a row each, sorted."""
    columns = [arrays.numerical, arrays.categorical, arrays.label[:, None], arrays.weight[:, None]]
    rows = np.hstack([each.astype(np.float64) for each in columns])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("split", [(0.5, 0.3, 0.2), *(Fold(n, 4) for n in range(4)), (0, 0, 1)])
@pytest.mark.parametrize("dtype", [FLOAT, np.dtype(np.float64)])
def test_each_split_has_the_events_that_it_has_in_memory(
    tmp_path: Path, dataset: Dataset, split: Split, dtype: Any
) -> None:
    asked = replace(dataset, split=split)
    found = open_splits(tmp_path, written(tmp_path, asked, dtype), asked, dtype)
    for cached, expected in zip(found, read_arrays(asked, files_of(asked), dtype), strict=True):
        np.testing.assert_array_equal(rows_of(cached.arrays), rows_of(expected), strict=True)
        assert cached.arrays.numerical.dtype == dtype
        assert not cached.arrays.mark.any()
        # The disk has them from the first one on.
        size = len(cached.arrays.label)
        rows = cached.columns[0].rows(cached.first, cached.first + size)
        np.testing.assert_array_equal(rows, cached.arrays.numerical)
    # And nothing else.
    assert {path.name for path in tmp_path.iterdir()} == {
        CONTENTS, "numerical", "categorical", "label", "weight"
    }  # fmt: skip


def test_all_trainings_of_a_cross_validation_find_theirs_in_one_folder(
    tmp_path: Path, dataset: Dataset
) -> None:
    whole = [replace(dataset, split=Fold(number, 5)) for number in range(5)]
    events = written(tmp_path, whole[0])
    for asked in whole:
        *_, test = open_splits(tmp_path, events, asked, FLOAT)
        *_, expected = read_arrays(asked, files_of(asked), FLOAT)
        np.testing.assert_array_equal(rows_of(test.arrays), rows_of(expected))


def test_events_are_mixed_and_two_folders_of_them_are_the_same(
    tmp_path: Path, dataset: Dataset
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    events = written(one, dataset)
    written(other, dataset)
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()
    label = open_splits(one, events, dataset, FLOAT)[0].arrays.label
    half = label[: len(label) // 2]
    assert abs(half.mean() - label.mean()) < 0.05


@pytest.mark.parametrize("damage", ["cut", "lost", "changed", "edited", "unsaid", "unreadable"])
def test_a_folder_that_is_not_whole_is_known(tmp_path: Path, dataset: Dataset, damage: str) -> None:
    written(tmp_path, dataset)
    if damage == "cut":
        path = tmp_path / "numerical"
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "lost":
        (tmp_path / "label").unlink()
    elif damage == "changed":
        path = tmp_path / "weight"
        path.write_bytes(b"\0" + path.read_bytes()[1:-1] + b"\1")
    elif damage == "edited":
        path = tmp_path / CONTENTS
        path.write_text(path.read_text().replace('"bytes": ', '"bytes": 1'))
    elif damage == "unsaid":
        (tmp_path / CONTENTS).write_text(json.dumps({"events": [1, 2, 3]}))
    else:
        (tmp_path / CONTENTS).write_bytes(b"\xff{")
    assert contents_of(tmp_path) is None


def test_a_disk_without_room_is_said_before_it_is_full(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2, 1, 1))
    with pytest.raises(OSError, match=r"no space left for .* bytes needed, 1 free") as raised:
        written(tmp_path, dataset)
    assert raised.value.errno == errno.ENOSPC
