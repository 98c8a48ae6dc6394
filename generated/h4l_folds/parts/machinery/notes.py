"""Small files in which a run notes what it is and how far it came; a disk may damage them."""

import json
from pathlib import Path
from typing import Any

from parts.machinery.exits import RefusedError


def noted(path: Path, **kinds: type) -> dict[str, Any]:
    """Return what a file of JSON says; nothing if it is damaged, which is said, or is not there.

    `kinds` are what it must say, by name. Raises `RefusedError` for what cannot be read at all.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RefusedError(f"cannot read {path}: {error.strerror}; move it away") from error
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and all(is_a(said.get(name), kind) for name, kind in kinds.items()):
        return said
    print(f"warning: {path} is damaged, and is taken as not there")
    return {}


def is_a(value: Any, kind: type) -> bool:
    """Whether a value is of a kind; true is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def identity_of(run: Path) -> dict[str, Any]:
    """Return what a run says that it is, from its folder; nothing before its first start.

    It is there twice, so that one of them may be lost.
    """
    for path in (run / "run.json", run / "checkpoints" / "run.json"):
        if said := noted(path, script=str, data=dict, seed=int):
            return said
    return {}
