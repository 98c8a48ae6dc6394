"""Files are found as they are called; what cannot be one is said, and never waited for."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.files import check_fingerprints, find, find_all, fingerprints
from parts.machinery.exits import RefusedError
from parts.machinery.places import digest
from parts.readers import quoted

NOBODY = 65534
BASE = Path("/nowhere")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def said(pattern: str, base: Path) -> str:
    """Return the refusal of a pattern, which is one line of ASCII."""
    with pytest.raises(RefusedError) as refusal:
        find(pattern, base)
    text = str(refusal.value)
    assert text.isascii()
    assert text.isprintable()
    return text


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's are for their owner only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def nobody(open_folder: Path) -> Iterator[Path]:
    """Let this process be one that is not above all permissions."""
    if os.getuid() != 0:
        yield open_folder
        return
    os.setresuid(NOBODY, NOBODY, 0)
    yield open_folder
    os.setresuid(0, 0, 0)


def test_globs_find_all_files_in_order_and_each_once(tmp_path: Path) -> None:
    names = ("b.parquet", "a.parquet", "c.csv", "sub/d.parquet", "sub/deep/e.parquet")
    touch(*(tmp_path / name for name in names))
    patterns = ["*.parquet", "a.parquet", "**/d.parquet", "c.csv", "s?b/*/e.parquet"]
    found, problems = find_all(patterns, tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "a.parquet", "b.parquet", "sub/d.parquet", "c.csv", "sub/deep/e.parquet",
    ]  # fmt: skip
    assert not problems


def test_a_file_is_found_whatever_its_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "run[1] *?"
    path = folder / "a[b].parquet"
    touch(path)
    assert find("a[b].parquet", folder) == [path]
    assert find("../run[1] *?/a[b].parquet", folder)[0].samefile(path)


def test_a_name_of_several_lines_is_found_and_said_on_one(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines \u00e9.csv"
    touch(path)
    assert find("two*.csv", tmp_path) == find(path.name, tmp_path) == [path]
    path.unlink()
    assert said(path.name, tmp_path) == f"there is no file {quoted(path)}"
    assert r"two\nlines \xe9.csv" in said(path.name, tmp_path)


def test_a_folder_is_one_file_with_or_without_a_slash(tmp_path: Path) -> None:
    touch(tmp_path / "events" / "year=2018" / "a.parquet")
    for pattern in ("events", "events/", "eve*", "eve*/"):
        assert find(pattern, tmp_path) == [tmp_path / "events"]


def test_a_place_may_begin_with_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.csv")
    monkeypatch.setenv("TOY_DATA", str(tmp_path))
    assert find("${TOY_DATA}/*.csv", BASE) == [tmp_path / "a.csv"]
    monkeypatch.delenv("TOY_DATA")
    assert "TOY_DATA is not set" in said("${TOY_DATA}/*.csv", BASE)


def test_what_is_not_there_is_named_with_all_else_that_is_not(tmp_path: Path) -> None:
    touch(tmp_path / "a.csv")
    found, problems = find_all(["absent.csv", "a.csv", "no*.csv"], tmp_path)
    assert found == [tmp_path / "a.csv"]
    assert problems == [
        (0, f"there is no file {quoted(tmp_path / 'absent.csv')}"),
        (2, f"there is no file {quoted(tmp_path / 'no*.csv')}"),
    ]


@pytest.mark.parametrize("pattern", ["loop", "loop/a.csv", "loop/*.csv"])
def test_links_that_lead_to_each_other_lead_nowhere(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "pool")
    (tmp_path / "pool").symlink_to(tmp_path / "loop")
    assert "loop" in said(pattern, tmp_path)


def test_a_link_into_its_own_folder_does_not_repeat_files(tmp_path: Path) -> None:
    touch(tmp_path / "sub" / "a.csv")
    (tmp_path / "sub" / "again").symlink_to(tmp_path / "sub")
    assert find("**/*.csv", tmp_path) == [tmp_path / "sub" / "a.csv"]


@pytest.mark.parametrize("pattern", ["pipe.csv", "*.csv"])
def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path, pattern: str) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert said(pattern, tmp_path) == f"{quoted(tmp_path / 'pipe.csv')} is no file"


def test_a_broken_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone")
    assert said("a.csv", tmp_path) == f"there is no file {quoted(tmp_path / 'gone')}"
    assert said("*.csv", tmp_path) == f"{quoted(tmp_path / 'a.csv')} is no file"


def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path) -> None:
    assert "File name too long" in said("a" * 300 + ".csv", tmp_path)


@pytest.mark.parametrize("pattern", ["closed/a.csv", "closed/*.csv", "closed/sub/*.csv"])
def test_a_folder_without_permission_is_named_as_such(
    open_folder: Path, pattern: str, request: pytest.FixtureRequest
) -> None:
    """Not as if nothing were there."""
    touch(open_folder / "closed" / "a.csv", open_folder / "closed" / "sub" / "b.csv")
    (open_folder / "closed").chmod(0)
    request.getfixturevalue("nobody")
    folder = quoted(open_folder / "closed")
    assert said(pattern, open_folder) == f"no permission to look into the folder {folder}"


def test_a_folder_that_cannot_be_listed_can_be_gone_through(
    open_folder: Path, request: pytest.FixtureRequest
) -> None:
    """As homes of others are."""
    path = open_folder / "home" / "data" / "a.csv"
    touch(path)
    (open_folder / "home").chmod(0o711)
    (open_folder / "home" / "data").chmod(0o755)
    request.getfixturevalue("nobody")
    assert find("home/data/a.csv", open_folder) == find("home/data/*.csv", open_folder) == [path]
    folder = quoted(open_folder / "home")
    assert said("home/*/a.csv", open_folder) == f"no permission to look into the folder {folder}"


@pytest.mark.parametrize("name", ["a.csv", "folder"])
def test_what_may_not_be_read_is_refused(
    open_folder: Path, name: str, request: pytest.FixtureRequest
) -> None:
    touch(open_folder / "a.csv", open_folder / "folder" / "b.parquet")
    assert find(name, open_folder)
    (open_folder / name).chmod(0)
    request.getfixturevalue("nobody")
    assert said(name, open_folder) == f"no permission to read {quoted(open_folder / name)}"
    assert said(f"{name[:-1]}?", open_folder) == said(name, open_folder)


def test_digests_are_those_of_the_bytes_also_of_files_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    touch(tmp_path / "a.csv", folder / "year=2018" / "b.parquet", folder / "c.parquet")
    found = fingerprints({"s": [tmp_path / "a.csv"], "t": [folder, tmp_path / "a.csv"]})
    paths = [tmp_path / "a.csv", folder / "c.parquet", folder / "year=2018" / "b.parquet"]
    assert found == {str(path): digest(path) for path in paths}


def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(RefusedError, match=f"cannot read {quoted(path)}: No such file"):
        fingerprints({"s": [path]})


def test_data_that_the_spec_pins_must_be_that_data(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    touch(path)
    found = fingerprints({"s": [path]})
    sha = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert found == {str(path): sha.stdout.split()[0]}
    check_fingerprints(found, {str(path): found[str(path)]}, BASE)
    check_fingerprints(found, {"a.csv": found[str(path)]}, tmp_path)
    changed = f"{path} has changed: {found[str(path)]}, but .*{'0' * 64}"
    with pytest.raises(RefusedError, match=changed):
        check_fingerprints(found, {str(path): "0" * 64}, BASE)
    with pytest.raises(RefusedError, match="not read at all"):
        check_fingerprints(found, {"/other": "0" * 64}, BASE)


def test_what_lies_in_a_folder_that_is_read_is_not_read_twice(tmp_path: Path) -> None:
    folder = tmp_path / "all.parquet"
    folder.mkdir()
    (folder / "part.parquet").touch()
    assert find_all(["**/*.parquet", "all.parquet/part.parquet"], tmp_path) == ([folder], [])
