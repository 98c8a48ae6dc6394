"""`[model_config]`: the architecture, and the checkpoint to start from."""

from typing import Annotated, Literal

from attrs import frozen

from seesawc.tables.values import Count, DataPath, Name, between, option, unchanged

# Why a checkpoint does not go with all folds, and what would.
SEEN_BY_FOLDS = "the checkpoint was trained on events that other folds test"
ONE_FOLD_OR_UNSEEN = (
    'fold, the one that it was trained for; or checkpoint_events = "unseen" in [model_config]'
)
NAMES = {
    "signal": "sigBkgClassifier",
    "numerator": "numModel",
    "denominator": "denModel",
    "ratio": "ratioModel",
}


@frozen(kw_only=True)
class ArchitectureTable:
    """`[model_config.architecture_config]`; None: left open."""

    model: Literal["MLP", "ResNet"] = option(
        "MLP: hidden layers; ResNet: pre-activation residual blocks (arXiv:1603.05027).", "MLP"
    )
    n_layers: Count | None = option("Number of hidden layers. Left out: 3, or 4 for a ResNet.")
    n_hidden: Count = option("Units of a hidden layer.", 128)
    act: str = option("Activation: a class of torch.nn, such as ReLU or SiLU.", "ReLU")
    act_out: str | None = option(
        "fakes: activation of the output: none, Softabs, MinusSoftabs, Abs, MinusAbs, ELUPlus, or a"
        " class of torch.nn. Left out: Softabs, and none for the ratio."
    )
    dropout: Annotated[float, between(0, 1, open_end=True)] = option(
        "Share of a layer's units that a training step leaves out.", 0.0
    )
    batchnorm: bool = option("Batch normalisation in every layer.", False)
    layernorm: bool = option("Layer normalisation in every layer.", False)
    block_size: Count | None = option("ResNet: linear layers of a block. Left out: 2.")
    embedding_dim: Count | None = option(
        "Numbers that each categorical feature is embedded in. Left out: 8."
    )


@frozen(kw_only=True)
class ModelTable:
    """What the author wrote; None: left open."""

    name: Name | None = option(
        "Name of the model. Left out: sigBkgClassifier; fakes: numModel, denModel or ratioModel."
    )
    load_checkpoint: DataPath | None = option(
        "Checkpoint to load; without continue_training the script only tests it."
    )
    continue_training: bool = option(
        "Go on from load_checkpoint to max_epochs; what changed since takes effect, or is refused.",
        False,
    )
    checkpoint_events: Literal["same", "numbered", "unseen"] = option(
        "What the events are to load_checkpoint. same: those of its training, split alike, or it is"
        " refused; numbered: others perhaps, with the event numbers and the split of its training;"
        " unseen: it was trained on none of them, so without continue_training all are tested.",
        "same",
    )
    architecture_config: ArchitectureTable = option("The network.", factory=ArchitectureTable)


@frozen(kw_only=True)
class Architecture(ArchitectureTable):
    """The network with nothing left open."""

    n_layers: int
    act_out: str | None
    block_size: int | None
    embedding_dim: int | None


@frozen(kw_only=True)
class Model(ModelTable):
    """The options with nothing left open; None only where that is a meaning."""

    name: str
    architecture_config: Architecture


def tests_only(model: ModelTable) -> bool:
    """Whether nothing is trained: a checkpoint is there to be tested."""
    return model.load_checkpoint is not None and not model.continue_training


def tests_everything(model: ModelTable) -> bool:
    """Whether all events are there to test a checkpoint that was trained on none of them."""
    return tests_only(model) and model.checkpoint_events == "unseen"


def resolve(
    table: ModelTable, categorical: bool, task: Literal["signal", "fakes"], stage: str | None
) -> Model:
    """Fill what is left open: a residual block's size, and the embedding where there is one.

    The densities of numerator and denominator need ratios of at least 1.
    """
    act_out = "Softabs" if stage in ("numerator", "denominator") else "none"
    written = table.architecture_config
    block_size = (written.block_size or 2) if written.model == "ResNet" else None
    return Model(
        **unchanged(table, Model),
        name=table.name or NAMES.get(stage or task, "fakes"),
        architecture_config=Architecture(
            **unchanged(written, Architecture),
            n_layers=written.n_layers or (4 if written.model == "ResNet" else 3),
            act_out=written.act_out or (None if task == "signal" else act_out),
            block_size=block_size,
            embedding_dim=(written.embedding_dim or 8) if categorical else None,
        ),
    )
