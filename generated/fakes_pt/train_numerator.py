"""Train the numerator of the fake factor, MLP: fakes_pt.

It learns the density of data over that of Monte Carlo, of tight leptons (arXiv:2511.06972).
Compiled from the spec fakes_pt.toml by seesawc; change the spec, not this file.

    python train_numerator.py           train, or go on with a run that was interrupted
    python train_numerator.py --help    other ways to start

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
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from parts.activations import Activated, Softabs
from parts.batches import Rounds, validation_batches
from parts.binnings import density_metrics
from parts.datasets import Dataset, Sample
from parts.densities import clipped, density_events
from parts.density_losses import density_bce, direct_link
from parts.density_ratios import DensityRatio, known
from parts.estimates import Estimates
from parts.fake_plots import density_figures
from parts.fake_uncertainties import density_uncertainties
from parts.inputs import Inputs, Numerical, logarithmic, present, standard
from parts.leptons import Category, Leptons, check_densities, read_leptons
from parts.machinery.launches import Run, Script, launch
from parts.machinery.reports import constants
from parts.machinery.trackers import Tracker
from parts.machinery.trainings import Evaluation, Training
from parts.models import MLP
from parts.parquet_files import Parquet
from parts.plot_labels import Label

# Experiment.
STAGE = "numerator"
EXPERIMENT_NAME = "fakes_pt"
RUN_NAME = "fakes_pt_MLP_20261128T155435Z-numerator"
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
EXPERIMENT_LABEL = "Toy simulation"
ENERGY = None
LUMINOSITY = None
TQDM_REFRESH_RATE = 20

# Dataset.
EVENT_NUMBER = "event"
NUMERICAL = ("pt",)
CATEGORICAL = ()
MISSING = None
LOGARITHMIC: tuple[str, ...] = ("pt",)
SCALING = standard
BATCH_SIZE = 4096
TRAIN, VALIDATION, TEST = (0.7, 0.15, 0.15)

# Fakes.
CATEGORY = "toy_type"
TIGHT = 0
LOOSE = 2
N_MEMBERS = 1

# Model.
MODEL: type[nn.Module] = MLP
N_LAYERS = 3
N_HIDDEN = 64
ACT = nn.SiLU
ACT_OUT = Softabs
DROPOUT = 0.0
NORM = nn.Identity

# Training.
LOSS = density_bce
CLIP_QUANTILE = 0.998
MAX_EPOCHS = 12
MONITOR = None
MONITOR_MODE = "min"
SAVE_TOP_K = 1
SAVE_EVERY_N_MINUTES = 10.0
GRADIENT_CLIP_VAL = None
FUSED = True
LR = 0.002
WEIGHT_DECAY = 1e-05
SCHEDULER_INTERVAL = "epoch"

DATASET = Dataset(
    samples=(
        Sample(
            name="data",
            label=1,  # data
            files=("data/toy_pt.parquet",),
            reader=Parquet(),
            selection="data_type == 1",
            weight="weight",
        ),
        Sample(
            name="prompt",
            label=0,  # mc
            files=("data/toy_pt.parquet",),
            reader=Parquet(),
            selection="data_type == 0",
            weight="weight",
        ),
    ),
    numerical=NUMERICAL,
    event_number=EVENT_NUMBER,
    split=(TRAIN, VALIDATION, TEST),
    further=(CATEGORY,),
)

SCRIPT = Script(
    file=__file__,
    parts="38cc83411734ffa47bc2facf6c4ec722b0245a7369b972d7466f1f953244bec3",
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
    label=Label(EXPERIMENT_LABEL, ENERGY, LUMINOSITY),
    stage=STAGE,
)


def build_inputs(train: Leptons, categories: list[list[int]]) -> Inputs:
    """Return what the network sees, scaled as the training events ask for."""
    places = [NUMERICAL.index(name) for name in LOGARITHMIC]
    scaling = logarithmic(SCALING, present(train.numerical, MISSING), places)
    numerical = Numerical(scaling, len(NUMERICAL))
    return Inputs([numerical])


def build_numerator(train: Leptons, categories: list[list[int]]) -> nn.Module:
    """Return the network of the numerator: from features to one logit."""
    logit = MODEL(
        build_inputs(train, categories),
        n_outputs=1,
        n_layers=N_LAYERS,
        n_hidden=N_HIDDEN,
        act=ACT,
        dropout=DROPOUT,
        norm=NORM,
    )
    return Activated(logit, ACT_OUT())


def configure(parameters: Iterable[nn.Parameter], steps: int) -> OptimizerLRScheduler:
    """Return the optimizer and its schedule."""
    optimizer = torch.optim.AdamW(parameters, fused=FUSED, lr=LR, weight_decay=WEIGHT_DECAY)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=MAX_EPOCHS)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": SCHEDULER_INTERVAL},
    }


def build_density_ratio(train: Leptons, categories: list[list[int]]) -> DensityRatio:
    """Return the network of this training, with its loss."""
    network = build_numerator(train, categories)
    return DensityRatio(
        network=network,
        loss=LOSS,
        link=direct_link,
        configure=configure,
        gradient_clip_val=GRADIENT_CLIP_VAL,
        knows=known(NUMERICAL, CATEGORICAL, LOGARITHMIC, categories, STAGE, network),
    )


def main(run: Run) -> None:
    """Train, or go on training, and evaluate the best checkpoint on the test split."""
    leptons = read_leptons(
        DATASET,
        run.files,
        category=Category(CATEGORY, TIGHT, LOOSE),
        dtype=torch.float32,
        logarithmic=LOGARITHMIC,
    )
    categories = [column.unique().tolist() for column in leptons[0].categorical.T]
    check_densities(leptons[0], NUMERICAL)
    train, validation, test = (
        density_events(split, tight=True, members=N_MEMBERS) for split in leptons
    )
    # What is learnt; plots show the weights as they are.
    learnt = clipped(train, CLIP_QUANTILE)
    classifier = build_density_ratio(leptons[0], categories)
    tracker = Tracker(
        run,
        train,
        validation,
        outputs=Estimates,
        metrics=density_metrics,
        figures=partial(density_figures, names=DATASET.features),
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
    rounds = Rounds(learnt, BATCH_SIZE, run.seed.number, *tasks)
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
    metrics = {"validation": tracker.metrics(validated), "test": tracker.metrics(tested)}
    evaluation.finish(metrics, validated, tested, density_uncertainties)


if __name__ == "__main__":
    sys.exit(launch(SCRIPT, main))
