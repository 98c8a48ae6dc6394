"""One kind of mistake hides no other, and none is told of what another has made unknown."""

from pathlib import Path
from typing import Any

import pytest
import tomlkit

from seesawc import pipeline
from seesawc.diagnostics import CompileError
from tests.runs import fakes
from tests.runs.experiments import SPEC
from tests.spec_tables import merged

JOB = {"time": "01:00:00"}


def told(changes: dict[str, Any], base: dict[str, Any] = SPEC) -> list[str]:
    """The messages for a spec with tables changed."""
    text = tomlkit.dumps(merged(base, changes))
    try:
        pipeline.check(Path("toy.toml"), text)
    except CompileError as error:
        return [diagnostic.message for diagnostic in error.diagnostics]
    return []


# Faults of names, types and ranges, in tables of their own.
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"experiment_config": {"sede": 1}}, 'unknown option "sede"'),
    "like no other": ({"experiment_config": {"zzzz": 1}}, 'unknown option "zzzz"'),
    "table": ({"slrum_config": JOB}, 'unknown table or option "slrum_config"'),
    "type": ({"experiment_config": {"seed": "1"}}, "'1' is not a whole number"),
    "range": ({"training_config": {"save_top_k": 0}}, "0 is too small"),
    "missing": ({"experiment_config": {"experiment_name": None}}, "[experiment_config] lacks"),
    "inner": ({"dataset_config": {"split": {"trian": 0.5}}}, 'unknown option "trian"'),
}
# Faults across options that have nothing to do with those.
CROSSED: dict[str, tuple[dict[str, Any], str]] = {
    "monitor": ({"training_config": {"monitor": "val_acu"}}, 'unknown metric "val_acu"'),
    "activation": (
        {"model_config": {"architecture_config": {"act": "Relu6x"}}},
        "torch.nn has no activation",
    ),
    "optimizer": (
        {"training_config": {"optimizer": {"optimizer_name": "Adamm"}}},
        "torch.optim has no",
    ),
    "comet": ({"experiment_config": {"comet_project_name": "p"}}, "a Comet project without"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("crossed", CROSSED)
def test_faults_of_both_kinds_are_told_at_once(broken: str, crossed: str) -> None:
    one, first = BROKEN[broken]
    other, second = CROSSED[crossed]
    (alone,) = told(one)
    assert alone.startswith(first)
    (beside,) = told(other)
    assert beside.startswith(second)
    assert sorted(told(merged(one, other))) == sorted([alone, beside])


FOLLOW_UPS: dict[str, dict[str, Any]] = {
    # As with their defaults they would be wrong.
    "epochs": {
        "training_config": {"max_epochs": "90"},
        "experiment_config": {"check_eval_n_epoch": 60},
    },
    "misspelt epochs": {
        "training_config": {"max_epoch": 90, "max_epochs": None},
        "experiment_config": {"check_eval_n_epoch": 60},
    },
    "devices": {
        "experiment_config": {"devices": 2.5, "accelerator": "gpu"},
        "slurm_config": JOB | {"gpus": 4},
    },
    "accelerator": {
        "experiment_config": {"accelerator": "gpus"},
        "slurm_config": JOB | {"gpu_type": "a"},
    },
    "features": {"dataset_config": {"numerical": "x", "categorical": [], "logarithmic": ["y"]}},
    "dataset": {"dataset_config": 5, "training_config": {"monitor": "val_auc_top"}},
    "class values": {
        "dataset_config": {"class_values": 5},
        "training_config": {"loss": "cross_entropy"},
    },
    "model": {"model_config": {"architecture_config": {"model": "Resnet", "block_size": 2}}},
    "scheduler": {"training_config": {"scheduler": {"scheduler_nam": "StepLR"}}},
    "stopping": {"training_config": {"early_stop_patience": "3", "min_epochs": 2}},
    "sweep": {"sweep_config": {"seeds": [-1]}},
    "job": {"slurm_config": 5, "sweep_config": {"seeds": [1], "max_parallel": 2}},
}


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_what_another_mistake_has_made_unknown_is_no_mistake(name: str) -> None:
    assert len(told(FOLLOW_UPS[name])) == 1


@pytest.mark.parametrize("index", [0, 1])
def test_a_sample_that_is_broken_hides_nothing_of_others(index: int) -> None:
    samples = [dict(sample) for sample in SPEC["dataset_config"]["samples"]]
    samples[index]["clas"] = samples[index].pop("class")
    samples[1 - index]["tree"] = "nominal"
    found = told({"dataset_config": {"samples": samples}})
    assert found == ['unknown option "clas"'] or sorted(found) == sorted(
        ['unknown option "clas"', "tree is for ROOT files"]
    )
    assert len(told({"dataset_config": {"samples": samples}, **CROSSED["activation"][0]})) >= 2


SIGNAL = {"name": "ggH", "class": "signal", "files": ["a.csv"]}
BACKGROUND = {"name": "qqZZ", "class": "background", "files": ["b.csv"]}
LISTS: dict[str, dict[str, Any]] = {
    "samples": {
        "dataset_config": {
            "samples": ["x", {"class": "signal", "files": ["a.csv"]}, SIGNAL | {"weight": 5}]
        }
    },
    "files": {"dataset_config": {"samples": [SIGNAL | {"files": [1, 2, 3]}, BACKGROUND]}},
    "points": {"sweep_config": {"points": ["x", 5, "y"]}},
    "devices": {"experiment_config": {"devices": ["x"], "seed": "y", "sede": 1}},
}


@pytest.mark.parametrize("name", LISTS)
def test_several_mistakes_within_one_list_are_told_beside_others(name: str) -> None:
    alone = told(LISTS[name])
    assert alone
    (beside,) = told(CROSSED["activation"][0])
    assert sorted(told(merged(LISTS[name], CROSSED["activation"][0]))) == sorted([*alone, beside])


def test_a_sweep_of_what_does_not_exist_is_told_beside_mistakes_of_the_spec() -> None:
    grid = {"training_config": {"max_epoch": [1, 2]}}
    found = told({"sweep_config": {"grid": grid}} | BROKEN["type"][0])
    assert sorted(found) == ["'1' is not a whole number", 'unknown option "max_epoch"']


def test_the_three_trainings_of_fakes_tell_each_mistake_once() -> None:
    changes = {"training_config": {"loss": "mse", "max_epochs": "3"}}
    assert sorted(told(changes, fakes.SPEC)) == [
        "'3' is not a whole number",
        "the minimum of mse is not at a density ratio",
    ]
