"""Events of a training that lie on a disk, where memory has no room for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from parts.cached_arrays import contents_of, note_use, open_splits
from parts.datasets import Dataset
from parts.events import Events, numpy_type, weighted_splits
from parts.free_memory import readable, size_of
from parts.machinery.exits import RefusedError
from parts.windows import Windows

# Of so many training events scaling is computed: they are the first of events that are mixed.
EVENTS_SCALED = 2**20
# Bytes of memory that a training takes beyond its imports: whatever its events are; for each event
# of training when weights are computed, and while it is learnt from; and for each of validation and
# test, whose predictions are held and sorted, with what each class after the second adds.
ALWAYS = 2**28
EACH_WEIGHED, EACH_LEARNT, EACH_PREDICTED, EACH_CLASS = 40, 16, 200, 24


@dataclass(frozen=True)
class CachedEvents(Events):
    """Events of a split; the features lie in files of a folder."""

    windows: Windows
    folder: Path

    def take(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Return a batch: of each tensor, the chosen events (event,)."""
        self.windows.read_ahead(chosen)
        return super().take(chosen)

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Return all events in an order that the generator decides (event,)."""
        note_use(self.folder)
        return self.windows.shuffled(generator)


def open_cached(
    folder: Path,
    dataset: Dataset,
    use_mc_weights: bool,
    use_class_weights: bool,
    dtype: torch.dtype,
    logarithmic: Sequence[str],
    negative_weights: str,
) -> tuple[CachedEvents, CachedEvents, CachedEvents]:
    """Return the events of training, validation and test of a folder; raises `RefusedError`."""
    contents = contents_of(folder)
    assert contents is not None, "somebody has made it, and it is in use"
    print(*contents["samples"], sep="\n")
    found = open_splits(folder, contents["events"], dataset, numpy_type(dtype))
    arrays = [each.arrays for each in found]
    check_least(dataset, *(len(each.label) for each in arrays))
    splits = weighted_splits(
        arrays,
        dataset,
        use_mc_weights,
        use_class_weights,
        dtype,
        logarithmic,
        negative_weights,
    )
    one, two, three = (
        CachedEvents(
            **vars(events),
            windows=Windows(each.columns, each.first, len(events.label)),
            folder=folder,
        )
        for events, each in zip(splits, found, strict=True)
    )
    return one, two, three


def check_least(dataset: Dataset, train: int, validation: int, test: int) -> None:
    """Raise `RefusedError` if so many events ask for more memory than they may have."""
    assert dataset.max_memory is not None, "events lie on a disk where memory is bounded"
    each_predicted = EACH_PREDICTED + EACH_CLASS * (len(dataset.classes) - 2)
    trained = EACH_LEARNT * train + each_predicted * (validation + test)
    needed = ALWAYS + max(EACH_WEIGHED * train, trained)
    if needed > size_of(dataset.max_memory):
        raise RefusedError(
            f'max_memory = "{dataset.max_memory}" is too little for {train} training events and'
            f" {validation + test} others, whose predictions are held: they need"
            f" {readable(needed)}, wherever their features lie"
        )
