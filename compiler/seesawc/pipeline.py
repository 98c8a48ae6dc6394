"""The stages in order: the text of a spec in, the generated files out."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from seesawc import (
    choices,
    experiment,
    outputs,
    plan,
    render,
    resolved,
    rules,
    spec,
    stages,
    sweep,
)
from seesawc import source as sources
from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.experiment import Experiment
from seesawc.scripts import BATCH, SCRIPT, PlannedRun, Scripts, templates
from seesawc.source import Source
from seesawc.spec import Spec
from seesawc.stages import Stage
from seesawc.sweep import Point
from seesawc.tables.values import NAME, WrongValue
from seesawc.tables.values import check_name as check_experiment_name

TIMESTAMP = re.compile(r"\d{8}T\d{6}Z")


@frozen
class Compiled:
    """What a spec compiles to: the folder's files by name, and the runs that they make."""

    experiment: Experiment
    files: Mapping[str, str]
    runs: tuple[PlannedRun, ...]
    # What each run trains, of a sweep or of fakes.
    points: tuple[Experiment, ...] = ()


@frozen
class Checked:
    """A spec without mistakes, and the points of its sweep or its stages, with what each trains."""

    source: Source
    experiment: Experiment
    points: tuple[tuple[Point, Experiment], ...]
    stages: tuple[tuple[Stage, Experiment], ...]


def check(path: Path) -> tuple[Source, Experiment]:
    """Read a spec and apply every rule; raises `CompileError` with all faults."""
    checked = check_all(path)
    return checked.source, checked.experiment


def check_all(path: Path) -> Checked:
    """Do the same, and for every point of its sweep, and for every stage of fakes."""
    check_name(path)
    source = sources.read(path)
    timestamp = _timestamp()
    if source.data.get("task") == "fakes":
        # What a stage has otherwise may be what is right or wrong about it.
        trained = _stages(source, timestamp)
        return Checked(source, experiment.resolve(spec.read(source), timestamp), (), trained)
    written, found, faults = _understood(source, timestamp)
    if faults:
        raise CompileError(*faults)
    return Checked(source, found, _points(source, written, timestamp), ())


def _understood(
    source: Source, timestamp: str, stage: str | None = None
) -> tuple[Spec, Experiment, tuple[Diagnostic, ...]]:
    written = spec.read(source)
    found = experiment.resolve(written, timestamp, stage)
    return written, found, rules.check(source, written, found)


def _stages(source: Source, timestamp: str) -> tuple[tuple[Stage, Experiment], ...]:
    """Check every stage of fakes as a spec of its own; what all get wrong is said once."""
    found, faults = [], dict[Diagnostic, None]()
    for stage in stages.stages(source):
        try:
            _, trained, wrong = _understood(stage.source, timestamp, stage.name)
        except CompileError as error:
            wrong = error.diagnostics
        faults |= dict.fromkeys(wrong)
        if not wrong:
            found.append((stage, trained))
    if faults:
        raise CompileError(*faults)
    return tuple(found)


def _points(source: Source, written: Spec, timestamp: str) -> tuple[tuple[Point, Experiment], ...]:
    """Check every point of a sweep as the plain spec that it is."""
    if written.sweep_config is None:
        return ()
    found, faulty = [], []
    for point in sweep.points(source, written.sweep_config):
        alone = sweep.as_spec(source, point)
        try:
            _, trained, faults = _understood(alone, timestamp)
            if faults:
                # Only now are places asked for.
                faults = _understood(choices.placed(source, alone, point.choices), timestamp)[2]
        except CompileError:
            faults = _refusal(choices.placed(source, alone, point.choices))
        if faults:
            faulty.append((point, faults))
            if len(faulty) == sweep.MOST_FAULTY:
                break
        else:
            found.append((point, trained))
    if faulty:
        raise sweep.faults(faulty)
    sweep.check_distinct(source, ((p, tuple(resolved.numbers(trained))) for p, trained in found))
    return tuple(found)


def _refusal(source: Source) -> tuple[Diagnostic, ...]:
    try:
        spec.read(source)
    except CompileError as error:
        return error.diagnostics
    raise AssertionError("a spec that could not be read can be read")


def check_name(path: Path) -> None:
    """Raise `CompileError` if a spec's file name cannot name a folder."""
    if NAME.fullmatch(path.stem) is None or path.stem.endswith(".") or path.suffix != ".toml":
        hint = "<name>.toml, of letters, digits and _ . + -"
        raise CompileError(Diagnostic(f"{path} cannot be the name of a spec", hint=hint))


