import datetime
import os
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from seesawc.diagnostics import CompileError, Diagnostic, draw
from seesawc.reading.positions import Key, scan
from seesawc.reading.source import MAX_BYTES, MAX_LINE, Source, parse, read


def faults(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        parse(text, "spec.toml")
    return caught.value.diagnostics


def only(text: str) -> tuple[str, int, int]:
    (fault,) = faults(text)
    assert fault.span
    assert draw(fault).startswith(f"spec.toml:{fault.span.line}:{fault.span.column}: error: ")
    return fault.message, fault.span.line, fault.span.column


def spelled(source: Source, key: Key, part: Any = "value") -> str:
    span, line = source.at(key, part)
    assert line == source.text.split("\n")[span.line - 1].rstrip("\r").replace("\t", " ")
    return line[span.column - 1 : span.column - 1 + span.length]


def paths(value: Any, key: Key = ()) -> set[Key]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return {key}.union(*(paths(item, (*key, name)) for name, item in items))


LAYOUT = """\
# e+e- -> Z, p_T in GeV, Žiga
task = 'signal'
"odd key".'x' . y = \"\"\"two
lines\"\"\"
day = 1979-05-27 07:32:00
[dataset_config]
split = { train = 0.6, rest.test = -1e-3 }
files = [ # comment, with ] and "
  "a#b", 'c"]',
  [1, 2, {deep = [true]}],
]
[[dataset_config.samples]]
name = "ggH"
[dataset_config.samples.cuts]
pt = 20
[[dataset_config.samples]]
\tname = "qqZZ"
[dataset_config.samples.cuts]
pt = 30
[[dataset_config.samples.files]]
x = '''a''''
"""


@pytest.mark.parametrize(
    ("key", "part", "line", "spelling"),
    [
        (("task",), "value", 2, "'signal'"),
        (("task",), "key", 2, "task"),
        (("odd key", "x", "y"), "value", 3, '"""two'),
        (("odd key", "x", "y"), "key", 3, "y"),
        (("odd key", "x"), "value", 3, "\"odd key\".'x'"),
        (("day",), "value", 5, "1979-05-27 07:32:00"),
        (("dataset_config",), "value", 6, "[dataset_config]"),
        (("dataset_config",), "key", 6, "dataset_config"),
        (("dataset_config", "split", "rest", "test"), "value", 7, "-1e-3"),
        (("dataset_config", "files", 1), "value", 9, "'c\"]'"),
        (("dataset_config", "files", 2, 2, "deep", 0), "value", 10, "true"),
        (("dataset_config", "samples"), "value", 12, "[[dataset_config.samples]]"),
        (("dataset_config", "samples", 0, "cuts", "pt"), "value", 15, "20"),
        (("dataset_config", "samples", 1), "value", 16, "[[dataset_config.samples]]"),
        (("dataset_config", "samples", 1, "name"), "key", 17, "name"),
        (("dataset_config", "samples", 1, "cuts", "pt"), "value", 19, "30"),
        (("dataset_config", "samples", 1, "files", 0, "x"), "value", 21, "'''a''''"),
    ],
)
def test_every_layout_is_found_where_it_stands(
    key: Key, part: str, line: int, spelling: str
) -> None:
    source = parse(LAYOUT, "spec.toml")
    assert source.at(key, part)[0].line == line  # type: ignore[arg-type]  # a Literal
    assert spelled(source, key, part) == spelling


@pytest.mark.parametrize(
    ("key", "spelling"),
    [
        (("dataset_config", "missing"), "[dataset_config]"),
        (("dataset_config", "samples", 1, "weight"), "[[dataset_config.samples]]"),
        (("dataset_config", "split", "validation"), "split"),
        (("dataset_config", "files", 9), "files"),
        (("nowhere", "at", "all"), "# e+e- -> Z, p_T in GeV, Žiga"),
        ((), "# e+e- -> Z, p_T in GeV, Žiga"),
    ],
)
def test_a_missing_key_stands_at_what_encloses_it(key: Key, spelling: str) -> None:
    assert spelled(parse(LAYOUT, "spec.toml"), key) == spelling


def test_values_are_plain_python() -> None:
    data = parse(LAYOUT, "spec.toml").data
    assert type(data) is dict
    assert type(data["task"]) is str
    assert data["day"] == datetime.datetime(1979, 5, 27, 7, 32)
    assert data == tomllib.loads(LAYOUT)


def test_fault_carries_place_line_and_hint() -> None:
    source = parse("a = 1\n[t]\nb = 2 # two\n", "spec.toml")
    assert draw(source.fault(("t", "b"), "b is too large", "at most 1")) == (
        "spec.toml:3:5: error: b is too large\n 3 | b = 2 # two\n   |     ^\n   = at most 1"
    )


def test_windows_line_ends_do_not_shift_places() -> None:
    source = parse("a = 1\r\n[t]\r\nb = 'x'\r\n", "spec.toml")
    assert spelled(source, ("t", "b")) == "'x'"
    assert source.at(("t", "b"))[0].line == 3


def test_windows_line_ends_do_not_reach_the_values() -> None:
    assert parse('a = """x\r\ny"""\r\n', "spec.toml").data == {"a": "x\ny"}


def test_an_empty_spec_is_read() -> None:
    source = parse("", "spec.toml")
    assert source.data == {}
    assert source.at(())[0].line == 1


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("a = h4l", "'h4l' is not a value", 1, 5),
        ("a = True", "'True' is not a value", 1, 5),
        ("a = null", "'null' is not a value", 1, 5),
        ("a = 01", "'01' is not a value", 1, 5),
        ("a = ", "the value is missing", 1, 1),
        ("a", '"=" and a value are missing after this key', 1, 1),
        ("= 1", "a key is expected here", 1, 1),
        ("é = 1", "a key is expected here", 1, 1),
        ("a = 1 b = 2", "unexpected 'b': only a comment may follow on this line", 1, 7),
        ("[t\na = 1", "the table header is not closed: ] is missing", 1, 1),
        ('a = "x', 'this string is not closed: " missing', 1, 5),
        ("\na = '''x\n\n", "this string is not closed: ''' missing", 2, 5),
        ("a = [1,\nb = 2", 'this "[" is not closed: ] missing', 1, 5),
        ("a = { b = 1", 'this "{" is not closed: } missing', 1, 5),
        ("a = [1 2]", '"," or "]" is expected before \'2\'', 1, 8),
        ('a = "C:\\data"', "'\\\\d' is not an escape that TOML knows", 1, 8),
        ("a = 1\nb = 2\na = 3", '"a" is given twice: it stands in line 1 already', 3, 1),
        ("[t]\n[u]\n[t]", '"t" is given twice: it stands in line 1 already', 3, 2),
        ("a = {}\n[a.b]", '"a" is given twice: it stands in line 1 already', 2, 2),
        ("[a]\nb = 1\n[a.b]", '"b" is given twice: it stands in line 2 already', 3, 4),
        ("x = { a = 1, a = 2 }", '"a" is given twice: it stands in line 1 already', 1, 14),
        ("a = 2024-02-31", "not TOML: invalid date or datetime", 1, 1),
        ("a = 9223372036854775808", "a whole number must fit in 64 bits", 1, 5),
    ],
)
def test_text_that_is_not_toml_is_refused_in_plain_words(
    text: str, message: str, line: int, column: int
) -> None:
    assert only(text) == (message, line, column)


