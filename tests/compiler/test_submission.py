"""Submissions without a cluster: what is refused, chosen, handed on and recorded.

A stand-in is in sbatch's place where SLURM's answer is not the question; tests/slurm asks SLURM.
"""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from seesawc import pipeline
from seesawc.cli.commands import main
from seesawc.diagnostics import CompileError
from seesawc.jobs import listing, slurm, submission, submitted
from seesawc.pipeline import Compiled
from seesawc.writing import batch
from seesawc.writing.batch import BATCH
from seesawc.writing.runs import PlannedRun
from tests.spec_tables import BASE, FOLDER, SPEC, edited

NAME = "h4l_MLP_20010909T014640Z"
DONE = '{"script": "a", "checkpoint": "b", "sha256": "c"}'


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a spec that is built, and programs of its own before the machine's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("ANALYSIS_ML_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    SPEC.parent.mkdir()
    SPEC.write_text(BASE, encoding="utf-8")
    assert seesawc("build", str(SPEC)).exit_code == 0
    return tmp_path


def seesawc(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def stand_in(name: str, text: str) -> None:
    program = Path("bin") / name
    program.write_text(f"#!/bin/bash\n{text}\n")
    program.chmod(0o755)


def without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path("bin").absolute()))


def sweep(size: int, limit: int = 4) -> submission.Submission:
    """The spec's batch file, as an array job of so many runs."""
    compiled = pipeline.compile_spec(SPEC, FOLDER)
    runs = tuple(PlannedRun(i, f"run-{i}", str(i), {"lr": i}) for i in range(size))
    line = f"#SBATCH --array=0-{size - 1}%{limit}\n\n"
    batch = compiled.files[BATCH].replace("\n\n", f"\n{line}", 1)
    files = dict(compiled.files) | {BATCH: batch}
    return submission.locate(SPEC, FOLDER, evolve(compiled, files=files, runs=runs))


def test_a_plain_spec_has_one_run() -> None:
    compiled = pipeline.compile_spec(SPEC, FOLDER)
    assert compiled.runs == (PlannedRun(0, NAME, "", {}),)


