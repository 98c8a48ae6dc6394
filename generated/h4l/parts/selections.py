"""Which events are selected, what they weigh, and what names them: asked of a chunk of events."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parts.columns import Chunk
from parts.expressions import ExpressionError
from parts.readers import quoted


def condition(chunk: Chunk, selection: str) -> NDArray[np.bool_]:
    """Return where a selection is true (event,); raises `ExpressionError`."""
    found = chunk.evaluate(selection).array
    if found.dtype != bool:
        raise ExpressionError(f"the selection {selection} is not true or false for an event")
    return found


def weights(chunk: Chunk, weight: str | None) -> NDArray[np.float64]:
    """Return the weight of each event; raises `ExpressionError`."""
    if weight is None:
        return np.ones(chunk.size)
    found = chunk.evaluate(weight)
    if found.array.dtype.kind not in "iuf":
        what = "text" if found.array.dtype == object else "true or false"
        raise ExpressionError(f"the weight {weight} is {what}, no number")
    if found.missing is not None and found.missing.any():
        count = np.count_nonzero(found.missing)
        raise ExpressionError(f"the weight {weight} does not exist for {count} events")
    return found.array.astype(np.float64)


def keys(event_number: str | None, chunk: Chunk, features: Sequence[str]) -> NDArray[np.uint64]:
    """Return what names each event (event, key); raises `ExpressionError`.

    Without an event number, that is all of the features.
    """
    if event_number is None:
        columns = [chunk.numbers(name).astype(np.float64) for name in features]
        return np.stack(columns, axis=1).view(np.uint64)
    found = chunk.values(event_number)
    name = quoted(event_number)
    if found.missing is not None and found.missing.any():
        raise ExpressionError(f"the event number {name} is null")
    if found.array.dtype.kind not in "iu":
        raise ExpressionError(f"the column {name} does not hold whole numbers")
    wide = np.uint64 if found.array.dtype == np.uint64 else np.int64
    return found.array.astype(wide).view(np.uint64)[:, np.newaxis]
