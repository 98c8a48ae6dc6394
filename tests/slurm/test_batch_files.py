"""Batch files without SLURM: srun and scontrol are stand-ins, and shellcheck reads every kind."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import FULL, JOB, NASTY, ON_GPUS, build_job, stand_in, tool

ROOT = Path(__file__).resolve().parents[2]
SWEEP = {"sweep_config": {"seeds": [1, 2], "max_parallel": 2}}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (JOB, {}),
    "full": (FULL, ON_GPUS),
    "venv": (JOB | {"environment": f"${{TOY_HOME}}/{NASTY}", "modules": ["cuda/12.4"]}, {}),
    "beside": (JOB | {"environment": f"venvs/{NASTY}", "requeue": False}, {}),
    "conda": (JOB | {"environment": "ml-3.11"}, {}),
    "boxed": (JOB | {"container": f"images/{NASTY}.sif", "gpus": 2}, ON_GPUS),
    "uri": (JOB | {"container": "docker://ghcr.io/atlas/ml:1.2"}, {}),
    "swept": (JOB, SWEEP),
}


@pytest.mark.parametrize("kind", [*KINDS, "committed"])
def test_bash_and_shellcheck_find_nothing(tmp_path: Path, kind: str) -> None:
    if kind == "committed":
        files = sorted([*ROOT.glob("generated/*/*.sbatch"), *ROOT.glob("generated/*/*.sh")])
        assert len(files) > 5
    else:
        slurm, changes = KINDS[kind]
        files = [build_job(tmp_path, kind, slurm, **changes) / "submit.sbatch"]
    for file in files:
        subprocess.run(["bash", "-n", file], check=True)
    # Activation scripts are not at hand (SC1091); names hold what should stay as it is (SC2016).
    checked = subprocess.run(
        [tool("shellcheck"), "--exclude=SC1091,SC2016", *files], capture_output=True, text=True
    )
    assert checked.stdout == ""


class Job:
    """A job whose srun and scontrol only say what they were asked."""

    def __init__(self, place: Path, slurm: dict[str, Any], **changes: Any) -> None:
        self.place = place
        self.folder = build_job(place, "job", slurm, **changes)
        self.bin = place / "bin"
        self.words: list[str] = []
        stand_in(self.bin, "python", "exit 99")
        stand_in(self.bin, "srun", 'printf "<%s>" "$@"; echo; env | sort; exit "$TOY_STATUS"')
        stand_in(self.bin, "scontrol", 'echo "scontrol $*"; exit "${TOY_REFUSED:-0}"')

    def run(self, status: int, **variables: str) -> tuple[int, str]:
        """Return the job's exit status, and its log."""
        environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "ANALYSIS_ML_LOGS_DIR": str(self.place / "logs"),
            "ANALYSIS_ML_RESULTS_DIR": str(self.place / "results"),
            "SLURM_SUBMIT_DIR": str(self.place),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NODELIST": "node1",
            "SLURM_CPUS_PER_TASK": "3",
            "TOY_STATUS": str(status),
        }
        logs = self.place / "logs" / "toy"
        for log in logs.glob("*/slurm-*.log"):
            log.unlink()
        file = self.folder / "submit.sbatch"
        ended = subprocess.run(
            ["bash", file, *self.words], env=environment | variables, capture_output=True, text=True
        )
        (log,) = logs.glob("*/slurm-*.log")
        return ended.returncode, log.read_text()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path, JOB)


def test_the_tasks_are_started_by_one_srun_that_ends_those_left_over(job: Job) -> None:
    status, log = job.run(0)
    assert status == 0
    words = ("--cpus-per-task=3", "--export=ALL", "--wait=300", "python")
    asked = "".join(f"<{word}>" for word in (*words, f"{job.folder}/train_signal.py", "--srun"))
    assert log.count(asked + "\n") == 1
    assert log.count("<--srun>") == 1


INHERITED = (
    *("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK"),
    "PYTHONSAFEPATH",
    *("SLURM_CPU_BIND", "SLURM_CPU_BIND_TYPE", "SLURM_GPUS_PER_NODE", "SLURM_GPU_BIND"),
    *("SLURM_MEM_PER_CPU", "SLURM_TRES_PER_TASK", "SLURM_DISTRIBUTION"),
)


@pytest.mark.parametrize("name", INHERITED)
def test_nothing_of_an_outer_job_or_an_outer_training_reaches_the_tasks(
    job: Job, name: str
) -> None:
    _, log = job.run(0, **{name: "7"}, TOY_OTHER="7")
    assert f"\n{name}=7\n" not in log
    assert "\nTOY_OTHER=7\n" in log


def test_a_job_that_has_saved_is_requeued_a_hundred_times(job: Job) -> None:
    for status in (75, 140):
        for restarts in ("", "0", "1", "99"):
            ended, log = job.run(status, SLURM_RESTART_COUNT=restarts)
            assert (ended, log.count("scontrol requeue 17\n")) == (0, 1), restarts
        for restarts in ("100", "101"):
            ended, log = job.run(status, SLURM_RESTART_COUNT=restarts)
            assert (ended, log.count("scontrol")) == (status, 0), restarts
            assert "not requeued: this was the 100th restart" in log


def test_a_job_that_cannot_be_requeued_keeps_its_status(job: Job) -> None:
    ended, log = job.run(75, TOY_REFUSED="1")
    assert ended == 75
    assert "cannot requeue here; submit again to go on" in log


@pytest.mark.parametrize("status", [0, 1, 3, 4, 70, 130, 143])
def test_other_ends_are_the_jobs_own(job: Job, status: int) -> None:
    ended, log = job.run(status)
    assert ended == status
    assert "scontrol" not in log


@pytest.mark.parametrize("status", [75, 140])
def test_without_requeue_the_status_stays(tmp_path: Path, status: int) -> None:
    ended, log = Job(tmp_path, JOB | {"requeue": False}).run(status)
    assert ended == status
    assert "scontrol" not in log


def test_a_member_of_an_array_requeues_itself_alone(tmp_path: Path) -> None:
    job = Job(tmp_path, JOB, **SWEEP)
    ended, log = job.run(75, SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="1")
    assert ended == 0
    assert "scontrol requeue 12_1\n" in log
    assert "<--srun><--point><1>\n" in log


@pytest.mark.parametrize(("word", "point"), [("0", 1), ("1", 2), ("08", 9), ("400", 401)])
def test_a_member_of_a_later_array_trains_a_later_point(
    tmp_path: Path, word: str, point: int
) -> None:
    job = Job(tmp_path, JOB, sweep_config={"seeds": list(range(500))})
    job.words = [word]
    ended, log = job.run(75, SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="1")
    assert ended == 0
    # SLURM knows it by its index.
    assert "scontrol requeue 12_1\n" in log
    assert f"<--srun><--point><{point}>\n" in log


def test_the_log_says_which_start_it_is(job: Job) -> None:
    for count, start in (("", 1), ("4", 5)):
        _, log = job.run(0, SLURM_RESTART_COUNT=count)
        assert log.startswith(f"job 17 on node1, start {start}\n")
        assert f"python: {job.bin}/python\n" in log
