"""Values of expressions: what numpy computes, without wrapping, and errors from types alone."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parts.expressions import ExpressionError, Values, evaluate
from parts.grammar import FUNCTIONS, form, parse

EVENTS: dict[str, NDArray[Any]] = {
    "event": np.arange(400),
    "a": np.random.default_rng(1).normal(0, 2, 400),
    "b": np.random.default_rng(2).uniform(0.1, 5, 400),
    "n": np.random.default_rng(3).integers(-3, 4, 400),
    "m": np.random.default_rng(4).integers(0, 4, 400),
    "f": np.random.default_rng(5).normal(0, 2, 400).astype(np.float32),
    "kind": np.random.default_rng(6).choice(["ggH", "VBF", "top"], 400).astype(object),
}
A, B, N, M, F, KIND = (EVENTS[name] for name in ("a", "b", "n", "m", "f", "kind"))


def value(text: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Evaluate on columns, and on none of their events, where it is of the same kind."""
    size = len(next(iter(columns.values())))
    found = evaluate(parse(text), looked_up(columns), size)
    assert found.array.shape == (size,)
    assert found.missing is None
    empty = evaluate(parse(text), lambda name: Values(columns[name][:0]), 0).array
    assert empty.shape == (0,)
    numbers = {"i": "number", "u": "number", "f": "number"}
    kinds = [numbers.get(each.dtype.kind, each.dtype.kind) for each in (found.array, empty)]
    assert kinds[0] == kinds[1]
    return found.array


def looked_up(columns: Mapping[str, NDArray[Any]]) -> Callable[[str], Values]:
    return lambda name: Values(columns[name])


def refusal(text: str, columns: Mapping[str, NDArray[Any]]) -> str:
    """Return the message, which is the same without any event."""
    messages = []
    for each in (columns, {name: column[:0] for name, column in columns.items()}):
        with pytest.raises(ExpressionError) as raised:
            evaluate(parse(text), looked_up(each), len(next(iter(each.values()))))
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert messages[0].isascii()
    return messages[0]


WEIGHTS: dict[str, NDArray[np.float64]] = {
    "a + b - 1": A + B - 1,
    "a - b - 1": A - B - 1,
    "a * b / 3": A * B / 3,
    "1 / b / 2": 1 / B / 2,
    "n / 2": N / 2,
    "n % 3": (N % 3).astype(float),
    "a % 1.5": A % 1.5,
    "a ** 2": A**2,
    "-a ** 2": -(A**2),
    "2 ** -b": 2**-B,
    "2 ** m ** 2": (2 ** (M**2)).astype(float),
    "-n": -N.astype(float),
    "+a": A,
    "a - -b": A + B,
    "a + b * 2 ** 2": A + B * 4,
    "(a + b) * 2": (A + B) * 2,
    "1e-3 * a": 1e-3 * A,
    "b * (a > 1)": B * (A > 1),
    "b * (n == 1) + 2 * (n != 1)": B * (N == 1) + 2 * (N != 1),
    "abs(a)": np.abs(A),
    "sqrt(b)": np.sqrt(B),
    "exp(a)": np.exp(A),
    "log(b)": np.log(B),
    "log10(b)": np.log10(B),
    "sin(a)": np.sin(A),
    "cos(a)": np.cos(A),
    "tan(a)": np.tan(A),
    "sinh(a)": np.sinh(A),
    "cosh(a)": np.cosh(A),
    "arctan2(a, b)": np.arctan2(A, B),
    "sqrt(abs(a) ** 2 + b ** 2) * exp(-b)": np.sqrt(A**2 + B**2) * np.exp(-B),
    "abs(n)": np.abs(N).astype(float),
    "sqrt(m)": np.sqrt(M),
}

