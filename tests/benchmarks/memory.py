"""Events in memory and on a disk: what a training takes of memory, and how fast it is, in one run.

    python memory.py [EVENTS]       default: 20 million, which takes some minutes and 8 GB of a disk

Two generated scripts that differ in `max_memory` alone train a small network, 28-64-64-1, for two
epochs at batch 4096. Memory is that of the process alone (RssAnon), beyond what imports take.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seesawc import pipeline
from seesawc.writing import outputs
from tests.benchmarks.results import say, section

EVENTS, BLOCK = 20_000_000, 500_000
FEATURES = tuple(f"x{index:02}" for index in range(28))
SPEC = f"""
task = "signal"

[experiment_config]
experiment_name = "bench"
run_name = "RUN_NAME"
seed = 1
accelerator = "cpu"
devices = 1
plot_metrics_n_epoch = "never"
log_every_n_steps = 10

[dataset_config]
event_number = "event"
numerical = {json.dumps(FEATURES)}
batch_size = 4096
MAX_MEMORY

[[dataset_config.samples]]
name = "background"
class = "background"
files = ["background.parquet"]

[[dataset_config.samples]]
name = "signal"
class = "signal"
files = ["signal.parquet"]

[model_config.architecture_config]
model = "MLP"
n_layers = 2
n_hidden = 64

[training_config]
max_epochs = 2
"""
# Imports all that the script will, and says on stderr what it has taken beyond that at most.
WATCHED = """
import ast, re, runpy, sys, threading, time
from pathlib import Path
script = Path(sys.argv[1])
sys.path.insert(0, str(script.parent))
body = ast.parse(script.read_text()).body
named = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
exec(compile(ast.Module(named, []), script, "exec"))
import matplotlib.figure, mlflow, onnx, onnxruntime
status = Path("/proc/self/status")
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", status.read_text())[1]) * 1024
imported = peak = anonymous()
def watch():
    global peak
    while True:
        peak = max(peak, anonymous())
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
sys.argv = sys.argv[1:]
try:
    runpy.run_path(str(script), run_name="__main__")
finally:
    print("peak", peak - imported, file=sys.stderr)
"""


@dataclass(frozen=True)
class Trained:
    """What a training took."""

    peak: int  # bytes
    rate: float  # events a second, in the steps of the last epoch
    seconds: float  # from the start of Python to its end
    said: str


def write(path: Path, label: int, size: int) -> None:
    """Write events of a class, block by block."""
    random = np.random.default_rng(label)
    writer = None
    for first in range(0, size, BLOCK):
        count = min(BLOCK, size - first)
        columns: dict[str, Any] = {
            name: random.standard_normal(count, dtype=np.float32) + np.float32(0.1 * label)
            for name in FEATURES
        }
        columns["event"] = np.arange(first, first + count) + label * size
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="none")
        writer.write_table(table, row_group_size=BLOCK // 5)
    assert writer is not None
    writer.close()


def built(place: Path, name: str, option: str) -> Path:
    """Compile a spec, and return its script."""
    spec = place / f"{name}.toml"
    spec.write_text(SPEC.replace("RUN_NAME", name).replace("MAX_MEMORY", option))
    folder = pipeline.output_folder(spec)
    outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=False)
    return folder / "train_signal.py"


def trained(script: Path, place: Path, name: str) -> Trained:
    """Train to the end."""
    places = {f"ANALYSIS_ML_{kind}_DIR": str(place / "logs") for kind in ("LOGS", "RESULTS")}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(script)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **places},
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    record = place / "logs" / "bench" / name / "metrics.jsonl"
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    steps = [line for line in lines if "train_loss_step" in line]
    steps = [line for line in steps if line["epoch"] == steps[-1]["epoch"]]
    first, last = steps[len(steps) // 10], steps[-1]
    rate = 4096 * (last["step"] - first["step"]) / (last["time"] - first["time"])
    return Trained(int(done.stderr.split()[-1]), rate, seconds, done.stdout)


def main() -> None:
    """Measure all of it."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        place = Path(folder)
        # Compiled to `generated` beside the folder of specs.
        specs = place / "specs"
        specs.mkdir()
        for label, name in enumerate(("background", "signal")):
            write(specs / f"{name}.parquet", label, size // 2)
        memory = trained(built(specs, "in_memory", ""), place, "in_memory")
        option = 'max_memory = "2G"'
        disk = trained(built(specs, "on_disk", option), place, "on_disk")
        again = trained(built(specs, "on_disk_again", option), place, "on_disk_again")
        cache = sum(path.stat().st_size for path in (place / "logs" / "cache").rglob("*"))
    with section(f"Memory, {size / 1e6:g} million events of {len(FEATURES)} features"):
        say("events; bytes of their features", f"{size}; {size * 4 * len(FEATURES) / 1e9:.2f} GB")
        for name, found in (("in memory", memory), ("on a disk", disk), ("  again", again)):
            say(f"memory beyond the imports, {name}", f"{found.peak / 1e9:.2f} GB")
        say("steps on a disk, in times of the speed in memory", f"{disk.rate / memory.rate:.2f}")
        say("  again", f"{again.rate / memory.rate:.2f}")
        [made] = [line for line in disk.said.splitlines() if "written in" in line]
        say("making the cache; its size", f"{made.rpartition(' in ')[2]}; {cache / 1e9:.2f} GB")
        say("two epochs in memory; on a disk; again: wall", "; ".join(
            f"{found.seconds:.0f} s" for found in (memory, disk, again)
        ))  # fmt: skip


if __name__ == "__main__":
    main()
