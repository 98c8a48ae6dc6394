"""The stages in order: the text of a spec in, the generated files out."""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from seesawc import experiment, linker, merge, outputs, plan, render, resolved, rules, spec, sweep
from seesawc import source as sources
from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.experiment import Experiment
from seesawc.linker import Linked
from seesawc.literals import Verbatim
from seesawc.plan import Plan
from seesawc.render import Templates
from seesawc.source import Source
from seesawc.spec import Spec
from seesawc.sweep import Point
from seesawc.tables.values import NAME, Fault
from seesawc.tables.values import check_name as check_experiment_name

TIMESTAMP = re.compile(r"\d{8}T\d{6}Z")
SCRIPT, BATCH = "train_signal.py", "submit.sbatch"
SWEEP_TEMPLATE = "train_sweep.py.jinja"


@frozen
class PlannedRun:
    """A run that a script makes: its place, its name and what the sweep gives it."""

    # Which member of the batch file's array it is.
    index: int
    # The run name, which names the folder.
    name: str
    # Made from the values; "" for a plain spec.
    identity: str
    # The swept options by dotted key; none for a plain spec.
    values: Mapping[str, Any]


@frozen
class Compiled:
    """What a spec compiles to: the folder's files by name, and the runs that they make."""

    experiment: Experiment
    files: Mapping[str, str]
    runs: tuple[PlannedRun, ...]
    points: tuple[Experiment, ...] = ()


@frozen
class Checked:
    """A spec without mistakes, and the points of its sweep, each with what it trains."""

    source: Source
    experiment: Experiment
    points: tuple[tuple[Point, Experiment], ...]


def check(path: Path) -> tuple[Source, Experiment]:
    """Read a spec and apply every rule; raises `CompileError` with all faults."""
    checked = check_all(path)
    return checked.source, checked.experiment


def check_all(path: Path) -> Checked:
    """Do the same, and for every point of its sweep."""
    check_name(path)
    source = sources.read(path)
    timestamp = _timestamp()
    written, found, faults = _understood(source, timestamp)
    if faults:
        raise CompileError(*faults)
    return Checked(source, found, _points(source, written, timestamp))


def _understood(source: Source, timestamp: str) -> tuple[Spec, Experiment, tuple[Diagnostic, ...]]:
    written = spec.read(source)
    found = experiment.resolve(written, timestamp)
    return written, found, rules.check(source, written, found)


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
                faults = _understood(sweep.placed(source, alone, point), timestamp)[2]
        except CompileError:
            faults = _refusal(sweep.placed(source, alone, point))
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


def starting_spec(name: str) -> str:
    """Return the text of a commented spec; raises `CompileError` for a name of no experiment."""
    try:
        check_experiment_name(name)
    except Fault as fault:
        raise CompileError(Diagnostic(fault.message, hint=fault.hint)) from None
    return render.render(templates(), "spec.toml.jinja", {"name": name})


def compile_spec(path: Path, folder: Path, *, new_run: bool = False) -> Compiled:
    """Compile a spec for `folder`, whose record says the run name to keep; writes nothing."""
    checked = check_all(path)
    source, found = checked.source, checked.experiment
    if new_run and "run_name" in _written(source):
        key = ("experiment_config", "run_name")
        raise CompileError(source.fault(key, "--new-run, but the spec names the run", "change it"))
    last = outputs.read_record(folder)
    compiler = _Compiler(path, folder)
    numbers = compiler.numbers(found)
    if last.get("numbers") == numbers and not new_run:
        kept = str(last.get("timestamp"))
        kept = kept if TIMESTAMP.fullmatch(kept) else found.timestamp
        found = experiment.resolve(spec.read(source), kept)
    name = found.experiment_config.run_name
    runs = tuple(
        PlannedRun(point.index, f"{name}-{point.identity}", point.identity, point.values)
        for point, _ in checked.points
    )
    points = tuple(
        _named(trained, run.name) for (_, trained), run in zip(checked.points, runs, strict=True)
    )
    if runs:
        summaries = [point.summary for point, _ in checked.points]
        files, rows = compiler.sweep(found, runs, points, summaries)
    else:
        files, rows = {SCRIPT: compiler.script(found)}, ()
        runs = (PlannedRun(0, name, "", {}),)
    if found.slurm_config is not None:
        files[BATCH] = compiler.batch(found, points, runs, outputs.digest(files[SCRIPT]))
    build = {
        "run_name": name,
        "timestamp": found.timestamp,
        "numbers": numbers,
        "spec": outputs.digest(source.text),
        "files": {name: outputs.digest(text) for name, text in files.items()},
    }
    files[outputs.RECORD] = resolved.render(source, found, build, rows)
    return Compiled(found, files, runs, points)


def places(compiled: Compiled) -> tuple[str, ...]:
    """Return the places that a spec and the points of its sweep name."""
    return plan.places(compiled.experiment, compiled.points)


def variables(compiled: Compiled) -> tuple[str, ...]:
    """Return the variables of the environment that the batch file checks."""
    return plan.variables(compiled.experiment, compiled.points)


def _named(trained: Experiment, name: str) -> Experiment:
    """Return a point's experiment under its own run name."""
    return evolve(trained, experiment_config=evolve(trained.experiment_config, run_name=name))


