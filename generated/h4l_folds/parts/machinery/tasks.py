"""The tasks of a run: processes that train one network together."""

from typing import Any

import torch.distributed as dist


def of_all_tasks(value: Any) -> list[Any]:
    """Return what each task gives, in the order of their ranks; all of them must ask at once."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
