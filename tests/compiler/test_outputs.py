import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seesawc.diagnostics import CompileError
from seesawc.writing import outputs

LOSS, EXITS, SUMS = "parts/losses.py", "parts/machinery/exits.py", "parts/SHA256SUMS"
FIRST = {"script.py": "x = 1\n", "batch.sh": "true\n", LOSS: "y = 1\n", EXITS: "z = 1\n"}
SECOND = {"script.py": "x = 2\n", LOSS: "y = 2\n"}


def files(content: dict[str, str]) -> dict[str, str]:
    """Return files with the digests of parts, and the record that `resolved.toml` keeps."""
    parts = sorted(name for name in content if name.startswith("parts/"))
    if parts:
        lines = [f"{outputs.digest(content[name])}  {name}\n" for name in parts]
        content = {**content, SUMS: "".join(lines)}
    digests = ", ".join(f'"{name}" = "{d}"' for name, d in outputs.recorded(content).items())
    return {**content, outputs.RECORD: f"[build]\nfiles = {{ {digests} }}\n"}


def held(folder: Path) -> dict[str, str]:
    """Return the text of all files, by path; an empty folder is one, without text."""
    return {
        path.relative_to(folder).as_posix(): "" if path.is_dir() else path.read_text()
        for path in folder.rglob("*")
        if not path.is_dir() or not any(path.iterdir())
    }


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
    names = sorted(path.name for path in folder.parent.iterdir())
    assert names == [*outputs.FOR_GIT, folder.name], "nothing is left over"


def cache(place: Path) -> None:
    """Leave what Python does when it imports a module."""
    (place / "__pycache__").mkdir(parents=True)
    (place / "__pycache__" / "exits.cpython-311.pyc").touch()


@pytest.mark.parametrize("place", ["", "parts", "parts/machinery", "parts/gone", "gone/too"])
def test_what_python_keeps_of_imported_modules_is_no_foreign_file(place: str, folder: Path) -> None:
    cache(folder / place)
    assert outputs.differing(folder, files(FIRST)) == []
    assert not outputs.write(folder, files(FIRST), force=False)
    assert outputs.write(folder, files(SECOND), force=False)
    assert held(folder) == files(SECOND)


def test_a_folder_of_which_git_left_the_caches_is_taken(tmp_path: Path) -> None:
    for place in ("", "parts", "parts/machinery"):
        cache(tmp_path / "h4l" / place)
    assert outputs.write(tmp_path / "h4l", files(FIRST), force=False)
    assert held(tmp_path / "h4l") == files(FIRST)


def test_a_new_folder_holds_the_files_and_nothing_else(folder: Path) -> None:
    assert held(folder) == files(FIRST)
    alone(folder)


def test_writing_again_replaces_all_files(folder: Path) -> None:
    assert outputs.write(folder, files(SECOND), force=False)
    assert held(folder) == files(SECOND)
    alone(folder)


def test_the_same_files_are_not_written_again(folder: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}

    before = times()
    assert not outputs.write(folder, files(FIRST), force=False)
    assert times() == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        outputs.write(tmp_path / "h4l", files(FIRST), force=False)
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


def test_an_edited_file_is_not_overwritten_without_force(folder: Path) -> None:
    (folder / "script.py").write_text("x = 1  # tuned by hand\n")
    assert refusal(folder, SECOND) == (
        f"{folder / 'script.py'} was edited by hand"
        " = change the spec instead, or --force overwrites it"
    )
    assert (folder / "script.py").read_text() == "x = 1  # tuned by hand\n"
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


@pytest.mark.parametrize("name", [LOSS, EXITS])
def test_an_edited_part_is_not_overwritten_without_force(name: str, folder: Path) -> None:
    (folder / name).write_text("tuned by hand\n")
    assert outputs.differing(folder, files(FIRST)) == [name]
    for content in (FIRST, SECOND):
        assert refusal(folder, content) == (
            f"{folder / name} was edited by hand"
            " = change the spec instead, or --force overwrites it"
        )
    assert (folder / name).read_text() == "tuned by hand\n"
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


def test_an_edit_of_a_part_that_keeps_its_digest_up_to_date_is_one_of_the_digests(
    folder: Path,
) -> None:
    tuned = files({**FIRST, LOSS: "tuned by hand\n"})
    for name in (LOSS, SUMS):
        (folder / name).write_text(tuned[name])
    assert outputs.differing(folder, files(FIRST)) == [SUMS, LOSS]
    assert f"{folder / SUMS} was edited by hand = change the spec" in refusal(folder, SECOND)
    assert (folder / LOSS).read_text() == "tuned by hand\n"
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


