"""The networks that an `apply.py` is for: told of, beside it, or those of its experiment's run."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from parts.machinery.deployed_places import NETWORK, deployment, network_of
from parts.machinery.exits import RefusedError
from parts.machinery.notes import noted
from parts.machinery.places import expand
from parts.machinery.ratios import finished_ratio
from parts.networks import fold_of
from parts.readers import listed, quoted

# What trains a classifier.
TRAINING = "train_signal.py"
# What trains the network of a fake factor.
RATIO = "train_ratio.py"


@dataclass(frozen=True)
class Deployed:
    """Files of networks, one of each fold, or one alone."""

    paths: tuple[Path, ...]
    # Which runs must have trained them, and the digests of their scripts, if that is known.
    trained: Mapping[str, str] = field(default_factory=dict)


def find_networks(folder: Path, told: str | Path | None = None) -> Deployed:
    """Return the networks that the `apply.py` of a folder is for; raises `RefusedError`.

    `told` is a file, a folder that holds it, or a run. Without it, they lie beside `apply.py`, or
    in the run of the experiment whose `resolved.toml` does, if this has finished.
    """
    if told is not None:
        place = Path(told)
        if not place.is_dir():
            return Deployed((place,))
        found = networks_in(place) or networks_in(deployment(place))
        if not found:
            raise RefusedError(f"neither {NETWORK} nor a folder deploy with it is in {place}")
        return Deployed(found)
    if found := networks_in(folder):
        return Deployed(found)
    record = folder / "resolved.toml"
    if not record.is_file():
        raise RefusedError(
            f"neither {NETWORK} nor {record.name} is in {folder}; --network says where it lies"
        )
    run, trained = resolved_run(record)
    found = networks_in(deployment(run))
    if not found:
        raise RefusedError(
            f"{run} has finished without a network: {deployment(run)} has no {NETWORK}"
        )
    return Deployed(found, trained)


def networks_in(folder: Path) -> tuple[Path, ...]:
    """Return the networks that lie in a folder: one alone, or those of all folds in turn."""
    alone = folder / NETWORK
    if alone.is_file():
        return (alone,)
    numbers = {fold_of(path): path for path in folder.glob("model_*.onnx")}
    # One that is missing is told of when the others are read, which know how many there are.
    return tuple(path for number, path in sorted(numbers.items()) if number >= 0)


@dataclass(frozen=True)
class Resolved:
    """What a `resolved.toml` says of the runs of its experiment."""

    experiment: Path
    # As it is written, with its variables.
    save_dir: str
    # The plain run, and the digest of its script; of fakes, the ratio.
    name: str
    script: str
    # Of points, and of stages: the digests of their scripts, by run.
    rows: Mapping[str, str]
    kind: Literal["signal", "ratio", "folds"]
    # How many trainings are each done fold by fold: points of a sweep.
    combinations: int = 1


def read_record(record: Path) -> Resolved:
    """Return what a `resolved.toml` says; raises `RefusedError`."""
    try:
        said = tomllib.loads(record.read_text(encoding="utf-8"))
        options, build = said["experiment_config"], said["build"]
        save_dir, name = str(options["save_dir"]), str(options["experiment_name"])
        experiment = expand(save_dir, record.parent / build["spec_folder"]) / name
        if "stages" in said:
            (ratio,) = (row for row in said["stages"] if row["identity"] == "ratio")
            run, script = str(ratio["run_name"]), str(ratio["script"])
            return Resolved(experiment, save_dir, run, script, {}, "ratio")
        points = said.get("points", [])
        rows = {str(row["run_name"]): str(row["script"]) for row in points}
        dataset = said["dataset_config"]
        # With `fold`, it is one of them that is trained, alone.
        folds = "folds" in dataset and "fold" not in dataset
        run, script = str(build["run_name"]), str(build["files"][TRAINING])
        if not folds:
            return Resolved(experiment, save_dir, run, script, rows, "signal")
        each = len(rows) // int(dataset["folds"])
        return Resolved(experiment, save_dir, run, script, rows, "folds", each)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{record} is not that of a training: {error!r}") from error


def resolved_run(record: Path) -> tuple[Path, Mapping[str, str]]:
    """Return the folder that a `resolved.toml` is about, and which runs trained what lies there.

    Raises `RefusedError` for a run that has not finished, and where several are meant.
    """
    said = read_record(record)
    if said.kind in ("ratio", "signal") and not said.rows:
        check_finished(said)
    if said.kind == "ratio":
        return finished_ratio(said.experiment, (said.name, said.script)), {}
    if said.kind == "folds":
        return combined_run(said), said.rows
    if said.rows:
        raise several(record.parent, [said.experiment / run for run in said.rows])
    return finished_training(said.experiment / said.name, said.script), {}


def check_finished(said: Resolved) -> None:
    """Raise `RefusedError` for a run that has not finished, which names one that has."""
    run = said.experiment / said.name
    if (run / "done").is_file():
        return
    what, script = ("ratio", RATIO) if said.kind == "ratio" else ("training", TRAINING)
    place = f"; save_dir is {quoted(said.save_dir)}"
    others = [
        path.parent for path in said.experiment.glob("*/done") if network_of(path.parent).is_file()
    ]
    if others:
        latest = max(others, key=lambda other: (other / "done").stat().st_mtime_ns)
        place += f"; --network {latest} takes the run that finished last"
    raise RefusedError(f"the {what} has not finished: {run}; {script} comes first{place}")


def finished_training(run: Path, digest: str) -> Path:
    """Return the folder of a run that is done; raises `RefusedError` if by another script."""
    done = run / "done"
    said = noted(done, script=str)
    if not said:
        raise RefusedError(f"{done} is damaged; start {TRAINING} again, which mends it")
    if said["script"] != digest:
        other = "edited by hand" if "+" in said["script"] else "another one"
        raise RefusedError(
            f"{run} was not trained by the {TRAINING} of this folder, but by {other}"
            f" ({said['script'][:12]}, here is {digest[:12]}); --network {run} takes it"
        )
    return run


def combined_run(said: Resolved) -> Path:
    """Return the folder of what combine.py has left; raises `RefusedError` if that is not one."""
    plain = said.experiment / f"{said.name}-combined"
    # Of several trainings, each is named by its values.
    named = re.compile(rf"{re.escape(said.name)}-[0-9a-f]+-combined")
    found = [each for each in said.experiment.glob("*-combined") if named.fullmatch(each.name)]
    found = [plain] if said.combinations == 1 else sorted(found)
    # A batch job makes a run's folder for its log, before combine.py begins.
    found = [run for run in found if deployment(run).is_dir()]
    if not found:
        raise RefusedError(f"the folds are not combined yet: {plain}; combine.py comes first")
    if said.combinations > 1:
        raise several(said.experiment, found)
    return found[0]


def several(what: Path, runs: list[Path]) -> RefusedError:
    """Return the refusal of what has several networks."""
    return RefusedError(
        f"{quoted(what)} is of several trainings; name the run of one, as --network PLACE:"
        f" {listed(runs)}"
    )
