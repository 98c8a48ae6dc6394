"""ROOT files give the values that were written, of the columns that were asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from parts.machinery.exits import RefusedError
from parts.readers import Column, Lists, NoTableError
from parts.root_files import Root
from tests.parts.reading import values_of

SIZES = (1, 7, 1000)
N = 25
NUMBERS = ("bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def numbers(n: int = N) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    every = {name: random.integers(0, 100, n).astype(name) for name in NUMBERS}
    every["u8"] = np.arange(n, dtype="u8") + np.uint64(2**63 + 1)
    every["i8"] = -np.arange(n) - 2**62
    every["f4"][:2], every["f8"][:2] = (np.nan, np.inf), (1 / 3, -0.0)
    return every


def jagged(n: int = N) -> ak.Array:
    length = np.arange(n) % 3
    return ak.unflatten(np.arange(length.sum(), dtype="f4"), length)


def write(path: Path, columns: Mapping[str, Any], kind: str = "tree", name: str = "events") -> Path:
    """Write columns in three stretches: baskets or clusters."""
    n = len(next(iter(columns.values())))
    parts = [{key: each[i : i + 10] for key, each in columns.items()} for i in range(0, n, 10)]
    with uproot.update(path) if path.exists() else uproot.recreate(path) as file:
        written = (file.mktree if kind == "tree" else file.mkrntuple)(name, parts[0])
        for part in parts[1:]:
            written.extend(part)
    return path


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether arrays are equal bit by bit, in the byte order of this machine."""
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


each_kind = pytest.mark.parametrize("kind", ["tree", "tuple"])


@each_kind
@pytest.mark.parametrize("size", SIZES)
def test_numbers_come_back_bit_by_bit(tmp_path: Path, kind: str, size: int) -> None:
    path = write(tmp_path / "a.root", numbers(), kind)
    with Root().open(path) as table:
        assert table.schema.n_events == N
        kinds = [table.schema.columns[name].kind for name in NUMBERS]
        assert kinds == ["condition"] + ["whole"] * 8 + ["real"] * 2
        for name, expected in numbers().items():
            assert same(values_of(table, name, size), expected)


@each_kind
@pytest.mark.parametrize("size", SIZES)
def test_lists_come_back_also_empty_ones(tmp_path: Path, kind: str, size: int) -> None:
    fixed = np.arange(3 * N, dtype="f8").reshape(N, 3)
    path = write(tmp_path / "a.root", {"pt": jagged(), "three": fixed}, kind)
    with Root().open(path) as table:
        for name in ("pt", "three"):
            of = table.schema.columns[name]
            assert (of.kind, of.items) == ("list", "real")
        assert values_of(table, "pt", size) == jagged().to_list()
        assert values_of(table, "three", size) == fixed.tolist()
        chunk = next(table.chunks(["pt", "three"], size + 2))
        assert list(chunk) == ["pt", "three"]
        assert isinstance(chunk["pt"], Lists)
        second = chunk["pt"].element(1)
        assert second.absent is not None
        assert second.absent.tolist()[:3] == [True, True, False]
        assert second.values[2] == jagged()[2, 1]


@each_kind
def test_texts_come_back(tmp_path: Path, kind: str) -> None:
    texts = ["", "ggH", "q\u00e9"] * 5
    path = write(tmp_path / "a.root", {"name": ak.Array(texts)}, kind)
    with Root().open(path) as table:
        assert table.schema.columns["name"].kind == "text"
        assert values_of(table, "name", 4).tolist() == texts


