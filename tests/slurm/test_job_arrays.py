"""The batch file of a sweep is one job array: each member trains a point."""

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.runs.experiments import EXPERIMENT, Run
from tests.slurm.cluster import TELL, Cluster, Job, Repository

GRID = {"training_config": {"optimizer": {"optimizer_params": {"lr": [0.01, 0.003]}}}}
SWEEP: dict[str, Any] = {"seeds": [1, 2], "max_parallel": 2, "grid": GRID}


def names(folder: Path) -> list[str]:
    """Return the run names of the points, as the batch file has them."""
    found = re.search(r"^runs=\(\n(.*?)^\)", (folder / "submit.sbatch").read_text(), re.M | re.S)
    assert found
    return found[1].split()


def member(job: Job, index: int, folder: Path) -> Job:
    """Return a member of an array as a job of its own."""
    name = f"{job.number}_{index}"
    run = Run(job.run.path.parent / names(folder)[index])
    return Job(job.cluster, name, job.pointer.with_name(f"slurm-{name}.out"), run)


def left(runs: list[Run]) -> dict[str, tuple[str, int]]:
    """Return what runs have left but for the logs of jobs: digest and time of each file."""
    found = runs[0].files().items()
    names = [f"/{run.path.name}/" for run in runs]
    return {
        path: what
        for path, what in found
        if any(name in path for name in names) and not path.endswith(".log")
    }


def most_at_a_time(cluster: Cluster, number: str) -> str:
    return cluster.run("scontrol", "-o", "show", "job", number)


def test_an_array_trains_every_point(repository: Repository) -> None:
    folder = repository.build("swept", sweep_config=SWEEP)
    job = repository.submit(folder / "submit.sbatch")
    assert "ArrayTaskThrottle=2" in most_at_a_time(repository.cluster, job.number)
    runs = []
    for index, name in enumerate(names(folder)):
        each = member(job, index, folder)
        each.completed()
        assert each.pointer.read_text() == f"log: {each.log}\n"
        assert each.log.read_text().startswith(f"job {each.number} on ")
        assert each.run.path.name == name
        assert (each.run.path / "done").exists()
        (entry,) = each.run.entries()
        assert entry.info.status == "FINISHED"
        assert entry.data.tags["sweep"] == "swept"
        assert name == f"swept-{entry.data.tags['point']}"
        runs.append(each.run)
    assert len({path.name for path in runs[0].path.parent.glob("[!.]*")}) == 4
    assert len({str(run.series("val_loss")) for run in runs}) == 4

    before = left(runs)
    points = [{"training_config": {"max_epochs": 1}}]
    repository.build("swept", sweep_config={**SWEEP, "seeds": [1, 2], "points": points})
    again = repository.submit(folder / "submit.sbatch", "--array=4")
    added = member(again, 4, folder)
    added.completed()
    assert added.run.epochs("val_loss") == [1]
    untouched = repository.submit(folder / "submit.sbatch", "--array=2")
    member(untouched, 2, folder).completed()
    assert "is finished" in member(untouched, 2, folder).log.read_text()
    assert left(runs) == before


def test_a_member_that_is_told_to_save_is_requeued_alone(repository: Repository) -> None:
    folder = repository.build("warned", sweep_config=SWEEP, training_config={"max_epochs": 40})
    job = repository.submit(folder / "submit.sbatch", "--array=0,2")
    first, last = (member(job, index, folder) for index in (0, 2))
    for each in (first, last):
        each.wait_for("epoch 2")
    # The last member's own number is the array's: a requeue of that would be one of all members.
    repository.cluster.run("scancel", "--signal=USR2", last.number)
    assert last.completed()["Restarts"] == "1"
    assert first.completed()["Restarts"] == "0"
    assert last.log.read_text().count("exit status 75") == 1
    for each in (first, last):
        assert each.run.epochs("val_loss") == list(range(1, 41))
        assert [entry.info.status for entry in each.run.entries()] == ["FINISHED"]


def test_what_is_no_member_or_one_too_many_is_refused(repository: Repository) -> None:
    repository.stand_in("python", TELL)
    folder = repository.build("counted", sweep_config=SWEEP)
    file = folder / "submit.sbatch"
    beyond = repository.submit(file, "--array=9")
    outside = subprocess.run(
        ["bash", file], env=repository.environment(), capture_output=True, text=True
    )
    assert outside.returncode == 1
    assert outside.stderr == "refused: this is no member of an array; the points are --array=0-3\n"
    member_of = Job(
        beyond.cluster,
        f"{beyond.number}_9",
        beyond.pointer.with_name(f"slurm-{beyond.number}_9.out"),
        Run(repository.logs / EXPERIMENT / "none"),
    )
    assert member_of.ended()["ExitCode"] == "1:0"
    assert "there is no point 9; the points are --array=0-3" in member_of.said()
    inside = repository.submit(file, "--array=3")
    each = member(inside, 3, folder)
    each.completed()
    assert "train_signal.py --srun --point 3\n" in each.log.read_text()


def test_words_after_the_file_say_with_which_point_an_array_begins(repository: Repository) -> None:
    repository.stand_in("python", TELL)
    folder = repository.build("later", sweep_config=SWEEP)
    job = repository.submit(folder / "submit.sbatch", "--array=0-2", words=("2",))
    for index in (0, 1):
        log = (
            repository.logs
            / EXPERIMENT
            / names(folder)[2 + index]
            / f"slurm-{job.number}_{index}.log"
        )
        assert repository.cluster.wait(f"{job.number}_{index}")["ExitCode"] == "0:0"
        assert f"train_signal.py --srun --point {2 + index}\n" in log.read_text()
    assert repository.cluster.wait(f"{job.number}_2")["ExitCode"] == "1:0"
    said = job.pointer.with_name(f"slurm-{job.number}_2.out").read_text()
    assert "there is no point 4; the points are --array=0-3" in said
