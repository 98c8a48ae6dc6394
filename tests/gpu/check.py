"""Runs prepared scripts on a GPU, and says what happened; needs no seesawc.

    check.py [SECONDS [WORD ...]]    only checks that have a word in their name

What matters most comes first; what the seconds leave no time for is named. Everything is printed as
a table, and left in `figures.json` of the folder that was prepared.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from tests.benchmarks.timing import TRAINED, places, raw_speed, script_speed, write_events

ROOT = Path(__file__).resolve().parents[2]
FIGURES = "figures.json"
SIZE = int(os.environ.get("EVENTS", "2000000"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHAPES = {"small": (2, 64), "big": (4, 256)}
LINES: list[str] = []
# Seconds that a check needs at least.
LEAST = 20.0


@dataclass(frozen=True)
class Timed:
    """A script whose speed is measured."""

    network: str
    batch: int
    precision: str = "32-true"
    epochs: int = 4

    @property
    def name(self) -> str:
        """The name of its spec."""
        return f"{self.network}_{self.batch}_{self.precision}"


@dataclass(frozen=True)
class Plan:
    """What is checked, and in which order: speeds, repetitions, optimizers."""

    timed: tuple[Timed, ...]
    repeated: tuple[str, ...]
    optimizers: tuple[str, ...]


PLAN = Plan(
    (
        Timed("big", 4096),
        Timed("small", 4096),
        Timed("big", 16384),
        Timed("big", 16384, "bf16-mixed"),
        Timed("big", 16384, "16-mixed"),
        Timed("small", 1024),
        Timed("small", 16384),
        Timed("big", 1024),
        Timed("big", 65536),
    ),
    ("32-true", "bf16-mixed", "16-mixed"),
    ("Adam", "SGD", "NAdam", "RMSprop"),
)


def say(name: str, value: str) -> None:
    """Print one figure."""
    LINES.append(f"{name:66}{value}")
    print(LINES[-1], flush=True)


def variables(name: str) -> dict[str, str]:
    """Return what a process gets: the parts of a script, which a raw loop reads data by."""
    return {"PYTHONPATH": str(ROOT / "generated" / name)}


@contextmanager
def busy() -> Iterator[list[float]]:
    """Note, meanwhile, by how many per cent the GPU is busy, where it can be asked."""
    seen: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            try:
                seen.append(float(torch.cuda.utilization()))
            # Without NVIDIA's library of its own there is no figure.
            except (ModuleNotFoundError, RuntimeError):
                return

    watcher = threading.Thread(target=watch)
    if DEVICE == "cuda":
        watcher.start()
    yield seen
    over.set()
    if DEVICE == "cuda":
        watcher.join()


def speed(timed: Timed, scratch: Path) -> None:
    """Say how fast a script is, beside a raw loop with its data on the device."""
    script = ROOT / "generated" / timed.name / "train_signal.py"
    data = ROOT / "specs" / "data" / "events.parquet"
    numbers = (*SHAPES[timed.network], timed.batch, timed.epochs)
    hardware = (DEVICE, timed.precision)
    raw = raw_speed(data, numbers, TRAINED * SIZE, variables(timed.name), hardware)
    with busy() as seen:
        ours = script_speed(script, scratch, numbers, "timed", {})
    title = f"{timed.network}, batches of {timed.batch}, {timed.precision}"
    say(f"{title}: raw loop", f"{timed.batch / raw.step / 1e6:.2f} M events/s")
    say("  steps of the script, of that speed", f"{raw.step / ours.step:.2f}")
    say("  whole epochs, of the raw loop's with validation", f"{raw.epoch / ours.epoch:.2f}")
    # Of the last epochs: before them, the script starts and reads.
    seconds = 0.8 * (timed.epochs - 1) * ours.epoch
    if last := seen[-max(1, int(seconds / 0.2)) :]:
        say("  the GPU was busy in the last epochs, at its calls' mean", f"{mean(last):.0f} %")


def start(name: str, logs: Path) -> subprocess.Popen[str]:
    """Start a script."""
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "generated" / name / "train_signal.py")],
        env={**os.environ, **places(logs)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(name: str, logs: Path) -> dict[str, Any]:
    """Run a script to its end; returns its last checkpoint."""
    process = start(name, logs)
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{name} ended with exit status {process.returncode}:\n{said[-3000:]}")
    found = sorted(logs.glob(f"{name}/*/checkpoints/last*.ckpt"))
    content: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=True)
    return content


def apart(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return by how much the weights of two checkpoints differ at most."""
    pairs = [(one["state_dict"][n], other["state_dict"][n]) for n in one["state_dict"]]
    differences = [float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel()]
    return f"{max(differences):.3g}"


