"""Which features say all alone what class an event is of."""

import numpy as np
import pytest

from parts.separations import deciding, separates

RANDOM = np.random.default_rng(3)
N = 2000
LABEL = np.repeat([0, 1], N // 2)


@pytest.mark.parametrize(
    ("values", "alone"),
    [
        (LABEL * 1.0, True),
        (1 - LABEL, True),
        (RANDOM.random(N) + LABEL, True),
        (np.where(LABEL == 1, -999.0, RANDOM.random(N)), True),
        # In the midst of the other class's values, but apart.
        (np.where(LABEL == 1, 0.0, RANDOM.choice([-1, 1], N) * (1 + RANDOM.random(N))), True),
        (RANDOM.random(N) + 0.95 * LABEL, False),
        (RANDOM.random(N), False),
        (np.zeros(N), False),
        (RANDOM.integers(0, 2, N), False),
        # Most of a class, not all of it.
        (np.where(RANDOM.random(N) < 0.03, 0, LABEL), False),
    ],
)
def test_values_that_no_two_classes_share_decide(values: np.ndarray, alone: bool) -> None:
    assert deciding([RANDOM.random(N), values], ("noise", "x"), LABEL) == (["x"] if alone else [])


def test_all_classes_must_be_told_apart() -> None:
    label = np.repeat([0, 1, 2], 100)
    assert deciding([label], ("process",), label) == ["process"]
    assert deciding([label == 2], ("flag",), label) == []


def test_a_rare_class_is_told_apart_too_but_a_few_events_may_part_by_chance() -> None:
    for size, decides in ((40, True), (10, False)):
        label = np.r_[np.zeros(5000, dtype=np.int64), np.ones(size, dtype=np.int64)]
        assert deciding([label], ("x",), label) == (["x"] if decides else [])
        assert deciding([RANDOM.random(len(label))], ("x",), label) == []


def test_nothing_decides_where_there_is_one_class_or_no_event() -> None:
    for label in (np.zeros(N, dtype=np.int64), LABEL[:0]):
        assert deciding([RANDOM.random(len(label))], ("x",), label) == []


def test_of_a_class_that_is_rare_among_many_events_all_are_looked_at() -> None:
    label = np.r_[np.zeros(400_000, dtype=np.int64), np.ones(40, dtype=np.int64)]
    assert deciding([label, RANDOM.random(len(label))], ("x", "noise"), label) == ["x"]


def test_a_missing_value_that_is_nan_is_a_value_like_others() -> None:
    random = RANDOM.permutation(N)
    nan = np.where(LABEL == 1, np.nan, 1.0)
    assert separates(nan[random], LABEL[random])
    assert not separates(np.full(N, np.nan), LABEL[random])