def starting_spec(name: str, task: str) -> str:
    """Return a commented spec of a task; raises `CompileError` for a name of no experiment."""
    try:
        check_experiment_name(name)
    except WrongValue as wrong:
        raise CompileError(Diagnostic(wrong.message, hint=wrong.hint)) from None
    template = "spec.toml.jinja" if task == "signal" else "fakes_spec.toml.jinja"
    return render.render(templates(), template, {"name": name})


def compile_spec(path: Path, folder: Path, *, new_run: bool = False) -> Compiled:
    """Compile a spec for `folder`, whose record says the run name to keep; writes nothing."""
    checked = check_all(path)
    source, found = checked.source, checked.experiment
    if new_run and "run_name" in _written(source):
        key = ("experiment_config", "run_name")
        raise CompileError(source.fault(key, "--new-run, but the spec names the run", "change it"))
    last = outputs.read_record(folder)
    scripts = Scripts(path, folder)
    numbers = scripts.numbers([trained for _, trained in checked.stages] or [found])
    if last.get("numbers") == numbers and not new_run:
        kept = str(last.get("timestamp"))
        kept = kept if TIMESTAMP.fullmatch(kept) else found.timestamp
        found = experiment.resolve(spec.read(source), kept)
    compiled = _fakes(scripts, found, checked) if checked.stages else None
    files, runs, points, rows = compiled or _signal(scripts, found, checked)
    build = {
        "run_name": found.experiment_config.run_name,
        "timestamp": found.timestamp,
        "numbers": numbers,
        "spec": outputs.digest(source.text),
        "files": {name: outputs.digest(text) for name, text in files.items()},
    }
    title = "stages" if checked.stages else "points"
    files[outputs.RECORD] = resolved.render(source, found, build, rows, title)
    return Compiled(found, files, runs, points)


Parts = tuple[
    dict[str, str], tuple[PlannedRun, ...], tuple[Experiment, ...], tuple[Mapping[str, Any], ...]
]


def _signal(scripts: Scripts, found: Experiment, checked: Checked) -> Parts:
    """Return the files, runs, points and record of one training, or of a sweep."""
    name = found.experiment_config.run_name
    runs = tuple(
        PlannedRun(point.index, f"{name}-{point.identity}", point.identity, point.values)
        for point, _ in checked.points
    )
    points = tuple(
        _named(trained, run.name) for (_, trained), run in zip(checked.points, runs, strict=True)
    )
    rows: tuple[Mapping[str, Any], ...] = ()
    if runs:
        summaries = [point.summary for point, _ in checked.points]
        files, rows = scripts.sweep(found, runs, points, summaries)
    else:
        files = {SCRIPT: scripts.script(found)}
        runs = (PlannedRun(0, name, "", {}),)
    if found.slurm_config is not None:
        files[BATCH] = scripts.batch(found, points, runs, files[SCRIPT])
    return files, runs, points, rows


def _fakes(scripts: Scripts, found: Experiment, checked: Checked) -> Parts:
    """Return the files, runs, stages and record of fakes."""
    name = found.experiment_config.run_name
    runs = tuple(
        PlannedRun(index, f"{name}-{stage.name}", "", {"stage": stage.name})
        for index, (stage, _) in enumerate(checked.stages)
    )
    trained = tuple(
        _named(each, run.name) for (_, each), run in zip(checked.stages, runs, strict=True)
    )
    files, rows = scripts.fakes(found, trained)
    return files, runs, trained, rows


def places(compiled: Compiled) -> tuple[str, ...]:
    """Return the places that a spec and the points of its sweep name."""
    return plan.places(compiled.experiment, compiled.points)


def variables(compiled: Compiled) -> tuple[str, ...]:
    """Return the variables of the environment that the batch file checks."""
    return plan.variables(compiled.experiment, compiled.points)


def _named(trained: Experiment, name: str) -> Experiment:
    """Return a point's experiment under its own run name."""
    return evolve(trained, experiment_config=evolve(trained.experiment_config, run_name=name))


def output_folder(path: Path, out: Path | None = None) -> Path:
    """Return the folder that a spec is compiled to: `generated/<stem>` beside `specs/`."""
    home = path.absolute().parent
    base = home.parent if home.name == "specs" else home
    folder = (out or base / "generated") / path.stem
    short = Path(os.path.relpath(folder))
    # From inside the folder that is "." or "..", which have no name and no parent.
    return short if short.name == folder.name else folder


def _written(source: Source) -> Mapping[str, object]:
    table = source.data.get("experiment_config", {})
    return table if isinstance(table, dict) else {}


def _timestamp() -> str:
    try:
        seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError) as error:
        message = "SOURCE_DATE_EPOCH, a variable of the environment, is not a time"
        raise CompileError(Diagnostic(message, hint="seconds since 1970")) from error
