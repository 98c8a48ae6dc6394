"""A spec file in; out, its plain values and where each stands, or every fault of the text."""

import re
import tomllib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, field, frozen

from seesawc.diagnostics import CompileError, Diagnostic, Span
from seesawc.reading.positions import STRING, Key, Place, Stretch, line_starts, scan
from seesawc.tables.values import NAME

__all__ = ["Key", "Source", "check_name", "parse", "read"]

MAX_BYTES = 128 * 1024
MAX_LINE = 4096
MAX_UNSEEN = 20

# Drawn as nothing or as a space, though Unicode files them under letters, marks or symbols.
BLANKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# What is given to a name such as comet_api_key, unless it is a reference to a variable: a key that
# somebody wrote into a spec must not go on into what a terminal or a CI log keeps.
SECRET = re.compile(
    r"(?:key|token|secret|password)\w{0,40}+[\"']?(?:[ \t]*[:=](?!=)[ \t]*|[ \t]+(?=[\"']))"
    r"(?![\"']\$\{\w++\}[\"'][ \t]*(?:[],}#\r\n]|\Z))"
    rf"((?:{STRING.pattern})(?=[ \t]*(?:[],}}#\r\n]|\Z))"
    r"|\"{3}[\s\S]*+|'{3}[\s\S]*+|[^\r\n]++)",
    re.IGNORECASE,
)
LITERAL_KEY = ("a key is never written into a spec", 'a reference such as "${COMET_API_KEY}"')
CONTROLS = {0x0D: "CARRIAGE RETURN", 0x00: "NULL", 0x1B: "ESCAPE", 0x08: "BACKSPACE"}


@frozen
class Source:
    """A spec as it was read: text, plain values, and the way from a key to its place."""

    path: str
    text: str
    data: dict[str, Any]
    places: Mapping[Key, Place] = field(repr=False, eq=False, factory=dict)
    _lines: tuple[int, ...] = field(repr=False, eq=False)
    _secrets: tuple[Stretch, ...] = field(repr=False, eq=False)

    @_lines.default
    def _find_lines(self) -> tuple[int, ...]:
        return line_starts(self.text)

    @_secrets.default
    def _find_secrets(self) -> tuple[Stretch, ...]:
        return tuple(match.span(1) for match in SECRET.finditer(self.text))

    def at(self, key: Key, part: Literal["key", "value"] = "value") -> tuple[Span, str]:
        """Return the place of a key and the line there; of a missing key, what encloses it."""
        if place := self.places.get(key):
            return self.span(place.key if part == "key" else place.value)
        while key:
            key = key[:-1]
            if place := self.places.get(key):
                return self.span(min(place))
        return self.span((0, len(self.text)))

    def span(self, stretch: Stretch) -> tuple[Span, str]:
        """Return the place of a stretch of text, cut at the end of its first line, and the line."""
        start, end = stretch
        number = bisect_right(self._lines, start)
        first = self._lines[number - 1]
        line = self.text[first:].partition("\n")[0].removesuffix("\r")
        for low, high in self._secrets:
            low, high = max(low - first, 0), min(high - first, len(line))
            if low < high:
                line = line[:low] + "*" * (high - low) + line[high:]
        column = start - first
        length = max(1, min(end - start, len(line) - column))
        return Span(self.path, number, column + 1, length), drawable(line)

    def moved(self, data: dict[str, Any], places: Mapping[Key, Key]) -> "Source":
        """Return the same text with other data, whose keys `places` leads to where they stand."""
        found = dict(self.places)
        for key, place in places.items():
            depth = len(place)
            for inner, where in self.places.items():
                if inner[:depth] == place:
                    found[*key, *inner[depth:]] = where
        return evolve(self, data=data, places=found)

    def fault(
        self,
        key: Key,
        message: str,
        hint: str | None = None,
        part: Literal["key", "value"] = "value",
    ) -> Diagnostic:
        """Return a fault that stands at a key."""
        place = self.places.get(key)
        if part == "value" and place and self._is_secret(place.value[0]):
            message, hint = LITERAL_KEY
        return Diagnostic(message, *self.at(key, part), hint)

    def flaw(self, stretch: Stretch, message: str, hint: str | None = None) -> Diagnostic:
        """Return a fault that stands at a stretch of text."""
        if self._is_secret(stretch[0]):
            message, hint = LITERAL_KEY
        return Diagnostic(message, *self.span(stretch), hint)

    def _is_secret(self, offset: int) -> bool:
        return any(low <= offset < high for low, high in self._secrets)