SELECTIONS: dict[str, NDArray[np.bool_]] = {
    "a > 1": A > 1,
    "a >= b": A >= B,
    "1 < a": A > 1,
    "n == 1": N == 1,
    "n != 1": N != 1,
    "a + 1 > b * 2": A + 1 > B * 2,
    "0 < a < b": (A > 0) & (A < B),
    "-1 <= n < m <= 3": (N >= -1) & (N < M) & (M <= 3),
    "a > 0 and b > 1": (A > 0) & (B > 1),
    "a > 0 or b > 1": (A > 0) | (B > 1),
    "a > 0 or b > 1 and n > 0": (A > 0) | ((B > 1) & (N > 0)),
    "(a > 0 or b > 1) and n > 0": ((A > 0) | (B > 1)) & (N > 0),
    "a > 0 and b > 1 or n > 0": ((A > 0) & (B > 1)) | (N > 0),
    "not a > 0": A <= 0,
    "not a > 0 and b > 1": (A <= 0) & (B > 1),
    "not (a > 0 and b > 1)": ~((A > 0) & (B > 1)),
    "not a > 0 or not b > 1": (A <= 0) | (B <= 1),
    "not not a > 0": A > 0,
    "~(a > 0)": A <= 0,
    "~(a > 0) & (b > 1)": (A <= 0) & (B > 1),
    "(a > 0) & (b > 1)": (A > 0) & (B > 1),
    "(a > 0) | (b > 1) & (n > 0)": (A > 0) | ((B > 1) & (N > 0)),
    "(a > 0) & (b > 1) or not (n > 0)": ((A > 0) & (B > 1)) | (N <= 0),
    "n in [1, 2]": np.isin(N, [1, 2]),
    "n in [-1]": N == -1,
    "n in [-1, 2]": np.isin(N, [-1, 2]),
    "n not in [1, 2]": ~np.isin(N, [1, 2]),
    "not n in [1, 2]": ~np.isin(N, [1, 2]),
    "n in [1, 2] and m in [0, 3] or a > 1": (np.isin(N, [1, 2]) & np.isin(M, [0, 3])) | (A > 1),
    "n not in [1, 2] and a > 0": ~np.isin(N, [1, 2]) & (A > 0),
    "kind == 'ggH'": KIND == "ggH",
    "kind != 'ggH' and a > 0": (KIND != "ggH") & (A > 0),
    "kind in ['ggH', 'VBF']": np.isin(KIND, ["ggH", "VBF"]),
    "kind not in ['ggH'] and n == 1": (KIND != "ggH") & (N == 1),
    'kind == "top" or n in [0]': (KIND == "top") | (N == 0),
    "n % 2 == 0": N % 2 == 0,
    "event % 2 == 1 and n > 0": (np.arange(400) % 2 == 1) & (N > 0),
    "abs(a) < 1": np.abs(A) < 1,
    "0.5 < sqrt(b) < 1.5": (np.sqrt(B) > 0.5) & (np.sqrt(B) < 1.5),
    "a ** 2 + b ** 2 > 9": A**2 + B**2 > 9,
    "f > 1.1": np.float32(1.1) < F,
    "(a > 0) == (b > 1)": (A > 0) == (B > 1),
}

# As every user of pandas' `query` expects; Python would take & and | first.
LOOSE: dict[str, NDArray[np.bool_]] = {
    "a > 0 & b > 1": (A > 0) & (B > 1),
    "n == 1 | m == 2 & a > 0": (N == 1) | ((M == 2) & (A > 0)),
}


@pytest.mark.parametrize("weight", WEIGHTS)
def test_weights_are_evaluated_as_numpy_does(weight: str) -> None:
    assert form(parse(weight)) == "number"
    np.testing.assert_allclose(value(weight, EVENTS), WEIGHTS[weight], rtol=1e-12)


@pytest.mark.parametrize("selection", [*SELECTIONS, *LOOSE])
def test_selections_are_evaluated_as_numpy_does(selection: str) -> None:
    assert form(parse(selection)) == "condition"
    expected = (SELECTIONS | LOOSE)[selection]
    assert 0 < expected.sum() < 400
    found = value(selection, EVENTS)
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, expected)


def test_every_function_that_is_allowed_is_evaluated_here() -> None:
    assert all(any(f"{name}(" in weight for weight in WEIGHTS) for name in FUNCTIONS)


def test_columns_named_like_ours_or_like_functions_stay_columns() -> None:
    columns = {"index": A, "exp": B, "sin": M, "self": N, "`": A}
    found = value("index > 0 and sin in [1, 2] and exp > exp(self)", columns)
    np.testing.assert_array_equal(found, (A > 0) & np.isin(M, [1, 2]) & (np.exp(N) < B))


def test_names_in_backticks_and_elements_are_looked_up_as_they_are_named() -> None:
    columns = {"jet.pt": A, "jet.pt[0]": B, "INPUTS/Met": N, "jet_pt[1]": M}
    found = value("`jet.pt` + `jet.pt`[0] + `INPUTS/Met` * jet_pt[1]", columns)
    np.testing.assert_array_equal(found, A + B + N * M)


