"""The network of a fake factor is found where it is told, beside the script, or by its record."""

import hashlib
import json
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.ratios import find_network, finished_ratio, network_of

RATIO = ("named-ratio", "a" * 64)
RECORD = """
[experiment_config]
experiment_name = "tests"
save_dir = "../${PLACE}"

[[stages]]
identity = "numerator"
run_name = "named-numerator"
script = "b"

[[stages]]
identity = "ratio"
run_name = "named-ratio"
script = "%s"

[build]
spec_folder = "../../specs"
"""


def finished(run: Path, script: str = RATIO[1]) -> Path:
    """Make what a run that has finished leaves, as far as others look at it."""
    checkpoint = run / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    done = {"script": script, "checkpoint": checkpoint.name, "sha256": digest}
    (run / "done").write_text(json.dumps(done))
    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a spec's scripts, with its record and without a network."""
    monkeypatch.setenv("PLACE", "logs")
    folder = tmp_path / "generated" / "named"
    folder.mkdir(parents=True)
    (folder / "resolved.toml").write_text(RECORD % RATIO[1])
    return folder


def test_a_label_names_another_attempt(tmp_path: Path) -> None:
    plain, again = finished(tmp_path / "named-ratio"), finished(tmp_path / "named-ratio+2")
    assert finished_ratio(tmp_path, RATIO) == plain
    assert finished_ratio(tmp_path, RATIO, "2") == again
    with pytest.raises(RefusedError, match=r"the ratio has not finished: .*named-ratio\+3"):
        finished_ratio(tmp_path, RATIO, "3")


def test_the_network_is_that_of_the_run_of_the_record(folder: Path, tmp_path: Path) -> None:
    """Where its run is, is said as it is to the training: by variables, from the spec's folder."""
    run = finished(tmp_path / "logs" / "tests" / "named-ratio")
    assert find_network(folder) == network_of(run)
    assert network_of(run) == run / "deploy" / "model.onnx"


def test_a_network_beside_the_script_comes_before_the_record(folder: Path) -> None:
    (folder / "model.onnx").touch()
    assert find_network(folder) == folder / "model.onnx"


def test_what_is_told_comes_first(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").touch()
    assert find_network(folder, tmp_path) == tmp_path / "model.onnx"
    assert find_network(folder, str(tmp_path / "f.onnx")) == tmp_path / "f.onnx"


def test_a_ratio_that_is_not_trained_by_this_script_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "logs" / "tests" / "named-ratio"
    with pytest.raises(RefusedError, match=r"ratio has not finished.*train_ratio.py comes first"):
        find_network(folder)
    finished(run, "c" * 64)
    with pytest.raises(RefusedError, match=r"trained by another train_ratio.py"):
        find_network(folder)


def test_a_folder_without_a_network_and_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"neither model.onnx nor resolved.toml is in"):
        find_network(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('identity = "ratio"', 'identity = "other"'),
        ("[[stages]]", "[[rows]]"),
        ('spec_folder = "../../specs"', ""),
        ('save_dir = "../${PLACE}"', ""),
        ("[build]", "[build"),
        ('identity = "numerator"', 'identity = "ratio"'),
    ],
)
def test_the_record_of_something_else_is_refused(folder: Path, old: str, new: str) -> None:
    path = folder / "resolved.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RefusedError, match=r"resolved.toml is not that of a fake factor"):
        find_network(folder)


def test_a_variable_that_is_not_set_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLACE")
    with pytest.raises(RefusedError, match="the variable PLACE is not set"):
        find_network(folder)
