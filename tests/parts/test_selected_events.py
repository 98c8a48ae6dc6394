"""Events that are selected of a sample: none is lost or known wrongly, whatever columns hold."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from parts.datasets import EVENTS_AT_ONCE, Dataset, Sample, Selected, selected
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.readers import Reader, quoted
from parts.root_files import Root

N = 2 * EVENTS_AT_ONCE + 17
VALUES = {"background": (0, 2), "signal": (1,)}


def events(n: int = N, first: int = 0) -> dict[str, Any]:
    process = np.arange(n) % 4
    return {
        "x": np.arange(first, first + n) / 8,
        "event": np.arange(first, first + n),
        "weight": np.where(np.arange(n) % 3 == 0, -0.5, 1.0),
        "process": process,
        "name": np.array(["qqZZ", "ggH", "tt", "data"], object)[process],
    }


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    pq.write_table(pa.table(dict(columns)), path)
    return path


def read(
    files: Sequence[Path], sample: Mapping[str, Any], reader: Reader | None = None, **changed: Any
) -> list[Selected]:
    """Read one sample; the tests' data are known by their x."""
    one = Sample("all", tuple(map(str, files)), reader or Parquet(), **sample)
    options: dict[str, Any] = {"classes": ("background", "signal")}
    dataset = Dataset((one,), ("x",), **options | changed)
    return list(selected(dataset, one, files, ("x",)))


def labels(found: Sequence[Selected]) -> dict[float, int]:
    """Return the label of each event, by its x."""
    pairs = (
        zip(each.chunk.numbers("x").tolist(), each.label.tolist(), strict=True) for each in found
    )
    return {x: label for each in pairs for x, label in each}


BY_COLUMN = {"class_column": "process"}
BY_TEXT = {"class_column": "name"}


def test_every_event_comes_once_in_the_order_of_the_files(tmp_path: Path) -> None:
    one, two = events(), events(50, first=N)
    files = [write(tmp_path / "b.parquet", one), write(tmp_path / "a.parquet", two)]
    found = read(files, {"label": 1, "weight": "2 * weight"})
    x = np.concatenate([each.chunk.numbers("x") for each in found])
    assert x.tolist() == (np.arange(N + 50) / 8).tolist()
    weight = np.concatenate([each.weight for each in found])
    assert weight.tolist() == (2 * np.concatenate([one["weight"], two["weight"]])).tolist()
    assert set(np.concatenate([each.label for each in found]).tolist()) == {1}
    assert max(map(len, found)) <= EVENTS_AT_ONCE


def test_a_selection_takes_what_it_says_and_no_more(tmp_path: Path) -> None:
    columns = events()
    found = read([write(tmp_path / "a.parquet", columns)], {"selection": "process == 1 and x > 2"})
    chosen = (columns["process"] == 1) & (columns["x"] > 2)
    assert list(labels(found)) == columns["x"][chosen].tolist()


def test_without_a_weight_each_event_weighs_one(tmp_path: Path) -> None:
    found = read([write(tmp_path / "a.parquet", events(5))], {"label": 0})
    assert found[0].weight.tolist() == [1.0] * 5
    assert found[0].weight.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float64, np.float32])
def test_numbers_of_a_column_tell_the_class(tmp_path: Path, dtype: Any) -> None:
    columns = events()
    columns["process"] = (columns["process"] % 3).astype(dtype)
    found = read([write(tmp_path / "a.parquet", columns)], BY_COLUMN, class_values=VALUES)
    wanted = np.array([0, 1, 0])[columns["process"].astype(int)]
    assert labels(found) == dict(zip(columns["x"].tolist(), wanted.tolist(), strict=True))


def test_events_of_no_class_are_left_out_if_asked_which_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = events()
    path = write(tmp_path / "a.parquet", columns)
    changed: dict[str, Any] = {"class_values": VALUES, "drop_other_classes": True}
    found = read([path], BY_COLUMN, **changed)
    dropped = int((columns["process"] == 3).sum())
    assert sum(map(len, found)) == N - dropped
    assert set(labels(found)) == set(columns["x"][columns["process"] != 3].tolist())
    assert capsys.readouterr().out == f"all: 'process' is 3 ({dropped} events): left out\n"


def test_many_values_of_no_class_are_not_all_listed(tmp_path: Path) -> None:
    columns = events(100) | {"process": np.arange(100)}
    with pytest.raises(RefusedError, match="and 92 more values, which no class names"):
        read([write(tmp_path / "a.parquet", columns)], BY_COLUMN, class_values=VALUES)