def test_a_column_alone_is_itself_in_a_wider_type() -> None:
    for kind, wide in (
        ("bool", "bool"),
        ("uint8", "int64"),
        ("int16", "int64"),
        ("uint32", "int64"),
        ("uint64", "int64"),
        ("float16", "float64"),
        ("float32", "float64"),
        ("object", "object"),
    ):
        found = value("x", {"x": np.ones(2, kind)})
        assert found.dtype == wide
        assert (found == 1).all()
    assert value("x", {"x": np.array([1, 2**64 - 1], np.uint64)}).dtype == np.uint64


SMALL: dict[str, NDArray[Any]] = {
    "u": np.array([1, 2, 255], np.uint8),
    "v": np.array([2, 2, 0], np.uint8),
    "i": np.array([100, -128, 11], np.int8),
    "j": np.array([13, 1, 13], np.int8),
    "w": np.array([2**32 - 1, 0, 7], np.uint32),
    "x": np.array([2**64 - 1, 2**63, 0], np.uint64),
    "l": np.array([-(2**63), 2**63 - 1, -1], np.int64),
    "k": np.array([-(2**53) - 1, 2**53 + 1, 2**53], np.int64),
    "zero": np.zeros(3, np.float32),
    "yes": np.array([True, False, True]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u - v > 0", [False, False, True]),
        ("0.1 * (u - v) + 1", [0.9, 1.0, 26.5]),
        ("-v < 0", [True, True, False]),
        ("u + u > 300", [False, False, True]),
        ("abs(u - v) <= 1", [True, True, False]),
        ("i * 2 > 150", [True, False, False]),
        ("i * j == 143", [False, False, True]),
        ("abs(i)", [100, 128, 11]),
        ("-i", [-100, 128, -11]),
        ("v - w", [2 - (2**32 - 1), 2, -7]),
        ("w * w", [(2**32 - 1) ** 2, 0, 49]),
        ("x - 1 < 0", [False, False, True]),
        ("x - x", [0, 0, 0]),
        ("x > l", [True, True, True]),
        ("x == -1", [False, False, False]),
        ("x / 2", [2.0**63, 2.0**62, 0.0]),
        ("x % 10", [5, 8, 0]),
        ("x % -3", [0, -1, 0]),
        ("l % x", [2**63 - 1, 2**63 - 1, np.nan]),
        ("k == -9007199254740992.0", [False, False, False]),
        ("k >= -9007199254740992.0", [False, True, True]),
        ("9007199254740992.0 >= k", [True, False, True]),
        ("1 / -zero", [-np.inf, -np.inf, -np.inf]),
        ("abs(l)", [2**63, 2**63 - 1, 1]),
        ("l * 1 - 1 < 1 - l", [True, False, True]),
        ("l * l", [2.0**126, 2.0**126, 1.0]),
        ("u ** 8", [1, 256, 255**8]),
        ("u ** 2", [1, 4, 65025]),
        ("2 ** u == 4", [False, True, False]),
        ("u ** -1", [1, 0.5, 1 / 255]),
        ("i ** -1 * 0 + u % v", [1.0, 0.0, np.nan]),
        ("u % 0", [np.nan, np.nan, np.nan]),
        ("1 / v", [0.5, 0.5, np.inf]),
        ("(u > 1) + (v > 1)", [1, 2, 1]),
        ("yes + yes", [2, 0, 2]),
        ("-yes", [-1, 0, -1]),
        ("yes == 1", [True, False, True]),
        ("yes * u", [1, 0, 255]),
        ("yes and u > 1", [False, False, True]),
        ("not yes", [False, True, False]),
        ("~yes | (u == 1)", [True, True, False]),
        ("yes in [0, 2]", [False, True, False]),
        ("(u & 3) > 1", [False, True, True]),
        ("u & 3", [1, 2, 3]),
        ("u | 4 | v", [7, 6, 255]),
        ("(u & 3) | 4", [5, 6, 7]),
        ("i & -4", [100, -128, 8]),
        ("x & 3", [3, 0, 0]),
        ("x | 1", [2**64 - 1, 2**63 + 1, 1]),
        ("l == 9223372036854775808.0", [False, False, False]),
        ("l < 9223372036854775807.5", [True, True, True]),
        ("x < 18446744073709551616.0", [True, True, True]),
        ("18446744073709551616.0 <= x", [False, False, False]),
        ("l > -9223372036854775808.0", [False, True, True]),
        ("x != 18446744073709551615", [False, True, True]),
        ("u < 10 ** 400", [True, True, True]),
        ("u * 100000000000000000000", [1e20, 2e20, 2.55e22]),
    ],
)
def test_no_number_wraps_whatever_type_a_file_has(text: str, expected: list[Any]) -> None:
    found = value(text, SMALL)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, np.asarray(expected, np.float64), rtol=1e-14)
    else:
        assert found.tolist() == expected


