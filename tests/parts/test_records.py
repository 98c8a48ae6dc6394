"""The record: JSON that every reader takes, whole lines from all threads, and going back."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.records import History, Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "metrics.jsonl")


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def lines(record: Record) -> list[dict[str, Any]]:
    text = record.path.read_text()
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_what_is_not_finite_is_null(record: Record) -> None:
    record.write(3, 1, a=math.nan, b=math.inf, c=-math.inf, d=0.5, artifact="x.png")
    (line,) = lines(record)
    assert {k: line[k] for k in "abcd"} == {"a": None, "b": None, "c": None, "d": 0.5}
    assert (line["step"], line["epoch"], line["artifact"]) == (3, 1, "x.png")
    assert line["time"] > 0


def test_the_record_is_ascii_whatever_a_file_is_called(record: Record) -> None:
    record.write(1, 1, artifact="/plots/\u00fc\u202e.png")
    assert record.path.read_bytes().isascii()
    assert lines(record)[0]["artifact"] == "/plots/\u00fc\u202e.png"


def test_a_line_can_be_read_as_soon_as_it_is_written(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    assert len(lines(record)) == 1
    assert record.size() == record.path.stat().st_size


def test_a_later_start_goes_on_at_the_end(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    later = Record(record.path)
    later.write(2, 1, loss=0.25)
    assert [line["step"] for line in lines(record)] == [1, 2]
    assert later.size() == record.path.stat().st_size


def test_going_back_drops_later_lines_and_goes_on_behind_the_earlier(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    size = record.size()
    record.write(2, 1, loss=0.4)
    record.write(3, 1, loss=0.3)
    later = Record(record.path)
    later.cut(size)
    assert later.size() == size
    later.write(2, 1, loss=0.45)
    assert later.size() == later.path.stat().st_size
    assert [(e["step"], e["loss"]) for e in lines(later)] == [(1, 0.5), (2, 0.45)]


def test_going_back_to_more_than_there_is_changes_nothing(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    before = record.path.read_bytes()
    record.cut(10_000)
    assert record.path.read_bytes() == before


def test_a_kill_while_the_run_goes_back_loses_nothing_that_is_kept(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.write(0, 0, artifact="kept.py")
    before = record.path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            record.cut(0, kept=lambda _: True)
    assert record.path.read_bytes() == before
    record.cut(0, kept=lambda _: True)
    record.write(1, 1, loss=0.5)
    assert [e["step"] for e in lines(record)] == [0, 1]


def test_the_history_is_of_metrics_by_epoch(record: Record) -> None:
    record.write(5, 1, train_loss=0.5, val_auc=math.nan)
    record.write(5, 1, artifact="x.png")
    record.write(10, 2, train_loss=0.4, val_auc=0.9)
    size = record.size()
    record.write(15, 3, train_loss=0.3)
    known = {"train_loss": [(1, 0.5), (2, 0.4)], "val_auc": [(2, 0.9)]}
    # Whatever comes later.
    history = History(record.path, lambda name: name in ("train_loss", "val_auc"))
    assert history.until(size) == known
    later = known | {"train_loss": [(1, 0.5), (2, 0.4), (3, 0.3)]}
    assert history.until(record.size()) == later
    assert history.until(record.size()) == later
    # And what was known before.
    assert history.until(size) == known
    assert History(record.path, "val_auc".__eq__).until(size) == {"val_auc": [(2, 0.9)]}


@pytest.mark.parametrize(
    "damage",
    [b"\n", b'{"step": 2', b"[]\n", b"7\n", b"\xff\x00\n", b'{"step": "x"}\n', b"[" * 10**5 + b"\n",
     b'{"step": 1, "epoch": 1, "time": 1, "artifact": 5}\n'],
)  # fmt: skip
def test_damaged_lines_are_said_and_left_out(
    record: Record, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    record.write(1, 1, train_loss=0.5)
    with record.path.open("ab") as file:
        file.write(damage)
    later = Record(record.path)
    assert f"{record.path} has 1 damaged lines; what they" in capsys.readouterr().out
    later.write(2, 2, train_loss=0.4)
    later.write(2, 2, artifact="x.png")
    history = History(later.path, lambda name: name == "train_loss")
    assert history.until(later.size()) == {"train_loss": [(1, 0.5), (2, 0.4)]}
    assert later.artifacts() == [record.path.with_name("x.png")]
    assert later.epochs() == 2


def test_a_record_that_was_deleted_is_said_to_be_lost(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    record.write(1, 1, loss=0.5)
    size = record.size()
    record.path.unlink()
    Record(record.path).cut(size)
    assert "what it recorded before is lost, the training is not" in capsys.readouterr().out


def test_a_record_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"cannot write to .*: Is a directory"):
        Record(tmp_path)


def test_files_are_named_so_that_they_are_found_when_all_was_moved(tmp_path: Path) -> None:
    """Plots may be moved alone: the spec says where they are now."""
    run, plots = tmp_path / "logs" / "toy" / "run", tmp_path / "results" / "run"
    for path in (run / "deploy", plots / "test", run.parent / ".code" / "digest"):
        path.mkdir(parents=True)
    record = Record(run / "metrics.jsonl", plots)
    names = [record.named(p) for p in (plots / "test", run / "deploy", run.parent / ".code/digest")]
    assert names == ["test", "deploy", "../.code/digest"]
    for name in names:
        record.write(1, 1, artifact=name)
    (tmp_path / "new").mkdir()
    (tmp_path / "logs").rename(tmp_path / "new" / "logs")
    (tmp_path / "results").rename(tmp_path / "plots")
    moved = tmp_path / "new" / "logs" / "toy"
    later = Record(moved / "run" / "metrics.jsonl", tmp_path / "plots" / "run")
    assert later.artifacts() == [
        tmp_path / "plots" / "run" / "test", moved / "run" / "deploy", moved / ".code" / "digest",
    ]  # fmt: skip


def test_ranks_without_a_record_write_into_nothing() -> None:
    nothing = Record(Path("/dev/null"))
    nothing.write(1, 1, loss=0.5)
    nothing.cut(0)
    assert nothing.size() == 0


def test_entries_that_are_kept_stay_when_the_run_goes_back(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    size = record.size()
    record.write(2, 2, loss=0.4)
    record.write_all(1, 1, [{"artifact": "a.png"}, {"artifact": "b.png"}])
    record.cut(size, kept=lambda entry: entry.get("artifact") == "b.png")
    assert [(e["step"], e.get("artifact")) for e in lines(record)] == [(1, None), (1, "b.png")]
    assert record.artifacts() == [record.path.with_name("b.png")]


def test_a_line_that_a_crash_has_torn_is_dropped(record: Record) -> None:
    record.write(1, 1, loss=0.5)
    size = record.size()
    record.file.write('{"step": 2, "artifact": ')
    record.file.flush()
    record.cut(size, kept=lambda _: True)
    assert [e["step"] for e in lines(record)] == [1]
