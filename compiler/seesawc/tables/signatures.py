"""Parameters of a spec for an optimizer or scheduler of the pinned torch in, their faults out.

Torch is not imported: `torch_signatures.json` says what it takes, written by
`tests/torch_signatures.py`.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from attrs import frozen

from seesawc.diagnostics import did_you_mean
from seesawc.tables.values import LARGEST

Kind = Literal["float", "int", "bool", "str", "floats", "ints", "float_or_floats"]
WrongParameter = tuple[str, str, str | None]

_LARGEST = 2**63 - 1
_ONE: dict[Kind, str] = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a string",
    "floats": "a number",
    "ints": "a whole number",
    "float_or_floats": "a number",
}


@frozen
class Range:
    """What a number may be: at least, at most, above (exclusive), below (exclusive)."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def allows(self, value: float) -> bool:
        """Say whether `value` lies inside."""
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Return it in words: "at least 0 and below 1"."""
        words = {"at least": self.minimum, "above": self.above}
        words |= {"at most": self.maximum, "below": self.below}
        return " and ".join(f"{word} {end:g}" for word, end in words.items() if end is not None)


@frozen
class Parameter:
    """One argument that a spec may give to an optimizer or a scheduler."""

    name: str
    kind: Kind
    required: bool = False
    """Torch has no default for it."""
    optional: bool = False
    """None is a value of it; a spec says so by leaving the key out."""
    default: object = None
    """Torch's own; None also where `required`."""
    choices: tuple[str, ...] = ()
    length: int | None = None
    """How many elements a list has; such a list is a tuple in Python, any other stays a list."""
    ranges: tuple[Range, ...] = ()
    """One for the number or for every element, or one for each element."""
    filled: Literal["epochs", "steps"] | None = None
    """What of the training it is when left open."""
    gpu_only: bool = False
    """True as its value makes the optimizer raise on a CPU."""


@frozen
class Signature:
    """An optimizer or scheduler of torch, as far as a spec can use it."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    refused: str | None = None
    """Why no spec can use it at all."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """Arguments that torch takes and a spec cannot give, with the reason."""
    interval: Literal["epoch", "step"] = "epoch"
    """How often a scheduler is meant to step."""
    monitored: bool = False
    """The scheduler steps on a metric."""

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, if there is one."""
        return next((known for known in self.parameters if known.name == name), None)


def optimizers() -> Mapping[str, Signature]:
    """Return every optimizer of `torch.optim` by name, the refused ones too."""
    return _signatures("optimizers")


def schedulers() -> Mapping[str, Signature]:
    """Return every scheduler of `torch.optim.lr_scheduler` by name, the refused ones too."""
    return _signatures("schedulers")


def activations() -> tuple[str, ...]:
    """Return the modules of `torch.nn` that act element by element and need no argument."""
    return tuple(_data()["activations"])


def torch_version() -> str:
    """Return the version of torch that the data were read from."""
    return str(_data()["torch"])


def check(signature: Signature, params: Mapping[str, object]) -> list[WrongParameter]:
    """Return the faults of `params`: parameter name, message, hint.

    A refused signature has none: there is nothing that would be right.
    """
    if signature.refused:
        return []
    faults: list[WrongParameter] = []
    for name, value in params.items():
        if parameter := signature.parameter(name):
            faults += _wrong_value(parameter, value)
        else:
            faults.append(_unknown(signature, name))
    faults += [
        (p.name, f"{p.name} is missing: {signature.name} has no default for it", None)
        for p in signature.parameters
        if p.required and not p.filled and p.name not in params
    ]
    return faults or list(_wrong_together(signature, params))


def check_pair(
    scheduler: Signature, scheduler_params: Mapping[str, object], optimizer: Signature
) -> str | None:
    """Return why this scheduler cannot drive this optimizer, or None if it can."""
    if not cycles_momentum(scheduler, scheduler_params):
        return None
    if optimizer.name == "RMSprop" and _first(scheduler_params.get("max_momentum")) == 0:
        return (
            f"{scheduler.name} begins with max_momentum = 0, and RMSprop makes room for a momentum"
            " at its first step only: set max_momentum above 0, or cycle_momentum = false"
        )
    if optimizer.parameter("momentum") or optimizer.parameter("betas"):
        return None
    return (
        f"{scheduler.name} cycles the momentum and {optimizer.name} has none: "
        "set cycle_momentum = false, or take an optimizer with momentum or betas"
    )


