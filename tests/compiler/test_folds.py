"""A cross-validation is a sweep whose last axis is the fold, and something that combines them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from seesawc.pipeline import Compiled
from seesawc.writing import scripts
from seesawc.writing.batch import BATCH, CHAIN, CLOSING
from tests.compiler.test_sweep import GRIDS, assert_merged, compiled
from tests.runs.experiments import SPEC
from tests.spec_tables import merged

FOLD, SEED = "dataset_config.fold", "experiment_config.seed"
HIDDEN = "model_config.architecture_config.n_hidden"
JOB: dict[str, Any] = {"slurm_config": {"time": "01:00:00"}}
NAMED: dict[str, Any] = {"experiment_config": {"run_name": "r"}}


def folded(*changes: dict[str, Any], folds: int = 3) -> dict[str, Any]:
    """The tables of a cross-validation."""
    tables = merged(SPEC, {"dataset_config": {"folds": folds}})
    for each in (NAMED, *changes):
        tables = merged(tables, each)
    return tables


def values(found: Compiled) -> list[dict[str, Any]]:
    return [dict(run.values) for run in found.runs]


def resolved(found: Compiled) -> dict[str, Any]:
    return tomllib.loads(found.files["resolved.toml"])


def test_each_fold_is_a_point_of_one_script(tmp_path: Path) -> None:
    found = compiled(tmp_path, folded(JOB, folds=4))
    assert values(found) == [{FOLD: fold} for fold in range(4)]
    assert [run.name for run in found.runs] == [f"r-{run.identity}" for run in found.runs]
    assert len({run.identity for run in found.runs}) == 4
    assert "#SBATCH --array=0-3\n" in found.files[BATCH]
    assert {scripts.COMBINE, CLOSING, CHAIN} < found.files.keys()
    script = found.files[scripts.SCRIPT]
    assert script.startswith('"""Cross-validate a classifier of signal against background in 4 f')
    assert "    split=Fold(FOLD, FOLDS),\n" in script
    assert "TRAIN" not in script


def test_folds_come_after_grid_points_and_seeds(tmp_path: Path) -> None:
    points = [{"training_config": {"max_epochs": 5}}]
    sweep = {"grid": GRIDS["n_hidden"], "points": points, "seeds": [8, 9]}
    found = compiled(tmp_path, folded({"sweep_config": sweep}))
    grid = [{HIDDEN: hidden} for hidden in (8, 16, 32)] + [{"training_config.max_epochs": 5}]
    assert values(found) == [
        each | {SEED: seed, FOLD: fold} for each in grid for seed in (8, 9) for fold in range(3)
    ]
    assert len({run.identity for run in found.runs}) == 24
    # What is combined are those that differ in their fold alone.
    assert [dict(each.values) for each in found.combined] == [
        each | {SEED: seed} for each in grid for seed in (8, 9)
    ]
    runs = [run.index for each in found.combined for run in each.runs]
    assert runs == list(range(24))
    assert len({each.name for each in found.combined}) == 8
    assert all(re.fullmatch(r"r-\w{10}-combined", each.name) for each in found.combined)


def test_a_limit_alone_is_no_sweep_of_nothing_where_there_are_folds(tmp_path: Path) -> None:
    found = compiled(tmp_path, folded(JOB, {"sweep_config": {"max_parallel": 2}}))
    assert "#SBATCH --array=0-2%2\n" in found.files[BATCH]
    assert [each.name for each in found.combined] == ["r-combined"]


def test_a_fold_is_trained_as_its_plain_script_trains_it(tmp_path: Path) -> None:
    assert_merged(tmp_path, folded())
    assert_merged(tmp_path, folded({"sweep_config": {"grid": GRIDS["model"], "seeds": [1, 2]}}))


