"""Leptons in tensors by split: data or Monte Carlo, tight or loose."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parts.arrays import Arrays, read_arrays
from parts.columns import Chunk
from parts.cracks import Crack, in_crack
from parts.datasets import Dataset, Sample
from parts.events import numpy_type
from parts.expressions import ExpressionError
from parts.inputs import check_positive
from parts.machinery.exits import RefusedError
from parts.metrics import is_yield
from parts.readers import quoted
from parts.sample_yields import SampleYields
from parts.splits import SPLITS

# Density below zero is refused where it is so by this many standard errors.
SIGNIFICANT = 5.0


@dataclass(frozen=True)
class Category:
    """The column that tells tight leptons from loose ones, and its two values."""

    column: str
    tight: int
    loose: int


@dataclass(frozen=True)
class Leptons:
    """Leptons of a split; weights are physical and keep their sign, yields and all."""

    numerical: Tensor  # (event, feature)
    categorical: Tensor  # (event, feature)
    is_data: Tensor  # (event,), of bool
    is_tight: Tensor  # (event,), of bool
    weight: Tensor  # (event,)
    keys: NDArray[np.uint64]  # (event, key): what names an event and its sample, wherever it stands


def read_leptons(
    dataset: Dataset,
    files: Mapping[str, Sequence[Path]],
    category: Category,
    dtype: torch.dtype,
    crack: Crack | None = None,
    logarithmic: Sequence[str] = (),
) -> tuple[Leptons, Leptons, Leptons]:
    """Return the leptons of training, validation and test; raises `RefusedError`.

    The label of a sample is 1 for data and 0 for Monte Carlo.
    """

    def marker(sample: Sample) -> Tightness:
        return Tightness(sample.name, category, crack)

    yields = SampleYields(dataset)
    splits = read_arrays(dataset, files, numpy_type(dtype), marker, yields)
    print(*yields.lines(), sep="\n")
    parts = [leptons_of(split, dtype) for split in splits]
    for name, part in zip(SPLITS, parts, strict=True):
        check_yields(name, part)
    for part in parts:
        check_positive(part.numerical, dataset.numerical, logarithmic, dataset.missing)
    return parts[0], parts[1], parts[2]


def leptons_of(split: Arrays, dtype: torch.dtype) -> Leptons:
    """Return a split whose features are not copied."""
    return Leptons(
        torch.from_numpy(split.numerical),
        torch.from_numpy(split.categorical),
        torch.from_numpy(split.label == 1),
        torch.from_numpy(split.mark),
        torch.from_numpy(split.weight).to(dtype),
        split.keys,
    )


class Tightness:
    """Marks the tight leptons of a sample, and leaves out those in the crack."""

    def __init__(self, sample: str, category: Category, crack: Crack | None) -> None:
        self.sample = sample
        # Samples number their events alike; what is drawn for one must not be drawn for another.
        self.key = sample_key(sample)
        self.category = category
        self.crack = crack
        self.others = Counter[str]()

    def __call__(self, chunk: Chunk) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which leptons are kept and which are tight (event,); raises `ExpressionError`."""
        values = chunk.numbers(self.category.column)
        tight = values == self.category.tight
        others = values[~tight & (values != self.category.loose)].tolist()
        self.others.update(f"{value:g}" for value in others)
        if self.crack is None:
            return np.ones(chunk.size, dtype=bool), tight
        eta = chunk.numbers(self.crack.eta).astype(np.float64)
        if not np.isfinite(eta).all():
            raise ExpressionError(
                f"the column {quoted(self.crack.eta)} does not hold numbers alone"
            )
        return ~in_crack(eta, self.crack), tight

    def finish(self) -> None:
        """Raise `RefusedError` for a lepton that is neither tight nor loose."""
        if not self.others:
            return
        found = ", ".join(f"{v} ({count} events)" for v, count in self.others.most_common(5))
        raise RefusedError(
            f"{self.sample}: {self.category.column} is {found}; tight is {self.category.tight},"
            f" loose {self.category.loose}; a selection can leave out the rest"
        )


def sample_key(name: str) -> np.uint64:
    """Return a number that a sample's name alone decides."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def check_yields(split: str, leptons: Leptons) -> None:
    """Print events and yields; raises `RefusedError` where there are none, or too much MC."""
    for region, tight in (("tight", True), ("loose", False)):
        here = leptons.is_tight == tight
        yields = []
        for kind, chosen in (("data", here & leptons.is_data), ("MC", here & ~leptons.is_data)):
            weight = leptons.weight[chosen].double().numpy()
            count, total = len(weight), weight.sum()
            yields.append(total)
            print(f"{split}: {region} {kind} {count} events, sum of weights {total:.5g}")
            if not count or not is_yield(total, np.abs(weight).sum()):
                raise RefusedError(
                    f"{split}: {count} {region} events of {kind} with weights of sum {total:g}"
                )
        if yields[0] <= yields[1]:
            raise RefusedError(
                f"{split}: {region} MC, {yields[1]:g}, exceeds data, {yields[0]:g}:"
                " the density of fakes would be negative"
            )


def check_densities(leptons: Leptons, names: Sequence[str], bins: int = 10) -> None:
    """Raise `RefusedError` where a density is negative, and say where: of MC, or of data - MC.

    Looked at in `bins` of each numerical feature that hold equally many events.
    """
    problems = []
    for name, column in zip(names, leptons.numerical.double().numpy().T, strict=True):
        edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)))
        place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, len(edges) - 2)
        for region, tight in (("tight", True), ("loose", False)):
            here = (leptons.is_tight == tight).numpy()
            for index in range(len(edges) - 1):
                chosen = here & (place == index)
                problem = negative_density(
                    leptons.is_data.numpy()[chosen], leptons.weight.double().numpy()[chosen]
                )
                if problem:
                    where = f"{name} from {edges[index]:.4g} to {edges[index + 1]:.4g}"
                    problems.append(f"{region}, {where}: {problem}")
    if problems:
        raise RefusedError("\n  ".join(["a density is negative:", *problems]))


def negative_density(is_data: NDArray[np.bool_], weight: NDArray[np.float64]) -> str:
    """Return which density of a bin is significantly negative, and how much; "" if none is."""
    signs = np.where(is_data, 1.0, -1.0)
    for name, part in (("MC", weight[~is_data]), ("data - MC", weight * signs)):
        total, error = part.sum(), np.sqrt(np.square(part).sum())
        if total < -SIGNIFICANT * error:
            return f"{name} is {total:.4g} +- {error:.2g}"
    return ""
