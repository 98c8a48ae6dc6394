"""The network of every example has a file that says what it says."""

import importlib.util
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch import Tensor

from parts.exports import exported
from tests.parts.exported import card_for

GENERATED = Path(__file__).parents[2] / "generated"
# Scripts, and the points of those that have some.
SCRIPTS = [
    (path, str(point) if points else "")
    for path in sorted(GENERATED.glob("*/train_[sr]*.py"))
    for points in [path.read_text().count('"script": ')]
    for point in range(max(1, points))
]
NUMBER = count()


def script(path: Path, point: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a script as a module, and start nothing."""
    monkeypatch.setattr(sys, "argv", [str(path), *(["--point", point] if point else [])])
    spec = importlib.util.spec_from_file_location(f"example_{next(NUMBER)}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def features(dataset: Any) -> dict[str, Tensor]:
    """Return events with everything that these features may be."""
    generator = torch.Generator().manual_seed(4)
    numerical = torch.rand(500, len(dataset.numerical), generator=generator) * 100 + 0.1
    if dataset.missing is not None:
        numerical[torch.rand(numerical.shape, generator=generator) < 0.1] = dataset.missing
    categorical = torch.randint(0, 9, (500, len(dataset.categorical)), generator=generator)
    return {"numerical": numerical, "categorical": categorical}


@pytest.mark.parametrize(
    ("path", "point"),
    SCRIPTS,
    ids=[f"{path.parent.name}{point}" for path, point in SCRIPTS],
)
def test_the_network_of_an_example_has_a_file(
    path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script(path, point, monkeypatch)
    events = features(module.DATASET)
    # Those of training lack some categories.
    train = SimpleNamespace(**{name: tensor[:300] for name, tensor in events.items()})
    train.categorical = train.categorical.clamp_max(6)
    categories = [column.unique().tolist() for column in train.categorical.T]
    is_ratio = path.name == "train_ratio.py"
    build = module.build_density_ratio if is_ratio else module.build_classifier
    classifier = build(train, categories)
    known = {name: getattr(train, name) for name in events}
    card = card_for(
        classifier.network,
        known,
        module.DATASET,
        gives="fake_factor" if is_ratio else "probability",
    )
    content = exported(classifier.network, classifier.link, events, card)
    classifier.eval()
    with torch.no_grad():
        wanted = classifier.link(classifier.network(*events.values())).numpy()
    used = {name: tensor.numpy() for name, tensor in events.items() if tensor.shape[1]}
    (found,) = InferenceSession(content).run(None, used)
    assert found == pytest.approx(wanted, abs=1e-5, rel=1e-3 if is_ratio else 0)
    assert np.std(found[:, -1]) > 0
