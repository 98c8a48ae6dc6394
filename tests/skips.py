"""Which tests may be skipped where everything is there that can be: in CI, no others."""

import os
import re
from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = (
    # Where a container may not mount.
    r"cannot mount",
    r"no GPU",
    # Found through SEESAWC_REAL_FILES.
    r"no real files of others at .*",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Judge the skip of a test."""
    return judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Judge the skip of a whole file."""
    return judged((yield))


def judged(report: Any) -> Any:
    """Turn a skip for another reason into a failure."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if not any(re.fullmatch(known, reason) for known in ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report
