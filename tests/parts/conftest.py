"""What the tests of parts share: no signal that a test has noted is obeyed by another one."""

import signal
from collections.abc import Iterator

import pytest

from parts.machinery.exits import ASKED, SIGNALS


@pytest.fixture(autouse=True)
def _nothing_asked() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    ASKED.status, ASKED.together = 0, False
