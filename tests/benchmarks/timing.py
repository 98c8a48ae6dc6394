"""Speeds of scripts and of raw loops, each in a process of its own; needs no seesawc."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from parts.batches import steps_at_once

FEATURES = tuple(f"x{index:02}" for index in range(28))
# The share of events that a script trains on, if its spec does not say.
TRAINED = 0.6
RAW_LOOP = Path(__file__).with_name("raw_loop.py")


@dataclass(frozen=True)
class Speed:
    """Seconds of a step and of an epoch."""

    step: float
    epoch: float


def write_events(path: Path, size: int) -> None:
    """Write events of two classes that differ a little."""
    random = np.random.default_rng(1)
    label = random.integers(0, 2, size, dtype=np.int8)
    shift = 0.1 * label.astype(np.float32)
    columns = {name: random.standard_normal(size, np.float32) + shift for name in FEATURES}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**columns, "label": label, "event": np.arange(size)}), path)


def places(logs: Path) -> dict[str, str]:
    """Return the variables that say where a script writes."""
    return {f"ANALYSIS_ML_{name}_DIR": str(logs) for name in ("LOGS", "RESULTS")}


def script_speed(
    script: Path,
    logs: Path,
    numbers: Sequence[int],
    label: str,
    variables: Mapping[str, str],
) -> Speed:
    """Let a script train its epochs, and read its record; it is not evaluated.

    `numbers` are layers, width, batch and epochs.
    """
    n_layers, n_hidden, batch, epochs = numbers
    with subprocess.Popen(
        [sys.executable, "-u", str(script), "--again", label],
        env={**os.environ, **places(logs), **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(f"epoch {epochs}/{epochs}:"):
                break
        else:
            raise RuntimeError(f"{script} did not come to its last epoch:\n{''.join(said)}")
        process.kill()
    [record] = logs.glob(f"{script.parent.name}/*{label}/metrics.jsonl")
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return speed_of(lines, weights_of(n_layers, n_hidden), batch)


def speed_of(lines: Sequence[dict[str, Any]], weights: int, batch: int) -> Speed:
    """Return what a record says of the time of a step and of an epoch, after the first one.

    Lines of steps are written at the end of their round. Where epochs are too short for lines of
    two rounds, the time of a step is nan.
    """
    ends = [line for line in lines if "train_loss" in line]
    each = ends[0]["step"]
    at_once = steps_at_once(each, 6.0 * batch * weights)
    steps = []
    for epoch in range(2, len(ends) + 1):
        within = {
            min(each, -(-(line["step"] - (epoch - 1) * each) // at_once) * at_once): line["time"]
            for line in lines
            if "train_loss_step" in line and line["epoch"] == epoch
        }
        if len(within) > 1:
            (first, began), (last, ended) = min(within.items()), max(within.items())
            steps.append((ended - began) / (last - first))
    whole = [after["time"] - before["time"] for before, after in pairwise(ends)]
    return Speed(median(steps or [nan]), median(whole))


def weights_of(n_layers: int, n_hidden: int) -> int:
    """Return the number of weights of an MLP of one logit."""
    widths = [len(FEATURES)] + [n_hidden] * n_layers
    return sum((inner + 1) * outer for inner, outer in pairwise([*widths, 1]))


def loop(command: Sequence[str], variables: Mapping[str, str]) -> list[dict[str, float]]:
    """Run a loop, and return what it says of its times."""
    done = subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def raw_speed(
    data: Path,
    numbers: Sequence[int],
    trained: float,
    variables: Mapping[str, str],
    hardware: Sequence[str] = (),
) -> Speed:
    """Return the speed of the raw loop, after its first epoch.

    `numbers` are layers, width, batch and epochs; `hardware` is a device and a precision.
    """
    command = [str(RAW_LOOP), str(data), *map(str, numbers), *hardware]
    _, *epochs = loop(command, variables)
    step = median(epoch["train"] for epoch in epochs) * numbers[2] / trained
    return Speed(step, median(epoch["epoch"] for epoch in epochs))
