"""HDF5 files give the values that were written, of structured arrays and of plain datasets."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from parts.hdf5_files import Hdf5
from parts.machinery.exits import RefusedError
from parts.readers import Lists, NoTableError, Table
from tests.parts.reading import values_of

SIZES = (1, 7, 1000)
N = 25
NUMBERS = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i8")
FORMATS: dict[str, dict[str, Any]] = {
    "chunked": {"chunks": (8,)},
    "gzip": {"chunks": (8,), "compression": "gzip"},
    "lzf": {"chunks": (8,), "compression": "lzf"},
    "contiguous": {},
}
each_size = pytest.mark.parametrize("size", SIZES)


def numbers() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    every = {f"x{name}": random.integers(0, 100, N).astype(name) for name in NUMBERS}
    every["xu8"] = np.arange(N, dtype="u8") + np.uint64(2**63 + 1)
    every["xf4"][:2], every["xf8"][:2], every["xf2"][0] = (np.nan, np.inf), (1 / 3, -0.0), 0.1
    return every


TEXTS = ["", "ggH", "q\u00e9"]
LISTS = [list(range(index % 4)) for index in range(N)]


def structured() -> np.ndarray:
    """Events as umami and salt write them, and texts and lists of any length."""
    plain = [(name, each.dtype) for name, each in numbers().items()]
    special = [("t", "S4"), ("s", h5py.string_dtype()), ("k", "f2", (3,)),
               ("l", h5py.vlen_dtype(np.int32)), ("e", h5py.enum_dtype({"b": 5}, "i2")),
               ("m", "f4", (2, 2)), ("r", [("in", "f4")]), ("c", "c8")]  # fmt: skip
    events = np.zeros(N, np.dtype(plain + special))
    for name, each in numbers().items():
        events[name] = each
    for index in range(N):
        events["t"][index] = TEXTS[index % 3].encode()
        events["s"][index] = TEXTS[index % 3]
        events["l"][index] = np.array(LISTS[index], np.int32)
    events["k"] = np.arange(3 * N).reshape(N, 3)
    return events


def write(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


def check(table: Table, size: int) -> None:
    """Check that what `structured` has is what is read."""
    for name, expected in numbers().items():
        found = values_of(table, name, size)
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.dtype.isnative
        assert found.tobytes() == expected.astype(found.dtype).tobytes()
    for name in ("t", "s"):
        assert values_of(table, name, size).tolist() == [TEXTS[index % 3] for index in range(N)]
    assert values_of(table, "k", size) == np.arange(3 * N).reshape(N, 3).tolist()
    assert values_of(table, "l", size) == LISTS


@each_size
@pytest.mark.parametrize("form", FORMATS)
def test_fields_of_an_array_come_back_bit_by_bit(tmp_path: Path, form: str, size: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("jets", data=structured(), **FORMATS[form])
    with Hdf5().open(tmp_path / "a.h5") as table:
        assert table.schema.n_events == N
        check(table, size)
        chunk = next(table.chunks(["xf2", "l"], 5))
        assert list(chunk) == ["xf2", "l"]
        assert isinstance(chunk["l"], Lists)
        absent = chunk["l"].element(1).absent
        assert absent is not None
        assert absent.tolist() == [True, True, False, False, True]


@each_size
@pytest.mark.parametrize("form", FORMATS)
def test_plain_datasets_come_back_bit_by_bit(tmp_path: Path, form: str, size: int) -> None:
    events = structured()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("t", "s", "k", "l", *numbers()):
            kind = h5py.string_dtype() if name == "s" else events.dtype[name].base
            options = dict(FORMATS[form])
            if name == "k" and options:
                options["chunks"] = (8, 2)
            file.create_dataset(f"in/{name}", data=events[name], dtype=kind, **options)
    with Hdf5("in").open(tmp_path / "a.h5") as table:
        check(table, size)
    with Hdf5().open(tmp_path / "a.h5") as table:
        assert values_of(table, "in/xu8", size).tolist() == numbers()["xu8"].tolist()


def test_columns_have_the_kinds_of_their_types(tmp_path: Path) -> None:
    with Hdf5().open(write(tmp_path / "a.h5", jets=structured())) as table:
        types = table.schema.columns
    assert [types[f"x{name}"].kind for name in NUMBERS] == (
        ["condition"] + ["whole"] * 8 + ["real"] * 4 + ["whole"]
    )
    kinds = {name: (types[name].kind, types[name].items) for name in "tsklemrc"}
    assert kinds == {
        "t": ("text", None), "s": ("text", None), "k": ("list", "real"), "l": ("list", "whole"),
        "e": ("whole", None), "m": ("other", None), "r": ("other", None), "c": ("other", None),
    }  # fmt: skip
    assert (types["k"].said, types["m"].said) == ("float16 (3,)", "float32 (2, 2)")


def test_a_file_without_events_has_columns_and_no_chunk(tmp_path: Path) -> None:
    empty = structured()[:0]
    with Hdf5().open(write(tmp_path / "a.h5", jets=empty)) as table:
        assert list(table.chunks(list(table.schema.columns), 5)) == []
    with Hdf5().open(write(tmp_path / "b.h5", x=np.zeros(0), k=np.zeros((0, 3)))) as table:
        assert (table.schema.n_events, list(table.chunks(["x", "k"], 5))) == (0, [])


def test_all_events_are_in_chunks_without_columns(tmp_path: Path) -> None:
    for path in (
        write(tmp_path / "a.h5", jets=structured()),
        write(tmp_path / "b.h5", **numbers()),
    ):
        with Hdf5().open(path) as table:
            assert list(table.chunks((), 10)) == [{}, {}, {}]


def test_the_array_is_found_or_named(tmp_path: Path) -> None:
    tracks = np.zeros((N, 4), [("d0", "f4")])
    path = write(tmp_path / "a.h5", deep__jets=structured(), tracks=tracks, note=np.zeros(3))
    for reader in (Hdf5(), Hdf5("deep/jets"), Hdf5("/deep/jets")):
        with reader.open(path) as table:
            assert list(table.schema.columns) == list(structured().dtype.names or ())
    with pytest.raises(NoTableError) as caught, Hdf5("tracks").open(path):
        pass
    holds = "'tracks' holds a list of things for each event, not one"
    assert str(caught.value) == f"{str(path)!r}: {holds}"
    with pytest.raises(NoTableError) as caught, Hdf5("deep/jet").open(path):
        pass
    lacking = (
        "no table 'deep/jet'; did you mean 'deep/jets' or 'deep'?; there is 'deep/jets', 'deep'"
    )
    assert str(caught.value) == f"{str(path)!r}: {lacking}"


def test_one_of_several_arrays_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", jets=structured(), events=structured()[:3])
    with pytest.raises(NoTableError) as caught, Hdf5().open(path):
        pass
    several = "several structured arrays, name one as the table: 'events', 'jets'"
    assert str(caught.value) == f"{str(path)!r}: {several}"


def test_datasets_of_another_length_are_no_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", x=np.zeros(9), y=np.ones((9, 2)), bins=np.zeros(4), one=1.0)
    with Hdf5().open(path) as table:
        types = table.schema.columns
    assert {name: each.kind for name, each in types.items()} == {
        "x": "real", "y": "list", "bins": "other",
    }  # fmt: skip
    assert types["bins"].said == "4 values for 9 events"


def test_a_file_without_events_of_any_kind_is_refused(tmp_path: Path) -> None:
    for arrays in ({}, {"one": 1.0}, {"none": h5py.Empty("f4")}):
        with (
            pytest.raises(NoTableError, match="no array in it has events"),
            Hdf5().open(write(tmp_path / "a.h5", **arrays)),
        ):
            pass


def test_links_to_nowhere_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "b.h5", y=np.zeros(3))
    links = {"soft": h5py.SoftLink("/no"), "gone": h5py.ExternalLink("no.h5", "/x"),
             "there": h5py.ExternalLink("b.h5", "/y")}  # fmt: skip
    path = write(tmp_path / "a.h5", x=np.zeros(3), **links)
    with Hdf5().open(path) as table:
        assert list(table.schema.columns) == ["x"]
    with pytest.raises(NoTableError, match="no table 'soft'"), Hdf5("soft").open(path):
        pass


@pytest.mark.parametrize("pads", [-999, {"events": -999.0, "jets": 3, "pt": 1}])
def test_metadata_says_labels_and_pads(tmp_path: Path, pads: Any) -> None:
    notes = json.dumps({"labels": {"ttH": 0, "ttW": 1}, "pad_values": pads})
    events = np.zeros(3, [("pt", "f4")])
    for text in (notes, np.bytes_(notes)):
        with Hdf5("events").open(write(tmp_path / "a.h5", events=events, metadata=text)) as table:
            assert table.schema.labels == {"ttH": 0, "ttW": 1}
            more = {"pt": 1.0} if isinstance(pads, dict) else {}
            assert table.schema.pads == {"": -999.0, **more}


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "'metadata' is no JSON"), ("[]", "no table"), ('{"labels": {"a": "b"}}', "'labels'"),
     ('{"pad_values": null}', "'pad_values'")],
)  # fmt: skip
def test_metadata_that_says_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "a.h5", events=structured(), metadata=text)
    with pytest.raises(RefusedError, match=said), Hdf5().open(path):
        pass


def test_only_datasets_that_are_asked_for_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "xy":
            data = np.arange(1000.0)
            file.create_dataset(name, data=data, chunks=(100,), compression="gzip")
        place = file["y"].id.get_chunk_info(3).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 20] = bytes(20)
    path.write_bytes(damaged)
    with Hdf5().open(path) as table:
        assert values_of(table, "x", 70).tolist() == list(range(1000))
        with pytest.raises(RefusedError, match=r"cannot read '.*a.h5': column 'y': "):
            values_of(table, "y", 70)


def test_a_filter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((10,))
        # That of blosc, which h5py does not bring.
        created.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (0,))
        space = h5py.h5s.create_simple((10,))
        dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, created)
        dataset.write_direct_chunk((0,), bytes(80), filter_mask=0)
    with Hdf5().open(tmp_path / "a.h5") as table, pytest.raises(RefusedError) as caught:
        values_of(table, "x", 3)
    assert "column 'x': packed with the filter 32001" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("form", FORMATS)
def test_cut_files_are_refused_wherever_they_end(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("jets", data=structured(), **FORMATS[form])
    whole = path.read_bytes()
    for end in range(0, len(whole), len(whole) // 30 + 1):
        path.write_bytes(whole[:end])
        with pytest.raises(RefusedError) as caught, Hdf5().open(path):
            pass
        assert str(caught.value).startswith(f"cannot read {str(path)!r}: as an HDF5 file: ")
        assert str(caught.value).isprintable()
    for other in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(RefusedError, match="cannot read"), Hdf5().open(other):
            pass


def test_datasets_of_others_hold_what_h5py_says(real_files: Path) -> None:
    path = real_files / "spanet-ttH.h5"
    with h5py.File(path) as file, Hdf5().open(path) as table:
        types = table.schema.columns
        assert (table.schema.n_events, len(types)) == (1000, 27)
        assert (types["INPUTS/Met/met"].kind, types["INPUTS/Momenta/MASK"].items) == (
            "real", "condition",
        )  # fmt: skip
        for name in ("INPUTS/Met/met", "INPUTS/Momenta/MASK", "CLASSIFICATIONS/EVENT/signal"):
            assert list(values_of(table, name, 300)) == file[name][:].tolist()
    with Hdf5("INPUTS").open(path) as table:
        assert "Momenta/pt" in table.schema.columns
