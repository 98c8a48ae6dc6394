"""Events go from files straight into arrays: each once, in order, as pandas would read it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts import datasets
from parts.arrays import Arrays, Rows, read_arrays, read_folds
from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.readers import quoted
from parts.splits import Fold, assign

FLOAT = np.dtype(np.float32)
MISSING = -999.0


@given(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint64, np.bool_]),
    st.sampled_from([(), (0,), (1,), (3,), (2, 2)]),
    st.lists(st.integers(0, 3000), max_size=6),
    st.randoms(use_true_random=False),
)
def test_rows_are_what_was_added_whatever_the_blocks(
    dtype: Any, width: tuple[int, ...], sizes: list[int], random: Any
) -> None:
    generator = np.random.default_rng(random.randint(0, 2**32))
    rows = Rows(dtype, *width)
    expected = np.zeros((0, *width), dtype)
    for size in sizes:
        bits = generator.integers(0, 2**63, (size, *width), dtype=np.uint64)
        block = bits * np.uint64(2) if dtype is np.uint64 else (bits % 1001).astype(dtype)
        chosen = np.flatnonzero(generator.random(size) < generator.random())
        rows.add(block, chosen)
        expected = np.concatenate([expected, block[chosen]])
    found = rows.whole()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected, strict=True)


def table(n: int, first: int) -> pd.DataFrame:
    """Return events of which some have no pt, and some no second jet."""
    random = np.random.default_rng(first)
    pt = [None if random.random() < 0.2 else float(x) for x in random.exponential(30, n)]
    jets = [[float(x) for x in random.normal(0, 1, random.integers(0, 4))] for _ in range(n)]
    return pd.DataFrame(
        {
            "event": np.arange(first, first + n),
            "pt": pd.Series(pt, dtype=object),
            "jets": pd.Series(jets, dtype=object),
            "eta": random.normal(0, 1, n).astype("f4"),
            "flavour": random.choice([-13, -11, 11, 13], n),
            "weight": np.where(random.random(n) < 0.2, -0.5, 1.0),
        }
    )


def write(path: Path, events: pd.DataFrame) -> str:
    columns = {name: pa.array(events[name].tolist()) for name in events}
    pq.write_table(pa.table(columns | {"eta": pa.array(events["eta"])}), path, row_group_size=50)
    return str(path)


def read(dataset: Dataset, *, dtype: Any = FLOAT) -> tuple[Arrays, Arrays, Arrays]:
    files = {each.name: [Path(file) for file in each.files] for each in dataset.samples}
    return read_arrays(replace(dataset, split=(0.5, 0.3, 0.2)), files, dtype)


def second(jets: list[float]) -> float:
    return float(jets[1]) if len(jets) > 1 else MISSING


@pytest.fixture(params=[7, 2**13])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of that many events."""
    monkeypatch.setattr(datasets, "EVENTS_AT_ONCE", request.param)
    return int(request.param)


