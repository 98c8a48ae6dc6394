"""`[sweep_config]`, folds -> points of a sweep: the name of each, its data as a plain spec."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from attrs import evolve, field, frozen, has

from seesawc.diagnostics import CompileError, Diagnostic, did_you_mean
from seesawc.reading import choices
from seesawc.reading.choices import Choice
from seesawc.reading.source import Key, Source
from seesawc.tables.model import ONE_FOLD_OR_UNSEEN, SEEN_BY_FOLDS
from seesawc.tables.spec import Spec, keys
from seesawc.tables.sweep import SweepTable

MOST = 10_000
# A grid repeats the mistakes of its alternatives; this many faulty points show them all.
MOST_FAULTY = 100
TABLE = "sweep_config"
SEED = ("experiment_config", "seed")
EXPORT = ("training_config", "export_onnx")
FOLDS, FOLD = ("dataset_config", "folds"), ("dataset_config", "fold")
# What names a run, says where things are kept and by whom, or makes the job: one for all points.
FIXED = {
    ("task",),
    ("slurm_config",),
    (TABLE,),
    FOLDS,
    *(
        ("experiment_config", name)
        for name in (
            "experiment_name", "run_name", "save_dir", "tracker_path", "comet_api_key",
            "comet_project_name",
        )
    ),
}  # fmt: skip
HARDWARE = {("experiment_config", name) for name in ("accelerator", "devices")}
CHECKPOINT = {("model_config", name) for name in ("load_checkpoint", "checkpoint_events")}
SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)


@frozen
class Point:
    """One training of a sweep."""

    index: int
    choices: tuple[Choice, ...]
    values: Mapping[str, Any] = field(init=False)
    identity: str = field(init=False)

    @values.default
    def _dotted(self) -> dict[str, Any]:
        return {".".join(map(str, choice.key)): choice.value for choice in self.choices}

    @identity.default
    def _digest(self) -> str:
        """Return a name made from the values alone: other points and their order do not matter."""
        text = json.dumps(self.values, sort_keys=True, default=str)
        # Ten digits: two of 10 000 points agree once in 20 000 sweeps.
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __str__(self) -> str:
        """Return how a message names the point."""
        return f"point {self.index}" + (f" ({self.summary})" if self.choices else "")

    @property
    def summary(self) -> str:
        """The values in so many words that a line has room for them."""
        text = ", ".join(f"{choice.key[-1]}={_shown(choice)}" for choice in self.choices)
        return _cut(text, 80)


def _shown(choice: Choice) -> str:
    if SECRET.search(str(choice.key[-1])):
        return "***"
    value = choice.value
    return _cut(value if isinstance(value, str) else json.dumps(value, default=str), 30)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def points(source: Source, spec: Spec) -> tuple[Point, ...]:
    """Return the points in order: grid, then explicit ones, each with all seeds, and all folds.

    There are none without `[sweep_config]` or folds. Raises `CompileError` with the faults of the
    table itself; what the values mean is not checked.
    """
    data = spec.dataset_config
    if spec.sweep_config is None and not data.every_fold:
        return ()
    table = spec.sweep_config or SweepTable()
    faults: list[Diagnostic] = []
    grid = list(_grid(source, table, faults))
    explicit = [
        [Choice(key, value, place) for key, value, place in _options(source, each, place, faults)]
        for index, each in enumerate(table.points)
        for place in [(TABLE, "points", index)]
    ]
    for choice in (*(c for axis in grid for c in axis[:1]), *(c for e in explicit for c in e)):
        faults += _unfit(source, spec, choice)
    if faults:
        raise CompileError(*faults)
    seeds = [
        [Choice(SEED, seed, (TABLE, "seeds", index))]
        for index, seed in enumerate(table.seeds or ())
    ] or [[]]
    folds = [
        [Choice(FOLD, fold, FOLDS)] for fold in range((data.folds or 0) * data.every_fold)
    ] or [[]]
    count = (prod(map(len, grid)) * bool(grid or not explicit) + len(explicit)) * len(seeds)
    count *= len(folds)
    if count > MOST:
        message = f"the sweep has {count} points"
        raise CompileError(source.fault((TABLE,), message, f"at most {MOST}", "key"))
    if not (grid or explicit or table.seeds or data.every_fold or _asks_for_folds(source)):
        hint = "seeds, [sweep_config.grid] or [[sweep_config.points]]"
        raise CompileError(source.fault((TABLE,), "a sweep of nothing", hint, "key"))
    chosen = [*(product(*grid) if grid or not explicit else ()), *explicit]
    each = ((*those, *seed, *fold) for those in chosen for seed in seeds for fold in folds)
    return tuple(Point(index, those) for index, those in enumerate(each))


def _asks_for_folds(source: Source) -> bool:
    """Whether there would be folds, if what is said of them were right."""
    data = source.data.get(FOLDS[0])
    return isinstance(data, dict) and "folds" in data and "fold" not in data


def _grid(source: Source, table: SweepTable, faults: list[Diagnostic]) -> Iterator[list[Choice]]:
    """Yield the alternatives of each option of the grid."""
    for key, value, place in _options(source, table.grid, (TABLE, "grid"), faults):
        if not isinstance(value, list):
            hint = "a list of alternatives, such as [64, 128]"
            faults.append(source.fault(place, "the grid takes lists", hint))
        elif not value:
            faults.append(source.fault(place, "an empty list", "at least one alternative"))
        else:
            yield [Choice(key, each, (*place, index)) for index, each in enumerate(value)]


def _options(
    source: Source, table: Mapping[str, Any], place: Key, faults: list[Diagnostic]
) -> Iterator[tuple[Key, Any, Key]]:
    """Yield every option that stands in a mirror of the spec's tables: key, value and place."""
    stack: list[tuple[Key, Any, Any]] = [((), table, Spec)]
    while stack:
        key, value, kind = stack.pop()
        if not isinstance(value, dict) or kind is None:
            yield key, value, (*place, *key)
            continue
        known = keys(kind) if has(kind) else None
        inner = []
        for name, item in value.items():
            if known is not None and name not in known:
                hint = did_you_mean(name, known)
                fault = source.fault((*place, *key, name), f'unknown option "{name}"', hint, "key")
                faults.append(fault)
            else:
                inner.append(((*key, name), item, _table_of(known[name].type) if known else None))
        stack += reversed(inner)


