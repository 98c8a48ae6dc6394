"""What combines folds knows the runs of each training by fold, and has that training's settings."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from seesawc.pipeline import Compiled
from seesawc.writing.scripts import COMBINE
from tests.compiler.test_sweep import GRIDS, compiled
from tests.runs.experiments import SPEC
from tests.spec_tables import merged

FOLDS: dict[str, Any] = {"dataset_config": {"folds": 3}, "experiment_config": {"run_name": "r"}}


def constants(text: str) -> dict[str, Any]:
    """Return the constants of a script that are plain values."""
    found = {}
    for node in ast.parse(text).body:
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
                if name.isupper() and isinstance(value, ast.Constant | ast.Tuple | ast.Dict):
                    found[name] = ast.literal_eval(value)
    return found


def trained(found: Compiled) -> list[tuple[str, str]]:
    """Return run and digest of each point, in order."""
    rows = tomllib.loads(found.files["resolved.toml"])["points"]
    return [(row["run_name"], row["script"][:16]) for row in rows]


def swept(folder: Path, **table: Any) -> Compiled:
    return compiled(folder, merged(SPEC, FOLDS | {"sweep_config": table}))


def test_folds_alone_are_one_combination_without_points(tmp_path: Path) -> None:
    found = compiled(tmp_path, merged(SPEC, FOLDS))
    known = constants(found.files[COMBINE])
    assert known["RUNS"] == tuple(trained(found))
    assert known["COMBINED"] == "r-combined"
    assert "POINT" not in found.files[COMBINE]
    assert "--point" not in found.files[COMBINE]


def test_each_point_and_seed_is_a_combination_of_its_folds(tmp_path: Path) -> None:
    found = swept(tmp_path, grid=GRIDS["numerical"], seeds=[1, 2])
    points = constants(found.files[COMBINE])["POINTS"]
    assert len(points) == 6
    runs = [run for point in points.values() for run in point["runs"]]
    assert runs == trained(found)
    assert [point["combined"] for point in points.values()] == [
        f"r-{identity}-combined" for identity in points
    ]
    # That of a sweep without folds.
    plain = compiled(
        tmp_path, merged(SPEC, {"sweep_config": {"grid": GRIDS["numerical"], "seeds": [1, 2]}})
    )
    assert [run.identity for run in plain.runs] == list(points)


def test_a_combination_has_the_features_and_classes_of_its_training(tmp_path: Path) -> None:
    found = swept(tmp_path, grid=merged(GRIDS["numerical"], GRIDS["samples"]))
    text = found.files[COMBINE]
    points = list(constants(text)["POINTS"].values())
    assert [point["numerical"] for point in points] == [
        features for features in (("x", "y", "z"), ("x",), ()) for _ in range(2)
    ]
    assert [len(point["classes"]) for point in points] == [2, 3] * 3
    # Of two classes and of three, by the definition that is theirs.
    for kind, number in (("binary", 1), ("multiclass", 2)):
        body = text.partition(f"def combine_folds_{number}(")[2].partition("\n\n\n")[0]
        assert f"combine_{kind}(" in body
        assert f"combined_{kind}_figures(" in body
        assert [point["combine_folds"] for point in points][number - 1 :: 2] == [number] * 3


@pytest.mark.parametrize("option", ["lr", "seed", "act", "batch_size"])
def test_what_only_trainings_need_is_no_setting_of_it(tmp_path: Path, option: str) -> None:
    points = constants(swept(tmp_path, grid=GRIDS[option]).files[COMBINE])["POINTS"]
    assert {tuple(point) for point in points.values()} == {("point", "combined", "runs")}


def test_one_fold_alone_has_nothing_to_combine(tmp_path: Path) -> None:
    found = compiled(tmp_path, merged(SPEC, {"dataset_config": {"folds": 3, "fold": 1}}))
    assert COMBINE not in found.files
    assert COMBINE not in compiled(tmp_path, SPEC).files


def test_labels_and_the_key_of_comet_are_handed_on(tmp_path: Path) -> None:
    changes = {
        "experiment_config": {
            "experiment_label": "Toys", "energy": 13.6, "comet_api_key": "${COMET_API_KEY}",
        },
        "dataset_config": {"class_labels": {"signal": "$H$"}},
    }  # fmt: skip
    text = compiled(tmp_path, merged(merged(SPEC, FOLDS), changes)).files[COMBINE]
    assert "label=Label(EXPERIMENT_LABEL, ENERGY, LUMINOSITY)," in text
    assert "comet=(COMET_API_KEY[2:-1], COMET_PROJECT_NAME)," in text
    assert "labelled(CLASSES, CLASS_LABELS)" in text
    assert "comet-ml==" in text
    assert "mlflow==" not in text
