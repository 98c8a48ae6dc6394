"""The machine a run is on: threads, versions, and the state of the repository."""

import ctypes
import io
import logging
import os
import platform
import re
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from parts.machinery.exits import RefusedError, open_closed_streams

# What srun tells each of its tasks; a shell inside of an allocation has only some of it.
OF_SRUN = (
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_NNODES",
    "SLURM_NTASKS",
    "SLURM_NODEID",
    "SLURM_LOCALID",
    "SLURM_PROCID",
)
# Options of mallopt(3): up to which size memory comes from the heap (M_MMAP_THRESHOLD; 32 MiB is
# the most), and how much of it may lie idle at its end (M_TRIM_THRESHOLD).
KEPT_BY_GLIBC = {-3: 2**25, -1: 2**28}


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


def keep_freed_memory() -> None:
    """Have glibc keep the memory that a step frees, for the next one.

    By itself it gives back what the largest tensors took, and a tenth to a quarter of a step goes
    by until the system has brought it again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in KEPT_BY_GLIBC.items():
            mallopt(option, size)


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
    open_closed_streams()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Not its own buffer, which may remember another file of this number as one to seek in.
        buffer = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
        # Names of files may hold bytes that are no text.
        errors = "backslashreplace"
        setattr(sys, name, Output(buffer, stream.encoding, errors, line_buffering=True))


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


def check_srun(under_srun: bool) -> None:
    """Raise `RefusedError` for --srun where srun did not start this task."""
    lacking = [name for name in OF_SRUN if name not in os.environ] if under_srun else []
    if lacking:
        raise RefusedError(
            f"--srun is for srun, which batch files call, and it did not start this: {lacking[0]}"
            " is not set; leave --srun out"
        )


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


def versions(script: Path) -> dict[str, str]:
    """Return the versions of Python, and of the packages that a script's header pins."""
    packages = re.findall(r'^#     "([^=]+)==[^"]+",$', script.read_text(), re.MULTILINE)
    return {"python": platform.python_version(), **{name: installed(name) for name in packages}}


def installed(package: str) -> str:
    """Return the version of a package; a tracker's may be missing, and cost the run nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


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
