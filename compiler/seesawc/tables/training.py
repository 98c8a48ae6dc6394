"""`[training_config]`: loss, optimizer, schedule, epochs, stopping and checkpoints."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from attrs import evolve, frozen

from seesawc.tables.values import (
    Count,
    Positive,
    Whole,
    at_least,
    between,
    option,
    required,
    unchanged,
)

Loss = Literal["bce", "cross_entropy", "focal", "mse", "exponential", "savage", "tangent"]
# Those whose minimum is at a density ratio.
DENSITY_LOSSES = ("bce", "exponential", "savage", "tangent")


@frozen(kw_only=True)
class LossTable:
    """`loss_params`: parameters of the losses that have some; None: left open."""

    label_smoothing: Annotated[float, at_least(0)] | None = option(
        "cross_entropy: share of a target spread over all classes."
    )
    gamma: Annotated[float, at_least(0)] | None = option(
        "focal: how much well-classified events count less (arXiv:1708.02002). Left out: 2."
    )


@frozen(kw_only=True)
class OptimizerTable:
    """`[training_config.optimizer]`."""

    optimizer_name: str = option("An optimizer of torch.optim.", "AdamW")
    optimizer_params: Mapping[str, Any] = option(
        "Its parameters, as torch names them.", factory=dict
    )


@frozen(kw_only=True)
class SchedulerTable:
    """`[training_config.scheduler]`; None: left open."""

    scheduler_name: str = required("A scheduler of torch.optim.lr_scheduler.")
    scheduler_params: Mapping[str, Any] = option(
        "Its parameters, as torch names them.", factory=dict
    )
    interval: Literal["epoch", "step"] | None = option(
        "When it moves. Left out: every epoch, or every step where torch means it so (OneCycleLR)."
    )


@frozen(kw_only=True)
class WarmupTable:
    """`[training_config.warmup]`: the learning rate's way up, before any scheduler."""

    shape: Literal["linear", "cosine"] = option("How the learning rate rises.", "linear")
    epochs: Positive = option("How long it rises, in epochs; parts of one are allowed.", 1.0)


@frozen(kw_only=True)
class TrainingTable:
    """What the author wrote; None: left open."""

    loss: Loss | None = option("The loss. Left out: bce for two classes, cross_entropy for more.")
    loss_params: LossTable = option("Parameters of the loss.", factory=LossTable)
    w_lambda: Positive | None = option(
        "fakes: strength of the penalty on mean f^2, f being the logit. Left out: none."
    )
    ess_lambda: Positive | None = option(
        "fakes: strength of the penalty on 1 / effective number of events. Left out: none."
    )
    clip_quantile: Annotated[float, between(0, 1, open_end=True)] | None = option(
        "fakes: quantile of |weight| at which weights end in training. Left out: none."
    )
    optimizer: OptimizerTable = option("The optimizer.", factory=OptimizerTable)
    scheduler: SchedulerTable | None = option("The learning-rate schedule. Left out: none.")
    warmup: WarmupTable | None = option("Rise of the learning rate at the start. Left out: none.")
    max_epochs: Count = option("Epochs to train at most.", 30)
    early_stop_patience: Whole | None = option(
        "Validations without a better monitor before training stops. Left out: never."
    )
    early_stop_min_delta: Positive | None = option(
        "How much better the monitor must be to count for early stopping. Left out: at all."
    )
    min_epochs: Count | None = option(
        "Epochs before which early stopping ends no training. Left out: none."
    )
    monitor: str = option(
        "The metric that chooses the best checkpoint; last: the one of the last epoch.", "val_loss"
    )
    monitor_mode: Literal["min", "max"] | None = option(
        "Which way is better. Left out: min for val_loss and val_chi2..., max for the rest."
    )
    save_top_k: Count = option("How many of the best checkpoints are kept.", 1)
    save_every_n_minutes: Positive = option(
        "Minutes after which a checkpoint is saved within an epoch; a killed job loses no more.",
        10.0,
    )
    gradient_clip_val: Positive | None = option("Largest norm of the gradient. Left out: none.")
    export_onnx: bool = option(
        "Leave the network in the run's deploy/, as ONNX and with what applies it; fakes: always.",
        True,
    )


@frozen(kw_only=True)
class Scheduler(SchedulerTable):
    """The schedule with nothing left open."""

    interval: Literal["epoch", "step"]


@frozen(kw_only=True)
class Training(TrainingTable):
    """The options with nothing left open; None only where that is a meaning."""

    loss: Loss
    # Those that the loss has, and not a table of all.
    loss_params: Mapping[str, float]  # type: ignore[assignment]
    optimizer: OptimizerTable
    scheduler: Scheduler | None
    monitor_mode: Literal["min", "max"]

    @property
    def shown(self) -> str:
        """The metric that a run is judged by."""
        return "val_loss" if self.monitor == "last" else self.monitor


def resolve(
    table: TrainingTable,
    n_classes: int,
    default_interval: Literal["epoch", "step"],
    default_params: Mapping[str, Any],
) -> Training:
    """Fill loss, optimizer, schedule and direction; the defaults are torch's own."""
    loss: Loss = table.loss or ("bce" if n_classes == 2 else "cross_entropy")
    written = table.scheduler
    scheduler = None
    if written is not None:
        interval = written.interval or default_interval
        scheduler = Scheduler(**unchanged(written, Scheduler), interval=interval)
    params = {**default_params, **table.optimizer.optimizer_params}
    return Training(
        **unchanged(table, Training),
        loss=loss,
        loss_params=_loss_params(loss, table.loss_params),
        optimizer=evolve(table.optimizer, optimizer_params=params),
        scheduler=scheduler,
        monitor_mode=table.monitor_mode or ("min" if _falls(table.monitor) else "max"),
    )


def _falls(monitor: str) -> bool:
    """Whether a smaller value is a better one."""
    return monitor in ("val_loss", "last") or monitor.startswith("val_chi2")


def _loss_params(loss: Loss, table: LossTable) -> dict[str, float]:
    """Return the parameters that `loss` has."""
    if loss == "cross_entropy":
        return {"label_smoothing": table.label_smoothing or 0.0}
    if loss == "focal":
        return {"gamma": 2.0 if table.gamma is None else table.gamma}
    return {}
