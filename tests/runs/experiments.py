"""Small experiments: their data, their specs, how they are started, and what a run left."""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from attrs import astuple, frozen
from mlflow import MlflowClient
from mlflow.entities import Run as Entry

from seesawc.writing import scripts
from tests.runs.starts import PATIENCE, Cold, Ended, Started, Strike, Warm, isolated
from tests.spec_tables import build, merged

EXPERIMENT = "toy"
NOBODY = 65534

SPEC: dict[str, Any] = {
    "task": "signal",
    "experiment_config": {
        "experiment_name": EXPERIMENT,
        "seed": 1,
        "accelerator": "cpu",
        "devices": 1,
        "plot_metrics_n_epoch": "never",
    },
    "dataset_config": {
        "event_number": "event",
        "weight": "weight",
        "numerical": ["x", "y", "z"],
        "categorical": ["n_jets"],
        "missing": -999.0,
        "batch_size": 40,
        "samples": [
            {"name": "ggH", "class": "signal", "files": ["../data/toy.csv"]},
            {"name": "qqZZ", "class": "background", "files": ["../data/toy.parquet"]},
        ],
    },
    "model_config": {"architecture_config": {"n_layers": 2, "n_hidden": 16, "dropout": 0.1}},
    "training_config": {"max_epochs": 2, "optimizer": {"optimizer_params": {"lr": 0.01}}},
}
SPEC["dataset_config"]["samples"][0]["selection"] = "process == 1"
SPEC["dataset_config"]["samples"][1]["selection"] = "process == 0"


def events(size: int, n_classes: int = 2) -> pd.DataFrame:
    """Return events of Gaussian classes: a sixth of the weights negative, a third of z missing."""
    random = np.random.default_rng(7)
    process = np.arange(size) % n_classes
    x = random.normal(process[:, None] * 0.8, 1.0, (size, 3))
    x[random.random(size) < 1 / 3, 2] = -999.0
    sign = np.where(random.random(size) < 1 / 6, -1.0, 1.0)
    return pd.DataFrame(
        {
            **dict(zip("xyz", x.T, strict=True)),
            "n_jets": random.poisson(1 + process),
            "event": np.arange(size) + 1000,
            "weight": sign * random.uniform(0.5, 1.5, size),
            "process": process,
        }
    )


def reading(stem: str, **changes: Any) -> dict[str, Any]:
    """Return the tables of a spec that reads other files."""
    samples = [
        merged(sample, {"files": [sample["files"][0].replace("toy", stem)]})
        for sample in SPEC["dataset_config"]["samples"]
    ]
    return {"dataset_config": {"samples": samples} | changes}


@frozen
class Run:
    """The folder of a run."""

    path: Path

    @property
    def store(self) -> Path:
        return self.path.parents[1] / "mlruns"

    def json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.path / name).read_text())
        return content

    def chosen(self) -> dict[str, Any]:
        """Return what its end says, but for the bytes of a checkpoint, which hold its own place."""
        return {name: value for name, value in self.json("done").items() if name != "sha256"}

    def lines(self) -> list[dict[str, Any]]:
        """Return the record."""
        return [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]

    def measured(self) -> list[dict[str, Any]]:
        """Return the record's lines of metrics, without the time."""
        lines = [line for line in self.lines() if "artifact" not in line]
        return [{k: v for k, v in line.items() if k != "time"} for line in lines]

    def series(self, name: str) -> dict[int, float]:
        """Return a metric by step."""
        return {line["step"]: line[name] for line in self.measured() if name in line}

    def epochs(self, name: str) -> list[int]:
        """Return the epochs at which a metric was recorded."""
        return [line["epoch"] for line in self.measured() if name in line]

    def artifacts(self) -> list[str]:
        """Return the last two parts of each artifact's path, in alphabetical order."""
        paths = [Path(line["artifact"]) for line in self.lines() if "artifact" in line]
        return sorted(f"{path.parent.name}/{path.name}" for path in paths)

    def plots(self) -> dict[str, str]:
        """Return the digest of each plot, by the last two parts of its path."""
        save_dir = self.path.parents[1]
        name = save_dir.name.replace("logs", "results").replace("LOGS", "RESULTS")
        results = save_dir.with_name(name if name != save_dir.name else f"{name}-results")
        below = results / self.path.parent.name / self.path.name
        paths = [below / line["artifact"] for line in self.lines() if "artifact" in line]
        return {
            f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if path.suffix in (".png", ".pdf")
        }

    def deployed(self) -> dict[str, bytes]:
        """Return the files that are handed on, by their paths below deploy/."""
        folder = self.path / "deploy"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    def checkpoint(self, name: str = "") -> dict[str, Any]:
        """Return a checkpoint, the newest if none is named."""
        name = name or str(self.json("checkpoints/newest.json")["file"])
        content: dict[str, Any] = torch.load(self.path / "checkpoints" / name, weights_only=True)
        return content

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the newest weights."""
        weights: dict[str, torch.Tensor] = self.checkpoint()["state_dict"]
        return weights

    def files(self) -> dict[str, tuple[str, int]]:
        """Return digest and modification time of every file of the save_dir.

        All but the note of how the last start ended, which a refusal writes.
        """
        found = [path for path in self.path.parents[1].rglob("*") if path.is_file()]
        found = [path for path in found if path.name != "ended.json"]
        return {
            str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in found
        }

    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=f"sqlite:///{self.store / 'mlflow.db'}")

    def entries(self, experiment: str = EXPERIMENT) -> list[Entry]:
        """Return the entries of MLflow that have the run's name."""
        client = self.client()
        found = client.get_experiment_by_name(experiment)
        entries = client.search_runs([found.experiment_id]) if found else []
        return [entry for entry in entries if entry.info.run_name == self.path.name]

    def logged(self) -> dict[str, list[tuple[int, float]]]:
        """Return (step, value) of every metric of the run's one entry in MLflow."""
        (entry,) = self.entries()
        client = self.client()
        histories = {
            name: client.get_metric_history(entry.info.run_id, name) for name in entry.data.metrics
        }
        return {name: [(m.step, m.value) for m in ms] for name, ms in histories.items()}

    def recorded(self) -> dict[str, list[tuple[int, float]]]:
        """Return what `logged` is to equal."""
        names = {name for line in self.measured() for name in line} - {"step", "epoch"}
        series = {name: self.series(name).items() for name in names}
        known = {n: [(k, v) for k, v in items if v is not None] for n, items in series.items()}
        # What was never a number, MLflow does not know.
        return {name: values for name, values in known.items() if values}


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    """Whether weights are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@cache
def empty_store() -> bytes:
    """Return MLflow's store before its first run; to make one takes a second or two."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "mlflow.db"
        MlflowClient(tracking_uri=f"sqlite:///{store}").search_experiments(max_results=1)
        return store.read_bytes()


