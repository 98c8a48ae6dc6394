"""The grammar of selections, weights and derived columns: a text comes in, what it says goes out.

It is Python's, without whatever is not arithmetic, comparison or logic, so that an expression can
neither call nor reach anything. Names of columns may stand in backticks, and & and | are `and` and
`or`, as in pandas' `query`.
"""

import ast
import copy
import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Form = Literal["condition", "number", "text"]

FUNCTIONS = ("abs", "sqrt", "exp", "log", "log10", "sin", "cos", "tan", "arctan2", "sinh", "cosh")
ALLOWED = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.Invert, ast.BinOp,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.Compare, ast.Eq, ast.NotEq, ast.Lt,
    ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.List, ast.Name, ast.Load, ast.Constant,
    ast.Call, ast.Subscript,
)  # fmt: skip
MAX_LENGTH = 1000
MAX_DEPTH = 100
# Of an element of a list: further ones are no element of an event, and might be no int64.
MAX_INDEX = 999_999
HINT = (
    "columns (`any name` in backticks), numbers, texts, + - * / % **, comparisons, in [..], and,"
    " or, not, and " + ", ".join(FUNCTIONS)
)
COMPARE = "compare: process == 1, process in [1, 2]"
# Text literals and comments, which stay as they are; names in backticks; pandas' & and |.
TOKENS = re.compile(
    r"""(?P<literal>(?P<mark>'''|\"\"\"|'|")(?:\\.|(?!(?P=mark)).)*(?P=mark)|\#.*)"""
    r"""|`(?P<name>[^`]*)`|(?P<other>[`&|])"""
)
REFERENCE = re.compile(r"(?P<column>.+?)(?P<element>\[\d+\])?")


class GrammarError(ValueError):
    """A text that is no expression: the message, and what would be right."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Expression:
    """A text that has been understood; in its tree, an `ast.Name` is a reference or a function."""

    text: str
    tree: ast.expr
    # Columns, and elements of lists such as "jet_pt[0]": in alphabetical order, each once.
    references: tuple[str, ...]


@cache
def parse(text: str) -> Expression:
    """Return what a text says; raises `GrammarError`."""
    if not text.isascii() or not text.isprintable() or len(text) > MAX_LENGTH:
        message = f"an expression is one line of at most {MAX_LENGTH} plain ASCII characters"
        raise GrammarError(message, HINT)
    python, columns = without_backticks(text)
    try:
        tree = ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise GrammarError(f"{text!a} is not an expression", HINT) from error
    if depth(tree) > MAX_DEPTH:
        raise GrammarError("an expression nested too deeply", f"at most {MAX_DEPTH} levels")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = columns.get(node.id, node.id)
    check_node(tree, tree)
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            check_node(node, parent)
    tree = Elements().visit(tree)
    references = tuple(sorted(set(used(tree))))
    if not references:
        raise GrammarError(f"{text!a} uses no column", HINT)
    form_of(tree)
    return Expression(text, tree, references)


def form(expression: Expression) -> Form | None:
    """Return what an expression gives; None: what its columns hold decides that."""
    return form_of(expression.tree)


def with_origins(names: Iterable[str], derived: Mapping[str, str]) -> Iterator[str]:
    """Yield names and what those that are derived are derived from, each once."""
    seen: set[str] = set()
    left = list(names)[::-1]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in derived:
            left += parse(derived[name]).references[::-1]


def written(node: ast.AST) -> str:
    """Return what a node of an expression's tree looks like, with its backticks."""
    node = copy.deepcopy(node)
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and (parts := REFERENCE.fullmatch(each.id)):
            column, element = parts["column"], parts["element"] or ""
            plain = column.isidentifier() and not keyword.iskeyword(column)
            each.id = (column if plain else f"`{column}`") + element
    return ast.unparse(node)


def without_backticks(text: str) -> tuple[str, dict[str, str]]:
    """Return a text as Python reads it, and the columns that names invented for it stand for."""
    stem = "_"
    while stem in text:
        stem += "_"
    columns: dict[str, str] = {}

    def replaced(token: re.Match[str]) -> str:
        if token["literal"]:
            return token[0]
        if token["other"] == "`":
            raise GrammarError(f"a backtick is not closed in {text!a}", "`the name of a column`")
        if token["other"]:
            return " and " if token["other"] == "&" else " or "
        name = token["name"]
        if not name.strip():
            message = f"a name in backticks is empty in {text!a}"
            raise GrammarError(message, "`the name of a column`")
        invented = f"{stem}{len(columns)}"
        columns[invented] = name
        return f" {invented} "

    return TOKENS.sub(replaced, text), columns


def depth(tree: ast.AST) -> int:
    """Return the levels of nesting, without recursion."""
    levels, level = 1, [tree]
    while level := [child for node in level for child in ast.iter_child_nodes(node)]:
        levels += 1
    return levels


def used(tree: ast.expr) -> Iterator[str]:
    """Yield the references of a tree."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in called:
            yield node.id


class Elements(ast.NodeTransformer):
    """Makes of `jet_pt[0]` one name."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Return the name of an element, in place of the list and its index."""
        return ast.Name(f"{ast.unparse(node.value)}[{ast.unparse(node.slice)}]", ast.Load())


