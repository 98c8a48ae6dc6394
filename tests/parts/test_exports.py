"""An exported network says what the trained one says, whatever it is made of."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn

from parts import activations, exports
from parts.activations import Activated, Softabs
from parts.agreements import ExportError
from parts.applications import member_factors
from parts.cracks import Crack
from parts.datasets import Dataset
from parts.density_losses import tangent_link
from parts.ensembles import Ensemble, Sliced
from parts.exports import exported
from parts.inputs import (
    Embedded,
    Inputs,
    Numerical,
    NumericalOrMissing,
    logarithmic,
    minmax,
    present,
    quantile,
    robust,
    standard,
)
from parts.machinery.exits import RefusedError
from parts.models import MLP, ResNet, binary_probability, class_probability
from parts.networks import read_network
from seesawc.rules.fakes import OUTPUTS
from seesawc.tables import signatures
from tests.parts.exported import card_for, exported_factor, write_factor

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
def exported_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network, for all tests that only apply it."""
    path = tmp_path_factory.mktemp("exported") / "f.onnx"
    features = events()
    write(path, network(features["numerical"]), features, NAMES, crack=CRACK)
    return path


def test_a_missing_column_and_a_jagged_one_are_named(exported_file: Path) -> None:
    with pytest.raises(RefusedError, match="no column 'eta'"):
        member_factors(exported_file, {"pt": [1.0], "n_jets": [1]})
    with pytest.raises(RefusedError, match="no column 'eta' of one number each"):
        member_factors(exported_file, {"pt": [1.0], "eta": [[1.0, 2.0]], "n_jets": [1]})


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
    exported_file: Path, column: str, value: float, message: str
) -> None:
    columns = {"pt": [10.0, 20.0], "eta": [0.0, MISSING], "n_jets": [1.0, 9.0]}
    assert np.isfinite(member_factors(exported_file, columns)).all()
    columns[column][0] = value
    with pytest.raises(RefusedError, match=f"cannot take: {message}.*events count from 0"):
        member_factors(exported_file, columns)


def test_all_that_is_wrong_is_said_at_once(exported_file: Path) -> None:
    columns = {"pt": [-1.0, 2.0, 0.0], "eta": [np.inf, 1.0, 1.0], "n_jets": [0.5, 1.0, 1.0]}
    with pytest.raises(RefusedError) as caught:
        member_factors(exported_file, columns)
    assert [word in str(caught.value) for word in ("pt", "eta", "n_jets")] == [True] * 3
    assert "in 2 of 3 events, such as -1 in event 0" in str(caught.value)


def test_what_the_training_has_not_seen_is_counted_and_said(
    exported_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training has pt and eta from 1 to 101, eta may be missing, and n_jets from 0 to 4."""
    seen = read_network(exported_file).card.seen
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
    member_factors(exported_file, columns)
    assert capsys.readouterr().err == ""
    columns = {
        "pt": np.array([low, high * 1.01, 1e12, MISSING]),
        "eta": np.array([-30, 2**24 + 1, 5, 5]),
        "n_jets": np.array([9, 0, -1, 2**60]),
    }
    assert np.isfinite(member_factors(exported_file, columns)).all()
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


def test_a_missing_value_within_the_range_is_told_from_one_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where 50 stands for what is missing, and nothing was in training."""
    features = events()
    for column in features["numerical"].T:
        column[column == MISSING] = 51.0
        column[column == 50] = 51.0
    write(tmp_path / "f.onnx", network_of_one(), features, NAMES, 50.0)
    member_factors(tmp_path / "f.onnx", {"pt": [50.0, 20.0], "eta": [20.0, 20.0], "n_jets": [1, 1]})
    assert "pt: missing, as never in training, in 1 of 2 events" in capsys.readouterr().err


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


def test_the_metadata_say_all_that_applying_it_needs(exported_file: Path) -> None:
    found = {p.key: json.loads(p.value) for p in onnx.load(exported_file).metadata_props}
    assert {name: tuple(found[name]) for name in NAMES} == NAMES
    assert found["missing"] == "-999.0"
    assert found["crack"] == {"eta": "eta_of_cluster", "low": 1.37, "high": 1.52}


def test_a_network_is_read_as_it_was_written(exported_file: Path, tmp_path: Path) -> None:
    card = read_network(exported_file).card
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


INPUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "residual": {"model": ResNet, "norm": nn.BatchNorm1d},
    "layernorm": {"norm": nn.LayerNorm},
    "classes": {"outputs": 3, "model": ResNet, "norm": nn.LayerNorm, "scaling": quantile},
    "minmax": {"scaling": minmax, "logs": [0]},
    "robust": {"scaling": robust, "missing": math.nan, "norm": nn.BatchNorm1d},
    "unscaled": {"scaling": None, "logs": [0], "missing": math.nan},
    "quantile": {"scaling": quantile, "missing": None, "logs": [0]},
    "numbers": {"categories": False, "norm": nn.BatchNorm1d},
    "categories": {"numbers": False, "missing": None},
}


