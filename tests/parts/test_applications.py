"""A fake factor is applied outside the crack, to events that the training could have had."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parts.applications import applied, deviation, member_factors, read_networks
from parts.cracks import Crack
from parts.datasets import Dataset
from parts.machinery.exits import RefusedError
from tests.parts.exported import write_factor

PT = np.array([2.0, 3.0, 5.0, 7.0])
ETA = np.array([-1.4, 1.37, 0.0, 1.5])


class Log(nn.Module):
    """Of two members: F is pt and twice pt."""

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        return torch.log(torch.cat([numerical, 2 * numerical], 1))


def write(path: Path, crack: Crack | None, **said: Any) -> Path:
    features = {"numerical": torch.rand(10, 1) + 1, "categorical": torch.empty(10, 0).long()}
    return write_factor(path, Log(), features, Dataset((), ("pt",), **said), crack)


def applied_factors(path: Path, events: Any) -> NDArray[Any]:
    """Return F of each member."""
    return np.asarray(applied(read_networks([path], {}), events)[0])


@pytest.fixture(scope="module")
def cracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose eta is no feature."""
    return write(tmp_path_factory.mktemp("cracked") / "f.onnx", Crack("eta", 1.37, 1.52))


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pa.table])
def test_in_the_crack_every_member_is_zero(cracked: Path, kind: Any) -> None:
    found = applied_factors(cracked, kind({"pt": PT, "eta": ETA}))
    # The limits are outside.
    assert found == pytest.approx(np.array([[0, 0], [3, 6], [5, 10], [0, 0]]), rel=1e-5)


def test_without_a_crack_eta_is_not_asked_for(tmp_path: Path) -> None:
    found = applied_factors(write(tmp_path / "f.onnx", None), {"pt": PT})
    assert found == pytest.approx(np.stack([PT, 2 * PT], 1), rel=1e-5)


def test_what_the_network_says_needs_no_eta(cracked: Path) -> None:
    assert member_factors(cracked, {"pt": PT})[:, 0] == pytest.approx(PT, rel=1e-5)


def test_whether_a_lepton_is_in_the_crack_is_never_guessed(cracked: Path) -> None:
    with pytest.raises(RefusedError, match="no column 'eta'"):
        applied_factors(cracked, {"pt": PT})
    with pytest.raises(
        RefusedError, match="eta is missing, which tells the crack, in 1 of 4 events"
    ):
        applied_factors(cracked, {"pt": PT, "eta": [0.0, 0.0, np.nan, 0.0]})


def test_an_eta_that_does_not_exist_tells_no_crack(tmp_path: Path) -> None:
    path = write(tmp_path / "f.onnx", Crack("eta", 1.37, 1.52), missing=4.0)
    for eta in ([0.0, 0.0, 4.0, 0.0], [0.0, 0.0, None, 0.0]):
        with pytest.raises(RefusedError, match="eta is missing, which tells the crack, in 1 of 4"):
            applied_factors(path, {"pt": PT, "eta": eta})


@pytest.mark.parametrize("key", ["numerical", "missing", "crack", "seen"])
@pytest.mark.parametrize("value", [None, '"junk'])
def test_a_network_that_does_not_say_what_it_takes_is_refused(
    cracked: Path, tmp_path: Path, key: str, value: str | None
) -> None:
    """Not even of a crack is it assumed that there is none."""
    model = onnx.load(cracked)
    kept = {p.key: p.value for p in model.metadata_props}
    kept = {n: v for n, v in kept.items() if n != key} | ({key: value} if value else {})
    onnx.helper.set_model_props(model, kept)
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(
        RefusedError, match=r"is no network that train_signal.py or train_ratio.py has left"
    ):
        member_factors(path, {"pt": PT, "eta": ETA})


def as_lists(kind: str) -> Any:
    """Return events with a column of lists; the third one's is empty."""
    lists = [[2000.0, 1.0], [3000.0], [], [7000.0, 2.0, 3.0]]
    if kind == "table":
        return pa.table({"lep_pt": lists})
    return pd.DataFrame({"lep_pt": lists}) if kind == "frame" else {"lep_pt": ak.Array(lists)}


@pytest.mark.parametrize("kind", ["table", "frame", "awkward"])
def test_what_features_are_derived_from_is_enough(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "f.onnx", None, missing=4.0, derived={"pt": "lep_pt[0] / 1000"})
    found = applied_factors(path, as_lists(kind))[:, 0]
    # What does not exist is what stood in training for it.
    assert found == pytest.approx([2, 3, 4, 7])
    # A column of that name need not be derived.
    assert applied_factors(path, {"pt": PT})[:, 0] == pytest.approx(PT)
    with pytest.raises(RefusedError, match="no column 'lep_pt'"):
        applied_factors(path, {"eta": ETA})


def test_the_spread_is_the_standard_deviation() -> None:
    factors = np.array([[0.1, 0.3], [0.2, 0.2]])
    assert deviation(factors, 1) == pytest.approx([0.1 * np.sqrt(2), 0])
    assert deviation(factors[:, :1], 1).tolist() == [0, 0]


def test_a_few_events_beyond_the_training_are_worth_no_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of as many events, some always are beyond the least and the largest of the training."""
    path = write(tmp_path / "f.onnx", None)
    values = np.full(2000, 1.5)
    # The training had pt from 1 to 2.
    values[:2] = 3.0
    applied_factors(path, {"pt": values})
    assert capsys.readouterr().err == ""
    values[2] = 3.0
    applied_factors(path, {"pt": values})
    assert "in 3 of 2000 events, such as 3 in event 0" in capsys.readouterr().err
