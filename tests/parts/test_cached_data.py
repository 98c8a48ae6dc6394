"""What changes the events of a training makes another cache of them, and nothing else does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.machinery.cached_data import cache_digest
from parts.parquet_files import Parquet
from parts.splits import Fold

FLOAT = np.dtype(np.float32)
DATASET = Dataset(
    (Sample("s", ("a.parquet",), Parquet(), 0, selection="x > 1", weight="w"),),
    ("x",),
    event_number="event",
    classes=("B", "S"),
    max_memory="1G",
)
DIGESTS = {"s": ["12ab"]}
[SAMPLE] = DATASET.samples
SAME = [
    replace(DATASET, labels={"x": "$x$"}, max_memory="2G"),
    replace(DATASET, samples=(replace(SAMPLE, files=("elsewhere/a.parquet",)),)),
]
OTHER = [
    replace(DATASET, numerical=("y",)),
    replace(DATASET, missing=-999.0),
    replace(DATASET, event_number=None),
    replace(DATASET, split=(0.5, 0.25, 0.25)),
    replace(DATASET, split=Fold(0, 5)),
    replace(DATASET, derived={"x": "2 * y"}),
    replace(DATASET, samples=(replace(SAMPLE, selection="x > 2"),)),
    replace(DATASET, samples=(replace(SAMPLE, weight="2 * w"),)),
    replace(DATASET, samples=(replace(SAMPLE, reader=Csv()),)),
    replace(DATASET, samples=(replace(SAMPLE, label=1),)),
]


def digest(
    dataset: Dataset,
    digests: dict[str, list[str]] = DIGESTS,
    dtype: np.dtype[np.floating] = FLOAT,
    place: str = "events.parquet",
) -> str:
    return cache_digest(dataset, digests, dtype, {"s": [Path(place)]})


def test_names_of_folders_that_are_columns_are_part_of_events_and_others_are_not() -> None:
    places = ("a/year=2017/x.parquet", "a/year=2018/x.parquet", "b/year=2018/y.parquet")
    found = [digest(DATASET, place=place) for place in places]
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize("changed", SAME)
def test_what_changes_no_event_is_the_same_cache(changed: Dataset) -> None:
    assert digest(changed) == digest(DATASET)


@pytest.mark.parametrize("changed", OTHER)
def test_what_changes_events_is_another_cache(changed: Dataset) -> None:
    assert digest(changed) != digest(DATASET)


def test_other_bytes_of_files_and_another_precision_are_another_cache() -> None:
    found = {
        digest(DATASET, digests, dtype)
        for digests in (DIGESTS, {"s": ["34cd"]})
        for dtype in (FLOAT, np.dtype(np.float64))
    }
    assert len(found) == 4


def test_all_folds_are_one_cache() -> None:
    folds = [replace(DATASET, split=Fold(number, 5)) for number in range(5)]
    assert len({digest(each) for each in folds}) == 1
