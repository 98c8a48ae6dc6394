"""The trainings of a cross-validation, found by their names, with what each of them has left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parts.fold_scores import check_fold_network
from parts.machinery.deployed_places import network_of
from parts.machinery.exits import RefusedError
from parts.machinery.notes import noted
from parts.machinery.parents import attempt, check_own_data, mark_of
from parts.splits import Fold

SCRIPT_OF_FOLDS = "train_signal.py"


@dataclass(frozen=True)
class TrainedFold:
    """A finished training, of which `Fold` says what it is tested on."""

    folder: Path
    fold: Fold
    # The digest by which its run knows its script.
    script: str
    # The metrics of its test; nan where there is none.
    test: Mapping[str, float]

    @property
    def network(self) -> Path:
        """The file of its exported network."""
        return network_of(self.folder)


def trained_folds(
    experiment: Path, runs: Sequence[tuple[str, str]], again: str = ""
) -> tuple[TrainedFold, ...]:
    """Return the trainings of all folds in order; raises `RefusedError` with all that is wrong.

    `runs` are the names of the plain runs and the digests of their scripts, `again` a label of
    other attempts.
    """
    found, faults = [], []
    for number, (name, script) in enumerate(runs):
        try:
            fold = Fold(number, len(runs))
            found.append(trained_fold(experiment, fold, name, script, again))
        except RefusedError as error:
            faults.append(f"fold {number}: {error}")
    refuse_folds(faults)
    return tuple(found)


def check_data_of_folds(
    trained: Sequence[TrainedFold], data: dict[str, str], samples: dict[str, list[str]]
) -> None:
    """Raise `RefusedError`, naming them, if trainings saw other files than these, by digest.

    `samples` has the digests by sample: files that were exchanged are other data, too.
    """
    faults = []
    for each in trained:
        try:
            check_own_data(each.folder, data, samples)
        except RefusedError as error:
            faults.append(f"fold {each.fold.number}: {error}")
    refuse_folds(faults)


def refuse_folds(faults: Sequence[str]) -> None:
    """Raise `RefusedError` with all that is wrong, if anything is."""
    if faults:
        raise RefusedError("\n  ".join(["not all folds can be combined:", *faults]))


def trained_fold(experiment: Path, fold: Fold, name: str, script: str, again: str) -> TrainedFold:
    """Return the training of a fold; raises `RefusedError` unless `script` has finished it."""
    folder = experiment / attempt(name, again)
    remedy = "build the spec, and train again"
    said = mark_of(folder, "training", SCRIPT_OF_FOLDS, script, remedy)
    found = TrainedFold(folder, fold, str(said["script"]), metrics_of_test(folder))
    if not found.network.is_file():
        raise RefusedError(
            f"{found.network} is missing: the export has failed, or somebody has removed it;"
            f" {SCRIPT_OF_FOLDS} --all --again LABEL trains anew"
        )
    check_fold_network(found.network, folder.name, fold)
    return found


def metrics_of_test(folder: Path) -> dict[str, float]:
    """Return what the test of a finished training says; raises `RefusedError` if that is lost."""
    path = folder / "metrics.json"
    said = noted(path, metrics=dict).get("metrics", {}).get("test")
    if not isinstance(said, dict):
        raise RefusedError(
            f"{path} is missing or damaged: what the test says is lost;"
            f" {SCRIPT_OF_FOLDS} --all --again LABEL trains anew"
        )
    try:
        # JSON has no nan.
        return {n: math.nan if value is None else float(value) for n, value in said.items()}
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{path} holds what is no metric: {error}") from error
