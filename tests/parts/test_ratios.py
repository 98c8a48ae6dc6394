"""The run of a ratio is found by its name and its label, once it has finished."""

import hashlib
import json
from pathlib import Path

import pytest

from parts.machinery.deployed_places import network_of
from parts.machinery.exits import RefusedError
from parts.machinery.ratios import finished_ratio

RATIO = ("named-ratio", "a" * 64)


def finished(run: Path) -> Path:
    """Make what a run that has finished leaves, as far as others look at it."""
    checkpoint = run / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    done = {"script": RATIO[1], "checkpoint": checkpoint.name, "sha256": digest}
    (run / "done").write_text(json.dumps(done))
    return run


def test_a_label_names_another_attempt(tmp_path: Path) -> None:
    plain, again = finished(tmp_path / "named-ratio"), finished(tmp_path / "named-ratio+2")
    assert finished_ratio(tmp_path, RATIO) == plain
    assert finished_ratio(tmp_path, RATIO, "2") == again
    with pytest.raises(RefusedError, match=r"the ratio has not finished: .*named-ratio\+3"):
        finished_ratio(tmp_path, RATIO, "3")


def test_the_network_lies_in_the_folder_that_is_handed_on(tmp_path: Path) -> None:
    assert network_of(tmp_path) == tmp_path / "deploy" / "model.onnx"