def test_parts_whose_digests_were_removed_are_kept(folder: Path) -> None:
    (folder / SUMS).unlink()
    assert outputs.differing(folder, files(FIRST)) == [SUMS]
    assert f"{folder / SUMS} was removed by hand = " in refusal(folder, FIRST)
    assert outputs.write(folder, files(FIRST), force=True)
    assert held(folder) == files(FIRST)


def test_parts_that_a_record_knows_nothing_of_are_foreign(folder: Path) -> None:
    plain = {"script.py": "x = 3\n"}
    (folder / outputs.RECORD).write_text(files(plain)[outputs.RECORD])
    for name in ("batch.sh", "script.py"):
        (folder / name).unlink()
    assert f"{folder / 'parts'} was not written by seesawc = move" in refusal(folder, plain)


@pytest.mark.parametrize("sums", ["", "\n\n", "no digest\n", "\0\n", "ab  ../script.py\n", "\xe9"])
def test_digests_that_are_none_let_no_part_be_overwritten(sums: str, folder: Path) -> None:
    (folder / SUMS).write_text(sums, encoding="latin-1")
    digest = hashlib.sha256(sums.encode("latin-1")).hexdigest()
    for name in ("script.py", "batch.sh"):
        (folder / name).unlink()
    (folder / outputs.RECORD).write_text(f'[build]\nfiles = {{ "{SUMS}" = "{digest}" }}\n')
    assert f"{folder / LOSS} was not written by seesawc" in refusal(folder, SECOND)


def test_the_record_lists_the_digests_of_parts_as_one_file() -> None:
    content = files(FIRST)
    assert outputs.recorded(content).keys() == {"script.py", "batch.sh", SUMS, outputs.RECORD}
    assert outputs.recorded({LOSS: "", "parts.py": ""}) == {"parts.py": outputs.digest("")}


def test_digests_are_those_that_sha256sum_writes(folder: Path) -> None:
    command = ["sha256sum", LOSS, EXITS]
    wrote = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    assert (folder / SUMS).read_text() == wrote


def test_a_part_that_is_missing_is_noticed_and_comes_back(folder: Path) -> None:
    shutil.rmtree((folder / EXITS).parent)
    assert outputs.differing(folder, files(FIRST)) == [EXITS]
    assert outputs.write(folder, files(FIRST), force=False)
    assert held(folder) == files(FIRST)


def test_parts_that_were_removed_as_a_whole_come_back(folder: Path) -> None:
    shutil.rmtree(folder / "parts")
    assert outputs.differing(folder, files(FIRST)) == [SUMS, LOSS, EXITS]
    assert outputs.write(folder, files(FIRST), force=False)
    assert held(folder) == files(FIRST)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notes.txt", "notes.txt"),
        ("parts/notes.txt", "parts/notes.txt"),
        ("parts/machinery/notes.txt", "parts/machinery/notes.txt"),
        # Of a folder that is foreign as a whole, one line is enough.
        ("old/parts/losses.py", "old"),
        ("parts/old/losses.py", "parts/old"),
        ("parts/slurm-7.out", "parts/slurm-7.out"),
        ("parts/machinery/__pycache__.py", "parts/machinery/__pycache__.py"),
        ("old/__pycache__/x/notes.txt", None),
        ("old/x/__pycache__/notes.txt", None),
    ],
)
def test_a_file_of_the_author_is_not_removed_without_force(
    name: str, told: str | None, folder: Path
) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    assert outputs.differing(folder, files(FIRST)) == ([told] if told else [])
    if told:
        said = f"{folder / told} was not written by seesawc = move it away, or --force removes it"
        assert refusal(folder, SECOND) == said
        assert path.read_text() == "mine"
    assert outputs.write(folder, files(SECOND), force=bool(told))
    assert held(folder) == files(SECOND)


@pytest.mark.parametrize("name", ["old", "parts/old", "slurm-7.out"])
def test_an_empty_folder_of_the_author_is_noticed(name: str, folder: Path) -> None:
    (folder / name).mkdir()
    assert outputs.differing(folder, files(FIRST)) == [name]
    assert f"{folder / name} was not written by seesawc" in refusal(folder, SECOND)
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)


