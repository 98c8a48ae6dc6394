"""Values of expressions, event by event: numbers and texts of columns come in, one array goes out.

Numbers are int64, uint64 or float64 whatever files hold, and never wrap. What is wrong with an
expression follows from what its columns hold, never from their values, so that arrays of no event
show it.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parts.grammar import Expression, written
from parts.readers import quoted
from parts.whole_numbers import (
    common_bits,
    computed,
    magnitude,
    narrowed,
    ordered,
    remainder,
    widened,
)

Holds = Literal["condition", "whole", "real", "text"]
Missing = NDArray[np.bool_] | None

SIGNS: Mapping[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in", ast.And: "and", ast.Or: "or", ast.USub: "-", ast.UAdd: "+",
}  # fmt: skip
PLURALS = {
    "condition": "true or false",
    "whole": "whole numbers",
    "real": "numbers",
    "text": "texts",
}


class ExpressionError(ValueError):
    """An expression does not suit what its columns hold."""


@dataclass(frozen=True)
class Values:
    """Values of a column or an expression, one an event."""

    # (event,): of any numeric type where a column is looked up, of bool, int64, uint64 or float64
    # where an expression was evaluated; of objects for texts: str, or None for a null.
    array: NDArray[Any]
    # (event,): where a value that was used does not exist. None: nowhere.
    missing: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Term:
    """Values of a node; a constant has one for all events, in an array without dimensions."""

    node: ast.expr
    holds: Holds
    array: NDArray[Any]
    missing: Missing = None

    def refused(self, wanted: str) -> ExpressionError:
        """Return what to say where something else is needed."""
        return ExpressionError(
            f"{quoted(written(self.node))} holds {PLURALS[self.holds]}, {wanted}"
        )


def evaluate(expression: Expression, lookup: Callable[[str], Values], size: int) -> Values:
    """Return what an expression gives for `size` events; raises `ExpressionError`.

    `lookup` returns the values of a reference, always of one kind: texts, conditions, whole or real
    numbers. Conditions, and what they combine, are never missing: they look at values as they are.
    """
    columns: dict[str, Term] = {}
    with np.errstate(all="ignore"):
        for name in expression.references:
            values = lookup(name)
            assert values.array.shape == (size,), name
            columns[name] = column_term(name, values)
        found = term_of(expression.tree, columns)
    return Values(found.array, found.missing)


def column_term(name: str, values: Values) -> Term:
    """Return a column's values in a type that holds what is computed with them."""
    node, array = ast.Name(name, ast.Load()), values.array
    if array.dtype.kind == "b":
        return Term(node, "condition", array, values.missing)
    if array.dtype.kind in "OUT":
        return Term(node, "text", array.astype(object, copy=False), values.missing)
    if array.dtype.kind not in "iuf":
        raise ExpressionError(f"{quoted(written(node))} holds neither numbers nor texts")
    holds: Holds = "real" if array.dtype.kind == "f" else "whole"
    return Term(node, holds, widened(array), values.missing)


