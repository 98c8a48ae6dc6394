"""RULES: checks across options and tables by task, each a function that yields its faults."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Literal

from parts.grammar import with_origins
from seesawc.diagnostics import Diagnostic, did_you_mean
from seesawc.reading.source import Key, Source
from seesawc.rules import fakes, optimization
from seesawc.rules.faults import DATASET, EXPERIMENT, MODEL, SLURM, TRAINING, Fault, Faults
from seesawc.rules.known import as_far_as_known, known
from seesawc.tables import expressions, signatures, slurm
from seesawc.tables.dataset import (
    TABLES,
    Dataset,
    Sample,
    SplitTable,
    reader_of,
)
from seesawc.tables.model import (
    ONE_FOLD_OR_UNSEEN,
    SEEN_BY_FOLDS,
    tests_everything,
    tests_only,
)
from seesawc.tables.resolution import Experiment
from seesawc.tables.spec import Spec
from seesawc.tables.values import PLACE

SIGNAL_LOSSES = ("bce", "cross_entropy", "focal", "mse")
BINARY_METRICS = ("auc", "average_precision", "accuracy", "significance")
# What lies below save_dir, besides experiments.
TAKEN_FOLDERS = {"mlruns": "MLflow's store lies", "cache": "the events of max_memory lie"}
ALL_TESTED = "all events are tested, for the checkpoint was trained on none of them"


def check(
    source: Source, spec: Spec, experiment: Experiment, unknown: frozenset[Key] = frozenset()
) -> tuple[Diagnostic, ...]:
    """Return the faults that all rules find, as far as they need no option that is unknown."""
    task = spec.task
    spec, experiment = known(spec, experiment, unknown)
    return tuple(
        source.fault(fault.key, fault.message, fault.hint, fault.part)
        for rule in RULES[task]
        for fault in as_far_as_known(rule(spec, experiment))
    )


def metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return the metrics of the validation split of which one value is better than another."""
    if experiment.task == "fakes":
        return fakes.metrics(experiment)
    classes = experiment.dataset_config.classes
    if len(classes) == 2:
        return tuple(f"val_{name}" for name in BINARY_METRICS)
    each = (f"val_auc_{metric_name(name)}" for name in classes)
    return ("val_auc", *each, "val_f1", "val_accuracy")


def metric_name(name: str) -> str:
    """Return a class's name as metrics spell it: trackers take letters, digits and _ only."""
    return "".join(c if c.isalnum() else "_" for c in name)


def _trackers(spec: Spec, _: Experiment) -> Faults:
    table = spec.experiment_config
    if table.comet_project_name is not None and table.comet_api_key is None:
        yield Fault(
            (EXPERIMENT, "comet_project_name"),
            "a Comet project without comet_api_key",
            'comet_api_key = "${COMET_API_KEY}"',
        )
    if table.check_metrics_n_epoch == "never" and isinstance(table.plot_metrics_n_epoch, int):
        yield Fault(
            (EXPERIMENT, "plot_metrics_n_epoch"),
            'plots need metrics, and check_metrics_n_epoch is "never"',
            'plot_metrics_n_epoch = "end" or "never", or a number for check_metrics_n_epoch',
        )


def _names(spec: Spec, _: Experiment) -> Faults:
    name = spec.experiment_config.experiment_name
    if name in TAKEN_FOLDERS:
        message = f"{TAKEN_FOLDERS[name]} in that folder"
        yield Fault((EXPERIMENT, "experiment_name"), message, "another name")


def _hardware(_: Spec, experiment: Experiment) -> Faults:
    settings = experiment.experiment_config
    if settings.accelerator == "cpu" and settings.precision == "16-mixed":
        # Lightning would quietly take bf16-mixed instead.
        yield Fault(
            (EXPERIMENT, "precision"), "16-mixed does not exist on a CPU", "bf16-mixed, or 32-true"
        )
    if settings.accelerator == "cpu" and (
        isinstance(settings.devices, tuple) or settings.devices == -1
    ):
        yield Fault(
            (EXPERIMENT, "devices"), "CPUs have no indices", "a number of processes, such as 2"
        )


