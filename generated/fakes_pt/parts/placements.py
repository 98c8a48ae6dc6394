"""Where events lie while they are computed with: on the device, if they fit there."""

from functools import cached_property

import torch
from torch import Tensor

from parts.events import Events

# In the order of `Events.tensors`.
Batch = tuple[Tensor, ...]
# What of a GPU's free memory events may take: network, gradients and outputs need the rest.
SHARE = 0.5


class Placed:
    """Events of a split, of which batches are taken for a device.

    A GPU slices what it holds. What does not fit there is sliced here, and sent while it computes.
    """

    def __init__(self, events: Events, device: torch.device) -> None:
        self.events = events
        self.device = device

    @cached_property
    def there(self) -> Events | None:
        """The events on the device, copied when they are first asked for; None if they do not fit.

        Not before: the network goes there first.
        """
        if self.device.type == "cpu":
            return self.events
        return self.events.on(self.device) if fits(self.events, self.device) else None

    def order(self, order: Tensor) -> Tensor:
        """Return an order of events (event,) where the events are."""
        return order if self.there is None else order.to(self.device)

    def take(self, chosen: Tensor) -> Batch:
        """Return chosen events (event,), which lie where the events do."""
        if self.there is None:
            return sent(self.events.take(chosen), self.device)
        return self.there.take(chosen)

    def part(self, chosen: slice) -> Batch:
        """Return events that stand one after the other."""
        events = self.there or self.events
        tensors = tuple(tensor[chosen] for tensor in events.tensors())
        return tensors if self.there is not None else sent(tensors, self.device)


def fits(events: Events, device: torch.device) -> bool:
    """Whether a GPU has room for events; other devices share the memory, and get batches."""
    if device.type != "cuda":
        return False
    size = sum(tensor.numel() * tensor.element_size() for tensor in events.tensors())
    free, _ = torch.cuda.mem_get_info(device)
    return size <= SHARE * free


def sent(tensors: Batch, device: torch.device) -> Batch:
    """Return tensors on a device, which go on their way while it computes."""
    if device.type != "cuda":
        return tuple(tensor.to(device) for tensor in tensors)
    return tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors)
