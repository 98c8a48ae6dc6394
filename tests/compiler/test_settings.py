"""Constants: each option that decides something is one, no two are the same, none is unused."""

import re
import symtable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from parts.machinery.reports import constants_of
from seesawc import pipeline
from seesawc.package import templates
from seesawc.tables import signatures
from seesawc.tables.resolution import Experiment, options
from seesawc.tables.signatures import Signature
from seesawc.tables.spec import keys
from seesawc.tables.training import LossTable, Scheduler
from seesawc.writing import imports, parts, settings
from seesawc.writing.literals import Verbatim
from seesawc.writing.scripts import TABLE
from seesawc.writing.settings import Group, IfThere
from tests.runs import fakes
from tests.runs.experiments import SPEC
from tests.spec_tables import merged, write_spec


def trained(folder: Path, tables: dict[str, Any]) -> tuple[Experiment, ...]:
    checked = pipeline.check(write_spec(folder / "toy.toml", tables))
    return checked.stages or (checked.experiment,)


def script(folder: Path, changes: dict[str, Any]) -> str:
    path = write_spec(folder / "specs" / "toy.toml", merged(SPEC, changes))
    return pipeline.compile_spec(path, folder / "generated" / "toy").files["train_signal.py"]


def names(groups: list[Group]) -> list[str]:
    return [name for group in groups for key in group.values for name in key.split(", ")]


def unused(text: str) -> set[str]:
    """The names that a script defines at its top level and looks up nowhere."""
    table = symtable.symtable(text, "script", "exec")
    tables = [table]
    for each in tables:
        tables += each.get_children()
    used = {s.get_name() for t in tables for s in t.get_symbols() if s.is_referenced()}
    defined = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_namespace()}
    return defined - used


def usable(known: Mapping[str, Signature]) -> list[str]:
    return [name for name, signature in known.items() if signature.refused is None]


def values(signature: Signature) -> dict[str, Any]:
    """Some value for every parameter that torch takes and that a spec may give."""
    some: dict[str, Any] = {"bool": True, "str": "x", "floats": (1.0, 1.0), "ints": (1, 1)}
    return {p.name: some.get(p.kind, 1) for p in signature.parameters}


def with_params(trained: Experiment, optimizer: str, scheduler: str | None) -> Experiment:
    """An experiment with every parameter that torch's optimizer and scheduler take."""
    table = trained.training_config
    params = values(signatures.optimizers()[optimizer])
    own = evolve(table.optimizer, optimizer_name=optimizer, optimizer_params=params)
    schedule = None
    if scheduler is not None:
        params = values(signatures.schedulers()[scheduler])
        schedule = Scheduler(scheduler_name=scheduler, scheduler_params=params, interval="epoch")
    changed = evolve(table, optimizer=own, scheduler=schedule, loss_params={})
    return evolve(trained, training_config=changed)


@pytest.mark.parametrize("task", ["signal", "fakes"])
def test_no_two_options_make_the_same_constant(task: str, tmp_path: Path) -> None:
    tables = SPEC if task == "signal" else merged(fakes.SPEC, fakes.EVERYTHING)
    for each in trained(tmp_path, tables):
        table = each.training_config
        bare = evolve(table.optimizer, optimizer_params={})
        bare_training = evolve(table, optimizer=bare, scheduler=None, loss_params={})
        known = names(list(settings.groups(evolve(each, training_config=bare_training))))
        assert len(set(known)) == len(known)
        losses = {f"LOSS_{name.upper()}" for name in keys(LossTable)}
        assert not losses & set(known)
        for optimizer in usable(signatures.optimizers()):
            for scheduler in (None, *usable(signatures.schedulers())):
                full = with_params(each, optimizer, scheduler)
                found = names(list(settings.groups(full)))
                params = len(full.training_config.optimizer.optimizer_params)
                if schedule := full.training_config.scheduler:
                    # It moves each interval, and is no longer null.
                    params += len(schedule.scheduler_params) + 1 - 1
                assert len(set(found)) == len(found) == len(known) + params, (optimizer, scheduler)
                assert not losses & set(found)