@each_kind
def test_a_file_without_events_has_columns_and_no_chunk(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.root", {"x": np.zeros(1)}, kind)
    with uproot.recreate(path) as file:
        make = file.mktree if kind == "tree" else file.mkrntuple
        make("events", {"x": "f8"} if kind == "tree" else {"x": np.zeros(0)})
    with Root().open(path) as table:
        assert (list(table.schema.columns), table.schema.n_events) == (["x"], 0)
        assert list(table.chunks(["x"], 5)) == []


@each_kind
def test_all_events_are_in_chunks_without_columns(tmp_path: Path, kind: str) -> None:
    with Root().open(write(tmp_path / "a.root", numbers(), kind)) as table:
        assert list(table.chunks((), 10)) == [{}, {}, {}]


def test_the_highest_cycle_of_a_tree_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", {"x": np.zeros(3)})
    write(path, {"x": np.ones(4)})
    for reader, expected in ((Root(), 4), (Root("events"), 4), (Root("events;1"), 3)):
        with reader.open(path) as table:
            assert table.schema.n_events == expected


def test_trees_lie_in_directories(tmp_path: Path) -> None:
    path = write(tmp_path / "a:b.root", {"x": np.arange(3.0)}, name="one/two/events")
    for reader in (Root(), Root("one/two/events"), Root("/one/two/events")):
        with reader.open(path) as table:
            assert values_of(table, "x", 2).tolist() == [0, 1, 2]


def test_one_of_several_trees_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", {"x": np.zeros(3)})
    write(path, {"x": np.ones(4)}, "tuple", "up/events_up")
    with pytest.raises(NoTableError) as caught, Root().open(path):
        pass
    several = "several trees, name one: 'events', 'up/events_up'"
    assert str(caught.value) == f"{str(path)!r}: {several}"
    with pytest.raises(NoTableError) as caught, Root("event").open(path):
        pass
    lacking = "no tree 'event'; did you mean 'events'?; there is 'events', 'up/events_up'"
    assert str(caught.value) == f"{str(path)!r}: {lacking}"


def test_a_file_without_a_tree_is_refused(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram([1.0])
    with pytest.raises(NoTableError, match="no tree in it"), Root().open(tmp_path / "a.root"):
        pass


def test_lists_of_lists_and_of_records_are_known_by_their_types(tmp_path: Path) -> None:
    deep = ak.Array([[[1.0], []], []])
    jets = ak.Array([[{"pt": 1.0, "n": 1}], []])
    one = ak.Array([{"eta": 0.5, "phi": {"x": 1.5}}, {"eta": 1.5, "phi": {"x": 2.5}}])
    columns = {"deep": deep, "jets": jets, "one": one}
    with Root().open(write(tmp_path / "a.root", columns, "tuple")) as table:
        kinds = {name: each.kind for name, each in table.schema.columns.items()}
        assert kinds == {"deep": "other", "jets.pt": "list", "jets.n": "list",
                         "one.eta": "real", "one.phi.x": "real"}  # fmt: skip
        assert table.schema.columns["deep"].said.startswith("std::vector<std::vector<")
        assert values_of(table, "jets.pt", 1) == [[1.0], []]
        assert values_of(table, "one.phi.x", 1).tolist() == [1.5, 2.5]


def test_values_that_may_be_missing_are_absent(tmp_path: Path) -> None:
    column = {"x": ak.Array([1.5, None, 3.5])}
    with Root().open(write(tmp_path / "a.root", column, "tuple")) as table:
        assert table.schema.columns["x"].kind == "real"
        held = next(table.chunks(["x"], 5))["x"]
        assert isinstance(held, Column)
        assert held.absent is not None
        assert held.absent.tolist() == [False, True, False]
        assert held.values[~held.absent].tolist() == [1.5, 3.5]


def test_only_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", {"x": np.arange(1000.0), "y": np.arange(1000.0)})
    with uproot.open(path) as file:
        place = file["events"]["y"].basket_key(3).fSeekKey
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 60] = bytes(60)
    path.write_bytes(damaged)
    with Root().open(path) as table:
        assert values_of(table, "x", 100).tolist() == list(range(1000))
        with pytest.raises(RefusedError, match=r"cannot read '.*a.root': column 'y': "):
            values_of(table, "y", 100)


@each_kind
def test_cut_files_are_refused_or_have_lost_nothing(tmp_path: Path, kind: str) -> None:
    path, refused = write(tmp_path / "a.root", numbers(), kind), list[str]()
    whole = path.read_bytes()
    for end in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:end])
        try:
            with Root().open(path) as table:
                assert all(same(values_of(table, *each), numbers()[each[0]])
                           for each in [(name, 10) for name in table.schema.columns])  # fmt: skip
        except RefusedError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all(each.startswith(f"cannot read {str(path)!r}: ") for each in refused)
    assert all(each.isprintable() and each.isascii() for each in refused)


