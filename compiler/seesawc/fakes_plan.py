"""Experiment of fakes -> Plan: what the scripts of the three stages, and those after them, need."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from seesawc.experiment import Experiment
from seesawc.fakes_rules import OUTPUTS
from seesawc.literals import Verbatim
from seesawc.plan import (
    ALWAYS,
    IMPORTS,
    TRAINING,
    TRAINING_IMPORTS,
    Plan,
    common,
    norm,
)

STAGE = (
    "classifiers.check_fit", "densities.density_events", "estimates.Estimates",
    "inputs.Inputs", "leptons.Category", "leptons.Leptons", "leptons.read_leptons",
    "reports.own_settings",
)  # fmt: skip
DENSITY = ("fake_plots.density_figures", "binnings.density_metrics", "leptons.check_densities")
RATIO = (
    "densities.ratio_events", "densities.subtraction_weights", "density_ratios.DensityRatio",
    "density_ratios.LogRatio", "exports.FakeFactor", "exports.export", "fake_plots.ratio_figures",
    "binnings.ratio_metrics", "parents.check_parent_data", "parents.parent_checkpoint",
    "parents.check_same_parents", "parents.parent_folders",
)  # fmt: skip
LINKS = {
    "bce": "direct_link",
    "savage": "direct_link",
    "exponential": "exponential_link",
    "tangent": "tangent_link",
}
REGIONS = {"numerator": "tight", "denominator": "loose", "ratio": ""}


def plan(experiment: Experiment, parents: Iterable[Experiment] = ()) -> Plan:
    """Choose definitions and arguments of one stage; a ratio has the two before as `parents`."""
    fakes, training = experiment.fakes_config, experiment.training_config
    assert fakes is not None, "checked by the rules"
    assert experiment.stage is not None, "a stage is planned"
    before = tuple(parents)
    basis = common(experiment, test_only=False)
    ratio = experiment.stage == "ratio"
    classifier = "WarmedUpDensityRatio" if training.warmup else "DensityRatio"
    scaled = bool(fakes.mc_normalisation) and not (ratio and fakes.use_data_in_ratio)
    vary = fakes.bootstrap or scaled
    penalties = {
        "squares": ("w_lambda", training.w_lambda),
        "effective_size": ("ess_lambda", training.ess_lambda),
    }
    used = {name: option for name, (option, value) in penalties.items() if value is not None}
    definitions = (
        *(name for name in ALWAYS if name not in NOT_FAKES), *TRAINING, *basis.definitions, *STAGE,
        *(RATIO if ratio else DENSITY), f"density_ratios.{classifier}",
        *(name for each in (experiment, *before) for name in _network(each)),
        *(f"density_losses.{name}" for name in used),
        *(("leptons.Crack",) if fakes.crack_veto else ()),
        *(("densities.clipped",) if training.clip_quantile is not None else ()),
        *(("ensembles.Ensemble",) if fakes.n_members > 1 else ()),
        *(("ensembles.Sliced",) if fakes.pt_slices else ()),
        *(("densities.varied",) if vary else ()),
        *(("ensembles.poisson_counts",) if fakes.bootstrap else ()),
        *(("ensembles.normalisations",) if scaled else ()),
    )  # fmt: skip
    if ratio:
        definitions = tuple(name for name in definitions if name != "densities.density_events")
    values = {
        **basis.values,
        "stage": experiment.stage,
        "events_type": Verbatim("Leptons"),
        "region": REGIONS[experiment.stage],
        "tight": experiment.stage == "numerator",
        "learns_from": "data" if fakes.use_data_in_ratio else "MC",
        "chosen": Verbatim(_chosen(experiment.stage, use_data=fakes.use_data_in_ratio)),
        "is_mc": Verbatim(
            f"torch.tensor({not fakes.use_data_in_ratio})" if ratio else "train.label == 0"
        ),
        **lepton_values(experiment),
        "networks": [_named(experiment, own=True), *(_named(each, own=False) for each in before)],
        "parents": [
            {
                "name": each.stage,
                "run_name": each.experiment_config.run_name,
                "loss": Verbatim(f"density_{each.training_config.loss}"),
                "link": Verbatim(LINKS[each.training_config.loss]),
            }
            for each in before
        ],
        "descriptions": {str(each.stage): _described(each) for each in (*before, experiment)},
        "classifier": Verbatim(classifier),
        "loss": Verbatim(f"density_{training.loss}"),
        "link": Verbatim(LINKS[training.loss]),
        "penalties": [
            Verbatim(f"partial({name}, {option}={option.upper()})") for name, option in used.items()
        ],
        "members": Verbatim("N_MEMBERS" if fakes.n_members > 1 else "1"),
        "vary": vary,
        "scaled": scaled,
        "metrics": Verbatim("ratio_metrics" if ratio else "density_metrics"),
        "n_outputs": 1,
    }
    outline = "train_ratio.py.jinja" if ratio else "train_density.py.jinja"
    return Plan(outline, definitions, (*IMPORTS, *TRAINING_IMPORTS, *basis.imports), values)


def _chosen(stage: str, *, use_data: bool) -> str:
    """Return which of the training leptons a stage is about."""
    if stage == "ratio":
        return "leptons[0].is_data.numpy()" if use_data else "~leptons[0].is_data.numpy()"
    tight = "leptons[0].is_tight.numpy()"
    return tight if stage == "numerator" else f"~{tight}"


def lepton_values(experiment: Experiment) -> dict[str, Any]:
    """Return what fills the settings of tight and loose leptons."""
    fakes = experiment.fakes_config
    assert fakes is not None, "checked by the rules"
    return {
        "fakes": fakes,
        "category": (fakes.category, fakes.tight, fakes.loose),
        "crack": (fakes.eta, fakes.crack),
        "crack_argument": Verbatim("Crack(ETA, *CRACK)" if fakes.crack_veto else "None"),
        "pt_slices": (fakes.pt, fakes.pt_slices),
    }


# What is about classes, or comes with what a stage asks for itself.
NOT_FAKES = {
    "classifiers.Classifier", "events.Events", "events.read_splits", "metrics.Outputs",
    "reports.all_settings",
}  # fmt: skip


def _network(experiment: Experiment) -> tuple[str, ...]:
    """Return the definitions of a stage's network, loss and link."""
    network, loss = experiment.model_config.architecture_config, experiment.training_config.loss
    act_out = network.act_out
    activation: tuple[str, ...] = ()
    if act_out != "none":
        activation = ("activations.Activated",)
        activation += (f"activations.{act_out}",) if act_out in OUTPUTS else ()
    return (
        f"models.{network.model}",
        *activation,
        f"density_losses.density_{loss}",
        f"density_losses.{LINKS[loss]}",
    )


