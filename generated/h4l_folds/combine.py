"""Cross-validation of h4l: each event by the network that has not seen it.

Each training was tested on a fold of the events, and all folds together are all of them. Shown is
what all scores together say, and how much the folds differ; the networks come into one folder.
Compiled from the spec h4l_folds.toml by seesawc; change the spec, not this file.

    python combine.py                  after train_signal.py --all; writes metrics, plots, deploy/
    python combine.py --again LABEL    for the runs that were trained with --again LABEL

Exit status: 0 done, 1 refused, as where a fold is not trained yet, 4 disk full, 75, 130 and 143
stopped by a signal.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "awkward==2.14.0",
#     "cramjam==2.14.0",
#     "matplotlib==3.11.2",
#     "mlflow==3.17.2",
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "tqdm==4.70.1",
#     "uproot==5.7.7",
# ]
# ///

import sys
from functools import partial
from pathlib import Path

from parts.arrays import read_folds
from parts.combinations import check_fold_classes, combine_binary
from parts.combined_plots import combined_binary_figures
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.files import digests_by_sample, fingerprints
from parts.fold_scores import score_folds
from parts.machinery.arguments import parse_again
from parts.machinery.combining import leave_combined
from parts.machinery.exits import carry_out
from parts.machinery.fold_runs import check_data_of_folds, trained_folds
from parts.machinery.parents import attempt
from parts.machinery.places import expand
from parts.root_files import Root

# Experiment.
EXPERIMENT_NAME = "h4l"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"

# The trainings that are combined: the run of each fold, and the digest of its script.
SPEC_FOLDER = "../../specs"
COMBINED = "h4l_ResNet_20261128T155435Z-combined"
RUNS = (
    ("h4l_ResNet_20261128T155435Z-240b89d968", "57d9f5fc78598ad3"),
    ("h4l_ResNet_20261128T155435Z-05e813b890", "a60c109668bc42d7"),
    ("h4l_ResNet_20261128T155435Z-2623f5482e", "802a98675eafdbdf"),
    ("h4l_ResNet_20261128T155435Z-137351cf1e", "b16d3d28fce3be7a"),
    ("h4l_ResNet_20261128T155435Z-88f4baaecf", "942f3890af796e2d"),
)

# Dataset. The last of two classes is the signal.
CLASSES = ("background", "signal")
EVENT_NUMBER = "event"
NUMERICAL = (
    "lep1_pt",
    "lep1_eta",
    "lep1_phi",
    "lep2_pt",
    "lep2_eta",
    "lep2_phi",
    "lep3_pt",
    "lep3_eta",
    "lep3_phi",
    "lep4_pt",
    "lep4_eta",
    "lep4_phi",
    "m12",
    "m34",
    "pt4l",
    "jet1_pt",
    "jet1_eta",
    "jet2_pt",
    "jet2_eta",
)
CATEGORICAL = ("lep1_flavour", "lep3_flavour", "n_jets")
MISSING = -999.0
FOLDS = 5
USE_MC_WEIGHTS = True
USE_CLASS_WEIGHTS = True

DATASET = Dataset(
    samples=(
        Sample(
            name="ggH",
            label=1,  # signal
            files=("data/h4l.root",),
            reader=Root(),
            selection="process == 1",
            weight="weight",
        ),
        Sample(
            name="qqZZ",
            label=0,  # background
            files=("data/h4l.root",),
            reader=Root(),
            selection="process == 0",
            weight="weight",
        ),
        Sample(
            name="reducible",
            label=0,  # background
            files=("data/h4l.root",),
            reader=Root(),
            selection="process == 2",
            weight="weight",
        ),
    ),
    numerical=NUMERICAL,
    categorical=CATEGORICAL,
    missing=MISSING,
    event_number=EVENT_NUMBER,
    classes=CLASSES,
)


def combine_folds(again: str) -> int:
    """Score all events, and leave what they say; return the exit status."""
    here = Path(__file__).resolve().parent
    base = here / SPEC_FOLDER
    experiment = expand(SAVE_DIR, base) / EXPERIMENT_NAME
    trained = trained_folds(experiment, RUNS, again)
    files = find_data(DATASET, base).files
    data = fingerprints(files)
    check_data_of_folds(trained, data, digests_by_sample(files, data))
    folds = read_folds(DATASET, files, FOLDS)
    check_fold_classes(folds, CLASSES)
    networks = [each.network for each in trained]
    outputs = score_folds(networks, folds, CLASSES, USE_MC_WEIGHTS, USE_CLASS_WEIGHTS)
    combined = combine_binary(outputs, [each.test for each in trained])
    name = attempt(COMBINED, again)
    return leave_combined(
        combined,
        trained,
        combined_binary_figures(combined, CLASSES, name),
        folder=experiment / name,
        plots=expand(TRACKER_PATH, base) / EXPERIMENT_NAME / name,
        source=here,
    )


if __name__ == "__main__":
    sys.exit(carry_out(partial(combine_folds, parse_again("Combine a cross-validation."))))
