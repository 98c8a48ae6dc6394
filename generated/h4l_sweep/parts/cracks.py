"""The gap of the calorimeter, in which no fake factor is learnt and none is estimated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crack:
    """Where the calorimeter has a gap: leptons with low < |eta| < high are left out."""

    eta: str
    low: float
    high: float


def in_crack(eta: NDArray[np.float64], crack: Crack) -> NDArray[np.bool_]:
    """Whether leptons lie in the crack: (event,)."""
    return np.asarray((np.abs(eta) > crack.low) & (np.abs(eta) < crack.high))