def read(path: Path) -> Source:
    """Read a spec file; raise CompileError with every fault that can be found."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot read the spec: {reason}"
        raise CompileError(Diagnostic(message, Span(str(path), 1, 1))) from error
    check_size(len(raw), str(path))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        shown = before + raw[error.start :].decode("utf-8", "replace")
        place = Source(str(path), shown, {}).span((len(before), len(before) + 1))
        message = f"not UTF-8: byte 0x{raw[error.start]:02X}"
        hint = "save the spec as UTF-8 (without byte order mark)"
        raise CompileError(Diagnostic(message, *place, hint)) from error
    return parse(text, str(path))


def check_name(path: Path) -> None:
    """Raise `CompileError` if a spec's file name cannot name a folder."""
    if NAME.fullmatch(path.stem) is None or path.stem.endswith(".") or path.suffix != ".toml":
        hint = "<name>.toml, of letters, digits and _ . + -"
        raise CompileError(Diagnostic(f"{path} cannot be the name of a spec", hint=hint))


def parse(text: str, path: str) -> Source:
    """Do the same from text that stands at `path`, or is named so in messages."""
    check_size(len(text.encode("utf-8", "surrogatepass")), path)
    bare = Source(path, text, {})
    if faults := [*unseen(bare), *long_lines(bare)]:
        raise CompileError(*faults)
    places, flaws = scan(text)
    if flaws:
        flaws.sort(key=lambda flaw: flaw.start)
        raise CompileError(*(bare.flaw((f.start, f.end), f.message, f.hint) for f in flaws))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CompileError(refusal(bare, error)) from error
    source = Source(path, text, data, places)
    if faults := list(unwanted(source, (), data)):
        raise CompileError(*faults)
    return source


def check_size(size: int, path: str) -> None:
    """Refuse a text that no spec is as long as."""
    if size > MAX_BYTES:
        message = f"the spec is larger than {MAX_BYTES // 1024} KiB"
        raise CompileError(Diagnostic(message, Span(path, 1, 1)))


def drawable(line: str) -> str:
    """Return a line of the same length that a terminal draws as it stands."""
    if line.isascii() and line.isprintable():
        return line
    return "".join("\N{REPLACEMENT CHARACTER}" if hidden(c) else c for c in line.replace("\t", " "))


def hidden(character: str) -> bool:
    """Tell whether a character is invisible, changes the direction of text, or is no character."""
    if character in " \t\n":
        return False
    kind = unicodedata.category(character)
    odd = kind in ("Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp") or BLANKS.match(character)
    return bool(odd) or (ord(character) & 0xFFFE) == 0xFFFE or "\ufdd0" <= character <= "\ufdef"


def named(character: str) -> str:
    """Return the code point and its name: U+202E RIGHT-TO-LEFT OVERRIDE."""
    code = ord(character)
    name = unicodedata.name(character, CONTROLS.get(code, "(a control or unassigned character)"))
    return f"U+{code:04X} {'BYTE ORDER MARK' if code == 0xFEFF else name}"


def unseen(source: Source) -> Iterator[Diagnostic]:
    """Yield a fault for each hidden character of the text, comments included."""
    characters = "".join(c for c in set(source.text) if hidden(c))
    if not characters:
        return
    found = re.compile(f"(?!\r\n)[{re.escape(characters)}]").finditer(source.text)
    hint = "delete it; only visible characters, spaces, tabs and line ends may stand in a spec"
    for count, match in enumerate(found):
        if count == MAX_UNSEEN:
            yield source.flaw(match.span(), "more hidden characters follow from here", hint)
            return
        yield source.flaw(match.span(), f"hidden character {named(match[0])}", hint)


def long_lines(source: Source) -> Iterator[Diagnostic]:
    """Yield a fault for each line that no person wrote."""
    for number, line in enumerate(source.text.split("\n"), 1):
        if len(line) > MAX_LINE:
            message = f"the line is longer than {MAX_LINE} characters"
            yield Diagnostic(message, Span(source.path, number, MAX_LINE + 1))


def refusal(source: Source, error: tomllib.TOMLDecodeError) -> Diagnostic:
    """Return the fault for a text that only tomllib refuses, such as the 31st of February."""
    words, _, place = str(error).partition(" (at ")
    found = re.match(r"line (\d+)", place)
    start = line_starts(source.text)[int(found[1]) - 1] if found else 0
    message = f"not TOML: {words[:1].lower()}{words[1:]}"
    return source.flaw((start, len(source.text)), message)


def unwanted(source: Source, key: Key, value: Any) -> Iterator[Diagnostic]:
    """Yield a fault for each value that TOML can spell and no spec can mean."""
    if isinstance(value, dict):
        for name, item in value.items():
            if found := next((c for c in name if hidden(c) or c == "\n"), None):
                yield source.fault((*key, name), f"hidden character {named(found)}", part="key")
            yield from unwanted(source, (*key, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unwanted(source, (*key, index), item)
    elif isinstance(value, str):
        if found := next((c for c in value if hidden(c) and c != "\r"), None):
            yield source.fault(key, f"the text holds the hidden character {named(found)}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield source.fault(key, "a whole number must fit in 64 bits")