def repeat(precision: str, scratch: Path) -> None:
    """Say how far two runs of a script are apart, and one that was killed and continued."""
    name = f"repeated_{precision}"
    began = time.perf_counter()
    first = finish(name, scratch / "first")
    say(f"ResNet, {precision}: a run of 6 epochs", f"{time.perf_counter() - began:.0f} s")
    say("  the same again: weights apart by", apart(first, finish(name, scratch / "second")))
    process = start(name, scratch / "killed")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            process.kill()
            break
    process.communicate()
    continued = finish(name, scratch / "killed")
    say("  killed in its fourth epoch and continued: apart by", apart(first, continued))


def optimize(optimizer: str, scratch: Path) -> None:
    """Say whether an optimizer works, and how it was built."""
    content = finish(f"by_{optimizer}", scratch)
    [state] = content["optimizer_states"]
    group = state["param_groups"][0]
    kinds = [kind for kind in ("fused", "capturable", "foreach") if group.get(kind)]
    say(f"{optimizer}: trained; it was", ", ".join(kinds) or "plain")


def checks() -> list[tuple[str, Callable[[Path], None]]]:
    """Return what is checked, by name; the most important first."""
    speeds = [(f"speed of {timed.name}", partial(speed, timed)) for timed in PLAN.timed]
    repeats = [(f"repetition at {kind}", partial(repeat, kind)) for kind in PLAN.repeated]
    others = [(f"optimizer {name}", partial(optimize, name)) for name in PLAN.optimizers]
    found = [*speeds[:3], *repeats[:1], *speeds[3:5], *repeats[1:], *speeds[5:], *others]
    # On a CPU, torch scales no losses.
    scaled = (" 16-mixed", "_16-mixed")
    found = [each for each in found if DEVICE == "cuda" or not each[0].endswith(scaled)]
    words = sys.argv[2:]
    return [each for each in found if not words or any(word in each[0] for word in words)]


def card() -> str:
    """Return the name of the GPU."""
    return torch.cuda.get_device_name() if DEVICE == "cuda" else "no GPU"


def main() -> int:
    """Check what there is time for; returns the exit status."""
    began, seconds = time.perf_counter(), float([*sys.argv[1:], "480"][0])
    lacking = [name for name in ("mlflow", "uproot") if not is_there(name)]
    without = f", without {' and '.join(lacking)}" if lacking else ""
    machine = f"{card()}; Python {platform.python_version()}, torch {torch.__version__}{without}"
    print(machine, flush=True)
    write_events(ROOT / "specs" / "data" / "events.parquet", SIZE)
    say("events of 28 features", f"{SIZE}")
    failed, left_out, longest = False, [], LEAST
    for number, (name, check) in enumerate(checks()):
        if seconds - (time.perf_counter() - began) < longest and number:
            left_out.append(name)
            continue
        scratch, before = Path(tempfile.mkdtemp(prefix="seesawc-gpu-")), time.perf_counter()
        try:
            check(scratch)
        # A fault of one says nothing of the others.
        except (
            RuntimeError,
            LookupError,
            OSError,
            ValueError,
            subprocess.SubprocessError,
        ) as error:
            failed = True
            say(f"{name}: FAILED", repr(error))
        shutil.rmtree(scratch)
        leave(machine)
        longest = max(longest, time.perf_counter() - before)
    if left_out:
        say("left out, as there was no time for it", ", ".join(left_out))
        leave(machine)
    return int(failed)


def leave(machine: str) -> None:
    """Leave what was found so far: whoever lends the machine may end this at any time."""
    said = {"card": card(), "machine": f"{machine}; {time.strftime('%Y-%m-%d')}", "lines": LINES}
    (ROOT / FIGURES).write_text(json.dumps(said, indent=1))


def is_there(module: str) -> bool:
    """Whether a module can be imported."""
    command = [sys.executable, "-c", f"import {module}"]
    return not subprocess.run(command, check=False, capture_output=True).returncode


if __name__ == "__main__":
    sys.exit(main())
