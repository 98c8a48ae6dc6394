"""Scoring two million events, and a cross-validation: speed and memory, as ratios in one run.

    python applying.py

One thread throughout. The library reads and writes the same file, all of its columns and one more,
and the network is run on the features in between: less than that no command could do. Both times
have the start of Python and the import of the library in them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import uproot
from numpy.typing import NDArray
from torch import nn

from parts.inputs import Inputs, Numerical
from parts.models import MLP, binary_probability
from seesawc import pipeline
from seesawc.writing import outputs
from tests.benchmarks.results import say, section

ROOT = Path(__file__).resolve().parents[2]
SIZE, BLOCK, TRAINED = 2_000_000, 100_000, 20_000
# Events that a network is given: both are fastest with about so many.
AT_ONCE = 1000
FEATURES = tuple(f"x{index:02}" for index in range(28))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SPEC = f"""
task = "signal"

[experiment_config]
experiment_name = "bench"
seed = 1

[dataset_config]
event_number = "event"
numerical = {json.dumps(FEATURES)}

[[dataset_config.samples]]
name = "all"
class_column = "label"
files = ["few.parquet"]

[dataset_config.class_values]
background = [0]
signal = [1]

[model_config.architecture_config]
model = "MLP"
n_layers = 2
n_hidden = 64

[training_config]
max_epochs = 1
"""
IMPORTS = {
    ".parquet": "import onnxruntime, pyarrow.parquet",
    ".root": "import onnxruntime, uproot",
}
# The peak of a process alone: what `getrusage` says includes its parent's, from before exec.
PEAK = """
import atexit, runpy, sys
from pathlib import Path
lines = lambda: Path("/proc/self/status").read_text().splitlines()
peak = lambda: next(line for line in lines() if line.startswith("VmHWM")).split()[1]
atexit.register(lambda: print(peak(), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def block(first: int, size: int) -> dict[str, NDArray[Any]]:
    """Return some events."""
    random = np.random.default_rng(first)
    label = (random.random(size) < 0.3).astype(np.int8)
    return {
        **{name: random.normal(label * 0.1, 1).astype(np.float32) for name in FEATURES},
        "event": np.arange(first, first + size),
        "label": label,
        "weight": random.uniform(0.5, 1.5, size).astype(np.float32),
    }


def write(path: Path, size: int) -> None:
    """Write events to a file, block by block."""
    firsts = range(0, size, BLOCK)
    if path.suffix == ".root":
        with uproot.recreate(path) as file:
            file.mktree("events", {name: column.dtype for name, column in block(0, 1).items()})
            for first in firsts:
                file["events"].extend(block(first, min(BLOCK, size)))
    else:
        with pq.ParquetWriter(path, pa.table(block(0, 1)).schema) as file:
            for first in firsts:
                file.write(pa.table(block(first, min(BLOCK, size))))


def trained(place: Path) -> Path:
    """Train a network on few events, and return the folder that applies it."""
    spec = place / "specs" / "bench.toml"
    spec.parent.mkdir()
    spec.write_text(SPEC)
    write(spec.with_name("few.parquet"), TRAINED)
    folder = pipeline.output_folder(spec)
    outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=False)
    start([folder / "train_signal.py"], place)
    [found] = place.glob("logs/bench/*/deploy")
    return found


def start(command: Sequence[str | Path], place: Path, **variables: str) -> str:
    """Run a Python script to its end, with one thread; return what it says on stderr."""
    places = {f"ANALYSIS_ML_{name}_DIR": str(place / "logs") for name in ("LOGS", "RESULTS")}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_THREAD, **places, **variables},
    )
    return done.stderr


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a piece of work."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def best(work: Callable[[], object], times: int = 3) -> float:
    """Return the least wall time of several."""
    return min(seconds(work) for _ in range(times))


