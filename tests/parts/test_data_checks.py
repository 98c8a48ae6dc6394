"""All that is wrong with the data is found before any of it is read, and said at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from parts.csv_files import Csv
from parts.data_checks import Data, Problem, find_data, look
from parts.datasets import Dataset, Sample
from parts.hdf5_files import Hdf5
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.readers import Reader, quoted
from parts.root_files import Root

READERS: dict[str, Reader] = {
    ".parquet": Parquet(), ".csv": Csv(), ".root": Root("events"), ".h5": Hdf5(),
}  # fmt: skip


def events(**changed: Any) -> dict[str, Any]:
    columns = {
        "event": np.arange(4), "pt": np.arange(4.0), "eta": np.ones(4), "n_jets": np.arange(4),
        "weight": np.ones(4), "process": np.array(["a", "b", "a", "b"], object),
    }  # fmt: skip
    return {name: each for name, each in (columns | changed).items() if each is not None}


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    if path.suffix == ".root":
        with uproot.recreate(path) as file:
            file["events"] = {n: v for n, v in columns.items() if n != "process"}
    else:
        pq.write_table(pa.table(dict(columns)), path)
    return path


def dataset(*files: str | Path, sample: Mapping[str, Any] | None = None, **changed: Any) -> Dataset:
    """Return a dataset of one sample for each file."""
    samples = tuple(
        Sample(f"s{index}", (str(file),), READERS[Path(file).suffix], 1, **(sample or {}))
        for index, file in enumerate(files)
    )
    options: dict[str, Any] = {"categorical": ("n_jets",), "event_number": "event"}
    return Dataset(samples, changed.pop("numerical", ("pt", "eta")), **options | changed)


def of_one(folder: Path, columns: Mapping[str, Any], **changed: Any) -> Sequence[Problem]:
    """Return what is wrong with a file."""
    write(folder / "a.parquet", columns)
    return look(dataset("a.parquet", **changed), folder).problems


def test_good_files_are_found_by_sample(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.root", "c.parquet"):
        write(tmp_path / name, events())
    found = find_data(dataset("a.parquet", "b.root", "c*.parquet"), tmp_path)
    assert found == Data(
        {f"s{i}": [tmp_path / name] for i, name in enumerate(("a.parquet", "b.root", "c.parquet"))},
        (),
        (),
        {f"s{i}": 4 for i in range(3)},
    )


def test_all_that_is_wrong_with_the_files_is_said_at_once(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", events()).read_bytes()
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "empty.root").write_bytes(b"")
    (tmp_path / "empty.h5").write_bytes(b"")
    (tmp_path / "torn.parquet").write_bytes(good[: len(good) // 2])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81" * 50)
    (tmp_path / "folder.parquet").mkdir()
    write(tmp_path / "lacking.parquet", events(pt=None, eta=None))
    bad = [
        "empty.parquet", "empty.csv", "empty.root", "empty.h5", "torn.parquet", "binary.csv",
        "folder.parquet",
    ]  # fmt: skip
    asked = dataset("absent.parquet", "no*.csv", *bad, "lacking.parquet", "good.parquet")
    with pytest.raises(RefusedError) as refusal:
        find_data(asked, tmp_path)
    text = str(refusal.value)
    assert text.isascii()
    head, *lines = text.splitlines()
    assert head == "the data cannot be used:"
    assert len(lines) == 2 + len(bad) + 2 + 1
    assert f"s0: there is no file {quoted(tmp_path / 'absent.parquet')}" in text
    assert f"s1: there is no file {quoted(tmp_path / 'no*.csv')}" in text
    for index, name in enumerate(bad):
        assert lines[2 + index].startswith(f"  s{2 + index}: ")
        assert lines[2 + index].count(quoted(tmp_path / name)) == 1
    place = quoted(tmp_path / "lacking.parquet")
    assert lines[-3:-1] == [f"  s9: {place}: no column {name}" for name in ("'pt'", "'eta'")]
    # Which there are, once for each file.
    assert lines[-1] == f"  in {place} there is 'event', 'n_jets', 'weight', 'process'"


@pytest.mark.parametrize(
    ("option", "changed", "said"),
    [
        (("numerical", 1), {"numerical": ("pt", "Eta")}, "no column 'Eta'; did you mean 'eta'?"),
        (
            ("categorical", 0),
            {"categorical": ("njets",)},
            "no column 'njets'; did you mean 'n_jets'?",
        ),
        (
            ("event_number",),
            {"event_number": "events"},
            "no column 'events'; did you mean 'event'?",
        ),
        (("type",), {"further": ("type",)}, "no column 'type'"),
        (
            ("derived", "s"),
            {"derived": {"s": "pt + etta"}, "numerical": ("s",)},
            "no column 'etta'; did you mean 'eta'?",
        ),
        (("derived", "pt"), {"derived": {"pt": "2 * eta"}}, "there is a column 'pt' already"),
        (("samples", 0, "selection"), {"sample": {"selection": "Pt > 3"}}, "no column 'Pt'"),
        (("samples", 0, "weight"), {"sample": {"weight": "w * 2"}}, "no column 'w'"),
        (
            ("samples", 0, "class_column"),
            {"sample": {"class_column": "class"}},
            "no column 'class'",
        ),
    ],
)
def test_the_option_that_names_a_column_is_told(
    tmp_path: Path, option: Any, changed: dict[str, Any], said: str
) -> None:
    [problem, *more] = of_one(tmp_path, events(), **changed)
    assert not more
    assert problem.option == option
    assert problem.message.startswith(said)
    assert problem.path == tmp_path / "a.parquet"


@pytest.mark.parametrize(
    ("option", "changed", "said"),
    [
        (("numerical", 0), {"numerical": ("process",)}, "'process' holds texts, not numbers"),
        (("categorical", 0), {"categorical": ("process",)}, "'process' holds texts, not numbers"),
        (("process",), {"further": ("process",)}, "'process' holds texts, not numbers"),
        (("event_number",), {"event_number": "pt"}, "the column 'pt' does not hold whole numbers"),
        (
            ("derived", "s"),
            {"derived": {"s": "process + 1"}, "numerical": ("s",)},
            "'process' holds texts, not numbers",
        ),
        (
            ("samples", 0, "selection"),
            {"sample": {"selection": "process == 1"}},
            "'process' holds texts, and '1' whole numbers: 'process == 1' compares them",
        ),
        (
            ("samples", 0, "selection"),
            {"sample": {"selection": "pt == 'high'"}},
            "\"'high'\" holds texts, and 'pt' numbers",
        ),
        (
            ("samples", 0, "selection"),
            {"sample": {"selection": "pt"}},
            "the selection pt is not true or false",
        ),
        (
            ("samples", 0, "weight"),
            {"sample": {"weight": "process"}},
            "the weight process is text, no number",
        ),
        (
            ("samples", 0, "class_column"),
            {"sample": {"class_column": "pt"}, "classes": ("a", "b")},
            "'pt' holds numbers, and nothing says which is",
        ),
        (("numerical", 0), {"numerical": ("pt[0]",)}, "'pt' holds 'double', no lists"),
    ],
)
def test_what_holds_something_else_is_told_with_its_option(
    tmp_path: Path, option: Any, changed: dict[str, Any], said: str
) -> None:
    [problem, *more] = of_one(tmp_path, events(), **changed)
    assert not more
    assert problem.option == option
    assert said in problem.message


def test_a_text_without_its_quotes_is_told_from_a_column(tmp_path: Path) -> None:
    [problem] = of_one(tmp_path, events(), sample={"selection": "process == ggH"})
    assert problem.message == "no column 'ggH'"
    assert problem.there.endswith("; a text stands in quotes")


def test_a_fault_of_a_derived_column_is_told_once_where_it_is_derived(tmp_path: Path) -> None:
    changed = {
        "derived": {"s": "process + 1", "t": "2 * s"},
        "numerical": ("s", "t"),
        "sample": {"weight": "t"},
    }
    found = of_one(tmp_path, events(), **changed)
    assert [problem.option for problem in found if "process" in problem.message] == [
        ("derived", "s")
    ]
    assert len(found) == 1


@pytest.mark.parametrize("column", [pa.array([[1.0], [], [2.0], [3.0]]), pa.array([b"a"] * 4)])
def test_lists_and_stranger_things_are_no_numbers(tmp_path: Path, column: pa.Array) -> None:
    [problem] = of_one(tmp_path, events(pt=column))
    assert problem.option == ("numerical", 0)
    is_list = pa.types.is_list(column.type)
    assert ("'pt[0]' is its first" if is_list else "no single values") in problem.message


def test_how_a_name_was_understood_that_may_mean_two_things_is_said(tmp_path: Path) -> None:
    path = tmp_path / "b.root"
    jets = ak.Array([[50.0, 3.0], [], [20.0], [40.0]])
    write(path, {"pt": np.ones(4), "jet": jets, "event": np.arange(4)})
    pq.write_table(pa.table({"jet[0]": np.ones(4), "event": np.arange(4)}), tmp_path / "a.parquet")
    asked = dataset("b.root", "a.parquet", numerical=("jet[0]",), categorical=())
    assert find_data(asked, tmp_path).notes == (
        "jet[0]: element 0 of the lists in 'jet'",
        "jet[0]: the column of this name",
    )


def of_several(folder: Path, *tables: Mapping[str, Any], **changed: Any) -> Sequence[Problem]:
    """Return what is wrong with the files of one sample."""
    for index, columns in enumerate(tables):
        write(folder / f"a{index}.parquet", columns)
    return look(dataset("a*.parquet", **changed), folder).problems


def test_files_of_one_sample_hold_the_same_things(tmp_path: Path) -> None:
    texts = np.array(["x"] * 4, object)
    [problem] = of_several(
        tmp_path, events(), events(process=np.arange(4)), sample={"selection": "process == 'a'"}
    )[1:]
    assert problem.option == ("samples", 0, "files")
    where = quoted(tmp_path / "a0.parquet")
    assert problem.message == f"'process' holds 'int64', other than in {where}"
    assert problem.path == tmp_path / "a1.parquet"
    # What nobody asks for may differ.
    assert not of_several(tmp_path, events(), events(process=np.arange(4)))
    assert not of_several(tmp_path, events(more=texts), events())


def test_whole_and_real_numbers_take_each_others_place(tmp_path: Path) -> None:
    whole = events(pt=np.arange(4), n_jets=np.arange(4, dtype=np.int8))
    assert not of_several(tmp_path, events(), whole, events(eta=np.ones(4, np.float32)))


def test_what_many_files_have_alike_is_said_once(tmp_path: Path) -> None:
    [problem] = of_several(tmp_path, *[events(eta=None)] * 5)
    assert problem.option == ("numerical", 1)
    assert problem.path == tmp_path / "a0.parquet"


def test_each_sample_is_checked_of_files_that_they_share(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", events())
    both = dataset("a.parquet", "a.parquet")
    first, second = both.samples
    bad = Sample("s1", second.files, second.reader, 1, selection="Pt > 3")
    asked = Dataset((first, bad), both.numerical)
    assert [problem.sample for problem in look(asked, tmp_path).problems] == ["s1"]


def test_a_file_without_events_need_not_say_what_it_would_hold(tmp_path: Path) -> None:
    """An empty CSV file cannot; but all columns are there."""
    (tmp_path / "a.csv").write_text("event,pt,eta,n_jets,process\n")
    sample = {"selection": "process == 'a'"}
    assert not look(dataset("a.csv", sample=sample), tmp_path).problems
    (tmp_path / "a.csv").write_text("event,pt,n_jets,process\n")
    [problem] = look(dataset("a.csv", sample=sample), tmp_path).problems
    assert problem.message.startswith("no column 'eta'")


def test_nulls_are_no_fault_of_types(tmp_path: Path) -> None:
    """Events are looked at later."""
    columns = events(pt=pa.array([1.0, None, 2.0, 3.0]), n_jets=pa.array([1, None, 2, 3]))
    assert not of_one(tmp_path, columns)


def test_which_tree_or_table_is_meant_is_asked_of_the_sample(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["nominal"], file["varied"] = {"pt": np.ones(2)}, {"pt": np.ones(2)}
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["one"] = file["two"] = np.zeros(2, [("pt", float)])
    asked = dataset("a.root", "b.h5", numerical=("pt",), categorical=(), event_number=None)
    found = look(asked, tmp_path).problems
    assert [problem.option for problem in found] == [("samples", 0), ("samples", 1)]
    assert "no tree 'events'" in found[0].message
    assert "'nominal', 'varied'" in found[0].message
    assert "'one', 'two'" in found[1].message


def test_a_message_is_of_one_line_and_plain_letters_whatever_names_hold(tmp_path: Path) -> None:
    path = tmp_path / "a\nb \u00e9.parquet"
    pq.write_table(pa.table({"p\u00e9\nt": np.ones(2), "event": np.arange(2)}), path)
    with pytest.raises(RefusedError) as refusal:
        find_data(dataset(path.name), tmp_path)
    text = str(refusal.value)
    assert text.isascii()
    assert len(text.splitlines()) == 1 + 3 + 1


def test_a_sample_is_asked_for_the_derived_columns_that_it_uses(tmp_path: Path) -> None:
    """Data have no weight of a generator, and need none."""
    derived = {"s": "generator * 2"}
    assert not of_one(tmp_path, events(), derived=derived)
    [problem] = of_one(tmp_path, events(), derived=derived, sample={"weight": "s"})
    assert problem.option == ("derived", "s")
