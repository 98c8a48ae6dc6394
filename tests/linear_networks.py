"""Small networks in ONNX, written without torch, whose scores are known by heart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from parts.model_cards import CardSample, ModelCard, written_card
from parts.seen_features import Seen
from parts.splits import Fold

# Of two classes; events have pt, eta and n_jets.
CARD = ModelCard(
    gives="probability",
    numerical=("pt", "eta"),
    categorical=("n_jets",),
    missing=-999.0,
    derived={},
    seen=Seen({"pt": (-10.0, 10.0), "eta": (-5.0, 5.0)}, ("eta",), {"n_jets": (0, 1, 2)}, ()),
    classes=("background", "signal"),
    labels={},
    class_labels={},
    event_number="event",
    split=(0.6, 0.2, 0.2),
    earlier=False,
    samples=(
        CardSample("signal", "process == 1", "2 * weight", "Root", None),
        CardSample("background", "process == 0", "weight", "Root", None),
    ),
    crack=None,
    run="named",
    script="aaaa",
    precision="32-true",
)

# Of the logits of folds, which are told apart by them.
BIASES = (0.0, 1.0, 2.0)


def probability(pt: NDArray[Any], bias: float | NDArray[Any] = 0.0) -> NDArray[np.float64]:
    """Return the probability of the signal, whose logit is pt + bias."""
    return np.asarray(1 / (1 + np.exp(-pt.astype(np.float64) - bias)))


def write_network(path: Path, card: ModelCard = CARD, bias: float = 0.0) -> Path:
    """Write a network as the `card` says: of two classes, the logit is the first feature + bias.

    Of more, that of class k is k times this; F of fakes is once and twice its exponential.
    """
    width = len(card.classes) if card.gives == "probability" else 2
    slopes = np.zeros((len(card.numerical), width), np.float32)
    slopes[0] = np.arange(width) if card.gives == "probability" else 1
    offsets = slopes[0] * np.float32(bias)
    if card.gives == "fake_factor":
        offsets = offsets + np.log(np.arange(1, 1 + width, dtype=np.float32))
    last = "Softmax" if card.gives == "probability" else "Exp"
    nodes = [
        helper.make_node("MatMul", ["numerical", "slopes"], ["sloped"]),
        helper.make_node("Add", ["sloped", "offsets"], ["logits"]),
        helper.make_node(last, ["logits"], [card.gives]),
    ]
    inputs = [said("numerical", TensorProto.FLOAT, len(card.numerical))]
    if card.categorical:
        inputs.append(said("categorical", TensorProto.INT64, len(card.categorical)))
    constants = [numpy_helper.from_array(slopes, "slopes")]
    constants.append(numpy_helper.from_array(offsets.astype(np.float32), "offsets"))
    output = said(card.gives, TensorProto.FLOAT, width)
    graph = helper.make_graph(nodes, "network", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, written_card(card))
    onnx.save(model, path)
    return path


def said(name: str, kind: int, width: int) -> Any:
    """Return what a graph says of an input, or of its output."""
    return helper.make_tensor_value_info(name, kind, ["event", width])


def write_folds(folder: Path, biases: Sequence[float], card: ModelCard = CARD) -> None:
    """Write the networks of all folds, each with a bias of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, bias in enumerate(biases):
        split = Fold(number, len(biases))
        own = replace(card, split=split, run=f"named-{number}", script=f"s{number}")
        write_network(folder / f"model_{number}.onnx", own, bias)


def drawn_events(n_events: int = 1000, seed: int = 1) -> dict[str, NDArray[Any]]:
    """Return events that any of these networks takes; event numbers need 64 bits."""
    generator = np.random.default_rng(seed)
    return {
        "event": np.arange(n_events, dtype=np.int64) + 2**60,
        "pt": generator.normal(0, 2, n_events).clip(-10, 10).astype(np.float32),
        "eta": np.where(np.arange(n_events) % 7 == 0, -999.0, generator.uniform(-4, 4, n_events)),
        "n_jets": generator.integers(0, 3, n_events),
        "process": np.arange(n_events) % 3,
        "weight": generator.uniform(0.5, 1.5, n_events),
    }
