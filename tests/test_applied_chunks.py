"""Files of events are scored chunk by chunk, of which any may have no event that is meant."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parts import file_applications
from tests.applied import applied_to, read_events, within, write_events
from tests.linear_networks import BIASES, CARD, drawn_events, write_folds, write_network

EVENTS = drawn_events(100)
CARDS = {
    "binary": CARD,
    "multiclass": replace(CARD, classes=("a", "b", "c")),
    "fakes": replace(CARD, gives="fake_factor", classes=()),
}


def network_of(kind: str, folder: Path) -> Path:
    """Write a network of a kind, or those of three folds; return where."""
    if kind == "folds":
        write_folds(folder / "folds", BIASES)
        return folder / "folds"
    return write_network(folder / "model.onnx", CARDS[kind])


@pytest.mark.parametrize("kind", [*CARDS, "folds"])
@pytest.mark.parametrize("choices", [{}, {"new": True}])
@pytest.mark.parametrize("chosen", [slice(0, 20), slice(40, 60), slice(80, 100), slice(0, 0)])
def test_chunks_in_which_no_event_is_chosen_have_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, choices: Any, chosen: slice
) -> None:
    """The first, those in the middle, the last, and all of them."""
    monkeypatch.setattr(file_applications, "EVENTS_READ", 20)
    network = network_of(kind, tmp_path)
    process = np.zeros(100, dtype=np.int64)
    process[chosen] = 1
    source = write_events(tmp_path / "events.parquet", EVENTS | {"process": process})
    applied_to(network, source, tmp_path / "whole.parquet", **choices)
    applied_to(network, source, tmp_path / "some.parquet", sample="signal", **choices)
    whole, some = (read_events(tmp_path / f"{name}.parquet") for name in ("whole", "some"))
    for name in whole.keys() - EVENTS.keys() - {"split", "fold"}:
        within(some[name], np.where(process == 1, whole[name], np.nan))


def test_chunks_without_an_event_of_a_split_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_network(tmp_path / "model.onnx")
    source = write_events(tmp_path / "events.parquet", EVENTS)
    applied_to(network, source, tmp_path / "whole.parquet")
    monkeypatch.setattr(file_applications, "EVENTS_READ", 1)
    applied_to(network, source, tmp_path / "test.parquet", only="test")
    whole, test = (read_events(tmp_path / f"{name}.parquet") for name in ("whole", "test"))
    assert 0 < len(test["score"]) < 100
    within(test["score"], whole["score"][whole["split"] == 2])
