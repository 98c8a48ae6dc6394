"""Columns of any library have their nulls where a file of the same events has its own."""

from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from parts.given_columns import given_column
from parts.machinery.exits import RefusedError
from parts.named_columns import chunk_by_name

# A float does not hold it.
LARGE = 2**60 + 1
WHOLE = [LARGE, None, 3]
NULL = [False, True, False]


@pytest.mark.parametrize(
    "column",
    [
        np.ma.MaskedArray([LARGE, 7, 3], NULL),
        pd.Series(WHOLE, dtype="Int64"),
        pd.Series(WHOLE, dtype="int64[pyarrow]"),
        WHOLE,
        pa.array(WHOLE),
        pa.chunked_array([WHOLE[:2], WHOLE[2:]]),
        ak.Array(WHOLE),
    ],
)
def test_whole_numbers_stay_exact_beside_a_null(column: Any) -> None:
    found = given_column(column)
    assert found.values.tolist() == [LARGE, 0, 3]
    assert found.absent is not None
    assert found.absent.tolist() == NULL


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, None, False], dtype="boolean"),
        pa.array([True, None, False]),
        [True, None, False],
    ],
)
def test_conditions_may_be_null(column: Any) -> None:
    found = given_column(column)
    assert found.values.tolist() == [True, False, False]
    assert found.absent is not None
    assert found.absent.tolist() == NULL


def test_nan_is_a_null_to_pandas_alone() -> None:
    values = np.array([1.0, np.nan, 3.0], dtype=np.float32)
    found = given_column(pd.Series(values))
    assert found.values.dtype == np.float32
    assert found.absent is not None
    assert found.absent.tolist() == NULL
    for column in (values, pa.array(values), ak.Array(values), np.ma.MaskedArray(values)):
        other = given_column(column)
        assert other.absent is None
        np.testing.assert_array_equal(other.values, values)


def test_a_column_without_nulls_has_none() -> None:
    for column in ([1, 2], np.ma.MaskedArray([1, 2]), pd.Series([1, 2]), pa.array([1, 2])):
        found = given_column(column)
        assert found.absent is None
        assert found.values.tolist() == [1, 2]


def chunk(events: Any, *names: str, **derived: str) -> Any:
    """Return a chunk in which -9 stands for what is missing."""
    return chunk_by_name(events, names, derived, -9.0)


@pytest.mark.parametrize("kind", [ak.Array, pd.DataFrame, pa.table])
def test_nulls_are_missing_as_those_of_files(kind: Any) -> None:
    events = kind({"pt": [1.5, None, 2.5], "e": [[1.0, 2.0], [None, 3.0], [4.0]]})
    found = chunk(events, "pt", "e[1]", "twice", twice="2 * pt")
    assert found.values("pt").array.tolist() == [1.5, -9, 2.5]
    assert found.values("twice").array.tolist() == [3, -9, 5]
    assert found.values("e[1]").array.tolist() == [2, 3, -9]


def test_an_item_of_a_list_may_be_null() -> None:
    found = chunk(ak.Array({"e": [[1.0], [None], [], None]}), "e[0]")
    assert found.values("e[0]").array.tolist() == [1, -9, -9, -9]


def test_a_column_is_given_or_derived_and_never_both() -> None:
    derived = {"ht": "pt + pt2", "log": "log(ht)"}
    assert chunk({"ht": [3.0]}, "ht", **derived).values("ht").array.tolist() == [3]
    assert chunk({"ht": [3.0], "pt": [1.0]}, "ht", **derived).values("ht").array.tolist() == [3]
    assert chunk({"log": [3.0]}, "log", **derived).values("log").array.tolist() == [3]
    both = {"ht": [4.0], "pt": [1.0], "pt2": [2.0]}
    for name in ("ht", "log"):
        with pytest.raises(RefusedError, match=r"a column 'ht', and what the spec derives it from"):
            chunk(both, name, **derived)
    # What nothing asks for may be there.
    assert chunk(both, "pt", **derived).values("pt").array.tolist() == [1]
    with pytest.raises(RefusedError, match=r"a column 'log', and what the spec derives it from"):
        chunk({"log": [4.0], "pt": [1.0], "pt2": [2.0]}, "log", **derived)