FILES = {"one": (table(120, 0), table(61, 1000)), "two": (table(200, 2000),)}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two samples in three files; the first has a selection and weights."""
    for name, tables in FILES.items():
        for index, events in enumerate(tables):
            write(tmp_path / f"{name}{index}.parquet", events)
    places = {name: [str(tmp_path / f"{name}{i}.parquet") for i in (0, 1)] for name in FILES}
    samples = (
        Sample(
            "one", tuple(places["one"]), Parquet(), 0, selection="eta > -1", weight="2 * weight"
        ),
        Sample("two", (places["two"][0],), Parquet(), 1),
    )
    numerical = ("pt", "eta", "jets[1]", "shifted")
    return Dataset(
        samples,
        numerical,
        ("flavour",),
        missing=MISSING,
        event_number="event",
        derived={"shifted": "pt + jets[1]"},
        classes=("B", "S"),
    )


def expected_arrays() -> tuple[Any, ...]:
    """Return (event, feature), flavour, label, weight and number, as pandas computes them."""
    one = pd.concat(FILES["one"]).query("eta > -1").assign(label=0, w=lambda t: 2 * t.weight)
    events = pd.concat([one, FILES["two"][0].assign(label=1, w=1.0)])
    jet = events["jets"].map(second)
    pt = events["pt"].astype(float)
    shifted = (pt + jet).where(pt.notna() & (jet != MISSING), MISSING)
    columns = [pt.fillna(MISSING), events["eta"], jet, shifted]
    numerical = np.stack([each.to_numpy(float) for each in columns], axis=1)
    return (numerical, *(events[name].to_numpy() for name in ("flavour", "label", "w", "event")))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_each_event_is_in_one_split_in_the_order_of_the_files(dataset: Dataset, dtype: str) -> None:
    numerical, flavour, label, weight, number = expected_arrays()
    split = assign(number.astype(np.uint64)[:, None], (0.5, 0.3, 0.2))
    assert set(split) == {0, 1, 2}
    for index, found in enumerate(read(dataset, dtype=np.dtype(dtype))):
        here = split == index
        np.testing.assert_array_equal(found.numerical, numerical[here].astype(dtype), strict=True)
        np.testing.assert_array_equal(found.categorical, flavour[here][:, None], strict=True)
        np.testing.assert_array_equal(found.label, label[here], strict=True)
        np.testing.assert_array_equal(found.weight, weight[here], strict=True)
        assert found.mark.tolist() == [False] * len(found.label)
        assert found.keys.shape == (len(found.label), 0)


@pytest.mark.usefixtures("at_once")
def test_folds_are_what_their_trainings_test(dataset: Dataset) -> None:
    files = {each.name: [Path(file) for file in each.files] for each in dataset.samples}
    folds = read_folds(dataset, files, 3)
    every = expected_arrays()[-1]
    assert sum(len(each.label) for each in folds) == len(every)
    for number, found in enumerate(folds):
        *_, test = read_arrays(replace(dataset, split=Fold(number, 3)), files, FLOAT)
        for name in ("numerical", "categorical", "label", "weight"):
            np.testing.assert_array_equal(getattr(found, name), getattr(test, name), strict=True)


@pytest.mark.usefixtures("at_once")
def test_what_is_filled_is_counted_and_said(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of events that are selected; what is derived of them is not said again."""
    read(dataset)
    lines = capsys.readouterr().out.splitlines()
    selected = {"one": pd.concat(FILES["one"]).query("eta > -1"), "two": FILES["two"][0]}
    for line, (name, events) in zip(lines, selected.items(), strict=True):
        pt, jets = events["pt"].isna().sum(), (events["jets"].map(len) < 2).sum()
        start = f"{name}: a null, or behind the end of a list, in "
        assert line.startswith(start)
        assert line.endswith(": -999")
        counts = line.removeprefix(start).removesuffix(": -999").split(", ")
        assert sorted(counts) == [f"jets[1] ({jets} events)", f"pt ({pt} events)"]


@pytest.mark.usefixtures("at_once")
def test_without_a_missing_value_what_is_not_there_is_counted_and_refused(tmp_path: Path) -> None:
    events = FILES["two"][0]
    sample = Sample("two", (write(tmp_path / "a.parquet", events),), Parquet(), 0)
    dataset = Dataset((sample,), ("eta", "pt", "jets[1]"), event_number="event")
    with pytest.raises(RefusedError) as caught:
        read(dataset)
    pt, jets = events["pt"].isna().sum(), (events["jets"].map(len) < 2).sum()
    start, _, rest = str(caught.value).partition(" in ")
    counts, _, hint = rest.partition("; ")
    assert start == "two: values that do not exist (null, or behind the end of a list)"
    assert sorted(counts.split(", ")) == [f"jets[1] ({jets} events)", f"pt ({pt} events)"]
    assert hint == "missing = ... says what stands there"


