"""Whether memory holds the events of a training, asked before they are read and meanwhile."""

from collections.abc import Mapping

from parts.datasets import Dataset, Sample
from parts.free_memory import free_memory, readable
from parts.machinery.exits import RefusedError

# Bytes that must be left: whoever takes the last of them is killed without a word.
LEAST_LEFT = 2**28


def check_events(dataset: Dataset, events: Mapping[str, int]) -> None:
    """Raise `RefusedError` where the `events` of samples, by name, cannot be in memory.

    Counted are those that no selection leaves out, in single precision.
    """
    if dataset.max_memory is not None:
        return
    whole = sum(events[each.name] for each in dataset.samples if takes_all(dataset, each))
    # Label, weight and mark, and the two weights of a batch.
    each_event = 4 * len(dataset.numerical) + 8 * len(dataset.categorical) + 25
    needed, there = whole * each_event, free_memory()
    if there is not None and needed > there:
        raise RefusedError(
            f"{whole} events need {readable(needed)} of memory or more, and {readable(there)} are"
            f" there: {remedy(dataset)}"
        )


def takes_all(dataset: Dataset, sample: Sample) -> bool:
    """Whether a sample takes all events of its files."""
    return sample.selection is None and not (sample.class_column and dataset.drop_other_classes)


def check_left(dataset: Dataset, events: int) -> None:
    """Raise `RefusedError` where little memory is left while events are read, so many until now."""
    there = free_memory()
    if there is not None and there < LEAST_LEFT:
        raise RefusedError(
            f"memory does not hold the events: {events} were read, and {readable(there)} are left:"
            f" {remedy(dataset)}"
        )


def remedy(dataset: Dataset) -> str:
    """Return what to do where memory does not hold events; those of fakes have no classes."""
    if dataset.classes and dataset.max_memory is None:
        return 'max_memory = "2G", or another amount, in [dataset_config] keeps them on a disk'
    return "fewer features, or selections"
