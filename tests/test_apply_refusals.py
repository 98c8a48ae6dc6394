"""What scores cannot be had for is refused, in one line that names it; and nothing is left."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from parts import file_applications, progress_lines
from parts.applications import applied, read_networks
from parts.machinery.exits import ASKED, RefusedError, StoppedError
from parts.networks import read_network
from parts.splits import Fold
from tests.applied import ENDINGS, applied_to, read_events, write_events
from tests.linear_networks import CARD, drawn_events, write_folds, write_network

EVENTS = drawn_events(500)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "model.onnx")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_events(tmp_path / "events.parquet", EVENTS)


def refused(network: Path, source: Path | list[Path], out: Path, **choices: Any) -> str:
    """Return why nothing is written; all that lies there stays as it is."""
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    with pytest.raises(RefusedError) as caught:
        applied_to(network, source, out, **choices)
    after = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    assert after == before
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("lacking", "choices", "message"),
    [
        ("pt", {}, "no column 'pt'; did you mean 'ptt'?"),
        ("n_jets", {}, "no column 'n_jets'; did you mean 'n_jetst'?"),
        ("event", {}, "no column 'event'; did you mean 'eventt'?"),
        ("process", {"sample": "signal"}, "no column 'process'; did you mean 'processt'?"),
        ("weight", {"sample": "signal"}, "no column 'weight'; did you mean 'weightt'?"),
    ],
)
def test_a_column_that_is_lacking_is_named_with_those_near_it(
    network: Path, tmp_path: Path, ending: str, lacking: str, choices: Any, message: str
) -> None:
    columns = {f"{name}t" if name == lacking else name: v for name, v in EVENTS.items()}
    source = write_events(tmp_path / f"events{ending}", columns)
    said = refused(network, source, tmp_path / "out.csv", friend=True, **choices)
    assert said.startswith(f"{str(source)!a}: {message}")


def test_all_that_is_lacking_is_said_at_once(network: Path, tmp_path: Path) -> None:
    source = write_events(tmp_path / "events.parquet", {"event": EVENTS["event"]})
    said = refused(network, source, tmp_path / "out.parquet")
    assert [f"no column '{name}'" in said for name in ("pt", "eta", "n_jets")] == [True] * 3


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("pt", np.array(["a"] * 500), "'pt' holds texts, not numbers"),
        ("event", EVENTS["pt"], "the column 'event' does not hold whole numbers"),
        ("process", np.array(["a"] * 500), "'process' holds texts"),
        ("weight", np.array(["a"] * 500), "holds texts, not numbers"),
    ],
)
def test_a_column_of_another_type_is_refused(
    network: Path, tmp_path: Path, name: str, values: Any, message: str
) -> None:
    source = write_events(tmp_path / "events.csv", EVENTS | {name: values})
    assert message in refused(network, source, tmp_path / "out.csv", sample="signal")


def test_a_column_of_the_name_of_a_derived_one_is_refused_as_in_training(tmp_path: Path) -> None:
    """Also the event number; what nobody asks for may have any name."""
    derived = {"pt": "pt_mev / 1000", "event": "run * 1000 + eta", "other": "pt_mev"}
    network = write_network(tmp_path / "model.onnx", replace(CARD, derived=derived))
    columns = EVENTS | {"pt_mev": EVENTS["pt"], "run": EVENTS["event"], "other": EVENTS["pt"]}
    source = write_events(tmp_path / "events.parquet", columns)
    for choices in ({}, {"new": True, "friend": True}):
        said = refused(network, source, tmp_path / "out.parquet", **choices)
        for name in ("pt", "event"):
            assert f"there is a column '{name}' already, which the spec derives" in said
        assert "'other' already" not in said


@pytest.mark.parametrize("choices", [{}, {"new": True}, {"new": True, "friend": True}])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["a"] * 500), "the column 'event' does not hold whole numbers"),
        ([None, *range(499)], "the event number 'event' is null"),
    ],
)
def test_an_event_number_is_a_whole_number(
    network: Path, tmp_path: Path, values: Any, message: str, choices: Any
) -> None:
    source = write_events(tmp_path / "events.parquet", EVENTS | {"event": values})
    assert message in refused(network, source, tmp_path / "out.parquet", **choices)


def test_a_sample_that_there_is_not(network: Path, source: Path, tmp_path: Path) -> None:
    said = refused(network, source, tmp_path / "out.parquet", sample="signall")
    assert said == (
        "--sample: no sample 'signall'; did you mean 'signal'?; there is 'signal', 'background'"
    )


@pytest.mark.parametrize(
    ("name", "scale", "known", "seen"),
    [
        ("pt", 1000, 10, "within -10 to 10, its range in training"),
        ("n_jets", 7, 2, "among those seen in training"),
    ],
)
def test_features_of_another_unit_are_refused_unless_they_are_accepted(
    network: Path, tmp_path: Path, name: str, scale: int, known: int, seen: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    columns = EVENTS | {name: EVENTS[name] * scale}
    source = write_events(tmp_path / "events.parquet", columns)
    said = refused(network, source, tmp_path / "out.parquet")
    share = (abs(columns[name]) > known).mean()
    assert said.startswith(f"{str(source)!a}: most events are unlike those of the training; ")
    assert f"; {name}: {share:.1%} of 500 values are not {seen}. " in said
    assert "--accept-ranges" in said
    assert capsys.readouterr().err == ""
    applied_to(network, source, tmp_path / "out.parquet", accept_ranges=True)
    assert "beyond what the training has seen" in capsys.readouterr().err
    # Of 20, it is none that all are.
    twenty = {
        key: np.repeat(values[abs(columns[name]) > known][:1], 20)
        for key, values in columns.items()
    }
    all_of_them = write_events(tmp_path / "twenty.parquet", twenty)
    assert "100.0% of 20" in refused(network, all_of_them, tmp_path / "twenty_out.parquet")
    # Of fewer events, it may be chance.
    few = {key: values[:99] for key, values in columns.items()}
    applied_to(network, write_events(tmp_path / "few.parquet", few), tmp_path / "few_out.parquet")


def test_what_is_missing_is_outside_of_no_range(network: Path, tmp_path: Path) -> None:
    columns = EVENTS | {"eta": np.where(np.arange(500) < 400, -999.0, 1.0)}
    source = write_events(tmp_path / "events.parquet", columns)
    applied_to(network, source, tmp_path / "out.parquet")
    columns["eta"][400:480] = 50.0
    write_events(source, columns)
    # 80 of the 100 that there are.
    said = refused(network, source, tmp_path / "other.parquet")
    assert "eta: 80.0% of 100 values" in said


def test_a_few_odd_events_are_counted_over_the_whole_file_and_told_of_once(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(file_applications, "EVENTS_READ", 64)
    odd = np.arange(500) % 50 == 33
    source = write_events(
        tmp_path / "events.parquet", EVENTS | {"pt": np.where(odd, 11.5, EVENTS["pt"])}
    )
    applied_to(network, source, tmp_path / "out.parquet")
    assert capsys.readouterr().err == (
        f"{str(source)!a}: beyond what the training has seen, where a score is a guess:\n"
        "  pt: outside -10 to 10 in 10 of 500 events, such as 11.5 in event 33\n"
    )


def test_what_is_said_of_a_file_is_of_no_other(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = EVENTS | {"pt": np.where(np.arange(500) % 100 == 7, 11.5, EVENTS["pt"])}
    sources = [tmp_path / f"{name}.parquet" for name in ("odd", "usual")]
    for source, columns in zip(sources, (odd, EVENTS), strict=True):
        write_events(source, columns)
    applied_to(network, sources, tmp_path / "scored")
    said = capsys.readouterr().err
    assert said.count("beyond what the training has seen") == 1
    assert "in 5 of 500 events" in said


@pytest.mark.parametrize(("value", "what"), [(np.inf, "infinite"), (np.nan, "nan")])
def test_a_value_that_no_network_takes_is_told_of_by_its_row(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, what: str
) -> None:
    """Also where a sample's events are only some of them, and far into the file."""
    monkeypatch.setattr(file_applications, "EVENTS_READ", 64)
    pt = EVENTS["pt"].copy()
    # Of the sample are those whose number, divided by three, leaves 1.
    pt[[70, 301, 400]] = value
    source = write_events(tmp_path / "events.parquet", EVENTS | {"pt": pt})
    said = refused(network, source, tmp_path / "out.parquet", sample="signal")
    assert f"pt is {what}" in said
    # Of the events up to there: nothing will be written.
    assert "in 1 of 43 events, such as" in said
    found = "event 70" if np.isnan(value) else f"{value} in event 70"
    assert f"such as {found} (events count from 0)" in said


