"""Runs that are missing -> the commands that train them on this machine, without SLURM."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from seesawc.jobs.closings import Waiting
from seesawc.jobs.listing import Row
from seesawc.pipeline import Compiled
from seesawc.writing.batch import BATCH, CHAIN
from seesawc.writing.runs import PlannedRun
from seesawc.writing.scripts import COMBINE, SCRIPT


def is_local(compiled: Compiled) -> bool:
    """Whether a spec's runs go on here: it asks for no job, or nobody would take one."""
    has_batch = not {BATCH, CHAIN}.isdisjoint(compiled.files)
    return not has_batch or shutil.which("sbatch") is None


def commands(
    spec: Path,
    folder: Path,
    compiled: Compiled,
    rows: Sequence[Row],
    missing: Sequence[PlannedRun],
    waiting: Waiting | None = None,
) -> list[list[str]]:
    """Return what to type for the `missing` ones of `rows`, in the folder where one is.

    Folds are combined after them if that waits for nothing else; None: not at all.
    """
    trainings = _trainings(spec, folder, compiled, rows, missing)
    combines = waiting is not None and not waiting.lacking
    return [*trainings, ["python", str(folder / COMBINE)]] if combines else trainings


def nobody(jobs: Iterable[str]) -> frozenset[str]:
    """Return which jobs wait where there is no SLURM: none."""
    return frozenset()


def _trainings(
    spec: Path, folder: Path, compiled: Compiled, rows: Sequence[Row], missing: Sequence[PlannedRun]
) -> list[list[str]]:
    if compiled.experiment.task == "fakes":
        return [["train_fakes", str(spec)]]
    script = ["python", str(folder / SCRIPT)]
    if not compiled.experiment.has_points:
        return [script]
    undone = [row for row in rows if row.progress.state != "done"]
    if len(undone) > 1 and len(missing) == len(undone):
        return [[*script, "--all"]]
    return [[*script, "--point", str(run.index)] for run in missing]
