"""Locks: whose lives are told apart, who follows the dead, and that two never hold one at once."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from parts.machinery import locks
from parts.machinery.exits import RefusedError
from parts.machinery.locks import Lock, content_of, is_dead, me

PARTS = Path(__file__).parents[2] / "templates"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locks, "BEAT", 0.1)
    return tmp_path / "lock"


@pytest.fixture
def dead() -> dict[str, Any]:
    """A holder on this machine that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return me() | {"pid": process.pid, "started": "1"}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this machine that lives."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def leave(path: Path, holder: dict[str, Any]) -> None:
    path.write_text(json.dumps(holder))


def assert_free(path: Path) -> None:
    lock = Lock(path)
    lock.take()
    assert content_of(path) == lock.content
    lock.tidy()
    lock.release()
    assert list(path.parent.iterdir()) == []


def assert_held(path: Path) -> None:
    before = content_of(path)
    with pytest.raises(RefusedError):
        Lock(path).take()
    assert content_of(path) == before


def test_a_process_is_not_the_one_that_had_its_number_before(
    path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """As process 1 of a container, or after a reboot, it has the number of the one that died."""
    holder = me() | {"pid": sleeper.pid, "started": locks.started(sleeper.pid)}
    assert is_dead(holder) is False
    leave(path, holder)
    assert_held(path)
    leave(path, holder | {"started": "17"})
    assert_free(path)
    # This process itself holds nothing.
    leave(path, me())
    assert_free(path)
    # As locks were before they said when their holders had started.
    leave(path, {"host": socket.gethostname(), "pid": os.getpid(), "job": None})
    assert_free(path)


def test_a_process_that_has_ended_and_was_not_asked_how_is_dead(path: Path) -> None:
    """Containers have nobody who asks."""
    process = subprocess.Popen(["sleep", "60"])
    holder = me() | {"pid": process.pid, "started": locks.started(process.pid)}
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    leave(path, holder)
    assert_free(path)
    process.wait()


@pytest.mark.parametrize(
    "other",
    [{"namespace": "pid:[1]"}, {"namespace": "pid:[1]", "host": "container"}, {"boot": "before"}],
)
def test_where_numbers_say_nothing_a_holder_lives_as_long_as_it_beats(
    path: Path, dead: dict[str, Any], other: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    leave(path, dead | other)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.02):
            os.utime(path)

    beating = threading.Thread(target=beat)
    beating.start()
    assert_held(path)
    over.set()
    beating.join()
    assert_free(path)
    assert "waiting 0 s for a sign of life" in capsys.readouterr().out


def test_the_silence_of_another_machine_says_nothing(path: Path, dead: dict[str, Any]) -> None:
    leave(path, dead | {"host": "elsewhere", "boot": "another"})
    assert_held(path)


def test_a_lock_beats_until_it_is_released(path: Path) -> None:
    lock = Lock(path)
    lock.take()
    for _ in range(2):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 60
        while path.stat().st_mtime < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 60
    lock.release()
    assert not path.exists()


def test_who_was_taken_for_dead_gives_nothing_back_and_writes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import sys, time; from pathlib import Path; from parts.machinery import locks;"
        "locks.BEAT = 0.1; lock = locks.Lock(Path(sys.argv[1])); lock.take();"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(PARTS)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        other = tmp_path / "other"
        other.write_text(json.dumps(me()))
        other.replace(path)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{path} has been taken over" in said
    mine = Lock(path)
    mine.content = b'{"id": "mine"}'
    mine.release()
    assert path.exists()


@contextmanager
def killed_before_the_last_step() -> Iterator[None]:
    """Have whoever follows a dead holder die with its claim made."""

    def fail(*_: Path) -> Path:
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        yield


def test_who_follows_a_dead_holder_and_is_killed_is_followed(
    path: Path, dead: dict[str, Any]
) -> None:
    leave(path, dead)
    before = content_of(path)
    lock = Lock(path)
    with killed_before_the_last_step(), pytest.raises(InterruptedError):
        lock.take()
    assert content_of(path) == before
    (claim,) = path.parent.glob("lock.*")
    # It holds nothing any more, so it counts as dead.
    assert content_of(claim) == lock.content
    with killed_before_the_last_step(), pytest.raises(InterruptedError):
        Lock(path).take()
    assert len(list(path.parent.glob("lock.*"))) == 2
    assert_free(path)


def test_a_claim_of_one_who_lives_is_respected(path: Path, dead: dict[str, Any]) -> None:
    leave(path, dead)
    lock = Lock(path)
    with killed_before_the_last_step(), pytest.raises(InterruptedError):
        lock.take()
    locks.HELD.add(json.loads(lock.content)["id"])
    assert_held(path)
    locks.HELD.clear()


def test_who_comes_late_follows_nobody(
    path: Path, dead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has seen the dead holder; another one has followed, and lives, before it makes a claim."""
    leave(path, dead)
    other = Lock(path)
    real = locks.is_dead

    def slowly(holder: dict[str, Any]) -> bool | None:
        verdict = real(holder)
        if holder["id"] == dead["id"] and not other.content:
            other.take()
        return verdict

    monkeypatch.setattr(locks, "is_dead", slowly)
    with pytest.raises(RefusedError):
        Lock(path).take()
    assert content_of(path) == other.content
    assert [each.name for each in path.parent.iterdir()] == ["lock"]
    other.release()


STARTER = """
import os, random, sys, time
from pathlib import Path
from parts.machinery import locks
from parts.machinery.exits import RefusedError

def slow(call):
    def slowly(*arguments, **more):
        time.sleep(random.uniform(0.002, 0.010))
        return call(*arguments, **more)
    return slowly

create, remove = os.open, os.unlink
for name in ("open", "link", "rename", "replace", "unlink", "stat", "scandir", "fsync"):
    setattr(os, name, slow(getattr(os, name)))
path, critical = Path(sys.argv[1]), sys.argv[1] + "-critical"
random.seed(int(sys.argv[2]))
for _ in range(3):
    lock = locks.Lock(path)
    try:
        lock.take()
    except (RefusedError, FileNotFoundError):
        time.sleep(random.uniform(0, 0.05))
        continue
    os.close(create(critical, os.O_CREAT | os.O_EXCL))
    time.sleep(random.uniform(0, 0.1))
    remove(critical)
    print("held", flush=True)
    if random.random() < 0.6:
        os._exit(0)
    lock.tidy()
    lock.release()
"""


def test_of_eight_that_start_at_once_on_a_slow_disk_one_holds_the_lock(
    path: Path, dead: dict[str, Any]
) -> None:
    """Holders die or give it back; a file that only one can make shows whether two held it."""
    held = 0
    for turn in range(3):
        leave(path, dead | {"id": str(turn)})
        starters = [
            subprocess.Popen(
                [sys.executable, "-c", STARTER, str(path), str(8 * turn + number)],
                env={**os.environ, "PYTHONPATH": str(PARTS)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(8)
        ]
        for starter in starters:
            said, error = starter.communicate(timeout=120)
            assert (starter.returncode, error) == (0, "")
            held += said.count("held")
        path.unlink(missing_ok=True)
    assert held >= 3
