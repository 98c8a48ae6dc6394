"""What a run ends with: a table for the reader, and a file for programs."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from parts.places import write_atomically


def report(metrics: dict[str, dict[str, float]], places: dict[str, Path | str | None]) -> None:
    """Print metrics (split, name) side by side, and where to look."""
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    width = max(map(len, names))
    print(f"\n{'':{width}}  " + "".join(f"{split:>12}" for split in metrics))
    for name in names:
        row = (values.get(name) for values in metrics.values())
        print(f"{name:{width}}  " + "".join(f"{'' if v is None else f'{v:.4f}':>12}" for v in row))
    print()
    for name, place in places.items():
        print(f"{name:12}{place}")


def all_settings(constants: dict[str, Any], resolved: Path) -> dict[str, Any]:
    """Return the script's constants, and all options by table where `resolved.toml` lies beside."""
    if not resolved.exists():
        return constants
    options = pd.json_normalize(tomllib.loads(resolved.read_text())).iloc[0].to_dict()
    named = {str(name): value for name, value in options.items()}
    return {**constants, **{n: value for n, value in named.items() if not n.startswith("build.")}}


def own_settings(
    constants: dict[str, Any], resolved: Path, table: str, identity: str
) -> dict[str, Any]:
    """Return the script's constants and all options as one point, or one stage, has them."""
    settings = all_settings(constants, resolved)
    for point in settings.pop(table, ()):
        if point["identity"] == identity:
            settings |= point["values"] | point["follow"]
            settings = {n: value for n, value in settings.items() if n not in point["lacks"]}
    return {n: value for n, value in settings.items() if not n.startswith("sweep_config.")}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values; nan and inf become null, which JSON has instead."""
    text = json.dumps(content, indent=1, default=str, allow_nan=True)
    clean = json.loads(text, parse_constant=lambda _: None)
    write_atomically(path, (json.dumps(clean, indent=1) + "\n").encode())
