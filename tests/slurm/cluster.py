"""A real SLURM of this machine's own, and a repository whose batch files it runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

import seesawc
from tests.runs.experiments import EXPERIMENT, SPEC, Run, events, give_store
from tests.runs.starts import Warm, isolated
from tests.spec_tables import build, merged

HERE = Path(__file__).parent
PROGRAM = HERE / "slurm-local"
ENDED = {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY"}
# The machine may be busy; nothing here takes half as long when it is not.
PATIENCE = 180.0
VENV = Path(sys.executable).parent
# Where a job finds Python itself.
COLD = f"{VENV}:/usr/local/bin:/usr/bin:/bin"
# A job of no features: the least that a batch file needs.
JOB = {"time": "00:10:00"}
# Says where it is and what it was given, once for each task.
TELL = 'echo "task $SLURM_PROCID of $SLURM_NTASKS: $(basename "$0") $*"'
# As awkward as a path may be.
NASTY = "a 'b' \"c\" `d` !e *;&|(#"
FULL = {
    "partition": "short",
    "account": "atlas",
    "qos": "normal",
    "constraint": "avx2&ib",
    "time": "00:30:00",
    "nodes": 2,
    "gpus": 2,
    "cpus": 3,
    "memory": "5G",
    "signal_lead": 60,
    "mail_user": "higgs@example.org",
    "mail_type": ["END", "FAIL"],
    "extra": ["--exclusive", "--comment=h4l"],
}
ON_GPUS = {"experiment_config": {"accelerator": "gpu", "devices": 2}}
PACKAGE = Path(seesawc.__file__).parents[1]
SEESAWC = (sys.executable, "-m", "seesawc")


@frozen
class Cluster:
    """SLURM's commands, for the cluster whose files are in `home`."""

    home: Path

    def variables(self) -> dict[str, str]:
        """Return an environment that knows the cluster, and no job that this may run in."""
        outer = re.compile("(SLURM|SBATCH|SRUN)_")
        kept = {name: value for name, value in os.environ.items() if not outer.match(name)}
        own = {"SLOCAL_DIR": str(self.home), "SLURM_CONF": f"{self.home}/etc/slurm.conf"}
        return kept | own | {"SLOCAL_GPU_TYPE": "toy"}

    def control(self, command: str) -> None:
        """Start or stop the cluster."""
        subprocess.run([PROGRAM, command], env=self.variables(), check=True, timeout=PATIENCE)

    def run(self, *command: str | Path) -> str:
        """Run a command of SLURM's; returns what it says."""
        ended = subprocess.run(
            command, env=self.variables(), capture_output=True, text=True, timeout=PATIENCE
        )
        assert ended.returncode == 0, ended
        return ended.stdout

    def job(self, number: str) -> dict[str, str]:
        """Return what `scontrol show job` says; values may hold spaces."""
        text = self.run("scontrol", "-o", "show", "job", number)
        name = r"[A-Za-z][\w:/&]*="
        pairs = re.findall(rf"(?:^|\s)({name})(.*?)(?=\s+{name}|\s*$)", text)
        return {key.removesuffix("="): value for key, value in pairs}

    def wait(self, number: str, *states: str) -> dict[str, str]:
        """Wait until a job is in one of the states, or has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            job = self.job(number)
            if job["JobState"] in (states or ENDED):
                return job
            time.sleep(0.1)
        raise AssertionError(f"job {number} is still {job['JobState']}: {job['Reason']}")

    @contextmanager
    def full(self) -> Iterator[None]:
        """Have no node take a job: all of them wait."""
        nodes = self.run("sinfo", "-h", "-N", "-o", "%N").split()
        names = f"NodeName={','.join(sorted(set(nodes)))}"
        self.run("scontrol", "update", names, "State=DRAIN", "Reason=full")
        try:
            yield
        finally:
            self.run("scontrol", "update", names, "State=RESUME")

    def clear(self) -> None:
        """Cancel the jobs that a test has left: one that hangs would block others."""
        if self.run("squeue", "-h"):
            self.run("scancel", "--user", str(os.getuid()))
            self.drained()

    def drained(self) -> None:
        """Wait until no job is left, not even one that is being cleaned up after."""
        deadline = time.monotonic() + PATIENCE
        while self.run("squeue", "-h") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.run("squeue", "-h") == ""


@frozen
class Job:
    """A job that was submitted."""

    cluster: Cluster
    number: str
    pointer: Path
    run: Run

    @property
    def log(self) -> Path:
        return self.run.path / f"slurm-{self.number}.log"

    def ended(self) -> dict[str, str]:
        """Return the job's record once it has ended."""
        return self.cluster.wait(self.number)

    def completed(self) -> dict[str, str]:
        """Return the job's record once it has come to a good end."""
        job = self.ended()
        assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), self.said()
        return job

    def said(self) -> str:
        """Return what the job wrote."""
        return "\n".join(path.read_text() for path in (self.pointer, self.log) if path.exists())

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until the log says something so many times."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.log.exists() and self.log.read_text().count(words) >= times:
                return
            time.sleep(0.05)
        raise AssertionError(f"{words!r} did not come: {self.said()}")


