"""What rules find: a fault of an option, and the tables that options stand in."""

from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from seesawc.reading.source import Key


@frozen
class Fault:
    """A fault of an option: its key, the message, what would be right, and what to point at."""

    key: Key
    message: str
    hint: str | None = None
    part: Literal["key", "value"] = "value"


Faults = Iterator[Fault]
EXPERIMENT, DATASET, MODEL, TRAINING, FAKES, SLURM, SWEEP = (
    f"{name}_config"
    for name in ("experiment", "dataset", "model", "training", "fakes", "slurm", "sweep")
)