def test_all_faults_are_told_at_once() -> None:
    found = faults("a = b\n[t]\nc = [1,\nd = 1\nd = 2\n[t]\ne = 'x\n")
    assert [fault.span.line for fault in found if fault.span] == [1, 3, 5, 6, 7]


@pytest.mark.parametrize(
    ("text", "name", "line", "column"),
    [
        ("# a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE", 1, 4),
        ("a = 1\nb = 'x\u200by'", "U+200B ZERO WIDTH SPACE", 2, 7),
        ("# \u2066", "U+2066 LEFT-TO-RIGHT ISOLATE", 1, 3),
        ("# \u00ad", "U+00AD SOFT HYPHEN", 1, 3),
        ("# \ufe0f", "U+FE0F VARIATION SELECTOR-16", 1, 3),
        ("# \U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A", 1, 3),
        ("# \u3164", "U+3164 HANGUL FILLER", 1, 3),
        ("# \u2028", "U+2028 LINE SEPARATOR", 1, 3),
        ("# \u00a0", "U+00A0 NO-BREAK SPACE", 1, 3),
        ("# \ufeff", "U+FEFF BYTE ORDER MARK", 1, 3),
        ("\ufeffa = 1", "U+FEFF BYTE ORDER MARK", 1, 1),
        ("# \x1b[31m", "U+001B ESCAPE", 1, 3),
        ("# \x85", "U+0085 (a control or unassigned character)", 1, 3),
        ("# \x00", "U+0000 NULL", 1, 3),
        ("a = 1\rb = 2", "U+000D CARRIAGE RETURN", 1, 6),
    ],
)
def test_hidden_characters_are_refused_and_named(
    text: str, name: str, line: int, column: int
) -> None:
    assert only(text) == (f"hidden character {name}", line, column)
    shown = draw(faults(text)[0])
    assert shown.replace("\n", "").replace("\N{REPLACEMENT CHARACTER}", "").isprintable()


