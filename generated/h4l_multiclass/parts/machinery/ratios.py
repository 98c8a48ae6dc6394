"""The ratio of a fake factor once it is trained: its run, and the network that lies there."""

import tomllib
from pathlib import Path

from parts.machinery.exits import RefusedError
from parts.machinery.parents import parent_checkpoint
from parts.machinery.places import expand

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
    folder = experiment / (f"{name}+{again}" if again else name)
    parent_checkpoint(folder, "ratio", script)
    return folder


def find_network(folder: Path, told: str | Path | None = None) -> Path:
    """Return the network that the `apply.py` of a folder is for; raises `RefusedError`.

    `told` is that file, or a folder that holds it. Without it, the network lies beside `apply.py`,
    or in the run of the experiment whose `resolved.toml` does.
    """
    if told is not None:
        place = Path(told)
        return place / NETWORK if place.is_dir() else place
    beside = folder / NETWORK
    return beside if beside.is_file() else network_of(resolved_ratio(folder / "resolved.toml"))


def resolved_ratio(record: Path) -> Path:
    """Return the folder of the ratio that a `resolved.toml` is about; raises `RefusedError`."""
    if not record.is_file():
        raise RefusedError(
            f"neither {NETWORK} nor {record.name} is in {record.parent}; say where the network lies"
        )
    try:
        said = tomllib.loads(record.read_text(encoding="utf-8"))
        (stage,) = (row for row in said["stages"] if row["identity"] == "ratio")
        ratio = str(stage["run_name"]), str(stage["script"])
        options = said["experiment_config"]
        save_dir, name = str(options["save_dir"]), str(options["experiment_name"])
        spec_folder = record.parent / said["build"]["spec_folder"]
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{record} is not that of a fake factor: {error!r}") from error
    return finished_ratio(expand(save_dir, spec_folder) / name, ratio)
