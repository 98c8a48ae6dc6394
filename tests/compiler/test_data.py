"""`seesawc init --data`: what a file holds becomes a spec, and what is doubtful is said."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import uproot
from click.testing import CliRunner, Result

from seesawc.cli.commands import main

N = 1000
SPEC = Path("specs/new.toml")
Columns = dict[str, Any]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    Path("data").mkdir()
    return tmp_path


def events(n: int = N) -> Columns:
    """What files of events are like."""
    rng = np.random.default_rng(1)
    jet = rng.exponential(50, n) + 20
    eta = rng.normal(size=n)
    absent = rng.random(n) < 0.2
    return {
        "eventNumber": np.arange(10**9, 10**9 + n),
        "runNumber": rng.integers(100, 104, n),
        "jet.pt": np.where(absent, -999.0, jet),
        "jet_eta": np.where(absent, -999.0, eta),
        "mass": rng.normal(125, 2, n).astype("float32"),
        "n_jets": rng.integers(0, 5, n),
        "n_tracks": rng.integers(0, 500, n),
        "scale": np.full(n, 2.5),
        "weight_jes": rng.random(n),
        "genWeight": rng.random(n) + 0.5,
        "process": np.arange(n) % 2,
    }


def written(name: str, columns: Columns) -> Path:
    path = Path("data") / name
    if name.endswith(".root"):
        with uproot.recreate(path) as file:
            file["events"] = columns
    elif name.endswith((".h5", ".hdf5")):
        with h5py.File(path, "w") as file:
            for column, values in columns.items():
                file[column] = values
    elif name.endswith(".parquet"):
        pd.DataFrame(columns).to_parquet(path)
    else:
        pd.DataFrame(columns).to_csv(path, index=False)
    return path


FORMATS = ["a.root", "a.h5", "a.hdf5", "a.parquet", "a.csv", "a.csv.gz"]


def init(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, ["init", "new", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def made(*arguments: str | Path) -> tuple[str, Any]:
    """The text of the spec, and its [dataset_config]."""
    result = init(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    text = SPEC.read_text()
    return text, tomllib.loads(text)["dataset_config"]


def refused(*arguments: str | Path, status: int = 1) -> str:
    result = init(*arguments)
    assert result.exit_code == status
    assert not SPEC.exists()
    return result.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_columns_of_any_format_become_what_they_are_for(name: str) -> None:
    columns = events()
    # uproot writes no names with dots as they are.
    columns["jet_pt"] = columns.pop("jet.pt")
    text, dataset = made("--data", written(name, columns), "--class-column", "process")
    assert set(dataset["numerical"]) == {"jet_pt", "jet_eta", "mass", "n_tracks"}
    assert dataset["categorical"] == ["n_jets"]
    assert dataset["event_number"] == "eventNumber"
    assert dataset["weight"] == "genWeight"
    assert dataset["missing"] == -999.0
    assert dataset["classes"] == ["class_0", "class_1"]
    assert dataset["class_values"] == {"class_0": [0], "class_1": [1]}
    (sample,) = dataset["samples"]
    assert sample == {"name": "a", "class_column": "process", "files": [f"../data/{name}"]}
    for note in (
        "# signal: class_1, the second one",
        "# left out: runNumber (says when or how",
        "# left out: scale (constant, 2.5)",
        "# left out: process (tells the class)",
        "other columns that may be weights: weight_jes;",
        "1000 events; looked at all",
        "in jet_eta, jet_pt",
    ):
        assert note in text
    assert "TO DO" not in text


def test_several_files_are_samples_and_the_first_one_is_the_signal() -> None:
    columns = events()
    del columns["process"]
    paths = [written(name, columns) for name in ("ggH 125.csv", "qqZZ.csv")]
    text, dataset = made("--data", paths[0], "--data", paths[1])
    assert [(s["name"], s["class"]) for s in dataset["samples"]] == [
        ("ggH_125", "signal"),
        ("qqZZ", "background"),
    ]
    assert "# the first file: change it" in text
    result = CliRunner().invoke(main, ["check", str(SPEC)])
    assert result.exit_code == 0, result.stderr


def test_one_file_without_classes_is_said_to_lack_selections() -> None:
    text, dataset = made("--data", written("a.csv", events()))
    assert text.startswith("# TO DO before it trains: ")
    assert "Columns that may tell: process." in text
    # Which of the numbers is the signal, the file does not say.
    assert text.count('# selection = "process == ..."  # process is 0 or 1\n') == 2
    assert [s["class"] for s in dataset["samples"]] == ["signal", "background"]
    assert "process" not in dataset["categorical"]


def test_a_column_of_texts_may_tell_the_class_too() -> None:
    columns = events()
    columns["truth.Type"] = np.resize(["ZZ", "Higgs"], N)
    del columns["process"]
    text, _ = made("--data", written("a.parquet", columns))
    assert "Columns that may tell: truth.Type." in text
    line = "# selection = \"`truth.Type` == ...\"  # truth.Type is 'Higgs' or 'ZZ'\n"
    assert text.count(line) == 2


def test_values_that_are_many_stand_above_the_selection() -> None:
    columns = events()
    columns["process"] = np.resize(np.arange(20) * 1_000_000 + 0.5, N)
    text, _ = made("--data", written("a.parquet", columns))
    lines = text.splitlines()
    at = lines.index('# selection = "process == ..."')
    assert lines[at - 3].startswith("# process is 0.5, 1000000.5, ")
    assert lines[at - 1].endswith(" or 19000000.5")


def test_without_a_column_that_tells_no_values_are_suggested() -> None:
    columns = events()
    del columns["process"]
    text, _ = made("--data", written("a.csv", columns))
    assert text.count('# selection = "..."\n') == 2
    assert "process" not in text


def test_texts_become_classes_of_valid_names() -> None:
    columns = events()
    columns["kind"] = np.resize(["gg->H", "qq ZZ", "con"], N)
    _, dataset = made("--data", written("a.csv", columns), "--class-column", "kind")
    assert dataset["class_values"] == {
        "class_con": ["con"],
        "gg-_H": ["gg->H"],
        "qq_ZZ": ["qq ZZ"],
    }


def test_a_class_called_signal_is_the_second_of_two() -> None:
    columns = events()
    columns["kind"] = np.resize(["signal", "zz"], N)
    text, dataset = made("--data", written("a.csv", columns), "--class-column", "kind")
    assert dataset["classes"] == ["zz", "signal"]
    assert "# signal: signal, the second one" in text


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, -999.0),
        ({"jet.pt": -1.0, "jet_eta": -99.0, "other": -99.0}, -99.0),
        ({"jet.pt": 1e6, "jet_eta": 1e6}, 1e6),
        ({"jet.pt": np.nan, "jet_eta": np.nan}, np.nan),
        ({"jet.pt": None, "jet_eta": None}, None),
    ],
)
def test_what_stands_for_missing_is_the_value_of_most_features(
    changes: dict[str, float | None], missing: float | None
) -> None:
    columns = events()
    absent = columns["jet_eta"] == -999.0
    columns["other"] = np.abs(np.random.default_rng(2).normal(size=N))
    for name, value in changes.items():
        columns[name] = np.where(absent, 1.25 + columns["other"] if value is None else value,
                                 columns[name])  # fmt: skip
    text, dataset = made("--data", written("a.parquet", columns))
    assert repr(dataset.get("missing")) == repr(missing if missing is None else float(missing))
    assert ("# missing = " in text) == (missing is None)


def test_nulls_lists_and_odd_columns_are_left_out_with_the_reason() -> None:
    columns = events()
    columns["jets"] = [[1.0, 2.0]] * N
    columns["lepton"] = pd.array([1, None] * (N // 2), dtype="Int64")
    columns["name"] = [f"e{n}" for n in range(N)]
    columns["steep"] = np.where(np.arange(N) == 5, np.inf, 1.0)
    columns["evt"] = np.arange(N) // 4
    text, dataset = made("--data", written("a.parquet", columns))
    features = {*dataset["numerical"], *dataset["categorical"]}
    assert not features & {"jets", "lepton", "name", "steep", "evt"}
    flat = " ".join(text.replace("#", " ").split())
    for note in ('"jets[0]"', "lepton (50.0% nulls)", "name (texts, 1000", "steep (has infinite",
                 "evt (a number of events that repeats: 25%"):  # fmt: skip
        assert note in flat


def test_a_weight_that_is_no_plain_name_stands_in_backticks() -> None:
    columns = events()
    columns["event.weight"] = columns.pop("genWeight")
    del columns["weight_jes"]
    _, dataset = made("--data", written("a.parquet", columns))
    assert dataset["weight"] == "`event.weight`"
    assert "jet.pt" in dataset["numerical"]


def test_events_all_over_a_large_file_are_looked_at() -> None:
    n = 450_000
    columns = {"x": np.linspace(0, 1, n), "process": (np.arange(n) >= n - 9000).astype(int)}
    path = written("a.parquet", columns)
    text, dataset = made("--data", path, "--class-column", "process")
    assert set(dataset["class_values"]) == {"class_0", "class_1"}
    assert "450000 events; looked at 150000 from all over it" in text


@pytest.mark.parametrize("name", ["a.root", "a.h5"])
def test_a_tree_or_table_is_named_where_a_file_has_several(name: str) -> None:
    path = Path("data") / name
    columns = {"x": np.linspace(0, 1, 50), "y0": np.arange(50) % 7}
    rows = pd.DataFrame(columns).to_records(index=False)
    if name == "a.root":
        with uproot.recreate(path) as file:
            file["one"], file["two"] = columns, columns
    else:
        with h5py.File(path, "w") as file:
            file["one"], file["two"] = rows, rows
    option = "tree" if name == "a.root" else "table"
    fault, hint, *_ = refused("--data", path).splitlines()
    assert "'one', 'two'" in fault
    assert hint == f"   = --{option} NAME"
    _, dataset = made("--data", path, f"--{option}", "two")
    assert [sample[option] for sample in dataset["samples"]] == ["two", "two"]


def test_what_cannot_be_read_is_refused_in_words() -> None:
    Path("data/a.root").write_bytes(b"no such thing")
    Path("data/a.txt").write_text("")
    assert "a.root" in refused("--data", "data/a.root")
    assert "no kind of file that can be read" in refused("--data", "data/a.txt")
    path = written("a.csv", events())
    message = refused("--data", path, "--class-column", "proces")
    assert "has no column 'proces'" in message
    assert 'did you mean "process"?' in message
    assert "no few whole numbers" in refused("--data", path, "--class-column", "mass")
    assert "same 'scale'" in refused("--data", written("b.csv", {**events(), "scale": 1}),
                                     "--class-column", "scale")  # fmt: skip


@pytest.mark.parametrize("name", [*FORMATS, "folder/", "a.txt"])
def test_a_file_that_is_not_there_is_called_so_in_one_line(name: str) -> None:
    first, *_ = refused("--data", f"data/{name}").splitlines()
    assert first == f"error: there is no file 'data/{name.rstrip('/')}'"


def test_a_file_of_another_kind_is_called_so_in_one_line() -> None:
    Path("data/a.root").write_bytes(b"x" * 1000)
    first, *_ = refused("--data", "data/a.root").splitlines()
    reason = "as a ROOT file: it does not begin with 'root'"
    assert first == f"error: cannot read 'data/a.root': {reason}"


def test_options_of_data_without_data_are_wrong_usage() -> None:
    assert "need --data" in refused("--class-column", "x", status=2)
    assert "is for --task signal" in refused("--task", "fakes", "--data", "a.csv", status=2)


def test_a_tree_or_a_table_that_no_file_has_is_not_ignored() -> None:
    path = written("a.parquet", events())
    said = refused("--data", path, "--tree", "nominal")
    assert "--tree, and no file is of ROOT" in said
    assert "--table, and no file is of HDF5" in refused("--data", path, "--table", "jets")
    assert not SPEC.exists()


def test_only_what_reads_the_given_files_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("a.csv", events())
    other = written("a.root", events())
    monkeypatch.setitem(sys.modules, "parts.root_files", None)
    assert "which reads files of events, is not installed" in refused("--data", other)
    init("--data", path, "--data", path)
    assert SPEC.exists()
