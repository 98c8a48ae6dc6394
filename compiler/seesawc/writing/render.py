"""Templates and what fills them -> text; a value reaches it through a filter only."""

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from seesawc.package import templates
from seesawc.tables.values import NAME, PLACE, is_relative
from seesawc.writing.literals import Literal, Verbatim, lay_out

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context


@frozen
class Templates:
    """The templates of a folder; each is read once."""

    folder: Path
    _environment: "Environment" = field(init=False)

    @_environment.default
    def _open(self) -> "Environment":
        # To check a spec, which fills none, takes an eighth less without it.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

        environment = Environment(
            loader=FileSystemLoader(self.folder),
            undefined=StrictUndefined,
            finalize=_finished,
            autoescape=False,  # noqa: S701 (Python and shell; `finalize` lets finished text through only)
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters.update(
            py=pass_context(_py),
            sh=_shell,
            name=_name,
            number=_number,
            place=_place,
            spec_place=_spec_place,
            directive=_directive,
        )
        return environment

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Fill a template; raises `TypeError` for a hole that is no finished text."""
        literals: list[Any] = []
        found = self._environment.get_template(template)
        return _laid_out(found.render({**values, LITERALS: literals}), literals)


# Where a template keeps the values of its literals; no name that a template could spell.
LITERALS = "literals of this text"


@cache
def open_templates() -> Templates:
    """Return seesawc's own templates."""
    return Templates(templates())


def _laid_out(text: str, literals: list[Any]) -> str:
    text = lay_out(text, literals)
    assert text.isascii(), "generated files are ASCII"
    return text


def _py(context: "Context", value: Any) -> Literal:
    """Stand for a Python literal, laid out once its place in the text is known."""
    literals: list[Any] = context[LITERALS]
    literals.append(value)
    return Literal(f"\x02{len(literals) - 1}\x03")


def _finished(value: Any) -> Any:
    if not isinstance(value, Literal | Verbatim):
        raise TypeError(f"{value!r} reaches a template without a filter")
    return value


def _shell(value: str) -> Verbatim:
    """Quote for the shell; nothing in it is expanded."""
    if value.isascii():
        return Verbatim(shlex.quote(value))
    # Folders above a project may have any name: bash takes its bytes from escapes.
    code = value.encode("utf-8", "surrogateescape")
    body = (chr(b) if 0x20 <= b < 0x7F and b not in b"'\\" else f"\\x{b:02x}" for b in code)
    return Verbatim(f"$'{''.join(body)}'")


def _place(value: str) -> Verbatim:
    """Quote for the shell, but let it expand ${NAME}."""
    if PLACE.search(value) is None:
        return _shell(value)
    assert not set(PLACE.sub("", value)) & set("$\\"), "checked by the rule of paths"
    return Verbatim('"' + re.sub(r'(["`])', r"\\\1", value) + '"')


def _spec_place(value: str) -> Verbatim:
    """Let a relative place start at the spec's folder; an image may also be a URI."""
    return Verbatim(f'"$spec_folder"/{_place(value)}') if is_relative(value) else _place(value)


def _directive(value: str) -> Verbatim:
    """Let through what SLURM's own options may hold: quoting alone is not safe in #SBATCH lines."""
    assert re.fullmatch(r"[A-Za-z0-9_.,:+/@*&|()\[\]=-]+", value), "checked by the option's rule"
    return Verbatim(value)


def _name(value: str) -> Verbatim:
    assert NAME.fullmatch(value), "checked by the rule of names"
    return Verbatim(value)


def _number(value: int) -> Verbatim:
    return Verbatim(str(int(value)))
