"""The tables of a spec: which there are, and how their keys are spelt."""

from typing import Any, Literal

from attrs import fields, frozen

from seesawc.tables.dataset import DatasetTable, SampleTable
from seesawc.tables.experiment import ExperimentTable
from seesawc.tables.fakes import FakesTable
from seesawc.tables.model import ModelTable
from seesawc.tables.slurm import SlurmTable
from seesawc.tables.sweep import SweepTable
from seesawc.tables.training import TrainingTable
from seesawc.tables.values import option, required

# Keys that are spelt otherwise in a spec, since Python reserves the word.
SPELT: dict[type, dict[str, str]] = {SampleTable: {"label": "class"}}


@frozen(kw_only=True)
class Spec:
    """A spec as written."""

    task: Literal["signal", "fakes"] = required(
        "What is trained: signal against background, or the fake factor of leptons."
    )
    experiment_config: ExperimentTable = required("Names, places, seeds, hardware, trackers.")
    dataset_config: DatasetTable = required("Events, features, weights, split, scaling.")
    model_config: ModelTable = option("The network.", factory=ModelTable)
    training_config: TrainingTable = option("Loss, optimizer, epochs.", factory=TrainingTable)
    fakes_config: FakesTable | None = option("fakes: tight and loose, members, closure.")
    slurm_config: SlurmTable | None = option("The batch job. Left out: no batch file.")
    sweep_config: SweepTable | None = option("Several trainings in one. Left out: one training.")


def keys(table: type) -> dict[str, Any]:
    """Return the attributes of a table's class by their keys in a spec."""
    spelt = SPELT.get(table, {})
    return {spelt.get(a.name, a.name): a for a in fields(table)}