@pytest.mark.parametrize("kind", ["", "-lz4", "-lzma", "-zstd"])
def test_damaged_bytes_never_raise_anything_but_refusals(
    tmp_path: Path, real_files: Path, kind: str
) -> None:
    whole, refused = (real_files / f"uproot-HZZ{kind}.root").read_bytes(), 0
    random = np.random.default_rng(5)
    for _ in range(30):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 30):
            damaged[place] ^= 0xA5
        (tmp_path / "a.root").write_bytes(damaged)
        try:
            with Root().open(tmp_path / "a.root") as table:
                list(table.chunks([*table.schema.columns], 1000))
        except RefusedError:
            refused += 1
    assert refused > 10


def test_what_is_no_root_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_text("pt,eta\n1,2\n" * 100)
    for name in ("a.root", "b.root", "."):
        with pytest.raises(RefusedError, match="cannot read"), Root().open(tmp_path / name):
            pass


def test_four_compressions_hold_the_same(real_files: Path) -> None:
    files = [real_files / f"uproot-HZZ{kind}.root" for kind in ("", "-lz4", "-lzma", "-zstd")]
    with uproot.open(files[0]) as file:
        expected = {name: branch.array() for name, branch in file["events"].iteritems()}
    for path in files:
        with Root().open(path) as table:
            assert set(table.schema.columns) == set(expected)
            for name, values in expected.items():
                assert np.array(values_of(table, name, 500), object).tolist() == values.to_list()


def test_branches_of_objects_that_are_split_are_columns(real_files: Path) -> None:
    path = real_files / "uproot-physlite-rntuple_v1-0-0-0.root"
    with uproot.open(path) as file, Root("MetaData").open(path) as table:
        types = table.schema.columns
        for name, kind in (("productionRelease", "text"), ("runNumbers", "list")):
            assert types[f"FileMetaDataAux.{name}"].kind == kind
            expected = file[f"MetaData/FileMetaDataAux.{name}"].array().to_list()
            assert list(values_of(table, f"FileMetaDataAux.{name}", 5)) == expected
        deep = types["TriggerMenuJson_BGAux.name"]
        assert (deep.kind, deep.said) == ("other", "std::vector<std::string>")
        assert types["StreamDAOD_PHYSLITE"].kind == "other"


def test_trees_of_others_hold_what_uproot_says(real_files: Path) -> None:
    path = real_files / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
    with uproot.open(path) as file, Root("Events").open(path) as table:
        assert table.schema.columns["nJet"].said == "uint32_t"
        for name in ("genWeight", "nJet", "run", "event", "Jet_pt", "Jet_jetId", "HLT_IsoMu20"):
            assert list(values_of(table, name, 33)) == file["Events"][name].array().to_list()


def test_tuples_of_others_hold_what_uproot_says(real_files: Path) -> None:
    path = real_files / "uproot-physlite-rntuple_v1-0-0-0.root"
    with uproot.open(path) as file, Root("EventData").open(path) as table:
        kinds = {name: each.kind for name, each in table.schema.columns.items()}
        assert kinds["METAssoc_AnalysisMETAux:.calpx"] == "other"
        for name in ("index_ref", "AnalysisJetsAuxDyn:pt", "EventInfoAuxDyn:runNumber"):
            expected = file["EventData"][name].array().to_list()
            assert list(values_of(table, name, 33)) == expected