def test_a_value_that_no_network_takes_ends_it_at_once(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a billion events is not read to its end for nothing."""
    monkeypatch.setattr(file_applications, "EVENTS_READ", 64)
    pt = EVENTS["pt"].copy()
    pt[[70, 301]] = np.inf
    eta = EVENTS["eta"].copy()
    eta[300] = np.inf
    source = write_events(tmp_path / "events.parquet", EVENTS | {"pt": pt, "eta": eta})
    said = refused(network, source, tmp_path / "out.parquet")
    assert "pt is infinite in 1 of 128 events" in said
    assert "eta" not in said


def test_an_output_that_exists_is_replaced_only_if_that_is_asked_for(
    network: Path, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"precious")
    assert "exists; --overwrite replaces it" in refused(network, source, out)
    applied_to(network, source, out, overwrite=True)
    assert len(read_events(out)["score"]) == 500


def test_events_are_never_written_over(network: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.parquet").symlink_to(source)
    for out in (source, tmp_path / "link.parquet", tmp_path):
        said = refused(network, source, out, overwrite=True)
        assert "is one of the files of events" in said


def test_a_folder_of_events_is_not_replaced_by_its_scores(
    network: Path, source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    source.rename(folder / source.name)
    among = "would lie among the events in"
    assert among in refused(network, folder, folder / "out.parquet", friend=True)
    assert among in refused(network, folder, folder, friend=True, overwrite=True)
    # As cp has it.
    applied_to(network, folder, tmp_path, friend=True)
    assert len(read_events(tmp_path / "folder.parquet")["score"]) == 500


def test_two_files_of_one_name_do_not_go_into_one_folder(
    network: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = write_events(tmp_path / "other" / source.name, EVENTS)
    said = refused(network, [source, other], tmp_path / "scored")
    assert said.startswith("two files are called 'events.parquet'")
    assert not (tmp_path / "scored").exists()
    write_events(tmp_path / "file.parquet", EVENTS)
    said = refused(network, [source, source], tmp_path / "file.parquet")
    assert said.startswith("several files go into a folder")


def test_all_files_are_looked_at_before_the_first_is_scored(
    network: Path, source: Path, tmp_path: Path
) -> None:
    lacking = write_events(tmp_path / "lacking.parquet", {"event": EVENTS["event"]})
    refused(network, [source, lacking], tmp_path / "scored")
    assert not (tmp_path / "scored").exists()


@pytest.mark.parametrize(
    ("option", "ending"), [("--tree", ".parquet"), ("--table", ".root"), ("--tree", ".csv")]
)
def test_a_table_of_a_format_that_has_none_is_refused(
    network: Path, tmp_path: Path, option: str, ending: str
) -> None:
    source = write_events(tmp_path / f"events{ending}", EVENTS)
    said = refused(network, source, tmp_path / "out.csv", table=(option, "nominal"))
    assert said.startswith(f"{option} is given, and a file is of ")


def test_a_tree_that_there_is_not_is_refused(network: Path, tmp_path: Path) -> None:
    source = write_events(tmp_path / "events.root", EVENTS)
    said = refused(network, source, tmp_path / "out.csv", table=("--tree", "nominl"))
    assert "no tree 'nominl'; did you mean 'nominal'?" in said


@pytest.mark.parametrize("ending", [".h5", ".parquet", ".csv"])
def test_an_empty_file_gives_an_empty_one_with_the_columns(
    network: Path, tmp_path: Path, ending: str
) -> None:
    none = {name: values[:0] for name, values in EVENTS.items()}
    source = write_events(tmp_path / f"events{ending}", none)
    out = tmp_path / f"out{ending}"
    (said,) = applied_to(network, source, out)
    assert said == f"wrote {out}: 0 events; score is the probability of signal"
    assert {name: len(each) for name, each in read_events(out).items()} == dict.fromkeys(
        [*EVENTS, "score", "split"], 0
    )


def test_a_network_that_is_damaged_or_missing_is_refused(
    network: Path, source: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out.parquet", tmp_path / "other.onnx"
    assert "cannot read" in refused(other, source, out)
    other.write_bytes(network.read_bytes()[:500])
    assert "cannot read" in refused(other, source, out)
    other.write_bytes(b"")
    assert "cannot read" in refused(other, source, out)


def test_a_foreign_network_is_refused(network: Path, source: Path, tmp_path: Path) -> None:
    model = onnx.load(network)
    onnx.helper.set_model_props(model, {"framework": "other"})
    onnx.save(model, tmp_path / "foreign.onnx")
    said = refused(tmp_path / "foreign.onnx", source, tmp_path / "out.parquet")
    assert "is no network that train_signal.py or train_ratio.py has left" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"numerical": ("pt",)},
        {"categorical": ()},
        {"numerical": ("pt", "mass")},
        {"classes": ("background", "other", "signal")},
        {"gives": "fake_factor"},
    ],
)
def test_a_graph_that_does_not_fit_its_card_is_refused(tmp_path: Path, changes: Any) -> None:
    path = write_network(tmp_path / "model.onnx")
    model = onnx.load(path)
    other = onnx.load(write_network(tmp_path / "other.onnx", replace(CARD, **changes)))
    onnx.helper.set_model_props(model, {p.key: p.value for p in other.metadata_props})
    onnx.save(model, path)
    with pytest.raises(RefusedError, match=r"its (inputs|output)"):
        read_network(path)


def test_networks_that_are_no_cross_validation_are_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    write_folds(tmp_path / "swapped", (0, 1))
    (tmp_path / "swapped" / "model_0.onnx").rename(tmp_path / "one.onnx")
    (tmp_path / "swapped" / "model_1.onnx").rename(tmp_path / "swapped" / "model_0.onnx")
    (tmp_path / "one.onnx").rename(tmp_path / "swapped" / "model_1.onnx")
    assert "model_0.onnx' is not of fold 0 of 2" in refused(tmp_path / "swapped", source, out)
    write_folds(tmp_path / "fewer", (0, 1, 2))
    (tmp_path / "fewer" / "model_2.onnx").unlink()
    assert "3 folds in" in refused(tmp_path / "fewer", source, out)
    (tmp_path / "fewer" / "model_1.onnx").unlink()
    said = refused(tmp_path / "fewer", source, out)
    assert said.endswith("there is no 'model_1.onnx', 'model_2.onnx'; each event needs its own")
    assert "3 folds" in refused(tmp_path / "fewer" / "model_0.onnx", source, out)
    write_folds(tmp_path / "gap", (0, 1, 2))
    (tmp_path / "gap" / "model_0.onnx").unlink()
    assert "there is no 'model_0.onnx'; each" in refused(tmp_path / "gap", source, out)
    write_folds(tmp_path / "more", (0, 1, 2))
    write_network(tmp_path / "more" / "model_3.onnx", replace(CARD, split=Fold(3, 4)))
    assert "is not of fold 0 of 4" in refused(tmp_path / "more", source, out)
    write_folds(tmp_path / "mixed", (0, 1))
    write_folds(tmp_path / "others", (0, 1), replace(CARD, missing=None))
    (tmp_path / "others" / "model_1.onnx").replace(tmp_path / "mixed" / "model_1.onnx")
    said = refused(tmp_path / "mixed", source, out)
    assert "are not of one cross-validation: missing differs" in said


def test_networks_of_other_runs_than_those_of_the_scripts_are_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    read_networks([path], {"named": "aaaa"})
    for trained in ({"named": "bbbb"}, {"other": "aaaa"}):
        with pytest.raises(RefusedError, match="is of the run 'named', which no script of this"):
            read_networks([path], trained)


@pytest.mark.parametrize("only", ["train", "validation"])
def test_networks_of_folds_have_no_split_alone(source: Path, tmp_path: Path, only: str) -> None:
    write_folds(tmp_path / "folds", (0, 1))
    said = refused(tmp_path / "folds", source, tmp_path / "out.parquet", only=only)
    assert said.startswith(f"--only {only}: each event is a test event of one fold's network")


def test_an_event_number_of_the_name_of_a_score_is_refused(tmp_path: Path) -> None:
    network = write_network(tmp_path / "model.onnx", replace(CARD, event_number="score"))
    columns = {"score" if name == "event" else name: v for name, v in EVENTS.items()}
    source = write_events(tmp_path / "events.parquet", columns)
    said = refused(network, source, tmp_path / "out.parquet", friend=True)
    assert said == "'score' is the event number; --prefix names scores apart"
    applied_to(network, source, tmp_path / "out.parquet", prefix="my_")
    assert "my_score" in read_events(tmp_path / "out.parquet")


def test_a_signal_stops_between_two_chunks_and_leaves_nothing(
    network: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_applications, "EVENTS_READ", 64)
    monkeypatch.setattr(ASKED, "status", 143)
    with pytest.raises(StoppedError):
        applied_to(network, source, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


class Terminal(io.StringIO):
    """What a terminal is told."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_how_far_it_is_and_keeps_nothing_of_it(
    network: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_applications, "EVENTS_READ", 200)
    monkeypatch.setattr(progress_lines, "PAUSE", -1.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    applied_to(network, source, tmp_path / "out.parquet")
    lines = terminal.getvalue().split("\r")
    told = [line for line in lines if line.strip()]
    assert told == [f"events.parquet: {count} of 500 events" for count in (200, 400, 500)]
    assert not lines[-2].strip()
    assert lines[-1] == ""


def test_a_log_is_told_nothing_on_the_way(
    network: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(progress_lines, "PAUSE", -1.0)
    applied_to(network, source, tmp_path / "out.parquet")
    assert capsys.readouterr().err == ""


def test_a_network_is_read_anew_once_it_is_replaced(tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx", CARD)
    first = read_network(path)
    assert read_network(path) is first
    write_network(path, replace(CARD, run="other"))
    assert read_network(path).card.run == "other"
    path.unlink()
    with pytest.raises(RefusedError, match="cannot read"):
        read_network(path)


def test_what_folds_need_the_event_number_for_is_said(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds", (0, 1, 2))
    columns = {name: values for name, values in EVENTS.items() if name != "event"}
    source = write_events(tmp_path / "events.parquet", columns)
    said = refused(tmp_path / "folds", source, tmp_path / "out.parquet")
    assert "no column 'event'" in said
    assert "event number 'event' tells what the training has seen, which --new does" in said
    application = read_networks(sorted((tmp_path / "folds").iterdir()), {})
    with pytest.raises(RefusedError, match=r"no column 'event'.*, which tells what .*; new=True"):
        applied(application, columns)


def test_threads_are_as_many_as_omp_num_threads(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, threads in (("2", 2), ("", 1), ("many", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        options = read_network(network).session.get_session_options()
        assert options.intra_op_num_threads == threads


def test_events_in_arrays_are_refused_alike(network: Path) -> None:
    application = read_networks([network], {})
    with pytest.raises(RefusedError, match="the events have no column 'pt'; did you mean 'ptt'"):
        applied(application, {"ptt": EVENTS["pt"]} | {n: EVENTS[n] for n in ("eta", "n_jets")})
    columns = EVENTS | {"pt": EVENTS["pt"] * 1000}
    with pytest.raises(RefusedError, match=r"most events are unlike .* accept_ranges=True takes"):
        applied(application, columns)
    assert applied(read_networks([network], {}), columns, accept_ranges=True).shape == (1, 500, 2)
