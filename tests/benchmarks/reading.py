"""Two million events of thirty features, read into tensors: speed and memory, in this process.

    python reading.py FORMAT FOLDER

prints how many times faster that is than the format's own library reads the same columns, and the
peak of memory in sizes of the tensors, beyond what importing and a first use of the reader took.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
import uproot
from numpy.typing import NDArray

from parts.csv_files import Csv
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.events import read_splits
from parts.hdf5_files import Hdf5
from parts.parquet_files import Parquet
from parts.readers import Reader
from parts.root_files import Root

SIZE, BLOCK = 2_000_000, 100_000
FEATURES = tuple(f"x{index:02}" for index in range(30))
COLUMNS = (*FEATURES, "event", "label", "weight")
READERS: dict[str, tuple[str, Reader]] = {
    "TTree": ("a.root", Root("events")),
    "RNTuple": ("b.root", Root("events")),
    "HDF5": ("a.h5", Hdf5("events")),
    "Parquet": ("a.parquet", Parquet()),
    "Parquet-long": ("b.parquet", Parquet()),
    "CSV": ("a.csv", Csv()),
}


def block(first: int, size: int) -> dict[str, NDArray[Any]]:
    """Return some events."""
    random = np.random.default_rng(first)
    return {
        **{name: random.normal(size=size).astype(np.float32) for name in FEATURES},
        "event": np.arange(first, first + size),
        "label": (random.random(size) < 0.3).astype(np.int8),
        "weight": random.uniform(0.5, 1.5, size).astype(np.float32),
    }


def write(kind: str, path: Path, size: int, at_once: int) -> None:
    """Write events to a file, block by block."""
    types = {name: column.dtype for name, column in block(0, 1).items()}
    firsts = range(0, size, at_once)
    if kind in ("TTree", "RNTuple"):
        with uproot.recreate(path) as file:
            make = file.mktree if kind == "TTree" else file.mkrntuple
            make("events", types)
            for first in firsts:
                file["events"].extend(block(first, at_once))
    elif kind == "HDF5":
        with h5py.File(path, "w") as file:
            table = file.create_dataset(
                "events",
                size,
                np.dtype(list(types.items())),
                chunks=min(size, 10_000),
                compression="lzf",
            )
            for first in firsts:
                rows = np.empty(at_once, table.dtype)
                for name, column in block(first, at_once).items():
                    rows[name] = column
                table[first : first + at_once] = rows
    elif kind == "CSV":
        with pyarrow.csv.CSVWriter(path, pa.table(block(0, 1)).schema) as file:
            for first in firsts:
                file.write(pa.table(block(first, at_once)))
    else:
        with pq.ParquetWriter(path, pa.table(block(0, 1)).schema) as file:
            for first in firsts:
                file.write(pa.table(block(first, at_once)))


def library(kind: str, path: Path) -> object:
    """Read the same columns as the format's own library does."""
    if kind in ("TTree", "RNTuple"):
        return uproot.open(path)["events"].arrays(COLUMNS, library="np")
    if kind == "HDF5":
        with h5py.File(path) as file:
            return file["events"].fields(COLUMNS)[:]
    if kind == "CSV":
        return pyarrow.csv.read_csv(path)
    return pq.read_table(path)


def read(reader: Reader, path: Path) -> int:
    """Read a file into tensors; return their size in bytes."""
    dataset = Dataset(
        samples=(Sample("all", (str(path),), reader, class_column="label", weight="weight"),),
        numerical=FEATURES,
        event_number="event",
        classes=("background", "signal"),
        class_values={"background": (0,), "signal": (1,)},
    )
    files = find_data(dataset, Path("/")).files
    splits = read_splits(dataset, files, True, True, torch.float32)
    return sum(t.numel() * t.element_size() for split in splits for t in split.tensors())


def memory(name: str) -> int:
    """Return an entry of this process's status in bytes."""
    lines: Mapping[str, str] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    return int(lines[name].split()[0]) * 1024


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure one format."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    name, reader = READERS[kind]
    size = SIZE // 4 if kind == "CSV" else SIZE
    small, path = folder / f"small_{name}", folder / name
    write(kind, small, 1000, 1000)
    write(kind, path, size, size // 2 if kind == "Parquet-long" else BLOCK)
    read(reader, small)
    # The peak so far, of the writing, is forgotten.
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    began = time.process_time()
    tensors = read(reader, path)
    ours = time.process_time() - began
    peak = memory("VmHWM") - before
    path_of_library = seconds(lambda: library(kind, path))
    path.unlink()
    print(f"{path_of_library / ours:.2f} {peak / tensors:.2f}")


if __name__ == "__main__":
    main()
