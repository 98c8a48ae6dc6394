"""Expressions at random: nothing but words is raised, and numbers are those of exact arithmetic.

Python's own whole numbers have no size, and it compares them with floating ones exactly.
"""

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parts.expressions import ExpressionError, Values, evaluate
from parts.grammar import FUNCTIONS, GrammarError, parse

Columns = dict[str, NDArray[Any]]

TYPES = {
    "u": ("uint8", "uint16", "uint32", "uint64"),
    "i": ("int8", "int16", "int32", "int64"),
    "r": ("float16", "float32", "float64"),
}
WIDTHS: dict[str, Literal[16, 32, 64]] = {"float16": 16, "float32": 32, "float64": 64}
NUMBERS = ("0", "1", "2", "-3", "255", "9007199254740993", "9223372036854775807", "0.5", "1e300")
SEARCH = settings(suppress_health_check=list(HealthCheck), max_examples=200)


def looked_up(columns: Columns) -> Callable[[str], Values]:
    return lambda name: Values(columns[name])


def values(dtype: str) -> st.SearchStrategy[Any]:
    """Values of a type: its ends are as likely as all others."""
    if np.dtype(dtype).kind == "f":
        large = float(np.finfo(dtype).max)
        ends = st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, large, -large, 1.5, 2.0])
        return st.one_of(ends, st.floats(width=WIDTHS[dtype]))
    low, high = (int(getattr(np.iinfo(dtype), end)) for end in ("min", "max"))
    ends = st.sampled_from([low, low + 1, high - 1, high, 0, 1, 2])
    return st.one_of(ends, st.integers(low, high))


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    size = draw(st.integers(0, 4))

    def column(items: st.SearchStrategy[Any], dtype: str) -> NDArray[Any]:
        return np.array(draw(st.lists(items, min_size=size, max_size=size)), dtype)

    found = {}
    for name, types in TYPES.items():
        dtype = draw(st.sampled_from(types))
        found[name] = column(values(dtype), dtype)
    found["c"], found["d"] = (column(st.booleans(), "bool") for _ in range(2))
    found["t"] = column(st.sampled_from(["ggH", "top", None]), "object")
    return found


def joined(signs: Sequence[str], *sides: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    left, right = sides[0], sides[-1]
    return st.builds("({} {} {})".format, left, st.sampled_from(signs), right)


ORDERS = ("<", "<=", ">", ">=", "==", "!=")
lists = st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3).map(", ".join)


def compared(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        joined(ORDERS, numbers),
        st.builds("({} in [{}])".format, numbers, lists),
        st.builds("({0} {3} {1} {4} {2})".format, *[numbers] * 3, *[st.sampled_from(ORDERS)] * 2),
        st.sampled_from(["c", "d", "t == 'top'", "t in ['top', 'ggH']", "t != t"]),
    )


