"""Faults of a spec: where each stands, what it is, and how a person or a program is shown it."""

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from attrs import asdict, frozen


@frozen
class Span:
    """A place in a file: 1-based line and column, and the number of characters."""

    path: str
    line: int
    column: int
    length: int = 1


@frozen
class Diagnostic:
    """One fault: the message, where it stands, the source line there, and what would be right.

    A warning is no fault, but seldom meant.
    """

    message: str
    span: Span | None = None
    line: str | None = None
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"


class CompileError(Exception):
    """One or more faults of the author; `cli` draws them and exits with status 1."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = tuple(sorted(diagnostics, key=place_in_file))


def place_in_file(diagnostic: Diagnostic) -> tuple[int, int]:
    """Order faults as they stand in the file."""
    return (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)


def draw(diagnostic: Diagnostic) -> str:
    """Draw a fault as compilers do: place and message, source line, caret, hint."""
    lines = []
    if span := diagnostic.span:
        lines.append(
            f"{span.path}:{span.line}:{span.column}: {diagnostic.severity}: {diagnostic.message}"
        )
        if diagnostic.line is not None:
            number = str(span.line)
            room = max(len(diagnostic.line) - span.column + 1, 1)
            caret = "^" * max(1, min(span.length, room))
            lines.append(f" {number} | {diagnostic.line}")
            lines.append(f" {' ' * len(number)} | {' ' * (span.column - 1)}{caret}")
    else:
        lines.append(f"{diagnostic.severity}: {diagnostic.message}")
    if diagnostic.hint:
        lines.append(f"   = {diagnostic.hint}")
    return "\n".join(lines)


def as_record(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return a fault as plain values, for `--format json`."""
    return asdict(diagnostic)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown `word`: the nearest known one, and all that are allowed."""
    names = list(known)
    allowed = f"allowed: {', '.join(names)}"
    near = nearest(word, names)
    return f'did you mean "{near}"? {allowed}' if near else allowed


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that an unknown one is most like, if it is like any."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None
