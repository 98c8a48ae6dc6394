"""The events of a run that lie on a disk: which cache has them, made if there is none."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from parts.cached_arrays import write_arrays
from parts.cached_events import CachedEvents, open_cached
from parts.datasets import Dataset
from parts.events import numpy_type
from parts.files import digests_by_sample, fingerprints
from parts.machinery.caches import provide
from parts.machinery.deployments import digests_of, needed_files
from parts.machinery.launches import Run
from parts.splits import Fold

# The folder that `parts` is in.
HOME = Path(__file__).resolve().parents[2]


def read_cached(
    run: Run,
    use_mc_weights: bool,
    use_class_weights: bool,
    dtype: torch.dtype,
    logarithmic: Sequence[str] = (),
    negative_weights: str = "keep",
) -> tuple[CachedEvents, CachedEvents, CachedEvents]:
    """Return the events of training, validation and test, which stay on a disk.

    All tasks of a run, and all runs with the same events, use one cache. Raises `RefusedError`,
    and `OSError` where there is no room for it.
    """
    dataset, numbers = run.script.dataset, numpy_type(dtype)
    samples = run.samples or digests_by_sample(run.files, fingerprints(run.files))
    # Beside the store of the tracker, for all experiments.
    place = run.folder.store.with_name("cache") / cache_digest(dataset, samples, numbers, run.files)
    make = partial(write_arrays, dataset=dataset, files=run.files, dtype=numbers)
    provide(place, make)
    return open_cached(
        place,
        dataset,
        use_mc_weights,
        use_class_weights,
        dtype,
        logarithmic,
        negative_weights,
    )


def cache_digest(
    dataset: Dataset,
    samples: Mapping[str, Sequence[str]],
    dtype: np.dtype[np.floating],
    files: Mapping[str, Sequence[Path]],
) -> str:
    """Return what identifies events: what files hold, what is read of that, and the parts that do.

    Folds of one cross-validation are one. Where files lie does not count, but for names of folders
    that are columns (year=2018).
    """
    split = dataset.split
    asked = replace(
        dataset,
        samples=tuple(replace(each, files=()) for each in dataset.samples),
        split=Fold(0, split.folds) if isinstance(split, Fold) else split,
        labels={},
        class_labels={},
        max_memory=None,
    )
    modules = {"parts.cached_arrays", *(type(each.reader).__module__ for each in dataset.samples)}
    code: dict[str, str] = {}
    for module in sorted(modules):
        found = needed_files(HOME, f"{module.replace('.', '/')}.py")
        code |= digests_of({name: content for name, content in found.items() if content})
    columns = {
        name: [[part for part in path.parts if "=" in part] for path in paths]
        for name, paths in files.items()
    }
    said = [repr(asked), dict(samples), columns, dtype.name, code]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
