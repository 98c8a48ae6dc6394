"""The trainings of folds are found by name, and refused with all that is wrong with any."""

import json
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.fold_runs import check_data_of_folds, trained_folds
from parts.splits import Fold
from tests.parts.folded import SCRIPT, TEST, finished_fold

RUNS = tuple((f"named-{number}", SCRIPT[:16]) for number in range(3))
DATA = {"/elsewhere/x.csv": "c" * 64}
SAMPLES = {"a": ["c" * 64]}


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Three finished folds, and another attempt of each."""
    for number in range(3):
        finished_fold(tmp_path / f"named-{number}", Fold(number, 3))
        finished_fold(tmp_path / f"named-{number}+2", Fold(number, 3))
    return tmp_path


def refused(experiment: Path, again: str = "") -> list[str]:
    """Return the lines that say what is wrong with folds."""
    with pytest.raises(RefusedError) as error:
        trained_folds(experiment, RUNS, again)
    first, *lines = str(error.value).split("\n")
    assert first == "not all folds can be combined:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize("again", ["", "2"])
def test_the_folds_of_an_attempt_are_found_in_order(experiment: Path, again: str) -> None:
    found = trained_folds(experiment, RUNS, again)
    label = "+2" if again else ""
    assert [each.folder.name for each in found] == [f"named-{n}{label}" for n in range(3)]
    assert [each.fold for each in found] == [Fold(n, 3) for n in range(3)]
    assert [each.network for each in found] == [
        each.folder / "deploy" / "model.onnx" for each in found
    ]
    assert all(each.script == SCRIPT and each.test == TEST for each in found)
    check_data_of_folds(found, DATA, SAMPLES)


def test_all_that_is_wrong_is_said_fold_by_fold(experiment: Path) -> None:
    (experiment / "named-0" / "done").unlink()
    done = experiment / "named-1" / "done"
    done.write_text(json.dumps(json.loads(done.read_text()) | {"script": "b" * 64}))
    (experiment / "named-2" / "deploy" / "model.onnx").unlink()
    lines = refused(experiment)
    assert lines[0].startswith(f"fold 0: the training has not finished: {experiment / 'named-0'};")
    assert lines[1].startswith(f"fold 1: {experiment / 'named-1'} does not fit: it was trained by")
    assert "(bbbbbbbbbbbb, needed is aaaaaaaaaaaa)" in lines[1]
    path = experiment / "named-2" / "deploy" / "model.onnx"
    assert lines[2].startswith(f"fold 2: {path} is missing")
    assert len(lines) == 3
    # The other attempt is as it was.
    assert len(trained_folds(experiment, RUNS, "2")) == 3


def test_an_attempt_that_was_never_made_is_refused(experiment: Path) -> None:
    lines = refused(experiment, "3")
    assert [f"not finished: {experiment}/named-{n}+3;" in line for n, line in enumerate(lines)] == [
        True
    ] * 3


def test_code_that_was_edited_by_hand_does_not_fit(experiment: Path) -> None:
    done = experiment / "named-1" / "done"
    said = json.loads(done.read_text())
    done.write_text(json.dumps(said | {"script": f"{SCRIPT}+{'d' * 64}"}))
    assert "fold 1" in refused(experiment)[0]
    assert "edited by hand" in refused(experiment)[0]


def test_a_network_of_another_fold_is_refused(experiment: Path) -> None:
    one, two = (experiment / f"named-{n}" / "deploy" / "model.onnx" for n in (1, 2))
    two.write_bytes(one.read_bytes())
    assert refused(experiment) == [
        f"fold 2: '{two}' is another network's: of named-1, trained on Fold(number=1, folds=3)"
    ]


@pytest.mark.parametrize("content", [None, "{", '{"metrics": {}}', '{"metrics": {"test": 1}}'])
def test_a_test_whose_metrics_are_lost_is_refused(experiment: Path, content: str | None) -> None:
    path = experiment / "named-0" / "metrics.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    (line,) = refused(experiment)
    assert line.startswith(f"fold 0: {path} is missing or damaged")
    # A sweep's script is not started without a point.
    assert line.endswith("train_signal.py --all --again LABEL trains anew")


def test_what_has_no_value_is_nan(experiment: Path) -> None:
    path = experiment / "named-0" / "metrics.json"
    path.write_text(json.dumps({"metrics": {"test": {"auc": None}}}))
    value = trained_folds(experiment, RUNS)[0].test["auc"]
    assert value != value


def test_other_data_are_refused_and_each_fold_that_saw_them_is_named(experiment: Path) -> None:
    found = trained_folds(experiment, RUNS)
    with pytest.raises(RefusedError) as error:
        check_data_of_folds(found, {"/data/x.csv": "d" * 64}, {"a": ["d" * 64]})
    assert str(error.value).count("was trained on other data") == 3
    path = experiment / "named-1" / "run.json"
    said = json.loads(path.read_text()) | {"data": {"/data/x.csv": "e" * 64}}
    path.write_text(json.dumps(said))
    with pytest.raises(RefusedError, match=r"(?s):\n  fold 1: .*named-1 was trained on other data"):
        check_data_of_folds(found, DATA, SAMPLES)


def test_files_that_samples_have_exchanged_are_other_data(experiment: Path) -> None:
    """All digests are those of the trainings, and signal is what was background."""
    data = {"/d/one": "1" * 64, "/d/two": "2" * 64}
    found = trained_folds(experiment, RUNS)
    for each in found:
        path = each.folder / "run.json"
        samples = {"a": ["1" * 64], "b": ["2" * 64]}
        said = json.loads(path.read_text()) | {"data": data, "samples": samples}
        path.write_text(json.dumps(said))
    check_data_of_folds(found, data, {"a": ["1" * 64], "b": ["2" * 64]})
    with pytest.raises(RefusedError, match="trained on other files of the sample a") as error:
        check_data_of_folds(found, data, {"a": ["2" * 64], "b": ["1" * 64]})
    assert str(error.value).count("fold") == 4


@pytest.mark.parametrize("value", ["[1]", '"x"'])
def test_a_metric_that_is_no_number_is_refused(experiment: Path, value: str) -> None:
    path = experiment / "named-0" / "metrics.json"
    path.write_text(f'{{"metrics": {{"test": {{"auc": {value}}}}}}}')
    (line,) = refused(experiment)
    assert line.startswith(f"fold 0: {path} holds what is no metric: ")


@pytest.mark.parametrize("before", [None, {"samples": [{"files": ["d" * 64]}]}])
def test_folds_may_begin_with_a_checkpoint_of_other_data(
    experiment: Path, before: dict[str, object] | None
) -> None:
    found = trained_folds(experiment, RUNS)
    for each in found:
        path = each.folder / "run.json"
        events = [before, {"samples": [{"files": list(DATA.values())}]}]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"events": events}))
    check_data_of_folds(found, DATA, SAMPLES)
