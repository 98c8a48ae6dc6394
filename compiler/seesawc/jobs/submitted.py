"""A submission and chosen runs of it -> jobs of SLURM, all or none, and their record."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.jobs import closings, slurm
from seesawc.jobs.closings import Waiting
from seesawc.jobs.listing import experiment_folder
from seesawc.jobs.submission import Part, Submission
from seesawc.tables.values import PLACE
from seesawc.writing import batch
from seesawc.writing.runs import PlannedRun


@frozen
class Submitted:
    """Jobs that sbatch has taken: their numbers, where logs will be, and what went amiss."""

    jobs: tuple[str, ...]
    log: Path
    warnings: tuple[str, ...]


def submit(
    submission: Submission, chosen: Sequence[PlannedRun], waiting: Waiting | None = None
) -> Submitted:
    """Submit the runs, all or none, and record that in their folders.

    Folds are combined after them and what they are `waiting` for; None: not at all.
    """
    folder, _ = experiment_folder(submission.spec, submission.compiled)
    if submission.is_chain:
        return _submit_chain(submission, folder)
    parts = submission.parts(chosen) if chosen else ()
    jobs, warnings = _submit_all(submission, parts, waiting)
    places = [
        (folder / run.name, part.number(job, run), submission.file)
        for part, job in zip(parts, jobs, strict=False)
        for run in part.runs
    ]
    if submission.closing is not None and submission.closes(waiting):
        place = closings.record(submission.spec, submission.compiled)
        places.append((place, jobs[-1], submission.closing))
        jobs[-1] += " (combine)"
    for place, number, file in places:
        try:
            _record(place, number, file)
        except OSError as error:
            # The job is there all the same.
            warnings.append(f"cannot record job {number} in {place}: {error.strerror}")
    place = places[0][0] if len(places) == 1 else folder / "*"
    # Members of an array job get numbers of their own once they start.
    known = len(places) == 1 and (submission.array is None or not chosen)
    log = place / f"slurm-{places[0][1] if known else '*'}.log"
    return Submitted(tuple(jobs), log, tuple(warnings))


def _submit_all(
    submission: Submission, parts: Sequence[Part], waiting: Waiting | None
) -> tuple[list[str], list[str]]:
    """Submit one job for each part, and then the one that combines folds, if it is to come.

    Returns their numbers, and what sbatch warns of.
    """
    jobs, warnings, variables = list[str](), list[str](), _variables(submission)
    steps = [(submission.file, part.array) for part in parts]
    if submission.closing is not None and submission.closes(waiting):
        steps.append((submission.closing, None))
    for file, array in steps:
        after = (*jobs, *(waiting.jobs if waiting else ())) if file == submission.closing else ()
        try:
            job, words = slurm.submit(file, submission.top, variables, array, after)
        except CompileError as error:
            if not jobs:
                raise
            # Half of it would be there that the message denies.
            left = slurm.cancel(jobs)
            faults = [*error.diagnostics, *([Diagnostic(left)] if left else [])]
            raise CompileError(*faults) from error
        jobs.append(job)
        warnings += [f"sbatch: {line}" for line in words]
    return jobs, warnings


def _submit_chain(submission: Submission, folder: Path) -> Submitted:
    """Submit stages that wait for each other, and record each in its run's folder."""
    jobs, words = slurm.submit_chain(submission.file, submission.top, _variables(submission))
    warnings = [f"sbatch: {line}" for line in words]
    for run in submission.compiled.runs:
        job = jobs[str(run.values["stage"])]
        try:
            _record(folder / run.name, job, submission.file)
        except OSError as error:
            warnings.append(f"cannot record job {job} in {folder / run.name}: {error.strerror}")
    name = submission.compiled.experiment.experiment_config.run_name
    numbers = tuple(f"{job} ({stage})" for stage, job in jobs.items())
    return Submitted(numbers, folder / f"{name}-*" / "slurm-*.log", tuple(warnings))


def _variables(submission: Submission) -> dict[str, str]:
    """Return the environment, with variables that start a place made absolute.

    What a relative one means is seen from here, but the job starts at the top of the repository.
    """
    found = dict(os.environ)
    compiled = submission.compiled
    for place in batch.places(compiled.experiment, compiled.points):
        if (match := PLACE.match(place)) and found.get(match[1]):
            found[match[1]] = str(Path(found[match[1]]).absolute())
    return found


def _record(folder: Path, job: str, batch: Path) -> None:
    """Append a job to a run's `jobs.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    submitted = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"job": job, "submitted": submitted, "batch": str(batch)})
    with (folder / "jobs.jsonl").open("a", encoding="ascii") as file:
        file.write(f"{line}\n")
