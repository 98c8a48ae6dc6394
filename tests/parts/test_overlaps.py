"""Events that several samples take from one file."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uproot

from parts import datasets
from parts.arrays import read_arrays
from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.root_files import Root

N = 100


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "EVENTS_AT_ONCE", 7)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).random(N)
    frame = pd.DataFrame({"event": range(N), "x": x, "y": np.arange(N) % 3})
    frame.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


def read(*samples: Sample, **options: Any) -> None:
    dataset = Dataset(samples, ("x",), event_number="event", **{"classes": ("B", "S"), **options})
    files = {each.name: [Path(file) for file in each.files] for each in samples}
    read_arrays(dataset, files, np.dtype("f4"))


def two(path: Path, first: str | None, second: str | None) -> tuple[Sample, Sample]:
    return tuple(  # type: ignore[return-value]
        Sample(name, (str(path),), Csv(), label, selection=selection)
        for label, (name, selection) in enumerate((("qq", first), ("gg", second)))
    )


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        (None, None, N),
        ("y == 0", None, 34),
        ("y <= 1", "y >= 1", 33),
        ("event < 60", "event >= 50", 10),
    ],
)
def test_events_of_two_classes_are_refused_with_number_and_samples(
    table: Path, first: str | None, second: str | None, count: int
) -> None:
    with pytest.raises(RefusedError) as refused:
        read(*two(table, first, second))
    assert f"{count} events of '{table}' are of two classes: B in qq, S in gg" in str(refused.value)


def test_selections_that_exclude_each_other_are_fine(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(*two(table, "y == 0", "y > 0"))
    assert "two" not in capsys.readouterr().out


@pytest.mark.parametrize("way", ["link", "hard link", "copy"])
def test_a_file_is_the_same_under_another_name(table: Path, way: str) -> None:
    other = table.with_name("b.csv")
    if way == "link":
        other.symlink_to(table)
    elif way == "hard link":
        other.hardlink_to(table)
    else:
        shutil.copy(table, other)
    one, second = two(table, "y == 0", None)
    with pytest.raises(RefusedError, match="34 events"):
        read(one, replace(second, files=(str(other),)))


def test_other_files_of_one_size_and_other_trees_of_one_file_have_other_events(
    tmp_path: Path, table: Path
) -> None:
    text = table.read_text()
    other = tmp_path / "b.csv"
    other.write_text(text.replace("\n1,0.", "\n1,1."))
    assert other.stat().st_size == table.stat().st_size
    one, second = two(table, None, None)
    read(one, replace(second, files=(str(other),)))
    with uproot.recreate(tmp_path / "a.root") as file:
        for tree in ("sig", "bkg"):
            file[tree] = {"event": np.arange(N), "x": np.random.default_rng(1).random(N)}
    root = str(tmp_path / "a.root")
    read(Sample("s", (root,), Root("sig"), 1), Sample("b", (root,), Root("bkg"), 0))
    with pytest.raises(RefusedError, match="100 events"):
        read(Sample("s", (root,), Root("sig"), 1), Sample("b", (root,), Root("sig"), 0))


def test_events_that_count_twice_in_one_class_are_said(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, second = two(table, "y == 0", "y == 1")
    third = replace(second, name="more", selection="y == 1 and event < 50")
    read(one, second, third)
    said = capsys.readouterr().out
    assert "warning: 17 events of" in said
    assert "are in gg and in more, both of class S: they count twice" in said


def test_a_column_that_tells_the_class_may_tell_it_other_than_another_sample(table: Path) -> None:
    whole = Sample("all", (str(table),), Csv(), class_column="y")
    values = {"B": (0, 2), "S": (1,)}
    _, second = two(table, None, "y >= 1")
    with pytest.raises(RefusedError) as refused:
        read(whole, second, class_values=values)
    assert "33 events" in str(refused.value)
    assert "B in all, S in gg" in str(refused.value)


def test_fakes_take_no_event_as_data_and_as_monte_carlo(table: Path) -> None:
    with pytest.raises(RefusedError, match=r"100 events .* MC in qq, data in gg"):
        read(*two(table, None, None), classes=())


def write_folder(folder: Path, first: int) -> Path:
    """Write two files of ten events each into a folder."""
    folder.mkdir()
    for part in range(2):
        numbers = np.arange(first + 10 * part, first + 10 * part + 10)
        frame = pd.DataFrame({"event": numbers, "x": numbers / 7})
        frame.to_parquet(folder / f"{part}.parquet", index=False)
    return folder


def test_folders_are_the_same_by_what_their_files_hold(tmp_path: Path) -> None:
    one, other = (write_folder(tmp_path / name, first) for name, first in (("a", 0), ("b", 20)))
    samples = [
        Sample(path.name, (str(path),), Parquet(), label) for label, path in enumerate((one, other))
    ]
    read(*samples)
    again = shutil.copytree(one, tmp_path / "c")
    with pytest.raises(RefusedError, match=r"20 events .* B in a, S in c"):
        read(samples[0], Sample("c", (str(again),), Parquet(), 1))
