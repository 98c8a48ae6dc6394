"""Checkpoints that survive a crash, a full disk and a move between machines."""

import io
import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins import TorchCheckpointIO

from parts.classifiers import Classifier, check_fit
from parts.machinery.exits import NotFiniteError, RefusedError
from parts.machinery.notes import noted
from parts.machinery.places import digest, is_whole, write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all; Lightning's own writer does not (#19970, #21800)."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Serialise in memory, then replace the file at once."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file if it is still there."""
        Path(path).unlink(missing_ok=True)


class LastCheckpoints(Checkpoint):
    """Saves at the end of each epoch and keeps two; `newest.json` names the newest and the best."""

    def __init__(self, folder: Path, best: ModelCheckpoint) -> None:
        super().__init__()
        self.folder = folder
        self.best = best
        self.trained = False

    def state_dict(self) -> dict[str, Any]:
        """Return what `newest.json` says besides, for the case that it is lost."""
        return {"trained": self.trained, "best": Path(self.best.best_model_path).name}

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Save, after validation and early stopping."""
        # A run that stopped early would otherwise train one more epoch at each start (#8278).
        trained = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.save(trainer, trained)

    def save(self, trainer: Trainer, trained: bool = False) -> None:
        """Save on all ranks together; remove all but the last two on rank 0."""
        weights = trainer.lightning_module.parameters()
        if not all(bool(weight.isfinite().all()) for weight in weights):
            raise NotFiniteError(f"weights that are not finite at step {trainer.global_step}")
        path = self.folder / f"last-{trainer.global_step:09d}.ckpt"
        self.trained = trained
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            before = pointer(self.folder)
            content = {
                "file": path.name,
                "step": trainer.global_step,
                "sha256": digest(path),
                "trained": trained,
                "best": Path(self.best.best_model_path).name,
                "previous": {name: before[name] for name in ("file", "sha256") if before},
            }
            write_atomically(self.folder / "newest.json", json.dumps(content).encode())
            remove_older(self.folder)


def pointer(folder: Path) -> dict[str, Any]:
    """Return what `newest.json` says; empty before the first checkpoint, or if it is lost."""
    return noted(
        folder / "newest.json",
        file=str,
        step=int,
        sha256=str,
        trained=bool,
        best=str,
        previous=dict,
    )


def rebuilt(folder: Path) -> dict[str, Any]:
    """Write `newest.json` anew from the checkpoints, if there are any, and return what it says.

    Raises `RefusedError` if none of them can be loaded.
    """
    paths = sorted(folder.glob("last-*.ckpt"), key=step_of, reverse=True)
    for path, before in zip_longest(paths, paths[1:]):
        try:
            content = load(path)
        except RefusedError as error:
            print(f"warning: {error}")
            continue
        state = content.get("callbacks", {}).get(LastCheckpoints.__qualname__, {})
        said = {
            "file": path.name,
            "step": content["global_step"],
            "sha256": digest(path),
            "trained": state.get("trained", False),
            "best": state.get("best", ""),
            "previous": {"file": before.name, "sha256": digest(before)} if before else {},
        }
        print(f"{folder / 'newest.json'} is not there; going on from {path}")
        write_atomically(folder / "newest.json", json.dumps(said).encode())
        return said
    if paths:
        raise RefusedError(
            f"no checkpoint in {folder} can be loaded: what was trained is lost;"
            f" remove {folder.parent} to train from zero"
        )
    return {}


def step_of(path: Path) -> int:
    """Return the step that the name of a checkpoint tells."""
    return int("".join(re.findall(r"\d+", path.stem)) or 0)


def remove_older(folder: Path) -> None:
    """Remove all of the last checkpoints but the newest and the one before."""
    named = pointer(folder)
    if not named:
        # Without it, nobody knows which one is needed.
        return
    kept = {each.get("file") for each in (named, named["previous"])}
    for path in folder.glob("last-*.ckpt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, or None before the first: never by modification time."""
    named = pointer(folder) or rebuilt(folder)
    if not named:
        return None
    # A start that was killed may have left one more.
    remove_older(folder)
    path = folder / str(named["file"])
    if is_whole(path, named["sha256"]):
        return path
    previous = named["previous"]
    before = folder / str(previous.get("file", ""))
    if not is_whole(before, str(previous.get("sha256"))):
        raise RefusedError(
            f"{path} is damaged and there is no other whole checkpoint: what was trained is lost;"
            f" remove {folder.parent} to train from zero"
        )
    print(f"{path} is damaged; going on from {before}")
    return before


def is_trained(folder: Path, path: Path) -> bool:
    """Whether training had come to its end when the checkpoint `path` was made."""
    named = pointer(folder)
    return path.name == named.get("file") and bool(named["trained"])


def best_checkpoint(folder: Path) -> Path:
    """Return the best checkpoint, as the run recorded it."""
    return folder / str(pointer(folder)["best"])


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content: plain values and tensors only; raises `RefusedError`."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RefusedError(f"cannot load the checkpoint {path}: {error}") from error
    # Of a file that is none, its bytes decide what is raised: of a text, a KeyError or IndexError.
    except Exception as error:
        message = f"cannot load the checkpoint {path}: torch cannot read it ({error!r})"
        raise RefusedError(message) from error
    tables = ("knows", "state_dict")
    if not isinstance(content, dict) or not all(isinstance(content.get(n), dict) for n in tables):
        raise RefusedError(f"{path} is not a checkpoint of such a script")
    return dict(content)


def load_into(classifier: Classifier, path: Path) -> dict[str, Any]:
    """Give a classifier the weights of a checkpoint, and return its content."""
    content = load(path)
    check_fit(classifier, content)
    classifier.load_state_dict(content["state_dict"])
    return content
