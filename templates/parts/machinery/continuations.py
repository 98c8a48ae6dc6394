"""How a training goes on from another run's checkpoint: what changed since, and what that does.

Lightning puts the state of a checkpoint over whatever optimizer, schedule and patience a script
asks for: parameters of both, and of two schedules or optimizers a mixture, or a traceback.
"""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from parts.classifiers import Classifier
from parts.machinery.described_optimizers import DescribedOptimizer, differences, with_ways
from parts.machinery.exits import RefusedError
from parts.machinery.trackers import Tracker


class Continuation(Callback):
    """Has checkpoints say how they were optimised, and goes on from those of other runs.

    `monitor` and its `mode` are what the best epoch is chosen by, and `tracker` validates.
    """

    def __init__(self, tracker: Tracker, monitor: str | None, mode: str) -> None:
        self.tracker = tracker
        self.monitor, self.mode = (monitor, mode) if monitor else ("val_loss", "min")
        self.optimised: dict[str, Any] = {}
        # Of the last validation, and of the last one before this run: its epoch, and metrics.
        self.validated: dict[str, Any] = {}
        self.began: dict[str, Any] = {}
        # Of another run's checkpoint: what of it is replaced.
        self.is_other = False
        self.replaced: dict[str, Any] = {}

    def begin(
        self, trainer: Trainer, classifier: Classifier, place: Path, content: dict[str, Any]
    ) -> None:
        """Prepare to go on from another run's checkpoint, and say what changed since.

        A change takes effect wholly: a changed optimizer has no memory of earlier gradients, and a
        changed schedule stands where it would if it had been this one from the first epoch. Raises
        `RefusedError` where that cannot be.
        """
        self.is_other = True
        done = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        self.check_validation(trainer, place, done)
        here = DescribedOptimizer.of(classifier)
        described = here.described()
        said = content["callbacks"].get(self.state_key, {}).get("optimised", {})
        notes = {each: differences(said.get(each), own) for each, own in described.items()}
        before = [state.get("total_steps") for state in content["lr_schedulers"]]
        check_cycle(here.scheduler, place, before, trainer.max_epochs)
        if not notes["optimizer"] and not notes["schedule"]:
            self.replaced = {"optimizer_states": [with_ways(content, here.optimizer)]}
        else:
            here.move(done, content["global_step"])
            state = here.optimizer.state_dict()
            if not notes["optimizer"]:
                state["state"] = content["optimizer_states"][0]["state"]
            schedules = [] if here.scheduler is None else [here.scheduler.state_dict()]
            self.replaced = {"optimizer_states": [state], "lr_schedulers": schedules}
        if trainer.is_global_zero:
            tell(place, done, notes if said else None, here, described["warm-up"])

    def check_validation(self, trainer: Trainer, place: Path, done: int) -> None:
        """Raise `RefusedError` if none of the epochs that are left is validated."""
        every, last = trainer.check_val_every_n_epoch or 1, trainer.max_epochs or 0
        if done < last and last // every == done // every:
            raise RefusedError(
                f"{place} has had {done} epochs, and none up to max_epochs = {last} is validated "
                f"(check_eval_n_epoch = {every}): nothing would choose the best"
            )

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Note how this run is optimised."""
        assert isinstance(module, Classifier)
        self.optimised = DescribedOptimizer.of(module).described()

    def on_load_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put what the script asks for in place of what another run's checkpoint says."""
        if self.is_other:
            states = checkpoint["callbacks"]
            # Even if its run has the same name: its record and its best ones are not this run's.
            states["Tracker"]["run"] = None
            for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set at run time
                if isinstance(callback, ModelCheckpoint):
                    states.pop(callback.state_key, None)
                elif isinstance(callback, EarlyStopping) and callback.state_key in states:
                    give_patience(states[callback.state_key], callback.patience)
            checkpoint |= self.replaced

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the metrics of trained weights.

        Lightning's hold those of earlier epochs, too, whose metrics were due.
        """
        if not trainer.sanity_checking:
            values = {name: float(value) for name, value in self.tracker.judged.items()}
            self.validated = {"epoch": trainer.current_epoch + 1, "values": values}

    def state_dict(self) -> dict[str, Any]:
        """Return how the run is optimised, and how good it is: plain values only."""
        return {
            "optimised": self.optimised,
            "monitor": self.monitor,
            "mode": self.mode,
            "validated": self.validated,
            "began": self.began,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Know how good the run was; another run's last validation is this one's beginning."""
        self.validated = state["validated"]
        self.began = state["validated"] if self.is_other else state["began"]


def check_cycle(
    scheduler: Any, place: Path, before: list[int | None], max_epochs: int | None
) -> None:
    """Raise `RefusedError` for a cycle over a whole training that is not the checkpoint's."""
    if isinstance(scheduler, OneCycleLR) and before != [scheduler.total_steps]:
        there = f"that of {before[0]} steps" if before and before[0] else "no such cycle"
        raise RefusedError(
            f"{place} cannot go on with OneCycleLR: it is one cycle over the whole training, here "
            f"of {scheduler.total_steps} steps for max_epochs = {max_epochs}, and the checkpoint "
            f"comes from {there}; keep max_epochs and batches as they were, take another scheduler,"
            " or train anew"
        )


def give_patience(state: dict[str, Any], patience: int) -> None:
    """Let a script's patience count; one that had run out before begins anew."""
    if state["wait_count"] >= state["patience"]:
        state["wait_count"] = 0
    state["patience"] = patience


def tell(
    place: Path,
    done: int,
    notes: dict[str, list[str]] | None,
    here: DescribedOptimizer,
    warmup: dict[str, Any],
) -> None:
    """Print what changed since a checkpoint was made, and what that does; None: it does not say."""
    if notes is None:
        print(f"{place} does not say how it was optimised (it is older), or how good it was:")
    elif any(notes.values()):
        print(f"changed since {place}, which has had {done} epochs:")
        for name, texts in notes.items():
            if texts:
                print(f"  {name}: {', '.join(texts)}")
    else:
        return
    if notes is None or notes["optimizer"]:
        print("  the optimizer begins anew, without memory of earlier gradients")
    if notes is None or notes["optimizer"] or notes["schedule"]:
        (group,) = here.optimizer.param_groups
        begins = here.scheduler is None or isinstance(here.scheduler, ReduceLROnPlateau)
        since = "" if begins else ", where the schedule stands as if it had been this one always"
        print(f"  the learning rate goes on at {group['lr']:.6g}{since}")
    if (notes is None or notes["warm-up"]) and 0 < warmup.get("epochs", 0) <= done:
        print(f"  the warm-up of {warmup['epochs']:g} epochs is over by then")


def last_metrics(content: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of a checkpoint's last validation; none if it does not say."""
    state = content.get("callbacks", {}).get("Continuation", {})
    values: dict[str, float] = state.get("validated", {}).get("values", {})
    return values


def worsening(content: dict[str, Any]) -> str:
    """Return what to say of the best checkpoint of a run that began with a better one, or ""."""
    state = content["callbacks"].get("Continuation", {})
    began, best = state.get("began"), state.get("validated")
    if not began or not best:
        return ""
    name = state["monitor"]
    if name not in began["values"] or name not in best["values"]:
        return ""
    before, now = began["values"][name], best["values"][name]
    worse = now > before if state["mode"] == "min" else now < before
    if not worse:
        return ""
    return (
        f"warning: the continuation is worse than what it began with: {name} {now:.5g} in its best "
        f"epoch, {best['epoch']}, and {before:.5g} in epoch {began['epoch']}, from which it went on"
    )
