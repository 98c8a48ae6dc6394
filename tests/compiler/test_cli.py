import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from click import Command
from click.testing import CliRunner, Result

from seesawc.cli import commands
from seesawc.cli.commands import main, track, train_fakes, train_signal
from seesawc.jobs import progress
from tests.spec_tables import BASE, FOLDER, SPEC, edited

FILES = ["apply.py", "resolved.toml", "submit.sbatch", "train_signal.py"]
FOLDED = sorted([*FILES, "combine.py", "submit.sh", "submit_combine.sbatch"])
SUMS = "parts/SHA256SUMS"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, at a fixed time, so that two builds a second apart agree."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    SPEC.parent.mkdir()
    SPEC.write_text(BASE, encoding="utf-8")
    return tmp_path


def seesawc(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def good(*arguments: str) -> str:
    result = seesawc(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str) -> str:
    result = seesawc(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


def held(folder: Path = FOLDER) -> dict[str, bytes]:
    """All files by their paths below the folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def own(folder: Path = FOLDER) -> list[str]:
    """The files that are of this spec alone; beside them lie parts, as their list says."""
    names = sorted(held(folder))
    listed = re.findall("(?m)  (.*)$", (folder / SUMS).read_text())
    assert [name for name in names if name.startswith("parts/")] == sorted([SUMS, *listed])
    return [name for name in names if not name.startswith("parts/")]


def run_name(folder: Path = FOLDER) -> str:
    match = re.search('^run_name = "(.*)"', (folder / "resolved.toml").read_text(), re.MULTILINE)
    assert match
    return match[1]


def change(old: str, new: str) -> None:
    SPEC.write_text(edited(SPEC.read_text(encoding="utf-8"), old, new), encoding="utf-8")


def test_check_says_so_and_writes_nothing() -> None:
    assert good("check", str(SPEC)) == "1 checked, no mistakes\n"
    assert good("check", str(SPEC), "--format", "json") == "[]\n"
    assert not FOLDER.exists()


def test_build_writes_the_folder_and_says_where_and_which_run() -> None:
    assert good("build", str(SPEC)) == f"wrote {FOLDER} (run h4l_MLP_20010909T014640Z)\n"
    assert own() == FILES
    assert good("build", str(SPEC)).startswith(f"unchanged: {FOLDER} (run h4l_MLP_")


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """When each of the files and folders was written, and which one it is."""
    paths = (folder, *folder.rglob("*"))
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in paths}


def test_a_build_leaves_alone_what_is_right_and_writes_the_rest() -> None:
    other = SPEC.with_name("other.toml")
    other.write_text(BASE)
    specs = [str(SPEC), str(other)]
    good("build", *specs)
    before = stamps(Path("generated"))
    assert [line.split(":")[0] for line in good("build", *specs).splitlines()] == ["unchanged"] * 2
    good("build", "--force", *specs)
    good("build", "--check", *specs)
    assert stamps(Path("generated")) == before
    kept, written = stamps(FOLDER), held(FOLDER.with_name("other"))
    (FOLDER.with_name("other") / "parts" / "losses.py").unlink()
    assert good("build", *specs).splitlines()[1].startswith("wrote generated/other (run h4l_MLP_")
    assert held(FOLDER.with_name("other")) == written
    assert stamps(FOLDER) == kept


def test_without_a_batch_table_there_is_no_batch_file() -> None:
    good("build", str(SPEC))
    change('\n[slurm_config]\ntime = "04:00:00"\n', "")
    good("build", str(SPEC))
    assert own() == ["apply.py", "resolved.toml", "train_signal.py"]


def test_build_check_compares_and_writes_nothing() -> None:
    message = refused("build", "--check", str(SPEC))
    assert f"{FOLDER} is not what {SPEC} compiles to: " in message
    assert all(name in message for name in (*FILES, SUMS, "parts/losses.py"))
    assert f"seesawc build {SPEC}" in message
    assert not FOLDER.exists()
    good("build", str(SPEC))
    assert good("build", "--check", str(SPEC)) == f"{FOLDER} is what {SPEC} compiles to\n"


@pytest.mark.parametrize("name", [*FILES, SUMS, "parts/losses.py"])
def test_build_check_names_a_file_that_was_edited_or_removed(name: str) -> None:
    good("build", str(SPEC))
    (FOLDER / name).write_text((FOLDER / name).read_text() + "# edited\n")
    before = held()
    message = refused("build", "--check", str(SPEC))
    assert f"compiles to: {name}\n" in message
    assert held() == before
    (FOLDER / name).unlink()
    assert name in refused("build", "--check", str(SPEC))


@pytest.mark.parametrize("name", ["old.py", "parts/machinery/old.py"])
def test_build_check_names_an_orphan(name: str) -> None:
    good("build", str(SPEC))
    (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_text("")
    message = refused("build", "--check", str(SPEC))
    assert re.search(f"compiles to: {name.split('/')[0]}", message)


def test_build_says_once_to_git_that_reviews_may_collapse_parts() -> None:
    attributes = Path("generated/.gitattributes")
    change("seed = 1", "seed = -1")
    refused("build", str(SPEC))
    assert not attributes.parent.exists()
    change("seed = -1", "seed = 1")
    good("build", str(SPEC))
    assert "*/parts/** linguist-generated=true gitlab-generated\n" in attributes.read_text()
    attributes.write_text("# mine\n")
    good("build", "--force", "--new-run", str(SPEC))
    assert attributes.read_text() == "# mine\n"
    attributes.unlink()
    good("build", "--check", str(SPEC))
    assert not attributes.exists()
    assert good("build", str(SPEC)).startswith("unchanged: ")
    assert attributes.exists()


def test_attributes_that_cannot_be_written_are_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    good("build", str(SPEC))
    Path("generated/.gitattributes").unlink()
    monkeypatch.setattr("tempfile.mkstemp", read_only)
    message = refused("build", str(SPEC))
    assert "error: cannot write generated/.gitattributes: Read-only file system" in message
    assert message.endswith("1 mistake; nothing was written\n")


def test_build_check_notices_a_changed_spec_at_any_later_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good("build", str(SPEC))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1100000000")
    good("build", "--check", str(SPEC))
    change("lr = 1e-3", "lr = 1e-4")
    assert "train_signal.py" in refused("build", "--check", str(SPEC))


def test_a_hand_edit_is_kept_unless_forced() -> None:
    good("build", str(SPEC))
    built = held()
    script = FOLDER / "train_signal.py"
    script.write_text(script.read_text() + "# tuned\n")
    edited = held()
    message = refused("build", str(SPEC))
    assert f"{script} was edited by hand" in message
    assert "--force" in message
    assert held() == edited
    good("build", "--force", str(SPEC))
    assert held() == built


def test_out_is_where_folders_are_written() -> None:
    assert good("build", "--out", "elsewhere", str(SPEC)).startswith("wrote elsewhere/h4l ")
    assert own(Path("elsewhere/h4l")) == FILES
    assert not FOLDER.exists()
    script = Path("elsewhere/h4l/train_signal.py").read_text()
    assert '    spec_folder="../../specs",  # where relative places start\n' in script


@pytest.mark.parametrize("inside", ["", "deep"])
def test_a_folder_is_found_from_inside(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good("build", str(SPEC))
    spec = SPEC.absolute()
    (place := FOLDER.parent / "more" / inside).mkdir(parents=True)
    for here in (FOLDER.absolute(), FOLDER.parent.absolute(), place.absolute()):
        monkeypatch.chdir(here)
        assert good("build", "--check", str(spec)).endswith(f"is what {spec} compiles to\n")


def test_a_spec_beside_no_other_is_built_beside_itself() -> None:
    shutil.copy(SPEC, "alone.toml")
    good("build", "alone.toml")
    assert own(Path("generated/alone")) == FILES


def test_the_run_keeps_its_name_as_long_as_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    good("build", str(SPEC))
    first = run_name()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1100000000")
    change("seed = 1\n", "seed = 1\ntqdm_refresh_rate = 7\n")
    good("build", str(SPEC))
    assert run_name() == first
    assert b"TQDM_REFRESH_RATE = 7\n" in held()["train_signal.py"]
    change("lr = 1e-3", "lr = 1e-4")
    good("build", str(SPEC))
    assert run_name() == "h4l_MLP_20041109T113320Z" != first


def test_new_run_renews_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    good("build", str(SPEC))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1100000000")
    good("build", "--new-run", str(SPEC))
    assert run_name() == "h4l_MLP_20041109T113320Z"


def test_a_run_name_of_the_spec_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    change("seed = 1\n", 'seed = 1\nrun_name = "mine"\n')
    good("build", str(SPEC))
    assert run_name() == "mine"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1100000000")
    assert good("build", "--check", str(SPEC)) == f"{FOLDER} is what {SPEC} compiles to\n"
    assert "the spec names the run" in refused("build", "--new-run", str(SPEC))


@pytest.mark.parametrize("time", ["../x", "$(x)", "2001", ""])
def test_a_record_that_was_tampered_with_names_no_run(time: str) -> None:
    good("build", str(SPEC))
    path = FOLDER / "resolved.toml"
    path.write_text(re.sub('^timestamp = ".*"', f'timestamp = "{time}"', path.read_text(), flags=8))
    good("build", str(SPEC))
    assert run_name() == "h4l_MLP_20010909T014640Z"


@pytest.mark.parametrize("moment", ["soon", "1e9", "9" * 30, "-" + "9" * 30])
@pytest.mark.parametrize("command", ["check", "build"])
def test_a_time_that_is_none_is_refused_in_words(
    command: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
    assert "SOURCE_DATE_EPOCH, a variable of the environment, is not a time" in refused(
        command, str(SPEC)
    )


def test_a_mistake_in_one_spec_and_none_is_written() -> None:
    Path("specs/bad.toml").write_text(edited(BASE, "seed = 1", "seed = -1"))
    message = refused("build", str(SPEC), "specs/bad.toml")
    assert "specs/bad.toml:5:8: error: -1 is out of range" in message
    assert message.endswith("1 mistake; nothing was written\n")
    assert not Path("generated").exists()


def test_two_specs_that_compile_to_one_folder_are_refused() -> None:
    Path("other").mkdir()
    shutil.copy(SPEC, "other/h4l.toml")
    message = refused("build", "--out", "out", str(SPEC), "other/h4l.toml")
    assert f"other/h4l.toml and {SPEC} both compile to out/h4l" in message
    assert not Path("out").exists()


def test_several_specs_are_built_at_once() -> None:
    Path("specs/second.toml").write_text(BASE)
    lines = good("build", str(SPEC), "specs/second.toml", str(SPEC)).splitlines()
    assert [line.split()[1] for line in lines] == ["generated/h4l", "generated/second"]


def test_a_link_in_the_place_of_the_folder_is_refused() -> None:
    Path("generated").mkdir()
    Path("real").mkdir()
    FOLDER.symlink_to(Path("../real"))
    for options in ([], ["--force"]):
        assert f"{FOLDER} is not a folder" in refused("build", *options, str(SPEC))
    assert not list(Path("real").iterdir())


@pytest.mark.parametrize(
    "name", ["a b.toml", "h4l.yaml", "h4l", "x..toml", "-.toml", "\u00e9.toml"]
)
def test_a_spec_whose_name_names_no_folder_is_refused(name: str) -> None:
    shutil.copy(SPEC, Path("specs") / name)
    assert "cannot be the name of a spec" in refused("build", f"specs/{name}")


@pytest.mark.parametrize("path", ["specs/missing.toml", "specs.toml"])
def test_a_spec_that_cannot_be_read_is_refused(path: str) -> None:
    Path("specs.toml").mkdir()
    assert f"{path}:1:1: error: cannot read the spec: " in refused("check", path)


@pytest.mark.parametrize("place", ["caf\u00e9", "two words", "it's", 'q"q', "$x", "${X}", "#"])
def test_a_folder_of_any_name_holds_a_project(place: str, project: Path) -> None:
    home = project / place
    (home / "specs").mkdir(parents=True)
    text = BASE.replace("seed = 1\n", 'seed = 1\nsave_dir = "logs"\n')
    (home / "specs" / "h4l.toml").write_text(text)
    good("build", f"{place}/specs/h4l.toml")
    good("build", f"{place}/specs/h4l.toml", "--out", "elsewhere")
    for folder in (home / "generated" / "h4l", Path("elsewhere/h4l")):
        compile((folder / "train_signal.py").read_text(encoding="ascii"), "script", "exec")
        subprocess.run(["bash", "-n", folder / "submit.sbatch"], check=True)


FAKES = [
    "apply.py", "closure.py", "resolved.toml", "submit.sh", "submit_denominator.sbatch",
    "submit_numerator.sbatch", "submit_ratio.sbatch", "train_denominator.py", "train_numerator.py",
    "train_ratio.py",
]  # fmt: skip


def test_init_writes_a_spec_of_fakes_too() -> None:
    good("init", "leptons", "--task", "fakes")
    good("build", "specs/leptons.toml")
    folder = Path("generated/leptons")
    assert own(folder) == [name for name in FAKES if "submit" not in name]
    path = Path("specs/leptons.toml")
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    good("build", "specs/leptons.toml")
    assert own(folder) == FAKES
    assert "unchanged" in good("build", "specs/leptons.toml")
    assert "is what" in good("build", "--check", "specs/leptons.toml")


def test_a_command_of_the_other_task_says_which_one_is_right() -> None:
    good("init", "leptons", "--task", "fakes")
    for command, spec, other in (
        (train_signal, "specs/leptons.toml", "train_fakes"),
        (train_fakes, str(SPEC), "train_signal"),
    ):
        result = CliRunner().invoke(command, [spec])
        assert result.exit_code == 1
        assert f"{other} {spec}" in result.stderr
        assert not Path("generated").exists()


@pytest.fixture
def leptons(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a spec of fakes, which is left as it is when it is trained."""
    good("init", "leptons", "--task", "fakes")
    good("build", "specs/leptons.toml")
    monkeypatch.setattr(commands, "_need", lambda package: None)
    monkeypatch.setattr(commands, "_write", lambda *arguments, **options: "wrote")
    return Path("generated/leptons")


def test_train_fakes_runs_the_stages_until_one_fails(
    leptons: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Stands in for training: scripts that say their name, and of which one fails."""

    def stand_in(failing: str) -> None:
        for path in leptons.glob("*.py"):
            status = 75 if path.stem == failing else 0
            path.write_text(f"import sys\nprint(*sys.argv[1:], flush=True)\nsys.exit({status})\n")

    for failing, ran in (("train_denominator", 2), ("closure", 4), ("", 4)):
        stand_in(failing)
        result = CliRunner().invoke(train_fakes, ["specs/leptons.toml", "--again", "x"])
        assert result.exit_code == (75 if failing else 0)
        assert capfd.readouterr().out == "--again x\n" * ran


# Sends a signal to what started it, and ends as a stage that obeys it or that was over before.
STRUCK = """
import os, signal, sys, time
print("began", flush=True)
signal.signal(signal.{name}, lambda *_: sys.exit({status}))
os.kill(os.getppid(), signal.{name})
if {status}:
    # It is over as soon as the signal comes back, or never heard of it.
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("stage", "name", "obeys", "status", "ran"),
    [
        ("train_numerator", "SIGTERM", True, 143, 1),
        ("train_denominator", "SIGUSR2", True, 75, 2),
        ("train_numerator", "SIGTERM", False, 143, 1),
        ("train_numerator", "SIGINT", False, 130, 1),
        # With the last one, all is done.
        ("closure", "SIGTERM", True, 143, 4),
        ("closure", "SIGTERM", False, 0, 4),
    ],
)
def test_a_signal_to_train_fakes_is_the_stages_and_ends_what_comes_after_it(
    leptons: Path,
    capfd: pytest.CaptureFixture[str],
    stage: str,
    name: str,
    obeys: bool,
    status: int,
    ran: int,
) -> None:
    for path in leptons.glob("*.py"):
        struck = STRUCK.format(name=name, status=status if obeys else 0)
        path.write_text(struck if path.stem == stage else "print('began', flush=True)")
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(train_fakes, ["specs/leptons.toml"])
    assert result.exit_code == status
    assert capfd.readouterr().out == "began\n" * ran
    assert signal.getsignal(signal.SIGTERM) == before


def test_init_writes_a_spec_that_check_accepts() -> None:
    said = good("init", "higgs")
    assert said.startswith("wrote specs/higgs.toml; ")
    assert "seesawc check specs/higgs.toml" in said
    good("check", "specs/higgs.toml")
    good("build", "specs/higgs.toml")
    assert own(Path("generated/higgs")) == ["apply.py", "resolved.toml", "train_signal.py"]


def test_what_init_leaves_commented_out_is_right_too() -> None:
    good("init", "higgs")
    path = Path("specs/higgs.toml")
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    good("build", "specs/higgs.toml")
    assert own(Path("generated/higgs")) == FOLDED


def test_init_makes_the_folder_and_keeps_what_is_there(project: Path) -> None:
    shutil.rmtree("specs")
    good("init", "higgs")
    Path("specs/higgs.toml").write_text("mine")
    assert "specs/higgs.toml exists" in refused("init", "higgs")
    assert Path("specs/higgs.toml").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["../evil", "sub/x", "a b", "con", "bash", "x.", "", "\u00e9", "/x"]
)
def test_init_refuses_a_name_of_no_experiment(name: str, project: Path) -> None:
    assert "error: " in refused("init", name)
    assert [str(path.relative_to(project)) for path in project.rglob("*.toml")] == [str(SPEC)]


def test_init_where_no_folder_can_be_made_is_refused_in_words() -> None:
    shutil.rmtree("specs")
    Path("specs").write_text("a file")
    assert "cannot write specs/higgs.toml: " in refused("init", "higgs")


def test_track_without_a_store_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR", raising=False)
    result = CliRunner().invoke(track, [])
    assert result.exit_code == 1
    assert f"there is no store {Path('logs/mlruns/mlflow.db').absolute()}" in result.stderr
    assert "train first, or give --save-dir" in result.stderr
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", "/nowhere")
    assert "/nowhere/mlruns/mlflow.db" in CliRunner().invoke(track, []).stderr
    assert "x/mlruns" in CliRunner().invoke(track, ["--save-dir", "x"]).stderr


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_track_on_no_port_is_wrong_usage(port: str) -> None:
    assert CliRunner().invoke(track, ["-p", port]).exit_code == 2


def test_train_signal_refuses_a_bad_spec_as_build_does() -> None:
    change("seed = 1", "seed = -1")
    result = CliRunner().invoke(train_signal, [str(SPEC)])
    assert result.exit_code == 1
    assert "-1 is out of range" in result.stderr
    assert not FOLDER.exists()


def test_train_signal_builds_and_hands_over_to_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    script = str(FOLDER / "train_signal.py")
    started: list[list[str]] = []

    class Replaced(SystemExit):
        """The process is another one from here on."""

    def take_over(program: str, command: list[str]) -> None:
        assert program == sys.executable
        started.append(command)
        raise Replaced

    monkeypatch.setattr(os, "execv", take_over)
    result = CliRunner().invoke(train_signal, [str(SPEC), "--again", "x"])
    assert f"wrote {FOLDER}" in result.stdout
    assert started == [[sys.executable, script, "--again", "x"]]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            main,
            ["TOML", "init", "check", "build", "train_signal.py", "submit", "track", "--version"],
        ),
        (main.commands["check"], ["SPECS", "mistake", "--format"]),
        (
            main.commands["build"],
            ["SPECS", "generated/", "--check", "--new-run", "--out", "--force", "--test-only"],
        ),
        (main.commands["submit"], ["SPEC", "--test-only", "--array", "jobs.jsonl"]),
        (main.commands["status"], ["SPEC", "--sort", "--format", *get_args(progress.State)]),
        (main.commands["rerun"], ["SPEC", "--failed", "--submit"]),
        (main.commands["init"], ["NAME", "specs/"]),
        (main.commands["set"], ["SPEC", "OPTION=VALUE", "--unset", "TOML", "samples.0"]),
        (train_signal, ["SPEC", "ARGUMENTS", "train"]),
        (track, ["--port", "5000", "--save-dir", "ANALYSIS_ML_LOGS_DIR", "MLflow"]),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_help_says_what_a_newcomer_needs(command: Command, words: list[str]) -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


