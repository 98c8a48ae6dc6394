"""The same events train to the same weights, bit for bit, whatever files they come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import uproot

from tests.runs.experiments import Run, Workshop, events

Writer = Callable[[Path, pd.DataFrame], None]
# What a spec says of either sample, and which reader its script has.
PLACES: dict[str, dict[str, Any]] = {
    "TTree": {"files": ["../data/tree*.root"], "tree": "nominal"},
    "RNTuple": {"files": ["../data/ntuple.root"]},
    "HDF5 array": {"files": ["../data/array.h5"], "table": "events"},
    "HDF5 datasets": {"files": ["../data/groups.hdf5"]},
    "Parquet": {"files": ["../data/records.parquet"]},
    "Parquet folder": {"files": ["../data/parts/"]},
    "CSV": {"files": ["../data/toy.csv.gz"]},
}
READERS = {
    "TTree": 'Root("nominal")', "RNTuple": "Root()", "HDF5 array": 'Hdf5("events")',
    "HDF5 datasets": "Hdf5()", "Parquet": "Parquet()", "Parquet folder": "Parquet()",
    "CSV": "Csv()",
}  # fmt: skip
PACKAGES = {"Root": "uproot", "Hdf5": "h5py", "Parquet": "pyarrow", "Csv": "pyarrow"}


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): frame[name].to_numpy() for name in frame}


def write_tree(data: Path, frame: pd.DataFrame) -> None:
    """Write two files, with a systematic variation of other numbers beside."""
    for index, half in enumerate((frame[:170], frame[170:])):
        with uproot.recreate(data / f"tree{index}.root") as file:
            for name, shift in (("varied", 1.0), ("nominal", 0.0)):
                found = columns(half.assign(x=half.x + shift))
                file.mktree(name, {n: v.dtype for n, v in found.items()})
                file[name].extend(found)


def write_ntuple(data: Path, frame: pd.DataFrame) -> None:
    with uproot.recreate(data / "ntuple.root") as file:
        file.mkrntuple("events", columns(frame))


def write_array(data: Path, frame: pd.DataFrame) -> None:
    with h5py.File(data / "array.h5", "w") as file:
        file["events"] = frame.to_records(index=False)
        file["other"] = np.zeros(3, [("x", float)])


def write_groups(data: Path, frame: pd.DataFrame) -> None:
    with h5py.File(data / "groups.hdf5", "w") as file:
        for name, values in columns(frame).items():
            file[name] = values


def write_records(data: Path, frame: pd.DataFrame) -> None:
    pq.write_table(pa.table(columns(frame)), data / "records.parquet", row_group_size=100)


def write_folder(data: Path, frame: pd.DataFrame) -> None:
    """Write what hive writes: which half it is, stands in the names of folders alone."""
    # Rows keep their order: a split of the same events is in that of the files.
    pq.write_to_dataset(
        pa.table(columns(frame.assign(half=np.arange(len(frame)) // 201))),
        data / "parts",
        partition_cols=["half"],
    )


def write_csv(data: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(data / "toy.csv.gz", index=False)


WRITERS: dict[str, Writer] = {
    "TTree": write_tree, "RNTuple": write_ntuple, "HDF5 array": write_array,
    "HDF5 datasets": write_groups, "Parquet": write_records, "Parquet folder": write_folder,
    "CSV": write_csv,
}  # fmt: skip


def trained(workshop: Workshop, kind: str) -> Run:
    """Train on the events in files of a format."""
    name = kind.replace(" ", "_")
    WRITERS[kind](workshop.folder / "data", events(401))
    samples = [
        {"name": title, "class": of_class, "selection": f"process == {number}", **PLACES[kind]}
        for title, of_class, number in (("ggH", "signal", 1), ("qqZZ", "background", 0))
    ]
    changes = {
        "numerical": ["x", "y", "z", "xy"],
        "derived": {"xy": "sqrt(x ** 2 + y ** 2)"},
        "samples": samples,
    }
    script = workshop.build(name, dataset_config=changes)
    text = script.read_text()
    assert f"reader={READERS[kind]}," in text
    used = PACKAGES[READERS[kind].partition("(")[0]]
    header = text.partition("# ///\n\n")[0]
    others = set(PACKAGES.values()) - {used, "pyarrow" if used == "uproot" else used}
    assert f'"{used}==' in header
    assert not [each for each in others if f'"{each}==' in header]
    workshop.run(script).done()
    return workshop.found(name)


@pytest.fixture(scope="module")
def of_parquet(workshop: Workshop) -> Run:
    return trained(workshop, "Parquet")


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "Parquet"])
def test_events_train_alike_in_all_formats(workshop: Workshop, of_parquet: Run, kind: str) -> None:
    run = trained(workshop, kind)
    wanted = of_parquet.weights()
    assert all(torch.equal(value, wanted[name]) for name, value in run.weights().items())
    assert run.measured() == of_parquet.measured()
