"""A cross-validation -> what combines its folds: how far that is, and what its job waits for."""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from seesawc.diagnostics import CompileError
from seesawc.jobs import arrays, progress
from seesawc.jobs.listing import Row, experiment_folder
from seesawc.jobs.progress import Progress
from seesawc.pipeline import Compiled
from seesawc.writing.combinations import combined_name
from seesawc.writing.runs import PlannedCombination, PlannedRun

# Jobs -> those of them that SLURM has not ended yet.
Ask = Callable[[Iterable[str]], Collection[str]]


@frozen
class Combined:
    """What the folds of a training are combined to, and how far that is."""

    planned: PlannedCombination
    path: Path
    progress: Progress


@frozen
class Waiting:
    """What a combination of folds waits for, besides the runs that are begun with it."""

    # Of other runs, in SLURM's queue.
    jobs: tuple[str, ...] = ()
    # Runs that no job is doing or has done: without them there is nothing to combine.
    lacking: tuple[PlannedRun, ...] = ()

    @property
    def note(self) -> str:
        """What is to be said where runs are lacking; nothing where none is."""
        if not self.lacking:
            return ""
        runs = arrays.compress(run.index for run in self.lacking)
        return f"folds are not combined after them: runs {runs} are neither done nor in the queue"


def combined(spec: Path, compiled: Compiled) -> list[Combined]:
    """Return how far the combinations of a spec are; none but of a cross-validation."""
    folder, _ = experiment_folder(spec, compiled)
    place = record(spec, compiled)
    return [
        Combined(
            each,
            folder / each.name,
            progress.read_combined(folder / each.name, [run.name for run in each.runs], place),
        )
        for each in compiled.combined
    ]


def record(spec: Path, compiled: Compiled) -> Path:
    """Return the folder where the job that combines folds has its log, and is recorded."""
    folder, _ = experiment_folder(spec, compiled)
    return folder / combined_name(compiled.experiment.experiment_config.run_name)


def waiting(rows: Sequence[Row], begun: Collection[PlannedRun], ask: Ask) -> Waiting:
    """Return what is to be waited for where some of all runs are begun."""
    indices = {run.index for run in begun}
    left = [row for row in rows if row.run.index not in indices and row.progress.state != "done"]
    queue = ask(job for row in left for job in row.progress.jobs)
    jobs = [[job for job in row.progress.jobs if job in queue] for row in left]
    return Waiting(
        tuple(dict.fromkeys(job for each in jobs for job in each)),
        tuple(row.run for row, each in zip(left, jobs, strict=True) if not each),
    )


def due(
    found: Sequence[Combined], rows: Sequence[Row], begun: Collection[PlannedRun], ask: Ask
) -> tuple[Waiting | None, str]:
    """Return what combinations wait for that come after `begun` runs; None where none is to come.

    Besides, a warning where SLURM cannot be asked what it still has.
    """
    try:
        if begun:
            return (waiting(rows, begun, ask) if found else None), ""
        if any(row.progress.state != "done" for row in rows):
            return None, ""
        left = [each for each in found if each.progress.state not in ("done", "running")]
        queue = ask(job for each in left for job in each.progress.jobs)
    except CompileError as error:
        return None, f"{error}; folds may be combined by a job that still waits"
    idle = any(not set(each.progress.jobs) & set(queue) for each in left)
    return (Waiting() if idle else None), ""


def lines(found: Iterable[Combined]) -> list[str]:
    """Return a line for each combination: its state, its swept options, its path."""
    return ["  ".join(filter(None, _cells(each))) for each in found]


def _cells(each: Combined) -> tuple[str, str, str]:
    values = each.planned.values.items()
    shown = ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in values)
    return f"combined: {each.progress.state}", shown, str(each.path)


def records(found: Iterable[Combined]) -> list[dict[str, Any]]:
    """Return the same as plain values, with the runs that are combined."""
    return [
        {
            "name": each.path.name,
            "state": each.progress.state,
            "values": dict(each.planned.values),
            "jobs": list(each.progress.jobs),
            "path": str(each.path),
            "combines": [run.name for run in each.planned.runs],
        }
        for each in found
    ]