def test_every_option_of_every_command_is_explained() -> None:
    silent = [
        f"{command.name} {parameter.name}"
        for command in (*main.commands.values(), track, train_signal)
        for parameter in command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "help", None)
    ]
    assert silent == []
    assert all(command.help for command in main.commands.values())


def built(project: Path, **environment: str) -> dict[str, bytes]:
    """Build in a process of its own and return the files."""
    code = "from seesawc.cli.commands import main; main()"
    variables = {**os.environ, "PYTHONPATH": str(Path(commands.__file__).parents[2]), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, "build", str(project / SPEC)],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    return held(project / FOLDER)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "12345"},
        {"TZ": "Pacific/Kiritimati"},
        {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"HOME": "/nowhere", "USER": "somebody", "HOSTNAME": "other"},
        {"COLUMNS": "20", "NO_COLOR": "1"},
    ],
    ids=lambda environment: "-".join(environment),
)
def test_the_bytes_do_not_depend_on_the_environment(
    environment: dict[str, str], project: Path
) -> None:
    good("build", str(SPEC))
    expected = held()
    shutil.rmtree("generated")
    assert built(project, **environment) == expected


def test_the_bytes_do_not_depend_on_the_folder_or_the_way_to_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("build", str(SPEC))
    expected = held()
    copy = project / "deep" / "er" / "copy"
    (copy / "specs").mkdir(parents=True)
    shutil.copy(SPEC, copy / SPEC)
    for place, path in {
        project: copy / SPEC,
        copy: SPEC,
        copy / "specs": Path("h4l.toml"),
        Path("/"): copy / SPEC,
        project / "deep": Path("../deep/er/copy") / SPEC,
    }.items():
        shutil.rmtree(copy / "generated", ignore_errors=True)
        monkeypatch.chdir(place)
        good("build", str(path))
        assert held(copy / FOLDER) == expected, place
    assert not any(str(project).encode() in text for text in expected.values())


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_files_do_not_depend_on_the_umask(umask: int) -> None:
    before = os.umask(umask)
    try:
        good("build", str(SPEC))
    finally:
        os.umask(before)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in FOLDER.rglob("*")}
    assert modes == {(False, 0o644), (True, 0o755)}


