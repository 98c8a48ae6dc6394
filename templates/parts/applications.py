"""The exported fake factor, applied to events of any kind that has columns by name."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parts.exits import RefusedError, obey

# Events at a time, which bounds the memory.
CHUNK = 262_144


def member_factors(model: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of each member of the ensemble (event, member).

    `events` has a column (event,) for each feature: a DataFrame, a dict of arrays, an awkward
    record array. Raises `RefusedError` for a column that is missing, or that holds what no event of
    the training could: infinite or missing values, categories that are not whole numbers.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options = onnxruntime.SessionOptions()
    # Its own choice would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(threads)) if threads.isdigit() else 1
    try:
        session = onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its errors have no class in common.
    except Exception as error:
        raise RefusedError(f"cannot read {model}: {error}") from error
    known = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
    inputs: dict[str, NDArray[Any]] = {}
    for given in session.get_inputs():
        columns = stacked(events, known[given.name])
        allowed = np.isfinite(columns) | (np.isnan(columns) & (known["missing"] == "nan"))
        if given.name == "categorical":
            allowed = columns == np.floor(columns)
        if not allowed.all():
            bad = [
                n for n, good in zip(known[given.name], allowed.T, strict=True) if not good.all()
            ]
            raise RefusedError(f"values that the network has never seen in {', '.join(bad)}")
        inputs[given.name] = columns.astype(kinds[given.type])
    size = len(next(iter(inputs.values())))
    found = []
    for start in range(0, max(size, 1), CHUNK):
        obey()
        chunk = {name: array[start : start + CHUNK] for name, array in inputs.items()}
        found.append(session.run(None, chunk)[0])
    return np.concatenate(found).astype(np.float64)


def stacked(events: Mapping[str, Any], names: Sequence[str]) -> NDArray[np.float64]:
    """Return columns side by side (event, column); raises `RefusedError`."""
    columns = []
    for name in names:
        try:
            column = np.asarray(events[name], dtype=np.float64)
            if column.ndim != 1:
                raise ValueError("not one number each")
            columns.append(column)
        except (KeyError, TypeError, ValueError) as error:
            message = f"the events have no column {name} of one number each"
            raise RefusedError(message) from error
    return np.stack(columns, axis=1)


def mean(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over members (event,)."""
    return np.asarray(factors.mean(axis=1))


def deviation(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation over members (event,); 0 for a single one."""
    return np.asarray(factors.std(axis=1, ddof=min(1, factors.shape[1] - 1)))
