"""MLflow's store below `save_dir`: its address, how it begins, and its places after a move."""

import atexit
import re
import shlex
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from parts.machinery.reasons import masked_reason

STORE_FILE = "mlflow.db"
# Where MLflow keeps files: of an experiment, or of one of its runs.
PLACE = re.compile(r"(?:file:/|/).*/mlruns/artifacts/([^/]+(?:/[^/]+/artifacts)?)")
# Seconds after which nobody is still making a store.
ABANDONED = 3600.0


def address(folder: Path, name: str = STORE_FILE) -> str:
    """Return the address of a SQLite file in a folder."""
    path = folder / name
    # MLflow and SQLAlchemy take these for parts of an address, each in its own way.
    return f"sqlite:///{plain_folder(folder) / name if set('?%#') & set(str(path)) else path}"


@cache
def plain_folder(folder: Path) -> Path:
    """Return another way to a folder, without odd letters, until this process ends."""
    place = Path(tempfile.mkdtemp(prefix="mlruns-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "store").symlink_to(folder, target_is_directory=True)
    return place / "store"


def initialised_store(folder: Path) -> str:
    """Return the URI of the SQLite store in `folder`, which appears there whole or not at all.

    Several processes that create one at once fail on each other's tables (mlflow #979, #12259), and
    one that is killed leaves half of them.
    """
    from mlflow import MlflowClient

    place = folder / STORE_FILE
    folder.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        new = f".{STORE_FILE}.{uuid4().hex}"
        try:
            uri = address(folder, new)
            MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
            # The first process wins; the others find its store.
            with suppress(FileExistsError):
                place.hardlink_to(folder / new)
        finally:
            remove_left(folder, new)
    put_right(folder)
    return address(folder)


def remove_left(folder: Path, new: str) -> None:
    """Remove a store that was made on the side, and those of processes that were killed."""
    for path in folder.glob(f".{STORE_FILE}.*"):
        with suppress(FileNotFoundError):
            if path.name.startswith(new) or time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def put_right(folder: Path) -> None:
    """Have a store that was moved name the files where they are now: MLflow keeps absolute places.

    Raises `sqlite3.Error`.
    """
    here = (folder / "artifacts").as_uri()
    columns = (
        ("experiments", "experiment_id", "artifact_location"),
        ("runs", "run_uuid", "artifact_uri"),
    )
    with closing(sqlite3.connect(folder / STORE_FILE, timeout=30)) as store, store:
        for table, key, column in columns:
            rows = store.execute(f"SELECT {key}, {column} FROM {table}").fetchall()  # noqa: S608
            found = [(PLACE.fullmatch(place or ""), row, place) for row, place in rows]
            moved = [
                (f"{here}/{m[1]}", row) for m, row, old in found if m and old != f"{here}/{m[1]}"
            ]
            store.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", moved)  # noqa: S608


def check(folder: Path) -> None:
    """Raise what MLflow does if it cannot use a store."""
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=address(folder)).search_experiments(max_results=1)


def advice(error: BaseException, folder: Path) -> str:
    """Return why a store cannot be used, with the commands that MLflow names, for this store."""
    said = masked_reason(error)
    store = shlex.quote(f"sqlite:///{folder / STORE_FILE}")
    if "<database_uri>" in said:
        return said.replace("<database_uri>", store)
    if "locate revision" in said:
        return f"{said}: {folder / STORE_FILE} is of a newer MLflow than the one that is installed"
    return said
