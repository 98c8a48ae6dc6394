"""Train a classifier, MLP, of qqZZ, reducible, ggH: h4l_multiclass.

Compiled from the spec h4l_multiclass.toml by seesawc; change the spec, not this file.

    python train_signal.py           train, or go on with a run that was interrupted
    python train_signal.py --help    other ways to start

Exit status: 0 done, 1 refused, 3 loss not finite, 4 disk full, 70 an error of the program,
75 preempted (start again to go on), 130 interrupted, 143 cancelled.
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
from typing import Final

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from parts.batches import Rounds, validation_batches
from parts.classifiers import Classifier, WarmedUpClassifier, cosine_warmup
from parts.datasets import Dataset, Sample
from parts.events import Events, read_splits
from parts.inputs import Embedded, Inputs, NumericalOrMissing, present, quantile
from parts.losses import cross_entropy
from parts.machinery.deployed_networks import deploy
from parts.machinery.launches import Run, Script, launch
from parts.machinery.reports import constants
from parts.machinery.trackers import Tracker
from parts.machinery.trainings import Evaluation, Training
from parts.metrics import Outputs, multiclass_metrics
from parts.models import MLP, class_probability, described
from parts.parquet_files import Parquet
from parts.plots import labelled, multiclass_figures
from parts.uncertainties import multiclass_uncertainties

# Experiment.
EXPERIMENT_NAME = "h4l_multiclass"
RUN_NAME = "h4l_multiclass_MLP_20261128T155435Z"
SAVE_DIR = "${ANALYSIS_ML_LOGS_DIR}"
TRACKER_PATH = "${ANALYSIS_ML_RESULTS_DIR}"
SEED = 1
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
CLASSES = ("qqZZ", "reducible", "ggH")
CLASS_VALUES = {"qqZZ": (0,), "reducible": (2,), "ggH": (1,)}
DERIVED = {
    "lep_pt_sum": "lep1_pt + lep2_pt + lep3_pt + lep4_pt",
    "pt4l_share": "pt4l / lep_pt_sum",
    "same_flavour": "lep1_flavour * lep3_flavour != 143",
}
EVENT_NUMBER = "event"
NUMERICAL = (
    "lep1_pt",
    "lep1_eta",
    "lep2_pt",
    "lep2_eta",
    "lep3_pt",
    "lep3_eta",
    "lep4_pt",
    "lep4_eta",
    "m12",
    "m34",
    "pt4l",
    "pt4l_share",
    "jet1_pt",
    "jet1_eta",
    "jet2_pt",
    "jet2_eta",
)
CATEGORICAL = ("lep1_flavour", "same_flavour", "n_jets")
MISSING = -999.0
SCALING = quantile
BATCH_SIZE = 512
USE_MC_WEIGHTS = True
USE_CLASS_WEIGHTS = True
LABELS = {"pt4l": "$p_T^{4\\ell}$ [GeV]", "pt4l_share": "$p_T^{4\\ell} / \\sum p_T$"}
CLASS_LABELS = {"qqZZ": "$q\\bar{q} \\to ZZ$", "ggH": "$gg \\to H$"}
TRAIN, VALIDATION, TEST = (0.6, 0.2, 0.2)

# Model.
MODEL: type[nn.Module] = MLP
N_LAYERS = 3
N_HIDDEN = 128
ACT = nn.SiLU
DROPOUT = 0.1
EMBEDDING_DIM = 8
NORM = nn.LayerNorm

# Training.
LOSS = cross_entropy
MAX_EPOCHS = 20
EARLY_STOP_PATIENCE = 5
MONITOR = "val_loss"
MONITOR_MODE = "min"
SAVE_TOP_K = 1
SAVE_EVERY_N_MINUTES = 10.0
GRADIENT_CLIP_VAL = None
LOSS_LABEL_SMOOTHING = 0.02
FUSED = True
LR = 0.001
SCHEDULER_FACTOR = 0.5
SCHEDULER_PATIENCE = 3
SCHEDULER_INTERVAL = "epoch"
WARMUP_SHAPE = cosine_warmup
WARMUP_EPOCHS = 2.0

DATASET = Dataset(
    samples=(
        Sample(
            name="all",
            class_column="process",
            files=("data/h4l.parquet",),
            reader=Parquet(),
            weight="weight",
        ),
    ),
    numerical=NUMERICAL,
    categorical=CATEGORICAL,
    missing=MISSING,
    event_number=EVENT_NUMBER,
    split=(TRAIN, VALIDATION, TEST),
    derived=DERIVED,
    classes=CLASSES,
    class_values=CLASS_VALUES,
    labels=LABELS,
    class_labels=CLASS_LABELS,
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
)


def build_inputs(train: Events, categories: list[list[int]]) -> Inputs:
    """Return what the network sees, scaled as the training events ask for."""
    scaling = SCALING(present(train.numerical, MISSING))
    numerical = NumericalOrMissing(scaling, len(NUMERICAL), MISSING)
    embedded = [Embedded(i, torch.tensor(c), EMBEDDING_DIM) for i, c in enumerate(categories)]
    return Inputs([numerical, *embedded])


def build_network(train: Events, categories: list[list[int]]) -> nn.Module:
    """Return the network: from features to a logit for each class."""
    return MODEL(
        build_inputs(train, categories),
        n_outputs=len(CLASSES),
        n_layers=N_LAYERS,
        n_hidden=N_HIDDEN,
        act=ACT,
        dropout=DROPOUT,
        norm=NORM,
    )


def configure(parameters: Iterable[nn.Parameter], steps: int) -> OptimizerLRScheduler:
    """Return the optimizer and its schedule."""
    optimizer = torch.optim.AdamW(parameters, fused=FUSED, lr=LR)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=SCHEDULER_FACTOR, patience=SCHEDULER_PATIENCE
    )
    return {
        "optimizer": optimizer,
        "lr_scheduler": {
            "scheduler": scheduler,
            "interval": SCHEDULER_INTERVAL,
            "frequency": CHECK_EVAL_N_EPOCH,
            "monitor": MONITOR,
        },
    }


def build_classifier(train: Events, categories: list[list[int]]) -> Classifier:
    """Return the network with its loss; checkpoints say what it knows."""
    return WarmedUpClassifier(
        network=build_network(train, categories),
        loss=partial(LOSS, label_smoothing=LOSS_LABEL_SMOOTHING),
        link=class_probability,
        configure=configure,
        gradient_clip_val=GRADIENT_CLIP_VAL,
        knows={
            "classes": list(CLASSES),
            "numerical": list(NUMERICAL),
            "categorical": list(CATEGORICAL),
            "categories": categories,
            "network": described(MODEL, ACT, NORM, SCALING),
        },
        warmup=WARMUP_SHAPE,
        epochs=WARMUP_EPOCHS,
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
        metrics=partial(multiclass_metrics, classes=CLASSES),
        figures=partial(multiclass_figures, classes=labelled(CLASSES, CLASS_LABELS)),
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
    # A significance may be nan where too little background is left to judge.
    stopping = EarlyStopping(
        MONITOR, mode=MONITOR_MODE, patience=EARLY_STOP_PATIENCE, check_finite=False
    )
    trainer = Trainer(
        accelerator=ACCELERATOR,
        devices=DEVICES,
        precision=PRECISION,
        max_epochs=MAX_EPOCHS,
        check_val_every_n_epoch=CHECK_EVAL_N_EPOCH,
        num_sanity_val_steps=NUM_SANITY_VAL_STEPS,
        callbacks=[*training.callbacks, stopping],
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
    metrics["test"] = tracker.metrics(tested)
    deployed = deploy(run, classifier, PRECISION, train, test)
    evaluation.finish(metrics, validated, tested, multiclass_uncertainties, deployed=deployed)


if __name__ == "__main__":
    sys.exit(launch(SCRIPT, main))
