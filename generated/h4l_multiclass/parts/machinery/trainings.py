"""A training of Lightning's that goes on after any end, and the evaluation that follows it."""

import gc
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from parts.batches import Rounds
from parts.classifiers import Classifier
from parts.events import Events
from parts.machinery.bars import EpochBar
from parts.machinery.best_checkpoints import BestCheckpoints
from parts.machinery.checkpoints import (
    AtomicCheckpointIO,
    LastCheckpoints,
    best_checkpoint,
    is_trained,
    load,
    load_into,
    newest,
)
from parts.machinery.continuations import Continuation, last_metrics, worsening
from parts.machinery.described_optimizers import DescribedOptimizer
from parts.machinery.exits import RefusedError, obey
from parts.machinery.launches import Run
from parts.machinery.machines import cluster
from parts.machinery.places import digest
from parts.machinery.reports import report, write_json
from parts.machinery.runs import check_space
from parts.machinery.states import RandomStates
from parts.machinery.stops import SafeStop
from parts.machinery.trackers import Tracker, resume_after_training
from parts.machinery.trained_events import SAME, TrainedEvents
from parts.memory import check_step
from parts.metric_remarks import remarks


class Training:
    """What a `Trainer` is given so that its run survives whatever stops it.

    `start_from` is a checkpoint that another run has left, for the first start of this one.
    """

    def __init__(
        self,
        run: Run,
        tracker: Tracker,
        *,
        monitor: str | None,
        monitor_mode: str,
        save_top_k: int,
        every_n_epochs: int,
        save_every_n_minutes: float,
        tqdm_refresh_rate: int,
        start_from: Path | None = None,
    ) -> None:
        self.run = run
        self.tracker = tracker
        self.save_top_k = save_top_k
        self.start_from = start_from
        # What `fit` goes on from.
        self.resume: Path | None = None
        best = BestCheckpoints(
            run.folder.checkpoints,
            filename="best-{step:09d}",
            auto_insert_metric_name=False,
            monitor=monitor,
            mode=monitor_mode,
            save_top_k=save_top_k,
            enable_version_counter=False,
            # Not after validation: training cannot go on from a checkpoint made within an epoch's
            # end.
            save_on_train_epoch_end=True,
            every_n_epochs=1 if monitor is None else every_n_epochs,
        )
        last = LastCheckpoints(run.folder.checkpoints, best)
        stop = SafeStop(last, save_every_n_minutes, tracker.drawings.secure)
        self.continuation = Continuation(tracker, monitor, monitor_mode)
        keeping = [RandomStates(), self.continuation, TrainedEvents(run.events)]
        self.callbacks: list[Callback] = [tracker, *keeping, best, last, stop]
        # Nothing here reads what it has not written, and filling that first is dear.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        # In a log file a bar would be thousands of lines; the tracker prints one an epoch there.
        bar = tqdm_refresh_rate > 0 and sys.stdout.isatty()
        if bar:
            self.callbacks.append(EpochBar(tqdm_refresh_rate))
        self.options: dict[str, Any] = {
            "num_nodes": int(os.environ["SLURM_NNODES"]) if run.under_srun else 1,
            "deterministic": run.seed.deterministic,
            "plugins": [AtomicCheckpointIO(), cluster(run.under_srun)],
            "logger": False,
            "use_distributed_sampler": False,
            "enable_model_summary": False,
            "enable_progress_bar": bar,
            "default_root_dir": run.folder.path,
        }

    def is_due(
        self, trainer: Trainer, classifier: Classifier, rounds: Rounds, precision: str
    ) -> bool:
        """Whether there is something to `fit`, from `resume`; raises `RefusedError`."""
        classifier.steps = (trainer.max_epochs or 0) * rounds.steps
        optimizer = DescribedOptimizer.of(classifier).optimizer
        rounds.shorten(classifier, passes=optimizer.defaults.get("max_iter", 1))
        folder = self.run.folder
        if trainer.precision != precision:
            message = f"precision {precision} is not possible here, only {trainer.precision}"
            raise RefusedError(message)
        widen(classifier, self.tracker.train)
        self.tracker.compute_as(trainer, classifier, rounds.batch_size)
        self.resume = newest(folder.checkpoints)
        if self.resume is None:
            folder.check_not_lost(self.run.record)
            # What an earlier start recorded before its first checkpoint is recorded anew.
            self.run.record.cut(0, self.tracker.is_kept)
            if trainer.is_global_zero:
                self.check_space(classifier)
            if self.start_from is not None:
                self.go_on_from(self.start_from, trainer, classifier)
        if self.resume is not None and is_trained(folder.checkpoints, self.resume):
            # Only the evaluation is missing, and plots that a killed start did not come to.
            if trainer.is_global_zero:
                device = trainer.strategy.root_device
                resume_after_training(self.tracker, classifier, load(self.resume), device)
            return False
        check_step(classifier, rounds.largest, trainer.strategy.root_device)
        # Python would look again and again for what is no longer used of what the libraries made.
        gc.collect()
        gc.freeze()
        # Not to start other tasks in vain.
        obey()
        return True

    def check_space(self, classifier: Classifier) -> None:
        """Raise `RefusedError` if the disk has no room for the checkpoints.

        Two of the last steps, the best ones, and one that is being written: each of the weights,
        and of two moments that an optimizer keeps for every weight.
        """
        size = sum(p.numel() * p.element_size() for p in classifier.parameters())
        check_space(self.run.folder, (3 + self.save_top_k) * 3 * size)

    def go_on_from(self, checkpoint: Path, trainer: Trainer, classifier: Classifier) -> None:
        """Go on from another run's checkpoint; raises `RefusedError` if nothing is left to do."""
        content = load(checkpoint)
        if (done := content["epoch"] + 1) >= (trainer.max_epochs or 0):
            raise RefusedError(f"{checkpoint} has had {done} of {trainer.max_epochs} epochs")
        self.continuation.begin(trainer, classifier, checkpoint, content)
        self.resume = checkpoint


