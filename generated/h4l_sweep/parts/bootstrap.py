"""Replicas of weighted events: what a statistic's uncertainty is read from.

Events are dealt at random to blocks, and as many blocks as there are are drawn with replacement. So
any sum of weights varies by sum w^2, as it does where each event is drawn on its own, whatever
the signs, and a million events cost a product of matrices for all replicas at once.
"""

import math
from dataclasses import dataclass

import numpy as np

from parts.metrics import Floats, Ints

# An uncertainty is known to 1 / sqrt(2 n): within 1.6 % for these blocks, 3.5 % for these replicas.
BLOCKS = 2000
REPLICAS = 400
# Of fewer replicas that have a value, nothing is read.
KNOWN = 0.9
# Of a value's size, what is less is how sums round.
NOISE = 1e-12


@dataclass(frozen=True)
class Replicas:
    """How often each replica has each block of events."""

    block: Ints  # (event,)
    counts: Floats  # (replica, block)

    def sums(self, place: Ints, weight: Floats, size: int) -> Floats:
        """Return sums of weights (replica, place); `place` (event,) is 0 to `size` - 1."""
        table = np.bincount(self.block * size + place, weight, self.counts.shape[1] * size)
        return np.asarray(self.counts @ table.reshape(-1, size))


def replicate(events: int, seed: int) -> Replicas:
    """Draw the replicas of so many events; the same seed draws the same ones."""
    # Not the numbers that events of the same seed may have been made or split with.
    random = np.random.default_rng([seed, *b"bootstrap"])
    block = random.integers(0, BLOCKS, events)
    counts = random.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), REPLICAS)
    return Replicas(block, counts.astype(np.float64))


def spread(values: Floats) -> float:
    """Return the standard deviation over replicas (replica,); NaN where too few have a value.

    It is 0 where replicas differ by no more than rounding.
    """
    known = values[np.isfinite(values)]
    if known.size < max(2, KNOWN * values.size):
        return math.nan
    found = float(known.std(ddof=1))
    return found if found > NOISE * float(np.abs(known).max()) else 0.0
