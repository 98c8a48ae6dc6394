"""Leptons from files: data or Monte Carlo, tight or loose, split by a stable hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from parts.cracks import Crack, in_crack
from parts.events import SPLITS, Sample, assign, read_sample, split_keys, to_categories, to_numbers
from parts.inputs import check_positive
from parts.machinery.exits import RefusedError
from parts.metrics import is_yield

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
    samples: Sequence[Sample],
    files: dict[str, list[Path]],
    numerical: Sequence[str],
    categorical: Sequence[str],
    missing: float | None,
    event_number: str | None,
    train: float,
    validation: float,
    category: Category,
    dtype: torch.dtype,
    crack: Crack | None = None,
    logarithmic: Sequence[str] = (),
) -> tuple[Leptons, Leptons, Leptons]:
    """Return the leptons of training, validation and test; raises `RefusedError`.

    The label of a sample is 1 for data and 0 for Monte Carlo.
    """
    features = [*numerical, *categorical]
    tables = []
    for sample in samples:
        table = read_sample(sample, files[sample.name], features, missing, event_number)
        check_category(sample.name, table[category.column], category)
        if crack is not None:
            check_eta(sample.name, table[crack.eta])
            table = table[~in_crack(table[crack.eta].to_numpy(dtype=np.float64), crack)]
        tables.append(table)
    owners = np.repeat([sample_key(sample.name) for sample in samples], [len(t) for t in tables])
    events = pd.concat(tables, ignore_index=True)
    keys = split_keys(events, event_number, features)
    split = assign(keys, train, validation)
    # Samples number their events alike; what is drawn for one must not be drawn for another.
    keys = np.hstack([owners[:, np.newaxis], keys])
    numbers = to_numbers(events, numerical, dtype)
    categories = to_categories(events, categorical)
    is_data = torch.tensor(events[" label"].to_numpy() == 1)
    is_tight = torch.tensor(events[category.column].to_numpy() == category.tight)
    weight = torch.tensor(events[" weight"].to_numpy(), dtype=dtype)
    parts = []
    for index in range(len(SPLITS)):
        chosen = split == index
        place = torch.tensor(chosen)
        parts.append(
            Leptons(
                numbers[place],
                categories[place],
                is_data[place],
                is_tight[place],
                weight[place],
                keys[chosen],
            )
        )
    for name, part in zip(SPLITS, parts, strict=True):
        check_yields(name, part)
    for part in parts:
        check_positive(part.numerical, numerical, logarithmic, missing)
    return parts[0], parts[1], parts[2]


def sample_key(name: str) -> np.uint64:
    """Return a number that a sample's name alone decides."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def check_eta(sample: str, values: pd.Series) -> None:
    """Raise `RefusedError` where nothing can tell whether a lepton lies in the crack."""
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        raise RefusedError(f"{sample}: the column {values.name} does not hold numbers alone")


def check_category(sample: str, values: pd.Series, category: Category) -> None:
    """Raise `RefusedError` for a lepton that is neither tight nor loose: it is never taken so."""
    others = values[(values != category.tight) & (values != category.loose)]
    if len(others):
        counts = others.value_counts(dropna=False).head(5)
        found = ", ".join(f"{value} ({count} events)" for value, count in counts.items())
        raise RefusedError(
            f"{sample}: {category.column} is {found}; tight is {category.tight},"
            f" loose {category.loose}; a selection can leave out the rest"
        )


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
