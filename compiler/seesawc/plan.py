"""Experiment -> Plan: the definitions of parts that a script needs, and what fills its outline."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from seesawc import signatures
from seesawc.experiment import Experiment
from seesawc.literals import Verbatim, literal
from seesawc.tables.dataset import sample_columns
from seesawc.tables.model import Architecture
from seesawc.tables.training import Scheduler, Training
from seesawc.tables.values import PLACE, is_relative

# Definitions that every training of a classifier uses.
ALWAYS = (
    "arguments.parse_arguments", "backends.Mirror", "backends.is_mirrored", "checkpoints.load",
    "classifiers.Classifier", "classifiers.check_fit",
    "events.Events", "events.Sample", "events.find_files", "events.fingerprints",
    "events.read_splits", "exits.DONE", "exits.FAILED", "exits.NotFiniteError",
    "exits.RefusedError", "exits.StoppedError", "exits.how_it_ended", "exits.listen", "exits.obey",
    "exits.stop_listening",
    "inputs.Inputs", "machines.git_commit", "machines.must_stop_together", "machines.quieten",
    "machines.task_rank",
    "machines.steady_output", "machines.thread_count", "machines.versions", "metrics.Outputs",
    "places.digest", "places.expand", "records.Record", "reports.all_settings", "reports.report",
    "reports.write_json", "runs.RunFolder", "runs.keep", "trackers.Tracker",
)  # fmt: skip
# Those that a sweep uses besides, and its command line, which stands before the settings.
SWEEP = ("sweeps.point_script", "reports.own_settings", "sweeps.train_all")
SWEEP_COMMAND_LINE = ("arguments.parse_sweep_arguments",)
# Those that only a script that trains uses, besides.
TRAINING = (
    "batches.Batches", "checkpoints.AtomicCheckpointIO", "checkpoints.LastCheckpoints",
    "checkpoints.best_checkpoint", "checkpoints.is_trained", "checkpoints.newest",
    "machines.check_hardware", "machines.cluster",
    "runs.check_space", "states.RandomStates", "stops.SafeStop",
    "trackers.resume_after_training",
)  # fmt: skip
IMPORTS = (
    "import argparse", "import os", "import sys", "import torch", "import traceback",
    "from concurrent.futures import Executor, ThreadPoolExecutor",
    "from contextlib import nullcontext",
    "from functools import partial", "from pathlib import Path", "from typing import Any",
    "from torch import nn",
)  # fmt: skip
TRAINING_IMPORTS = (
    "from collections.abc import Iterable",
    "from lightning.pytorch import Trainer",
    "from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar",
    "from lightning.pytorch.utilities.types import OptimizerLRScheduler",
    "from typing import Final",
)
# The distribution that a module comes from, where their names differ.
PACKAGES = {"lightning_fabric": "lightning"}
DTYPES = {"64-true": "float64"}


@frozen
class Call:
    """A class of torch and the arguments that the script gives it."""

    name: str
    params: tuple[tuple[str, Any], ...]
    interval: str = "epoch"
    monitored: bool = False


@frozen
class Plan:
    """What a script is made of."""

    # The template of its outline.
    outline: str
    definitions: tuple[str, ...]
    imports: tuple[str, ...]
    values: Mapping[str, Any]


def plan(experiment: Experiment) -> Plan:
    """Choose definitions and arguments: the variants of a script differ here and nowhere else."""
    data, model, training = (
        experiment.dataset_config, experiment.model_config, experiment.training_config,
    )  # fmt: skip
    test_only = model.load_checkpoint is not None and not model.continue_training
    basis = common(experiment, test_only=test_only)
    network = model.architecture_config
    binary = len(data.classes) == 2
    kind = "binary" if binary else "multiclass"
    loss = training.loss if training.loss in ("bce", "cross_entropy") else f"{kind}_{training.loss}"
    classifier = "WarmedUpClassifier" if training.warmup and not test_only else "Classifier"
    link = "binary_probability" if binary else "class_probability"
    definitions = (
        *ALWAYS, *basis.definitions, f"classifiers.{classifier}", f"losses.{loss}",
        f"metrics.{kind}_metrics", f"models.{network.model}", f"models.{link}",
        f"plots.{kind}_figures",
        *(() if test_only else TRAINING),
    )  # fmt: skip
    imports = (*IMPORTS, *(() if test_only else TRAINING_IMPORTS), *basis.imports)
    metrics = "binary_metrics" if binary else "partial(multiclass_metrics, classes=CLASSES)"
    values = {
        **basis.values,
        "stage": None,
        "parents": [],
        "events_type": Verbatim("Events"),
        "binary": binary,
        "network": f"{network.model}, {network.act}, {basis.values['norm']}, {data.scaling} scaling"
        + (f", log of {', '.join(data.logarithmic)}" if data.logarithmic else ""),
        "class_names": Verbatim(
            " against ".join(reversed(data.classes)) if binary else ", ".join(data.classes)
        ),
        "n_outputs": 1 if binary else len(data.classes),
        "classifier": Verbatim(classifier),
        "loss": Verbatim(loss),
        "loss_params": tuple(training.loss_params.items()),
        "link": Verbatim(link),
        "metrics": Verbatim(metrics),
        "figures": Verbatim(f"{kind}_figures"),
    }
    return Plan("train_signal.py.jinja", definitions, imports, values)


@frozen
class Basis:
    """What a script has whatever it trains."""

    definitions: tuple[str, ...]
    imports: tuple[str, ...]
    values: Mapping[str, Any]


def common(experiment: Experiment, *, test_only: bool) -> Basis:
    """Choose what does not depend on what is trained: inputs, hardware, optimizer, tracker."""
    data, settings = experiment.dataset_config, experiment.experiment_config
    model, training = experiment.model_config, experiment.training_config
    network = model.architecture_config
    warmup = training.warmup and f"{training.warmup.shape}_warmup"
    backend = "MlflowBackend" if settings.comet_api_key is None else "CometBackend"
    scaling = None if data.scaling == "none" else data.scaling
    definitions = (
        *_inputs(experiment, scaling), f"backends.{backend}",
        *((f"classifiers.{warmup}",) if warmup and not test_only else ()),
        *(("events.check_fingerprints",) if data.fingerprints else ()),
    )  # fmt: skip
    imports: tuple[str, ...] = ()
    if settings.seed is None:
        definitions += ("runs.begun_seed",)
    else:
        imports += ("from lightning.pytorch import seed_everything",)
    if training.early_stop_patience is not None and not test_only:
        imports += ("from lightning.pytorch.callbacks import EarlyStopping",)
    width = 1 if data.missing is None else 2
    embedded = len(data.categorical) * (network.embedding_dim or 0)
    values = {
        "experiment": settings,
        "dataset": data,
        "model": model,
        "architecture": network,
        "training": training,
        "test_only": test_only,
        "monitor": None if training.monitor == "last" else training.monitor,
        "devices": list(settings.devices)
        if isinstance(settings.devices, tuple)
        else settings.devices,
        "comet_variable": settings.comet_api_key and settings.comet_api_key[2:-1],
        "check_metrics_n_epoch": _cadence(settings.check_metrics_n_epoch),
        "plot_metrics_n_epoch": _cadence(settings.plot_metrics_n_epoch),
        "split": (data.split.train, data.split.validation, data.split.test),
        "fingerprints": dict(data.fingerprints),
        "samples": filled_samples(experiment),
        "scaling": scaling and Verbatim(scaling),
        "missing": Verbatim("None" if data.missing is None else "MISSING"),
        "event_number": Verbatim("None" if data.event_number is None else "EVENT_NUMBER"),
        "dtype": DTYPES.get(settings.precision, "float32"),
        "n_inputs": len(data.numerical) * width + embedded,
        "norm": norm(network),
        "optimizer": _optimizer(training),
        "scheduler": training.scheduler and _scheduler(training.scheduler, training),
        "configure_rest": Verbatim(" and its schedule" if training.scheduler else ""),
        "warmup": warmup and Verbatim(warmup),
        "deterministic": Verbatim("False" if settings.seed is None else '"warn"'),
        "tracker_place": Verbatim(
            'folder.path.parents[1] / "mlruns"' if backend == "MlflowBackend" else '"Comet"'
        ),
    }
    return Basis(definitions, imports, values)


def norm(network: Architecture) -> str:
    """Return the class of torch.nn that normalises a layer."""
    return "BatchNorm1d" if network.batchnorm else "LayerNorm" if network.layernorm else "Identity"


def filled_samples(experiment: Experiment) -> list[dict[str, Any]]:
    """Return what fills the samples of a script."""
    data, fakes = experiment.dataset_config, experiment.fakes_config
    further = [name for name in (fakes.category, fakes.eta) if name] if fakes else []
    return [
        {
            "name": sample.name,
            "index": data.classes.index(sample.label)
            if sample.label
            else int(sample.kind == "data"),
            "label": sample.label or sample.kind,
            "files": sample.files,
            "columns": sample_columns(data, sample, further),
            "selection": sample.selection,
            "weight": sample.weight,
        }
        for sample in data.samples
    ]


def united(plans: Iterable[Plan]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the definitions and imports of one script for all points of a sweep."""
    chosen = list(plans)
    definitions = dict.fromkeys(name for plan in chosen for name in plan.definitions)
    # A sweep has a command line of its own.
    del definitions["arguments.parse_arguments"]
    imports = dict.fromkeys(line for plan in chosen for line in plan.imports)
    return (*definitions, *SWEEP, *SWEEP_COMMAND_LINE), tuple(imports)


