"""Experiments -> the text of their scripts: outlines filled, settings and imports by use."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from seesawc.package import templates, versions
from seesawc.tables.resolution import Experiment, numbers
from seesawc.writing import imports, outlines, outputs, parts, resolved, settings, variants
from seesawc.writing.combinations import Combination
from seesawc.writing.literals import Verbatim
from seesawc.writing.outlines import Outline, outline
from seesawc.writing.parts import Part
from seesawc.writing.render import open_templates
from seesawc.writing.runs import PlannedRun
from seesawc.writing.settings import TRAINED, Group

SCRIPT, CLOSURE, APPLY, COMBINE = "train_signal.py", "closure.py", "apply.py", "combine.py"
# What reads the command line of a script that has points.
TRAINING, COMBINING = "parse_sweep_arguments", "parse_combining"
TABLE = {"POINTS", "POINT", "ARGUMENTS"}
# Others change no numbers.
DECISIVE = ("torch", "lightning", "numpy")
# The block that names a run, and says where things lie.
PLACES = "SCRIPT"
# The title of what is combined.
FOLDED = "The trainings that are combined: the run of each fold, and the digest of its script."


def stage_script(stage: str) -> str:
    """Return the name of a stage's script."""
    return f"train_{stage}.py"


@frozen
class Script:
    """The text of a script, and the parts that it builds on."""

    text: str
    parts: tuple[Part, ...]

    @property
    def digest(self) -> str:
        """What a run of it is known by."""
        return outputs.digest(self.text)


class Scripts:
    """What the scripts of one spec share: its places, and the templates."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.folder = folder.name
        self.spec_folder = outputs.way(folder, path.parent)
        self.templates = open_templates()
        self.homes = parts.homes(templates())
        self.places = {"spec_name": path.stem, "spec_folder": self.spec_folder}

    def numbers(self, trained: Sequence[Experiment]) -> dict[str, str]:
        """Return a digest of all that can change a run's numbers for each training of a spec."""
        found: dict[str, str] = {}
        for experiment in trained:
            before = trained[:-1] if experiment.stage == "ratio" else ()
            own = outline(experiment, before)
            _, body = self._filled(own)
            names, _ = _used(own.groups, body)
            pins = versions()
            content: list[Any] = [
                list(numbers(experiment)),
                [text for name, text in variants.blocks(body).items() if name != PLACES],
                parts.digest(self._parts(names)),
                {name: pins[name] for name in DECISIVE},
            ]
            # What is learnt from others changes with them; what is not, does not.
            content += [found[str(each.stage)] for each in before]
            found[experiment.stage or experiment.task] = _digest(content)
        return found

    def plain(self, experiment: Experiment) -> Script:
        """Return the script of one training."""
        return self._alone(outline(experiment))

    def sweep(
        self,
        found: Experiment,
        runs: tuple[PlannedRun, ...],
        points: tuple[Experiment, ...],
        summaries: list[str],
    ) -> tuple[Script, tuple[dict[str, Any], ...]]:
        """Return the script of a sweep, and what its record says of the points."""
        each, digests, name = [], [], found.experiment_config.run_name
        folds = found.dataset_config.folds if found.dataset_config.every_fold else None
        for point in points:
            own = outline(point)
            digests.append(self._alone(own).digest)
            docstring, body = self._filled(own, sweep=True, folds=folds)
            used = imports.free_names(body)
            each.append(([_named(group.used(used), name) for group in own.groups], body))
        merged = variants.merge(each)
        table = [
            (run.identity, {"point": summary, **row, "script": script[:16]})
            for run, summary, row, script in zip(runs, summaries, merged.rows, digests, strict=True)
        ]
        script = self._compose(outline(found), merged.groups, (docstring, merged.body), table)
        base = resolved.flat(found)
        return script, tuple(
            _row(run.identity, run.name, code, run.values, point, base)
            for run, code, point in zip(runs, digests, points, strict=True)
        )

    def combining(self, combinations: Sequence[Combination]) -> Script:
        """Return the script that combines folds; each combination is a point of it."""
        several = len(combinations) > 1
        each = []
        for combination in combinations:
            names = (run.name for run in combination.planned.runs)
            known = {
                "SPEC_FOLDER": self.spec_folder,
                "COMBINED": combination.planned.name,
                "RUNS": tuple(zip(names, combination.digests, strict=True)),
            }
            outline = _with(outlines.combining(combination.trained), Group(FOLDED, known))
            docstring, body = self._filled(outline, sweep=several)
            used = imports.free_names(body)
            each.append(([group.used(used) for group in outline.groups], body))
        if not several:
            return self._alone(outline)
        merged = variants.merge(each)
        table = [
            (combination.identity, {"point": combination.summary, **row})
            for combination, row in zip(combinations, merged.rows, strict=True)
        ]
        return self._compose(outline, merged.groups, (docstring, merged.body), table, COMBINING)

    def stages(
        self, found: Experiment, trained: tuple[Experiment, ...]
    ) -> tuple[dict[str, Script], tuple[dict[str, Any], ...]]:
        """Return the scripts of fakes, and what the record says of each stage."""
        *before, ratio = trained
        scripts = {stage_script(str(each.stage)): self.plain(each) for each in before}
        parents = {str(each.stage): _known(scripts, each) for each in before}
        own = _extended(outline(ratio, before), Group(TRAINED, {"PARENTS": parents}))
        scripts[stage_script("ratio")] = self._alone(own)
        base = resolved.flat(found)
        rows = tuple(
            _row(
                each.stage,
                each.experiment_config.run_name,
                scripts[stage_script(str(each.stage))].digest,
                {},
                each,
                base,
            )
            for each in trained
        )
        title = "The training of F: its run, and the digest of its script."
        closure = outlines.after(ratio, f"{CLOSURE}.jinja")
        place = {"SPEC_FOLDER": self.spec_folder, "RATIO": _known(scripts, ratio)}
        group = Group(title, place)
        scripts[CLOSURE] = self._alone(_with(closure, group))
        scripts[APPLY] = self.applying()
        return scripts, rows

    def applying(self) -> Script:
        """Return the script that applies what any experiment has trained."""
        text = (templates() / APPLY).read_text(encoding="ascii")
        return Script(text, parts.needed_by(templates(), text))

    def _alone(self, outline: Outline) -> Script:
        return self._compose(outline, outline.groups, self._filled(outline))

    def _filled(
        self, outline: Outline, *, sweep: bool = False, folds: int | None = None
    ) -> tuple[str, str]:
        """Return docstring and body: all but what follows from the names that the body uses.

        `folds` is how many of them are tested by the points of the sweep.
        """
        own = {"parts": parts.UNKNOWN, "points": sweep, "folds": folds}
        values = {**outline.values, **self.places, **own}
        docstring, end, body = self.templates.render(outline.template, values).partition('\n"""\n')
        return (docstring + end).strip(), body.strip()

    def _compose(
        self,
        outline: Outline,
        groups: Sequence[Group],
        text: tuple[str, str],
        points: Sequence[tuple[str, Mapping[str, Any]]] = (),
        parse: str = TRAINING,
    ) -> Script:
        """Put a script together: docstring, imports, the constants that its body uses, the body."""
        docstring, body = text
        names, used = _used(groups, body)
        if points:
            cells = (v for _, row in points for v in row.values() if isinstance(v, Verbatim))
            names |= {"Any", parse} | imports.free_names("\n".join(dict.fromkeys(cells)))
        block = imports.block(names, self.homes)
        needed = self._parts(names)
        whole = self.templates.render(
            "script.py.jinja",
            {
                "docstring": Verbatim(docstring),
                "requirements": [Verbatim(line) for line in requirements(outline, needed, block)],
                "imports": Verbatim(block),
                "points": points,
                "parse": Verbatim(parse),
                "settings": Verbatim(settings.render(used)),
                "body": Verbatim(body.replace(parts.UNKNOWN, parts.digest(needed))),
            },
        )
        return Script(whole, needed)

    def _parts(self, names: Iterable[str]) -> tuple[Part, ...]:
        return parts.closure(templates(), imports.modules(names, self.homes))


