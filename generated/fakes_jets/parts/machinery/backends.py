"""Tracker backends: MLflow and Comet, which copy the record and can never stop or stall a run."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from parts.machinery.code import KEPT
from parts.machinery.places import write_atomically
from parts.machinery.runs import RunFolder


class Backend(Protocol):
    """Where a run is tracked."""

    def open(self) -> None:
        """Begin the run's entry, or go on with the one that an earlier start began."""

    def last_steps(self) -> dict[str, int]:
        """Return the last step that the entry has of each metric, as far as it can be asked."""

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Send lines of the record."""

    def close(self, status: str) -> None:
        """Say how the run ended."""


class Mirror(threading.Thread):
    """Copies the record to a backend, on a thread of its own: a lock or an outage costs nothing.

    How far it came is kept in the run's folder, so what could not be sent is sent by a later start.
    At its end it has `patience` seconds.
    """

    def __init__(self, folder: RunFolder, backend: Backend, patience: float = 30.0) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.backend = backend
        self.patience = patience
        said = progress(folder)
        self.offset, self.last = int(said["offset"]), str(said["last"])
        self.steps = dict[str, int](said["steps"])
        self.status = ""
        self.closing = threading.Event()

    def run(self) -> None:
        """Send what is new, every few seconds, until closed."""
        opened = warned = False
        while True:
            closing = self.closing.is_set()
            try:
                if not opened:
                    self.backend.open()
                    # An earlier start may have been killed before it kept what it had sent.
                    self.steps |= self.backend.last_steps()
                    # Whatever the entry said of the end, it says no more.
                    self.keep("")
                    opened = True
                self.send()
                if closing:
                    self.backend.close(self.status)
                    self.keep(self.status)
            # Whatever a tracker throws, the run goes on.
            except Exception as error:
                if not warned:
                    # Not what it says: an address may hold a password.
                    kind = type(error).__name__
                    print(f"warning: the tracker does not answer; the record has it all: {kind}")
                warned = True
            if closing:
                return
            self.closing.wait(2.0)

    def send(self) -> None:
        """Send the whole lines behind `offset`; a step of a metric once, for MLflow keeps both."""
        with self.folder.record.open(encoding="ascii", newline="") as file:
            file.seek(self.offset - len(self.last))
            if file.read(len(self.last)) != self.last:
                # The run went back to a checkpoint, and the record with it.
                self.offset, self.last = file.seek(0), ""
            lines = [line for line in file if line.endswith("\n")]
        entries, steps = [json.loads(line) for line in lines], dict(self.steps)
        for entry in entries:
            entry["metrics"] = measured(entry, steps)
            steps |= dict.fromkeys(entry["metrics"], entry["step"])
        if entries:
            self.backend.send(entries)
            self.offset, self.last = self.offset + sum(map(len, lines)), lines[-1]
            self.steps = steps
            self.keep("")

    def keep(self, status: str) -> None:
        """Keep how far the tracker is, and how it was told that the run ended, if it was."""
        said = {"offset": self.offset, "last": self.last, "steps": self.steps, "status": status}
        write_atomically(self.folder.mirrored, json.dumps(said).encode())

    def finish(self, status: str) -> None:
        """Send the rest and how the run ended, as far as that goes in time."""
        self.status = status
        self.closing.set()
        self.join(self.patience)
        said = progress(self.folder)
        if said["offset"] < size(self.folder.record):
            print("warning: the tracker lacks a part of the record; --sync sends it later")
        elif said["status"] != status:
            print("warning: the tracker does not know how the run ended; --sync says it later")


def progress(folder: RunFolder) -> dict[str, Any]:
    """Return how far the tracker of a run is."""
    start: dict[str, Any] = {"offset": 0, "last": "", "steps": {}, "status": ""}
    return start | (json.loads(folder.mirrored.read_text()) if folder.mirrored.exists() else {})


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
        self.identity = folder.path / "mlflow.json"
        self.store = store
        self.experiment_name = experiment_name
        self.run_name = folder.path.name
        self.settings = settings
        self.tags = tags

    def open(self) -> None:
        """Begin the run's entry, or set the one of an earlier start back to running."""
        # MLflow reports its use over the network unless told not to before its import.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        artifacts = None
        # Said explicitly: MLflow reads the variable once, when it is imported.
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            uri = initialised_store(self.store)
            artifacts = (self.store / "artifacts" / self.experiment_name).as_uri()
        self.client = MlflowClient(tracking_uri=uri)
        if not self.identity.exists():
            self.note({"key": uuid4().hex})
        known = json.loads(self.identity.read_text())
        if "run_id" not in known:
            known["run_id"] = self.entry(self.experiment_id(artifacts), known["key"])
            self.note(known)
        self.run_id = known["run_id"]
        self.client.update_run(self.run_id, status="RUNNING")
        # At each start: an earlier one may have ended between the entry and its parameters.
        settings = {name: str(value)[:6000] for name, value in self.settings.items()}
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

    def note(self, known: dict[str, str]) -> None:
        """Note by what a later start finds the run's entry."""
        write_atomically(self.identity, json.dumps(known).encode())

    def entry(self, experiment_id: str, key: str) -> str:
        """Return the id of the run's entry; a killed start may have begun one, and not noted it."""
        found = self.client.search_runs([experiment_id], f"tags.key = '{key}'")
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


def initialised_store(folder: Path) -> str:
    """Return the URI of the SQLite store in `folder`, which appears there whole or not at all.

    Several processes that create one at once fail on each other's tables (mlflow #979, #12259), and
    one that is killed leaves half of them.
    """
    from mlflow import MlflowClient

    place = folder / "mlflow.db"
    folder.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        new = folder / f".mlflow.db.{uuid4().hex}"
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        # The first process wins; the others find its store.
        with suppress(FileExistsError):
            place.hardlink_to(new)
        new.unlink()
    return f"sqlite:///{place}"


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
        self.identity = folder.path / "comet.json"
        self.key_variable = key_variable
        self.project_name = project_name
        self.names = (experiment_name, folder.path.name)
        self.settings = settings
        self.tags = tags

    def open(self) -> None:
        """Begin the experiment, or go on with it: its key is kept in the run's folder."""
        os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")
        import comet_ml

        if not self.identity.exists():
            write_atomically(self.identity, json.dumps({"experiment_key": uuid4().hex}).encode())
        key = json.loads(self.identity.read_text())["experiment_key"]
        self.experiment = comet_ml.start(
            api_key=os.environ[self.key_variable],
            project_name=self.project_name,
            experiment_key=key,
            mode="get_or_create",
            experiment_config=comet_ml.ExperimentConfig(
                name=self.names[1],
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


def measured(entry: dict[str, Any], sent: dict[str, int]) -> dict[str, float]:
    """Return the metrics of a line of the record that were not sent for this step before."""
    step = entry["step"]
    return {
        name: float(value)
        for name, value in entry.items()
        if name not in ("step", "epoch", "time", "artifact")
        and value is not None
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
