"""Experiments -> the text of scripts and batch files: plan, linker, merge and render in turn."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from seesawc import fakes_plan, linker, merge, outputs, plan, resolved
from seesawc.experiment import Experiment
from seesawc.linker import Linked
from seesawc.literals import Verbatim
from seesawc.plan import Plan
from seesawc.render import Templates

SCRIPT, BATCH = "train_signal.py", "submit.sbatch"
SWEEP_TEMPLATE = "train_sweep.py.jinja"
# Of fakes: what comes after the three trainings, and what submits them one after another.
CLOSURE, APPLY, CHAIN = "closure.py", "apply.py", "submit.sh"


def stage_script(stage: str) -> str:
    """Return the name of a stage's script."""
    return f"train_{stage}.py"


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


class Scripts:
    """What the scripts of one spec share: its places, and what is read and linked only once."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.spec_name = path.stem
        self.folder = folder.name
        between = os.path.relpath(path.parent.absolute(), folder.absolute())
        self.spec_folder = Path(between).as_posix()
        self.templates = outlines(templates())

    def link(self, definitions: tuple[str, ...], imports: tuple[str, ...] = ()) -> Linked:
        """Return the linked definitions."""
        return linked(templates() / "parts", definitions, imports)

    def numbers(self, trained: Iterable[Experiment]) -> str:
        """Return the digest of all that can change runs' numbers; a sweep's points are not."""
        found: list[Any] = []
        for each in trained:
            parts = _plan(each)
            linked = self.link(parts.definitions, parts.imports)
            found += [*resolved.numbers(each)]
            found += [(section.title, section.text) for section in linked.sections]
            sections = sorted((templates() / "sections").glob("*.jinja"))
            outlines = [templates() / parts.outline, *sections]
            found += [path.read_text(encoding="ascii") for path in outlines]
        pins = versions()
        found.append({name: pins[name] for name in ("torch", "lightning", "numpy", "pandas")})
        return _digest(found)

    def values(self, found: Experiment, parts: Plan, linked: Linked) -> dict[str, Any]:
        """Return what fills the outline of a script."""
        comet = found.experiment_config.comet_api_key is not None
        backend = "comet-ml" if comet else "mlflow"
        # Scripts import it only where the tracker begins.
        tracked = "backends.Mirror" in parts.definitions
        needs = plan.packages(linked.imports, backend if tracked else None)
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
        parts = _plan(found)
        linked = self.link(parts.definitions, parts.imports)
        return self.templates.render(parts.outline, self.values(found, parts, linked))

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

    def fakes(
        self, found: Experiment, trained: tuple[Experiment, ...]
    ) -> tuple[dict[str, str], tuple[dict[str, Any], ...]]:
        """Return the scripts of fakes and their batch files, and what the record says of each."""
        *before, ratio = trained
        files: dict[str, str] = {}
        rows = []
        for each in trained:
            parts = fakes_plan.plan(each, before if each is ratio else ())
            values = self.values(each, parts, self.link(parts.definitions, parts.imports))
            values["fakes_run"] = found.experiment_config.run_name
            for parent in values["parents"]:
                parent["script"] = outputs.digest(files[stage_script(parent["name"])])
            name, batch = stage_script(str(each.stage)), f"submit_{each.stage}.sbatch"
            files[name] = self.templates.render(parts.outline, values)
            follow, lacks = resolved.differences(each, found)
            rows.append(
                {
                    "identity": each.stage,
                    "run_name": each.experiment_config.run_name,
                    "script": outputs.digest(files[name]),
                    "values": {},
                    "follow": follow,
                    "lacks": lacks,
                }
            )
            if each.slurm_config is not None:
                run = PlannedRun(0, each.experiment_config.run_name, "", {})
                files[batch] = self.batch(each, (), (run,), files[name], name, batch)
        for name in (CLOSURE, APPLY):
            parts = fakes_plan.after(ratio, f"{name}.jinja")
            values = self.values(ratio, parts, self.link(parts.definitions, parts.imports))
            values["ratio_digest"] = outputs.digest(files[stage_script("ratio")])
            files[name] = self.templates.render(parts.outline, values)
        if found.slurm_config is not None:
            files[CHAIN] = self.templates.render(f"{CHAIN}.jinja", {"folder": self.folder})
        return files, tuple(rows)

    def batch(
        self,
        found: Experiment,
        points: tuple[Experiment, ...],
        runs: tuple[PlannedRun, ...],
        text: str,
        script: str = SCRIPT,
        batch: str = BATCH,
    ) -> str:
        """Return the batch file of a script, whose text it knows by digest."""
        limit = found.sweep_config and found.sweep_config.max_parallel
        place = f"{found.experiment_config.save_dir}/{found.experiment_config.experiment_name}"
        job = {
            **plan.batch(found, points),
            "folder": self.folder,
            "spec_folder": self.spec_folder,
            "script": script,
            "batch": batch,
            "script_digest": outputs.digest(text),
            "sweep": bool(points),
            "last_point": len(runs) - 1,
            "parallel": Verbatim(f"%{limit}" if limit else ""),
            "point": Verbatim(' --point "$point"' if points else ""),
            "runs": [run.name for run in runs],
            "run_folder": f"{place}/{runs[0].name}",
        }
        return self.templates.render(f"{BATCH}.jinja", job)


def _plan(found: Experiment) -> Plan:
    """Plan one training, of a signal or of a stage of fakes."""
    return plan.plan(found) if found.task == "signal" else fakes_plan.plan(found)


def _blocks(linked: Linked) -> list[dict[str, Verbatim]]:
    return [{"title": Verbatim(s.title), "text": Verbatim(s.text)} for s in linked.sections]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def outlines(folder: Path) -> Templates:
    """Return the outlines in a folder, which are read once."""
    return Templates(folder)


@cache
def linked(folder: Path, definitions: tuple[str, ...], imports: tuple[str, ...]) -> Linked:
    """Return linked definitions; many specs, and most points of a sweep, ask for the same."""
    return linker.link(folder, definitions, imports)


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
