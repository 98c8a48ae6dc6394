"""The fake factor of fakes_jets, trained by train_ratio.py; without torch or Lightning.

Compiled from the spec fakes_jets.toml by seesawc; change the spec, not this file.

    from apply import fake_factor
    factors = fake_factor(events)         events with a column for each feature, such as a DataFrame

    python apply.py events.parquet out.parquet    adds the columns fake_factor and its spread

Loose data then enter with weight * F, loose Monte Carlo with -weight * F. The network is
fake_factor.onnx, beside this file if there is one, or else in the folder of the ratio's run.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "pyarrow==25.0.1",
# ]
# ///

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
EXPERIMENT_NAME = "fakes_jets"
RUN_NAME = "fakes_jets_MLP_20261126T123949Z-ratio"
SPEC_FOLDER = Path(__file__).resolve().parent / "../../specs"


# The exported fake factor, applied to events of any kind that has columns by name.


# Events at a time, which bounds the memory.
CHUNK = 262_144


def member_factors(model: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of each member of the ensemble (event, member).

    `events` has a column (event,) for each feature: a DataFrame, a dict of arrays, an awkward
    record array. Raises `KeyError` for one that is missing.
    """
    options = onnxruntime.SessionOptions()
    # Its threads would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(os.environ.get("OMP_NUM_THREADS", "1")))
    session = onnxruntime.InferenceSession(
        model.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    names = session.get_modelmeta().custom_metadata_map
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    inputs: dict[str, NDArray[Any]] = {}
    for given in session.get_inputs():
        columns = stacked(events, json.loads(names[given.name]))
        inputs[given.name] = columns.astype(kinds[given.type])
    size = len(next(iter(inputs.values())))
    found = [
        session.run(None, {name: array[start : start + CHUNK] for name, array in inputs.items()})[0]
        for start in range(0, max(size, 1), CHUNK)
    ]
    return np.concatenate(found).astype(np.float64)


def stacked(events: Mapping[str, Any], names: Sequence[str]) -> NDArray[np.float64]:
    """Return columns side by side (event, column)."""
    columns = []
    for name in names:
        try:
            columns.append(np.asarray(events[name], dtype=np.float64))
        except (KeyError, ValueError) as error:
            raise KeyError(f"the events have no column {name} of one number each") from error
    return np.stack(columns, axis=1)


def mean(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over members (event,)."""
    return np.asarray(factors.mean(axis=1))


def deviation(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation over members (event,); 0 for a single one."""
    return np.asarray(factors.std(axis=1, ddof=min(1, factors.shape[1] - 1)))


# How a run ends: exit statuses and the exceptions that lead to them.


class RefusedError(Exception):
    """The run cannot start, or cannot go on, as things stand; nothing was lost."""


# Where things lie: `${NAME}` in paths, and files that a crash leaves old or new, never half.


# Where a run started by hand goes if the site's variables are not set.
FALLBACKS = {"ANALYSIS_ML_LOGS_DIR": "logs", "ANALYSIS_ML_RESULTS_DIR": "results"}


def expand(path: str, base: Path) -> Path:
    """Return `path` with its `${NAME}` filled in; a relative one starts at `base`.

    What a variable says relatively starts where the run does, as it would in a shell.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ and name in FALLBACKS:
            place = Path.cwd() / FALLBACKS[name]
            print(f"{name} is not set, using {place}", file=sys.stderr)
            return str(place)
        if not os.environ.get(name):
            raise RefusedError(f"the variable {name} is not set; {path} needs it")
        return os.environ[name]

    base = Path.cwd() if path.startswith("${") else base
    return (base / re.sub(r"\$\{([A-Z0-9_]+)\}", value, path)).resolve()


# What is called.


def network() -> Path:
    """Return where the exported network is; raises `RefusedError` if the ratio is not trained."""
    beside = Path(__file__).resolve().with_name("fake_factor.onnx")
    if beside.is_file():
        return beside
    trained = expand(SAVE_DIR, SPEC_FOLDER) / EXPERIMENT_NAME / RUN_NAME / "fake_factor.onnx"
    if not trained.is_file():
        raise RefusedError(f"there is no {trained}; train_ratio.py comes first")
    return trained


def fake_factors(events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of every member of the ensemble (event, member)."""
    return member_factors(network(), events)


def fake_factor(events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F, the mean over members (event,)."""
    return mean(fake_factors(events))


def spread(events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the standard deviation of F over members (event,); 0 for a single one."""
    return deviation(fake_factors(events))


def main() -> int:
    """Add the fake factor to a file of events; return the exit status."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        table = pq.read_table(sys.argv[1])
        events = {name: table[name].to_numpy() for name in table.column_names}
        factors = fake_factors(events)
        table = table.append_column("fake_factor", pa.array(mean(factors)))
        table = table.append_column("fake_factor_spread", pa.array(deviation(factors)))
        pq.write_table(table, sys.argv[2])
    except (RefusedError, KeyError, OSError, ValueError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    print(f"wrote {sys.argv[2]}: {table.num_rows} events with fake_factor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
