"""Networks are found where one is told, beside the script, or in the run that is resolved there."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.found_networks import find_networks

HEAD = """
[experiment_config]
experiment_name = "tests"
save_dir = "../${PLACE}"

[dataset_config]
event_number = "event"
"""
BUILD = """
[build]
run_name = "named"
spec_folder = "../../specs"
files = { "train_signal.py" = "aaaa" }
"""
POINTS = """
[[points]]
identity = "1"
run_name = "named-1"
script = "one"

[[points]]
identity = "2"
run_name = "named-2"
script = "two"
"""
STAGES = """
[[stages]]
identity = "numerator"
run_name = "named-numerator"
script = "b"

[[stages]]
identity = "ratio"
run_name = "named-ratio"
script = "aaaa"
"""
RECORDS = {"signal": HEAD + BUILD, "fakes": HEAD + STAGES + BUILD, "sweep": HEAD + POINTS + BUILD}
RECORDS["folds"] = f"{HEAD}folds = 2\n{POINTS}{BUILD}"
RECORDS["grid"] = f"{HEAD}folds = 2\n{POINTS}{POINTS.replace('named-', 'named-1')}{BUILD}"
RECORDS["fold"] = f"{HEAD}folds = 2\nfold = 1\n{BUILD}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a spec's scripts, without a network."""
    monkeypatch.setenv("PLACE", "logs")
    folder = tmp_path / "generated" / "named"
    folder.mkdir(parents=True)
    return folder


def finished(run: Path, script: str = "aaaa", networks: tuple[str, ...] = ("model.onnx",)) -> Path:
    """Make what a run that has finished leaves, as far as others look at it."""
    checkpoint = run / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    done = {"script": script, "checkpoint": checkpoint.name, "sha256": digest}
    (run / "done").write_text(json.dumps(done))
    (run / "deploy").mkdir()
    for name in networks:
        (run / "deploy" / name).touch()
    return run


@pytest.mark.parametrize(("kind", "name"), [("signal", "named"), ("fakes", "named-ratio")])
def test_the_network_is_that_of_the_run_of_the_record(
    folder: Path, tmp_path: Path, kind: str, name: str
) -> None:
    """Where its run is, is said as it is to the training: by variables, from the spec's folder."""
    (folder / "resolved.toml").write_text(RECORDS[kind])
    run = finished(tmp_path / "logs" / "tests" / name)
    assert find_networks(folder).paths == (run / "deploy" / "model.onnx",)


def test_a_fold_that_is_trained_alone_is_like_any_training(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["fold"])
    run = finished(tmp_path / "logs" / "tests" / "named")
    assert find_networks(folder).paths == (run / "deploy" / "model.onnx",)


def test_networks_beside_the_script_come_before_the_record(folder: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["signal"])
    for name in ("model_1.onnx", "model_0.onnx"):
        (folder / name).touch()
    assert find_networks(folder).paths == (folder / "model_0.onnx", folder / "model_1.onnx")
    (folder / "model.onnx").touch()
    assert find_networks(folder).paths == (folder / "model.onnx",)


def test_networks_of_more_than_nine_folds_are_in_the_order_of_their_numbers(folder: Path) -> None:
    for number in range(11):
        (folder / f"model_{number}.onnx").touch()
    assert find_networks(folder).paths[9:] == (folder / "model_9.onnx", folder / "model_10.onnx")