def _used(groups: Sequence[Group], body: str) -> tuple[frozenset[str], tuple[Group, ...]]:
    """Return the names that a body needs imported, and the constants that it uses."""
    names = imports.free_names(body)
    # Constants may use each other.
    names = names.union(*(group.used(names).names for group in groups))
    used = tuple(group.used(names) for group in groups)
    own = {name for group in groups for key in group.values for name in key.split(", ")}
    return names.union(*(group.names for group in used)) - own - TABLE, used


def _known(scripts: Mapping[str, Script], trained: Experiment) -> tuple[str, str]:
    """Return how one script knows the run of another: by its name and its script's digest."""
    digest = scripts[stage_script(str(trained.stage))].digest
    # As much of it as one compares by eye.
    return trained.experiment_config.run_name, digest[:16]


def _extended(outline: Outline, group: Group) -> Outline:
    """Return an outline whose group of the same title has more constants, before its own."""
    groups = tuple(
        Group(own.title, {**group.values, **own.values}) if own.title == group.title else own
        for own in outline.groups
    )
    return evolve(outline, groups=groups)


def _with(outline: Outline, group: Group) -> Outline:
    """Return an outline with one more group of constants, after the experiment's own."""
    first, *others = outline.groups
    return evolve(outline, groups=(first, group, *others))


def _named(group: Group, run_name: str) -> Group:
    """Have all points of a sweep take their names from the sweep's."""
    if "RUN_NAME" not in group.values:
        return group
    own = Verbatim('f"{SWEEP}-{ARGUMENTS.point}"')
    values: dict[str, Any] = {}
    for name, value in group.values.items():
        values |= {"SWEEP": run_name, name: own} if name == "RUN_NAME" else {name: value}
    return Group(group.title, values)


def _row(
    identity: str | None,
    run_name: str,
    script: str,
    values: Mapping[str, Any],
    trained: Experiment,
    base: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the record says of a point or a stage."""
    follow, lacks = resolved.differences(trained, base)
    return {
        "identity": identity,
        "run_name": run_name,
        "script": script,
        "values": values,
        "follow": {name: value for name, value in follow.items() if name not in values},
        "lacks": lacks,
    }


def requirements(outline: Outline, needed: tuple[Part, ...], block: str) -> list[str]:
    """Return what a script's header asks for, at the pinned versions."""
    names = parts.distributions(block).union(*(part.distributions for part in needed))
    # Backends import their package only where the tracker begins.
    if any(part.file == "parts/machinery/backends.py" for part in needed):
        comet = outline.values["experiment"].comet_api_key is not None
        names.add("comet-ml" if comet else "mlflow")
    return [f"{name}=={versions()[name]}" for name in sorted(names)]


def _digest(content: object) -> str:
    """Return the SHA-256 of plain values."""
    return outputs.digest(json.dumps(content, sort_keys=True))