def test_without_features_or_nulls_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = Sample("two", (write(tmp_path / "a.parquet", FILES["two"][0]),), Parquet(), 0)
    for missing in (None, MISSING):
        found = read(Dataset((sample,), (), missing=missing, event_number="event"))
        assert sum(len(split.numerical) for split in found) == 200
        assert {split.numerical.shape[1:] for split in found} == {(0,)}
        read(Dataset((sample,), ("eta",), missing=missing, event_number="event"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("size", [3, 2**13])
def test_events_do_not_depend_on_nulls_elsewhere_in_their_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Of whole numbers, which are no real ones only where a chunk has no null."""
    monkeypatch.setattr(datasets, "EVENTS_AT_ONCE", size)
    path = tmp_path / "a.parquet"
    n = [-999, 1, 2**60 + 1, None]
    pq.write_table(pa.table({"n": n, "event": range(4)}), path)
    found = []
    for selection in ("n < 3", f"n == {2**60 + 1}"):
        sample = Sample("s", (str(path),), Parquet(), 0, selection=selection)
        dataset = Dataset(
            (sample,), ("event", "y"), (), MISSING, "event", (1, 0, 0), derived={"y": "n + 1"}
        )
        found.append(read_arrays(dataset, {"s": [path]}, FLOAT)[0].numerical.tolist())
    assert found == [[[0, -999], [1, 2], [3, -999]], [[2, float(2**60)]]]


LABELLED = pd.DataFrame(
    {
        "event": range(40),
        "pt": np.arange(40) * 1.5,
        "process": ["top", "w", "higgs", "zz", "w"] * 8,
        "number": [7, 3, 25, 9, 3] * 8,
    }
)


def by_column(path: Path, column: str, **changed: Any) -> Dataset:
    LABELLED.to_csv(path, index=False)
    sample = Sample("all", (str(path),), Csv(), class_column=column)
    return Dataset((sample,), ("pt",), event_number="event", **changed)


def labels(dataset: Dataset) -> dict[float, int]:
    """Return the label of each event, by its pt."""
    return {
        float(pt): int(label)
        for split in read(dataset)
        for pt, label in zip(split.numerical[:, 0], split.label, strict=True)
    }


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("column", ["process", "number"])
def test_labels_are_in_the_order_of_the_classes(tmp_path: Path, column: str) -> None:
    values: dict[str, tuple[str | int, ...]] = {
        "higgs": ("higgs",) if column == "process" else (25,),
        "rest": ("w", "top", "zz") if column == "process" else (3, 7, 9),
    }
    for classes in (("rest", "higgs"), ("higgs", "rest")):
        dataset = by_column(tmp_path / "a.csv", column, classes=classes, class_values=values)
        names = {25: "higgs"}
        assert labels(dataset) == {
            pt: classes.index(names.get(number, "rest"))
            for pt, number in zip(LABELLED["pt"], LABELLED["number"], strict=True)
        }


@pytest.mark.usefixtures("at_once")
def test_texts_are_the_names_of_classes_if_nothing_else_is_said(tmp_path: Path) -> None:
    classes = ("zz", "w", "top", "higgs")
    assert labels(by_column(tmp_path / "a.csv", "process", classes=classes)) == {
        pt: classes.index(name)
        for pt, name in zip(LABELLED["pt"], LABELLED["process"], strict=True)
    }


@pytest.mark.usefixtures("at_once")
def test_events_of_no_class_are_refused_unless_they_may_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    said = "all: 'process' is 'top' (8 events), 'zz' (8 events)"
    with pytest.raises(RefusedError) as caught:
        read(by_column(path, "process", classes=("w", "higgs")))
    hint = "which no class names; drop_other_classes leaves them out"
    assert str(caught.value) == f"{said}, {hint}"
    capsys.readouterr()
    found = labels(by_column(path, "process", classes=("w", "higgs"), drop_other_classes=True))
    assert capsys.readouterr().out == f"{said}: left out\n"
    chosen = LABELLED[LABELLED["process"].isin(["w", "higgs"])]
    expected = zip(chosen["pt"], chosen["process"] == "higgs", strict=True)
    assert found == {pt: int(higgs) for pt, higgs in expected}


@pytest.mark.parametrize(
    ("value", "said"),
    [("a", "holds texts, not numbers"), (2.0**64, "are too large for a category")],
)
def test_a_category_that_none_can_be_is_refused(
    tmp_path: Path, value: str | float, said: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"c": [value] * 9, "event": range(9)}), path)
    sample = Sample("s", (str(path),), Parquet(), 0)
    with pytest.raises(RefusedError, match=f"^s: {quoted(path)}: .*'c'.* {said}$"):
        read(Dataset((sample,), (), ("c",), event_number="event"))


READING = """
import sys
from pathlib import Path
import numpy as np
from parts.arrays import read_arrays
from parts.datasets import Dataset, Sample
from parts.parquet_files import Parquet
def peak():
    # Not ru_maxrss, which a process inherits.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
def read(path):
    sample = Sample("s", (path,), Parquet(), 0)
    dataset = Dataset((sample,), tuple(f"x{i}" for i in range(30)), event_number="event")
    return read_arrays(dataset, {"s": [Path(path)]}, np.dtype("f4"))
read(sys.argv[2])
before = peak()
splits = read(sys.argv[1])
size = sum(array.nbytes for split in splits for array in vars(split).values())
print(sum(len(split.label) for split in splits), size, 1024 * (peak() - before))
"""


# Arrow keeps a page and a dictionary of each column of a long row group, whatever its length.
@pytest.mark.parametrize(("dictionaries", "each_column"), [(False, 0), (True, 4_000_000)])
def test_what_is_read_takes_little_more_memory_than_what_is_kept(
    tmp_path: Path, dictionaries: bool, each_column: int
) -> None:
    """In a process of its own, which has not held more before."""
    n = 500_000
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.standard_normal(n, dtype="f4") for i in range(30)}
    big = pa.table(columns | {"event": np.arange(n)})
    for name, events in (("big", big), ("small", big[:5])):
        pq.write_table(events, tmp_path / f"{name}.parquet", use_dictionary=dictionaries)
    ended = subprocess.run(
        [sys.executable, "-c", READING, *map(str, sorted(tmp_path.iterdir()))],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "templates")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, size, grown = map(int, ended.stdout.split())
    assert count == n
    assert size > 60_000_000
    assert grown < 1.4 * size + 31 * each_column, f"{grown / size:.2f}"
