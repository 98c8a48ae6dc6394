"""Which events a checkpoint was trained on: what it says of them, and whether others fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from parts.datasets import Dataset
from parts.grammar import parse, with_origins
from parts.machinery.checkpoints import load
from parts.machinery.exits import RefusedError
from parts.splits import plain_split

# What a spec may say of a checkpoint's events: they are those of the training; they have its event
# numbers, and with that its split; none of them was trained on.
SAME = "same"
NUMBERED = "numbered"
UNSEEN = "unseen"
ASSERTIONS = (
    'checkpoint_events = "numbered" says that event numbers are those of the training,'
    ' "unseen" that it had none of these events'
)


class TrainedEvents(Callback):
    """Has checkpoints say which events they were trained on."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.events = list(events)

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add plain values, beside what the module says that it knows."""
        checkpoint["events"] = self.events


def described_events(dataset: Dataset, digests: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what decides which events train, in plain values; `digests` are those of files."""
    named = [dataset.event_number] if dataset.event_number else list(dataset.features)
    used = [*named, *(sample.class_column for sample in dataset.samples if sample.class_column)]
    for sample in dataset.samples:
        used += parse(sample.selection).references if sample.selection else ()
    columns = sorted(with_origins(used, dataset.derived))
    return {
        "split": plain_split(dataset.split),
        "event_number": dataset.event_number,
        # What names an event that has no number.
        "features": [] if dataset.event_number else named,
        # All that decides, in files or derived.
        "columns": columns,
        "derived": {name: dataset.derived[name] for name in columns if name in dataset.derived},
        "samples": [
            {
                "name": sample.name,
                "files": sorted(digests[sample.name]),
                "reader": repr(sample.reader),
                "selection": sample.selection,
            }
            for sample in dataset.samples
        ],
    }


def events_of(
    checkpoint: Path | None, asserted: str, own: dict[str, Any]
) -> list[dict[str, Any] | None]:
    """Return the events of all trainings up to this one, None where a checkpoint does not say.

    `own` are this spec's; `asserted` is what the spec says of them. Raises `RefusedError` if they
    may hold events that the checkpoint was trained on, in another split.
    """
    if checkpoint is None:
        return [own]
    before: list[dict[str, Any] | None] = load(checkpoint).get("events") or [None]
    known = [each for each in before if each is not None]
    if asserted == UNSEEN:
        for each in known:
            check_unseen(checkpoint, each, own)
        print(f"the spec says that {checkpoint} was trained on none of these events")
        return [*before, own]
    if None in before:
        print(
            f"warning: {checkpoint} does not say which events it was trained on;"
            " some of them may be tested here"
        )
    last = before[-1]
    if last is None:
        return [*before, own]
    differing = other_events(last, own, numbered=asserted == NUMBERED)
    if differing:
        lines = [
            f"{checkpoint} was trained on other events, or another split:",
            *differing,
            ASSERTIONS,
        ]
        raise RefusedError("\n  ".join(lines))
    if asserted == NUMBERED:
        print(f"the spec says that events have the numbers that they had for {checkpoint}")
    return before if last == own else [*before, own]


def with_earlier(
    events: list[dict[str, Any] | None], began: list[dict[str, Any] | None]
) -> list[dict[str, Any] | None]:
    """Return the events of a run that `began` with what it says, and goes on with others."""
    return began if began[-1:] == events[-1:] else [*began, *events[-1:]]


def had_another_split(events: Sequence[Any]) -> bool:
    """Whether one of the trainings before the last one had another split, or does not say.

    A split is made by the same shares, and by the same number, or features, of events.
    """
    return any(each is None or other_events(each, events[-1], numbered=True) for each in events)


def other_events(there: dict[str, Any], here: dict[str, Any], numbered: bool) -> list[str]:
    """Return how events differ from those of a training, a line each.

    Samples may be fewer. With `numbered` events, only what makes the split counts.
    """
    found = [
        f"{name}: {said(there[name])} there, {said(here[name])} here"
        for name in ("split", "event_number", "features")
        if there[name] != here[name]
    ]
    number = [here["event_number"]] if here["event_number"] else here["features"]
    # What is derived for samples that are not here decides nothing here.
    for name in sorted(with_origins(number, here["derived"])) if numbered else here["columns"]:
        one, other = there["derived"].get(name), here["derived"].get(name)
        if one != other:
            found.append(f"derived {name}: {said(one)} there, {said(other)} here")
    return found if numbered else found + other_samples(there, here)


def other_samples(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return a line for each sample of which the training had other events."""
    found = []
    for sample in here["samples"]:
        alike = [each for each in there["samples"] if same_files(each, sample)]
        selections = [each["selection"] for each in alike]
        if not alike:
            found.append(f"files of {sample['name']}: none of its samples was of these")
        elif sample["selection"] not in selections:
            those = " and ".join(map(said, selections))
            found.append(
                f"selection of {sample['name']}: {those} there, {said(sample['selection'])} here"
            )
    return found


def check_unseen(checkpoint: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raise `RefusedError` if events were trained on, and say so where some of them may have been.

    Of the same files, other selections may take other events: nobody knows without reading them.
    """
    seen, doubtful = [], []
    for sample in here["samples"]:
        alike = [each for each in there["samples"] if share_files(each, sample)]
        if any(have_events_in_common(each, sample) for each in alike):
            seen.append(sample["name"])
        elif alike:
            doubtful.append(sample["name"])
    if seen:
        raise RefusedError(
            f'checkpoint_events = "unseen", but {checkpoint} was trained on events of'
            f" {', '.join(seen)}"
        )
    if doubtful:
        print(
            f"warning: {checkpoint} was trained on files of {', '.join(doubtful)}, with another"
            " selection or of another table; whether on some of these events, nobody has looked"
        )


def share_files(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two samples have a file in common, by content."""
    return not set(one["files"]).isdisjoint(other["files"])


def have_events_in_common(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether samples that share a file select some of the same events of it for certain."""
    selections = {one["selection"], other["selection"]}
    return one["reader"] == other["reader"] and (len(selections) == 1 or None in selections)


def same_files(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two samples read the same, by content."""
    return bool(one["files"] == other["files"] and one["reader"] == other["reader"])


def said(value: Any) -> str:
    """Return a value in words."""
    if isinstance(value, list):
        return " / ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
