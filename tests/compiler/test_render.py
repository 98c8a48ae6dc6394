import subprocess
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from seesawc.writing.literals import Verbatim
from seesawc.writing.render import Templates


def rendered(folder: Path, template: str, **values: object) -> str:
    (folder / "t.jinja").write_text(template)
    return Templates(folder).render("t.jinja", values)


def test_a_value_without_a_filter_never_reaches_the_text(tmp_path: Path) -> None:
    for value in ("x", 1, 1.5, None, [1]):
        with pytest.raises(TypeError, match="reaches a template without a filter"):
            rendered(tmp_path, "{{ value }}", value=value)


def test_a_name_that_is_not_given_is_an_internal_fault(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="without a filter"):
        rendered(tmp_path, "{{ vlaue }}", value=1)
    with pytest.raises(UndefinedError):
        rendered(tmp_path, "{{ vlaue.name | py }}", value=1)
    with pytest.raises(UndefinedError):
        rendered(tmp_path, "{% if vlaue %}x{% endif %}", value=1)


def test_text_of_our_own_is_not_quoted(tmp_path: Path) -> None:
    assert rendered(tmp_path, "x = {{ value }}\n", value=Verbatim("f(1)")) == "x = f(1)\n"


@pytest.mark.parametrize("value", ["{{ 1 + 1 }}", "{% raw %}", "{# c #}", "<b>&amp;"])
def test_what_a_value_holds_is_never_read_as_a_template(value: str, tmp_path: Path) -> None:
    assert rendered(tmp_path, "{{ value | py }}", value=value) == f'"{value}"'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "caf\u00e9's \\ 1",
        "a b",
        "it's",
        '"',
        "$HOME",
        "`x`",
        "$(x)",
        "\\",
        "a\nb",
        "!x",
        "*",
        "~",
        "-n",
    ],
)
def test_the_shell_sees_a_quoted_value_as_it_is(value: str, tmp_path: Path) -> None:
    text = rendered(tmp_path, "printf '%s' {{ value | sh }}", value=value)
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == value


@pytest.mark.parametrize(
    "value",
    [
        "${PLACE}/a b",
        "a/${PLACE}/*",
        "${PLACE}'s",
        "${PLACE}${PLACE}",
        "plain's",
        "~/x",
        '${PLACE}"',
        "${PLACE}`x`",
    ],
)
def test_the_shell_expands_names_in_a_place_and_nothing_else(value: str, tmp_path: Path) -> None:
    text = rendered(tmp_path, "printf '%s' {{ value | place }}", value=value)
    environment = {"PLACE": "/x y; *", "PATH": "/usr/bin:/bin", "HOME": "/root"}
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == value.replace("${PLACE}", "/x y; *")


@pytest.mark.parametrize("value", ["${PLACE}$(x)", "${PLACE}$x", "${PLACE}\\"])
def test_a_place_that_no_rule_lets_through_is_an_internal_fault(value: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="checked by the rule"):
        rendered(tmp_path, "{{ value | place }}", value=value)


@pytest.mark.parametrize("value", ["a b", "a;b", "#x", "a'b", "$x", "", "a\nb"])
@pytest.mark.parametrize("kind", ["name", "directive"])
def test_names_and_directives_hold_nothing_to_quote(value: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="checked by the"):
        rendered(tmp_path, f"{{{{ value | {kind} }}}}", value=value)


def test_numbers_are_numbers(tmp_path: Path) -> None:
    assert rendered(tmp_path, "--nodes={{ value | number }}", value=2) == "--nodes=2"
    with pytest.raises(ValueError, match="invalid literal"):
        rendered(tmp_path, "{{ value | number }}", value="2; rm")


def test_only_ascii_is_written(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ASCII"):
        rendered(tmp_path, "{{ value }}", value=Verbatim("\N{LATIN SMALL LETTER E WITH ACUTE}"))
    text = rendered(tmp_path, "{{ value | py }}", value="\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert text == '"\\xe9"'


def test_blocks_leave_no_empty_lines(tmp_path: Path) -> None:
    template = "a\n    {% if on %}\nb\n    {% endif %}\nc\n"
    assert rendered(tmp_path, template, on=True) == "a\nb\nc\n"
    assert rendered(tmp_path, template, on=False) == "a\nc\n"
