"""Files of scores, written in blocks of any size: what tests of all formats share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.scored_files import opened

N_EVENTS = 100
# Beyond what a double holds, and what int64 does.
NUMBERS = np.arange(N_EVENTS, dtype=np.uint64) + np.uint64(2**63 + 1)
EVERY = np.ones(N_EVENTS, np.bool_)
SOME = np.arange(N_EVENTS) % 3 == 1
NONE = np.zeros(N_EVENTS, np.bool_)
SCORES: dict[str, NDArray[Any]] = {
    "score": np.linspace(0, 1, N_EVENTS, dtype=np.float32),
    "score_spread": np.geomspace(1e-300, 1, N_EVENTS),
    "split": (np.arange(N_EVENTS) % 3).astype(np.int8),
}
SCORES["score"][5] = np.nan


def with_numbers(name: str = "event") -> dict[str, NDArray[Any]]:
    """Return the scores as a friend has them."""
    return {name: NUMBERS, **SCORES}


def write_scores(
    source: Path,
    out: Path,
    columns: Mapping[str, NDArray[Any]],
    kept: NDArray[np.bool_] = EVERY,
    *,
    size: int = 7,
    **asked: Any,
) -> None:
    """Write scores of a file's events, `size` of them at a time."""
    asked = {"table": None, "beside": True, **asked}
    dtypes = {name: values.dtype for name, values in columns.items()}
    with opened(source, out, columns=dtypes, **asked) as scored:
        for first in range(0, len(kept), size):
            block = slice(first, first + size)
            scored.add({name: values[block] for name, values in columns.items()}, kept[block])
