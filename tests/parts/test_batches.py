"""Every event is seen exactly once an epoch, in an order that only seed and epoch decide."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from parts.batches import Batches, Rounds, Shares, validation_batches
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


def epoch(rounds: Rounds, number: int) -> list[Tensor]:
    """Return the events of each batch of an epoch."""
    rounds.set_epoch(number)
    return [categorical[:, 0] for batches in rounds for _, categorical, *_ in batches]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int]:
    """A number of events that is enough for every rank, a batch size, and a number of ranks."""
    world_size = draw(st.integers(1, 5))
    return draw(st.integers(2 * world_size, 300)), draw(st.integers(2, 70)), world_size


@given(shapes(), st.one_of(st.none(), st.integers(0, 3)))
def test_every_event_is_seen_once_an_epoch_over_all_ranks(
    shape: tuple[int, int, int], number: int | None
) -> None:
    size, batch_size, world_size = shape
    every = range(world_size)
    events = numbered(size)
    ranks: list[Shares] = [Batches(events, batch_size, rank, world_size) for rank in every]
    seen = [[batch[1][:, 0] for batch in each] for each in ranks if isinstance(each, Batches)]
    if number is not None:
        rounds = [Rounds(events, batch_size, 7, rank, world_size) for rank in every]
        ranks, seen = list(rounds), [epoch(each, number) for each in rounds]
    together = torch.cat([batch for batches in seen for batch in batches])
    assert together.sort().values.tolist() == list(range(size))
    # Ranks that took different numbers of steps would wait for each other for ever.
    assert {len(batches) for batches in seen} == {ranks[0].steps}
    assert min(len(batch) for batches in seen for batch in batches) >= 2


@given(shapes())
def test_the_mean_over_ranks_is_the_mean_over_events(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    events = numbered(size)
    events.loss_weight[:] = torch.rand(size)
    ranks = [Rounds(events, batch_size, 3, rank, world_size) for rank in range(world_size)]
    steps = [[batch for batches in rounds for batch in batches] for rounds in ranks]
    for step in zip(*steps, strict=True):
        numbers = torch.cat([batch[1][:, 0] for batch in step])
        mean_of_means = torch.stack([batch[4].mean() for batch in step]).mean()
        torch.testing.assert_close(mean_of_means, events.loss_weight[numbers].mean())


@given(shapes())
def test_the_weights_of_validation_are_as_they_are(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    for rank in range(world_size):
        for _, number, *_, weight in Batches(numbered(size), batch_size, rank, world_size):
            assert torch.equal(weight, -number[:, 0].double())


def test_a_place_within_an_epoch_means_nothing_to_another_number_of_tasks() -> None:
    batches = Rounds(numbered(100), 10, 0, 0, 2)
    iterator = iter(batches)
    next(iterator)
    other = Rounds(numbered(100), 10, 0, 0, 1)
    with pytest.raises(RefusedError, match="an epoch of 2 tasks, which 1 cannot go on with"):
        other.load_state_dict(batches.state_dict())
    other.load_state_dict(batches.state_dict() | {"position": 0})


def test_a_place_within_an_epoch_means_nothing_to_other_batches() -> None:
    batches = Rounds(numbered(100), 10, 0, 0, 1)
    next(iter(batches))
    other = Rounds(numbered(100), 30, 0, 0, 1)
    with pytest.raises(RefusedError, match="an epoch of 10 batches, and it has 4 now"):
        other.load_state_dict(batches.state_dict())
    other.load_state_dict(batches.state_dict() | {"position": 0})


@given(shapes())
def test_no_batch_is_much_larger_than_asked_for(shape: tuple[int, int, int]) -> None:
    size, batch_size, world_size = shape
    sizes = [len(b) for b in epoch(Rounds(numbered(size), batch_size, 0, 0, world_size), 0)]
    assert all(n == batch_size for n in sizes[:-1])
    # A tail of fewer than two events a rank joins the batch before.
    assert sizes[-1] <= batch_size + 2


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_the_order_is_that_of_seed_and_epoch(seed: int, number: int) -> None:
    events = numbered(100)

    def order(seed: int, number: int) -> list[int]:
        return torch.cat(epoch(Rounds(events, 16, seed, 0, 1), number)).tolist()

    assert order(seed, number) == order(seed, number)
    others = order(seed + 1, number), order(seed, number + 1), list(range(100))
    assert order(seed, number) not in others


def test_the_order_does_not_touch_the_global_random_state() -> None:
    state = torch.get_rng_state()
    epoch(Rounds(numbered(50), 8, 3, 0, 1), 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_seed_the_order_is_that_of_the_split() -> None:
    batches = Batches(numbered(10), 4, 0, 1)
    assert torch.cat([numbers for _, numbers, *_ in batches])[:, 0].tolist() == list(range(10))


def test_validation_is_in_large_batches() -> None:
    def sizes(batch_size: int, width: int = 1) -> list[int]:
        network = nn.Linear(width, 1000, device="meta")
        batches = validation_batches(
            numbered(50_000), network, batch_size, 0, 1, torch.device("cpu")
        )
        return [len(label) for _, _, label, *_ in batches]

    assert sizes(128) == [16384, 16384, 16384, 848]
    assert sizes(30_000) == [30_000, 20_000]
    # A network of ten million weights takes fewer.
    assert sizes(128, 9999)[0] == 2500


def test_rounds_have_many_steps_where_there_are_many_and_they_are_short() -> None:
    rounds = Rounds(numbered(3200), 2, 0, 0, 1)
    assert [len(each) for each in rounds] == [32] * 50
    assert len(Rounds(numbered(64), 2, 0, 0, 1)) == 8
    assert len(Rounds(numbered(14), 2, 0, 0, 1)) == 7
    rounds.shorten(nn.Linear(100_000, 10_000, device="meta"), passes=1)
    assert [len(each) for each in rounds] == [4] * 400
    rounds.shorten(nn.Linear(1_000_000, 10_000, device="meta"), passes=1)
    assert len(rounds) == rounds.steps == 1600
    # LBFGS goes through a batch again and again.
    rounds.shorten(nn.Linear(100_000, 1000, device="meta"), passes=1)
    assert len(rounds) == 50
    rounds.shorten(nn.Linear(100_000, 1000, device="meta"), passes=20)
    assert len(rounds) == 800


def test_rows_of_all_tensors_belong_to_the_same_event() -> None:
    batches = [batch for each in Rounds(numbered(77), 8, 1, 0, 1) for batch in each]
    for numerical, categorical, label, weight, loss_weight in batches:
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
    straight = Rounds(events, batch_size, 5, 0, world_size)
    expected = [*epoch(straight, 3), *epoch(straight, 4)]
    stop = data.draw(st.integers(1, len(straight)))
    first = Rounds(events, batch_size, 5, 0, world_size)
    first.set_epoch(3)
    iterator = iter(first)
    seen = [batch[1][:, 0] for _ in range(stop) for batch in next(iterator)]
    second = Rounds(events, batch_size, 5, 0, world_size)
    second.load_state_dict(first.state_dict())
    if stop < len(straight):
        seen += epoch(second, 3)
    seen += epoch(second, 4)
    assert len(seen) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_the_state_is_plain_and_stands_at_the_start_after_a_whole_epoch() -> None:
    batches = Rounds(numbered(20), 4, 5, 0, 1)
    epoch(batches, 2)
    assert batches.state_dict() == {"epoch": 2, "position": 0, "tasks": 1, "steps": 5}


def test_a_batch_size_of_one_is_taken_literally() -> None:
    assert [len(batch) for batch in epoch(Rounds(numbered(6), 1, 0, 0, 1), 0)] == [1] * 6
