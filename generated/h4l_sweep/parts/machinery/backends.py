"""Tracker backends: MLflow and Comet, which copy the record and can never stop or stall a run."""

import json
import os
import os.path
import re
import threading
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from parts.machinery.code import KEPT
from parts.machinery.exits import RefusedError
from parts.machinery.notes import noted
from parts.machinery.places import write_atomically
from parts.machinery.reasons import masked_reason
from parts.machinery.records import parsed, placed
from parts.machinery.runs import RunFolder
from parts.machinery.stores import advice, initialised_store

# Seconds in which a server that lives answers something.
SILENCE = 5.0


class Backend(Protocol):
    """Where a run is tracked."""

    # Seconds without an answer, at the end of a run, after which none is waited for.
    silence: float

    def load(self) -> None:
        """Import what it needs, which may take a while and asks nobody."""

    def open(self) -> bool:
        """Begin the run's entry, or go on with an earlier start's; whether it has nothing yet."""

    def last_steps(self) -> dict[str, int]:
        """Return the last step that the entry has of each metric, as far as it can be asked."""

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Send lines of the record."""

    def close(self, status: str) -> None:
        """Say how the run ended."""

    def reason(self, error: Exception) -> str:
        """Return what is wrong, in words that anybody may read."""


class Mirror(threading.Thread):
    """Copies the record to a backend, on a thread of its own: a lock or an outage costs nothing.

    How far it came is kept in the run's folder, so what could not be sent is sent by a later start.
    At its end it has `patience` seconds. It begins with the first metrics, or after `unmeasured`
    seconds without any.
    """

    def __init__(
        self,
        folder: RunFolder,
        backend: Backend,
        patience: float = 30.0,
        unmeasured: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.backend = backend
        self.patience = patience
        self.unmeasured = unmeasured
        said = progress(folder)
        self.offset, self.last = int(said["offset"]), str(said["last"])
        self.steps = dict[str, int](said["steps"])
        self.status = ""
        # Why the tracker could not be told, the last time.
        self.reason = ""
        self.loaded = threading.Event()
        self.answered = time.monotonic()
        self.closing = threading.Event()

    def run(self) -> None:
        """Send what is new, every few seconds, until closed."""
        self.wait()
        opened = warned = False
        while True:
            closing = self.closing.is_set()
            try:
                if not opened:
                    self.backend.load()
                    self.answered = time.monotonic()
                    self.loaded.set()
                    self.open()
                    opened = True
                self.send()
                if closing:
                    self.backend.close(self.status)
                    self.keep(self.status)
                self.reason = ""
            # Whatever a tracker throws, the run goes on.
            except Exception as error:
                self.reason = self.backend.reason(error)
                if not warned:
                    told = "warning: the tracker does not answer; the record has it all"
                    print(f"{told}: {self.reason}", flush=True)
                warned = True
            if closing:
                return
            self.closing.wait(2.0)

    def wait(self) -> None:
        """Wait until the run has measured something, has taken its time, or has ended.

        A tracker's import holds Python's own lock for a second: whatever is read would wait for it.
        """
        began, known, newest = time.time(), 0, b""
        while not self.is_measured(newest, began) and time.time() - began < self.unmeasured:
            if self.closing.wait(0.1):
                return
            if (now := size(self.folder.record)) != known:
                known, newest = now, (self.folder.record.read_bytes().splitlines() or [b""])[-1]

    def is_measured(self, line: bytes, began: float) -> bool:
        """Whether a line of the record has a metric, and none of an earlier start."""
        entry = parsed(line)
        return "artifact" not in entry and entry.get("time", 0.0) >= began

    def open(self) -> None:
        """Begin, or go on with, what the tracker has; a new entry has nothing."""
        if self.backend.open():
            self.offset, self.last, self.steps = 0, "", {}
        self.answered = time.monotonic()
        # An earlier start may have been killed before it kept what it had sent.
        self.steps |= self.backend.last_steps()
        # Whatever the entry said of the end, it says no more.
        self.keep("")

    def send(self) -> None:
        """Send the whole lines behind `offset`; a step of a metric once, for MLflow keeps both."""
        # Bytes that a disk has damaged are no text.
        last = self.last.encode("latin-1")
        with self.folder.record.open("rb") as file:
            file.seek(max(0, self.offset - len(last)))
            if file.read(len(last)) != last:
                # The run went back to a checkpoint, and the record with it.
                self.offset = file.seek(0)
            lines = [line for line in file if line.endswith(b"\n")]
        for piece in pieces(lines):
            entries, steps = [entry for line in piece if (entry := parsed(line))], dict(self.steps)
            for entry in entries:
                entry["metrics"] = measured(entry, steps)
                steps |= dict.fromkeys(entry["metrics"], entry["step"])
                if "artifact" in entry:
                    folders = (self.folder.path, self.folder.plots)
                    entry["artifact"] = placed(entry["artifact"], folders)
            self.backend.send(entries)
            self.answered = time.monotonic()
            self.offset += sum(map(len, piece))
            self.last, self.steps = piece[-1].decode("latin-1"), steps
            self.keep("")

    def keep(self, status: str) -> None:
        """Keep how far the tracker is, and how it was told that the run ended, if it was."""
        said = {"offset": self.offset, "last": self.last, "steps": self.steps, "status": status}
        write_atomically(self.folder.mirrored, json.dumps(said).encode())

    def finish(self, status: str, hurry: bool = True) -> bool:
        """Send the rest and how the run ended, as far as that goes in time; whether it did.

        In a hurry, a server that does not answer is not waited for.
        """
        self.status = status
        self.answered = began = time.monotonic()
        self.closing.set()
        while self.is_alive():
            self.join(0.1)
            now = time.monotonic()
            # Who has not answered before will not now.
            silence = min(self.backend.silence, SILENCE) if self.reason else self.backend.silence
            silent = hurry and self.loaded.is_set() and now - self.answered > silence
            if silent or now - began > self.patience:
                break
        said = progress(self.folder)
        if said["offset"] < size(self.folder.record):
            print("warning: the tracker lacks a part of the record; --sync sends it later")
        elif said["status"] != status:
            print("warning: the tracker does not know how the run ended; --sync says it later")
        else:
            # It may have known all before, and not answer now.
            return not self.reason
        return False


def pieces(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Yield lines as they are sent at once: many with metrics, one with an artifact."""
    for has_artifact, group in groupby(lines, lambda line: b'"artifact": ' in line):
        some = list(group)
        length = 1 if has_artifact else 500
        yield from (some[start : start + length] for start in range(0, len(some), length))


