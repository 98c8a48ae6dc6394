"""Paths with variables, and files that a crash or a full disk leaves old or new, never half."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.places import digest, expand, write_atomically
from parts.machinery.records import Record

PARTS = Path(__file__).parents[2] / "templates"


def test_a_path_may_use_variables_and_start_at_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_2", "/data")
    base = Path("/spec")
    assert expand("${DATA_2}/a.parquet", base) == Path("/data/a.parquet")
    assert expand("data/a.parquet", base) == Path("/spec/data/a.parquet")
    assert expand("x/${DATA_2}", base) == Path("/spec/x/data")
    assert expand("/abs", base) == Path("/abs")


def test_a_relative_base_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert expand("a", Path("specs")) == tmp_path / "specs" / "a"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_refused(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("DATA", value)
    with pytest.raises(RefusedError, match=r"DATA is not set; \$\{DATA\}/a needs it"):
        expand("${DATA}/a", Path("/spec"))


def test_the_sites_variables_fall_back_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR", raising=False)
    monkeypatch.setenv("ANALYSIS_ML_RESULTS_DIR", "/site")
    assert expand("${ANALYSIS_ML_LOGS_DIR}/a", Path("/spec")) == tmp_path / "logs" / "a"
    assert f"ANALYSIS_ML_LOGS_DIR is not set, using {tmp_path / 'logs'}" in capsys.readouterr().err
    assert expand("${ANALYSIS_ML_RESULTS_DIR}/a", Path("/spec")) == Path("/site/a")
    assert not capsys.readouterr().err


def test_values_of_variables_are_not_expanded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/a/${HOME}/\\1")
    assert expand("${DATA}", Path("/spec")) == Path("/a/${HOME}/\\1")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"old", b"\x00new" * 1000, b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
        assert digest(path) == hashlib.sha256(content).hexdigest()
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
from parts.machinery.places import write_atomically
path, n = Path(sys.argv[1]), 0
while True:
    n += 1
    write_atomically(path, bytes([n % 256]) * 300_000)
    print(n, flush=True)
"""


def test_a_kill_never_leaves_a_torn_file(tmp_path: Path) -> None:
    """Killed after so many files, while one of the next is written."""
    path = tmp_path / "file"
    for count in (1, 2, 5, 9, 20, 33):
        command = [sys.executable, "-c", WRITER, str(path)]
        environment = {**os.environ, "PYTHONPATH": str(PARTS)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(count):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 300_000
        assert content == content[:1] * len(content)
        assert content[0] >= count


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is flushed to the disk, and what gets its name, in turn."""
    found: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        found.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def rename(old: Path, new: Path) -> None:
        found.append(("replace", Path(new)))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    return found


def test_content_and_name_are_on_the_disk_in_this_order(
    tmp_path: Path, calls: list[tuple[str, Path]]
) -> None:
    """Without either, a crash of the machine may leave an empty file, or none."""
    path = tmp_path / "last.ckpt"
    write_atomically(path, b"new")
    (first, temporary), *rest = calls
    assert first == "fsync"
    assert temporary.parent == tmp_path
    assert temporary != path
    assert rest == [("replace", path), ("fsync", tmp_path)]


def test_the_record_is_on_the_disk_before_a_checkpoint_counts_on_it(
    tmp_path: Path, calls: list[tuple[str, Path]]
) -> None:
    record = Record(tmp_path / "metrics.jsonl")
    record.write(1, 1, loss=0.5)
    assert calls == []
    assert record.size() == record.path.stat().st_size
    assert calls == [("fsync", record.path)]


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_behind(small_disk: Path) -> None:
    path = small_disk / "last.ckpt"
    write_atomically(path, b"old")
    with pytest.raises(OSError, match=r"no space left for .*last.ckpt: 6000000 bytes needed"):
        write_atomically(path, b"n" * 6_000_000)
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]
    write_atomically(path, b"new")


def test_a_file_size_limit_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_atomically(path, b"old")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, b"n" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", b"x")
