"""A spec's text and an option -> the text with a line, a table or an item more or less."""

import re
from typing import Any, Literal

import tomlkit

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.reading import options, source
from seesawc.reading.options import Shape, dotted
from seesawc.reading.positions import Place, Stretch
from seesawc.reading.source import Key, Source

# How something stands in a text: a value after "="; a table with a header of its own, made by
# dotted keys, or by headers of tables within; an array of tables with headers.
Standing = Literal["literal", "header", "dotted", "implied", "array"]
COMMENTS = re.compile(r"(?:[ \t]*#[^\n]*(?:\n|\Z))*")
BLANK = re.compile(r"[ \t]*\r?\n")


def value(spec: Source, key: Key) -> Any:
    """Return what a key has."""
    found: Any = spec.data
    for part in key:
        found = found[part]
    return found


def is_there(spec: Source, key: Key) -> bool:
    """Whether a key has anything."""
    return not key or key in spec.places


def place(spec: Source, key: Key) -> Place:
    """Return where a key and its value stand."""
    return spec.places[key]


def standing(spec: Source, key: Key) -> Standing | None:
    """Return how a key's value is written; None if there is none."""
    if not key:
        return "header"
    if key not in spec.places:
        return None
    name, whole = spec.places[key]
    if name == whole if isinstance(key[-1], int) else name[1] <= whole[0]:
        return "literal"
    if whole[1] == name[1]:
        return "dotted"
    if spec.text[name[1] : whole[1]].strip(" \t]"):
        return "implied"
    return "array" if isinstance(value(spec, key), list) else "header"


def within_value(spec: Source, key: Key) -> bool:
    """Whether a key would stand inside of { } or [ ], or a table that dotted keys make."""
    return standing(spec, _nearest(spec, key[:-1])) in ("literal", "dotted")


def _nearest(spec: Source, key: Key) -> Key:
    """Return the longest beginning of a key that is there."""
    while not is_there(spec, key):
        key = key[:-1]
    return key


def spliced(spec: Source, stretch: Stretch, text: str) -> Source:
    """Return the spec with a stretch of its text replaced, whose line ends become its own."""
    end = "\r\n" if "\r\n" in spec.text else "\n"
    text = text.replace("\r\n", "\n").replace("\n", end)
    start, last = stretch
    return source.parse(spec.text[:start] + text + spec.text[last:], spec.path)


def inserted(spec: Source, key: Key, text: str) -> Source:
    """Write an option that is not there yet, with the tables that it needs."""
    home = _nearest(spec, key)
    rest = key[len(home) :]
    if standing(spec, home) == "literal":
        return _into_value(spec, home, rest, text)
    while len(rest) > 1 and _has_header(spec, home, options.shape((*home, rest[0]))):
        home = (*home, rest[0])
        rest = rest[1:]
    if isinstance(rest[0], int):
        spec = opened(spec, (*home, rest[0]))
        return inserted(spec, key, text)
    if len(rest) > 1 and not _by_dots(spec, home, rest):
        rest, text = rest[:1], _held(rest[1:], text)
    if standing(spec, home) in (None, "implied"):
        spec = opened(spec, home)
    return _line(spec, home, f"{_keys(rest)} = {text}")


def _has_header(spec: Source, home: Key, shape: Shape) -> bool:
    """Whether what is missing in a table is a table that stands by itself."""
    if standing(spec, home) == "dotted":
        return False
    if shape.mirrored:
        return not options.shape(home).mirrored
    item = shape.inside(0) if shape.is_list else None
    return shape.is_table or bool(item and item.is_table)


def _by_dots(spec: Source, home: Key, rest: Key) -> bool:
    if any(isinstance(part, int) for part in rest):
        return False
    return standing(spec, home) == "dotted" or options.shape((*home, rest[0])).mirrored


def _held(rest: Key, text: str) -> str:
    """Return a value inside of the lists and tables that lead to it."""
    for part in reversed(rest):
        if isinstance(part, int) and part:
            raise CompileError(Diagnostic(f"there is no item {part}", hint="0 is the first one"))
        text = f"[{text}]" if isinstance(part, int) else f"{{ {_keys((part,))} = {text} }}"
    return text


def _into_value(spec: Source, home: Key, rest: Key, text: str) -> Source:
    """Write an option into { }, or one item more into [ ]."""
    start, end = place(spec, home).value
    holder = value(spec, home)
    if isinstance(holder, list) and rest[0] == len(holder):
        array = tomlkit.parse(f"x = {spec.text[start:end]}")["x"]
        array.append(tomlkit.value(_held(rest[1:], text)))
        return spliced(spec, (start, end), array.as_string())
    if not isinstance(holder, dict):
        fault = f"{dotted(home)} has no {dotted(rest)}"
        raise CompileError(spec.fault(home, fault))
    written = f"{_keys(rest[:1])} = {_held(rest[1:], text)}"
    if not holder:
        return spliced(spec, (start, end), f"{{ {written} }}")
    last = len(spec.text[start : end - 1].rstrip(" \t")) + start
    return spliced(spec, (last, end - 1), f", {written}{spec.text[last : end - 1]}")