class _Compiler:
    """What the scripts of one spec share: its places, and what is read and linked only once."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.spec_name = path.stem
        self.folder = folder.name
        between = os.path.relpath(path.parent.absolute(), folder.absolute())
        self.spec_folder = Path(between).as_posix()
        self.templates = Templates(templates())
        self.linked: dict[tuple[tuple[str, ...], tuple[str, ...]], Linked] = {}

    def link(self, definitions: tuple[str, ...], imports: tuple[str, ...] = ()) -> Linked:
        """Return the linked definitions; most points of a sweep ask for the same."""
        key = definitions, imports
        if key not in self.linked:
            self.linked[key] = linker.link(templates() / "parts", definitions, imports)
        return self.linked[key]

    def numbers(self, found: Experiment) -> str:
        """Return the digest of all that can change a run's numbers; a sweep's points are not."""
        parts = plan.plan(found)
        linked = self.link(parts.definitions, parts.imports)
        pins = versions()
        return _digest(
            [
                *resolved.numbers(found),
                *((section.title, section.text) for section in linked.sections),
                (templates() / f"{SCRIPT}.jinja").read_text(encoding="ascii"),
                {name: pins[name] for name in ("torch", "lightning", "numpy", "pandas")},
            ]
        )

    def values(self, found: Experiment, parts: Plan, linked: Linked) -> dict[str, Any]:
        """Return what fills the outline of a script."""
        comet = found.experiment_config.comet_api_key is not None
        needs = plan.packages(linked.imports, "comet-ml" if comet else "mlflow")
        return {
            **parts.values,
            "sweep": False,
            "imports": Verbatim(linked.imports),
            "blocks": _blocks(linked),
            "requirements": [Verbatim(f"{name}=={versions()[name]}") for name in needs],
            "packages": needs,
            "spec_name": self.spec_name,
            "spec_folder": self.spec_folder,
        }

    def script(self, found: Experiment) -> str:
        """Return the script of one training."""
        parts = plan.plan(found)
        linked = self.link(parts.definitions, parts.imports)
        return self.templates.render(f"{SCRIPT}.jinja", self.values(found, parts, linked))

    def sweep(
        self,
        found: Experiment,
        runs: tuple[PlannedRun, ...],
        points: tuple[Experiment, ...],
        summaries: list[str],
    ) -> tuple[dict[str, str], tuple[dict[str, Any], ...]]:
        """Return the script of a sweep, and what its record says of the points."""
        plans = [plan.plan(each) for each in points]
        linked = self.link(*plan.united(plans))
        command_line = self.link(plan.SWEEP_COMMAND_LINE)
        texts, digests = [], []
        for each, parts in zip(points, plans, strict=True):
            values = self.values(each, parts, self.link(parts.definitions, parts.imports))
            digests.append(outputs.digest(self.templates.render(f"{SCRIPT}.jinja", values)))
            values["sweep"] = True
            blocks = ("settings", "outline")
            texts.append(
                tuple(self.templates.block(f"{SCRIPT}.jinja", name, values) for name in blocks)
            )
        merged = merge.merge(texts)
        settings, outline = merged.texts
        table = [
            (run.identity, {"point": summary, **row, "script": script[:16]})
            for run, summary, row, script in zip(runs, summaries, merged.rows, digests, strict=True)
        ]
        # It stands before the settings, which depend on it.
        others = tuple(s for s in linked.sections if s not in command_line.sections)
        values = self.values(found, plan.plan(found), linked) | {
            "points": table,
            "command_line": _blocks(command_line)[0],
            "blocks": _blocks(evolve(linked, sections=others)),
            "merged_settings": Verbatim(settings),
            "merged_outline": Verbatim(outline),
        }
        rows = []
        for run, each, script in zip(runs, points, digests, strict=True):
            follow, lacks = resolved.differences(each, found)
            rows.append(
                {
                    "identity": run.identity,
                    "run_name": run.name,
                    "script": script,
                    "values": run.values,
                    "follow": {n: value for n, value in follow.items() if n not in run.values},
                    "lacks": lacks,
                }
            )
        return {SCRIPT: self.templates.render(SWEEP_TEMPLATE, values)}, tuple(rows)

    def batch(
        self,
        found: Experiment,
        points: tuple[Experiment, ...],
        runs: tuple[PlannedRun, ...],
        script_digest: str,
    ) -> str:
        """Return the batch file."""
        limit = found.sweep_config and found.sweep_config.max_parallel
        place = f"{found.experiment_config.save_dir}/{found.experiment_config.experiment_name}"
        job = {
            **plan.batch(found, points),
            "folder": self.folder,
            "spec_folder": self.spec_folder,
            "script": SCRIPT,
            "script_digest": script_digest,
            "sweep": bool(points),
            "last_point": len(runs) - 1,
            "parallel": Verbatim(f"%{limit}" if limit else ""),
            "point": Verbatim(' --point "$point"' if points else ""),
            "runs": [run.name for run in runs],
            "run_folder": f"{place}/{runs[0].name}",
        }
        return self.templates.render(f"{BATCH}.jinja", job)


def _blocks(linked: Linked) -> list[dict[str, Verbatim]]:
    return [{"title": Verbatim(s.title), "text": Verbatim(s.text)} for s in linked.sections]


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


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def templates() -> Path:
    """Return the folder of templates: in the wheel beside this file, in a checkout above it."""
    here = Path(__file__).resolve().parent
    beside = here / "templates"
    return beside if beside.is_dir() else here.parents[1] / "templates"


@cache
def versions() -> dict[str, str]:
    """Return the pinned version of each package."""
    here = Path(__file__).resolve().parent
    beside = here / "constraints.txt"
    path = beside if beside.is_file() else here.parents[1] / "constraints.txt"
    pins = (line.split("==") for line in path.read_text().splitlines() if "==" in line)
    return {name.strip().lower(): version.strip() for name, version in pins}
