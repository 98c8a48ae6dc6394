"""Files of events, scored in this process; what is in the files that come out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import uproot
from numpy.typing import NDArray

from parts.applications import read_networks
from parts.file_applications import apply_to_files
from parts.machinery.found_networks import find_networks
from parts.scored_columns import Choices

ENDINGS = (".root", ".h5", ".parquet", ".csv")


def applied_to(network: Path, sources: Path | list[Path], out: Path, **choices: Any) -> list[str]:
    """Score files as `apply.py` does; return what it says."""
    paths = find_networks(Path("nowhere"), network).paths
    application = read_networks(paths, {})
    files = sources if isinstance(sources, list) else [sources]
    return list(apply_to_files(application, files, out, Choices(**choices)))


def write_events(path: Path, columns: Mapping[str, NDArray[Any]], table: str = "nominal") -> Path:
    """Write events by the library of the file's format; return where."""
    match path.suffix:
        case ".root":
            with uproot.recreate(path) as file:
                file.mktree(table, {name: each.dtype for name, each in columns.items()})
                file[table].extend(dict(columns))
        case ".h5":
            with h5py.File(path, "w") as file:
                for name, each in columns.items():
                    file[name] = each
        case ".parquet":
            pq.write_table(pa.table(dict(columns)), path)
        case _:
            pd.DataFrame(dict(columns)).to_csv(path, index=False)
    return path


def read_events(path: Path) -> dict[str, NDArray[Any]]:
    """Return all columns of a file by the library of its format; of several tables, the first."""
    match path.suffix:
        case ".root":
            with uproot.open(path) as file:
                return dict(file[file.keys()[0]].arrays(library="np"))
        case ".h5":
            with h5py.File(path) as file:
                if len(file) == 1:
                    # A structured array.
                    (array,) = file.values()
                    return {name: array[name] for name in array.dtype.names}
                return {name: each[:] for name, each in file.items()}
        case ".parquet":
            table = pq.read_table(path)
            return {name: table[name].to_numpy() for name in table.column_names}
        case _:
            frame = pd.read_csv(path)
            return {str(name): frame[name].to_numpy() for name in frame}


def within(values: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Assert that numbers agree in single precision, nan with nan."""
    np.testing.assert_allclose(values, wanted, rtol=2e-6, atol=1e-7)
