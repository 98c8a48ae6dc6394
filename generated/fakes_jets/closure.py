"""Closure of the fake factor of fakes_jets, on leptons that no network was trained on.

Tight data should be what tight Monte Carlo and fakes add up to, fakes being loose data and loose
Monte Carlo weighted with F and -F. Shown for the network of train_ratio.py and for the classical
binned fake factor.
Compiled from the spec fakes_jets.toml by seesawc; change the spec, not this file.

    python closure.py                  after train_ratio.py; writes closure.json and plots
    python closure.py --again LABEL    for the run that was trained with --again LABEL

Exit status: 0 it closes within the tolerance, 1 refused, 5 it does not, 75, 130 and 143 stopped by
a signal.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "pyarrow==25.0.1",
#     "torch==2.13.0",
#     "tqdm==4.70.1",
# ]
# ///

import sys
from functools import partial
from pathlib import Path

import torch

from parts.closures import close
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.files import fingerprints
from parts.leptons import Category, read_leptons
from parts.machinery.arguments import parse_again
from parts.machinery.closings import factors_of, leave
from parts.machinery.exits import carry_out
from parts.machinery.parents import check_parent_data
from parts.machinery.places import expand
from parts.machinery.ratios import finished_ratio
from parts.parquet_files import Parquet

# Experiment.
EXPERIMENT_NAME = "fakes_jets"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"

# The training of F: its run, and the digest of its script.
SPEC_FOLDER = "../../specs"
RATIO = ("fakes_jets_MLP_20261128T155435Z-ratio", "69e5a857d540d3a8")

# Dataset.
EVENT_NUMBER = "event"
NUMERICAL = ("pt", "eta")
CATEGORICAL = ("n_jets",)
MISSING = None
TRAIN, VALIDATION, TEST = (0.7, 0.15, 0.15)

# Fakes.
CATEGORY = "toy_type"
TIGHT = 0
LOOSE = 2
BINNED: dict[str, list[float]] = {
    "pt": [15.0, 20.0, 30.0, 40.0, 60.0, 100.0, 300.0],
    "eta": [-2.5, -1.5, -0.8, 0.8, 1.5, 2.5],
}
TOLERANCE = 0.05

DATASET = Dataset(
    samples=(
        Sample(
            name="data",
            label=1,  # data
            files=("data/toy_jets.parquet",),
            reader=Parquet(),
            selection="data_type == 1",
            weight="weight",
        ),
        Sample(
            name="prompt",
            label=0,  # mc
            files=("data/toy_jets.parquet",),
            reader=Parquet(),
            selection="data_type == 0",
            weight="weight",
        ),
    ),
    numerical=NUMERICAL,
    categorical=CATEGORICAL,
    event_number=EVENT_NUMBER,
    split=(TRAIN, VALIDATION, TEST),
    further=(CATEGORY,),
)


def test_closure(again: str) -> int:
    """Compare the yields of the test leptons; return the exit status."""
    base = Path(__file__).resolve().parent / SPEC_FOLDER
    run = finished_ratio(expand(SAVE_DIR, base) / EXPERIMENT_NAME, RATIO, again)
    plots = expand(TRACKER_PATH, base) / EXPERIMENT_NAME / run.name / "closure"
    files = find_data(DATASET, base).files
    check_parent_data(run, fingerprints(files))
    train, validation, test = read_leptons(
        DATASET,
        files,
        category=Category(CATEGORY, TIGHT, LOOSE),
        dtype=torch.float64,
    )
    closure = close(
        test,
        (train, validation),
        DATASET.features,
        factors_of(run, test, DATASET.features),
        binned=BINNED,
        tolerance=TOLERANCE,
        missing=MISSING,
    )
    return leave(closure, run, plots)


if __name__ == "__main__":
    sys.exit(carry_out(partial(test_closure, parse_again("Test the closure of F."))))
