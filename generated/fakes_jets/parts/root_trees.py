"""Columns of a TTree in an open ROOT file: its branches, read basket by basket."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype, TruncatedNumerical
from uproot.interpretation.strings import AsStrings

from parts.readers import Column, ColumnType, Lists, Schema, kind_of, native
from parts.stretches import (
    STRETCH_BYTES,
    Stretches,
    chunks_of,
    column_said,
    lists_alike,
    lists_between,
    refusing,
    stretch_edges,
)


@dataclass(frozen=True)
class RootTree:
    """A TTree, as a table."""

    path: Path
    branches: Mapping[str, Any]
    schema: Schema
    # What a library raises where the file is damaged.
    errors: tuple[type[Exception], ...]

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time."""
        total = sum(self.branches[name].uncompressed_bytes for name in names)
        per_event = max(total / max(self.schema.n_events, 1), 1)
        at_once = int(STRETCH_BYTES / per_event)
        every = [self.stretches(name, at_once) for name in names]
        yield from chunks_of(every, self.schema.n_events, size)

    def stretches(self, name: str, at_once: int) -> Stretches:
        """Return the values of a branch, in its baskets."""
        branch, n_events = self.branches[name], self.schema.n_events
        read = read_lists if self.schema.columns[name].kind == "list" else read_numbers

        def columns(first: int, last: int) -> Mapping[str, Column | Lists]:
            with refusing(self.path, column_said(name), self.errors):
                held = read(branch, first, last)
                if len(held) != last - first:
                    raise ValueError(f"{len(held)} values for {last - first} events")
            return {name: held}

        with refusing(self.path, column_said(name), self.errors):
            edges = stretch_edges(branch.entry_offsets, n_events)
        return Stretches(edges, at_once, columns)


def tree_table(path: Path, tree: Any, errors: tuple[type[Exception], ...]) -> RootTree:
    """Return a TTree as a table."""
    branches = leaf_branches(tree)
    columns = {name: branch_type(branch) for name, branch in branches.items()}
    return RootTree(path, branches, Schema(columns, int(tree.num_entries)), errors)


def leaf_branches(tree: Any) -> Mapping[str, Any]:
    """Return the branches that hold values: by their own names, or paths where several share it."""
    every = tree.iteritems(recursive=True, full_paths=True)
    leaves = [(path, branch) for path, branch in every if not branch.branches]
    count = Counter(branch.name for _, branch in leaves)
    return {path if count[branch.name] > 1 else branch.name: branch for path, branch in leaves}


def branch_type(branch: Any) -> ColumnType:
    """Return what a branch holds."""
    said, how = str(branch.typename), branch.interpretation
    if isinstance(how, AsStrings):
        return ColumnType("text", said)
    lists = isinstance(how, AsJagged)
    inner = how.content if lists else how
    # An array of things that are no numbers has an interpretation of another class.
    plain = isinstance(inner, AsDtype | TruncatedNumerical)
    dtype = np.dtype(inner.to_dtype if plain else "V1")
    kind, depth = kind_of(dtype.base), len(dtype.shape) + lists
    if kind not in ("condition", "whole", "real") or depth > 1:
        return ColumnType("other", said)
    return ColumnType("list", said, kind) if depth else ColumnType(kind, said)


def read_numbers(branch: Any, first: int, last: int) -> Column:
    """Return the numbers of a branch, or texts."""
    return Column(native(branch.array(None, first, last, array_cache=None, library="np")))


def read_lists(branch: Any, first: int, last: int) -> Lists:
    """Return the lists of a branch, of one length each or not."""
    if not isinstance(branch.interpretation, AsJagged):
        return lists_alike(native(branch.array(None, first, last, array_cache=None, library="np")))
    layout = branch.array(None, first, last, array_cache=None, library="ak").layout
    lists = layout.to_ListOffsetArray64(True)
    return lists_between(native(np.asarray(lists.content.data)), np.asarray(lists.offsets.data))
