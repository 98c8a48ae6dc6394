"""Text of a TOML document in; out, where each key and value stands, and what is not TOML."""

import re
from itertools import accumulate
from typing import Literal, NamedTuple, NoReturn

from attrs import Factory, define, frozen

Key = tuple[str | int, ...]
Stretch = tuple[int, int]
Kind = Literal["value", "dotted", "implied", "table", "array"]

# Generous to any spec; tomllib takes seconds and gigabytes over one long dotted key.
MAX_DEPTH = 32
MAX_PARTS = 8
MAX_NUMBER = 40
MAX_HEADERS = 512
MAX_DOTTED = 128
MAX_FLAWS = 20

# Possessive quantifiers (`*+`): a failed match never tries again, so the walk stays linear.
SPACE = re.compile(r"[ \t]*+")
BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
NAME = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
STRING = re.compile(
    r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r"""|(?!\"{3})"(?:[^"\\\n]++|\\.)*+"|(?!'{3})'[^'\n]*+'"""
)
WORD = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[^\s,\[\]{}#=]++|[^\s,\[\]{}#=]++")
PLAIN = re.compile(
    r"true|false|[+-]?(?:inf|nan)|0x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0o[0-7]+(?:_[0-7]+)*"
    r"|0b[01]+(?:_[01]+)*|[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?"
    r"(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?|[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
)
ESCAPE = re.compile(
    r'\\(?:(["\\bfnrte]|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[ \t]*\r?\n)|[\s\S])'
)
ASSIGNMENT = re.compile(r"[A-Za-z0-9_.-]++[ \t]*+=")
RESUME = re.compile(r"^[ \t]*+(?=\[|[A-Za-z0-9_.\"'-]++[ \t]*+=)", re.MULTILINE)
LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "e": "\x1b"}


class Place(NamedTuple):
    """Where a key and its value stand, as offsets (first, after last) into the text.

    The value of a [table] is its header; that of a table made by a dotted key, the key so far.
    """

    key: Stretch
    value: Stretch


@frozen
class Flaw:
    """What is wrong with the text from one offset to another."""

    start: int
    end: int
    message: str
    hint: str | None = None


@frozen
class FlawError(Exception):
    """A flaw after which the statement, or (`last`) the whole text, cannot be read on."""

    flaw: Flaw
    last: bool = False


class Part(NamedTuple):
    """One name of a dotted key, and where it stands."""

    name: str
    start: int
    end: int


def scan(text: str) -> tuple[dict[Key, Place], list[Flaw]]:
    """Walk a whole document once, in linear time."""
    walk = Walk(text)
    while walk.at < len(text) and len(walk.flaws) < MAX_FLAWS:
        try:
            walk.statement()
        except FlawError as error:
            walk.flaws.append(error.flaw)
            resume = None if error.last else RESUME.search(text, walk.next_line())
            walk.at = resume.end() if resume else len(text)
    return walk.places, walk.flaws[:MAX_FLAWS]


def unescape(quoted: str) -> str:
    """Return the name that a quoted key stands for."""
    if quoted[0] == "'":
        return quoted[1:-1]

    def character(match: re.Match[str]) -> str:
        escape = match[1] or ""
        code = int(escape[1:], 16) if escape[1:] else 0
        return chr(code) if escape[1:] else LETTERS.get(escape, escape)

    return ESCAPE.sub(character, quoted[1:-1])


