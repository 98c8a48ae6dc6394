"""What compiling takes: one spec cold, many in one process, a large sweep.

Processes start as they do once seesawc is installed, with the bytecode of all modules there. One
spec is timed beside an interpreter that does nothing, in turns.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.benchmarks.results import say, section

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "specs"
SEESAWC = ("-m", "seesawc")
MANY = 300
SEEDS, RATES = 100, 50
READ = "import sys; text = open(sys.argv[1]).read(); compile(text, sys.argv[1], 'exec')"
VARIED = """
[sweep_config]
seeds = {seeds}

[sweep_config.grid]
training_config.optimizer.optimizer_params.lr = {rates}
model_config.architecture_config.model = ["MLP", "ResNet"]
"""


def cold() -> None:
    """Fresh processes for one spec, in turns with an interpreter alone."""
    calls = {
        "an interpreter alone": ("-c", ""),
        "check h4l": (*SEESAWC, "check", "specs/h4l.toml"),
        "build h4l, nothing there yet": (*SEESAWC, "build", "specs/h4l.toml", "--out"),
        "build h4l, all there": (*SEESAWC, "build", "specs/h4l.toml"),
        "build --check h4l": (*SEESAWC, "build", "--check", "specs/h4l.toml"),
    }
    for call in calls.values():
        run(*call, *("first",) * (call[-1] == "--out"))
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(11):
        for name, call in calls.items():
            found[name].append(run(*call, *(f"new{turn}",) * (call[-1] == "--out")))
    for name, walls in found.items():
        say(f"{name}, median", f"{median(walls) * 1e3:.0f} ms")


def many() -> None:
    """Specs in one process, of which the start and one spec are not counted."""
    text = (SPECS / "h4l.toml").read_text()
    assert "seed = " in text
    for number in range(MANY):
        seeded = re.sub(r"seed = \d+", f"seed = {1000 + number}", text)
        Path(f"specs/spec{number}.toml").write_text(seeded)
    specs = [f"specs/spec{number}.toml" for number in range(MANY)]
    for name in ("check", "build", "build again", "build --check"):
        words = name.removesuffix(" again").split()
        wall = run(*SEESAWC, *words, *specs[1:]) - run(*SEESAWC, *words, specs[0])
        say(f"{MANY} specs in one process: {name}, each", f"{wall / (MANY - 1) * 1e3:.1f} ms")


def sweep() -> None:
    """A sweep of 10 000 points, and what each of its jobs pays for the others."""
    above, _, _ = (SPECS / "h4l_sweep.toml").read_text().partition("[sweep_config]")
    seeds, rates = list(range(SEEDS)), [round(1e-4 * 1.05**k, 8) for k in range(RATES)]
    Path("specs/large.toml").write_text(above + VARIED.format(seeds=seeds, rates=rates))
    title = f"a sweep of {SEEDS * RATES * 2} points"
    for name in ("check", "build", "build again", "build --check"):
        words = name.removesuffix(" again").split()
        wall = run(*SEESAWC, *words, "specs/large.toml")
        say(f"{title}: {name}", f"{wall:.1f} s, at most {peak():.0f} MB")
    script = Path("generated/large/train_signal.py")
    wall = median(run("-c", READ, str(script)) - run("-c", "") for _ in range(5))
    say("  Python reads its script, as each job does", f"{wall:.2f} s")


def run(*arguments: str) -> float:
    """Return the wall time of a Python process in seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def peak() -> float:
    """Return the most memory in MB that any process had so far that was run."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


@contextmanager
def project() -> Iterator[None]:
    """Be in a folder with specs, from where processes find seesawc and keep its bytecode."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["PYTHONPATH"] = str(ROOT / "compiler")
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(name) / "bytecode")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.chdir(name)
        Path("specs").mkdir()
        Path("specs/h4l.toml").write_bytes((SPECS / "h4l.toml").read_bytes())
        yield
        os.chdir(ROOT)


if __name__ == "__main__":
    with section("Compiling"), project():
        cold()
        many()
        sweep()
