"""Experiment -> what fills the outline of a script; the variants of a script differ here only."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from seesawc.tables import signatures
from seesawc.tables.dataset import TABLES, Dataset, Sample, label_of, reader_of, used_derived
from seesawc.tables.experiment import ExperimentSettings
from seesawc.tables.fakes import Fakes
from seesawc.tables.model import tests_everything, tests_only
from seesawc.tables.resolution import Experiment, fakes_columns
from seesawc.tables.training import Scheduler, Training
from seesawc.writing.literals import WIDTH, Verbatim, literal
from seesawc.writing.settings import Group, groups, network_options

DTYPES = {"64-true": "float64"}
LINKS = {
    "bce": "direct_link",
    "savage": "direct_link",
    "exponential": "exponential_link",
    "tangent": "tangent_link",
}
# Which of the training leptons a stage is about.
CHOSEN = {
    "numerator": "leptons[0].is_tight.numpy()",
    "denominator": "~leptons[0].is_tight.numpy()",
    "ratio": "leptons[0].is_data.numpy()",
}
REGIONS = {"numerator": "tight", "denominator": "loose", "ratio": ""}


@frozen
class Outline:
    """A template with what fills it, and the constants that its text may use."""

    template: str
    values: Mapping[str, Any]
    groups: tuple[Group, ...]


def outline(experiment: Experiment, before: Iterable[Experiment] = ()) -> Outline:
    """Return the outline of one training; a ratio has the two trainings before it."""
    parents = tuple(before)
    values = _common(experiment)
    if experiment.task == "signal":
        template, own = "train_signal.py.jinja", _signal(experiment)
    else:
        ratio = experiment.stage == "ratio"
        template = "train_ratio.py.jinja" if ratio else "train_density.py.jinja"
        own = _stage(experiment, parents)
    return Outline(template, values | own, tuple(groups(experiment, parents)))


def after(experiment: Experiment, template: str) -> Outline:
    """Return the outline of what comes after the trainings, of which `experiment` is the ratio."""
    own = {"test_only": True, "parents": [], "fakes": experiment.fakes_config}
    return Outline(template, _common(experiment) | own, tuple(groups(experiment)))


def combining(experiment: Experiment) -> Outline:
    """Return the outline of what combines the folds of a training, of which `experiment` is one."""
    values = _common(experiment) | _signal(experiment)
    return Outline("combine.py.jinja", values, tuple(groups(experiment)))


def _common(experiment: Experiment) -> dict[str, Any]:
    """Return what does not depend on the task: inputs, samples, optimizer."""
    data, settings = experiment.dataset_config, experiment.experiment_config
    model, training = experiment.model_config, experiment.training_config
    scaled = data.numerical and data.scaling != "none"
    return {
        "experiment": settings,
        "labelled_plots": _labels_plots(settings),
        "stage": experiment.stage,
        "dataset": data,
        "model": model,
        "architecture": model.architecture_config,
        "training": training,
        "test_only": tests_only(model),
        "all_unseen": tests_everything(model),
        "samples": [_sample(data, sample) for sample in data.samples],
        "derived": used_derived(data, fakes_columns(experiment)),
        "further": Verbatim(_further(experiment)),
        "scaling": data.scaling if scaled else None,
        "scaled_events": Verbatim(_scaled_events(data)),
        "inputs_rest": Verbatim(", scaled as the training events ask for" if scaled else ""),
        "dtype": DTYPES.get(settings.precision, "float32"),
        "optimizer": Verbatim(_optimizer(training)),
        "scheduler": training.scheduler
        and Verbatim(_scheduler(training.scheduler, training.monitor_mode)),
        "monitored": training.scheduler is not None and _is_monitored(training.scheduler),
        "configure_rest": Verbatim(" and its schedule" if training.scheduler else ""),
        "learnt": Verbatim("train"),
        "parents": [],
    }


def _scaled_events(data: Dataset) -> str:
    """Return the events whose features scaling is computed of."""
    cached = data.max_memory is not None
    return "train.numerical[:EVENTS_SCALED]" if cached else "train.numerical"


def _labels_plots(settings: ExperimentSettings) -> bool:
    texts = (settings.experiment_label, settings.energy, settings.luminosity)
    return any(text is not None for text in texts)


def _signal(experiment: Experiment) -> dict[str, Any]:
    data, training = experiment.dataset_config, experiment.training_config
    binary = len(data.classes) == 2
    kind = "binary" if binary else "multiclass"
    warmed_up = training.warmup is not None and not tests_only(experiment.model_config)
    loss = "LOSS"
    if training.loss_params:
        params = ", ".join(f"{name}=LOSS_{name.upper()}" for name in training.loss_params)
        loss = f"partial(LOSS, {params})"
    metrics = "binary_metrics" if binary else "partial(multiclass_metrics, classes=CLASSES)"
    named = " against ".join(reversed(data.classes)) if binary else ", ".join(data.classes)
    return {
        "events_type": Verbatim("Events"),
        "binary": binary,
        "kind": Verbatim(kind),
        "class_names": Verbatim(named),
        "outputs_named": Verbatim("one logit" if binary else "a logit for each class"),
        "n_outputs": Verbatim("1" if binary else "len(CLASSES)"),
        "classifier": Verbatim("WarmedUpClassifier" if warmed_up else "Classifier"),
        "loss": Verbatim(loss),
        "link": Verbatim("binary_probability" if binary else "class_probability"),
        "metrics": Verbatim(metrics),
        "uncertainties": Verbatim(f"{kind}_uncertainties"),
        "figures": Verbatim(f"{kind}_figures"),
        "class_texts": Verbatim(
            "labelled(CLASSES, CLASS_LABELS)" if data.class_labels else "CLASSES"
        ),
    }


def _stage(experiment: Experiment, before: tuple[Experiment, ...]) -> dict[str, Any]:
    fakes, training = experiment.fakes_config, experiment.training_config
    assert fakes is not None, "checked by the rules"
    assert experiment.stage is not None, "a stage is planned"
    ratio = experiment.stage == "ratio"
    scaled = bool(fakes.mc_normalisation) and not (ratio and fakes.use_data_in_ratio)
    vary = fakes.bootstrap or scaled
    clipped = training.clip_quantile is not None
    penalties = {"squares": "w_lambda", "effective_size": "ess_lambda"}
    several = fakes.n_members > 1
    return {
        "fakes": fakes,
        "events_type": Verbatim("Leptons"),
        "region": REGIONS[experiment.stage],
        "tight": experiment.stage == "numerator",
        "learns_from": "data" if fakes.use_data_in_ratio else "MC",
        "chosen": Verbatim(
            "~" * (ratio and not fakes.use_data_in_ratio) + CHOSEN[experiment.stage]
        ),
        "is_mc": Verbatim("torch.tensor(not USE_DATA_IN_RATIO)" if ratio else "train.label == 0"),
        "networks": [
            _network(experiment, fakes),
            *(_network(each, fakes, str(each.stage).upper()) for each in before),
        ],
        "members_rest": Verbatim(" of each member" if several else ""),
        "parents": [each.stage for each in before],
        "classifier": Verbatim("WarmedUpDensityRatio" if training.warmup else "DensityRatio"),
        "link": Verbatim(LINKS[training.loss]),
        "penalties": [
            Verbatim(f"partial({name}, {option}={option.upper()})")
            for name, option in penalties.items()
            if getattr(training, option) is not None
        ],
        "vary": vary,
        "scaled": scaled,
        "learnt": Verbatim("learnt" if vary or clipped else "train"),
        "varied_events": Verbatim("learnt" if clipped else "train"),
        "metrics": Verbatim("ratio_metrics" if ratio else "density_metrics"),
        "uncertainties": Verbatim("ratio_uncertainties" if ratio else "density_uncertainties"),
    }


def _network(experiment: Experiment, fakes: Fakes, trained: str = "") -> Mapping[str, Any]:
    """Return what fills the network of a stage; `trained` is the table of one trained before."""
    network = experiment.model_config.architecture_config
    arguments = [f"{name}={name.upper()}" for name in network_options(network)]
    arguments = [
        "build_inputs(train, categories)",
        "n_outputs=1",
        *([f"**{trained}"] if trained else arguments),
    ]
    indent = " " * (8 if fakes.pt_slices or fakes.n_members > 1 else 4)
    model = network.model if trained else "MODEL"
    lines = [_call(f"{indent}return {model}", arguments)]
    if network.act_out != "none":
        act_out = f"{trained}_ACT_OUT" if trained else "ACT_OUT"
        lines = [
            _call(f"{indent}logit = {model}", arguments),
            f"{indent}return Activated(logit, {act_out}())",
        ]
    return {
        "name": experiment.stage,
        "text": Verbatim("\n".join(lines)),
        "link": Verbatim(LINKS[experiment.training_config.loss]),
    }


def _sample(data: Dataset, sample: Sample) -> dict[str, Any]:
    return {
        "name": sample.name,
        "index": label_of(data, sample),
        "label": sample.label or sample.kind,
        "class_column": sample.class_column,
        "files": sample.files,
        "reader": Verbatim(_reader(sample)),
        "selection": sample.selection,
        "weight": sample.weight,
    }


def _reader(sample: Sample) -> str:
    """Return the reader of a sample's files, with the table that it opens in each."""
    reader = reader_of(sample.files[0])
    table = getattr(sample, TABLES[reader]) if reader in TABLES else None
    return f"{reader}({'' if table is None else literal(table)})"


