"""Networks exported as a training exports them, without the training."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parts.cracks import Crack
from parts.datasets import Dataset
from parts.exports import exported
from parts.model_cards import ModelCard
from parts.sightings import seen_by


def card_for(
    module: nn.Module, features: dict[str, Tensor], dataset: Dataset, **said: Any
) -> ModelCard:
    """Return the card of a fake factor that was trained on `features`, but for what is `said`."""
    known: dict[str, Any] = {
        "gives": "fake_factor",
        "numerical": dataset.numerical,
        "categorical": dataset.categorical,
        "missing": dataset.missing,
        "derived": dataset.derived,
        "seen": seen_by(module, features, dataset),
        "classes": dataset.classes,
        "labels": dataset.labels,
        "class_labels": dataset.class_labels,
        "event_number": dataset.event_number,
        "split": dataset.split,
        "earlier": False,
        "samples": (),
        "crack": None,
        "run": "named-ratio",
        "script": "abc",
        "precision": "32-true",
    }
    return ModelCard(**known | said)


def exported_factor(
    log_ratio: nn.Module, features: dict[str, Tensor], dataset: Dataset, crack: Crack | None = None
) -> bytes:
    """Return the file of F = e^log_ratio, trained on the events that it is compared on."""
    card = card_for(log_ratio, features, dataset, crack=crack)
    return exported(log_ratio, torch.exp, features, card)


def write_factor(
    path: Path,
    log_ratio: nn.Module,
    features: dict[str, Tensor],
    dataset: Dataset,
    crack: Crack | None = None,
) -> Path:
    """Write that file; return where."""
    path.write_bytes(exported_factor(log_ratio, features, dataset, crack))
    return path
