"""Every event is seen exactly once an epoch, in an order that only seed and epoch decide."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from parts.batches import Batches
from parts.events import Events
from parts.machinery.exits import RefusedError


@pytest.fixture(scope="module", autouse=True)
def process_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A group of this process alone, which hears its own broadcasts."""
    place = tmp_path_factory.mktemp("group") / "store"
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def numbered(size: int) -> Events:
    """Events whose every tensor says which event it is."""
    number = torch.arange(size)
    column = number[:, None].double()
    return Events(column, number[:, None], number % 2, number.double(), -number.double())


def epoch(batches: Batches, number: int) -> list[Tensor]:
    """Return the events of each batch of an epoch."""
    batches.set_epoch(number)
    return [categorical[:, 0] for _, categorical, *_ in batches]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int]:
    """A number of events that is enough for every rank, a batch size, and a number of ranks."""
    world_size = draw(st.integers(1, 5))
    return draw(st.integers(2 * world_size, 300)), draw(st.integers(2, 70)), world_size


@pytest.mark.parametrize("seed", [None, 7])
@given(shapes(), st.integers(0, 3))
def test_every_event_is_seen_once_an_epoch_over_all_ranks(
    seed: int | None, shape: tuple[int, int, int], number: int
) -> None:
    size, batch_size, world_size = shape
    events = numbered(size)
    ranks = [Batches(events, batch_size, seed, rank, world_size) for rank in range(world_size)]
    seen = [epoch(batches, number) for batches in ranks]
    together = torch.cat([batch for batches in seen for batch in batches])
    assert together.sort().values.tolist() == list(range(size))
    # Ranks that took different numbers of steps would wait for each other for ever.
    assert {len(batches) for batches in seen} == {len(ranks[0])}
    assert min(len(batch) for batches in seen for batch in batches) >= 2


@given(shapes())
def test_the_mean_over_ranks_is_the_mean_over_events(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    events = numbered(size)
    events.loss_weight[:] = torch.rand(size)
    ranks = [Batches(events, batch_size, 3, rank, world_size) for rank in range(world_size)]
    for step in zip(*ranks, strict=True):
        numbers = torch.cat([batch[1][:, 0] for batch in step])
        mean_of_means = torch.stack([batch[4].mean() for batch in step]).mean()
        torch.testing.assert_close(mean_of_means, events.loss_weight[numbers].mean())


@given(shapes())
def test_the_weights_of_validation_are_as_they_are(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    for rank in range(world_size):
        for _, number, *_, weight in Batches(numbered(size), batch_size, None, rank, world_size):
            assert torch.equal(weight, -number[:, 0].double())


def test_a_place_within_an_epoch_means_nothing_to_another_number_of_tasks() -> None:
    batches = Batches(numbered(100), 10, 0, 0, 2)
    iterator = iter(batches)
    next(iterator)
    other = Batches(numbered(100), 10, 0, 0, 1)
    with pytest.raises(RefusedError, match="an epoch of 2 tasks, which 1 cannot go on with"):
        other.load_state_dict(batches.state_dict())
    other.load_state_dict(batches.state_dict() | {"position": 0})


@given(shapes())
def test_no_batch_is_much_larger_than_asked_for(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    sizes = [len(b) for b in epoch(Batches(numbered(size), batch_size, 0, 0, world_size), 0)]
    assert all(n == batch_size for n in sizes[:-1])
    # A tail of fewer than two events a rank joins the batch before.
    assert sizes[-1] <= batch_size + 2


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_the_order_is_that_of_seed_and_epoch(seed: int, number: int) -> None:
    events = numbered(100)

    def order(seed: int, number: int) -> list[int]:
        return torch.cat(epoch(Batches(events, 16, seed, 0, 1), number)).tolist()

    assert order(seed, number) == order(seed, number)
    others = order(seed + 1, number), order(seed, number + 1), list(range(100))
    assert order(seed, number) not in others


def test_the_order_does_not_touch_the_global_random_state() -> None:
    state = torch.get_rng_state()
    epoch(Batches(numbered(50), 8, 3, 0, 1), 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_seed_the_order_is_that_of_the_split() -> None:
    batches = Batches(numbered(10), 4, None, 0, 1)
    assert torch.cat(epoch(batches, 5)).tolist() == list(range(10))


def test_rows_of_all_tensors_belong_to_the_same_event() -> None:
    for numerical, categorical, label, weight, loss_weight in Batches(numbered(77), 8, 1, 0, 1):
        number = categorical[:, 0]
        assert torch.equal(numerical[:, 0], number.double())
        assert torch.equal(label, number % 2)
        assert torch.equal(weight, number.double())
        assert torch.equal(loss_weight, -number.double())


@settings(max_examples=60)
@given(shapes(), st.data())
def test_an_epoch_goes_on_exactly_where_it_was_left(
    shape: tuple[int, int, int], data: st.DataObject
) -> None:
    size, batch_size, world_size = shape
    events = numbered(size)
    straight = Batches(events, batch_size, 5, 0, world_size)
    expected = [*epoch(straight, 3), *epoch(straight, 4)]
    stop = data.draw(st.integers(1, len(straight)))
    first = Batches(events, batch_size, 5, 0, world_size)
    first.set_epoch(3)
    iterator = iter(first)
    seen = [next(iterator)[1][:, 0] for _ in range(stop)]
    second = Batches(events, batch_size, 5, 0, world_size)
    second.load_state_dict(first.state_dict())
    if stop < len(straight):
        seen += epoch(second, 3)
    seen += epoch(second, 4)
    assert len(seen) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_the_state_is_plain_and_stands_at_the_start_after_a_whole_epoch() -> None:
    batches = Batches(numbered(20), 4, 5, 0, 1)
    epoch(batches, 2)
    assert batches.state_dict() == {"epoch": 2, "position": 0, "tasks": 1}


def test_a_batch_size_of_one_is_taken_literally() -> None:
    assert [len(batch) for batch in epoch(Batches(numbered(6), 1, 0, 0, 1), 0)] == [1] * 6