def test_hidden_characters_are_refused_when_escaped() -> None:
    assert only('a = "\\u202e"')[0] == (
        "the text holds the hidden character U+202E RIGHT-TO-LEFT OVERRIDE"
    )
    assert only('"\\u200b" = 1')[0] == "hidden character U+200B ZERO WIDTH SPACE"


def test_many_hidden_characters_do_not_flood_the_terminal() -> None:
    assert len(faults("# \u202e\n" * 9000)) == 21


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "nul\0"):
        with pytest.raises(CompileError, match="cannot read the spec") as caught:
            read(path)
        assert caught.value.diagnostics[0].span
        assert caught.value.diagnostics[0].span.path == str(path)


@contextmanager
def nobody() -> Iterator[None]:
    """Be another user than root, who may read every file."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_forbidden_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.touch(mode=0)
    with nobody(), pytest.raises(CompileError, match="cannot read the spec: Permission denied"):
        read(path)


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes("a = 1\n# Žiga ".encode() + b"\xe9t\xe9\n")
    with pytest.raises(CompileError, match="not UTF-8: byte 0xE9") as caught:
        read(path)
    (fault,) = caught.value.diagnostics
    assert fault.span
    assert (fault.span.line, fault.span.column) == (2, 8)


def test_a_byte_order_mark_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    with pytest.raises(CompileError, match=r"U\+FEFF BYTE ORDER MARK"):
        read(path)


def test_a_file_too_large_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text("#\n" * (MAX_BYTES // 2))
    assert read(path).data == {}
    path.write_text("#\n" * (MAX_BYTES // 2) + "#")
    with pytest.raises(CompileError, match="larger than 128 KiB"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 40 + "]" * 40, "more than 32 levels of nesting"),
        ("a = " + "{a=" * 40 + "1" + "}" * 40, "more than 32 levels of nesting"),
        ("a = " + "[" * 4000, "more than 32 levels of nesting"),
        (".".join("a" * 9) + " = 1", "more than 8 parts in a dotted key"),
        (f"[{'.'.join('a' * 2000)}]", "more than 8 parts in a dotted key"),
        ("a = " + "1" * 41, "a value without quotes has at most 40 characters"),
        ("a = 1." + "1" * 4000, "a value without quotes has at most 40 characters"),
        ("#" * (MAX_LINE + 1), f"the line is longer than {MAX_LINE} characters"),
        ("".join(f"[x{i}]\n" for i in range(513)), "more than 512 tables"),
        ("".join(f"a.x{i} = 1\n" for i in range(129)), "more than 128 dotted keys"),
    ],
)
def test_more_than_any_spec_needs_is_refused(text: str, message: str) -> None:
    assert faults(text)[0].message == message


def test_a_table_may_be_taken_up_again_after_others() -> None:
    text = "[a]\n[b]\n[a.c]\n[b.d]\n"
    assert parse(text, "spec.toml").data == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"a.b.c.d.e.f.g.x{i} = 1\n" for i in range(128)),
        "".join(f"x{i} = 1\n" for i in range(10_000)),
        "x = [\n" + "1,\n" * 40_000 + "]",
        "".join(
            f"[a.b.c.d.e.f.g.x{i}]\na.b.c = 1\n"[: None if i % 4 == 0 else -10] for i in range(512)
        ),
        "x = {" + ", ".join(f"a.b.c.d.e.f.g.x{i} = 1" for i in range(128)) + "}",
        "".join(f"x{i} = " + "{a=" * 20 + "1" + "}" * 20 + "\n" for i in range(1200)),
        "[[a.b.c.d.e.f.g.h]]\n" * 512,
    ],
    ids=["dotted", "lines", "array", "tables", "inline dotted", "nested", "arrays of tables"],
)
def test_the_worst_allowed_text_is_read_in_seconds(text: str) -> None:
    start = time.process_time()
    parse(text, "spec.toml")
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "text",
    [
        '"' * 100_000,
        "'" * 100_000,
        'a = """' + '"\\' * 50_000,
        'a = "' + "\\" * 100_000,
        "[[" * 60_000,
        "a" + " " * 100_000 + "b",
        "a.\n" * 40_000,
        'a = "\n' * 20_000,
        "a = [\n" * 20_000,
        "a = {\n" * 20_000,
        "x = {" + "a = 1,\n" * 18_000 + "}",
    ],
)
def test_bad_text_is_refused_in_linear_time(text: str) -> None:
    start = time.process_time()
    scan(text)
    assert time.process_time() - start < 1


