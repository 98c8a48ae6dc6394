"""The network of a training that has ended, left in its run as a file that says what it is."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from parts.agreements import ExportError
from parts.classifiers import Classifier
from parts.cracks import Crack
from parts.datasets import Sample
from parts.events import Events
from parts.exports import exported
from parts.machinery.deployed_places import NETWORK
from parts.machinery.deployments import remove_deployment, write_deployment
from parts.machinery.launches import Run
from parts.machinery.trained_events import had_another_split
from parts.model_cards import CardSample, ModelCard
from parts.readers import Reader
from parts.sightings import seen_by


def deploy(
    run: Run, classifier: Classifier, precision: str, train: Events, test: Events
) -> Path | None:
    """Leave the network in the run, from features to the probability of each class.

    The file keeps what there was in `train`, and is compared with the network on `test`. Without a
    file that says what the network says, there is none, and a line says why.
    """
    card = model_card(run, classifier, precision, train, gives="probability")
    try:
        content = exported(classifier.network, classifier.link, by_input(test), card)
    except ExportError as error:
        print(f"warning: the network is not deployed: {error}")
        remove_deployment(run.folder.path)
        return None
    return write_deployment(run.code.script.parent, run.folder.path, {NETWORK: content})


def deploy_factor(
    run: Run,
    ratio: Classifier,
    precision: str,
    train: Events,
    test: Events,
    crack: Crack | None = None,
) -> Path:
    """Leave F = e^log r in the run, which is 0 in the `crack`; raises `ExportError`.

    Closure is tested with this file, so that without it there is no result.
    """

    def factor(logits: Tensor) -> Tensor:
        return torch.exp(ratio.link(logits))

    card = model_card(run, ratio, precision, train, gives="fake_factor", crack=crack)
    content = exported(ratio.network, factor, by_input(test), card)
    return write_deployment(run.code.script.parent, run.folder.path, {NETWORK: content})


def by_input(events: Events) -> dict[str, Tensor]:
    """Return the features of events, (event, feature) for each input of a network."""
    return {"numerical": events.numerical, "categorical": events.categorical}


def model_card(
    run: Run,
    classifier: Classifier,
    precision: str,
    train: Events,
    gives: Literal["probability", "fake_factor"],
    crack: Crack | None = None,
) -> ModelCard:
    """Return what there is to know of a network that a run has trained."""
    dataset = run.script.dataset
    return ModelCard(
        gives=gives,
        numerical=dataset.numerical,
        categorical=dataset.categorical,
        missing=dataset.missing,
        derived=dataset.derived,
        seen=seen_by(classifier.network, by_input(train), dataset),
        classes=dataset.classes,
        labels=dataset.labels,
        class_labels=dataset.class_labels,
        event_number=dataset.event_number,
        split=dataset.split,
        earlier=had_another_split(run.events),
        samples=tuple(map(card_sample, dataset.samples)),
        crack=crack,
        run=run.folder.path.name,
        script=run.code.identity,
        precision=precision,
    )


def card_sample(sample: Sample) -> CardSample:
    """Return what a file says of a sample."""
    reader = sample.reader
    kind = type(reader).__name__
    return CardSample(sample.name, sample.selection, sample.weight, kind, table_of(reader))


def table_of(reader: Reader) -> str | None:
    """Return the tree or table that a reader opens; None for the one that is there."""
    said = vars(reader)
    table: str | None = said.get("tree", said.get("table"))
    return table
