"""The exported fake factor, applied to events of any kind that has columns by name."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

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
