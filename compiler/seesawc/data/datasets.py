"""Experiment -> the dataset that its scripts read, with the readers that its files need."""

from parts.datasets import Dataset, Sample
from parts.splits import Fold, Split
from seesawc.data.readers import reader
from seesawc.tables import dataset
from seesawc.tables.dataset import TABLES, reader_of
from seesawc.tables.resolution import Experiment, fakes_columns


def read_dataset(experiment: Experiment) -> Dataset:
    """Return the dataset of an experiment; raises `ImportError`."""
    data = experiment.dataset_config
    return Dataset(
        samples=tuple(_sample(data, sample) for sample in data.samples),
        numerical=data.numerical,
        categorical=data.categorical,
        missing=data.missing,
        event_number=data.event_number,
        split=_split(data),
        derived=dataset.used_derived(data, fakes_columns(experiment)),
        classes=data.classes,
        class_values=data.class_values,
        drop_other_classes=data.drop_other_classes,
        further=fakes_columns(experiment),
    )


def _split(data: dataset.Dataset) -> Split:
    if data.split is not None:
        return data.split.train, data.split.validation, data.split.test
    assert data.folds is not None, "one of them is resolved"
    return Fold(data.fold or 0, data.folds)


def _sample(data: dataset.Dataset, sample: dataset.Sample) -> Sample:
    name = reader_of(sample.files[0])
    return Sample(
        name=sample.name,
        files=sample.files,
        reader=reader(name, getattr(sample, TABLES[name]) if name in TABLES else None),
        label=dataset.label_of(data, sample),
        class_column=sample.class_column,
        selection=sample.selection,
        weight=sample.weight,
    )
