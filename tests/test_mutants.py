"""The planted faults of `make mutants` can still be planted, and their tests are there."""

import ast
from functools import cache

import pytest

from tests.mutants import ROOT, Fault, describe, faults

ALL = list(faults())


@cache
def names(file: str) -> set[str]:
    """Return the tests of a file."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len(ALL) >= 120
    assert len({(fault.file, fault.old, fault.new, fault.test) for fault in ALL}) == len(ALL)


@pytest.mark.parametrize("fault", ALL, ids=describe)
def test_a_fault_can_still_be_planted(fault: Fault) -> None:
    """One whose text is gone is replaced by its like."""
    assert (ROOT / fault.file).read_text().count(fault.old) == 1
    assert fault.old != fault.new
    file, _, name = fault.tests().partition("::")
    assert name.partition("[")[0] in names(file)
