"""Strikes a process where it has come to: by its own progress, not after a time.

`TOY_STRIKE` is a JSON list: what is waited for, a pattern of the paths that it is about, which of
those that match it is, counted from 1, the number of the signal, and which of a run's tasks it is
for. What is waited for is an audit event, such as "open" or "os.rename", or "step": the steps of
this process's optimizer, or "validation": the batches that its trainer validates, or "end": Python
takes its modules down.
"""

import fnmatch
import json
import os
import sys
from functools import partial
from typing import Any


class Last:
    """What is left until Python takes its modules down."""

    def __init__(self, number: int) -> None:
        # By then there are no other names.
        self.strike = partial(os.kill, os.getpid(), number)

    def __del__(self) -> None:
        self.strike()


last: Last | None = None


def arm() -> None:
    """Have this process struck, if its environment says where."""
    if "TOY_STRIKE" not in os.environ:
        return
    event, pattern, count, number, rank = json.loads(os.environ["TOY_STRIKE"])
    if os.environ.get("LOCAL_RANK", "0") != str(rank):
        return
    seen = 0

    def strike() -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), number)

    def watch(what: str, arguments: tuple[Any, ...]) -> None:
        paths = (str(each) for each in arguments[:2] if isinstance(each, str | os.PathLike))
        if what == event and any(fnmatch.fnmatchcase(path, pattern) for path in paths):
            strike()

    if event == "step":
        # Not at the start of every interpreter: it takes seconds.
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(lambda *_: strike())
    elif event == "validation":
        from lightning.pytorch.strategies import Strategy

        validate = Strategy.validation_step

        def struck(*arguments: Any, **keywords: Any) -> Any:
            strike()
            return validate(*arguments, **keywords)

        Strategy.validation_step = struck  # type: ignore[method-assign]
    elif event == "end":
        global last
        last = Last(number)
    else:
        sys.addaudithook(watch)