@pytest.mark.parametrize(("column", "null"), [("process", "'null'"), ("name", "'null'")])
def test_a_null_is_of_no_class(
    tmp_path: Path, column: str, null: str, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = events(8)
    given = columns[column].tolist()
    given[4] = None
    columns[column] = pa.array(given)
    values = VALUES if column == "process" else {"background": ("qqZZ", "tt"), "signal": ("ggH",)}
    path = write(tmp_path / "a.parquet", columns)
    changed: dict[str, Any] = {"class_values": values, "drop_other_classes": True}
    found = read([path], {"class_column": column}, **changed)
    assert set(labels(found)) == {columns["x"][i] for i in (0, 1, 2, 5, 6)}
    assert f"{null} (1 events)" in capsys.readouterr().out


def test_a_class_called_as_a_null_is_shown_is_not_given_nulls(tmp_path: Path) -> None:
    columns = events(4) | {"name": pa.array(["None", None, "signal", "None"])}
    path = write(tmp_path / "a.parquet", columns)
    changed: dict[str, Any] = {"classes": ("None", "signal"), "drop_other_classes": True}
    assert list(labels(read([path], BY_TEXT, **changed)).values()) == [0, 1, 0]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (pa.array([1, None, 3]), "the event number 'event' is null"),
        (pa.array([1.0, 2.0, 3.5]), "the column 'event' does not hold whole numbers"),
        (pa.array([1.0, 2.0, 3.0]), "the column 'event' does not hold whole numbers"),
        (pa.array(["1", "2", "3"]), "the column 'event' does not hold whole numbers"),
        (pa.array([True, False, True]), "the column 'event' does not hold whole numbers"),
    ],
)
def test_event_numbers_are_whole(tmp_path: Path, numbers: pa.Array, said: str) -> None:
    path = write(tmp_path / "a.parquet", {"x": np.arange(3.0), "event": numbers})
    with pytest.raises(RefusedError, match=f"all: {quoted(path)}: {said}"):
        read([path], {}, event_number="event")


def test_an_event_number_that_is_null_where_nothing_is_selected_is_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"x": np.arange(3.0), "event": pa.array([1, None, 3])})
    found = read([path], {"selection": "x != 1"}, event_number="event")
    assert found[0].keys.tolist() == [[1], [3]]


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint32, np.uint64])
def test_keys_are_the_event_numbers_whatever_type_they_have(tmp_path: Path, dtype: Any) -> None:
    numbers = np.array([np.iinfo(dtype).min, 5, np.iinfo(dtype).max], dtype)
    path = write(tmp_path / "a.parquet", {"x": np.arange(3.0), "event": numbers})
    found = read([path], {}, event_number="event")
    wide = numbers if dtype == np.uint64 else numbers.astype(np.int64).view(np.uint64)
    assert found[0].keys[:, 0].tolist() == wide.tolist()


def test_numbers_that_several_files_have_in_common_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs are often numbered from 0 on, each."""
    one = events(100) | {"event": np.repeat(np.arange(50), 2)}
    files = [
        write(tmp_path / "a.parquet", one),
        write(tmp_path / "b.parquet", events(40, first=30)),
        write(tmp_path / "c.parquet", events(20, first=60)),
    ]
    read(files[:1], {}, event_number="event")
    assert capsys.readouterr().out == ""
    read(files[::2], {}, event_number="event")
    assert capsys.readouterr().out == ""
    # 30 to 49 stand in the first two, 60 to 69 in the last two.
    found = read(files, {}, event_number="event")
    assert sum(map(len, found)) == 160
    text = "all: 30 event numbers stand in several of its files; events of one number"
    assert capsys.readouterr().out.startswith(text)


def test_an_empty_file_among_others_is_no_harm(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.parquet", events(0)), write(tmp_path / "b.parquet", events(3))]
    assert sum(map(len, read(files, {}, event_number="event"))) == 3
    with pytest.raises(RefusedError, match=f"all: there is no event in {quoted(files[0])}"):
        read(files[:1], {})


@pytest.mark.parametrize("weight", ["2 * w", "w ** 0"])
def test_a_weight_that_does_not_exist_is_refused(tmp_path: Path, weight: str) -> None:
    """Also where numbers could be made of it."""
    path = write(tmp_path / "a.parquet", {"x": np.arange(3.0), "w": pa.array([1.0, None, None])})
    with pytest.raises(RefusedError, match=r"the weight .* does not exist for 2 events"):
        read([path], {"weight": weight}, missing=1.0)


def test_elements_of_lists_serve_wherever_columns_do(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    lists = ak.Array([[50.0, 3.0], [], [20.0], [40.0, 1.0, 7.0]])
    with uproot.recreate(path) as file:
        file["t"] = {"x": np.arange(4.0), "w": lists}
    sample = {"selection": "`w[0]` > 30", "weight": "`w[1]`"}
    found = read([path], sample, Root("t"), missing=-1.0)
    assert labels(found) == {0.0: 0, 3.0: 0}
    assert found[0].weight.tolist() == [3.0, 1.0]


def test_events_of_which_only_the_number_is_asked_for_are_counted(tmp_path: Path) -> None:
    """As `seesawc check --data` does."""
    path = write(tmp_path / "a.parquet", events())
    sample = Sample("all", (str(path),), Parquet(), 1)
    dataset = Dataset((sample,), ("x",), event_number="event")
    assert sum(map(len, selected(dataset, sample, [path], ()))) == N


def test_nothing_is_lost_between_selected_dropped_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = events()
    path = write(tmp_path / "a.parquet", columns)
    changed: dict[str, Any] = {"class_values": VALUES, "drop_other_classes": True}
    kept = read([path], BY_COLUMN | {"selection": "x > 100"}, **changed)
    other = read([path], BY_COLUMN | {"selection": "not x > 100"}, **changed)
    counted = re.findall(r"3 \((\d+) events\)", capsys.readouterr().out)
    assert sum(map(len, [*kept, *other])) + sum(map(int, counted)) == N
    assert not set(labels(kept)) & set(labels(other))
