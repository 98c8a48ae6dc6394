"""Train the ratio of the fake factor, MLP: fakes_pt.

It learns F, the density of tight fakes over that of loose ones, from data that numerator
and denominator, trained before, rid of prompt leptons (arXiv:2511.06972). F is left as ONNX, too.
Compiled from the spec fakes_pt.toml by seesawc; change the spec, not this file.

    python train_ratio.py           train, or go on with a run that was interrupted
    python train_ratio.py --help    other ways to start

Exit status: 0 done, 1 refused, 3 loss not finite, 4 disk full, 70 an error of the program,
75 preempted (start again to go on), 130 interrupted, 143 cancelled.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "lightning==2.6.6",
#     "matplotlib==3.11.2",
#     "mlflow==3.17.2",
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "onnxscript==0.7.2",
#     "pandas==3.1.1",
#     "pyarrow==25.0.1",
#     "torch==2.13.0",
# ]
# ///

import argparse
import errno
import hashlib
import io
import json
import logging
import math
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any, Final
from uuid import uuid4

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from onnxscript import opset18
from torch import Tensor, nn
from torch.nn import functional

STAGE = "ratio"

# Experiment.
EXPERIMENT_NAME = "fakes_pt"
RUN_NAME = "fakes_pt_MLP_20261127T222752Z-ratio"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"
SEED = 1
ACCELERATOR = "auto"
DEVICES = "auto"
PRECISION: Final = "32-true"
FLOAT32_MATMUL_PRECISION = "high"
LOG_EVERY_N_STEPS = 50
CHECK_EVAL_N_EPOCH = 1
NUM_SANITY_VAL_STEPS = 0
CHECK_METRICS_N_EPOCH = 1
PLOT_METRICS_N_EPOCH = 5
TQDM_REFRESH_RATE = 20

# Dataset.
EVENT_NUMBER = "event"
NUMERICAL = ("pt",)
CATEGORICAL = ()
LOGARITHMIC = ("pt",)
TRAIN, VALIDATION, TEST = (0.7, 0.15, 0.15)
BATCH_SIZE = 4096

# Fakes.
CATEGORY, TIGHT, LOOSE = ("toy_type", 0, 2)
# The trainings that this one builds on: the run and the digest of its script.
PARENTS = {
    "numerator": (
        "fakes_pt_MLP_20261127T222752Z-numerator",
        "98b5979ea05d5478f624c168a846dc6c41828d7aca6d15f8172cdeb8dcb31853",
    ),
    "denominator": (
        "fakes_pt_MLP_20261127T222752Z-denominator",
        "49c63de8b550449aac34a54606c178bb2c17759740ec661718c34b293a2188f2",
    ),
}

# Model.
MODEL_NAME = "ratioModel"
N_LAYERS = 3
N_HIDDEN = 64
DROPOUT = 0.0

# Training.
MAX_EPOCHS = 12
MONITOR = None
MONITOR_MODE = "min"
SAVE_TOP_K = 1
SAVE_EVERY_N_MINUTES = 10.0
CLIP_QUANTILE = 0.998
GRADIENT_CLIP_VAL = None

PACKAGES = (
    "lightning",
    "matplotlib",
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "pyarrow",
    "torch",
)
SETTINGS = {name.lower(): value for name, value in globals().items() if name.isupper()}
SPEC_FOLDER = Path(__file__).resolve().parent / "../../specs"
RESOLVED = Path(__file__).with_name("resolved.toml")


# What a network's output goes through before it is a logit.


def softabs(x: Tensor) -> Tensor:
    """Return x^2/2 within |x| < 1 and |x| - 1/2 beyond: smooth, and never negative."""
    size = x.abs()
    return torch.where(size < 1, size * size / 2, size - 0.5)


class Softabs(nn.Module):
    """Keeps a logit at or above 0, so that a density ratio is at least 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return softabs(x)


class Activated(nn.Module):
    """A network and the activation of its output."""

    def __init__(self, network: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.activation = activation

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, output)."""
        activated: Tensor = self.activation(self.network(numerical, categorical))
        return activated


# The command line of a training script.


def argument_parser() -> argparse.ArgumentParser:
    """Return the options of every script."""
    parser = argparse.ArgumentParser(
        description="Train, or go on with an interrupted run.", allow_abbrev=False
    )
    parser.add_argument(
        "--again",
        metavar="LABEL",
        type=label,
        default="",
        help="train anew, as the run <run name>+LABEL",
    )
    parser.add_argument(
        "--accept-data", action="store_true", help="go on although the data has changed"
    )
    parser.add_argument(
        "--sync", action="store_true", help="only send the tracker what it lacks of the record"
    )
    parser.add_argument(
        "--srun", action="store_true", help="this is one task of an srun step (batch files say so)"
    )
    return parser


def parse_arguments() -> argparse.Namespace:
    """Return how the script is to be started."""
    return argument_parser().parse_args()


def label(text: str) -> str:
    """Return a text that may become part of a folder's name, or raise."""
    if re.fullmatch(r"[A-Za-z0-9_.+-]{0,50}", text) is None:
        raise argparse.ArgumentTypeError("letters, digits and _ . + - only, 50 of them at most")
    return text


# How a run ends: exit statuses, the exceptions that lead to them, and the signals that ask for it.


DONE = 0
REFUSED = 1
NOT_FINITE = 3
DISK_FULL = 4
FAILED = 70
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


class NotFiniteError(Exception):
    """The loss is no longer a finite number."""


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


def how_it_ended(error: BaseException) -> tuple[int, str]:
    """Return the exit status that an exception leads to, and what there is to say of it."""
    if isinstance(error, RefusedError):
        return REFUSED, f"refused: {error}"
    if isinstance(error, NotFiniteError):
        return NOT_FINITE, f"stopped: {error}; the checkpoints from before are kept"
    if isinstance(error, StoppedError):
        return error.status, f"{error}; start again to go on"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL, f"stopped: {error.strerror}; the checkpoints from before are kept"
    return FAILED, f"failed: {error!r}"


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


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing atomically, there and below."""
    for path in folder.rglob(".*.[0-9]*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a folder's new names survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# The record of a run, `metrics.jsonl`: one JSON object a line, copied by the tracker.


class Record:
    """Appends to `metrics.jsonl` and reads it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("a", encoding="ascii")

    def write(self, step: int, epoch: int, **entry: Any) -> None:
        """Write a line: metrics by name, or `artifact` with the path of a file."""
        self.write_all(step, epoch, [entry])

    def write_all(self, step: int, epoch: int, entries: list[dict[str, Any]]) -> None:
        """Write a line for each entry, all of them at once."""
        text = ""
        for entry in entries:
            line = {"step": step, "epoch": epoch, "time": time.time(), **entry}
            # JSON has no nan and no inf.
            finite = {k: None if is_not_finite(v) else v for k, v in line.items()}
            text += json.dumps(finite) + "\n"
        self.file.write(text)
        self.file.flush()

    def size(self) -> int:
        """Return the bytes written so far, which even a crash of the machine leaves."""
        if self.path.is_file():
            os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno()).st_size

    def cut(self, size: int, kept: Callable[[dict[str, Any]], bool] = lambda _: False) -> None:
        """Drop what was written after the first `size` bytes, but for entries that are `kept`."""
        if not self.path.is_file():
            return
        content = self.path.read_bytes()
        # A crash may leave half a line, and a crash of the machine worse.
        later = [parsed(line) for line in content[size:].splitlines()]
        lines = [json.dumps(entry).encode() + b"\n" for entry in later if entry and kept(entry)]
        # All or nothing: what is kept is written once.
        write_atomically(self.path, content[:size] + b"".join(lines))
        self.file.close()
        self.file = self.path.open("a", encoding="ascii")

    def artifacts(self) -> list[Path]:
        """Return the files that the record names."""
        entries = map(parsed, self.path.read_bytes().splitlines())
        return [Path(entry["artifact"]) for entry in entries if "artifact" in entry]

    def history(self, size: int) -> dict[str, list[tuple[int, float]]]:
        """Return (epoch, value) of every metric, in order, of the first `size` bytes."""
        series: dict[str, list[tuple[int, float]]] = {}
        with self.path.open("rb") as file:
            lines = file.read(size).splitlines()
        for line in lines:
            entry = json.loads(line)
            for name, value in entry.items():
                if name not in ("step", "epoch", "time") and isinstance(value, float):
                    series.setdefault(name, []).append((entry["epoch"], value))
        return series


