"""What plots of an epoch are drawn of, kept in the run's folder while they are not yet drawn."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.machinery.places import write_atomically

# Bytes of a SHA-256.
DIGEST = 32


@dataclass(frozen=True)
class Kept:
    """Columns by name, of training events and of the validation's, and what was recorded then."""

    known: int
    train: Mapping[str, NDArray[Any]]
    validation: Mapping[str, NDArray[Any]]


class Undrawn:
    """One file, for at most one epoch at a time; later weights could not say again what is in it.

    Without it a checkpoint would have to wait for the plots of the epochs before.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "undrawn"

    def keep(self, epoch: int, known: int, train: Any, validation: Any) -> None:
        """Write the columns of two splits, each a dataclass of arrays."""
        columns = {
            f"{split}.{field.name}": getattr(outputs, field.name)
            for split, outputs in (("train", train), ("validation", validation))
            for field in fields(outputs)
        }
        buffer = io.BytesIO()
        # Room for the digest, which comes first.
        buffer.write(bytes(DIGEST))
        np.savez(buffer, epoch=epoch, known=known, **columns)
        content = buffer.getbuffer()
        content[:DIGEST] = hashlib.sha256(content[DIGEST:]).digest()
        write_atomically(self.path, content)

    def found(self, epoch: int) -> Kept | None:
        """Return what an earlier start has kept of an epoch; None if it has not."""
        if not self.path.exists():
            return None
        written = self.path.read_bytes()
        if hashlib.sha256(written[DIGEST:]).digest() != written[:DIGEST]:
            print(f"warning: {self.path} is damaged")
            return None
        with np.load(io.BytesIO(written[DIGEST:]), allow_pickle=False) as file:
            content = dict(file)
        if int(content.pop("epoch")) != epoch:
            return None
        splits: dict[str, dict[str, NDArray[Any]]] = {"train": {}, "validation": {}}
        known = int(content.pop("known"))
        for name, column in content.items():
            split, _, own = name.partition(".")
            splits[split][own] = column
        return Kept(known, splits["train"], splits["validation"])

    def forget(self) -> None:
        """Remove the file, if it is there."""
        self.path.unlink(missing_ok=True)
