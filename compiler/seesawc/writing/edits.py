"""A spec's text and edits -> its new text, where all else stands as it was.

Where an option stands is known from `reading.positions`; tomlkit writes values, and lists in the
layout that they have.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.reading import options
from seesawc.reading.options import Edit
from seesawc.reading.source import Key, Source
from seesawc.writing import layout
from seesawc.writing.layout import standing


def edited(spec: Source, edits: Iterable[Edit]) -> str:
    """Return the text after all edits; raises `CompileError` where one has no place in it."""
    wanted = [edit for edit in edits if not _is_so(spec, edit)]
    given = sorted((e for e in wanted if not e.unset), key=lambda edit: options.rank(edit.key))
    # Of a list's items the last ones first: others keep their numbers.
    gone = sorted((e.key for e in wanted if e.unset), key=options.rank, reverse=True)
    after = reduce(_put, given, spec)
    after = reduce(_cut, gone, after)
    expected = reduce(_without, gone, reduce(_with, given, spec.data))
    if _meaning(after.data) != _meaning(expected):
        names = ", ".join(map(str, wanted))
        message = f"{spec.path} is laid out in a way in which {names} cannot be changed"
        raise CompileError(Diagnostic(message, hint="change it in an editor"))
    return after.text


def _is_so(spec: Source, edit: Edit) -> bool:
    """Whether an option has its value already, or is not there to be taken out."""
    there = layout.is_there(spec, edit.key)
    if edit.unset:
        if not there and isinstance(edit.key[-1], int):
            raise CompileError(Diagnostic(f"there is no {edit}"))
        return not there
    return there and _meaning(layout.value(spec, edit.key)) == _meaning(edit.value)


def _meaning(value: Any) -> str:
    """Return values for comparison: 1 is not 1.0, and an empty table is none."""
    return json.dumps(_pruned(value), sort_keys=True, default=repr)


def _pruned(value: Any) -> Any:
    if not isinstance(value, dict):
        return list(map(_pruned, value)) if isinstance(value, list) else value
    items = {name: _pruned(item) for name, item in value.items()}
    return {name: item for name, item in items.items() if item != {}}


def _with(data: Any, edit: Edit) -> Any:
    return _changed(data, edit.key, lambda container, name: _set(container, name, edit.value))


def _without(data: Any, key: Key) -> Any:
    return _changed(data, key, lambda container, name: container.pop(name))


def _changed(data: Any, key: Key, change: Any) -> Any:
    """Return plain data with a change made to the container of a key."""
    name, rest = key[0], key[1:]
    copy: Any = list(data) if isinstance(data, list) else dict(data)
    if not rest:
        change(copy, name)
        return copy
    try:
        inner = copy[name]
    except LookupError:
        # What is not there is made: a list for an item's number.
        inner = [] if isinstance(rest[0], int) else {}
    _set(copy, name, _changed(inner, rest, change))
    return copy


def _set(container: Any, name: str | int, value: Any) -> None:
    if isinstance(container, list) and name == len(container):
        container.append(value)
    else:
        container[name] = value


def _put(spec: Source, edit: Edit) -> Source:
    """Give an option a value."""
    key, value, at = edit.key, edit.value, standing(spec, edit.key)
    shape = options.shape(key)
    if at == "literal":
        place = layout.place(spec, key).value
        old = spec.text[slice(*place)]
        return layout.spliced(spec, place, _laid_out(old, value, _spelling(edit)))
    if isinstance(value, dict) and (at or (shape.is_table and not layout.within_value(spec, key))):
        return _put_table(spec, key, value)
    if _are_tables(value) and (at == "array" or (not at and _is_array(spec, key))):
        return _put_tables(spec, key, value)
    if at:
        hint = f"options of it, or --unset {edit}"
        raise CompileError(spec.fault(key, f"{edit} is a table", hint, "key"))
    return layout.inserted(spec, key, _spelling(edit))


def _is_array(spec: Source, key: Key) -> bool:
    item = options.shape((*key, 0))
    return item.is_table and not layout.within_value(spec, key)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(i, dict) for i in value)


def _put_table(spec: Source, key: Key, value: dict[str, Any]) -> Source:
    """Give a table that has a header just these options."""
    if standing(spec, key) in (None, "implied"):
        spec = layout.opened(spec, key)
    there = layout.value(spec, key)
    spec = reduce(_put, [Edit((*key, name), item) for name, item in value.items()], spec)
    return reduce(_cut, [(*key, name) for name in there if name not in value], spec)


def _put_tables(spec: Source, key: Key, value: Sequence[dict[str, Any]]) -> Source:
    """Give an array of tables just these."""
    before = len(layout.value(spec, key)) if layout.is_there(spec, key) else 0
    for index, item in enumerate(value):
        spec = _put_table(spec, (*key, index), item)
    return reduce(_cut, [(*key, index) for index in range(before - 1, len(value) - 1, -1)], spec)


def _spelling(edit: Edit) -> str:
    return edit.spelling or _written(edit.value)


def _written(value: Any) -> str:
    """Return a value on one line; tomlkit would give a table lines of its own."""
    if isinstance(value, dict):
        items = [f"{tomlkit.key(name).as_string()} = {_written(v)}" for name, v in value.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(tomlkit.item(value).as_string())


def _laid_out(old: str, value: Any, spelling: str) -> str:
    """Return a value as it is spelt, but a list of several lines in the layout that it has."""
    if not isinstance(value, list) or "\n" not in old or "\n" in spelling:
        return spelling
    try:
        array = tomlkit.parse(f"x = {old}")["x"]
        assert isinstance(array, Array)
        _make_equal(array, value)
        text = array.as_string()
        same = _meaning(tomllib.loads(f"x = {text}")["x"]) == _meaning(value)
    except (TOMLKitError, tomllib.TOMLDecodeError, IndexError):
        return spelling
    return text if same else spelling


def _make_equal(array: Array, value: list[Any]) -> None:
    """Change only the items between those that are the same at both ends."""
    old = array.unwrap()
    most = min(len(old), len(value))
    first = next((i for i in range(most) if old[i] != value[i]), most)
    most -= first
    last = next((i for i in range(most) if old[-1 - i] != value[-1 - i]), most)
    between = len(old) - first - last
    new = value[first : len(value) - last]
    for index, item in enumerate(new):
        if index < between:
            array[first + index] = item
        else:
            array.insert(first + index, item)
    for index in range(first + between - 1, first + len(new) - 1, -1):
        del array[index]


def _cut(spec: Source, key: Key) -> Source:
    """Take out an option or a table, with the comments on its own lines."""
    outer = key[:-1]
    if standing(spec, outer) != "literal":
        return layout.removed(spec, key)
    start, end = layout.place(spec, outer).value
    old = spec.text[start:end]
    holder = layout.value(spec, outer)
    if isinstance(holder, list):
        value = [item for index, item in enumerate(holder) if index != key[-1]]
        return layout.spliced(
            spec, (start, end), _laid_out(old, value, _spelling(Edit(key, value)))
        )
    inner = layout.place(spec, key)
    before, after = spec.text[start : inner.key[0]], spec.text[inner.value[1] : end]
    if following := re.match(r"[ \t]*,[ \t]*", after):
        text = before + after[following.end() :]
    else:
        text = re.sub(r"[ \t]*,[ \t]*\Z", "", before) + after
    return layout.spliced(spec, (start, end), "{}" if len(holder) == 1 else text)
