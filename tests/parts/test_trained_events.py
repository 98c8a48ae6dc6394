"""What a checkpoint says of the events that it was trained on, and which specs fit."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.machinery.exits import RefusedError
from parts.machinery.trained_events import described_events, events_of, had_another_split
from parts.root_files import Root

SAMPLES = (
    Sample("ggH", ("a.csv",), Csv(), 1, selection="ht > 20"),
    Sample("qqZZ", ("b.csv", "c.csv"), Csv(), 0),
)
DATASET = Dataset(
    SAMPLES, ("x", "mt"), event_number="event", classes=("B", "S"),
    derived={"ht": "pt + x", "mt": "2 * m"},
)  # fmt: skip
DIGESTS = {"ggH": ["1"], "qqZZ": ["2", "3"]}
OWN = described_events(DATASET, DIGESTS)


def first(**changed: Any) -> tuple[Sample, Sample]:
    return replace(SAMPLES[0], **changed), SAMPLES[1]


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # What is changed of the dataset, and of the digests; and what is said.
    "split": ({"split": (0.5, 0.2, 0.3)}, {}, "split: 0.6 / 0.2 / 0.2 there, 0.5 / 0.2 / 0.3 here"),
    "number": ({"event_number": "number"}, {}, "event_number: event there, number here"),
    "none": ({"event_number": None}, {}, "event_number: event there, none here"),
    "selection": (
        {"samples": first(selection="ht > 30")}, {},
        "selection of ggH: ht > 20 there, ht > 30 here",
    ),
    "all": ({"samples": first(selection=None)}, {}, "selection of ggH: ht > 20 there, none here"),
    "derived": ({"derived": {"ht": "pt", "mt": "2 * m"}}, {}, "derived ht: pt + x there, pt here"),
    "plain": ({"derived": {"mt": "2 * m"}}, {}, "derived ht: pt + x there, none here"),
    "file": ({}, {"qqZZ": ["2", "4"]}, "files of qqZZ: none of its samples was of these"),
    "fewer": ({}, {"qqZZ": ["2"]}, "files of qqZZ"),
    "tree": ({"samples": first(reader=Root("sys"))}, {}, "files of ggH"),
}  # fmt: skip


def described(name: str) -> dict[str, Any]:
    changed, digests, _ = OTHERS[name]
    return described_events(replace(DATASET, **changed), {**DIGESTS, **digests})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "best.ckpt"
    save(path, [OWN])
    return path


def save(path: Path, events: list[Any] | None) -> None:
    torch.save({"knows": {}, "state_dict": {}} | ({"events": events} if events else {}), path)


def test_a_run_without_a_checkpoint_has_its_own_events() -> None:
    assert events_of(None, "same", OWN) == [OWN]


def test_what_decides_the_split_is_described_and_nothing_else() -> None:
    """Features may be derived otherwise, but where they name the event; files may move."""
    other = replace(DATASET, derived={"ht": "pt + x", "mt": "3 * m"}, numerical=("x",))
    moved = replace(SAMPLES[1], files=("/elsewhere/*.csv",))
    other = replace(other, samples=(SAMPLES[0], moved))
    assert described_events(other, {"ggH": ["1"], "qqZZ": ["3", "2"]}) == OWN
    unnumbered = replace(DATASET, event_number=None)
    assert described_events(unnumbered, DIGESTS) != described_events(
        replace(unnumbered, derived={"ht": "pt + x", "mt": "3 * m"}), DIGESTS
    )


def test_the_same_events_fit_also_fewer_samples(checkpoint: Path) -> None:
    assert events_of(checkpoint, "same", OWN) == [OWN]
    fewer = described_events(replace(DATASET, samples=SAMPLES[1:]), DIGESTS)
    assert events_of(checkpoint, "same", fewer) == [OWN, fewer]


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_or_another_split_are_refused(checkpoint: Path, name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        events_of(checkpoint, "same", described(name))
    assert f"\n  {OTHERS[name][2]}" in str(refused.value)
    assert 'checkpoint_events = "numbered"' in str(refused.value)


@pytest.mark.parametrize("name", OTHERS)
def test_numbered_events_may_be_others_in_the_same_split(checkpoint: Path, name: str) -> None:
    own = described(name)
    if name in ("split", "number", "none"):
        with pytest.raises(RefusedError, match="another split"):
            events_of(checkpoint, "numbered", own)
    else:
        assert events_of(checkpoint, "numbered", own) == [OWN, own]


@pytest.mark.parametrize("asserted", ["same", "numbered"])
@pytest.mark.parametrize(
    ("derived", "words"),
    [
        ({"n": "event", "run": "r"}, "derived n: event + run there, event here"),
        ({"n": "event + run", "run": "2 * r"}, "derived run: r there, 2 * r here"),
        # Here, files have the columns themselves.
        ({"n": "event + run"}, "derived run: r there, none here"),
        ({}, "derived n: event + run there, none here"),
    ],
)
def test_a_number_that_is_derived_otherwise_is_another_one(
    checkpoint: Path, asserted: str, derived: dict[str, str], words: str
) -> None:
    there = {**DATASET.derived, "n": "event + run", "run": "r"}
    number = replace(DATASET, event_number="n", derived=there)
    save(checkpoint, [described_events(number, DIGESTS)])
    other = replace(number, derived={**DATASET.derived, **derived})
    with pytest.raises(RefusedError, match=re.escape(words)):
        events_of(checkpoint, asserted, described_events(other, DIGESTS))


def test_what_only_samples_that_are_not_here_were_selected_by_decides_nothing(
    checkpoint: Path,
) -> None:
    fewer = replace(DATASET, samples=SAMPLES[1:], derived={"mt": "2 * m"})
    own = described_events(fewer, DIGESTS)
    assert events_of(checkpoint, "same", own) == [OWN, own]


def test_unseen_events_may_be_of_other_files(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = described_events(DATASET, {"ggH": ["5"], "qqZZ": ["4"]})
    assert events_of(checkpoint, "unseen", own) == [OWN, own]
    assert "was trained on none of these events" in (said := capsys.readouterr().out)
    assert "warning" not in said


@pytest.mark.parametrize(
    ("samples", "digests", "name"),
    [
        (SAMPLES, {"ggH": ["5"]}, "qqZZ"),
        # One of the files is enough, beside one that is new.
        (SAMPLES[1:], {"qqZZ": ["3", "4"]}, "qqZZ"),
        # Of all events, those that were selected; of those that are selected, all.
        (first(selection=None)[:1], {}, "ggH"),
        ((replace(SAMPLES[1], selection="ht > 20"),), {}, "qqZZ"),
        # Whatever it is called here.
        ((replace(SAMPLES[1], name="ZZ"),), {"ZZ": ["2"]}, "ZZ"),
    ],
)
def test_unseen_events_of_the_training_are_refused(
    checkpoint: Path, samples: tuple[Sample, ...], digests: dict[str, list[str]], name: str
) -> None:
    own = described_events(replace(DATASET, samples=samples), {**DIGESTS, **digests})
    with pytest.raises(RefusedError, match=f'"unseen", but .* was trained on events of {name}$'):
        events_of(checkpoint, "unseen", own)


@pytest.mark.parametrize("changed", [{"selection": "ht <= 20"}, {"reader": Root("sys")}])
def test_unseen_events_of_the_same_files_are_pointed_out(
    checkpoint: Path, changed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    own = described_events(replace(DATASET, samples=first(**changed)[:1]), DIGESTS)
    assert events_of(checkpoint, "unseen", own) == [OWN, own]
    assert "best.ckpt was trained on files of ggH, with another" in capsys.readouterr().out


@pytest.mark.parametrize("events", [None, [None], [None, OWN]])
def test_a_checkpoint_that_does_not_know_is_pointed_out(
    tmp_path: Path, events: list[Any] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.ckpt", events)
    found = events_of(tmp_path / "a.ckpt", "same", OWN)
    assert found == [None, OWN]
    assert "warning: " in (said := capsys.readouterr().out)
    assert "does not say which events it was trained on" in said


@pytest.mark.parametrize("name", OTHERS)
def test_a_training_before_may_have_had_another_split(name: str) -> None:
    """Other events of the same split are none, whatever selects them."""
    other = described(name)
    found = had_another_split([OWN, other, other])
    assert found == (name in ("split", "number", "none"))
    assert not had_another_split([OWN])
    assert had_another_split([None, OWN])


def test_of_several_trainings_the_last_one_has_to_fit(checkpoint: Path) -> None:
    """Those before it were asserted to have none of its events; not the other way round."""
    later = described("file")
    save(checkpoint, [OWN, later])
    assert events_of(checkpoint, "same", later) == [OWN, later]
    with pytest.raises(RefusedError):
        events_of(checkpoint, "same", OWN)
