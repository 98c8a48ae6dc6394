"""Combining folds without a cluster: when it is submitted, what it waits for, how far it is.

A stand-in is in the place of SLURM's commands; tests/slurm asks SLURM.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from seesawc import pipeline
from seesawc.cli import commands
from seesawc.cli.commands import main, train_signal
from tests.spec_tables import BASE, FOLDER, SPEC, edited

NUMBER = 'event_number = "event"\n'
FOLDED = edited(BASE, NUMBER, f"{NUMBER}folds = 3\n")
NAME = "h4l_MLP_20010909T014640Z"
DONE = '{"script": "a", "checkpoint": "b", "sha256": "c"}'
# Numbers jobs from 1, and notes what it was given.
SBATCH = 'echo "$*" >>called; wc -l <called'
BATCH, CLOSING = f"{FOLDER}/submit.sbatch", f"{FOLDER}/submit_combine.sbatch"
NEVER = "--kill-on-invalid-dep=yes"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a cross-validation that is built, and programs before the machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("ANALYSIS_ML_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    SPEC.parent.mkdir()
    build(FOLDED)
    stand_in("sbatch", SBATCH)
    queue()
    return tmp_path


def build(text: str) -> None:
    SPEC.write_text(text, encoding="utf-8")
    assert seesawc("build", str(SPEC)).exit_code == 0


def seesawc(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def stand_in(name: str, text: str) -> None:
    program = Path("bin") / name
    program.write_text(f"#!/bin/bash\n{text}\n")
    program.chmod(0o755)


def queue(*jobs: str) -> None:
    """Have SLURM's queue hold these jobs."""
    stand_in("squeue", "\n".join(f"echo {job}" for job in jobs))


def called() -> list[list[str]]:
    """What sbatch was given since it was asked last."""
    path = Path("called")
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.removeprefix("--parsable ").split() for line in lines]


def mark(name: str, **files: str) -> None:
    folder = Path("logs/h4l") / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)


def runs() -> list[str]:
    return [run.name for run in pipeline.compile_spec(SPEC, FOLDER).runs]


def jobs(name: str) -> list[str]:
    path = Path("logs/h4l") / name / "jobs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["job"] for line in lines]


def finish(names: Sequence[str]) -> None:
    for name in names:
        mark(name, done=DONE)


def combine(name: str, names: Sequence[str]) -> None:
    """Leave what combine.py leaves of some runs."""
    mark(name, metrics_json=json.dumps({"folds": [{"run": each} for each in names]}))


def printed(*words: str) -> str:
    result = seesawc("rerun", *words, str(SPEC))
    assert result.exit_code == 0, result
    return result.stdout


def test_folds_are_combined_after_their_array(project: Path) -> None:
    result = seesawc("submit", str(SPEC))
    assert (result.exit_code, result.stderr) == (0, "")
    log = project / "logs" / "h4l" / "*" / "slurm-*.log"
    assert result.stdout == f"submitted jobs 1, 2 (combine), runs 0-2\nlog: {log}\n"
    after = ["--dependency=afterok:1", NEVER, CLOSING]
    assert called() == [["--array=0-2", BATCH], after]
    assert [jobs(name) for name in runs()] == [["1_0"], ["1_1"], ["1_2"]]
    assert jobs(f"{NAME}-combined") == ["2"]


def test_what_combines_waits_for_the_jobs_of_earlier_submissions() -> None:
    first = seesawc("submit", "--array", "0", str(SPEC))
    assert first.stdout.startswith("submitted job 1, runs 0\n")
    assert "not combined after them: runs 1,2 are neither done nor in the queue" in first.stderr
    assert called() == [["--array=0", BATCH]]
    assert jobs(f"{NAME}-combined") == []
    queue("1_0")
    mark(runs()[1], done=DONE)
    stand_in("sbatch", "echo 6; " + SBATCH.replace("wc -l <called", "true"))
    assert seesawc("submit", "--array", "2", str(SPEC)).stderr == ""
    after = ["--dependency=afterok:6:1_0", NEVER, CLOSING]
    assert called() == [["--array=2", BATCH], after]


