"""What a tracker is told of a combination: an entry beside those of the runs that it combines."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from parts.combinations import Combined
from parts.machinery.backends import (
    Backend,
    CometBackend,
    Mirror,
    MlflowBackend,
    is_mirrored,
)
from parts.machinery.fold_runs import TrainedFold
from parts.machinery.records import Record, parsed
from parts.machinery.runs import RunFolder

# Where Comet's key is, and the project; none: MLflow is the tracker.
Comet = tuple[str, str | None] | None


def tell_tracker(
    run: Path,
    combined: Combined,
    trained: Sequence[TrainedFold],
    pictures: Sequence[Path],
    comet: Comet,
) -> None:
    """Send metrics and plots to the tracker, as far as it answers.

    New ones get an entry of their own, and what an earlier combination has sent stays as it is. Of
    the same ones, it gets what it lacks.
    """
    folder = RunFolder(run)
    # By `metrics.jsonl`, others would take the folder for that of a run.
    folder.record = run / "combined.jsonl"
    metrics = recorded(combined)
    if not begins_with(folder.record, metrics):
        for path in (folder.record, folder.mirrored, run / "mlflow.json", run / "comet.json"):
            path.unlink(missing_ok=True)
        record = Record(folder.record)
        entries = [{"artifact": record.named(path)} for path in pictures]
        record.write_all(0, 0, [metrics, *entries])
        record.file.close()
    if not is_mirrored(folder):
        mirror = Mirror(folder, backend_of(folder, trained, comet))
        mirror.start()
        mirror.finish("FINISHED")


def recorded(combined: Combined) -> dict[str, float]:
    """Return metrics by the names that the tests of runs have, and what the folds say of them.

    A value that there is not is left out, as a tracker would.
    """
    means, spreads = (combined.table()[column] for column in ("mean of folds", "spread"))
    found: dict[str, float] = {}
    for name, value in combined.metrics.items():
        found[f"test_{name}"] = value
        found[f"test_{name}_uncertainty"] = combined.uncertainties[name]
        found[f"test_{name}_mean_of_folds"] = means[name]
        found[f"test_{name}_spread_of_folds"] = spreads[name]
    return {name: value for name, value in found.items() if math.isfinite(value)}


def begins_with(record: Path, metrics: Mapping[str, float]) -> bool:
    """Whether a record is there, and is that of these metrics."""
    lines = record.read_bytes().splitlines() if record.is_file() else []
    said = parsed(lines[0]) if lines else {}
    return {name: said[name] for name in said if name not in ("step", "epoch", "time")} == metrics


def backend_of(folder: RunFolder, trained: Sequence[TrainedFold], comet: Comet) -> Backend:
    """Return the tracker's backend."""
    experiment = folder.path.parent.name
    settings = {"folds": len(trained)}
    tags = {"combines": ", ".join(each.folder.name for each in trained)}
    if comet is None:
        return MlflowBackend(folder, folder.store, experiment, settings, tags)
    return CometBackend(*comet, experiment, folder, settings, tags)
