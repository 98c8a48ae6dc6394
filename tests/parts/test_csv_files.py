"""CSV files are read strictly: values as written, types over the whole file, faults by line."""

import csv
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parts import csv_blocks
from parts.csv_files import Csv
from parts.machinery.exits import RefusedError
from parts.readers import Column, ColumnType, NoTableError, Schema

SIZES = (1, 7, 10_000)
each_size = pytest.mark.parametrize("size", SIZES)


def write(path: Path, content: bytes | str) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, *names: str, size: int = 7) -> tuple[Schema, dict[str, list[Any]]]:
    """Return a file's schema, and the values of columns, None where they are absent."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    with Csv().open(path) as table:
        for chunk in table.chunks(names, size):
            assert list(chunk) == list(names)
            for name, column in chunk.items():
                assert isinstance(column, Column)
                assert len(column.values) <= size
                absent = column.absent
                if absent is None:
                    absent = np.zeros(len(column.values), bool)
                assert not any(column.values[absent])
                found[name] += [
                    None if lost else value
                    for value, lost in zip(column.values.tolist(), absent, strict=True)
                ]
        return table.schema, found


def refusal(path: Path) -> str:
    with pytest.raises(RefusedError) as caught, Csv().open(path):
        pass
    message = str(caught.value)
    assert message.isascii()
    assert "\n" not in message
    return message.replace(repr(str(path)), "FILE")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "CSV_BLOCK", 64)


@each_size
def test_each_kind_of_cell_is_read_as_it_stands(tmp_path: Path, size: int) -> None:
    path = write(
        tmp_path / "a.csv",
        "whole,real,condition,text,date\n-3,1.5,true,a b,2020-01-01\n"
        '9007199254740993,1e300,FALSE,"x, ""y""\nz",2020-01-02\n7,-inf,tRuE,\u00e9,12:30\n',
    )
    names = ("text", "whole", "condition", "real", "date")
    schema, found = read(path, *names, size=size)
    assert found == {
        "whole": [-3, 9007199254740993, 7],
        "real": [1.5, 1e300, -math.inf],
        "condition": [True, False, True],
        "text": ["a b", 'x, "y"\nz', "\u00e9"],
        "date": ["2020-01-01", "2020-01-02", "12:30"],
    }
    kinds = {name: column.kind for name, column in schema.columns.items()}
    assert kinds == {
        "whole": "whole",
        "real": "real",
        "condition": "condition",
        "text": "text",
        "date": "text",
    }
    assert schema.n_events == 3


@each_size
def test_cells_that_say_so_are_absent(tmp_path: Path, size: int) -> None:
    path = write(
        tmp_path / "a.csv",
        "w,r,c,t,n\n1,nan,,,\n,2.5,true,NA,null\nNA, nan,false,x,NaN\nnull,NaN,NA,nan,\n",
    )
    schema, found = read(path, *"wrctn", size=size)
    # What is not a number is there, and no null.
    for name in "rn":
        found[name] = ["nan" if value != value else value for value in found[name]]
    assert found == {
        "w": [1, None, None, None],
        "r": ["nan", 2.5, "nan", "nan"],
        "c": [None, True, False, None],
        "t": [None, None, "x", "nan"],
        "n": [None, None, "nan", None],
    }
    assert [schema.columns[name].kind for name in "wrctn"] == [
        "whole",
        "real",
        "condition",
        "text",
        "real",
    ]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["1"] * 99 + ["2.5"], "real", [1.0] * 99 + [2.5]),
        (["2.5"] + ["9007199254740993"] * 99, "real", [2.5] + [9007199254740992.0] * 99),
        (["1"] * 99 + ["x"], "text", ["1"] * 99 + ["x"]),
        (["01.50"] * 99 + ["x"], "text", ["01.50"] * 99 + ["x"]),
        (["true"] * 99 + ["1"], "text", ["true"] * 99 + ["1"]),
        (["2020-01-01"] + ["1.5"] * 99, "text", ["2020-01-01"] + ["1.5"] * 99),
        (["NA"] * 99 + ["-1"], "whole", [None] * 99 + [-1]),
        ([str(2**64 - 1)] + ["1"] * 99, "whole", [2**64 - 1] + [1] * 99),
        (["1"] * 99 + [str(2**63 + 1)], "whole", [1] * 99 + [2**63 + 1]),
        (["-1"] * 99 + [str(2**63)], "real", [-1.0] * 99 + [2.0**63]),
        (["1"] * 99 + [str(2**64)], "real", [1.0] * 99 + [2.0**64]),
        (["1"] * 99 + ["9223372036854775808.5"], "real", [1.0] * 99 + [2.0**63]),
    ],
)
def test_a_type_holds_for_the_whole_file(
    tmp_path: Path, cells: list[str], kind: str, expected: list[Any]
) -> None:
    path = write(tmp_path / "a.csv", "\n".join(["n,x", *(f"0,{cell}" for cell in cells), ""]))
    schema, found = read(path, "x")
    assert schema.columns["x"].kind == kind
    assert found["x"] == expected
    assert {type(value) for value in found["x"]} == {type(value) for value in expected}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", "FILE: line 3 has 3 fields, the header has 2"),
        ("a,b\n1,2\n3\n", "FILE: line 3 has 1 field, the header has 2"),
        ("a,b\n1,2\n3,4\n5", "FILE: line 4 has 1 field, the header has 2"),
        ("a,b\n1,1,2\n2,3,4\n", "FILE: line 2 has 3 fields, the header has 2"),
        ("a,b\n1,5,2,5\n", "FILE: line 2 has 4 fields, the header has 2"),
        ('\n"a\nb",c\n"1\n\n2",2\n\n3,4,5\n', "FILE: line 8 has 3 fields, the header has 2"),
        ('a,b\n1,"x\n2,y\n', "FILE: line 2 has a quote that nothing closes"),
        ('a,b\n"1",x\n2,"y""\n', "FILE: line 3 has a quote that nothing closes"),
        (b"a,b\n1,x\n2,\xe9\n", "FILE: line 3 is not text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "FILE: line 1 is not text in UTF-8"),
        ("", "FILE is empty: it has no header"),
        ("\n\n", "FILE is empty: it has no header"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("block", [8, 2**22])
def test_malformed_files_are_refused_by_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | str,
    message: str,
    name: str,
    block: int,
) -> None:
    monkeypatch.setattr(csv_blocks, "CSV_BLOCK", block)
    assert refusal(write(tmp_path / name, content)) == message


@pytest.mark.parametrize("block", [8, 30, 2**22])
def test_quotes_inside_of_fields_are_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(csv_blocks, "CSV_BLOCK", block)
    path = write(tmp_path / "a.csv", 'a,b\n1,5" x\n2,"y\n, ""z"""\n3,6"\n4,v"w"\n5,"\n"\n')
    assert read(path, "a", "b")[1] == {
        "a": [1, 2, 3, 4, 5],
        "b": ['5" x', 'y\n, "z"', '6"', 'v"w"', "\n"],
    }


