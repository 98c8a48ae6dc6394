"""Parquet files and folders: values as written, records by their members, lists, and damage."""

import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.readers import Column, ColumnType, Lists, NoTableError, Schema

SIZES = (1, 7, 10_000)
each_size = pytest.mark.parametrize("size", SIZES)


def write(path: Path, table: pa.Table | dict[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path, **options)
    return path


def masked(values: np.ndarray[Any, Any], absent: np.ndarray[Any, Any] | None) -> list[Any]:
    """Return values, None where they are absent, which below are 0, false or ""."""
    if absent is None:
        return list(values)
    assert absent.dtype == np.bool_
    assert not any(values[absent])
    return [None if lost else value for value, lost in zip(values, absent, strict=True)]


def plain(column: Column | Lists) -> list[Any]:
    if isinstance(column, Column):
        return masked(column.values, column.absent)
    assert column.first.dtype == column.length.dtype == np.int64
    items = masked(column.values, column.absent)
    bounds = zip(column.first, column.length, strict=True)
    return [items[first : first + length] for first, length in bounds]


def read(path: Path, *names: str, size: int = 7) -> tuple[Schema, dict[str, list[Any]]]:
    """Return what is known of a table, and the values of columns."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    with Parquet().open(path) as table:
        for chunk in table.chunks(names, size):
            assert list(chunk) == list(names)
            for name, column in chunk.items():
                values = plain(column)
                assert 0 < len(values) <= size
                found[name] += values
        return table.schema, found


def kinds(schema: Schema) -> dict[str, str]:
    return {name: column.kind for name, column in schema.columns.items()}


def refusal(path: Path, *names: str) -> str:
    with pytest.raises(RefusedError) as caught:
        read(path, *names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NUMBERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
    pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(),
]  # fmt: skip


@each_size
@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_numbers_come_back_bit_by_bit(
    tmp_path: Path, kind: pa.DataType, nulls: bool, size: int
) -> None:
    dtype = np.dtype(kind.to_pandas_dtype())
    n = 40
    data = np.random.default_rng(0).bytes(n * dtype.itemsize)
    values = np.frombuffer(data, dtype).copy()
    if dtype.kind == "b":
        values = np.frombuffer(data, np.uint8) % 2 == 1
    absent = np.arange(n) % 3 == 0 if nulls else np.zeros(n, bool)
    path = write(tmp_path / "a.parquet", {"x": pa.array(values, kind, mask=absent)})
    with Parquet().open(path) as table:
        columns = [chunk["x"] for chunk in table.chunks(["x"], size)]
    assert table.schema.n_events == n
    found = np.concatenate([column.values for column in columns])
    assert found.dtype == dtype
    assert found[~absent].tobytes() == values[~absent].tobytes()
    assert not found[absent].any()
    lost = [np.zeros(len(c.values), bool) if c.absent is None else c.absent for c in columns]
    assert (np.concatenate(lost) == absent).all()


@each_size
@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
def test_texts_are_texts_however_they_are_kept(
    tmp_path: Path, kind: pa.DataType, size: int
) -> None:
    values = ["a", None, "", "\u00e9\n", "a"] * 5
    path = write(tmp_path / "a.parquet", {"x": pa.array(values, kind)})
    schema, found = read(path, "x", size=size)
    assert kinds(schema) == {"x": "text"}
    assert found["x"] == values


@pytest.mark.parametrize("kind", [pa.decimal128(30, 5), pa.decimal256(50, 5)], ids=str)
def test_decimals_become_the_nearest_real_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    random = np.random.default_rng(0)
    values = [Decimal(int(number)).scaleb(-5) for number in random.integers(0, 10**17, 500)]
    path = write(tmp_path / "a.parquet", {"x": pa.array([*values, None], kind)})
    schema, found = read(path, "x")
    assert kinds(schema) == {"x": "real"}
    assert found["x"] == [*map(float, values), None]


@each_size
def test_members_of_records_are_columns(tmp_path: Path, size: int) -> None:
    leads = [{"pt": 1.5, "p": {"q": 1}}, None, {"pt": None, "p": None}, {"pt": 2.5, "p": {"q": 4}}]
    table = {"lead": pa.array(leads * 3), "x": range(12)}
    schema, found = read(
        write(tmp_path / "a.parquet", table), "x", "lead.p.q", "lead.pt", size=size
    )
    assert kinds(schema) == {"lead.pt": "real", "lead.p.q": "whole", "x": "whole"}
    assert found["lead.pt"] == [1.5, None, None, 2.5] * 3
    assert found["lead.p.q"] == [1, None, None, 4] * 3
    assert found["x"] == list(range(12))


def test_a_name_that_stands_in_the_file_comes_before_a_member(tmp_path: Path) -> None:
    record = pa.array([{"pt": 1, "eta": 2}])
    for name, columns in enumerate(
        ({"lead.pt": [7], "lead": record}, {"lead": record, "lead.pt": [7]})
    ):
        path = write(tmp_path / f"{name}.parquet", columns)
        assert read(path, "lead.pt", "lead.eta")[1] == {"lead.pt": [7], "lead.eta": [2]}


LISTS = [[1, None, 3], [], None, [4], [5, 6]]


@each_size
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
@pytest.mark.parametrize("items", [pa.int32(), pa.float32(), pa.bool_()], ids=str)
def test_lists_keep_their_items(tmp_path: Path, kind: Any, items: pa.DataType, size: int) -> None:
    values = pa.array(LISTS * 4, pa.list_(pa.int8())).cast(kind(items))
    schema, found = read(write(tmp_path / "a.parquet", {"x": values}), "x", size=size)
    of = {"int32": "whole", "float": "real", "bool": "condition"}[str(items)]
    assert (schema.columns["x"].kind, schema.columns["x"].items) == ("list", of)
    assert found["x"] == [each or [] for each in values.to_pylist()]


@each_size
def test_lists_of_one_length_keep_their_items(tmp_path: Path, size: int) -> None:
    values = [[i, i + 1, None] for i in range(20)]
    path = write(tmp_path / "a.parquet", {"x": pa.array(values, pa.list_(pa.int64(), 3))})
    schema, found = read(path, "x", size=size)
    assert schema.columns["x"].items == "whole"
    assert found["x"] == values


@each_size
def test_lists_of_records_are_lists_by_member(tmp_path: Path, size: int) -> None:
    jets = [
        [{"pt": 1.0, "p": {"q": 1}}, None],
        [],
        None,
        [{"pt": None, "p": None}],
        [{"pt": 3.0, "p": {"q": 2}}],
    ]
    event = [{"jets": each} if each != [] else None for each in jets]
    path = write(tmp_path / "a.parquet", {"jets": pa.array(jets * 3), "event": pa.array(event * 3)})
    schema, found = read(path, "jets.pt", "jets.p.q", "event.jets.pt", size=size)
    assert set(kinds(schema).values()) == {"list"}
    assert found["jets.pt"] == found["event.jets.pt"] == [[1.0, None], [], [], [None], [3.0]] * 3
    assert found["jets.p.q"] == [[1, None], [], [], [None], [2]] * 3


@each_size
@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_element_of_lists_is_absent_where_there_is_none(
    tmp_path: Path, size: int, index: int
) -> None:
    path = write(tmp_path / "a.parquet", {"x": pa.array(LISTS * 4)})
    found: list[Any] = []
    with Parquet().open(path) as table:
        for chunk in table.chunks(["x"], size):
            lists = chunk["x"]
            assert isinstance(lists, Lists)
            found += plain(lists.element(index))
    assert found == [each[index] if each and len(each) > index else None for each in LISTS * 4]


OTHERS: dict[str, Any] = {
    "time": pa.array([1], pa.timestamp("ns")),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    "bytes": pa.array([b"x"]),
    "nested": pa.array([[[1]]]),
    "words": pa.array([["a"]]),
    "nothing": pa.nulls(1),
    "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((1, 2, 2))),
    "pairs": pa.array([[{"k": {"v": [1]}}]]),
}


def test_all_else_is_named_but_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {**OTHERS, "x": [5], "y": [[6]]})
    schema, found = read(path, "y", "x")
    assert found == {"x": [5], "y": [[6]]}
    assert {name for name, kind in kinds(schema).items() if kind == "other"} == {
        *OTHERS.keys() - {"pairs"},
        "pairs.k.v",
    }
    assert schema.columns["time"].said == "timestamp[ns]"
    message = refusal(path, "time")
    assert message.startswith(f"{str(path)!r}: the column 'time' holds neither numbers, ")
    assert message.endswith(", but 'timestamp[ns]'")


def test_columns_of_one_name_cannot_be_read(tmp_path: Path) -> None:
    columns = [pa.array([1]), pa.array([2]), pa.array([{"b": 1}]), pa.array([3])]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays(columns, ["a", "a", "a", "c"]), path)
    schema, found = read(path, "c")
    assert schema.columns["a"] == ColumnType("other", "3 columns of this name")
    assert found == {"c": [3]}
    assert "no column 'C'; did you mean 'c'" in refusal(path, "C")


def test_an_index_of_pandas_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"event": [5, 3, 4], "x": [1.5, 2.5, 3.5]}).set_index("event").to_parquet(path)
    schema, found = read(path, "event", "x")
    assert list(schema.columns) == ["x", "event"]
    assert found == {"event": [5, 3, 4], "x": [1.5, 2.5, 3.5]}
    assert read(path, "x")[1] == {"x": [1.5, 2.5, 3.5]}


def test_a_file_without_events_has_columns(tmp_path: Path) -> None:
    schema, found = read(write(tmp_path / "a.parquet", {"x": pa.array([], pa.int8())}), "x")
    assert schema == Schema({"x": ColumnType("whole", "int8")}, 0)
    assert found == {"x": []}


@each_size
def test_all_events_are_counted_without_columns(tmp_path: Path, size: int) -> None:
    with Parquet().open(write(tmp_path / "a.parquet", {"x": range(20)})) as table:
        assert len(list(table.chunks([], size))) == -(-20 // size)


@each_size
def test_names_of_folders_are_columns(tmp_path: Path, size: int) -> None:
    table = pa.table({"year": [2018, 2017, 2018], "era": ["B c", "A", None], "x": [1, 2, 3]})
    pq.write_to_dataset(table, tmp_path / "a", partition_cols=["year", "era"])
    (tmp_path / "a" / "_SUCCESS").touch()
    write(tmp_path / "a" / "_metadata", {"y": [1]})
    write(tmp_path / "a" / ".hidden" / "y.parquet", {"y": [1]})
    (tmp_path / "a" / "README.txt").write_text("no table")
    schema, found = read(tmp_path / "a", "x", "era", "year", size=size)
    assert kinds(schema) == {"x": "whole", "year": "whole", "era": "text"}
    assert found == {"x": [2, 1, 3], "year": [2017, 2018, 2018], "era": ["A", "B c", None]}
    assert schema.n_events == 3
    assert read(tmp_path / "a", "year", size=size)[1] == {"year": [2017, 2018, 2018]}


def test_keys_are_texts_unless_all_are_whole_numbers(tmp_path: Path) -> None:
    for key in ("2018", "2017a"):
        write(tmp_path / "a" / f"year={key}" / "0.parquet", {"x": [1]})
    assert read(tmp_path / "a", "year")[1] == {"year": ["2017a", "2018"]}


def test_a_single_file_has_no_column_of_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "year=2018" / "0.parquet", {"x": [1]})
    assert list(read(path)[0].columns) == ["x"]
    assert list(read(path.parent)[0].columns) == ["x"]


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b", 2), ("c/a", 3), ("a", 1)):
        write(tmp_path / "f" / f"{name}.parquet", {"x": [value]})
    write(tmp_path / "f" / "d", {"x": [4]})
    assert read(tmp_path / "f", "x")[1] == {"x": [1, 2, 3, 4]}


def test_whole_numbers_of_a_file_are_real_where_others_are(tmp_path: Path) -> None:
    whole = write(tmp_path / "a" / "0.parquet", {"x": [1, None], "y": [[1, None], []]})
    write(tmp_path / "a" / "1.parquet", {"x": [2.5], "y": [[0.5]]})
    schema, found = read(tmp_path / "a", "x", "y")
    assert (schema.columns["x"].kind, schema.columns["y"].items) == ("real", "real")
    assert found == {"x": [1.0, None, 2.5], "y": [[1.0, None], [], [0.5]]}
    assert {type(each) for each in found["x"] if each} == {np.float64}
    assert read(whole)[0].columns["x"].kind == "whole"


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "0.parquet", {"x": [1]})
    second = write(tmp_path / "a" / "1.parquet", {"x": ["1"]})
    message = refusal(tmp_path / "a")
    assert message == (f"{str(second)!r}: the column 'x' holds string, but int64 in {str(first)!r}")
    write(second, {"x": [1], "y": [2]})
    assert refusal(tmp_path / "a") == (
        f"{str(second)!r} and {str(first)!r} do not have the same columns: only one has 'y'"
    )


def test_a_folder_without_files_has_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(NoTableError, match="there is no Parquet file"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"a,b\n1,2\n"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    assert refusal(path).startswith(f"cannot read {str(path)!r}: ")
    assert "cannot read" in refusal(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.parquet").startswith("cannot read ")


def damaged_table() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table({
        "x": random.normal(size=300), "n": random.integers(0, 9, 300),
        "t": [f"t{i % 7}" for i in range(300)], "l": [[1.5] * (i % 3) for i in range(300)],
        "r": [{"a": i} for i in range(300)],
    })  # fmt: skip


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_damage_is_refused_or_harmless(tmp_path: Path, compression: str) -> None:
    path = write(tmp_path / "a.parquet", damaged_table(), compression=compression)
    data = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for number in range(150):
        place = int(random.integers(0, len(data)))
        other = bytes([data[place] ^ int(random.integers(1, 256))])
        path.write_bytes(
            data[:place] if number % 3 == 0 else data[:place] + other + data[place + 1 :]
        )
        # No other exception leaves it.
        with suppress(RefusedError):
            read(path, "x", "n", "t", "l", "r.a", size=100)
            continue
        refused += 1
    assert refused > 50


def test_damage_is_found_where_pages_have_a_checksum(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet", damaged_table(), write_page_checksum=True, compression="none"
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    assert "CRC" in refusal(path, "x", "n", "t", "l", "r.a")


def test_texts_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    wrong = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xe9"], pa.binary()).buffers())
    assert "a text is not in UTF-8" in refusal(write(tmp_path / "a.parquet", {"x": wrong}), "x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.none() | st.text(), st.lists(st.floats(width=32)))),
    st.sampled_from(SIZES),
    st.integers(1, 5),
)
def test_tables_come_back_bit_by_bit(
    tmp_path: Path, rows: list[tuple[float, str | None, list[float]]], size: int, group: int
) -> None:
    kinds_of = {"x": pa.float64(), "t": pa.string(), "l": pa.list_(pa.float32())}
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    pairs = zip(kinds_of.items(), columns, strict=True)
    table = {name: pa.array(list(values), kind) for (name, kind), values in pairs}
    path = write(tmp_path / "a.parquet", table, row_group_size=group)
    _, found = read(path, "x", "t", "l", size=size)
    assert np.array(found["x"]).tobytes() == np.array([row[0] for row in rows]).tobytes()
    assert found["t"] == [row[1] for row in rows]
    items = [np.array(each, np.float32).tobytes() for each in found["l"]]
    assert items == [np.array(row[2], np.float32).tobytes() for row in rows]


READING = """
import sys
from pathlib import Path
from parts.parquet_files import Parquet
def peak():
    # Not ru_maxrss, which a process inherits.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
def read(path):
    with Parquet().open(path) as table:
        names = list(table.schema.columns)
        return sum(len(chunk["x0"].values) for chunk in table.chunks(names, 2**16))
read(Path(sys.argv[2]))
before = peak()
print(read(Path(sys.argv[1])), peak() - before)
"""


def test_memory_does_not_grow_with_row_groups(tmp_path: Path) -> None:
    """In a process of its own, which has not held more before; 80 MB lie in one row group."""
    n = 1_000_000
    random = np.random.default_rng(0)
    table = {f"x{i}": random.normal(size=n).astype("f4") for i in range(20)}
    big = write(tmp_path / "a.parquet", table)
    assert pq.ParquetFile(big).metadata.num_row_groups == 1
    small = write(tmp_path / "b.parquet", {name: column[:5] for name, column in table.items()})
    ended = subprocess.run(
        [sys.executable, "-c", READING, str(big), str(small)],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "templates")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, grown = map(int, ended.stdout.split())
    assert count == n
    assert grown < 100_000
