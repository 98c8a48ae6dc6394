"""Specs as tables: changed, written to files, and compiled."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomlkit

from seesawc import pipeline
from seesawc.writing import outputs

# A spec as text, and where the tests of commands put it and what it becomes.
BASE = (Path(__file__).parent / "errors" / "base.toml").read_text(encoding="utf-8")
SPEC = Path("specs/h4l.toml")
FOLDER = Path("generated/h4l")


def merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables with options changed; None takes one out."""
    result = deepcopy(base)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(result.get(name, {}), value)
        else:
            result[name] = value
    return result


def edited(text: str, old: str, new: str) -> str:
    """Return a text with a part changed, which stands there once."""
    assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
    return text.replace(old, new)


def write_spec(path: Path, tables: Mapping[str, Any]) -> Path:
    """Write tables as a spec."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(tables))
    return path


def build(path: Path, tables: Mapping[str, Any]) -> Path:
    """Write tables as a spec and compile it as `seesawc build` does; return the folder."""
    write_spec(path, tables)
    folder = pipeline.output_folder(path)
    outputs.write(folder, pipeline.compile_spec(path, folder).files, force=False)
    return folder.resolve()
