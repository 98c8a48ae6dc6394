"""The events of folds, scored: each fold by the network of the training that has not seen it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parts.arrays import Arrays
from parts.loss_weights import loss_factors
from parts.machinery.exits import RefusedError, obey
from parts.metrics import Floats, Outputs
from parts.model_cards import ModelCard, card_of
from parts.splits import Fold

# Events that a network is given at a time, which bounds the memory.
EVENTS_SCORED_AT_ONCE = 65_536


def open_network(path: Path) -> tuple[Any, ModelCard]:
    """Return a network's session of ONNX Runtime, and its card; raises `RefusedError`."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options = onnxruntime.SessionOptions()
    # Its own choice would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(threads)) if threads.isdigit() else 1
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its errors have no class in common.
    except Exception as error:
        raise RefusedError(f"cannot read {path}: {error}") from error
    try:
        return session, card_of(session.get_modelmeta().custom_metadata_map)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{path} does not say what a network says: {error!r}") from error


def check_fold_network(path: Path, run: str, fold: Fold) -> None:
    """Raise `RefusedError` unless a file holds the network of a run, which tests a fold."""
    _, card = open_network(path)
    if (card.run, card.split) != (run, fold):
        raise RefusedError(f"{path} is another network's: of {card.run}, trained on {card.split}")


def score_folds(
    networks: Sequence[Path],
    folds: Sequence[Arrays],
    classes: Sequence[str],
    use_mc_weights: bool,
    use_class_weights: bool,
) -> list[Outputs]:
    """Return the outputs for each fold by its network; raises `RefusedError`.

    Weights are physical: all events are there, and stand for nothing else. Those of the loss are
    of the mixture of classes that networks were trained on, as far as all events say it.
    """
    probabilities = [
        probability(path, events) for path, events in zip(networks, folds, strict=True)
    ]
    label = np.concatenate([events.label for events in folds])
    weight = np.concatenate([events.weight for events in folds])
    factors = loss_factors(label, weight, classes, use_mc_weights, use_class_weights)
    return [
        Outputs(
            given,
            events.label,
            events.weight,
            (events.weight if use_mc_weights else 1.0) * factors[events.label],
        )
        for given, events in zip(probabilities, folds, strict=True)
    ]


def probability(path: Path, events: Arrays) -> Floats:
    """Return what a network says of events (event, class); raises `RefusedError`."""
    session, _ = open_network(path)
    features = {"numerical": events.numerical, "categorical": events.categorical}
    names = [each.name for each in session.get_inputs()]
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(events.label), EVENTS_SCORED_AT_ONCE):
        obey()
        some = slice(start, start + EVENTS_SCORED_AT_ONCE)
        found += session.run(None, {name: features[name][some] for name in names})
    scores = np.concatenate(found).astype(np.float64)
    if wrong := int(np.count_nonzero(~np.isfinite(scores).all(axis=1))):
        raise RefusedError(f"{path} gives no finite score for {wrong} events")
    return scores