@pytest.mark.parametrize("name", ["script.py", EXITS])
def test_a_folder_in_the_place_of_a_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    (folder / name / "notes.txt").write_text("mine")
    assert outputs.differing(folder, files(FIRST)) == [name]
    assert f"{folder / name} was edited by hand" in refusal(folder, FIRST)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_stands_in_the_place_of_an_empty_file_is_refused(kind: str, tmp_path: Path) -> None:
    folder, name, elsewhere = tmp_path / "h4l", "parts/__init__.py", tmp_path / "notes"
    outputs.write(folder, files({name: ""}), force=False)
    (folder / name).unlink()
    if kind == "link":
        elsewhere.touch()
        (folder / name).symlink_to(elsewhere)
    else:
        (folder / name).mkdir()
        (folder / name / "notes.txt").write_text("mine")
    assert f"{folder / name} was edited by hand" in refusal(folder, FIRST)


def test_a_file_in_the_place_of_a_folder_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "parts")
    (folder / "parts").write_text("mine")
    assert outputs.differing(folder, files(FIRST)) == ["parts", SUMS, LOSS, EXITS]
    assert f"{folder / 'parts'} was edited by hand" in refusal(folder, FIRST)
    assert (folder / "parts").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["script.py", outputs.RECORD, LOSS, SUMS, EXITS, "parts/machinery", "parts"]
)
def test_a_link_counts_as_an_edit_even_to_the_same_text(
    name: str, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    before = held(elsewhere) if elsewhere.is_dir() else elsewhere.read_text()
    assert name in outputs.differing(folder, files(FIRST))
    assert f"{folder / name} was edited by hand" in refusal(folder, SECOND)
    assert (folder / name).is_symlink()
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (held(elsewhere) if elsewhere.is_dir() else elsewhere.read_text()) == before


@pytest.mark.parametrize(
    "name", ["more", "parts/more", "__pycache__", "parts/__pycache__", "slurm-7.out"]
)
@pytest.mark.parametrize("target", ["folder", "file", "nothing"])
def test_a_link_of_the_author_is_foreign_and_what_it_leads_to_is_kept(
    name: str, target: str, folder: Path, tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    for path in (elsewhere / "precious.txt", elsewhere.with_name("file")):
        path.write_text("mine")
    (folder / name).symlink_to(elsewhere.with_name(target))
    assert outputs.differing(folder, files(FIRST)) == [name]
    assert f"{folder / name} was not written by seesawc" in refusal(folder, FIRST)
    assert outputs.write(folder, files(SECOND), force=True)
    assert held(folder) == files(SECOND)
    assert held(tmp_path / "elsewhere") == {"folder/precious.txt": "mine", "file": "mine"}


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
    kept = {"slurm-7.out": "log: /scratch/h4l.log\n"}
    (folder / "slurm-7.out").write_text(kept["slurm-7.out"])
    assert outputs.differing(folder, files(FIRST)) == []
    assert outputs.write(folder, files(SECOND), force=False)
    assert held(folder) == files(SECOND) | kept
    # git takes away its own files, and not these.
    shutil.rmtree(folder / "parts")
    for name in ("script.py", outputs.RECORD):
        (folder / name).unlink()
    assert outputs.write(folder, files(FIRST), force=False)
    assert held(folder) == files(FIRST) | kept


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
    assert message == f"{tmp_path / 'generated'} is not a folder = remove it"


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
sys.path.insert(0, {str(Path(outputs.__file__).parents[2])!r})
from pathlib import Path
from seesawc.writing import outputs
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
    # Between the two renames the old folder stands aside: who asks for it next puts it back.
    assert folder.exists() == (moment != 2)
    assert outputs.read_record(folder)["files"]
    assert held(folder) == files(SECOND if moment == 3 else FIRST)
    assert outputs.write(folder, files({"script.py": "x = 3\n"}), force=False)
    assert held(folder) == files({"script.py": "x = 3\n"})


def test_what_differs_is_named(folder: Path) -> None:
    assert outputs.differing(folder, files(FIRST)) == []
    (folder / "batch.sh").write_text("false\n")
    (folder / "orphan.py").write_text("")
    (folder / "script.py").unlink()
    (folder / EXITS).write_text("z = 2\n")
    (folder / EXITS).with_name("orphan.py").write_text("")
    (folder / LOSS).unlink()
    assert outputs.differing(folder, files(FIRST)) == [
        "batch.sh", "orphan.py", LOSS, EXITS, "parts/machinery/orphan.py", "script.py",
    ]  # fmt: skip


def test_parts_that_are_needed_no_more_go_with_their_folder(folder: Path) -> None:
    assert outputs.differing(folder, files(SECOND)) == [
        "batch.sh", SUMS, LOSS, "parts/machinery", outputs.RECORD, "script.py",
    ]  # fmt: skip
    assert outputs.write(folder, files(SECOND), force=False)
    assert not (folder / "parts/machinery").exists()
    plain = files({"script.py": "x = 3\n"})
    assert outputs.write(folder, plain, force=False)
    assert held(folder) == plain


def test_of_a_missing_folder_everything_differs(tmp_path: Path) -> None:
    assert outputs.differing(tmp_path / "h4l", files(FIRST)) == sorted(files(FIRST))


def test_the_record_of_a_folder_is_read(folder: Path, tmp_path: Path) -> None:
    assert set(outputs.read_record(folder)["files"]) == {"script.py", "batch.sh", SUMS}
    assert outputs.read_record(tmp_path / "nowhere") == {}


def test_git_is_told_that_reviews_may_collapse_parts_but_hide_nothing(folder: Path) -> None:
    def attributes(name: str) -> list[str]:
        command = ["git", "check-attr", "-z", "--all", f"generated/h4l/{name}"]
        said = subprocess.run(command, cwd=top, capture_output=True, text=True, check=True).stdout
        fields = said.split("\0")
        return [f"{k}={v}" for k, v in zip(fields[1::3], fields[2::3], strict=False)]

    top = folder.parents[1]
    subprocess.run(["git", "init", "-q", top], check=True)
    for name in (LOSS, EXITS, SUMS):
        marks = ["gitlab-generated=set", "linguist-generated=true", "text=unset"]
        assert sorted(attributes(name)) == marks
    for name in ("script.py", "batch.sh", outputs.RECORD):
        assert attributes(name) == ["text=unset"]


@pytest.mark.parametrize("text", ["", "*.py text\n"])
def test_attributes_of_the_author_stay(text: str, folder: Path) -> None:
    path = folder.parent / ".gitattributes"
    path.write_text(text)
    for content, force in ((FIRST, False), (SECOND, False), (FIRST, True)):
        outputs.write(folder, files(content), force=force)
        assert path.read_text() == text


def test_a_link_in_the_place_of_attributes_stays(folder: Path) -> None:
    path = folder.parent / ".gitattributes"
    path.unlink()
    path.symlink_to("nowhere")
    assert outputs.write(folder, files(SECOND), force=True)
    assert path.is_symlink()
    alone(folder)


def test_missing_attributes_come_back_though_the_folder_is_up_to_date(folder: Path) -> None:
    path = folder.parent / ".gitattributes"
    before = path.read_text()
    path.unlink()
    assert outputs.differing(folder, files(FIRST)) == []
    assert not outputs.write(folder, files(FIRST), force=False)
    assert path.read_text() == before


def test_parts_are_committed_whatever_a_list_of_ignored_files_says(folder: Path) -> None:
    outputs.write(folder, files(FIRST), force=False)
    (folder.parent / ".gitignore").rename(folder.parent.parent / "ignored")
    git = ["git", "-C", str(folder.parent)]
    subprocess.run([*git, "init", "-q"], check=True)
    (folder.parent / ".git" / "info" / "exclude").write_text("parts/\n*.out\n")
    ignored = [*git, "check-ignore", "-q", f"{folder.name}/{LOSS}"]
    assert subprocess.run(ignored, check=False).returncode == 0
    (folder.parent.parent / "ignored").rename(folder.parent / ".gitignore")
    assert subprocess.run(ignored, check=False).returncode == 1


def test_where_nothing_is_built_there_are_no_attributes(tmp_path: Path) -> None:
    (tmp_path / "h4l").mkdir()
    (tmp_path / "h4l" / "thesis.tex").write_text("mine")
    refusal(tmp_path / "h4l", FIRST, force=True)
    assert held(tmp_path) == {"h4l/thesis.tex": "mine"}


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_attributes_that_cannot_be_written_are_a_fault_and_nothing_is_written(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    message = refusal(tmp_path / "h4l", FIRST)
    assert f"cannot write {tmp_path / '.gitattributes'}: No space left on device" in message
    assert held(tmp_path) == {}