@define
class Walk:
    """The state of one walk: the place reached, the table open there, and what was found."""

    text: str
    at: int = 0
    table: Key = ()
    places: dict[Key, Place] = Factory(dict)
    kinds: dict[Key, Kind] = Factory(dict)
    sizes: dict[Key, int] = Factory(dict)
    flaws: list[Flaw] = Factory(list)
    headers: int = 0
    dotted: int = 0

    def next_line(self) -> int:
        """Return where the next line starts."""
        return self.text.find("\n", self.at) + 1 or len(self.text)

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Pass over a pattern that may be empty; return the character after it."""
        if match := pattern.match(self.text, self.at):
            self.at = match.end()
        return self.text[self.at : self.at + 1]

    def fail(self, message: str, hint: str | None = None, start: int | None = None) -> NoReturn:
        """Give up the statement, at the place reached or from `start` to there."""
        first = self.at if start is None else start
        raise FlawError(Flaw(first, max(self.at, first + 1), message, hint))

    def limit(self, count: int, most: int, what: str) -> None:
        """Give up the whole text if it has more of something than any spec needs."""
        if count > most:
            raise FlawError(Flaw(self.at, self.at + 1, f"more than {most} {what}"), last=True)

    def statement(self) -> None:
        """Read one header or assignment, and the rest of its line."""
        if not (character := self.skip(BLANK)):
            return
        if character == "[":
            self.header()
        else:
            self.assignment(self.table)
        if (character := self.skip(SPACE)) not in ("", "#", "\n", "\r"):
            self.fail(f"unexpected {character!r}: only a comment may follow on this line")

    def name(self) -> list[Part]:
        """Read a bare, quoted or dotted key."""
        parts: list[Part] = []
        while True:
            character = self.skip(SPACE)
            if not (match := NAME.match(self.text, self.at)):
                self.fail(
                    "a key is expected here",
                    "a key that is not of A-Z a-z 0-9 _ - stands in quotes" if character else None,
                )
            bare = match[0][0] not in "\"'"
            if not bare:
                self.escapes(match[0], match[0][0] == '"')
            part = match[0] if bare else unescape(match[0])
            parts.append(Part(part, *match.span()))
            self.at = match.end()
            self.limit(len(parts), MAX_PARTS, "parts in a dotted key")
            before = self.at
            if self.skip(SPACE) != ".":
                self.at = before
                return parts
            self.at += 1

    def header(self) -> None:
        """Read `[a.b]` or `[[a.b]]` and open that table."""
        start = self.at
        self.table = (start,)  # what follows a broken header belongs to no named table
        closing = "]]" if self.text.startswith("[[", start) else "]"
        self.at += len(closing)
        parts = self.name()
        self.skip(SPACE)
        if not self.text.startswith(closing, self.at):
            self.fail(f"the table header is not closed: {closing} is missing", start=start)
        self.at += len(closing)
        self.headers += 1
        self.limit(self.headers, MAX_HEADERS, "tables")
        whole = (start, self.at)
        path: Key = ()
        for part in parts[:-1]:
            path = self.enter(path, part, whole, "implied")
        self.table = self.define((*path, parts[-1].name), parts[-1], whole, closing)

    def define(self, key: Key, part: Part, whole: Stretch, closing: str) -> Key:
        """Record the table that a header names; return its key, with the index in an array."""
        place = Place((part.start, part.end), whole)
        kind = self.kinds.get(key)
        if closing == "]":
            if kind in (None, "implied"):
                self.put(key, place, "table")
            else:
                self.repeated(key, part)
            return key
        if kind is None:
            self.put(key, place, "array")
        elif kind != "array":
            self.repeated(key, part)
            return key
        element = (*key, self.sizes.get(key, 0))
        self.sizes[key] = self.sizes.get(key, 0) + 1
        self.put(element, place, "table")
        return element

    def enter(self, path: Key, part: Part, value: Stretch, kind: Kind) -> Key:
        """Go one name down, making the table if it is new; return its key."""
        key = (*path, part.name)
        old = self.kinds.get(key)
        if old is None:
            self.put(key, Place((part.start, part.end), value), kind)
        elif old == "value" or (kind == "dotted" and old != "dotted"):
            self.repeated(key, part)
            raise FlawError(self.flaws.pop())
        return (*key, self.sizes[key] - 1) if old == "array" else key

    def put(self, key: Key, place: Place, kind: Kind) -> None:
        """Record a key."""
        self.limit(len(key), MAX_DEPTH, "levels of nesting")
        self.places[key] = place
        self.kinds[key] = kind

    def repeated(self, key: Key, part: Part) -> None:
        """Note a key that is given twice."""
        line = self.text.count("\n", 0, self.places[key].key[0]) + 1
        message = f'"{part.name}" is given twice: it stands in line {line} already'
        self.flaws.append(Flaw(part.start, part.end, message))

    def assignment(self, table: Key) -> None:
        """Read `key = value` into a table."""
        parts = self.name()
        if self.skip(SPACE) != "=":
            self.fail('"=" and a value are missing after this key', start=parts[0].start)
        self.at += 1
        if len(parts) > 1:
            self.dotted += 1
            self.limit(self.dotted, MAX_DOTTED, "dotted keys")
        for part in parts[:-1]:
            table = self.enter(table, part, (parts[0].start, part.end), "dotted")
        key, part = (*table, parts[-1].name), parts[-1]
        if self.skip(SPACE) in ("", "\n", "\r", "#"):
            self.fail("the value is missing", start=part.start)
        if key in self.kinds:
            self.repeated(key, part)
            key = (self.at,)  # read on, without mixing the two values
        self.value(key, (part.start, part.end))

    def value(self, key: Key, name: Stretch | None = None) -> None:
        """Read one value and record it, and what it holds, under its key."""
        start = self.at
        self.put(key, Place(name or (start, start), (start, start)), "value")
        match self.text[start]:
            case "[":
                self.array(key)
            case "{":
                self.inline(key)
            case '"' | "'":
                self.string()
            case _:
                self.plain()
        self.places[key] = Place(name or (start, self.at), (start, self.at))

    def array(self, key: Key) -> None:
        """Read `[1, 2]`."""
        start = self.at
        self.at += 1
        index = 0
        while (character := self.skip(BLANK)) != "]":
            if not character or ASSIGNMENT.match(self.text, self.at):
                self.unclosed(start, "]")
            self.value((*key, index))
            index += 1
            self.comma(start, "]")
        self.at += 1

    def inline(self, key: Key) -> None:
        """Read `{ a = 1, b = 2 }`."""
        start = self.at
        self.at += 1
        while (character := self.skip(SPACE)) != "}":
            self.on_one_line(start, character)
            self.assignment(key)
            self.on_one_line(start, self.skip(SPACE))
            self.comma(start, "}")
            if self.text[self.at - 1] == "," and self.skip(SPACE) == "}":
                self.fail('no "," is allowed before the "}" of an inline table', start=self.at - 1)
        self.at += 1

    def on_one_line(self, start: int, character: str) -> None:
        """Refuse an inline table that is broken into lines, as TOML 1.0 does."""
        if not character:
            self.unclosed(start, "}")
        if character in "\r\n#":
            self.fail("a table in { } stands on one line; use a [header] for more", start=start)

    def comma(self, start: int, closing: str) -> None:
        """Pass the comma after an element; the closing bracket may stand in its place."""
        if (character := self.skip(BLANK)) == ",":
            self.at += 1
        elif not character or ASSIGNMENT.match(self.text, self.at):
            self.unclosed(start, closing)
        elif character != closing:
            self.fail(f'"," or "{closing}" is expected before {character!r}')

    def unclosed(self, start: int, closing: str) -> NoReturn:
        """Point at a bracket that is never closed; read on at the statement reached."""
        self.at = max(start, self.text.rfind("\n", start, self.at))
        flaw = Flaw(start, start + 1, f'this "{self.text[start]}" is not closed: {closing} missing')
        raise FlawError(flaw)

    def string(self) -> None:
        """Read a string in any of the four kinds of quotes."""
        if not (match := STRING.match(self.text, self.at)):
            quote = self.text[self.at]
            triple = self.text.startswith(quote * 3, self.at)
            message = f"this string is not closed: {quote * (3 if triple else 1)} missing"
            raise FlawError(Flaw(self.at, self.at + (3 if triple else 1), message), last=triple)
        self.escapes(match[0], match[0][0] == '"')
        self.at = match.end()

    def escapes(self, quoted: str, basic: bool) -> None:
        """Refuse a backslash that means nothing."""
        for match in ESCAPE.finditer(quoted) if basic and "\\" in quoted else ():
            code = int(match[1][1:], 16) if match[1] and match[1][0] in "uUx" else 0
            if not match[1] or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
                start = self.at + match.start()
                message = f"{match[0]!r} is not an escape that TOML knows"
                hint = r"a backslash is written \\, or the string in single quotes"
                raise FlawError(Flaw(start, start + len(match[0]), message, hint))

    def plain(self) -> None:
        """Read a number, a date or a boolean."""
        start = self.at
        if not (match := WORD.match(self.text, start)):
            self.fail(f"a value is expected before {self.text[start]!r}")
        self.at, word = match.end(), match[0]
        if len(word) > MAX_NUMBER:
            self.fail(f"a value without quotes has at most {MAX_NUMBER} characters", start=start)
        if not PLAIN.fullmatch(word):
            self.fail(f"{word!r} is not a value", advice(word), start)


def advice(word: str) -> str:
    """Return what would be right in place of an unquoted word."""
    if word.lower() in ("true", "false"):
        return f"write {word.lower()}"
    if word.lower() in ("null", "none", "~"):
        return "TOML has no null: leave the key out"
    if word[0] in "0123456789+-.":
        return "a number is written 1, -2.5, 0.1 or 1e-3, without leading zeros; text in quotes"
    return f'text stands in quotes: "{word}"'


def line_starts(text: str) -> tuple[int, ...]:
    """Return the offset at which each line starts."""
    lengths = (len(line) + 1 for line in text.split("\n"))
    return (0, *accumulate(lengths))[:-1]
