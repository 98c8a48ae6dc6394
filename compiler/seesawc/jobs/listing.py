"""Runs and how far they are -> a table for people, or plain values for programs."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, frozen

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.jobs import progress
from seesawc.jobs.progress import Progress
from seesawc.pipeline import Compiled
from seesawc.writing.runs import PlannedRun


@frozen
class Row:
    """A run of a spec and how far it is; `again` is the label of another attempt at it."""

    run: PlannedRun
    path: Path
    max_epochs: int
    monitor: str
    progress: Progress
    mode: Literal["min", "max"] = "min"
    again: str = ""


def rows(spec: Path, compiled: Compiled) -> tuple[list[Row], str]:
    """Return the runs of a spec, and what is to be said about where they lie."""
    folder, note = experiment_folder(spec, compiled)
    # A sweep's points may differ in what they judge by.
    experiments = compiled.points or (compiled.experiment,) * len(compiled.runs)
    trainings = [experiment.training_config for experiment in experiments]
    found = [
        Row(
            run,
            folder / run.name,
            training.max_epochs,
            training.shown,
            progress.read(folder / run.name, training.shown, training.monitor_mode),
            training.monitor_mode,
        )
        for run, training in zip(compiled.runs, trainings, strict=True)
    ]
    return found, note


def attempts(folder: Path, rows: Sequence[Row]) -> list[Row]:
    """Return the runs that `--again LABEL` has made of a spec's, in the folder of them all."""
    planned = {row.run.name: row for row in rows}
    found = []
    for name in names(folder):
        # A run's own name may have a + in it, as may a label.
        parts = [(name[: m.start()], name[m.end() :]) for m in re.finditer(r"\+", name)]
        plain = next(((base, label) for base, label in parts if label and base in planned), None)
        if plain is None or name in planned:
            continue
        row, path = planned[plain[0]], folder / name
        found.append(
            evolve(
                row,
                path=path,
                progress=progress.read(path, row.monitor, row.mode),
                again=plain[1],
            )
        )
    return found


def names(folder: Path) -> list[str]:
    """Return the names of the runs of an experiment, which its folder holds."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.name[:1] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CompileError(Diagnostic(f"cannot read {folder}: {error.strerror}")) from error


def experiment_folder(spec: Path, compiled: Compiled) -> tuple[Path, str]:
    """Return the folder of an experiment's runs, and what is to be said about that."""
    settings = compiled.experiment.experiment_config
    save_dir, note = progress.expand(settings.save_dir, spec.absolute().parent)
    return save_dir / settings.experiment_name, note


def order(rows: Sequence[Row], by: Literal["best", "index"], mode: str) -> list[Row]:
    """Return done runs, the best first, then running ones likewise, then the rest as numbered."""
    if by == "index":
        return sorted(rows, key=lambda row: (row.run.index, row.again))

    def key(row: Row) -> tuple[int, bool, float, int, str]:
        progress = row.progress
        rank = {"done": 0, "running": 1}.get(progress.state, 2)
        if rank == 2 or progress.best is None:
            return rank, True, 0.0, row.run.index, row.again
        best = progress.best if mode == "min" else -progress.best
        return rank, False, best, row.run.index, row.again

    return sorted(rows, key=key)


def table(rows: Sequence[Row]) -> str:
    """Draw aligned columns: state, epoch, best value, swept options, path; then the totals."""
    keys = list(dict.fromkeys(key for row in rows for key in row.run.values))
    monitors = {row.monitor for row in rows}
    best = f"best {min(monitors)}" if len(monitors) == 1 else "best"
    titles = ["state", "epoch", best, *_titles(keys), "path"]
    lines = [titles, *(_cells(row, keys) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join(drawn + [totals(rows)] * (len(rows) > 1))


def totals(rows: Sequence[Row]) -> str:
    """Return how many runs are in each state, such as "3 done, 1 running"."""
    counts = Counter(row.progress.state for row in rows).most_common()
    return ", ".join(f"{count} {state}" for state, count in counts)


def records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the same as plain values, and what a table has no room for."""
    return [
        {
            "index": row.run.index,
            "name": row.path.name,
            "again": row.again,
            "identity": row.run.identity,
            "state": row.progress.state,
            "reason": row.progress.reason,
            "epoch": row.progress.epoch,
            "max_epochs": row.max_epochs,
            "monitor": row.monitor,
            "best": row.progress.best,
            "values": dict(row.run.values),
            "jobs": list(row.progress.jobs),
            "path": str(row.path),
        }
        for row in rows
    ]


def _titles(keys: Sequence[str]) -> list[str]:
    """Return the last part of each option's key, or the whole where two would have one title."""
    last = [key.rpartition(".")[2] for key in keys]
    counts = Counter(last)
    return [name if counts[name] == 1 else key for name, key in zip(last, keys, strict=True)]


def _cells(row: Row, keys: Sequence[str]) -> list[str]:
    progress = row.progress
    return [
        progress.state,
        f"{progress.epoch}/{row.max_epochs}" if progress.epoch else "-",
        "-" if progress.best is None else f"{progress.best:.6g}",
        *(str(row.run.values[key]) if key in row.run.values else "-" for key in keys),
        str(row.path),
    ]
