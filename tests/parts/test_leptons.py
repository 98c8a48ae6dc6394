"""Leptons from real files: what is refused, and that nothing becomes tight or data by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from parts.cracks import Crack, in_crack
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.ensembles import poisson_counts
from parts.leptons import (
    Category,
    Leptons,
    check_densities,
    check_yields,
    read_leptons,
)
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet

CATEGORY = Category("el_type", tight=0, loose=2)


def table(size: int = 4000, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event": np.arange(size),
            "data": np.arange(size) % 2,
            "el_type": np.where(random.random(size) < 0.4, 0, 2),
            "pt": random.exponential(30, size) + 10,
            "eta": random.uniform(-2.5, 2.5, size),
            "weight": np.where(np.arange(size) % 2 == 1, 2.0, random.choice([-0.5, 1.0], size)),
        }
    )


def read(folder: Path, events: pd.DataFrame, **changed: Any) -> tuple[Leptons, ...]:
    # As they are: pandas would make nulls of nan.
    columns = {name: events[name].to_numpy() for name in events}
    pq.write_table(pa.table(columns), folder / "l.parquet")
    samples = tuple(
        Sample(
            name, ("l.parquet",), Parquet(), label, selection=f"data == {label}", weight="weight"
        )
        for label, name in enumerate(("prompt", "data"))
    )
    options: dict[str, Any] = {
        "category": CATEGORY, "crack": None,
        "dtype": torch.float64, **changed,
    }  # fmt: skip
    crack, category = options["crack"], options["category"]
    further = (category.column, *([crack.eta] if crack else []))
    numerical = options.pop("numerical", ("pt",))
    dataset = Dataset(samples, numerical, event_number="event", further=further)
    return read_leptons(dataset, find_data(dataset, folder).files, **options)


def test_every_lepton_is_there_once_with_its_weight_and_sign(tmp_path: Path) -> None:
    events = table()
    parts = read(tmp_path, events)
    assert sum(len(part.weight) for part in parts) == len(events)
    for data in (True, False):
        for tight in (True, False):
            chosen = [(p.is_data == data) & (p.is_tight == tight) for p in parts]
            found = sum(float(p.weight[c].sum()) for p, c in zip(parts, chosen, strict=True))
            here = (events["data"] == data) & ((events["el_type"] == 0) == tight)
            assert found == pytest.approx(events["weight"][here].sum())
    assert any(bool((part.weight < 0).any()) for part in parts)


def test_a_lepton_that_is_neither_tight_nor_loose_is_refused(tmp_path: Path) -> None:
    events = table()
    events.loc[[3, 5, 7], "el_type"] = 1
    with pytest.raises(RefusedError, match=r"data: el_type is 1 \(3 events\); tight is 0, loose 2"):
        read(tmp_path, events)


def test_a_missing_category_is_refused(tmp_path: Path) -> None:
    events = table()
    events["el_type"] = events["el_type"].astype(float)
    events.loc[4, "el_type"] = np.nan
    with pytest.raises(RefusedError, match=r"prompt: el_type is nan \(1 events\)"):
        read(tmp_path, events)


@pytest.mark.parametrize("data", [0, 1])
@pytest.mark.parametrize("tight", [0, 2])
def test_a_region_without_events_is_refused(tmp_path: Path, data: int, tight: int) -> None:
    events = table()
    gone = (events["data"] == data) & (events["el_type"] == tight)
    region, kind = "tight" if tight == 0 else "loose", "data" if data else "MC"
    with pytest.raises(RefusedError, match=f"train: 0 {region} events of {kind}"):
        read(tmp_path, events[~gone])


def test_weights_that_cancel_but_for_rounding_are_no_yield() -> None:
    weight = torch.tensor([1.0, 0.1, 0.2, -0.3], dtype=torch.float64)
    none, yes = torch.empty(4, 0), torch.ones(4, dtype=torch.bool)
    is_data = torch.tensor([True, False, False, False])
    leptons = Leptons(none, none.long(), is_data, yes, weight, np.zeros((4, 1), np.uint64))
    with pytest.raises(RefusedError, match=r"train: 3 tight events of MC with weights of sum 5\.5"):
        check_yields("train", leptons)


def test_more_mc_than_data_is_refused(tmp_path: Path) -> None:
    events = table()
    events.loc[events["data"] == 0, "weight"] = 5.0
    with pytest.raises(RefusedError, match=r"train: tight MC, [\d.]+, exceeds data, [\d.]+"):
        read(tmp_path, events)


def test_a_negative_density_is_refused_with_its_place(tmp_path: Path) -> None:
    events = table(20_000)
    here = (events["data"] == 0) & (events["el_type"] == 0) & (events["pt"] > 60)
    events.loc[here, "weight"] = 6.0
    train, *_ = read(tmp_path, events)
    with pytest.raises(RefusedError) as caught:
        check_densities(train, ["pt"])
    words = str(caught.value)
    assert "tight, pt from" in words
    assert "data - MC is -" in words
    assert "loose" not in words
    events.loc[here, "weight"] = -0.4
    train, *_ = read(tmp_path, events)
    with pytest.raises(RefusedError, match=r"tight, pt from [\d.]+ to [\d.]+: MC is -"):
        check_densities(train, ["pt"])


def test_a_density_that_fluctuates_is_taken(tmp_path: Path) -> None:
    train, *_ = read(tmp_path, table())
    check_densities(train, ["pt"])


def test_the_crack_is_left_out_on_both_sides(tmp_path: Path) -> None:
    events = table()
    parts = read(tmp_path, events, numerical=("pt", "eta"), crack=Crack("eta", 1.37, 1.52))
    eta = torch.cat([part.numerical[:, 1] for part in parts]).abs()
    assert not bool(((eta > 1.37) & (eta < 1.52)).any())
    outside = ~events["eta"].abs().between(1.37, 1.52, inclusive="neither")
    assert len(eta) == outside.sum()
    edges = np.array([-1.52, -1.4, 1.37, 1.38, 1.52])
    assert in_crack(edges, Crack("eta", 1.37, 1.52)).tolist() == [False, True, False, True, False]


def test_samples_that_number_their_events_alike_are_told_apart(tmp_path: Path) -> None:
    """What a bootstrap draws for an event of data must not be drawn for one of MC as well."""
    events = table(20_000)
    events["event"] //= 2
    train, *_ = read(tmp_path, events)
    data = train.is_data.numpy()
    counts = poisson_counts(train.keys, 1)[:, 0].numpy()
    by_event = [
        dict(zip(train.keys[chosen, 1].tolist(), counts[chosen], strict=True))
        for chosen in (data, ~data)
    ]
    both = by_event[0].keys() & by_event[1].keys()
    assert len(both) > 5000
    pairs = np.array([[each[number] for each in by_event] for number in both])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.05


def test_an_eta_that_is_no_number_is_refused(tmp_path: Path) -> None:
    events = table()
    events.loc[5, "eta"] = np.nan
    with pytest.raises(
        RefusedError, match=r"data: .*: the column 'eta' does not hold numbers alone"
    ):
        read(tmp_path, events, crack=Crack("eta", 1.37, 1.52))


def test_events_keep_their_split_whatever_their_order(tmp_path: Path) -> None:
    events = table()
    first = read(tmp_path, events)
    second = read(tmp_path, events.sample(frac=1, random_state=3))
    for one, other in zip(first, second, strict=True):
        assert sorted(one.keys[:, 0].tolist()) == sorted(other.keys[:, 0].tolist())


def test_a_feature_without_a_logarithm_is_refused(tmp_path: Path) -> None:
    events = table()
    read(tmp_path, events, logarithmic=("pt",))
    # One lepton, in whatever split it is.
    for row in (0, 1, 2, 3, 4):
        changed = events.copy()
        changed.loc[row, "pt"] = 0.0
        with pytest.raises(RefusedError, match=r"0 or less, in pt \(1 events\)"):
            read(tmp_path, changed, logarithmic=("pt",))
