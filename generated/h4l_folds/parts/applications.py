"""An exported network, or those of all folds, applied to events: scores, or the fake factor."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parts.columns import Chunk
from parts.cracks import in_crack
from parts.expressions import ExpressionError
from parts.machinery.exits import RefusedError
from parts.model_cards import ModelCard, split_warning
from parts.named_columns import chunk_by_name, has, names_in
from parts.networks import Network, check_folds, fold_of, read_network
from parts.ranges import Findings, are_missing, categorical_input, numerical_input
from parts.readers import quoted, unknown
from parts.seen_features import seen_by_any
from parts.selections import keys
from parts.splits import assign, fold_numbers

# What events need their numbers for.
WHAT_NUMBERS_TELL = "tells what the training has seen"


@dataclass(frozen=True)
class Application:
    """Networks that are applied to events, and what is found about these."""

    networks: tuple[Network, ...]
    # Of all of them: of folds, what any of them has seen.
    card: ModelCard
    findings: Findings = field(default_factory=Findings)

    @property
    def folds(self) -> int:
        """The number of folds; 0 for a network that stands alone."""
        return len(self.networks) if len(self.networks) > 1 else 0

    @property
    def width(self) -> int:
        """The number of classes; of fakes, which have none, 1."""
        return len(self.card.classes) or 1

    def names(self, new: bool) -> tuple[str, ...]:
        """Return the names that are looked up in events that are `new`, or are not."""
        crack = (self.card.crack.eta,) if self.card.crack else ()
        needs_key = self.folds and not new and self.card.event_number is not None
        number = (str(self.card.event_number),) if needs_key else ()
        return (*self.card.features, *crack, *number)

    def keys(self, chunk: Chunk) -> NDArray[np.uint64]:
        """Return what names each event (event, key); raises `ExpressionError`."""
        return keys(self.card.event_number, chunk, self.card.features)

    def numbers(self, chunk: Chunk) -> NDArray[Any]:
        """Return the number of each event (event,); raises `ExpressionError`, also for a null."""
        self.keys(chunk)
        return chunk.values(str(self.card.event_number)).array

    def places(self, chunk: Chunk) -> NDArray[np.int64]:
        """Return the split of each event (event,), or the fold whose network has not seen it.

        Raises `ExpressionError`.
        """
        named = self.keys(chunk)
        return fold_numbers(named, self.folds) if self.folds else assign(named, self.card.split)

    def warn_of_places(self) -> None:
        """Say on stderr of which events alone the split or the fold is right, if not of all."""
        if self.card.event_number is None:
            what = "fold" if self.folds else "split"
            print(
                f"warning: the spec has no event_number: the {what} is right for the very values"
                " that were trained on alone, not for a variation, or after a conversion",
                file=sys.stderr,
            )
        if warning := split_warning([each.card for each in self.networks]):
            print(f"warning: {warning}", file=sys.stderr)

    def outputs(
        self, chunk: Chunk, rows: NDArray[np.int64], folds: NDArray[np.int64] | None
    ) -> NDArray[np.floating[Any]]:
        """Return (network, event, output) of all networks, or (1, event, output) of those meant.

        `folds` (event,) are the numbers of these. Notes what is odd about the events, which are
        `rows` of their file: once there is something that no network takes, all that follows is
        nan. Raises `ExpressionError`.
        """
        inputs = self.inputs(chunk, rows)
        if self.findings.refused:
            shape = len(self.networks) if folds is None else 1, chunk.size, self.width
            return np.full(shape, np.nan, dtype=np.float32)
        found: NDArray[np.floating[Any]]
        if folds is None:
            found = np.stack([network.outputs(inputs) for network in self.networks])
        else:
            found = self.unseen_outputs(inputs, folds)
        if self.card.gives == "fake_factor":
            found = self.factors(chunk, rows, found.astype(np.float64))
        summed = found.sum(axis=(0, 2))
        what = "F" if self.card.gives == "fake_factor" else "score"
        lost = ~np.isfinite(summed)
        self.findings.refuse(f"the network gives no finite {what}", summed, lost, rows)
        return found

    def unseen_outputs(
        self, inputs: Mapping[str, NDArray[Any]], folds: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return (1, event, output), each event's by the network of its fold."""
        found = np.empty((1, len(folds), self.width), dtype=np.float32)
        for number, network in enumerate(self.networks):
            chosen = np.flatnonzero(folds == number)
            part = {name: array[chosen] for name, array in inputs.items()}
            found[0, chosen] = network.outputs(part)
        return found

    def inputs(self, chunk: Chunk, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return features as networks take them (event, feature), and note what is odd."""
        card, findings = self.card, self.findings
        findings.n_events += chunk.size
        found: dict[str, NDArray[Any]] = {}
        if card.numerical:
            columns = [chunk.numbers(name) for name in card.numerical]
            names, missing = card.numerical, card.missing
            found["numerical"] = numerical_input(names, columns, missing, card.seen, findings, rows)
        if card.categorical:
            columns = [chunk.numbers(name) for name in card.categorical]
            found["categorical"] = categorical_input(
                card.categorical, columns, card.seen, findings, rows
            )
        return found

    def factors(
        self, chunk: Chunk, rows: NDArray[np.int64], found: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return F (network, event, member), which is 0 in the crack: nothing was learnt there."""
        if self.card.crack is None:
            return found
        eta = chunk.numbers(self.card.crack.eta).astype(np.float64)
        what = f"{self.card.crack.eta} is missing, which tells the crack,"
        lacking = np.isnan(eta) | are_missing(eta, self.card.missing)
        self.findings.refuse(what, eta, lacking, rows)
        return np.where(in_crack(eta, self.card.crack)[:, None], 0.0, found)

    def finish(self, accept_ranges: bool, where: str = "") -> None:
        """Say on stderr what the training has not seen; raises `RefusedError`, see `Findings`.

        `where` comes before what is said.
        """
        self.findings.check_values(where)
        if not accept_ranges:
            self.findings.check_ranges(where)
        if beyond := self.findings.beyond_training():
            what = "F" if self.card.gives == "fake_factor" else "a score"
            lines = [f"{where}beyond what the training has seen, where {what} is a guess:", *beyond]
            print("\n  ".join(lines), file=sys.stderr)


def read_networks(paths: Sequence[Path], trained: Mapping[str, str]) -> Application:
    """Return the network of a file, or those of all folds; raises `RefusedError`.

    `trained` are the digests of the scripts of runs that must have trained them, if that is known.
    """
    networks = tuple(map(read_network, paths))
    cards = [network.card for network in networks]
    for path, card in zip(paths, cards, strict=True):
        # A point of a sweep knows as much of its digest as one compares by eye.
        if trained and not trained.get(card.run, "").startswith(card.script):
            raise RefusedError(
                f"{quoted(path)} is of the run {quoted(card.run)}, which no script of this folder"
                " has trained; train again, or name the network by --network"
            )
    # A fold's own run has its network alone, which says of itself which events it has seen.
    if len(networks) == 1 and fold_of(paths[0]) < 0:
        return Application(networks, cards[0])
    check_folds(paths, cards)
    return Application(networks, replace(cards[0], seen=seen_by_any([c.seen for c in cards])))


def applied(
    application: Application,
    events: Mapping[str, Any],
    *,
    new: bool = False,
    accept_ranges: bool = False,
) -> NDArray[np.floating[Any]]:
    """Return (network, event, output) of events of any kind that has columns by name.

    They need each feature, or what it is derived from, and eta if there is a crack; the networks of
    folds need the event number as well, unless the events are `new` to all. Says on stderr how many
    events lie outside of what the training has seen. Raises `RefusedError` for a column that is
    missing, or that holds what no event of the training could: values that are infinite, or of
    which a logarithm is needed and there is none; categories that are not whole numbers.
    """
    card = application.card
    if application.folds and not new:
        application.warn_of_places()
        number = str(card.event_number)
        if card.event_number and not (number in card.derived or has(events, number)):
            said = f"the events have {unknown('column', number, names_in(events))}"
            raise RefusedError(f"{said}, which {WHAT_NUMBERS_TELL}; new=True does without")
    chunk = chunk_by_name(events, application.names(new), card.derived, card.missing)
    try:
        folds = application.places(chunk) if application.folds and not new else None
        found = application.outputs(chunk, np.arange(chunk.size), folds)
    except ExpressionError as error:
        raise RefusedError(f"the events cannot be used: {error}") from error
    application.finish(accept_ranges)
    return found


def member_factors(path: Path, events: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return F of each member, of events like those of the training, outside the crack."""
    application = read_networks([path], {})
    # As in training, all features are there, also with what they were derived from.
    cracked = replace(application, card=replace(application.card, crack=None, derived={}))
    return np.asarray(applied(cracked, events, accept_ranges=True)[0], dtype=np.float64)


def score_of(found: NDArray[np.floating[Any]], card: ModelCard) -> NDArray[Any]:
    """Return the probability of the signal (event,), of several classes (event, class), or F.

    `found` is (network, event, output); of several networks it is the mean, of fakes the mean over
    the ensemble, which is in one network.
    """
    if card.gives == "fake_factor":
        return np.asarray(found[0].mean(axis=1))
    return of_signal(np.asarray(found.mean(axis=0)))


def spread_of(found: NDArray[np.floating[Any]], card: ModelCard) -> NDArray[Any]:
    """Return the standard deviation of the same; 0 for an ensemble of one.

    Raises `RefusedError` for a network that stands alone.
    """
    if card.gives == "fake_factor":
        return deviation(found[0], 1)
    if len(found) < 2:
        raise RefusedError("there is one network alone, whose scores have no spread")
    return of_signal(deviation(found, 0))


def of_signal(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Return that of the second of two classes, which says it all, or those of more."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def deviation(found: NDArray[np.floating[Any]], axis: int) -> NDArray[Any]:
    """Return the standard deviation over networks, or over members; 0 for a single one."""
    return np.asarray(found.std(axis=axis, ddof=min(1, found.shape[axis] - 1)))
