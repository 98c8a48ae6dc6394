"""The events of folds, scored: each fold by the network of the training that has not seen it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parts.arrays import Arrays
from parts.loss_weights import loss_factors
from parts.machinery.exits import RefusedError
from parts.metrics import Floats, Outputs
from parts.networks import read_network
from parts.readers import quoted
from parts.splits import Fold


def check_fold_network(path: Path, run: str, fold: Fold) -> None:
    """Raise `RefusedError` unless a file holds the network of a run, which tests a fold."""
    card = read_network(path).card
    if (card.run, card.split) != (run, fold):
        said = f"{card.run}, trained on {card.split}"
        raise RefusedError(f"{quoted(path)} is another network's: of {said}")


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
    features = {"numerical": events.numerical, "categorical": events.categorical}
    # It has no input without features.
    used = {name: values for name, values in features.items() if values.shape[1]}
    scores = read_network(path).outputs(used).astype(np.float64)
    if wrong := int(np.count_nonzero(~np.isfinite(scores).all(axis=1))):
        raise RefusedError(f"{quoted(path)} gives no finite score for {wrong} events")
    return scores
