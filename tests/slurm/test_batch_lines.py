"""What a batch file asks SLURM for, refuses, loads and starts; a stand-in is in Python's place."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import EXPERIMENT
from tests.slurm.cluster import FULL, JOB, NASTY, ON_GPUS, TELL, Repository, stand_in, tool


def environment(place: Path, hook: str) -> None:
    """Make a venv of the least that one has: a Python, and a way to have it found."""
    stand_in(place / "bin", "python", TELL)
    (place / "bin" / "activate").write_text(
        f'{hook}\nPATH=$(dirname "${{BASH_SOURCE[0]}}"):$PATH\n'
    )


@pytest.mark.parametrize("name", ["ANALYSIS_ML_LOGS_DIR", "ANALYSIS_ML_RESULTS_DIR"])
def test_an_unset_variable_stops_the_job_at_once_and_is_named(
    repository: Repository, name: str
) -> None:
    repository.stand_in("python", TELL)
    job = repository.submit(repository.build("unset") / "submit.sbatch", unset=name)
    assert job.ended()["JobState"] == "FAILED"
    assert f"{name}: is not set, and this job needs it" in job.said()
    assert not job.log.exists()


@pytest.mark.parametrize("place", ["-x", "--help", "two words", "a\nb"])
def test_a_place_of_any_name_is_no_option(repository: Repository, place: str) -> None:
    repository.stand_in("python", 'echo "$ANALYSIS_ML_LOGS_DIR" >seen')
    folder = repository.build("odd_place")
    job = repository.submit(folder / "submit.sbatch", ANALYSIS_ML_LOGS_DIR=place)
    assert job.ended()["JobState"] == "COMPLETED"
    log = repository.folder / place / EXPERIMENT / "odd_place" / f"slurm-{job.number}.log"
    assert f"log: {log}\n" in job.pointer.read_text()
    assert "start 1" in log.read_text()


def test_a_script_that_differs_or_is_not_there_is_refused(repository: Repository) -> None:
    repository.stand_in("python", TELL)
    folder = repository.build("edited")
    elsewhere = repository.submit(folder / "submit.sbatch", place=folder.parent)
    assert elsewhere.ended()["ExitCode"] == "1:0"
    assert "submit from the repository or from generated/edited" in elsewhere.said()
    with (folder / "train_signal.py").open("a") as script:
        script.write("# by hand\n")
    edited = repository.submit(folder / "submit.sbatch")
    assert edited.ended()["ExitCode"] == "1:0"
    assert "is not the script that this file was made with" in edited.said()
    assert not (repository.logs / EXPERIMENT).exists()


def test_without_python_the_job_says_what_to_do(repository: Repository) -> None:
    folder = repository.build("bare")
    repository.bin.mkdir()
    for program in ("bash", "sha256sum", "realpath", "mkdir"):
        (repository.bin / program).symlink_to(tool(program))
    job = repository.submit(folder / "submit.sbatch", PATH=str(repository.bin))
    assert job.ended()["ExitCode"] == "1:0"
    assert "no python; name an environment in the spec" in job.log.read_text()


def test_the_jobs_exit_status_is_the_scripts(repository: Repository) -> None:
    repository.stand_in("python", 'exit "$TOY_STATUS"')
    folder = repository.build("status", JOB | {"requeue": False})
    jobs = {
        status: repository.submit(folder / "submit.sbatch", TOY_STATUS=str(status))
        for status in (0, 1, 3, 75, 143)
    }
    for status, job in jobs.items():
        record = job.ended()
        assert record["ExitCode"] == f"{status}:0"
        assert record["JobState"] == ("FAILED" if status else "COMPLETED")
        assert record["Requeue"] == "0"


def test_slurm_takes_every_directive(repository: Repository) -> None:
    file = repository.build("full", FULL, **ON_GPUS) / "submit.sbatch"
    command = ["sbatch", "--test-only", str(file)]
    variables = repository.environment()
    tested = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert tested.returncode == 0, tested
    job = repository.cluster.job(repository.submit(file, "--hold").number)
    wanted = {
        "JobName": "toy",
        "Partition": "short",
        "Account": "atlas",
        "Features": "avx2&ib",
        "TimeLimit": "00:30:00",
        "NumNodes": "2-2",
        "NumTasks": "4",
        "CPUs/Task": "3",
        "MinMemoryNode": "5G",
        "TresPerNode": "gres:gpu:2",
        "Requeue": "1",
        "MailUser": "higgs@example.org",
        "MailType": "END,FAIL",
        "OverSubscribe": "NO",
        "Comment": "h4l",
    }
    assert {name: job[name] for name in wanted} == wanted


def asked(
    repository: Repository, name: str, table: dict[str, Any], **changes: Any
) -> dict[str, str]:
    """Return what SLURM says of a job that holds."""
    file = repository.build(name, JOB | table, **changes) / "submit.sbatch"
    return repository.cluster.job(repository.submit(file, "--hold").number)


def test_memory_may_be_that_of_a_cpu_or_of_a_gpu_and_gpus_of_a_type(repository: Repository) -> None:
    job = asked(repository, "cpu", {"memory_per_cpu": "2G", "partition": ["main", "short"]})
    assert (job["MinMemoryCPU"], job["Partition"]) == ("2G", "main,short")
    both = {"memory_per_gpu": "3G", "partition": "main,short", "gpu_type": "toy"}
    job = asked(repository, "gpu", both, **ON_GPUS)
    assert (job["MemPerTres"], job["Partition"]) == ("gres:gpu:3072", "main,short")
    assert job["TresPerNode"] == "gres:gpu:toy:2"


@pytest.mark.parametrize(
    "table", [{"memory_per_cpu": "1G"}, {"memory_per_gpu": "1G", "gpu_type": "toy"}]
)
def test_tasks_get_what_the_job_asked_for(repository: Repository, table: dict[str, Any]) -> None:
    repository.stand_in("python", 'echo "$SLURM_LOCALID sees ${CUDA_VISIBLE_DEVICES-none}"')
    job = repository.submit(repository.build("got", JOB | table, **ON_GPUS) / "submit.sbatch")
    job.completed()
    log = job.log.read_text()
    assert ("0 sees 0,1\n" in log, "1 sees 0,1\n" in log) == (True, True)


def test_each_device_of_each_node_has_a_task_that_sees_the_nodes_gpus(
    repository: Repository,
) -> None:
    repository.stand_in("python", 'echo "$SLURM_NODEID $SLURM_LOCALID $CUDA_VISIBLE_DEVICES"')
    job = repository.submit(repository.build("gpus", FULL, **ON_GPUS) / "submit.sbatch")
    job.completed()
    tasks = [line for line in job.log.read_text().splitlines() if line.endswith(" 0,1")]
    assert sorted(tasks) == ["0 0 0,1", "0 1 0,1", "1 0 0,1", "1 1 0,1"]


def test_a_job_submitted_by_a_job_has_its_own_settings(repository: Repository) -> None:
    repository.stand_in("python", TELL)
    folder = repository.build("inner", JOB | {"memory": "1G"})
    outer = (
        "#!/bin/bash\n#SBATCH --nodes=2 --ntasks=4 --cpus-per-task=3 --gpus-per-node=2"
        f" --mem-per-cpu=100 --output={repository.folder}/outer.out\n"
        "srun --ntasks=1 --nodes=1 --cpu-bind=cores --distribution=cyclic"
        f" sbatch --parsable {folder}/submit.sbatch\n"
    )
    (repository.folder / "outer.sbatch").write_text(outer)
    job = repository.submit(repository.folder / "outer.sbatch")
    job.completed()
    number = (repository.folder / "outer.out").read_text().split()[-1]
    record = repository.cluster.wait(number)
    log = repository.logs / "toy" / "inner" / f"slurm-{number}.log"
    assert record["JobState"] == "COMPLETED", log.read_text()
    assert f"task 0 of 1: python {folder}/train_signal.py --srun" in log.read_text()


def test_a_venv_and_modules_are_loaded_whatever_their_names(repository: Repository) -> None:
    # The real ones use variables that are not set.
    environment(repository.folder / NASTY, 'echo "activated ${_OLD_VIRTUAL_PATH}"')
    table = JOB | {"environment": f"${{TOY_HOME}}/{NASTY}", "modules": ["cuda/12.4", "gcc/13"]}
    file = repository.build("venv", table) / "submit.sbatch"
    repository.variables["BASH_FUNC_module%%"] = '() { echo "module $* $NOT_SET"; }'
    job = repository.submit(file, TOY_HOME=str(repository.folder))
    job.completed()
    log = job.log.read_text()
    assert "module load cuda/12.4 \nmodule load gcc/13 \nactivated \npython: " in log


def test_a_relative_environment_starts_at_the_specs_folder(repository: Repository) -> None:
    folder = repository.build("beside", JOB | {"environment": f"venvs/{NASTY}"})
    environment(repository.folder / "specs" / "venvs" / NASTY, "echo activated")
    job = repository.submit(folder / "submit.sbatch", place=folder)
    job.completed()
    assert "activated\n" in job.log.read_text()


def test_a_name_is_that_of_a_conda_environment(repository: Repository) -> None:
    base = repository.folder / "conda base"
    profile = base / "etc" / "profile.d" / "conda.sh"
    profile.parent.mkdir(parents=True)
    profile.write_text(
        'conda() { echo "conda: $# arguments: $* $NOT_SET"; export CONDA_PREFIX="$HOME/$2"; }\n'
    )
    (repository.folder / "home" / "ml-3.11").mkdir(parents=True)
    repository.variables["HOME"] = str(repository.folder / "home")
    repository.stand_in("conda", f'[[ $* == "info --base" ]] && echo "{base}"')
    repository.stand_in("python", TELL)
    job = repository.submit(
        repository.build("conda", JOB | {"environment": "ml-3.11"}) / "submit.sbatch"
    )
    job.completed()
    assert "conda: 2 arguments: activate ml-3.11" in job.log.read_text()


@pytest.mark.parametrize("gpus", [0, 2])
def test_a_container_runs_the_script_with_its_own_python(repository: Repository, gpus: int) -> None:
    repository.stand_in("apptainer", r'printf "<%s>" "$@"; echo')
    changes = ON_GPUS if gpus else {}
    table = JOB | {"container": f"images/{NASTY}.sif", "gpus": gpus}
    folder = repository.build("boxed", table, **changes)
    job = repository.submit(folder / "submit.sbatch")
    job.completed()
    image = repository.folder / "specs" / "images" / f"{NASTY}.sif"
    options = "<--nv>" if gpus else ""
    said = f"<exec>{options}<{image}><python><{folder}/train_signal.py><--srun>"
    assert job.log.read_text().count(said) == max(1, gpus)


def test_an_image_may_be_a_uri(repository: Repository) -> None:
    repository.stand_in("apptainer", 'echo "$*"')
    table = JOB | {"container": "docker://ghcr.io/atlas/ml:1.2"}
    job = repository.submit(repository.build("uri", table) / "submit.sbatch")
    job.completed()
    assert "exec docker://ghcr.io/atlas/ml:1.2 python" in job.log.read_text()


def test_the_warning_before_the_time_limit_reaches_the_script_and_requeues_the_job(
    repository: Repository,
) -> None:
    """Slow: SLURM looks at its clock every half a minute."""
    # The script counts its starts: warned in the first, killed before it listens in the second.
    repository.stand_in(
        "python",
        """
        if [[ ! $SLURM_RESTART_COUNT ]]; then
            trap 'echo "warned after $SECONDS s"; exit 75' USR2
            while true; do sleep 0.2; done
        elif [[ $SLURM_RESTART_COUNT == 1 ]]; then
            kill -USR2 $$
        fi
        """,
    )
    table = {"time": "00:02:00", "signal_lead": 60}
    job = repository.submit(repository.build("warned", table) / "submit.sbatch")
    record = job.completed()
    log = job.log.read_text()
    assert record["Restarts"] == "2", log
    assert "warned after " in log
    assert [log.count(f", start {count}\n") for count in (1, 2, 3, 4)] == [1, 1, 1, 0]
