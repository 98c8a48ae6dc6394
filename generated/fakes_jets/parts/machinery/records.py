"""The record of a run, `metrics.jsonl`: one JSON object a line, copied by the tracker."""

import json
import math
import os
import os.path
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from parts.machinery.exits import RefusedError
from parts.machinery.places import write_atomically


class Record:
    """Appends to `metrics.jsonl` and reads it back; raises `RefusedError` if it cannot be written.

    Files are named by their places below `plots`, or else from the folder of the record: it stays
    true when those are moved.
    """

    def __init__(self, path: Path, plots: Path | None = None) -> None:
        self.path = path
        self.plots = plots or path.parent
        try:
            self.mend()
            self.file = path.open("a", encoding="ascii")
        except OSError as error:
            raise RefusedError(f"cannot write to {path}: {error.strerror}") from error

    def mend(self) -> None:
        """Say what is damaged, and end a line that a crash has torn: another is to follow."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        if damaged := sum(not parsed(line) for line in content.splitlines()):
            print(f"warning: {self.path} has {damaged} damaged lines; what they recorded is lost")
        if content and not content.endswith(b"\n"):
            with self.path.open("ab") as file:
                file.write(b"\n")

    def write(self, step: int, epoch: int, **entry: Any) -> None:
        """Write a line: metrics by name, or `artifact` with the name of a file."""
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
        if len(content) < size:
            print(
                f"warning: {self.path} has {len(content)} bytes, and had {size} when the checkpoint"
                " was made: what it recorded before is lost, the training is not"
            )
            return
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
        folders = (self.path.parent, self.plots)
        return [placed(entry["artifact"], folders) for entry in entries if "artifact" in entry]

    def epochs(self) -> int:
        """Return how many epochs were trained to their end, as far as the record says."""
        return sum("train_loss" in parsed(line) for line in self.path.read_bytes().splitlines())

    def named(self, path: Path) -> str:
        """Return the name that a file has in the record."""
        if path.is_relative_to(self.plots):
            return path.relative_to(self.plots).as_posix()
        return Path(os.path.relpath(path, self.path.parent)).as_posix()


class History:
    """Reads metrics of a record by epoch: each line once, however often it is asked.

    `is_wanted` says of a name whether its metric is read.
    """

    def __init__(self, path: Path, is_wanted: Callable[[str], bool]) -> None:
        self.path = path
        self.is_wanted = is_wanted
        self.read = 0
        self.series: dict[str, list[tuple[int, float]]] = {}

    def until(self, size: int) -> dict[str, list[tuple[int, float]]]:
        """Return (epoch, value) of each metric, in order, of the first `size` bytes."""
        if size < self.read:
            self.read, self.series = 0, {}
        with self.path.open("rb") as file:
            file.seek(self.read)
            lines = file.read(size - self.read).splitlines()
        self.read = size
        for line in lines:
            entry = parsed(line)
            for name, value in entry.items():
                if self.is_wanted(name) and isinstance(value, float):
                    self.series.setdefault(name, []).append((entry["epoch"], value))
        return {name: list(points) for name, points in self.series.items()}


def parsed(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing if it is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entry, dict) or not isinstance(entry.get("artifact", ""), str):
        return {}
    numbers = [entry.get(name) for name in ("step", "epoch", "time")]
    return entry if all(type(number) in (int, float) for number in numbers) else {}


def placed(name: str, folders: Sequence[Path]) -> Path:
    """Return where a file of the record lies: in the first of the folders that has it."""
    places = [Path(os.path.normpath(folder / name)) for folder in folders]
    return next((place for place in places if place.exists()), places[0])


def is_not_finite(value: Any) -> bool:
    """Whether a value is nan or infinite."""
    return isinstance(value, float) and not math.isfinite(value)
