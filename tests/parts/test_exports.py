"""An exported network says what the trained one says, whatever it is made of."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from parts.activations import Activated, Softabs
from parts.applications import member_factors
from parts.cracks import Crack
from parts.datasets import Dataset
from parts.density_losses import tangent_link
from parts.ensembles import Ensemble, Sliced
from parts.inputs import (
    Embedded,
    Inputs,
    NumericalOrMissing,
    logarithmic,
    present,
    quantile,
    standard,
)
from parts.machinery.exits import RefusedError
from parts.models import MLP, ResNet
from parts.networks import read_network
from tests.parts.exported import write_factor

NAMES = {"numerical": ("pt", "eta"), "categorical": ("n_jets",)}
MISSING = -999.0
CRACK = Crack("eta_of_cluster", 1.37, 1.52)


class LogRatioOf(nn.Module):
    """A network and its link."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        return tangent_link(0.1 * self.network(numerical, categorical))


def dataset(names: dict[str, tuple[str, ...]], missing: float | None) -> Dataset:
    return Dataset((), names["numerical"], names["categorical"], missing)


def events(size: int = 300, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    numerical = torch.rand(size, 2, generator=generator, dtype=dtype) * 100 + 1
    numerical[::7, 1] = MISSING
    categorical = torch.randint(0, 5, (size, 1), generator=generator)
    return {"numerical": numerical, "categorical": categorical}


def write(
    path: Path,
    module: nn.Module,
    features: dict[str, Tensor],
    names: dict[str, tuple[str, ...]],
    missing: float | None = MISSING,
    crack: Crack | None = None,
) -> None:
    """Export a network that was trained on the events that it is compared on."""
    write_factor(path, module, features, dataset(names, missing), crack)


def network(numerical: Tensor, *, categories: bool = True) -> nn.Module:
    """Everything that a fake factor can be made of."""
    torch.manual_seed(2)
    features = present(numerical, MISSING)
    scalings = logarithmic(quantile, features, [0]), logarithmic(standard, features, [0])

    def alone(index: int) -> nn.Module:
        blocks: list[NumericalOrMissing | Embedded] = [
            NumericalOrMissing(scalings[index % 2], 2, MISSING)
        ]
        if categories:
            # Not all that occur: the rest share one embedding.
            blocks.append(Embedded(0, torch.tensor([0, 1, 3]), 3))
        inputs = Inputs(blocks)
        if index % 2:
            return Activated(MLP(inputs, 1, 1, 8, nn.SiLU, 0.1, nn.LayerNorm), Softabs())
        return ResNet(inputs, 1, 2, 8, 2, nn.ReLU, 0.1, nn.BatchNorm1d)

    members = (Sliced([alone(i), alone(i + 1)], 0, (30.0,)) for i in range(2))
    return LogRatioOf(Ensemble(members)).to(numerical.dtype).eval()


def network_of_one() -> nn.Module:
    """The least that takes both kinds of features."""

    class Sum(nn.Module):
        def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
            return numerical.nan_to_num()[:, :1] * 0.01 + categorical

    return Sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("categories", [True, False])
def test_the_file_says_what_the_network_says(
    tmp_path: Path, dtype: torch.dtype, categories: bool
) -> None:
    features = events(dtype=dtype)
    if not categories:
        features["categorical"] = features["categorical"][:, :0]
    names = NAMES if categories else NAMES | {"categorical": ()}
    module = network(features["numerical"], categories=categories)
    with torch.no_grad():
        wanted = torch.exp(module(*features.values())).numpy()
    write(tmp_path / "f.onnx", module, features, names)
    frame: Any = pd.DataFrame(
        {
            "pt": features["numerical"][:, 0].numpy(),
            "eta": features["numerical"][:, 1].numpy(),
            "n_jets": events(dtype=dtype)["categorical"][:, 0].numpy(),
        }
    )
    found = member_factors(tmp_path / "f.onnx", frame)
    assert wanted.shape == (300, 2)
    assert found == pytest.approx(wanted, rel=1e-4)
    # Other kinds of events, in any number, also none.
    columns: dict[str, list[Any]] = {str(name): frame[name].tolist() for name in frame}
    assert member_factors(tmp_path / "f.onnx", columns) == pytest.approx(found)
    one = {name: values[:1] for name, values in columns.items()}
    assert member_factors(tmp_path / "f.onnx", one) == pytest.approx(found[:1], rel=1e-4)
    none = {name: values[:0] for name, values in columns.items()}
    assert member_factors(tmp_path / "f.onnx", none).shape == (0, 2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network, for all tests that only apply it."""
    path = tmp_path_factory.mktemp("exported") / "f.onnx"
    features = events()
    write(path, network(features["numerical"]), features, NAMES, crack=CRACK)
    return path


def test_a_missing_column_and_a_jagged_one_are_named(exported: Path) -> None:
    with pytest.raises(RefusedError, match="no column 'eta'"):
        member_factors(exported, {"pt": [1.0], "n_jets": [1]})
    with pytest.raises(RefusedError, match="no column 'eta' of one number each"):
        member_factors(exported, {"pt": [1.0], "eta": [[1.0, 2.0]], "n_jets": [1]})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pt", np.inf, "pt is infinite in 1 of 2 events, such as inf in event 0"),
        ("pt", 1e301, r"pt is too large for float32 in 1 of 2 events, such as 1e\+301 in event 0"),
        ("pt", 0.0, "pt has no logarithm, being 0 or less, in 1 of 2 events, such as 0 in event 0"),
        ("pt", -3.0, "pt has no logarithm, being 0 or less, in 1 of 2 events, such as -3 in"),
        # What is nothing in 32 bits has no logarithm there.
        ("pt", 1e-60, "pt has no logarithm, being 0 or less, in 1 of 2 events, such as 1e-60 in"),
        ("eta", np.nan, r"eta is nan \(what does not exist is -999\) in 1 of 2 events"),
        ("eta", -np.inf, "eta is infinite in 1 of 2 events"),
        ("n_jets", 1.5, "n_jets is no whole number in 1 of 2 events, such as 1.5 in event 0"),
        ("n_jets", np.nan, "n_jets is no whole number in 1 of 2 events"),
        ("n_jets", np.inf, "n_jets is no whole number in 1 of 2 events"),
        ("n_jets", 1e300, r"n_jets is too large for a category in 1 of 2 events, such as 1e\+300"),
    ],
)
def test_values_that_training_refuses_are_refused(
    exported: Path, column: str, value: float, message: str
) -> None:
    columns = {"pt": [10.0, 20.0], "eta": [0.0, MISSING], "n_jets": [1.0, 9.0]}
    assert np.isfinite(member_factors(exported, columns)).all()
    columns[column][0] = value
    with pytest.raises(RefusedError, match=f"cannot take: {message}.*events count from 0"):
        member_factors(exported, columns)


def test_all_that_is_wrong_is_said_at_once(exported: Path) -> None:
    columns = {"pt": [-1.0, 2.0, 0.0], "eta": [np.inf, 1.0, 1.0], "n_jets": [0.5, 1.0, 1.0]}
    with pytest.raises(RefusedError) as caught:
        member_factors(exported, columns)
    assert [word in str(caught.value) for word in ("pt", "eta", "n_jets")] == [True] * 3
    assert "in 2 of 3 events, such as -1 in event 0" in str(caught.value)


def test_what_the_training_has_not_seen_is_counted_and_said(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training has pt and eta from 1 to 101, eta may be missing, and n_jets from 0 to 4."""
    seen = read_network(exported).card.seen
    (low, high), ends = seen.ranges["pt"], seen.ranges["eta"]  # type: ignore[misc]
    features = events()["numerical"]
    assert (low, high) == (features[:, 0].min().item(), features[:, 0].max().item())
    # What stands for a missing value is none.
    assert ends is not None
    assert ends[0] > 0
    assert seen.lacking == ("eta",)
    assert seen.categories == {"n_jets": (0, 1, 2, 3, 4)}
    assert seen.positive == ("pt",)
    # As wide as what was seen, in more digits than the network's.
    columns: dict[str, Any] = {"pt": [low, high], "eta": [ends[0], MISSING], "n_jets": [0, 4]}
    member_factors(exported, columns)
    assert capsys.readouterr().err == ""
    columns = {
        "pt": np.array([low, high * 1.01, 1e12, MISSING]),
        "eta": np.array([-30, 2**24 + 1, 5, 5]),
        "n_jets": np.array([9, 0, -1, 2**60]),
    }
    assert np.isfinite(member_factors(exported, columns)).all()
    title, *lines = capsys.readouterr().err.splitlines()
    assert title == "beyond what the training has seen, where F is a guess:"
    limits = [f"{each[0]:.6g} to {each[1]:.6g}" for each in ((low, high), ends)]
    assert lines == [
        "  pt: missing, as never in training, in 1 of 4 events, such as -999 in event 3",
        f"  pt: outside {limits[0]} in 2 of 4 events, such as {high * 1.01:.9g} in event 1",
        "  eta: whole numbers that float32 rounds in 1 of 4 events, such as 16777217 in event 1",
        f"  eta: outside {limits[1]} in 2 of 4 events, such as -30 in event 0",
        "  n_jets: values never seen in training in 3 of 4 events, such as 9 in event 0",
    ]


def test_a_feature_that_never_existed_is_counted_where_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = events()
    features["numerical"][:, 1] = MISSING
    write(tmp_path / "f.onnx", network_of_one(), features, NAMES)
    member_factors(tmp_path / "f.onnx", {"pt": [5.0], "eta": [0.0], "n_jets": [1]})
    assert "eta: there, as never in training, in 1 of 1 events" in capsys.readouterr().err


def test_no_factor_is_infinite(tmp_path: Path) -> None:
    class Steep(nn.Module):
        def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
            return numerical.nan_to_num()[:, :1] + 0 * categorical

    write(tmp_path / "f.onnx", Steep(), events(), NAMES)
    with pytest.raises(RefusedError, match="no finite F in 1 of 2 events, such as inf in event 1"):
        member_factors(tmp_path / "f.onnx", {"pt": [1.0, 1e4], "eta": [1, 1], "n_jets": [1, 1]})


def test_the_metadata_say_all_that_applying_it_needs(exported: Path) -> None:
    found = {p.key: json.loads(p.value) for p in onnx.load(exported).metadata_props}
    assert {name: tuple(found[name]) for name in NAMES} == NAMES
    assert found["missing"] == "-999.0"
    assert found["crack"] == {"eta": "eta_of_cluster", "low": 1.37, "high": 1.52}


def test_a_network_is_read_as_it_was_written(exported: Path, tmp_path: Path) -> None:
    card = read_network(exported).card
    assert {name: getattr(card, name) for name in NAMES} == NAMES
    assert (card.missing, card.crack, card.derived) == (MISSING, CRACK, {})
    features = events()
    with_nan = tmp_path / "nan.onnx"
    write(with_nan, network_of_one(), features, NAMES, math.nan)
    card = read_network(with_nan).card
    assert card.crack is None
    assert card.missing is not None
    assert math.isnan(card.missing)
    write(with_nan, network_of_one(), features, NAMES, None)
    assert read_network(with_nan).card.missing is None
