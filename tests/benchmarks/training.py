"""How fast generated scripts train, against a raw loop and against Lightning as people write it.

    python training.py [NETWORK [BATCH [REPETITIONS]]]

NETWORK is small (28-64-64-1), big (28-256x4-1) or others (a ResNet, batch normalisation). Script
and loops take turns, each in a process of its own with two threads; what is said is the median of
the repetitions. Of a script, steps are timed by its record: within epochs after the first, and an
epoch from the end of the one before to its own.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from parts.machinery.stores import initialised_store
from seesawc import pipeline
from seesawc.writing import outputs, scripts
from tests.benchmarks.results import say, section
from tests.benchmarks.timing import (
    FEATURES,
    TRAINED,
    Speed,
    loop,
    raw_speed,
    script_speed,
    write_events,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = Path("specs") / "data" / "events.parquet"
SIZE = 1_000_000
SHAPES = {"small": (2, 64), "big": (4, 256)}
EPOCHS = {"small": 6, "big": 3}
# Steps between two lines of the record: the first and the last of an epoch are near its ends.
LOG = {1024: 50, 4096: 24, 16384: 6, 65536: 3}
# Events that Lightning with a DataLoader is timed with.
FEW = 150_000
THREADS = "2"
SPEC = """
task = "signal"
[experiment_config]
experiment_name = "{name}"
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
{more}
"""


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
    # Further lines of the table of training.
    more: str = ""

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


def variables(*paths: Path) -> dict[str, str]:
    """Return the variables of all processes: the same threads, and what they import."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), THREADS)
    return {**threads, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def plain_step(case: Case, network: str, place: Path) -> float:
    """Return the seconds of a step of Lightning with a DataLoader."""
    numbers = map(str, (*SHAPES[network], case.batch, FEW // case.batch))
    command = [str(HERE / "plain_lightning.py"), str(place / DATA), *numbers]
    [said] = loop(command, variables(ROOT / "templates", ROOT))
    return said["steps"]


def against_loops(network: str, batch: int, place: Path, repetitions: int) -> None:
    """Say how a script compares with both loops."""
    case = case_of(network, batch)
    script = case.compile(place)
    steps, epochs, plain, raws = [], [], [], []
    for repetition in range(repetitions):
        numbers = (*SHAPES[network], batch, case.epochs)
        raw = raw_speed(place / DATA, numbers, TRAINED * SIZE, variables(ROOT / "templates"))
        ours = script_speed(script, place / "logs", numbers, f"r{repetition}", variables())
        steps.append(raw.step / ours.step)
        epochs.append(raw.epoch / ours.epoch)
        raws.append(raw.step)
        plain.append(plain_step(case, network, place) / ours.step)
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
            label, numbers = f"beside{repetition}", (*SHAPES["big"], batch, case.epochs)
            times[name].append(
                script_speed(compiled[name], place / "logs", numbers, label, variables())
            )
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
    sizes = [int(size) for size in sys.argv[2:3]] or [1024, 4096, 16384]
    repetitions = int([*sys.argv[3:4], "3"][0])
    # What scripts say of it themselves.
    os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_events(place / DATA, SIZE)
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
