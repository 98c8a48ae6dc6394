"""A file is compared with its network on events that show how they differ."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parts import agreements
from parts.agreements import (
    ExportError,
    Session,
    as_trained,
    compared_events,
    difference,
    in_full_precision,
)
from parts.datasets import Dataset
from parts.model_cards import ModelCard
from tests.parts.exported import card_for, exported_factor

NAMES = Dataset((), ("pt", "eta"), ("n_jets", "flavour"), -999.0)
UNKNOWN = {-(2**63), 2**63 - 1}


def features(size: int) -> dict[str, Tensor]:
    numerical = torch.arange(2.0 * size).reshape(size, 2)
    categorical = torch.stack([torch.arange(size) % 3, torch.arange(size) % 2 * 13], 1)
    return {"numerical": numerical, "categorical": categorical}


def card(events: dict[str, Tensor], dataset: Dataset = NAMES, **said: Any) -> ModelCard:
    return card_for(nn.Identity(), events, dataset, **said)


def rows(chunks: list[dict[str, Tensor]], name: str) -> list[tuple[float, ...]]:
    return [tuple(row) for chunk in chunks for row in chunk[name].tolist()]


def test_all_events_are_compared_and_one_and_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreements, "COMPARED_AT_ONCE", 7)
    events = features(20)
    chunks = compared_events(events, nn.Identity(), card(events))
    sizes = [len(chunk["numerical"]) for chunk in chunks]
    assert sizes[:5] == [7, 7, 6, 0, 1]
    for name, tensor in events.items():
        assert torch.equal(torch.cat([chunk[name] for chunk in chunks[:3]]), tensor)
    # Nothing is copied.
    assert chunks[1]["numerical"].data_ptr() == events["numerical"][7:].data_ptr()


@pytest.mark.parametrize(("weights", "most"), [(0, 1000), (10**3, 1000), (10**4, 100), (10**9, 50)])
def test_of_very_many_events_fewer_are_compared_the_larger_the_network(
    weights: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreements, "MULTIPLICATIONS", 10**6)
    monkeypatch.setattr(agreements, "FEW", 50)
    monkeypatch.setattr(agreements, "MANY", 1000)
    events = features(4000)
    module = nn.Module()
    # As many weights, without their memory.
    module.weight = nn.Parameter(torch.zeros(1).expand(weights))
    chunks = compared_events(events, module, card(events))
    chosen = rows(chunks[:-5], "numerical")
    assert len(chosen) == most
    # From the first event on to the last ones.
    assert chosen[-1][0] > 0.95 * 8000


def test_each_feature_is_missing_once_and_all_together() -> None:
    events = features(9)
    found = rows(compared_events(events, nn.Identity(), card(events))[1:], "numerical")
    for odd in ((-999.0, 1.0), (0.0, -999.0), (-999.0, -999.0)):
        assert odd in found
    with_nan = Dataset((), ("pt", "eta"), ("n_jets", "flavour"), float("nan"))
    found = rows(compared_events(events, nn.Identity(), card(events, with_nan))[1:], "numerical")
    assert sum(np.isnan(row).all() for row in found) == 1
    never = Dataset((), ("pt", "eta"), ("n_jets", "flavour"))
    found = rows(compared_events(events, nn.Identity(), card(events, never))[1:], "numerical")
    assert set(found) == {(0.0, 1.0)}


def test_each_category_is_one_that_training_did_not_have() -> None:
    events = features(9)
    found = rows(compared_events(events, nn.Identity(), card(events))[1:], "categorical")
    # Below and above all others, and between them.
    assert {row[0] for row in found if row[1] == 0} >= UNKNOWN | {3}
    assert {row[1] for row in found if row[0] == 0} >= UNKNOWN | {1}


def test_without_events_or_inputs_there_is_nothing_odd() -> None:
    none = {name: tensor[:0] for name, tensor in features(9).items()}
    chunks = compared_events(none, nn.Identity(), card(features(9)))
    assert {len(chunk["numerical"]) for chunk in chunks} == {0}
    numbers = {"numerical": features(9)["numerical"]}
    chunks = compared_events(numbers, nn.Identity(), card(features(9)))
    assert {tuple(chunk) for chunk in chunks} == {("numerical",)}


@pytest.mark.parametrize(
    ("gives", "found", "wanted", "far"),
    [
        ("probability", [0.5, 0.1], [0.5, 0.3], 0.2),
        ("probability", [0.0], [1e-30], 1e-30),
        # A share of it, unless it is next to nothing.
        ("fake_factor", [2.0], [2.1], 0.1 / 2.101),
        ("fake_factor", [1e-9], [3e-6], 2.999e-6 / 1.003e-3),
        ("fake_factor", [np.inf], [np.inf], 0.0),
        ("fake_factor", [1e30], [np.inf], np.nan),
        ("probability", [], [], 0.0),
        ("probability", [0.5, np.nan], [0.5, 0.5], np.nan),
        ("probability", [0.5, 0.5], [np.nan, 0.5], np.nan),
    ],
)
def test_differences_are_those_of_probabilities_or_shares_of_factors(
    gives: Any, found: list[float], wanted: list[float], far: float
) -> None:
    said = card(features(9), gives=gives)
    measured = difference(np.array(found), np.array(wanted), said)
    assert measured == pytest.approx(far, nan_ok=True)


def test_full_precision_is_for_the_comparison_alone() -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with in_full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_file_that_cannot_be_used_is_said_to_be_none() -> None:
    with pytest.raises(ExportError, match="ONNX Runtime cannot open it: "):
        Session(b"junk")
    events = features(9)
    session = Session(exported_factor(Sum(), events, NAMES))
    with pytest.raises(ExportError, match=r"ONNX Runtime cannot use it: .*flavour"):
        session.run({"flavour": np.zeros((1, 1))})


class Sum(nn.Module):
    """The least that takes both kinds of features."""

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, 1)."""
        return 1e-3 * numerical[:, :1] + 0 * categorical[:, :1]


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("32-true", torch.float32),
        ("64-true", torch.float32),
        ("16-mixed", torch.float16),
        ("bf16-mixed", torch.bfloat16),
    ],
)
def test_mixed_precision_multiplies_as_in_training(precision: str, kind: torch.dtype) -> None:
    with torch.no_grad(), as_trained(precision):
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == kind
