"""The ratio of a fake factor once it is trained: its run, and the network that lies there."""

from pathlib import Path

from parts.machinery.parents import attempt, parent_checkpoint

# The file of an exported network.
NETWORK = "model.onnx"


def deployment(run: Path) -> Path:
    """Return the folder in a run that is copied to where the fake factor is applied."""
    return run / "deploy"


def network_of(run: Path) -> Path:
    """Return where a run of the ratio leaves its network."""
    return deployment(run) / NETWORK


def finished_ratio(experiment: Path, ratio: tuple[str, str], again: str = "") -> Path:
    """Return the folder of a run; raises `RefusedError` unless the ratio's script has finished it.

    `ratio` is the name of the plain run and the digest of the script, `again` a label of another
    attempt.
    """
    name, script = ratio
    folder = experiment / attempt(name, again)
    parent_checkpoint(folder, "ratio", script)
    return folder
