import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seesawc import outputs
from seesawc.diagnostics import CompileError

FIRST = {"script.py": "x = 1\n", "batch.sh": "true\n"}
SECOND = {"script.py": "x = 2\n"}


def files(content: dict[str, str]) -> dict[str, str]:
    """Return files with the record that `resolved.toml` keeps of them."""
    digests = ", ".join(f'"{name}" = "{outputs.digest(text)}"' for name, text in content.items())
    return {**content, outputs.RECORD: f"[build]\nfiles = {{ {digests} }}\n"}


def held(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "generated" / "h4l"
    assert outputs.write(folder, files(FIRST), force=False)
    return folder


def refusal(folder: Path, content: dict[str, str], *, force: bool = False) -> str:
    with pytest.raises(CompileError) as caught:
        outputs.write(folder, files(content), force=force)
    (fault,) = caught.value.diagnostics
    return f"{fault.message} = {fault.hint}"


def alone(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"


def test_what_python_keeps_of_an_imported_script_is_no_foreign_file(tmp_path: Path) -> None:
    folder = tmp_path / "h4l"
    files = {"apply.py": "x = 1\n", "resolved.toml": ""}
    files["resolved.toml"] = (
        f'[build]\nfiles = {{ "apply.py" = "{outputs.digest(files["apply.py"])}" }}\n'
    )
    outputs.write(folder, files, force=False)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "apply.cpython-311.pyc").touch()
    assert outputs.differing(folder, files) == []
    assert not outputs.write(folder, files, force=False)
    changed = files | {"apply.py": "x = 2\n"}
    assert outputs.write(folder, changed, force=False)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_a_new_folder_holds_the_files_and_nothing_else(folder: Path) -> None:
    assert held(folder) == files(FIRST)
    alone(folder)


def test_writing_again_replaces_all_files(folder: Path) -> None:
    assert outputs.write(folder, files(SECOND), force=False)
    assert held(folder) == files(SECOND)
    alone(folder)


def test_the_same_files_are_not_written_again(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    assert not outputs.write(folder, files(FIRST), force=False)
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())} == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        outputs.write(tmp_path / "h4l", files(FIRST), force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "h4l").stat().st_mode) == 0o755
    for path in (tmp_path / "h4l").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_edited_file_is_not_overwritten_without_force(folder: Path) -> None:
    (folder / "script.py").write_text("x = 1  # tuned by hand\n")
    assert refusal(folder, SECOND) == (
        f"{folder / 'script.py'} was edited by hand"
        " = change the spec instead, or --force overwrites it"
    )
    assert (folder / "script.py").read_text() == "x = 1  # tuned by hand\n"
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


def test_a_file_of_the_author_is_not_removed_without_force(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    assert "notes.txt was not written by seesawc = move it away" in refusal(folder, SECOND)
    assert (folder / "notes.txt").read_text() == "mine"
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "script.py").unlink()
    (folder / "script.py").mkdir()
    assert outputs.differing(folder, files(FIRST)) == ["script.py"]
    assert "script.py was edited by hand" in refusal(folder, FIRST)


@pytest.mark.parametrize("record", ["", "[build]\n", "build = 1\n", "<<<<<<< HEAD\n", "\0", "\xe9"])
def test_a_folder_whose_record_is_not_ours_is_refused(record: str, tmp_path: Path) -> None:
    folder = tmp_path / "h4l"
    folder.mkdir()
    (folder / outputs.RECORD).write_text(record, encoding="utf-8")
    assert f"{folder} was not written by seesawc = another --out" in refusal(folder, FIRST)
    assert held(folder) == {outputs.RECORD: record}


def test_a_record_with_a_merge_conflict_gives_way_to_force(folder: Path) -> None:
    (folder / outputs.RECORD).write_text("<<<<<<< HEAD\n")
    assert "was not written by seesawc" in refusal(folder, SECOND)
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