def packages(imports: str, backend: str | None) -> tuple[str, ...]:
    """Return the distributions that a script needs, from its import block and its backend."""
    modules = set(re.findall(r"^(?:import|from) (\w+)", imports, re.MULTILINE))
    needed = {PACKAGES.get(name, name) for name in modules - sys.stdlib_module_names}
    return tuple(sorted(needed | ({backend} if backend else set())))


def _inputs(experiment: Experiment, scaling: str | None) -> tuple[str, ...]:
    data = experiment.dataset_config
    chosen: tuple[str, ...] = ()
    if data.numerical:
        chosen += ("Numerical",) if data.missing is None else ("NumericalOrMissing",)
        chosen += (scaling, "present") if scaling else ()
        if data.logarithmic:
            chosen += ("Logarithms", "check_positive")
            chosen += ("logarithms",) if scaling else ()
    if data.categorical:
        chosen += ("Embedded",)
    return tuple(f"inputs.{name}" for name in chosen)


def _cadence(value: int | str) -> int | None:
    return None if value == "never" else int(value)


def _optimizer(training: Training) -> Call:
    table = training.optimizer
    signature = signatures.optimizers()[table.optimizer_name]
    params = signatures.convert(signature, table.optimizer_params)
    return Call(table.optimizer_name, tuple(sorted(params.items())))