def test_folds_of_divided_arrays_are_combined_after_all_of_them() -> None:
    seeds = ", ".join(map(str, range(60)))
    build(FOLDED + f"\n[sweep_config]\nseeds = [{seeds}]\n")
    stand_in("scontrol", 'echo "MaxArraySize            = 101"')
    result = seesawc("submit", str(SPEC))
    assert result.stdout.startswith("submitted jobs 1, 2, 3 (combine), runs 0-179\n")
    assert called()[-1] == ["--dependency=afterok:1:2", NEVER, CLOSING]
    # Who types commands cannot know the numbers.
    assert printed() == f"seesawc rerun --submit {SPEC}\n"


def test_trainings_whose_combination_is_refused_are_taken_back() -> None:
    stand_in(
        "sbatch", '[[ $* != *combine* ]] || { echo "sbatch: error: QOSMax" >&2; exit 1; }; echo 17'
    )
    stand_in("scancel", 'echo "$*" >cancelled')
    result = seesawc("submit", str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "QOSMax" in result.stderr
    assert Path("cancelled").read_text() == "17\n"
    assert not Path("logs").exists()


def test_slurm_is_asked_of_what_combines_before_anything_is_submitted() -> None:
    stand_in("sbatch", '[[ $* != *combine* ]] || { echo "sbatch: error: no time" >&2; exit 1; }')
    result = seesawc("submit", "--test-only", str(SPEC))
    assert result.exit_code == 1
    assert "no time" in result.stderr


def test_rerun_trains_what_is_missing_and_combines_then() -> None:
    assert printed() == f"bash {FOLDER}/submit.sh\n"
    names = runs()
    finish(names[:1])
    mark(names[1], ended_json='{"status": 3}')
    assert printed() == f"bash {FOLDER}/submit.sh --array=1,2\n"
    # Without the one that has not begun, there is nothing to combine.
    failed = seesawc("rerun", "--failed", str(SPEC))
    assert failed.stdout == f"sbatch --array=1 {BATCH}\n"
    assert "not combined after them: runs 2 are neither done nor in the queue" in failed.stderr
    called()
    assert seesawc("rerun", "--submit", str(SPEC)).exit_code == 0
    assert called() == [["--array=1,2", BATCH], ["--dependency=afterok:1", NEVER, CLOSING]]


def test_rerun_combines_what_is_done_once() -> None:
    names = runs()
    finish(names)
    assert printed() == f"sbatch {CLOSING}\n"
    result = seesawc("rerun", "--submit", str(SPEC))
    assert result.stdout.startswith("submitted job 1 (combine)\nlog: ")
    assert result.stdout.endswith(f"/{NAME}-combined/slurm-1.log\n")
    assert called() == [[CLOSING]]
    queue("1")
    assert printed() == "nothing to run again: 3 done\n"
    # It has ended, and left nothing.
    queue()
    assert printed() == f"sbatch {CLOSING}\n"
    combine(f"{NAME}-combined", names[:2])
    assert printed() == f"sbatch {CLOSING}\n"
    combine(f"{NAME}-combined", names)
    assert printed() == "nothing to run again: 3 done\n"


def test_rerun_says_where_slurm_cannot_be_asked_of_what_combines() -> None:
    finish(runs())
    mark(f"{NAME}-combined", jobs_jsonl='{"job": "7"}\n')
    stand_in("squeue", 'echo "squeue: error: no controller" >&2; exit 1')
    result = seesawc("rerun", str(SPEC))
    assert result.stdout == "nothing to run again: 3 done\n"
    assert "no controller; folds may be combined by a job that still waits" in result.stderr


def test_rerun_without_slurm_names_what_goes_on_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path("bin").absolute()))
    Path("bin/sbatch").unlink()
    Path("bin/squeue").unlink()
    script, closing = f"python {FOLDER}/train_signal.py", f"python {FOLDER}/combine.py\n"
    assert printed() == f"{script} --all\n{closing}"
    names = runs()
    mark(names[0], lock="{}")
    mark(names[1], done=DONE)
    # The first is running elsewhere.
    assert printed() == f"{script} --point 2\n"
    (Path("logs/h4l") / names[0] / "lock").unlink()
    finish(names)
    assert printed() == closing
    combine(f"{NAME}-combined", names)
    assert printed() == "nothing to run again: 3 done\n"


