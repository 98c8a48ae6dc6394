"""A compiled spec -> a job: what is checked before it is submitted, and which runs it is for."""

import os
import re
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.jobs import arrays, progress, slurm
from seesawc.jobs.closings import Waiting
from seesawc.jobs.listing import Row
from seesawc.pipeline import Compiled
from seesawc.writing import batch
from seesawc.writing.batch import BATCH, CHAIN, CLOSING
from seesawc.writing.runs import PlannedRun

ARRAY = re.compile(r"^#SBATCH --array=(\S+)$", re.MULTILINE)
# With --failed these are left out: nothing went wrong with them.
NOT_FAILED = ("not started", "submitted", "running", "done")


@frozen
class Part:
    """Runs that one job is submitted for, and the members of an array that they are."""

    runs: tuple[PlannedRun, ...]
    array: slurm.Array | None

    def number(self, job: str, run: PlannedRun) -> str:
        """Return the number of a run's own job."""
        return job if self.array is None else f"{job}_{run.index - self.array.begin}"


@frozen
class Submission:
    """A batch file, or a chain of them, that lies in a repository, and what it was made from."""

    spec: Path
    batch: Path
    compiled: Compiled

    @property
    def file(self) -> Path:
        """The batch file's whole path, without the steps up that lead there from here."""
        return Path(os.path.normpath(self.batch.absolute()))

    @property
    def top(self) -> Path:
        """The folder above `generated/`, from where batch files are submitted."""
        return self.file.parents[2]

    @property
    def array(self) -> str | None:
        """The members of the array job, as the batch file has them; None for a single run."""
        match = ARRAY.search(self.compiled.files[self.batch.name])
        return match[1] if match else None

    @property
    def is_chain(self) -> bool:
        """Whether this is a shell script that submits jobs one after another."""
        return self.batch.name == CHAIN

    @property
    def closing(self) -> Path | None:
        """The batch file of what combines folds, if this is a cross-validation."""
        closes = CLOSING in self.compiled.files
        return self.file.with_name(CLOSING) if closes else None

    def closes(self, waiting: Waiting | None) -> bool:
        """Whether folds are combined after runs, of which others may still be to come."""
        return self.closing is not None and waiting is not None and not waiting.lacking

    def members(self, chosen: Sequence[PlannedRun]) -> str | None:
        """Return what `--array` is given for these runs; None where sbatch takes no such option."""
        if self.array is None:
            return None
        return arrays.compress([run.index for run in chosen], arrays.split_limit(self.array)[1])

    def parts(self, chosen: Sequence[PlannedRun]) -> tuple[Part, ...]:
        """Divide runs among as many jobs as the cluster needs for them: one, but for long arrays.

        Raises `CompileError` if they could not keep to `max_parallel`.
        """
        if self.array is None:
            return (Part(tuple(chosen), None),)
        limit = arrays.split_limit(self.array)[1]
        size = slurm.array_size(max(run.index for run in chosen))
        slices = arrays.sliced((run.index for run in chosen), size)
        if limit is not None and limit < len(slices):
            message = f"{len(slices)} arrays are needed, since MaxArraySize of this cluster is"
            message += f" {size}, and max_parallel = {limit} cannot be shared by them"
            hint = f"--array with part of the runs, or max_parallel of {len(slices)} or more"
            raise CompileError(Diagnostic(message, hint=hint))
        counts = [len(each.indices) for each in slices]
        shares = arrays.shares(limit, counts) if limit else [None] * len(slices)
        runs = {run.index: run for run in chosen}
        return tuple(
            Part(
                tuple(runs[each.begin + index] for index in each.indices),
                slurm.Array(arrays.compress(each.indices, share), each.begin),
            )
            for each, share in zip(slices, shares, strict=True)
        )

    def commands(
        self, chosen: Sequence[PlannedRun], waiting: Waiting | None = None
    ) -> list[list[str]]:
        """Return the commands that submit these runs, from the top of the repository.

        Folds are combined after them and what they are `waiting` for; None: not at all.
        """
        file = str(self.file.relative_to(self.top))
        if self.is_chain:
            return [["bash", file]]
        if self.closing is None or not self.closes(waiting):
            return [slurm.sbatch(file, part.array) for part in self.parts(chosen)]
        if not chosen:
            return [slurm.sbatch(str(self.closing.relative_to(self.top)), None)]
        parts = self.parts(chosen)
        if len(parts) > 1 or (waiting and waiting.jobs):
            # It takes the numbers of several jobs to say what comes after them.
            return [["seesawc", "rerun", "--submit", os.path.relpath(self.spec, self.top)]]
        chain = str(self.file.with_name(CHAIN).relative_to(self.top))
        members = self.members(chosen)
        return [["bash", chain, *([] if members == self.array else [f"--array={members}"])]]


