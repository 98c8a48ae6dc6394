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


def attempt(name: str, again: str) -> str:
    """Return the name of another attempt than the plain run, if it has a label."""
    return f"{name}+{again}" if again else name


def parent_checkpoint(folder: Path, stage: str, script: str) -> Path:
    """Return a stage's best checkpoint; raises `RefusedError` unless `script` has finished it.

    SLURM runs a job after one that it no longer knows as if that had succeeded, so its word for it
    is not enough.
    """
    file = f"train_{stage}.py"
    said = mark_of(folder, stage, file, script, "build and train all three together")
    checkpoint = folder / "checkpoints" / str(said["checkpoint"])
    if not is_whole(checkpoint, said["sha256"]):
        raise RefusedError(f"{checkpoint} is missing or damaged; {file} --again LABEL")
    return checkpoint


def mark_of(folder: Path, what: str, file: str, script: str, remedy: str) -> dict[str, Any]:
    """Return what marks a run as done; raises `RefusedError` unless its script has finished it.

    `script` is the digest of that, or a beginning, and `file` its name; `what` it trains, and the
    `remedy` if it was another one, are for messages.
    """
    done = folder / "done"
    if not done.is_file():
        raise RefusedError(f"the {what} has not finished: {folder}; {file} comes first")
    said = noted(done, script=str, checkpoint=str, sha256=str)
    if not said:
        raise RefusedError(f"{done} is damaged; start {file} again, which mends it")
    if "+" in said["script"]:
        raise RefusedError(f"{folder} does not fit: its code was edited by hand; {remedy}")
    if not said["script"].startswith(script):
        raise RefusedError(
            f"{folder} does not fit: it was trained by another {file}"
            f" ({said['script'][:12]}, needed is {script[:12]}); {remedy}"
        )
    return said


def check_parent_data(folder: Path, data: dict[str, str]) -> None:
    """Raise `RefusedError` if a parent, or what it began with, saw other files, by digest."""
    said = begun(folder)
    # What a checkpoint did not say is not known.
    known = [each for each in said.get("events", []) if each is not None]
    samples = [sample for each in known for sample in each["samples"]]
    earlier = [file for sample in samples for file in sample["files"]]
    if {*map(str, said["data"].values()), *earlier} != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")


def check_own_data(folder: Path, data: dict[str, str], samples: dict[str, list[str]]) -> None:
    """Raise `RefusedError` if a run had other files, by digest; what it began with may have had.

    `samples` has the digests by sample.
    """
    said = begun(folder)
    if set(map(str, said["data"].values())) != set(data.values()):
        raise RefusedError(f"{folder} was trained on other data than what the files hold now")
    there = said.get("samples", {})
    for name, digests in samples.items():
        if sorted(there.get(name, ())) != sorted(digests):
            raise RefusedError(f"{folder} was trained on other files of the sample {name}")


def begun(folder: Path) -> dict[str, Any]:
    """Return what a run says that it is; raises `RefusedError` if that is lost."""
    said = identity_of(folder)
    if "data" not in said:
        raise RefusedError(
            f"{folder / 'run.json'} is lost: what that run was trained on is unknown"
        )
    return said