def session_of(path: Path) -> Any:
    """Return a session of ONNX Runtime with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, ["CPUExecutionProvider"])


def network(model: Path) -> None:
    """Say how much faster the exported network alone is than that of torch."""
    values = np.random.default_rng(1).normal(size=(SIZE, len(FEATURES))).astype(np.float32)
    session = session_of(model)
    inputs = Inputs([Numerical(nn.Identity(), len(FEATURES))])
    ours = MLP(inputs, 1, n_layers=2, n_hidden=64, act=nn.ReLU, dropout=0.0, norm=nn.Identity)
    torch.set_num_threads(1)
    none = torch.zeros(AT_ONCE, 0, dtype=torch.int64)

    def by_runtime() -> None:
        for part in np.split(values, SIZE // AT_ONCE):
            session.run(None, {"numerical": part})

    @torch.inference_mode()
    def by_torch() -> None:
        for part in np.split(values, SIZE // AT_ONCE):
            binary_probability(ours.eval()(torch.from_numpy(part), none))

    say(
        "the exported network, times the speed of torch", f"{best(by_torch) / best(by_runtime):.2f}"
    )


def by_library(path: Path, out: Path, session: Any, beside: bool) -> None:
    """Read the features, run the network, and write the events or the scores with the library."""
    columns = None if beside else [*FEATURES, "event"]
    if path.suffix == ".root":
        with uproot.open(path) as file, uproot.recreate(out) as target:
            for index, part in enumerate(
                file["events"].iterate(columns, step_size=BLOCK, library="np")
            ):
                found = scores(part, session)
                new = (
                    {**part, "score": found} if beside else {"event": part["event"], "score": found}
                )
                if not index:
                    target.mktree("events", {name: column.dtype for name, column in new.items()})
                target["events"].extend(new)
        return
    with pq.ParquetFile(path) as file:
        writer = None
        for batch in file.iter_batches(BLOCK, columns=columns):
            part = {name: batch[name].to_numpy() for name in FEATURES}
            table = pa.Table.from_batches([batch])
            table = table if beside else table.select(["event"])
            table = table.append_column("score", pa.array(scores(part, session)))
            writer = writer or pq.ParquetWriter(out, table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()


def scores(part: dict[str, NDArray[Any]], session: Any) -> NDArray[np.float32]:
    """Return the score of events."""
    values = np.stack([part[name] for name in FEATURES], axis=1).astype(np.float32)
    found: NDArray[np.float32] = session.run(None, {"numerical": values})[0][:, 1]
    return found


def applying(deployed: Path, place: Path) -> None:
    """Say what the whole command takes, against the library and the network."""
    session = session_of(deployed / "model.onnx")
    for kind in ("parquet", "root"):
        path = place / f"many.{kind}"
        write(path, SIZE)
        for beside in (True, False):
            apply_to(path, deployed / "apply.py", session, beside)
        path.unlink()


def apply_to(path: Path, script: Path, session: Any, beside: bool) -> None:
    """Say the same of one file and one kind of output."""
    out = path.with_stem("out")
    words: list[str | Path] = [
        "-c",
        PEAK,
        script,
        path,
        out,
        "--overwrite",
        *([] if beside else ["--friend"]),
    ]
    peaks: list[int] = []
    ours = best(lambda: peaks.append(int(start(words, path.parent).split()[-1])), 2)
    theirs = best(lambda: by_library(path, out, session, beside), 2)
    theirs += best(lambda: start(["-c", IMPORTS[path.suffix]], path.parent))
    out.unlink()
    how = "beside the events" if beside else "as a friend"
    say(f"apply.py, 2 million events of {path.suffix}, {how}: wall", f"{ours:.1f} s")
    say("  in times of the library and the network", f"{ours / theirs:.2f}")
    say("  peak memory", f"{max(peaks) / 1024:.0f} MB")


def folds(place: Path) -> None:
    """Say what the cross-validation of the example takes, one after the other, two at a time."""
    script = ROOT / "generated" / "h4l_folds" / "train_signal.py"
    closing = script.with_name("combine.py")
    one = seconds(lambda: start([script, "--all"], place / "one", PYTHONUNBUFFERED="1"))
    last = seconds(lambda: start([closing], place / "one"))

    def train(point: int) -> None:
        start([script, "--point", str(point)], place / "two")

    def all_of_them() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(train, range(5)))
        start([closing], place / "two")

    two = seconds(all_of_them)
    say("five folds of h4l, one after the other, and combined: wall", f"{one + last:.0f} s")
    say("  of which combine.py", f"{last:.0f} s")
    say("  two at a time, in times of that", f"{two / (one + last):.2f}")
    [result] = (place / "one" / "logs").glob("h4l/*-combined/metrics.json")
    said = json.loads(result.read_text())
    value, error = (said[each]["all events"]["auc"] for each in ("metrics", "uncertainties"))
    say("  AUC of all events", f"{value:.4f} +- {error:.4f}")


def main() -> None:
    """Measure all of it."""
    title = "Scoring, and a cross-validation, one thread"
    with section(title), tempfile.TemporaryDirectory() as name:
        place = Path(name)
        deployed = trained(place)
        network(deployed / "model.onnx")
        applying(deployed, place)
        folds(place)


if __name__ == "__main__":
    main()
