"""Beside scores, an HDF5 file keeps all that it holds: arrays, groups, links and attributes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from parts.hdf5_files import Hdf5
from parts.machinery.exits import RefusedError
from tests.parts.scoring import (
    EVERY,
    N_EVENTS,
    NONE,
    NUMBERS,
    SCORES,
    SOME,
    with_numbers,
    write_scores,
)

TEXT = h5py.string_dtype()
SHAPES = ("chunks", "maxshape")
# Of types that are not this machine's, and of any length.
FIELDS = [("event", "u8"), ("x", ">f4"), ("s", "S4"), ("b", "?"), ("t", TEXT), ("p", "i2", (3,))]
each_size = pytest.mark.parametrize("size", [1, 33, 1000])
each_choice = pytest.mark.parametrize("kept", [EVERY, SOME, NONE], ids=["every", "some", "none"])


def records() -> NDArray[Any]:
    held: NDArray[Any] = np.zeros(N_EVENTS, FIELDS)
    held["event"], held["x"] = NUMBERS, np.random.default_rng(1).normal(size=N_EVENTS)
    held["s"], held["b"], held["p"] = b"abc", SOME, np.arange(300).reshape(-1, 3)
    held["t"] = [f"\u00e9{index}" for index in range(N_EVENTS)]
    return held


def add_surroundings(file: h5py.File) -> None:
    """Add what else a file may hold."""
    file.attrs["title"] = "mc23a"
    file.attrs["texts"] = np.array(["x", "yy"], TEXT)
    file.attrs["fixed"] = np.bytes_("abc")
    file.attrs["pairs"] = np.zeros(2, [("a", "i4", (2,)), ("b", ">f8")])
    file["metadata"] = '{"labels": {"a": 1}}'
    file["more/deep"] = np.arange(3)
    file["more"].attrs["nothing"] = h5py.Empty("f4")
    file["soft"] = h5py.SoftLink("/more/deep")
    file["outside"] = h5py.ExternalLink("other.h5", "/x")


def array_file(path: Path, **layout: Any) -> Path:
    with h5py.File(path, "w") as file:
        add_surroundings(file)
        array = file.create_dataset("deep/events", data=records(), **layout)
        array.attrs["unit"] = np.arange(3)
    return path


def plain_file(path: Path, group: str = "", **layout: Any) -> Path:
    with h5py.File(path, "w") as file:
        add_surroundings(file)
        for name in records().dtype.names or ():
            held = records()[name]
            kind = TEXT if name == "t" else held.dtype
            shaped = {key: (*layout[key], *held.shape[1:]) for key in layout if key in SHAPES}
            packing = {key: layout[key] for key in layout if key not in SHAPES}
            # HDF5 has no checksums of texts of any length.
            packing = {} if name == "t" else packing
            made = file.create_dataset(f"{group}{name}", data=held, dtype=kind, **shaped, **packing)
            made.attrs["unit"] = name
    return path


def everything(path: Path) -> dict[str, Any]:
    """Return all that a file holds: values, types, attributes and links."""
    found: dict[str, Any] = {}
    with h5py.File(path) as file:

        def note(name: str, each: Any) -> None:
            found[name] = {
                key: (str(each.attrs.get_id(key).dtype), str(each.attrs[key])) for key in each.attrs
            }
            if isinstance(each, h5py.Dataset):
                found[name] |= {"": (each.id.get_type(), each[()])}

        note("/", file)
        file.visititems(note)
        for name in file:
            link = file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                found[f"link {name}"] = (type(link), link.path, getattr(link, "filename", ""))
    return found


def assert_same(one: Any, other: Any) -> None:
    """Compare what two files hold at one place."""
    assert one.keys() == other.keys()
    for key in one:
        if key:
            assert one[key] == other[key]
        else:
            assert one[key][0] == other[key][0]
            np.testing.assert_array_equal(one[key][1], other[key][1])


LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "gzip": {"chunks": (16,), "compression": 5, "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": (7,), "compression": "lzf", "maxshape": (None,)},
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


@each_layout
@each_size
@each_choice
def test_an_array_has_further_fields_and_all_else_stays(
    tmp_path: Path, layout: str, kept: NDArray[np.bool_], size: int
) -> None:
    source = array_file(tmp_path / "events.h5", **LAYOUTS[layout])
    out = tmp_path / "out.h5"
    write_scores(source, out, SCORES, kept, size=size)
    before, after = everything(source), everything(out)
    assert list(before) == list(after)
    (_, old), (_, new) = (each["deep/events"].pop("") for each in (before, after))
    for name in before:
        if isinstance(before[name], dict):
            assert_same(before[name], after[name])
        else:
            assert before[name] == after[name]
    assert new.dtype.names == (*old.dtype.names, *SCORES)
    for name in old.dtype.names:
        assert new.dtype[name] == old.dtype[name]
        np.testing.assert_array_equal(new[name], old[name][kept])
    for name, values in SCORES.items():
        assert new.dtype[name] == values.dtype
        np.testing.assert_array_equal(new[name], values[kept])


@each_layout
def test_an_array_is_packed_as_it_was(tmp_path: Path, layout: str) -> None:
    source = array_file(tmp_path / "events.h5", **LAYOUTS[layout])
    write_scores(source, tmp_path / "out.h5", SCORES)
    with h5py.File(source) as old, h5py.File(tmp_path / "out.h5") as new:
        before, after = old["deep/events"], new["deep/events"]
        assert after.compression == before.compression
        assert after.compression_opts == before.compression_opts
        assert (after.shuffle, after.fletcher32) == (before.shuffle, before.fletcher32)
        assert after.chunks == (before.chunks or (N_EVENTS,))
        assert dict(after.attrs).keys() == {"unit"}


@each_layout
@pytest.mark.parametrize("table", [None, "tab"])
@each_size
@each_choice
def test_datasets_are_joined_by_those_of_scores_and_all_else_stays(
    tmp_path: Path, layout: str, table: str | None, kept: NDArray[np.bool_], size: int
) -> None:
    source = plain_file(tmp_path / "events.h5", "tab/", **LAYOUTS[layout])
    out = tmp_path / "out.h5"
    write_scores(source, out, SCORES, kept, size=size, table=table)
    before, after = everything(source), everything(out)
    assert set(after) == {*before, *(f"tab/{name}" for name in SCORES)}
    for name in before:
        if name.startswith("tab/"):
            (old_type, old), (new_type, new) = before[name].pop(""), after[name].pop("")
            assert old_type == new_type
            np.testing.assert_array_equal(new, old[kept])
        if isinstance(before[name], dict):
            assert_same(before[name], after[name])
        else:
            assert before[name] == after[name]
    for name, values in SCORES.items():
        found = after[f"tab/{name}"][""][1]
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[kept])


def test_scores_are_packed_as_the_datasets_beside_them(tmp_path: Path) -> None:
    source = plain_file(tmp_path / "events.h5", **LAYOUTS["gzip"])
    write_scores(source, tmp_path / "out.h5", SCORES)
    with h5py.File(tmp_path / "out.h5") as file:
        score = file["score"]
        assert (score.chunks, score.compression, score.compression_opts) == ((16,), "gzip", 5)
        assert (score.shuffle, score.fletcher32) == (True, True)


def test_a_file_that_loses_events_is_smaller(tmp_path: Path) -> None:
    n_events = 50_000
    source, out = tmp_path / "events.h5", tmp_path / "out.h5"
    with h5py.File(source, "w") as file:
        for index in range(5):
            file[f"x{index}"] = np.random.default_rng(index).normal(size=n_events)
    kept = np.arange(n_events) % 10 == 0
    write_scores(source, out, {"score": np.zeros(n_events)}, kept, size=9999)
    assert out.stat().st_size < source.stat().st_size / 4
    with Hdf5().open(out) as table:
        assert table.schema.n_events == n_events / 10


@pytest.fixture
def several(tmp_path: Path) -> Iterator[h5py.File]:
    """Jets in an array, and beside it what goes with each of them."""
    with h5py.File(tmp_path / "events.h5", "w") as file:
        file["jets"] = records()
        file["tracks"] = np.zeros((N_EVENTS, 4), [("d0", "f4")])
        yield file


def refusal(folder: Path, kept: NDArray[np.bool_] = EVERY) -> str:
    source, out = folder / "events.h5", folder / "out.h5"
    with pytest.raises(RefusedError) as caught:
        write_scores(source, out, SCORES, kept)
    assert list(folder.iterdir()) == [source]
    write_scores(source, out, with_numbers(), kept, beside=False)
    return str(caught.value).replace(repr(str(source)), "FILE")


def test_events_are_not_left_out_of_one_array_of_several(
    tmp_path: Path, several: h5py.File
) -> None:
    several.close()
    assert refusal(tmp_path, SOME) == (
        "FILE has a row of '/tracks' for each event, and some would be left out; "
        "--friend writes the scores alone"
    )
    (tmp_path / "out.h5").unlink()
    write_scores(tmp_path / "events.h5", tmp_path / "out.h5", SCORES)


def test_what_would_change_in_a_file_that_is_written_anew_is_refused(
    tmp_path: Path, several: h5py.File
) -> None:
    several.attrs["best"] = several["jets"].ref
    several.close()
    assert "FILE has references in '/', which cannot be written anew" in refusal(tmp_path)


@pytest.mark.parametrize("what", ["link", "type", "reference", "virtual", "pytables"])
def test_each_thing_that_is_not_copied_is_named(tmp_path: Path, what: str) -> None:
    with h5py.File(tmp_path / "events.h5", "w") as file:
        file["jets"] = records()
        if what == "link":
            file["again"] = file["jets"]
        elif what == "type":
            file["kind"] = np.dtype("f4")
        elif what == "reference":
            file.create_dataset("points", data=[file["jets"].ref], dtype=h5py.ref_dtype)
        elif what == "pytables":
            file["jets"].attrs["CLASS"] = np.bytes_("TABLE")
        else:
            layout = h5py.VirtualLayout((3,), "f4")
            file.create_virtual_dataset("far", layout)
    said = {
        "link": "several hard links to '",
        "type": "a named type 'kind'",
        "reference": "references in 'points'",
        "pytables": "a table of PyTables, '/jets'",
        "virtual": "a dataset 'far' that lies in other files",
    }
    assert f"FILE has {said[what]}" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [EVERY, SOME], ids=["every", "some"])
def test_events_that_are_found_by_a_link_are_left_where_they_are(
    tmp_path: Path, kept: NDArray[np.bool_]
) -> None:
    source, out = array_file(tmp_path / "events.h5"), tmp_path / "out.h5"
    plain = plain_file(tmp_path / "plain.h5", "tab/")
    for path, place in ((source, "/deep/events"), (plain, "/tab")):
        with h5py.File(path, "r+") as file:
            file["link"] = h5py.SoftLink(place)
    with pytest.raises(RefusedError, match="has events that are found by a link, '/link', which"):
        write_scores(source, out, SCORES, kept, table="link")
    if kept is EVERY:
        write_scores(plain, out, SCORES, kept, table="link")
        with h5py.File(out) as file:
            assert file["tab/score"].shape == (N_EVENTS,)
    else:
        with pytest.raises(RefusedError, match="has a row of '/tab/b' for each event, and some"):
            write_scores(plain, out, SCORES, kept, table="link")
        assert sorted(tmp_path.iterdir()) == [source, plain]


def test_references_stay_where_no_event_is_left_out(tmp_path: Path) -> None:
    source, out = plain_file(tmp_path / "events.h5"), tmp_path / "out.h5"
    with h5py.File(source, "r+") as file:
        file["x"].attrs["like"] = file["event"].ref
    write_scores(source, out, SCORES)
    with h5py.File(out) as file:
        assert file[file["x"].attrs["like"]].name == "/event"
    with pytest.raises(RefusedError, match="references in 'x'"):
        write_scores(source, tmp_path / "other.h5", SCORES, SOME)


@pytest.mark.parametrize("table", [None, "tab"])
def test_a_friend_of_datasets_lies_where_they_lie(tmp_path: Path, table: str | None) -> None:
    source, out = plain_file(tmp_path / "events.h5", "tab/"), tmp_path / "out.h5"
    name = "event" if table else "tab/event"
    write_scores(source, out, with_numbers(name), SOME, table=table, beside=False)
    with h5py.File(out) as file:
        assert list(file) == ["tab"]
        assert set(file["tab"]) == {"event", *SCORES}
        np.testing.assert_array_equal(file["tab/event"], NUMBERS[SOME])
        np.testing.assert_array_equal(file["tab/score"], SCORES["score"][SOME])


def test_a_friend_of_an_array_is_one(tmp_path: Path) -> None:
    source, out = array_file(tmp_path / "events.h5"), tmp_path / "out.h5"
    write_scores(source, out, with_numbers(), SOME, beside=False)
    with h5py.File(out) as file:
        held = file["deep/events"][:]
        assert list(file) == ["deep"]
    assert held.dtype == np.dtype([(name, each.dtype) for name, each in with_numbers().items()])
    for name, values in with_numbers().items():
        np.testing.assert_array_equal(held[name], values[SOME])
