"""TTrees that uproot can write anew just as they are; what else a file holds is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

from parts.readers import kind_of, quoted
from parts.score_outputs import not_copied

# What a tree may hold besides branches, and how messages call it.
EXTRAS = {
    "fAliases": "aliases",
    "fFriends": "friends",
    "fUserInfo": "user information",
    "fTreeIndex": "an index",
    "fBranchRef": "references",
}
NUMBER_KINDS = ("condition", "whole", "real")


@dataclass(frozen=True)
class TreePlan:
    """A TTree as uproot takes it: its path in the file, its title and its branches."""

    name: str
    title: str
    # Types of numpy, of fixed arrays too, or those of awkward for lists.
    types: Mapping[str, Any]
    # Branches that say how long lists are, by the branches of the lists.
    counters: Mapping[str, str]

    def counter(self, branch: str) -> str:
        """Return the branch that says how long the lists of a branch are."""
        return self.counters[branch]


def tree_plan(source: Path, classes: Mapping[str, str], name: str, tree: Any) -> TreePlan:
    """Return how to write a tree anew; raises `RefusedError` if the file cannot be written so."""
    check_alone(source, classes, name)
    if classes[name] != "TTree":
        raise not_copied(source, f"a {classes[name]} {quoted(tree.name)}")
    for member, said in EXTRAS.items():
        if tree.member(member, none_if_missing=True):
            raise not_copied(source, f"{said} of the tree {quoted(tree.name)}")
    if tree.member("fWeight") != 1:
        raise not_copied(source, f"a weight of the tree {quoted(tree.name)}")
    types = {branch.name: branch_plan(source, branch) for branch in tree.branches}
    if len(types) < len(tree.branches):
        raise not_copied(source, "branches of one name")
    counters = {b.name: b.count_branch.name for b in tree.branches if b.count_branch is not None}
    return TreePlan(name.partition(";")[0], tree.title, types, counters)


def check_alone(source: Path, classes: Mapping[str, str], name: str) -> None:
    """Raise `RefusedError` if a file holds more than a tree, its former states and its folders."""
    path = name.partition(";")[0]
    for each, kind in classes.items():
        other = each.partition(";")[0]
        if other != path and not path.startswith(f"{other}/"):
            raise not_copied(source, f"a {kind} {quoted(other)} as well")


def branch_plan(source: Path, branch: Any) -> Any:
    """Return the type by which uproot writes a branch; raises `RefusedError` if there is none."""
    how = branch.interpretation
    lists = isinstance(how, AsJagged)
    inner = how.content if lists else how
    if branch.classname == "TBranch" and not branch.branches and isinstance(inner, AsDtype):
        dtype = np.dtype(inner.to_dtype)
        depth = len(dtype.shape) + lists
        counted = lists == (branch.count_branch is not None)
        if kind_of(dtype.base) in NUMBER_KINDS and depth <= 1 and counted:
            return f"var * {dtype.name}" if lists else dtype.newbyteorder("=")
    raise not_copied(source, said_of_branch(branch))


def check_same(source: Path, old: Any, new: Any) -> None:
    """Raise `RefusedError` if the branches of a new tree, the first ones, are not the old ones."""
    for branch, again in zip(old.branches, new.branches, strict=False):
        if description(branch) != description(again):
            raise not_copied(source, said_of_branch(branch))


def description(branch: Any) -> tuple[Any, ...]:
    """Return all that a branch says of itself but how it is packed."""
    counter = branch.count_branch
    leaves = [
        (
            leaf.classname,
            *(leaf.member(each) for each in ("fName", "fTitle", "fLen", "fIsUnsigned")),
        )
        for leaf in branch.member("fLeaves")
    ]
    names = (branch.name, branch.title, branch.classname, branch.typename)
    return (*names, str(branch.interpretation), leaves, counter and counter.name)


def said_of_branch(branch: Any) -> str:
    """Return how messages call a branch that cannot be written anew."""
    title = f" and title {quoted(branch.title)}" if branch.title else ""
    return f"a branch {quoted(branch.name)} of type {branch.typename}{title}"
