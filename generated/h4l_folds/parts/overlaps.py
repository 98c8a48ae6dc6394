"""Events that several samples have taken from one file: of two classes, or counted twice."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parts.datasets import Dataset, Selected
from parts.files import data_digest, inside
from parts.machinery.exits import RefusedError
from parts.readers import quoted


@dataclass(frozen=True)
class Overlap:
    """Events of a file that two samples (by index) have taken, and their classes (labels)."""

    path: Path
    events: int
    samples: tuple[int, int]
    labels: tuple[int, int]


class Overlaps:
    """Looks at the rows that samples take from files which others read as well.

    Files are the same if they hold the same bytes, wherever they lie.
    """

    def __init__(self, dataset: Dataset, files: Mapping[str, Sequence[Path]]) -> None:
        self.dataset = dataset
        self.classes = dataset.classes or ("MC", "data")
        names = contents([path for each in dataset.samples for path in files[each.name]])
        # What a reader finds in a file depends on the table that it opens.
        self.tables = {
            (index, path): (repr(sample.reader), names[path])
            for index, sample in enumerate(dataset.samples)
            for path in files[sample.name]
        }
        readers = Counter(self.tables.values())
        self.taken = {
            table: np.zeros(0, dtype=np.int32) for table, count in readers.items() if count > 1
        }
        self.counts = Counter[tuple[Path, int, int]]()

    def look(self, index: int, events: Selected) -> None:
        """Note which rows a sample, by its index, takes."""
        table = self.tables[index, events.path]
        if table not in self.taken or not len(events):
            return
        taken = self.taken[table]
        if (size := int(events.rows[-1]) + 1) > len(taken):
            # Room for twice as many, or each chunk would copy all of them.
            taken = np.append(taken, np.zeros(2 * size - len(taken), dtype=np.int32))
            self.taken[table] = taken
        # Sample and class in one number; 0 is a row that nobody has taken.
        mine = 1 + index * len(self.classes) + events.label
        before = taken[events.rows]
        for code in np.unique(before[before > 0]).tolist():
            for own in np.unique(mine[before == code]).tolist():
                both = np.count_nonzero((before == code) & (mine == own))
                self.counts[events.path, code, own] += int(both)
        taken[events.rows] = np.where(before > 0, before, mine)

    def found(self) -> list[Overlap]:
        """Return what was seen."""
        overlaps = []
        for (path, before, own), count in self.counts.items():
            one, two = divmod(before - 1, len(self.classes)), divmod(own - 1, len(self.classes))
            overlaps.append(Overlap(path, count, (one[0], two[0]), (one[1], two[1])))
        return overlaps

    def said(self, overlap: Overlap) -> str:
        """Return what there is to say of it."""
        one, two = (self.dataset.samples[index].name for index in overlap.samples)
        first, second = (self.classes[label] for label in overlap.labels)
        events = f"{overlap.events} events of {quoted(overlap.path)}"
        if first == second:
            return f"{events} are in {one} and in {two}, both of class {first}: they count twice"
        return f"{events} are of two classes: {first} in {one}, {second} in {two}"

    def check(self) -> None:
        """Say which events count twice; raises `RefusedError` for events of two classes."""
        overlaps = self.found()
        two = [self.said(each) for each in overlaps if len(set(each.labels)) > 1]
        if two:
            hint = "selections that exclude each other tell them apart"
            raise RefusedError("\n  ".join(["an event has one class:", *two, hint]))
        for each in overlaps:
            print(f"warning: {self.said(each)}")


def contents(paths: Sequence[Path]) -> dict[Path, tuple[int, str]]:
    """Return what tells files apart by what they hold: the size, and a digest where it is needed.

    Only files of one size are read for that, and not those that are one file under two names. A
    folder holds what its files hold.
    """
    stats = {path: [each.stat() for each in inside(path)] for path in paths}
    sizes = {path: sum(each.st_size for each in found) for path, found in stats.items()}
    different = {
        (sizes[path], tuple((each.st_dev, each.st_ino) for each in found))
        for path, found in stats.items()
    }
    alike = Counter(size for size, _ in different)
    return {
        path: (size, "".join(map(data_digest, inside(path))) if alike[size] > 1 else "")
        for path, size in sizes.items()
    }
