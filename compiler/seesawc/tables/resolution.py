"""Spec -> Experiment: nothing left open; and how each option is listed."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

from attrs import fields, frozen, has

from seesawc.tables import dataset, experiment, fakes, model, signatures, slurm, sweep, training
from seesawc.tables.dataset import Dataset, Sample, SampleTable
from seesawc.tables.experiment import ExperimentSettings
from seesawc.tables.fakes import Fakes
from seesawc.tables.model import Model
from seesawc.tables.slurm import Slurm
from seesawc.tables.spec import SPELT, Spec
from seesawc.tables.sweep import Sweep
from seesawc.tables.training import Training

# Resolved classes spell the same keys as the written ones.
RESOLVED_SPELT: dict[type, dict[str, str]] = {Sample: SPELT[SampleTable]}
# What is shown, kept or judged otherwise, and trained alike.
COSMETIC = {
    "run_name", "save_dir", "tracker_path", "comet_api_key", "comet_project_name",
    "log_every_n_steps", "plot_metrics_n_epoch", "tqdm_refresh_rate", "experiment_name",
    "save_every_n_minutes", "tolerance", "binned", "labels", "class_labels",
    "experiment_label", "energy", "luminosity",
}  # fmt: skip
# Optimizers that torch computes by one kernel, on CPUs and on GPUs.
FUSED = ("Adam", "AdamW", "SGD")


@frozen(kw_only=True)
class Experiment:
    """A training experiment with nothing left open."""

    task: Literal["signal", "fakes"]
    timestamp: str
    # Which of the three trainings of fakes this is; None for signal, and for all three together.
    stage: str | None
    experiment_config: ExperimentSettings
    dataset_config: Dataset
    model_config: Model
    training_config: Training
    fakes_config: Fakes | None
    slurm_config: Slurm | None
    sweep_config: Sweep | None

    @property
    def has_points(self) -> bool:
        """Whether these are several trainings by one script: a sweep, or each fold of some."""
        return self.sweep_config is not None or self.dataset_config.every_fold


def resolve(spec: Spec, timestamp: str, stage: str | None = None) -> Experiment:
    """Fill everything that the author left open; `timestamp` goes into the run's default name."""
    all_tested = model.tests_everything(spec.model_config)
    data = dataset.resolve(spec.dataset_config, spec.task, all_tested)
    network = model.resolve(spec.model_config, bool(data.categorical), spec.task, stage)
    # Points may have other architectures.
    kind = "sweep" if spec.sweep_config is not None else network.architecture_config.model
    settings = experiment.resolve(spec.experiment_config, kind, timestamp)
    job = None
    if spec.slurm_config is not None:
        job = slurm.resolve(spec.slurm_config, settings.accelerator, settings.devices)
    return Experiment(
        task=spec.task,
        timestamp=timestamp,
        stage=stage,
        experiment_config=settings,
        dataset_config=data,
        model_config=network,
        training_config=training.resolve(
            spec.training_config,
            len(data.classes) if spec.task == "signal" else 2,
            _interval(spec.training_config),
            _optimizer_params(spec.training_config, settings.precision),
        ),
        fakes_config=None if spec.fakes_config is None else fakes.resolve(spec.fakes_config),
        slurm_config=job,
        sweep_config=None if spec.sweep_config is None else sweep.resolve(spec.sweep_config),
    )


def fakes_columns(experiment: Experiment) -> tuple[str, ...]:
    """Return the columns that only fakes read, besides features, selections and weights."""
    table = experiment.fakes_config
    return tuple(name for name in (table.category, table.eta) if name) if table else ()


def _interval(table: training.TrainingTable) -> Literal["epoch", "step"]:
    """Return when torch means the scheduler to move; the rules refuse one that torch lacks."""
    known = signatures.schedulers().get(table.scheduler.scheduler_name) if table.scheduler else None
    return known.interval if known else "epoch"


def _optimizer_params(table: training.TrainingTable, precision: str) -> dict[str, Any]:
    """Return what an optimizer has if nobody says otherwise.

    Torch's learning rate, the one default that everybody asks for; and all weights moved by one
    kernel, where torch has that on every device, which is many times as fast for small networks.
    Not SGD where losses are scaled: if the first step is skipped, torch takes a momentum for the
    second that it has never written.
    """
    optimizer = table.optimizer
    known = signatures.optimizers().get(optimizer.optimizer_name)
    rate = next((p.default for p in known.parameters if p.name == "lr"), None) if known else None
    found: dict[str, Any] = {"lr": rate} if rate is not None else {}
    names = [name for name in FUSED if (name, precision) != ("SGD", "16-mixed")]
    if optimizer.optimizer_name in names and "foreach" not in optimizer.optimizer_params:
        found["fused"] = True
    return found


def options(
    value: Any, key: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every option of a resolved table with its key, in the order of declaration."""
    kind: Any = type(value)
    spelt = _spelt(kind)
    if spelt is not None:
        for name, key_there in spelt.items():
            yield from options(getattr(value, name), (*key, key_there))
    elif isinstance(value, tuple) and value and has(type(value[0])):
        for index, item in enumerate(value):
            yield from options(item, (*key, index))
    else:
        yield key, value


@cache
def _spelt(table: type) -> Mapping[str, str] | None:
    """Return how the options of a resolved table are spelt, in order; None if it is no table."""
    if not has(table):
        return None
    spelt = RESOLVED_SPELT.get(table, {})
    names = (name for name in in_order(table) if name not in ("timestamp", "stage"))
    return {name: spelt.get(name, name) for name in names}


def numbers(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield the options that can change a run's numbers, in a fixed form."""
    elsewhere: set[tuple[str | int, ...]] = {("slurm_config",), ("sweep_config",)}
    # A stage's own options have been laid over its tables; those of others are none of its.
    elsewhere |= {("fakes_config", stage) for stage in fakes.STAGES}
    if experiment.stage != "ratio":
        elsewhere.add(("fakes_config", "use_data_in_ratio"))
    for key, value in options(experiment):
        if key == ("dataset_config", "derived"):
            # Others are in no script.
            value = dataset.used_derived(experiment.dataset_config, fakes_columns(experiment))
        if elsewhere.isdisjoint((key[:1], key[:2])) and key[-1] not in COSMETIC:
            plain = dict(value) if isinstance(value, Mapping) else value
            yield ".".join(map(str, key)), repr(plain)


@cache
def in_order(table: type) -> tuple[str, ...]:
    """Return the options of a resolved table as its written class orders them.

    One that only the resolved class has stands before the next that it declares.
    """
    names = [attribute.name for attribute in fields(table)]
    base = table.__base__
    written = [a.name for a in fields(base)] if base is not None and has(base) else names
    places, place = {}, len(written)
    for name in reversed(names):
        place = places[name] = written.index(name) if name in written else place
    return tuple(sorted(names, key=places.__getitem__))
