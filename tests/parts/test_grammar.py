"""What expressions may say, and what follows from their text alone."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.grammar import FUNCTIONS, HINT, GrammarError, form, parse, written


def refusal(text: str) -> GrammarError:
    with pytest.raises(GrammarError) as raised:
        parse(text)
    assert raised.value.message.isascii()
    assert raised.value.message.isprintable()
    assert str(raised.value) == raised.value.message
    return raised.value


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("b + a * b", ("a", "b")),
        ("`jet.pt` > 30", ("jet.pt",)),
        ("`INPUTS/Met/met`", ("INPUTS/Met/met",)),
        ("`lead jet-pt` > `a`and b", ("a", "b", "lead jet-pt")),
        ("`class` + `None` + `__import__`", ("None", "__import__", "class")),
        ("`a & b | c` == 1", ("a & b | c",)),
        ("`it's` == 'a' and `that's` == 'b'", ("it's", "that's")),
        ("jet_pt[0] > 30", ("jet_pt[0]",)),
        ("`jet.pt`[12] > jet_pt", ("jet.pt[12]", "jet_pt")),
        ("sqrt(sqrt) + exp", ("exp", "sqrt")),
        ("_0 + __0 + `a`", ("_0", "__0", "a")),
        ("  a > 1  ", ("a",)),
    ],
)
def test_references_are_columns_and_elements_of_lists(
    text: str, references: tuple[str, ...]
) -> None:
    assert parse(text).references == references
    assert parse(text).text == text


@pytest.mark.parametrize(
    "literal", ["'`a` & b | ~c'", '"`"', "'it\\'s `'", "'''a'b`c`'''", "r'\\d`'", "'#`'"]
)
def test_texts_are_taken_as_they_are(literal: str) -> None:
    assert parse(f"kind == {literal}").references == ("kind",)
    value = ast.literal_eval(literal)
    assert written(parse(f"kind == {literal}").tree) == f"kind == {value!r}"


@pytest.mark.parametrize(
    ("loose", "strict"),
    [
        ("a > 0 & b > 1", "(a > 0) and (b > 1)"),
        ("a > 0|b > 1&n > 0", "a > 0 or (b > 1 and n > 0)"),
        ("not a > 0 & b > 1", "(not a > 0) and b > 1"),
        ("(flags & 4) > 0", "(flags and 4) > 0"),
        ("~(a > 0) & flag", "~(a > 0) and flag"),
        ("~flag == 1", "(~flag) == 1"),
    ],
)
def test_and_or_have_signs_that_bind_as_they_do(loose: str, strict: str) -> None:
    assert written(parse(loose).tree) == written(parse(strict).tree)


@pytest.mark.parametrize(
    "text",
    ["`jet.pt` > 30", "`a b`[0] / c[1]", "`class` in [1, -2]", "~`x-y` or z", "kind != 'a`b'"],
)
def test_what_is_written_is_read_as_the_same_again(text: str) -> None:
    assert written(parse(text).tree) == text
    assert parse(written(parse(text).tree)).references == parse(text).references


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("a", None),
        ("`jet.pt`[0]", None),
        ("a and b", None),
        ("a > 1", "condition"),
        ("not a", "condition"),
        ("~a", "condition"),
        ("a and b > 1", "condition"),
        ("n in [1, 2]", "condition"),
        ("(a > 1) == (b > 1)", "condition"),
        ("a & 4", "number"),
        ("a | -2", "number"),
        ("(a & 4) | b", "number"),
        ("-a", "number"),
        ("(a > 1) + (b > 1)", "number"),
        ("abs(a)", "number"),
    ],
)
def test_what_an_expression_gives_follows_from_its_text(text: str, gives: str | None) -> None:
    assert form(parse(text)) == gives


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("jet.pt > 30", "'jet.pt' is not allowed", "`jet.pt`"),
        ("a.b.c[0] > 30", "'a.b.c' is not allowed", "`a.b.c`"),
        ("`a b`.c > 30", "is not allowed", HINT),
        ("`jet.pt > 30", "a backtick is not closed", "`"),
        ("a > 1 ` ", "a backtick is not closed", "`"),
        ("`` > 30", "is empty", "`the name of a column`"),
        ("`  ` > 30", "is empty", "`the name of a column`"),
        ("`a``b`", "is not an expression", HINT),
        ("(a & 99999999999999999999) > 0", "nor a column of whole numbers", "compare"),
        ("a[-1]", "'a[-1]' is not allowed", "jet_pt[0]"),
        ("a[b]", "'a[b]' is not allowed", "jet_pt[0]"),
        ("a[True]", "'a[True]' is not allowed", "jet_pt[0]"),
        ("a[0:2]", "'a[0:2]' is not allowed", "jet_pt[0]"),
        ("a['x']", "is not allowed", "jet_pt[0]"),
        ("a[0][1]", "'a[0][1]' is not allowed", "jet_pt[0]"),
        ("a[9999999]", "'a[9999999]' is not allowed", "jet_pt[0]"),
        ("sqrt(a)[0]", "'sqrt(a)[0]' is not allowed", "jet_pt[0]"),
        ("1 in process", "'1 in process' is not allowed", "process in [1, 2]"),
        ("a in 'abc'", "is not allowed", "process in [1, 2]"),
        ("a in (1, 2)", "is not allowed", "process in [1, 2]"),
        ("[1] == a", "is not allowed", "process in [1, 2]"),
        ("a in [1] == b", "is not allowed", "process in [1, 2]"),
        ("[weight]", "'[weight]' is not a list that is possible", "process in [1, 2]"),
        ("sqrt([a])", "'[a]' is not a list that is possible", "process in [1, 2]"),
        ("a in []", "'[]' is not a list that is possible", "process in [1, 2]"),
        ("a in [b]", "'[b]' is not a list that is possible", "process in [1, 2]"),
        ("a in [-'x']", "is not a list that is possible", "process in [1, 2]"),
        ("a == True", "'True' is not allowed", "not flag"),
        ("a == None", "'None' is not allowed", HINT),
        ("a == 1j", "'1j' is not allowed", HINT),
        ("a == b'x'", "is not allowed", HINT),
        ("a == ...", "'...' is not allowed", HINT),
        ("a == f'{a}'", "is not allowed", HINT),
        ("a * 1e999", "too large a number", "1.79e308"),
        ("a * " + "9" * 400, "too large a number", "1.79e308"),
        ("a // 2", "'a // 2' is not allowed", HINT),
        ("a ^ 2", "'a ^ 2' is not allowed", HINT),
        ("a is b", "'a is b' is not allowed", HINT),
        ("`a b` // `c d`", "'`a b` // `c d`' is not allowed", HINT),
        ("lambda: a", "is not allowed", HINT),
        ("(a := 1)", "is not allowed", HINT),
        ("a && b", "is not an expression", HINT),
        ("a = 1", "is not an expression", HINT),
        ("", "is not an expression", HINT),
        ("(" * 300 + "a", "is not an expression", HINT),
        ("-" * 900 + "a", "an expression", ""),
        ("open(a)", "'open(a)' is not a call", HINT),
        ("`open`(a)", "'open(a)' is not a call", HINT),
        ("a.b(1)", "'a.b(1)' is not a call", HINT),
        ("sqrt(a, b)", "is not a call", HINT),
        ("arctan2(a)", "is not a call", HINT),
        ("sqrt(x=a)", "is not a call", HINT),
        ("1 + 1", "uses no column", HINT),
        ("sqrt(2)", "uses no column", HINT),
        ("a > 1\n", "one line", HINT),
        ("\u00e9 > 1", "plain ASCII", HINT),
        ("a" * 1001, "at most 1000", HINT),
        ("+".join("a" * 150), "nested too deeply", "100"),
        ("a == 1 or 2", "'2' is not true or false", "in [1, 2]"),
        ("a > 1 and b + 1", "'b + 1' is not true or false", "compare"),
        ("a > 1 and 'x'", "\"'x'\" is not true or false", "compare"),
        ("a and 'x'", "\"'x'\" is not true or false", "compare"),
        ("not (a + 1)", "'a + 1' is not true or false", "compare"),
        ("not 1 == a and not 2", "'2' is not true or false", "compare"),
        ("a & 1.5", "'1.5' is neither", "compare"),
        ("a + b & 4", "'a + b' is neither", "compare"),
        ("'x' + a", "\"'x'\" is a text", ""),
        ("-(-'x') == a", "\"'x'\" is a text", ""),
        ("sqrt('x') * a", "\"'x'\" is a text", ""),
        ("a < 'x'", "orders texts", "=="),
        ("a in [1, 'x']", "compares a text with a number", ""),
        ("a + 1 == 'x'", "compares a text with a number", ""),
        ("a > 1 > 'x'", "compares a text with a number", ""),
    ],
)
def test_what_is_no_expression_is_refused_in_words(text: str, message: str, hint: str) -> None:
    found = refusal(text)
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_as_many_arguments_as_they_have(name: str) -> None:
    right, wrong = ("a, b", "a") if name == "arctan2" else ("a", "a, b")
    assert parse(f"{name}({right})").references
    assert "is not a call" in refusal(f"{name}({wrong})").message


def test_an_expression_is_understood_once() -> None:
    assert parse("a + b") is parse("a + b")


WORDS = (*"ab`'\"()[]{}&|~+-*/%<>=!.,:#\\ 019", "and", "or", "not ", " in ", "sqrt", "a.b", "`a b`")


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except GrammarError:
        return
    assert form(expression) in ("condition", "number", "text", None)
    assert parse(written(expression.tree)).references == expression.references


def test_chains_within_chains_are_read_once() -> None:
    """If each were read twice, 45 of them would take for ever."""
    assert parse("1 < (" * 45 + "x" + ") < 2" * 45).references == ("x",)
