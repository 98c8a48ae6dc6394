"""The trainings that another one builds on, found by what their run folders record."""

from pathlib import Path
from typing import Any

from parts.machinery.exits import RefusedError
from parts.machinery.notes import identity_of, noted
from parts.machinery.places import is_whole


def parent_folders(run: Path, run_name: str, parents: dict[str, str]) -> dict[str, Path]:
    """Return the folders of parents by stage, which are named by their plain runs.

    With `--again LABEL`, they are those of this label if all of them exist, or else the plain ones.
    """
    label = run.name.removeprefix(run_name)
    again = {stage: run.with_name(name + label) for stage, name in parents.items()}
    if all(folder.exists() for folder in again.values()):
        return again
    return {stage: run.with_name(name) for stage, name in parents.items()}


def parent_checkpoint(folder: Path, stage: str, script: str) -> Path:
    """Return a stage's best checkpoint; raises `RefusedError` unless `script` has finished it.

    SLURM runs a job after one that it no longer knows as if that had succeeded, so its word for it
    is not enough.
    """
    done = folder / "done"
    if not done.is_file():
        raise RefusedError(f"the {stage} has not finished: {folder}; train_{stage}.py comes first")
    said = noted(done, script=str, checkpoint=str, sha256=str)
    if not said:
        raise RefusedError(f"{done} is damaged; start train_{stage}.py again, which mends it")
    if "+" in said["script"]:
        raise RefusedError(
            f"{folder} does not fit: its code was edited by hand;"
            " build and train all three together"
        )
    # A beginning identifies it.
    if not said["script"].startswith(script):
        raise RefusedError(
            f"{folder} does not fit: it was trained by another train_{stage}.py"
            f" ({said['script'][:12]}, needed is {script[:12]}); build and train all three together"
        )
    checkpoint = folder / "checkpoints" / str(said["checkpoint"])
    if not is_whole(checkpoint, said["sha256"]):
        raise RefusedError(f"{checkpoint} is missing or damaged; train_{stage}.py --again LABEL")
    return checkpoint


def check_parent_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a parent, or what it began with, saw other files, by digest."""
    said = begun(folder)
    # What a checkpoint did not say is not known.
    known = [each for each in said.get("events", []) if each is not None]
    samples = [sample for each in known for sample in each["samples"]]
    earlier = [file for sample in samples for file in sample["files"]]
    if {*map(str, said["data"].values()), *earlier} != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")


def check_own_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a run had other files, by digest; what it began with may have had."""
    if set(map(str, begun(folder)["data"].values())) != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")


def begun(folder: Path) -> dict[str, Any]:
    """Return what a run says that it is; raises `RefusedError` if that is lost."""
    said = identity_of(folder)
    if "data" not in said:
        raise RefusedError(
            f"{folder / 'run.json'} is lost: what that run was trained on is unknown"
        )
    return said
