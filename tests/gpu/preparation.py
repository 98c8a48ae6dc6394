"""Compiles what `check.py` runs into a folder that needs no seesawc, and keeps what it found.

preparation.py prepare FOLDER    scripts for ACCELERATOR (default: gpu), and the check
preparation.py keep FOLDER       the figures that it left there, into RESULTS.md
"""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import results
from tests.benchmarks.training import Case, case_of
from tests.gpu.check import FIGURES, PLAN

ROOT = Path(__file__).resolve().parents[2]
# What the check is made of, and imports.
FILES = ("benchmarks/raw_loop.py", "benchmarks/timing.py", "gpu/check.py", "gpu/check.sh")
# A network with dropout and running statistics, whose order of random numbers matters.
REPEATED = 'model = "ResNet"\nn_layers = 4\nn_hidden = 64\ndropout = 0.1\nbatchnorm = true'
NO_ONNX = "export_onnx = false\n"


def cases(accelerator: str) -> list[Case]:
    """Return the scripts of the check."""
    found = [
        replace(
            case_of(timed.network, timed.batch),
            name=timed.name,
            precision=timed.precision,
            accelerator=accelerator,
            more=NO_ONNX,
            epochs=timed.epochs,
        )
        for timed in PLAN.timed
    ]
    for precision in PLAN.repeated:
        name = f"repeated_{precision}"
        found.append(Case(name, 1024, 6, REPEATED, 10, accelerator, precision, NO_ONNX))
    for optimizer in PLAN.optimizers:
        chosen = f'{NO_ONNX}[training_config.optimizer]\noptimizer_name = "{optimizer}"\n'
        case = Case(f"by_{optimizer}", 1024, 2, REPEATED, 10, accelerator, "32-true", chosen)
        found.append(case)
    # On a CPU, torch scales no losses.
    return [case for case in found if accelerator != "cpu" or case.precision != "16-mixed"]


def prepare(folder: Path) -> None:
    """Compile the scripts, with the check beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in FILES:
        copy = folder / "tests" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / name, copy)
    (folder / "specs").mkdir()
    accelerator = os.environ.get("ACCELERATOR", "gpu")
    compiled = [case.compile(folder) for case in cases(accelerator)]
    print(f"{folder} has {len(compiled)} scripts for {accelerator}")


def keep(folder: Path) -> None:
    """Put the figures into RESULTS.md, under the name of the card."""
    said = json.loads((folder / FIGURES).read_text())
    results.put(f"On {said['card']}", said["machine"], said["lines"])


if __name__ == "__main__":
    {"prepare": prepare, "keep": keep}[sys.argv[1]](Path(sys.argv[2]))
