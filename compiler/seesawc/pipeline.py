"""The rooms in order: the text of a spec -> Checked -> Compiled, its generated files."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.reading import source
from seesawc.rules import trainings
from seesawc.rules.trainings import Checked
from seesawc.tables.resolution import Experiment, resolve
from seesawc.writing import files, outputs, resolved, timestamps
from seesawc.writing.runs import PlannedCombination, PlannedRun
from seesawc.writing.scripts import Scripts


@frozen
class Compiled:
    """What a spec compiles to: the folder's files by name, and the runs that they make."""

    experiment: Experiment
    files: Mapping[str, str]
    runs: tuple[PlannedRun, ...]
    # What each run trains, of a sweep or of fakes.
    points: tuple[Experiment, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    # What the folds of a cross-validation are combined to.
    combined: tuple[PlannedCombination, ...] = ()


def check(path: Path, text: str | None = None) -> Checked:
    """Apply every rule to a spec, or a text in its place; raises `CompileError` with all faults."""
    source.check_name(path)
    found = source.read(path) if text is None else source.parse(text, str(path))
    return trainings.check(found, _now())


def compile_spec(path: Path, folder: Path, *, new_run: bool = False) -> Compiled:
    """Compile a spec for `folder`, whose record says the run names to keep; writes nothing."""
    checked = check(path)
    if new_run and checked.spec.experiment_config.run_name is not None:
        key = ("experiment_config", "run_name")
        message = "--new-run, but the spec names the run"
        raise CompileError(checked.source.fault(key, message, "change it"))
    scripts = Scripts(path, folder)
    numbers = scripts.numbers(checked.stages or (checked.experiment,))
    last = {} if new_run else outputs.read_record(folder)
    times = timestamps.kept(last, numbers, checked.experiment.timestamp)
    named = {training: resolve(checked.spec, when) for training, when in times.items()}
    # The ratio, which is the last of the three, is renewed with any of them.
    *_, found = named.values()
    if checked.stages:
        bases = [each.experiment_config.run_name for each in named.values()]
        made = files.fakes(scripts, found, checked.stages, bases)
    else:
        made = files.signal(scripts, found, checked.points)
    build = {
        "run_name": found.experiment_config.run_name,
        "timestamp": times,
        "numbers": numbers,
        "spec": outputs.digest(checked.source.text),
        "spec_folder": scripts.spec_folder,
        "files": outputs.recorded(made.files),
    }
    record = resolved.render(checked.source, found, build, made.rows)
    texts = {**made.files, outputs.RECORD: record}
    return Compiled(found, texts, made.runs, made.trained, checked.warnings, made.combined)


def output_folder(path: Path, out: Path | None = None) -> Path:
    """Return the folder that a spec is compiled to: `generated/<stem>` beside `specs/`."""
    home = path.absolute().parent
    base = home.parent if home.name == "specs" else home
    folder = (out or base / "generated") / path.stem
    short = Path(os.path.relpath(folder))
    # From inside the folder that is "." or "..", which have no name and no parent.
    return short if short.name == folder.name else folder


def _now() -> str:
    try:
        seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError) as error:
        message = "SOURCE_DATE_EPOCH, a variable of the environment, is not a time"
        raise CompileError(Diagnostic(message, hint="seconds since 1970")) from error
