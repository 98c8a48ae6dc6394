"""Events from real files: all that is wrong with them is said, and splits are stable for ever."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from parts.arrays import Arrays
from parts.csv_files import Csv
from parts.data_checks import find_data
from parts.datasets import Dataset, Sample
from parts.events import Events, check_splits, read_splits
from parts.loss_weights import loss_factors
from parts.machinery.exits import RefusedError
from parts.parquet_files import Parquet
from parts.readers import Reader, quoted
from parts.splits import assign

BASE = Path("/nowhere")


def table(n: int = 600, seed: int = 0, first: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event": np.arange(first, first + n),
            "pt": random.exponential(30, n),
            "eta": random.normal(0, 1, n),
            "flavour": random.choice([-13, -11, 11, 13], n),
            "weight": np.where(random.random(n) < 0.2, -0.5, 1.0),
            "process": random.integers(0, 2, n),
        }
    )


READERS: dict[str, Reader] = {".parquet": Parquet(), ".csv": Csv()}


def sample(name: str, label: int, *files: Path | str, **changed: Any) -> Sample:
    options: dict[str, Any] = {"weight": "weight", "reader": READERS[Path(files[0]).suffix]}
    return Sample(name, tuple(map(str, files)), label=label, **options | changed)


def read(*samples: Sample, **changed: Any) -> tuple[Events, Events, Events]:
    of_data: dict[str, Any] = {
        "numerical": ("pt", "eta"), "categorical": ("flavour",), "event_number": "event",
        "classes": ("B", "S"),
    }  # fmt: skip
    options: dict[str, Any] = {
        "use_mc_weights": True, "negative_weights": "keep",
        "use_class_weights": True, "dtype": torch.float64,
    }  # fmt: skip
    of_data |= {name: value for name, value in changed.items() if name not in options}
    options |= {name: value for name, value in changed.items() if name in options}
    logarithmic = of_data.pop("logarithmic", ())
    dataset = Dataset(samples, **of_data)
    files = find_data(dataset, BASE).files
    return read_splits(dataset, files, logarithmic=logarithmic, **options)


def write(path: Path, events: pd.DataFrame) -> Path:
    """Write events as they are: pandas would make nulls of nan."""
    if path.suffix == ".csv":
        events.to_csv(path, index=False, na_rep="nan")
    else:
        pq.write_table(pa.table({name: events[name].to_numpy() for name in events}), path)
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Sample, Sample]:
    """Background and signal, from a Parquet and a CSV file."""
    background = write(tmp_path / "b.parquet", table(seed=1))
    signal = write(tmp_path / "s.csv", table(seed=2, first=600))
    return sample("qqZZ", 0, background), sample("ggH", 1, signal)


def splits_of(*splits: Events) -> dict[float, int]:
    """Return the split of each event, known by its pt."""
    return {
        float(pt): index for index, events in enumerate(splits) for pt in events.numerical[:, 0]
    }


def test_parquet_and_csv_are_read_into_the_asked_columns(two: tuple[Sample, Sample]) -> None:
    splits = read(*two)
    expected = pd.concat([table(seed=1).assign(label=0), table(seed=2, first=600).assign(label=1)])
    for name in ("numerical", "categorical", "label"):
        columns = {"numerical": ["pt", "eta"], "categorical": ["flavour"]}.get(name, [name])
        found = torch.cat([getattr(events, name).reshape(-1, len(columns)) for events in splits])
        assert sorted(found.tolist()) == sorted(expected[columns].to_numpy().tolist())
    # Each split has the yields of all events, class by class.
    for events in splits:
        for label, total in expected.groupby("label")["weight"].sum().items():
            found = events.weight[events.label == label].sum()
            assert float(found) == pytest.approx(total)
    assert splits[0].numerical.dtype == splits[0].weight.dtype == torch.float64
    assert splits[0].categorical.dtype == splits[0].label.dtype == torch.int64
    assert read(*two, dtype=torch.float32)[0].loss_weight.dtype == torch.float32


def test_a_split_holds_its_share_within_chance(two: tuple[Sample, Sample]) -> None:
    sizes = [len(events.label) for events in read(*two, split=(0.5, 0.3, 0.2))]
    for size, share in zip(sizes, (0.5, 0.3, 0.2), strict=True):
        assert abs(size - 1200 * share) < 4 * math.sqrt(1200 * share * (1 - share))


@pytest.mark.parametrize("event_number", ["event", None])
def test_a_split_does_not_depend_on_files_rows_or_other_events(
    tmp_path: Path, event_number: str | None
) -> None:
    events = table(900)
    halves = events.iloc[:500], events.iloc[500:]
    a, b = (write(tmp_path / f"{i}.parquet", half) for i, half in enumerate(halves))
    other = sample("other", 0, write(tmp_path / "o.parquet", table(300, seed=7, first=5000)))
    one = splits_of(*read(other, sample("s", 1, a, b), event_number=event_number))
    shuffled = write(tmp_path / "c.parquet", events.sample(frac=1, random_state=1))
    assert splits_of(*read(other, sample("s", 1, shuffled), event_number=event_number)) == one
    assert splits_of(*read(sample("s", 1, b, a), other, event_number=event_number)) == one
    fewer = splits_of(*read(other, sample("s", 1, b), event_number=event_number))
    assert fewer.items() <= one.items()


def test_events_of_one_number_go_together_across_samples(tmp_path: Path) -> None:
    nominal, varied = table(seed=1), table(seed=1).assign(pt=lambda t: t.pt * 1.1)
    splits = read(
        sample("n", 0, write(tmp_path / "n.parquet", nominal)),
        sample("v", 1, write(tmp_path / "v.parquet", varied)),
    )
    found = splits_of(*splits)
    assert all(found[pt] == found[pt * 1.1] for pt in nominal.pt)


def test_without_numbers_identical_rows_go_together(tmp_path: Path) -> None:
    events = table(seed=1)
    doubled = pd.concat([events, events.sample(frac=1, random_state=0)]).assign(event=0)
    splits = read(
        sample("s", 1, write(tmp_path / "s.parquet", doubled)),
        sample("b", 0, write(tmp_path / "b.csv", table(seed=3))),
        event_number=None,
    )
    for split in splits:
        pts = split.numerical[split.label == 1, 0]
        assert len(pts) == 2 * len(set(pts.tolist()))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("kinds", [("int64", "int64"), ("int64", "uint64"), ("int32", "int64")])
def test_large_event_numbers_are_not_rounded(
    tmp_path: Path, suffix: str, kinds: tuple[str, str]
) -> None:
    first = 2**53 if "int32" not in kinds else 0
    background = table(seed=1).assign(
        event=lambda t: (t.event + first).astype(np.dtype(kinds[0]).type)
    )
    signal = table(seed=2).assign(event=lambda t: (t.event + 2**53).astype(np.dtype(kinds[1]).type))
    splits = read(
        sample("b", 0, write(tmp_path / f"b{suffix}", background)),
        sample("s", 1, write(tmp_path / f"s{suffix}", signal)),
    )
    found = splits_of(*splits)
    for events in (background, signal):
        keys = events.event.to_numpy(np.int64).view(np.uint64)[:, None]
        assert [found[pt] for pt in events.pt] == assign(keys, (0.6, 0.2, 0.2)).tolist()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, "the column 'event' does not hold whole numbers"),
        (math.nan, "the column 'event' does not hold whole numbers"),
        ("x", "the column 'event' does not hold whole numbers"),
        ("", "the event number 'event' is null"),
    ],
)
def test_event_numbers_that_are_not_whole_are_refused(
    tmp_path: Path, value: float | str, said: str
) -> None:
    events = table().astype({"event": object})
    events.loc[3, "event"] = value
    path = write(tmp_path / "s.csv", events)
    with pytest.raises(RefusedError, match=f"s: {quoted(path)}: {said}"):
        read(sample("s", 1, path), sample("b", 0, write(tmp_path / "b.csv", table(seed=1))))


def test_an_event_number_kept_as_the_index_is_found(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    table().sample(frac=1).set_index("event").to_parquet(path)
    other = sample("b", 0, write(tmp_path / "b.parquet", table(seed=3)))
    assert sum(len(split.label) for split in read(sample("s", 1, path), other)) == 1200


def test_a_file_whose_data_is_damaged_is_named(tmp_path: Path, two: tuple[Sample, Sample]) -> None:
    path = tmp_path / "b.parquet"
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=f"cannot read {quoted(path)}"):
        read(*two)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_counted_and_refused(
    tmp_path: Path, two: tuple[Sample, Sample], value: float
) -> None:
    events = table()
    events.loc[:6, "eta"] = value
    bad = sample("bad", 1, write(tmp_path / "bad.parquet", events))
    with pytest.raises(RefusedError, match=r"bad: nan or infinite values in eta \(7 events\)"):
        read(two[0], bad)
    if math.isnan(value):
        nan = torch.cat([split.numerical for split in read(two[0], bad, missing=math.nan)]).isnan()
        assert nan.sum(0).tolist() == [0, 7]


@pytest.mark.parametrize("weight", ["1 / (0 * weight)", "log(-abs(weight))"])
def test_weights_that_are_not_finite_are_refused(two: tuple[Sample, Sample], weight: str) -> None:
    bad = sample("bad", 1, *two[1].files, weight=weight)
    with pytest.raises(RefusedError, match=r"bad: nan or infinite weights \(600 events\)"):
        read(two[0], bad)


def test_numbers_too_large_for_the_precision_are_refused(
    tmp_path: Path, two: tuple[Sample, Sample]
) -> None:
    events = table()
    events.loc[3, "pt"] = 1e39
    bad = sample("bad", 1, write(tmp_path / "bad.parquet", events))
    read(two[0], bad)
    with pytest.raises(RefusedError, match=r"bad: values too large for float32 in pt \(1 events\)"):
        read(two[0], bad, dtype=torch.float32)


def test_text_is_no_feature(tmp_path: Path, two: tuple[Sample, Sample]) -> None:
    events = table().assign(pt="high")
    with pytest.raises(RefusedError, match=r"bad: .*: 'pt' holds texts, not numbers"):
        read(two[0], sample("bad", 1, write(tmp_path / "bad.csv", events)))


@pytest.mark.parametrize("value", [0.5, math.nan])
def test_categories_are_whole_numbers(
    tmp_path: Path, two: tuple[Sample, Sample], value: float
) -> None:
    events = table().astype({"flavour": float})
    read(two[0], sample("whole", 1, write(tmp_path / "whole.parquet", events)))
    events.loc[9, "flavour"] = value
    with pytest.raises(RefusedError, match="categorical features must be whole numbers"):
        read(two[0], sample("bad", 1, write(tmp_path / "bad.parquet", events)), missing=math.nan)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"selection": "pt < 0"}, "ggH: no event is left after the selection"),
        ({"weight": "0 * weight"}, "train: class S has .* events with weights of sum 0"),
        ({"weight": "-abs(weight)"}, "train: class S has .* events with weights of sum -"),
        ({"label": 0}, "train: class S has 0 events"),
        ({"selection": "process == 'x'"}, "ggH: .*s.csv'.*'process'.* whole numbers"),
        ({"selection": "pt and process == 1"}, "ggH: .*s.csv'.*'pt' holds numbers, not true or fa"),
        ({"selection": "pt + 1"}, r"ggH: .*s.csv'.*the selection pt \+ 1 is not true or false"),
        ({"weight": "pt > 3"}, "ggH: .*s.csv'.*the weight pt > 3 is true or false, no number"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_refused(
    two: tuple[Sample, Sample], changed: dict[str, Any], message: str
) -> None:
    options: dict[str, Any] = {"label": 1, **changed}
    bad = sample("ggH", options.pop("label"), *two[1].files, **options)
    with pytest.raises(RefusedError, match=message):
        read(two[0], bad)


def test_an_empty_split_is_refused(two: tuple[Sample, Sample]) -> None:
    with pytest.raises(RefusedError, match="validation: class B has 0 events"):
        read(*two, split=(0.8, 1e-9, 0.2 - 1e-9))


def test_loss_weights_keep_signs_and_have_mean_one(two: tuple[Sample, Sample]) -> None:
    plain = read(*two, use_class_weights=False)
    for splits in (plain, read(*two)):
        for split in splits:
            assert (split.weight < 0).any()
            assert torch.equal(split.weight.sign(), split.loss_weight.sign())
        assert float(splits[0].loss_weight.mean()) == pytest.approx(1)
    for label in (0, 1):
        chosen = plain[2].label == label
        ratio = plain[2].loss_weight[chosen] / plain[2].weight[chosen]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    unweighted = read(*two, use_mc_weights=False, use_class_weights=False)
    assert all((split.loss_weight == 1).all() for split in unweighted)
    assert torch.equal(unweighted[0].weight, plain[0].weight)


@pytest.mark.parametrize("use_mc_weights", [True, False])
def test_class_weights_make_classes_count_equally(
    tmp_path: Path, two: tuple[Sample, Sample], use_mc_weights: bool
) -> None:
    few = sample("few", 1, write(tmp_path / "few.parquet", table(80, first=5000)))
    train, validation, _ = read(two[0], few, use_mc_weights=use_mc_weights)
    totals = torch.bincount(train.label, train.loss_weight)
    assert float(totals[0]) == pytest.approx(float(totals[1])) == pytest.approx(totals.sum() / 2)
    # In every split, a class has one factor.
    for label in (0, 1):
        for split in (train, validation):
            chosen = split.label == label
            factor = split.loss_weight[chosen] / (split.weight[chosen] if use_mc_weights else 1)
            torch.testing.assert_close(factor, factor[:1].expand_as(factor))


# The second ones add up to 6e-17, which is rounding and no yield.
@pytest.mark.parametrize("cancelling", [[1.0, -1.0, 0.0], [0.1, 0.2, -0.3]])
def test_a_class_whose_weights_cancel_is_refused(cancelling: list[float]) -> None:
    label, weight = np.array([0, 0, 1, 1, 1]), np.array([1.0, 1.0, *cancelling])
    none = np.zeros((5, 0))
    train = Arrays(none, none.astype(int), label, weight, label > 1, none.astype(np.uint64))
    with pytest.raises(RefusedError, match="training weights of class S add up to"):
        loss_factors(train.label, train.weight, ("B", "S"), True, True)
    with pytest.raises(RefusedError, match="train: class S has 3 events with weights of sum"):
        check_splits([train] * 3, (0.6, 0.2, 0.2), ("B", "S"))


def test_events_and_yields_of_each_split_are_printed(
    two: tuple[Sample, Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    splits = read(*two)
    title, *of_samples = capsys.readouterr().out.splitlines()
    first, *printed = of_samples[2:]
    assert title.split("  ")[0] == "sample"
    assert [line.split()[:3] for line in of_samples[:2]] == [
        [each.name, "BS"[label], str(sum(int((split.label == label).sum()) for split in splits))]
        for label, each in enumerate(two)
    ]
    assert first == "signal: S, background: B"
    for line, name, split in zip(printed, ("train", "validation", "test"), splits, strict=True):
        assert line.startswith(f"{name}: B ")
        assert f"S {int((split.label == 1).sum())} (" in line


@pytest.mark.parametrize("split", [0, 1, 2])
def test_a_feature_without_a_logarithm_is_refused_in_any_split(tmp_path: Path, split: int) -> None:
    events = table().assign(eta=1.0)
    samples = [
        sample(name, label, tmp_path / "e.parquet", selection=f"process == {label}")
        for label, name in enumerate(("qqZZ", "ggH"))
    ]
    write(tmp_path / "e.parquet", events)
    splits = read(*samples, logarithmic=("pt", "eta"))
    events.loc[events["pt"] == float(splits[split].numerical[0, 0]), "eta"] = 0.0
    write(tmp_path / "e.parquet", events)
    read(*samples, logarithmic=("pt",))
    with pytest.raises(RefusedError, match=r"no logarithm, 0 or less, in eta \(1 events\)"):
        read(*samples, logarithmic=("pt", "eta"))


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("way", ["drop", "absolute"])
def test_negative_weights_are_treated_in_the_training_loss_alone(
    two: tuple[Sample, Sample], way: str, by_class: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, treated = (
        read(*two, use_class_weights=by_class, negative_weights=each) for each in ("keep", way)
    )
    for before, after in zip(kept, treated, strict=True):
        assert torch.equal(before.weight, after.weight)
    for before, after in zip(kept[1:], treated[1:], strict=True):
        assert torch.equal(before.loss_weight, after.loss_weight)
    train = treated[0]
    negative = train.weight < 0
    assert negative.any()
    assert f"train: {int(negative.sum())} of {len(negative)} weights are negative" in (
        capsys.readouterr().out
    )
    # Within a class, the events keep their proportions; all together have mean 1.
    size = train.weight.clamp_min(0) if way == "drop" else train.weight.abs()
    for label in (0, 1):
        chosen = train.label == label
        expected = size[chosen] / size[chosen].sum() * train.loss_weight[chosen].sum()
        torch.testing.assert_close(train.loss_weight[chosen], expected)
    assert float(train.loss_weight.mean()) == pytest.approx(1.0)
    if by_class:
        assert float(train.loss_weight[train.label == 0].sum()) == pytest.approx(
            float(train.loss_weight[train.label == 1].sum())
        )
