"""The source of a spec -> Checked: what is trained, without mistakes; or all mistakes at once."""

from attrs import frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.reading import choices, mending, spec, stages, sweep
from seesawc.reading.source import Source
from seesawc.reading.sweep import Point
from seesawc.rules import checks
from seesawc.rules.warnings import warnings
from seesawc.tables import resolution
from seesawc.tables.resolution import Experiment
from seesawc.tables.spec import Spec


@frozen
class Checked:
    """A spec without mistakes, and what each point of its sweep or each stage of fakes trains."""

    source: Source
    spec: Spec
    experiment: Experiment
    points: tuple[tuple[Point, Experiment], ...]
    stages: tuple[Experiment, ...]
    warnings: tuple[Diagnostic, ...]


def check(source: Source, timestamp: str) -> Checked:
    """Apply every rule, also to points and stages; raises `CompileError` with all faults."""
    if source.data.get("task") == "fakes":
        # What a stage has otherwise may be what is right or wrong about it.
        trained = _stages(source, timestamp)
        written = spec.read(source)
        found = resolution.resolve(written, timestamp)
        said = warnings(source, written, trained)
        return Checked(source, written, found, (), trained, said)
    written, found, faults = _understood(source, timestamp)
    if faults:
        raise CompileError(*faults, *_of_sweep(source, written))
    points = _points(source, written, timestamp)
    said = warnings(source, written, [found, *(trained for _, trained in points)])
    return Checked(source, written, found, points, (), said)


def _understood(
    source: Source, timestamp: str, stage: str | None = None
) -> tuple[Spec, Experiment, tuple[Diagnostic, ...]]:
    """Return a spec, its experiment and all faults; with faults, the first two are for rules."""
    read = mending.understood(source)
    found = resolution.resolve(read.spec, timestamp, stage)
    faults = checks.check(source, read.spec, found, read.unknown)
    return read.spec, found, (*read.faults, *faults)


def _of_sweep(source: Source, written: Spec) -> tuple[Diagnostic, ...]:
    """Return the faults of what a sweep's table names, beside those of the spec."""
    broken = any(key[0] == sweep.TABLE for key, _ in spec.faults(source) if key)
    try:
        if not broken:
            sweep.points(source, written)
    except CompileError as error:
        return error.diagnostics
    return ()


def _stages(source: Source, timestamp: str) -> tuple[Experiment, ...]:
    """Check every stage of fakes as a spec of its own; what all get wrong is said once."""
    found, faults = [], dict[Diagnostic, None]()
    for stage in stages.stages(source):
        try:
            _, trained, wrong = _understood(stage.source, timestamp, stage.name)
        except CompileError as error:
            wrong = error.diagnostics
        faults |= dict.fromkeys(wrong)
        if not wrong:
            found.append(trained)
    if faults:
        raise CompileError(*faults)
    return tuple(found)


def _points(source: Source, written: Spec, timestamp: str) -> tuple[tuple[Point, Experiment], ...]:
    """Check every point of a sweep, or of its folds, as the plain spec that it is."""
    found, faulty = [], []
    for point in sweep.points(source, written):
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
    numbers = ((point, tuple(resolution.numbers(trained))) for point, trained in found)
    sweep.check_distinct(source, numbers)
    return tuple(found)


def _refusal(source: Source) -> tuple[Diagnostic, ...]:
    try:
        spec.read(source)
    except CompileError as error:
        return error.diagnostics
    raise AssertionError("a spec that could not be read can be read")
