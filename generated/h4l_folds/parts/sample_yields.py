"""What each sample brings: events, their yield, negative weights, and how much that is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parts.datasets import Dataset, Sample, Selected

# A sample of less than this share of its class's yield hardly matters, or its weights are wrong.
SMALL = 1e-3


@dataclass
class SampleYield:
    """Sums over the events of one sample that are of one class."""

    sample: str
    label: int
    events: int = 0
    total: float = 0.0  # of weights
    squares: float = 0.0  # of weights
    negative: int = 0  # events of negative weight

    @property
    def effective(self) -> float:
        """The number of events of weight 1 that would be as precise: (sum w)^2 / sum w^2."""
        return self.total**2 / self.squares if self.squares else 0.0


class SampleYields:
    """Counts the selected events of samples, class by class."""

    def __init__(self, dataset: Dataset) -> None:
        self.classes = dataset.classes or ("MC", "data")
        self.found: dict[tuple[str, int], SampleYield] = {}

    def add(self, sample: Sample, events: Selected, kept: NDArray[np.bool_] | None = None) -> None:
        """Count some events of a sample, or those of them that are `kept` (event,)."""
        label, weight = events.label, events.weight
        if kept is not None:
            label, weight = label[kept], weight[kept]
        counts = np.bincount(label)
        totals, squares = (np.bincount(label, each) for each in (weight, weight**2))
        negative = np.bincount(label[weight < 0], minlength=len(counts))
        for index in np.flatnonzero(counts).tolist():
            of_class = self.found.setdefault((sample.name, index), SampleYield(sample.name, index))
            of_class.events += int(counts[index])
            of_class.total += float(totals[index])
            of_class.squares += float(squares[index])
            of_class.negative += int(negative[index])

    def lines(self) -> list[str]:
        """Return a table, and what is remarkable about a sample."""
        rows = [("sample", "class", "events", "sum of weights", "negative", "effective")]
        for each in self.found.values():
            share = each.negative / each.events if each.events else 0.0
            numbers = f"{each.events}", f"{each.total:.5g}", f"{share:.1%}", f"{each.effective:.0f}"
            rows.append((each.sample, self.classes[each.label], *numbers))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = zip(row, widths, strict=True)
            # Names to the left, numbers to the right.
            texts = [f"{c:{w}}" if i < 2 else f"{c:>{w}}" for i, (c, w) in enumerate(cells)]
            lines.append("  ".join(texts))
        return [*lines, *self.remarks()]

    def remarks(self) -> list[str]:
        """Return a line for each sample that is too small a part of its class to matter."""
        lines = []
        for each in self.found.values():
            total = sum(other.total for other in self.found.values() if other.label == each.label)
            if each.total <= 0:
                what = f"a yield of {each.total:.3g}, that is not above 0"
            elif total > 0 and each.total < SMALL * total:
                what = f"only {each.total / total:.2g} of the yield of {self.classes[each.label]}"
            else:
                continue
            lines.append(f"warning: {each.sample} has {what}: are its weights right?")
        return lines
