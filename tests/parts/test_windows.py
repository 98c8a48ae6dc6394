"""Events that lie on a disk are all seen in an epoch, and batches are as mixed as by chance."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parts.shuffled_records import ShuffledRecords
from parts.windows import BLOCK_EVENTS, WINDOW_BLOCKS, MappedRows, Windows

# Several windows, and a last block that is not full.
SIZE = 3 * WINDOW_BLOCKS * BLOCK_EVENTS + 1234
BATCH = 4096


def order_of(windows: Windows, seed: int) -> torch.Tensor:
    return windows.shuffled(torch.Generator().manual_seed(seed))


def shuffled(folder: Path, number: NDArray[np.int64], held: int, chunk: int) -> NDArray[np.int64]:
    """Return numbers in the order in which they come back from a disk."""
    records = ShuffledRecords(folder / "events", [("number", np.int64, ())], held)
    for first in range(0, len(number), chunk):
        part = number[first : first + chunk]
        records.add({"number": part}, np.arange(len(part)))
    blocks = [block["number"] for block in records.blocks()]
    (folder / "events").unlink(missing_ok=True)
    return np.concatenate([np.zeros(0, np.int64), *blocks])


@settings(max_examples=20)
@given(st.integers(0, 3000), st.integers(1, 10_000), st.integers(1, 700))
def test_what_a_disk_has_mixed_does_not_depend_on_memory_or_chunks(
    tmp_path_factory: pytest.TempPathFactory, size: int, held: int, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    found = shuffled(folder, np.arange(size), held, chunk)
    assert sorted(found.tolist()) == list(range(size))
    assert found.tolist() == shuffled(folder, np.arange(size), 2**30, 10_000).tolist()


def test_what_a_disk_has_mixed_is_mixed(tmp_path: Path) -> None:
    found = shuffled(tmp_path, np.arange(100_000), 2**17, 8192)
    assert abs(np.corrcoef(np.arange(100_000), found)[0, 1]) < 5 / np.sqrt(100_000)


@pytest.mark.parametrize("size", [0, 1, BLOCK_EVENTS, SIZE])
def test_an_epoch_has_each_event_once_and_a_seed_decides_the_order(size: int) -> None:
    windows = Windows((), 0, size)
    one, other, again = (order_of(windows, seed) for seed in (1, 2, 1))
    assert torch.equal(one.sort().values, torch.arange(size, dtype=one.dtype))
    assert torch.equal(one, again)
    assert size < 2 or not torch.equal(one, other)


def batches_of(order: torch.Tensor, kind: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the kinds of the events of each full batch."""
    for first in range(0, len(order) - BATCH + 1, BATCH):
        yield kind[order[first : first + BATCH].numpy()]


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_batches_of_files_that_are_sorted_by_class_are_as_mixed_as_by_chance(
    tmp_path: Path, share: float
) -> None:
    """The number of signal events in a batch has the variance that chance gives it, no more."""
    kind = (np.arange(SIZE) >= (1 - share) * SIZE).astype(np.int64)
    written = shuffled(tmp_path, kind, 2**22, 8192)
    windows = Windows((), 0, SIZE)
    for seed in range(2):
        counts = np.array([each.sum() for each in batches_of(order_of(windows, seed), written)])
        expected = BATCH * kind.mean()
        variance = expected * (1 - kind.mean())
        chi2 = np.sum((counts - expected) ** 2) / variance
        assert abs(chi2 - len(counts)) < 5 * np.sqrt(2 * len(counts))


def test_batches_differ_from_epoch_to_epoch_as_if_by_chance() -> None:
    """No batch has much of a batch of another epoch."""
    windows = Windows((), 0, SIZE)
    one, other = (order_of(windows, seed) for seed in (1, 2))
    place = torch.empty(SIZE, dtype=torch.int64)
    place[other.long()] = torch.arange(SIZE) // BATCH
    common = torch.bincount(place[one[:BATCH].long()]).max()
    assert common < 3 * BATCH**2 / SIZE


def test_rows_of_a_file_are_read_where_they_lie(tmp_path: Path) -> None:
    written = np.arange(60_000, dtype=np.float32).reshape(-1, 3)
    (tmp_path / "rows").write_bytes(written.tobytes())
    (tmp_path / "nothing").touch()
    found = MappedRows(tmp_path / "rows", np.float32, 3)
    np.testing.assert_array_equal(found.rows(7, 19_999), written[7:19_999], strict=True)
    found.will_need(5, 20_000)
    nothing = MappedRows(tmp_path / "nothing", np.int64, 0)
    assert nothing.rows(0, 5).shape == (5, 0)
    nothing.will_need(0, 5)


def test_a_window_is_read_with_the_next_one_and_each_once() -> None:
    asked: list[tuple[int, int]] = []

    class Asked:
        def will_need(self, first: int, end: int) -> None:
            asked.append((first, end))

    windows = Windows((Asked(),), 10, SIZE)  # type: ignore[arg-type]
    windows.read_ahead(torch.arange(5))
    assert not asked
    order = order_of(windows, 1)
    window = WINDOW_BLOCKS * BLOCK_EVENTS
    for place, read in ((0, 2), (BATCH, 2), (window, 3), (2 * window, 4)):
        windows.read_ahead(order[place : place + BATCH])
        blocks = [(first - 10) // BLOCK_EVENTS for first, _ in asked]
        assert sorted(blocks) == sorted(chain(*windows.windows[:read]))
    assert max(end for _, end in asked) == 10 + SIZE
