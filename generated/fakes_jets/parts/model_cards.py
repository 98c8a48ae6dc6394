"""What the file of an exported network says of itself: its features, its events, their split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from parts.cracks import Crack
from parts.seen_features import Seen, seen_of
from parts.splits import Split, plain_split, split_of


@dataclass(frozen=True)
class CardSample:
    """A sample of the spec, as far as it says something of events in other files."""

    name: str
    selection: str | None
    weight: str | None
    # What reads its files: Root, Hdf5, Parquet or Csv.
    reader: str
    # The tree, or the table, that these have events in; None: the one that is there.
    table: str | None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What there is to know of a network to apply it to events."""

    # What comes out: probability (event, class), or the fake factor (event, member).
    gives: Literal["probability", "fake_factor"]
    # In the order of the inputs.
    numerical: tuple[str, ...]
    categorical: tuple[str, ...]
    # What stands where a numerical feature does not exist.
    missing: float | None
    # Expressions by name.
    derived: Mapping[str, str]
    seen: Seen
    # In the order of the outputs; the second of two is the signal. Fakes have none.
    classes: tuple[str, ...]
    # What plots call features and classes, if not by their names.
    labels: Mapping[str, str]
    class_labels: Mapping[str, str]
    # What decides on an event's split; without one, all features do.
    event_number: str | None
    split: Split
    # Whether a training that came before had another split, or one that nobody knows.
    earlier: bool
    samples: tuple[CardSample, ...]
    # Of fakes.
    crack: Crack | None
    # The run that trained it, and the digest of its script.
    run: str
    script: str
    # What it was trained in; the file is of single precision.
    precision: str

    @property
    def features(self) -> tuple[str, ...]:
        """Return all features, the numerical ones first."""
        return (*self.numerical, *self.categorical)


def split_warning(cards: Sequence[ModelCard]) -> str | None:
    """Return what to say where an event's split is told by cards that know the last one alone."""
    runs = [card.run for card in cards if card.earlier]
    if not runs:
        return None
    return (
        f"{', '.join(runs)} went on from a training with another split, or one that is not known:"
        " events that are validation or test here may have been trained on there"
    )


def written_card(card: ModelCard) -> dict[str, str]:
    """Return a card as the metadata of a file: JSON by name."""
    plain = asdict(card) | {"split": plain_split(card.split)}
    # JSON has no nan.
    plain["missing"] = None if card.missing is None else str(card.missing)
    return {name: json.dumps(value, allow_nan=False) for name, value in plain.items()}


def card_of(metadata: Mapping[str, str]) -> ModelCard:
    """Return the card of a file; raises `KeyError`, `TypeError` or `ValueError` if it has none."""
    said = {name: json.loads(metadata[name]) for name in ModelCard.__dataclass_fields__}
    if said["gives"] not in ("probability", "fake_factor"):
        raise ValueError(f"it gives {said['gives']!a}")
    return ModelCard(
        gives=said["gives"],
        numerical=tuple(map(str, said["numerical"])),
        categorical=tuple(map(str, said["categorical"])),
        missing=None if said["missing"] is None else float(said["missing"]),
        derived=dict(said["derived"]),
        seen=seen_of(said["seen"]),
        classes=tuple(map(str, said["classes"])),
        labels=dict(said["labels"]),
        class_labels=dict(said["class_labels"]),
        event_number=said["event_number"],
        split=split_of(said["split"]),
        earlier=bool(said["earlier"]),
        samples=tuple(CardSample(**each) for each in said["samples"]),
        crack=None if said["crack"] is None else Crack(**said["crack"]),
        run=str(said["run"]),
        script=str(said["script"]),
        precision=str(said["precision"]),
    )
