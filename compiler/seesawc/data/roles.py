"""What columns hold -> what they could be for: features, weight, event number, classes."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from attrs import evolve, frozen

from seesawc.data.summaries import FEW, SENTINELS, Look, Summary
from seesawc.tables.values import WrongValue, check_column

EVENT_NUMBERS = (
    "eventnumber", "event", "eventno", "eventid", "evt", "evtnumber", "evtnum", "evtid", "evn",
)  # fmt: skip
CONDITIONS = {
    "run", "runnumber", "lumi", "luminosityblock", "lumiblock", "lumisection", "lbn",
    "mcchannelnumber", "channelnumber", "dsid",
}  # fmt: skip
# The likeliest first.
WEIGHTS = ("mceventweight", "weight", "eventweight", "genweight", "weightnominal", "nominalweight")
LISTS = "lists; an item is a column of its own"
LABELS = {
    "label", "labels", "target", "class", "process", "issignal", "signal", "type", "sampletype",
    "truth", "y",
}  # fmt: skip


@frozen
class Roles:
    """What each column is for; `left_out` and `doubts` say why not, by column."""

    event_number: str | None = None
    weight: str | None = None
    other_weights: tuple[str, ...] = ()
    numerical: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}
    labels: tuple[str, ...] = ()
    missing: float | None = None
    missing_in: tuple[str, ...] = ()


def roles(looks: Sequence[Look], class_column: str | None) -> Roles:
    """Return roles that hold in all files."""
    columns = looks[0].columns
    left_out = _without_use(looks, class_column)
    known = {name: each for name, each in columns.items() if name not in left_out}
    events = _event_numbers(known)
    for name in list(events):
        share = min(look.columns[name].n_distinct / max(look.n_seen, 1) for look in looks)
        if share < 0.9:
            events.remove(name)
            known.pop(name)
            left_out[name] = f"a number of events that repeats: {share:.0%} are different"
    weights = _weights(known)
    labels = tuple(
        name
        for name, each in columns.items()
        if _last(name) in LABELS and each.values and (name in known or each.type.kind == "text")
        if name != class_column
    )
    taken = {*events[:1], *weights, *labels}
    for name in events[1:]:
        left_out[name] = "another number of events"
        taken.add(name)
    found = Roles(
        event_number=next(iter(events), None),
        weight=next(iter(weights), None),
        other_weights=tuple(weights[1:]),
        labels=labels,
    )
    features = {n: s for n, s in known.items() if n not in taken and s.type.kind != "text"}
    categorical = tuple(n for n, s in features.items() if _is_category(s))
    numerical = tuple(n for n in features if n not in categorical)
    found = evolve(found, categorical=categorical, numerical=numerical)
    found = _with_missing(looks, found)
    unfit = {
        name: "has nan, which is not what stands for missing here"
        for name in found.numerical
        if any(each.columns[name].nan for each in looks) and not _is_nan(found.missing)
    }
    return evolve(
        found,
        numerical=tuple(name for name in found.numerical if name not in unfit),
        left_out={**left_out, **unfit},
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _last(name: str) -> str:
    """Return the last word of a path of names."""
    return _plain(re.split(r"[/.]", name)[-1])


def _without_use(looks: Sequence[Look], class_column: str | None) -> dict[str, str]:
    """Return the columns that can be nothing, and why."""
    reasons: dict[str, str] = {}
    for name, first in looks[0].columns.items():
        every = [look.columns.get(name) for look in looks]
        summaries = [each for each in every if each is not None]
        if name == class_column:
            reasons[name] = "tells the class"
        elif len(summaries) < len(every):
            reasons[name] = "not in every file"
        elif reason := _reason(name, first, summaries):
            reasons[name] = reason
    for look in looks[1:]:
        reasons.update(
            {name: "not in every file" for name in look.columns if name not in looks[0].columns}
        )
    return reasons


def _reason(name: str, first: Summary, every: Sequence[Summary]) -> str | None:
    kinds = {each.type.kind for each in every}
    try:
        check_column(name)
    except WrongValue as wrong:
        return f"cannot be named in a spec: {wrong.hint}"
    if first.type.kind == "list":
        return LISTS
    if "other" in kinds or len(kinds) > 1:
        return f"holds {first.type.said}" if "other" in kinds else "of another type in another file"
    # A null of a real number is read as what is missing.
    if first.type.kind != "real" and any(each.null for each in every):
        return f"{max(each.null for each in every):.1%} nulls"
    if first.type.kind == "text":
        return f"texts, {max(each.n_distinct for each in every)} different ones"
    if any(each.infinite for each in every):
        return "has infinite values"
    if _plain(name) in CONDITIONS:
        return "says when or how events were made, not what they are"
    values = {value for each in every for value in (each.minimum, each.maximum)}
    if (
        all(each.n_distinct <= 1 for each in every)
        and len(values) <= 1
        and not (first.nan or first.null)
    ):
        return f"constant, {first.minimum:g}"
    return None


def _event_numbers(known: Mapping[str, Summary]) -> list[str]:
    """Return the columns that number events, the likeliest first."""
    named = [n for n, s in known.items() if _plain(n) in EVENT_NUMBERS and s.type.kind == "whole"]
    return sorted(named, key=lambda name: EVENT_NUMBERS.index(_plain(name)))


def _weights(known: Mapping[str, Summary]) -> list[str]:
    def is_weight(name: str, summary: Summary) -> bool:
        words = re.search(r"weight|wgt|^w_|_w$|^w$", name, re.IGNORECASE)
        return bool(words) and summary.type.kind == "real" and not (summary.nan or summary.null)

    def order(name: str) -> int:
        plain = _plain(name)
        return WEIGHTS.index(plain) if plain in WEIGHTS else len(WEIGHTS) + ("nominal" not in plain)

    return sorted((n for n, s in known.items() if is_weight(n, s)), key=order)


def _is_category(summary: Summary) -> bool:
    return summary.type.kind == "condition" or (
        summary.type.kind == "whole" and 0 < summary.n_distinct <= FEW
    )


def _is_nan(value: float | None) -> bool:
    return value is not None and bool(np.isnan(value))


def _with_missing(looks: Sequence[Look], found: Roles) -> Roles:
    """Choose the value that stands for what is missing in most features."""
    votes: dict[float, set[str]] = {}
    for look in looks:
        for name in found.numerical:
            for value, _, off in look.columns[name].ends:
                if off:
                    votes.setdefault(value, set()).add(name)
    likely = {v: names for v, names in votes.items() if v in SENTINELS or len(names) > 1}
    said = looks[0].pads.get("")
    absent = {
        name
        for look in looks
        for name in found.numerical
        if look.columns[name].nan or look.columns[name].null
    }
    if said is not None:
        where = absent if _is_nan(said) else votes.get(said, set[str]())
        return evolve(found, missing=said, missing_in=tuple(sorted(where)))
    if absent and len(absent) >= max(map(len, likely.values()), default=0):
        return evolve(found, missing=float("nan"), missing_in=tuple(sorted(absent)))
    if not likely:
        return found
    best = max(likely, key=lambda value: len(likely[value]))
    return evolve(found, missing=best, missing_in=tuple(sorted(likely[best])))
