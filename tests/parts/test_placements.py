"""Where batches lie, and that they are the events that were asked for."""

import torch

from parts.events import Events
from parts.placements import Placed, fits


def events(size: int) -> Events:
    number = torch.arange(size)
    column = number[:, None]
    return Events(column.double(), column, number % 2, number.double(), -number.double())


def test_events_of_a_cpu_stay_where_they_are() -> None:
    data = events(10)
    placed = Placed(data, torch.device("cpu"))
    order = torch.tensor([3, 1])
    assert placed.order(order) is order
    assert placed.take(order)[2].tolist() == [1, 1]
    # Slices are no copies.
    part = placed.part(slice(2, 9, 3))
    assert part[0].flatten().tolist() == [2, 5, 8]
    assert all(a.data_ptr() == t[2:].data_ptr() for a, t in zip(part, data.tensors(), strict=True))


def test_devices_that_share_the_memory_get_batch_after_batch() -> None:
    """One that holds no numbers stands for them."""
    device = torch.device("meta")
    data = events(10)
    assert not fits(data, device)
    placed = Placed(data, device)
    order = torch.tensor([3, 1, 2])
    assert placed.order(order) is order
    for batch in (placed.take(order), placed.part(slice(3))):
        assert {tensor.device for tensor in batch} == {device}
        assert [len(tensor) for tensor in batch] == [3] * 5