def grown(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    conditions = compared(numbers)
    both = st.one_of(
        conditions, joined(("and", "or"), conditions), conditions.map("(not {})".format)
    )
    return st.one_of(
        joined(("+", "-", "*"), numbers),
        joined(("+", "-", "*", "/", "%"), numbers),
        st.builds("({} ** {})".format, numbers, st.integers(0, 9)),
        st.builds(
            "({}{})".format, st.sampled_from(["-", "+", "abs", "sqrt"]), numbers.map("({})".format)
        ),
        joined(("&", "|"), st.sampled_from(["u", "i", "3", "-4", "(u | 1)"])),
        both.map("({})".format),
    )


leaves = st.sampled_from(["u", "i", "r", "c", *NUMBERS])
exact = st.recursive(leaves, grown, max_leaves=6)
anything = st.recursive(
    st.sampled_from(["u", "i", "r", "c", "d", "t", "`u`", "'top'", "1.5", *NUMBERS]),
    lambda inner: st.one_of(
        joined(("+", "-", "*", "/", "%", "**", "&", "|", "and", "or", *ORDERS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(ORDERS), inner),
        st.builds("({} not in [{}])".format, inner, st.one_of(lists, st.just("'top'"))),
        st.builds("{}({})".format, st.sampled_from(["-", "~", "not ", *FUNCTIONS]), inner),
        st.builds("arctan2({}, {})".format, inner, inner),
    ),
    max_leaves=8,
)


@pytest.mark.filterwarnings("error")
@SEARCH
@given(anything, tables())
def test_nothing_but_words_is_raised_whatever_the_values(text: str, table: Columns) -> None:
    try:
        expression = parse(text)
    except GrammarError:
        return
    outcomes = []
    for columns in (table, {name: column[:0] for name, column in table.items()}):
        try:
            size = len(columns["u"])
            array = evaluate(expression, looked_up(columns), size).array
        except ExpressionError as error:
            outcomes.append(str(error))
            continue
        assert array.shape == (size,)
        assert array.dtype in (np.bool_, np.int64, np.uint64, np.float64, np.object_)
        outcomes.append("condition" if array.dtype.kind == "b" else "O" * (array.dtype == object))
    assert outcomes[0] == outcomes[1]


class UnknownError(Exception):
    """What Python's numbers do not tell: whole ones are too large, and were rounded."""


def fits(numbers: Sequence[Any]) -> bool:
    whole = [number for number in numbers if isinstance(number, int)]
    return all(-(2**63) <= number < 2**63 for number in whole) or all(
        0 <= number < 2**64 for number in whole
    )


def divided(one: float, other: float) -> float:
    one, other = float(one), float(other)
    if other:
        return one / other
    return (
        math.nan
        if one == 0 or math.isnan(one)
        else math.copysign(math.inf, one) * math.copysign(1, other)
    )


def remains(one: Any, other: Any) -> Any:
    return one % other if other else math.nan


def power(one: Any, other: Any) -> Any:
    if isinstance(one, float) or not 0 <= other < 100:
        raise UnknownError
    return one**other


OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: divided,
    ast.Mod: remains, ast.Pow: power, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.In: lambda one, other: any(one == each for each in other),
}  # fmt: skip
ALONE: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip


def expected(node: ast.AST, table: Columns) -> list[Any]:
    """Return Python's value of each event."""
    found = each_of(node, table)
    if isinstance(node, ast.BinOp) and any(isinstance(number, float) for number in found):
        # One type for all events.
        return [float(number) if fits(found) else raises(UnknownError()) for number in found]
    return found


def raises(error: Exception) -> Any:
    raise error


def operands(node: ast.AST, table: Columns) -> list[Any]:
    found = expected(node, table)
    if not fits(found):
        raise UnknownError
    return found


def each_of(node: ast.AST, table: Columns) -> list[Any]:
    size = len(table["u"])
    match node:
        case ast.Name(id=name):
            return [None if each is None else each for each in table[name].tolist()]
        case ast.Constant(value=value):
            return [value] * size
        case ast.List(elts=items):
            return [tuple(each) for each in zip(*(expected(i, table) for i in items), strict=True)]
        case ast.UnaryOp(op=op, operand=operand):
            return [ALONE[type(op)](each) for each in operands(operand, table)]
        case ast.BinOp(left=left, op=op, right=right):
            pairs = zip(operands(left, table), operands(right, table), strict=True)
            return [OPERATIONS[type(op)](*pair) for pair in pairs]
        case ast.BoolOp(op=op, values=nodes):
            take = operator.and_ if isinstance(op, ast.And) else operator.or_
            found = operands(nodes[0], table)
            for other in nodes[1:]:
                found = [take(*p) for p in zip(found, operands(other, table), strict=True)]
            return found
        case ast.Compare(left=left, ops=ops, comparators=others):
            found = [True] * size
            for sign, one, against in zip(ops, (left, *others), others, strict=False):
                sides = (
                    expected(against, table)
                    if isinstance(against, ast.List)
                    else operands(against, table)
                )
                pairs = zip(operands(one, table), sides, strict=True)
                holds = [
                    # A null differs from everything, itself too.
                    isinstance(sign, ast.NotEq)
                    if pair[0] is None
                    else OPERATIONS[type(sign)](*pair)
                    for pair in pairs
                ]
                found = [a and b for a, b in zip(found, holds, strict=True)]
            return found
        case ast.Call(func=ast.Name(id="abs"), args=[operand]):
            return [abs(each) for each in operands(operand, table)]
        case ast.Call(func=ast.Name(id="sqrt"), args=[operand]):
            return [math.sqrt(each) if each >= 0 else math.nan for each in operands(operand, table)]
    raise AssertionError(ast.dump(node))


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, int) and isinstance(found, int):
        return found == wanted
    try:
        wanted = float(wanted)
    except OverflowError:
        wanted = math.copysign(math.inf, wanted)
    return (
        found == wanted
        or math.isclose(found, wanted, rel_tol=1e-12)
        or (found != found and wanted != wanted)
    )


@SEARCH
@given(exact, tables())
def test_numbers_are_those_of_exact_arithmetic(text: str, table: Columns) -> None:
    try:
        expression = parse(text)
        wanted = expected(expression.tree, table)
    except (GrammarError, UnknownError):
        return
    found = evaluate(expression, lambda name: Values(table[name]), len(table["u"])).array
    if fits(wanted) and all(isinstance(each, int) for each in wanted) and wanted:
        assert found.dtype.kind in "biu"
    assert all(map(same, found.tolist(), wanted)), (found, wanted)
