"""The fake factor that train_ratio.py has trained, applied to events; without torch or Lightning.

    from apply import fake_factor
    factors = fake_factor(events)         events with a column for each feature, such as a DataFrame

    python apply.py events.parquet out.parquet [--network PLACE]

adds the columns fake_factor and fake_factor_spread. Loose data then enter with weight * F, loose
Monte Carlo with -weight * F.

The network is what PLACE says, fake_factor.onnx or a folder that has it. Else it is the one beside
this file, or that of the run which the resolved.toml beside this file is about. The folder deploy/
of that run has all that is needed and works wherever it is copied to.

Exit status: 0 done, 1 refused, 2 usage, 75, 130 and 143 stopped by a signal.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "pyarrow==25.0.1",
# ]
# ///

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

# Python leaves it out with PYTHONSAFEPATH, or if this file is reached by a link.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from parts.applications import applied_factors, deviation, mean
from parts.machinery.exits import DONE, RefusedError, carry_out
from parts.machinery.places import write_atomically
from parts.machinery.ratios import find_network

COLUMNS = ("fake_factor", "fake_factor_spread")


def fake_factors(
    events: Mapping[str, Any], network: str | Path | None = None
) -> NDArray[np.float64]:
    """Return F of every member of the ensemble (event, member); 0 in the crack, if it has one.

    Raises `RefusedError` for events of which the network knows nothing, or if there is no network.
    """
    return applied_factors(find_network(Path(__file__).resolve().parent, network), events)


def fake_factor(
    events: Mapping[str, Any], network: str | Path | None = None
) -> NDArray[np.float64]:
    """Return F, the mean over members (event,)."""
    return mean(fake_factors(events, network))


def spread(events: Mapping[str, Any], network: str | Path | None = None) -> NDArray[np.float64]:
    """Return the standard deviation of F over members (event,); 0 for a single one."""
    return deviation(fake_factors(events, network))


def arguments() -> argparse.Namespace:
    """Return which files are meant."""
    parser = argparse.ArgumentParser(
        description="Add the fake factor to a file of events.", allow_abbrev=False
    )
    parser.add_argument("events", type=Path, help="Parquet file with a column for each feature")
    parser.add_argument("out", type=Path, help="Parquet file to write")
    parser.add_argument("--network", metavar="PLACE", help="fake_factor.onnx, or a folder with it")
    return parser.parse_args()


def add_columns(events: Path, out: Path, network: str | None) -> int:
    """Write the events with their fake factor; return the exit status."""
    try:
        table = pq.read_table(events)
    except (OSError, ValueError) as error:
        raise RefusedError(f"cannot read {events}: {error}") from error
    if there := [name for name in COLUMNS if name in table.column_names]:
        raise RefusedError(f"{events} has a column {there[0]} already")
    factors = fake_factors(table, network)
    for name, values in zip(COLUMNS, (mean(factors), deviation(factors)), strict=True):
        table = table.append_column(name, pa.array(values))
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    write_atomically(out, buffer.getvalue().to_pybytes())
    print(f"wrote {out}: {table.num_rows} events with fake_factor")
    return DONE


def main() -> int:
    """Run as a program; return the exit status."""
    given = arguments()
    return carry_out(partial(add_columns, given.events, given.out, given.network))


if __name__ == "__main__":
    sys.exit(main())
