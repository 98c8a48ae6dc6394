"""The trainings that another one builds on: which folders they are, and what makes them fit."""

import json
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.parents import (
    check_parent_data,
    parent_checkpoint,
    parent_folders,
)
from parts.machinery.places import digest
from parts.machinery.runs import RunFolder

SCRIPT = "a" * 64
BEGAN = {"script": SCRIPT, "data": {"/d/x": "1", "/d/y": "2"}, "seed": 1}


@pytest.fixture
def parent(tmp_path: Path) -> RunFolder:
    """A denominator that has finished."""
    folder = RunFolder(tmp_path / "den")
    folder.checkpoints.mkdir(parents=True)
    finish(folder, SCRIPT)
    folder.identity.write_text(json.dumps(BEGAN))
    return folder


def finish(folder: RunFolder, script: str) -> Path:
    best = folder.checkpoints / "best-000000001.ckpt"
    best.write_text("weights")
    said = {"script": script, "checkpoint": best.name, "sha256": digest(best)}
    folder.done.write_text(json.dumps(said))
    return best


def test_the_checkpoint_of_a_parent_is_its_best_one(parent: RunFolder) -> None:
    found = parent_checkpoint(parent.path, "denominator", SCRIPT)
    assert found == parent.checkpoints / "best-000000001.ckpt"


def test_a_parent_must_have_finished(parent: RunFolder) -> None:
    parent.done.unlink()
    with pytest.raises(RefusedError, match=r"has not finished: .*; train_denominator\.py comes"):
        parent_checkpoint(parent.path, "denominator", SCRIPT)


def test_a_parent_whose_mark_is_damaged_is_refused_with_what_mends_it(parent: RunFolder) -> None:
    for damaged in ("", "[]", '{"script": 1}', "\0"):
        parent.done.write_text(damaged)
        with pytest.raises(RefusedError, match=r"is damaged; start train_denominator\.py again"):
            parent_checkpoint(parent.path, "denominator", SCRIPT)
    parent.identity.unlink()
    with pytest.raises(RefusedError, match=r"run\.json is lost"):
        check_parent_data(parent.path, {})


def test_a_parent_of_another_script_is_refused_by_both_digests(parent: RunFolder) -> None:
    finish(parent, "b" * 64)
    with pytest.raises(RefusedError, match=r"\(bbbbbbbbbbbb, needed is aaaaaaaaaaaa\)"):
        parent_checkpoint(parent.path, "denominator", SCRIPT)


def test_a_parent_whose_code_was_edited_is_refused_for_that(parent: RunFolder) -> None:
    """Its script, which begins what it is known by, may be the one that is needed."""
    finish(parent, f"{SCRIPT}+{'c' * 64}")
    with pytest.raises(RefusedError, match="does not fit: its code was edited by hand"):
        parent_checkpoint(parent.path, "denominator", SCRIPT)


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_parent_whose_checkpoint_is_not_whole_is_refused(parent: RunFolder, damage: str) -> None:
    best = parent.checkpoints / "best-000000001.ckpt"
    best.unlink() if damage == "removed" else best.write_text("other weights")
    with pytest.raises(RefusedError, match="missing or damaged"):
        parent_checkpoint(parent.path, "denominator", SCRIPT)


def test_parents_are_those_of_a_label_if_all_of_them_are(tmp_path: Path) -> None:
    names = {"denominator": "den", "numerator": "num"}
    plain = {stage: tmp_path / name for stage, name in names.items()}
    assert parent_folders(tmp_path / "ratio", "ratio", names) == plain
    (tmp_path / "den+x").mkdir()
    assert parent_folders(tmp_path / "ratio+x", "ratio", names) == plain
    (tmp_path / "num+x").mkdir()
    labelled = {stage: tmp_path / f"{name}+x" for stage, name in names.items()}
    assert parent_folders(tmp_path / "ratio+x", "ratio", names) == labelled


def test_a_run_goes_on_with_the_parents_that_it_began_with(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "ratio")
    run.checkpoints.mkdir(parents=True)
    run.check_parents({"denominator": "den 1"})
    run.identity.write_text(json.dumps(BEGAN | {"parents": {"denominator": "den 1"}}))
    # Nothing is lost where there is no checkpoint.
    run.check_parents({"denominator": "den 2"})
    (run.checkpoints / "last-000000001.ckpt").touch()
    run.check_parents({"denominator": "den 1"})
    with pytest.raises(RefusedError, match=r"began with other parents: .*den 1.*den 2.*--again"):
        run.check_parents({"denominator": "den 2"})


def test_a_parent_has_seen_the_same_data_wherever_they_lie(parent: RunFolder) -> None:
    check_parent_data(parent.path, {"/elsewhere/y": "2", "/elsewhere/x": "1"})
    for data in ({"/d/x": "1"}, {"/d/x": "1", "/d/y": "3"}):
        with pytest.raises(RefusedError, match="was trained on other data"):
            check_parent_data(parent.path, data)


def test_a_parent_that_began_on_other_data_has_seen_them(parent: RunFolder) -> None:
    data = {"/d/x": "1", "/d/y": "2"}
    events = [{"samples": [{"files": ["9"]}]}, {"samples": [{"files": ["1", "2"]}]}]
    parent.identity.write_text(json.dumps(BEGAN | {"events": events[1:]}))
    check_parent_data(parent.path, data)
    parent.identity.write_text(json.dumps(BEGAN | {"events": events}))
    with pytest.raises(RefusedError, match="was trained on other data"):
        check_parent_data(parent.path, data)


def test_what_a_checkpoint_did_not_say_is_no_other_data(parent: RunFolder) -> None:
    events = [None, {"samples": [{"files": ["1", "2"]}]}]
    parent.identity.write_text(json.dumps(BEGAN | {"events": events}))
    check_parent_data(parent.path, {"/d/x": "1", "/d/y": "2"})
