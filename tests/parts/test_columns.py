"""Names are looked up alike everywhere: columns, elements of lists, what is derived or missing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from parts.columns import (
    Chunk,
    DerivedError,
    LackingError,
    columns_of,
    locate,
    no_events,
    underived,
)
from parts.expressions import ExpressionError
from parts.readers import Column, ColumnType, Kind, Lists, kind_of

NULL = None
T, F = True, False


def column(values: Sequence[Any]) -> Column:
    """Return a column; a null is None."""
    absent = np.array([value is NULL for value in values])
    there = [value for value in values if value is not NULL]
    filler = there[0]
    array = np.array([filler if value is NULL else value for value in values])
    array = array.astype(object) if array.dtype.kind == "U" else array
    return Column(array, absent if absent.any() else None)


def lists(*events: Sequence[Any]) -> Lists:
    """Return a column of lists; an item that is a null is None."""
    length = np.array([len(event) for event in events])
    items = column([item for event in events for item in event])
    return Lists(items.values, np.cumsum(length) - length, length, items.absent)


def type_of(column: Column | Lists) -> ColumnType:
    kind: Kind = kind_of(column.values.dtype)
    if isinstance(column, Lists):
        return ColumnType("list", "list of numbers", kind)
    return ColumnType(kind, f"column of {column.values.dtype}")


def chunk(
    columns: Mapping[str, Column | Lists],
    missing: float | None = None,
    **derived: str,
) -> Chunk:
    types = {name: type_of(each) for name, each in columns.items()}
    return Chunk(columns, types, len(next(iter(columns.values()))), derived, missing)


def same(found: np.ndarray[Any, Any], expected: Sequence[Any]) -> None:
    """Compare values, of which nan equals nan."""
    np.testing.assert_array_equal(found, np.array(expected))


JETS = lists([30.0, 20.0, 10.0], [40.0], [], [50.0, NULL])


def test_an_element_is_that_of_its_index() -> None:
    events = chunk({"jet_pt": lists([3, 2, 1], [6, 5, 4])})
    for index in range(3):
        same(events.numbers(f"jet_pt[{index}]"), [3 - index, 6 - index])
        assert events.numbers(f"jet_pt[{index}]").dtype == np.int64
        assert events.values(f"jet_pt[{index}]").missing is None


def test_a_column_that_is_called_like_an_element_comes_before_it() -> None:
    events = chunk({"jet_pt": JETS, "jet_pt[0]": column([1.0, 2.0, 3.0, 4.0])})
    same(events.numbers("jet_pt[0]"), [1, 2, 3, 4])
    same(events.evaluate("2 * jet_pt[0]").array, [2, 4, 6, 8])
    same(events.numbers("jet_pt[1]"), [20, math.nan, math.nan, math.nan])


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("pt", ("pt", None)),
        ("jet_pt", ("jet_pt", None)),
        ("jet_pt[12]", ("jet_pt", 12)),
        ("m[1]", ("m[1]", None)),
        ("m[1][2]", ("m[1]", 2)),
        ("m[2]", None),
        ("other", None),
        ("jet_pt[-1]", None),
        ("jet_pt[]", None),
        ("jet_pt[0] ", None),
    ],
)
def test_a_name_means_a_column_or_an_element_of_one(
    name: str, place: tuple[str, int | None] | None
) -> None:
    assert locate(name, ("pt", "jet_pt", "m[1]")) == place


@pytest.mark.parametrize("missing", [-999.0, math.nan])
def test_nulls_and_what_lies_behind_the_end_of_a_list_have_the_missing_value(
    missing: float,
) -> None:
    events = chunk({"jet_pt": JETS, "n": column([3, 1, NULL, 2])}, missing)
    same(events.numbers("jet_pt[0]"), [30, 40, missing, 50])
    same(events.numbers("jet_pt[1]"), [20, missing, missing, missing])
    same(events.numbers("jet_pt[7]"), [missing] * 4)
    same(events.numbers("n"), [3, 1, missing, 2])
    for name, expected in (("jet_pt[0]", [F, F, T, F]), ("jet_pt[1]", [F, T, T, T])):
        absent = events.values(name).missing
        assert absent is not None
        assert absent.tolist() == expected


def test_without_a_missing_value_they_are_nan() -> None:
    events = chunk({"jet_pt": JETS, "n": column([3, 1, NULL, 2])}, j="jet_pt[1] + n")
    same(events.numbers("jet_pt[1]"), [20, math.nan, math.nan, math.nan])
    same(events.numbers("n"), [3, 1, math.nan, 2])
    same(events.numbers("j"), [23, math.nan, math.nan, math.nan])


@pytest.mark.parametrize("missing", [-999.0, math.nan])
def test_what_is_computed_from_the_missing_value_is_missing(missing: float) -> None:
    """Whether the file has it as a null, as the value itself, or derived of either."""
    x = column([1.0, NULL, missing, 4.0])
    events = chunk({"x": x, "one": column([1, 1, 1, 1])}, missing, y="2 * x + one", z="abs(y) / 2")
    same(events.numbers("y"), [3, missing, missing, 9])
    same(events.numbers("z"), [1.5, missing, missing, 4.5])
    for name in "yz":
        absent = events.values(name).missing
        assert absent is not None
        assert absent.tolist() == [F, T, T, F]


def test_without_nulls_the_value_itself_is_passed_on_too() -> None:
    events = chunk({"x": column([1.0, -999.0])}, -999.0, y="x + 1")
    same(events.numbers("y"), [2, -999])
    same(chunk({"x": column([1.0, -999.0])}, None, y="x + 1").numbers("y"), [2, -998])


def test_a_derived_value_that_happens_to_be_the_missing_one_is_a_value() -> None:
    """Only what comes out of the file stands for nothing."""
    events = chunk({"x": column([1.0, 2.0])}, 4.0, y="2 * x", z="y + 1")
    same(events.numbers("z"), [3, 5])


def test_comparisons_look_at_the_number() -> None:
    events = chunk({"x": column([1.0, NULL, 4.0])}, -999.0, low="x < 2")
    assert events.values("low").array.tolist() == [T, T, F]
    assert events.values("low").missing is None
    assert events.evaluate("x == -999").array.tolist() == [F, T, F]
    assert events.evaluate("not x > 0").array.tolist() == [F, T, F]
    # A weight or a selection looks at it, too.
    same(events.evaluate("x * 2").array, [2, -1998, 8])
    assert chunk({"x": column([1.0, NULL])}).evaluate("x < 2").array.tolist() == [T, F]


def test_conditions_that_are_null_are_refused() -> None:
    events = chunk({"good": column([T, NULL, F, NULL]), "x": column([1, 2, 3, 4])}, -999.0, y="x")
    for look in (lambda: events.numbers("good"), lambda: events.evaluate("good and x > 1")):
        with pytest.raises(ExpressionError, match=r"^'good', true or false, is null in 2 events$"):
            look()
    same(events.numbers("y"), [1, 2, 3, 4])


def test_conditions_are_numbers_but_texts_are_none() -> None:
    events = chunk({"good": column([T, F]), "name": column(["a", NULL])})
    same(events.numbers("good").astype(int), [1, 0])
    assert events.values("name").array.tolist() == ["a", None]
    with pytest.raises(ExpressionError, match=r"^'name' holds texts, not numbers$"):
        events.numbers("name")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "jet_pt",
            r"'jet_pt' holds a list in each event \(list of numbers\); 'jet_pt\[0\]' is its first$",
        ),
        ("pt[0]", "'pt' holds 'column of float64', no lists$"),
        ("pair", "'pair' holds 'complex numbers', no single values$"),
        ("pt[x]", r"^no column 'pt\[x\]'$"),
        ("jet_Pt", r"^no column 'jet_Pt'; did you mean 'jet_pt'"),
    ],
)
def test_what_is_no_single_value_is_refused_by_its_name(name: str, message: str) -> None:
    columns: dict[str, Column | Lists] = {"jet_pt": JETS, "pt": column([1.0, 2.0, 3.0, 4.0])}
    types = {each: type_of(columns[each]) for each in columns}
    other = {"pair": ColumnType("other", "complex numbers")}
    for events in (
        Chunk(columns, types | other, 4, {}, None),
        no_events(types | other, {}, None),
    ):
        with pytest.raises(ExpressionError, match=message):
            events.numbers(name)


def test_a_column_that_is_lacking_is_said_with_those_there_are() -> None:
    with pytest.raises(LackingError) as caught:
        chunk({"pt": column([1.0]), "eta": column([2.0])}).evaluate("pt * weight")
    assert str(caught.value) == "no column 'weight'"
    assert caught.value.there == "there is 'pt', 'eta'"


def test_a_derived_column_that_cannot_be_computed_is_named() -> None:
    events = chunk({"name": column(["a"]), "pt": column([1.0])}, y="name + 1", z="y + pt")
    with pytest.raises(DerivedError, match=r"^derived 'z': derived 'y': 'name' holds texts"):
        events.numbers("z")


@pytest.mark.parametrize("missing", [None, -999.0])
def test_chosen_events_keep_their_values(missing: float | None) -> None:
    """Of columns with nulls, of lists, and of what is derived."""
    columns: dict[str, Column | Lists] = {
        "jet_pt": JETS,
        "n": column([3, 1, NULL, 2]),
        "name": column(["a", NULL, "c", "d"]),
    }
    derived = {"sum": "jet_pt[1] + n", "first": "2 * jet_pt[0]"}
    events = chunk(columns, missing, **derived)
    for chosen in ([T, F, T, T], [F, T, F, F], [F, F, F, F], [T, T, T, T]):
        picked = np.array(chosen)
        part = events.take(picked)
        assert part.size == sum(chosen)
        for name in ("jet_pt[0]", "jet_pt[1]", "n", *derived):
            same(part.numbers(name), events.numbers(name)[picked])
        assert part.values("name").array.tolist() == events.values("name").array[picked].tolist()
        # And once more of what is left.
        rest = np.arange(part.size) % 2 == 0
        same(part.take(rest).numbers("sum"), part.numbers("sum")[rest])


DERIVED = {"mass": "sqrt(e**2 - p**2)", "ratio": "mass / jet_pt[0]", "p": "sqrt(x**2 + y**2)"}


def test_derived_columns_are_spelt_out_down_to_what_is_in_the_file() -> None:
    assert sorted(underived(["ratio", "eta"], DERIVED)) == ["e", "eta", "jet_pt[0]", "x", "y"]
    assert list(underived(["eta", "p", "eta", "x"], DERIVED)) == ["eta", "x", "y"]


def test_each_column_is_read_once_however_many_names_ask_for_it() -> None:
    names = ["jet_pt[1]", "ratio", "jet_pt[0]", "pt[0]", "lacking"]
    there = ("e", "x", "y", "jet_pt", "pt[0]", "pt")
    assert columns_of(names, DERIVED, there) == ("jet_pt", "e", "x", "y", "pt[0]")


def test_without_events_types_are_those_of_the_file() -> None:
    types = {
        "jet_pt": ColumnType("list", "floats", "real"),
        "n": ColumnType("whole", "int"),
        "good": ColumnType("condition", "bool"),
        "name": ColumnType("text", "text"),
    }
    events = no_events(types, {"twice": "2 * jet_pt[0]"}, None)
    found = {name: events.values(name).array.dtype.kind for name in ("n", "good", "name", "twice")}
    assert found == {"n": "i", "good": "b", "name": "O", "twice": "f"}
    assert events.size == len(events.numbers("jet_pt[3]")) == 0
