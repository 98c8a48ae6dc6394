"""What it costs to watch a training: metrics, plots, and the memory of many of them: `make bench`.

    python watching.py                      the figures of merit
    python watching.py memory SETS [small]  MB more after so many sets than after the tenth

One thread computes. A `small` set has one figure of few points, and the history of a loss.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from parts.events import Events
from parts.histories import plot_history
from parts.machinery.drawings import Drawing
from parts.machinery.trackers import TRAINING_EVENTS_PLOTTED, Tracker
from parts.metrics import Outputs, binary_metrics, multiclass_metrics
from parts.plots import binary_figures, multiclass_figures, new_figure, save_figures
from tests.benchmarks.results import say, section
from tests.parts.begun import begin

ROOT = Path(__file__).resolve().parents[2]
SETS = 300
SETTLED = 10
METRICS = ("auc", "average_precision", "accuracy", "significance", "significance_cut", "loss")


def sample(seed: int, size: int, n_classes: int) -> Outputs:
    """Return predictions as float32 gives them, a tenth of the weights negative."""
    random = np.random.default_rng(seed)
    label = random.integers(0, n_classes, size)
    logits = random.normal(0, 1, (size, n_classes)) + 0.7 * np.eye(n_classes)[label]
    odds = np.exp(1.2 * logits)
    weight = np.where(random.random(size) < 0.1, -1, 1) * random.uniform(0.5, 1.5, size)
    probability, weight = (
        each.astype(np.float32).astype(np.float64)
        for each in (odds / odds.sum(axis=1, keepdims=True), weight)
    )
    return Outputs(probability, label, weight, weight)


def watched(n_classes: int) -> tuple[Callable[..., Any], Callable[..., dict[str, Figure]]]:
    """Return the metrics and figures of a training of so many classes."""
    names = tuple(f"class {k}" for k in range(n_classes))
    if n_classes == 2:
        return binary_metrics, partial(binary_figures, classes=(names[0], names[1]))
    return (
        partial(multiclass_metrics, classes=names),
        partial(multiclass_figures, classes=names),
    )


def cost(n_classes: int) -> None:
    """CPU time of metrics at 200,000 events, and of a set of plots of 1,000,000 with its PNGs."""
    metrics, figures = watched(n_classes)
    few = sample(1, 200_000, n_classes)
    took = median(spent(partial(metrics, replace(few))) for _ in range(9))
    say(f"metrics of 200,000 events, {n_classes} classes, CPU", f"{1000 * took:.0f} ms")
    train = sample(2, TRAINING_EVENTS_PLOTTED, n_classes)
    many = sample(3, 1_000_000, n_classes)
    points = [(epoch, 1 - 0.5**epoch) for epoch in range(1, 31)]
    curves = {f"val_{name}": points for name in METRICS} | {"train_loss": points}

    def draw(validation: Outputs) -> None:
        found = figures(train, validation, caption="run, epoch 30")
        found["history"] = plot_history(curves, "run, epoch 30")
        with tempfile.TemporaryDirectory() as folder:
            save_figures(found, Path(folder))

    sets = []
    for _ in range(4):
        validation = replace(many)
        # Of the same events, which they leave sorted.
        metrics(validation)
        sets.append(spent(partial(draw, validation)))
    # The first one imports, and finds fonts.
    value = f"{median(sets[1:]):.2f} s"
    say(f"a set of plots of 1,000,000 events, {n_classes} classes, CPU", value)


def spent(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def small_figures(*splits: Any, caption: str) -> dict[str, Figure]:
    """Return one figure, quickly drawn."""
    figure = new_figure(4, 3, caption)
    figure.subplots().plot(np.linspace(0, 1, 50), np.ones(50))
    return {"small": figure}


def growth(sets: int, figures: Callable[..., dict[str, Figure]], curves: tuple[str, ...]) -> float:
    """Return by how many MB this process grows from the tenth of the sets to the last one."""
    label = torch.arange(100) % 2
    numerical, categorical = torch.zeros(100, 1), torch.zeros(100, 0, dtype=torch.int64)
    events = Events(numerical, categorical, label, torch.ones(100), torch.ones(100))
    before = 0.0
    with tempfile.TemporaryDirectory() as place:
        run = begin(Path(place))
        tracker = Tracker(run, events, events, Outputs, binary_metrics, figures, 1, 1, 50)
        for epoch in range(1, sets + 1):
            train, validation = (sample(2 * epoch + k, 2000, 2) for k in (0, 1))
            values = {f"val_{name}": float(np.exp(-epoch / 100)) for name in curves}
            run.record.write(epoch, epoch, train_loss=0.5, **values)
            folder = run.plots / f"epoch_{epoch:04d}"
            known = run.record.size()
            tracker.drawings.begin(Drawing(epoch, epoch, known, train, validation, folder))
            tracker.drawings.settle()
            rmtree(folder)
            if epoch == SETTLED:
                before = resident()
        run.artist.shutdown()
        run.record.file.close()
    return resident() - before


def resident() -> float:
    """Return the MB of memory that this process holds now, which `getrusage` does not say."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def memory() -> None:
    """Growth over many sets of all figures, in a process that does nothing else."""
    command = [sys.executable, __file__, "memory", str(SETS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    say(f"memory after {SETS} sets of plots, more than after ten", f"{done.stdout.strip()} MB")


def main() -> None:
    """Print what the command line asks for."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["memory"]:
        sets, kind = int(sys.argv[2]), "".join(sys.argv[3:4])
        figures = small_figures if kind else watched(2)[1]
        print(f"{growth(sets, figures, () if kind else METRICS):.1f}")
        return
    with section("Watching a training, one thread"):
        for n_classes in (2, 4):
            cost(n_classes)
        memory()


if __name__ == "__main__":
    main()
