"""Runs that a start from another folder has begun, where no variable says where runs go."""

import os
from collections.abc import Iterable
from pathlib import Path

from parts.machinery.places import FALLBACKS


def elsewhere(place: str, run: Path, homes: Iterable[Path]) -> list[str]:
    """Return what is to be said of a run that lies at `run`, and in other folders besides.

    `place` is the spec's word for the folder of runs; `homes` are folders from which somebody may
    have started, as are those above the current one.
    """
    names = [n for n in FALLBACKS if place.startswith(f"${{{n}}}") and n not in os.environ]
    here = Path.cwd()
    if not names or run.joinpath("run.json").exists() or not run.is_relative_to(here):
        return []
    notes = []
    for home in dict.fromkeys([*here.parents, *homes]):
        other = home / run.relative_to(here)
        if home != here and other.joinpath("run.json").exists():
            state = "is finished" if other.joinpath("done").exists() else "has begun"
            notes.append(
                f"{run.name} {state} elsewhere: {other}; {names[0]}={home / FALLBACKS[names[0]]}"
                f" is where that goes on, and here it begins anew"
            )
    return notes
