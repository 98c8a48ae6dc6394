"""The record of a run, `metrics.jsonl`: one JSON object a line, copied by the tracker."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parts.machinery.places import write_atomically


class Record:
    """Appends to `metrics.jsonl` and reads it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("a", encoding="ascii")

    def write(self, step: int, epoch: int, **entry: Any) -> None:
        """Write a line: metrics by name, or `artifact` with the path of a file."""
        self.write_all(step, epoch, [entry])

    def write_all(self, step: int, epoch: int, entries: list[dict[str, Any]]) -> None:
        """Write a line for each entry, all of them at once."""
        text = ""
        for entry in entries:
            line = {"step": step, "epoch": epoch, "time": time.time(), **entry}
            # JSON has no nan and no inf.
            finite = {k: None if is_not_finite(v) else v for k, v in line.items()}
            text += json.dumps(finite) + "\n"
        self.file.write(text)
        self.file.flush()

    def size(self) -> int:
        """Return the bytes written so far, which even a crash of the machine leaves."""
        if self.path.is_file():
            os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno()).st_size

    def cut(self, size: int, kept: Callable[[dict[str, Any]], bool] = lambda _: False) -> None:
        """Drop what was written after the first `size` bytes, but for entries that are `kept`."""
        if not self.path.is_file():
            return
        content = self.path.read_bytes()
        # A crash may leave half a line, and a crash of the machine worse.
        later = [parsed(line) for line in content[size:].splitlines()]
        lines = [json.dumps(entry).encode() + b"\n" for entry in later if entry and kept(entry)]
        # All or nothing: what is kept is written once.
        write_atomically(self.path, content[:size] + b"".join(lines))
        self.file.close()
        self.file = self.path.open("a", encoding="ascii")

    def artifacts(self) -> list[Path]:
        """Return the files that the record names."""
        entries = map(parsed, self.path.read_bytes().splitlines())
        return [Path(entry["artifact"]) for entry in entries if "artifact" in entry]

    def history(self, size: int) -> dict[str, list[tuple[int, float]]]:
        """Return (epoch, value) of every metric, in order, of the first `size` bytes."""
        series: dict[str, list[tuple[int, float]]] = {}
        with self.path.open("rb") as file:
            lines = file.read(size).splitlines()
        for line in lines:
            entry = json.loads(line)
            for name, value in entry.items():
                if name not in ("step", "epoch", "time") and isinstance(value, float):
                    series.setdefault(name, []).append((entry["epoch"], value))
        return series


def parsed(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing if it is damaged."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return entry


def is_not_finite(value: Any) -> bool:
    """Whether a value is nan or infinite."""
    return isinstance(value, float) and not math.isfinite(value)