def test_somebody_elses_folder_is_refused_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert "was not written by seesawc" in refusal(tmp_path, FIRST, force=True)
    assert held(tmp_path) == {"thesis.tex": "mine"}


def test_the_output_of_a_job_stays_where_it_was_submitted(folder: Path) -> None:
    (folder / "slurm-7.out").write_text("log: /scratch/h4l.log\n")
    assert outputs.differing(folder, files(FIRST)) == []
    assert outputs.write(folder, files(SECOND), force=False)
    assert (folder / "slurm-7.out").read_text() == "log: /scratch/h4l.log\n"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "h4l").mkdir()
    assert outputs.write(tmp_path / "h4l", files(FIRST), force=False)
    assert held(tmp_path / "h4l") == files(FIRST)


@pytest.mark.parametrize("force", [False, True])
def test_a_link_in_the_place_of_the_folder_is_refused(force: bool, tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "h4l"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("mine")
    link.symlink_to(elsewhere)
    assert f"{link} is not a folder = remove it" in refusal(link, FIRST, force=force)
    assert link.is_symlink()
    assert held(elsewhere) == {"precious.txt": "mine"}
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert f"{link} is not a folder" in refusal(link, FIRST, force=force)


@pytest.mark.parametrize("force", [False, True])
def test_a_file_in_the_place_of_the_folder_is_refused(force: bool, tmp_path: Path) -> None:
    (tmp_path / "h4l").write_text("mine")
    assert "is not a folder = remove it" in refusal(tmp_path / "h4l", FIRST, force=force)
    assert (tmp_path / "h4l").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_author(tmp_path: Path) -> None:
    (tmp_path / "generated").write_text("a file")
    message = refusal(tmp_path / "generated" / "h4l", FIRST)
    assert message.startswith(f"cannot write {tmp_path / 'generated' / 'h4l'}: ")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder(
    failing: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    rename = os.rename

    def fails(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", fails)
    assert f"cannot write {folder}: Input/output error" in refusal(folder, SECOND)
    assert held(folder) == files(FIRST)
    alone(folder)


def test_a_write_that_fails_leaves_the_old_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in refusal(folder, SECOND)
    assert held(folder) == files(FIRST)
    alone(folder)


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_crash_at_any_rename_leaves_the_old_or_the_new_folder(moment: int, folder: Path) -> None:
    # A child that is killed, as no `finally` may run.
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(outputs.__file__).parents[1])!r})
from pathlib import Path
from seesawc import outputs
calls, rename = [], os.rename
def crash(*arguments, **options):
    calls.append(arguments)
    if len(calls) == {moment}:
        os._exit(9)
    rename(*arguments, **options)
os.rename = crash
rmtree = outputs.shutil.rmtree
outputs.shutil.rmtree = lambda *a, **k: os._exit(9) if len(calls) == 2 else rmtree(*a, **k)
outputs.write(Path({str(folder)!r}), {files(SECOND)!r}, force=False)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    # Between the two renames the old folder stands aside: the next build puts it back first.
    assert not folder.exists() or held(folder) in (files(FIRST), files(SECOND))
    assert outputs.write(folder, files({"script.py": "x = 3\n"}), force=False)
    assert held(folder) == files({"script.py": "x = 3\n"})


def test_what_differs_is_named(folder: Path) -> None:
    assert outputs.differing(folder, files(FIRST)) == []
    (folder / "batch.sh").write_text("false\n")
    (folder / "orphan.py").write_text("")
    (folder / "script.py").unlink()
    assert outputs.differing(folder, files(FIRST)) == ["batch.sh", "orphan.py", "script.py"]


def test_of_a_missing_folder_everything_differs(tmp_path: Path) -> None:
    assert outputs.differing(tmp_path / "h4l", files(FIRST)) == sorted(files(FIRST))


def test_the_record_of_a_folder_is_read(folder: Path, tmp_path: Path) -> None:
    assert set(outputs.read_record(folder)["files"]) == set(FIRST)
    assert outputs.read_record(tmp_path / "nowhere") == {}
