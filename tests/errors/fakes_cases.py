"""Mistakes of specs of fakes, made in `fakes.toml`, and of what only fakes have."""

from pathlib import Path

from tests.errors.cases import Edits, edited

BASE = (Path(__file__).parent / "fakes.toml").read_text(encoding="utf-8")
CATEGORY = 'category = "el_type"\n'
EPOCHS = "max_epochs = 30\n"
RATIO = "max_epochs = 10\n"
TABLE = "[fakes_config]\n" + CATEGORY
KIND = 'kind = "mc"\n'
JETS = 'categorical = ["n_jets"]\n'


def behind(piece: str, line: str) -> Edits:
    """Return the edit that puts a line behind a piece."""
    return ((piece, f"{piece}{line}\n"),)


CASES: dict[str, Edits] = {
    "class-column": ((KIND, f'{KIND}class_column = "process"\n'),),
    "class-values": behind(JETS, "class_values = { prompt = [0], fake = [1] }"),
    "dropped-classes": behind(JETS, "drop_other_classes = true"),
    "class-labels": behind(JETS, 'class_labels = { fake = "fakes" }'),
    "category-missing": ((CATEGORY, ""),),
    "table-missing": ((TABLE, ""), ("[fakes_config.ratio.training_config]\nmax_epochs = 10\n", "")),
    "same-values": behind(CATEGORY, "tight = 2"),
    "category-as-event-number": ((CATEGORY, 'category = "event"\n'),),
    "category-as-weight": ((CATEGORY, 'category = "weight"\n'),),
    "infinite-normalisation": behind(CATEGORY, "n_members = 2\nmc_normalisation = inf"),
    "category-as-feature": (('["n_jets"]', '["n_jets", "el_type"]'),),
    "no-members": behind(CATEGORY, "n_members = 0"),
    "bootstrap-of-one": behind(CATEGORY, "bootstrap = true"),
    "normalisation-of-one": behind(CATEGORY, "mc_normalisation = 0.1"),
    "negative-normalisation": behind(CATEGORY, "n_members = 2\nmc_normalisation = -0.1"),
    "slices-descend": behind(CATEGORY, "pt_slices = [50, 20]"),
    "slices-of-nothing": behind(CATEGORY, 'pt_slices = [20]\npt = "met"'),
    "slices-without-pt": (*behind(CATEGORY, "pt_slices = [20]"), ('"pt", "eta"', '"eta"')),
    "pt-without-slices": behind(CATEGORY, 'pt = "pt"'),
    "eta-without-veto": behind(CATEGORY, 'eta = "eta"'),
    "crack-without-veto": behind(CATEGORY, "crack = [1.4, 1.5]"),
    "crack-of-one": behind(CATEGORY, "crack_veto = true\ncrack = [1.4]"),
    "binned-descends": behind(CATEGORY, "binned = { pt = [50, 20] }"),
    "binned-of-one": behind(CATEGORY, "binned = { pt = [50] }"),
    "binned-of-none": behind(CATEGORY, "binned = { pt = [] }"),
    "binned-unknown": behind(CATEGORY, "binned = { met = [20, 50] }"),
    "tolerance-zero": behind(CATEGORY, "tolerance = 0"),
    "unknown-option": behind(CATEGORY, "use_data = true"),
    "stage-unknown": behind(RATIO, "\n[fakes_config.nominator]\nmodel_config = {}"),
    "stage-table": behind(RATIO, "\n[fakes_config.numerator.dataset_config]\nbatch_size = 5"),
    "stage-option": behind(RATIO, "max_epoch = 5"),
    "stage-value": behind(RATIO, "gradient_clip_val = -1"),
    "stage-monitor": behind(RATIO, 'monitor = "val_chi2_mc"'),
    "stage-and-spec": (*behind(RATIO, "save_top_k = 0"), *behind(EPOCHS, "gradient_clip_val = 0")),
    "stage-inputs": behind(
        RATIO, "[fakes_config.numerator.model_config.architecture_config]\nembedding_dim = 4"
    ),
    "negative-weights": behind(JETS, 'negative_weights = "absolute"'),
    "folds": behind(JETS, "folds = 5"),
    "max-memory": behind(JETS, 'max_memory = "4G"'),
    "fold": behind(JETS, "folds = 5\nfold = 1"),
    "class-balance": behind(JETS, "use_class_weights = true"),
    "no-weights": behind(JETS, "use_mc_weights = false"),
    "classes": behind(JETS, 'classes = ["data", "mc"]'),
    "kind-missing": ((KIND, ""),),
    "kind-wrong": ((KIND, 'kind = "mcs"\n'),),
    "class-of-a-sample": behind(KIND, 'class = "background"'),
    "no-mc": ((KIND, 'kind = "data"\n'),),
    "no-numerical": (('numerical = ["pt", "eta"]\n', ""),),
    "loss": behind(EPOCHS, 'loss = "focal"'),
    "loss-params": behind(EPOCHS, "loss_params = { gamma = 2 }"),
    "clip-zero": behind(EPOCHS, "clip_quantile = 0"),
    "undeployed": behind(EPOCHS, "export_onnx = false"),
    "undeployed-stage": behind(RATIO, "export_onnx = false"),
    "clip-one": behind(EPOCHS, "clip_quantile = 1.0"),
    "act-out": behind(EPOCHS, '\n[model_config.architecture_config]\nact_out = "softabs"'),
    "batchnorm-and-slices": (
        *behind(CATEGORY, "pt_slices = [20]"),
        *behind(EPOCHS, "\n[model_config.architecture_config]\nbatchnorm = true"),
    ),
    "checkpoint": behind(EPOCHS, '\n[model_config]\nload_checkpoint = "x.ckpt"'),
    "sweep": behind(EPOCHS, "\n[sweep_config]\nseeds = [1, 2]"),
    "monitor": behind(EPOCHS, 'monitor = "val_auc"'),
}


def spec(edits: Edits) -> str:
    """Return the base spec with pieces replaced."""
    return edited(BASE, edits)
