"""Stretches of files are read once each, whatever the events are taken in."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.machinery.exits import ASKED, RefusedError, StoppedError
from parts.readers import Column, Lists
from parts.stretches import Stretches, chunks_of, lists_between, refusing, stretch_edges

N = 60


@pytest.fixture
def asked_to_stop() -> Iterator[None]:
    ASKED.note(signal.SIGTERM, None)
    yield
    ASKED.status = 0


def items_of(held: object) -> list[list[int]]:
    assert isinstance(held, Lists)
    ends = zip(held.first, held.first + held.length, strict=True)
    return [held.values[first:last].tolist() for first, last in ends]


@given(
    st.lists(st.integers(0, N)), st.integers(1, N), st.integers(1, 2 * N)
)  # fmt: skip
def test_each_stretch_is_read_once_and_events_keep_their_order(
    begins: list[int], at_once: int, size: int
) -> None:
    lists = [list(range(index, index + index % 4)) for index in range(N)]
    reads = []

    def read(first: int, last: int) -> dict[str, Column | Lists]:
        reads.append((first, last))
        inner = np.array([item for each in lists[first:last] for item in each], np.int64)
        offsets = np.cumsum([0] + [len(each) for each in lists[first:last]])
        numbers = np.arange(first, last)
        absent = numbers % 3 == 0 if first % 2 else None
        return {"x": Column(numbers, absent), "y": lists_between(inner, offsets)}

    edges = stretch_edges(begins, N)
    chunks = list(chunks_of([Stretches(edges, at_once, read)], N, size))
    assert [len(chunk["x"].values) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert [x for chunk in chunks for x in chunk["x"].values.tolist()] == list(range(N))
    assert [y for chunk in chunks for y in items_of(chunk["y"])] == lists
    assert [first for first, _ in reads] == [0] + [last for _, last in reads[:-1]]
    assert {edge for read_ in reads for edge in read_} <= set(edges.tolist())
    absent = [
        number
        for chunk in chunks
        if chunk["x"].absent is not None
        for number in chunk["x"].values[chunk["x"].absent].tolist()
    ]
    odd = [range(first, last) for first, last in reads if first % 2]
    assert absent == [number for stretch in odd for number in stretch if number % 3 == 0]


def test_lists_that_end_outside_of_what_they_hold_are_refused() -> None:
    for offsets in ([0, 2, 4], [0, 2, 1], [-1, 0, 1]):
        with pytest.raises(ValueError, match="outside"):
            lists_between(np.arange(3), np.array(offsets))


def test_a_signal_stops_between_chunks(asked_to_stop: None) -> None:
    with pytest.raises(StoppedError):
        next(chunks_of([], 10, 5))


def test_a_refusal_is_one_line_of_ascii() -> None:
    with pytest.raises(RefusedError) as caught, refusing(Path("x.root"), "tree 't'", (OSError,)):
        raise OSError("two\nlines \u00e9")
    assert str(caught.value) == "cannot read 'x.root': tree 't': two lines \\xe9"
