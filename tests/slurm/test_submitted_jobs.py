"""seesawc's own commands on a real SLURM: submit, status and rerun."""

import json
import re

from tests.runs.experiments import EXPERIMENT, Run
from tests.slurm.cluster import JOB, PACKAGE, SEESAWC, Job, Repository, command, recorded


def found(repository: Repository, name: str, said: str) -> Job:
    """Return the job that a command says it submitted."""
    match = re.search(r"^submitted job (\d+)\nlog: (.*)\n", said, re.MULTILINE)
    assert match, said
    number = match[1]
    run = Run(repository.logs / EXPERIMENT / name)
    job = Job(repository.cluster, number, repository.folder / f"slurm-{number}.out", run)
    assert match[2] == str(job.log)
    return job


def state(repository: Repository, name: str) -> str:
    said = command(repository, "status", f"specs/{name}.toml", "--format", "json").stdout
    (row,) = json.loads(said)
    return str(row["state"])


def test_a_submitted_job_is_recorded_and_followed_to_its_end(repository: Repository) -> None:
    repository.build("whole", JOB)
    spec = "specs/whole.toml"
    assert state(repository, "whole") == "not started"
    job = found(repository, "whole", command(repository, "submit", spec).stdout)
    assert recorded(job) == [job.number]
    job.completed()
    said = command(repository, "status", spec)
    title, row = said.stdout.splitlines()
    assert title.split() == ["state", "epoch", "best", "val_loss", "path"]
    done, epoch, best, path = row.split()
    assert (done, epoch, path) == ("done", "2/2", str(job.run.path))
    assert float(best) == float(f"{min(job.run.series('val_loss').values()):.6g}")
    rerun = command(repository, "rerun", "--submit", spec)
    assert (rerun.stdout, rerun.stderr) == ("nothing to run again: 1 done\n", "")
    assert recorded(job) == [job.number]


def test_an_edited_script_and_a_missing_variable_submit_nothing(repository: Repository) -> None:
    folder = repository.build("edited", JOB)
    unset = command(
        repository, "submit", "specs/edited.toml", status=1, unset="ANALYSIS_ML_RESULTS_DIR"
    )
    assert "ANALYSIS_ML_RESULTS_DIR" in unset.stderr
    with (folder / "train_signal.py").open("a") as script:
        script.write("# by hand\n")
    refused = command(repository, "submit", "specs/edited.toml", status=1)
    assert "is not what specs/edited.toml compiles to: train_signal.py" in refused.stderr
    assert repository.cluster.run("squeue", "-h") == ""
    assert not (repository.logs / EXPERIMENT).exists()


def test_slurm_is_asked_before_anything_is_submitted(repository: Repository) -> None:
    repository.build("asked", JOB | {"partition": "short"})
    repository.build("nowhere", JOB | {"partition": "nowhere"})
    for arguments in (["build", "--test-only"], ["submit", "--test-only"]):
        good = command(repository, *arguments, "specs/asked.toml")
        assert re.search(
            r"generated/asked/submit.sbatch: Job \d+ to start at .* in partition short\n",
            good.stdout,
        )
        bad = command(repository, *arguments, "specs/nowhere.toml", status=1)
        assert "error: sbatch refuses: invalid partition specified: nowhere" in bad.stderr
        assert "1 mistake; nothing was submitted" in bad.stderr
    assert "sbatch refuses" in command(repository, "submit", "specs/nowhere.toml", status=1).stderr
    assert repository.cluster.run("squeue", "-h") == ""
    assert not (repository.logs / EXPERIMENT).exists()


def test_a_job_that_submits_hands_nothing_of_its_own_down(repository: Repository) -> None:
    # Stands in for training: what the inner job sees of the outer one's settings.
    repository.stand_in("python", 'echo "account: ${SBATCH_ACCOUNT-none}, $SLURM_NTASKS tasks"')
    repository.build("inner", JOB | {"memory": "1G"})
    outer = repository.folder / "outer.sbatch"
    outer.write_text(
        "#!/bin/bash\n#SBATCH --ntasks=4 --cpus-per-task=3 --gpus-per-node=2 --mem-per-cpu=100"
        f" --output={repository.folder}/outer.out\n"
        "export SLURM_CPU_BIND=cores SLURM_DISTRIBUTION=cyclic SLURM_EXPORT_ENV=NONE\n"
        "export SBATCH_ACCOUNT=outer SBATCH_TIMELIMIT=00:01:00 SRUN_CPUS_PER_TASK=3\n"
        f"PYTHONPATH={PACKAGE} srun --ntasks=1 --cpu-bind=none --export=ALL"
        f" {' '.join(SEESAWC)} submit specs/inner.toml\n"
    )
    repository.submit(outer).completed()
    job = found(repository, "inner", (repository.folder / "outer.out").read_text())
    record = job.completed()
    assert record["TimeLimit"] == "00:10:00"
    assert (record["NumTasks"], record["CPUs/Task"], record["MinMemoryNode"]) == ("1", "1", "1G")
    assert "account: none, 1 tasks" in job.log.read_text()
    assert recorded(job) == [job.number]


def test_a_failed_run_is_submitted_again_but_not_while_it_waits(repository: Repository) -> None:
    repository.build("broken", JOB | {"requeue": False}, training_config={"max_epochs": 3})
    # The first start dies as a killed process does: it has begun its record, and leaves no word.
    record = repository.logs / EXPERIMENT / "broken" / "metrics.jsonl"
    repository.stand_in("python", f'touch "{record}"; exit 9')
    spec = "specs/broken.toml"
    first = found(repository, "broken", command(repository, "submit", spec).stdout)
    assert first.ended()["ExitCode"] == "9:0"
    repository.cluster.drained()
    assert state(repository, "broken") == "lost"
    printed = command(repository, "rerun", "--failed", spec)
    assert printed.stdout == "sbatch generated/broken/submit.sbatch\n"
    (repository.bin / "python").unlink()
    with repository.cluster.full():
        again = command(repository, "rerun", "--failed", "--submit", spec)
        second = found(repository, "broken", again.stdout)
        assert recorded(second) == [first.number, second.number]
        waits = command(repository, "rerun", "--submit", spec)
        assert (waits.stdout, waits.stderr) == (
            "nothing to run again: 1 lost\n",
            "1 more in SLURM's queue\n",
        )
    second.completed()
    assert state(repository, "broken") == "done"
