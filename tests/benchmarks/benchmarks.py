"""Figures of merit, measured side by side in one run: `make bench` prints and keeps them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch.utils.data import DataLoader, TensorDataset

from parts.batches import Rounds
from parts.data_checks import find_data
from parts.events import Events, read_splits
from parts.metrics import Ranking
from seesawc import pipeline
from seesawc.data.datasets import read_dataset
from seesawc.writing import scripts
from tests.benchmarks.results import say, section

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "specs" / "h4l.toml"
FORMATS = ("TTree", "RNTuple", "HDF5", "Parquet", "Parquet-long", "CSV")

# The peak of this process alone: what `getrusage` says includes its parent's, from before exec.
PEAK = "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def build() -> None:
    """Peak memory of `seesawc build`; compiling.py has its time."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["build", str(SPEC), "--out", out, "--new-run"]
        call = f"main({arguments}, standalone_mode=False)"
        code = f"from seesawc.cli.commands import main; {call}\n{PEAK}"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    say("seesawc build h4l, peak memory", f"{int(done.stdout.split()[-2]) / 1024:.0f} MB")


def run(arguments: list[str]) -> float:
    """Wall time of a Python process."""
    command = [sys.executable, *arguments]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def loader() -> None:
    """Events a second that each loader yields."""
    size, width, batch_size = 400_000, 28, 1024
    events = Events(
        torch.rand(size, width),
        torch.zeros(size, 0, dtype=torch.int64),
        torch.zeros(size, dtype=torch.int64),
        torch.ones(size),
        torch.ones(size),
    )
    rounds = Rounds(events, batch_size, seed=1, rank=0, world_size=1)
    ours = (batch for batches in rounds for batch in batches)
    stock = DataLoader(TensorDataset(*events.tensors()), batch_size, shuffle=True)
    fast, slow = seconds(lambda: drain(ours)), seconds(lambda: drain(stock))
    say("loader: times the speed of DataLoader(TensorDataset)", f"{slow / fast:.1f}")


def quality() -> None:
    """Weighted AUC on the test split: the trained network's and that of boosted trees."""
    experiment = pipeline.check(SPEC).experiment
    data = experiment.dataset_config
    dataset = read_dataset(experiment)
    train, _, test = read_splits(
        dataset,
        find_data(dataset, SPEC.parent).files,
        use_mc_weights=data.use_mc_weights,
        use_class_weights=data.use_class_weights,
        dtype=torch.float64,
    )
    for name, settings in {
        "defaults": {},
        "500 iterations, learning rate 0.05": {"max_iter": 500, "learning_rate": 0.05},
    }.items():
        trees = HistGradientBoostingClassifier(random_state=1, **settings)
        # scikit-learn takes no negative weights; the trees are judged with them all the same.
        trees.fit(features(train), train.label.numpy(), train.loss_weight.abs().numpy())
        score = trees.predict_proba(features(test))[:, 1]
        found = Ranking.of(score, test.label.numpy() == 1, test.weight.numpy()).auc()
        say(f"weighted AUC, test: trees, {name}", f"{found:.4f}")
    with tempfile.TemporaryDirectory() as logs:
        places = {"ANALYSIS_ML_LOGS_DIR": logs, "ANALYSIS_ML_RESULTS_DIR": logs}
        script = ROOT / "generated" / "h4l" / scripts.SCRIPT
        command = [sys.executable, str(script)]
        wall = seconds(
            lambda: subprocess.run(
                command, check=True, capture_output=True, env={**os.environ, **places}
            )
        )
        [result] = Path(logs).glob("h4l/*/metrics.json")
        metrics = json.loads(result.read_text())["metrics"]
    say("weighted AUC, test: the network of specs/h4l.toml", f"{metrics['test']['auc']:.4f}")
    say("  whole run, wall", f"{wall:.0f} s")


def reading() -> None:
    """Reading two million events of thirty features into tensors, against the library alone."""
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            command = [sys.executable, str(ROOT / "tests" / "benchmarks" / "reading.py"), name]
            done = subprocess.run(
                [*command, folder], check=True, capture_output=True, text=True, timeout=900
            )
            speed, memory = done.stdout.split()[-2:]
            say(f"reading {name}: times the speed of the library", speed)
            say("  peak memory, in sizes of the tensors", memory)
    spec = ["-m", "seesawc", "check", "--data", str(SPEC)]
    say("seesawc check --data h4l, best wall", f"{min(run(spec) for _ in range(5)):.2f} s")


def features(events: Events) -> np.ndarray:
    """All features of a split: (event, feature)."""
    return np.hstack([events.numerical.numpy(), events.categorical.numpy()])


def lines() -> None:
    """Lines of the generated scripts."""
    for path in sorted((ROOT / "generated").glob(f"*/{scripts.SCRIPT}")):
        say(f"lines of {path.relative_to(ROOT)}", str(len(path.read_text().splitlines())))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a piece of work."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def drain(batches: Iterable[object]) -> None:
    """Go through all batches."""
    for _ in batches:
        pass


if __name__ == "__main__":
    with section("Compiling, batches, reading, quality"):
        build()
        loader()
        reading()
        quality()
        lines()
