from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from seesawc.jobs.arrays import compress, expand, shares, sliced, split_limit

MEMBERS = some.sets(some.integers(0, 120), min_size=1, max_size=14)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([5], "5"),
        ([0, 3, 4, 5], "0,3-5"),
        ([0, 2, 4, 6, 8], "0-8:2"),
        ([0, 2, 4], "0,2,4"),
        ([8, 9, 10, 11, 20], "8-11,20"),
        (range(10_000), "0-9999"),
        ([*range(0, 300, 3), 301, 302], "0-297:3,301,302"),
        # One member fewer in the first range, and the second is shorter.
        ([1, 3, 5, 7, 9, 10, 11], "1-7:2,9-11"),
        ([0, 2, 4, 5, 6], "0,2,4-6"),
        ([0, 1, 2], "0-2"),
    ],
)
def test_lists_are_short(members: list[int], text: str) -> None:
    assert len(compress(members)) == len(text)
    assert expand(compress(members)) == tuple(members)


def test_the_limit_stands_behind_the_list() -> None:
    assert compress([0, 3, 4, 5], 20) == "0,3-5%20"
    assert split_limit("0,3-5%20") == ("0,3-5", 20)
    assert split_limit("0,3-5") == ("0,3-5", None)


@given(members=MEMBERS)
def test_a_list_names_the_members_and_no_other_is_shorter(members: set[int]) -> None:
    text = compress(members)
    assert expand(text) == tuple(sorted(members))
    assert len(text) == shortest(tuple(sorted(members)))


@given(first=some.integers(0, 50), step=some.integers(1, 20), size=some.integers(1, 300))
def test_a_range_of_any_step_and_its_neighbours_are_named(first: int, step: int, size: int) -> None:
    members = {*range(first, first + step * size, step), first + step * size + 1}
    assert expand(compress(members)) == tuple(sorted(members))


@cache
def shortest(members: tuple[int, ...]) -> int:
    """The length of the shortest list, found by trying every way to cut it into ranges."""
    if not members:
        return -1
    lengths = []
    for stop in range(1, len(members) + 1):
        head = members[:stop]
        steps = {b - a for a, b in pairwise(head)}
        if len(steps) > 1:
            break
        step = f":{min(steps)}" if steps - {1} else ""
        item = f"{head[0]}-{head[-1]}{step}" if steps else str(head[0])
        lengths.append(len(item) + 1 + shortest(members[stop:]))
    return min(lengths)


@pytest.mark.parametrize("text", ["", "a", "1,", "3-1", "0-8:0", "-1", "1-", "0-8:", "1 ,2", "1%2"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        expand(text)


@example(members={5}, size=5)
@given(
    members=some.sets(some.integers(0, 9999), min_size=1, max_size=40), size=some.integers(5, 3000)
)
def test_slices_hold_every_member_once_and_no_index_too_high(members: set[int], size: int) -> None:
    slices = sliced(members, size)
    whole = [each.begin + index for each in slices for index in each.indices]
    assert whole == sorted(members)
    assert all(0 <= index < size for each in slices for index in each.indices)
    assert (len(slices) == 1) >= (max(members) < size)


@given(
    sizes=some.lists(some.integers(1, 1000), min_size=1, max_size=10), beyond=some.integers(0, 90)
)
def test_a_limit_is_shared_to_the_last_one(sizes: list[int], beyond: int) -> None:
    found = shares(len(sizes) + beyond, sizes)
    assert sum(found) == len(sizes) + beyond
    assert min(found) >= 1
