"""What a run ends with: a table for the reader, and a file for programs."""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parts.machinery.places import write_atomically

Metrics = Mapping[str, Mapping[str, float]]


def report(
    metrics: Metrics,
    uncertainties: Metrics,
    remarks: Sequence[str],
    places: Mapping[str, Path | str | None],
) -> None:
    """Print metrics (split, name) side by side, what is odd about them, and where to look."""
    rows = [["", *metrics]]
    for name in dict.fromkeys(name for values in metrics.values() for name in values):
        cells = (
            measurement(values[name], uncertainties.get(split, {}).get(name, math.nan))
            if name in values
            else ""
            for split, values in metrics.items()
        )
        rows.append([name, *cells])
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    print()
    for title, *row in rows:
        columns = zip(row, others, strict=True)
        print(f"{title:{first}}" + "".join(f"{cell:>{width + 2}}" for cell, width in columns))
    print()
    print("".join(f"{line}\n" for line in remarks), end="\n" if remarks else "")
    for name, place in places.items():
        print(f"{name:12}{place}")


def measurement(value: float, uncertainty: float) -> str:
    """Write a value to four decimals, or to the second figure of its uncertainty."""
    if not uncertainty > 0:
        return f"{value:.4f}"
    decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{decimals}f} +- {uncertainty:.{decimals}f}"


# Of a script's constants, what is no setting.
NO_SETTINGS = ("ARGUMENTS", "DATASET", "PARENTS", "POINT", "POINTS", "SWEEP")


def constants(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings among a script's names, as their options are spelt."""
    upper = {n: v for n, v in names.items() if n.isupper() and n not in NO_SETTINGS}
    # What is imported under its own name, such as MLP, is no constant.
    settings = {n: v for n, v in upper.items() if getattr(v, "__name__", None) != n}
    return {name.lower(): named(value) for name, value in settings.items()}


def named(value: Any) -> Any:
    """Return a value with the names of classes and functions, such as an activation, for them."""
    if isinstance(value, dict):
        return {name: named(each) for name, each in value.items()}
    return getattr(value, "__name__", value)


def settings(constants: dict[str, Any], resolved: Path | None, own: str | None) -> dict[str, Any]:
    """Return the constants, and the options besides, as far as `resolved` says what runs.

    `own` is the point or the stage whose options are meant. Each option is there once: one that is
    a constant as that, for this is the value that ran.
    """
    options = all_options(resolved, own) if resolved else {}
    # A table of names, such as that of labels, is one constant, and an option for each name.
    tables = {name for name, value in constants.items() if isinstance(value, dict)}
    others = {
        name: value
        for name, value in options.items()
        if not constants_of(name) & constants.keys()
        and not constants_of(name.rpartition(".")[0]) & tables
    }
    return {**constants, **others}


def constants_of(option: str) -> set[str]:
    """Return the names that an option's constant may have: `lr`, or `scheduler_factor`."""
    *_, above, name = ("", *option.lower().split("."))
    stem = above.removesuffix("_params").removesuffix("_config")
    # Which of them normalises, is one constant.
    return {name, f"{stem}_{name}", *(["norm"] if name in ("batchnorm", "layernorm") else [])}


def all_options(resolved: Path, own: str | None) -> dict[str, Any]:
    """Return all options by their dotted keys, as one point, or one stage, has them."""
    tables = tomllib.loads(resolved.read_bytes().decode())
    lacks: list[str] = []
    for row in (*tables.pop("points", ()), *tables.pop("stages", ())):
        if row["identity"] == own:
            lacks = row["lacks"]
            for name, value in (row["values"] | row["follow"]).items():
                lay_over(tables, name.split("."), value)
    options = {name: value for name, value in flat(tables) if name not in lacks}
    return {n: v for n, v in options.items() if not n.startswith(("build.", "sweep_config."))}


def lay_over(table: Any, key: list[str], value: Any) -> None:
    """Put an option in its place in tables, and in lists of tables by its index."""
    name, *below = key
    if isinstance(table, list):
        lay_over(table[int(name)], below, value)
    elif below and isinstance(table.get(name, {}), dict | list):
        lay_over(table.setdefault(name, {}), below, value)
    else:
        # A name may hold dots, such as that of a file.
        table[".".join(key)] = value


def flat(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a table by their dotted keys.

    A table of something else, such as of files, is the value of one option.
    """
    for name, value in table.items():
        if isinstance(value, dict) and value and all(key.isidentifier() for key in value):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values; nan and inf become null, which JSON has instead."""
    text = json.dumps(content, indent=1, default=str, allow_nan=True)
    clean = json.loads(text, parse_constant=lambda _: None)
    write_atomically(path, (json.dumps(clean, indent=1) + "\n").encode())
