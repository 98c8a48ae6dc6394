"""The tracker: metrics and plots of the validation split during training."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from parts.batches import Batches, validated_at_once
from parts.events import Events
from parts.histories import plot_history
from parts.input_plots import input_figures
from parts.machinery.code import KEPT
from parts.machinery.drawings import Drawing, Drawings
from parts.machinery.epoch_losses import EpochLosses
from parts.machinery.exits import ASKED, NotFiniteError, RefusedError, obey
from parts.machinery.launches import Run
from parts.machinery.records import History
from parts.machinery.tasks import of_all_tasks
from parts.machinery.undrawn import Undrawn
from parts.metric_remarks import remark
from parts.plot_labels import write_above
from parts.plots import DRAFT, FINAL, labelled, save_figures

# Enough to compare distributions, few enough to take no time.
TRAINING_EVENTS_PLOTTED = 100_000


class Tracker(Callback):
    """Records losses, computes metrics and draws plots, each on its own cadence.

    A cadence of n is due at the first validation at or after each n-th epoch; None is never, and
    "end" is when the best epoch is known.
    """

    def __init__(
        self,
        run: Run,
        train: Events,
        validation: Events,
        outputs: Callable[..., Any],
        metrics: Callable[[Any], dict[str, float]],
        figures: Callable[..., dict[str, Figure]],
        check_metrics_n_epoch: int | None,
        plot_metrics_n_epoch: int | str | None,
        log_every_n_steps: int,
    ) -> None:
        self.record = run.record
        self.folder = run.plots
        self.code = run.code.digest
        self.dataset = run.script.dataset
        self.label = run.script.label
        # Not to find out in the end, when they are drawn.
        labelled((), self.dataset.labels)
        self.train = train
        self.events = validation
        # What metrics and figures take: made of the module's outputs by name, as arrays.
        self.outputs = outputs
        self.metrics = metrics
        self.figures = figures
        self.check_metrics_n_epoch = check_metrics_n_epoch
        self.plot_metrics_n_epoch = plot_metrics_n_epoch
        self.log_every_n_steps = log_every_n_steps
        self.undrawn = Undrawn(run.folder.path)
        # matplotlib's text drawing is not thread-safe: its one thread draws, and nothing else does.
        self.drawings = Drawings(run.record, self.undrawn, run.artist, self.draw)
        self.history = History(run.record.path, is_curve)
        self.batches: list[dict[str, Tensor]] = []
        self.losses = EpochLosses()
        self.validation: Any = None
        # How a trainer computes what it validates, and in which batches: `compute_as` asks it.
        self.precision: Callable[[], AbstractContextManager[None]] = nullcontext
        self.shares = [Batches(validation, max(1, len(validation.label)), 0, 1)]
        self.values: dict[str, float] = {}
        # What the last validation says that epochs are chosen by.
        self.judged: dict[str, float] = {}
        self.rate = 0.0
        self.validated = 0
        self.warned = False
        # Step and epoch of the newest plots.
        self.drawn = [0, 0]
        self.rank = 0
        self.began = time.monotonic()

    def compute_as(self, trainer: Trainer, module: LightningModule, batch_size: int) -> None:
        """Compute plots as the trainer validates, to the bit: its precision, tasks and batches."""
        self.precision = trainer.precision_plugin.forward_context
        at_once = validated_at_once(module, batch_size, trainer.strategy.root_device)
        tasks = trainer.world_size
        # Sent batch by batch: a GPU holds the events once.
        self.shares = [Batches(self.events, at_once, rank, tasks) for rank in range(tasks)]

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Learn which of the tasks this is; raises `RefusedError` if they run different code."""
        self.rank = trainer.global_rank
        # Lightning starts the others later: somebody may have built or edited meanwhile.
        if len(set(of_all_tasks(self.code))) > 1:
            raise RefusedError("the tasks do not run the same code: it was changed meanwhile")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Draw what an earlier start was killed before it had drawn."""
        if trainer.is_global_zero:
            self.redraw(module, trainer.global_step)

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the epoch's clock."""
        self.began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the mean training loss of the last `log_every_n_steps` steps of the epoch."""
        self.losses.add(outputs["losses"])
        rates: Sequence[float] = outputs["rates"]
        self.rate = rates[-1]
        behind, epoch = trainer.global_step, trainer.current_epoch + 1
        for step, rate in enumerate(rates, behind - len(rates) + 1):
            if step % self.log_every_n_steps == 0:
                loss = self.losses.mean(trainer, behind - step, self.log_every_n_steps)
                self.record.write(step, epoch, train_loss_step=loss, lr=rate)
        if batch_idx + 1 == trainer.num_training_batches:
            # Before a network that has gone wrong is validated.
            self.losses.mean(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch's outputs."""
        self.batches.append({name: tensor.detach().cpu() for name, tensor in outputs.items()})

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Compute the loss and, where due, the metrics, of all ranks' events."""
        batches, self.batches = self.batches, []
        if trainer.sanity_checking:
            print(f"sanity check passed: {len(batches)} validation batches")
            return
        found = gather(batches)
        loss = found.pop("loss")
        value = float(module.mean_loss(loss, found["loss_weight"]))  # type: ignore[operator]
        if value - value != 0:
            # Before any checkpoint is written: the last good one must stay.
            raise NotFiniteError(f"validation loss {value} after epoch {trainer.current_epoch + 1}")
        self.values = {"val_loss": value}
        self.validation = self.outputs(**arrays(found))
        if self.is_due(self.check_metrics_n_epoch, trainer.current_epoch + 1):
            metrics = self.metrics(self.validation)
            self.values |= {f"val_{name}": metric for name, metric in metrics.items()}
        # For early stopping, schedules and the choice of checkpoints; the record is our own.
        self.judged = dict(self.values)
        if not module.is_mean(value, loss):  # type: ignore[operator]
            self.say_impossible(value, trainer.current_epoch + 1)
            self.judged["val_loss"] = math.inf
        module.log_dict(self.judged, logger=False, prog_bar=True)

    def say_impossible(self, loss: float, epoch: int) -> None:
        """Say once that a loss is no mean of the losses of events, and chooses no epoch."""
        if not self.warned:
            print(
                f"warning: val_loss {loss:.4g} after epoch {epoch} is no mean that positive weights"
                " could give: where negative weights prevail, the network gains by being wrong."
                " By such a loss no epoch is the best one;"
                ' negative_weights = "drop" or "absolute" trains without negative weights'
            )
        self.warned = True

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Record the epoch, print it, and have its plots drawn where they are due."""
        epoch = trainer.current_epoch + 1
        validated = self.validation is not None
        due_here = trainer.is_global_zero and self.is_due(self.plot_metrics_n_epoch, epoch)
        if drawn := validated and due_here:
            # No second set is begun while one is being drawn.
            self.drawings.settle()
        else:
            # The checkpoint of this epoch promises the plots of those before.
            self.drawings.secure()
        losses, self.losses = self.losses, EpochLosses()
        values = {"train_loss": losses.mean(trainer), **self.values}
        # An epoch in which no step was due has its last step's.
        began = trainer.global_step - len(losses)
        due = trainer.global_step // self.log_every_n_steps > began // self.log_every_n_steps
        rate = {} if due else {"lr": self.rate}
        self.record.write(trainer.global_step, epoch, **values, **rate)
        if trainer.is_global_zero and trainer.progress_bar_callback is None:
            text = ", ".join(with_remark(name, values) for name in values)
            seconds = time.monotonic() - self.began
            print(f"epoch {epoch}/{trainer.max_epochs}: {text} ({seconds:.1f} s)", flush=True)
        if drawn:
            self.plot(module, trainer.global_step, epoch, self.validation)
        if validated:
            self.validated = epoch
        self.values, self.validation = {}, None

    def is_due(self, cadence: int | str | None, epoch: int) -> bool:
        """Whether an n-th epoch lies after the last validation, up to this one."""
        return isinstance(cadence, int) and epoch // cadence > self.validated // cadence

    def plot(
        self,
        module: LightningModule,
        step: int,
        epoch: int,
        validation: Any,
        name: str = "",
        **shown: float,
    ) -> None:
        """Have the plots drawn behind the training's back; figures are told what is `shown`.

        Those with a name are the last ones, of the best epoch.
        """
        # An evaluation is of the network as it is used later: in full precision.
        with nullcontext() if name else self.precision():
            train = self.predict(module, self.train, TRAINING_EVENTS_PLOTTED)
        folder = self.folder / (name or f"epoch_{epoch:04d}")
        # What is drawn is what is known now, not what the training adds meanwhile.
        known = self.record.size()
        best = epoch if name else None
        drawing = Drawing(step, epoch, known, train, validation, folder, best, shown)
        self.drawings.begin(drawing)
        if not name:
            self.drawn = [step, epoch]

    def predict(self, module: Any, events: Events, most: int | None = None) -> Any:
        """Return what the module says of a split, as metrics and figures take it."""
        return self.outputs(**predict(module, events, most))

    def redraw(self, module: Any, trained: int) -> None:
        """Draw the plots of the last epoch if the record lacks them; nothing else about it does.

        The module has had so many steps: later weights than the epoch's cannot say what those said.
        """
        step, epoch = self.drawn
        folder = self.folder / f"epoch_{epoch:04d}"
        names = [path.parent.name for path in self.record.artifacts()]
        if not epoch or folder.name in names:
            self.undrawn.forget()
            return
        if self.drawings.begin_kept(step, epoch, folder, self.outputs):
            return
        self.undrawn.forget()
        if step == trained:
            with self.precision():
                validation = compute_outputs(
                    module, (batch for share in self.shares for batch in share)
                )
            self.plot(module, step, epoch, self.outputs(**validation))
        else:
            print(f"warning: the plots of epoch {epoch} are lost, and its weights are gone")

    def draw(self, drawing: Drawing) -> list[Path]:
        """Draw one set of plots.

        PDFs take more time than PNGs, and are for what is shown to others: once, of the best epoch.
        """
        folder, best = drawing.folder, drawing.best
        caption = f"{self.folder.name}, {folder.name.replace('_', ' ')}"
        figures = self.figures(drawing.train, drawing.validation, caption=caption, **drawing.shown)
        # That of validation has the same history.
        curves = {} if folder.name == "test" else self.history.until(drawing.known)
        if curves:
            figures["history"] = plot_history(curves, caption, best)
        if folder.name == "test" and self.dataset.classes and len(self.train.label):
            figures |= input_figures(
                self.train, self.dataset, f"{self.folder.name}, training events"
            )
        write_above(figures, self.label)
        return save_figures(figures, folder, FINAL if best else DRAFT)

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        """Have plots that were begun finished."""
        self.drawings.settle()

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know: plain values only."""
        return {
            "run": self.folder.name,
            "record": self.record.size(),
            "validated": self.validated,
            "drawn": self.drawn,
            "losses": of_all_tasks(self.losses.values().tolist()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the checkpoint was made; lines recorded since then are written anew."""
        self.validated = state["validated"]
        if state["run"] == self.folder.name:
            self.drawn = state["drawn"]
            self.record.cut(state["record"], self.is_kept)
        if self.rank < len(state["losses"]):
            self.losses = EpochLosses(state["losses"][self.rank])

    def is_kept(self, entry: dict[str, Any]) -> bool:
        """Whether an entry names a file that no later line names again."""
        path = Path(entry.get("artifact", ""))
        if path.suffix not in FINAL:
            # The code that runs; an evaluation names its own files anew.
            return path.parent.name == KEPT
        return path.parent.name.startswith("epoch_") and int(entry["epoch"]) <= self.validated


def is_curve(name: str) -> bool:
    """Whether the plot of the history shows a metric of the record."""
    return name == "train_loss" or name.startswith("val_")


def with_remark(name: str, values: dict[str, float]) -> str:
    """Write a value for the line of an epoch, and what is odd about it."""
    metrics = {n.removeprefix("val_"): value for n, value in values.items()}
    said = remark(name.removeprefix("val_"), metrics)
    return f"{name} {values[name]:.4g}" + (f" ({said})" if said else "")


def resume_after_training(
    tracker: Tracker, module: Any, checkpoint: dict[str, Any], device: torch.device
) -> None:
    """Go on after training, of which `checkpoint` is the end; the first task does so alone.

    `device` is that of the training, on which plots are computed.
    """
    ASKED.together = False
    module.load_state_dict(checkpoint["state_dict"])
    tracker.load_state_dict(checkpoint["callbacks"][tracker.state_key])
    tracker.redraw(module.to(device), checkpoint["global_step"])
    module.cpu()


def gather(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return each of the outputs over all batches of all ranks."""
    own = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    every = of_all_tasks(own)
    return {name: torch.cat([each[name] for each in every]) for name in own}


def arrays(found: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return numbers in double precision; labels and categories stay whole."""
    return {
        name: (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in found.items()
    }


def predict(module: Any, events: Events, most: int | None = None) -> dict[str, NDArray[Any]]:
    """Return the outputs for a split, or for about `most` of its events, evenly chosen."""
    chosen = slice(None, None, max(1, len(events.label) // most) if most else 1)
    parts = (torch.split(t[chosen], 65536) for t in events.tensors())
    return compute_outputs(module, zip(*parts, strict=True))


@torch.no_grad()
def compute_outputs(module: Any, batches: Iterable[tuple[Tensor, ...]]) -> dict[str, NDArray[Any]]:
    """Return the outputs for batches, one after the other."""
    training = module.training
    module.eval()
    found = []
    for batch in batches:
        obey()
        logits = module.network(batch[0].to(module.device), batch[1].to(module.device))
        found.append({n: tensor.cpu() for n, tensor in module.outputs(logits, batch).items()})
    module.train(training)
    return arrays({name: torch.cat([each[name] for each in found]) for name in found[0]})
