"""Folders that nobody may read, links and files in the place of folders: said in words, by all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seesawc.cli.commands import main, train_signal
from seesawc.diagnostics import CompileError
from seesawc.writing import outputs
from tests.spec_tables import BASE, FOLDER, SPEC

# All that look at what was generated.
COMMANDS = (
    ["build"],
    ["build", "--check"],
    ["build", "--force"],
    ["submit"],
    ["submit", "--test-only"],
    ["status"],
    ["status", "--format", "json"],
    ["rerun"],
)
NAMES = [" ".join(words) for words in COMMANDS]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may enter, with a spec that was built."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.chdir(name)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", str(Path(name) / "logs"))
        SPEC.parent.mkdir()
        SPEC.write_text(BASE, encoding="utf-8")
        assert seesawc("build", str(SPEC)).exit_code == 0
        yield Path(name)


def seesawc(*words: str) -> Result:
    """Run a command, which ends in no traceback."""
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@contextmanager
def closed(path: Path, mode: int = 0) -> Iterator[None]:
    """Be somebody, not root, who may not do all with a path."""
    user = os.geteuid()
    path.chmod(mode)
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(0o755)


@pytest.mark.parametrize("words", COMMANDS, ids=NAMES)
@pytest.mark.parametrize(
    "place", ["", "..", "parts", "parts/machinery", "resolved.toml", "train_signal.py"]
)
def test_what_was_generated_and_cannot_be_read_is_named(words: list[str], place: str) -> None:
    command, *options = words
    with closed(FOLDER / place):
        result = seesawc(command, *options, str(SPEC))
    assert result.exit_code == 1
    said = result.stdout if "json" in words else result.stderr
    where = os.path.normpath(FOLDER / place)
    assert f"cannot read {where}" in said
    assert "Permission denied" in said


def test_a_run_gets_no_other_name_because_the_record_cannot_be_read() -> None:
    record = FOLDER / "resolved.toml"
    with closed(record), pytest.raises(CompileError, match="cannot read"):
        outputs.read_record(FOLDER)
    record.unlink()
    assert outputs.read_record(FOLDER) == {}


@pytest.mark.parametrize("words", [["check"], *COMMANDS], ids=["check", *NAMES])
@pytest.mark.parametrize("place", [SPEC, SPEC.parent])
def test_a_spec_that_cannot_be_read_is_refused_by_every_command(
    words: list[str], place: Path
) -> None:
    command, *options = words
    with closed(place):
        result = seesawc(command, *options, str(SPEC))
        started = CliRunner().invoke(train_signal, [str(SPEC)])
    said = result.stdout if "json" in words else result.stderr
    assert (result.exit_code, "cannot read the spec: Permission denied" in said) == (1, True)
    assert (started.exit_code, started.exception.__class__) == (1, SystemExit)


def test_init_where_nothing_can_be_seen_is_refused_in_words() -> None:
    with closed(SPEC.parent):
        result = seesawc("init", "other")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot use specs/other.toml: Permission denied\n")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("file", "generated is not a folder"),
        ("nowhere", "generated is a link that leads to no folder"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_stands_in_the_place_of_generated_is_named(kind: str, reason: str) -> None:
    shutil.rmtree(FOLDER.parent)
    if kind == "file":
        FOLDER.parent.touch()
    else:
        FOLDER.parent.symlink_to("nowhere" if kind == "nowhere" else FOLDER.parent.name)
    result = seesawc("build", str(SPEC))
    assert result.exit_code == 1
    assert reason in result.stderr
    for words in COMMANDS:
        assert seesawc(*words, str(SPEC)).exit_code in (0, 1)


def test_scripts_behind_a_link_find_the_spec(project: Path) -> None:
    """As where generated/ lies on a disk with more room."""
    with tempfile.TemporaryDirectory() as room:
        shutil.rmtree(FOLDER.parent)
        (Path(room) / "deep" / "er").mkdir(parents=True)
        FOLDER.parent.symlink_to(Path(room) / "deep" / "er")
        assert seesawc("build", str(SPEC)).exit_code == 0
        found = outputs.read_record(FOLDER)["spec_folder"]
        assert (FOLDER.resolve() / found).resolve() == SPEC.parent.resolve()
        assert seesawc("build", "--check", str(SPEC)).exit_code == 0


def test_a_link_beside_the_spec_changes_no_script() -> None:
    """The way is the plain one wherever that leads there."""
    text = (FOLDER / "train_signal.py").read_text()
    FOLDER.parent.rename("real")
    FOLDER.parent.symlink_to("real")
    assert seesawc("build", str(SPEC)).stdout.startswith("unchanged: ")
    assert (FOLDER / "train_signal.py").read_text() == text


def test_a_place_that_is_no_text_is_shown_in_words(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", os.fsdecode(os.fsencode(project) + b"/l\xff"))
    result = seesawc("status", str(SPEC))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "/l\\udcff/" in result.stdout
