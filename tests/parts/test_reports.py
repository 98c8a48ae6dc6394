"""What a run ends with can be read by people and by programs."""

import json
import math
from pathlib import Path

import pytest

from parts.reports import own_settings, report, write_json


def test_metrics_of_the_splits_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"validation": {"auc": 0.91234, "f1": math.nan}, "test": {"auc": 0.9, "loss": 2}}
    report(metrics, {"run": Path("/run"), "tracker": None, "plots": "/plots"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["validation", "test"]
    assert [line.split() for line in lines[2:5]] == [
        ["auc", "0.9123", "0.9000"], ["f1", "nan"], ["loss", "2.0000"],
    ]  # fmt: skip
    assert len({len(line) for line in lines[1:5]}) == 1
    assert [line.split() for line in lines[6:]] == [
        ["run", "/run"], ["tracker", "None"], ["plots", "/plots"],
    ]  # fmt: skip


def test_json_has_null_for_what_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": {"nan": math.nan, "inf": math.inf, "low": -math.inf, "x": 0.1 + 0.2}})
    assert "NaN" not in path.read_text()
    assert "Infinity" not in path.read_text()
    content = json.loads(path.read_text())
    assert content == {"a": {"nan": None, "inf": None, "low": None, "x": 0.1 + 0.2}}
    assert path.read_text().endswith("}\n")


def test_paths_are_written_as_text(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"checkpoint": Path("/a/b"), "text": "NaN, Infinity"})
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "checkpoint": "/a/b", "text": "NaN, Infinity",
    }  # fmt: skip


RESOLVED = """
[experiment_config]
seed = 1

[training_config]
max_epochs = 2
early_stop_patience = 5

[sweep_config]
seeds = [1, 2]

[[points]]
identity = "a"
values = { "training_config.max_epochs" = 3 }
follow = { "experiment_config.run_name" = "of a" }
lacks = ["training_config.early_stop_patience"]

[[points]]
identity = "b"
values = { "experiment_config.seed" = 2 }
follow = {}
lacks = []

[build]
run_name = "toy"
"""


def test_settings_are_those_that_a_point_has(tmp_path: Path) -> None:
    resolved = tmp_path / "resolved.toml"
    resolved.write_text(RESOLVED)
    assert own_settings({"MAX_EPOCHS": 3}, resolved, "points", "a") == {
        "MAX_EPOCHS": 3,
        "experiment_config.seed": 1,
        "experiment_config.run_name": "of a",
        "training_config.max_epochs": 3,
    }
    assert own_settings({}, resolved, "points", "b") == {
        "experiment_config.seed": 2,
        "training_config.max_epochs": 2,
        "training_config.early_stop_patience": 5,
    }
    assert own_settings({"MAX_EPOCHS": 3}, tmp_path / "none", "points", "a") == {"MAX_EPOCHS": 3}
