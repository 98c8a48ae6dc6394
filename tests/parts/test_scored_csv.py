"""Beside scores, the bytes of each row of a CSV file stay as they are."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parts import csv_blocks
from parts.csv_files import Csv
from parts.machinery.exits import RefusedError
from parts.readers import Column
from tests.parts.scoring import write_scores


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def beside(folder: Path, content: bytes, kept: list[bool], size: int = 2) -> bytes:
    """Return a file's content with the number of each event as its score."""
    source, out = written(folder / "events.csv", content), folder / "out.csv"
    score = {"score": np.arange(len(kept)) + 0.5}
    write_scores(source, out, score, np.array(kept, bool), size=size, overwrite=True)
    return out.read_bytes()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "CSV_BLOCK", 16)


each_size = pytest.mark.parametrize("size", [1, 2, 100])


@each_size
@pytest.mark.usefixtures("small_blocks")
def test_each_row_keeps_its_bytes_and_its_line_break(tmp_path: Path, size: int) -> None:
    before = b'\xef\xbb\xbf\r\n"a, b",c\r\n1.50,"x\r\ny"\n\n 2,"p""q\n\n"\r\n+03e0,\n\n4,z'
    after = (
        b'\xef\xbb\xbf\r\n"a, b",c,score\r\n1.50,"x\r\ny",0.5\n\n 2,"p""q\n\n",1.5\r\n+03e0,,2.5\n'
        b"\n4,z,3.5"
    )
    assert beside(tmp_path, before, [True] * 4, size) == after


@each_size
@pytest.mark.usefixtures("small_blocks")
def test_rows_that_are_not_kept_go_with_all_their_lines(tmp_path: Path, size: int) -> None:
    before = b'a,c\n1,"x\ny"\n2,"p""\nq"\n3,\n4,z\n'
    after = b'a,c,score\n2,"p""\nq",1.5\n4,z,3.5\n'
    assert beside(tmp_path, before, [False, True, False, True], size) == after
    assert beside(tmp_path, before, [False] * 4, size) == b"a,c,score\n"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n"])
def test_a_header_without_rows_is_kept_with_its_end(tmp_path: Path, end: bytes) -> None:
    assert beside(tmp_path, b"a,b" + end, []) == b"a,b,score" + end


def test_quotes_within_cells_open_nothing(tmp_path: Path) -> None:
    before = b'a,b\n5" pipe,1\n6" "pipe",2\n'
    assert beside(tmp_path, before, [True] * 2) == (b'a,b,score\n5" pipe,1,0.5\n6" "pipe",2,1.5\n')


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_have_all_their_digits_and_nan_is_no_null(tmp_path: Path, dtype: type) -> None:
    score: NDArray[Any] = np.array([0, 1 / 3, 1e-30, -0.0, np.nan, np.inf, 0.1], dtype)
    source, out = written(tmp_path / "a.csv", b"a\n" + b"1\n" * 7), tmp_path / "out.csv"
    write_scores(source, out, {"score": score}, np.ones(7, bool))
    cells = [row["score"] for row in csv.DictReader(io.StringIO(out.read_text()))]
    np.testing.assert_array_equal(np.array(cells).astype(dtype), score)
    assert cells[4] == "nan"
    with Csv().open(out) as table:
        (found,) = table.chunks(["score"], 100)
        assert isinstance(found["score"], Column)
        assert found["score"].absent is None
    np.testing.assert_array_equal(pd.read_csv(out)["score"].to_numpy().astype(dtype), score)


def test_a_column_of_nothing_but_nan_is_one_of_real_numbers(tmp_path: Path) -> None:
    source, out = written(tmp_path / "a.csv", b"a\n1\n2\n"), tmp_path / "out.csv"
    write_scores(source, out, {"score": np.full(2, np.nan)}, np.ones(2, bool))
    with Csv().open(out) as table:
        assert table.schema.columns["score"].kind == "real"


@pytest.mark.parametrize(("before", "after"), [("", ".gz"), (".gz", ""), (".gz", ".gz")])
def test_a_packed_file_may_become_a_plain_one_and_the_other_way(
    tmp_path: Path, before: str, after: str
) -> None:
    source, out = written(tmp_path / f"a.csv{before}", b"a\n1\n2\n"), tmp_path / f"out.csv{after}"
    write_scores(source, out, {"score": np.array([0.5, 1.5])}, np.ones(2, bool))
    content = out.read_bytes()
    assert (gzip.decompress(content) if after else content) == b"a,score\n1,0.5\n2,1.5\n"


def test_a_packed_file_has_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    source = written(tmp_path / "a.csv", b"a\n1\n")
    content = []
    for name in ("one.csv.gz", "two.csv.gz"):
        write_scores(source, tmp_path / name, {"score": np.array([0.5])}, np.ones(1, bool))
        content.append((tmp_path / name).read_bytes())
    assert content[0] == content[1]
    # The time that gzip would write.
    assert content[0][4:8] == bytes(4)


def test_names_of_a_friend_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    source, out = written(tmp_path / "a.csv", b"x\n1\n"), tmp_path / "out.csv"
    columns: dict[str, NDArray[Any]] = {
        'e "v", t': np.array([2**64 - 1], np.uint64),
        "score": np.array([0.25], np.float32),
    }
    write_scores(source, out, columns, np.ones(1, bool), beside=False)
    rows = list(csv.reader(io.StringIO(out.read_text())))
    assert rows == [list(columns), [str(2**64 - 1), "0.25"]]


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{value}\n" for value in np.random.default_rng(1).random(10_000))
    source = written(tmp_path / "a.csv.gz", f"a\n{rows}".encode())
    source.write_bytes(source.read_bytes()[:-1000])
    with pytest.raises(RefusedError, match=r"cannot read '.*a.csv.gz'"):
        write_scores(source, tmp_path / "out.csv", {"s": np.zeros(10_000)}, np.ones(10_000, bool))
    assert list(tmp_path.iterdir()) == [source]


CELLS = st.text(st.sampled_from('a1",\n\r \u00e9'), max_size=4)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    size=st.integers(1, 5),
)
def test_any_rows_come_back_with_one_cell_more(
    tmp_path: Path, rows: list[tuple[str, str]], end: str, quoting: Any, size: int
) -> None:
    # Python leaves these without quotes, and takes them for the end of a row.
    assume(quoting == csv.QUOTE_ALL or not any("\r" in cell for row in rows for cell in row))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([("a", "b"), *rows])
    kept = [index % 3 != 0 for index in range(len(rows))]
    content = beside(tmp_path, text.getvalue().encode(), kept, size)
    found = list(csv.reader(io.StringIO(content.decode(), newline="")))
    expected = [[*row, str(i + 0.5)] for i, row in enumerate(rows) if kept[i]]
    assert found == [["a", "b", "score"], *expected]
