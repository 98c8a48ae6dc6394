"""MLflow's store: made whole wherever it lies, and right about its files after a move."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from parts.machinery import stores
from parts.machinery.stores import advice, initialised_store
from tests.parts.begun import forget_stores


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests copy: to make one takes a while."""
    folder = tmp_path_factory.mktemp("save_dir") / "mlruns"
    initialised_store(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        shutil.copytree(whole, tmp_path / name / "mlruns")
        return tmp_path / name / "mlruns"

    return copy


def begin_run(folder: Path, file: Path) -> str:
    """Have a store keep a run with a file; return its id."""
    client = MlflowClient(tracking_uri=initialised_store(folder))
    found = client.get_experiment_by_name("toy")
    place = (folder / "artifacts" / "toy").as_uri()
    experiment = found.experiment_id if found else client.create_experiment("toy", place)
    run = str(client.create_run(experiment).info.run_id)
    client.log_artifact(run, str(file), "test")
    return run


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b+c", "a b"])
def test_a_store_lies_where_it_is_said_to(
    copied: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    folder = copied(name)
    file = tmp_path / "roc.png"
    file.write_text("x")
    begin_run(folder, file)
    assert [path.name for path in folder.glob("artifacts/toy/*/artifacts/test/*")] == ["roc.png"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [name]
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        assert store.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_store_that_was_moved_names_the_files_where_they_are(
    copied: Callable[[str], Path], tmp_path: Path
) -> None:
    file = tmp_path / "roc.png"
    file.write_text("x")
    old = copied("old")
    run = begin_run(old, file)
    # Places that are not the store's own stay as they are.
    with closing(sqlite3.connect(old / "mlflow.db")) as store, store:
        store.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage)"
            " VALUES ('foreign', 's3://bucket/mlruns/artifacts/x', 'active')"
        )
    new = tmp_path / "new folder"
    old.parent.rename(new)
    forget_stores()
    client = MlflowClient(tracking_uri=initialised_store(new / "mlruns"))
    assert [each.path for each in client.list_artifacts(run, "test")] == ["test/roc.png"]
    begin_run(new / "mlruns", file)
    assert not old.parent.exists()
    assert len(list(new.glob("mlruns/artifacts/toy/*/artifacts/test/roc.png"))) == 2
    foreign = client.get_experiment_by_name("foreign")
    assert foreign is not None
    assert foreign.artifact_location == "s3://bucket/mlruns/artifacts/x"


def test_what_a_store_was_made_of_is_removed_however_that_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, now = tmp_path / ".mlflow.db.4711", tmp_path / ".mlflow.db.4712"
    for path in (killed, now):
        path.write_bytes(b"half")
    os.utime(killed, (time.time() - 2 * stores.ABANDONED,) * 2)

    def fail(*_: object, tracking_uri: str) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_bytes(b"half")
        raise OSError("no")

    monkeypatch.setattr("mlflow.MlflowClient", fail)
    with pytest.raises(OSError, match="no"):
        initialised_store(tmp_path)
    assert list(tmp_path.iterdir()) == [now]


def test_a_store_of_another_version_is_told_with_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    said = advice(ValueError("out-of-date; run 'mlflow db upgrade <database_uri>' to"), folder)
    assert said == f"out-of-date; run 'mlflow db upgrade 'sqlite:///{folder}/mlflow.db'' to"
    newer = advice(ValueError("Can't locate revision identified by 'x'"), folder)
    assert "is of a newer MLflow than the one that is installed" in newer
