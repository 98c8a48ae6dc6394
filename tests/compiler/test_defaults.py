"""What an option is that a spec leaves out, and where a value stops being allowed."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from seesawc import pipeline
from seesawc.diagnostics import CompileError
from seesawc.tables.resolution import Experiment
from tests.spec_tables import merged, write_spec

ERRORS = Path(__file__).parents[1] / "errors"
SIGNAL: dict[str, Any] = tomllib.loads((ERRORS / "base.toml").read_text())
FAKES: dict[str, Any] = tomllib.loads((ERRORS / "fakes.toml").read_text())


def resolved(folder: Path, base: dict[str, Any], *changes: dict[str, Any]) -> Experiment:
    tables = base
    for change in changes:
        tables = merged(tables, change)
    return pipeline.check(write_spec(folder / "spec.toml", tables)).experiment


def table(name: str, **options: Any) -> dict[str, Any]:
    return {f"{name}_config": options}


def network(**options: Any) -> dict[str, Any]:
    return table("model", architecture_config=options)


# What a spec that says nothing else than `SIGNAL` has.
DEFAULTS: dict[str, dict[str, Any]] = {
    "experiment_config": {
        "save_dir": "${ANALYSIS_ML_LOGS_DIR}",
        "tracker_path": "${ANALYSIS_ML_RESULTS_DIR}",
        "accelerator": "auto",
        "devices": "auto",
        "precision": "32-true",
        "float32_matmul_precision": "high",
        "comet_api_key": None,
        "comet_project_name": None,
        "log_every_n_steps": 50,
        "check_eval_n_epoch": 1,
        "num_sanity_val_steps": 0,
        "check_metrics_n_epoch": 1,
        "plot_metrics_n_epoch": 5,
        "experiment_label": None,
        "energy": None,
        "luminosity": None,
        "tqdm_refresh_rate": 20,
    },
    "dataset_config": {
        "classes": ("background", "signal"),
        "class_values": None,
        "drop_other_classes": False,
        "negative_weights": "keep",
        "derived": {},
        "missing": None,
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
        "folds": None,
        "fold": None,
        "logarithmic": (),
        "scaling": "standard",
        "batch_size": 1024,
        "max_memory": None,
        "use_mc_weights": True,
        "use_class_weights": True,
        "labels": {},
        "class_labels": {},
        "fingerprints": {},
    },
    "model_config": {
        "name": "sigBkgClassifier",
        "load_checkpoint": None,
        "continue_training": False,
        "checkpoint_events": "same",
        "architecture_config": {
            "model": "MLP",
            "n_layers": 3,
            "n_hidden": 128,
            "act": "ReLU",
            "act_out": None,
            "dropout": 0.0,
            "batchnorm": False,
            "layernorm": False,
            "block_size": None,
            "embedding_dim": 8,
        },
    },
    "training_config": {
        "loss": "bce",
        "loss_params": {},
        "w_lambda": None,
        "ess_lambda": None,
        "clip_quantile": None,
        "scheduler": None,
        "warmup": None,
        "early_stop_patience": None,
        "early_stop_min_delta": None,
        "min_epochs": None,
        "monitor": "val_loss",
        "monitor_mode": "min",
        "save_top_k": 1,
        "save_every_n_minutes": 10.0,
        "gradient_clip_val": None,
        "export_onnx": True,
    },
    "slurm_config": {
        "partition": None,
        "account": None,
        "qos": None,
        "constraint": None,
        "nodes": 1,
        "tasks_per_node": 1,
        "gpus": 0,
        "cpus": 1,
        "memory": None,
        "memory_per_cpu": None,
        "memory_per_gpu": None,
        "gpu_type": None,
        "modules": (),
        "environment": None,
        "container": None,
        "requeue": True,
        "signal_lead": 120,
        "mail_user": None,
        "mail_type": (),
        "extra": (),
    },
}
# What `SIGNAL` itself says.
SAID = {
    "experiment_config": {"experiment_name", "run_name", "seed"},
    "dataset_config": {"samples", "event_number", "weight", "numerical", "categorical"},
    "model_config": set[str](),
    "training_config": {"max_epochs", "optimizer"},
    "slurm_config": {"time"},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_options_that_are_left_out(name: str, tmp_path: Path) -> None:
    found = asdict(resolved(tmp_path, SIGNAL))[name]
    assert {n: v for n, v in found.items() if n not in SAID[name]} == DEFAULTS[name]


def test_tables_that_are_left_out(tmp_path: Path) -> None:
    found = resolved(tmp_path, SIGNAL, {"model_config": None, "training_config": None})
    assert asdict(found.model_config) == DEFAULTS["model_config"]
    assert found.training_config.max_epochs == 30
    assert found.training_config.optimizer.optimizer_name == "AdamW"
    assert resolved(tmp_path, SIGNAL, {"slurm_config": None}).slurm_config is None


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        (table("training", monitor="val_auc"), "training_config.monitor_mode", "max"),
        (table("training", monitor="val_accuracy"), "training_config.monitor_mode", "max"),
        (table("training", monitor="last"), "training_config.monitor_mode", "min"),
        (table("training", monitor="last"), "training_config.shown", "val_loss"),
        (
            table("training", loss="focal"),
            "training_config.loss_params",
            {"gamma": 2.0},
        ),
        (
            table("training", warmup={}),
            "training_config.warmup.shape",
            "linear",
        ),
        (table("training", warmup={}), "training_config.warmup.epochs", 1.0),
        (
            table(
                "training",
                scheduler={"scheduler_name": "OneCycleLR", "scheduler_params": {"max_lr": 0.1}},
            ),
            "training_config.scheduler.interval",
            "step",
        ),
        (
            table(
                "training",
                scheduler={"scheduler_name": "StepLR", "scheduler_params": {"step_size": 1}},
            ),
            "training_config.scheduler.interval",
            "epoch",
        ),
        (network(model="ResNet"), "model_config.architecture_config.n_layers", 4),
        (network(model="ResNet"), "model_config.architecture_config.block_size", 2),
        (table("dataset", categorical=[]), "model_config.architecture_config.embedding_dim", None),
        (
            table("experiment", check_metrics_n_epoch="never"),
            "experiment_config.plot_metrics_n_epoch",
            "end",
        ),
        (table("slurm", mail_user="a@b.org"), "slurm_config.mail_type", ("END", "FAIL")),
        (
            table("experiment", accelerator="gpu", devices=3),
            "slurm_config.gpus",
            3,
        ),
        (table("experiment", devices=3, accelerator="cpu"), "slurm_config.tasks_per_node", 3),
        (table("slurm", gpus=2), "slurm_config.tasks_per_node", 2),
    ],
)
def test_defaults_that_follow_from_other_options(
    changes: dict[str, Any], name: str, value: object, tmp_path: Path
) -> None:
    found: Any = resolved(tmp_path, SIGNAL, changes)
    for part in name.split("."):
        found = getattr(found, part)
    assert found == value


def test_defaults_of_fakes(tmp_path: Path) -> None:
    checked = pipeline.check(write_spec(tmp_path / "spec.toml", FAKES))
    fakes = checked.experiment.fakes_config
    assert fakes is not None
    found = {
        n: v for n, v in asdict(fakes).items() if n not in ("numerator", "denominator", "ratio")
    }
    assert found == {
        "category": "el_type", "tight": 0, "loose": 2, "use_data_in_ratio": True, "n_members": 1,
        "bootstrap": False, "mc_normalisation": 0.0, "pt_slices": (), "pt": None,
        "crack_veto": False, "crack": None, "eta": None, "binned": {}, "tolerance": 0.1,
    }  # fmt: skip
    assert not checked.experiment.dataset_config.use_class_weights
    names = {"numerator": "numModel", "denominator": "denModel", "ratio": "ratioModel"}
    for trained in checked.stages:
        assert trained.model_config.name == names[str(trained.stage)]
        out = trained.model_config.architecture_config.act_out
        assert out == ("none" if trained.stage == "ratio" else "Softabs")
        assert trained.training_config.max_epochs == (10 if trained.stage == "ratio" else 30)
        assert trained.training_config.loss == "bce"
    members = table("fakes", n_members=2, crack_veto=True, pt_slices=[20])
    found = asdict(resolved(tmp_path, FAKES, members))["fakes_config"]
    assert found["bootstrap"] is True
    assert (found["pt"], found["eta"], found["crack"]) == ("pt", "eta", (1.37, 1.52))
    own = {"training_config": {"monitor": "val_chi2_mc"}}
    monitored = table("training", monitor="val_chi2")
    monitored |= table("fakes", numerator=own, denominator=own)
    checked = pipeline.check(write_spec(tmp_path / "spec.toml", merged(FAKES, monitored)))
    assert {trained.training_config.monitor_mode for trained in checked.stages} == {"min"}


EPOCHS = table("training", max_epochs=4)
# The last value that is allowed, and the first that is not.
BOUNDARIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "validations": (
        EPOCHS | table("experiment", check_eval_n_epoch=4),
        EPOCHS | table("experiment", check_eval_n_epoch=5),
    ),
    "warmup": (
        table("training", max_epochs=4, warmup={"epochs": 4}),
        table("training", max_epochs=4, warmup={"epochs": 4.01}),
    ),
    "lead": (
        table("slurm", time="00:10:00", signal_lead=300),
        table("slurm", time="00:10:00", signal_lead=301),
    ),
    "shortest lead": (table("slurm", signal_lead=10), table("slurm", signal_lead=9)),
    "longest lead": (table("slurm", signal_lead=3600), table("slurm", signal_lead=3601)),
    "shortest time": (
        table("slurm", time="00:01:00", signal_lead=10),
        table("slurm", time="00:00:59", signal_lead=10),
    ),
    "longest time": (table("slurm", time="366-00:00:00"), table("slurm", time="366-00:00:01")),
    "minutes": (table("slurm", time="01:59:59"), table("slurm", time="01:60:00")),
    "hours of days": (table("slurm", time="1-23:00"), table("slurm", time="1-24:00")),
    "least memory": (table("slurm", memory="256M"), table("slurm", memory="255M")),
    "least memory of CPUs": (
        table("slurm", memory_per_cpu="64M", cpus=4),
        table("slurm", memory_per_cpu="64M", cpus=3),
    ),
    "least memory of a GPU": (
        table("slurm", gpus=1, memory_per_gpu="256M"),
        table("slurm", gpus=1, memory_per_gpu="255M"),
    ),
    "nodes": (table("slurm", nodes=1024), table("slurm", nodes=1025)),
    "devices": (
        table("experiment", devices=1024, accelerator="cpu"),
        table("experiment", devices=1025, accelerator="cpu"),
    ),
    "metrics for the monitor": (
        table("experiment", check_eval_n_epoch=2, check_metrics_n_epoch=2)
        | table("training", monitor="val_auc"),
        table("experiment", check_eval_n_epoch=2, check_metrics_n_epoch=3)
        | table("training", monitor="val_auc"),
    ),
    "kept without a monitor": (
        table("training", monitor="last", save_top_k=1),
        table("training", monitor="last", save_top_k=2),
    ),
    "batch normalisation": (
        network(batchnorm=True) | table("dataset", batch_size=2),
        network(batchnorm=True) | table("dataset", batch_size=1),
    ),
    "dropout": (network(dropout=0.999), network(dropout=1.0)),
    "least batch": (table("dataset", batch_size=1), table("dataset", batch_size=0)),
    "sanity": (
        table("experiment", num_sanity_val_steps=-1),
        table("experiment", num_sanity_val_steps=-2),
    ),
    "bar": (table("experiment", tqdm_refresh_rate=0), table("experiment", tqdm_refresh_rate=-1)),
    "seed": (table("experiment", seed=2**32 - 1), table("experiment", seed=2**32)),
    "least epochs": (
        table("training", early_stop_patience=1, max_epochs=5, min_epochs=5),
        table("training", early_stop_patience=1, max_epochs=5, min_epochs=6),
    ),
    "delta": (
        table("training", early_stop_patience=1, early_stop_min_delta=1e-9),
        table("training", early_stop_patience=1, early_stop_min_delta=0.0),
    ),
    "patience": (
        table("training", early_stop_patience=0),
        table("training", early_stop_patience=-1),
    ),
    "share": (
        table("dataset", split={"train": 0.98, "validation": 0.01, "test": 0.01}),
        table("dataset", split={"train": 0.99, "validation": 0.0, "test": 0.01}),
    ),
    "sum of shares": (
        table("dataset", split={"train": 0.6, "validation": 0.2, "test": 0.2 + 1e-10}),
        table("dataset", split={"train": 0.6, "validation": 0.2, "test": 0.2 + 1e-8}),
    ),
    "one class": (
        {},
        table("dataset", samples=SIGNAL["dataset_config"]["samples"][:1]),
    ),
    "name": (
        table("experiment", experiment_name="h" * 100),
        table("experiment", experiment_name="h" * 101),
    ),
    "clipping": (
        table("training", gradient_clip_val=1e-9),
        table("training", gradient_clip_val=0.0),
    ),
    "minutes between checkpoints": (
        table("training", save_every_n_minutes=0.001),
        table("training", save_every_n_minutes=0),
    ),
}
THREE = [
    *SIGNAL["dataset_config"]["samples"],
    SIGNAL["dataset_config"]["samples"][0] | {"name": "VBF", "class": "VBF", "files": ["v.csv"]},
]
BOUNDARIES["smoothing"] = (
    table("dataset", samples=THREE) | table("training", loss_params={"label_smoothing": 0.999}),
    table("dataset", samples=THREE) | table("training", loss_params={"label_smoothing": 1.0}),
)
FAKE_BOUNDARIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bootstrap": (
        table("fakes", n_members=2, bootstrap=True),
        table("fakes", n_members=1, bootstrap=True),
    ),
    "normalisation": (
        table("fakes", n_members=2, mc_normalisation=1.0),
        table("fakes", n_members=2, mc_normalisation=1.01),
    ),
    "normalisation of one": (
        table("fakes", n_members=1, mc_normalisation=0.0),
        table("fakes", n_members=1, mc_normalisation=0.1),
    ),
    "quantile": (table("training", clip_quantile=0.999), table("training", clip_quantile=1.0)),
    "no quantile": (table("training", clip_quantile=1e-6), table("training", clip_quantile=0.0)),
    "edges": (table("fakes", binned={"pt": [1.0, 2.0]}), table("fakes", binned={"pt": [1.0]})),
    "ascending": (
        table("fakes", binned={"pt": [1.0, 1.1]}),
        table("fakes", binned={"pt": [1.0, 1.0]}),
    ),
    "tolerance": (table("fakes", tolerance=1e-9), table("fakes", tolerance=0.0)),
    "categories": (table("fakes", tight=1, loose=2), table("fakes", tight=2, loose=2)),
}


@pytest.mark.parametrize(
    ("base", "name"),
    [("signal", name) for name in BOUNDARIES] + [("fakes", name) for name in FAKE_BOUNDARIES],
)
def test_a_value_is_allowed_up_to_its_bound_and_not_beyond(
    base: str, name: str, tmp_path: Path
) -> None:
    tables, pairs = (SIGNAL, BOUNDARIES) if base == "signal" else (FAKES, FAKE_BOUNDARIES)
    allowed, refused = pairs[name]
    resolved(tmp_path, tables, allowed)
    with pytest.raises(CompileError):
        resolved(tmp_path, tables, refused)


@pytest.mark.parametrize(
    ("name", "params", "precision", "fused"),
    [
        ("AdamW", {}, "32-true", True),
        ("AdamW", {}, "16-mixed", True),
        ("SGD", {}, "bf16-mixed", True),
        # Torch would take a momentum that it has never written.
        ("SGD", {}, "16-mixed", None),
        ("AdamW", {"foreach": True}, "32-true", None),
        ("AdamW", {"fused": False}, "32-true", False),
        ("NAdam", {}, "32-true", None),
    ],
)
def test_optimizers_are_fused_where_torch_can_and_the_spec_does_not_forbid_it(
    tmp_path: Path, name: str, params: dict[str, Any], precision: str, fused: bool | None
) -> None:
    optimizer = {"optimizer_name": name, "optimizer_params": params}
    experiment = resolved(
        tmp_path,
        SIGNAL,
        table("training", optimizer=optimizer),
        table("experiment", precision=precision, accelerator="gpu"),
        {"slurm_config": {"gpus": 1}} if "slurm_config" in SIGNAL else {},
    )
    assert experiment.training_config.optimizer.optimizer_params.get("fused") is fused
