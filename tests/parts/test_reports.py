"""What a run ends with can be read by people and by programs."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from parts.losses import bce
from parts.machinery.reports import constants, measurement, report, settings, write_json
from parts.metric_remarks import remarks
from parts.models import MLP

TEMPLATES = Path(__file__).parents[2] / "templates"


def test_metrics_of_the_splits_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"validation": {"auc": 0.91234, "f1": math.nan}, "test": {"auc": 0.9, "loss": 2}}
    errors = {"validation": {"auc": 0.00213, "f1": math.nan}, "test": {"auc": 0.021}}
    report(
        metrics, errors, remarks(metrics), {"run": Path("/run"), "tracker": None, "plots": "/plots"}
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["validation", "test"]
    assert [line.split("  ") for line in map(squeezed, lines[2:5])] == [
        ["auc", "0.9123 +- 0.0021", "0.900 +- 0.021"], ["f1", "nan"], ["loss", "2.0000"],
    ]  # fmt: skip
    assert len({len(line) for line in lines[1:5]}) == 1
    assert lines[6] == (
        "f1 of validation is nan: there is a class that events neither belong to nor are taken for"
    )
    assert [line.split() for line in lines[8:]] == [
        ["run", "/run"], ["tracker", "None"], ["plots", "/plots"],
    ]  # fmt: skip


def squeezed(line: str) -> str:
    """A line with two spaces between its columns."""
    return re.sub("  +", "  ", line.strip())


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.9134, 0.0021, "0.9134 +- 0.0021"), (20.67, 0.671, "20.67 +- 0.67"),
        (957.63, 27.7, "958 +- 28"), (0.98864, 0.0008, "0.98864 +- 0.00080"),
        (0.5, 0.0, "0.5000"), (0.5, math.nan, "0.5000"), (math.nan, math.nan, "nan"),
    ],
)  # fmt: skip
def test_values_are_written_to_the_second_figure_of_their_uncertainty(
    value: float, uncertainty: float, text: str
) -> None:
    assert measurement(value, uncertainty) == text


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
task = "signal"

[experiment_config]
seed = 1

[dataset_config]
classes = ["B", "S"]

[dataset_config.split]
train = 0.6

[[dataset_config.samples]]
name = "ggH"

[training_config]
max_epochs = 2
early_stop_patience = 5

[training_config.scheduler_params]
factor = 0.5

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

[[stages]]
identity = "ratio"
values = { "training_config.max_epochs" = 7 }
follow = {}
lacks = []

[build]
run_name = "toy"

[build.files]
"train_signal.py" = "0"
"""
# What a plain script, a point or a stage has, whatever its own options are.
COMMON = {
    "task": "signal",
    "dataset_config.classes": ["B", "S"],
    "dataset_config.split.train": 0.6,
    "dataset_config.samples": [{"name": "ggH"}],
    "training_config.scheduler_params.factor": 0.5,
}


@pytest.fixture
def resolved(tmp_path: Path) -> Path:
    path = tmp_path / "resolved.toml"
    path.write_text(RESOLVED)
    return path


def test_constants_are_the_settings_of_a_script_as_options_are_spelt() -> None:
    names = {
        "__name__": "__main__", "bce": bce, "nn": nn, "MLP": MLP,
        "LR": 0.1, "ACT": nn.SiLU, "LOSS": bce, "SCALING": None, "N_HIDDEN": 4, "NAME": "NAME",
        "DATASET": (), "POINTS": {}, "POINT": {}, "ARGUMENTS": None, "SWEEP": "s",
        "PARENTS": {},
    }  # fmt: skip
    assert constants(names) == {
        "lr": 0.1, "act": "SiLU", "loss": "bce", "scaling": None, "n_hidden": 4, "name": "NAME",
    }  # fmt: skip


def test_settings_are_all_options_besides_the_constants(resolved: Path) -> None:
    assert settings({}, resolved, None) == COMMON | {
        "experiment_config.seed": 1,
        "training_config.max_epochs": 2,
        "training_config.early_stop_patience": 5,
    }


