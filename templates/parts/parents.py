"""The trainings that another one builds on, found by what their run folders record."""

import json
from pathlib import Path

from parts.checkpoints import is_whole
from parts.exits import RefusedError


def parent_folder(run: Path, run_name: str, parent: str) -> Path:
    """Return the folder of a parent: that of the same `--again LABEL`, or else the plain one."""
    label = run.name.removeprefix(run_name)
    again = run.with_name(parent + label)
    return again if again.exists() else run.with_name(parent)


def parent_checkpoint(folder: Path, stage: str, script: str) -> Path:
    """Return a parent's best checkpoint; raises `RefusedError` unless `script` has finished it.

    SLURM runs a job after one that it no longer knows as if that had succeeded, so its word for it
    is not enough.
    """
    done = folder / "done"
    if not done.is_file():
        raise RefusedError(f"the {stage} has not finished: {folder}; train_{stage}.py comes first")
    said = json.loads(done.read_text())
    if said["script"] != script:
        raise RefusedError(
            f"{folder} does not fit: it was trained by another train_{stage}.py"
            f" ({said['script'][:12]}, needed is {script[:12]}); build and train all three together"
        )
    checkpoint = folder / "checkpoints" / str(said["checkpoint"])
    if not is_whole(checkpoint, said["sha256"]):
        raise RefusedError(f"{checkpoint} is missing or damaged; train_{stage}.py --again LABEL")
    return checkpoint


def check_parent_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a parent saw other files, by digest."""
    there = set(json.loads((folder / "run.json").read_text())["data"].values())
    if there != set(data.values()):
        raise RefusedError(
            f"{folder} was trained on other data; --accept-data goes on all the same"
        )
