"""The vocabulary of option types: Python types with the rule that a value must keep."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from attrs import field, fields, frozen

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
# What somebody means for a variable, also where it could not be one.
VARIABLE = re.compile(r"\$\{\w*\}")
PLACE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
WINDOWS = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}
# In 32 bits, as networks compute.
LARGEST = 3.4e38
# Lightning takes jobs of these names for interactive ones and ignores SLURM (#16730).
INTERACTIVE = {"bash", "interactive"}


class WrongValue(ValueError):
    """A value that breaks a rule: the message, and what would be right."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@frozen
class Rule:
    """A check on a value of the right type; it raises `WrongValue`."""

    check: Callable[[Any], None]


def option(doc: str, default: Any = None, factory: Callable[[], Any] | None = None) -> Any:
    """Declare an option; `doc` is also what specs/README.md shows."""
    if factory is not None:
        return field(factory=factory, metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


def required(doc: str) -> Any:
    """Declare an option that has no default."""
    return field(metadata={"doc": doc})


def unchanged(table: object, resolved: type) -> dict[str, Any]:
    """Return the options of a written table that its resolved class does not declare anew."""
    return {a.name: getattr(table, a.name) for a in fields(resolved) if a.inherited}


def at_least(low: float) -> Rule:
    """Return the rule that a number is `low` or more."""

    def check(value: float) -> None:
        if not value >= low:
            raise WrongValue(f"{value} is too small", f"at least {low}")

    return Rule(check)


def between(low: float, high: float, *, open_end: bool = False) -> Rule:
    """Return the rule that a number lies in [low, high], or in [low, high)."""

    def check(value: float) -> None:
        if not (low <= value < high if open_end else low <= value <= high):
            end = ")" if open_end else "]"
            raise WrongValue(f"{value} is out of range", f"in [{low}, {high}{end}")

    return Rule(check)


def nonempty(value: Sequence[Any]) -> None:
    """Raise `WrongValue` for a list of nothing."""
    if not value:
        raise WrongValue("an empty list", "at least one")


def distinct(value: Sequence[Any]) -> None:
    """Raise `WrongValue` for a list that repeats itself."""
    for item in value:
        if value.count(item) > 1:
            shown = f'"{item}"' if isinstance(item, str) else item
            raise WrongValue(f"{shown} stands twice in the list", "each once")


def _positive(value: float) -> None:
    if not 0 < value < float("inf"):
        raise WrongValue(f"{value} is not a positive number", "greater than 0")


def _kept(value: float) -> None:
    # Beyond, it is infinite in 32 bits, as other values are that are wrong.
    if abs(value) > LARGEST:
        raise WrongValue(f"{value} is beyond what 32 bits hold", "nan, or a number such as -999")


def check_name(value: str) -> None:
    """Raise `WrongValue` if a text cannot name a folder, a job and a run."""
    check_literal(value)
    if not NAME.fullmatch(value) or value.endswith("."):
        raise WrongValue(
            f"{value!a} cannot name a folder, a job and a run",
            "1 to 100 of the letters A-Z a-z, digits and _ . + -, starting with a letter or digit,"
            " not ending in a dot",
        )
    if value.split(".")[0].lower() in WINDOWS:
        raise WrongValue(f'"{value}" is reserved on Windows', "another name")
    if value.lower() in INTERACTIVE:
        raise WrongValue(f'"{value}" would make Lightning ignore SLURM', "another name")


def check_literal(value: str) -> None:
    """Raise `WrongValue` for `${NAME}` where no variable is filled in."""
    if match := VARIABLE.search(value):
        raise WrongValue(
            f"{match[0]} is not filled in here, and would stand there as it is",
            "the value itself; variables are for paths, and for comet_api_key",
        )


def _label(value: str) -> None:
    _plain(value)
    # Mathematics stand between two dollars, and may begin with a group.
    if value.count("$") % 2:
        check_literal(value)


def is_relative(place: str) -> bool:
    """Whether a place starts at the spec's folder; images may also be URIs."""
    return not place.startswith(("/", "${")) and "://" not in place


def check_column(value: str) -> None:
    """Raise `WrongValue` if a text cannot name a column."""
    if not value.isascii() or not value.isprintable() or not value.strip():
        hint = "printable ASCII, as the file has it"
        raise WrongValue(f"{value!a} is not the name of a column", hint)
    check_literal(value)
    if len(value) > 100:
        raise WrongValue("the name of a column is longer than 100 characters", "a shorter name")


def _path(value: str) -> None:
    _plain(value)
    for name in PLACE.findall(value):
        if SECRET.search(name):
            raise WrongValue(
                f"${{{name}}} looks like a secret", "secrets go into comet_api_key only"
            )
    if "$" in PLACE.sub("", value):
        raise WrongValue(
            "a variable in a path is written ${NAME}", "upper-case letters, digits and _ in braces"
        )
    if value.startswith("~"):
        raise WrongValue("~ is not expanded", "write ${HOME}")
    if ".." in re.split(r"[/\\]", value):
        raise WrongValue(
            '".." is not allowed in a path', "a path below the spec's folder, or ${NAME}"
        )
    if "\\" in value:
        raise WrongValue("a backslash is not allowed in a path", "separate folders by /")


def _data_path(value: str) -> None:
    # Specs lie in a folder of their own, so data is often one level above it.
    while value.startswith("../"):
        value = value.removeprefix("../")
    _path(value)


def check_amount(value: str) -> None:
    """Raise `WrongValue` if a text is no amount of memory, as SLURM takes them."""
    if re.fullmatch(r"[1-9]\d{0,6}[KMGT]", value) is None:
        raise WrongValue(f"{value!a} is not an amount of memory", 'such as "16G" (K, M, G or T)')


def _plain(value: str) -> None:
    if not value or value != value.strip():
        raise WrongValue("an empty text, or one with white space at an end", "text without it")
    if not value.isascii() or not value.isprintable():
        raise WrongValue(f"{value!a} holds characters other than printable ASCII", "plain ASCII")
    if len(value) > 1000:
        raise WrongValue("longer than 1000 characters", "a shorter text")


Count = Annotated[int, at_least(1)]
Whole = Annotated[int, at_least(0)]
Seed = Annotated[int, between(0, 2**32 - 1)]
Positive = Annotated[float, Rule(_positive)]
Kept = Annotated[float, Rule(_kept)]
Share = Annotated[float, between(0, 1)]
Name = Annotated[str, Rule(check_name)]
Column = Annotated[str, Rule(check_column)]
PathText = Annotated[str, Rule(_path)]
DataPath = Annotated[str, Rule(_data_path)]
Text = Annotated[str, Rule(_plain), Rule(check_literal)]
Label = Annotated[str, Rule(_label)]
Amount = Annotated[str, Rule(check_amount)]
