"""Values -> Python literals, laid out as a formatter would: on one line, or one item a line."""

import math
import re
from typing import Any

WIDTH = 100


class Literal(str):
    """A mark in a rendered text that stands for a literal."""

    __slots__ = ()


class Verbatim(str):
    """Text of our own, or checked against an allow-list, that needs no quoting."""

    __slots__ = ()


def literal(value: Any) -> str:
    """Return a value as ASCII Python text on one line, that evaluates to the same value."""
    match value:
        case Verbatim():
            return str(value)
        case None | bool() | int():
            return repr(value)
        case float():
            # A formatter writes 1e16 where Python's repr is 1e+16.
            short = repr(value).replace("e+", "e")
            return short if math.isfinite(value) else f'float("{value}")'
        case str():
            return _text(value)
        case tuple():
            comma = "," if len(value) == 1 else ""
            return f"({', '.join(map(literal, value))}{comma})"
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            items = (f"{literal(k)}: {literal(v)}" for k, v in value.items())
            return f"{{{', '.join(items)}}}"
    raise TypeError(f"{value!r} has no literal")


def lay_out(text: str, values: list[Any]) -> str:
    """Replace the marks of `Literal` by the literals of `values`."""
    done: list[str] = []
    for line in text.split("\n"):
        if "\x02" not in line:
            done.append(line)
            continue
        pieces = re.split("\x02(\\d+)\x03", line)
        indent = len(line) - len(line.lstrip(" "))
        current = pieces[0]
        for index, rest in zip(pieces[1::2], pieces[2::2], strict=True):
            tail = re.sub("\x02(\\d+)\x03", lambda m: literal(values[int(m[1])]), rest)
            current += _fitted(values[int(index)], len(current), indent, len(tail)) + rest
        done.append(current)
    return "\n".join(done)


def _fitted(value: Any, column: int, indent: int, tail: int) -> str:
    """Return a literal that starts at `column` of a line and has `tail` characters behind it."""
    line = literal(value)
    if column + len(line) + tail <= WIDTH:
        return line
    inner = " " * (indent + 4)
    if isinstance(value, str) and not isinstance(value, Verbatim):
        chunks = _chunks(value, WIDTH - indent - 6)
        return "(\n" + "".join(f"{inner}{_text(c)}\n" for c in chunks) + " " * indent + ")"
    if isinstance(value, tuple | list) and value:
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        items = [_fitted(v, indent + 4, indent + 4, 1) for v in value]
    elif isinstance(value, dict) and value:
        opening, closing = "{}"
        heads = [f"{literal(key)}: " for key in value]
        items = [
            head + _fitted(v, indent + 4 + len(head), indent + 4, 1)
            for head, v in zip(heads, value.values(), strict=True)
        ]
    else:
        return line
    return f"{opening}\n" + "".join(f"{inner}{i},\n" for i in items) + " " * indent + closing


def _text(value: str) -> str:
    """Return a text in the quotes that a formatter would choose."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    if value.isascii() and value.isprintable():
        body = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        return quote + body + quote
    special = {quote: f"\\{quote}", "\\": "\\\\"}
    body = "".join(special.get(c) or (c if " " <= c <= "~" else ascii(c)[1:-1]) for c in value)
    return quote + body + quote


def _chunks(value: str, size: int) -> list[str]:
    """Cut a text, behind spaces where it has some, into pieces whose literals fit in `size`."""
    chunks, rest = [], value
    while len(_text(rest)) > size:
        length = size - 2
        while len(_text(rest[:length])) > size:
            length -= 1
        space = rest.rfind(" ", 1, length)
        cut = space + 1 if space > 0 else length
        chunks.append(rest[:cut])
        rest = rest[cut:]
    return [*chunks, rest]