def _keys(key: Key) -> str:
    """Return names before "=" or in a header."""
    return ".".join(tomlkit.key(part).as_string() for part in key if isinstance(part, str))


def _line(spec: Source, home: Key, text: str) -> Source:
    """Write a line after the last one of a table."""
    if standing(spec, home) == "dotted":
        start, end = place(spec, home).value
        text = f"{spec.text[start:end]}.{text}"
        ends = [p.value for k, p in _statements(spec).items() if k[: len(home)] == home]
    else:
        first, last = _section(spec, home)
        ends = [p.value for p in _statements(spec).values() if first <= p.value[0] < last]
        if not ends:
            return _lines(spec, _line_end(spec.text, first) if home else 0, f"{text}\n")
    indent = re.match(r"[ \t]*", spec.text[_line_start(spec.text, max(ends)[0]) :])
    at = _line_end(spec.text, max(ends)[1])
    return _lines(spec, at, f"{indent[0] if indent else ''}{text}\n")


def _lines(spec: Source, at: int, text: str) -> Source:
    """Write whole lines at the start of one, or behind the last one."""
    closed = at == 0 or spec.text[at - 1] == "\n"
    return spliced(spec, (at, at), text if closed else f"\n{text}")


def opened(spec: Source, key: Key) -> Source:
    """Write the header of a table, or of one more of an array, after those that come before it."""
    array = isinstance(key[-1], int)
    if array and key[-1] != (size := len(value(spec, key[:-1])) if is_there(spec, key[:-1]) else 0):
        message = f"there is no {dotted(key)}"
        raise CompileError(Diagnostic(message, hint=f"{dotted((*key[:-1], size))} would be new"))
    at = _block_place(spec, key)
    name = _keys(key)
    text = f"[[{name}]]\n" if array else f"[{name}]\n"
    before = spec.text[:at].rstrip(" \t")
    if before and not re.search(r"(?:\A|\n)[ \t]*\r?\n\Z", before):
        text = f"\n{text}"
    if spec.text[at:] and not BLANK.match(spec.text, at):
        text += "\n"
    return _lines(spec, at, text)


def _block_place(spec: Source, key: Key) -> int:
    """Return the start of the line where a new table belongs, by the order of the schema."""
    earlier = [k for k in _headers(spec) if options.rank(k) < options.rank(key)]
    if earlier:
        return _block_end(spec, earlier[-1])
    return _block_end(spec, ())


def _block_end(spec: Source, header: Key) -> int:
    """Return where a table's lines end, and comments that stand directly below them."""
    first, last = _section(spec, header)
    ends = [p.value[1] for p in _statements(spec).values() if first <= p.value[0] < last]
    bare = not header and not ends
    at = (
        0
        if bare
        else _line_end(spec.text, max(ends, default=place(spec, header).value[1] if header else 0))
    )
    match = COMMENTS.match(spec.text, at)
    after = match.end() if match else at
    glued = after == last and last < len(spec.text)
    return at if glued else after


def _headers(spec: Source) -> list[Key]:
    """Return the tables with headers, and each of an array, in the order of the text."""
    found = [key for key in spec.places if standing(spec, key) == "header"]
    return sorted(found, key=lambda key: place(spec, key).value)


def _section(spec: Source, header: Key) -> Stretch:
    """Return from where to where a table's own lines go; the last line is another's header."""
    start = place(spec, header).value[0] if header else 0
    starts = [_line_start(spec.text, place(spec, key).value[0]) for key in _headers(spec)]
    later = [other for other in starts if other > start or (not header and other == 0)]
    return start, min(later, default=len(spec.text))


def _statements(spec: Source) -> dict[Key, Place]:
    """Return the options that stand on lines of their own."""
    return {
        key: where
        for key, where in spec.places.items()
        if standing(spec, key) == "literal"
        and standing(spec, key[:-1]) != "literal"
        and not any(standing(spec, key[:depth]) == "literal" for depth in range(1, len(key)))
    }


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Return the start of the next line."""
    return text.find("\n", at) + 1 or len(text)


def removed(spec: Source, key: Key) -> Source:
    """Take out the lines of an option, or of a table and all tables within."""
    inside = [k for k in spec.places if k[: len(key)] == key]
    lines = [where for k, where in _statements(spec).items() if k in inside]
    cuts = [(_line_start(spec.text, w.key[0]), _line_end(spec.text, w.value[1])) for w in lines]
    for header in _headers(spec):
        if header in inside:
            start = place(spec, header).value[0]
            cuts.append((_line_start(spec.text, start), _block_end(spec, header)))
    text, end = "", 0
    for first, last in sorted(cuts):
        text += spec.text[end : max(first, end)]
        end = max(end, last)
        # Of the empty lines before and after a table one is enough.
        if len(lines) < len(cuts) and re.search(r"(?:\A|\n)\r?\n?\Z", text):
            blank = BLANK.match(spec.text, end)
            end = blank.end() if blank else end
    return source.parse(text + spec.text[end:], spec.path)
