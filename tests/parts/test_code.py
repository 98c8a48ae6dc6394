"""The code that runs: what identifies it, what was edited, and the copy that is kept of it.

Each start is a process of its own in a folder like a generated one, for what counts is what a
script has imported.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from parts.machinery.code import digest_of
from parts.machinery.places import digest
from seesawc.writing import parts

TEMPLATES = Path(__file__).parents[2] / "templates"
# Importing it takes no time; it prints what it finds, and keeps itself if it is told where.
SCRIPT = '''"""Look at itself."""

import json
import sys
from hashlib import sha256
from pathlib import Path

from parts.machinery.code import code_of
from parts.machinery.exits import RefusedError

PARTS = "{digest}"

if __name__ == "__main__":
    place, planned, before = sys.argv[1:4]
    try:
        code = code_of(Path(__file__), PARTS, planned or None)
    except RefusedError as error:
        sys.exit(f"refused: {{error}}")
    changed = code.changed_since(Path(before)) if before else []
    kept = code.keep(Path(place)) if place else ""
    found = {{
        "identity": code.identity, "digest": code.digest, "edited": code.edited,
        "files": {{name: sha256(text).hexdigest() for name, text in code.files.items()}},
        "resolved": str(code.resolved), "kept": str(kept), "changed": changed,
    }}
    print(json.dumps(found))
'''
IMPORTS = (
    "from parts.machinery.code import code_of\nfrom parts.machinery.exits import RefusedError\n"
)
PART = "parts/machinery/places.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as seesawc writes it: a script, its parts with their list, and its record."""
    folder = tmp_path / "generated"
    needed = parts.needed_by(TEMPLATES, IMPORTS)
    texts = {**parts.files(needed), "train.py": SCRIPT.format(digest=parts.digest(needed))}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    record(folder)
    return folder


def record(folder: Path) -> None:
    """Write the record of a build of the script as it is."""
    files = {"train.py": digest(folder / "train.py")}
    text = tomlkit.dumps({"experiment_config": {"experiment_name": "gr\u00f6\u00dfer"}})
    (folder / "resolved.toml").write_text(
        text + tomlkit.dumps({"build": {"files": files}}), "utf-8"
    )


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "# Edited.\n")


def start(
    script: Path,
    keep: Path | None = None,
    planned: str = "",
    since: Path | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), str(keep or ""), planned, str(since or "")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, check=False
    )


def look(script: Path, *arguments: Any, **others: Any) -> dict[str, Any]:
    """Return what a script finds when it looks at itself."""
    ended = start(script, *arguments, **others)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_code_that_nobody_edited_is_known_by_its_script(folder: Path) -> None:
    found = look(folder / "train.py")
    assert found["identity"] == digest(folder / "train.py")
    assert found["edited"] == []
    assert found["resolved"] == str(folder / "resolved.toml")
    needed = [part.file for part in parts.needed_by(TEMPLATES, IMPORTS)]
    assert sorted(found["files"]) == sorted(["train.py", *needed])
    assert found["files"] == {name: digest(folder / name) for name in found["files"]}
    assert found["digest"] == digest_of(found["files"])


def test_the_digest_of_parts_is_the_one_that_the_compiler_gives(folder: Path) -> None:
    files = look(folder / "train.py")["files"]
    del files["train.py"]
    assert digest_of(files) == parts.digest(parts.needed_by(TEMPLATES, IMPORTS))
    whole = parts.closure(TEMPLATES, frozenset(parts.library(TEMPLATES)))
    files = {part.file: digest(TEMPLATES / part.file) for part in whole}
    assert digest_of(files) == parts.digest(whole)


def test_an_edited_script_is_known_by_its_own_digest(folder: Path) -> None:
    edit(folder / "train.py")
    found = look(folder / "train.py")
    assert found["edited"] == ["train.py"]
    assert found["identity"] == digest(folder / "train.py")
    assert found["resolved"] == "None"


def test_an_edited_part_is_named_and_makes_other_code(folder: Path) -> None:
    before = look(folder / "train.py")
    edit(folder / PART)
    found = look(folder / "train.py")
    assert found["edited"] == [PART]
    assert found["identity"] == f"{before['identity']}+{found['digest']}"
    assert found["digest"] != before["digest"]
    assert found["resolved"] == "None"


def test_a_part_that_is_not_imported_may_be_edited(folder: Path) -> None:
    (folder / "parts" / "models.py").write_text("")
    assert look(folder / "train.py")["edited"] == []


@pytest.mark.parametrize("listed", ["changed", "removed"])
def test_an_edit_is_seen_although_the_list_of_digests_was_edited_as_well(
    folder: Path, listed: str
) -> None:
    sums = folder / "parts" / "SHA256SUMS"
    before = digest(folder / PART)
    edit(folder / PART)
    if listed == "changed":
        sums.write_text(sums.read_text().replace(before, digest(folder / PART)))
    else:
        sums.unlink()
    found = look(folder / "train.py")
    assert found["edited"] == ["parts"]
    assert found["identity"] == f"{digest(folder / 'train.py')}+{found['digest']}"


def test_a_list_of_digests_that_was_edited_alone_names_the_part(folder: Path) -> None:
    sums = folder / "parts" / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(digest(folder / PART), "0" * 64))
    assert look(folder / "train.py")["edited"] == [PART]


