"""What each sample brings, and which of them hardly matters."""

from pathlib import Path

import numpy as np
import pytest

from parts.columns import Chunk
from parts.csv_files import Csv
from parts.datasets import Dataset, Sample, Selected
from parts.sample_yields import SampleYields

SAMPLES = tuple(Sample(name, ("a.csv",), Csv()) for name in ("ggH", "VBF", "all"))


def selected(weight: list[float], label: int | list[int]) -> Selected:
    labels = np.broadcast_to(np.array(label), len(weight))
    rows, keys = np.arange(len(weight)), np.zeros((len(weight), 1), dtype=np.uint64)
    chunk = Chunk({}, {}, len(weight), {}, None)
    return Selected(Path("a.csv"), rows, chunk, labels, np.array(weight), keys)


def lines(*found: tuple[Sample, Selected], classes: tuple[str, ...] = ("B", "S")) -> list[str]:
    yields = SampleYields(Dataset(SAMPLES, ("x",), classes=classes))
    for sample, events in found:
        yields.add(sample, events)
    return yields.lines()


def test_events_yield_negative_and_effective_events_are_those_of_each_sample_and_class() -> None:
    ggh, vbf, both = SAMPLES
    title, *rows = lines(
        (ggh, selected([2.0, 2.0, -1.0, 1.0], 1)),
        (vbf, selected([0.5] * 4, 1)),
        # In two chunks, of two classes.
        (both, selected([1.0, 3.0], [0, 1])),
        (both, selected([1.0, -3.0, 3.0], [0, 1, 1])),
    )
    assert title.split() == ["sample", "class", "events", "sum", "of", "weights", "negative",
                             "effective"]  # fmt: skip
    assert [row.split() for row in rows] == [
        ["ggH", "S", "4", "4", "25.0%", f"{4**2 / 10:.0f}"],
        ["VBF", "S", "4", "2", "0.0%", "4"],
        ["all", "B", "2", "2", "0.0%", "2"],
        ["all", "S", "3", "3", "33.3%", f"{3**2 / 27:.0f}"],
    ]
    assert len({len(row) for row in (title, *rows)}) == 1


def test_only_kept_events_count() -> None:
    yields = SampleYields(Dataset(SAMPLES, ("x",)))
    kept = np.array([True, False, True])
    yields.add(SAMPLES[0], selected([1.0, 5.0, 1.0], [0, 0, 1]), kept)
    assert [row.split()[1:4] for row in yields.lines()[1:]] == [
        ["MC", "1", "1"],
        ["data", "1", "1"],
    ]


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ([0.9], "warning: VBF has only 0.00089"),
        ([1.1], None),
        ([-1.0, 1.0], "warning: VBF has a yield of 0, that is not above 0"),
        ([-2.0], "warning: VBF has a yield of -2, that is not above 0"),
    ],
)
def test_a_sample_that_hardly_matters_is_pointed_out(
    weight: list[float], words: str | None
) -> None:
    ggh, vbf, _ = SAMPLES
    found = lines((ggh, selected([1.0] * 1010, 1)), (vbf, selected(weight, 1)),
                  (vbf, selected([1e9], 0)))  # fmt: skip
    remarks = [line for line in found if line.startswith("warning")]
    assert len(remarks) == (words is not None)
    assert not words or remarks[0].startswith(words)


def test_the_share_of_a_class_is_of_its_own_samples() -> None:
    ggh, vbf, _ = SAMPLES
    assert not [
        line
        for line in lines((ggh, selected([1e9], 0)), (vbf, selected([1.0], 1)))
        if line.startswith("warning")
    ]