def _table_of(annotation: Any) -> Any:
    """Return the class of the table that an option is, `Mapping` for one of free names, or None."""
    origin = get_origin(annotation)
    if origin is Mapping or (isinstance(annotation, type) and has(annotation)):
        return origin or annotation
    if origin is tuple:
        return None
    kinds = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    found = (_table_of(kind) for kind in kinds if kind is not NoneType)
    return next((kind for kind in found if kind), None)


def _unfit(source: Source, spec: Spec, choice: Choice) -> Iterator[Diagnostic]:
    """Yield a fault if an option cannot differ between points."""
    key, place, table = choice.key, choice.option, spec.sweep_config
    name = ".".join(map(str, key))
    if key in FIXED or key[:1] in FIXED:
        yield source.fault(place, f"{name} cannot be swept", "the same for all points", "key")
    elif key in HARDWARE and "slurm_config" in source.data:
        hint = "one batch file asks for the hardware of all points"
        yield source.fault(place, f"{name} cannot be swept", hint, "key")
    elif len(key) == 1:
        yield source.fault(place, f"{name} is a table", "options of it", "key")
    elif key == FOLD:
        hint = "folds, and each fold is a point; or fold in [dataset_config]"
        yield source.fault(place, f"{name} cannot be swept", hint, "key")
    elif key == EXPORT and spec.dataset_config.every_fold:
        hint = "combine.py needs the networks of all folds"
        yield source.fault(place, f"{name} cannot be swept", hint, "key")
    elif key in CHECKPOINT and spec.dataset_config.every_fold and not _is_unseen(spec, key):
        yield source.fault(place, SEEN_BY_FOLDS, ONE_FOLD_OR_UNSEEN, "key")
    elif key == SEED and table is not None and table.seeds is not None:
        message = "seeds gives the seeds of all points"
        yield source.fault(place, message, "seeds, or experiment_config.seed", "key")


def _is_unseen(spec: Spec, key: Key) -> bool:
    """Whether all points begin with checkpoints that know none of their events."""
    return key[-1] == "load_checkpoint" and spec.model_config.checkpoint_events == "unseen"


def as_spec(source: Source, point: Point) -> Source:
    """Return the source of the plain spec that a point is; without the places of its values."""
    return choices.given(source, point.choices, without=TABLE)


def faults(found: Sequence[tuple[Point, Sequence[Diagnostic]]]) -> CompileError:
    """Return the faults of points, each once, with the points that have it."""
    owners: dict[Diagnostic, list[Point]] = {}
    for point, diagnostics in found:
        for diagnostic in diagnostics:
            owners.setdefault(diagnostic, []).append(point)
    return CompileError(
        *(
            evolve(diagnostic, message=f"{diagnostic.message}, at {_listed(those)}")
            for diagnostic, those in owners.items()
        )
    )


def _listed(those: Sequence[Point]) -> str:
    more = f" and {len(those) - 1} more" if len(those) > 1 else ""
    return f"{those[0]}{more}"


def check_distinct(source: Source, trained: Iterable[tuple[Point, object]]) -> None:
    """Raise `CompileError` if two points train the same; `trained` says what each does."""
    first: dict[object, Point] = {}
    faults: dict[Key, Diagnostic] = {}
    for point, what in trained:
        other = first.setdefault(what, point)
        if other is not point:
            place = _difference(point, other)
            message = f"{point} trains the same as {other}"
            faults.setdefault(place, source.fault(place, message, "leave one of them out"))
    if faults:
        raise CompileError(*faults.values())


def _difference(point: Point, other: Point) -> Key:
    """Return where a point says what another does not say there."""
    if not any(choice.place[1] == "grid" for choice in point.choices):
        explicit = (choice.root for choice in point.choices if choice.place[1] == "points")
        return next(explicit, (TABLE, "points"))
    there = {choice.place for choice in other.choices}
    return next(choice.place for choice in point.choices if choice.place not in there)
