"""Train a sweep of classifiers of signal against background: h4l.

Compiled from the spec h4l_sweep.toml by seesawc; change the spec, not this file.

    python train_signal.py --point 3    train a point, by index or identity, or go on with it
    python train_signal.py --all        train all points, one after another
    python train_signal.py --help       the points, and other ways to start

Exit status: 0 done, 1 refused, 3 loss not finite, 4 disk full, 70 an error of the program,
75 preempted (start again to go on), 130 interrupted, 143 cancelled; of --all, that of the first
point that failed.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "lightning==2.6.6",
#     "matplotlib==3.11.2",
#     "mlflow==3.17.2",
#     "numpy==2.4.6",
#     "onnx==1.23.2",
#     "onnxruntime==1.32.0",
#     "pyarrow==25.0.1",
#     "torch==2.13.0",
#     "tqdm==4.70.1",
# ]
# ///

import sys
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from parts.batches import Rounds, validation_batches
from parts.classifiers import Classifier
from parts.datasets import Dataset, Sample
from parts.events import Events, read_splits
from parts.inputs import Embedded, Inputs, NumericalOrMissing, present, standard
from parts.losses import bce
from parts.machinery.arguments import parse_sweep_arguments
from parts.machinery.deployed_networks import deploy
from parts.machinery.launches import Run, Script, launch
from parts.machinery.reports import constants
from parts.machinery.trackers import Tracker
from parts.machinery.trainings import Evaluation, Training
from parts.metrics import Outputs, binary_metrics
from parts.models import MLP, ResNet, binary_probability, described
from parts.parquet_files import Parquet
from parts.plots import binary_figures
from parts.uncertainties import binary_uncertainties

# The points of the sweep, by identity: what differs between them.
POINTS: dict[str, dict[str, Any]] = {
    "b67b3970b7": {
        "point": "lr=0.001, model=MLP, seed=1",
        "seed": 1,
        "model": MLP,
        "n_layers": 3,
        "lr": 0.001,
        "build_network": 1,
        "script": "cd329a410dc0fb81",
    },
    "f457ed3abb": {
        "point": "lr=0.001, model=MLP, seed=2",
        "seed": 2,
        "model": MLP,
        "n_layers": 3,
        "lr": 0.001,
        "build_network": 1,
        "script": "d7077960e3eedc21",
    },
    "9ef1fab774": {
        "point": "lr=0.001, model=ResNet, seed=1",
        "seed": 1,
        "model": ResNet,
        "n_layers": 4,
        "block_size": 2,
        "lr": 0.001,
        "build_network": 2,
        "script": "cd23aaa31e273f00",
    },
    "79b6cbce3b": {
        "point": "lr=0.001, model=ResNet, seed=2",
        "seed": 2,
        "model": ResNet,
        "n_layers": 4,
        "block_size": 2,
        "lr": 0.001,
        "build_network": 2,
        "script": "0d1d9703144a0a35",
    },
    "f4ddef4653": {
        "point": "lr=0.0003, model=MLP, seed=1",
        "seed": 1,
        "model": MLP,
        "n_layers": 3,
        "lr": 0.0003,
        "build_network": 1,
        "script": "1ed8e84e5e1a3428",
    },
    "f8da41c353": {
        "point": "lr=0.0003, model=MLP, seed=2",
        "seed": 2,
        "model": MLP,
        "n_layers": 3,
        "lr": 0.0003,
        "build_network": 1,
        "script": "25b27392713d08b0",
    },
    "b7af768d39": {
        "point": "lr=0.0003, model=ResNet, seed=1",
        "seed": 1,
        "model": ResNet,
        "n_layers": 4,
        "block_size": 2,
        "lr": 0.0003,
        "build_network": 2,
        "script": "b5171928074c7281",
    },
    "a5cd19ca07": {
        "point": "lr=0.0003, model=ResNet, seed=2",
        "seed": 2,
        "model": ResNet,
        "n_layers": 4,
        "block_size": 2,
        "lr": 0.0003,
        "build_network": 2,
        "script": "3cba3f6ec33cc3ba",
    },
}
ARGUMENTS = parse_sweep_arguments(POINTS)
POINT = POINTS[ARGUMENTS.point]

# Experiment.
EXPERIMENT_NAME = "h4l"
SWEEP = "h4l_sweep_20261128T155435Z"
RUN_NAME = f"{SWEEP}-{ARGUMENTS.point}"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"
SEED = POINT["seed"]
ACCELERATOR = "auto"
DEVICES = "auto"
PRECISION: Final = "32-true"
FLOAT32_MATMUL_PRECISION = "high"
LOG_EVERY_N_STEPS = 50
CHECK_EVAL_N_EPOCH = 1
NUM_SANITY_VAL_STEPS = 0
CHECK_METRICS_N_EPOCH = 1
PLOT_METRICS_N_EPOCH = 5
TQDM_REFRESH_RATE = 20

# Dataset. The last of two classes is the signal.
CLASSES = ("background", "signal")
EVENT_NUMBER = "event"
NUMERICAL = ("lep1_pt", "lep1_eta", "lep2_pt", "lep2_eta", "m12", "m34", "pt4l", "jet1_pt")
CATEGORICAL = ("lep1_flavour", "n_jets")
MISSING = -999.0
SCALING = standard
BATCH_SIZE = 512
USE_MC_WEIGHTS = True
USE_CLASS_WEIGHTS = True
TRAIN, VALIDATION, TEST = (0.6, 0.2, 0.2)

# Model.
MODEL: type[nn.Module] = POINT["model"]
N_LAYERS = POINT["n_layers"]
N_HIDDEN = 128
ACT = nn.ReLU
DROPOUT = 0.0
if "block_size" in POINT:
    BLOCK_SIZE = POINT["block_size"]
EMBEDDING_DIM = 8
NORM = nn.Identity

# Training.
LOSS = bce
MAX_EPOCHS = 5
MONITOR = "val_auc"
MONITOR_MODE = "max"
SAVE_TOP_K = 1
SAVE_EVERY_N_MINUTES = 10.0
GRADIENT_CLIP_VAL = None
FUSED = True
LR = POINT["lr"]

DATASET = Dataset(
    samples=(
        Sample(
            name="ggH",
            label=1,  # signal
            files=("data/h4l.parquet",),
            reader=Parquet(),
            selection="process == 1",
            weight="weight",
        ),
        Sample(
            name="qqZZ",
            label=0,  # background
            files=("data/h4l.parquet",),
            reader=Parquet(),
            selection="process == 0",
            weight="weight",
        ),
    ),
    numerical=NUMERICAL,
    categorical=CATEGORICAL,
    missing=MISSING,
    event_number=EVENT_NUMBER,
    split=(TRAIN, VALIDATION, TEST),
    classes=CLASSES,
)

SCRIPT = Script(
    file=__file__,
    parts="d0fa7fe2c10d0988173834b6bcf6c7ad2a3ef6ec75f10fc8a11ac99c53c73f15",
    spec_folder="../../specs",  # where relative places start
    constants=constants(globals()),
    dataset=DATASET,
    experiment_name=EXPERIMENT_NAME,
    run_name=RUN_NAME,
    save_dir=SAVE_DIR,
    tracker_path=TRACKER_PATH,
    float32_matmul_precision=FLOAT32_MATMUL_PRECISION,
    seed=SEED,
    accelerator=ACCELERATOR,
    devices=DEVICES,
    points=POINTS,
    arguments=ARGUMENTS,
)


def build_inputs(train: Events, categories: list[list[int]]) -> Inputs:
    """Return what the network sees, scaled as the training events ask for."""
    scaling = SCALING(present(train.numerical, MISSING))
    numerical = NumericalOrMissing(scaling, len(NUMERICAL), MISSING)
    embedded = [Embedded(i, torch.tensor(c), EMBEDDING_DIM) for i, c in enumerate(categories)]
    return Inputs([numerical, *embedded])


def build_network_1(train: Events, categories: list[list[int]]) -> nn.Module:
    """Return the network: from features to one logit."""
    return MODEL(
        build_inputs(train, categories),
        n_outputs=1,
        n_layers=N_LAYERS,
        n_hidden=N_HIDDEN,
        act=ACT,
        dropout=DROPOUT,
        norm=NORM,
    )


def build_network_2(train: Events, categories: list[list[int]]) -> nn.Module:
    """Return the network: from features to one logit."""
    return MODEL(
        build_inputs(train, categories),
        n_outputs=1,
        n_layers=N_LAYERS,
        n_hidden=N_HIDDEN,
        block_size=BLOCK_SIZE,
        act=ACT,
        dropout=DROPOUT,
        norm=NORM,
    )


# Which of them the point has.
build_network = {1: build_network_1, 2: build_network_2}[POINT["build_network"]]


def configure(parameters: Iterable[nn.Parameter], steps: int) -> OptimizerLRScheduler:
    """Return the optimizer."""
    return torch.optim.AdamW(parameters, fused=FUSED, lr=LR)


def build_classifier(train: Events, categories: list[list[int]]) -> Classifier:
    """Return the network with its loss; checkpoints say what it knows."""
    return Classifier(
        network=build_network(train, categories),
        loss=LOSS,
        link=binary_probability,
        configure=configure,
        gradient_clip_val=GRADIENT_CLIP_VAL,
        knows={
            "classes": list(CLASSES),
            "numerical": list(NUMERICAL),
            "categorical": list(CATEGORICAL),
            "categories": categories,
            "network": described(MODEL, ACT, NORM, SCALING),
        },
    )


def main(run: Run) -> None:
    """Train, or go on training, and evaluate the best checkpoint on the test split."""
    train, validation, test = read_splits(
        DATASET,
        run.files,
        use_mc_weights=USE_MC_WEIGHTS,
        use_class_weights=USE_CLASS_WEIGHTS,
        dtype=torch.float32,
    )
    categories = [column.unique().tolist() for column in train.categorical.T]
    classifier = build_classifier(train, categories)
    tracker = Tracker(
        run,
        train,
        validation,
        outputs=Outputs,
        metrics=binary_metrics,
        figures=partial(binary_figures, classes=CLASSES),
        check_metrics_n_epoch=CHECK_METRICS_N_EPOCH,
        plot_metrics_n_epoch=PLOT_METRICS_N_EPOCH,
        log_every_n_steps=LOG_EVERY_N_STEPS,
    )
    training = Training(
        run,
        tracker,
        monitor=MONITOR,
        monitor_mode=MONITOR_MODE,
        save_top_k=SAVE_TOP_K,
        every_n_epochs=CHECK_EVAL_N_EPOCH,
        save_every_n_minutes=SAVE_EVERY_N_MINUTES,
        tqdm_refresh_rate=TQDM_REFRESH_RATE,
    )
    trainer = Trainer(
        accelerator=ACCELERATOR,
        devices=DEVICES,
        precision=PRECISION,
        max_epochs=MAX_EPOCHS,
        check_val_every_n_epoch=CHECK_EVAL_N_EPOCH,
        num_sanity_val_steps=NUM_SANITY_VAL_STEPS,
        callbacks=training.callbacks,
        **training.options,
    )
    tasks = trainer.global_rank, trainer.world_size, trainer.strategy.root_device
    rounds = Rounds(train, BATCH_SIZE, run.seed.number, *tasks)
    if training.is_due(trainer, classifier, rounds, PRECISION):
        trainer.fit(
            classifier,
            rounds,
            validation_batches(validation, classifier, BATCH_SIZE, *tasks),
            ckpt_path=training.resume,
            weights_only=True,
        )
    if not trainer.is_global_zero:  # The first of several tasks evaluates alone.
        return
    evaluation = Evaluation(run, tracker, classifier)
    validated, tested = (tracker.predict(classifier, split) for split in (validation, test))
    metrics = {"validation": tracker.metrics(validated)}
    # The cut is chosen on other events than those it is judged on.
    metrics["test"] = binary_metrics(tested, metrics["validation"]["significance_cut"])
    deployed = deploy(run, classifier, PRECISION, train, test)
    evaluation.finish(metrics, validated, tested, binary_uncertainties, deployed=deployed)


if __name__ == "__main__":
    sys.exit(launch(SCRIPT, main))