def _features(_: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    if not data.numerical and not data.categorical:
        yield Fault(
            (DATASET,),
            "no features",
            "numerical and categorical name the columns that the network sees",
        )
    for index, name in enumerate(data.categorical):
        if name in data.numerical:
            yield Fault((DATASET, "categorical", index), f'"{name}" is numerical already')
    for index, name in enumerate(data.logarithmic):
        if name not in data.numerical:
            hint = did_you_mean(name, data.numerical)
            yield Fault((DATASET, "logarithmic", index), f'"{name}" is no numerical feature', hint)
    for kind in ("numerical", "categorical"):
        for index, name in enumerate(getattr(data, kind)):
            if name == data.event_number:
                yield Fault((DATASET, kind, index), f'"{name}" is the event number')


def _classes(spec: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    lacking = list(_unclassed(data.samples))
    yield from lacking
    if lacking:
        return
    values = data.class_values
    by_column = any(sample.class_column for sample in data.samples)
    if by_column and values is None and spec.dataset_config.classes is None:
        first = next(i for i, sample in enumerate(data.samples) if sample.class_column)
        hint = 'classes = ["background", "signal"], or a table [dataset_config.class_values]'
        key = (DATASET, "samples", first, "class_column")
        yield Fault(key, "nothing says which classes the column names", hint)
        return
    if not by_column:
        for name in ("class_values", "drop_other_classes"):
            if getattr(spec.dataset_config, name):
                message = f"{name} has no effect without class_column"
                yield Fault((DATASET, name), message, "class_column in a sample", "key")
    labels = [sample.label for sample in data.samples if sample.label is not None]
    for index, sample in enumerate(data.samples):
        if sample.label is not None and sample.label not in data.classes:
            key = (DATASET, "samples", index, "class")
            hint = did_you_mean(sample.label, data.classes)
            yield Fault(key, f'unknown class "{sample.label}"', hint)
    yield from _class_values(data)
    named = {*labels, *(data.classes if by_column and values is None else values or ())}
    for index, name in enumerate(spec.dataset_config.classes or ()):
        if name not in named and named <= set(data.classes):
            yield Fault((DATASET, "classes", index), f'no sample is of class "{name}"')
    for name in data.class_labels:
        if name not in data.classes:
            hint = did_you_mean(name, data.classes)
            yield Fault((DATASET, "class_labels", name), f'unknown class "{name}"', hint, "key")
    if len(data.classes) < 2:
        yield Fault((DATASET, "samples"), "only one class", "samples of two classes or more")
    names = [metric_name(name) for name in data.classes]
    if len(set(names)) < len(names):
        yield Fault((DATASET, "samples"), "two classes whose metrics would have one name")


def _unclassed(samples: Iterable[Sample]) -> Faults:
    """Refuse samples of which nothing, or two things, tell the class."""
    for index, sample in enumerate(samples):
        if sample.label is None and sample.class_column is None:
            message = '[[dataset_config.samples]] lacks "class"'
            yield Fault((DATASET, "samples", index), message, None, "key")
        elif sample.label is not None and sample.class_column is not None:
            key = (DATASET, "samples", index, "class_column")
            yield Fault(key, "class and class_column", "one of them", "key")


def _class_values(data: Dataset) -> Faults:
    """Refuse values of a column that mean no class, or two of them."""
    seen: dict[int | str, str] = {}
    for name, values in (data.class_values or {}).items():
        if name not in data.classes:
            hint = did_you_mean(name, data.classes)
            yield Fault((DATASET, "class_values", name), f'unknown class "{name}"', hint, "key")
        for index, value in enumerate(values):
            key = (DATASET, "class_values", name, index)
            if value in seen:
                yield Fault(key, f"{value!a} is of class {seen[value]} already", "one class each")
            elif seen and isinstance(value, str) != isinstance(next(iter(seen)), str):
                yield Fault(key, "whole numbers and texts", "what the column holds")
            seen.setdefault(value, name)


def _samples(_: Spec, experiment: Experiment) -> Faults:
    names = [sample.name for sample in experiment.dataset_config.samples]
    for index, sample in enumerate(experiment.dataset_config.samples):
        key = (DATASET, "samples", index)
        if sample.name in names[:index]:
            message = f'there is a sample "{sample.name}" already'
            yield Fault((*key, "name"), message, "another name")
        readers = [reader_of(file) for file in sample.files]
        for place, reader in enumerate(readers):
            if reader != readers[0]:
                hint = "another sample, which may be of the same class"
                yield Fault((*key, "files", place), "files of two formats in one sample", hint)
        for reader, name in TABLES.items():
            if getattr(sample, name) is not None and readers[0] != reader:
                message = f"{name} is for {reader.upper()} files"
                yield Fault((*key, name), message, "leave it out", "key")


def _overlaps(_: Spec, experiment: Experiment) -> Faults:
    """Refuse samples of two classes that take the same events, whatever their file holds."""
    samples = experiment.dataset_config.samples
    for index, sample in enumerate(samples):
        for other in samples[:index]:
            classes = (other.label or other.kind, sample.label or sample.kind)
            tables = ((other.tree, other.table), (sample.tree, sample.table))
            if None in classes or classes[0] == classes[1] or tables[0] != tables[1]:
                continue
            selections = (other.selection, sample.selection)
            apart = None not in selections and selections[0] != selections[1]
            if not apart and set(other.files) & set(sample.files):
                key = (DATASET, "samples", index, "selection" if sample.selection else "files")
                message = (
                    f'takes the events of sample "{other.name}", which is of class {classes[0]}'
                )
                yield Fault(key, message, "selections that exclude each other")
                break


def _derived(_: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    for name, text in data.derived.items():
        if name in with_origins(expressions.columns(text), data.derived):
            key = (DATASET, "derived", name)
            yield Fault(key, f'"{name}" is derived from itself', "another name")


def _labels(_: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    features = (*data.numerical, *data.categorical)
    for name in data.labels:
        if name not in features:
            hint = did_you_mean(name, features)
            yield Fault((DATASET, "labels", name), f'"{name}" is no feature', hint, "key")


def _fingerprints(_: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    patterns = {pattern for sample in data.samples for pattern in sample.files}
    for name in data.fingerprints:
        # A folder is read as a whole, and each of its files may be pinned.
        if name not in patterns and not any(
            fnmatchcase(name, f"{each}*" if each.endswith("/") else each) for each in patterns
        ):
            key = (DATASET, "fingerprints", name)
            yield Fault(key, "no sample reads this file", did_you_mean(name, sorted(patterns)))


def _negative_weights(_: Spec, experiment: Experiment) -> Faults:
    data = experiment.dataset_config
    key = (DATASET, "negative_weights")
    if data.negative_weights == "keep":
        return
    if tests_only(experiment.model_config):
        hint = "leave it out, or continue_training = true"
        yield Fault(key, "nothing is trained, and a test keeps all weights", hint)
    elif not data.use_mc_weights:
        yield Fault(key, "no weights enter the loss", "use_mc_weights = true, or leave it out")
    elif not any(sample.weight for sample in data.samples):
        yield Fault(key, "no sample has a weight", "weight, or leave it out")


def _split(spec: Spec, experiment: Experiment) -> Faults:
    split = experiment.dataset_config.split
    if tests_everything(experiment.model_config):
        if spec.dataset_config.split not in (None, SplitTable()):
            yield Fault((DATASET, "split"), ALL_TESTED, "leave it out", "key")
        return
    if split is None:
        return
    shares = (split.train, split.validation, split.test)
    if abs(sum(shares) - 1) > 1e-9:
        yield Fault(
            (DATASET, "split"),
            f"the shares add up to {sum(shares):g}",
            "train + validation + test = 1",
        )
    elif min(shares) <= 0:
        yield Fault((DATASET, "split"), "a split without events", "every share above 0")


def _folds(spec: Spec, experiment: Experiment) -> Faults:
    table, model = spec.dataset_config, experiment.model_config
    if table.folds is None:
        if table.fold is not None:
            message = "fold says which one is tested, and there are no folds"
            yield Fault((DATASET, "fold"), message, "folds = 5, or leave it out", "key")
        return
    if table.split is not None:
        hint = "split or folds"
        yield Fault((DATASET, "split"), "folds divide the events already", hint, "key")
        yield Fault((DATASET, "folds"), "split divides the events already", hint, "key")
    if table.fold is not None and table.fold >= table.folds:
        hint = f"0 to {table.folds - 1}"
        yield Fault((DATASET, "fold"), f"there is no fold {table.fold} of {table.folds}", hint)
    if tests_everything(model):
        yield Fault((DATASET, "folds"), ALL_TESTED, "leave it out", "key")
    elif model.load_checkpoint and table.fold is None and model.checkpoint_events != "unseen":
        yield Fault((MODEL, "load_checkpoint"), SEEN_BY_FOLDS, ONE_FOLD_OR_UNSEEN)
    if table.fold is None and not experiment.training_config.export_onnx:
        message, hint = "combine.py needs the network of each fold", "export_onnx = true; or fold"
        yield Fault((TRAINING, "export_onnx"), message, hint)


def _model(spec: Spec, experiment: Experiment) -> Faults:
    key = (MODEL, "architecture_config")
    written, table = spec.model_config.architecture_config, experiment.model_config
    if written.act not in signatures.activations():
        hint = did_you_mean(written.act, signatures.activations())
        yield Fault((*key, "act"), f'torch.nn has no activation "{written.act}"', hint)
    if written.block_size is not None and written.model != "ResNet":
        yield Fault((*key, "block_size"), f"{written.model} has no blocks", 'model = "ResNet"')
    network = table.architecture_config
    if network.block_size and network.n_layers % network.block_size:
        hint = f"a multiple of block_size = {network.block_size}"
        yield Fault((*key, "n_layers"), f"{network.n_layers} layers do not fill blocks", hint)
    if written.embedding_dim is not None and not experiment.dataset_config.categorical:
        yield Fault((*key, "embedding_dim"), "there are no categorical features to embed")
    if written.batchnorm and written.layernorm:
        yield Fault((*key, "layernorm"), "two normalisations", "batchnorm or layernorm")
    if written.batchnorm and experiment.dataset_config.batch_size < 2:
        hint = "a larger batch_size, or layernorm"
        yield Fault((*key, "batchnorm"), "batches of one event cannot be normalised", hint)
    if table.checkpoint_events != "same":
        event_key = (MODEL, "checkpoint_events")
        if table.load_checkpoint is None:
            yield Fault(event_key, "there is no checkpoint", "load_checkpoint names one", "key")
        elif table.checkpoint_events == "numbered" and not experiment.dataset_config.event_number:
            yield Fault(event_key, "events have no number", "event_number in [dataset_config]")
    if table.continue_training and table.load_checkpoint is None:
        yield Fault(
            (MODEL, "continue_training"),
            "nothing to continue",
            "load_checkpoint names a checkpoint",
        )


def _loss(spec: Spec, experiment: Experiment) -> Faults:
    loss, params = experiment.training_config.loss, spec.training_config.loss_params
    if loss not in SIGNAL_LOSSES:
        hint = f"allowed: {', '.join(SIGNAL_LOSSES)}"
        yield Fault((TRAINING, "loss"), f"{loss} is for fakes", hint)
    n_classes = len(experiment.dataset_config.classes)
    if loss == "bce" and n_classes > 2:
        yield Fault(
            (TRAINING, "loss"), f"bce is for two classes, not {n_classes}", 'loss = "cross_entropy"'
        )
    if loss == "cross_entropy" and n_classes == 2:
        hint = 'loss = "bce", the cross entropy of two classes'
        yield Fault((TRAINING, "loss"), "cross_entropy is for three classes or more", hint)
    for name, owner in (("label_smoothing", "cross_entropy"), ("gamma", "focal")):
        if getattr(params, name) is not None and loss != owner:
            yield Fault(
                (TRAINING, "loss_params", name), f"{loss} has no {name}", f'loss = "{owner}"'
            )
    if (params.label_smoothing or 0) >= 1:
        yield Fault(
            (TRAINING, "loss_params", "label_smoothing"),
            "nothing of the target is left",
            "less than 1",
        )


def _monitor(_: Spec, experiment: Experiment) -> Faults:
    settings, table = experiment.experiment_config, experiment.training_config
    known = ("val_loss", *metrics(experiment), "last")
    if table.monitor == "last":
        yield from _unmonitored(experiment)
        return
    if table.monitor not in known:
        hint = did_you_mean(table.monitor, known)
        yield Fault((TRAINING, "monitor"), f'unknown metric "{table.monitor}"', hint)
    elif table.monitor != "val_loss":
        cadence, validations = settings.check_metrics_n_epoch, settings.check_eval_n_epoch
        if cadence == "never" or cadence > validations:
            yield Fault(
                (TRAINING, "monitor"),
                f"{table.monitor} is not there after every validation: validations come"
                f" {_every(validations)}, metrics {_every(cadence)}",
                "check_metrics_n_epoch at most check_eval_n_epoch",
            )


def _unmonitored(experiment: Experiment) -> Faults:
    """Refuse what needs a metric where the last epoch is taken, whatever its metrics."""
    table = experiment.training_config
    scheduler = table.scheduler and signatures.schedulers().get(table.scheduler.scheduler_name)
    hint = 'monitor = "val_loss"'
    if table.early_stop_patience is not None:
        yield Fault((TRAINING, "early_stop_patience"), "no metric to judge by", hint)
    if scheduler and scheduler.monitored:
        key = (TRAINING, "scheduler", "scheduler_name")
        yield Fault(key, f"{scheduler.name} has no metric to judge by", hint)
    if table.save_top_k > 1:
        yield Fault((TRAINING, "save_top_k"), "there is one last epoch", hint)


def _every(cadence: int | str) -> str:
    if cadence == 1:
        return "every epoch"
    return "never" if cadence == "never" else f"every {cadence} epochs"


def _optimizer(spec: Spec, experiment: Experiment) -> Faults:
    table = spec.training_config.optimizer
    signature = signatures.optimizers().get(table.optimizer_name)
    for parameter in signature.parameters if signature else ():
        if (
            parameter.gpu_only
            and table.optimizer_params.get(parameter.name)
            and experiment.experiment_config.accelerator == "cpu"
        ):
            key = (TRAINING, "optimizer", "optimizer_params", parameter.name)
            yield Fault(
                key, f"{parameter.name} needs a GPU", 'accelerator = "gpu", or leave it out'
            )
    yield from _signature(
        (TRAINING, "optimizer"),
        "optimizer",
        table.optimizer_name,
        table.optimizer_params,
        signatures.optimizers(),
    )


def _scheduler(spec: Spec, experiment: Experiment) -> Faults:
    table, resolved = spec.training_config.scheduler, experiment.training_config.scheduler
    if table is None or resolved is None:
        return
    key = (TRAINING, "scheduler")
    known = signatures.schedulers()
    faults = list(_signature(key, "scheduler", table.scheduler_name, table.scheduler_params, known))
    yield from faults
    if faults:
        return
    if table.scheduler_name == "ReduceLROnPlateau" and resolved.interval == "step":
        yield Fault((*key, "interval"), "ReduceLROnPlateau needs a validation to judge by", "epoch")
    mode, monitor_mode = table.scheduler_params.get("mode"), experiment.training_config.monitor_mode
    if table.scheduler_name == "ReduceLROnPlateau" and mode not in (None, monitor_mode):
        yield Fault(
            (*key, "scheduler_params", "mode"),
            f"{mode} is not which way {experiment.training_config.monitor} is better",
            f'leave it out: it is monitor_mode, "{monitor_mode}"',
        )
    optimizer = signatures.optimizers().get(spec.training_config.optimizer.optimizer_name)
    message = optimizer and signatures.check_pair(
        known[table.scheduler_name], table.scheduler_params, optimizer
    )
    if message:
        yield Fault((*key, "scheduler_name"), message)


def _signature(
    key: Key,
    kind: str,
    name: str,
    params: Mapping[str, object],
    known: Mapping[str, signatures.Signature],
) -> Faults:
    """Check a name and its parameters against torch's signatures; `<kind>_params` holds them."""
    signature = known.get(name)
    if signature is None:
        module = "torch.optim" if kind == "optimizer" else "torch.optim.lr_scheduler"
        usable = [n for n, s in known.items() if s.refused is None]
        yield Fault((*key, f"{kind}_name"), f'{module} has no "{name}"', did_you_mean(name, usable))
    elif signature.refused is not None:
        yield Fault((*key, f"{kind}_name"), f"{name} cannot be used", signature.refused)
    else:
        for parameter, message, hint in signatures.check(signature, params):
            yield Fault((*key, f"{kind}_params", parameter), message, hint)


def _epochs(_: Spec, experiment: Experiment) -> Faults:
    settings, table = experiment.experiment_config, experiment.training_config
    if settings.check_eval_n_epoch > table.max_epochs:
        yield Fault(
            (EXPERIMENT, "check_eval_n_epoch"),
            f"no validation in the {table.max_epochs} epochs of training",
            f"at most max_epochs = {table.max_epochs}",
        )
    if table.early_stop_patience is None:
        for name in ("early_stop_min_delta", "min_epochs"):
            if getattr(table, name) is not None:
                message = f"{name} has no effect without early_stop_patience"
                yield Fault(
                    (TRAINING, name), message, "early_stop_patience, or leave it out", "key"
                )
    elif table.min_epochs is not None and table.min_epochs > table.max_epochs:
        hint = f"at most max_epochs = {table.max_epochs}"
        message = "training ends before early stopping may begin"
        yield Fault((TRAINING, "min_epochs"), message, hint)
    if table.warmup and table.warmup.epochs > table.max_epochs:
        hint = f"at most max_epochs = {table.max_epochs}"
        yield Fault((TRAINING, "warmup", "epochs"), "the warm-up is longer than the training", hint)


def _slurm(spec: Spec, experiment: Experiment) -> Faults:
    settings, job = experiment.experiment_config, experiment.slurm_config
    if job is None:
        return
    if isinstance(settings.devices, tuple) or settings.devices == -1:
        if settings.accelerator == "cpu":
            return  # _hardware has said so.
        yield Fault(
            (EXPERIMENT, "devices"), "SLURM chooses the devices of a job", "how many: devices = 2"
        )
        return
    if settings.accelerator == "cpu" and job.gpus:
        yield Fault((SLURM, "gpus"), 'GPUs are asked for, but accelerator is "cpu"', "gpus = 0")
    elif (settings.accelerator == "gpu" or job.gpus) and job.gpus != job.tasks_per_node:
        yield Fault(
            (SLURM, "gpus"),
            f"{job.gpus} GPUs of a node, but {job.tasks_per_node} devices",
            f"gpus = {job.tasks_per_node}: as many as devices",
        )
    if job.signal_lead * 2 > slurm.seconds(job.time):
        yield Fault(
            (SLURM, "signal_lead"), f"too long for a job of {job.time}", "at most half of it"
        )
    if job.environment and job.container:
        yield Fault((SLURM, "container"), "a container and an environment", "one of them")
    model, tasks = experiment.model_config, job.nodes * job.tasks_per_node
    if tests_only(model) and tasks > 1:
        # A test is the work of one process; the others would wait for it.
        key = (SLURM, "nodes") if job.nodes > 1 else (SLURM,)
        yield Fault(key, f"{tasks} tasks, but only a test to do", "one node, and devices = 1")


def _asked_for(_: Spec, experiment: Experiment) -> Faults:
    """Refuse what a job asks for twice, or of GPUs that it does not ask for."""
    job = experiment.slurm_config
    if job is None:
        return
    amounts = [n for n in ("memory", "memory_per_cpu", "memory_per_gpu") if getattr(job, n)]
    for name in amounts[1:]:
        message = f"{amounts[0]} and {name}"
        yield Fault((SLURM, name), message, "one of them", "key")
    if not job.gpus:
        for name in ("gpu_type", "memory_per_gpu"):
            if getattr(job, name) is not None:
                hint = 'accelerator = "gpu", or gpus'
                yield Fault((SLURM, name), f"{name}, but the job asks for no GPU", hint, "key")
    if job.memory_per_cpu is not None and len(amounts) == 1:
        cpus = job.cpus * job.tasks_per_node
        if slurm.kilobytes(job.memory_per_cpu) * cpus < slurm.LEAST_MEMORY:
            message = f'"{job.memory_per_cpu}" for {cpus} CPUs is too little to import torch in'
            yield Fault((SLURM, "memory_per_cpu"), message, 'such as "4G"')


def _lasting(_: Spec, experiment: Experiment) -> Faults:
    """Check that a job's later starts find what the first one saved."""
    save_dir = experiment.experiment_config.save_dir
    names = (name for name in PLACE.findall(save_dir) if name.startswith("SLURM_"))
    fleeting = next((f"${{{name}}}" for name in names), None)
    if save_dir.startswith("${TMPDIR}"):
        fleeting = "${TMPDIR}"
    elif PurePosixPath(save_dir).parts[:2] == ("/", "tmp"):
        fleeting = "a node's own /tmp"
    if fleeting and experiment.slurm_config:
        yield Fault(
            (EXPERIMENT, "save_dir"),
            f"{fleeting} is another place in every job: nothing could go on from there",
            "a folder that all nodes share",
        )


def _sweep(spec: Spec, _: Experiment) -> Faults:
    if spec.sweep_config and spec.sweep_config.max_parallel and spec.slurm_config is None:
        yield Fault(
            ("sweep_config", "max_parallel"),
            "there is no array of jobs to limit",
            "a table [slurm_config], or leave it out",
        )


Check = Callable[[Spec, Experiment], Iterable[Fault]]
SHARED: tuple[Check, ...] = (
    _names,
    _trackers,
    _hardware,
    _features,
    _samples,
    _overlaps,
    _derived,
    _labels,
    _fingerprints,
    _split,
    _folds,
    _model,
    _monitor,
    _optimizer,
    _scheduler,
    optimization.precision,
    optimization.length,
    optimization.size,
    _epochs,
    _slurm,
    _asked_for,
    _lasting,
    _sweep,
)
# Of faults at one place, that of the earlier rule is told first.
RULES: dict[Literal["signal", "fakes"], tuple[Check, ...]] = {
    "signal": (*SHARED, _classes, _negative_weights, _loss, fakes.only_of_fakes),
    "fakes": (
        *SHARED,
        fakes.requirements,
        fakes.inputs,
        fakes.kinds,
        fakes.columns,
        fakes.idle,
        fakes.network,
        fakes.training,
    ),
}