def classifier(
    features: dict[str, Tensor],
    *,
    model: type[MLP] | type[ResNet] = MLP,
    outputs: int = 1,
    norm: type[nn.Module] = nn.Identity,
    act: type[nn.Module] = nn.SiLU,
    scaling: Callable[[Sequence[Tensor]], nn.Module] | None = standard,
    logs: Sequence[int] = (),
    missing: float | None = MISSING,
    categories: bool = True,
    numbers: bool = True,
) -> nn.Module:
    """Return a network as a script builds one, some training behind it."""
    torch.manual_seed(3)
    values = present(features["numerical"], missing)
    scaled = scaling(values) if scaling else nn.Identity()
    if logs:
        scaled = logarithmic(scaling, values, logs)
    blocks: list[Any] = []
    if numbers and missing is not None:
        blocks.append(NumericalOrMissing(scaled, 2, missing))
    elif numbers:
        blocks.append(Numerical(scaled, 2))
    if categories:
        blocks.append(Embedded(0, torch.tensor([0, 1, 3]), 3))
    more: dict[str, Any] = {"block_size": 2} if model is ResNet else {}
    network: nn.Module = model(
        Inputs(blocks), outputs, 2, 16, act=act, dropout=0.5, norm=norm, **more
    )
    # What batch norm has seen is not what it begins with.
    network.train()
    for _ in range(3):
        network(features["numerical"], features["categorical"])
    return network


@pytest.mark.parametrize("name", INPUTS)
def test_a_classifier_gives_its_probabilities_whatever_it_is_made_of(name: str) -> None:
    made = INPUTS[name]
    missing = made.get("missing", MISSING)
    features = events()
    stands = features["numerical"] == MISSING
    features["numerical"][stands] = 7.0 if missing is None else missing
    network = classifier(features, **made)
    outputs = made.get("outputs", 1)
    link = binary_probability if outputs == 1 else class_probability
    names = dict(NAMES)
    for kind, option in (("numerical", "numbers"), ("categorical", "categories")):
        if not made.get(option, True):
            features[kind], names[kind] = features[kind][:, :0], ()
    data = dataset(names, missing)
    card = card_for(network, features, data, gives="probability", classes=("B", "S", "T"))
    session = InferenceSession(exported(network, link, features, card))
    (output,) = session.get_outputs()
    assert (output.name, output.shape[1]) == ("probability", max(2, outputs))
    assert [given.name for given in session.get_inputs()] == [n for n in names if names[n]]
    network.eval()
    for size in (300, 1, 0, 7):
        part = {name: tensor[:size] for name, tensor in features.items()}
        with torch.no_grad():
            wanted = link(network(part["numerical"], part["categorical"])).numpy()
        given = {name: part[name].numpy() for name in names if names[name]}
        (found,) = session.run(None, given)
        assert found.dtype == np.float32
        assert found == pytest.approx(wanted, abs=1e-5)
        assert found.sum(axis=1) == pytest.approx(np.ones(size), abs=1e-6)


def test_events_of_which_a_network_is_sure_are_told_apart() -> None:
    """Background of a good network has scores such as 1e-9, by which one cuts and ranks."""

    class Linear(nn.Module):
        def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
            return numerical[:, :1] + 0 * categorical

    features = events()
    data = dataset(NAMES, MISSING)
    card = card_for(Linear(), features, data, gives="probability")
    session = InferenceSession(exported(Linear(), binary_probability, features, card))
    logits = np.linspace(-80, 80, 161)
    given = np.stack([logits, logits], axis=1).astype(np.float32)
    (found,) = session.run(None, {"numerical": given, "categorical": np.zeros((161, 1), int)})
    wanted = 1 / (1 + np.exp(-logits))
    assert found[:, 1] == pytest.approx(wanted, rel=1e-5)
    assert found[:, 0] == pytest.approx(wanted[::-1], rel=1e-5)


@pytest.mark.parametrize("act", signatures.activations())
def test_every_activation_that_a_spec_may_name_has_an_onnx(act: str) -> None:
    """Or it would be known only after hours of training that there is no file."""
    features = events()
    network = classifier(features, act=getattr(nn, act))
    card = card_for(network, features, dataset(NAMES, MISSING), gives="probability")
    assert exported(network, binary_probability, features, card)


