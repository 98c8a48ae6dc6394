"""Networks of a cross-validation whose scores are known by construction, and their runs."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from parts.model_cards import ModelCard, written_card
from parts.seen_features import Seen
from parts.splits import Fold
from tests.parts.test_model_cards import CARD

SCRIPT = "a" * 64
TEST = {"auc": 0.8, "significance_cut": 0.5}


def sigmoid_network(slope: float, card: ModelCard) -> bytes:
    """Return the file of [1 - s, s], s = sigmoid(slope * x) of the only feature x."""
    given = helper.make_tensor_value_info("numerical", TensorProto.FLOAT, ["event", 1])
    gives = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["event", 2])
    constants = [
        helper.make_tensor("slope", TensorProto.FLOAT, [1], [slope]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
    ]
    nodes = [
        helper.make_node("Mul", ["numerical", "slope"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["s"]),
        helper.make_node("Sub", ["one", "s"], ["b"]),
        helper.make_node("Concat", ["b", "s"], ["probability"], axis=1),
    ]
    graph = helper.make_graph(nodes, "sigmoid", [given], [gives], constants)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    for key, value in written_card(card).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def fold_card(run: str, fold: Fold) -> ModelCard:
    seen = Seen({"x": (-9.0, 9.0)}, (), {}, ())
    card = replace(CARD, numerical=("x",), categorical=(), derived={}, seen=seen)
    return replace(card, run=run, split=fold)


def finished_fold(folder: Path, fold: Fold, slope: float = 1.0, script: str = SCRIPT) -> Path:
    """Make what the run of a fold leaves, as far as its combination looks at it."""
    (folder / "deploy").mkdir(parents=True)
    card = fold_card(folder.name, fold)
    (folder / "deploy" / "model.onnx").write_bytes(sigmoid_network(slope, card))
    done = {"script": script, "checkpoint": "best.ckpt", "sha256": "b" * 64}
    (folder / "done").write_text(json.dumps(done))
    (folder / "metrics.json").write_text(json.dumps({"metrics": {"test": TEST}}))
    digest = "c" * 64
    identity = {"script": script, "data": {"/data/x.csv": digest}, "samples": {"a": [digest]}}
    (folder / "run.json").write_text(json.dumps(identity | {"seed": 1}))
    return folder
