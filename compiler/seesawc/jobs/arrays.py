"""Members of an array job <-> the list that sbatch's `--array` takes, such as `0,3-5,8-20:4`."""

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

ITEM = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", re.ASCII)
LIMIT = re.compile(r"(.*)%([1-9]\d{0,8})", re.ASCII)
LARGEST = 4_000_000  # What SLURM itself can be configured to take at most.


def expand(text: str) -> tuple[int, ...]:
    """Return the members that a list names, in order; raises `ValueError` in the user's words."""
    members: set[int] = set()
    for item in text.split(","):
        match = ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f'"{item}" is neither a number nor a range such as 3-5 or 0-8:2')
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or not step or last > LARGEST:
            raise ValueError(f'"{item}" is not a range of members')
        members.update(range(first, last + 1, step))
    return tuple(sorted(members))


def split_limit(text: str) -> tuple[str, int | None]:
    """Split off how many members may run at once: "0-9%4" is ("0-9", 4)."""
    match = LIMIT.fullmatch(text)
    return (match[1], int(match[2])) if match else (text, None)


@frozen
class Slice:
    """Members of one of several arrays: the member that its 0 is, and its own indices."""

    begin: int
    indices: tuple[int, ...]


def sliced(members: Iterable[int], size: int) -> list[Slice]:
    """Divide members among arrays whose indices are below `size`.

    One that does not begin with 0 begins with a round number, so that members are still known by
    their indices.
    """
    known = sorted(set(members))
    if known[-1] < size:
        return [Slice(0, tuple(known))]
    length = size // 1000 * 1000 or size
    begins = dict.fromkeys(member // length * length for member in known)
    return [
        Slice(begin, tuple(m - begin for m in known if begin <= m < begin + length))
        for begin in begins
    ]


def shares(limit: int, sizes: Sequence[int]) -> list[int]:
    """Divide a limit among slices by their sizes, at least 1 each; there are no more of them."""
    assert len(sizes) <= limit, "checked by the caller"
    # What is left beyond one each; what rounding leaves goes to the first ones.
    rest = limit - len(sizes)
    found = [1 + rest * size // sum(sizes) for size in sizes]
    for index in range(limit - sum(found)):
        found[index] += 1
    return found


def compress(members: Iterable[int], limit: int | None = None) -> str:
    """Return the shortest list that names the members one after the other."""
    known = sorted(set(members))
    # best[i] is the shortest text for all from the i-th on.
    best = [""] * (len(known) + 1)
    ends = _ends(known)
    for start in reversed(range(len(known))):
        # A range that stops earlier than one before its last member leaves at least two that would
        # fit into it, which it names in fewer letters than any other item does.
        stops = {start + 1, ends[start], max(start + 1, ends[start] - 1)}
        texts = (_item(known[start:stop]) + ("," + best[stop]) * bool(best[stop]) for stop in stops)
        best[start] = min(texts, key=lambda text: (len(text), text))
    return best[0] + ("" if limit is None else f"%{limit}")


def _ends(known: Sequence[int]) -> list[int]:
    """Return for each member the end of the longest range of one step that starts with it."""
    ends = [min(index + 2, len(known)) for index in range(len(known))]
    for index in reversed(range(len(known) - 2)):
        if known[index + 1] - known[index] == known[index + 2] - known[index + 1]:
            ends[index] = ends[index + 1]
    return ends


def _item(members: Sequence[int]) -> str:
    """Return the text of members of one step."""
    first, last = members[0], members[-1]
    if first == last:
        return str(first)
    step = members[1] - first
    return f"{first}-{last}" if step == 1 else f"{first}-{last}:{step}"