def progress(folder: RunFolder) -> dict[str, Any]:
    """Return how far the tracker of a run is; from the start where that is not known."""
    start: dict[str, Any] = {"offset": 0, "last": "", "steps": {}, "status": ""}
    said = noted(folder.mirrored, offset=int, status=str)
    if not all(type(said.get(name, value)) is type(value) for name, value in start.items()):
        return start
    steps = said.get("steps", {}).values()
    return start | said if said.get("offset", 0) >= 0 and set(map(type, steps)) <= {int} else start


def is_mirrored(folder: RunFolder) -> bool:
    """Whether the tracker has the whole record of a finished run, and knows that it finished."""
    said = progress(folder)
    return bool(said["status"] == "FINISHED" and said["offset"] >= size(folder.record))


def size(path: Path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


class MlflowBackend:
    """An MLflow store below `save_dir`, or the server that MLFLOW_TRACKING_URI names."""

    def __init__(
        self,
        folder: RunFolder,
        store: Path,
        experiment_name: str,
        settings: dict[str, Any],
        tags: dict[str, str],
    ) -> None:
        self.silence = float("inf")
        self.identity = folder.path / "mlflow.json"
        self.record = folder.record
        self.store = store
        self.experiment_name = experiment_name
        self.run_name = folder.path.name
        self.settings = settings
        self.tags = tags

    def load(self) -> None:
        """Import MLflow, as this process is to use it."""
        # MLflow reports its use over the network unless told not to before its import.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # It would try for minutes; the mirror tries again by itself.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        import mlflow  # noqa: F401

    def open(self) -> bool:
        """Begin the run's entry, or set the one of an earlier start back to running."""
        # Said explicitly: MLflow reads the variable once, when it is imported.
        uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
        self.silence = SILENCE if uri.startswith("http") else float("inf")
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        artifacts = None
        if not uri:
            uri = initialised_store(self.store)
            artifacts = (self.store / "artifacts" / self.experiment_name).as_uri()
        self.client = MlflowClient(tracking_uri=uri)
        is_new = self.find(noted(self.identity), artifacts)
        self.client.update_run(self.run_id, status="RUNNING")
        # At each start: an earlier one may have ended between the entry and its parameters.
        settings = {n: str(value)[:6000] for n, value in valid_names(self.settings).items()}
        known = self.client.get_run(self.run_id).data
        params = [Param(n, value) for n, value in settings.items() if n not in known.params]
        # MLflow lets no parameter change: a run without a checkpoint may begin anew with others.
        changed = {
            f"changed.{n}": value
            for n, value in settings.items()
            if known.params.get(n, value) != value or f"changed.{n}" in known.tags
        }
        tags = [RunTag(n, value) for n, value in {**self.tags, **changed}.items()]
        for start in range(0, max(len(params), len(tags)), 100):
            some = slice(start, start + 100)
            self.client.log_batch(self.run_id, params=params[some], tags=tags[some])
        return is_new

    def find(self, known: dict[str, Any], artifacts: str | None) -> bool:
        """Find the run's entry, or begin one; whether it is another than an earlier start noted."""
        run_id = known.get("run_id")
        if isinstance(run_id, str) and self.is_there(run_id):
            self.run_id = run_id
            return False
        key = str(known.get("key", ""))
        is_known = re.fullmatch("[0-9a-f]{32}", key) is not None
        if not is_known:
            key = uuid4().hex
            # A start that is killed finds by it what it has begun.
            self.note({"key": key})
        self.run_id = self.entry(self.experiment_id(artifacts), key, is_known)
        self.note({"key": key, "run_id": self.run_id})
        return True

    def is_there(self, run_id: str) -> bool:
        """Whether the tracker has an entry, and nobody has deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False

    def note(self, known: dict[str, str]) -> None:
        """Note by what a later start finds the run's entry."""
        write_atomically(self.identity, json.dumps(known).encode())

    def entry(self, experiment_id: str, key: str, known: bool) -> str:
        """Return the id of the run's entry; a killed start may have begun one, and not noted it.

        Where its key is not known any more, it is the only one of this name and script.
        """
        found = self.client.search_runs([experiment_id], f"tags.key = '{key}'")
        if not found and not known and self.record.exists():
            script = self.tags.get("script", "")
            same = f"attributes.run_name = '{self.run_name}' and tags.script = '{script}'"
            alike = self.client.search_runs([experiment_id], same)
            if len(alike) == 1:
                return str(alike[0].info.run_id)
        if found:
            return str(found[0].info.run_id)
        run = self.client.create_run(experiment_id, run_name=self.run_name, tags={"key": key})
        return str(run.info.run_id)

    def experiment_id(self, artifacts: str | None) -> str:
        """Return the experiment's id; another job may create it at the same moment."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(self.experiment_name)
        if found is None:
            try:
                return str(self.client.create_experiment(self.experiment_name, artifacts))
            except MlflowException:
                found = self.client.get_experiment_by_name(self.experiment_name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise RuntimeError(
                f"the experiment {self.experiment_name} was deleted; `mlflow experiments restore"
                f" --experiment-id {found.experiment_id}` brings it back"
            )
        return str(found.experiment_id)

    def last_steps(self) -> dict[str, int]:
        """Return the last step that the store has of each metric."""
        names = self.client.get_run(self.run_id).data.metrics
        histories = {name: self.client.get_metric_history(self.run_id, name) for name in names}
        return {name: max(point.step for point in points) for name, points in histories.items()}

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Log metrics in batches, as many as MLflow takes at once, then artifacts."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(entry["time"] * 1000), entry["step"])
            for entry in entries
            for name, value in entry["metrics"].items()
        ]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + 1000])
        for path, place in artifacts(entries):
            log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
            log(self.run_id, str(path), place)

    def close(self, status: str) -> None:
        """Set how the run ended."""
        self.client.set_terminated(self.run_id, status)

    def reason(self, error: Exception) -> str:
        """Return what MLflow says, with the commands for this store."""
        return advice(error, self.store)


def valid_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by names that MLflow takes: those of files may hold anything."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        valid = re.sub(r"[^/\w.\- :]", "_", name, flags=re.ASCII)
        if os.path.normpath(valid) != valid or valid.startswith(("/", "..")):
            valid = valid.replace("/", "_").lstrip(".") or "_"
        valid = valid[:240]
        alike = sum(other.partition(" ")[0] == valid for other in found)
        found[f"{valid} {alike + 1}" if alike else valid] = value
    return found


class CometBackend:
    """A Comet experiment; the key is read from its variable and kept nowhere."""

    def __init__(
        self,
        key_variable: str,
        project_name: str | None,
        experiment_name: str,
        folder: RunFolder,
        settings: dict[str, Any],
        tags: dict[str, str],
    ) -> None:
        # To begin, it asks several servers.
        self.silence = 3 * SILENCE
        self.identity = folder.path / "comet.json"
        # Where Comet keeps what it cannot send.
        self.archives = folder.path.parents[1] / "cometml-runs"
        self.key_variable = key_variable
        self.project_name = project_name
        self.names = (experiment_name, folder.path.name)
        self.settings = settings
        self.tags = tags

    def load(self) -> None:
        """Import Comet, as this process is to use it."""
        os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")
        import comet_ml  # noqa: F401

    def open(self) -> bool:
        """Begin the experiment, or go on with it: its key is kept in the run's folder."""
        import comet_ml
        from comet_ml.config import get_config  # type: ignore[attr-defined]

        key = noted(self.identity, experiment_key=str).get("experiment_key", "")
        is_new = re.fullmatch("[A-Za-z0-9]{32,50}", key) is None
        if is_new:
            key = uuid4().hex
            write_atomically(self.identity, json.dumps({"experiment_key": key}).encode())
        archives = str(get_config("comet.offline_directory"))
        if archives == ".cometml-runs":
            # Nobody has chosen a place, and the current folder may be a repository.
            archives = str(self.archives)
        Path(archives).mkdir(parents=True, exist_ok=True)
        self.experiment = comet_ml.start(
            api_key=clean_key(self.key_variable),
            project_name=self.project_name,
            experiment_key=key,
            mode="get_or_create",
            experiment_config=comet_ml.ExperimentConfig(
                name=self.names[1],
                offline_directory=archives,
                log_code=False,
                log_env_details=False,
                # A remote's address may hold a token.
                log_git_metadata=False,
                log_git_patch=False,
                auto_output_logging="",
                auto_param_logging=False,
                auto_metric_logging=False,
                display_summary_level=0,
            ),
        )
        self.experiment.log_parameters(self.settings)
        self.experiment.log_others({"experiment_name": self.names[0], **self.tags})
        # It answers; now it has its own time to send what it holds.
        self.silence = float("inf")
        return is_new

    def last_steps(self) -> dict[str, int]:
        """Return nothing: an experiment that is kept offline cannot be asked."""
        return {}

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Log metrics, pictures and files."""
        for entry in entries:
            self.experiment.log_metrics(entry["metrics"], step=entry["step"], epoch=entry["epoch"])
            for path, place in artifacts([entry]):
                above = path if path.is_dir() else path.parent
                files = sorted(path.rglob("*")) if path.is_dir() else [path]
                for file in filter(Path.is_file, files):
                    name = f"{place}/{file.relative_to(above).as_posix()}"
                    if file.suffix == ".png":
                        self.experiment.log_image(str(file), name=name, step=entry["step"])
                    else:
                        self.experiment.log_asset(str(file), file_name=name, step=entry["step"])

    def close(self, status: str) -> None:
        """Say how the run ended, and end the experiment."""
        self.experiment.log_other("status", status)
        self.experiment.end()

    def reason(self, error: Exception) -> str:
        """Return what Comet says."""
        return masked_reason(error)


def clean_key(variable: str) -> str:
    """Return Comet's key without what an editor, or a file, has put round it.

    Raises `RefusedError`, which does not show it, if there is none, or if no key looks like it:
    Comet would print it.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RefusedError(f"the variable {variable} is not set; it holds Comet's key")
    if re.fullmatch(r"[!-~]+", key) is None:
        raise RefusedError(f"the variable {variable} holds no key of Comet's: it has odd letters")
    # Comet reads its own variable besides.
    os.environ[variable] = key
    return key


def measured(entry: dict[str, Any], sent: dict[str, int]) -> dict[str, float]:
    """Return the metrics of a line of the record that were not sent for this step before."""
    step = entry["step"]
    return {
        name: float(value)
        for name, value in entry.items()
        if name not in ("step", "epoch", "time", "artifact")
        and type(value) in (int, float)
        and step > sent.get(name, -1)
    }


def artifacts(entries: list[dict[str, Any]]) -> list[tuple[Path, str]]:
    """Return the files and folders that lines name, each with the place that it is shown in."""
    paths = [Path(entry["artifact"]) for entry in entries if "artifact" in entry]
    # One that somebody has removed must not hold up the rest for ever.
    there = [path for path in paths if path.exists()]
    return [(path, shown_in(path)) for path in there]


def shown_in(path: Path) -> str:
    """Return the place of an artifact: plots by their epoch, the code, and what the run leaves."""
    if path.suffix in (".png", ".pdf"):
        return path.parent.name
    if path.is_dir():
        return "code" if path.parent.name == KEPT else path.name
    return "run"
