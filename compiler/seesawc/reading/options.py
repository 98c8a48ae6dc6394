"""Words such as `max_epochs=50` -> edits: which option of a spec, and what becomes of it."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from attrs import fields, frozen, has

from seesawc.diagnostics import CompileError, Diagnostic, did_you_mean, nearest
from seesawc.reading import source
from seesawc.reading.positions import NAME, Key, scan, unescape
from seesawc.tables.fakes import StageTable
from seesawc.tables.model import ModelTable
from seesawc.tables.spec import Spec, keys
from seesawc.tables.sweep import SweepTable
from seesawc.tables.training import TrainingTable

DOTTED = rf"[ \t]*(?:{NAME.pattern})(?:[ \t]*\.[ \t]*(?:{NAME.pattern}))*[ \t]*"
OPTION = re.compile(DOTTED)
ASSIGNMENT = re.compile(rf"({DOTTED})=([\s\S]*\S[\s\S]*)")
# Tables of free names that hold the spec's own tables once more.
MIRRORS: dict[tuple[type, str], Any] = {
    (SweepTable, "grid"): Spec,
    (SweepTable, "points"): list[Spec],
    (StageTable, "model_config"): ModelTable,
    (StageTable, "training_config"): TrainingTable,
}


@frozen
class Edit:
    """What becomes of an option: a value, as it was spelt if it was TOML, or it is taken out."""

    key: Key
    value: Any = None
    spelling: str | None = None
    unset: bool = False

    def __str__(self) -> str:
        """Return how a message names the option; the value may be a secret."""
        return dotted(self.key)


@frozen
class Shape:
    """What may stand at a key: a table of known or of free names, a list, or a plain value."""

    # A table's class, Mapping or list with the type of items, or a plain type.
    kind: Any
    # Inside of a mirror of the spec's tables.
    mirrored: bool = False

    @property
    def is_table(self) -> bool:
        """Whether its names are known."""
        return isinstance(self.kind, type) and has(self.kind)

    @property
    def is_list(self) -> bool:
        """Whether it holds items by index."""
        return get_origin(self.kind) in (tuple, list)

    def inside(self, name: str | int) -> "Shape | None":
        """Return what may stand at a key within; None if there can be nothing."""
        if self.is_table:
            known = keys(self.kind)
            if name not in known:
                return None
            mirror = MIRRORS.get((self.kind, str(name)))
            return Shape(mirror or _container(known[str(name)].type), self.mirrored or bool(mirror))
        if self.is_list and isinstance(name, int):
            return Shape(_container(get_args(self.kind)[0]), self.mirrored)
        if get_origin(self.kind) is Mapping and isinstance(name, str):
            return Shape(_container(get_args(self.kind)[1]), self.mirrored)
        return Shape(Any, self.mirrored) if self.kind is Any else None


def shape(key: Key) -> Shape:
    """Return what may stand at the key of an edit."""
    found = Shape(Spec)
    for name in key:
        found = found.inside(name) or Shape(Any)
    return found


def _container(annotation: Any) -> Any:
    """Return the first type of an annotation that holds something, or else the first one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _container(get_args(annotation)[0])
    if origin in (tuple, list, Mapping) or not get_args(annotation):
        return annotation
    kinds = [_container(kind) for kind in get_args(annotation) if kind is not NoneType]
    return next((kind for kind in kinds if get_origin(kind) or _is_class(kind)), kinds[0])


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and has(kind)


def rank(key: Key) -> tuple[int, ...]:
    """Return what orders keys as the schema has them; each table before those within."""
    found = []
    at: Shape | None = Shape(Spec)
    for name in key:
        known = list(keys(at.kind)) if at and at.is_table else []
        found.append(known.index(name) if name in known else name if isinstance(name, int) else 0)
        at = at and at.inside(name)
    return tuple(found)


def dotted(key: Key) -> str:
    """Return a key as it stands in a command and before `=`."""
    return ".".join(map(_spelt, key))