@pytest.mark.parametrize("task", ["signal", "fakes"])
def test_no_constant_is_named_as_something_that_scripts_import(task: str, tmp_path: Path) -> None:
    taken = {*parts.homes(templates()), *imports.LIBRARIES, *TABLE, "SWEEP", "DATASET", "SCRIPT"}
    for each in trained(tmp_path, SPEC if task == "signal" else fakes.SPEC):
        for optimizer in usable(signatures.optimizers()):
            found = names(list(settings.groups(with_params(each, optimizer, None))))
            assert not taken & set(found)


def test_the_ratio_has_the_networks_of_its_parents_under_their_names(tmp_path: Path) -> None:
    *before, ratio = trained(tmp_path, merged(fakes.SPEC, fakes.EVERYTHING))
    groups = list(settings.groups(ratio, tuple(before)))
    values = {name: value for group in groups for name, value in group.values.items()}
    assert (values["N_HIDDEN"], values["NUMERATOR"]["n_hidden"]) == (8, 16)
    assert values["DENOMINATOR_ACT_OUT"] == "Abs"
    assert len(set(names(groups))) == len(names(groups))


SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tested": {"model_config": {"load_checkpoint": "x.ckpt"}},
    "unseen": {"model_config": {"load_checkpoint": "x.ckpt", "checkpoint_events": "unseen"}},
    "continued": {"model_config": {"load_checkpoint": "x.ckpt", "continue_training": True}},
    "numerical": {"dataset_config": {"categorical": []}},
    "categorical": {"dataset_config": {"numerical": [], "missing": None}},
    "logarithmic": {"dataset_config": {"logarithmic": ["x"], "scaling": "none"}},
    "ResNet": {"model_config": {"architecture_config": {"model": "ResNet"}}},
    "stopping": {"training_config": {"early_stop_patience": 3, "warmup": {"epochs": 0.5}}},
    "late stopping": {
        "training_config": {
            "early_stop_patience": 3,
            "early_stop_min_delta": 0.1,
            "min_epochs": 2,
        }
    },
    "comet": {"experiment_config": {"comet_api_key": "${KEY}", "comet_project_name": "p"}},
    "sweep": {"sweep_config": {"seeds": [1, 2]}},
    "swept": {
        "sweep_config": {
            "grid": {"model_config": {"architecture_config": {"model": ["MLP", "ResNet"]}}},
            "points": [{"training_config": {"early_stop_patience": 3}}],
        }
    },
}


@pytest.mark.parametrize("name", SPECS)
def test_a_script_has_no_unused_name(name: str, tmp_path: Path) -> None:
    assert not unused(script(tmp_path, SPECS[name]))


def test_groups_give_what_is_used_and_a_group_without_any_is_not_written() -> None:
    group = Group("Split.", {"TRAIN, TEST": (0.5, 0.5), "MISSING": -1.0})
    assert group.used({"TEST", "LR"}).values == {"TRAIN, TEST": (0.5, 0.5)}
    text = settings.render((group.used({"MISSING"}), Group("Other.", {"A": 1}).used(())))
    assert text == "# Split.\nMISSING = -1.0"


def test_a_constant_that_some_points_lack_is_theirs_alone() -> None:
    group = Group("Loss.", {"GAMMA": IfThere("gamma"), "LOSS": Verbatim('POINT["loss"]')})
    assert settings.render((group,)) == (
        '# Loss.\nif "gamma" in POINT:\n    GAMMA = POINT["gamma"]\nLOSS = POINT["loss"]'
    )


def test_null_is_none_however_it_is_spelt(tmp_path: Path) -> None:
    never = {"check_metrics_n_epoch": "never", "plot_metrics_n_epoch": "never", "seed": None}
    text = script(tmp_path, {"experiment_config": never})
    for name in ("CHECK_METRICS_N_EPOCH", "PLOT_METRICS_N_EPOCH", "SEED"):
        assert f"\n{name} = None\n" in text


