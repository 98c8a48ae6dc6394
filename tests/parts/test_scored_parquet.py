"""Beside scores, a Parquet file keeps its columns, whatever they hold, and what it says of them."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parts import scored_parquet
from parts.machinery.exits import RefusedError
from tests.parts.scoring import EVERY, N_EVENTS, NONE, SCORES, SOME, with_numbers, write_scores

ROWS = range(N_EVENTS)
# What Arrow knows, each with nulls.
COLUMNS = {
    "float": pa.array([i / 3 if i % 5 else None for i in ROWS], pa.float32()),
    "half": pa.array(np.arange(N_EVENTS, dtype=np.float16)),
    "huge": pa.array([2**64 - 1 - i if i % 5 else None for i in ROWS], pa.uint64()),
    "flag": pa.array([i % 2 == 0 if i % 5 else None for i in ROWS]),
    "text": pa.array(["\u00e9" * i if i % 5 else None for i in ROWS]),
    "bytes": pa.array([bytes([i]) for i in ROWS], pa.binary()),
    "day": pa.array([datetime.date(2020, 1, 1)] * N_EVENTS),
    "time": pa.array([i * 10**9 + 1 for i in ROWS], pa.timestamp("ns", "UTC")),
    "decimal": pa.array([decimal.Decimal(i) / 100 for i in ROWS], pa.decimal128(10, 2)),
    "name": pa.array(["a", "b"] * (N_EVENTS // 2)).dictionary_encode(),
    "lists": pa.array([list(range(i % 4)) if i % 5 else None for i in ROWS]),
    "deep": pa.array([[[i], []] for i in ROWS]),
    "jets": pa.array([[{"pt": float(i), "tags": ["x"] * (i % 3)}] * (i % 3) for i in ROWS]),
    "met": pa.array([{"x": i, "y": None} for i in ROWS]),
    "map": pa.array([[("k", i)] for i in ROWS], pa.map_(pa.string(), pa.int32())),
    "fixed": pa.array([[i, i] for i in ROWS], pa.list_(pa.int16(), 2)),
    "met.x": pa.array(list(ROWS)),
}
each_size = pytest.mark.parametrize("size", [1, 33, 1000])
each_choice = pytest.mark.parametrize("kept", [EVERY, SOME, NONE], ids=["every", "some", "none"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of all types, which says something of itself and of a column, in six row groups."""
    fields = [pa.field(name, held.type) for name, held in COLUMNS.items()]
    fields[0] = fields[0].with_metadata({"unit": "GeV"})
    schema = pa.schema(fields, {"campaign": "mc23a"})
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(dict(COLUMNS), schema=schema), path, row_group_size=17)
    return path


@each_size
@each_choice
def test_columns_of_all_types_and_what_is_said_of_them_are_kept(
    source: Path, tmp_path: Path, kept: Any, size: int
) -> None:
    out = tmp_path / "out.parquet"
    write_scores(source, out, SCORES, kept, size=size)
    before, after = pq.read_table(source), pq.read_table(out)
    added = [pa.field(name, pa.from_numpy_dtype(held.dtype)) for name, held in SCORES.items()]
    expected = pa.schema([*before.schema, *added], before.schema.metadata)
    assert after.schema.equals(expected, check_metadata=True)
    assert after.select(range(len(before.schema))).equals(before.filter(pa.array(kept)))
    for name, values in SCORES.items():
        np.testing.assert_array_equal(after[name].to_numpy(), values[kept])
        assert after[name].null_count == 0


def test_row_groups_are_gathered_and_cut(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    write_scores(source, out, SCORES, size=3)
    assert pq.read_metadata(out).num_row_groups == 1
    monkeypatch.setattr(scored_parquet, "GROUP_ROWS", 30)
    write_scores(source, out, SCORES, size=3, overwrite=True)
    groups = pq.read_metadata(out)
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [30, 30, 30, 10]


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "ZSTD", "LZ4", "BROTLI"])
def test_columns_are_packed_as_they_were(tmp_path: Path, codec: str) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    columns = {"x": np.arange(N_EVENTS), "a.b": np.arange(N_EVENTS)}
    pq.write_table(pa.table(columns), source, compression={"x": codec, "a.b": "SNAPPY"})
    write_scores(source, out, SCORES)
    before, after = (pq.read_metadata(path).row_group(0) for path in (source, out))
    found = [after.column(index).compression for index in range(5)]
    assert found[:2] == [before.column(index).compression for index in range(2)]
    assert found[2:] == [before.column(0).compression] * 3


