"""A model card is written into a file's metadata, and read back as it was."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from parts.cracks import Crack
from parts.model_cards import CardSample, ModelCard, card_of, split_warning, written_card
from parts.seen_features import Seen
from parts.splits import Fold

CARD = ModelCard(
    gives="probability",
    numerical=("pt", "eta"),
    categorical=("n_jets",),
    missing=-999.0,
    derived={"ht": "pt + pt2"},
    seen=Seen({"pt": (1.0, 2.0), "eta": None}, ("eta",), {"n_jets": (0, 2)}, ("pt",)),
    classes=("background", "signal"),
    labels={"pt": "$p_T$"},
    class_labels={},
    event_number="event",
    split=(0.6, 0.2, 0.2),
    earlier=False,
    samples=(CardSample("ggH", "process == 1", "weight", "Parquet", None),),
    crack=None,
    run="h4l_MLP",
    script="abc",
    precision="32-true",
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"split": Fold(1, 5), "earlier": True},
        {"gives": "fake_factor", "crack": Crack("eta", 1.37, 1.52), "classes": ()},
        {"missing": None, "event_number": None, "samples": ()},
    ],
)
def test_a_card_survives_json(changes: dict[str, Any]) -> None:
    card = replace(CARD, **changes)
    assert card_of(written_card(card)) == card


def test_only_a_network_that_had_another_split_before_is_warned_of() -> None:
    assert split_warning([CARD, CARD]) is None
    said = split_warning([CARD, replace(CARD, run="a", earlier=True)])
    assert said is not None
    assert said.startswith("a went on from a training with another split")


def test_nan_may_stand_for_what_is_missing() -> None:
    found = card_of(written_card(replace(CARD, missing=math.nan)))
    assert found.missing is not None
    assert math.isnan(found.missing)


@pytest.mark.parametrize("name", ModelCard.__dataclass_fields__)
def test_a_card_that_lacks_something_is_none(name: str) -> None:
    said = written_card(CARD)
    del said[name]
    with pytest.raises(KeyError):
        card_of(said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gives", "logits"),
        ("numerical", 3),
        ("missing", "much"),
        ("seen", {}),
        ("split", [1, 2]),
        ("split", {"number": 1}),
        ("split", {"number": 5, "folds": 5}),
        ("split", {"number": 0, "folds": 0}),
        ("split", [1.5, -0.5, 0.0]),
        ("split", [0.5, 0.2, 0.2]),
        ("split", [math.nan, 0.5, 0.5]),
        ("samples", [{"name": "a"}]),
        ("crack", {"eta": 1}),
    ],
)
def test_a_foreign_card_is_none(name: str, value: object) -> None:
    said = written_card(CARD) | {name: json.dumps(value)}
    with pytest.raises((KeyError, TypeError, ValueError)):
        card_of(said)