def _named(experiment: Experiment, *, own: bool) -> Mapping[str, Any]:
    """Return what fills a network; the script's own one takes the named constants."""
    network = experiment.model_config.architecture_config
    constants = ("n_layers", "n_hidden", "dropout", "block_size")
    sizes = {
        name: Verbatim(name.upper())
        if own and getattr(network, name) is not None
        else getattr(network, name)
        for name in constants
    }
    return {
        **sizes,
        "name": experiment.stage,
        "model": network.model,
        "act": network.act,
        "norm": norm(network),
        "act_out": _activation(network.act_out),
    }


def _activation(name: str | None) -> Verbatim | None:
    if name is None or name == "none":
        return None
    return Verbatim(f"{name}()" if name in OUTPUTS else f"nn.{name}()")


def _described(experiment: Experiment) -> list[Any]:
    """Return what, besides shapes, two networks must have in common to be the same."""
    network, data = experiment.model_config.architecture_config, experiment.dataset_config
    return [
        network.model,
        network.act,
        norm(network),
        network.act_out,
        experiment.training_config.loss,
        data.scaling,
        list(data.logarithmic),
    ]


AFTER = {
    "apply.py.jinja": (
        "applications.deviation", "applications.mean", "applications.member_factors",
        "exits.RefusedError", "exits.StoppedError", "exits.listen", "exits.stop_listening",
        "parents.parent_checkpoint", "places.expand",
        "places.write_atomically",
    ),
    "closure.py.jinja": (
        "applications.member_factors", "arguments.label", "closures.close",
        "closures.closure_figures", "closures.summary", "events.Sample", "events.find_files",
        "events.fingerprints", "exits.RefusedError", "exits.StoppedError", "exits.listen",
        "exits.obey", "exits.stop_listening", "leptons.Category", "leptons.read_leptons",
        "parents.check_parent_data", "parents.parent_checkpoint", "places.expand",
        "reports.write_json",
    ),
}  # fmt: skip
AFTER_IMPORTS = {
    "apply.py.jinja": (
        "import numpy as np", "import pyarrow as pa", "import pyarrow.parquet as pq", "import sys",
        "from collections.abc import Mapping",
        "from numpy.typing import NDArray", "from pathlib import Path", "from typing import Any",
    ),
    "closure.py.jinja": (
        "import argparse", "import numpy as np", "import sys", "import torch",
        "from pathlib import Path",
    ),
}  # fmt: skip


def after(experiment: Experiment, outline: str) -> Plan:
    """Plan a script that comes after the trainings, of which `experiment` is the ratio."""
    fakes = experiment.fakes_config
    assert fakes is not None, "checked by the rules"
    values = {
        **common(experiment, test_only=False).values,
        "stage": "ratio",
        "test_only": True,
        # The exported network takes logarithms itself.
        "dataset": evolve(experiment.dataset_config, logarithmic=()),
        # The run's own record of its data is compared.
        "fingerprints": {},
        "parents": [],
        "binned": dict(fakes.binned),
        **lepton_values(experiment),
    }
    definitions = AFTER[outline]
    if fakes.crack_veto:
        definitions += ("leptons.Crack", "leptons.in_crack")
    return Plan(outline, definitions, AFTER_IMPORTS[outline], values)
