"""What a combination leaves: metrics, networks, plots and a tracker's entry; twice the same."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from parts.combinations import Combined, combine_binary
from parts.machinery.combining import leave_combined
from parts.machinery.exits import DONE, RefusedError
from parts.machinery.fold_runs import TrainedFold, trained_folds
from parts.machinery.locks import Lock
from parts.metrics import Outputs, binary_metrics
from parts.plot_labels import Label
from parts.plots import new_figure
from parts.splits import Fold
from tests.parts.folded import SCRIPT, finished_fold

RUNS = tuple((f"named-{number}", SCRIPT) for number in range(3))


def combined(cut: float = 0.5) -> Combined:
    folds = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        label = random.integers(0, 2, 400)
        score = random.beta(2 + label, 3 - label)
        ones = np.ones(400)
        folds.append(Outputs(np.stack([1 - score, score], axis=1), label, ones, ones))
    return combine_binary(folds, [binary_metrics(each, cut) for each in folds])


class Place:
    """Where an experiment's runs lie, and the generated folder."""

    def __init__(self, path: Path) -> None:
        self.experiment = path / "logs" / "toy"
        for number in range(3):
            finished_fold(self.experiment / f"named-{number}", Fold(number, 3))
        self.folder = self.experiment / "named-combined"
        self.plots = path / "results" / "toy" / "named-combined"
        self.source = path / "generated"
        self.source.mkdir()
        (self.source / "apply.py").write_text("print(1)\n")

    def trained(self) -> tuple[TrainedFold, ...]:
        return trained_folds(self.experiment, RUNS)

    def leave(self, found: Combined) -> int:
        figure = new_figure(3, 3, "named-combined")
        figure.subplots()
        return leave_combined(
            found,
            self.trained(),
            {"roc": figure},
            folder=self.folder,
            plots=self.plots,
            source=self.source,
            label=Label("Toys"),
        )

    def numbers(self) -> bytes:
        return (self.folder / "metrics.json").read_bytes()

    def entries(self) -> list[Any]:
        store = self.experiment.parent / "mlruns" / "mlflow.db"
        client = MlflowClient(f"sqlite:///{store}")
        found = client.get_experiment_by_name("toy")
        assert found is not None
        return list(client.search_runs([found.experiment_id]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = Place(tmp_path_factory.mktemp("combined"))
    assert found.leave(combined()) == DONE
    return found


def test_metrics_say_what_was_combined_and_what_came_out(place: Place) -> None:
    said, found = json.loads(place.numbers()), combined()
    assert said["events"] == 1200
    assert said["metrics"] == {name: dict(each) for name, each in found.table().items()}
    assert said["uncertainties"] == {"all events": dict(found.uncertainties)}
    assert [each["run"] for each in said["folds"]] == ["named-0", "named-1", "named-2"]
    assert [each["events"] for each in said["folds"]] == [400] * 3
    assert {each["script"] for each in said["folds"]} == {SCRIPT}
    assert [each["network"] for each in said["folds"]] == [f"model_{n}.onnx" for n in range(3)]


def test_the_networks_of_all_folds_lie_in_order_with_what_applies_them(place: Place) -> None:
    deployed = place.folder / "deploy"
    for number, each in enumerate(place.trained()):
        assert (deployed / f"model_{number}.onnx").read_bytes() == each.network.read_bytes()
    assert (deployed / "apply.py").read_text() == "print(1)\n"
    assert not (deployed / "model.onnx").exists()


def test_plots_are_there_to_be_shown(place: Place) -> None:
    assert sorted(path.name for path in place.plots.iterdir()) == ["roc.pdf", "roc.png"]


def test_the_same_again_is_the_same_bytes_and_the_same_entry_of_the_tracker(place: Place) -> None:
    before, (entry,) = place.numbers(), place.entries()
    assert place.leave(combined()) == DONE
    assert place.numbers() == before
    (again,) = place.entries()
    assert again.info.run_id == entry.info.run_id
    assert again.info.status == "FINISHED"
    assert again.info.run_name == "named-combined"
    assert again.data.tags["combines"] == "named-0, named-1, named-2"
    found = combined()
    assert again.data.metrics["test_auc"] == found.metrics["auc"]
    table = found.table()
    assert again.data.metrics["test_auc_spread_of_folds"] == table["spread"]["auc"]
    assert again.data.metrics["test_auc_mean_of_folds"] == table["mean of folds"]["auc"]


def test_other_numbers_are_another_entry(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.leave(combined(0.5))
    (first,) = place.entries()
    before = place.numbers()
    place.leave(combined(0.7))
    assert place.numbers() != before
    second, old = sorted(place.entries(), key=lambda each: -each.info.start_time)
    assert old.info.run_id == first.info.run_id
    assert old.data.metrics == first.data.metrics
    assert second.data.metrics["test_significance"] == combined(0.7).metrics["significance"]


def test_no_metrics_are_left_where_the_networks_are_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.leave(combined())
    (place.source / "resolved.toml").write_text("[")
    with pytest.raises(RefusedError, match=r"resolved\.toml cannot be read"):
        place.leave(combined())
    assert not (place.folder / "metrics.json").exists()
    # Nor does it stay locked.
    (place.source / "resolved.toml").unlink()
    assert place.leave(combined()) == DONE


def test_two_at_once_are_one_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.leave(combined())
    before = place.numbers()
    lock = Lock(place.folder / "lock")
    lock.take()
    with pytest.raises(RefusedError, match=r"named-combined is in use by"):
        place.leave(combined(0.7))
    lock.release()
    assert place.numbers() == before


def test_the_folder_of_a_run_is_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    finished_fold(place.folder, Fold(0, 3))
    before = place.numbers()
    with pytest.raises(RefusedError, match="named-combined is a run's"):
        place.leave(combined())
    assert place.numbers() == before


def test_what_has_no_value_is_null_and_its_reason_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    place.leave(combined(math.nan))
    said = json.loads(place.numbers())
    assert said["metrics"]["all events"]["significance"] is None
    printed = capsys.readouterr().out
    odd = [line for line in printed.splitlines() if "no significance" in line or "nan:" in line]
    assert odd == [
        "no significance: fewer than 10 effective background events are left at any cut of the"
        " validation of fold 0, 1, 2"
    ]
