"""An exported network compared with the trained one, on real events and on odd ones."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parts.machinery.exits import obey
from parts.model_cards import ModelCard

# By how much a file may differ from its network: a probability, or a share of a fake factor.
# Between two sizes of a batch, torch differs from itself by 1e-6.
LIMITS = {"probability": 1e-5, "fake_factor": 1e-3}
# A smaller fake factor is compared as if it were so large.
LEAST_FACTOR = 1e-3
# Of a comparison: multiplications, which take a second or so, and events, of the largest network
# and of the smallest.
MULTIPLICATIONS = 2**33
FEW, MANY = 500, 100_000
# Events at a time, which bounds the memory.
COMPARED_AT_ONCE = 8_192
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


class ExportError(Exception):
    """There is no file that says what a network says."""


def compared_events(
    events: Mapping[str, Tensor], module: nn.Module, card: ModelCard
) -> list[dict[str, Tensor]]:
    """Return the events to compare a network on, in chunks; (event, feature) for each input.

    These are all of the `events` or, if they are very many, some of them, evenly chosen, which are
    up to twice `MANY`; and such as lack features or are of no known category. Any number of events
    may come: one, and none.
    """
    size = len(next(iter(events.values())))
    weights = sum(each.numel() for each in module.parameters())
    most = min(MANY, max(FEW, MULTIPLICATIONS // max(1, weights)))
    # Slices, which are no copies.
    chosen = {name: tensor[:: max(1, size // most)] for name, tensor in events.items()}
    chunks = [
        {name: tensor[start : start + COMPARED_AT_ONCE] for name, tensor in chosen.items()}
        for start in range(0, len(next(iter(chosen.values()))), COMPARED_AT_ONCE)
    ]
    few = [{name: tensor[:most] for name, tensor in events.items()} for most in (0, 1)]
    odd = list(odd_events(few[1], card)) if size else []
    return [*chunks, *few, *odd]


def odd_events(one: Mapping[str, Tensor], card: ModelCard) -> Iterator[dict[str, Tensor]]:
    """Yield an event without all, and without each, of its features, and of other categories."""
    for name, columns in one.items():
        changed = []
        for place in range(columns.shape[1]):
            for value in odd_values_of(name, place, card):
                changed.append(columns.clone())
                changed[-1][:, place] = value
        if changed:
            odd = torch.cat(changed)
            whole = {other: tensor.expand(len(odd), -1) for other, tensor in one.items()}
            yield whole | {name: odd}
    if card.missing is not None and "numerical" in one:
        yield {**one, "numerical": torch.full_like(one["numerical"], card.missing)}


def odd_values_of(name: str, place: int, card: ModelCard) -> tuple[float, ...]:
    """Return what an input may find in a column that training may never have had there."""
    if name == "numerical":
        return () if card.missing is None else (card.missing,)
    known = card.seen.categories[card.categorical[place]]
    return -(2**63), next(value for value in count() if value not in known), 2**63 - 1


def differs_by(
    content: bytes, module: nn.Module, chunks: Iterable[Mapping[str, Tensor]], card: ModelCard
) -> float:
    """Return the largest difference between a file and a module, in the measure of `LIMITS`.

    Of each chunk, the module takes the features in its own precision. It is nan where one of the
    two is. Raises `ExportError` for a file that cannot be used.
    """
    session = Session(content)
    kind = next((each.dtype for each in module.parameters()), torch.float32)
    found = [0.0]
    for chunk in chunks:
        obey()
        with torch.no_grad():
            taken = [in_precision(kind, tensor) for tensor in chunk.values()]
            wanted = module(*taken).double().numpy()
        given = {name: in_precision(torch.float32, t).numpy() for name, t in chunk.items()}
        found.append(difference(session.run(given), wanted, card))
    return float(np.max(found))


class Session:
    """A file that ONNX Runtime has opened; raises `ExportError`, as its errors are of no class."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # Its own choice would be as many as the node has cores.
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.opened: Any = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot open it: {error}") from error

    def run(self, features: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return what the file gives for features (event, feature) by input."""
        try:
            [found] = self.opened.run(None, features)
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot use it: {error}") from error
        return np.asarray(found)


def in_precision(kind: torch.dtype, tensor: Tensor) -> Tensor:
    """Return features in a precision; categories stay whole."""
    return tensor.to(kind) if tensor.is_floating_point() else tensor


def difference(found: NDArray[Any], wanted: NDArray[Any], card: ModelCard) -> float:
    """Return the largest difference of two arrays, as `LIMITS` measure it."""
    with np.errstate(invalid="ignore"):
        far = np.where(found == wanted, 0.0, np.abs(found - wanted))
        if card.gives == "fake_factor":
            far = far / (LEAST_FACTOR + np.abs(wanted))
    return float(far.max(initial=0.0))


@contextmanager
def in_full_precision() -> Iterator[None]:
    """Have torch multiply all digits of single precision, whatever a script has asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def as_trained(precision: str) -> AbstractContextManager[Any]:
    """Have torch compute as a training of this precision does."""
    return torch.autocast("cpu", MIXED[precision]) if precision in MIXED else nullcontext()
