"""Data of a source -> Spec: what the author wrote, every value of the right type and in range."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from attrs import has
from cattrs import Converter
from cattrs.cols import list_structure_factory, mapping_structure_factory
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from seesawc.diagnostics import CompileError, Diagnostic, did_you_mean, nearest
from seesawc.reading.source import Key, Source
from seesawc.tables.spec import SPELT, Spec, keys
from seesawc.tables.values import Rule, WrongValue

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
Hook = Callable[[Any, Any], Any]


def read(source: Source) -> Spec:
    """Return the spec, or raise `CompileError` with every fault of names, types and ranges."""
    try:
        return CONVERTER.structure(source.data, Spec)
    except ClassValidationError as error:
        found = list(_faults(error))
        # One that is misspelt is not missing as well.
        meant = {(*key[:-1], fault.meant) for key, fault in found if isinstance(fault, Unknown)}
        told = (
            f for f in found if not isinstance(f[1], KeyError) or (*f[0], *f[1].args) not in meant
        )
        raise CompileError(*(_diagnostic(source, *fault) for fault in told)) from None


def faults(source: Source) -> tuple[tuple[Key, BaseException], ...]:
    """Return every fault with the key that it is of; `KeyError` names what lacks there."""
    try:
        CONVERTER.structure(source.data, Spec)
    except ClassValidationError as error:
        return tuple(_faults(error))
    return ()


def _diagnostic(source: Source, key: Key, error: BaseException) -> Diagnostic:
    if isinstance(error, WrongValue):
        part: Literal["key", "value"] = "key" if isinstance(error, Unknown) else "value"
        return source.fault(key, error.message, error.hint, part)
    if isinstance(error, KeyError):
        name = ".".join(part for part in key if isinstance(part, str))
        header = f"[[{name}]]" if key and isinstance(key[-1], int) else f"[{name}]"
        where = header if key else "the spec"
        return source.fault(key, f'{where} lacks "{error.args[0]}"', None, "key")
    raise error


def _faults(error: BaseException, key: Key = ()) -> Iterator[tuple[Key, BaseException]]:
    """Walk the tree of cattrs' exceptions, yielding each fault with the key it belongs to."""
    if isinstance(error, ClassValidationError):
        for inner, note in error.group_exceptions()[0]:
            name = SPELT.get(error.cl, {}).get(note.name, note.name)
            missing = isinstance(inner, KeyError) and inner.args == (name,)
            yield from [(key, inner)] if missing else _faults(inner, (*key, name))
        for other in error.group_exceptions()[1]:
            yield from _faults(other, key)
    elif isinstance(error, IterableValidationError):
        for inner, item in error.group_exceptions()[0]:
            yield from _faults(inner, (*key, item.index))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = keys(error.cl)
        for name in sorted(error.extra_fields):
            message = f'unknown option "{name}"' if key else f'unknown table or option "{name}"'
            yield (*key, name), Unknown(message, did_you_mean(name, known), nearest(name, known))
    else:
        yield key, error


class Unknown(WrongValue):
    """A key that no table has, and the one that may be meant."""

    def __init__(self, message: str, hint: str, meant: str | None) -> None:
        super().__init__(message, hint)
        self.meant = meant


def _strict(kind: type) -> Hook:
    """Return a hook that takes `kind` only: cattrs would turn "5" into 5, and True into 1."""

    def structure(value: Any, _: Any) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise WrongValue(f"{_shown(value)} is not {KINDS[kind]}", f"expected: {KINDS[kind]}")
        return value

    return structure


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool | date | time):
        return str(value).lower()
    return ascii(value)


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if not isinstance(value, str) or value not in allowed:
        hint = did_you_mean(value if isinstance(value, str) else "", allowed)
        raise WrongValue(f"{_shown(value)} is not one of the choices", hint)
    return value


def _annotated(value: Any, kind: Any) -> Any:
    base, *rules = get_args(kind)
    result = CONVERTER.structure(value, base)
    for rule in rules:
        if isinstance(rule, Rule):
            rule.check(result)
    return result


def _union(value: Any, kind: Any) -> Any:
    """Take the alternative that fits; if none does, say what the one of the value's type says."""
    alternatives = [a for a in get_args(kind) if a is not NoneType]
    if len(alternatives) == 1:
        return CONVERTER.structure(value, alternatives[0])
    refusals = []
    for alternative in alternatives:
        try:
            return CONVERTER.structure(value, alternative)
        except (WrongValue, IterableValidationError) as fault:
            refusals.append((alternative, fault))
    for alternative, found in refusals:
        if _base(alternative) is type(value) and get_origin(alternative) is not Literal:
            raise found
    raise WrongValue(
        f"{_shown(value)} is none of what is allowed",
        "expected: " + ", or ".join(map(_described, alternatives)),
    )


def _base(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    return {Literal: str, tuple: list}.get(origin, origin)


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(kind))
    return KINDS.get(_base(kind), "a list")


def _container(kind: Any, base: type, make: Callable[[Any, Converter], Hook]) -> Hook:
    """Return a hook for a list or table: cattrs alone would take a text for a list of letters."""
    structure = make(kind, CONVERTER)

    def checked(value: Any, kind: Any) -> Any:
        if not isinstance(value, base):
            expected = "a list" if base is list else "a table"
            raise WrongValue(f"{_shown(value)} is not {expected}", f"expected: {expected}")
        return structure(value, kind)

    return checked


def _list(kind: Any) -> Hook:
    return _container(kind, list, list_structure_factory)


def _tuple(kind: Any) -> Hook:
    def make(kind: Any, converter: Converter) -> Hook:
        structure = list_structure_factory(kind, converter)
        return lambda value, kind: tuple(structure(value, kind))

    return _container(kind, list, make)


def _mapping(kind: Any) -> Hook:
    return _container(kind, dict, mapping_structure_factory)


def _table(kind: Any) -> Hook:
    spelt = {name: override(rename=key) for name, key in SPELT.get(kind, {}).items()}

    def make(kind: Any, converter: Converter) -> Hook:
        # mypy takes the names of attributes for those of cattrs' own options.
        return make_dict_structure_fn(
            kind,
            converter,
            _cattrs_forbid_extra_keys=True,
            **spelt,  # type: ignore[arg-type]
        )

    return _container(kind, dict, make)


def _any(value: Any, _: Any) -> Any:
    return value


def _is(origin: Any) -> Callable[[Any], bool]:
    def matches(kind: Any) -> bool:
        return get_origin(kind) is origin

    return matches


def _converter() -> Converter:
    converter = Converter()
    for kind in KINDS:
        converter.register_structure_hook(kind, _strict(kind))
    hooks = {Literal: _literal, Union: _union, UnionType: _union, Annotated: _annotated}
    for origin, hook in hooks.items():
        converter.register_structure_hook_func(_is(origin), hook)
    converter.register_structure_hook_func(lambda kind: kind == Any, _any)
    converter.register_structure_hook_factory(_is(list), _list)
    converter.register_structure_hook_factory(_is(tuple), _tuple)
    converter.register_structure_hook_factory(_is(Mapping), _mapping)
    converter.register_structure_hook_factory(has, _table)
    return converter


CONVERTER = _converter()
