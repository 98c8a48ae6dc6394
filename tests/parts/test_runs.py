"""A run's folder: one process at a time, the code and data that began it, and what it keeps."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parts.machinery.code import Code, digest_of
from parts.machinery.exits import NotFiniteError, RefusedError, StoppedError
from parts.machinery.locks import is_alive
from parts.machinery.places import digest
from parts.machinery.records import Record
from parts.machinery.runs import RunFolder, check_space

PARTS = Path(__file__).parents[2] / "templates"
HOLDER = """
import sys
from pathlib import Path
from parts.machinery.runs import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""
IDENTITY: dict[str, Any] = {"script": "a" * 64, "data": {"/d/x": "1", "/d/y": "2"}, "seed": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return RunFolder(tmp_path / "run")


def hold(folder: RunFolder, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", HOLDER, str(folder.path)],
        env={**os.environ, "PYTHONPATH": str(PARTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def holder(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    with hold(folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def leave_lock(folder: RunFolder, **changed: Any) -> None:
    """Lock the run in the name of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    lock = {"host": socket.gethostname(), "pid": process.pid, "job": None, "since": "then"}
    folder.checkpoints.mkdir(parents=True)
    folder.lock.write_text(json.dumps(lock | changed))


def assert_refused(folder: RunFolder, *told: str) -> None:
    with pytest.raises(RefusedError) as refusal, folder.locked():
        pass
    assert all(text in str(refusal.value) for text in told)


def assert_free(folder: RunFolder) -> None:
    with folder.locked():
        assert json.loads(folder.lock.read_text())["pid"] == os.getpid()
    assert not folder.lock.exists()


def test_a_second_process_is_refused_and_told_the_holder(
    folder: RunFolder, holder: subprocess.Popen[str]
) -> None:
    told = json.loads(folder.lock.read_text())
    assert_refused(folder, str(holder.pid), socket.gethostname(), told["since"], str(folder.lock))
    assert folder.lock.exists()
    holder.communicate("")
    assert_free(folder)


def test_a_killed_holder_gives_way(folder: RunFolder, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert folder.lock.exists()
    assert_free(folder)


def test_a_second_start_within_one_job_is_refused_while_the_first_lives(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with hold(folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert_refused(folder, str(process.pid))
        process.communicate("")


def test_the_lock_goes_when_the_run_fails(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="boom"), folder.locked():
        raise ValueError("boom")
    assert not folder.lock.exists()


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (StoppedError(75), 75, "start again to go on"),
        (RefusedError("no data"), 1, "refused: no data"),
        (NotFiniteError("loss nan at step 3"), 3, "loss nan at step 3"),
        (OSError(errno.ENOSPC, "no space left for x"), 4, "no space left for x"),
        (ValueError("boom"), 70, "boom"),
    ],
)
def test_a_folder_tells_how_its_last_start_ended(
    folder: RunFolder, error: Exception, status: int, reason: str
) -> None:
    with pytest.raises(type(error)), folder.locked():
        raise error
    told = json.loads(folder.ended.read_text())
    assert told["status"] == status
    assert reason in told["reason"]
    assert abs(told["time"] - time.time()) < 60
    assert_free(folder)


def test_a_held_lock_beats_until_it_is_released(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parts.machinery.locks.BEAT", 0.01)
    with folder.locked():
        for _ in range(2):
            os.utime(folder.lock, (0, 0))
            deadline = time.monotonic() + 60
            while folder.lock.stat().st_mtime < 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert time.time() - folder.lock.stat().st_mtime < 60
    assert not folder.lock.exists()


def test_a_job_that_slurm_has_started_again_takes_its_own_lock(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the holder's number is that of a process that lives, as it may be in a container."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    leave_lock(folder, job="17", restarts="0", pid=os.getppid())
    assert_refused(folder, str(os.getppid()))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert_free(folder)


@pytest.mark.parametrize(
    ("squeue", "free"),
    [
        ("echo RUNNING", False),
        ("true", True),
        ("echo slurm_load_jobs error: Invalid job id specified >&2; exit 1", True),
        ("echo Unable to contact slurm controller >&2; exit 1", False),
    ],
)
def test_another_jobs_lock_is_taken_over_only_if_slurm_says_that_it_ended(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, free: bool
) -> None:
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$3" = --jobs=16 ] || exit 9\n{squeue}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    leave_lock(folder, host="elsewhere", job="16", restarts="0")
    if free:
        assert_free(folder)
    else:
        assert_refused(folder, "elsewhere")


def test_a_run_that_would_fill_the_disk_is_refused(folder: RunFolder) -> None:
    folder.checkpoints.mkdir(parents=True)
    free = shutil.disk_usage(folder.checkpoints).free
    check_space(folder, free // 2)
    with pytest.raises(RefusedError, match=r"needs \d+ MB for checkpoints; \d+ MB are free"):
        check_space(folder, free * 2)


def test_tasks_wait_for_the_first_one(folder: RunFolder) -> None:
    folder.checkpoints.mkdir(parents=True)
    folder.lock.touch()
    waiting = threading.Thread(target=folder.wait_until_released, daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    folder.lock.unlink()
    waiting.join(30)
    assert not waiting.is_alive()


def test_the_lock_of_a_dead_process_is_taken_over(folder: RunFolder) -> None:
    leave_lock(folder)
    assert_free(folder)


def test_the_lock_of_another_machine_is_respected(folder: RunFolder) -> None:
    leave_lock(folder, host="elsewhere")
    assert_refused(folder, "elsewhere")


def test_the_lock_of_this_jobs_last_life_is_taken_over(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    leave_lock(folder, host="elsewhere", job="17")
    assert_free(folder)
    shutil.rmtree(folder.path)
    leave_lock(folder, host="elsewhere", job="18")
    assert_refused(folder, "18")


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b'{"host": ', b"[]", b"7", b'{"pid": "x"}'])
def test_a_damaged_lock_is_respected_as_long_as_it_beats(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("parts.machinery.locks.BEAT", 0.1)
    leave_lock(folder)
    folder.lock.write_bytes(content)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.02):
            os.utime(folder.lock)

    beating = threading.Thread(target=beat)
    beating.start()
    assert_refused(folder, str(folder.lock))
    over.set()
    beating.join()
    if content == b'{"pid": "x"}':
        # It comes from another machine, as far as it says.
        assert_refused(folder, str(folder.lock))
    else:
        assert_free(folder)


def test_what_killed_processes_left_of_locks_is_removed(folder: RunFolder) -> None:
    leave_lock(folder)
    dead = folder.path / "lock.here.4711"
    folder.lock.rename(dead)
    with folder.locked():
        assert not dead.exists()
    alive = folder.path / "lock.here.4712"
    alive.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getppid(), "job": None}))
    assert_free(folder)
    assert alive.exists()


def test_what_a_killed_process_was_writing_is_removed(folder: RunFolder) -> None:
    leave_lock(folder)
    orphans = [folder.checkpoints / ".last-000000012.ckpt.4711", folder.path / ".run.json.4711"]
    kept = [folder.checkpoints / "last-000000008.ckpt", folder.path / ".notes"]
    for path in (*orphans, *kept):
        path.write_text("x")
    with folder.locked():
        assert not any(path.exists() for path in orphans)
        assert all(path.exists() for path in kept)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs another user")
def test_a_folder_that_cannot_be_written_to_is_refused(folder: RunFolder) -> None:
    folder.checkpoints.mkdir(parents=True)
    folder.path.chmod(0o555)
    for path in (folder.path.parent, *folder.path.parents):
        path.chmod(path.stat().st_mode | 0o011)
    with hold(folder, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") as process:
        _, errors = process.communicate("")
    assert process.returncode == 1
    assert f"RefusedError: cannot write to {folder.path}: Permission denied" in errors


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(RunFolder(tmp_path / "file" / "run"), "cannot write to", "Not a directory")


@pytest.fixture
def begun(folder: RunFolder) -> RunFolder:
    folder.checkpoints.mkdir(parents=True)
    folder.identify(IDENTITY, accept_data=False)
    (folder.checkpoints / "last-000000001.ckpt").touch()
    return folder


def test_the_same_script_and_data_go_on(begun: RunFolder) -> None:
    begun.identify({**IDENTITY, "seed": 2}, accept_data=False)
    assert json.loads(begun.identity.read_text())["seed"] == 2


def code(folder: Path, identity: str = "a" * 64, edited: tuple[str, ...] = ()) -> Code:
    """Return the code that is a script and a part below a folder."""
    names = ("train_signal.py", "parts/inputs.py")
    files = {name: (folder / name).read_bytes() for name in names}
    digests = {name: digest(folder / name) for name in names}
    return Code(folder / names[0], identity, digest_of(digests), edited, files)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a script and a part."""
    folder = tmp_path / "source"
    (folder / "parts").mkdir(parents=True)
    (folder / "train_signal.py").write_text("first")
    (folder / "parts" / "inputs.py").write_text("a part")
    return folder


def test_other_code_is_refused_by_both_digests(begun: RunFolder, source: Path) -> None:
    begun.check_code(code(source))
    with pytest.raises(RefusedError, match="began with aaaaaaaaaaaa, now bbbbbbbbbbbb") as refusal:
        begun.check_code(code(source, "b" * 64))
    assert "edited" not in str(refusal.value)


def test_other_code_is_refused_by_the_files_that_differ(begun: RunFolder, source: Path) -> None:
    first = code(source)
    kept = first.keep(begun.path.parent)
    said = IDENTITY | {"code": kept.relative_to(begun.path.parent).as_posix()}
    begun.identify(said, accept_data=False)
    (source / "parts" / "inputs.py").write_text("another part")
    edited = code(source, "b" * 64, ("parts/inputs.py",))
    with pytest.raises(RefusedError) as refusal:
        begun.check_code(edited)
    assert "another version of this script: parts/inputs.py (began" in str(refusal.value)
    assert "; edited by hand: parts/inputs.py;" in str(refusal.value)


def test_a_run_that_does_not_say_what_code_it_began_with_names_no_files(
    begun: RunFolder, source: Path
) -> None:
    """Not those of other runs, whose code lies there."""
    code(source).keep(begun.path.parent)
    with pytest.raises(RefusedError, match=r"another version of this script \(began"):
        begun.check_code(code(source, "b" * 64))


def test_a_run_that_was_not_begun_takes_any_code_and_is_nothing(
    folder: RunFolder, source: Path
) -> None:
    folder.check_code(code(source, "b" * 64))
    assert folder.identified() == {}
    with pytest.raises(RefusedError, match="has not begun: there is nothing to send"):
        folder.begun()


def test_a_run_is_what_it_was_begun_as(begun: RunFolder) -> None:
    assert begun.identified() == IDENTITY
    with pytest.raises(RefusedError, match="has not begun"):
        begun.begun()
    begun.record.touch()
    assert begun.begun() == IDENTITY


@pytest.mark.parametrize(
    ("data", "changed"),
    [
        ({"/d/x": "1", "/d/y": "3"}, "/d/y"),
        ({"/d/x": "1", "/d/y": "2", "/d/z": "3"}, "/d/z"),
        ({"/d/x": "1"}, "/d/y"),
    ],
)
def test_other_data_is_refused_unless_accepted(
    begun: RunFolder, data: dict[str, str], changed: str
) -> None:
    before = begun.identity.read_text()
    with pytest.raises(RefusedError, match=f"began: .*{changed}.*--accept-data"):
        begun.identify({**IDENTITY, "data": data}, accept_data=False)
    assert begun.identity.read_text() == before
    begun.identify({**IDENTITY, "data": data}, accept_data=True)
    assert json.loads(begun.identity.read_text())["data"] == data
    begun.identify({**IDENTITY, "data": data}, accept_data=False)


def test_data_are_the_same_wherever_they_lie_if_they_are_the_same_samples(
    begun: RunFolder,
) -> None:
    moved = {"data": {"/new/x": "1", "/new/y": "2"}, "samples": {"a": ["1"], "b": ["2"]}}
    begun.identify(IDENTITY | moved, accept_data=False)
    begun.identify(IDENTITY | moved | {"data": IDENTITY["data"]}, accept_data=False)
    for samples in ({"a": ["2"], "b": ["1"]}, {"a": ["1", "2"], "b": []}):
        with pytest.raises(RefusedError, match="data changed since the run began"):
            begun.identify(IDENTITY | moved | {"samples": samples}, accept_data=False)


DAMAGED = (b"", b'{"script": ', b"[]", b"null", b"7", b'"text"', b"\xff\x00", b"{}", b"[" * 10**5)


@pytest.mark.parametrize("content", [None, *DAMAGED])
def test_what_a_run_is_may_be_lost_once(
    begun: RunFolder, source: Path, content: bytes | None
) -> None:
    def damage(path: Path) -> None:
        path.unlink() if content is None else path.write_bytes(content)

    damage(begun.identity)
    assert begun.identified() == IDENTITY
    begun.check_code(code(source))
    with pytest.raises(RefusedError, match="another version of this script"):
        begun.check_code(code(source, "b" * 64))
    begun.identify(IDENTITY, accept_data=False)
    damage(begun.checkpoints / "run.json")
    assert begun.identified() == IDENTITY
    damage(begun.identity)
    with pytest.raises(RefusedError, match=f"is lost, .* remove {begun.path}, or use --again"):
        begun.check_code(code(source))
    # Without a checkpoint, there is nothing that it could have begun.
    (begun.checkpoints / "last-000000001.ckpt").unlink()
    assert begun.identified() == {}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_mark_of_the_end_is_made_anew(begun: RunFolder, content: bytes) -> None:
    begun.done.write_text(json.dumps({"script": "a", "checkpoint": "b", "sha256": "c"}))
    assert begun.is_done
    begun.done.write_bytes(content)
    assert not begun.is_done


def test_a_folder_in_the_place_of_a_note_is_refused(folder: RunFolder) -> None:
    folder.identity.mkdir(parents=True)
    with pytest.raises(RefusedError, match=r"run\.json: Is a directory; move it away"):
        folder.identified()


def test_a_run_whose_checkpoints_are_all_gone_does_not_begin_anew(folder: RunFolder) -> None:
    folder.checkpoints.mkdir(parents=True)
    record = Record(folder.record)
    record.write(7, 1, train_loss=0.5, val_loss=0.5)
    # It was killed before the first one.
    folder.check_not_lost(record)
    record.write(14, 2, train_loss=0.4)
    with pytest.raises(RefusedError, match=f"tells of 2 epochs: bring them .* {folder.path} to"):
        folder.check_not_lost(record)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"elsewhere"])
def test_the_code_is_named_anew_if_it_was_forgotten_whose_it_is(
    folder: RunFolder, source: Path, content: bytes
) -> None:
    (place,) = kept_by(folder, code(source))
    (place / "run").write_bytes(content)
    folder.record.unlink()
    assert kept_by(folder, code(source)) == [place]
    assert (place / "run").read_text() == folder.path.name


def test_a_run_without_a_checkpoint_takes_other_code_and_other_data(
    begun: RunFolder, source: Path
) -> None:
    for path in begun.checkpoints.iterdir():
        path.unlink()
    begun.check_code(code(source, "b" * 64))
    begun.identify({**IDENTITY, "data": {"/d/z": "1"}}, accept_data=False)


def kept_by(folder: RunFolder, code: Code) -> list[Path]:
    """Have a start of a run keep its code; returns what its record names."""
    folder.path.mkdir(exist_ok=True)
    record = Record(folder.record)
    folder.keep(record, code)
    record.file.close()
    return record.artifacts()


def test_the_code_that_runs_is_kept_as_it_is_beside_the_runs(
    folder: RunFolder, source: Path
) -> None:
    first = code(source)
    places = [folder.path.parent / ".code" / first.digest]
    assert kept_by(folder, first) == places
    # Each start that has other code keeps that, too.
    (source / "train_signal.py").write_text("second")
    second = code(source)
    places.append(folder.path.parent / ".code" / second.digest)
    assert kept_by(folder, second) == kept_by(folder, second) == places
    texts = [(place / "train_signal.py").read_text() for place in places]
    assert texts == ["first", "second"]
    assert all((place / "parts" / "inputs.py").read_text() == "a part" for place in places)
    # A start may have been killed between a copy and its line.
    folder.record.write_text("")
    assert kept_by(folder, second) == places[1:]


def test_the_tracker_gets_code_of_one_run_as_long_as_that_is_there(
    folder: RunFolder, source: Path
) -> None:
    second, third = (RunFolder(folder.path.with_name(name)) for name in ("second", "third"))
    place = folder.path.parent / ".code" / code(source).digest
    assert kept_by(folder, code(source)) == [place]
    assert kept_by(second, code(source)) == []
    shutil.rmtree(folder.path)
    assert kept_by(third, code(source)) == [place]
    assert kept_by(second, code(source)) == []


def test_runs_that_begin_at_once_with_the_same_code_keep_all_of_it(
    folder: RunFolder, source: Path
) -> None:
    runs = [RunFolder(folder.path.with_name(f"run-{i}")) for i in range(4)]
    with ThreadPoolExecutor(max_workers=4) as starts:
        named = list(starts.map(lambda run: kept_by(run, code(source)), runs))
    place = folder.path.parent / ".code" / code(source).digest
    assert any(named)
    assert all(paths in ([], [place]) for paths in named)
    assert code(source).changed_since(place) == []
    assert not list(place.rglob(".*"))


def test_processes_are_known_to_live() -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
