"""Files of each format get scores, splits, folds and weights: each event its own."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from parts import file_applications
from parts.applications import applied, read_networks
from parts.arrays import read_arrays
from parts.cracks import Crack
from parts.datasets import Dataset, Sample
from parts.machinery.exits import RefusedError
from parts.machinery.found_networks import find_networks
from parts.model_cards import CardSample
from parts.parquet_files import Parquet
from parts.seen_features import Seen
from parts.splits import assign, fold_numbers
from tests.applied import ENDINGS, applied_to, read_events, within, write_events
from tests.linear_networks import (
    BIASES,
    CARD,
    drawn_events,
    probability,
    write_folds,
    write_network,
)

EVENTS = drawn_events()
KEYS = EVENTS["event"].view(np.uint64)[:, np.newaxis]
SPLIT = assign(KEYS, CARD.split)
FOLD = fold_numbers(KEYS, 3)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "model.onnx")


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The networks of three folds, whose logits differ by 1."""
    folder = tmp_path_factory.mktemp("folds")
    write_folds(folder, BIASES)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_events(tmp_path / "events.parquet", EVENTS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_scores_and_splits_stand_beside_the_events(
    network: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_applications, "EVENTS_READ", 300)
    source = write_events(tmp_path / f"events{ending}", EVENTS)
    out = tmp_path / f"out{ending}"
    (said,) = applied_to(network, source, out)
    counts = ", ".join(
        f"{len(np.flatnonzero(number == SPLIT))} {name}"
        for number, name in enumerate(("train", "validation", "test"))
    )
    meaning = "score is the probability of signal"
    assert said == f"wrote {out}: 1000 events; {meaning}; split: {counts}"
    found = read_events(out)
    within(found["score"], probability(EVENTS["pt"]))
    assert (found["split"] == SPLIT).all()
    assert found.keys() == {*EVENTS, "score", "split"}
    for name, values in EVENTS.items():
        within(found[name], values)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_friend_of_any_format_has_the_event_number_and_a_row_for_every_event(
    network: Path, source: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out{ending}"
    applied_to(network, source, out, sample="signal", friend=ending == ".parquet")
    found = read_events(out)
    assert set(found) == {"event", "score", "split", "sample_weight"}
    # All of their 64 bits.
    assert (found["event"] == EVENTS["event"]).all()
    assert (found["split"] == SPLIT).all()
    chosen = EVENTS["process"] == 1
    within(found["score"], np.where(chosen, probability(EVENTS["pt"]), np.nan))
    within(found["sample_weight"], np.where(chosen, 2 * EVENTS["weight"], np.nan))


def test_types_of_columns_are_as_small_as_what_they_hold(
    network: Path, folds: Path, source: Path, tmp_path: Path
) -> None:
    applied_to(network, source, tmp_path / "a.parquet", friend=True, sample="signal")
    kinds = {each.name: str(each.type) for each in pq.read_schema(tmp_path / "a.parquet")}
    expected = {"event": "int64", "score": "float", "split": "int8", "sample_weight": "double"}
    assert kinds == expected
    assert next(iter(kinds)) == "event"
    applied_to(folds, source, tmp_path / "b.parquet", friend=True)
    assert str(pq.read_schema(tmp_path / "b.parquet").field("fold").type) == "int8"


def test_an_event_number_beyond_int64_is_exact(network: Path, tmp_path: Path) -> None:
    columns = EVENTS | {"event": np.uint64(2**64 - 1) - np.arange(1000, dtype=np.uint64)}
    source = write_events(tmp_path / "events.parquet", columns)
    applied_to(network, source, tmp_path / "friend.parquet", friend=True)
    assert (read_events(tmp_path / "friend.parquet")["event"] == columns["event"]).all()


def test_the_split_is_that_of_the_training(network: Path, source: Path, tmp_path: Path) -> None:
    """By the very events that a training takes from the file for its test."""
    sample = Sample("signal", (), Parquet(), 1, selection="process == 1", weight="2 * weight")
    dataset = Dataset((sample,), ("pt",), missing=-999.0, event_number="event", split=CARD.split)
    splits = read_arrays(dataset, {"signal": [source]}, np.dtype("float32"))
    applied_to(network, source, tmp_path / "out.parquet", sample="signal")
    out = read_events(tmp_path / "out.parquet")
    for number, arrays in enumerate(splits):
        here = (out["split"] == number) & ~np.isnan(out["score"])
        assert (out["pt"][here] == arrays.numerical[:, 0]).all()
        assert (out["sample_weight"][here] == arrays.weight).all()


def test_without_an_event_number_all_features_decide_on_the_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_network(tmp_path / "model.onnx", replace(CARD, event_number=None))
    source = write_events(tmp_path / "events.parquet", EVENTS)
    sample = Sample("signal", (), Parquet(), 1)
    dataset = Dataset((sample,), CARD.numerical, CARD.categorical, missing=-999.0)
    splits = read_arrays(dataset, {"signal": [source]}, np.dtype("float32"))
    applied_to(network, source, tmp_path / "out.parquet", friend=True)
    said = capsys.readouterr().err
    assert said.startswith("warning: the spec has no event_number: the split is right for the very")
    assert len(said.splitlines()) == 1
    out = read_events(tmp_path / "out.parquet")
    assert set(out) == {"score", "split"}
    for number, arrays in enumerate(splits):
        assert (EVENTS["pt"][out["split"] == number] == arrays.numerical[:, 0]).all()


def test_events_that_a_sample_leaves_out_may_be_anything(network: Path, tmp_path: Path) -> None:
    left_out = EVENTS["process"] != 1
    columns = EVENTS | {
        "pt": np.where(left_out, np.inf, EVENTS["pt"]),
        "n_jets": np.where(left_out, 1.5, EVENTS["n_jets"]),
    }
    source = write_events(tmp_path / "events.parquet", columns)
    (said,) = applied_to(network, source, tmp_path / "out.parquet", sample="signal")
    assert ": 1000 events, 333 of them scored; " in said
    found = read_events(tmp_path / "out.parquet")
    within(found["score"], np.where(left_out, np.nan, probability(EVENTS["pt"])))


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("friend", [True, False])
def test_the_events_of_one_split_alone(
    network: Path, source: Path, tmp_path: Path, number: int, friend: bool
) -> None:
    name = ("train", "validation", "test")[number]
    out = tmp_path / "out.parquet"
    (said,) = applied_to(network, source, out, only=name, friend=friend)
    here = np.flatnonzero(number == SPLIT)
    assert f": {len(here)} of 1000 events; " in said
    assert said.endswith(f"split: {len(here)} {name}")
    found = read_events(out)
    assert (found["event"] == EVENTS["event"][here]).all()
    within(found["score"], probability(EVENTS["pt"])[here])


def test_what_is_written_alone_is_all_that_is_looked_at(network: Path, tmp_path: Path) -> None:
    columns = EVENTS | {"pt": np.where(SPLIT == 0, np.inf, EVENTS["pt"])}
    source = write_events(tmp_path / "events.parquet", columns)
    applied_to(network, source, tmp_path / "out.parquet", only="test")
    within(read_events(tmp_path / "out.parquet")["score"], probability(EVENTS["pt"])[SPLIT == 2])


@pytest.mark.parametrize("friend", [True, False])
def test_new_events_need_no_number_and_are_of_no_split(
    network: Path, tmp_path: Path, friend: bool
) -> None:
    columns = {name: values for name, values in EVENTS.items() if name != "event"}
    source, out = write_events(tmp_path / "events.parquet", columns), tmp_path / "out.parquet"
    (said,) = applied_to(network, source, out, new=True, friend=friend)
    assert said.endswith(": 1000 events; score is the probability of signal")
    found = read_events(out)
    assert set(found) == {"score"} | (set() if friend else set(columns))
    within(found["score"], probability(EVENTS["pt"]))


def test_new_events_that_have_a_number_keep_it(network: Path, source: Path, tmp_path: Path) -> None:
    applied_to(network, source, tmp_path / "out.parquet", new=True, friend=True)
    assert set(read_events(tmp_path / "out.parquet")) == {"event", "score"}


def test_of_folds_each_event_is_scored_by_the_network_that_has_not_seen_it(
    folds: Path, source: Path, tmp_path: Path
) -> None:
    (said,) = applied_to(folds, source, tmp_path / "out.parquet")
    assert said.endswith("; fold: each was scored by the network that has not seen it")
    found = read_events(tmp_path / "out.parquet")
    assert (found["fold"] == FOLD).all()
    assert "split" not in found
    within(found["score"], probability(EVENTS["pt"], np.array(BIASES)[FOLD]))


def test_of_folds_all_events_are_test_events(folds: Path, source: Path, tmp_path: Path) -> None:
    applied_to(folds, source, tmp_path / "out.parquet", only="test", sample="signal")
    found = read_events(tmp_path / "out.parquet")
    assert (found["event"] == EVENTS["event"]).all()
    assert (np.isnan(found["score"]) == (EVENTS["process"] != 1)).all()


def test_new_events_have_the_mean_of_all_folds_and_the_spread(
    folds: Path, source: Path, tmp_path: Path
) -> None:
    applied_to(folds, source, tmp_path / "out.parquet", new=True)
    found = read_events(tmp_path / "out.parquet")
    every = np.stack([probability(EVENTS["pt"], bias) for bias in BIASES])
    within(found["score"], every.mean(axis=0))
    np.testing.assert_allclose(found["score_spread"], every.std(axis=0, ddof=1), atol=1e-6)
    assert not {"fold", "split"} & found.keys()


def test_a_network_of_one_fold_tells_what_it_has_seen(source: Path, tmp_path: Path) -> None:
    """In its own run it lies alone."""
    write_folds(tmp_path, BIASES)
    (tmp_path / "model_1.onnx").rename(tmp_path / "model.onnx")
    applied_to(tmp_path, source, tmp_path / "out.parquet")
    # It is tested on fold 1, and validated on the one after it.
    expected = np.array([0, 2, 1])[FOLD]
    assert (read_events(tmp_path / "out.parquet")["split"] == expected).all()


def test_of_several_classes_each_has_a_column(source: Path, tmp_path: Path) -> None:
    card = replace(CARD, classes=("qq->ZZ", "ggH", "qq ZZ"))
    network = write_network(tmp_path / "model.onnx", card)
    (said,) = applied_to(network, source, tmp_path / "out.parquet", prefix="nominal_")
    names = [f"nominal_score_{name}" for name in ("qq__ZZ", "ggH", "qq_ZZ")]
    assert f"{', '.join(names)} are the probabilities of the classes" in said
    found = read_events(tmp_path / "out.parquet")
    odds = np.exp(np.outer(EVENTS["pt"].astype(np.float64), range(3)))
    for name, wanted in zip(names, (odds / odds.sum(axis=1, keepdims=True)).T, strict=True):
        within(found[name], wanted)
    assert (found["nominal_split"] == SPLIT).all()


def test_classes_whose_names_would_be_one_are_told_apart(source: Path, tmp_path: Path) -> None:
    card = replace(CARD, classes=("a b", "a-b", "a_b"))
    network = write_network(tmp_path / "model.onnx", card)
    applied_to(network, source, tmp_path / "out.parquet", friend=True)
    names = {"score_a_b", "score_a_b_2", "score_a_b_3"}
    assert set(read_events(tmp_path / "out.parquet")) == {"event", "split", *names}


def test_fake_factors_have_a_spread_and_are_zero_in_the_crack(tmp_path: Path) -> None:
    card = replace(CARD, gives="fake_factor", classes=(), crack=Crack("eta_of_cluster", 1.37, 1.52))
    network = write_network(tmp_path / "model.onnx", card)
    cluster = np.where(np.arange(1000) % 5 == 0, -1.4, 1.37)
    source = write_events(tmp_path / "events.parquet", EVENTS | {"eta_of_cluster": cluster})
    (said,) = applied_to(network, source, tmp_path / "out.parquet")
    assert "; fake_factor, and fake_factor_spread over the ensemble; split: " in said
    found = read_events(tmp_path / "out.parquet")
    factor = np.where(cluster == -1.4, 0, np.exp(EVENTS["pt"].astype(np.float64)))
    np.testing.assert_allclose(found["fake_factor"], 1.5 * factor, rtol=1e-5)
    np.testing.assert_allclose(found["fake_factor_spread"], factor / np.sqrt(2), rtol=1e-5)
    assert (found["split"] == SPLIT).all()


def test_features_are_derived_and_taken_from_lists_as_in_training(tmp_path: Path) -> None:
    card = replace(
        CARD,
        numerical=("pt", "lep_eta[1]"),
        derived={"pt": "lep_pt[0] / 1000"},
        seen=Seen(
            {"pt": (-10, 10), "lep_eta[1]": (-5, 5)}, ("lep_eta[1]",), {"n_jets": (0, 1, 2)}, ()
        ),
        samples=(CardSample("signal", "pt > 1", "pt", "Parquet", None),),
    )
    network = write_network(tmp_path / "model.onnx", card)
    columns: dict[str, Any] = {name: EVENTS[name] for name in ("event", "n_jets")}
    columns["lep_pt"] = [[float(pt) * 1000, 7.0] for pt in EVENTS["pt"]]
    columns["lep_eta"] = [[1.0, 2.0][: index % 3] for index in range(1000)]
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    applied_to(network, tmp_path / "events.parquet", tmp_path / "out.parquet", sample="signal")
    found = pq.read_table(tmp_path / "out.parquet", columns=["score", "sample_weight"])
    chosen = EVENTS["pt"] > 1
    within(found["score"].to_numpy(), np.where(chosen, probability(EVENTS["pt"]), np.nan))
    within(found["sample_weight"].to_numpy(), np.where(chosen, EVENTS["pt"], np.nan))


def test_a_folder_of_parquet_files_is_one_file(network: Path, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    halves = [{n: v[half] for n, v in EVENTS.items()} for half in (slice(400), slice(400, None))]
    for index, columns in enumerate(halves):
        write_events(folder / f"part{index}.parquet", columns)
    applied_to(network, folder, tmp_path / "out.parquet", friend=True)
    found = read_events(tmp_path / "out.parquet")
    assert (found["event"] == EVENTS["event"]).all()
    within(found["score"], probability(EVENTS["pt"]))


def test_several_files_go_into_a_folder_and_keep_their_names(network: Path, tmp_path: Path) -> None:
    sources = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    for seed, source in enumerate(sources):
        write_events(source, drawn_events(50, seed))
    said = applied_to(network, sources, tmp_path / "scored")
    places = [tmp_path / "scored" / source.name for source in sources]
    assert [line.partition(":")[0] for line in said] == [f"wrote {place}" for place in places]
    for seed, place in enumerate(places):
        within(read_events(place)["score"], probability(drawn_events(50, seed)["pt"]))


def test_one_file_goes_into_a_folder_that_is_there(
    network: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "scored").mkdir()
    applied_to(network, source, tmp_path / "scored")
    assert (tmp_path / "scored" / source.name).is_file()


def write_trees(path: Path) -> Path:
    """Write two trees, of which one is a systematic variation."""
    with uproot.recreate(path) as file:
        for tree, shift in (("nominal", 0.0), ("jes_up", 1.0)):
            columns = EVENTS | {"pt": EVENTS["pt"] + np.float32(shift)}
            file.mktree(tree, {name: values.dtype for name, values in columns.items()})
            file[tree].extend(columns)
    return path


def test_another_tree_is_named_and_that_of_the_training_is_not(tmp_path: Path) -> None:
    samples = tuple(replace(each, table="nominal") for each in CARD.samples)
    network = write_network(tmp_path / "model.onnx", replace(CARD, samples=samples))
    source = write_trees(tmp_path / "events.root")
    applied_to(network, source, tmp_path / "nominal.parquet")
    within(read_events(tmp_path / "nominal.parquet")["score"], probability(EVENTS["pt"]))
    option = ("--tree", "jes_up")
    applied_to(network, source, tmp_path / "up.parquet", table=option, accept_ranges=True)
    within(read_events(tmp_path / "up.parquet")["score"], probability(EVENTS["pt"] + 1))


def test_the_name_of_a_tree_is_asked_of_no_other_format(tmp_path: Path) -> None:
    samples = tuple(replace(each, table="nominal") for each in CARD.samples)
    network = write_network(tmp_path / "model.onnx", replace(CARD, samples=samples))
    source = write_events(tmp_path / "events.h5", EVENTS)
    applied_to(network, source, tmp_path / "out.h5")
    within(read_events(tmp_path / "out.h5")["score"], probability(EVENTS["pt"]))


def test_without_an_event_number_another_tree_has_no_split(tmp_path: Path) -> None:
    samples = tuple(replace(each, table="nominal") for each in CARD.samples)
    card = replace(CARD, samples=samples, event_number=None)
    network = write_network(tmp_path / "model.onnx", card)
    source = write_trees(tmp_path / "events.root")
    up: Any = {"table": ("--tree", "jes_up"), "accept_ranges": True}
    with pytest.raises(RefusedError, match=r"^--tree jes_up: .* no event_number.*'nominal'.*--new"):
        applied_to(network, source, tmp_path / "out.parquet", **up)
    applied_to(network, source, tmp_path / "out.parquet", **up, new=True)
    within(read_events(tmp_path / "out.parquet")["score"], probability(EVENTS["pt"] + 1))
    applied_to(network, source, tmp_path / "same.parquet", table=("--tree", "nominal"))
    assert "split" in read_events(tmp_path / "same.parquet")


@pytest.mark.parametrize("number", ["event", None])
def test_what_is_said_of_the_split_is_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: str | None
) -> None:
    """Of features alone it is not known for sure; and it is said only where a split counts."""
    write_folds(tmp_path / "folds", BIASES, replace(CARD, event_number=number))
    application = read_networks(find_networks(tmp_path, tmp_path / "folds").paths, {})
    applied(application, EVENTS, new=True)
    assert capsys.readouterr().err == ""
    applied(application, EVENTS)
    said = capsys.readouterr().err
    assert ("no event_number: the fold is right" in said) == (number is None)
    source = write_events(tmp_path / "events.parquet", EVENTS)
    applied_to(tmp_path / "folds", source, tmp_path / "new.parquet", new=True)
    assert capsys.readouterr().err == ""


def test_a_split_that_is_not_the_only_one_is_warned_of_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_network(tmp_path / "model.onnx", replace(CARD, earlier=True))
    source = write_events(tmp_path / "events.parquet", EVENTS)
    applied_to(network, source, tmp_path / "new.parquet", new=True)
    assert capsys.readouterr().err == ""
    applied_to(network, source, tmp_path / "out.parquet")
    said = capsys.readouterr().err
    assert said.startswith("warning: named went on from a training with another split")
    assert len(said.splitlines()) == 1


def test_a_derived_event_number_is_written_also_of_new_events(tmp_path: Path) -> None:
    network = write_network(
        tmp_path / "model.onnx", replace(CARD, derived={"event": "run * 1000 + n_jets"})
    )
    columns = EVENTS | {"run": np.arange(1000)}
    del columns["event"]
    source = write_events(tmp_path / "events.parquet", columns)
    applied_to(network, source, tmp_path / "out.parquet", new=True, friend=True)
    found = read_events(tmp_path / "out.parquet")
    assert (found["event"] == columns["run"] * 1000 + columns["n_jets"]).all()
    # Those without a number need none.
    del columns["run"]
    write_events(source, columns)
    applied_to(network, source, tmp_path / "other.parquet", new=True, friend=True)
    assert set(read_events(tmp_path / "other.parquet")) == {"score"}


def test_other_files_beside_those_of_folds_do_not_count(folds: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(folds, tmp_path / "folds"))
    for name in ("model_old.onnx", "model_00.onnx", "model_1_copy.onnx"):
        shutil.copy(folds / "model_0.onnx", place / name)
    source = write_events(tmp_path / "events.parquet", EVENTS)
    applied_to(place, source, tmp_path / "out.parquet")
    assert (read_events(tmp_path / "out.parquet")["fold"] == FOLD).all()


def test_scores_alone_are_said_to_be_so(network: Path, source: Path, tmp_path: Path) -> None:
    """Whether that was asked for, or follows from another format."""
    out = tmp_path / "out.csv"
    (said,) = applied_to(network, source, out)
    assert said.startswith(f"wrote {out}, the scores alone: 1000 events; ")
    (said,) = applied_to(network, source, tmp_path / "f.parquet", friend=True, only="test")
    assert ", the scores alone (not row by row; join by event): " in said
    (said,) = applied_to(network, source, tmp_path / "b.parquet", only="test")
    assert "the scores alone" not in said


def test_a_sample_has_its_own_tree(tmp_path: Path) -> None:
    trees = ("jes_up", "nominal")
    samples = tuple(replace(s, table=t) for s, t in zip(CARD.samples, trees, strict=True))
    network = write_network(tmp_path / "model.onnx", replace(CARD, samples=samples))
    source = write_trees(tmp_path / "events.root")
    applied_to(network, source, tmp_path / "out.parquet", sample="background", friend=True)
    chosen = EVENTS["process"] == 0
    found = read_events(tmp_path / "out.parquet")["score"]
    within(found, np.where(chosen, probability(EVENTS["pt"]), np.nan))
