"""What a reader gives for a column, put together from chunks of any size."""

from typing import Any

import numpy as np

from parts.readers import Column, Lists, Table


def values_of(table: Table, name: str, size: int) -> Any:
    """Return a column: an array of numbers or texts, or lists."""
    found: list[Any] = []
    for chunk in table.chunks([name], size):
        held, before = chunk[name], len(found)
        if isinstance(held, Lists):
            ends = zip(held.first, held.first + held.length, strict=True)
            found += [held.values[first:last].tolist() for first, last in ends]
        else:
            found += list(held.values)
        assert len(found) == min(before + size, table.schema.n_events)
    return np.array(found, held.values.dtype) if isinstance(held, Column) else found
