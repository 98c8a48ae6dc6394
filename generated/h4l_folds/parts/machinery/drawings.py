"""Sets of plots that are drawn behind the training's back, and recorded once they are there."""

import gc
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parts.machinery.records import Record
from parts.machinery.undrawn import Undrawn


@dataclass(frozen=True, eq=False)
class Drawing:
    """A set of plots, of an epoch, in a folder."""

    step: int
    epoch: int
    # What is drawn: what was known then, which are so many bytes of the record, and two splits.
    known: int
    train: Any
    validation: Any
    folder: Path
    # The epoch whose weights are the best, where these plots are the last ones.
    best: int | None = None
    # What figures are told besides.
    shown: dict[str, float] = field(default_factory=dict)


class Drawings:
    """Those that were begun and are not recorded; `draw` returns the files of one.

    A checkpoint promises the plots of the epochs before, but waits for none: what they are drawn of
    is kept, so that a start that goes on from it can draw them.
    """

    def __init__(
        self,
        record: Record,
        undrawn: Undrawn,
        artist: Executor,
        draw: Callable[[Drawing], list[Path]],
    ) -> None:
        self.record = record
        self.undrawn = undrawn
        self.artist = artist
        self.draw = draw
        self.begun: list[tuple[Drawing, Future[list[Path]]]] = []
        self.kept: Drawing | None = None

    def begin(self, drawing: Drawing) -> None:
        """Have a set drawn after those that were begun before."""
        self.begun.append((drawing, self.artist.submit(self.finish, drawing)))

    def finish(self, drawing: Drawing) -> list[Path]:
        """Draw a set, and let go of what it took."""
        files = self.draw(drawing)
        # Figures are full of circles: Python would let a hundred MB of them stand.
        gc.collect()
        return files

    def begin_kept(
        self, step: int, epoch: int, folder: Path, outputs: Callable[..., Any]
    ) -> Drawing | None:
        """Begin what an earlier start has kept of an epoch; None if it has not.

        `outputs` makes of columns by name what is drawn of a split.
        """
        if (found := self.undrawn.found(epoch)) is None:
            return None
        train, validation = (outputs(**columns) for columns in (found.train, found.validation))
        self.kept = Drawing(step, epoch, found.known, train, validation, folder)
        self.begin(self.kept)
        return self.kept

    def secure(self) -> None:
        """Record what is drawn, and keep what the rest is drawn of: before a checkpoint."""
        if all(files.done() for _, files in self.begun):
            self.settle()
        for drawing, _ in self.begun:
            if drawing is not self.kept:
                self.undrawn.keep(drawing.epoch, drawing.known, drawing.train, drawing.validation)
                self.kept = drawing

    def settle(self) -> None:
        """Wait for what was begun, and record it; what failed costs nothing else.

        So sets stand in the record in the order in which they were due, however long they took.
        """
        begun, self.begun = self.begun, []
        for drawing, files in begun:
            if error := files.exception():
                print(f"warning: plots were not drawn: {error!r}")
            else:
                # All or none: a start that is killed here draws them again.
                named = [{"artifact": self.record.named(path)} for path in files.result()]
                self.record.write_all(drawing.step, drawing.epoch, named)
        if self.kept is not None:
            # Not before the disk has the lines.
            self.record.size()
            self.undrawn.forget()
            self.kept = None
