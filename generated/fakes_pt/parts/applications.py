"""The exported fake factor, applied to events of any kind that has columns by name."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parts.columns import ELEMENT, Chunk, underived
from parts.cracks import Crack, in_crack
from parts.expressions import ExpressionError
from parts.machinery.exits import RefusedError, obey
from parts.ranges import Findings, Seen, categorical_input, numerical_input, odd_values, seen_of
from parts.readers import Column, ColumnType, Lists, kind_of, lists_of

# Events at a time, which bounds the memory.
CHUNK = 262_144


@dataclass(frozen=True)
class Network:
    """An exported network, and what its file says of the events that it takes."""

    session: Any  # of ONNX Runtime
    columns: dict[str, tuple[str, ...]]  # of each input
    missing: float | None  # what stood in training where a thing does not exist
    crack: Crack | None
    derived: dict[str, str]
    # None if the file does not say, as those of an older version.
    seen: Seen | None


def read_network(path: Path) -> Network:
    """Return what the file of a network holds; raises `RefusedError`."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options = onnxruntime.SessionOptions()
    # Its own choice would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(threads)) if threads.isdigit() else 1
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its errors have no class in common.
    except Exception as error:
        raise RefusedError(f"cannot read {path}: {error}") from error
    try:
        said = session.get_modelmeta().custom_metadata_map
        columns = {
            given.name: tuple(json.loads(said[given.name])) for given in session.get_inputs()
        }
        crack = json.loads(said["crack"])
        missing = json.loads(said["missing"])
        return Network(
            session,
            columns,
            None if missing is None else float(missing),
            crack and Crack(**crack),
            # A network of an older version has none.
            json.loads(said.get("derived", "{}")),
            seen_of(json.loads(said["seen"])) if "seen" in said else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path} does not say what a network of train_ratio.py says: {error!r}"
        raise RefusedError(message) from error


def applied_factors(path: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of each member of the ensemble (event, member), which is 0 in the crack.

    `events` has a column (event,) for each feature, or for what it is derived from, and eta if
    there is a crack: a DataFrame, a dict of arrays, an awkward record array. Says on stderr how
    many events lie outside of what the training has seen. Raises `RefusedError` for a column that
    is missing, or that holds what no event of the training could: values that are infinite, or of
    which a logarithm is needed and there is none; categories that are not whole numbers.
    """
    network = read_network(path)
    factors = network_factors(network, events)
    if network.crack is None:
        return factors
    eta = columns_by_name(network, events, [network.crack.eta])[0].astype(np.float64)[:, None]
    if np.isnan(eta).any():
        raise RefusedError(f"values of {network.crack.eta} are missing: who knows about the crack?")
    # Nothing was learnt there, and nothing is estimated.
    return np.where(in_crack(eta, network.crack), 0.0, factors)


def member_factors(path: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return what the network says of events outside the crack (event, member)."""
    return network_factors(read_network(path), events)


def network_factors(network: Network, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return what the network says (event, member), crack or not."""
    findings = Findings()
    inputs = {
        given.name: taken(network, events, given.name, findings)
        for given in network.session.get_inputs()
    }
    if findings.refused:
        raise RefusedError(
            f"values that the network cannot take: {'; '.join(findings.refused)}"
            " (events count from 0)"
        )
    say_beyond(network, findings)
    size = len(next(iter(inputs.values())))
    found = []
    for start in range(0, max(size, 1), CHUNK):
        obey()
        chunk = {name: array[start : start + CHUNK] for name, array in inputs.items()}
        found.append(network.session.run(None, chunk)[0])
    factors = np.concatenate(found).astype(np.float64)
    summed = factors.sum(axis=1)
    if wrong := odd_values("the network gives no finite F", summed, ~np.isfinite(summed)):
        raise RefusedError(f"{wrong[0]} (events count from 0)")
    return factors


def say_beyond(network: Network, findings: Findings) -> None:
    """Say on stderr how many events are unlike those of the training, feature by feature."""
    if network.seen is None:
        findings.beyond.append("the file of the network, an older one, does not say what it was")
    if findings.beyond:
        lines = ["beyond what the training has seen, where F is a guess:", *findings.beyond]
        print("\n  ".join(lines), file=sys.stderr)


def taken(
    network: Network, events: Mapping[str, Any], name: str, findings: Findings
) -> NDArray[Any]:
    """Return an input's columns (event, column), and note what is odd about them."""
    names = network.columns[name]
    columns = columns_by_name(network, events, names)
    if name == "categorical":
        return categorical_input(names, columns, network.seen, findings)
    return numerical_input(names, columns, network.missing, network.seen, findings)


def columns_by_name(
    network: Network, events: Mapping[str, Any], names: Sequence[str]
) -> list[NDArray[Any]]:
    """Return the numbers of columns, each (event,); raises `RefusedError`."""
    # What the events have need not be derived.
    derived = {name: text for name, text in network.derived.items() if not has(events, name)}
    columns = dict(column_of(events, name) for name in underived(names, derived))
    types = {name: type_of(column) for name, column in columns.items()}
    size = len(next(iter(columns.values())))
    if any(len(column) != size for column in columns.values()):
        lengths = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise RefusedError(f"the events have columns of several lengths: {lengths}")
    chunk = Chunk(columns, types, size, derived, network.missing)
    try:
        return [chunk.numbers(name) for name in names]
    except ExpressionError as error:
        raise RefusedError(f"the events cannot be used: {error}") from error


def has(events: Mapping[str, Any], name: str) -> bool:
    """Whether events have a column."""
    try:
        events[name]
    except (LookupError, TypeError, ValueError):
        return False
    return True


def column_of(events: Mapping[str, Any], name: str) -> tuple[str, Column | Lists]:
    """Return the column that a name needs, under its own name; raises `RefusedError`."""
    element = ELEMENT.fullmatch(name)
    try:
        if element and not has(events, name):
            lists = events[element[1]]
            # Items of Arrow's own kind are no numbers.
            lists = lists.to_pylist() if hasattr(lists, "to_pylist") else lists
            items = [np.asarray(() if each is None else each) for each in lists]
            return element[1], lists_of(items)
        column = np.asarray(events[name])
        if column.ndim != 1 or column.dtype.kind not in "biuf":
            raise ValueError("not one number each")
    except (LookupError, TypeError, ValueError) as error:
        raise RefusedError(f"the events have no column {name} of one number each") from error
    return name, Column(column)


def type_of(column: Column | Lists) -> ColumnType:
    """Return the type of what was given as an array."""
    kind, said = kind_of(column.values.dtype), str(column.values.dtype)
    return ColumnType("list", said, kind) if isinstance(column, Lists) else ColumnType(kind, said)


def mean(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over members (event,)."""
    return np.asarray(factors.mean(axis=1))


def deviation(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation over members (event,); 0 for a single one."""
    return np.asarray(factors.std(axis=1, ddof=min(1, factors.shape[1] - 1)))
