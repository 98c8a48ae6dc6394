"""A trained network as one ONNX file, which needs neither torch nor Lightning to be used."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from parts.agreements import (
    LIMITS,
    ExportError,
    as_trained,
    compared_events,
    differs_by,
    in_full_precision,
)
from parts.model_cards import ModelCard, written_card

# It takes more than its types say.
EXPORTER: Any = torch.onnx
# Of ONNX's operators, which all runtimes of the last years know.
OPSET = 18


class Applied(nn.Module):
    """A network and its link: from those `inputs` that it has features of to what it gives."""

    def __init__(
        self, network: nn.Module, link: Callable[[Tensor], Tensor], inputs: Sequence[str]
    ) -> None:
        super().__init__()
        self.network = network
        self.link = link
        self.inputs = tuple(inputs)

    def forward(self, *features: Tensor) -> Tensor:
        """Return (event, class), or (event, member)."""
        rows = features[0].shape[0]
        none = {"numerical": torch.zeros(rows, 0), "categorical": torch.zeros(rows, 0).long()}
        given = none | dict(zip(self.inputs, features, strict=True))
        return self.link(self.network(given["numerical"], given["categorical"]))


def exported(
    network: nn.Module,
    link: Callable[[Tensor], Tensor],
    events: Mapping[str, Tensor],
    card: ModelCard,
) -> bytes:
    """Return the file of a network, scaling and all, into which any number of events may go.

    It is of single precision, and compared with the network on the `events`, (event, feature) for
    each input; the `card` is what it says of itself. The network stays where and as it is. Raises
    `ExportError` if there is no such file, or if it says something else than the network.
    """
    used = {name: tensor for name, tensor in events.items() if tensor.shape[1]}
    own = copy.deepcopy(Applied(network, link, list(used))).cpu().eval()
    single = copy.deepcopy(own).float()
    content = in_onnx(single, {name: tensor.shape[1] for name, tensor in used.items()}, card)
    chunks = compared_events(used, single, card)
    with in_full_precision():
        far = differs_by(content, single, chunks, card)
    if not far <= LIMITS[card.gives]:
        raise ExportError(f"it would differ from the trained network: {card.gives} by {far:.2g}")
    if card.precision != "32-true":
        with as_trained(card.precision):
            far = differs_by(content, own, chunks, card)
        share = ", relatively," if card.gives == "fake_factor" else ""
        print(
            f"the network is exported in single precision: {card.gives} differs{share} by"
            f" {far:.1g} at most from what it is in {card.precision}"
        )
    return content


def in_onnx(module: Applied, widths: Mapping[str, int], card: ModelCard) -> bytes:
    """Return a module as ONNX, with its card; raises `ExportError`. `widths` are by input."""
    kinds = {"numerical": torch.float32, "categorical": torch.int64}
    examples = tuple(torch.zeros(8, width, dtype=kinds[name]) for name, width in widths.items())
    EXPORTER.register_custom_op_symbolic("aten::searchsorted", counted_below, OPSET)
    file = BytesIO()
    with warnings.catch_warnings():
        # That it is the older exporter: it takes 0.1 s, where the newer one takes 3 s or more.
        warnings.simplefilter("ignore")
        try:
            EXPORTER.export(
                module,
                examples,
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(widths),
                output_names=[card.gives],
                dynamic_axes={name: {0: "event"} for name in (*widths, card.gives)},
            )
        # Its own errors are among these.
        except RuntimeError as error:
            first = str(error).strip().partition("\n")[0]
            raise ExportError(f"there is no ONNX of this network: {first}") from error
    model = onnx.load_from_string(file.getvalue())
    for key, value in written_card(card).items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content


def counted_below(graph: Any, edges: Any, values: Any, *_: Any) -> Any:
    """Say torch.searchsorted, which ONNX does not have, as a count of the edges below."""

    def along(axis: int) -> Any:
        return graph.op("Constant", value_t=torch.tensor([axis]))

    below = graph.op(
        "Less", graph.op("Unsqueeze", edges, along(-2)), graph.op("Unsqueeze", values, along(-1))
    )
    ones = graph.op("Cast", below, to_i=onnx.TensorProto.INT64)
    return graph.op("ReduceSum", ones, along(-1), keepdims_i=0)