@pytest.mark.parametrize("act_out", [*signatures.activations(), *OUTPUTS])
def test_every_activation_of_an_output_has_an_onnx(act_out: str) -> None:
    features = events()
    kind: Any = getattr(activations, act_out, None) or getattr(nn, act_out, nn.Identity)
    network = Activated(classifier(features), kind())
    assert exported_factor(network, features, dataset(NAMES, MISSING))


@pytest.mark.parametrize(
    ("precision", "dtype", "least", "most"),
    [
        ("64-true", torch.float64, 1e-6, 1e-3),
        ("16-mixed", torch.float32, 1e-5, 1e-2),
        ("bf16-mixed", torch.float32, 1e-4, 5e-2),
    ],
)
def test_another_precision_is_exported_in_single_and_what_that_changes_is_said(
    precision: str,
    dtype: torch.dtype,
    least: float,
    most: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    features = events(dtype=dtype)
    if precision == "64-true":
        # Numbers of which single precision cuts something off.
        features["numerical"][:, 0] += 1e6
    single = features | {"numerical": features["numerical"].float()}
    network = classifier(single).to(dtype).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    data = dataset(NAMES, MISSING)
    card = card_for(network, features, data, gives="probability", precision=precision)
    session = InferenceSession(exported(network, binary_probability, features, card))
    said = re.fullmatch(
        "the network is exported in single precision: probability differs by (.*) at most from"
        f" what it is in {precision}\n",
        capsys.readouterr().out,
    )
    assert said
    assert least < float(said[1]) < most
    # The network itself has not changed.
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert {tensor.dtype for tensor in network.parameters()} == {dtype}
    with torch.no_grad():
        logits = network.float()(single["numerical"], single["categorical"])
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in single.items()})
    assert found == pytest.approx(binary_probability(logits).numpy(), abs=1e-5)


def test_single_precision_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    features = events()
    exported_factor(network_of_one(), features, dataset(NAMES, MISSING))
    assert capsys.readouterr().out == ""


class Changed(nn.Module):
    """A network that is another one in its file: it gives more, where `chosen` says so."""

    def __init__(self, more: float, chosen: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.more = more
        self.chosen = chosen

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return the logits (event, 1)."""
        logits = 0 * numerical[:, :1] + 0 * categorical
        if torch.onnx.is_in_onnx_export():
            return logits + self.more * self.chosen(numerical, categorical)
        return logits


def everywhere(numerical: Tensor, _: Tensor) -> Tensor:
    return torch.ones_like(numerical[:, :1])


def of_new_category(_: Tensor, categorical: Tensor) -> Tensor:
    return (categorical > 4).float()


def where_pt_is_missing(numerical: Tensor, _: Tensor) -> Tensor:
    return (numerical[:, :1] == MISSING).float()


@pytest.mark.parametrize("chosen", [everywhere, of_new_category, where_pt_is_missing])
@pytest.mark.parametrize(
    ("gives", "link", "slope", "limit"),
    [("probability", binary_probability, 0.25, 1e-5), ("fake_factor", torch.exp, 1.0, 1e-3)],
)
def test_a_file_that_says_something_else_is_none(
    gives: Any,
    link: Callable[[Tensor], Tensor],
    slope: float,
    limit: float,
    chosen: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """None of the events lacks pt, or is of the category that is new."""
    features = events()
    data = dataset(NAMES, MISSING)
    card = card_for(Changed(0, chosen), features, data, gives=gives)
    assert exported(Changed(limit / slope / 2, chosen), link, features, card)
    with pytest.raises(ExportError, match=rf"the trained network: {gives} by (2e-05|0.002)"):
        exported(Changed(limit / slope * 2, chosen), link, features, card)


def test_a_file_that_gives_no_number_where_the_network_does_is_none() -> None:
    features = events()
    with pytest.raises(ExportError, match="fake_factor by nan"):
        exported_factor(Changed(math.nan, everywhere), features, dataset(NAMES, MISSING))


def test_a_network_of_which_there_is_no_onnx_is_told_apart() -> None:
    class Other(nn.Module):
        def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
            bessel: Tensor = torch.special.bessel_j0(numerical[:, :1])
            return bessel + 0 * categorical

    with pytest.raises(ExportError, match=r"there is no ONNX of this network: .*bessel_j0"):
        exported_factor(Other(), events(), dataset(NAMES, MISSING))


def test_a_file_names_no_place_of_the_machine_and_is_the_same_again() -> None:
    features = events()
    content = [
        exported_factor(classifier(features), features, dataset(NAMES, MISSING)) for _ in range(2)
    ]
    assert content[0] == content[1]
    for place in (Path(exports.__file__).parent, Path(torch.__file__).parent, Path.home()):
        assert str(place).encode() not in content[0]