def test_what_is_told_comes_first(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").touch()
    run = finished(tmp_path / "run", "other")
    network = run / "deploy" / "model.onnx"
    # A run, its folder, the file.
    for told in (run, str(run), run / "deploy", network, str(network)):
        assert find_networks(folder, told).paths == (network,)
    with pytest.raises(RefusedError, match=r"neither model.onnx nor a folder deploy .*/generated"):
        find_networks(folder, tmp_path / "generated")


@pytest.mark.parametrize("kind", ["signal", "fakes"])
def test_a_run_that_this_script_has_not_finished_is_refused(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    (folder / "resolved.toml").write_text(RECORDS[kind])
    name = "named" if kind == "signal" else "named-ratio"
    run = tmp_path / "logs" / "tests" / name
    with pytest.raises(RefusedError, match=r"has not finished: .*train_\w+.py comes first"):
        find_networks(folder)
    finished(run, "cccc")
    with pytest.raises(RefusedError, match=r"(another|this folder).*cccc"):
        find_networks(folder)
    done = json.loads((run / "done").read_text())
    (run / "done").write_text(json.dumps(done | {"script": "aaaa+bbbb"}))
    with pytest.raises(RefusedError, match="edited by hand"):
        find_networks(folder)
    (run / "done").write_text("{")
    with pytest.raises(RefusedError, match="is damaged; start train_"):
        find_networks(folder)


@pytest.mark.parametrize(("kind", "name"), [("signal", "named"), ("fakes", "named-ratio")])
def test_a_run_that_has_finished_before_is_named_instead(
    folder: Path, tmp_path: Path, kind: str, name: str
) -> None:
    """And by what the runs were looked for, which another shell may have set otherwise."""
    (folder / "resolved.toml").write_text(RECORDS[kind])
    with pytest.raises(RefusedError, match=r"comes first; save_dir is '../\$\{PLACE\}'$"):
        find_networks(folder)
    experiment = tmp_path / "logs" / "tests"
    for number, other in enumerate(("a-later", "b-earlier")):
        done = finished(experiment / other) / "done"
        os.utime(done, (1000 - number, 1000 - number))
    finished(experiment / "without", networks=())
    match = rf"has not finished: {experiment / name}; .*; --network {experiment / 'a-later'} takes"
    with pytest.raises(RefusedError, match=match):
        find_networks(folder)


def test_a_run_without_a_network_is_told_of(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["signal"])
    finished(tmp_path / "logs" / "tests" / "named", networks=())
    with pytest.raises(RefusedError, match=r"named has finished without a network"):
        find_networks(folder)


def test_of_a_sweep_one_run_must_be_named(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["sweep"])
    finished(tmp_path / "logs" / "tests" / "named-2", "two")
    with pytest.raises(RefusedError, match=r"--network PLACE: .*tests/named-1', .*tests/named-2'"):
        find_networks(folder)


def test_folds_are_those_that_were_combined(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["folds"])
    experiment = tmp_path / "logs" / "tests"
    with pytest.raises(RefusedError, match=r"not combined yet: .*named-combined; combine.py comes"):
        find_networks(folder)
    # For the log of a batch job.
    (experiment / "named-combined" / "slurm").mkdir(parents=True)
    with pytest.raises(RefusedError, match=r"not combined yet: .*named-combined; combine.py comes"):
        find_networks(folder)
    deploy = experiment / "named-combined" / "deploy"
    deploy.mkdir()
    for name in ("model_0.onnx", "model_1.onnx"):
        (deploy / name).touch()
    found = find_networks(folder)
    assert found.paths == (deploy / "model_0.onnx", deploy / "model_1.onnx")
    assert found.trained == {"named-1": "one", "named-2": "two"}


def test_of_several_cross_validations_one_must_be_named(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.toml").write_text(RECORDS["grid"])
    experiment = tmp_path / "logs" / "tests"
    # For the log of a batch job.
    (experiment / "named-3ef-combined").mkdir(parents=True)
    with pytest.raises(RefusedError, match=r"not combined yet"):
        find_networks(folder)
    (experiment / "named-1ab-combined" / "deploy").mkdir(parents=True)
    # Which of them is meant does not follow from what happens to be there.
    with pytest.raises(RefusedError, match=r"--network PLACE: .*named-1ab-combined'$"):
        find_networks(folder)
    (experiment / "named-2cd-combined" / "deploy").mkdir(parents=True)
    match = r"--network PLACE: .*named-1ab-combined', .*named-2cd-combined'$"
    with pytest.raises(RefusedError, match=match):
        find_networks(folder)


def test_a_folder_without_a_network_and_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"neither model.onnx nor resolved.toml is in"):
        find_networks(tmp_path)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("fakes", 'identity = "ratio"', 'identity = "other"'),
        ("fakes", 'identity = "numerator"', 'identity = "ratio"'),
        ("signal", 'spec_folder = "../../specs"', ""),
        ("signal", 'save_dir = "../${PLACE}"', ""),
        ("signal", "[build]", "[build"),
        ("signal", '"train_signal.py"', '"other.py"'),
        ("signal", "[dataset_config]", "[other]"),
    ],
)
def test_the_record_of_something_else_is_refused(
    folder: Path, kind: str, old: str, new: str
) -> None:
    assert old in RECORDS[kind]
    (folder / "resolved.toml").write_text(RECORDS[kind].replace(old, new))
    with pytest.raises(RefusedError, match=r"resolved.toml is not that of a training"):
        find_networks(folder)


def test_a_variable_that_is_not_set_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "resolved.toml").write_text(RECORDS["signal"])
    monkeypatch.delenv("PLACE")
    with pytest.raises(RefusedError, match="the variable PLACE is not set"):
        find_networks(folder)
