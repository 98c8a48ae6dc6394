"""SLURM's own commands: sbatch takes a batch file or refuses it, squeue says what is waiting."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.fakes import STAGES

# SLURM's default of MaxArraySize; and the length of arrays that no cluster refuses.
DEFAULT_SIZE, ALWAYS = 1001, 100
# Which cluster is meant, and who asks: these are not a job's.
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")


@frozen
class Answer:
    """What a command said: its output, and its warnings without the command's name."""

    output: str
    words: tuple[str, ...]


@frozen
class Array:
    """Members of one array job, as `--array` takes them, and the run that member 0 is."""

    members: str
    begin: int = 0


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what sbatch may see of the environment.

    SLURM describes a job to itself in SLURM_*. Somebody who submits from inside a job, or from a
    shell on a node, would hand that on: sbatch passes all variables to the new job, where srun
    takes those that SLURM does not set anew, such as SLURM_CPU_BIND or SLURM_MEM_PER_CPU, for the
    new job's own. SBATCH_* and SRUN_* are options, and win over the lines of a batch file: outside
    a job they are what the user wants of this one, inside they were meant for the job around it.
    """
    inside = "SLURM_JOB_ID" in variables
    left_over = re.compile("(SLURM|SBATCH|SRUN)_" if inside else "SLURM_")
    return {n: v for n, v in variables.items() if n in KEPT or not left_over.match(n)}


def array_size(last: int) -> int:
    """Return what the indices of an array are below on this cluster, where `last` is wanted.

    Raises `CompileError` where it takes no arrays.
    """
    if last < ALWAYS:
        return ALWAYS
    try:
        answer = _run(["scontrol", "show", "config"], Path.cwd(), environment(os.environ))
    except CompileError:
        # Arrays that are shorter than they might be do no harm.
        return DEFAULT_SIZE
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)$", answer.output, re.MULTILINE)
    if match and not int(match[1]):
        hint = "train_signal.py --point trains one, in a job of your own"
        raise CompileError(Diagnostic("this cluster takes no arrays: MaxArraySize = 0", hint=hint))
    return int(match[1]) if match else DEFAULT_SIZE


def estimate(
    batch: Path, place: Path, variables: Mapping[str, str], array: Array | None = None
) -> str:
    """Return when sbatch could start the job; raises `CompileError` if it would not take it."""
    answer = _sbatch(batch, place, variables, array, "--test-only")
    return "; ".join((*answer.words, *answer.output.splitlines()))


def submit(
    batch: Path,
    place: Path,
    variables: Mapping[str, str],
    array: Array | None = None,
    after: Sequence[str] = (),
) -> tuple[str, tuple[str, ...]]:
    """Submit a batch file from `place`; returns the job's number, and what sbatch warns of.

    It starts when the jobs `after` which it comes have come to a good end, and never if one fails.
    """
    depends = [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"]
    answer = _sbatch(batch, place, variables, array, "--parsable", *(depends if after else ()))
    # A site's own lines may stand around it; the name of a cluster may follow it.
    match = re.search(r"^(\d+)(?:;.*)?$", answer.output, re.MULTILINE)
    if match is None:
        message = f"sbatch names no job: {'; '.join((*answer.words, answer.output.strip()))}"
        raise CompileError(Diagnostic(message, hint="squeue --me shows whether there is one"))
    return match[1], answer.words


def submit_chain(
    chain: Path, place: Path, variables: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Run a script that submits stages; returns the job of each, and what sbatch warns of."""
    need("sbatch")
    answer = _run(["bash", os.path.relpath(chain, place)], place, environment(variables))
    jobs = dict(re.findall(r"^(\w+) (\d+)$", answer.output, re.MULTILINE))
    if missing := [stage for stage in STAGES if stage not in jobs]:
        message = f"sbatch names no job of {', '.join(missing)}: {answer.output.strip()}"
        raise CompileError(Diagnostic(message, hint="squeue --me shows whether there is one"))
    return jobs, answer.words


def queued(jobs: Iterable[str]) -> frozenset[str]:
    """Return which jobs, or members of array jobs such as 12_3, SLURM has not ended yet."""
    numbers = sorted({job.partition("_")[0] for job in jobs}, key=int)
    if not numbers:
        return frozenset()
    # A user's own choice of columns and jobs would be applied.
    variables = environment(os.environ)
    plain = {n: v for n, v in variables.items() if not n.startswith("SQUEUE_")}
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={','.join(numbers)}"]
    try:
        answer = _run(command, Path.cwd(), plain)
    except CompileError as error:
        # It has forgotten a job that ended a while ago.
        if "Invalid job id" in str(error):
            return frozenset()
        raise
    return frozenset(answer.output.split())


def cancel(jobs: Sequence[str]) -> str:
    """Cancel jobs; returns what is to be said if that cannot be done."""
    try:
        _run(["scancel", *jobs], Path.cwd(), environment(os.environ))
    except CompileError as error:
        return f"scancel {' '.join(jobs)}: {error}"
    return ""


def need(program: str) -> None:
    """Raise `CompileError` if a command of SLURM's is not there."""
    if shutil.which(program) is None:
        message = f"{program} is not there: this machine has no SLURM"
        raise CompileError(Diagnostic(message, hint="a login node of the cluster has it"))


def _sbatch(
    batch: Path, place: Path, variables: Mapping[str, str], array: Array | None, *options: str
) -> Answer:
    words = sbatch(os.path.relpath(batch, place), array)
    return _run([words[0], *options, *words[1:]], place, environment(variables))


def sbatch(file: str, array: Array | None) -> list[str]:
    """Return the command that submits a batch file, or some members of its array."""
    if array is None:
        return ["sbatch", file]
    begin = [str(array.begin)] if array.begin else []
    return ["sbatch", f"--array={array.members}", file, *begin]


def _run(command: Sequence[str], place: Path, variables: Mapping[str, str]) -> Answer:
    """Run a command; raises `CompileError` with its own words if it refuses."""
    need(command[0])
    ended = subprocess.run(  # noqa: S603 (SLURM's commands are on the user's own PATH)
        command, cwd=place, env=variables, capture_output=True, encoding="utf-8", errors="replace"
    )
    prefix = rf"(?:{command[0]}: )?(?:error: |fatal: )?"
    said = (re.sub(prefix, "", line, count=1) for line in ended.stderr.splitlines())
    words = tuple(line for line in said if line.strip())
    if ended.returncode:
        raise CompileError(Diagnostic(f"{command[0]} refuses: {'; '.join(words)}"))
    return Answer(ended.stdout, words)
