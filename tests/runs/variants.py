"""Specs that between them use every loss, scaling, network and way of scheduling."""

from typing import Any

from tests.spec_tables import merged

SAMPLES: list[dict[str, Any]] = [
    {"name": name, "class": name, "files": ["../data/three.csv"], "selection": f"process == {i}"}
    for i, name in enumerate(("ggH", "VBF", "W_jets"))
]
THREE: dict[str, Any] = {"dataset_config": {"samples": SAMPLES, "batch_size": 60}}
RESNET = {"model": "ResNet", "n_layers": 4, "layernorm": True, "embedding_dim": 3, "act": "SiLU"}
PLATEAU = {
    "scheduler_name": "ReduceLROnPlateau",
    # Nothing improves by so much, so that each validation but the first lowers the rate.
    "scheduler_params": {"factor": 0.5, "patience": 0, "threshold": 0.99},
}


def training(**options: Any) -> dict[str, Any]:
    return {"training_config": options}


def dataset(**options: Any) -> dict[str, Any]:
    return {"dataset_config": options}


def experiment(**options: Any) -> dict[str, Any]:
    return {"experiment_config": options}


def optimizer(name: str, **params: Any) -> dict[str, Any]:
    return {"optimizer": {"optimizer_name": name, "optimizer_params": params}}


VARIANTS: dict[str, dict[str, Any]] = {
    "resnet": {"model_config": {"architecture_config": RESNET}},
    "on_disk": {"dataset_config": {"max_memory": "2G"}},
    "batchnorm": {"model_config": {"architecture_config": {"batchnorm": True}}},
    "focal": training(loss="focal", loss_params={"gamma": 1.5}),
    "mse": training(loss="mse"),
    "multiclass": THREE,
    "multiclass_smooth": merged(THREE, training(loss_params={"label_smoothing": 0.1})),
    "multiclass_focal": merged(THREE, training(loss="focal")),
    "multiclass_mse": merged(THREE, training(loss="mse", monitor="val_f1")),
    "minmax": dataset(scaling="minmax"),
    "robust": dataset(scaling="robust"),
    "quantile": dataset(scaling="quantile"),
    "unscaled": dataset(scaling="none", missing=None, categorical=[]),
    "numberless": dataset(event_number=None, weight=None, categorical=[]),
    "unweighted": dataset(use_mc_weights=False, use_class_weights=False, batch_size=1000),
    "onecycle": merged(
        training(
            warmup={"shape": "cosine", "epochs": 1.5},
            scheduler={"scheduler_name": "OneCycleLR", "scheduler_params": {"max_lr": 0.3}},
            gradient_clip_val=0.5,
            **optimizer("SGD", lr=0.01, momentum=0.9),
        ),
        experiment(log_every_n_steps=1),
    ),
    "lbfgs": training(**optimizer("LBFGS", lr=0.1, max_iter=4)),
    "plateau": merged(
        training(max_epochs=6, scheduler=PLATEAU, save_top_k=2),
        experiment(check_eval_n_epoch=2, log_every_n_steps=7),
    ),
    "double": merged(experiment(precision=64), dataset(scaling="quantile")),
    "half": experiment(precision="bf16"),
    "unseeded": experiment(seed=None),
    "unplotted": experiment(check_metrics_n_epoch="never", plot_metrics_n_epoch=None),
    "pair": experiment(devices=2),
    "stopping": training(early_stop_patience=1, monitor="val_auc"),
    "late": training(early_stop_patience=1, min_epochs=2, early_stop_min_delta=0.01),
    "pinned": dataset(fingerprints={"../data/toy.csv": "0" * 64}),
    # All together, to be read rather than run.
    "comet": merged(
        experiment(comet_api_key="${COMET_API_KEY}", comet_project_name="toys", seed=None),
        training(scheduler=PLATEAU, early_stop_patience=3)
        | dataset(scaling="none", missing=None, fingerprints={"../data/toy.csv": "0" * 64}),
    ),
    "tested": {"model_config": {"load_checkpoint": "${OTHER}/best.ckpt"}},
    "continued": {"model_config": {"load_checkpoint": "x.ckpt", "continue_training": True}},
}
# What these show is shown by tests of their own.
ELSEWHERE = ("double", "half", "unseeded", "unplotted", "pair", "pinned", "comet")
RUN = [name for name in VARIANTS if name not in (*ELSEWHERE, "stopping", "tested", "continued")]