def check_node(node: ast.AST, parent: ast.AST) -> None:
    """Refuse a node; an operator, which is no expression itself, is shown with what it is in."""
    fault, hint = None, HINT
    match node:
        case ast.Attribute():
            fault = "allowed in"
            if re.fullmatch(r"\w+(\.\w+)+", name := ast.unparse(node)):
                hint = f"a name that is not plain stands in backticks: `{name}`"
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not abs(value) <= sys.float_info.max:
                raise GrammarError("an expression with too large a number", "at most 1.79e308")
        case ast.Constant(value=value) if not isinstance(value, str):
            fault = "allowed in"
            if isinstance(value, bool):
                hint = "a column of true and false stands alone: flag, not flag"
        case ast.Subscript(value=value, slice=index):
            if not isinstance(value, ast.Name | ast.Attribute) or not is_index(index):
                fault, hint = "allowed in", "an element of a list: jet_pt[0] is the first one"
        case ast.List(elts=items):
            among = isinstance(parent, ast.Compare) and node in parent.comparators
            if not among or not items or not all(map(is_constant, items)):
                fault, hint = "a list that is possible in", "process in [1, 2]"
        case ast.Compare():
            if not lists_are_right(node):
                fault, hint = "allowed in", "process in [1, 2]"
        case ast.Call(func=function, args=arguments, keywords=named):
            name = function.id if isinstance(function, ast.Name) else ""
            if name not in FUNCTIONS or named or len(arguments) != 1 + (name == "arctan2"):
                fault = "a call that is possible in"
        case _ if not isinstance(node, ALLOWED):
            fault = "allowed in"
    if fault:
        text = written(node if isinstance(node, ast.expr) else parent)
        raise GrammarError(f"{text!a} is not {fault} an expression", hint)


def is_index(node: ast.expr) -> bool:
    """Whether a node is a whole number that counts from 0."""
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value <= MAX_INDEX


def is_constant(node: ast.expr) -> bool:
    """Whether a node is a number, perhaps with a sign, or a text."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float())):
            return True
    return isinstance(node, ast.Constant)


def lists_are_right(node: ast.Compare) -> bool:
    """Whether a list stands to the right of each `in` and nowhere else."""
    belongs = [isinstance(op, ast.In | ast.NotIn) for op in node.ops]
    there = [isinstance(operand, ast.List) for operand in (node.left, *node.comparators)]
    return there[1:] == belongs and not any(there[:-1])


@cache
def form_of(node: ast.expr) -> Form | None:
    """Return what a node gives; raises `GrammarError` for what no column can make right.

    Each node once: chains ask twice for what stands between two signs, and so would chains in them.
    """
    match node:
        case ast.Constant(value=value):
            return "text" if isinstance(value, str) else "number"
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            if form_of(operand) in ("number", "text"):
                raise GrammarError(f"{written(operand)!a} is not true or false", COMPARE)
            return "condition"
        case ast.BoolOp(values=operands):
            return form_of_logic(operands)
        case ast.Compare(left=left, ops=ops, comparators=others):
            for op, one, other in zip(ops, (left, *others), others, strict=False):
                check_comparison(node, op, one, other)
            return "condition"
        case ast.BinOp(left=left, right=right):
            return form_of_arithmetic([left, right])
        case ast.UnaryOp(operand=operand):
            return form_of_arithmetic([operand])
        case ast.Call(args=operands):
            return form_of_arithmetic(operands)
    return None


def form_of_arithmetic(operands: list[ast.expr]) -> Form:
    """Return what arithmetic gives; conditions count 0 and 1 in it."""
    for operand in operands:
        if form_of(operand) == "text":
            raise GrammarError(f"{written(operand)!a} is a text, not a number", HINT)
    return "number"


def form_of_logic(operands: list[ast.expr]) -> Form | None:
    """Return what `and` and `or` give: of whole numbers they take the bits, as pandas does."""
    forms = {form_of(operand): operand for operand in operands}
    if "condition" in forms or "text" in forms:
        for wrong in ("text", "number"):
            if operand := forms.get(wrong):
                raise GrammarError(f"{written(operand)!a} is not true or false", COMPARE)
        return "condition"
    for operand in operands:
        if not has_bits(operand):
            message = f"{written(operand)!a} is neither true or false nor a column of whole numbers"
            raise GrammarError(message, COMPARE)
    return "number" if "number" in forms else None


def has_bits(node: ast.expr) -> bool:
    """Whether a node may have the bits of a whole number; what is computed may be too large."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        node = node.operand
    if isinstance(node, ast.Constant):
        return type(node.value) is int and node.value < 2**64
    return isinstance(node, ast.Name | ast.BoolOp)


def check_comparison(node: ast.Compare, op: ast.cmpop, one: ast.expr, other: ast.expr) -> None:
    """Refuse what compares texts with numbers, or asks which text is larger."""
    items = other.elts if isinstance(other, ast.List) else [other]
    forms = {form_of(each) for each in (one, *items)} - {None}
    if "text" in forms and len(forms) > 1:
        raise GrammarError(f"{written(node)!a} compares a text with a number", "kind == 'ggH'")
    if "text" in forms and not isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
        raise GrammarError(f"{written(node)!a} orders texts", "== != in [..] compare texts")
