import ast
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seesawc.writing.literals import WIDTH, Literal, lay_out, literal

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=60),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(st.text(max_size=10), inner, max_size=4),
    ),
    max_leaves=20,
)


def laid_out(line: str, *values: Any) -> str:
    """Return a line whose `@` stand for values."""
    for index in range(len(values)):
        line = line.replace("@", Literal(f"\x02{index}\x03"), 1)
    return lay_out(line, list(values))


@given(VALUES)
def test_a_literal_evaluates_to_its_value(value: Any) -> None:
    text = literal(value)
    assert text.isascii()
    assert "\n" not in text
    assert ast.literal_eval(text) == value
    assert type(ast.literal_eval(text)) is type(value)


@given(VALUES, st.integers(0, 8))
def test_a_value_laid_out_over_lines_is_the_same(value: Any, indent: int) -> None:
    text = laid_out(f"{' ' * 4 * indent}NAME = @", value)
    assert ast.literal_eval(text.strip().removeprefix("NAME = ")) == value
    assert not any(line != line.rstrip() for line in text.split("\n"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('say "x"', "'say \"x\"'"),
        ("it's", '"it\'s"'),
        ("both ' and \"", '"both \' and \\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("{{ jinja }} #", '"{{ jinja }} #"'),
        ("a\nb\tc\x00", '"a\\nb\\tc\\x00"'),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}", '"\\xe9\\u2603"'),
        ("\x020\x03", '"\\x020\\x03"'),
        ((1,), "(1,)"),
        ((), "()"),
        ({}, "{}"),
        (1e-3, "0.001"),
        (-1e300, "-1e300"),
        (True, "True"),
    ],
)
def test_a_literal_is_written_as_a_formatter_would(value: Any, text: str) -> None:
    assert literal(value) == text


def test_what_is_no_number_keeps_its_value() -> None:
    assert literal(math.inf) == 'float("inf")'
    assert literal(-math.inf) == 'float("-inf")'
    assert literal(math.nan) == 'float("nan")'


@pytest.mark.parametrize("value", [b"bytes", {1}, object(), 1j, ...])
def test_a_value_without_a_literal_is_an_internal_fault(value: Any) -> None:
    with pytest.raises(TypeError, match="has no literal"):
        literal(value)


def test_a_value_that_fits_stays_on_its_line() -> None:
    names = ["x" * 18] * 4
    assert laid_out("NAMES = @", names).count("\n") == 0
    assert len(laid_out("NAMES = @", names)) <= WIDTH


def test_a_value_that_just_does_not_fit_goes_one_item_a_line() -> None:
    room = WIDTH - len('A = [""]')
    assert laid_out("A = @", ["x" * room]).count("\n") == 0
    assert laid_out("A = @", ["x" * (room + 1)]) == f'A = [\n    "{"x" * (room + 1)}",\n]'


def test_what_stands_behind_a_value_counts() -> None:
    room = WIDTH - len('    f(a=[""],')
    assert laid_out("    f(a=@,", ["x" * room]).count("\n") == 0
    assert laid_out("    f(a=@,", ["x" * (room + 1)]).count("\n") == 2
    assert laid_out("f(@, @)", ["x" * 60], ["y" * 60]).count("\n") >= 2


def test_a_long_text_is_cut_behind_spaces() -> None:
    text = " or ".join(f"process == {number}" for number in range(30))
    lines = laid_out("    selection=@,", text).split("\n")
    assert lines[0] == "    selection=("
    assert lines[-1] == "    ),"
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line.endswith(' "') for line in lines[1:-2])
    assert ast.literal_eval("(" + "".join(lines[1:-1]) + ")") == text


def test_a_long_text_without_spaces_is_cut_anywhere() -> None:
    lines = laid_out("PATH = @", "\\" * 300).split("\n")
    assert all(len(line) <= WIDTH for line in lines)
    assert ast.literal_eval("(" + "".join(lines[1:-1]) + ")") == "\\" * 300


def test_text_that_looks_like_a_mark_is_not_filled() -> None:
    assert laid_out("A = @\nB = @", "\x021\x03", 5) == 'A = "\\x021\\x03"\nB = 5'
