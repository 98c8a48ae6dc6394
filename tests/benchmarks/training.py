"""How fast generated scripts train, against a raw loop and against Lightning as people write it.

    python training.py [NETWORK [BATCH [REPETITIONS]]]

NETWORK is small (28-64-64-1), big (28-256x4-1) or others (a ResNet, batch normalisation). Script
and loops take turns, each in a process of its own with two threads; what is said is the median of
the repetitions. Of a script, steps are timed by its record: within epochs after the first, and an
epoch from the end of the one before to its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from parts.machinery.stores import initialised_store
from seesawc import pipeline
from seesawc.writing import outputs, scripts
from tests.benchmarks.raw_loop import FEATURES
from tests.benchmarks.results import say, section

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZE = 1_000_000
# The share of them that a script trains on, if its spec does not say.
TRAINED = 0.6
SHAPES = {"small": (2, 64), "big": (4, 256)}
EPOCHS = {"small": 6, "big": 3}
# Steps between two lines of the record: the first and the last of an epoch are near its ends.
LOG = {1024: 50, 4096: 24, 16384: 6}
# Events that Lightning with a DataLoader is timed with.
FEW = 150_000
THREADS = "2"
SPEC = """
task = "signal"
[experiment_config]
experiment_name = "bench"
run_name = "{name}"
seed = 1
accelerator = "{accelerator}"
devices = 1
precision = "{precision}"
plot_metrics_n_epoch = "never"
log_every_n_steps = {log}
[dataset_config]
event_number = "event"
numerical = {features}
batch_size = {batch}
[[dataset_config.samples]]
name = "all"
class_column = "label"
files = ["data/events.parquet"]
[dataset_config.class_values]
background = [0]
signal = [1]
[model_config.architecture_config]
{architecture}
[training_config]
max_epochs = {epochs}
"""


@dataclass(frozen=True)
class Speed:
    """What a process is timed at, in seconds."""

    step: float
    epoch: float


@dataclass(frozen=True)
class Case:
    """A script to be timed, by the options of its spec."""

    name: str
    batch: int
    epochs: int
    architecture: str
    log: int
    accelerator: str = "cpu"
    precision: str = "32-true"

    def compile(self, place: Path) -> Path:
        """Compile the spec below `place`; returns the script."""
        spec = place / "specs" / f"{self.name}.toml"
        options = {**vars(self), "features": json.dumps(FEATURES)}
        spec.write_text(SPEC.format(**options))
        folder = pipeline.output_folder(spec)
        outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=True)
        return folder / scripts.SCRIPT


def case_of(network: str, batch: int, model: str = "MLP", batchnorm: bool = False) -> Case:
    """Return the case of a size of network and a batch size."""
    n_layers, n_hidden = SHAPES[network]
    options = {"model": model, "n_layers": n_layers, "n_hidden": n_hidden, "batchnorm": batchnorm}
    architecture = "\n".join(f"{option} = {json.dumps(value)}" for option, value in options.items())
    name = f"{network}_{model}{'_normed' * batchnorm}_{batch}"
    return Case(name, batch, EPOCHS[network], architecture, LOG[batch])


def write_events(path: Path, size: int) -> None:
    """Write events of two classes that differ a little."""
    random = np.random.default_rng(1)
    label = random.integers(0, 2, size, dtype=np.int8)
    shift = 0.1 * label.astype(np.float32)
    columns = {name: random.standard_normal(size, np.float32) + shift for name in FEATURES}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**columns, "label": label, "event": np.arange(size)}), path)


def environment(place: Path, *paths: Path) -> dict[str, str]:
    """Return the variables of all processes: the same threads, and where they write."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), THREADS)
    logs = {f"ANALYSIS_ML_{name}_DIR": str(place / "logs") for name in ("LOGS", "RESULTS")}
    return {**os.environ, **threads, **logs, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def script_speed(script: Path, case: Case, place: Path, label: str) -> Speed:
    """Let a script train its epochs, and read its record; it is not evaluated."""
    command = [sys.executable, "-u", str(script), "--again", label]
    last = f"epoch {case.epochs}/{case.epochs}:"
    with subprocess.Popen(
        command,
        env=environment(place),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(last):
                break
        else:
            raise RuntimeError(f"{script} did not come to its last epoch:\n{''.join(said)}")
        process.kill()
    [record] = place.glob(f"logs/bench/{case.name}*{label}/metrics.jsonl")
    return speed_of([json.loads(line) for line in record.read_text().splitlines()])


def speed_of(lines: Sequence[dict[str, Any]]) -> Speed:
    """Return what a record says of the time of a step and of an epoch, after the first one."""
    ends = [line["time"] for line in lines if "train_loss" in line]
    steps = []
    for epoch in range(2, len(ends) + 1):
        within = [line for line in lines if "train_loss_step" in line and line["epoch"] == epoch]
        first, last = within[0], within[-1]
        steps.append((last["time"] - first["time"]) / (last["step"] - first["step"]))
    return Speed(median(steps), median(after - before for before, after in pairwise(ends)))


def loop(
    name: str, case: Case, network: str, place: Path, length: int
) -> Iterator[dict[str, float]]:
    """Run one of the loops beside this file; yields what it prints."""
    numbers = (*SHAPES[network], case.batch, length)
    data = place / "specs" / "data" / "events.parquet"
    command = [sys.executable, str(HERE / name), str(data), *map(str, numbers)]
    variables = environment(place, ROOT / "templates", ROOT)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def raw_speed(case: Case, network: str, place: Path) -> Speed:
    """Return the speed of the raw loop, after its first epoch."""
    _, *epochs = loop("raw_loop.py", case, network, place, case.epochs)
    step = median(epoch["train"] for epoch in epochs) * case.batch / (TRAINED * SIZE)
    return Speed(step, median(epoch["epoch"] for epoch in epochs))


def against_loops(network: str, batch: int, place: Path, repetitions: int) -> None:
    """Say how a script compares with both loops."""
    case = case_of(network, batch)
    script = case.compile(place)
    steps, epochs, plain, raws = [], [], [], []
    for repetition in range(repetitions):
        raw = raw_speed(case, network, place)
        ours = script_speed(script, case, place, f"r{repetition}")
        steps.append(raw.step / ours.step)
        epochs.append(raw.epoch / ours.epoch)
        raws.append(raw.step)
        [each] = loop("plain_lightning.py", case, network, place, FEW // batch)
        plain.append(each["steps"] / ours.step)
    rate = batch / median(raws) / 1000
    say(f"{network}, batches of {batch}: raw loop with fused AdamW", f"{rate:.0f} k events/s")
    say("  steps of the script, of that speed", f"{median(steps):.2f}")
    say("  whole epochs, of the raw loop's with validation", f"{median(epochs):.2f}")
    say("  steps, times Lightning with DataLoader(TensorDataset)", f"{median(plain):.1f}")


def others(place: Path, repetitions: int) -> None:
    """Say what a ResNet and batch normalisation cost, beside an MLP of the same size."""
    batch = 4096
    cases = {
        "MLP": case_of("big", batch),
        "with batch normalisation": case_of("big", batch, batchnorm=True),
        "ResNet": case_of("big", batch, "ResNet"),
    }
    compiled = {name: case.compile(place) for name, case in cases.items()}
    times: dict[str, list[Speed]] = {name: [] for name in cases}
    for repetition in range(repetitions):
        for name, case in cases.items():
            speed = script_speed(compiled[name], case, place, f"r{repetition}")
            times[name].append(speed)
    own = times.pop("MLP")
    for name, speeds in times.items():
        pairs = list(zip(speeds, own, strict=True))
        steps, epochs = (
            median(getattr(a, kind) / getattr(b, kind) for a, b in pairs)
            for kind in ("step", "epoch")
        )
        say(f"big, batches of {batch}, {name}: steps, times the MLP's", f"{steps:.2f}")
        say("  whole epochs", f"{epochs:.2f}")


def main() -> None:
    """Measure all of it, or what the command line names."""
    networks = sys.argv[1:2] or [*SHAPES, "others"]
    sizes = [int(size) for size in sys.argv[2:3]] or list(LOG)
    repetitions = int([*sys.argv[3:4], "3"][0])
    # What scripts say of it themselves.
    os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_events(place / "specs" / "data" / "events.parquet", SIZE)
        initialised_store(place / "logs" / "mlruns")
        title = "Training, one million events of 28 features, two threads"
        with section(title, kept=not sys.argv[1:]):
            for network in networks:
                if network == "others":
                    others(place, repetitions)
                    continue
                for size in sizes:
                    against_loops(network, size, place, repetitions)


if __name__ == "__main__":
    main()