@frozen
class Repository:
    """A folder with data and specs; jobs see `variables` besides the usual ones."""

    folder: Path
    cluster: Cluster
    bin: Path
    warm: Warm
    variables: dict[str, str] = field(factory=dict)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def build(self, name: str, slurm: Mapping[str, Any] = JOB, **changes: Any) -> Path:
        """Compile the spec with tables changed, under the run name `name`; returns its folder."""
        return build_job(self.folder, name, slurm, **changes)

    def stand_in(self, name: str, text: str) -> None:
        """Put a program of the test's in front of the machine's."""
        stand_in(self.bin, name, text)

    def environment(self, unset: str = "", **variables: str) -> dict[str, str]:
        """Return the environment that a job is submitted from."""
        places = {
            "SLURM_CONF": self.cluster.variables()["SLURM_CONF"],
            "ANALYSIS_ML_LOGS_DIR": str(self.logs),
            "ANALYSIS_ML_RESULTS_DIR": str(self.folder / "results"),
            # Scripts are run by the warm interpreter, unless a test has Python itself run them.
            "PATH": f"{self.bin}:{self.warm.launcher}:{COLD}",
        }
        give_store(self.logs)
        found = isolated() | places | self.warm.variables() | self.variables | variables
        return {name: value for name, value in found.items() if name != unset}

    def submit(
        self,
        file: Path,
        *options: str,
        words: tuple[str, ...] = (),
        place: Path | None = None,
        unset: str = "",
        **variables: str,
    ) -> Job:
        """Submit a batch file, from the top of the repository unless another place is given.

        `words` are the file's own.
        """
        place = place or self.folder
        command = [
            shutil.which("sbatch") or "",
            "--parsable",
            *options,
            os.path.relpath(file, place),
            *words,
        ]
        variables = self.environment(unset, **variables)
        ended = subprocess.run(command, env=variables, cwd=place, capture_output=True, text=True)
        assert ended.returncode == 0, ended
        number = ended.stdout.strip()
        run = Run(self.logs / EXPERIMENT / file.parent.name)
        return Job(self.cluster, number, place / f"slurm-{number}.out", run)


def build_job(place: Path, name: str, slurm: Mapping[str, Any] = JOB, **changes: Any) -> Path:
    """Compile a spec with a batch file, and write its data, in a repository at `place`."""
    data = place / "data"
    data.mkdir(parents=True, exist_ok=True)
    events(400).to_parquet(data / "toy.parquet")
    named = {"run_name": name, "log_every_n_steps": 1}
    tables = merged(SPEC, {"experiment_config": named, "slurm_config": dict(slurm)})
    for sample in tables["dataset_config"]["samples"]:
        sample["files"] = ["../data/toy.parquet"]
    return build(place / "specs" / f"{name}.toml", merged(tables, changes))


def stand_in(folder: Path, name: str, text: str) -> None:
    """Write a program of the test's."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/bash\n{text}\n")
    program.chmod(0o755)


def tool(name: str) -> str:
    """Return a program's path, or skip the test."""
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return path


def command(
    repository: Repository, *arguments: str, status: int = 0, unset: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run seesawc at the top of the repository."""
    variables = repository.environment(unset) | {"PYTHONPATH": str(PACKAGE)}
    ended = subprocess.run(
        [*SEESAWC, *arguments], cwd=repository.folder, env=variables, capture_output=True, text=True
    )
    assert ended.returncode == status, ended
    assert "Traceback" not in ended.stderr, ended
    return ended


def recorded(job: Job) -> list[str]:
    """Return the jobs that seesawc has recorded for a run."""
    lines = (job.run.path / "jobs.jsonl").read_text().splitlines()
    return [json.loads(line)["job"] for line in lines]


def missing() -> bool:
    """Whether SLURM is not installed."""
    path = os.environ["PATH"] + ":/usr/sbin"
    return any(shutil.which(name, path=path) is None for name in ("slurmctld", "sbatch", "munged"))