def parsed(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing if it is damaged."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return entry


def is_not_finite(value: Any) -> bool:
    """Whether a value is nan or infinite."""
    return isinstance(value, float) and not math.isfinite(value)


# The folder that a run owns: its lock, its identity and its marks.


# Seconds after which a lock shows again that its holder lives.
BEAT = 30.0
# Whoever started this process.
PARENT = os.getppid()


class RunFolder:
    """`<save_dir>/<experiment_name>/<run_name>/`; raises `RefusedError` where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.record = path / "metrics.jsonl"
        self.identity = path / "run.json"
        self.done = path / "done"
        self.lock = path / "lock"
        self.ended = path / "ended.json"
        self.mirrored = path / "mirrored.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes off the run: two at once would ruin each other's checkpoints."""
        holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._remove_stale_lock(holder)
            # A link rather than flock, which NFS does not keep everywhere; it appears with its
            # content, for an empty lock would be nobody's for ever.
            mine = self.lock.with_name(f"lock.{holder['host']}.{holder['pid']}")
            try:
                write_atomically(mine, json.dumps(holder).encode())
                self.lock.hardlink_to(mine)
            finally:
                mine.unlink(missing_ok=True)
            remove_unfinished(self.path)
            self._remove_left_locks(holder)
        # Whoever holds it may have removed what this was writing.
        except (FileExistsError, FileNotFoundError):
            raise RefusedError(
                f"{self.path} is in use by {self._holder()};"
                f" if that run is dead, remove {self.lock}"
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RefusedError(f"cannot write to {self.path}: {error.strerror}") from error
        released = threading.Event()
        threading.Thread(target=self._beat, args=[released], daemon=True).start()
        try:
            yield
        except BaseException as error:
            status, reason = how_it_ended(error)
            content = {"status": status, "reason": reason, "time": time.time()}
            # A finished run stays as it is; a full disk is told by the exit status alone.
            with suppress(OSError):
                if not self.done.exists():
                    write_atomically(self.ended, json.dumps(content).encode())
            raise
        finally:
            released.set()
            self.lock.unlink(missing_ok=True)

    def _beat(self, released: threading.Event) -> None:
        """Show by the lock's time that its holder lives, to those who only see the folder."""
        while not released.wait(BEAT):
            with suppress(OSError):
                os.utime(self.lock)

    def _holder(self) -> str:
        """Return what the lock says; nothing if it has just been released."""
        try:
            return self.lock.read_text()
        except OSError:
            return ""

    def _remove_stale_lock(self, holder: dict[str, Any]) -> None:
        """Remove a dead holder's lock; another process may be doing the same."""
        text = self._holder()
        try:
            stale = is_stale(json.loads(text), holder)
        except ValueError:
            return
        if stale:
            mine = self.lock.with_name(f"lock.{holder['host']}.{holder['pid']}")
            with suppress(FileNotFoundError):
                self.lock.rename(mine)
                if mine.read_text() != text:
                    # The other one was faster: this is its new lock.
                    with suppress(FileExistsError):
                        self.lock.hardlink_to(mine)
                mine.unlink()

    def _remove_left_locks(self, holder: dict[str, Any]) -> None:
        """Remove what processes have left that were killed while they took or removed a lock."""
        for path in self.path.glob("lock.*"):
            with suppress(FileNotFoundError):
                if is_stale(json.loads(path.read_text()), holder):
                    path.unlink()

    def wait_until_released(self) -> None:
        """Wait for the first task, or until whoever started this one is gone.

        srun ends a step some time after its first task has ended; Lightning kills the first task
        after another one has failed.
        """
        while self.lock.exists() and os.getppid() == PARENT:
            time.sleep(0.2)

    def check_script(self, script: str) -> None:
        """Raise `RefusedError` if a script of another digest began the run."""
        if not self.identity.exists():
            return
        began = json.loads(self.identity.read_text())["script"]
        # A run that never came to a checkpoint has nothing to lose.
        if began != script and any(self.checkpoints.glob("*.ckpt")):
            raise RefusedError(
                f"{self.path} belongs to another version of this script"
                f" (began with {began[:12]}, now {script[:12]});"
                " build with --new-run or change run_name, or use --again LABEL"
            )

    def identify(self, identity: dict[str, Any], accept_data: bool) -> None:
        """Write what the run is, or compare: the data must be those that began it."""
        if self.identity.exists() and any(self.checkpoints.glob("*.ckpt")):
            began = json.loads(self.identity.read_text())
            if began["data"] != identity["data"] and not accept_data:
                changed = [n for n, d in identity["data"].items() if began["data"].get(n) != d]
                raise RefusedError(
                    f"data changed since the run began: {', '.join(changed or began['data'])};"
                    " --accept-data goes on all the same"
                )
        write_atomically(self.identity, json.dumps(identity, indent=1).encode())

    def begun(self) -> dict[str, Any]:
        """Return what the run is, as it began; raises `RefusedError` if it has not."""
        if not self.identity.exists() or not self.record.exists():
            raise RefusedError(f"{self.path} has not begun: there is nothing to send")
        found: dict[str, Any] = json.loads(self.identity.read_text())
        return found


def keep(folder: RunFolder, record: Record, paths: tuple[Path, ...]) -> None:
    """Copy files that explain the run into its folder, and to the tracker."""
    named = record.artifacts()
    for path in filter(Path.exists, paths):
        copy, content = folder.path / path.name, path.read_bytes()
        changed = not copy.exists() or copy.read_bytes() != content
        if changed:
            write_atomically(copy, content)
        # An earlier start may have been killed between the two.
        if changed or copy not in named:
            record.write(0, 0, artifact=str(copy))


def check_space(folder: RunFolder, needed: int) -> None:
    """Raise `RefusedError` if checkpoints of so many bytes in all would fill the disk."""
    free = shutil.disk_usage(folder.checkpoints).free
    if free < needed:
        raise RefusedError(
            f"{folder.path} needs {needed / 1e6:.0f} MB for checkpoints;"
            f" {free / 1e6:.0f} MB are free"
        )


def is_stale(other: dict[str, Any], holder: dict[str, Any]) -> bool:
    """Whether the process that left a lock is dead: of this job's last life, or ended since."""
    job = other.get("job")
    if job is not None and job == holder["job"] and other.get("restarts") != holder["restarts"]:
        return True
    if other["host"] == holder["host"]:
        return not is_alive(other["pid"])
    return job is not None and has_ended(job)


def has_ended(job: str) -> bool:
    """Whether SLURM says that a job runs no more; without SLURM's word, it may."""
    program = shutil.which("squeue")
    if program is None:
        return False
    command = [program, "--noheader", "--format=%T", f"--jobs={job}"]
    # A user's settings of squeue could hide the job.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        asked = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=30, env=plain
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # A job that ended a while ago is not known any more.
    return "Invalid job id" in asked.stderr or (asked.returncode == 0 and not asked.stdout.strip())


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Tracker backends: MLflow and Comet, which copy the record and can never stop or stall a run.


class Mirror(threading.Thread):
    """Copies the record to a backend, on a thread of its own: a lock or an outage costs nothing.

    How far it came is kept in the run's folder, so what could not be sent is sent by a later start.
    At its end it has `patience` seconds.
    """

    def __init__(self, folder: RunFolder, backend: Any, patience: float = 30.0) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.backend = backend
        self.patience = patience
        said = progress(folder)
        self.offset, self.last = int(said["offset"]), str(said["last"])
        self.steps = dict[str, int](said["steps"])
        self.status = ""
        self.closing = threading.Event()

    def run(self) -> None:
        """Send what is new, every few seconds, until closed."""
        opened = warned = False
        while True:
            closing = self.closing.is_set()
            try:
                if not opened:
                    self.backend.open()
                    # An earlier start may have been killed before it kept what it had sent.
                    self.steps |= self.backend.last_steps()
                    # Whatever the entry said of the end, it says no more.
                    self.keep("")
                    opened = True
                self.send()
                if closing:
                    self.backend.close(self.status)
                    self.keep(self.status)
            # Whatever a tracker throws, the run goes on.
            except Exception as error:
                if not warned:
                    # Not what it says: an address may hold a password.
                    kind = type(error).__name__
                    print(f"warning: the tracker does not answer; the record has it all: {kind}")
                warned = True
            if closing:
                return
            self.closing.wait(2.0)

    def send(self) -> None:
        """Send the whole lines behind `offset`; a step of a metric once, for MLflow keeps both."""
        with self.folder.record.open(encoding="ascii", newline="") as file:
            file.seek(self.offset - len(self.last))
            if file.read(len(self.last)) != self.last:
                # The run went back to a checkpoint, and the record with it.
                self.offset, self.last = file.seek(0), ""
            lines = [line for line in file if line.endswith("\n")]
        entries, steps = [json.loads(line) for line in lines], dict(self.steps)
        for entry in entries:
            entry["metrics"] = measured(entry, steps)
            steps |= dict.fromkeys(entry["metrics"], entry["step"])
        if entries:
            self.backend.send(entries)
            self.offset, self.last = self.offset + sum(map(len, lines)), lines[-1]
            self.steps = steps
            self.keep("")

    def keep(self, status: str) -> None:
        """Keep how far the tracker is, and how it was told that the run ended, if it was."""
        said = {"offset": self.offset, "last": self.last, "steps": self.steps, "status": status}
        write_atomically(self.folder.mirrored, json.dumps(said).encode())

    def finish(self, status: str) -> None:
        """Send the rest and how the run ended, as far as that goes in time."""
        self.status = status
        self.closing.set()
        self.join(self.patience)
        said = progress(self.folder)
        if said["offset"] < size(self.folder.record):
            print("warning: the tracker lacks a part of the record; --sync sends it later")
        elif said["status"] != status:
            print("warning: the tracker does not know how the run ended; --sync says it later")


def progress(folder: RunFolder) -> dict[str, Any]:
    """Return how far the tracker of a run is."""
    start: dict[str, Any] = {"offset": 0, "last": "", "steps": {}, "status": ""}
    return start | (json.loads(folder.mirrored.read_text()) if folder.mirrored.exists() else {})


def is_mirrored(folder: RunFolder) -> bool:
    """Whether the tracker has the whole record of a finished run, and knows that it finished."""
    said = progress(folder)
    return bool(said["status"] == "FINISHED" and said["offset"] >= size(folder.record))


def size(path: Path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


class MlflowBackend:
    """An MLflow store below `save_dir`, or the server that MLFLOW_TRACKING_URI names."""

    def __init__(
        self,
        folder: RunFolder,
        store: Path,
        experiment_name: str,
        settings: dict[str, Any],
        tags: dict[str, str],
    ) -> None:
        self.identity = folder.path / "mlflow.json"
        self.store = store
        self.experiment_name = experiment_name
        self.run_name = folder.path.name
        self.settings = settings
        self.tags = tags

    def open(self) -> None:
        """Begin the run's entry, or set the one of an earlier start back to running."""
        # MLflow reports its use over the network unless told not to before its import.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        artifacts = None
        # Said explicitly: MLflow reads the variable once, when it is imported.
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            uri = initialised_store(self.store)
            artifacts = (self.store / "artifacts" / self.experiment_name).as_uri()
        self.client = MlflowClient(tracking_uri=uri)
        if not self.identity.exists():
            self.note({"key": uuid4().hex})
        known = json.loads(self.identity.read_text())
        if "run_id" not in known:
            known["run_id"] = self.entry(self.experiment_id(artifacts), known["key"])
            self.note(known)
        self.run_id = known["run_id"]
        self.client.update_run(self.run_id, status="RUNNING")
        # At each start: an earlier one may have ended between the entry and its parameters.
        params = [Param(name, str(value)[:6000]) for name, value in self.settings.items()]
        tags = [RunTag(name, value) for name, value in self.tags.items()]
        self.client.log_batch(self.run_id, params=params, tags=tags)

    def note(self, known: dict[str, str]) -> None:
        """Note by what a later start finds the run's entry."""
        write_atomically(self.identity, json.dumps(known).encode())

    def entry(self, experiment_id: str, key: str) -> str:
        """Return the id of the run's entry; a killed start may have begun one, and not noted it."""
        found = self.client.search_runs([experiment_id], f"tags.key = '{key}'")
        if found:
            return str(found[0].info.run_id)
        run = self.client.create_run(experiment_id, run_name=self.run_name, tags={"key": key})
        return str(run.info.run_id)

    def experiment_id(self, artifacts: str | None) -> str:
        """Return the experiment's id; another job may create it at the same moment."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(self.experiment_name)
        if found is None:
            try:
                return str(self.client.create_experiment(self.experiment_name, artifacts))
            except MlflowException:
                found = self.client.get_experiment_by_name(self.experiment_name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def last_steps(self) -> dict[str, int]:
        """Return the last step that the store has of each metric."""
        names = self.client.get_run(self.run_id).data.metrics
        histories = {name: self.client.get_metric_history(self.run_id, name) for name in names}
        return {name: max(point.step for point in points) for name, points in histories.items()}

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Log metrics in batches, as many as MLflow takes at once, then artifacts."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(entry["time"] * 1000), entry["step"])
            for entry in entries
            for name, value in entry["metrics"].items()
        ]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + 1000])
        for path, place in artifacts(entries):
            self.client.log_artifact(self.run_id, str(path), place)

    def close(self, status: str) -> None:
        """Set how the run ended."""
        self.client.set_terminated(self.run_id, status)


def initialised_store(folder: Path) -> str:
    """Return the URI of the SQLite store in `folder`, which appears there whole or not at all.

    Several processes that create one at once fail on each other's tables (mlflow #979, #12259), and
    one that is killed leaves half of them.
    """
    from mlflow import MlflowClient

    place = folder / "mlflow.db"
    folder.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        new = folder / f".mlflow.db.{uuid4().hex}"
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        # The first process wins; the others find its store.
        with suppress(FileExistsError):
            place.hardlink_to(new)
        new.unlink()
    return f"sqlite:///{place}"


def measured(entry: dict[str, Any], sent: dict[str, int]) -> dict[str, float]:
    """Return the metrics of a line of the record that were not sent for this step before."""
    step = entry["step"]
    return {
        name: float(value)
        for name, value in entry.items()
        if name not in ("step", "epoch", "time", "artifact")
        and value is not None
        and step > sent.get(name, -1)
    }


def artifacts(entries: list[dict[str, Any]]) -> list[tuple[Path, str]]:
    """Return the files that lines name, each with the folder that it is shown in."""
    paths = [Path(entry["artifact"]) for entry in entries if "artifact" in entry]
    # One that somebody has removed must not hold up the rest for ever.
    there = [path for path in paths if path.is_file()]
    return [(path, path.parent.name if path.suffix == ".png" else "run") for path in there]


# Metrics of weighted events: signed Monte Carlo weights count with their sign everywhere.


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Signed weights whose sum is less than this share of their sizes cancel: what is left is rounding.
ROUNDING = 1e-9


def is_yield(total: Floats, size: Floats) -> Bools:
    """Whether a sum of weights is positive, `size` being the sum of their absolute values."""
    return np.asarray(total > ROUNDING * size)


# Events from files: read, checked, split by a stable hash, and given their weights.


SPLITS = ("train", "validation", "test")
# Bytes of a file that are read at a time.
READ_AT_ONCE = 2**24
# What readers raise for a file that is damaged; the last two for a compressed one.
UNREADABLE = (OSError, ValueError, EOFError, zlib.error)


@dataclass(frozen=True)
class Sample:
    """Events of one process: which files, which of their events, and the class they belong to."""

    name: str
    label: int
    files: tuple[str, ...]
    columns: tuple[str, ...]
    selection: str | None
    weight: str | None


@dataclass(frozen=True)
class Events:
    """Events of a split; `weight` is the physical one, `loss_weight` the one of the loss."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    label: Tensor  # (event,)
    weight: Tensor  # (event,)
    loss_weight: Tensor  # (event,)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors in the order of a batch."""
        return self.numerical, self.categorical, self.label, self.weight, self.loss_weight


def find_files(samples: Sequence[Sample], base: Path) -> dict[str, list[Path]]:
    """Return each sample's files; raises `RefusedError` with all that is wrong with any of them."""
    found: dict[str, list[Path]] = {}
    problems: list[str] = []
    for sample in samples:
        found[sample.name] = files = []
        for pattern in sample.files:
            place = expand(pattern, base)
            pattern = str(place.relative_to(place.anchor))
            # A name may hold the letters of a pattern; two patterns may match one file.
            matches = [place] if place.is_file() else sorted(Path(place.anchor).glob(pattern))
            files += [path for path in matches if path not in files]
            if not matches:
                problems.append(f"{sample.name}: there is no file {place}")
    for sample in samples:
        for path in found[sample.name]:
            obey()
            try:
                lacking = sorted(set(sample.columns) - set(column_names(path)))
            except UNREADABLE as error:
                problems.append(f"{sample.name}: cannot read {path}: {error}")
                continue
            if lacking:
                problems.append(f"{sample.name}: {path} has no column {', '.join(lacking)}")
    if problems:
        raise RefusedError("\n  ".join(["the data cannot be used:", *dict.fromkeys(problems)]))
    return found


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    if path.suffix == ".parquet":
        return list(pq.read_schema(path).names)
    return list(pd.read_csv(path, nrows=0).columns)


def read_file(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a file; raises `RefusedError`."""
    obey()
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=list(columns), partitioning=None)
            # Not the index that pandas may have kept there: it would hide a column.
            return table.to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
        return pd.read_csv(path, usecols=list(columns))
    except UNREADABLE as error:
        raise RefusedError(f"cannot read {path}: {error}") from error


def fingerprints(files: dict[str, list[Path]]) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {str(path): data_digest(path) for paths in files.values() for path in paths}


def data_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be large."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_AT_ONCE):
            obey()
            found.update(chunk)
    return found.hexdigest()


def read_sample(
    sample: Sample,
    files: Sequence[Path],
    features: Sequence[str],
    missing: float | None,
    event_number: str | None,
) -> pd.DataFrame:
    """Return a sample's selected events with columns `label` and `weight` of our own added."""
    tables = {path: read_file(path, sample.columns) for path in files}
    # An empty CSV file does not say what its columns would hold.
    tables = {path: table for path, table in tables.items() if len(table)}
    if not tables:
        raise RefusedError(f"{sample.name}: there is no event in {', '.join(map(str, files))}")
    for path, table in tables.items():
        if event_number and not pd.api.types.is_integer_dtype(table[event_number]):
            raise RefusedError(f"{path}: the column {event_number} does not hold whole numbers")
        if event_number:
            # Signed and unsigned numbers together would become floating ones, and round.
            table[event_number] = table[event_number].astype(np.int64)
    events = pd.concat(tables.values(), ignore_index=True)
    for name in sample.columns:
        if not pd.api.types.is_numeric_dtype(events[name]) and name in features:
            raise RefusedError(f"{sample.name}: the column {name} does not hold numbers")
    try:
        if sample.selection:
            events = events.query(sample.selection).reset_index(drop=True)
        weight = events.eval(sample.weight) if sample.weight else pd.Series(1.0, events.index)
        weights = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError, pd.errors.UndefinedVariableError) as error:
        raise RefusedError(f"{sample.name}: selection or weight: {error}") from error
    if not len(events):
        raise RefusedError(f"{sample.name}: no event is left after the selection")
    values = events[list(features)].to_numpy(dtype=np.float64)
    # The sentinel may be nan itself, and then differs from itself.
    allowed = np.isfinite(values) | (np.isnan(values) & (missing != missing))
    if not allowed.all():
        counts = dict(zip(features, (~allowed).sum(axis=0), strict=True))
        bad = ", ".join(f"{name} ({count} events)" for name, count in counts.items() if count)
        raise RefusedError(f"{sample.name}: nan or infinite values in {bad}")
    if not np.isfinite(weights).all():
        raise RefusedError(f"{sample.name}: nan or infinite weights")
    # No column of a file may begin with a space.
    added = pd.DataFrame({" label": sample.label, " weight": weights}, events.index)
    return pd.concat([events, added], axis=1)


def shares(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each event, a hash of `keys` (event, key).

    The hash is SplitMix64 (Steele et al., OOPSLA 2014): the same on every machine, for ever.
    """
    state = np.zeros(len(keys), dtype=np.uint64)
    for column in keys.T:
        z = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = z ^ (z >> np.uint64(31))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) / 2.0**53)


def assign(keys: NDArray[np.uint64], train: float, validation: float) -> NDArray[np.int64]:
    """Return each event's split (0, 1, 2): its hash against the shares."""
    return np.digitize(shares(keys), [train, train + validation])


def split_keys(
    events: pd.DataFrame, event_number: str | None, features: Sequence[str]
) -> NDArray[np.uint64]:
    """Return what names an event: its number, or else its features, bit by bit (event, key)."""
    names = [event_number] if event_number else list(features)
    keys = events[names].to_numpy(dtype=np.int64 if event_number else np.float64)
    return keys.view(np.uint64)


def to_numbers(events: pd.DataFrame, numerical: Sequence[str], dtype: torch.dtype) -> Tensor:
    """Return the numerical features (event, feature); raises `RefusedError` for too large ones."""
    numbers = torch.tensor(events[list(numerical)].to_numpy(dtype=np.float64), dtype=dtype)
    large = [
        name for name, column in zip(numerical, numbers.T, strict=True) if column.isinf().any()
    ]
    if large:
        raise RefusedError(f"values of {', '.join(large)} are too large for {dtype}")
    return numbers


def to_categories(events: pd.DataFrame, categorical: Sequence[str]) -> Tensor:
    """Return the categorical features (event, feature); raises `RefusedError` for fractions."""
    whole = events[list(categorical)].to_numpy(dtype=np.float64)
    if (whole != np.floor(whole)).any():
        raise RefusedError("categorical features must be whole numbers")
    return torch.tensor(whole, dtype=torch.int64)


# Batches that are slices of tensors: no event is touched on its own by Python.


class Batches:
    """Batches of a split, in an order that only seed and epoch decide.

    Each step's batch is shared out among the ranks, so no event is lost or seen twice. A tail too
    small to give every rank two events joins the batch before: batch normalisation needs two.
    In training, each rank's loss weights are scaled so that the mean of the ranks' mean losses is
    the mean over events, also where they have unequal shares.
    """

    def __init__(
        self, events: Events, batch_size: int, seed: int | None, rank: int, world_size: int
    ) -> None:
        self.tensors = events.tensors()
        self.step = batch_size * world_size
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.epoch = self.position = 0
        size = len(events.label)
        tail = size % self.step
        self.length = max(1, size // self.step + (tail >= 2 * world_size))
        self.size = size
        # Lightning asks for both, and tells the epoch to what it finds as the sampler of either.
        self.sampler = self.batch_sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.length

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield this rank's part of each batch; without a seed, in the order of the split."""
        order = torch.arange(self.size)
        if self.seed is not None:
            seed = [self.seed]
            if self.world_size > 1:
                # Without a seed in the spec, each task has drawn one of its own.
                dist.broadcast_object_list(seed)
            generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + self.epoch)
            order = torch.randperm(self.size, generator=generator)
        start, self.position = self.position, 0
        for index in range(start, self.length):
            self.position = (index + 1) % self.length
            end = None if index == self.length - 1 else (index + 1) * self.step
            everybodys = order[index * self.step : end]
            chosen = everybodys[self.rank :: self.world_size]
            *rest, loss_weight = (tensor[chosen] for tensor in self.tensors)
            share = len(chosen) * self.world_size / len(everybodys)
            yield (*rest, loss_weight if self.seed is None else loss_weight * share)

    def state_dict(self) -> dict[str, int]:
        """Return where an epoch stands; Lightning keeps it in checkpoints made within one."""
        return {"epoch": self.epoch, "position": self.position, "tasks": self.world_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on within an epoch; raises `RefusedError` if its batches were other ones."""
        if state["position"] and state["tasks"] != self.world_size:
            raise RefusedError(
                f"stopped within an epoch of {state['tasks']} tasks, which {self.world_size} cannot"
                " go on with"
            )
        self.epoch, self.position = state["epoch"], state["position"]


# Estimates of density ratios for the leptons of one split.


@dataclass(frozen=True)
class Estimates:
    """What the networks say of leptons; a ratio r is that of target 1 to target 0."""

    log_ratio: Floats  # (event, member): log r
    label: Ints  # (event,): the target
    weight: Floats  # (event,): physical and signed
    loss_weight: Floats  # (event, member): what the loss weighs an event with
    numerical: Floats  # (event, feature)
    categorical: Ints  # (event, feature)


def mean_ratio(estimates: Estimates) -> Floats:
    """Return the mean r of all members (event,)."""
    return np.asarray(np.exp(estimates.log_ratio).mean(axis=1))


# Leptons from files: data or Monte Carlo, tight or loose, split by a stable hash.


@dataclass(frozen=True)
class Category:
    """The column that tells tight leptons from loose ones, and its two values."""

    column: str
    tight: int
    loose: int


@dataclass(frozen=True)
class Crack:
    """Where the calorimeter has a gap: leptons with low < |eta| < high are left out."""

    eta: str
    low: float
    high: float


@dataclass(frozen=True)
class Leptons:
    """Leptons of a split; weights are physical and keep their sign, yields and all."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    is_data: Tensor  # (event,), of bool
    is_tight: Tensor  # (event,), of bool
    weight: Tensor  # (event,)
    keys: NDArray[np.uint64]  # (event, key): what names an event and its sample, wherever it stands


def read_leptons(
    samples: Sequence[Sample],
    files: dict[str, list[Path]],
    numerical: Sequence[str],
    categorical: Sequence[str],
    missing: float | None,
    event_number: str | None,
    train: float,
    validation: float,
    category: Category,
    crack: Crack | None,
    dtype: torch.dtype,
) -> tuple[Leptons, Leptons, Leptons]:
    """Return the leptons of training, validation and test; raises `RefusedError`.

    The label of a sample is 1 for data and 0 for Monte Carlo.
    """
    features = [*numerical, *categorical]
    tables = []
    for sample in samples:
        table = read_sample(sample, files[sample.name], features, missing, event_number)
        check_category(sample.name, table[category.column], category)
        if crack is not None:
            check_eta(sample.name, table[crack.eta])
            table = table[~in_crack(table[crack.eta].to_numpy(dtype=np.float64), crack)]
        tables.append(table)
    owners = np.repeat([sample_key(sample.name) for sample in samples], [len(t) for t in tables])
    events = pd.concat(tables, ignore_index=True)
    keys = split_keys(events, event_number, features)
    split = assign(keys, train, validation)
    # Samples number their events alike; what is drawn for one must not be drawn for another.
    keys = np.hstack([owners[:, np.newaxis], keys])
    numbers = to_numbers(events, numerical, dtype)
    categories = to_categories(events, categorical)
    is_data = torch.tensor(events[" label"].to_numpy() == 1)
    is_tight = torch.tensor(events[category.column].to_numpy() == category.tight)
    weight = torch.tensor(events[" weight"].to_numpy(), dtype=dtype)
    parts = []
    for index in range(len(SPLITS)):
        chosen = split == index
        place = torch.tensor(chosen)
        parts.append(
            Leptons(
                numbers[place],
                categories[place],
                is_data[place],
                is_tight[place],
                weight[place],
                keys[chosen],
            )
        )
    for name, part in zip(SPLITS, parts, strict=True):
        check_yields(name, part)
    return parts[0], parts[1], parts[2]


def sample_key(name: str) -> np.uint64:
    """Return a number that a sample's name alone decides."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def check_eta(sample: str, values: pd.Series) -> None:
    """Raise `RefusedError` where nothing can tell whether a lepton lies in the crack."""
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        raise RefusedError(f"{sample}: the column {values.name} does not hold numbers alone")


def check_category(sample: str, values: pd.Series, category: Category) -> None:
    """Raise `RefusedError` for a lepton that is neither tight nor loose: it is never taken so."""
    others = values[(values != category.tight) & (values != category.loose)]
    if len(others):
        counts = others.value_counts(dropna=False).head(5)
        found = ", ".join(f"{value} ({count} events)" for value, count in counts.items())
        raise RefusedError(
            f"{sample}: {category.column} is {found}; tight is {category.tight},"
            f" loose {category.loose}; a selection can leave out the rest"
        )


def in_crack(eta: NDArray[np.float64], crack: Crack) -> NDArray[np.bool_]:
    """Whether leptons lie in the crack: (event,)."""
    return np.asarray((np.abs(eta) > crack.low) & (np.abs(eta) < crack.high))


def check_yields(split: str, leptons: Leptons) -> None:
    """Print events and yields; raises `RefusedError` where there are none, or too much MC."""
    for region, tight in (("tight", True), ("loose", False)):
        here = leptons.is_tight == tight
        yields = []
        for kind, chosen in (("data", here & leptons.is_data), ("MC", here & ~leptons.is_data)):
            weight = leptons.weight[chosen].double().numpy()
            count, total = len(weight), weight.sum()
            yields.append(total)
            print(f"{split}: {region} {kind} {count} events, sum of weights {total:.5g}")
            if not count or not is_yield(total, np.abs(weight).sum()):
                raise RefusedError(
                    f"{split}: {count} {region} events of {kind} with weights of sum {total:g}"
                )
        if yields[0] <= yields[1]:
            raise RefusedError(
                f"{split}: {region} MC, {yields[1]:g}, exceeds data, {yields[0]:g}:"
                " the density of fakes would be negative"
            )


# Sums by bins of the variables, and what they say of density ratios and of the fake factor.


WHOLE_VALUES = 20


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Edges of bins of about equally many events; of one bin a value for few whole numbers."""
    distinct = np.unique(values[np.isfinite(values)])
    whole = distinct.size <= WHOLE_VALUES and (distinct == np.round(distinct)).all()
    if distinct.size and whole and np.abs(distinct).max() < 1e9:
        between = np.floor((distinct[:-1] + distinct[1:]) / 2) + 0.5
        return np.concatenate((distinct[:1] - 0.5, between, distinct[-1:] + 0.5))
    if distinct.size < 2:
        center = distinct[0] if distinct.size else 0.0
        width = max(0.5, 0.01 * abs(center))
        return np.array([center - width, center + width])
    return np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, bins + 1)))


def spans_decades(edges: Floats) -> bool:
    """Whether a variable is positive and spans a factor of 50: its axis is logarithmic."""
    return bool(edges[0] > 0 and edges[-1] > 50 * edges[0])


def even_edges(values: Floats, bins: int) -> Floats:
    """Edges for the eye: even on the axis, and joined until bins hold ten values and 0.2 %.

    A tail that would stretch a linear axis is left outside, to be put into the outer bins.
    """
    values = np.sort(values[np.isfinite(values)])
    grid = fine = quantile_edges(values, 200)
    if len(fine) > max(bins, WHOLE_VALUES) + 1:
        low = fine[0] if fine[0] >= 0 else fine[1]
        high = fine[-1] if spans_decades(fine) else fine[-2]
        space = np.geomspace if spans_decades(np.array([low, high])) else np.linspace
        grid = space(low, high, bins + 1)
    kept, least = [0], max(10, 0.002 * len(values))
    below = np.searchsorted(values, grid)
    below[[0, -1]] = 0, len(values)
    for index in range(1, len(grid)):
        if below[index] - below[kept[-1]] >= least:
            kept.append(index)
    return grid[[*(kept[:-1] or [0]), len(grid) - 1]]


def bins_of(values: Floats, edges: Floats) -> Ints:
    """Bin (event,) of each value; beyond the edges it is the first or last, for NaN the last."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def binned_sums(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Sum of weights and sum of their squares (bin,); nothing is lost beyond the edges."""
    place = bins_of(values, edges)
    sums, squares = (np.bincount(place, weight**power, len(edges) - 1) for power in (1, 2))
    return sums.astype(np.float64), squares.astype(np.float64)


def cell_fake_factor(
    cell: Ints, size: int, is_data: Bools, is_tight: Bools, weight: Floats
) -> tuple[Floats, Floats]:
    """Fake factor, (data - MC, tight) / (data - MC, loose), and its error (cell,).

    Errors are Gaussian, from sums of w^2; NaN where the denominator is not positive.
    """
    fakes = np.where(is_data, weight, -weight)
    (tight, tight2), (loose, loose2) = (
        [np.bincount(cell[here], fakes[here] ** power, size) for power in (1, 2)]
        for here in (is_tight, ~is_tight)
    )
    loose = np.where(loose > 0, loose, np.nan)
    factor = tight / loose
    return factor, np.sqrt(tight2 + factor**2 * loose2) / loose


def binned_fake_factor(
    values: Floats, is_data: Bools, is_tight: Bools, weight: Floats, edges: Floats
) -> tuple[Floats, Floats]:
    """Fake factor and its error (bin,) by bins of one variable; see `cell_fake_factor`."""
    return cell_fake_factor(bins_of(values, edges), len(edges) - 1, is_data, is_tight, weight)


def chi2_and_ndf(difference: Floats, variance: Floats) -> tuple[float, int]:
    """Chi2, and the number of bins whose variance is not 0; NaN where an input is NaN."""
    filled = variance != 0
    return float(np.sum(difference[filled] ** 2 / variance[filled])), int(filled.sum())


def chi2_per_bin(difference: Floats, variance: Floats) -> float:
    """Chi2/ndf over bins with events; NaN without any."""
    chi2, ndf = chi2_and_ndf(difference, variance)
    return chi2 / ndf if ndf else math.nan


def quotient(numerator: float, denominator: float) -> float:
    """Return the quotient, NaN where there is none."""
    return float(numerator / denominator) if denominator else math.nan


def all_variables(events: Estimates | Leptons) -> Floats:
    """Return all variables (variable, event), numerical ones first."""
    both = (np.asarray(events.numerical), np.asarray(events.categorical))
    return np.hstack([each.astype(np.float64) for each in both]).T


def file_name(variable: str) -> str:
    """Return a variable's name as it may stand in the name of a file."""
    return re.sub(r"[^A-Za-z0-9_]", "_", variable)


def mean_chi2(estimates: Estimates, terms: Floats) -> float:
    """Chi2/ndf of 0 of the sums of terms (event,), in 20 quantile bins, mean over variables."""
    every = [
        chi2_per_bin(*binned_sums(values, terms, quantile_edges(values, 20)))
        for values in all_variables(estimates)
    ]
    return float(np.mean(every))


def ratio_metrics(estimates: Estimates) -> dict[str, float]:
    """Metrics of F = tight / loose by name, with the weights of the loss, which leave fakes.

    "closure" is loose times F over tight; "chi2" the mean chi2/ndf of the two by variable.
    """
    weight, tight = estimates.loss_weight.mean(axis=1), estimates.label == 1
    terms = np.where(tight, weight, -weight * mean_ratio(estimates))
    return {
        "closure": quotient(-terms[~tight].sum(), terms[tight].sum()),
        "chi2": mean_chi2(estimates, terms),
    }


# Checkpoints that survive a crash, a full disk and a move between machines.


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all; Lightning's own writer does not (#19970, #21800)."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Serialise in memory, then replace the file at once."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file if it is still there."""
        Path(path).unlink(missing_ok=True)


class LastCheckpoints(Checkpoint):
    """Saves at the end of each epoch and keeps two; `newest.json` names the newest and the best."""

    def __init__(self, folder: Path, best: ModelCheckpoint) -> None:
        super().__init__()
        self.folder = folder
        self.best = best

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Save, after validation and early stopping."""
        # A run that stopped early would otherwise train one more epoch at each start (#8278).
        trained = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.save(trainer, trained)

    def save(self, trainer: Trainer, trained: bool = False) -> None:
        """Save on all ranks together; remove all but the last two on rank 0."""
        weights = trainer.lightning_module.parameters()
        if not all(bool(weight.isfinite().all()) for weight in weights):
            raise NotFiniteError(f"weights that are not finite at step {trainer.global_step}")
        path = self.folder / f"last-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            before = pointer(self.folder)
            content = {
                "file": path.name,
                "step": trainer.global_step,
                "sha256": digest(path),
                "trained": trained,
                "best": Path(self.best.best_model_path).name,
                "previous": {name: before[name] for name in ("file", "sha256") if before},
            }
            write_atomically(self.folder / "newest.json", json.dumps(content).encode())
            remove_older(self.folder)


def pointer(folder: Path) -> dict[str, Any]:
    """Return what `newest.json` says; empty before the first checkpoint."""
    path = folder / "newest.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def remove_older(folder: Path) -> None:
    """Remove all of the last checkpoints but the newest and the one before."""
    named = pointer(folder)
    kept = {each["file"] for each in (named, named.get("previous")) if each}
    for path in folder.glob("last-*.ckpt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, or None before the first: never by modification time."""
    # A start that was killed may have left one more.
    remove_older(folder)
    named = pointer(folder)
    if not named:
        return None
    path = folder / str(named["file"])
    if is_whole(path, named["sha256"]):
        return path
    previous = named["previous"]
    if not previous or not is_whole(folder / previous["file"], previous["sha256"]):
        raise RefusedError(f"{path} is damaged and there is no other whole checkpoint")
    print(f"{path} is damaged; going on from {folder / previous['file']}")
    return folder / str(previous["file"])


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file is there, as it was written."""
    return path.exists() and digest(path) == sha256


def is_trained(folder: Path, path: Path) -> bool:
    """Whether training had come to its end when the checkpoint `path` was made."""
    named = pointer(folder)
    return path.name == named.get("file") and bool(named["trained"])


def best_checkpoint(folder: Path) -> Path:
    """Return the best checkpoint, as the run recorded it."""
    return folder / str(pointer(folder)["best"])


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content: plain values and tensors only; raises `RefusedError`."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise RefusedError(f"cannot load the checkpoint {path}: {error}") from error
    if not isinstance(content, dict) or "knows" not in content:
        raise RefusedError(f"{path} is not a checkpoint of such a script")
    return dict(content)


# The Lightning module: one network, its loss and how it is optimised.


class Classifier(LightningModule):
    """Trains a network on weighted events; checkpoints state the features and classes it knows."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        link: Callable[[Tensor], Tensor],
        knows: dict[str, Any],
        configure: Callable[[Iterable[nn.Parameter], int], OptimizerLRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.link = link
        self.configure = configure
        self.knows = knows
        # Of the whole training; set before it begins. Lightning's estimate would open the batches
        # before a checkpoint has told them where to go on.
        self.steps = 0

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the mean weighted loss; raises `NotFiniteError` before a bad step is taken."""
        numerical, categorical, label, _, weight = batch
        logits = self.network(numerical, categorical)
        # Under mixed precision the loss is computed in full all the same.
        loss = self.objective(logits.to(weight.dtype), label, weight)
        finite = bool(torch.isfinite(loss))
        # All tasks stop together: one that stops alone leaves the others waiting for it.
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            value = "not finite in another task" if finite else loss.item()
            raise NotFiniteError(f"loss {value} at step {self.global_step}, batch {batch_idx}")
        return loss

    def objective(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """Return the mean weighted loss."""
        return (self.loss(logits, label) * weight).mean()

    def mean_loss(self, loss: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted mean of the losses of events."""
        return (loss * weight).sum() / weight.sum()

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Return the loss of each event, and the outputs."""
        numerical, categorical, label, weight, _ = batch
        logits = self.network(numerical, categorical)
        return {"loss": self.loss(logits.to(weight.dtype), label), **self.outputs(logits, batch)}

    def outputs(self, logits: Tensor, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return probability (event, class), and label and weights (event,)."""
        _, _, label, weight, loss_weight = batch
        return {
            "probability": self.link(logits),
            "label": label,
            "weight": weight,
            "loss_weight": loss_weight,
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return what the script configures; nothing for a network that is only tested."""
        if self.configure is None:
            return None
        return self.configure(self.network.parameters(), self.steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint say what it knows, in plain values."""
        checkpoint["knows"] = self.knows

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit before anything of it is taken."""
        check_fit(self, checkpoint)


def check_fit(classifier: Classifier, checkpoint: dict[str, Any]) -> None:
    """Raise `RefusedError` for a checkpoint of another network, other features or other classes."""
    knows = checkpoint.get("knows", {})
    problems = [
        f"{name}: {knows.get(name)} there, {value} here"
        for name, value in classifier.knows.items()
        if knows.get(name) != value
    ]
    here = {name: list(tensor.shape) for name, tensor in classifier.state_dict().items()}
    there = {name: list(tensor.shape) for name, tensor in checkpoint["state_dict"].items()}
    problems += [
        f"{name}: {there.get(name, 'nothing')} there, {here.get(name, 'nothing')} here"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if problems:
        raise RefusedError("\n  ".join(["the checkpoint does not fit:", *problems]))


# Events of the three trainings: data against MC, tight or loose; and tight against loose.


def ratio_events(leptons: Leptons, subtraction: Tensor, use_data: bool) -> Events:
    """Return tight (1) against loose (0) data, or MC, weighted so that prompt leptons are gone."""
    chosen = leptons.is_data == use_data
    weight = leptons.weight[chosen]
    return Events(
        leptons.numerical[chosen],
        leptons.categorical[chosen],
        leptons.is_tight[chosen].long(),
        weight,
        weight[:, None] * subtraction[chosen],
    )


@torch.no_grad()
def subtraction_weights(leptons: Leptons, numerator: nn.Module, denominator: nn.Module) -> Tensor:
    """Return s (event, member), which turns data, or MC, into data - MC (arXiv:2511.06972).

    1 - 1/r for data and r - 1 for MC, r being the numerator's ratio for tight leptons and the
    denominator's for loose ones. Both networks give log r (event, member).
    """
    numerator, denominator = (
        network.to(leptons.numerical.dtype).eval() for network in (numerator, denominator)
    )
    parts = zip(
        torch.split(leptons.numerical, 65536),
        torch.split(leptons.categorical, 65536),
        torch.split(leptons.is_tight, 65536),
        strict=True,
    )
    found = []
    for x, c, tight in parts:
        obey()
        found.append(torch.where(tight[:, None], numerator(x, c), denominator(x, c)))
    log_ratio = torch.cat(found)
    return torch.where(leptons.is_data[:, None], -torch.expm1(-log_ratio), torch.expm1(log_ratio))


def clipped(events: Events, quantile: float) -> Events:
    """Return events whose |loss weights| end at a quantile of them, for each target and member.

    Signs stay. Long tails on both sides of 0 cut away alike; a tail on one side lowers the yield.
    """
    weight = events.loss_weight.clone()
    for label in (0, 1):
        chosen = events.label == label
        size = weight[chosen].abs().sort(dim=0).values
        limit = size[min(int(quantile * len(size)), len(size) - 1)]
        weight[chosen] = weight[chosen].clamp(-limit, limit)
    return replace(events, loss_weight=weight)


# Losses whose minimum is at a density ratio, each with its link from logits to that ratio.


def density_bce(logits: Tensor, label: Tensor) -> Tensor:
    """Return the binary cross entropy; log r = f."""
    target = label[:, None].to(logits.dtype).expand_as(logits)
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def direct_link(logits: Tensor) -> Tensor:
    """Return log r = f of bce and savage."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


Penalty = Callable[[Tensor], Tensor]


# The Lightning module of a density ratio, of one network or of several members at once.


class DensityRatio(Classifier):
    """Trains a network, or members side by side, to the ratio of two weighted densities.

    The link leads from logits to log r. Members do not share weights: each is trained by its own
    column of the loss weights as it would be alone, and all stop at the same time.
    """

    def __init__(self, *, penalties: Sequence[Penalty] = (), **others: Any) -> None:
        super().__init__(**others)
        self.penalties = penalties

    def objective(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """Return the mean weighted loss, summed over members, and the penalties on top."""
        loss = self.mean_loss(self.loss(logits, label), weight)
        for penalty in self.penalties:
            loss = loss + penalty(logits)
        return loss

    def mean_loss(self, loss: Tensor, weight: Tensor) -> Tensor:
        """Return mean(W * loss), summed over members."""
        return (loss * weight).mean(dim=0).sum()

    def outputs(self, logits: Tensor, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the log ratio (event, member), and the batch, which plots show it against."""
        numerical, categorical, label, weight, loss_weight = batch
        return {
            "log_ratio": self.link(logits),
            "label": label,
            "weight": weight,
            "loss_weight": loss_weight,
            "numerical": numerical,
            "categorical": categorical,
        }


class LogRatio(nn.Module):
    """A trained network and its link: from features to log r (event, member)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network
        self.link = classifier.link

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, member)."""
        return self.link(self.network(numerical, categorical))


# A trained network as one ONNX file, which needs neither torch nor Lightning to be used.


# Its types are of no use to those who call it.
OPERATORS: Any = opset18


class FakeFactor(nn.Module):
    """From features to F = e^log r (event, member); without categorical features, of one input."""

    def __init__(self, log_ratio: nn.Module) -> None:
        super().__init__()
        self.log_ratio = log_ratio

    def forward(self, *features: Tensor) -> Tensor:
        """Return (event, member)."""
        numerical, *rest = features
        none = numerical.new_zeros((numerical.shape[0], 0), dtype=torch.int64)
        return torch.exp(self.log_ratio(numerical, rest[0] if rest else none))


def counted_below(
    edges: Any, values: Any, out_int32: bool = False, right: bool = False, side: Any = None,
    sorter: Any = None,
) -> Any:  # fmt: skip
    """Say torch.searchsorted, which ONNX does not have, as a count of the edges below."""
    below = OPERATORS.Less(OPERATORS.Unsqueeze(edges, [-2]), OPERATORS.Unsqueeze(values, [-1]))
    return OPERATORS.ReduceSum(OPERATORS.Cast(below, to=onnx.TensorProto.INT64), [-1], keepdims=0)


def export(
    module: FakeFactor,
    path: Path,
    features: dict[str, Tensor],
    names: dict[str, tuple[str, ...]],
    missing: float | None,
) -> None:
    """Write the network, scaling and all, as `path`; any number of events may go in.

    `features` holds events by input, `names` the columns of each input; the file keeps these, and
    the value of a numerical feature that is `missing`.
    Raises `RuntimeError` if the file says something else than the network.
    """
    used = {name: tensor for name, tensor in features.items() if tensor.shape[1]}
    with torch.no_grad():
        wanted = module.cpu().eval()(*used.values()).numpy()
    # ONNX Runtime lacks some functions in double precision.
    module = module.float()
    used = {n: tensor.float() if n == "numerical" else tensor for n, tensor in used.items()}
    events = {0: torch.export.Dim("event")}
    # It remarks upon packages that nothing here uses.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(tensor[:8] for tensor in used.values()),
            dynamo=True,
            verbose=False,
            input_names=list(used),
            output_names=["fake_factor"],
            dynamic_shapes=(tuple(events for _ in used),),
            custom_translation_table={torch.ops.aten.searchsorted.Tensor: counted_below},
        )
    assert program is not None, "dynamo returns a program"
    model = program.model_proto
    # JSON has no nan.
    for key, value in {**names, "missing": None if missing is None else str(missing)}.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {name: tensor.numpy() for name, tensor in used.items()})
    if not np.allclose(found, wanted, rtol=1e-3, atol=1e-6):
        raise RuntimeError("the exported network differs from the trained one")
    write_atomically(path, content)


# Figures of a trained classifier, on matplotlib's objects alone: no pyplot, no rcParams.


# Ten colours told apart with impaired colour vision too: M. A. Petroff, arXiv:2107.02270.
COLORS = color_sequences["petroff10"]


def new_figure(width: float, height: float, caption: str) -> Figure:
    """Open a figure, its size in inches, with the caption in small print on top."""
    figure = Figure((width, height), dpi=120, layout="constrained")
    figure.suptitle(caption, x=0.01, ha="left", fontsize=8, color="0.4", parse_math=False)
    return figure


def dress(axes: Axes, xlabel: str, ylabel: str, **legend: Any) -> None:
    """Labels at the ends, ticks inwards on all sides, and a legend of what is labelled."""
    axes.set_xlabel(xlabel, loc="right")
    axes.set_ylabel(ylabel, loc="top")
    axes.minorticks_on()
    axes.tick_params(which="both", direction="in", top=True, right=True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, title_fontsize=9, borderaxespad=1, **legend)


def scale_y(axes: Axes, values: Floats, headroom: float = 0.05) -> None:
    """Log scale, at most five decades, if values span two; headroom as a fraction of the axis."""
    positive = values[values > 0]
    if positive.size > 0 and positive.max() > 100 * positive.min():
        high, low = positive.max(), max(positive.min(), positive.max() / 1e5) / 2
        axes.set_yscale("log")
        axes.set_ylim(low, high * (high / low) ** headroom)
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + headroom * (high - low))


def plot_history(history: dict[str, list[tuple[int, float]]], caption: str) -> Figure:
    """Curves of (epoch, value) by name: losses, metrics up to 1, and larger metrics."""
    panels: dict[str, dict[str, Floats]] = {"loss": {}, "metric": {}, "metric above 1": {}}
    for name, points in history.items():
        curve = np.array(points, dtype=np.float64).reshape(-1, 2).T
        metric = "metric above 1" if (curve[1] > 1).any() else "metric"
        panels["loss" if name.endswith("loss") else metric][name] = curve
    drawn = [(ylabel, curves) for ylabel, curves in panels.items() if curves]
    figure = new_figure(max(5.5 * len(drawn), 5.5), 4.5, caption)
    grid = figure.subplots(1, max(len(drawn), 1), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(grid, drawn, strict=False):
        for index, (name, curve) in enumerate(curves.items()):
            axes.plot(*curve, "o-", markersize=3, color=COLORS[index % len(COLORS)], label=name)
        scale_y(axes, np.hstack(list(curves.values()))[1])
        axes.xaxis.get_major_locator().set_params(integer=True)
        dress(axes, "epoch", ylabel)
    return figure


# Figures of density ratios and of the fake factor, by bins of the variables.


# Each has a figure of its own.
VARIABLES_DRAWN = 8


def centers(edges: Floats, shift: float = 0.0) -> Floats:
    """Middles of bins as the axis shows them, shifted by a fraction of the bins."""
    if spans_decades(edges):
        return np.asarray(edges[:-1] ** (0.5 - shift) * edges[1:] ** (0.5 + shift))
    return np.asarray(edges[:-1] * (0.5 - shift) + edges[1:] * (0.5 + shift))


def scale_x(axes: Axes, edges: Floats) -> None:
    """Log scale, with plain numbers, if a variable spans decades; no space beyond the edges."""
    if spans_decades(edges):
        axes.set_xscale("log")
        few = edges[-1] < 2000 * edges[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(edges[0], edges[-1])


def unit_area(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Density of unit area and its error (bin,); NaN without positive yield."""
    sums, squares = binned_sums(values, weight, edges)
    there = is_yield(sums.sum(), np.abs(sums).sum())
    area = sums.sum() * np.diff(edges) if there else np.nan
    return sums / area, np.sqrt(squares) / area


def plot_distributions(
    panels: dict[str, dict[str, list[tuple[Floats, Floats]]]], caption: str
) -> Figure:
    """Distributions by x label and kind, of (values, weight) in training and in validation.

    Lines are training, points validation, pulls are below: see `plot_scores`. The first panel has
    all kinds.
    """
    rows = -(-len(panels) // 2)
    figure = new_figure(13, 5.5 * rows, caption)
    grid = figure.subplots(2 * rows, 2, height_ratios=(3, 1) * rows)
    pairs = zip(panels.items(), grid[::2].flat, grid[1::2].flat, strict=True)
    colors = {kind: COLORS[index] for index, kind in enumerate(next(iter(panels.values())))}
    for (xlabel, kinds), axes, pulls in pairs:
        pulls.sharex(axes)
        pulls.axhspan(-1, 1, color="0.9")
        values = [values for kind in kinds.values() for values, _ in kind]
        edges = even_edges(np.concatenate(values), 30)
        drawn = []
        for name, kind in kinds.items():
            (line, line_error), (points, error) = (unit_area(*each, edges) for each in kind)
            filled = (line_error > 0) & (error > 0)
            pull = (points - line) / np.where(filled, np.hypot(line_error, error), np.nan)
            chi2 = rf"$\chi^2$/ndf = {np.nansum(pull**2):.1f}/{max(filled.sum() - 1, 0)}"
            axes.stairs(line, edges, color=colors[name], linewidth=1.5)
            marks = {"fmt": "o", "markersize": 4, "color": colors[name]}
            axes.errorbar(centers(edges), points, error, **marks, label=f"{name}, {chi2}")
            pulls.errorbar(centers(edges), pull, **marks)
            drawn += [line, points]
        scale_x(axes, edges)
        scale_y(axes, np.array(drawn), headroom=0.2 + 0.08 * len(kinds))
        limit = max(3, *np.abs(pulls.get_ylim()))
        pulls.set_ylim(-limit, limit)
        key = {"title": "line: training events, points: held-out events", "loc": "upper center"}
        dress(axes, "", "normalised to unit area", **key)
        axes.tick_params(labelbottom=False)
        dress(pulls, xlabel, "pull")
    return figure


def by_label(
    splits: tuple[Estimates, Estimates], quantity: Callable[[Floats], Floats], label: int
) -> list[tuple[Floats, Floats]]:
    """Return a quantity of r, and the weights, of each split's events of a label."""
    return [(quantity(mean_ratio(s))[s.label == label], s.weight[s.label == label]) for s in splits]


def profiles(estimates: Estimates, values: Floats, edges: Floats) -> Floats:
    """Mean F (member, bin) over loose events, weighted with |W|; NaN where there are none."""
    loose = estimates.label == 0
    place, weight = values[loose], np.abs(estimates.weight[loose])
    total = binned_sums(place, weight, edges)[0]
    factors = np.exp(estimates.log_ratio[loose]).T
    sums = np.array([binned_sums(place, weight * factor, edges)[0] for factor in factors])
    return np.asarray(sums / np.where(total > 0, total, np.nan))


def plot_fake_factor(
    estimates: Estimates,
    values: Floats,
    leptons: Leptons,
    lepton_values: Floats,
    name: str,
    caption: str,
) -> Figure:
    """F against a variable, and the classical fake factor of leptons by bins of it."""
    figure = new_figure(7, 5.5, caption)
    axes = figure.subplots()
    edges = even_edges(lepton_values, 20)
    members = profiles(estimates, values, edges)
    mean = members.mean(axis=0)
    line: dict[str, Any] = {"baseline": None, "color": COLORS[0], "linewidth": 1.5}
    axes.stairs(mean, edges, **line, label="network, mean by bin")
    if len(members) > 1:
        spread = members.std(axis=0, ddof=1)
        band: dict[str, Any] = {"fill": True, "color": COLORS[0], "alpha": 0.3, "linewidth": 0}
        label = f"spread of {len(members)} networks"
        axes.stairs(mean + spread, edges, baseline=mean - spread, **band, label=label)
    kinds = (leptons.is_data.numpy(), leptons.is_tight.numpy(), leptons.weight.double().numpy())
    factor, error = binned_fake_factor(lepton_values, *kinds, edges)
    marks: dict[str, Any] = {"fmt": "o", "markersize": 4, "color": "black"}
    axes.errorbar(centers(edges), factor, error, **marks, label="binned fake factor")
    # Points that say nothing do not set the scale.
    known = np.append(mean[mean > 0], factor[factor > 2 * error])
    if known.size:
        axes.set_ylim(0, 1.5 * known.max())
    scale_x(axes, edges)
    dress(axes, name, "fake factor F", loc="upper left")
    return figure


def ratio_figures(
    train: Estimates,
    validation: Estimates,
    leptons: Leptons,
    names: tuple[str, ...],
    caption: str,
) -> dict[str, Figure]:
    """Figures of F = tight / loose by name; "fake_factor_<variable>" of the first 8 variables.

    Events have the weights of the loss, mean over members; `leptons` are those of validation.
    """
    train, validation = (
        replace(split, weight=split.loss_weight.mean(axis=1)) for split in (train, validation)
    )
    kinds = {"tight": 1, "loose": 0}
    panels = {
        xlabel: {n: by_label((train, validation), quantity, k) for n, k in kinds.items()}
        for xlabel, quantity in (("log F", np.log), ("F", np.asarray))
    }
    figures = {"fake_factor": plot_distributions(panels, caption)}
    drawn = zip(names, all_variables(validation), all_variables(leptons), strict=True)
    for name, values, lepton_values in list(drawn)[:VARIABLES_DRAWN]:
        figures[f"fake_factor_{file_name(name)}"] = plot_fake_factor(
            validation, values, leptons, lepton_values, name, caption
        )
    return figures


# What a network sees: features scaled as the training events were, categories embedded.


class Affine(nn.Module):
    """Scales each feature: (x - center) / width. Both are kept in checkpoints."""

    center: Tensor
    width: Tensor

    def __init__(self, center: Tensor, width: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        # A feature that never varies is left as it is.
        self.register_buffer("width", torch.where(width > 0, width, torch.ones_like(width)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (event, feature)."""
        return (x - self.center) / self.width


class Logarithms(nn.Module):
    """Takes the logarithm of some features and leaves the others as they are."""

    chosen: Tensor

    def __init__(self, places: Sequence[int], width: int) -> None:
        super().__init__()
        self.register_buffer("chosen", torch.tensor([i in places for i in range(width)]))

    def forward(self, x: Tensor) -> Tensor:
        """Return (event, feature); a value that is not positive counts as the least that is."""
        return torch.where(self.chosen, logarithm(x), x)


def logarithm(x: Tensor) -> Tensor:
    """Return log x, finite also where x is not positive."""
    return x.clamp_min(torch.finfo(x.dtype).tiny).log()


def logarithms(features: Sequence[Tensor], places: Sequence[int]) -> list[Tensor]:
    """Return the values of each feature, the logarithms of those at `places`."""
    return [logarithm(x) if i in places else x for i, x in enumerate(features)]


def check_positive(
    numerical: Tensor, names: Sequence[str], logarithmic: Sequence[str], missing: float | None
) -> None:
    """Raise `RefusedError` for a feature whose logarithm is asked for and does not exist."""
    counts = {}
    for name in logarithmic:
        column = numerical[:, names.index(name)]
        wrong = column <= 0
        if missing is not None:
            wrong &= ~is_missing(column, missing)
        counts[name] = int(wrong.sum())
    bad = ", ".join(f"{name} ({count} events)" for name, count in counts.items() if count)
    if bad:
        raise RefusedError(f"values that have no logarithm, 0 or less, in {bad}")


def standard(features: Sequence[Tensor]) -> Affine:
    """Scale to mean 0 and standard deviation 1; `features` holds the values that exist of each."""
    return Affine(
        torch.stack([x.mean() for x in features]),
        # Rounding gives equal values a small deviation, and the next unequal one a huge value.
        torch.stack([x.std(correction=0) * (x.max() > x.min()) for x in features]),
    )


class Numerical(nn.Module):
    """The numerical features, scaled."""

    def __init__(self, scaling: nn.Module) -> None:
        super().__init__()
        self.scaling = scaling

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        """Return (event, feature)."""
        scaled: Tensor = self.scaling(numerical)
        return scaled


class Inputs(nn.Module):
    """Joins blocks of inputs, each a function of (numerical, categorical)."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, input)."""
        return torch.cat([block(numerical, categorical) for block in self.blocks], dim=1)


def is_missing(values: Tensor, missing: float) -> Tensor:
    """Where values are the sentinel, which may be nan."""
    return values.isnan() if missing != missing else values == missing


def present(numerical: Tensor, missing: float | None) -> list[Tensor]:
    """Return the values of each feature that exist; 0 for a feature that never does."""
    columns = []
    for column in numerical.T:
        there = column if missing is None else column[~is_missing(column, missing)]
        columns.append(there if len(there) else torch.zeros(1, dtype=column.dtype))
    return columns


# The machine a run is on: threads, versions, and the state of the repository.


def thread_count() -> int:
    """Return the threads to compute with: of the CPUs that are ours, one is left to the plots.

    OpenMP's threads wait for each other by spinning: with one too many, all of them crawl.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit():
        return max(1, int(asked))
    if "SLURM_CPUS_PER_TASK" in os.environ:
        ours = int(os.environ["SLURM_CPUS_PER_TASK"])
    elif hasattr(os, "sched_getaffinity"):
        ours = len(os.sched_getaffinity(0))
    else:
        ours = os.cpu_count() or 1
    return max(1, ours - 1)


class Output(io.TextIOWrapper):
    """Where messages go; a run does not end because nobody reads them, or no disk takes them."""

    def write(self, text: str) -> int:
        """Write, or give up writing for good."""
        try:
            return super().write(text)
        except OSError:
            return self.give_up(len(text))

    def flush(self) -> None:
        """Flush, or give up writing for good."""
        try:
            super().flush()
        except OSError:
            self.give_up(0)

    def give_up(self, written: int) -> int:
        """Send the rest nowhere."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
        return written


def steady_output() -> None:
    """Keep a closed pipe (`| head`) or a full disk below the log from ending the run."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Not its own buffer, which may remember another file of this number as one to seek in.
        buffer = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
        setattr(sys, name, Output(buffer, stream.encoding, stream.errors, line_buffering=True))


def quieten(rank: int) -> None:
    """Silence what no reader of a log needs: all tasks but the first, and remarks of libraries."""
    if rank > 0:
        sys.stdout = io.TextIOWrapper(io.FileIO(os.devnull, "w"))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # Lightning 2.6 uses a name that torch 2.13 has given up.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # A run may be started by hand on a machine with SLURM, and goes on in the folder it has.
    for remark in ("The `srun` command", "Checkpoint directory", "The dirpath has changed"):
        warnings.filterwarnings("ignore", message=remark)
    # The tracker gathers the values that it logs from all tasks.
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log")


def task_rank(under_srun: bool) -> int:
    """Return this task's number; SLURM's variables count only where srun started the script.

    A shell inside an allocation hands them on to whatever is started there.
    """
    return int(os.environ.get("SLURM_PROCID" if under_srun else "LOCAL_RANK", "0"))


def must_stop_together(under_srun: bool) -> bool:
    """Whether other tasks may wait for this one to train with them: it must not stop before.

    srun starts all tasks at once, Lightning's first task the others when it begins to train.
    """
    if under_srun:
        return os.environ.get("SLURM_NTASKS", "1") != "1"
    return task_rank(under_srun) > 0


def check_hardware(accelerator: str, devices: int | list[int] | str) -> None:
    """Raise `RefusedError` if this machine lacks what the run asks for."""
    try:
        Trainer(
            accelerator=accelerator, devices=devices, logger=False, plugins=LightningEnvironment()
        )
    # Lightning says TypeError where CPUs are asked for by index.
    except (MisconfigurationException, TypeError) as error:
        raise RefusedError(f"accelerator {accelerator}, devices {devices}: {error}") from error


def cluster(under_srun: bool) -> ClusterEnvironment:
    """Return how tasks find each other; Lightning alone would ask variables of an outer job."""
    # Its requeueing saves inside a signal handler, which can hang (#21406).
    return SLURMEnvironment(auto_requeue=False) if under_srun else LightningEnvironment()


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of Python and of packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def git_commit(folder: Path) -> str:
    """Return the commit that `folder` is at, marked where tracked files differ, or "unknown"."""
    # A tag would be named instead of the commit.
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    command = ["git", "-C", str(folder), *describe]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


# Networks: from (numerical, categorical) to one logit, or one for each class.


class MLP(nn.Module):
    """A multi-layer perceptron."""

    def __init__(
        self,
        inputs: nn.Module,
        n_inputs: int,
        n_outputs: int,
        n_layers: int,
        n_hidden: int,
        act: type[nn.Module],
        dropout: float,
        norm: type[nn.Module],
    ) -> None:
        super().__init__()
        self.inputs = inputs
        widths = [n_inputs] + [n_hidden] * n_layers
        layers: list[nn.Module] = []
        for width in widths[:-1]:
            layers += [nn.Linear(width, n_hidden), norm(n_hidden), act(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(n_hidden, n_outputs))

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return logits (event, n_outputs)."""
        logits: Tensor = self.layers(self.inputs(numerical, categorical))
        return logits


# The trainings that another one builds on, found by what their run folders record.


def parent_folders(run: Path, run_name: str, parents: dict[str, str]) -> dict[str, Path]:
    """Return the folders of parents by stage, which are named by their plain runs.

    With `--again LABEL`, they are those of this label if all of them exist, or else the plain ones.
    """
    label = run.name.removeprefix(run_name)
    again = {stage: run.with_name(name + label) for stage, name in parents.items()}
    if all(folder.exists() for folder in again.values()):
        return again
    return {stage: run.with_name(name) for stage, name in parents.items()}


def check_same_parents(folder: RunFolder, parents: dict[str, str]) -> None:
    """Raise `RefusedError` if an interrupted run began with other checkpoints than these."""
    if folder.identity.exists() and any(folder.checkpoints.glob("*.ckpt")):
        began = json.loads(folder.identity.read_text())["parents"]
        if began != parents:
            raise RefusedError(
                f"{folder.path} began with other parents: {began}, now {parents}; --again LABEL"
            )


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


def check_parent_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a parent saw other files, by digest."""
    there = set(json.loads((folder / "run.json").read_text())["data"].values())
    if there != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")


# What a run ends with: a table for the reader, and a file for programs.


def report(metrics: dict[str, dict[str, float]], places: dict[str, Path | str | None]) -> None:
    """Print metrics (split, name) side by side, and where to look."""
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    width = max(map(len, names))
    print(f"\n{'':{width}}  " + "".join(f"{split:>12}" for split in metrics))
    for name in names:
        row = (values.get(name) for values in metrics.values())
        print(f"{name:{width}}  " + "".join(f"{'' if v is None else f'{v:.4f}':>12}" for v in row))
    print()
    for name, place in places.items():
        print(f"{name:12}{place}")


def all_settings(constants: dict[str, Any], resolved: Path) -> dict[str, Any]:
    """Return the script's constants, and all options by table where `resolved.toml` lies beside."""
    if not resolved.exists():
        return constants
    options = pd.json_normalize(tomllib.loads(resolved.read_text())).iloc[0].to_dict()
    named = {str(name): value for name, value in options.items()}
    return {**constants, **{n: value for n, value in named.items() if not n.startswith("build.")}}


def own_settings(
    constants: dict[str, Any], resolved: Path, table: str, identity: str
) -> dict[str, Any]:
    """Return the script's constants and all options as one point, or one stage, has them."""
    settings = all_settings(constants, resolved)
    for point in settings.pop(table, ()):
        if point["identity"] == identity:
            settings |= point["values"] | point["follow"]
            settings = {n: value for n, value in settings.items() if n not in point["lacks"]}
    return {n: value for n, value in settings.items() if not n.startswith("sweep_config.")}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values; nan and inf become null, which JSON has instead."""
    text = json.dumps(content, indent=1, default=str, allow_nan=True)
    clean = json.loads(text, parse_constant=lambda _: None)
    write_atomically(path, (json.dumps(clean, indent=1) + "\n").encode())


# The tasks of a run: processes that train one network together.


def of_all_tasks(value: Any) -> list[Any]:
    """Return what each task gives, in the order of their ranks; all of them must ask at once."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


# Random states, so that a run that goes on draws the numbers it would have drawn.


class RandomStates(Callback):
    """Keeps the states of torch's generators in checkpoints; Lightning keeps none (#19367)."""

    def __init__(self) -> None:
        self.rank = 0

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Let each task draw dropout masks of its own: all of them have begun with one seed."""
        self.rank = trainer.global_rank
        if self.rank > 0:
            torch.manual_seed(torch.initial_seed() + self.rank)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all tasks, as plain values, which `weights_only` can load."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"tasks": of_all_tasks({"cpu": torch.get_rng_state(), "cuda": cuda})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set this task's generators back, if a task of its rank has left their states."""
        if self.rank < len(state["tasks"]):
            own = state["tasks"][self.rank]
            torch.set_rng_state(own["cpu"].cpu())
            if own["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all([each.cpu() for each in own["cuda"]])


# Stops: tasks that train together save and stop together, between two steps.


# Asks all tasks to save and to go on; larger numbers are exit statuses.
SAVE = 1


class SafeStop(Callback):
    """Stops between two batches, on all ranks together, and saves every few minutes.

    Lightning's own handlers save inside the handler, which hangs with several ranks (#21406), and
    end with status 0 on SIGTERM, which a job that waits for this one would take for success.
    """

    def __init__(
        self, checkpoints: LastCheckpoints, minutes: float, settle: Callable[[], None]
    ) -> None:
        self.checkpoints = checkpoints
        self.minutes = minutes
        self.settle = settle
        self.saved = 0.0

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Have the tasks stop together from here on, by this callback alone.

        Lightning would take SIGTERM between this and the first batch: its handler waits for the
        other tasks (#20806), and ends the program with status 0.
        """
        ASKED.together = True
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]

    def on_sanity_check_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before anything is computed."""
        obey_together(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop within a sanity check; a validation of trained weights is a part of its epoch."""
        if trainer.sanity_checking:
            obey_together(trainer)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self.saved = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop between two epochs: the end of the last one has been saved."""
        self.saved = time.monotonic()
        obey_together(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, and stop if asked to; its last step is left to its end (#19970)."""
        # A job may be killed without warning: it loses the minutes since it saved, and no more.
        due = SAVE if time.monotonic() - self.saved > 60 * self.minutes else 0
        agreed = largest(trainer, ASKED.status or due)
        if not agreed or batch_idx + 1 == trainer.num_training_batches:
            return
        # Every checkpoint promises that the plots of the epochs before are there.
        self.settle()
        self.checkpoints.save(trainer)
        self.saved = time.monotonic()
        if agreed > SAVE:
            raise StoppedError(agreed)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop before the evaluation, which another start makes up for."""
        obey_together(trainer)
        ASKED.together = False

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        """Train together no more."""
        ASKED.together = False


def obey_together(trainer: Trainer) -> None:
    """Raise `StoppedError` in all tasks if a signal has come to any of them."""
    if agreed := largest(trainer, ASKED.status):
        raise StoppedError(agreed)


def largest(trainer: Trainer, status: int) -> int:
    """Return the largest of the numbers that the tasks give, so that all of them act alike."""
    number = torch.tensor(status, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(number, reduce_op="max"))


# The tracker: metrics and plots of the validation split during training.


# Enough to compare distributions, few enough to take no time.
TRAINING_EVENTS_PLOTTED = 100_000


class Tracker(Callback):
    """Records losses, computes metrics and draws plots, each on its own cadence.

    A cadence of n is due at the first validation at or after each n-th epoch; None is never.
    """

    def __init__(
        self,
        record: Record,
        folder: Path,
        artist: Executor,
        train: Events,
        validation: Events,
        outputs: Callable[..., Any],
        metrics: Callable[[Any], dict[str, float]],
        figures: Callable[..., dict[str, Figure]],
        check_metrics_n_epoch: int | None,
        plot_metrics_n_epoch: int | None,
        log_every_n_steps: int,
    ) -> None:
        self.record = record
        self.folder = folder
        self.train = train
        self.events = validation
        # What metrics and figures take: made of the module's outputs by name, as arrays.
        self.outputs = outputs
        self.metrics = metrics
        self.figures = figures
        self.check_metrics_n_epoch = check_metrics_n_epoch
        self.plot_metrics_n_epoch = plot_metrics_n_epoch
        self.log_every_n_steps = log_every_n_steps
        # matplotlib's text drawing is not thread-safe: its one thread draws, and nothing else does.
        self.artist = artist
        self.drawings: list[tuple[int, int, Future[list[Path]]]] = []
        self.batches: list[dict[str, Tensor]] = []
        self.losses: list[Tensor] = []
        self.validation: Any = None
        self.values: dict[str, float] = {}
        self.rate = 0.0
        self.validated = 0
        # Step and epoch of the newest plots.
        self.drawn = [0, 0]
        self.rank = 0
        self.began = time.monotonic()

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Learn which of the tasks this is."""
        self.rank = trainer.global_rank

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Draw what an earlier start was killed before it had drawn."""
        if trainer.is_global_zero:
            self.redraw(module)

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the epoch's clock."""
        self.began = time.monotonic()

    def on_before_optimizer_step(
        self, trainer: Trainer, module: LightningModule, optimizer: Any
    ) -> None:
        """Note the learning rate of the step: after it, warm-up and schedule have changed it."""
        self.rate = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the mean training loss of the last `log_every_n_steps` steps of the epoch."""
        self.losses.append(outputs["loss"].detach())
        if trainer.global_step % self.log_every_n_steps == 0:
            loss = mean_over_ranks(trainer, self.losses[-self.log_every_n_steps :])
            epoch = trainer.current_epoch + 1
            self.record.write(trainer.global_step, epoch, train_loss_step=loss, lr=self.rate)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch's outputs."""
        self.batches.append({name: tensor.detach().cpu() for name, tensor in outputs.items()})

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Compute the loss and, where due, the metrics, of all ranks' events."""
        batches, self.batches = self.batches, []
        if trainer.sanity_checking:
            print(f"sanity check passed: {len(batches)} validation batches")
            return
        found = gather(batches)
        value = float(module.mean_loss(found.pop("loss"), found["loss_weight"]))  # type: ignore[operator]
        if value - value != 0:
            # Before any checkpoint is written: the last good one must stay.
            raise NotFiniteError(f"validation loss {value} after epoch {trainer.current_epoch + 1}")
        self.values = {"val_loss": value}
        self.validation = self.outputs(**arrays(found))
        if self.is_due(self.check_metrics_n_epoch, trainer.current_epoch + 1):
            metrics = self.metrics(self.validation)
            self.values |= {f"val_{name}": metric for name, metric in metrics.items()}
        # For early stopping, schedules and the choice of checkpoints; the record is our own.
        module.log_dict(self.values, logger=False, prog_bar=True)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Record the epoch, print it, and have its plots drawn where they are due."""
        epoch = trainer.current_epoch + 1
        # The checkpoint of this epoch promises that the plots of those before are there.
        self.settle()
        losses, self.losses = self.losses, []
        values = {"train_loss": mean_over_ranks(trainer, losses), **self.values}
        self.record.write(trainer.global_step, epoch, **values)
        if trainer.is_global_zero and trainer.progress_bar_callback is None:
            text = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            seconds = time.monotonic() - self.began
            print(f"epoch {epoch}/{trainer.max_epochs}: {text} ({seconds:.1f} s)", flush=True)
        if self.validation is not None:
            if trainer.is_global_zero and self.is_due(self.plot_metrics_n_epoch, epoch):
                self.plot(module, trainer.global_step, epoch, self.validation)
            self.validated = epoch
        self.values, self.validation = {}, None

    def is_due(self, cadence: int | None, epoch: int) -> bool:
        """Whether an n-th epoch lies after the last validation, up to this one."""
        return cadence is not None and epoch // cadence > self.validated // cadence

    def plot(
        self, module: LightningModule, step: int, epoch: int, validation: Any, name: str = ""
    ) -> None:
        """Have the plots drawn behind the training's back."""
        train = self.predict(module, self.train, TRAINING_EVENTS_PLOTTED)
        folder = self.folder / (name or f"epoch_{epoch:04d}")
        # What is drawn is what is known now, not what the training adds meanwhile.
        known = self.record.size()
        drawing = self.artist.submit(self.draw, train, validation, known, folder)
        self.drawings.append((step, epoch, drawing))
        if not name:
            self.drawn = [step, epoch]

    def predict(self, module: Any, events: Events, most: int | None = None) -> Any:
        """Return what the module says of a split, as metrics and figures take it."""
        return self.outputs(**predict(module, events, most))

    def redraw(self, module: Any) -> None:
        """Draw the plots of the last epoch if the record lacks them; nothing else about it does."""
        step, epoch = self.drawn
        names = [path.parent.name for path in self.record.artifacts()]
        if epoch and f"epoch_{epoch:04d}" not in names:
            self.plot(module, step, epoch, self.predict(module, self.events))

    def draw(self, train: Any, validation: Any, known: int, folder: Path) -> list[Path]:
        """Draw one set of plots; `known` bytes of the record make the history."""
        folder.mkdir(parents=True, exist_ok=True)
        caption = f"{self.folder.name}, {folder.name.replace('_', ' ')}"
        figures = self.figures(train, validation, caption=caption)
        history = self.record.history(known)
        shown = {n: points for n, points in history.items() if n not in ("lr", "train_loss_step")}
        figures["history"] = plot_history(shown, caption)
        paths = {folder / f"{name}.png": figure for name, figure in figures.items()}
        for path, figure in paths.items():
            figure.savefig(path, dpi=120)
        return list(paths)

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        """Have plots that were begun finished."""
        self.settle()

    def settle(self) -> None:
        """Wait for the plots that were begun, and record them; one that failed costs nothing else.

        So they stand where they stand in every run of the script, however long they took.
        """
        drawings, self.drawings = self.drawings, []
        for step, epoch, drawing in drawings:
            if error := drawing.exception():
                print(f"warning: plots were not drawn: {error!r}")
            else:
                # All or none: a start that is killed here draws them again.
                paths = drawing.result()
                self.record.write_all(step, epoch, [{"artifact": str(path)} for path in paths])

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know: plain values only."""
        return {
            "run": self.folder.name,
            "record": self.record.size(),
            "validated": self.validated,
            "drawn": self.drawn,
            "losses": of_all_tasks([float(loss) for loss in self.losses]),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the checkpoint was made; lines recorded since then are written anew."""
        self.validated = state["validated"]
        if state["run"] == self.folder.name:
            self.drawn = state["drawn"]
            self.record.cut(state["record"], self.is_kept)
        if self.rank < len(state["losses"]):
            self.losses = [torch.tensor(loss) for loss in state["losses"][self.rank]]

    def is_kept(self, entry: dict[str, Any]) -> bool:
        """Whether an entry names a file that no later line names again."""
        path = Path(entry.get("artifact", ""))
        if path.suffix != ".png":
            # The script and what it was compiled from; an evaluation names its own files anew.
            return path.suffix in (".py", ".toml")
        return path.parent.name.startswith("epoch_") and int(entry["epoch"]) <= self.validated


def resume_after_training(tracker: Tracker, module: Any, checkpoint: dict[str, Any]) -> None:
    """Go on after training, of which `checkpoint` is the end; the first task does so alone."""
    ASKED.together = False
    module.load_state_dict(checkpoint["state_dict"])
    tracker.load_state_dict(checkpoint["callbacks"][tracker.state_key])
    tracker.redraw(module)


def mean_over_ranks(trainer: Trainer, losses: list[Tensor]) -> float:
    """Return the mean of losses over steps and ranks."""
    mean = torch.stack([loss.to(losses[-1].device) for loss in losses]).float().mean()
    return float(trainer.strategy.reduce(mean, reduce_op="mean"))


def gather(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return each of the outputs over all batches of all ranks."""
    batches = [batch for rank in of_all_tasks(batches) for batch in rank]
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def arrays(found: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return numbers in double precision; labels and categories stay whole."""
    return {
        name: (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in found.items()
    }


@torch.no_grad()
def predict(module: Any, events: Events, most: int | None = None) -> dict[str, NDArray[Any]]:
    """Return the outputs for a split, or for about `most` of its events, evenly chosen."""
    chosen = slice(None, None, max(1, len(events.label) // most) if most else 1)
    training = module.training
    module.eval()
    found = []
    for batch in zip(*(torch.split(t[chosen], 65536) for t in events.tensors()), strict=True):
        obey()
        logits = module.network(batch[0].to(module.device), batch[1].to(module.device))
        outputs = module.outputs(logits, batch)
        found.append({name: tensor.cpu() for name, tensor in outputs.items()})
    module.train(training)
    return arrays({name: torch.cat([each[name] for each in found]) for name in found[0]})


# What is trained: samples, network, optimizer.

FEATURES = (*NUMERICAL, *CATEGORICAL)
SAMPLES = (
    Sample(
        name="data",
        label=1,  # data
        files=("data/toy_pt.parquet",),
        columns=(
            *FEATURES,
            "event",
            "toy_type",
            "data_type",
            "weight",
        ),
        selection="data_type == 1",
        weight="weight",
    ),
    Sample(
        name="prompt",
        label=0,  # mc
        files=("data/toy_pt.parquet",),
        columns=(
            *FEATURES,
            "event",
            "toy_type",
            "data_type",
            "weight",
        ),
        selection="data_type == 0",
        weight="weight",
    ),
)


def build_inputs(train: Leptons, categories: list[list[int]]) -> nn.Module:
    """Return what the network sees, scaled as the training events ask for."""
    blocks: list[nn.Module] = []
    places = [NUMERICAL.index(name) for name in LOGARITHMIC]
    features = logarithms(present(train.numerical, None), places)
    scaling = nn.Sequential(Logarithms(places, len(NUMERICAL)), standard(features))
    blocks.append(Numerical(scaling))
    return Inputs(blocks)


def build_ratio(train: Leptons, categories: list[list[int]]) -> nn.Module:
    """Return the network of the ratio."""

    def network() -> nn.Module:
        return MLP(
            build_inputs(train, categories),
            n_inputs=1,
            n_outputs=1,
            n_layers=N_LAYERS,
            n_hidden=N_HIDDEN,
            act=nn.SiLU,
            dropout=DROPOUT,
            norm=nn.Identity,
        )

    return network()


def build_numerator(train: Leptons, categories: list[list[int]]) -> nn.Module:
    """Return the network of the numerator."""

    def network() -> nn.Module:
        return Activated(
            MLP(
                build_inputs(train, categories),
                n_inputs=1,
                n_outputs=1,
                n_layers=3,
                n_hidden=64,
                act=nn.SiLU,
                dropout=0.0,
                norm=nn.Identity,
            ),
            Softabs(),
        )

    return network()


def build_denominator(train: Leptons, categories: list[list[int]]) -> nn.Module:
    """Return the network of the denominator."""

    def network() -> nn.Module:
        return Activated(
            MLP(
                build_inputs(train, categories),
                n_inputs=1,
                n_outputs=1,
                n_layers=3,
                n_hidden=64,
                act=nn.SiLU,
                dropout=0.0,
                norm=nn.Identity,
            ),
            Softabs(),
        )

    return network()


def configure(parameters: Iterable[nn.Parameter], steps: int) -> OptimizerLRScheduler:
    """Return the optimizer and its schedule."""
    optimizer = torch.optim.AdamW(
        parameters,
        lr=0.002,
        weight_decay=1e-05,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer,
        T_max=MAX_EPOCHS,
    )
    return {
        "optimizer": optimizer,
        "lr_scheduler": {
            "scheduler": scheduler,
            "interval": "epoch",
        },
    }


# What a network is, besides its shapes.
DESCRIPTIONS = {
    "numerator": ["MLP", "SiLU", "Identity", "Softabs", "bce", "standard", ["pt"]],
    "denominator": ["MLP", "SiLU", "Identity", "Softabs", "bce", "standard", ["pt"]],
    "ratio": ["MLP", "SiLU", "Identity", "none", "bce", "standard", ["pt"]],
}


def known(stage: str, categories: list[list[int]]) -> dict[str, Any]:
    """Return what a checkpoint of a stage says that it knows."""
    return {
        "stage": stage,
        "numerical": list(NUMERICAL),
        "categorical": list(CATEGORICAL),
        "categories": categories,
        "network": DESCRIPTIONS[stage],
    }


def build_density_ratio(train: Leptons, categories: list[list[int]]) -> DensityRatio:
    """Return the network of this training, with its loss."""
    return DensityRatio(
        network=build_ratio(train, categories),
        loss=density_bce,
        link=direct_link,
        configure=configure,
        knows=known(STAGE, categories),
    )


def find_parents(folder: RunFolder) -> dict[str, Path]:
    """Return the best checkpoints of numerator and denominator, which must have finished."""
    names = {stage: run_name for stage, (run_name, _) in PARENTS.items()}
    places = parent_folders(folder.path, RUN_NAME, names)
    return {s: parent_checkpoint(places[s], s, script) for s, (_, script) in PARENTS.items()}


def trained(parent: DensityRatio, checkpoint: Path) -> LogRatio:
    """Return a parent, from features to log r, as its best checkpoint has it."""
    content = load(checkpoint)
    check_fit(parent, content)
    parent.load_state_dict(content["state_dict"])
    return LogRatio(parent)


def main() -> int:
    """Run, and return the exit status."""
    arguments = parse_arguments()
    rank = task_rank(arguments.srun)
    folder = None
    steady_output()
    name = RUN_NAME + (f"+{arguments.again}" if arguments.again else "")
    listen(must_stop_together(arguments.srun))
    try:
        save_dir = expand(SAVE_DIR, SPEC_FOLDER)
        folder = RunFolder(save_dir / EXPERIMENT_NAME / name)
        # The other tasks of a run work in the folder that the first one holds.
        with folder.locked() if rank == 0 else nullcontext():
            status = run(arguments, folder, save_dir / "mlruns")
        if rank > 0 and arguments.srun:
            folder.wait_until_released()
    except Exception as error:
        status, reason = how_it_ended(error)
        if status == FAILED:
            traceback.print_exc()
        if rank == 0:
            print(reason, file=sys.stderr)
        elif folder and isinstance(error, StoppedError | NotFiniteError):
            # Who started the tasks would end the first one if another had failed before it.
            folder.wait_until_released()
    stop_listening()
    return status


def run(arguments: argparse.Namespace, folder: RunFolder, store: Path) -> int:
    """Read the events, train, and evaluate the best checkpoint on the test split."""
    rank = task_rank(arguments.srun)
    script = digest(Path(__file__))
    folder.check_script(script)
    if folder.done.exists() or arguments.sync:
        if not arguments.sync:
            print(f"{folder.path} is finished; --again LABEL starts another run")
        # Nothing of it is touched, but a tracker that lacks something gets that.
        if rank == 0 and (arguments.sync or not is_mirrored(folder)):
            quieten(rank)
            mirror = mirror_of(folder, store, folder.begun())
            mirror.start()
            mirror.finish("FINISHED" if folder.done.exists() else "KILLED")
        return DONE
    quieten(rank)
    check_hardware(ACCELERATOR, DEVICES)
    torch.set_num_threads(thread_count())
    torch.set_float32_matmul_precision(FLOAT32_MATMUL_PRECISION)
    seed = seed_everything(SEED, workers=True, verbose=False)
    parents = find_parents(folder)
    built_on = {stage: f"{path.parents[1].name} {digest(path)}" for stage, path in parents.items()}
    check_same_parents(folder, built_on)
    files = find_files(SAMPLES, SPEC_FOLDER)
    if rank > 0:
        record = Record(Path(os.devnull))
        train_and_test(folder, files, record, ThreadPoolExecutor(), seed, arguments.srun)
        return DONE
    identity: dict[str, Any] = {
        "script": script,
        "data": fingerprints(files),
        "versions": versions(PACKAGES),
        "commit": git_commit(SPEC_FOLDER),
        "seed": seed,
    }
    for stage, path in parents.items():
        print(f"{stage}: {path}")
        if not arguments.accept_data:
            check_parent_data(path.parents[1], identity["data"])
    identity["parents"] = built_on
    folder.identify(identity, arguments.accept_data)
    record = Record(folder.record)
    mirror = mirror_of(folder, store, identity)
    mirror.start()
    status = "FAILED"
    try:
        folder.ended.unlink(missing_ok=True)
        keep(folder, record, (Path(__file__), RESOLVED))
        # Nothing is drawn, or recorded, when the run's folder is given up.
        with ThreadPoolExecutor(max_workers=1) as artist:
            train_and_test(folder, files, record, artist, seed, arguments.srun)
        status = "FINISHED"
    except StoppedError:
        status = "KILLED"
        raise
    finally:
        mirror.finish(status)
    return DONE


def mirror_of(folder: RunFolder, store: Path, identity: dict[str, Any]) -> Mirror:
    """Return the thread that copies the record to the tracker."""
    settings = own_settings(SETTINGS, RESOLVED, "stages", STAGE)
    tags = {name: str(identity[name]) for name in ("script", "commit", "seed")}
    tags |= {"fakes": "fakes_pt_MLP_20261127T222752Z", "stage": STAGE}
    backend = MlflowBackend(folder, store, EXPERIMENT_NAME, settings, tags)
    return Mirror(folder, backend)


def train_and_test(
    folder: RunFolder,
    files: dict[str, list[Path]],
    record: Record,
    artist: Executor,
    seed: int,
    under_srun: bool,
) -> None:
    """Train, or go on training, and evaluate the best checkpoint on the test split."""
    leptons = read_leptons(
        SAMPLES,
        files,
        numerical=NUMERICAL,
        categorical=CATEGORICAL,
        missing=None,
        event_number=EVENT_NUMBER,
        train=TRAIN,
        validation=VALIDATION,
        category=Category(CATEGORY, TIGHT, LOOSE),
        crack=None,
        dtype=torch.float32,
    )
    for part in leptons:
        check_positive(part.numerical, NUMERICAL, LOGARITHMIC, None)
    categories = [column.unique().tolist() for column in leptons[0].categorical.T]
    parents = find_parents(folder)
    numerator = DensityRatio(
        network=build_numerator(leptons[0], categories),
        loss=density_bce,
        link=direct_link,
        knows=known("numerator", categories),
    )
    denominator = DensityRatio(
        network=build_denominator(leptons[0], categories),
        loss=density_bce,
        link=direct_link,
        knows=known("denominator", categories),
    )
    parent_networks = (
        trained(numerator, parents["numerator"]),
        trained(denominator, parents["denominator"]),
    )
    weights = [subtraction_weights(part, *parent_networks) for part in leptons]
    chosen = partial(ratio_events, use_data=True)
    train, validation, test = map(chosen, leptons, weights)
    # Plots show the weights as they are.
    shown = train
    train = clipped(train, CLIP_QUANTILE)
    classifier = build_density_ratio(leptons[0], categories)
    tracker = Tracker(
        record,
        expand(TRACKER_PATH, SPEC_FOLDER) / EXPERIMENT_NAME / folder.path.name,
        artist,
        shown,
        validation,
        outputs=Estimates,
        metrics=ratio_metrics,
        figures=partial(ratio_figures, leptons=leptons[1], names=FEATURES),
        check_metrics_n_epoch=CHECK_METRICS_N_EPOCH,
        plot_metrics_n_epoch=PLOT_METRICS_N_EPOCH,
        log_every_n_steps=LOG_EVERY_N_STEPS,
    )
    best_checkpoints = ModelCheckpoint(
        folder.checkpoints,
        filename="best-{step:09d}",
        auto_insert_metric_name=False,
        monitor=MONITOR,
        mode=MONITOR_MODE,
        save_top_k=SAVE_TOP_K,
        enable_version_counter=False,
        # Not after validation: training cannot go on from a checkpoint made within an epoch's end.
        save_on_train_epoch_end=True,
        every_n_epochs=1,
    )
    last_checkpoints = LastCheckpoints(folder.checkpoints, best_checkpoints)
    callbacks: list[Callback] = [
        tracker,
        RandomStates(),
        best_checkpoints,
        last_checkpoints,
        SafeStop(last_checkpoints, SAVE_EVERY_N_MINUTES, tracker.settle),
    ]
    # In a log file a bar would be thousands of lines; the tracker prints one line an epoch there.
    show_bar = TQDM_REFRESH_RATE > 0 and sys.stdout.isatty()
    if show_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=TQDM_REFRESH_RATE))
    trainer = Trainer(
        accelerator=ACCELERATOR,
        devices=DEVICES,
        num_nodes=int(os.environ["SLURM_NNODES"]) if under_srun else 1,
        precision=PRECISION,
        max_epochs=MAX_EPOCHS,
        check_val_every_n_epoch=CHECK_EVAL_N_EPOCH,
        num_sanity_val_steps=NUM_SANITY_VAL_STEPS,
        gradient_clip_val=GRADIENT_CLIP_VAL,
        deterministic="warn",
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), cluster(under_srun)],
        logger=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=show_bar,
        default_root_dir=folder.path,
    )
    if trainer.precision != PRECISION:
        raise RefusedError(f"precision {PRECISION} is not possible here, only {trainer.precision}")
    resume = newest(folder.checkpoints)
    if resume is None:
        # What an earlier start recorded before its first checkpoint is recorded anew.
        record.cut(0, tracker.is_kept)
    if resume is None and trainer.is_global_zero:
        # Two checkpoints of the last steps, the best ones, and one that is being written: each of
        # the weights, and of two moments that an optimizer keeps for every weight.
        size = sum(p.numel() * p.element_size() for p in classifier.parameters())
        check_space(folder, (3 + SAVE_TOP_K) * 3 * size)
    if resume is not None and is_trained(folder.checkpoints, resume):
        # Only the evaluation is missing, and plots that a killed start did not come to.
        if trainer.is_global_zero:
            resume_after_training(tracker, classifier, load(resume))
    else:
        # Not to start other tasks in vain.
        obey()
        rank, world_size = trainer.global_rank, trainer.world_size
        batches = Batches(train, BATCH_SIZE, seed, rank, world_size)
        classifier.steps = MAX_EPOCHS * len(batches)
        trainer.fit(
            classifier,
            batches,
            Batches(validation, BATCH_SIZE, None, rank, world_size),
            ckpt_path=resume,
            weights_only=True,
        )
    if not trainer.is_global_zero:
        return
    best = best_checkpoint(folder.checkpoints)
    checkpoint = load(best)
    check_fit(classifier, checkpoint)
    classifier.load_state_dict(checkpoint["state_dict"])
    outputs = {
        "validation": tracker.predict(classifier, validation),
        "test": tracker.predict(classifier, test),
    }
    metrics = {split: tracker.metrics(found) for split, found in outputs.items()}
    step, epoch = checkpoint["global_step"], checkpoint["epoch"] + 1
    record.write(step, epoch, **{f"test_{name}": value for name, value in metrics["test"].items()})
    tracker.plot(classifier, step, epoch, outputs["test"], "test")
    tracker.settle()
    # The last place to stop at: from here on the run ends, whatever signals come.
    obey()
    write_json(folder.path / "metrics.json", {"checkpoint": str(best), "metrics": metrics})
    export(
        FakeFactor(LogRatio(classifier)),
        folder.path / "fake_factor.onnx",
        features={"numerical": test.numerical, "categorical": test.categorical},
        names={"numerical": NUMERICAL, "categorical": CATEGORICAL},
        missing=None,
    )
    record.write(step, epoch, artifact=str(folder.path / "fake_factor.onnx"))
    write_json(
        folder.done,
        {"script": digest(Path(__file__)), "checkpoint": best.name, "sha256": digest(best)},
    )
    report(
        metrics,
        {
            "run": folder.path,
            "checkpoint": best,
            "network": folder.path / "fake_factor.onnx",
            "plots": tracker.folder,
            "tracker": folder.path.parents[1] / "mlruns",
        },
    )


if __name__ == "__main__":
    sys.exit(main())
