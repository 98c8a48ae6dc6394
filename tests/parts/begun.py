"""Runs that have begun, for tests of what a run is given to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _tracking_store_registry

from parts.datasets import Dataset
from parts.machinery.code import Code, digest_of
from parts.machinery.launches import Run, Script, Seed
from parts.machinery.places import digest
from parts.machinery.records import Record
from parts.machinery.runs import RunFolder

# What a script that has no parts beside it was compiled with.
ALONE = digest_of({})


def script(folder: Path, **changed: Any) -> Script:
    """Return what a script in a folder says of itself; its runs lie below the folder."""
    file = folder / "train_signal.py"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('"""Train."""\n')
    said: dict[str, Any] = {
        "file": str(file),
        "parts": ALONE,
        "spec_folder": ".",
        "constants": {"lr": 0.1, "seed": 1},
        "dataset": Dataset((), ()),
        "experiment_name": "toy",
        "run_name": "first",
        "save_dir": "logs",
        "tracker_path": "results",
        "float32_matmul_precision": "high",
        "seed": 1,
    }
    return Script(**said | changed)


def begin(folder: Path, **changed: Any) -> Run:
    """Return a run whose folders are there, as its first task sees it."""
    said = script(folder, **changed)
    place = RunFolder(said.place(said.save_dir) / said.experiment_name / said.run_name)
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    sha = digest(Path(said.file))
    name = Path(said.file).name
    return Run(
        said,
        Code(
            Path(said.file), sha, digest_of({name: sha}), (), {name: Path(said.file).read_bytes()}
        ),
        place,
        Record(place.record),
        ThreadPoolExecutor(max_workers=1),
        files={},
        parents={},
        seed=Seed(3, deterministic=False),
        under_srun=False,
    )


def forget_stores() -> None:
    """Have MLflow open its stores anew, as another process would."""
    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    SqlAlchemyStore._engine_map.clear()
