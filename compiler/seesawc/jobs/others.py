"""Runs that a spec does not name: of earlier builds, or begun from other folders."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from seesawc.jobs import progress
from seesawc.jobs.listing import Row, names
from seesawc.pipeline import Compiled

SHOWN = 3


def notes(spec: Path, folder: Path, compiled: Compiled, rows: Sequence[Row]) -> list[str]:
    """Return where runs are to be seen that somebody may miss; nothing once one of `rows` began.

    `folder` is the generated one, from where scripts may have been started.
    """
    if any(row.progress.state not in ("not started", "submitted") for row in rows):
        return []
    save_dir = compiled.experiment.experiment_config.save_dir
    homes = (folder.resolve(), *folder.resolve().parents, spec.resolve().parent)
    found = [note for row in rows for note in _elsewhere(save_dir, row.path, homes)][:SHOWN]
    known, place = {row.path.name for row in rows}, rows[0].path.parent
    states = {n: progress.marked(place / n)[0] for n in names(place) if n not in known}
    others = {name: state for name, state in states.items() if state != "not started"}
    if others:
        counts = ", ".join(f"{count} {state}" for state, count in Counter(others.values()).items())
        last = ", ".join(list(others)[-SHOWN:])
        found.append(f"{place} has other runs, of other builds or specs: {counts} ({last})")
    return found


def _elsewhere(save_dir: str, run: Path, homes: Iterable[Path]) -> list[str]:
    """Return where a run lies besides, as its script says it that is started here."""
    fallbacks = progress.FALLBACKS.items()
    unset = [(n, p) for n, p in fallbacks if save_dir.startswith(f"${{{n}}}")]
    here = Path.cwd()
    if not unset or unset[0][0] in os.environ or not run.is_relative_to(here):
        return []
    (name, place), inner = unset[0], run.relative_to(here)
    folders = (home for home in dict.fromkeys([*here.parents, *homes]) if home != here)
    return [
        f"{home / inner} is {state}; {name}={home / place} shows it"
        for home in folders
        if (state := progress.marked(home / inner)[0]) != "not started"
    ]
