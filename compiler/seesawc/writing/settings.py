"""Experiment -> the constants that a script may use, in groups; it gets those that it names."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from attrs import frozen, has

from seesawc.rules.fakes import OUTPUTS
from seesawc.tables import signatures
from seesawc.tables.dataset import used_derived
from seesawc.tables.model import Architecture
from seesawc.tables.resolution import Experiment, fakes_columns, in_order
from seesawc.tables.training import Training
from seesawc.writing import imports
from seesawc.writing.literals import Verbatim, lay_out

# Cadences, which a spec spells "never" where they are null.
CADENCES = ("CHECK_METRICS_N_EPOCH", "PLOT_METRICS_N_EPOCH")
NORMS = {"batchnorm": "BatchNorm1d", "layernorm": "LayerNorm"}
NAMES = "TRAIN, VALIDATION, TEST"
# Where a type checker needs to be told: Lightning takes literal types, and a dict may be empty.
TYPES = {
    "PRECISION": "Final",
    "MODEL": "type[nn.Module]",
    "BINNED": "dict[str, list[float]]",
    "FINGERPRINTS": "dict[str, str]",
    "LOGARITHMIC": "tuple[str, ...]",
    "NUMERATOR": "dict[str, Any]",
    "DENOMINATOR": "dict[str, Any]",
}


# The title of what a ratio builds on.
TRAINED = "The trainings before it: run and digest of the script, and the networks."


@frozen
class IfThere:
    """The value of a constant that only those points of a sweep have that have this column."""

    column: str


@frozen
class Group:
    """Constants under one title; a name may be several, as `TRAIN, VALIDATION, TEST`."""

    title: str
    values: Mapping[str, Any]

    def used(self, names: Collection[str]) -> "Group":
        """Return what of it has one of these names."""
        chosen = {n: v for n, v in self.values.items() if not set(n.split(", ")).isdisjoint(names)}
        return Group(self.title, chosen)

    @property
    def names(self) -> frozenset[str]:
        """What values and their types name: definitions, and other constants."""
        texts = [value for value in self.values.values() if isinstance(value, Verbatim)]
        texts += [Verbatim(TYPES[name]) for name in self.values if name in TYPES]
        return frozenset().union(*map(imports.free_names, texts))


def groups(experiment: Experiment, before: tuple[Experiment, ...] = ()) -> Iterator[Group]:
    """Yield the constants of a training; `before` are those that it builds on, by stage."""
    stage = {} if experiment.stage is None else {"STAGE": experiment.stage}
    settings = _constants(experiment.experiment_config)
    if isinstance(settings["DEVICES"], tuple):
        # Lightning takes a list of them only.
        settings["DEVICES"] = list(settings["DEVICES"])
    cadences: dict[str, Any] = {name: None for name in CADENCES if settings[name] == "never"}
    yield Group("Experiment.", stage | settings | cadences)
    data = _constants(experiment.dataset_config)
    data["DERIVED"] = used_derived(experiment.dataset_config, fakes_columns(experiment))
    split = experiment.dataset_config.split
    shares = {} if split is None else {NAMES: (split.train, split.validation, split.test)}
    scaling = {"SCALING": None if data["SCALING"] == "none" else Verbatim(data["SCALING"])}
    title = "Dataset." if experiment.stage else "Dataset. The last of two classes is the signal."
    yield Group(title, data | scaling | shares)
    if experiment.fakes_config is not None:
        yield Group("Fakes.", _constants(experiment.fakes_config))
    yield Group("Model.", network(experiment))
    yield Group("Training.", training(experiment))
    trained = map(_trained, before)
    yield Group(TRAINED, {name: value for each in trained for name, value in each.items()})


def network_options(table: Architecture) -> list[str]:
    """Return the arguments of a network, besides its inputs and outputs."""
    names = ["n_layers", "n_hidden", "block_size", "act", "dropout", "norm"]
    return [name for name in names if name != "block_size" or table.block_size is not None]


def _trained(experiment: Experiment) -> dict[str, Any]:
    """Return the constants of a network that another script has trained."""
    table, found = experiment.model_config.architecture_config, network(experiment)
    name = str(experiment.stage).upper()
    options = {option: found[option.upper()] for option in network_options(table)}
    return {name: options, f"{name}_ACT_OUT": found["ACT_OUT"]}


def network(experiment: Experiment) -> dict[str, Any]:
    """Return the constants of a network."""
    model = experiment.model_config
    table = model.architecture_config
    named = {
        "MODEL": Verbatim(table.model),
        "ACT": Verbatim(f"nn.{table.act}"),
        "NORM": Verbatim(f"nn.{norm(table)}"),
    }
    if table.act_out is not None:
        own = table.act_out in OUTPUTS
        named["ACT_OUT"] = Verbatim(table.act_out if own else f"nn.{table.act_out}")
    return _constants(model) | _constants(table) | named


def norm(table: Architecture) -> str:
    """Return the class of torch.nn that normalises a layer."""
    return next((name for flag, name in NORMS.items() if getattr(table, flag)), "Identity")


def training(experiment: Experiment) -> dict[str, Any]:
    """Return the constants of loss, optimizer, schedule and stopping."""
    table = experiment.training_config
    monitor = {"MONITOR": None if table.monitor == "last" else table.monitor}
    found = _constants(table) | loss(experiment) | monitor | _optimizer(table)
    if table.warmup is not None:
        found |= {
            "WARMUP_SHAPE": Verbatim(f"{table.warmup.shape}_warmup"),
            "WARMUP_EPOCHS": table.warmup.epochs,
        }
    return found


def loss(experiment: Experiment) -> dict[str, Any]:
    """Return the constants of a loss."""
    table = experiment.training_config
    return {"LOSS": Verbatim(loss_name(experiment)), **_upper(table.loss_params, "LOSS_")}


def loss_name(experiment: Experiment) -> str:
    """Return the definition that is the loss."""
    name = experiment.training_config.loss
    if experiment.task == "fakes":
        return f"density_{name}"
    if name in ("bce", "cross_entropy"):
        return name
    kind = "binary" if len(experiment.dataset_config.classes) == 2 else "multiclass"
    return f"{kind}_{name}"


def _optimizer(table: Training) -> dict[str, Any]:
    optimizer, scheduler = table.optimizer, table.scheduler
    signature = signatures.optimizers()[optimizer.optimizer_name]
    found = _upper(dict(sorted(signatures.convert(signature, optimizer.optimizer_params).items())))
    if scheduler is not None:
        signature = signatures.schedulers()[scheduler.scheduler_name]
        params = dict(sorted(signatures.convert(signature, scheduler.scheduler_params).items()))
        found |= _upper({**params, "interval": scheduler.interval}, "SCHEDULER_")
    return found


def _constants(table: Any) -> dict[str, Any]:
    """Return a constant for each option of a table."""
    kind: Any = type(table)
    values = {name: getattr(table, name) for name in in_order(kind)}
    return _upper({name: _plain(v) for name, v in values.items() if not _is_table(v)})


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _is_table(value: Any) -> bool:
    return has(type(value)) or (isinstance(value, tuple) and any(has(type(v)) for v in value))


def _upper(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name.upper()}": value for name, value in values.items()}


def render(groups: tuple[Group, ...]) -> str:
    """Write constants, each group of them under its title."""
    texts = []
    for group in groups:
        lines: list[str] = []
        values: list[Any] = []
        for name, value in group.values.items():
            kind = f": {TYPES[name]}" if name in TYPES else ""
            if isinstance(value, IfThere):
                lines.append(f'if "{value.column}" in POINT:')
                lines.append(f'    {name}{kind} = POINT["{value.column}"]')
                continue
            lines.append(f"{name}{kind} = \x02{len(values)}\x03")
            values.append(value)
        if lines:
            texts.append("\n".join([f"# {group.title}", lay_out("\n".join(lines), values)]))
    return "\n\n".join(texts)