# Where options stand that are no constant of their own; None: what they decide is no setting.
ELSEWHERE: dict[str, str | None] = {
    "task": None,
    "model_config.name": None,
    "model_config.continue_training": "start_from=start_from",
    "dataset_config.weight": 'weight="weight"',
    "dataset_config.split.train": "TRAIN, VALIDATION, TEST = (0.6, 0.2, 0.2)",
    "dataset_config.split.validation": "TRAIN, VALIDATION, TEST = (0.6, 0.2, 0.2)",
    "dataset_config.split.test": "TRAIN, VALIDATION, TEST = (0.6, 0.2, 0.2)",
    # In the place of a split.
    "dataset_config.folds": None,
    "dataset_config.fold": None,
    "model_config.architecture_config.batchnorm": "NORM = nn.LayerNorm\n",
    "model_config.architecture_config.layernorm": "NORM = nn.LayerNorm\n",
    "training_config.optimizer.optimizer_name": "torch.optim.SGD(",
    "training_config.scheduler.scheduler_name": "torch.optim.lr_scheduler.StepLR(",
    "training_config.optimizer.optimizer_params": "MOMENTUM = 0.5\n",
    "training_config.scheduler.scheduler_params": "SCHEDULER_STEP_SIZE = 2\n",
    "training_config.loss_params": "LOSS_GAMMA = 3.0\n",
    "training_config.export_onnx": "deploy(run, ",
    "dataset_config.samples.0.name": 'name="ggH"',
    "dataset_config.samples.0.class": "# signal\n",
    "dataset_config.samples.0.files": 'files=("../data/toy.root",)',
    "dataset_config.samples.0.class_column": None,
    "dataset_config.samples.0.table": None,
    "dataset_config.samples.0.tree": 'reader=Root("nominal"),',
    "dataset_config.samples.0.selection": 'selection="process == 1"',
    "dataset_config.samples.0.weight": 'weight="weight"',
}
FULL: dict[str, Any] = {
    "experiment_config": {
        "comet_api_key": "${COMET_API_KEY}",
        "comet_project_name": "p",
        "save_dir": "logs",
        "experiment_label": "ATLAS Internal",
        "energy": 13.6,
        "luminosity": 140,
    },
    "dataset_config": {
        "logarithmic": ["x"],
        "fingerprints": {"../data/toy.root": "0a" * 32},
        "derived": {"x": "u + v"},
        "labels": {"x": "$x$ [GeV]"},
        "class_labels": {"signal": "$H$"},
        "drop_other_classes": True,
        "negative_weights": "drop",
        "max_memory": "4G",
        "class_values": {"background": [0], "signal": [1]},
        "samples": [
            {
                "name": "ggH",
                "class": "signal",
                "files": ["../data/toy.root"],
                "tree": "nominal",
                "selection": "process == 1",
            },
            {"name": "all", "class_column": "process", "files": ["../data/toy.h5"], "table": "t"},
        ],
    },
    "model_config": {
        "load_checkpoint": "x.ckpt",
        "continue_training": True,
        "checkpoint_events": "numbered",
        "architecture_config": {"model": "ResNet", "layernorm": True},
    },
    "training_config": {
        "loss": "focal",
        "loss_params": {"gamma": 3.0},
        "early_stop_patience": 4,
        "early_stop_min_delta": 0.01,
        "min_epochs": 2,
        "gradient_clip_val": 2.0,
        "warmup": {"epochs": 0.5},
        "optimizer": {"optimizer_name": "SGD", "optimizer_params": {"lr": 0.1, "momentum": 0.5}},
        "scheduler": {"scheduler_name": "StepLR", "scheduler_params": {"step_size": 2}},
    },
}
# Of fakes, or a sum of their options; not of this task.
OTHERS = re.compile(
    r"w_lambda|ess_lambda|clip_quantile|act_out|\.kind$|samples\.1|^fakes|^s.*_config"
)


def test_every_option_that_reaches_a_script_is_a_constant_or_stands_in_its_text(
    tmp_path: Path,
) -> None:
    tables = merged(SPEC, FULL)
    (experiment,) = trained(tmp_path, tables)
    text = script(tmp_path, FULL)
    constants = set(re.findall(r"^([A-Z_0-9]+)(?:: .*)? = ", text, re.MULTILINE))
    missing = []
    for key, value in options(experiment):
        name = ".".join(map(str, key))
        if name in ELSEWHERE:
            assert (ELSEWHERE[name] or "") in text, name
        elif (
            not OTHERS.search(name)
            and not {each.upper() for each in constants_of(name)} & constants
        ):
            missing.append((name, value))
    assert missing == []