def cycles_momentum(scheduler: Signature, params: Mapping[str, object]) -> bool:
    """Whether a scheduler drives the optimizer's momentum, besides its learning rate."""
    return scheduler.parameter("cycle_momentum") is not None and bool(
        params.get("cycle_momentum", True)
    )


def idle(
    signature: Signature, params: Mapping[str, Any], driven: Collection[str] = ()
) -> Iterator[WrongParameter]:
    """Yield what has no effect as long as another parameter is what it is: name, message, hint.

    Parameters that are `driven` by a schedule have an effect, whatever they are.
    """
    needs = (
        ("decoupled_weight_decay", "weight_decay", "a weight_decay above 0"),
        ("dampening", "momentum", "a momentum above 0"),
    )
    for name, other, hint in needs:
        if not params.get(name) or params.get(other) or other in driven:
            continue
        if signature.parameter(other):
            yield name, f"{name} has no effect without {hint}", "leave it out"
    if "gamma" in params and signature.parameter("mode") and signature.parameter("base_lr"):
        if params.get("mode") != "exp_range":
            yield "gamma", 'gamma has no effect without mode = "exp_range"', "leave it out"
    elif params.get("mode") == "exp_range":
        yield "mode", "exp_range without gamma is triangular", "gamma, such as 0.999"
    for name in ("base_momentum", "max_momentum"):
        if name in params and params.get("cycle_momentum") is False:
            yield name, f"{name} has no effect with cycle_momentum = false", "leave it out"


def convert(signature: Signature, params: Mapping[str, object]) -> dict[str, object]:
    """Return checked `params` as torch wants them: floats where it means floats, tuples likewise.

    Torch refuses some whole numbers (Adam's betas, OneCycleLR's pct_start), type checkers a list
    for a tuple.
    """
    by_name = {parameter.name: parameter for parameter in signature.parameters}
    return {name: _converted(by_name[name], value) for name, value in params.items()}


def _converted(parameter: Parameter, value: Any) -> object:
    if value is None:
        return None
    number: type[float] = float if "float" in parameter.kind else int
    if parameter.kind == "float_or_floats" and _is_list(value):
        return number(value[0])
    if parameter.kind in ("floats", "ints"):
        elements = [number(element) for element in value]
        return elements if parameter.length is None else tuple(elements)
    return number(value) if parameter.kind in ("float", "float_or_floats") else value


def _unknown(signature: Signature, name: str) -> WrongParameter:
    if reason := signature.left_out.get(name):
        return name, f"{signature.name} cannot take {name} from a spec: {reason}", None
    hint = did_you_mean(name, [parameter.name for parameter in signature.parameters])
    return name, f"{signature.name} has no parameter {name}", hint


def _wrong_value(parameter: Parameter, value: object) -> Iterator[WrongParameter]:
    if value is None and parameter.optional:
        return
    name, kind = parameter.name, parameter.kind
    if kind in ("floats", "ints") or (kind == "float_or_floats" and _is_list(value)):
        yield from _wrong_list(parameter, value)
    elif not _is_one(kind, value):
        yield name, f"{name} must be {_ONE[kind]}, not {_described(value)}", None
    elif parameter.choices and value not in parameter.choices:
        hint = did_you_mean(str(value), parameter.choices)
        yield name, f"{name} cannot be {json.dumps(value, ensure_ascii=False)}", hint
    else:
        yield from _out_of_range(parameter, name, 0, value)


