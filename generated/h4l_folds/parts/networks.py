"""Exported networks, with what their files say of them; those of all folds belong together."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from parts.machinery.exits import RefusedError, obey
from parts.model_cards import ModelCard, card_of, written_card
from parts.readers import listed, quoted, unreadable
from parts.splits import Fold

# Events at a time: what a network computes of them stays in a processor's cache.
CHUNK = 1024
# What the file of a fold's network is called, beside those of all others.
FOLD_NETWORK = re.compile(r"model_(0|[1-9][0-9]{0,5})\.onnx")
# What the networks of a cross-validation have each of its own.
OWN = ("split", "earlier", "seen", "run", "script")


@dataclass(frozen=True)
class Network:
    """An exported network, and what its file says of itself."""

    session: Any  # of ONNX Runtime
    card: ModelCard

    def outputs(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return what it gives for (event, feature) of each of its inputs: (event, output)."""
        size = len(next(iter(inputs.values())))
        found = []
        for start in range(0, max(size, 1), CHUNK):
            obey()
            chunk = {name: array[start : start + CHUNK] for name, array in inputs.items()}
            found.append(self.session.run(None, chunk)[0])
        return np.concatenate(found)


def read_network(path: Path) -> Network:
    """Return what the file of a network holds; raises `RefusedError`.

    It is read once, unless another file takes its place.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    try:
        now = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return network_in(path, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns), threads)


@lru_cache(maxsize=32)
def network_in(path: Path, now: tuple[int, ...], threads: str) -> Network:
    """Return what a file holds that is as it is `now`; raises `RefusedError`."""
    options = onnxruntime.SessionOptions()
    # Its own choice would be as many as the node has cores.
    options.intra_op_num_threads = max(1, int(threads)) if threads.isdigit() else 1
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its errors have no class in common.
    except Exception as error:
        raise unreadable(path, error) from error
    try:
        card = card_of(session.get_modelmeta().custom_metadata_map)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{quoted(path)} is no network that train_signal.py or train_ratio.py has left"
        raise RefusedError(f"{message}: {error!r}") from error
    check_graph(path, session, card)
    return Network(session, card)


def check_graph(path: Path, session: Any, card: ModelCard) -> None:
    """Raise `RefusedError` if what goes in and comes out is not what the card says."""
    width = len(card.classes) if card.gives == "probability" else None
    features = {"numerical": ("float", card.numerical), "categorical": ("int64", card.categorical)}
    said = {n: (f"tensor({kind})", len(each)) for n, (kind, each) in features.items() if each}
    there = {each.name: (each.type, each.shape[1]) for each in session.get_inputs()}
    outputs = {each.name: each.shape[1] for each in session.get_outputs()}
    known = {*card.seen.ranges, *card.seen.categories}
    if there != said or not known.issuperset(card.features):
        raise RefusedError(f"{quoted(path)}: its inputs are {there}, and it says {said} of itself")
    if list(outputs) != [card.gives] or (width is not None and outputs[card.gives] != width):
        raise RefusedError(f"{quoted(path)}: its output does not fit what it says of itself")


def fold_of(path: Path) -> int:
    """Return the number of the fold whose network a file holds by its name; -1 for any other."""
    found = FOLD_NETWORK.fullmatch(path.name)
    return int(found[1]) if found else -1


def check_folds(paths: Sequence[Path], cards: Sequence[ModelCard]) -> None:
    """Raise `RefusedError` unless networks are those of all folds of one cross-validation."""
    first, split = written_card(cards[0]), cards[0].split
    there = set(map(fold_of, paths))
    wanted = range(split.folds) if isinstance(split, Fold) else ()
    if missing := [f"model_{number}.onnx" for number in wanted if number not in there]:
        said = f"of the networks of {len(wanted)} folds in {quoted(paths[0].parent)}"
        raise RefusedError(f"{said} there is no {listed(missing)}; each event needs its own")
    for number, (path, card) in enumerate(zip(paths, cards, strict=True)):
        if card.split != Fold(number, len(paths)):
            raise RefusedError(f"{quoted(path)} is not of fold {number} of {len(paths)}")
        other = written_card(card)
        if differ := [n for n in first if n not in OWN and first[n] != other[n]]:
            names = f"{quoted(paths[0])} and {quoted(path)}"
            raise RefusedError(f"{names} are not of one cross-validation: {differ[0]} differs")