def test_a_part_that_was_added_is_seen(folder: Path) -> None:
    (folder / "parts" / "own.py").write_text('"""Of the user\'s own."""\n')
    script = folder / "train.py"
    script.write_text(
        script.read_text().replace("import json\n", "import json\nimport parts.own\n")
    )
    assert look(script)["edited"] == ["train.py", "parts"]


def test_without_the_record_an_edited_script_cannot_be_told_and_an_edited_part_can(
    folder: Path,
) -> None:
    (folder / "resolved.toml").unlink()
    edit(folder / "train.py")
    found = look(folder / "train.py")
    assert (found["edited"], found["resolved"]) == ([], "None")
    edit(folder / PART)
    assert look(folder / "train.py")["edited"] == [PART]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resolved.toml", "build = "),
        ("resolved.toml", "[build]\n"),
        ("resolved.toml", "build = 1\n"),
        ("parts/SHA256SUMS", "half a line"),
        ("parts/SHA256SUMS", "\udcff"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_by_name(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8", "surrogateescape")
    ended = start(folder / "train.py")
    assert ended.returncode == 1
    assert f"refused: {folder / name} cannot be read: " in ended.stderr
    assert "build the spec again" in ended.stderr


def test_a_point_is_known_by_the_script_that_was_planned_for_it(folder: Path) -> None:
    planned = "a" * 64
    assert look(folder / "train.py", planned=planned)["identity"] == planned
    # Other points have come: the script is another one, and nobody has edited it.
    edit(folder / "train.py")
    record(folder)
    assert look(folder / "train.py", planned=planned)["identity"] == planned
    edit(folder / "train.py")
    found = look(folder / "train.py", planned=planned)
    assert found["edited"] == ["train.py"]
    assert found["identity"] == f"{planned}+{found['digest']}"
    # Without the record nobody knows whether it is what was compiled.
    (folder / "resolved.toml").unlink()
    found = look(folder / "train.py", planned=planned)
    assert (found["edited"], found["identity"]) == ([], f"{planned}+{found['digest']}")


def test_code_is_the_same_however_its_folder_is_reached(folder: Path, tmp_path: Path) -> None:
    expected = look(folder / "train.py")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "train").symlink_to(folder / "train.py")
    assert look(tmp_path / "link" / "train.py") == expected
    assert look(tmp_path / "train") == expected
    # Python resolves the script's folder, and not the folders that it is told to look in.
    linked = {"PYTHONPATH": str(tmp_path / "link"), "PYTHONSAFEPATH": "1"}
    assert look(tmp_path / "link" / "train.py", **linked) == expected


def test_a_folder_of_parts_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    expected = look(folder / "train.py")
    shutil.move(folder / "parts", tmp_path / "shared")
    (folder / "parts").symlink_to(tmp_path / "shared")
    assert look(folder / "train.py") == expected


def test_parts_of_another_folder_are_not_those_that_were_compiled(
    folder: Path, tmp_path: Path
) -> None:
    shutil.move(folder / "parts", tmp_path / "elsewhere" / "parts")
    found = look(folder / "train.py", PYTHONPATH=str(tmp_path / "elsewhere"))
    assert found["edited"] == ["parts"]
    assert list(found["files"]) == ["train.py"]


def test_lists_are_read_whatever_the_language_of_the_machine(folder: Path) -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    found = look(folder / "train.py", **plain)
    assert (found["edited"], found["resolved"]) == ([], str(folder / "resolved.toml"))


def times(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_code_is_copied_once_with_what_it_was_compiled_from(folder: Path, tmp_path: Path) -> None:
    found = look(folder / "train.py", tmp_path / "runs")
    kept = tmp_path / "runs" / ".code" / found["digest"]
    assert found["kept"] == str(kept)
    written = times(kept)
    assert sorted(written) == sorted([*found["files"], "resolved.toml"])
    assert all((kept / name).read_bytes() == (folder / name).read_bytes() for name in written)
    look(folder / "train.py", tmp_path / "runs")
    assert times(kept) == written
    # Of two starts, the first may have been killed between two files.
    (kept / PART).unlink()
    (kept / "train.py").write_text("")
    look(folder / "train.py", tmp_path / "runs")
    assert all((kept / name).read_bytes() == (folder / name).read_bytes() for name in written)
    assert times(kept)["resolved.toml"] == written["resolved.toml"]


@pytest.mark.parametrize("name", ["train.py", PART])
def test_what_edited_code_was_compiled_from_is_not_kept(
    folder: Path, tmp_path: Path, name: str
) -> None:
    edit(folder / name)
    found = look(folder / "train.py", tmp_path / "runs")
    kept = Path(found["kept"])
    assert not (kept / "resolved.toml").exists()
    assert (kept / name).read_bytes() == (folder / name).read_bytes()


def test_files_that_differ_from_those_that_were_kept_are_named(
    folder: Path, tmp_path: Path
) -> None:
    kept = Path(look(folder / "train.py", tmp_path / "runs")["kept"])
    assert look(folder / "train.py", since=kept)["changed"] == []
    edit(folder / "train.py")
    edit(folder / PART)
    (kept / "parts" / "gone.py").write_text("")
    changed = ["parts/gone.py", PART, "train.py"]
    assert look(folder / "train.py", since=kept)["changed"] == changed
    shutil.rmtree(kept)
    assert look(folder / "train.py", since=kept)["changed"] == []