TEXTS: dict[str, NDArray[Any]] = {
    "kind": np.array(["ggH", None, "top"], object),
    "other": np.array([None, None, "top"], object),
    "n": np.array([1, 2, 3], np.uint8),
    "pt": np.array([1.5, np.nan, np.inf], np.float32),
    "yes": np.array([True, False, True]),
    "when": np.array([0, 1, 2], "datetime64[s]"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind == 'ggH'", [True, False, False]),
        ("'ggH' != kind", [False, True, True]),
        ("kind == other", [False, False, True]),
        ("kind != other", [True, True, False]),
        ("kind in ['top', 'ggH']", [True, False, True]),
        ("kind not in ['top']", [True, True, False]),
        ("kind == other == 'top'", [False, False, True]),
    ],
)
def test_a_null_is_equal_to_nothing_and_different_from_everything(
    text: str, expected: list[bool]
) -> None:
    assert value(text, TEXTS).tolist() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind + 1", "'kind' holds texts, not numbers"),
        ("-kind == 1", "'kind' holds texts, not numbers"),
        ("sqrt(kind)", "'kind' holds texts, not numbers"),
        ("abs(kind)", "'kind' holds texts, not numbers"),
        ("kind > 1", "'kind' holds texts, and '1' whole numbers: 'kind > 1' compares them"),
        ("n == 'ggH'", "\"'ggH'\" holds texts, and 'n' whole numbers"),
        ("kind == pt", "'kind' holds texts, and 'pt' numbers: 'kind == pt' compares them"),
        ("kind in [1, 2]", "'kind' holds texts, and '1' whole numbers"),
        ("n in ['a']", "and 'n' whole numbers: \"n in ['a']\" compares them"),
        ("kind < other", "'kind' holds texts, which == != and in [..] compare, not <"),
        ("not n", "'n' holds whole numbers, not true or false; compare it"),
        ("not pt", "'pt' holds numbers, not true or false"),
        ("~kind", "'kind' holds texts, not true or false"),
        ("n and pt > 1", "'n' holds whole numbers, and 'pt > 1' true or false: 'and' takes two"),
        ("n or yes", "'n' holds whole numbers, and 'yes' true or false: 'or' takes two"),
        ("pt and n", "'pt' holds numbers, not true or false"),
        ("kind or yes", "'kind' holds texts, not true or false"),
        ("when > 1", "'when' holds neither numbers nor texts"),
    ],
)
def test_what_does_not_suit_its_columns_is_refused_in_words(text: str, message: str) -> None:
    assert message in refusal(text, TEXTS)


def test_a_refusal_puts_names_into_backticks() -> None:
    assert refusal("`jet.kind`[0] * 2 > 1", {"jet.kind[0]": TEXTS["kind"]}).startswith(
        "'`jet.kind`[0]' holds texts"
    )


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("a", [True, False, False]),
        ("a + b", [True, True, False]),
        ("a / c", [True, False, False]),
        ("c % b", [False, True, False]),
        ("-a", [True, False, False]),
        ("abs(a)", [True, False, False]),
        ("arctan2(a, b)", [True, True, False]),
        ("a & b", [True, True, False]),
        ("a * (b > 1)", [True, False, False]),
        ("c", None),
        ("c + 1", None),
        ("a > 1", None),
        ("a in [1]", None),
        ("not a == 1", None),
        ("a > 1 and b > 1", None),
        ("(a > 1) + 1", None),
    ],
)
def test_arithmetic_passes_on_what_does_not_exist_and_conditions_do_not(
    text: str, missing: list[bool] | None
) -> None:
    columns = {
        "a": Values(np.array([1, 2, 3]), np.array([True, False, False])),
        "b": Values(np.array([1, 2, 3]), np.array([False, True, False])),
        "c": Values(np.array([1, 2, 3])),
    }
    found = evaluate(parse(text), columns.__getitem__, 3).missing
    assert (None if found is None else found.tolist()) == missing
    assert columns["a"].missing is not None
    assert columns["a"].missing.tolist() == [True, False, False]


@pytest.mark.filterwarnings("error")
def test_no_value_of_a_number_is_an_error_or_a_warning() -> None:
    columns = {"a": np.array([0.0, -1.0, np.nan, np.inf, -np.inf, 1e308])}
    found = value("log(a) + sqrt(a) + 1 / a + a % 0 + a ** 0.5 + exp(a) * a - a", columns)
    assert not np.isfinite(found).any()
