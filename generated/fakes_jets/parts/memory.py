"""Whether memory can hold a network and a training step, asked before any of it is taken."""

import torch
from torch import nn

from parts.free_memory import free_memory, readable
from parts.machinery.exits import RefusedError

# Of a single precision number, which networks are made of.
NUMBER = 4
# What torch keeps for a layer besides its weights, roughly.
LAYER = 4096


def check_network(weights: int, layers: int, options: str) -> None:
    """Raise `RefusedError` if a network that is yet to be made does not fit into memory."""
    needed, there = weights * NUMBER + layers * LAYER, free_memory()
    if there is not None and needed > there:
        raise RefusedError(
            f"a network of {weights:.3g} weights in {layers} layers needs {readable(needed)} of"
            f" memory, and {readable(there)} are there: smaller {options}"
        )


def check_step(network: nn.Module, events: int, device: torch.device) -> None:
    """Raise `RefusedError` if memory does not hold a training step of so many events.

    Counted is what no training does without: weights, their gradients, and what each linear layer
    gives for each event.
    """
    weights = sum(each.numel() * each.element_size() for each in network.parameters())
    widths = sum(each.out_features for each in network.modules() if isinstance(each, nn.Linear))
    step = events * widths * NUMBER
    there: int | None
    if device.type == "cuda":
        needed, there = 2 * weights + step, torch.cuda.get_device_properties(device).total_memory
    else:
        # The weights have been made.
        needed, there = weights + step, free_memory()
    if there is not None and needed > there:
        raise RefusedError(
            f"a step of {events} events needs {readable(needed)} of memory or more, and"
            f" {readable(there)} are there: a smaller batch_size, n_hidden or n_layers"
        )
