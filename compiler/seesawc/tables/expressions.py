"""Expressions over columns, as options: what a selection, a weight and a derived column must be.

Their grammar is that of `parts.grammar`, which scripts read them with.
"""

from collections.abc import Collection
from typing import Annotated

from parts.grammar import Form, GrammarError, form, parse
from seesawc.tables.values import Rule, WrongValue


def columns(expression: str) -> tuple[str, ...]:
    """Return the columns, and elements of lists, that an expression uses, in order."""
    return parse(expression).references


def _gives(forms: Collection[Form | None], message: str, hint: str) -> Rule:
    """Return the rule of what an expression gives; None: its columns decide that."""

    def check(value: str) -> None:
        try:
            found = form(parse(value))
        except GrammarError as error:
            raise WrongValue(error.message, error.hint) from error
        if found not in forms:
            raise WrongValue(f"{value!a} is {message}", hint)

    return Rule(check)


Selection = Annotated[
    str,
    _gives(("condition", None), "not true or false for an event", "compare: process == 1"),
]
Weight = Annotated[
    str, _gives(("number", None), "true or false, not a weight", "weight * scale_factor")
]
Derived = Annotated[
    str, _gives(("number", "condition", None), "a text, not a number", "lep1_pt / lep2_pt")
]