def _spelt(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else '"' + ascii(text)[1:-1] + '"'


def edits(assignments: Iterable[str], unset: Iterable[str]) -> tuple[Edit, ...]:
    """Return what is asked for; raises `CompileError` with all names and values that are wrong.

    All `assignments` match `ASSIGNMENT`, all `unset` match `OPTION`.
    """
    found: list[Edit] = []
    faults: list[Diagnostic] = []
    matches = [(m[1], m[2]) for m in map(ASSIGNMENT.fullmatch, assignments) if m]
    for name, text in (*matches, *((name, None) for name in unset)):
        try:
            key = _located(name)
            found.append(Edit(key, unset=True) if text is None else _given(key, text))
        except CompileError as error:
            faults += error.diagnostics
    faults += _repeated(found)
    if faults:
        raise CompileError(*faults)
    return tuple(found)


def _repeated(edits: Sequence[Edit]) -> Iterable[Diagnostic]:
    for number, edit in enumerate(edits):
        for other in edits[:number]:
            shorter = min(len(edit.key), len(other.key))
            if edit.key[:shorter] == other.key[:shorter]:
                message = f"{other} is given twice" if other.key == edit.key else None
                yield Diagnostic(
                    message or f"{other} and {edit} are both given", hint="one of them"
                )
                break


def _located(name: str) -> Key:
    """Return the key that a name means, whose leading table may be left out."""
    parts = [unescape(part) if part[0] in "\"'" else part for part in NAME.findall(name)]
    homes = _homes(parts[0]) if parts[0] not in keys(Spec) else [""]
    if len(homes) > 1:
        hint = " or ".join(f"{home}.{parts[0]}" for home in homes)
        raise CompileError(Diagnostic(f'several tables have an option "{parts[0]}"', hint=hint))
    if not homes:
        raise CompileError(_unknown(parts[0]))
    return _indexed([*filter(None, homes), *parts])


def _homes(name: str) -> list[str]:
    """Return the tables of a spec that have an option of a name."""
    return [home for home, known in _tables().items() if name in known]


def _tables() -> dict[str, Mapping[str, Any]]:
    kinds = {a.name: _container(a.type) for a in fields(Spec)}
    return {name: keys(kind) for name, kind in kinds.items() if _is_class(kind)}


def _unknown(name: str) -> Diagnostic:
    message = f"unknown table or option {_spelt(name)!r}".replace("'", '"')
    near = nearest(name, [option for known in _tables().values() for option in known])
    if near and not nearest(name, keys(Spec)):
        meant = " or ".join(f'"{home}.{near}"' for home in _homes(near))
        return Diagnostic(message, hint=f"did you mean {meant}?")
    return Diagnostic(message, hint=did_you_mean(name, keys(Spec)))


def _indexed(parts: Sequence[str]) -> Key:
    """Return the key, with numbers where lists are."""
    key: Key = ()
    at = Shape(Spec)
    for part in parts:
        name = int(part) if at.is_list and re.fullmatch("[0-9]{1,6}", part) else part
        inner = at.inside(name)
        if inner is None:
            raise CompileError(_misplaced(at, key, part))
        key, at = (*key, name), inner
    return key


def _misplaced(at: Shape, key: Key, part: str) -> Diagnostic:
    if at.is_table:
        message = f'unknown option "{_spelt(part).strip(chr(34))}" in {dotted(key)}'
        return Diagnostic(message, hint=did_you_mean(part, keys(at.kind)))
    if at.is_list:
        return Diagnostic(f"{dotted(key)} is a list", hint=f"{dotted((*key, 0))} is its first item")
    return Diagnostic(f"{dotted(key)} is no table", hint=f"{dotted(key)}=value")


def _given(key: Key, text: str) -> Edit:
    """Read a value as TOML if it is some, and else as a text."""
    text = text.strip()
    start = f"{dotted(key)} = "
    known = scan(f"x = {text}")
    whole = not known[1] and known[0]["x",].value[1] == len(f"x = {text}")
    if not whole and text[0] in "[{":
        source.parse(start + text, "value")
        message = f"{dotted(key)}: more follows after the value"
        raise CompileError(Diagnostic(message, hint="one value, in quotes of the shell"))
    if not whole:
        return Edit(key, text)
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return Edit(key, text)
    # No option is a date or a time, but some are texts that look so, such as 04:00:00.
    return Edit(key, text) if isinstance(value, date | time) else Edit(key, value, text)
