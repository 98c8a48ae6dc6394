"""What was seen of files -> a commented spec that trains on them, as far as they say how."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import tomlkit
from attrs import frozen

from parts.grammar import GrammarError, parse
from seesawc.data.readers import kind_of, place_from
from seesawc.data.roles import LISTS, Roles, roles
from seesawc.data.summaries import Look
from seesawc.diagnostics import CompileError, Diagnostic, did_you_mean
from seesawc.tables.dataset import TABLES
from seesawc.tables.values import WrongValue, check_name

WIDTH = 100
# Columns that a comment names.
SHOWN = 20
MAY_TELL = "by the name, it may tell the class"
DATASET, MODEL = "[dataset_config]", "[model_config"


@frozen
class Wish:
    """What the author said of the files."""

    class_column: str | None
    # The tree, or the table, of files that have several.
    named: Mapping[str, str]


def first_spec(text: str, looks: Sequence[Look], wish: Wish) -> str:
    """Return a starting spec with what was seen; raises `CompileError` for a wrong class column."""
    found = roles(looks, wish.class_column)
    classes = _classes(looks, wish.class_column) if wish.class_column else {}
    head, tail = text.partition(DATASET)[0], MODEL + text.partition(MODEL)[2]
    if len(looks) == 1 and not classes:
        head = _todo(found) + head
    if not (found.numerical or found.categorical):
        head = "# TO DO: no column can be a feature as it is; see below.\n" + head
    dataset = [*_seen(looks), DATASET, *_options(found), *_class_lines(classes, wish)]
    samples = [line for sample in _samples(looks, wish, found) for line in ("", *sample)]
    return head + "\n".join([*dataset, *samples, "", ""]) + tail


def _text(value: Any) -> str:
    return str(tomlkit.item(value).as_string())


def _comment(text: str) -> list[str]:
    return wrap(_ascii(text), WIDTH, initial_indent="# ", subsequent_indent="#   ")


def _ascii(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def _reference(name: str) -> str | None:
    """Return a column as expressions name it; None if they cannot."""
    for text in (name, f"`{name}`"):
        try:
            if parse(text).references == (name,):
                return text
        except GrammarError:
            continue
    return None


def _todo(found: Roles) -> str:
    lines = ["TO DO before it trains: say in both samples which events they are (selection)."]
    if found.labels:
        lines.append(f"Columns that may tell: {', '.join(found.labels)}.")
        lines.append(
            f"Or write it anew: seesawc init NAME --data FILE --class-column {found.labels[0]}"
        )
    return "\n".join(line for each in lines for line in _comment(each)) + "\n"


def _seen(looks: Sequence[Look]) -> list[str]:
    lines = []
    for look in looks:
        how = "all" if look.n_seen == look.n_events else f"{look.n_seen} from all over it"
        lines += _comment(f"{look.path.name}: {look.n_events} events; looked at {how}")
    return lines


def _options(found: Roles) -> list[str]:
    lines = [*_list("numerical", found.numerical, "numbers")]
    lines += _list("categorical", found.categorical, "few different whole numbers, each embedded")
    lines += _missing(found)
    if found.event_number:
        lines.append(f"event_number = {_text(found.event_number)}  # whole, and each event's own")
    else:
        lines += _comment('event_number = "event"  (no column is one: all features decide)')
    lines += _weight(found)
    reasons = {**found.left_out, **dict.fromkeys(found.labels, MAY_TELL)}
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, each in reasons.items() if each == reason]
        such = _reference(names[0]) if reason == LISTS else None
        hint = f', such as "{such}[0]"' if such else ""
        lines += _comment(f"left out: {_named(names)} ({reason}{hint})")
    return lines


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _list(name: str, columns: Sequence[str], what: str) -> list[str]:
    if not columns:
        return [f"# {name} = []  # {what}: none here"]
    start = f"{name} = ["
    one = f"{start}{', '.join(map(_text, columns))}]"
    if len(one) + len(what) + 4 <= WIDTH:
        return [f"{one}  # {what}"]
    lines, line = [f"{start}  # {what}"], ""
    for each in map(_text, columns):
        if line and len(line) + len(each) + 6 > WIDTH:
            lines.append(f"    {line}")
            line = ""
        line += f"{' ' if line else ''}{each},"
    return [*lines, f"    {line}", "]"]


def _missing(found: Roles) -> list[str]:
    if found.missing is None:
        return ["# missing = -999.0  # what stands where a thing does not exist: nothing seen here"]
    value = "nan" if math.isnan(found.missing) else _text(float(found.missing))
    where = ", ".join(found.missing_in[:5]) + (", ..." if len(found.missing_in) > 5 else "")
    note = f"what stands where a thing does not exist{': in ' if where else ''}{where}"
    return [*_comment(note), f"missing = {value}"]


def _weight(found: Roles) -> list[str]:
    reference = found.weight and _reference(found.weight)
    lines = []
    if reference:
        lines.append(f"weight = {_text(reference)}")
        if found.other_weights:
            lines += _comment(
                f"other columns that may be weights: {_named(found.other_weights)}; weights that"
                ' belong together are a product, such as "weight_mc * weight_pileup"'
            )
    else:
        lines += _comment('weight = "weight"  (no column is named like one: every event counts 1)')
    return lines


def _classes(looks: Sequence[Look], column: str) -> dict[str, list[int | str]]:
    """Return the values of each class; the last of two is the signal."""
    held: dict[int | str, None] = {}
    for look in looks:
        summary = look.columns.get(column)
        if summary is None:
            hint = did_you_mean(column, look.columns)
            raise CompileError(Diagnostic(f"{look.path} has no column {column!a}", hint=hint))
        whole = [v for v in summary.values if isinstance(v, str) or v == int(v)]
        if not summary.values or len(whole) < len(summary.values) or summary.null:
            message = f"{look.path}: {column!a} has no few whole numbers or texts, one an event"
            raise CompileError(Diagnostic(message, hint="at most 20 different ones, and no nulls"))
        held.update((v if isinstance(v, str) else int(v), None) for v in whole)
    if len(held) < 2:
        raise CompileError(Diagnostic(f"all events have the same {column!a}", hint="two classes"))
    names = {number: name for look in looks for name, number in look.labels.items()}
    classes: dict[str, list[int | str]] = {}
    for value in sorted(held, key=str) if any(isinstance(v, str) for v in held) else sorted(held):
        said = names.get(value) if isinstance(value, int) else value
        classes[_class_name(said or f"class_{value}", classes)] = [value]
    # The signal is the second of two, and the class of that name where there is one.
    order = sorted(classes, key=lambda name: (name == "signal") - (name == "background"))
    return {name: classes[name] for name in order}


def _class_name(said: str, taken: dict[str, Any]) -> str:
    """Return a name that folders and runs can have, and no other class has."""
    name = re.sub(r"[^A-Za-z0-9_.+-]", "_", said).strip("._-+")[:90] or "class"
    try:
        check_name(name)
    except WrongValue:
        name = f"class_{name}"
    number = 2
    while (unique := name if number == 2 and name not in taken else f"{name}_{number}") in taken:
        number += 1
    return unique


def _class_lines(classes: dict[str, list[int | str]], wish: Wish) -> list[str]:
    if not classes:
        return []
    names = list(classes)
    lines = []
    if len(names) == 2:
        lines += _comment(f"signal: {names[1]}, the second one; change the order if it is not")
    lines += [f"classes = {_text(names)}", "", "[dataset_config.class_values]"]
    lines += [f"# What {_ascii(wish.class_column or '')} holds."]
    lines += [f"{tomlkit.key(name).as_string()} = {_text(held)}" for name, held in classes.items()]
    return lines


def _samples(looks: Sequence[Look], wish: Wish, found: Roles) -> list[list[str]]:
    if wish.class_column:
        line = f"class_column = {_text(wish.class_column)}"
        return [_sample(look, _names(looks)[i], [line], wish) for i, look in enumerate(looks)]
    if len(looks) > 1:
        notes = ["  # the first file: change it if it is not the signal", ""]
        return [
            _sample(look, _names(looks)[i], [f'class = "{label}"{notes[min(i, 1)]}'], wish)
            for i, look in enumerate(looks)
            for label in ["signal" if i == 0 else "background"]
        ]
    return [
        _sample(looks[0], label, [f'class = "{label}"', *_selection(looks[0], found)], wish)
        for label in ("signal", "background")
    ]


def _selection(look: Look, found: Roles) -> list[str]:
    """Return what a selection could be like, by the likeliest column, with the values of that.

    Which of them is meant, nobody can tell who sees numbers.
    """
    for name in found.labels:
        reference, values = _reference(name), look.columns[name].values
        if reference and len(values) > 1:
            *first, last = (v if isinstance(v, str) or v != int(v) else int(v) for v in values)
            note = f"{name} is {', '.join(map(ascii, first))} or {last!a}"
            line = f"# selection = {_text(f'{reference} == ...')}"
            short = len(line) + len(note) + 4 <= WIDTH and _ascii(note) == note
            return [f"{line}  # {note}"] if short else [*_comment(note), line]
    return ['# selection = "..."']


def _sample(look: Look, name: str, lines: Sequence[str], wish: Wish) -> list[str]:
    place = place_from(Path("specs"), look.path)
    option = TABLES.get(kind_of(look.path), "")
    table = [f"{option} = {_text(wish.named[option])}"] if option in wish.named else []
    return [
        "[[dataset_config.samples]]", f'name = "{name}"', *lines[:1], f"files = [{_text(place)}]",
        *table, *lines[1:],
    ]  # fmt: skip


def _names(looks: Sequence[Look]) -> list[str]:
    """Return a name for each file's sample, each once."""
    names: dict[str, Any] = {}
    for look in looks:
        names[_class_name(re.split(r"\.(?=\w+(\.gz)?$)", look.path.name)[0], names)] = look
    return list(names)