@pytest.mark.parametrize("command", [["submit"], ["submit", "--test-only"], ["rerun"]])
def test_files_that_are_not_what_the_spec_compiles_to_are_refused(command: list[str]) -> None:
    stand_in("sbatch", "touch called")
    with (FOLDER / "train_signal.py").open("a") as script:
        script.write("# by hand\n")
    result = seesawc(*command, str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{FOLDER} is not what {SPEC} compiles to: train_signal.py" in result.stderr
    assert "1 mistake; nothing was submitted" in result.stderr
    assert not Path("called").exists()


def test_a_spec_without_a_batch_table_is_refused() -> None:
    SPEC.write_text(edited(BASE, '\n[slurm_config]\ntime = "04:00:00"\n', ""))
    result = seesawc("submit", str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{SPEC} asks for no batch job" in result.stderr
    assert "[slurm_config]" in result.stderr


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    without_slurm(monkeypatch)
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR")
    monkeypatch.setenv("ANALYSIS_ML_RESULTS_DIR", "")
    result = seesawc("submit", str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not set: ANALYSIS_ML_LOGS_DIR, ANALYSIS_ML_RESULTS_DIR\n" in result.stderr
    assert "sbatch is not there" in result.stderr
    assert "2 mistakes; nothing was submitted" in result.stderr


def test_build_test_only_without_slurm_builds_and_says_that_nobody_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_slurm(monkeypatch)
    result = seesawc("build", "--test-only", str(SPEC))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"unchanged: {FOLDER} ")
    assert result.stderr.startswith("error: sbatch is not there: this machine has no SLURM\n")
    faults = json.loads(seesawc("build", "--test-only", "--format", "json", str(SPEC)).stdout)
    assert [fault["message"] for fault in faults] == [
        "sbatch is not there: this machine has no SLURM"
    ]


def test_what_sbatch_refuses_is_told_in_its_words() -> None:
    stand_in(
        "sbatch", 'echo "sbatch: error: Batch job submission failed: no such account" >&2; exit 1'
    )
    result = seesawc("submit", str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    expected = "error: sbatch refuses: Batch job submission failed: no such account\n"
    assert result.stderr.startswith(expected)
    assert not Path("logs").exists()


def test_a_job_is_submitted_from_the_top_and_recorded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("sbatch", 'echo "$PWD $*" >called; echo "a word of the site" >&2; echo "17;alps"')
    monkeypatch.chdir(FOLDER)
    result = seesawc("submit", f"../../{SPEC}")
    run = project / "logs" / "h4l" / NAME
    assert (result.exit_code, result.stdout) == (0, f"submitted job 17\nlog: {run}/slurm-17.log\n")
    assert result.stderr == "warning: sbatch: a word of the site\n"
    assert (project / "called").read_text() == f"{project} --parsable {FOLDER}/{BATCH}\n"
    (line,) = (run / "jobs.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["job"], record["batch"]) == ("17", str(project / FOLDER / BATCH))
    assert seesawc("submit", f"../../{SPEC}").exit_code == 0
    assert len((run / "jobs.jsonl").read_text().splitlines()) == 2


def test_a_job_that_cannot_be_recorded_is_still_there(project: Path) -> None:
    stand_in("sbatch", "echo 17")
    (project / "logs").write_text("a file in the place of the folder")
    result = seesawc("submit", str(SPEC))
    assert result.exit_code == 0
    assert result.stdout.startswith("submitted job 17\n")
    assert f"cannot record job 17 in {project}/logs/h4l/{NAME}: " in result.stderr


def test_an_answer_without_a_number_is_no_job() -> None:
    stand_in("sbatch", "echo welcome")
    result = seesawc("submit", str(SPEC))
    assert result.exit_code == 1
    assert "sbatch names no job: welcome" in result.stderr


def test_a_relative_place_is_where_it_was_seen_from(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("sbatch", 'echo "$ANALYSIS_ML_LOGS_DIR" >called; echo 17')
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", "runs")
    monkeypatch.chdir("specs")
    assert seesawc("submit", SPEC.name).exit_code == 0
    assert (project / "called").read_text() == f"{project}/specs/runs\n"
    assert (project / "specs" / "runs" / "h4l" / NAME / "jobs.jsonl").exists()


def test_a_jobs_own_variables_are_not_handed_down() -> None:
    outer = {"SLURM_CPU_BIND": "cores", "SLURM_CONF": "/c", "SLURM_JWT": "t", "PATH": "/bin"}
    options = {"SBATCH_ACCOUNT": "atlas", "SRUN_DEBUG": "1"}
    kept = {"SLURM_CONF": "/c", "SLURM_JWT": "t", "PATH": "/bin"}
    assert slurm.environment(outer | options) == kept | options
    assert slurm.environment(outer | options | {"SLURM_JOB_ID": "3"}) == kept


def test_runs_of_a_sweep_are_chosen_and_recorded_one_by_one(project: Path) -> None:
    stand_in("sbatch", 'echo "$*" >called; echo 17')
    job = sweep(10)
    chosen = submission.choose(job, "1,4-9,5-7:2")
    assert [run.index for run in chosen] == [1, 4, 5, 6, 7, 8, 9]
    found = submitted.submit(job, chosen)
    assert (found.jobs, found.warnings) == (("17",), ())
    assert found.log == project / "logs" / "h4l" / "*" / "slurm-*.log"
    assert Path("called").read_text() == f"--parsable --array=1,4-9%4 {FOLDER}/{BATCH}\n"
    records = sorted(Path("logs/h4l").glob("*/jobs.jsonl"))
    jobs = {path.parent.name: json.loads(path.read_text())["job"] for path in records}
    assert jobs == {f"run-{index}": f"17_{index}" for index in (1, *range(4, 10))}
    assert submission.choose(job, None) == job.compiled.runs


@pytest.mark.parametrize(
    ("members", "words"),
    [("8-12", "has no run 10-12"), ("x", '"x" is neither'), ("", '"" is neither')],
)
def test_what_is_no_run_of_the_sweep_is_refused(members: str, words: str) -> None:
    with pytest.raises(CompileError) as error:
        submission.choose(sweep(10), members)
    assert words in str(error.value)
    assert "0-9" in str(error.value.diagnostics[0].hint)


def test_a_plain_spec_has_no_array() -> None:
    result = seesawc("submit", "--array", "0", str(SPEC))
    assert result.exit_code == 1
    assert f"{SPEC} has one run, and no array of them" in result.stderr


def mark(name: str, **files: str) -> None:
    """Write files into the folder of a run."""
    folder = Path("logs/h4l") / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)


def missing(job: submission.Submission, *, failed: bool = False) -> tuple[list[int], int, str]:
    rows, _ = listing.rows(SPEC, job.compiled)
    left, waiting, warning = submission.missing(rows, failed=failed)
    return [run.index for run in left], waiting, warning


def test_missing_runs_are_those_that_no_job_does_or_has_done() -> None:
    stand_in("squeue", 'echo "$*" >called; echo 17_3; echo 17_4')
    job = sweep(9)
    mark("run-0", done=DONE)
    mark("run-1", lock="{}")
    mark("run-2", ended_json='{"status": 3}')
    for index in (3, 4):
        mark(f"run-{index}", jobs_jsonl=f'{{"job": "17_{index}"}}\n')
    # Its job has ended without a trace.
    mark("run-5", jobs_jsonl='{"job": "17_5"}\n')
    mark("run-6", run_json="{}")
    assert missing(job) == ([2, 5, 6, 7, 8], 2, "")
    assert Path("called").read_text() == "--noheader --array --format=%i --jobs=17\n"
    assert missing(job, failed=True) == ([2, 6], 0, "")
    assert job.commands([job.compiled.runs[i] for i in (2, 5, 6, 7, 8)]) == [
        ["sbatch", "--array=2,5-8%4", f"{FOLDER}/{BATCH}"]
    ]


CONFIGURED = 'echo "MaxArraySize            = {}"'
# As a cluster answers that takes no index of 1000 or more.
SHORT = """
for word in "$@"; do case $word in --array=*) list=${word#--array=} ;; esac; done
last=${list%%%*}; last=${last##*[-,]}
if ((last > 999)); then
    echo "sbatch: error: Batch job submission failed: Invalid job array specification" >&2
    exit 1
fi
echo "$*" >>called
[[ $* == *--test-only* ]] && exit 0
wc -l <called
"""


@pytest.mark.parametrize(
    ("scontrol", "arrays"),
    [
        (CONFIGURED.format(1000), ["0-999%20", "0-499%10 1000"]),
        (CONFIGURED.format(2000), ["0-1499%30"]),
        (CONFIGURED.format(600), ["0-599%12", "0-599%12 600", "0-299%6 1200"]),
        # Not to know is to take what SLURM has by default.
        ("exit 1", ["0-999%20", "0-499%10 1000"]),
        ("echo", ["0-999%20", "0-499%10 1000"]),
    ],
)
def test_a_sweep_that_no_array_holds_is_divided_and_keeps_to_its_limit(
    scontrol: str, arrays: list[str]
) -> None:
    stand_in("scontrol", scontrol)
    stand_in("sbatch", 'echo "$*" >>called; wc -l <called')
    job = sweep(1500, 30)
    found = submitted.submit(job, job.compiled.runs)
    assert len(found.jobs) == len(arrays)
    called = [line.split() for line in Path("called").read_text().splitlines()]
    words = [["--parsable", f"--array={list_}", f"{FOLDER}/{BATCH}", *begin]
             for list_, *begin in map(str.split, arrays)]  # fmt: skip
    assert called == words
    assert job.commands(job.compiled.runs) == [["sbatch", *each[1:]] for each in words]


def test_members_of_a_later_array_are_recorded_by_their_own_numbers() -> None:
    stand_in("scontrol", CONFIGURED.format(1000))
    stand_in("sbatch", SHORT)
    job = sweep(1500)
    chosen = submission.choose(job, "7,998-1002,1499")
    assert "2 arrays" in submission.estimate(job, chosen)
    Path("called").unlink()
    assert submitted.submit(job, chosen).jobs == ("1", "2")
    records = Path("logs/h4l").glob("*/jobs.jsonl")
    jobs = {path.parent.name: json.loads(path.read_text())["job"] for path in records}
    assert jobs == {
        "run-7": "1_7", "run-998": "1_998", "run-999": "1_999",
        "run-1000": "2_0", "run-1001": "2_1", "run-1002": "2_2", "run-1499": "2_499",
    }  # fmt: skip


def test_of_a_divided_sweep_all_arrays_are_submitted_or_none() -> None:
    stand_in("scontrol", CONFIGURED.format(1000))
    stand_in(
        "sbatch",
        '[[ $* != *" 1000" ]] || { echo "sbatch: error: QOSMaxSubmitJob" >&2; exit 1; }; echo 17',
    )
    stand_in("scancel", 'echo "$*" >cancelled')
    job = sweep(1500)
    with pytest.raises(CompileError, match="QOSMaxSubmitJob"):
        submitted.submit(job, job.compiled.runs)
    assert Path("cancelled").read_text() == "17\n"
    assert not Path("logs").exists()
    stand_in("scancel", 'echo "scancel: error: no answer" >&2; exit 1')
    with pytest.raises(CompileError, match=r"QOSMaxSubmitJob; scancel 17: .*no answer"):
        submitted.submit(job, job.compiled.runs)


def test_a_cluster_that_takes_no_arrays_is_refused_with_that_reason() -> None:
    stand_in("scontrol", CONFIGURED.format(0))
    stand_in("sbatch", "touch called")
    job = sweep(1500)
    with pytest.raises(CompileError, match="this cluster takes no arrays: MaxArraySize = 0"):
        submitted.submit(job, job.compiled.runs)
    assert not Path("called").exists()


def test_a_limit_that_arrays_cannot_share_is_refused_before_any_is_submitted() -> None:
    stand_in("scontrol", CONFIGURED.format(1000))
    stand_in("sbatch", "touch called")
    job = sweep(3500, 3)
    with pytest.raises(CompileError, match="4 arrays are needed") as error:
        submitted.submit(job, job.compiled.runs)
    assert "max_parallel of 4 or more" in str(error.value.diagnostics[0].hint)
    assert not Path("called").exists()
    assert len(job.parts(job.compiled.runs[:2500])) == 3


def test_a_job_that_slurm_has_forgotten_is_not_in_its_queue() -> None:
    stand_in("squeue", 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1')
    mark("run-0", jobs_jsonl='{"job": "17_0"}\n')
    assert missing(sweep(1)) == ([0], 0, "")


def test_a_queue_that_cannot_be_asked_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    mark("run-0", jobs_jsonl='{"job": "17_0"}\n')
    stand_in("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    left, waiting, warning = missing(sweep(1))
    assert (left, waiting) == ([0], 0)
    expected = "squeue refuses: Unable to contact slurm controller; jobs that still wait may be"
    assert warning.startswith(expected)
    Path("bin/squeue").unlink()
    without_slurm(monkeypatch)
    assert missing(sweep(1))[2].startswith("squeue is not there")


def test_rerun_prints_the_command_or_that_there_is_nothing_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("sbatch", "exit 1")
    result = seesawc("rerun", str(SPEC))
    assert (result.exit_code, result.stdout) == (0, f"sbatch {FOLDER}/{BATCH}\n")
    assert seesawc("rerun", "--failed", str(SPEC)).stdout == "nothing to run again: 1 not started\n"
    monkeypatch.chdir("specs")
    command = f"cd {shlex.quote(str(project))} && sbatch {FOLDER}/{BATCH}\n"
    assert seesawc("rerun", SPEC.name).stdout == command
    monkeypatch.chdir(project)
    mark(NAME, done=DONE)
    assert seesawc("rerun", str(SPEC)).stdout == "nothing to run again: 1 done\n"


def test_rerun_without_slurm_prints_what_goes_on_here(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_slurm(monkeypatch)
    command = f"python {FOLDER}/train_signal.py\n"
    assert seesawc("rerun", str(SPEC)).stdout == command
    mark(NAME, ended_json='{"status": 143}')
    assert seesawc("rerun", "--failed", str(SPEC)).stdout == command
    # Only SLURM can be submitted to.
    submitted = seesawc("rerun", "--submit", str(SPEC))
    assert (submitted.exit_code, submitted.stdout) == (1, "")
    assert "sbatch is not there" in submitted.stderr
    monkeypatch.chdir("specs")
    assert seesawc("rerun", SPEC.name).stdout == f"python ../{FOLDER}/train_signal.py\n"
    monkeypatch.chdir(project)
    mark(NAME, done=DONE)
    assert seesawc("rerun", str(SPEC)).stdout == "nothing to run again: 1 done\n"


def test_rerun_of_a_spec_without_a_job_goes_on_here() -> None:
    stand_in("sbatch", "exit 1")
    SPEC.write_text(edited(BASE, '\n[slurm_config]\ntime = "04:00:00"\n', ""))
    assert seesawc("build", str(SPEC)).exit_code == 0
    assert seesawc("rerun", str(SPEC)).stdout == f"python {FOLDER}/train_signal.py\n"


def test_rerun_of_a_sweep_without_slurm_names_points(monkeypatch: pytest.MonkeyPatch) -> None:
    without_slurm(monkeypatch)
    SPEC.write_text(BASE + "\n[sweep_config]\nseeds = [1, 2, 3]\n")
    assert seesawc("build", str(SPEC)).exit_code == 0
    script = f"python {FOLDER}/train_signal.py"
    assert seesawc("rerun", str(SPEC)).stdout == f"{script} --all\n"
    runs = pipeline.compile_spec(SPEC, FOLDER).runs
    mark(runs[1].name, ended_json='{"status": 3}')
    failed = seesawc("rerun", "--failed", str(SPEC)).stdout
    assert failed == f"{script} --point {runs[1].index}\n"
    mark(runs[0].name, done=DONE)
    mark(runs[1].name, done=DONE)
    assert seesawc("rerun", str(SPEC)).stdout == f"{script} --point 2\n"


def test_status_shows_the_run_without_slurm_and_says_what_is_not_built(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_slurm(monkeypatch)
    line = {"step": 9, "epoch": 4, "time": 1.0, "train_loss": 0.5, "val_loss": 0.25}
    mark(NAME, metrics_jsonl=json.dumps(line) + "\n", done=DONE)
    run = project / "logs" / "h4l" / NAME
    result = seesawc("status", str(SPEC))
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        result.stdout == f"state  epoch  best val_loss  path\ndone   4/30   0.25           {run}\n"
    )
    (record,) = json.loads(seesawc("status", "--format", "json", str(SPEC)).stdout)
    assert (record["state"], record["best"], record["name"]) == ("done", 0.25, NAME)
    SPEC.write_text(edited(BASE, "seed = 1", "seed = 2"), encoding="utf-8")
    assert f"{FOLDER} is not what {SPEC} compiles to" in seesawc("status", str(SPEC)).stderr


def test_status_of_a_wrong_spec_is_told_as_json() -> None:
    SPEC.write_text(edited(BASE, "seed = 1", "seed = -1"), encoding="utf-8")
    result = seesawc("status", "--format", "json", str(SPEC))
    assert result.exit_code == 1
    assert [fault["message"] for fault in json.loads(result.stdout)] == ["-1 is out of range"]


def git(*arguments: str) -> None:
    names = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *names, *arguments], check=True, capture_output=True)


def test_parts_that_git_does_not_know_are_named(project: Path) -> None:
    compiled = pipeline.compile_spec(SPEC, FOLDER)
    parts = [name for name in compiled.files if name.startswith("parts/")]
    assert {"parts/losses.py", "parts/machinery/exits.py"} < set(parts)
    job = submission.locate(SPEC, FOLDER, compiled)
    git("init", "-q")
    git("add", str(SPEC), str(FOLDER))
    git("commit", "-q", "-m", "all but .gitattributes")
    assert (project / "generated/.gitattributes").exists()
    assert submission.uncommitted(job) == ()
    (FOLDER / "parts/machinery/exits.py").write_text("z = 2\n")
    assert submission.uncommitted(job) == (f"{FOLDER}/parts/machinery/exits.py",)
    git("rm", "-q", "-r", "--cached", f"{FOLDER}/parts")
    git("commit", "-q", "-m", "parts are forgotten")
    assert submission.uncommitted(job) == tuple(f"{FOLDER}/{name}" for name in parts)
    # Of GitHub's .gitignore for Python.
    Path(".gitignore").write_text("parts/\n")
    assert submission.uncommitted(job) == tuple(f"{FOLDER}/{name}" for name in parts)
    Path("generated/.gitignore").write_text("")
    assert submission.uncommitted(job) == (f"{FOLDER}/parts/",)


def test_a_job_that_git_does_not_know_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("sbatch", "echo 17")
    assert seesawc("submit", str(SPEC)).stderr == "", "no repository, no word"
    git("init", "-q")
    new = seesawc("submit", str(SPEC))
    assert new.exit_code == 0
    assert new.stderr.startswith("warning: not as in git's last commit: ")
    git("add", "specs", "generated")
    git("commit", "-q", "-m", "a spec")
    # What jobs write beside the files is not the spec's.
    (FOLDER / "slurm-17.out").touch()
    assert seesawc("submit", str(SPEC)).stderr == ""
    SPEC.write_text(BASE + "\n# a word more\n", encoding="utf-8")
    assert seesawc("build", str(SPEC)).exit_code == 0
    changed = f"warning: not as in git's last commit: {FOLDER}/resolved.toml, {SPEC}\n"
    assert seesawc("submit", str(SPEC)).stderr == changed
    Path(".gitignore").write_text("generated\n")
    git("rm", "-q", "-r", "--cached", "generated")
    git("commit", "-q", "-a", "-m", "generated files are no longer kept")
    assert "generated/" in seesawc("submit", str(SPEC)).stderr
    monkeypatch.setenv("PATH", f"{Path('bin').absolute()}:{Path('bash').absolute()}")
    Path("bash").mkdir()
    Path("bash/bash").symlink_to("/bin/bash")
    assert seesawc("submit", str(SPEC)).stderr == "", "no git, no word"


def test_a_compiled_spec_needs_its_variables_once_each() -> None:
    compiled: Compiled = pipeline.compile_spec(SPEC, FOLDER)
    assert batch.variables(compiled.experiment, compiled.points) == (
        "ANALYSIS_ML_LOGS_DIR",
        "ANALYSIS_ML_RESULTS_DIR",
    )


def test_other_attempts_are_shown_and_not_started_again(project: Path) -> None:
    line = json.dumps({"step": 9, "epoch": 4, "time": 1.0, "val_loss": 0.25}) + "\n"
    mark(f"{NAME}+b", metrics_jsonl=line, done=DONE)
    mark(f"{NAME}+a+2", ended_json='{"status": 3}')
    mark(f"other+{NAME}", done=DONE)
    mark(f"{NAME}2+b", done=DONE)
    stand_in("sbatch", "exit 1")
    logs = project / "logs" / "h4l"
    assert seesawc("status", "--sort", "index", str(SPEC)).stdout == (
        "state        epoch  best val_loss  path\n"
        f"not started  -      -              {logs}/{NAME}\n"
        f"not finite   -      -              {logs}/{NAME}+a+2\n"
        f"done         4/30   0.25           {logs}/{NAME}+b\n"
        "1 not started, 1 not finite, 1 done\n"
    )
    records = json.loads(seesawc("status", "--format", "json", str(SPEC)).stdout)
    assert [(r["name"], r["again"], r["state"]) for r in records] == [
        (f"{NAME}+b", "b", "done"),
        (NAME, "", "not started"),
        (f"{NAME}+a+2", "a+2", "not finite"),
    ]
    assert seesawc("rerun", str(SPEC)).stdout == f"sbatch {FOLDER}/{BATCH}\n"
    assert seesawc("rerun", "--failed", str(SPEC)).stdout == "nothing to run again: 1 not started\n"


def test_attempts_at_points_of_a_sweep_stand_by_their_points() -> None:
    rows, _ = listing.rows(SPEC, sweep(3).compiled)
    for name in ("run-0+x", "run-2+x", "run-2+y"):
        mark(name, done=DONE)
    both = listing.order(rows + listing.attempts(Path("logs/h4l"), rows), "index", "min")
    assert [(row.run.index, row.again) for row in both] == [
        (0, ""), (0, "x"), (1, ""), (2, ""), (2, "x"), (2, "y"),
    ]  # fmt: skip
    assert [row.run.values["lr"] for row in both] == [0, 0, 1, 2, 2, 2]


def test_runs_that_the_spec_no_longer_names_are_pointed_at(project: Path) -> None:
    mark("h4l_MLP_20000101T000000Z", done=DONE)
    mark("h4l_MLP_20000102T000000Z", ended_json='{"status": 1}')
    found = seesawc("status", str(SPEC))
    assert found.stderr == (
        f"warning: {project}/logs/h4l has other runs, of other builds or specs: 1 done, 1 refused"
        " (h4l_MLP_20000101T000000Z, h4l_MLP_20000102T000000Z)\n"
    )
    mark(NAME, done=DONE)
    assert seesawc("status", str(SPEC)).stderr == ""


def test_a_run_begun_from_another_folder_is_pointed_at(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(NAME, done=DONE)
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR")
    assert seesawc("status", str(SPEC)).stdout.endswith(f"{project}/logs/h4l/{NAME}\n")
    elsewhere = project / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    found = seesawc("status", str(project / SPEC))
    assert found.stdout.endswith(f"{elsewhere}/logs/h4l/{NAME}\n")
    assert found.stderr.splitlines()[-1] == (
        f"warning: {project}/logs/h4l/{NAME} is done; ANALYSIS_ML_LOGS_DIR={project}/logs shows it"
    )
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", str(elsewhere))
    assert seesawc("status", str(project / SPEC)).stderr == ""


def test_a_spec_that_was_renamed_is_told_what_it_leaves_behind() -> None:
    SPEC.rename("specs/higgs.toml")
    built = seesawc("build", "specs/higgs.toml")
    assert built.exit_code == 0
    assert built.stderr.startswith(f"warning: {FOLDER} trains the same, and its spec is gone")
    assert f"the run {NAME} " in built.stderr
    assert "with the name h4l.toml it goes on" in built.stderr
    # Once it is there, it is known; and a copy leaves nothing behind.
    assert seesawc("build", "specs/higgs.toml").stderr == ""
    SPEC.write_text(BASE)
    Path("specs/copy.toml").write_text(BASE)
    assert seesawc("build", "specs/copy.toml").stderr == ""


def test_of_several_new_specs_each_that_was_renamed_is_told() -> None:
    SPEC.rename("specs/higgs.toml")
    Path("specs/new.toml").write_text(edited(BASE, "seed = 1", "seed = 2"))
    built = seesawc("build", "specs/new.toml", "specs/higgs.toml")
    assert built.exit_code == 0
    assert built.stderr.count("its spec is gone") == 1
    assert "and generated/higgs trains anew" in built.stderr


SIDES = "<<<<<<< HEAD\n{}=======\n{}>>>>>>> one\n"


@pytest.mark.parametrize(
    "command", [["build"], ["build", "--check"], ["submit"], ["rerun"], ["status"]]
)
def test_a_merge_that_git_left_undone_is_named_with_the_way_out(command: list[str]) -> None:
    record = FOLDER / "resolved.toml"
    whole = record.read_text()
    line = next(line for line in whole.splitlines(keepends=True) if line.startswith("spec = "))
    conflict = edited(whole, line, SIDES.format(line, line.replace("0", "1")))
    record.write_text(conflict)
    result = seesawc(*command, str(SPEC))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"error: {record} holds a merge conflict\n   = seesawc build --force {SPEC} resolves it"
    )
    assert record.read_text() == conflict
    assert seesawc("build", "--force", str(SPEC)).exit_code == 0
    assert seesawc("build", "--check", str(SPEC)).exit_code == 0
    # A comment that looks a little like it is none.
    with record.open("a") as file:
        file.write("# ====== <<<<<<< ======\n")
    assert "merge conflict" not in seesawc("build", "--check", str(SPEC)).stderr
