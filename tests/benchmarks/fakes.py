"""How near the fake factors of two toys come to the true ones, for three seeds: `make bench`.

A seed draws other events, other initial weights and another order of training.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from parts.splits import assign
from seesawc import pipeline
from seesawc.writing import outputs
from specs.data import make_toys
from tests.benchmarks.results import say, section

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("train_numerator.py", "train_denominator.py", "train_ratio.py", "closure.py")
PT = (10, 12, 15, 20, 30, 50, 80, 120, 200, 400, 1000)
TEST = 2


def trained(toy: str, seed: int, place: Path) -> tuple[Any, float]:
    """Train on a toy of a seed; returns the module `apply` and the wall time in seconds."""
    (place / "specs" / "data").mkdir(parents=True)
    text = (ROOT / "specs" / f"fakes_{toy}.toml").read_text()
    spec = place / "specs" / f"fakes_{toy}.toml"
    spec.write_text(text.replace("seed = 1", f"seed = {seed}"))
    make_toys.write_toy(toy, seed, 1.0, place / "specs" / "data")
    folder = pipeline.output_folder(spec)
    outputs.write(folder, pipeline.compile_spec(spec, folder).files, force=False)
    os.environ |= dict.fromkeys(
        ("ANALYSIS_ML_LOGS_DIR", "ANALYSIS_ML_RESULTS_DIR"), str(place / "logs")
    )
    began = time.perf_counter()
    for script in SCRIPTS:
        subprocess.run([sys.executable, folder / script], check=True, capture_output=True)
    wall = time.perf_counter() - began
    found = importlib.util.spec_from_file_location("apply", folder / "apply.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module, wall


def loose_leptons(toy: str, place: Path) -> pd.DataFrame:
    """Return the loose leptons of the test split; MC weights with the sign that they enter by."""
    events = pd.read_parquet(place / "specs" / "data" / f"toy_{toy}.parquet")
    keys = events[["event"]].to_numpy(dtype=np.int64).view(np.uint64)
    chosen = (assign(keys, (0.7, 0.15, 0.15)) == TEST) & (events["toy_type"] == make_toys.LOOSE)
    found: pd.DataFrame = events[chosen].copy()
    found["signed"] = found["weight"] * np.where(found["data_type"] == make_toys.DATA, 1, -1)
    return found


def closure(place: Path) -> str:
    """Return what `closure.json` says of the neural fakes."""
    [path] = place.glob("logs/*/*-ratio/closure.json")
    neural = json.loads(path.read_text())["neural"]
    return f"{neural['fakes_ratio']:.4f} +- {neural['fakes_ratio_error']:.4f}"


def say_yields(ratio: float, place: Path, wall: float) -> None:
    """Print the ratio of yields, what `closure.json` says, and how long it all took."""
    say("  yield of fakes / true yield; closure", f"{ratio:.4f}; {closure(place)}")
    say("  three trainings and closure, wall", f"{wall:.0f} s")


def pt(seed: int) -> None:
    """Print F over the true one at given pt, and the yields."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        module, wall = trained("pt", seed, place)
        values = np.array(PT, dtype=np.float64)
        ratio = module.fake_factor({"pt": values}) / make_toys.true_fake_factor(values)
        loose = loose_leptons("pt", place)
        fakes = loose["signed"] @ module.fake_factor(loose)
        true = loose["signed"] @ make_toys.true_fake_factor(loose["pt"].to_numpy())
        say(f"pt, seed {seed}: F / true", " ".join(f"{r:.3f}" for r in ratio))
        core, wide = np.abs(ratio[1:9] - 1).max(), np.abs(ratio[[0, 9]] - 1).max()
        say("  12 to 200 GeV within; 10 and 400 GeV within", f"{core:.1%}; {wide:.1%}")
        say_yields(fakes / true, place, wall)


def jets(seed: int) -> None:
    """Print how F and its spread compare with the true fake factor, over loose leptons."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        module, wall = trained("jets", seed, place)
        loose = loose_leptons("jets", place)
        columns = (loose[name].to_numpy() for name in ("pt", "eta", "n_jets"))
        true = make_toys.true_jets_fake_factor(*columns)
        factor, spread = module.fake_factor(loose), module.spread(loose)
        data = (loose["data_type"] == make_toys.DATA).to_numpy()
        ratio = (factor / true)[data]
        name = f"jets, seed {seed}: F / true, mean; deviation"
        say(name, f"{ratio.mean():.3f}; {ratio.std():.3f}")
        pull = ((factor - true) / spread)[data].std()
        relative = (spread / factor)[data].mean()
        say("  members spread by, of F", f"{relative:.1%}")
        say("  deviation of (F - true) / spread", f"{pull:.2f}")
        fakes = (loose["signed"] @ factor) / (loose["signed"] @ true)
        say_yields(fakes, place, wall)


if __name__ == "__main__":
    with section("Fake factors of the toys"):
        say("pt at which F is compared, in GeV", " ".join(map(str, PT)))
        for seed in (1, 2, 3):
            pt(seed)
        jets(1)