def give_store(save_dir: Path) -> None:
    """Put an empty store where runs below `save_dir` will look for one, unless one is there."""
    place = save_dir / "mlruns" / "mlflow.db"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(empty_store())


@frozen
class Workshop:
    """A folder with data, in which specs are compiled and scripts are run."""

    folder: Path
    warm: Warm

    def write(self, frame: pd.DataFrame, stem: str = "toy") -> None:
        """Write events as CSV and as Parquet."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        frame.to_csv(data / f"{stem}.csv", index=False)
        frame.to_parquet(data / f"{stem}.parquet")

    def build(self, name: str, **changes: Any) -> Path:
        """Compile the spec with tables changed, under the run name `name`; return the script."""
        named = {"experiment_config": {"run_name": name}}
        path = self.folder / "specs" / f"{name}.toml"
        return build(path, merged(merged(SPEC, named), changes)) / scripts.SCRIPT

    def start(
        self,
        script: Path,
        *arguments: str,
        cold: bool = False,
        terminal: str = "",
        unset: Iterable[str] = (),
        variables: Mapping[str, str] | None = None,
        strike: Strike | None = None,
        **more: str,
    ) -> Started:
        """Start a script where seesawc cannot be imported; `terminal` takes what it says."""
        if strike is not None:
            more["TOY_STRIKE"] = json.dumps(astuple(strike))
        number = len(list(self.folder.glob("*.out")))
        output, error = (self.folder / f"{script.parent.name}.{number}.{n}" for n in ("out", "err"))
        output.touch()
        error.touch()
        places = {
            "ANALYSIS_ML_LOGS_DIR": str(self.folder / "logs"),
            "ANALYSIS_ML_RESULTS_DIR": str(self.folder / "results"),
        }
        environment = isolated() | places | dict(variables or {}) | more
        environment = {n: value for n, value in environment.items() if n not in unset}
        if cold:
            command = [sys.executable, str(script), *arguments]
            with output.open("ab") as out, error.open("ab") as err:
                process = subprocess.Popen(
                    command, stdout=out, stderr=err, env=environment, cwd=self.folder
                )
            return Cold(process, output, error)
        words = [str(script), *arguments]
        return self.warm.start(words, environment, self.folder, output, error, terminal)

    def run(self, script: Path, *arguments: str, **options: Any) -> Ended:
        """Start a script and wait for it."""
        return self.start(script, *arguments, **options).wait()

    def train(self, name: str, **changes: Any) -> Run:
        """Compile a spec and run it to its end."""
        self.run(self.build(name, **changes)).done()
        return self.found(name)

    def found(self, name: str, save_dir: str = "logs") -> Run:
        """Return the run of a name."""
        return Run(self.folder / save_dir / EXPERIMENT / name)


def new_workshop(folder: Path, warm: Warm) -> Workshop:
    """Return a folder with the data of two classes."""
    found = Workshop(folder, warm)
    found.write(events(401))
    return found


def wait_for_step(run: Run, process: Started, step: int) -> None:
    """Wait until the record has a step."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if run.path.is_dir() and (run.path / "metrics.jsonl").exists():
            text = (run.path / "metrics.jsonl").read_text()
            lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
            if max([line["step"] for line in lines], default=0) >= step:
                return
        time.sleep(0.005)
    raise AssertionError(f"step {step} did not come: {process.texts[1].read_text()}")
