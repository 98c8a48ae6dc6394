"""Mirrors of the record: a real MLflow store read back, Comet archives opened, and outages."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from parts.machinery.backends import (
    CometBackend,
    Mirror,
    MlflowBackend,
    clean_key,
    is_mirrored,
)
from parts.machinery.exits import RefusedError
from parts.machinery.records import Record
from parts.machinery.runs import RunFolder
from parts.machinery.stores import initialised_store

PICTURE = b"\x89PNG\r\n\x1a\n"
SETTINGS = {"max_epochs": 3, "classes": ("B", "S"), "long": "x" * 7000, "none": None}
TAGS = {"script": "a" * 64, "commit": "abc", "seed": "1"}
SECRET = "SENTINEL0KEY0VALUE"  # noqa: S105


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that several tests share, each with an experiment of its own."""
    folder = tmp_path_factory.mktemp("save_dir") / "mlruns"
    initialised_store(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    return folder


def backend(folder: RunFolder, store: Path, **settings: Any) -> MlflowBackend:
    return MlflowBackend(folder, store, folder.path.parent.name, SETTINGS | settings, TAGS)


def mirror(folder: RunFolder, store: Path, status: str = "FINISHED") -> None:
    # However busy the machine is.
    thread = Mirror(folder, backend(folder, store), patience=120)
    thread.start()
    thread.finish(status)


def client(store: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")


def only_run(folder: RunFolder, store: Path) -> Run:
    experiment = client(store).get_experiment_by_name(folder.path.parent.name)
    assert experiment is not None
    (run,) = client(store).search_runs([experiment.experiment_id])
    return run


def keep_code(folder: RunFolder, record: Record) -> None:
    """Keep the code that runs, as a run does, and name it in the record."""
    kept = folder.path.with_name(".code") / "digest"
    for name in ("train.py", "parts/inputs.py", "run"):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_text(name)
    record.write(0, 0, artifact=str(kept))


CODE = {"code/train.py", "code/parts/inputs.py", "code/run"}


def points(folder: RunFolder, store: Path, name: str) -> list[tuple[int, float]]:
    run = only_run(folder, store)
    history = client(store).get_metric_history(run.info.run_id, name)
    return [(metric.step, metric.value) for metric in history]


def write_epoch(folder: RunFolder, record: Record, epoch: int) -> None:
    record.write(epoch * 10, epoch, train_loss=1 / epoch, val_auc=float("nan"))
    path = folder.path / f"epoch_{epoch:04d}" / "roc.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PICTURE)
    record.write(epoch * 10, epoch, artifact=str(path))


def test_an_mlflow_store_holds_what_the_record_does(folder: RunFolder, store: Path) -> None:
    record = Record(folder.record)
    (folder.path / "resolved.toml").write_text("a = 1")
    record.write(0, 0, artifact=str(folder.path / "resolved.toml"))
    keep_code(folder, record)
    for epoch in (1, 2):
        write_epoch(folder, record, epoch)
    mirror(folder, store)
    run = only_run(folder, store)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params == {n: str(v)[:6000] for n, v in SETTINGS.items()}
    assert run.data.tags.items() >= TAGS.items()
    assert run.data.metrics.keys() == {"train_loss"}
    assert points(folder, store, "train_loss") == [(10, 1.0), (20, 0.5)]
    artifacts = store / "artifacts" / folder.path.parent.name / run.info.run_id / "artifacts"
    found = {str(p.relative_to(artifacts)) for p in artifacts.rglob("*") if p.is_file()}
    assert found == {"run/resolved.toml", "epoch_0001/roc.png", "epoch_0002/roc.png", *CODE}
    assert (artifacts / "epoch_0001" / "roc.png").read_bytes() == PICTURE


def test_settings_that_have_changed_are_tags_and_do_not_end_the_tracking(
    folder: RunFolder, store: Path
) -> None:
    """A run that has no checkpoint may begin anew with another script."""
    write_epoch(folder, Record(folder.record), 1)
    backend(folder, store, lr=0.1, kind="a").open()
    for lr in (0.2, 0.1):
        backend(folder, store, lr=lr, kind="a", new=1).open()
        data = only_run(folder, store).data
        assert (data.params["lr"], data.params["new"]) == ("0.1", "1")
        changed = {n: value for n, value in data.tags.items() if n.startswith("changed")}
        # Also if it has changed back.
        assert changed == {"changed.lr": str(lr)}
    mirror(folder, store)
    assert only_run(folder, store).info.status == "FINISHED"


def test_there_may_be_more_settings_than_mlflow_takes_at_once(
    folder: RunFolder, store: Path
) -> None:
    many = {f"option_{i}": i for i in range(230)}
    for _ in range(2):
        backend(folder, store, **many).open()
        params = only_run(folder, store).data.params
        assert {name: params[name] for name in many} == {n: str(i) for n, i in many.items()}
    backend(folder, store, **dict.fromkeys(many, -1)).open()
    tags = only_run(folder, store).data.tags
    assert {tags[f"changed.{name}"] for name in many} == {"-1"}


def test_a_later_start_goes_on_with_the_same_entry(folder: RunFolder, store: Path) -> None:
    record = Record(folder.record)
    write_epoch(folder, record, 1)
    mirror(folder, store, "KILLED")
    assert only_run(folder, store).info.status == "KILLED"
    later = backend(folder, store)
    later.open()
    assert only_run(folder, store).info.status == "RUNNING"
    write_epoch(folder, record, 2)
    mirror(folder, store)
    assert only_run(folder, store).info.status == "FINISHED"
    assert points(folder, store, "train_loss") == [(10, 1.0), (20, 0.5)]


@pytest.mark.parametrize("kept", ["nothing", "little", "all"])
def test_a_step_is_there_once_if_its_sender_was_killed_and_the_run_went_back(
    folder: RunFolder, store: Path, kept: str
) -> None:
    record, progress = Record(folder.record), folder.path / "mirrored.json"
    write_epoch(folder, record, 1)
    size = record.size()
    mirror(folder, store, "KILLED")
    before = progress.read_text()
    write_epoch(folder, record, 2)
    mirror(folder, store, "KILLED")
    # It was killed after it had sent something and before it noted that.
    if kept == "nothing":
        progress.unlink()
    elif kept == "little":
        progress.write_text(before)
    record.cut(size)
    # Now at another time, as if it were another point.
    for epoch in (2, 3):
        write_epoch(folder, record, epoch)
    mirror(folder, store)
    assert points(folder, store, "train_loss") == [(10, 1.0), (20, 0.5), (30, 1 / 3)]


def test_an_end_that_could_not_be_told_again_is_told_by_the_next_start(
    folder: RunFolder,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Record(folder.record)
    mirror(folder, store)
    assert is_mirrored(folder)

    def fail(_: MlflowBackend, status: str) -> None:
        raise OSError(status)

    with monkeypatch.context() as broken:
        broken.setattr(MlflowBackend, "close", fail)
        mirror(folder, store)
    assert "the tracker does not know how the run ended; --sync says it" in capsys.readouterr().out
    assert only_run(folder, store).info.status == "RUNNING"
    assert not is_mirrored(folder)
    mirror(folder, store)
    assert only_run(folder, store).info.status == "FINISHED"
    assert is_mirrored(folder)
    # What is no longer there cannot be lacking.
    folder.record.unlink()
    assert is_mirrored(folder)


class Lines:
    """A backend that keeps what it is sent."""

    silence = 60.0

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, float]] = []

    def load(self) -> None:
        """Need nothing."""

    def open(self) -> bool:
        """Need nothing."""
        return False

    def last_steps(self) -> dict[str, int]:
        """Know nothing."""
        return {}

    def reason(self, error: Exception) -> str:
        """Say what it says."""
        return str(error)

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Keep the metrics."""
        for entry in entries:
            self.sent += [(entry["step"], n, v) for n, v in entry["metrics"].items()]

    def close(self, status: str) -> None:
        """Need nothing."""


class Closed(Lines):
    """A backend that cannot be told how a run ended."""

    def close(self, status: str) -> None:
        raise ConnectionError(status)


def test_a_finished_run_is_mirrored_once_its_tracker_has_all_and_knows_the_end(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Record(folder.record)
    record.write(1, 1, loss=0.5)
    assert not is_mirrored(folder)
    for kept, status, mirrored in (
        (Lines(), "KILLED", False),
        (Closed(), "FINISHED", False),
        (Lines(), "FINISHED", True),
    ):
        thread = Mirror(folder, kept)
        thread.start()
        thread.finish(status)
        assert is_mirrored(folder) == mirrored
        told = "the tracker does not know how the run ended; --sync" in capsys.readouterr().out
        assert told == isinstance(kept, Closed)
    # It has gone on.
    record.write(2, 1, loss=0.4)
    assert not is_mirrored(folder)


class Begun(Lines):
    """A backend that says when it began."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def load(self) -> None:
        """Say so."""
        self.begun.set()


def test_a_tracker_begins_with_what_the_run_measures(folder: RunFolder) -> None:
    record, kept = Record(folder.record), Begun()
    # Of an earlier start, which this one may cut off.
    record.write(1, 1, loss=0.5)
    thread = Mirror(folder, kept, unmeasured=3600.0)
    thread.start()
    record.write(0, 0, artifact="code")
    assert not kept.begun.wait(0.5)
    record.write(2, 1, loss=0.4)
    assert kept.begun.wait(60.0)
    assert thread.finish("FINISHED")


def test_a_tracker_learns_of_a_run_that_takes_long_to_begin(folder: RunFolder) -> None:
    Record(folder.record)
    kept = Begun()
    thread = Mirror(folder, kept, unmeasured=0.2)
    thread.start()
    assert kept.begun.wait(60.0)
    assert thread.finish("FINISHED")


def test_a_tracker_is_told_how_a_run_ended_that_has_measured_nothing(folder: RunFolder) -> None:
    Record(folder.record).write(0, 0, artifact="code")
    thread = Mirror(folder, Lines(), unmeasured=3600.0)
    thread.start()
    assert thread.finish("FINISHED")
    assert is_mirrored(folder)


@pytest.mark.parametrize("regrown", [0, 1, 2, 3, 10])
def test_a_record_that_went_back_is_sent_without_gaps_or_repeats(
    folder: RunFolder, regrown: int
) -> None:
    record, kept = Record(folder.record), Lines()
    record.write(1, 1, loss=0.5)
    size = record.size()
    for step in (2, 3):
        record.write(step, 1, loss=1 / step)
    thread = Mirror(folder, kept)
    thread.send()
    assert [step for step, *_ in kept.sent] == [1, 2, 3]
    # The run is started again: the mirror begins before the checkpoint cuts the record.
    later = Mirror(folder, kept)
    record.cut(size)
    for step in range(2, 2 + regrown):
        # Longer lines: the mirror's old place is now within one.
        record.write(step, 1, loss=1 / step, extra_metric_of_another_length=0.125)
    later.send()
    later.send()
    losses = [step for step, name, _ in kept.sent if name == "loss"]
    assert losses == [1, 2, 3, *range(4, 2 + regrown)]


def test_steps_that_stand_twice_in_the_record_are_sent_once(folder: RunFolder) -> None:
    # A run that was killed before its first checkpoint begins anew.
    record, kept = Record(folder.record), Lines()
    for _ in range(2):
        record.write(1, 1, loss=0.5)
        record.write(2, 1, loss=0.4)
    Mirror(folder, kept).send()
    assert kept.sent == [(1, "loss", 0.5), (2, "loss", 0.4)]


def test_half_a_line_is_left_for_later(folder: RunFolder) -> None:
    record, kept = Record(folder.record), Lines()
    record.write(1, 1, loss=0.5)
    whole = folder.record.read_text()
    folder.record.write_text(whole + whole.replace('"step": 1', '"step": 2')[:20])
    thread = Mirror(folder, kept)
    thread.send()
    folder.record.write_text(whole + whole.replace('"step": 1', '"step": 2'))
    thread.send()
    assert kept.sent == [(1, "loss", 0.5), (2, "loss", 0.5)]


def test_an_artifact_that_is_gone_does_not_hold_up_the_rest(
    folder: RunFolder, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Record(folder.record)
    write_epoch(folder, record, 1)
    (folder.path / "epoch_0001" / "roc.png").unlink()
    write_epoch(folder, record, 2)
    mirror(folder, store)
    assert points(folder, store, "train_loss") == [(10, 1.0), (20, 0.5)]
    assert "warning" not in capsys.readouterr().out


def test_an_entry_that_a_killed_start_had_begun_is_the_runs(folder: RunFolder, store: Path) -> None:
    Record(folder.record)
    mirror(folder, store, "KILLED")
    # It was killed before it noted which one it is.
    identity = folder.path / "mlflow.json"
    known = json.loads(identity.read_text())
    identity.write_text(json.dumps({"key": known["key"]}))
    mirror(folder, store)
    assert only_run(folder, store).info.run_id == known["run_id"]


DAMAGED = (b"", b'{"key": ', b"[]", b"7", b"\xff\x00", b'{"key": 1, "run_id": 2}', b"{}")


def test_what_is_noted_of_a_tracker_may_be_lost(folder: RunFolder, store: Path) -> None:
    """The entry is found again, and has each step once."""
    record = Record(folder.record)
    for epoch, content in enumerate(DAMAGED, 1):
        write_epoch(folder, record, epoch)
        mirror(folder, store, "KILLED")
        for path in (folder.mirrored, folder.path / "mlflow.json"):
            path.write_bytes(content)
    mirror(folder, store)
    expected = [(10 * epoch, 1 / epoch) for epoch in range(1, len(DAMAGED) + 1)]
    assert points(folder, store, "train_loss") == expected


@pytest.mark.parametrize(
    "said",
    [{"offset": -5}, {"offset": "1"}, {"offset": 10**9, "last": "x"}, {"steps": {"a": "b"}},
     {"steps": 5, "status": ""}, {"offset": True}, {"last": 7}],
)  # fmt: skip
def test_how_far_a_tracker_is_may_be_damaged(folder: RunFolder, said: dict[str, Any]) -> None:
    start = {"offset": 0, "last": "", "steps": {}, "status": "FINISHED"}
    folder.mirrored.write_text(json.dumps(start | said))
    record, kept = Record(folder.record), Lines()
    record.write(1, 1, loss=0.5)
    with folder.record.open("ab") as file:
        file.write(b'\xff\x00\n[]\n{"step": 1, "epoch": 1, "time": 1, "loss": "x", "a": 2}\n')
    thread = Mirror(folder, kept)
    thread.send()
    record.write(2, 1, loss=0.25)
    thread.send()
    assert kept.sent == [(1, "loss", 0.5), (1, "a", 2.0), (2, "loss", 0.25)]


@pytest.mark.parametrize("gone", ["deleted", "elsewhere"])
def test_an_entry_that_is_gone_is_rebuilt_from_the_record(
    folder: RunFolder, store: Path, gone: str
) -> None:
    record = Record(folder.record)
    for epoch in (1, 2):
        write_epoch(folder, record, epoch)
    mirror(folder, store)
    first = only_run(folder, store).info.run_id
    if gone == "deleted":
        client(store).delete_run(first)
    else:
        noted = folder.path / "mlflow.json"
        noted.write_text(json.dumps(json.loads(noted.read_text()) | {"run_id": "0" * 32}))
        client(store).set_tag(first, "key", "anothers")
        client(store).delete_run(first)
    mirror(folder, store)
    again = only_run(folder, store)
    assert again.info.run_id != first
    assert again.info.status == "FINISHED"
    assert points(folder, store, "train_loss") == [(10, 1.0), (20, 0.5)]
    plots = client(store).list_artifacts(again.info.run_id)
    assert [each.path for each in plots] == ["epoch_0001", "epoch_0002"]


def test_settings_get_names_that_mlflow_takes(folder: RunFolder, store: Path) -> None:
    Record(folder.record)
    odd = {"files.a(1)+b=c,d'.csv": 1, "files.a_1__b=c,d'.csv": 2, "/x/../y": 3, "../z": 4, "": 5}
    backend(folder, store, **odd).open()
    found = only_run(folder, store).data.params
    assert {found[name] for name in found if name not in SETTINGS} == {"1", "2", "3", "4", "5"}
    assert found["files.a_1__b_c_d_.csv"] == "1"
    # Those of a later start are the same ones.
    backend(folder, store, **odd).open()
    assert only_run(folder, store).data.params == found
    assert not [name for name in only_run(folder, store).data.tags if name.startswith("changed")]


def test_an_empty_address_is_none(
    folder: RunFolder, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " ")
    Record(folder.record)
    mirror(folder, store)
    assert only_run(folder, store).info.status == "FINISHED"


def test_a_server_that_takes_all_and_says_nothing_costs_five_seconds(
    folder: RunFolder, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        Record(folder.record)
        thread = Mirror(folder, backend(folder, store))
        thread.start()
        thread.join(1)
        began = time.monotonic()
        assert not thread.finish("FINISHED")
        assert time.monotonic() - began < 6


def test_a_tracker_whose_package_is_missing_costs_the_run_nothing(
    folder: RunFolder,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    Record(folder.record).write(1, 1, loss=0.5)
    thread = Mirror(folder, backend(folder, store))
    thread.start()
    assert not thread.finish("FINISHED")
    assert "the record has it all: import of mlflow halted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "key"), [(f"{SECRET}\r\n", SECRET), (f" {SECRET}", SECRET), (f"a\n{SECRET}", None)]
)
def test_a_key_with_stray_letters_is_cleaned_or_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, value: str, key: str | None
) -> None:
    monkeypatch.setenv("SITE_KEY", value)
    if key is not None:
        assert clean_key("SITE_KEY") == os.environ["SITE_KEY"] == key
    else:
        with pytest.raises(RefusedError, match="SITE_KEY holds no key of Comet's") as refusal:
            clean_key("SITE_KEY")
        assert SECRET not in str(refusal.value)


def test_parameters_are_logged_by_the_next_start_if_the_first_could_not(
    folder: RunFolder, store: Path
) -> None:
    experiment = client(store).create_experiment(folder.path.parent.name)
    run = client(store).create_run(experiment, run_name="run")
    (folder.path / "mlflow.json").write_text(json.dumps({"run_id": run.info.run_id}))
    Record(folder.record)
    mirror(folder, store)
    assert only_run(folder, store).data.params.keys() == SETTINGS.keys()


def test_a_store_is_there_whole_and_alone(tmp_path: Path, store: Path) -> None:
    initialised_store(store)
    assert [path.name for path in store.glob("*mlflow.db*")] == ["mlflow.db"]
    assert not list(store.glob(".*"))
    # Half a store, of a process that was killed, is in nobody's way.
    (tmp_path / ".mlflow.db.4711").write_bytes(b"half")
    uri = initialised_store(tmp_path)
    assert MlflowClient(tracking_uri=uri).search_experiments()


LACKS = "warning: the tracker lacks a part of the record; --sync sends it later"


def outage(folder: RunFolder, store: Path) -> Mirror:
    """Run through an outage; nobody waits for the tracker to answer, and the record is complete."""
    thread = Mirror(folder, backend(folder, store), patience=2)
    thread.start()
    record = Record(folder.record)
    for epoch in range(1, 31):
        record.write(epoch, epoch, train_loss=1 / epoch)
    thread.finish("FINISHED")
    assert not is_mirrored(folder)
    assert len(folder.record.read_text().splitlines()) == 30
    return thread


def test_a_locked_store_neither_stops_nor_stalls_and_gets_all_later(
    folder: RunFolder, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Record(folder.record)
    mirror(folder, store, "KILLED")
    with sqlite3.connect(store / "mlflow.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        thread = outage(folder, store)
        assert thread.is_alive()
        said = capsys.readouterr().out
        assert said.count("warning: ") == said.count(LACKS) == 1
        other.execute("ROLLBACK")
    # A process would be over by now; here, what waits for the lock comes to its end.
    thread.join()
    mirror(folder, store)
    assert points(folder, store, "train_loss") == [(n, 1 / n) for n in range(1, 31)]
    assert only_run(folder, store).info.status == "FINISHED"


def test_a_server_that_is_away_neither_stops_nor_stalls_and_the_store_gets_all_later(
    folder: RunFolder,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    Record(folder.record)
    outage(folder, store).join()
    said = capsys.readouterr().out
    assert said.count(LACKS) == 1
    assert said.count("warning: the tracker does not answer; the record has it all: ") == 1
    assert not (folder.path / "mirrored.json").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    mirror(folder, store)
    assert points(folder, store, "train_loss") == [(n, 1 / n) for n in range(1, 31)]


# Forks have in common what has been imported: that takes longer than what they do.
SCRIPT = """
import os
import sys
sys.path[:0] = sys.argv[1:3]
import test_backends
from pathlib import Path
forks = []
for paths in sys.argv[4:]:
    forks.append(os.fork())
    if forks[-1] == 0:
        getattr(test_backends, sys.argv[3])(*map(Path, paths.split(os.pathsep)))
        sys.exit()
sys.exit(any(os.waitpid(fork, 0)[1] for fork in forks))
"""


def in_processes(function: str, *calls: tuple[Path, ...], **variables: str) -> str:
    """Call a function of this file, each time in a process of its own, all at once."""
    here = Path(__file__).parent
    templates = here.parents[1] / "templates"
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(here), str(templates), function]
        + [os.pathsep.join(map(str, paths)) for paths in calls],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "warning" not in ended.stdout.lower()
    return ended.stdout


def write_and_mirror(path: Path, store: Path) -> None:
    """Be a run of its own in a process of its own."""
    folder = RunFolder(path)
    folder.path.mkdir(parents=True)
    write_epoch(folder, Record(folder.record), 1)
    mirror(folder, store)


def test_processes_that_begin_a_store_at_once_all_succeed(tmp_path: Path) -> None:
    store = tmp_path / "mlruns"
    names = [f"run{n}" for n in range(4)]
    in_processes("write_and_mirror", *((tmp_path / "exp" / name, store) for name in names))
    experiment = client(store).get_experiment_by_name("exp")
    assert experiment is not None
    found = client(store).search_runs([experiment.experiment_id])
    assert sorted(str(run.info.run_name) for run in found) == names
    assert all(run.data.metrics == {"train_loss": 1.0} for run in found)


def comet(path: Path) -> None:
    """Be a start of a run that Comet tracks."""
    folder = RunFolder(path)
    epoch = 2 if folder.record.exists() else 1
    folder.path.mkdir(parents=True, exist_ok=True)
    record = Record(folder.record)
    if epoch == 1:
        keep_code(folder, record)
    write_epoch(folder, record, epoch)
    settings = {"max_epochs": 3, "classes": ("B", "S"), "comet_key_variable": "SITE_KEY"}
    thread = Mirror(folder, CometBackend("SITE_KEY", "project", "h4l", folder, settings, TAGS))
    thread.start()
    thread.finish("KILLED" if epoch == 1 else "FINISHED")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[zipfile.ZipFile]]:
    """The archives of a run, and of its continuation; the key appears nowhere."""
    base = tmp_path_factory.mktemp("comet")
    git = ["git", "-C", str(base)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    url = f"https://user:{SECRET}@example.org/analysis"
    subprocess.run([*git, "remote", "add", "origin", url], check=True)
    variables = {
        "COMET_START_ONLINE": "0", "COMET_GIT_DIRECTORY": str(base), "SITE_KEY": f"{SECRET}\r\n",
    }  # fmt: skip
    here = set(Path.cwd().iterdir())
    paths: list[Path] = []
    for _ in range(2):
        assert SECRET not in in_processes(
            "comet", (base / "logs" / "h4l" / "h4l_MLP",), **variables
        )
        paths += [p for p in (base / "logs" / "cometml-runs").glob("*.zip") if p not in paths]
    # Where a script is started may be a repository.
    assert set(Path.cwd().iterdir()) == here
    for path in base.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            assert SECRET.encode() not in path.read_bytes()
    opened = [zipfile.ZipFile(path) for path in paths]
    assert not any(SECRET.encode() in z.read(name) for z in opened for name in z.namelist())
    yield opened
    for archive in opened:
        archive.close()


def messages(archive: zipfile.ZipFile, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, archive.read("messages.json").splitlines())
    return [line["payload"] for line in lines if line["type"] == kind]


def test_a_comet_archive_holds_what_the_record_does(archives: list[zipfile.ZipFile]) -> None:
    for epoch, archive in enumerate(archives, 1):
        metrics = [message["metric"] for message in messages(archive, "metric_msg")]
        ours = [metric for metric in metrics if metric["metricName"] != "process duration"]
        assert ours == [
            {
                "metricName": "train_loss",
                "metricValue": 1 / epoch,
                "step": 10 * epoch,
                "epoch": epoch,
            }
        ]
        files = messages(archive, "file_upload")
        (picture,) = (file for file in files if file["upload_type"] == "visualization")
        code = {file["additional_params"]["fileName"]: file for file in files if file != picture}
        assert code.keys() == (CODE if epoch == 1 else set())
        for name, file in code.items():
            assert archive.read(file["file_path"]).decode() == name.removeprefix("code/")
        assert archive.read(picture["file_path"]) == PICTURE
        assert picture["additional_params"]["figName"] == f"epoch_{epoch:04d}/roc.png"
        assert picture["additional_params"]["step"] == 10 * epoch


def test_a_comet_archive_holds_settings_and_names(archives: list[zipfile.ZipFile]) -> None:
    for archive, status in zip(archives, ("KILLED", "FINISHED"), strict=True):
        parameters = {}
        for message in messages(archive, "parameter_msg"):
            parameter = message.get("param") or message["params"]
            parameters[parameter["paramName"]] = parameter["paramValue"]
        expected = {"max_epochs": 3, "classes": ["B", "S"], "comet_key_variable": "SITE_KEY"}
        assert parameters.items() >= expected.items()
        others = {m["key"]: m["value"] for m in messages(archive, "log_other")}
        assert others.items() >= TAGS.items()
        assert (others["Name"], others["experiment_name"]) == ("h4l_MLP", "h4l")
        assert others["status"] == status


def test_a_restart_goes_on_with_the_same_comet_experiment(archives: list[zipfile.ZipFile]) -> None:
    first, second = (json.loads(archive.read("experiment.json")) for archive in archives)
    assert first["offline_id"] == second["offline_id"]
    assert len(first["offline_id"]) == 32
    assert first["project_name"] == "project"
    assert first["resume_strategy"] == "get_or_create"


def test_a_comet_key_that_is_not_set_costs_the_run_nothing(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SITE_KEY", raising=False)
    record = Record(folder.record)
    record.write(1, 1, loss=0.5)
    thread = Mirror(folder, CometBackend("SITE_KEY", None, "h4l", folder, {}, TAGS))
    thread.start()
    thread.finish("FINISHED")
    assert "the tracker does not answer" in capsys.readouterr().out
