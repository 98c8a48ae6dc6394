"""The times in default run names: each is kept as long as its run's numbers are the same."""

import re
from collections.abc import Mapping
from typing import Any

TIMESTAMP = re.compile(r"\d{8}T\d{6}Z")


def kept(last: Mapping[str, Any], numbers: Mapping[str, str], now: str) -> dict[str, str]:
    """Return the time of each training, by the record of the last build and digests of today."""
    times, digests = _table(last.get("timestamp")), _table(last.get("numbers"))
    return {
        training: str(times[training])
        if digests.get(training) == digest and TIMESTAMP.fullmatch(str(times.get(training)))
        else now
        for training, digest in numbers.items()
    }


def _table(value: Any) -> Mapping[str, Any]:
    """Return a table of a record, which somebody may have edited."""
    return value if isinstance(value, dict) else {}
