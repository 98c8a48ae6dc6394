"""Scores in ROOT: beside the events, in a tree that is written anew, or alone, as its friend."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from parts.readers import Column, Lists
from parts.root_copies import TreePlan, check_same, tree_plan
from parts.root_files import DAMAGED, HOW, Root
from parts.root_trees import tree_table
from parts.score_outputs import changed_meanwhile, check_names, kept_values, pieces_of
from parts.stretches import Stretches, joined, refusing

# Bytes, uncompressed, of the events whose baskets are written together.
CLUSTER_BYTES = 2**24
# Events of these at least, and at most.
CLUSTER_EVENTS = (1000, 2**20)
# The tree of scores that are of no ROOT file.
USUAL_TREE = "scores"


@dataclass
class RootBaskets:
    """A tree that is being written; events are gathered to baskets of a sensible size."""

    tree: Any
    types: Mapping[str, Any]
    # Events whose baskets are written together.
    together: int
    held: list[Mapping[str, Column | Lists]] = field(default_factory=list)
    count: int = 0

    def add(self, columns: Mapping[str, Column | Lists], count: int) -> None:
        """Add so many events, one at least."""
        self.held.append(columns)
        self.count += count
        if self.count >= self.together:
            self.write()

    def write(self) -> None:
        """Write what was gathered, if anything was."""
        if self.count:
            every = {name: joined([each[name] for each in self.held]) for name in self.types}
            self.held.clear()
            self.count = 0
            self.tree.extend({name: to_branch(every[name], self.types[name]) for name in every})


@dataclass
class RootFriend:
    """Scores alone."""

    baskets: RootBaskets

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the scores of the next events; of those that are `kept`."""
        if kept.any():
            found = {name: Column(held) for name, held in kept_values(columns, kept).items()}
            self.baskets.add(found, int(kept.sum()))


@dataclass
class RootBeside:
    """Scores beside the events of a tree."""

    source: Path
    n_events: int
    branches: Mapping[str, Stretches]
    baskets: RootBaskets
    first: int = 0

    def add(self, columns: Mapping[str, NDArray[Any]], kept: NDArray[np.bool_]) -> None:
        """Add the next events, with their scores; those that are `kept` are written."""
        if self.first + len(kept) > self.n_events:
            raise changed_meanwhile(self.source)
        for piece in pieces_of(len(kept), self.baskets.together):
            begin, end = self.first + piece.start, self.first + piece.stop
            every: dict[str, Column | Lists] = {}
            for stretches in self.branches.values():
                every |= stretches.take(begin, end)
            every |= {name: Column(held[piece]) for name, held in columns.items()}
            if kept[piece].any():
                found = {name: those_kept(held, kept[piece]) for name, held in every.items()}
                self.baskets.add(found, int(kept[piece].sum()))
        self.first += len(kept)


@contextmanager
def root_friend(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[RootFriend]:
    """Open a file of scores alone, whose tree is called as that of the source."""
    plan = TreePlan(tree_name(source, table), "", columns, {})
    with place.open("w+b") as file, uproot.recreate(file) as root:
        baskets = new_tree(root, plan, sum(dtype.itemsize for dtype in columns.values()), 0)
        yield RootFriend(baskets)
        baskets.write()


def tree_name(source: Path, table: str | None) -> str:
    """Return the path of a source's tree; one of another format has none."""
    if source.is_dir() or source.suffix.lower() != ".root":
        return USUAL_TREE
    with opened_root(source) as file:
        return Root(table).chosen(source, classes_in(source, file)).partition(";")[0]


@contextmanager
def root_beside(
    source: Path, table: str | None, place: Path, columns: Mapping[str, np.dtype[Any]]
) -> Iterator[RootBeside]:
    """Open a copy of a file with branches to be added; raises `RefusedError`."""
    with opened_root(source) as old, place.open("w+b") as file:
        classes = classes_in(source, old)
        name = Root(table).chosen(source, classes)
        with refusing(source, f"tree {name}", DAMAGED):
            tree = old[name]
        check_names(source, iter(tree.keys()), columns)
        plan = tree_plan(source, classes, name, tree)
        held = tree_table(source, tree, DAMAGED)
        n_events = held.schema.n_events
        per_event = sum(b.uncompressed_bytes for b in tree.branches) // max(n_events, 1)
        counted = {each: kind for each, kind in plan.types.items() if each not in counters_of(plan)}
        at_once = max(CLUSTER_BYTES // max(per_event, 1), 1)
        branches = {each: held.stretches(each, at_once) for each in counted}
        with uproot.recreate(file, compression=old.file.compression) as root:
            plan = TreePlan(plan.name, plan.title, {**plan.types, **columns}, plan.counters)
            baskets = new_tree(root, plan, per_event, n_events)
            file.flush()
            with opened_root(place) as new:
                check_same(source, tree, new[plan.name])
            scored = RootBeside(source, n_events, branches, baskets)
            yield scored
            if scored.first != n_events:
                raise changed_meanwhile(source)
            baskets.write()


@contextmanager
def opened_root(path: Path) -> Iterator[Any]:
    """Open a file to be read, with all that its trees say of themselves."""
    with refusing(path, "as a ROOT file", DAMAGED):
        file = uproot.open({str(path): None}, **HOW, minimal_ttree_metadata=False)
    with file:
        yield file


def classes_in(source: Path, file: Any) -> dict[str, str]:
    """Return the classes of all objects in a file by their paths, with their cycles."""
    with refusing(source, "its directories", DAMAGED):
        classes: dict[str, str] = file.classnames(recursive=True)
    return classes


def counters_of(plan: TreePlan) -> set[str]:
    """Return the branches that uproot fills by itself."""
    return set(plan.counters.values())


def new_tree(root: Any, plan: TreePlan, per_event: int, n_events: int) -> RootBaskets:
    """Create a tree."""
    least, most = CLUSTER_EVENTS
    together = min(max(CLUSTER_BYTES // max(per_event, 1), least), most)
    tree = root.mktree(
        plan.name,
        plan.types,
        plan.title,
        counter_name=plan.counter,
        # Were there more, the tree's own record would be written again.
        initial_basket_capacity=n_events // together + 10,
    )
    types = {name: kind for name, kind in plan.types.items() if name not in counters_of(plan)}
    return RootBaskets(tree, types, together)


def those_kept(held: Column | Lists, kept: NDArray[np.bool_]) -> Column | Lists:
    """Return the events of a column that are kept."""
    if kept.all():
        return held
    if isinstance(held, Column):
        return Column(held.values[kept])
    length = held.length[kept]
    values = held.values[np.repeat(kept, held.length)]
    return Lists(values, np.cumsum(length) - length, length)


def to_branch(held: Column | Lists, kind: Any) -> Any:
    """Return a column as uproot takes it."""
    if isinstance(held, Column):
        return held.values
    if isinstance(kind, np.dtype):
        return held.values.reshape(-1, *kind.shape)
    offsets = np.append(held.first, len(held.values))
    return ak.Array(
        ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(held.values))
    )
