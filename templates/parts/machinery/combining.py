"""What the combination of a cross-validation leaves: metrics, plots, and all its networks."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from parts.combinations import Combined
from parts.machinery.arguments import shown
from parts.machinery.combined_records import Comet, tell_tracker
from parts.machinery.deployments import write_deployment
from parts.machinery.exits import DONE, RefusedError, obey
from parts.machinery.fold_runs import TrainedFold
from parts.machinery.locks import Lock
from parts.machinery.parents import attempt
from parts.machinery.places import remove_unfinished
from parts.machinery.reports import measurement, report, write_json
from parts.machinery.sweeps import in_turn
from parts.plot_labels import Label, write_above
from parts.plots import FINAL, save_figures

# Which says that all else is there, too.
COMBINED_METRICS = "metrics.json"


def leave_combined(
    combined: Combined,
    trained: Sequence[TrainedFold],
    figures: Mapping[str, Figure],
    folder: Path,
    plots: Path,
    source: Path,
    label: Label | None = None,
    comet: Comet = None,
) -> int:
    """Write metrics, plots and networks, print a table, tell the tracker; return the exit status.

    `folder` gets the metrics, and deploy/, with what `source` has to apply the networks; `label`
    is what stands above plots.
    """
    obey()
    with kept_from_others(folder):
        networks = {f"model_{n}.onnx": each.network.read_bytes() for n, each in enumerate(trained)}
        numbers = folder / COMBINED_METRICS
        # Whoever finds it finds all that it tells of.
        numbers.unlink(missing_ok=True)
        deployed = write_deployment(source, folder, networks)
        write_above(figures, label)
        pictures = save_figures(figures, plots, FINAL)
        obey()
        write_json(numbers, plain_values(combined, trained, networks))
        tracker: Path | str = folder.parents[1] / "mlruns" if comet is None else "Comet"
        places = {"numbers": numbers, "deployed": deployed, "plots": plots, "tracker": tracker}
        errors = {"all events": combined.uncertainties}
        report(combined.table(), errors, combined.remarks(), places)
        tell_tracker(folder, combined, trained, pictures, comet)
    return DONE


def combine_all(
    script: Path, points: dict[str, dict[str, Any]], experiment: Path, again: str
) -> int:
    """Combine points one after another, each in a process of its own; return the exit status.

    Those that are whole are compared, the best one first.
    """
    status, statuses = in_turn(script, points)
    found = []
    for identity in (name for name, ended in statuses.items() if ended == DONE):
        path = experiment / attempt(points[identity]["combined"], again) / COMBINED_METRICS
        said = json.loads(path.read_bytes())
        value, error, spread_of_folds = (
            math.nan if number is None else number
            for number in (
                said["metrics"]["all events"]["auc"],
                said["uncertainties"]["all events"]["auc"],
                said["metrics"]["spread"]["auc"],
            )
        )
        row = f"{measurement(value, error):20}{spread_of_folds:<10.4f}"
        found.append((-value, f"{row}{shown(identity, points[identity])}"))
    if found:
        print(f"\n{'auc of all events':20}{'spread':10}")
        print("\n".join(row for _, row in sorted(found, key=lambda each: each[0])))
    return status


@contextmanager
def kept_from_others(folder: Path) -> Iterator[None]:
    """Make a folder that this process alone writes to; raises `RefusedError` where it cannot."""
    if (folder / "run.json").exists():
        raise RefusedError(f"{folder} is a run's; change run_name of one of the two specs")
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder / "lock")
    try:
        lock.take()
    except RefusedError as error:
        raise RefusedError(
            f"{folder} is in use by {error}; if that is dead, remove {lock.path}"
        ) from None
    try:
        remove_unfinished(folder)
        lock.tidy()
        yield
    finally:
        lock.release()


def plain_values(
    combined: Combined, trained: Sequence[TrainedFold], networks: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return what was combined, and what it says, for JSON."""
    folds = [
        {
            "run": each.folder.name,
            "script": each.script,
            "network": name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "events": len(events.label),
            "metrics": dict(each.test),
        }
        for each, events, (name, content) in zip(
            trained, combined.folds, networks.items(), strict=True
        )
    ]
    return {
        "events": len(combined.outputs.label),
        "metrics": {name: dict(values) for name, values in combined.table().items()},
        "uncertainties": {"all events": dict(combined.uncertainties)},
        "folds": folds,
    }
