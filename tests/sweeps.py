"""Many combinations: a sample of them in every run of the tests, all of them in `make sweeps`."""

import os
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")
WHOLE = os.environ.get("SEESAWC_SWEEPS") == "whole"


def sampled(cases: Iterable[Case], every: int) -> list[Case]:
    """Return each n-th of the cases."""
    found = list(cases)
    return found if WHOLE else found[::every]


def examples(few: int, many: int) -> int:
    """Return how many examples hypothesis is to find."""
    return many if WHOLE else few