def term_of(node: ast.expr, columns: Mapping[str, Term]) -> Term:
    """Return the values of a node of an expression's tree."""
    match node:
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=value):
            return constant_term(node, value)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            term = term_of(operand, columns)
            if term.holds != "condition":
                raise term.refused("not true or false; compare it, as in process == 1")
            return Term(node, "condition", np.logical_not(term.array))
        case ast.UnaryOp(op=op, operand=operand):
            return signed_term(node, SIGNS[type(op)], term_of(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            terms = [term_of(left, columns), term_of(right, columns)]
            return arithmetic_term(node, SIGNS[type(op)], *terms)
        case ast.BoolOp(op=op, values=operands):
            terms = [term_of(operand, columns) for operand in operands]
            return logic_term(node, SIGNS[type(op)], terms)
        case ast.Compare():
            return comparison_term(node, columns)
        case ast.Call(func=ast.Name(id=name), args=operands):
            return function_term(node, name, [term_of(each, columns) for each in operands])
    raise AssertionError(node)


def constant_term(node: ast.expr, value: Any) -> Term:
    """Return a constant in the type that holds it; larger whole numbers are rounded."""
    if isinstance(value, str):
        return Term(node, "text", np.asarray(value, dtype=object))
    if isinstance(value, int) and value < 2**64:
        return Term(node, "whole", np.asarray(value, np.int64 if value < 2**63 else np.uint64))
    return Term(node, "whole" if isinstance(value, int) else "real", np.asarray(float(value)))


def number_of(term: Term) -> NDArray[Any]:
    """Return values as numbers: conditions count 0 and 1."""
    if term.holds == "text":
        raise term.refused("not numbers")
    return widened(term.array) if term.holds == "condition" else term.array


def missing_of(*terms: Term) -> Missing:
    """Return where any of the values does not exist."""
    known = [term.missing for term in terms if term.missing is not None]
    return reduce(np.logical_or, known) if known else None


def signed_term(node: ast.expr, sign: str, term: Term) -> Term:
    """Return + or - of numbers; a constant keeps its bits."""
    array = number_of(term)
    holds = term.holds if isinstance(term.node, ast.Constant) else "real"
    if sign == "-":
        # Not 0 - x, which loses the sign of a zero.
        array = -array if array.dtype.kind == "f" else computed("-", np.zeros_like(array), array)
    return Term(node, holds, array, term.missing)


def arithmetic_term(node: ast.expr, sign: str, one: Term, other: Term) -> Term:
    """Return + - * / % or ** of numbers."""
    first, second = number_of(one), number_of(other)
    if sign == "/":
        array = np.true_divide(first.astype(np.float64), second.astype(np.float64))
    elif sign == "%":
        array = remainder(first, second)
    else:
        array = computed(sign, first, second)
    return Term(node, "real", array, missing_of(one, other))


def logic_term(node: ast.expr, sign: str, terms: list[Term]) -> Term:
    """Return `and` or `or` of conditions, or of the bits of whole numbers, as pandas does."""
    kinds = {term.holds: term for term in terms}
    for wrong in ("text", "real"):
        if wrong in kinds:
            raise kinds[wrong].refused("not true or false")
    arrays = [term.array for term in terms]
    if kinds.keys() == {"condition"}:
        operation = np.logical_and if sign == "and" else np.logical_or
        return Term(node, "condition", reduce(operation, arrays))
    if "condition" in kinds:
        condition = quoted(written(kinds["condition"].node))
        wanted = f"and {condition} true or false: '{sign}' takes two of a kind"
        raise kinds["whole"].refused(wanted)
    array = reduce(lambda one, other: common_bits(sign, one, other), arrays)
    return Term(node, "whole", array, missing_of(*terms))


def comparison_term(node: ast.Compare, columns: Mapping[str, Term]) -> Term:
    """Return comparisons, of which a chain needs all."""
    found = []
    one = term_of(node.left, columns)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        sign = SIGNS[type(op)]
        if isinstance(comparator, ast.List):
            items = [term_of(item, columns) for item in comparator.elts]
            among = reduce(np.logical_or, [compared("==", one, item, node) for item in items])
            found.append(among if sign == "in" else np.logical_not(among))
        else:
            other = term_of(comparator, columns)
            found.append(compared(sign, one, other, node))
            one = other
    return Term(node, "condition", reduce(np.logical_and, found))


def compared(sign: str, one: Term, other: Term, node: ast.Compare) -> NDArray[np.bool_]:
    """Return a comparison of numbers, or of texts; a null is equal to nothing."""
    texts = [term for term in (one, other) if term.holds == "text"]
    if not texts:
        return ordered(sign, number_of(one), number_of(other))
    if len(texts) == 1:
        other = one if texts[0] is other else other
        what = f"and {quoted(written(other.node))} {PLURALS[other.holds]}"
        raise texts[0].refused(f"{what}: {quoted(written(node))} compares them")
    if sign not in ("==", "!="):
        raise texts[0].refused(f"which == != and in [..] compare, not {sign}")
    equal = np.asarray(one.array == other.array, dtype=np.bool_)
    if one.array.ndim and other.array.ndim:
        equal &= np.asarray(one.array != np.asarray(None), dtype=np.bool_)
    return equal if sign == "==" else np.logical_not(equal)


def function_term(node: ast.expr, name: str, terms: list[Term]) -> Term:
    """Return a function of numbers; all but `abs` are of real ones."""
    arrays = [number_of(term) for term in terms]
    if name == "abs" and arrays[0].dtype.kind != "f":
        array = narrowed(magnitude(arrays[0]))
    else:
        array = getattr(np, name)(*(each.astype(np.float64, copy=False) for each in arrays))
    return Term(node, "real", array, missing_of(*terms))