def test_the_bytes_do_not_depend_on_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    good("build", str(SPEC))
    expected = held()
    shutil.rmtree("generated")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e8)
    good("build", str(SPEC))
    assert held() == expected


def test_without_a_fixed_time_the_name_is_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    before = time.strftime("h4l_MLP_%Y%m%dT%H%M%SZ", time.gmtime())
    good("build", str(SPEC))
    assert before <= run_name() <= time.strftime("h4l_MLP_%Y%m%dT%H%M%SZ", time.gmtime())


def test_windows_line_ends_change_no_script() -> None:
    good("build", str(SPEC))
    expected = held()["train_signal.py"]
    SPEC.write_bytes(BASE.replace("\n", "\r\n").encode())
    good("build", str(SPEC))
    assert held()["train_signal.py"] == expected


def test_json_of_a_build_tells_the_mistakes_only() -> None:
    assert json.loads(good("build", "--format", "json", str(SPEC))) == []
    change("seed = 1", "seed = -1")
    result = seesawc("build", "--format", "json", str(SPEC))
    assert (result.exit_code, result.stderr) == (1, "")
    (record,) = json.loads(result.stdout)
    assert record["message"] == "-1 is out of range"
    assert record["span"] == {"path": str(SPEC), "line": 5, "column": 8, "length": 2}