def test_a_row_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "CSV_BLOCK", 2**10)
    monkeypatch.setattr(csv_blocks, "LONGEST_ROW", 2**20)
    path = write(tmp_path / "a.csv", 'a,b\n1,"' + "2,3\n" * 2**20)
    expected = "FILE: the row that begins on line 2 has more than 1 MB; does a quote close nowhere?"
    assert refusal(path) == expected


@pytest.mark.parametrize("n", [10, 60])
def test_a_truncated_compressed_file_is_refused(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "a.csv.gz", "a,b\n" + "1.5,2\n" * 10)
    path.write_bytes(path.read_bytes()[:-n] if n < 60 else b"a,b\n1,2\n")
    assert refusal(path).startswith("cannot read FILE: ")


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.csv")


def test_an_empty_file_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(NoTableError), Csv().open(write(tmp_path / "a.csv", "")):
        pass


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_header_alone_is_a_table_without_events(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "a.csv", "a,b" + end)
    with Csv().open(path) as table:
        assert table.schema == Schema(dict.fromkeys("ab", ColumnType("whole", "no values")), 0)
        assert list(table.chunks(["a"], 7)) == []


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbfa, y\n1,2\n3,4\n", b"a, y\r\n1,2\r\n3,4\r\n", b"a, y\n1,2\n\n3,4\n\n\n",
     b"a, y\n1,2\n3,4", b"\n\na, y\n1,2\n3,4\n"],
)  # fmt: skip
def test_marks_line_ends_and_blank_lines_do_not_matter(tmp_path: Path, content: bytes) -> None:
    schema, found = read(write(tmp_path / "a.csv", content), "a", " y")
    assert found == {"a": [1, 3], " y": [2, 4]}
    assert schema.n_events == 2


def test_names_are_taken_as_they_stand(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '# event, y,"a,b",,lead.pt\n1,2,3,4,5\n')
    names = ("# event", " y", "a,b", "", "lead.pt")
    schema, found = read(path, *names)
    assert tuple(schema.columns) == names
    assert found == {name: [value] for value, name in enumerate(names, 1)}


def test_columns_of_one_name_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b,a\n1,2,3\n")
    schema, found = read(path, "b")
    assert schema.columns["a"] == ColumnType("other", "2 columns of this name")
    assert found == {"b": [2]}
    with pytest.raises(RefusedError, match=r"the column 'a' holds neither .* '2 columns of this"):
        read(path, "a")
    with pytest.raises(RefusedError, match="no column 'B'; did you mean 'b'"):
        read(path, "B")


def test_all_events_are_counted_without_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a\n" + "1\n" * 9)
    with Csv().open(path) as table:
        assert list(table.chunks([], 4)) == [{}] * 3


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a\n1\n")
    assert read(path, "a")[1] == {"a": [1]}
    write(path, "a\nxyz\n")
    assert read(path, "a")[1] == {"a": ["xyz"]}


floats = st.floats(allow_nan=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(floats, st.integers(-(2**63), 2**63 - 1), st.text())), st.data())
def test_tables_come_back_bit_by_bit(
    tmp_path: Path, rows: list[tuple[float, int, str]], data: st.DataObject
) -> None:
    # An empty text would come back as an absent one.
    rows = [(real, whole, f"<{text}>") for real, whole, text in rows]
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("real", "whole", "text"), *rows])
    before = csv_blocks.CSV_BLOCK
    csv_blocks.CSV_BLOCK = data.draw(st.sampled_from([5, 100, before]))
    try:
        _, found = read(path, "real", "whole", "text", size=data.draw(st.sampled_from(SIZES)))
    finally:
        csv_blocks.CSV_BLOCK = before
    reals = np.array([row[0] for row in rows])
    assert np.array(found["real"], float).tobytes() == reals.tobytes()
    assert found["whole"] == [row[1] for row in rows]
    assert found["text"] == [row[2] for row in rows]


def test_pandas_and_this_reader_agree_over_many_blocks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    n = 60_000
    events = pd.DataFrame({f"x{i}": random.normal(size=n) for i in range(6)})
    events["id"] = np.arange(n)
    events["name"] = random.choice(["a,b", 'say "x"', "c\nd"], n)
    path = tmp_path / "a.csv"
    events.to_csv(path)
    assert path.stat().st_size > csv_blocks.CSV_BLOCK
    schema, found = read(path, "", *events.columns, size=5000)
    assert schema.n_events == n
    assert found.pop("") == list(range(n))
    for name, values in found.items():
        assert values == events[name].tolist()