def _scheduler(table: Scheduler, training: Training) -> Call:
    """Give the scheduler its parameters, and the length of the training where it asks for that."""
    signature = signatures.schedulers()[table.scheduler_name]
    params = signatures.convert(signature, table.scheduler_params)
    texts = {name: Verbatim(literal(value)) for name, value in params.items()}
    for parameter in signature.parameters:
        if parameter.filled and parameter.name not in texts:
            by_step = table.interval == "step"
            texts[parameter.name] = Verbatim("steps" if by_step else "MAX_EPOCHS")
    return Call(
        table.scheduler_name, tuple(sorted(texts.items())), table.interval, signature.monitored
    )


def places(experiment: Experiment, points: Iterable[Experiment] = ()) -> tuple[str, ...]:
    """Return the places that an experiment names."""
    settings, job = experiment.experiment_config, experiment.slurm_config
    places: list[str | None] = [settings.save_dir, settings.tracker_path]
    places += [job.environment, job.container] if job else []
    for each in (experiment, *points):
        places += [path for sample in each.dataset_config.samples for path in sample.files]
        places.append(each.model_config.load_checkpoint)
    return tuple(dict.fromkeys(place for place in places if place))


def variables(experiment: Experiment, points: Iterable[Experiment] = ()) -> tuple[str, ...]:
    """Return the variables of the environment that a job needs, the keys of trackers included."""
    texts = *places(experiment, points), experiment.experiment_config.comet_api_key or ""
    return tuple(dict.fromkeys(name for text in texts for name in PLACE.findall(text)))


def batch(experiment: Experiment, points: Iterable[Experiment] = ()) -> dict[str, Any]:
    """Return what fills the outline of the batch file; the points of a sweep share one."""
    settings, job = experiment.experiment_config, experiment.slurm_config
    assert job is not None, "a batch file is for an experiment with [slurm_config]"
    # An environment is a venv if it is a path, or else the name of a conda environment.
    venv = job.environment is not None and bool(set(job.environment) & set("/$"))
    places = (settings.save_dir, job.environment if venv else None, job.container)
    return {
        "experiment": settings,
        "slurm": job,
        "mail_type": ",".join(job.mail_type),
        "variable_checks": [
            Verbatim(f': "${{{name}:?is not set, and this job needs it}}"')
            for name in variables(experiment, points)
        ],
        "experiment_folder": f"{settings.save_dir}/{settings.experiment_name}",
        "venv": venv,
        "from_spec": any(place and is_relative(place) for place in places),
    }