def test_a_setting_that_is_a_constant_is_shown_once_as_the_constant(resolved: Path) -> None:
    own = {"max_epochs": 99, "seed": 3, "classes": ("B", "S"), "train": 0.5, "scheduler_factor": 1}
    assert settings(own, resolved, None) == {
        **own,
        "task": "signal",
        "dataset_config.samples": [{"name": "ggH"}],
        "training_config.early_stop_patience": 5,
    }


def test_a_table_that_is_the_value_of_an_option_is_one_setting(resolved: Path) -> None:
    """An MLflow server takes no names like those of files."""
    files = {"${DATA}/x+y.parquet": "0", "a.csv": "1"}
    table = ", ".join(f'"{name}" = "{value}"' for name, value in files.items())
    options = f'classes = ["B", "S"]\nfingerprints = {{ {table} }}\nbinned = {{}}'
    resolved.write_text(RESOLVED.replace('classes = ["B", "S"]', options))
    found = settings({}, resolved, None)
    assert found["dataset_config.fingerprints"] == files
    assert found["dataset_config.binned"] == {}
    assert not any("DATA" in name for name in found)
    own = {"fingerprints": files}
    assert "dataset_config.fingerprints" not in settings(own, resolved, None)


def test_a_table_that_is_a_constant_is_shown_once_whatever_its_keys_are(resolved: Path) -> None:
    table = '[dataset_config.derived]\nht = "a + b"\n"jet pt" = "c"\n\n[dataset_config.split]'
    resolved.write_text(RESOLVED.replace("[dataset_config.split]", table))
    for derived in ({"ht": "a + b", "jet pt": "c"}, {"ht": "a + b"}):
        found = settings({"derived": derived}, resolved, None)
        assert found["derived"] == derived
        assert not [name for name in found if "config.derived" in name]
        resolved.write_text(resolved.read_text().replace('"jet pt" = "c"\n', ""))
    assert settings({}, resolved, None)["dataset_config.derived.ht"] == "a + b"


def test_without_a_record_that_says_what_runs_settings_are_the_constants() -> None:
    assert settings({"lr": 0.1}, None, "a") == {"lr": 0.1}


def test_settings_are_those_that_a_point_or_a_stage_has(resolved: Path) -> None:
    assert settings({"max_epochs": 3}, resolved, "a") == COMMON | {
        "max_epochs": 3,
        "experiment_config.seed": 1,
        "experiment_config.run_name": "of a",
    }
    assert settings({}, resolved, "b") == COMMON | {
        "experiment_config.seed": 2,
        "training_config.max_epochs": 2,
        "training_config.early_stop_patience": 5,
    }
    assert settings({}, resolved, "ratio") == COMMON | {
        "experiment_config.seed": 1,
        "training_config.max_epochs": 7,
        "training_config.early_stop_patience": 5,
    }


def test_what_a_point_has_otherwise_is_put_where_the_spec_has_it(resolved: Path) -> None:
    row = """
[[points]]
identity = "c"
values = { "dataset_config.samples.0.weight" = "w * w", "training_config.loss_params.gamma" = 3.0 }
follow = {}
lacks = []
"""
    text = RESOLVED.replace("[[points]]", f"{row.strip()}\n\n[[points]]", 1)
    resolved.write_text(text)
    found = settings({}, resolved, "c")
    assert found["dataset_config.samples"] == [{"name": "ggH", "weight": "w * w"}]
    assert found["training_config.loss_params.gamma"] == 3.0
    assert not [name for name in found if ".samples." in name]


READER = """
import sys
from pathlib import Path
from parts.machinery.reports import settings
print(ascii(settings({}, Path(sys.argv[1]), None)["dataset_config.samples"]))
"""


def test_options_are_read_whatever_the_language_of_the_machine(resolved: Path) -> None:
    resolved.write_text(RESOLVED.replace("ggH", "gr\u00f6\u00dfer"), "utf-8")
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    ended = subprocess.run(
        [sys.executable, "-c", READER, str(resolved)],
        env={**os.environ, **plain, "PYTHONPATH": str(TEMPLATES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "[{'name': 'gr\\xf6\\xdfer'}]\n", ended.stderr
