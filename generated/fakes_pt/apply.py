"""The fake factor of fakes_pt, trained by train_ratio.py; without torch or Lightning.

Compiled from the spec fakes_pt.toml by seesawc; change the spec, not this file.

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

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
EXPERIMENT_NAME = "fakes_pt"
RUN_NAME = "fakes_pt_MLP_20261127T222752Z-ratio"
# The script of the ratio, by digest.
RATIO = "fc8b00d21feb9dc10ef9382240a9cf5c5549f9b26e2ae91adbd4d31c0e3722b5"
SPEC_FOLDER = Path(__file__).resolve().parent / "../../specs"


# How a run ends: exit statuses, the exceptions that lead to them, and the signals that ask for it.


PREEMPTED = 75
INTERRUPTED = 130
CANCELLED = 143

# What SLURM, a terminal and a user end a run with.
SIGNALS = {
    signal.SIGTERM: CANCELLED,
    signal.SIGUSR2: PREEMPTED,
    signal.SIGINT: INTERRUPTED,
}


class RefusedError(Exception):
    """The run cannot start, or cannot go on, as things stand; nothing was lost."""


class StoppedError(Exception):
    """A signal asked the run to stop; what it has reached is saved."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped by a signal, exit status {status}")
        self.status = status


class Asked:
    """What signals have asked of this process."""

    def __init__(self) -> None:
        # The exit status that the last of them leads to.
        self.status = 0
        # Whether tasks stop together, between two steps: then none stops alone at `obey`.
        self.together = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C kills the process where it stands."""
        self.status = SIGNALS[signal.Signals(number)]
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)


ASKED = Asked()


def listen(together: bool = False) -> None:
    """Note the signals that end a run, from now on; `together` with other tasks or alone."""
    ASKED.together = together
    for number in SIGNALS:
        signal.signal(number, ASKED.note)


def stop_listening() -> None:
    """Let no signal change how the process ends: Python gives back its handlers before it is over.

    What is ignored stays so.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def obey() -> None:
    """Raise `StoppedError` if a signal has come: called where nothing is half done."""
    if ASKED.status and not ASKED.together:
        raise StoppedError(ASKED.status)


# The exported fake factor, applied to events of any kind that has columns by name.


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


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new."""
    # The temporary file lies in the same folder: across file systems a move is a copy
    # (Lightning #19970), and without fsync the new name may come before its content.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    free = shutil.disk_usage(path.parent).free
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        # What did not fit on a full disk must not keep it full.
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"no space left for {path}: {len(data)} bytes needed, {free} free"
            raise OSError(error.errno, text) from error
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's new names survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Checkpoints that survive a crash, a full disk and a move between machines.


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file is there, as it was written."""
    return path.exists() and digest(path) == sha256


# The trainings that another one builds on, found by what their run folders record.


def parent_checkpoint(folder: Path, stage: str, script: str) -> Path:
    """Return a stage's best checkpoint; raises `RefusedError` unless `script` has finished it.

    SLURM runs a job after one that it no longer knows as if that had succeeded, so its word for it
    is not enough.
    """
    done = folder / "done"
    if not done.is_file():
        raise RefusedError(f"the {stage} has not finished: {folder}; train_{stage}.py comes first")
    said = json.loads(done.read_text())
    if said["script"] != script:
        raise RefusedError(
            f"{folder} does not fit: it was trained by another train_{stage}.py"
            f" ({said['script'][:12]}, needed is {script[:12]}); build and train all three together"
        )
    checkpoint = folder / "checkpoints" / str(said["checkpoint"])
    if not is_whole(checkpoint, said["sha256"]):
        raise RefusedError(f"{checkpoint} is missing or damaged; train_{stage}.py --again LABEL")
    return checkpoint


# What is called.


def network() -> Path:
    """Return where the exported network is; raises `RefusedError` if the ratio is not trained."""
    beside = Path(__file__).resolve().with_name("fake_factor.onnx")
    if beside.is_file():
        return beside
    folder = expand(SAVE_DIR, SPEC_FOLDER) / EXPERIMENT_NAME / RUN_NAME
    parent_checkpoint(folder, "ratio", RATIO)
    return folder / "fake_factor.onnx"


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
    listen()
    try:
        table = pq.read_table(sys.argv[1])
        if there := {"fake_factor", "fake_factor_spread"} & set(table.column_names):
            raise RefusedError(f"{sys.argv[1]} has a column {min(there)} already")
        events = {name: table[name].to_numpy() for name in table.column_names}
        factors = fake_factors(events)
        table = table.append_column("fake_factor", pa.array(mean(factors)))
        table = table.append_column("fake_factor_spread", pa.array(deviation(factors)))
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        write_atomically(Path(sys.argv[2]), buffer.getvalue().to_pybytes())
        print(f"wrote {sys.argv[2]}: {table.num_rows} events with fake_factor")
        status = 0
    except (RefusedError, OSError, ValueError) as error:
        print(f"refused: {error}", file=sys.stderr)
        status = 1
    except StoppedError as error:
        print(error, file=sys.stderr)
        status = error.status
    stop_listening()
    return status


if __name__ == "__main__":
    sys.exit(main())
