"""From the start of a script to its first step: `python starting.py [REPETITIONS]`.

The script of h4l against a process that imports torch and Lightning alone and then reads the same
data by the same parts. They take turns; what is said is the median.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from seesawc import pipeline
from seesawc.data.datasets import read_dataset
from seesawc.writing import outputs, scripts
from tests.benchmarks.results import say, section

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SPEC = ROOT / "specs" / "h4l.toml"
# The record has a line for the first step, and MLflow a store of its own, as for a first run.
LOGGED = "log_every_n_steps = 1\n"


def compile_spec(place: Path) -> Path:
    """Compile h4l, with its first step recorded; returns the script."""
    spec = place / "specs" / SPEC.name
    spec.parent.mkdir()
    (spec.parent / "data").symlink_to(SPEC.parent / "data")
    above, table, below = SPEC.read_text().partition("[experiment_config]\n")
    spec.write_text(f"{above}{table}{LOGGED}{below}")
    folder = pipeline.output_folder(spec)
    outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=False)
    return folder / scripts.SCRIPT


def to_first_step(script: Path, logs: Path) -> float:
    """Return the seconds from a start of the script to the end of its first step."""
    places = {f"ANALYSIS_ML_{name}_DIR": str(logs) for name in ("LOGS", "RESULTS")}
    began = time.time()
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, **places},
        stdout=subprocess.DEVNULL,
    ) as process:
        while not (steps := steps_of(logs)):
            if process.poll() is not None:
                raise RuntimeError(f"{script} ended before its first step")
            time.sleep(0.05)
        process.kill()
    return steps[0] - began


def steps_of(logs: Path) -> list[float]:
    """Return when steps were recorded."""
    lines = [line for path in logs.glob("*/*/metrics.jsonl") for line in path.open()]
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [entry["time"] for entry in entries if "train_loss_step" in entry]


def to_data(place: Path, parts: Path) -> float:
    """Return the seconds in which the other process has imported and read."""
    command = [sys.executable, str(HERE / "reading_alone.py")]
    began = time.time()
    done = subprocess.run(
        [*command, str(place / "dataset.pickle"), str(place / "specs")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(parts)},
    )
    return float(done.stdout.split()[-1]) - began


def main() -> None:
    """Measure both in turns."""
    repetitions = int([*sys.argv[1:], "5"][0])
    with tempfile.TemporaryDirectory() as name, section("Starting, h4l", kept=not sys.argv[1:]):
        place = Path(name)
        script = compile_spec(place)
        dataset = read_dataset(pipeline.check(SPEC).experiment)
        (place / "dataset.pickle").write_bytes(pickle.dumps(dataset))
        ours, theirs = [], []
        for repetition in range(repetitions):
            theirs.append(to_data(place, script.parent))
            ours.append(to_first_step(script, place / f"logs{repetition}"))
        say("importing torch and Lightning, then reading", f"{median(theirs):.2f} s")
        say("start of the script to its first step", f"{median(ours):.2f} s")
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        say("  of that time", f"{ratio:.2f}")


if __name__ == "__main__":
    main()
