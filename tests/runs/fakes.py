"""Specs of fakes that between them use every option of theirs, and a folder to run them in."""

from pathlib import Path
from typing import Any

import pandas as pd
from attrs import frozen

from specs.data import make_toys
from tests.runs.experiments import EXPERIMENT, Run, Workshop
from tests.runs.starts import Ended
from tests.spec_tables import build, merged

STAGES = ("numerator", "denominator", "ratio")
SPEC: dict[str, Any] = {
    "task": "fakes",
    "experiment_config": {
        "experiment_name": EXPERIMENT,
        "seed": 1,
        "accelerator": "cpu",
        "devices": 1,
        "plot_metrics_n_epoch": "never",
    },
    "dataset_config": {
        "event_number": "event",
        "weight": "weight",
        "numerical": ["pt", "eta"],
        "categorical": ["n_jets"],
        "logarithmic": ["pt"],
        "batch_size": 512,
        "samples": [
            {
                "name": name,
                "kind": kind,
                "files": ["../data/jets.parquet"],
                "selection": f"data_type == {value}",
            }
            for name, kind, value in (("data", "data", 1), ("prompt", "mc", 0))
        ],
    },
    "fakes_config": {"category": "toy_type", "tolerance": 0.9},
    "model_config": {"architecture_config": {"n_layers": 2, "n_hidden": 16, "act": "SiLU"}},
    "training_config": {"max_epochs": 2, "optimizer": {"optimizer_params": {"lr": 0.005}}},
}
EVERYTHING: dict[str, Any] = {
    "experiment_config": {"log_every_n_steps": 5},
    "dataset_config": {"scaling": "quantile"},
    "fakes_config": {
        "n_members": 2,
        "mc_normalisation": 0.1,
        "pt_slices": [25, 60],
        "crack_veto": True,
        "binned": {"pt": [15, 30, 60, 300], "eta": [-2.5, 0, 2.5]},
        "ratio": {
            "training_config": {"loss": "savage", "w_lambda": 0.05, "ess_lambda": 0.1},
            "model_config": {"architecture_config": {"n_hidden": 8, "act_out": "Tanhshrink"}},
        },
        "numerator": {"model_config": {"architecture_config": {"model": "ResNet", "n_layers": 2}}},
        "denominator": {"model_config": {"architecture_config": {"act_out": "Abs"}}},
    },
    "training_config": {
        "clip_quantile": 0.99,
        "monitor": "last",
        "warmup": {"epochs": 0.5},
    },
}
VARIANTS: dict[str, dict[str, Any]] = {
    # With plots of its test.
    "plain": {"experiment_config": {"plot_metrics_n_epoch": 50}},
    "everything": EVERYTHING,
    "from_mc": {
        "fakes_config": {
            "use_data_in_ratio": False,
            "n_members": 2,
            "bootstrap": False,
            "mc_normalisation": 0.1,
        },
        "training_config": {"loss": "exponential"},
        "dataset_config": {"logarithmic": None, "scaling": "none", "categorical": []},
    },
    "double": {
        "experiment_config": {"precision": 64, "seed": None},
        "training_config": {"loss": "tangent"},
        "dataset_config": {"scaling": "none", "missing": -999.0},
        "model_config": {"architecture_config": {"layernorm": True, "act_out": "none"}},
    },
    # To be read rather than run.
    "comet": {
        "experiment_config": {"comet_api_key": "${COMET_API_KEY}"},
        "dataset_config": {"event_number": None},
        "training_config": {"monitor": "val_chi2", "early_stop_patience": 3},
        "fakes_config": {
            stage: {"training_config": {"monitor": "val_chi2_mc"}} for stage in STAGES[:2]
        },
    },
}
RUN = [name for name in VARIANTS if name != "comet"]


@frozen
class FakesWorkshop:
    """A folder with leptons, in which specs of fakes are compiled and their scripts run."""

    workshop: Workshop

    def write(self, frame: pd.DataFrame, stem: str = "jets") -> None:
        self.workshop.write(frame, stem)

    def build(self, name: str, **changes: Any) -> Path:
        """Compile the spec with tables changed, under the run name `name`; return the folder."""
        tables = merged(merged(SPEC, {"experiment_config": {"run_name": name}}), changes)
        return build(self.workshop.folder / "specs" / f"{name}.toml", tables)

    def run(self, folder: Path, script: str, *arguments: str, **options: Any) -> Ended:
        """Run one of the scripts: a stage, `closure` or `apply`."""
        name = f"train_{script}.py" if script in STAGES else f"{script}.py"
        return self.workshop.run(folder / name, *arguments, **options)

    def found(self, name: str, stage: str) -> Run:
        return self.workshop.found(f"{name}-{stage}")

    def train(self, name: str, **changes: Any) -> Path:
        """Compile a spec and run its three stages to their end."""
        folder = self.build(name, **changes)
        for stage in STAGES:
            self.run(folder, stage).done()
        return folder


def leptons(scale: float = 0.01) -> pd.DataFrame:
    """Return the toy of several features."""
    return pd.DataFrame(make_toys.make_toy("jets", 1, scale))