def widen(classifier: Classifier, events: Events) -> None:
    """Give a network that learns from numbers of 64 bits weights of as many.

    Before any are loaded, which would be cut: Lightning does so when a training begins, after that.
    """
    if events.weight.dtype == torch.float64:
        classifier.double()


class Evaluation:
    """The best weights, put into the classifier; what is found with them ends the run.

    `checkpoint` is another one than the best of the run.
    """

    def __init__(
        self, run: Run, tracker: Tracker, classifier: Classifier, checkpoint: Path | None = None
    ) -> None:
        self.run = run
        self.tracker = tracker
        self.classifier = classifier
        self.best = checkpoint or best_checkpoint(run.folder.checkpoints)
        if checkpoint is not None:
            # What a killed start has recorded of this test is recorded anew.
            run.record.cut(0, tracker.is_kept)
        widen(classifier, tracker.train)
        content = load_into(classifier, self.best)
        self.step, self.epoch = content["global_step"], content["epoch"] + 1
        # Of other events than those that are tested.
        self.cut = last_metrics(content).get("val_significance_cut", math.nan)
        self.brings_cut = "val_significance_cut" in last_metrics(content)
        if checkpoint is None:
            check_score(content)
        self.worsening = worsening(content) if checkpoint is None else ""

    def finish(
        self,
        metrics: dict[str, dict[str, float]],
        validated: Any,
        tested: Any,
        uncertainties: Callable[[Any, dict[str, float], int], dict[str, float]],
        **places: Path | None,
    ) -> None:
        """Record and draw what validation and test say, mark the run as done, and print it all.

        `metrics` are by split and name, `places` what the run leaves besides, if it does.
        `validated` is None where all events are there to test.
        """
        if self.tracker.plot_metrics_n_epoch is not None:
            # Meanwhile the uncertainties are computed.
            self.draw(validated, tested, metrics["test"])
        errors = {
            split: uncertainties(outputs, metrics[split], self.run.seed.number)
            for split, outputs in (("validation", validated), ("test", tested))
            if outputs is not None
        }
        self.record(metrics, errors)
        self.tracker.drawings.settle()
        # The last place to stop at: from here on the run ends, whatever signals come.
        obey()
        self.end(metrics, errors, {name: path for name, path in places.items() if path})

    def record(
        self, metrics: dict[str, dict[str, float]], uncertainties: dict[str, dict[str, float]]
    ) -> None:
        """Record what the best epoch's validation and the test say, with uncertainties."""
        found = {}
        for prefix, split in (("best_val", "validation"), ("test", "test")):
            for name, value in metrics.get(split, {}).items():
                found[f"{prefix}_{name}"] = value
                if name in uncertainties[split]:
                    found[f"{prefix}_{name}_uncertainty"] = uncertainties[split][name]
        self.run.record.write(self.step, self.epoch, **found)

    def draw(self, validated: Any, tested: Any, metrics: dict[str, float]) -> None:
        """Have the last plots drawn, also as PDF: of the best epoch's validation, and of the test.

        Where a cut was chosen by validation, both show that one.
        """
        cut = metrics.get("significance_cut")
        shown = {} if cut is None else {"cut": cut}
        for name, outputs in (("validation", validated), ("test", tested)):
            if outputs is None:
                continue
            self.tracker.plot(self.classifier, self.step, self.epoch, outputs, name, **shown)

    def end(
        self,
        metrics: dict[str, dict[str, float]],
        uncertainties: dict[str, dict[str, float]],
        places: dict[str, Path],
    ) -> None:
        """Mark the run as done; print metrics and where to look."""
        folder = self.run.folder
        for path in places.values():
            self.run.record.write(self.step, self.epoch, artifact=self.run.record.named(path))
        said = {"checkpoint": str(self.best), "metrics": metrics, "uncertainties": uncertainties}
        if self.run.script.checkpoint_events != SAME:
            said["checkpoint_events"] = self.run.script.checkpoint_events
        write_json(folder.path / "metrics.json", said)
        done = {
            "script": self.run.code.identity,
            "checkpoint": self.best.name,
            "sha256": digest(self.best),
        }
        write_json(folder.done, done)
        tracker = folder.store if self.run.script.comet_api_key is None else "Comet"
        shown: dict[str, Path | str] = {"run": folder.path, "checkpoint": self.best, **places}
        if self.tracker.plot_metrics_n_epoch is not None:
            shown["plots"] = self.tracker.folder
        report(metrics, uncertainties, remarks(metrics), {**shown, "tracker": tracker})
        if (
            "validation" not in metrics
            and "significance" in metrics["test"]
            and not self.brings_cut
        ):
            print(
                f"{self.best} brings no cut on the significance: its epoch has no metrics"
                " (check_metrics_n_epoch), or it is older than such cuts"
            )
        if self.worsening:
            print(self.worsening)


def check_score(checkpoint: dict[str, Any]) -> None:
    """Raise `RefusedError` if the best epoch was chosen by a loss that no epoch is chosen by."""
    states = checkpoint["callbacks"].values()
    # Another metric is infinite there where it is nan.
    by_loss = any("best_k_models" in s and s["monitor"] == "val_loss" for s in states)
    if by_loss and math.isinf(last_metrics(checkpoint).get("val_loss", 0.0)):
        raise RefusedError(
            "no epoch has a val_loss that positive weights could give: negative weights prevail;"
            ' negative_weights = "drop" or "absolute" trains without them, and another monitor'
            " does not judge by the loss"
        )
