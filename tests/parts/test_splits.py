"""Splits are stable for ever: an event's own number says which one it is for."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts import splits
from parts.splits import Fold, assign, fold_numbers, parts_of_all, plain_split, split_of


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


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_every_event_is_tested_once_validated_once_and_trained_on_otherwise(folds: int) -> None:
    keys = np.arange(10_000, dtype=np.uint64)[:, None]
    found = np.array([assign(keys, Fold(number, folds)) for number in range(folds)])
    assert ((found == 2).sum(axis=0) == 1).all()
    assert ((found == 1).sum(axis=0) == 1).all()
    assert ((found == 0).sum(axis=0) == folds - 2).all()
    # A fold is tested by its own training, and validated by the one before.
    number = fold_numbers(keys, folds)
    assert (found.argmax(axis=0) == number).all()
    assert ((found == 1).argmax(axis=0) == (number - 1) % folds).all()
    for part, share in enumerate(parts_of_all(Fold(0, folds))):
        assert abs((found[0] == part).mean() - share) < 0.015


def test_folds_are_what_they_have_always_been() -> None:
    keys = np.arange(8, dtype=np.uint64)[:, None]
    # The shares above, times 5.
    assert fold_numbers(keys, 5)[:4].tolist() == [4, 2, 2, 0]


def test_a_share_that_rounds_up_is_in_the_last_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "shares", lambda keys: np.full(len(keys), 1 - 2.0**-53))
    assert fold_numbers(np.zeros((2, 1), np.uint64), 5).tolist() == [4, 4]


@pytest.mark.parametrize("split", [(0.5, 0.25, 0.25), Fold(2, 5)])
def test_a_split_survives_json(split: splits.Split) -> None:
    assert split_of(json.loads(json.dumps(plain_split(split)))) == split