def locate(spec: Path, folder: Path, compiled: Compiled) -> Submission:
    """Return what is to be submitted; raises `CompileError` for a spec without a batch file."""
    name = CHAIN if compiled.experiment.task == "fakes" else BATCH
    if name not in compiled.files:
        hint = 'a table [slurm_config], with at least time = "HH:MM:SS"'
        raise CompileError(Diagnostic(f"{spec} asks for no batch job", hint=hint))
    return Submission(spec, folder / name, compiled)


def check(submission: Submission) -> None:
    """Raise `CompileError` with all that the environment lacks, before a job waits in vain."""
    faults = []
    # The batch file looks too, but hours later.
    compiled = submission.compiled
    needed = batch.variables(compiled.experiment, compiled.points)
    if unset := [name for name in needed if not os.environ.get(name)]:
        faults.append(progress.unset_variables(unset))
    try:
        slurm.need("sbatch")
    except CompileError as error:
        faults += error.diagnostics
    if faults:
        raise CompileError(*faults)


def choose(submission: Submission, members: str | None) -> tuple[PlannedRun, ...]:
    """Return the runs that a list names, or all; raises `CompileError` for what is no run."""
    planned = submission.compiled.runs
    if members is None:
        return planned
    if submission.array is None:
        what = "stages, and" if submission.is_chain else "one run, and"
        raise CompileError(Diagnostic(f"{submission.spec} has {what} no array of them"))
    known = {run.index: run for run in planned}
    hint = f"some of {arrays.compress(known)}, such as 0,3-5 or 0-8:2"
    try:
        wanted = arrays.expand(members)
    except ValueError as error:
        raise CompileError(Diagnostic(f"--array: {error}", hint=hint)) from None
    if unknown := [index for index in wanted if index not in known]:
        message = f"--array: {submission.spec} has no run {arrays.compress(unknown)}"
        raise CompileError(Diagnostic(message, hint=hint))
    return tuple(known[index] for index in wanted)


def estimate(submission: Submission, chosen: Sequence[PlannedRun]) -> str:
    """Return when SLURM could start the job; raises `CompileError` if it would refuse it."""
    if submission.is_chain:
        batches = sorted(n for n in submission.compiled.files if n.endswith(".sbatch"))
        files = [submission.file.with_name(name) for name in batches]
        return "; ".join(slurm.estimate(file, Path.cwd(), os.environ) for file in files)
    parts = submission.parts(chosen)
    said = [slurm.estimate(submission.file, Path.cwd(), os.environ, part.array) for part in parts]
    if submission.closing is not None:
        # When it could start depends on the others.
        slurm.estimate(submission.closing, Path.cwd(), os.environ)
    if len(parts) > 1:
        said.insert(0, f"{len(parts)} arrays, since this cluster takes none as long")
    return "; ".join(said)


def missing(rows: Sequence[Row], *, failed: bool) -> tuple[tuple[PlannedRun, ...], int, str]:
    """Return the runs that no job is doing or has done, or those of them that ended badly.

    Besides, how many were left out since SLURM still has a job for them, and a warning if it
    cannot be asked.
    """
    unfinished = [row for row in rows if row.progress.state not in ("done", "running")]
    if failed:
        unfinished = [row for row in unfinished if row.progress.state not in NOT_FAILED]
    try:
        queue: Collection[str] = slurm.queued(j for row in unfinished for j in row.progress.jobs)
        warning = ""
    except CompileError as error:
        queue, warning = (), f"{error}; jobs that still wait may be among these"
    left = tuple(row.run for row in unfinished if not set(row.progress.jobs) & set(queue))
    return left, len(unfinished) - len(left), warning


def check_chain(submission: Submission, rows: Sequence[Row], waiting: int) -> None:
    """Raise `CompileError` for a chain of which a part is still to come: it would run twice."""
    running = sum(row.progress.state == "running" for row in rows)
    if submission.is_chain and (running or waiting):
        message = f"{running} of its stages are running and {waiting} are waiting"
        hint = "wait, or scancel them; what is done is not done again"
        raise CompileError(Diagnostic(message, hint=hint))


def uncommitted(submission: Submission) -> tuple[str, ...]:
    """Return which files of the spec are not as git's last commit has them; none without git."""
    files = [submission.spec.absolute()]
    files += [submission.file.parent / name for name in submission.compiled.files]
    command = ["git", "-C", str(submission.top), "status", "--porcelain", "--ignored", "-z", "--"]
    try:
        # Not quoted, whatever the names; a folder that is new as a whole is named as such.
        said = subprocess.run(  # noqa: S603 (git is on the user's own PATH)
            [*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    return tuple(line[3:] for line in said.stdout.split("\0") if line[2:3] == " ")