def _wrong_list(parameter: Parameter, value: Any) -> Iterator[WrongParameter]:
    name, one = parameter.name, _ONE[parameter.kind]
    if not _is_list(value):
        many = "numbers" if parameter.length is None else f"{parameter.length} numbers"
        yield name, f"{name} must be a list of {many}, not {_described(value)}", None
    elif parameter.kind == "float_or_floats" and len(value) != 1:
        reason = "a list has one number for each parameter group, and a script has one group"
        yield name, f"{name} must be a number, or a list of one", reason
    elif parameter.length is not None and len(value) != parameter.length:
        yield name, f"{name} must have {parameter.length} numbers, not {len(value)}", None
    else:
        for index, element in enumerate(value):
            place = f"{name}[{index}]"
            if _is_one(parameter.kind, element):
                yield from _out_of_range(parameter, place, index, element)
            else:
                yield name, f"{place} must be {one}, not {_described(element)}", None


def _out_of_range(
    parameter: Parameter, place: str, index: int, value: Any
) -> Iterator[WrongParameter]:
    if not isinstance(value, str) and abs(value) > LARGEST:
        yield parameter.name, f"{place} is beyond what 32 bits hold", None
    elif parameter.ranges:
        allowed = parameter.ranges[index if len(parameter.ranges) > 1 else 0]
        if not allowed.allows(value):
            yield parameter.name, f"{place} must be {allowed}", None


def _wrong_together(signature: Signature, params: Mapping[str, Any]) -> Iterator[WrongParameter]:
    """Yield what torch refuses about values that are right each on its own."""
    if params.get("nesterov") and signature.parameter("dampening"):
        if not params.get("momentum"):
            yield "nesterov", "nesterov needs a momentum above 0", None
        if params.get("dampening"):
            yield "nesterov", "nesterov needs a dampening of 0", None
    if params.get("fused") and params.get("foreach"):
        yield "fused", "fused and foreach cannot both be true", None
    if (params.get("total_steps") or 0) * params.get("pct_start", 0.3) == 1:
        yield "pct_start", "pct_start times total_steps must not be 1: torch divides by zero", None
    if signature.parameter("final_div_factor"):
        first = _first(params["max_lr"]) / params.get("div_factor", 25.0)
        last = first / params.get("final_div_factor", 1e4)
        for name, rate in (("div_factor", first), ("final_div_factor", last)):
            # Torch can multiply no weights with it.
            if rate > LARGEST:
                yield name, f"{name} makes a learning rate of {rate:g}, beyond 32 bits", None
                return


def _first(value: Any) -> Any:
    """Return a number that may be given as a list of one."""
    return value[0] if _is_list(value) else value


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_one(kind: Kind, value: object) -> bool:
    match value:
        case bool():
            return kind == "bool"
        case int():
            return kind not in ("bool", "str") and abs(value) <= _LARGEST
        case float():
            return "float" in kind and math.isfinite(value)
    return kind == "str" and isinstance(value, str)


def _described(value: object) -> str:
    match value:
        case bool():
            return json.dumps(value)
        case str():
            return "a string"
        case int():
            return str(value) if abs(value) <= _LARGEST else "one beyond 64 bits"
        case float():
            return str(value)
        case Mapping():
            return "a table"
    return "a list" if _is_list(value) else type(value).__name__


@cache
def _data() -> dict[str, Any]:
    path = Path(__file__).with_name("torch_signatures.json")
    data: dict[str, Any] = json.loads(path.read_bytes())
    return data


@cache
def _signatures(table: str) -> Mapping[str, Signature]:
    entries = _data()[table].items()
    return MappingProxyType({name: _signature(name, entry) for name, entry in entries})


def _signature(name: str, entry: Mapping[str, Any]) -> Signature:
    fields = dict(entry)
    parameters = fields.pop("parameters", {}).items()
    return Signature(
        name=name,
        parameters=tuple(_parameter(key, value) for key, value in parameters),
        left_out=MappingProxyType(fields.pop("left_out", {})),
        **fields,
    )


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    fields = dict(entry)
    default = fields.pop("default", None)
    return Parameter(
        name=name,
        default=tuple(default) if isinstance(default, list) else default,
        choices=tuple(fields.pop("choices", ())),
        ranges=tuple(Range(**ends) for ends in fields.pop("ranges", ())),
        **fields,
    )
