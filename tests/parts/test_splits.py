"""Splits are stable for ever: an event's own number says which one it is for."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parts.splits import assign


def test_hashes_are_what_they_have_always_been() -> None:
    # SplitMix64 of 0 and 1 begins with 0xE220A8397B1DCDAF and 0x910A2DEC89025CC1.
    numbers = np.array([[0], [1], [2], [3], [2**53 + 1], [2**63 - 1]], np.uint64)
    shares = [0.883310808, 0.566561575, 0.591189734, 0.113450342, 0.020948455, 0.165646991]
    for share, row in zip(shares, numbers, strict=True):
        assert assign(row[None], (share + 1e-8, 0.0, 1 - share - 1e-8)).tolist() == [0]
        assert assign(row[None], (share - 1e-8, 0.0, 1 - share + 1e-8)).tolist() == [2]
    features = np.array([[1.5, -2.25], [-2.25, 1.5], [0.0, 0.0]]).view(np.uint64)
    assert assign(features, (0.5855, 0.06, 0.3545)).tolist() == [1, 0, 2]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True), st.randoms())
def test_a_split_depends_on_the_event_alone(numbers: list[int], random: Any) -> None:
    keys = np.array(numbers, np.int64).view(np.uint64)[:, None]
    together = dict(zip(numbers, assign(keys, (0.5, 0.25, 0.25)).tolist(), strict=True))
    shuffled = random.sample(numbers, len(numbers))[: random.randint(1, len(numbers))]
    keys = np.array(shuffled, np.int64).view(np.uint64)[:, None]
    assert [together[number] for number in shuffled] == assign(keys, (0.5, 0.25, 0.25)).tolist()


@given(st.integers(-(2**63), 2**63 - 1))
def test_more_training_events_are_taken_from_the_other_splits_only(number: int) -> None:
    key = np.array([[number]], np.int64).view(np.uint64)
    assert assign(key, (0.5, 0.2, 0.3)) >= assign(key, (0.6, 0.2, 0.2))


def test_all_events_are_trained_on_if_asked() -> None:
    keys = np.arange(10_000, dtype=np.uint64)[:, None]
    assert not assign(keys, (1.0, 0.0, 0.0)).any()
