"""The run of the ratio of a fake factor, once it is trained."""

from pathlib import Path

from parts.machinery.parents import attempt, parent_checkpoint


def finished_ratio(experiment: Path, ratio: tuple[str, str], again: str = "") -> Path:
    """Return the folder of a run; raises `RefusedError` unless the ratio's script has finished it.

    `ratio` is the name of the plain run and the digest of the script, `again` a label of another
    attempt.
    """
    name, script = ratio
    folder = experiment / attempt(name, again)
    parent_checkpoint(folder, "ratio", script)
    return folder
