"""A cache of events is made once and whole, and goes when nobody has used it for long."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parts.cached_arrays import CONTENTS, contents_of, write_contents
from parts.machinery.caches import UNUSED, provide
from parts.machinery.exits import RefusedError

MAKING = """
import sys, time
from pathlib import Path
from parts.cached_arrays import write_contents
from parts.machinery.caches import provide
def make(folder):
    (folder / "large").write_bytes(b"1234")
    print("begun", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    write_contents(folder, [], [], ["large"])
provide(Path(sys.argv[1]), make)
"""


def write(folder: Path) -> None:
    """Make what counts as a whole cache."""
    (folder / "large").write_bytes(b"1234")
    write_contents(folder, [], [], ["large"])


def never(_: Path) -> None:
    raise AssertionError("it is there")


def start(place: Path, go: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKING, str(place), str(go)],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "templates"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_is_made_once_and_then_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "cache" / "12ab"
    provide(place, write)
    assert "writing events to" in capsys.readouterr().out
    os.utime(place / CONTENTS, (0, 0))
    provide(place, never)
    assert capsys.readouterr().out == f"events: {place}\n"
    assert time.time() - (place / CONTENTS).stat().st_mtime < 60
    assert [path.name for path in place.parent.iterdir()] == ["12ab"]


def test_of_two_processes_one_makes_it_and_the_other_waits(tmp_path: Path) -> None:
    place, go = tmp_path / "12ab", tmp_path / "go"
    one = start(place, go)
    assert one.stdout is not None
    while "begun" not in one.stdout.readline():
        assert one.poll() is None
    other = start(place, go)
    assert other.stdout is not None
    assert "waiting for the events of" in other.stdout.readline()
    assert not place.exists()
    go.touch()
    said = other.communicate()[0]
    assert one.wait() == other.returncode == 0
    assert "begun" not in said
    assert contents_of(place) is not None


def test_what_a_killed_process_has_left_is_made_anew(tmp_path: Path) -> None:
    place, go = tmp_path / "12ab", tmp_path / "go"
    one = start(place, go)
    assert one.stdout is not None
    while "begun" not in one.stdout.readline():
        assert one.poll() is None
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert not place.exists()
    assert len(list(tmp_path.iterdir())) == 2
    # That of another cache goes, too.
    provide(tmp_path / "34cd", write)
    provide(place, write)
    assert {path.name for path in tmp_path.iterdir()} == {"12ab", "34cd"}


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RefusedError("nan in x")]
)
def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(type(error)) as raised:
        provide(tmp_path / "12ab", fail)
    assert raised.value is error
    assert not list(tmp_path.iterdir())


def test_one_that_is_damaged_is_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "12ab"
    provide(place, write)
    (place / "large").write_bytes(b"123")
    capsys.readouterr()
    provide(place, write)
    assert f"{place} is damaged, and is made anew" in capsys.readouterr().out
    assert (place / "large").read_bytes() == b"1234"


def test_only_what_nobody_has_used_for_long_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, used_lately = "0" * 64, "1" * 64
    names = (old, used_lately)
    for name in names:
        provide(tmp_path / name, write)
    # Whatever it holds.
    provide(tmp_path / "mine", write)
    os.utime(tmp_path / "mine" / CONTENTS, (0, 0))
    for name, seconds in zip(names, (UNUSED + 60, UNUSED - 3600), strict=True):
        used = time.time() - seconds
        os.utime(tmp_path / name / CONTENTS, (used, used))
    provide(tmp_path / used_lately, never)
    assert (tmp_path / old).exists()
    provide(tmp_path / "new", write)
    assert {path.name for path in tmp_path.iterdir()} == {used_lately, "new", "mine"}
    assert f"removing {tmp_path / old}: not used for 30 days" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["file", "link", "above"])
def test_what_is_in_the_way_is_named(tmp_path: Path, what: str) -> None:
    place = tmp_path / "cache" / "12ab"
    if what == "above":
        place.parent.write_text("")
    else:
        place.parent.mkdir()
        place.write_text("") if what == "file" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(RefusedError, match="in the way" if what != "above" else "cannot keep"):
        provide(place, never)


def test_one_that_cannot_be_kept_is_not_made_for_ever(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="damaged as soon as it is written"):
        provide(tmp_path / "12ab", lambda folder: None)
