"""A training whose events lie on a disk has the events, weights and checks of one in memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from parts.cached_arrays import CONTENTS, write_arrays
from parts.cached_events import CachedEvents, open_cached
from parts.datasets import Dataset, Sample
from parts.events import Events, read_splits
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.windows import BLOCK_EVENTS

OPTIONS: dict[str, Any] = {
    "use_mc_weights": True,
    "use_class_weights": True,
    "dtype": torch.float32,
    "logarithmic": ("pt",),
    "negative_weights": "drop",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two blocks of training events and some more."""
    path = tmp_path_factory.mktemp("data") / "all.parquet"
    size = 4 * BLOCK_EVENTS
    random = np.random.default_rng(2)
    columns: dict[str, Any] = {
        "pt": random.exponential(30, size) + 1, "eta": random.normal(0, 1, size),
        "event": np.arange(size), "weight": random.uniform(-0.5, 1.5, size),
        "kind": np.sort(random.integers(0, 2, size)),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    samples = [
        Sample(name, (str(path),), Parquet(), label, selection=f"kind == {label}", weight="weight")
        for label, name in enumerate("bs")
    ]
    return Dataset(
        tuple(samples), ("pt", "eta"), event_number="event", classes=("B", "S"), max_memory="1G"
    )


def read(dataset: Dataset, **changed: Any) -> tuple[Events, ...]:
    files = {each.name: [Path(file) for file in each.files] for each in dataset.samples}
    return read_splits(dataset, files, **OPTIONS | changed)


def opened(folder: Path, dataset: Dataset, **changed: Any) -> tuple[CachedEvents, ...]:
    if not any(folder.iterdir()):
        files = {each.name: [Path(file) for file in each.files] for each in dataset.samples}
        write_arrays(folder, dataset, files, np.dtype(np.float32))
    return open_cached(folder, dataset, **OPTIONS | changed)


def rows_of(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return all events, a row each, in the order of their features."""
    columns = [each.reshape(len(each), -1).double() for each in tensors]
    rows = torch.cat(columns, dim=1)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


@pytest.mark.parametrize(
    "changed",
    [{}, {"use_mc_weights": False}, {"use_class_weights": False, "negative_weights": "keep"}],
)
def test_events_have_the_weights_that_they_have_in_memory(
    tmp_path: Path, dataset: Dataset, changed: dict[str, Any]
) -> None:
    pairs = zip(opened(tmp_path, dataset, **changed), read(dataset, **changed), strict=True)
    for found, expected in pairs:
        one, other = rows_of(found.tensors()), rows_of(expected.tensors())
        # Sums of weights are of another order of events.
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
        assert torch.equal(one[:, :2], other[:, :2])


def test_an_epoch_of_batches_has_all_that_is_known_of_each_event(
    tmp_path: Path, dataset: Dataset
) -> None:
    train, *_ = opened(tmp_path, dataset)
    order = train.shuffled(torch.Generator().manual_seed(1))
    assert len(order) > 2 * BLOCK_EVENTS
    batches = [train.take(chosen) for chosen in torch.split(order, 1000)]
    together = tuple(torch.cat(each) for each in zip(*batches, strict=True))
    assert torch.equal(rows_of(together), rows_of(train.tensors()))
    for each, tensor in zip(batches[0], train.tensors(), strict=True):
        assert torch.equal(each, tensor[order[:1000].long()])


def test_each_epoch_shows_that_a_folder_is_in_use(tmp_path: Path, dataset: Dataset) -> None:
    train, *_ = opened(tmp_path, dataset)
    before = (tmp_path / CONTENTS).stat().st_mtime_ns
    train.shuffled(torch.Generator())
    assert (tmp_path / CONTENTS).stat().st_mtime_ns > before
    # Who removes it all the same takes nothing from those that use it.
    for path in tmp_path.iterdir():
        path.unlink()
    assert len(train.take(train.shuffled(torch.Generator()))[0]) == len(train.label)


def test_a_bound_that_the_events_need_more_than_is_refused_with_what_they_need(
    tmp_path: Path, dataset: Dataset
) -> None:
    opened(tmp_path, dataset)
    said = r'^max_memory = "100M" is too little for \d+ training events and \d+ others.*MiB'
    with pytest.raises(RefusedError, match=said):
        opened(tmp_path, replace(dataset, max_memory="100M"))


def test_a_logarithm_that_does_not_exist_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(RefusedError, match="values that have no logarithm, 0 or less, in eta"):
        opened(tmp_path, dataset, logarithmic=("eta",))


TRAINING = """
import re
from pathlib import Path
import torch
from parts.cached_events import open_cached
from parts.datasets import Dataset
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
def train(folder):
    dataset = Dataset((), tuple(f"x{i}" for i in range(60)), classes=("b", "s"), max_memory="1G")
    events = open_cached(Path(folder), dataset, True, True, torch.float32, (), "keep")[0]
    peak = 0
    for chosen in events.shuffled(torch.Generator()).split(4096):
        assert torch.isfinite(events.take(chosen)[0].sum())
        peak = max(peak, anonymous())
    return events, peak
train("few")
before = anonymous()
events, peak = train("many")
print(events.numerical.nbytes, peak - before)
"""


def test_features_take_no_memory_of_the_process(tmp_path: Path) -> None:
    """In a process of its own, which has not held more before."""
    random = np.random.default_rng(0)
    for name, size in (("few", 1000), ("many", 300_000)):
        columns = {f"x{i}": random.standard_normal(size, dtype="f4") for i in range(60)}
        others = {"event": np.arange(size), "label": random.integers(0, 2, size)}
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns | others), path, row_group_size=50_000)
        sample = Sample("s", (str(path),), Parquet(), None, "label")
        dataset = Dataset(
            (sample,), tuple(columns), event_number="event", classes=("b", "s"),
            class_values={"b": [0], "s": [1]},
        )  # fmt: skip
        (tmp_path / name).mkdir()
        write_arrays(tmp_path / name, dataset, {"s": [path]}, np.dtype(np.float32))
    ended = subprocess.run(
        [sys.executable, "-c", TRAINING],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "templates"), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    size, grown = map(int, ended.stdout.split()[-2:])
    assert size > 40_000_000
    assert grown < 0.4 * size
