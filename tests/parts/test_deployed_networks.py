"""A run hands on its network with a card that says all that there is to know of it, or none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn

from parts.agreements import ExportError
from parts.classifiers import Classifier
from parts.cracks import Crack
from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.events import Events
from parts.hdf5_files import Hdf5
from parts.losses import bce
from parts.machinery.deployed_networks import deploy, deploy_factor
from parts.machinery.launches import Run
from parts.machinery.trained_events import described_events
from parts.model_cards import CardSample, ModelCard, card_of
from parts.models import binary_probability
from parts.root_files import Root
from parts.seen_features import Seen
from parts.splits import Fold
from tests.parts.begun import begin

DATASET = Dataset(
    (
        Sample("ggH", ("a.root",), Root("nominal"), 1, selection="pt > 1", weight="w * 2"),
        Sample("qqZZ", ("a.root",), Root(), 0),
        Sample("Zjets", ("b.h5",), Hdf5("events"), 0),
        Sample("data", ("c.csv",), Csv(), 0),
    ),
    numerical=("pt", "m"),
    categorical=("n_jets",),
    missing=-999.0,
    event_number="event",
    split=Fold(2, 5),
    derived={"m": "sqrt(e**2 - p**2)"},
    classes=("B", "S"),
    labels={"pt": "$p_T$ [GeV]"},
    class_labels={"S": "H to ZZ"},
)


class Sum(nn.Module):
    """The least that takes both kinds of features."""

    def __init__(self, in_onnx: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.in_onnx = in_onnx

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return the logits (event, 1), and other ones in a file."""
        more = self.in_onnx if torch.onnx.is_in_onnx_export() else 0.0
        return self.weight * numerical[:, :1].clamp(0, 1) + 0 * categorical + more


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    begun = begin(tmp_path, dataset=DATASET)
    yield begun
    begun.record.file.close()
    begun.artist.shutdown()


def events(size: int = 20) -> Events:
    numerical = torch.arange(2.0 * size).reshape(size, 2)
    numerical[0, 1] = -999.0
    categorical = torch.arange(size)[:, None] % 3
    return Events(numerical, categorical, torch.arange(size) % 2, *[torch.ones(size)] * 2)


def classifier(network: nn.Module, link: Any = binary_probability) -> Classifier:
    return Classifier(network=network, loss=bce, link=link, knows={})


def card_in(path: Path) -> ModelCard:
    return card_of({p.key: p.value for p in onnx.load(path).metadata_props})


def test_the_file_says_all_that_there_is_to_know(run: Run) -> None:
    folder = deploy(run, classifier(Sum()), "32-true", events(), events(9))
    assert folder == run.folder.path / "deploy"
    assert card_in(folder / "model.onnx") == ModelCard(
        gives="probability",
        numerical=("pt", "m"),
        categorical=("n_jets",),
        missing=-999.0,
        derived={"m": "sqrt(e**2 - p**2)"},
        # Of the events of training, not of those that are compared.
        seen=Seen({"pt": (0.0, 38.0), "m": (3.0, 39.0)}, ("m",), {"n_jets": (0, 1, 2)}, ()),
        classes=("B", "S"),
        labels={"pt": "$p_T$ [GeV]"},
        class_labels={"S": "H to ZZ"},
        event_number="event",
        split=Fold(2, 5),
        earlier=False,
        samples=(
            CardSample("ggH", "pt > 1", "w * 2", "Root", "nominal"),
            CardSample("qqZZ", None, None, "Root", None),
            CardSample("Zjets", None, None, "Hdf5", "events"),
            CardSample("data", None, None, "Csv", None),
        ),
        crack=None,
        run="first",
        script=run.code.identity,
        precision="32-true",
    )


def test_the_card_of_a_network_that_had_another_split_before_says_so(run: Run) -> None:
    own = described_events(DATASET, {sample.name: () for sample in DATASET.samples})
    begun = replace(run, events=[own | {"split": [0.6, 0.2, 0.2]}, own])
    folder = deploy(begun, classifier(Sum()), "32-true", events(), events(9))
    assert folder
    assert card_in(folder / "model.onnx").earlier
    deploy(replace(run, events=[own, own]), classifier(Sum()), "32-true", events(), events(9))
    assert not card_in(folder / "model.onnx").earlier


def test_without_a_script_that_applies_it_the_network_lies_alone(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = deploy(run, classifier(Sum()), "32-true", events(), events())
    assert folder
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    assert "has the network alone" in capsys.readouterr().out


def test_a_network_without_a_file_is_not_deployed_and_a_line_says_so(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor what a start has left of it that was killed before its end."""
    for name in ("deploy", "deploy.unfinished"):
        (run.folder.path / name / "parts").mkdir(parents=True)
    assert deploy(run, classifier(Sum(0.1)), "32-true", events(), events()) is None
    said = capsys.readouterr().out
    assert said == (
        "warning: the network is not deployed: it would differ from the trained network:"
        " probability by 0.025\n"
    )
    assert not list(run.folder.path.glob("deploy*"))


def test_a_network_that_was_trained_with_64_bits_stays_as_it_is(run: Run) -> None:
    """Plots that are drawn later need it."""
    module = classifier(Sum()).double().train()
    seen = events()
    split = Events(*(t.double() if t.is_floating_point() else t for t in seen.tensors()))
    folder = deploy(run, module, "64-true", split, split)
    assert folder
    assert module.network.weight.dtype == torch.float64
    assert module.training
    assert card_in(folder / "model.onnx").precision == "64-true"
    session = InferenceSession(folder / "model.onnx")
    assert {each.type for each in session.get_inputs()} == {"tensor(float)", "tensor(int64)"}


def identical(logits: Tensor) -> Tensor:
    return logits


def test_a_fake_factor_is_the_exponential_of_its_logarithm(run: Run) -> None:
    crack = Crack("eta", 1.37, 1.52)
    ratio = classifier(Sum(), identical)
    folder = deploy_factor(run, ratio, "32-true", events(), events(), crack)
    card = card_in(folder / "model.onnx")
    assert (card.gives, card.crack) == ("fake_factor", crack)
    given = {"numerical": events().numerical.numpy(), "categorical": events().categorical.numpy()}
    (found,) = InferenceSession(folder / "model.onnx").run(None, given)
    assert found[:3, 0] == pytest.approx([1.0, torch.e, torch.e])


def test_without_a_fake_factor_there_is_no_result(run: Run) -> None:
    with pytest.raises(ExportError, match="fake_factor by"):
        deploy_factor(run, classifier(Sum(0.1), identical), "32-true", events(), events())
    assert not list(run.folder.path.glob("deploy*"))
