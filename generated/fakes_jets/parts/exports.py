"""A trained network as one ONNX file, which needs neither torch nor Lightning to be used."""

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxscript import opset18
from torch import Tensor, nn

from parts.cracks import Crack
from parts.datasets import Dataset
from parts.inputs import Logarithms, is_missing
from parts.machinery.places import write_atomically
from parts.ranges import Seen

# Its types are of no use to those who call it.
OPERATORS: Any = opset18


class FakeFactor(nn.Module):
    """From features to F = e^log r (event, member); without categorical features, of one input."""

    def __init__(self, log_ratio: nn.Module) -> None:
        super().__init__()
        self.log_ratio = log_ratio

    def forward(self, *features: Tensor) -> Tensor:
        """Return (event, member)."""
        numerical, *rest = features
        none = numerical.new_zeros((numerical.shape[0], 0), dtype=torch.int64)
        return torch.exp(self.log_ratio(numerical, rest[0] if rest else none))


def counted_below(
    edges: Any, values: Any, out_int32: bool = False, right: bool = False, side: Any = None,
    sorter: Any = None,
) -> Any:  # fmt: skip
    """Say torch.searchsorted, which ONNX does not have, as a count of the edges below."""
    below = OPERATORS.Less(OPERATORS.Unsqueeze(edges, [-2]), OPERATORS.Unsqueeze(values, [-1]))
    return OPERATORS.ReduceSum(OPERATORS.Cast(below, to=onnx.TensorProto.INT64), [-1], keepdims=0)


def seen_by(module: nn.Module, train: dict[str, Tensor], dataset: Dataset) -> Seen:
    """Return what a network has seen of training events, which `train` holds by input."""
    ranges: dict[str, tuple[float, float] | None] = {}
    lacking = []
    for name, column in zip(dataset.numerical, train["numerical"].T, strict=True):
        there = column
        if dataset.missing is not None:
            there = column[~is_missing(column, dataset.missing)]
        if len(there) < len(column):
            lacking.append(name)
        ranges[name] = (there.min().item(), there.max().item()) if len(there) else None
    taken = [each.chosen for each in module.modules() if isinstance(each, Logarithms)]
    return Seen(
        ranges=ranges,
        lacking=tuple(lacking),
        categories={
            name: tuple(column.unique().tolist())
            for name, column in zip(dataset.categorical, train["categorical"].T, strict=True)
        },
        positive=tuple(
            name
            for index, name in enumerate(dataset.numerical)
            if any(bool(chosen[index]) for chosen in taken)
        ),
    )


def export(
    module: FakeFactor,
    path: Path,
    features: dict[str, Tensor],
    dataset: Dataset,
    crack: Crack | None,
    seen: Seen,
) -> None:
    """Write the network, scaling and all, as `path`; any number of events may go in.

    `features` holds events by input. The file keeps the columns of each, what is missing and what
    is derived, as the `dataset` says, the `crack`, and what was `seen`: all that `applications`
    asks. Raises `RuntimeError` if the file says something else than the network.
    """
    used = {name: tensor for name, tensor in features.items() if tensor.shape[1]}
    with torch.no_grad():
        wanted = module.cpu().eval()(*used.values()).numpy()
    # ONNX Runtime lacks some functions in double precision.
    module = module.float()
    used = {n: tensor.float() if n == "numerical" else tensor for n, tensor in used.items()}
    events = {0: torch.export.Dim("event")}
    # It remarks upon packages that nothing here uses.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(tensor[:8] for tensor in used.values()),
            dynamo=True,
            verbose=False,
            input_names=list(used),
            output_names=["fake_factor"],
            dynamic_shapes=(tuple(events for _ in used),),
            custom_translation_table={torch.ops.aten.searchsorted.Tensor: counted_below},
        )
    assert program is not None, "dynamo returns a program"
    model = program.model_proto
    known: dict[str, Any] = {
        "numerical": dataset.numerical,
        "categorical": dataset.categorical,
        # JSON has no nan.
        "missing": None if dataset.missing is None else str(dataset.missing),
        "crack": None if crack is None else asdict(crack),
        "derived": dict(dataset.derived),
        "seen": asdict(seen),
    }
    for key, value in known.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {name: tensor.numpy() for name, tensor in used.items()})
    if not np.allclose(found, wanted, rtol=1e-3, atol=1e-6):
        raise RuntimeError("the exported network differs from the trained one")
    write_atomically(path, content)