def test_a_spec_of_a_hundred_lines_is_read_at_once() -> None:
    text = "".join(
        f'[table_{i}]\nname = "n"\nrate = 1e-3\nlist = ["a", "b"]\nflag = true\n' for i in range(20)
    )
    times = []
    for _ in range(5):
        start = time.process_time()
        parse(text, "spec.toml")
        times.append(time.process_time() - start)
    assert min(times) < 0.02


names = st.text("ab_-1", min_size=1, max_size=3) | st.sampled_from(
    ["", "a b", "é", "x.y", 'q"', "'"]
)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text("ab #[]{}=,.'\"\\\nŽ", max_size=6)
    | st.dates()
    | st.datetimes()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def dotted(table: dict[str, Any], key: str = "") -> str:
    lines = ""
    for name, value in table.items():
        full = key + tomlkit.key(name).as_string()
        if isinstance(value, dict) and value:
            lines += dotted(value, full + " . ")
        else:
            lines += f"{full} = {inline(value)}\n"
    return lines


def inline(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{tomlkit.key(k).as_string()} = {inline(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return "[ # ]\n" + "".join(f"  {inline(item)},\n" for item in value) + "]"
    return str(tomlkit.item(value).as_string())


def agree(text: str) -> None:
    source = parse(text, "spec.toml")
    assert source.data == tomllib.loads(text)
    assert scan(text)[0].keys() | {()} == paths(source.data)
    for key in paths(source.data) - {()}:
        value: Any = source.data
        for name in key:
            value = value[name]
        spelling = spelled(source, key)
        if isinstance(value, bool | int | float):
            assert tomllib.loads(f"x = {spelling}")["x"] == value
        elif isinstance(value, str):
            assert spelling[0] in "\"'"
        elif isinstance(value, list):
            assert spelling[0] == "["
        elif isinstance(value, dict):
            last = spelled(source, key, "key")
            assert spelling[0] in "[{" or spelling.endswith(last)


@given(st.dictionaries(names, values, max_size=4))
def test_random_documents_are_scanned_as_they_are_read(document: dict[str, Any]) -> None:
    agree(tomlkit.dumps(document))
    agree("".join(f"{tomlkit.key(k).as_string()}={inline(v)}\n" for k, v in document.items()))
    agree(dotted(document))


MARKS = """ [ ] [[ ]] { } = , . # ' " ''' \"\"\" \\ a b c 1 1.5 true inf 1979-05-27 0x1 é \\u0041"""
LINES = "[a] [a.b] [[a]] [[a.b]] a=1 a.b=1 a={b=1} b=[1,2] [b] [a.c] c.d=2 [[a.c]] x.y.z='' #"
pieces = st.sampled_from(
    [*MARKS.split(), *(f"\n{line}\n" for line in LINES.split()), " ", "\n", "\r\n", "a="]
)


def outcome(text: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    try:
        return parse(text, "spec.toml"), ()
    except CompileError as error:
        return None, error.diagnostics


@settings(max_examples=600)
@given(st.lists(pieces, max_size=14).map("".join))
def test_any_text_is_read_as_tomllib_reads_it_or_refused(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        expected = None
    source, found = outcome(text)
    if source is None:
        assert expected is None, found
    else:
        assert scan(text)[0].keys() | {()} == paths(source.data)
        assert expected is None or source.data == expected


@settings(max_examples=300)
@given(st.data())
def test_a_spec_with_typing_mistakes_never_crashes(data: st.DataObject) -> None:
    text = LAYOUT
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 5, len(text))))
        text = text[:start] + data.draw(pieces | st.text(max_size=2)) + text[end:]
    source, found = outcome(text)
    assert bool(source) != bool([draw(fault) for fault in found])
    assert source is None or scan(text)[0].keys() | {()} == paths(source.data)