def test_status_ends_with_what_is_combined(project: Path) -> None:
    place = project / "logs" / "h4l" / f"{NAME}-combined"

    def last() -> str:
        return seesawc("status", str(SPEC)).stdout.splitlines()[-1]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(seesawc("status", "--format", "json", str(SPEC)).stdout)[
            -1
        ]
        return found

    assert last() == f"combined: not started  {place}"
    assert seesawc("submit", str(SPEC)).exit_code == 0
    assert last() == f"combined: submitted  {place}"
    mark(place.name, lock='{"host": "elsewhere"}')
    assert last() == f"combined: running  {place}"
    (place / "lock").unlink()
    for half in ("", "[]", '{"folds": 3}', '{"folds": [1, null]}'):
        mark(place.name, metrics_json=half)
        assert last() == f"combined: submitted  {place}"
    combine(place.name, runs())
    assert last() == f"combined: done  {place}"
    assert state() == {
        "name": place.name, "state": "done", "values": {}, "jobs": ["2"], "path": str(place),
        "combines": runs(),
    }  # fmt: skip
    assert len(json.loads(seesawc("status", "--format", "json", str(SPEC)).stdout)) == 4


def test_status_tells_the_combinations_of_a_grid_apart() -> None:
    build(FOLDED + "\n[sweep_config]\ngrid.training_config.max_epochs = [3, 4]\n")
    compiled = pipeline.compile_spec(SPEC, FOLDER)
    done, _ = compiled.combined
    combine(done.name, [run.name for run in done.runs])
    lines = seesawc("status", str(SPEC)).stdout.splitlines()[-2:]
    assert [line.rpartition("  ")[0] for line in lines] == [
        "combined: done  max_epochs=3",
        "combined: not started  max_epochs=4",
    ]
    finish([run.name for run in compiled.runs])
    assert printed() == f"sbatch {CLOSING}\n"


SCRIPT = """
import sys
print("{name}", *sys.argv[1:], flush=True)
sys.exit({status})
"""


@pytest.mark.parametrize(
    ("words", "failing", "status", "ran"),
    [
        ("", "", 0, ["train_signal --all", "combine"]),
        ("--all --again x", "", 0, ["train_signal --all --again x", "combine --again x"]),
        ("--again=x", "", 0, ["train_signal --all --again=x", "combine --again x"]),
        ("", "train_signal", 3, ["train_signal --all"]),
        ("", "combine", 3, ["train_signal --all", "combine"]),
    ],
)
def test_train_signal_trains_all_folds_and_combines_them(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: str,
    failing: str,
    status: int,
    ran: list[str],
) -> None:
    """Stands in for training: scripts that say their name, and of which one may fail."""
    monkeypatch.setattr(commands, "_need", lambda package: None)
    monkeypatch.setattr(commands, "_write", lambda *arguments, **options: "wrote")
    for name in ("train_signal", "combine"):
        ends = 3 if name == failing else 0
        (FOLDER / f"{name}.py").write_text(SCRIPT.format(name=name, status=ends))
    result = CliRunner().invoke(train_signal, [str(SPEC), *shlex.split(words)])
    assert result.exit_code == status
    assert capfd.readouterr().out.splitlines() == ran
    said = "combine.py was not run, since train_signal.py ended with exit status 3"
    assert (said in result.stderr) == (failing == "train_signal")