def test_one_fold_alone_is_a_plain_training(tmp_path: Path) -> None:
    found = compiled(tmp_path, folded(JOB, {"dataset_config": {"fold": 2}}))
    assert [run.name for run in found.runs] == ["r"]
    assert {scripts.COMBINE, CLOSING, CHAIN}.isdisjoint(found.files)
    assert (found.points, found.combined) == ((), ())
    assert "FOLDS = 3\nFOLD = 2\n" in found.files[scripts.SCRIPT]
    assert "--array" not in found.files[BATCH].replace("the points are --array", "")
    # A grid of it is a grid of this fold.
    swept = compiled(
        tmp_path, folded({"dataset_config": {"fold": 2}, "sweep_config": {"seeds": [1, 2]}})
    )
    assert values(swept) == [{SEED: 1}, {SEED: 2}]
    assert swept.combined == ()
    assert "sweep of classifiers" in swept.files[scripts.SCRIPT]


def test_no_split_is_shown_as_if_it_counted(tmp_path: Path) -> None:
    found = compiled(tmp_path, folded())
    data = resolved(found)["dataset_config"]
    assert data["folds"] == 3
    assert {"split", "fold"}.isdisjoint(data)
    assert [point["values"] for point in resolved(found)["points"]] == values(found)
    plain = resolved(compiled(tmp_path, merged(SPEC, NAMED)))["dataset_config"]
    assert plain["split"] == {"train": 0.6, "validation": 0.2, "test": 0.2}
    assert {"folds", "fold"}.isdisjoint(plain)


def test_folds_alone_are_named_for_their_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    unnamed = {"experiment_config": {"run_name": None}}
    found = compiled(tmp_path, folded(unnamed))
    assert found.experiment.experiment_config.run_name == "toy_MLP_20010909T014640Z"
    swept = compiled(tmp_path, folded(unnamed, {"sweep_config": {"grid": GRIDS["model"]}}))
    assert swept.experiment.experiment_config.run_name == "toy_sweep_20010909T014640Z"


def test_a_fold_is_known_by_its_number_whatever_else_is_swept(tmp_path: Path) -> None:
    few = {run.identity for run in compiled(tmp_path, folded()).runs}
    more = compiled(tmp_path, folded({"sweep_config": {"points": [{}], "grid": GRIDS["lr"]}}))
    assert few < {run.identity for run in more.runs}
    # Other machines, and later versions, must say the same.
    assert compiled(tmp_path, folded()).runs[0].identity == "240b89d968"


def test_a_checkpoint_that_none_of_the_events_trained_goes_with_all_folds(tmp_path: Path) -> None:
    model = {"load_checkpoint": "a.ckpt", "checkpoint_events": "unseen", "continue_training": True}
    swept = {"points": [{}, {"model_config": {"load_checkpoint": "b.ckpt"}}]}
    found = compiled(tmp_path, folded({"model_config": model, "sweep_config": swept}))
    assert len(found.runs) == 6
    # One that has trained, of its own fold.
    own = {"dataset_config": {"fold": 1}, "model_config": {"load_checkpoint": "a.ckpt"}}
    assert len(compiled(tmp_path, folded(own)).runs) == 1


def test_what_combines_is_one_task_without_a_gpu(tmp_path: Path) -> None:
    gpus = {
        "experiment_config": {"accelerator": "gpu", "devices": 2},
        "slurm_config": {
            "time": "01:00:00", "nodes": 2, "gpu_type": "a100", "memory_per_gpu": "3G", "cpus": 4,
            "partition": "gpu", "account": "atlas", "modules": ["python"], "environment": "env",
            "extra": ["--gpu-bind=closest", "--exclusive"],
        },
    }  # fmt: skip
    files = compiled(tmp_path, folded(gpus)).files
    lines = files[CLOSING].splitlines()
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert directives == [
        "--job-name=toy", "--partition=gpu", "--account=atlas", "--time=01:00:00", "--nodes=1",
        "--ntasks-per-node=1", "--cpus-per-task=4", f"--mem={2 * 3 * 2**20}K", "--requeue",
        "--signal=USR2@120", "--open-mode=append", "--output=slurm-%j.out", "--exclusive",
    ]  # fmt: skip
    assert '    python "$script" || status=$?' in lines
    # All that a training loads and asks for, it does as well.
    for text in ("module load python", "conda activate env", "ANALYSIS_ML_LOGS_DIR:?"):
        assert text in files[CLOSING]
        assert text in files[BATCH]
    # Begun anew it would take as long.
    assert "scontrol requeue" in files[BATCH]
    assert "scontrol requeue" not in files[CLOSING]
