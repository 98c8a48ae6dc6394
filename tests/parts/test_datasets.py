"""Events of samples: selected, of a class, weighted and known by keys; none is lost in silence."""

from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tqdm import tqdm

from parts import datasets
from parts.datasets import Dataset, Sample, selected
from parts.hdf5_files import Hdf5
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet

CLASSES = ("background", "signal")


def dataset(*files: Path, sample: dict[str, Any] | None = None, **changed: Any) -> Dataset:
    told: dict[str, Any] = {"reader": Parquet(), "class_column": "kind", **(sample or {})}
    options: dict[str, Any] = {"event_number": "event", "classes": CLASSES, **changed}
    return Dataset((Sample("s", tuple(map(str, files)), **told),), ("x",), **options)


def write(path: Path, **columns: Any) -> Path:
    size = len(next(iter(columns.values())))
    pq.write_table(pa.table({"event": range(size), "x": [0.5] * size, **columns}), path)
    return path


def read(found: Dataset) -> tuple[list[int], list[int], list[float]]:
    """Return keys, labels and weights of all selected events."""
    [sample] = found.samples
    chunks = list(selected(found, sample, [Path(f) for f in sample.files], ("x",)))
    return (
        [int(key) for chunk in chunks for key in chunk.keys[:, 0]],
        [int(label) for chunk in chunks for label in chunk.label],
        [float(weight) for chunk in chunks for weight in chunk.weight],
    )


@pytest.mark.parametrize(
    ("kinds", "values"),
    [
        (["signal", "background", "signal"], None),
        ([1, 0, 1], {"signal": (1,), "background": (0, 2)}),
        ([True, False, True], {"signal": (1,), "background": (0,)}),
        ([7, 2, 8], {"signal": (7, 8), "background": (2,)}),
        (["ggH", "qqZZ", "VBF"], {"background": ("qqZZ",), "signal": ("ggH", "VBF")}),
    ],
)
@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_labels_are_in_the_order_of_the_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: list[Any], values: Any, at_once: int
) -> None:
    monkeypatch.setattr(datasets, "EVENTS_AT_ONCE", at_once)
    path = write(tmp_path / "a.parquet", kind=kinds)
    assert read(dataset(path, class_values=values))[1] == [1, 0, 1]
    turned = dataset(path, class_values=values, classes=CLASSES[::-1])
    assert read(turned)[1] == [0, 1, 0]


def test_a_derived_column_may_tell_the_class(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", a=[1, 2, 3], b=[1, 1, 1])
    derived = {"kind": "a - b"}
    found = dataset(path, derived=derived, class_values={"background": (0, 2), "signal": (1,)})
    assert read(found)[1] == [0, 1, 0]


@pytest.mark.parametrize("as_bytes", [True, False])
def test_the_files_own_labels_name_the_classes(tmp_path: Path, as_bytes: bool) -> None:
    path = tmp_path / "a.h5"
    rows = np.zeros(3, [("event", "u8"), ("x", "f4"), ("kind", "u1")])
    rows["kind"], rows["event"] = [5, 3, 5], [2**63 + 1, 1, 2]
    text = '{"labels": {"signal": 5, "background": 3}, "pad_values": -999}'
    with h5py.File(path, "w") as file:
        file["events"] = rows
        file["metadata"] = text.encode() if as_bytes else text
    found = dataset(path, sample={"reader": Hdf5()})
    assert read(found)[:2] == ([2**63 + 1, 1, 2], [1, 0, 1])
    with pytest.raises(RefusedError, match=r"nothing says which is 'top': the file names 'signal'"):
        read(dataset(path, sample={"reader": Hdf5()}, classes=("background", "top")))


def test_events_of_no_class_are_refused_unless_they_may_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.parquet", kind=[0, 5, 1, 5, 7, 0], w=[1.0, 2, 3, 4, 5, 6])
    options: dict[str, Any] = {"class_values": {"background": (0,), "signal": (1,)}}
    sample = {"weight": "w"}
    with pytest.raises(RefusedError, match=r"'kind' is 5 \(2 events\), 7 \(1 events\), which no"):
        read(dataset(path, sample=sample, **options))
    found = dataset(path, sample=sample, drop_other_classes=True, **options)
    assert read(found) == ([0, 2, 5], [0, 1, 0], [1.0, 3.0, 6.0])
    assert "'kind' is 5 (2 events), 7 (1 events): left out" in capsys.readouterr().out
    # What a selection leaves out is of no interest.
    chosen = dataset(path, sample={**sample, "selection": "kind < 5"}, **options)
    assert read(chosen)[0] == [0, 2, 5]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("kinds", "values", "words"),
    [
        ([0, 1], None, "'kind' holds numbers, and nothing says which is"),
        ([0, 1], {"signal": ("s",), "background": ("b",)}, "holds numbers, and class_values names"),
        (["s", "b"], {"signal": (1,), "background": (0,)}, "holds texts, and class_values names"),
    ],
)
def test_class_values_are_of_the_kind_of_the_column(
    tmp_path: Path, kinds: list[Any], values: Any, words: str
) -> None:
    path = write(tmp_path / "a.parquet", kind=kinds)
    with pytest.raises(RefusedError, match=words):
        read(dataset(path, class_values=values))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([1, None, 3], "the event number 'event' is null"), ([1.0, 2.5, 3.0], "whole numbers")],
)
def test_event_numbers_are_whole_and_there(tmp_path: Path, numbers: list[Any], words: str) -> None:
    path = write(tmp_path / "a.parquet", kind=["signal"] * 3, event=numbers)
    with pytest.raises(RefusedError, match=words):
        read(dataset(path))