def _further(experiment: Experiment) -> str:
    """Return the columns that only fakes read."""
    fakes = experiment.fakes_config
    if fakes is None:
        return ""
    return "(CATEGORY, ETA)" if fakes.crack_veto else "(CATEGORY,)"


def _optimizer(training: Training) -> str:
    table = training.optimizer
    head = "return" if training.scheduler is None else "optimizer ="
    arguments = ["parameters", *(f"{n}={n.upper()}" for n in sorted(table.optimizer_params))]
    return _call(f"    {head} torch.optim.{table.optimizer_name}", arguments)


def _scheduler(table: Scheduler, monitor_mode: str) -> str:
    """Give the scheduler its parameters, and the length of the training where it asks for that."""
    signature = signatures.schedulers()[table.scheduler_name]
    texts = {name: f"SCHEDULER_{name.upper()}" for name in table.scheduler_params}
    for parameter in signature.parameters:
        if parameter.filled and parameter.name not in texts:
            texts[parameter.name] = "steps" if table.interval == "step" else "MAX_EPOCHS"
    # Torch's own is "min".
    if signature.monitored and monitor_mode == "max":
        texts.setdefault("mode", "MONITOR_MODE")
    arguments = ["optimizer", *(f"{name}={texts[name]}" for name in sorted(texts))]
    return _call(f"    scheduler = torch.optim.lr_scheduler.{table.scheduler_name}", arguments)


def _is_monitored(table: Scheduler) -> bool:
    return signatures.schedulers()[table.scheduler_name].monitored


def _call(head: str, arguments: list[str]) -> str:
    """Return a call as a formatter writes it."""
    line = f"{head}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    inner = " " * (len(head) - len(head.lstrip()) + 4)
    wrapped = f"{inner}{', '.join(arguments)}"
    lines = [wrapped] if len(wrapped) <= WIDTH else [f"{inner}{each}," for each in arguments]
    return "\n".join([f"{head}(", *lines, f"{inner[4:]})"])
