"""Experiments -> all files of a spec but its record, and the runs that they make."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from seesawc.reading.sweep import Point
from seesawc.tables.resolution import Experiment
from seesawc.writing import batch, parts
from seesawc.writing.combinations import Combination, combinations
from seesawc.writing.runs import PlannedCombination, PlannedRun, named
from seesawc.writing.scripts import APPLY, COMBINE, SCRIPT, Script, Scripts, stage_script


@frozen
class Made:
    """Files by name, and the runs: what each trains, and what the record says of it."""

    files: Mapping[str, str]
    runs: tuple[PlannedRun, ...]
    # None for a plain spec, whose record says it all.
    trained: tuple[Experiment, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    # Of a cross-validation.
    combined: tuple[PlannedCombination, ...] = ()


def signal(
    scripts: Scripts, found: Experiment, checked: Sequence[tuple[Point, Experiment]]
) -> Made:
    """Make the files of one training, or of the points of a sweep."""
    name = found.experiment_config.run_name
    runs = tuple(
        PlannedRun(point.index, f"{name}-{point.identity}", point.identity, point.values)
        for point, _ in checked
    ) or (PlannedRun(0, name, "", {}),)
    points: tuple[Experiment, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    if checked:
        points = tuple(
            named(trained, run.name) for (_, trained), run in zip(checked, runs, strict=True)
        )
        script, rows = scripts.sweep(found, runs, points, [point.summary for point, _ in checked])
    else:
        script = scripts.plain(found)
    made, combined = {SCRIPT: script, APPLY: scripts.applying()}, tuple[Combination, ...]()
    if found.dataset_config.every_fold:
        folded = [point for point, _ in checked]
        combined = tuple(combinations(name, folded, runs, points, rows))
        made[COMBINE] = scripts.combining(combined)
    files = {name: each.text for name, each in made.items()} | parts.files(_needed(made))
    if found.slurm_config is not None:
        files[batch.BATCH] = batch.batch(scripts, found, points, runs, script.digest)
        if combined:
            files[batch.CLOSING] = batch.closing(scripts, found, points, made[COMBINE].digest)
            files[batch.CHAIN] = batch.chain(scripts, folds=True)
    return Made(files, runs, points, rows, tuple(each.planned for each in combined))


def fakes(
    scripts: Scripts, found: Experiment, checked: Sequence[Experiment], bases: Iterable[str]
) -> Made:
    """Make the files of fakes, whose stages add their own names to the `bases` of run names."""
    stages = tuple(
        named(each, f"{base}-{each.stage}") for each, base in zip(checked, bases, strict=True)
    )
    runs = tuple(
        PlannedRun(index, each.experiment_config.run_name, "", {"stage": str(each.stage)})
        for index, each in enumerate(stages)
    )
    made, rows = scripts.stages(found, stages)
    files = {name: script.text for name, script in made.items()} | parts.files(_needed(made))
    for each, run in zip(stages, runs, strict=True):
        if each.slurm_config is not None:
            script, name = stage_script(str(each.stage)), f"submit_{each.stage}.sbatch"
            files[name] = batch.batch(scripts, each, (), (run,), made[script].digest, script, name)
    if found.slurm_config is not None:
        files[batch.CHAIN] = batch.chain(scripts, folds=False)
    return Made(files, runs, stages, rows)


def _needed(scripts: Mapping[str, Script]) -> list[parts.Part]:
    return [part for script in scripts.values() for part in script.parts]