def test_numbers_in_several_files_of_a_sample_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "a.parquet", kind=["signal"] * 4, event=[1, 1, 2, 3])
    two = write(tmp_path / "b.parquet", kind=["signal"] * 4, event=[3, 2, 5, 6])
    read(dataset(one))
    assert capsys.readouterr().out == ""
    assert read(dataset(one, two))[0] == [1, 1, 2, 3, 3, 2, 5, 6]
    assert "s: 2 event numbers stand in several of its files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"selection": "x > 1"}, "s: no event is left after the selection"),
        ({"selection": "n"}, "the selection n is not true or false"),
        ({"weight": "w"}, "the weight w does not exist for 1 events"),
        ({"weight": "c"}, "the weight c is true or false, no number"),
        ({"weight": "t"}, "the weight t is text, no number"),
    ],
)
def test_selections_and_weights_are_what_they_must_be(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    columns: dict[str, Any] = {"n": [1, 0], "w": [1.0, None], "c": [True, False], "t": ["a", "b"]}
    path = write(tmp_path / "a.parquet", kind=["signal", "background"], **columns)
    with pytest.raises(RefusedError, match=words):
        read(dataset(path, sample=changed))


def test_files_without_events_are_refused_together(tmp_path: Path) -> None:
    kind = pa.array([], pa.string())
    # An empty file need not say what its columns would hold.
    none = write(tmp_path / "a.parquet", kind=kind, event=pa.array([], pa.int64()), x=pa.nulls(0))
    some = write(tmp_path / "b.parquet", kind=["signal"])
    assert read(dataset(none, some))[0] == [0]
    with pytest.raises(RefusedError, match="s: there is no event in"):
        read(dataset(none))


def test_a_null_is_of_no_class_whatever_stands_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", kind=[0, None, 1, None])
    options: dict[str, Any] = {"class_values": {"background": (0,), "signal": (1,)}, "missing": 0.0}
    with pytest.raises(RefusedError, match=r"'kind' is 'null' \(2 events\), which no class names"):
        read(dataset(path, **options))
    assert read(dataset(path, drop_other_classes=True, **options))[:2] == ([0, 2], [0, 1])


def test_values_that_are_no_numbers_are_counted_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", kind=[float("nan")] * 5)
    values = {"background": (0,), "signal": (1,)}
    with pytest.raises(RefusedError, match=r"'kind' is 'nan' \(5 events\), which no class"):
        read(dataset(path, class_values=values))
    with pytest.raises(RefusedError, match=r"no event is left: 'kind' is 'nan' \(5 events\)$"):
        read(dataset(path, class_values=values, drop_other_classes=True))


def test_progress_is_told_of_all_events_of_all_files_whatever_is_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "EVENTS_AT_ONCE", 2)
    none = write(tmp_path / "n.parquet", kind=pa.array([], pa.string()))
    files = [none, *(write(tmp_path / f"{n}.parquet", kind=["signal"] * n) for n in (3, 5))]
    found = dataset(*files, sample={"selection": "event == 0"})
    [sample] = found.samples
    with tqdm(file=StringIO()) as bar:
        seen = [
            (bar.total, bar.n)
            for path in files
            for _ in datasets.chunks(found, sample, path, ("x",), bar)
        ]
    # What is in the hands of its reader is not done yet; a file counts when it is opened.
    assert seen == [(3, 0), (3, 2), (8, 3), (8, 5), (8, 7)]
    assert (bar.total, bar.n) == (8, 8)
