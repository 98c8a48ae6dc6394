"""What columns of scores are called, and what they hold."""

import re
from collections.abc import Sequence

from parts.model_cards import ModelCard


def score_names(card: ModelCard) -> tuple[str, ...]:
    """Return the names of what comes out of a network: of the signal, of each class, or of F."""
    if card.gives == "fake_factor":
        return ("fake_factor",)
    if len(card.classes) == 2:
        return ("score",)
    return distinct_names([f"score_{name}" for name in card.classes])


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of letters, digits and _ alone; two that become one have a number behind."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        others = (f"{plain}_{number}" for number in range(2, len(names) + 2))
        found.append(next(each for each in (plain, *others) if each not in found))
    return tuple(found)


def meaning(card: ModelCard, prefix: str) -> str:
    """Return what columns hold, for whoever has asked for them."""
    names = [f"{prefix}{name}" for name in score_names(card)]
    if card.gives == "fake_factor":
        return f"{names[0]}, and {names[0]}_spread over the ensemble"
    if len(names) == 1:
        return f"{names[0]} is the probability of {card.classes[1]}"
    return f"{', '.join(names)} are the probabilities of the classes"
