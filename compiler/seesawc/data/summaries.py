"""A file of data -> what its columns hold, from events all over it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError, obey
from parts.readers import Column, ColumnType, Reader, Schema, SeveralTablesError, Table
from seesawc.data.readers import kind_of
from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.dataset import TABLES

MOST_EVENTS = 200_000
# Values held at a time: files may have thousands of columns.
MOST_VALUES = 50_000_000
CHUNK = 50_000
# Different values that are told one by one.
FEW = 20
# What often stands where a thing does not exist.
SENTINELS = (-999.0, -99.0, -9999.0, -1.0)
PLAIN = ("condition", "whole", "real", "text")


@frozen
class Summary:
    """What a column holds, as far as was looked at; shares are of those events."""

    type: ColumnType
    # Of values that are neither null nor nan.
    n_distinct: int = 0
    minimum: float = np.nan
    maximum: float = np.nan
    null: float = 0.0
    nan: float = 0.0
    infinite: float = 0.0
    # The values, where they are few, in order.
    values: tuple[Any, ...] = ()
    # Smallest and largest value that occurs often, with its share and whether it lies far off.
    ends: tuple[tuple[float, float, bool], ...] = ()


@frozen
class Look:
    """A file, and what was seen of it."""

    path: Path
    n_events: int
    n_seen: int
    columns: Mapping[str, Summary]
    labels: Mapping[str, int]
    pads: Mapping[str, float]


def look(path: Path, reader: Reader) -> Look:
    """Look at a file; raises `CompileError` where it cannot be read."""
    try:
        with reader.open(path) as table:
            return _look(path, table)
    except SeveralTablesError as error:
        option = f"--{TABLES[kind_of(path)]} NAME"
        raise CompileError(Diagnostic(str(error), hint=option)) from None
    except RefusedError as error:
        raise CompileError(Diagnostic(str(error))) from None


def _look(path: Path, table: Table) -> Look:
    schema = table.schema
    names = [name for name, each in schema.columns.items() if each.kind in PLAIN]
    chosen = _chosen(schema, len(names))
    values: dict[str, list[Column]] = {name: [] for name in names}
    start = 0
    for chunk in table.chunks(names, CHUNK):
        obey()
        size = max((len(c.values) for c in chunk.values() if isinstance(c, Column)), default=CHUNK)
        low, high = np.searchsorted(chosen, [start, start + size])
        rows = chosen[low:high] - start
        for name, column in chunk.items():
            if isinstance(column, Column):
                absent = None if column.absent is None else column.absent[rows]
                values[name].append(Column(column.values[rows], absent))
        start += size
    columns = {
        name: _summary(each, values[name]) if name in values else Summary(each)
        for name, each in schema.columns.items()
    }
    return Look(path, schema.n_events, len(chosen), columns, schema.labels, schema.pads)


def _chosen(schema: Schema, n_columns: int) -> NDArray[np.int64]:
    """Return which events are looked at: one of each stretch, at a place that is no period."""
    most = min(MOST_EVENTS, MOST_VALUES // max(n_columns, 1))
    step = -(-schema.n_events // most) or 1
    starts = np.arange(0, schema.n_events, step, dtype=np.int64)
    if step == 1:
        return starts
    shifted = starts + np.random.default_rng(0).integers(0, step, len(starts))
    last: NDArray[np.int64] = np.minimum(shifted, schema.n_events - 1)
    return last


def _summary(kind: ColumnType, chunks: Sequence[Column]) -> Summary:
    if not any(len(chunk.values) for chunk in chunks):
        return Summary(kind)
    values = np.concatenate([chunk.values for chunk in chunks])
    absent = np.concatenate(
        [np.zeros(len(c.values), bool) if c.absent is None else c.absent for c in chunks]
    )
    if kind.kind == "text":
        there = sorted({str(value) for value in values[~absent]})
        few = tuple(there) if len(there) <= FEW else ()
        return Summary(kind, len(there), null=float(absent.mean()), values=few)
    return _of_numbers(kind, values, absent)


def _of_numbers(kind: ColumnType, values: NDArray[Any], absent: NDArray[np.bool_]) -> Summary:
    real = values.dtype.kind == "f"
    nan = (np.isnan(values) if real else np.zeros(len(values), bool)) & ~absent
    infinite = (np.isinf(values) if real else np.zeros(len(values), bool)) & ~absent
    found, counts = np.unique(values[~(absent | nan | infinite)], return_counts=True)
    shares = {"null": absent, "nan": nan, "infinite": infinite}
    return Summary(
        kind,
        len(found),
        float(found[0]) if len(found) else np.nan,
        float(found[-1]) if len(found) else np.nan,
        **{name: float(each.mean()) for name, each in shares.items()},
        values=tuple(found.tolist()) if len(found) <= FEW else (),
        ends=tuple(_ends(found.astype(float), counts)),
    )


def _ends(found: NDArray[np.float64], counts: NDArray[np.int64]) -> list[tuple[float, float, bool]]:
    """Return the ends that occur often, and whether each lies far from all other values."""
    if len(found) < 3:
        return []
    ends = []
    total = int(counts.sum())
    for at, rest in ((0, found[1:]), (-1, found[:-1])):
        if counts[at] > max(0.005 * total, 3):
            value = float(found[at])
            gap = min(abs(value - rest[0]), abs(value - rest[-1]))
            off = gap > np.ptp(rest) or (value in SENTINELS and gap >= abs(value) / 2)
            ends.append((value, float(counts[at] / total), bool(off)))
    return ends