def test_only_columns_of_few_values_have_each_of_them_once(tmp_path: Path) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    many, n_events = np.random.default_rng(1).normal(size=200_000), 200_000
    pq.write_table(pa.table({"many": many, "few": many.round(), "text": ["a"] * n_events}), source)
    write_scores(source, out, {"score": many}, np.ones(n_events, bool), size=n_events)
    columns = [pq.read_metadata(out).row_group(0).column(index) for index in range(4)]
    assert [column.has_dictionary_page for column in columns] == [False, True, True, False]
    # The score takes as much as the column of many values.
    size = source.stat().st_size
    assert out.stat().st_size < size + 8 * n_events


def test_a_frame_of_pandas_comes_back_with_its_index(tmp_path: Path) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    index = pd.Index([f"e{i}" for i in ROWS], name="key")
    frame = pd.DataFrame({"x": np.arange(N_EVENTS), "c": pd.Categorical(["u"] * 100)}, index)
    frame.to_parquet(source)
    write_scores(source, out, SCORES, SOME)
    expected = frame.assign(**SCORES)[SOME]
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected)


def test_columns_of_one_name_are_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    arrays = [pa.array(list(ROWS)), pa.array([str(i) for i in ROWS])]
    pq.write_table(pa.Table.from_arrays(arrays, ["twice", "twice"]), source)
    write_scores(source, out, SCORES)
    after = pq.ParquetFile(out).read()
    assert after.column_names == ["twice", "twice", *SCORES]
    assert after.columns[:2] == [pa.chunked_array([each]) for each in arrays]


def test_a_file_without_events_has_columns_for_scores(tmp_path: Path) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"x": pa.array([], pa.float32())}), source)
    write_scores(source, out, SCORES, EVERY[:0])
    assert pq.read_schema(out).names == ["x", *SCORES]


def test_a_friend_has_the_scores_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "friend.parquet"
    write_scores(source, out, with_numbers(), SOME, beside=False)
    table = pq.read_table(out)
    assert table.schema.names == list(with_numbers())
    for name, values in with_numbers().items():
        column = table[name].to_numpy()
        assert column.dtype == values.dtype
        np.testing.assert_array_equal(column, values[SOME])


def test_what_would_not_come_back_as_it_was_is_refused(tmp_path: Path) -> None:
    source, out = tmp_path / "events.parquet", tmp_path / "out.parquet"
    # Arrow writes seconds as milliseconds.
    kind = pa.timestamp("s")
    schema = pa.schema([pa.field("t", kind)])
    with pytest.raises(RefusedError) as caught:
        scored_parquet.check_writable(source, schema)
    assert str(caught.value).endswith(
        "has a column 't' of timestamp[s], which cannot be written anew beside scores; "
        "--friend writes the scores alone"
    )
    pq.write_table(pa.table({"t": pa.array([1], kind)}), source)
    write_scores(source, out, {"score": np.zeros(1)}, EVERY[:1])
    assert pq.read_table(out).select(["t"]).equals(pq.read_table(source))


def test_a_folder_is_refused_and_has_a_friend(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    source = source.rename(folder / source.name)
    with pytest.raises(RefusedError, match="is a folder, and scores go into one file; --friend"):
        write_scores(folder, tmp_path / "out.parquet", SCORES)
    with pytest.raises(RefusedError, match="would lie among the events in "):
        write_scores(folder, folder / "out.parquet", with_numbers(), beside=False)
    write_scores(folder, tmp_path / "out.parquet", with_numbers(), beside=False)
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == N_EVENTS


def test_a_damaged_file_is_refused_by_its_name(source: Path, tmp_path: Path) -> None:
    content = bytearray(source.read_bytes())
    content[4:2000] = bytes(1996)
    source.write_bytes(content)
    with pytest.raises(RefusedError, match=r"cannot read '.*events.parquet'"):
        write_scores(source, tmp_path / "out.parquet", SCORES)
    assert list(tmp_path.iterdir()) == [source]
