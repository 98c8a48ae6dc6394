"""Expressions over columns, for selections and weights: what is allowed, and what they use.

pandas evaluates them when the script runs. Python's grammar is parsed here to refuse whatever is
not arithmetic, comparison or logic, so that an expression can neither call nor reach anything.
"""

import ast
from typing import Annotated

from seesawc.tables.values import Rule, WrongValue

FUNCTIONS = ("abs", "sqrt", "exp", "log", "log10", "sin", "cos", "tan", "arctan2", "sinh", "cosh")
ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd,
    ast.Invert, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd,
    ast.BitOr, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
    ast.List, ast.Name, ast.Load, ast.Constant, ast.Call,
)  # fmt: skip
MAX_DEPTH = 100
HINT = (
    "columns, numbers, texts, + - * / % **, comparisons, in [..], and, or, not, and "
    + ", ".join(FUNCTIONS)
)


def columns(expression: str) -> tuple[str, ...]:
    """Return the columns that an expression uses, in alphabetical order."""
    tree = ast.parse(expression.strip(), mode="eval")
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}
    return tuple(sorted(names))


def is_comparison(expression: str) -> bool:
    """Whether an expression gives true or false for each event."""
    return _is_logical(ast.parse(expression.strip(), mode="eval").body)


def _is_logical(node: ast.expr) -> bool:
    match node:
        case ast.BoolOp(values=values):
            return all(map(_is_logical, values))
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            return _is_logical(operand)
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr(), right=right):
            return _is_logical(left) and _is_logical(right)
        case ast.Compare():
            return True
    return False


def _check(value: str) -> None:
    if not value.isascii() or not value.isprintable() or len(value) > 1000:
        raise WrongValue("an expression is one line of at most 1000 plain ASCII characters", HINT)
    try:
        tree = ast.parse(value.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise WrongValue(f"{value!a} is not an expression", HINT) from error
    if _depth(tree) > MAX_DEPTH:
        raise WrongValue("an expression nested too deeply", f"at most {MAX_DEPTH} levels")
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            _check_node(node, parent)
    if not columns(value.strip()):
        raise WrongValue(f"{value!a} uses no column", HINT)


def _depth(tree: ast.AST) -> int:
    """Return the levels of nesting, without recursion."""
    depth, level = 0, [tree]
    while level := [child for node in level for child in ast.iter_child_nodes(node)]:
        depth += 1
    return depth


def _check_node(node: ast.AST, parent: ast.AST) -> None:
    """Refuse a node; an operator, which is no expression itself, is shown with what it is in."""
    fault = None
    known = not isinstance(node, ast.Constant) or isinstance(node.value, int | float | str)
    if not isinstance(node, ALLOWED) or not known:
        fault = "allowed in"
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        # pandas would take one argument more or less without a word.
        wanted = 2 if name == "arctan2" else 1
        if name not in FUNCTIONS or node.keywords or len(node.args) != wanted:
            fault = "a call that is possible in"
    if fault:
        text = ast.unparse(node if isinstance(node, ast.expr) else parent)
        raise WrongValue(f"{text!a} is not {fault} an expression", HINT)


def _selection(value: str) -> None:
    _check(value)
    if not is_comparison(value.strip()):
        raise WrongValue(f"{value!a} is not true or false for an event", "compare: process == 1")


def _weight(value: str) -> None:
    _check(value)
    if is_comparison(value.strip()):
        raise WrongValue(f"{value!a} is true or false, not a weight", "weight * scale_factor")


Selection = Annotated[str, Rule(_selection)]
Weight = Annotated[str, Rule(_weight)]
