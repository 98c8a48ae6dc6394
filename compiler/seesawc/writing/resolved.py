"""Experiment -> `resolved.toml`: every option, its value and where it came from, and [build]."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from seesawc.reading.source import Key, Source
from seesawc.tables.resolution import Experiment, options
from seesawc.tables.values import PLACE

HEAD = (
    "# Every option of the experiment, its value, and where that came from. Written by seesawc.\n"
)


def render(
    source: Source,
    experiment: Experiment,
    build: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Return the text; `build` is its last table, `rows` those of points or stages."""
    tables: dict[Key, list[str]] = {}
    for key, value in options(experiment):
        line = _line(key, value, _origin(source, key, value))
        tables.setdefault(key[:-1], []).append(line)
    # A table's own options come before its sub-tables, or TOML would read it as written twice.
    order = list(dict.fromkeys(key[:1] for key in tables))
    lines = [HEAD]
    for table in sorted(tables, key=lambda key: (order.index(key[:1]), len(key))):
        lines += [*_header(table), *tables[table]]
    title = "points" if experiment.task == "signal" else "stages"
    for row in rows:
        lines += ["", f"[[{title}]]", *(f"{n} = {_value(v)}" for n, v in row.items())]
    lines += ["", "[build]"]
    lines += [f"{name} = {_value(value)}" for name, value in build.items()]
    return "\n".join(lines) + "\n"


def _header(table: Key) -> list[str]:
    if not table:
        return []
    if isinstance(table[-1], int):
        return ["", f"[[{'.'.join(map(str, table[:-1]))}]]"]
    return ["", f"[{'.'.join(map(str, table))}]"]


def _line(key: Key, value: Any, origin: str) -> str:
    if value is None:
        return f"# {key[-1]} is not set  # {origin}"
    return f"{key[-1]} = {_value(value)}  # {origin}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        items = (f"{_value(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        # TOML spells them nan, inf and -inf, as Python prints them.
        return repr(value)
    # The texts of a spec are printable ASCII, which JSON and TOML quote alike.
    return json.dumps(value)


def _origin(source: Source, key: Key, value: Any) -> str:
    if _is_written(source.data, key):
        return "spec"
    in_environment = isinstance(value, str) and PLACE.search(value)
    return "default, environment at run time" if in_environment else "default"


def _is_written(data: Any, key: Key) -> bool:
    for part in key:
        there = data if isinstance(data, dict) else dict(enumerate(data))
        if part not in there:
            return False
        data = there[part]
    return True


def flat(experiment: Experiment) -> dict[str, Any]:
    """Return every option by dotted key; of those that hold several, each of these."""
    return dict(_flat(options(experiment)))


def differences(point: Experiment, there: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the options that a point has otherwise than the spec, and those that it lacks.

    What the spec has is given as `flat` returns it, once for all points.
    """
    given = {name: value for name, value in flat(point).items() if value is not None}
    changed = {name: v for name, v in given.items() if there.get(name) != v}
    lacks = [name for name in there if name not in given and there[name] is not None]
    for name in ("experiment_config.run_name", *(n for n in there if n.startswith("sweep_config"))):
        changed.pop(name, None)
    return changed, [name for name in lacks if not name.startswith("sweep_config")]


def _flat(items: Iterable[tuple[Key, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield options by dotted key, and each of those that hold several by name."""
    for key, value in items:
        if isinstance(value, Mapping):
            yield from _flat(((*key, name), item) for name, item in value.items())
        else:
            yield ".".join(map(str, key)), value
