"""Several tasks of a job train one network: on one node, on two, stopped, killed and continued."""

import math
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, same
from tests.slurm.cluster import JOB, Job, Repository

# Their step is a step of 40 events for one task, and of 20 for each of two.
PAIR: dict[str, Any] = {"experiment_config": {"devices": 2}, "dataset_config": {"batch_size": 20}}
ALONE: dict[str, Any] = {"dataset_config": {"batch_size": 40}}
# Without dropout, whose masks are each task's own, the tasks' mean is the gradient of one.
PLAIN: dict[str, Any] = {"model_config": {"architecture_config": {"dropout": 0.0}}}
EPOCHS: dict[str, Any] = {"training_config": {"max_epochs": 3}}


def finished(job: Job) -> Run:
    job.completed()
    return job.run


def assert_alike(run: Run, other: Run) -> None:
    """Assert that the metrics of two runs agree but for the order in which numbers are added."""
    pairs = list(zip(run.measured(), other.measured(), strict=True))
    assert pairs
    for a, b in pairs:
        assert a.keys() == b.keys()
        for name, value in a.items():
            assert math.isclose(value, b[name], rel_tol=1e-4, abs_tol=1e-6), (name, a, b)


def test_two_tasks_on_one_node_and_on_two_train_what_one_task_does(repository: Repository) -> None:
    """Also where a batch cannot be shared out evenly: there are 247 events to train on."""
    alone = repository.build("alone", **ALONE, **PLAIN, **EPOCHS)
    near = repository.build("near", **PAIR, **PLAIN, **EPOCHS)
    settings = PAIR["experiment_config"] | {"devices": 1}
    far = repository.build(
        "far", JOB | {"nodes": 2}, **PAIR | {"experiment_config": settings}, **PLAIN, **EPOCHS
    )
    jobs = [repository.submit(folder / "submit.sbatch") for folder in (alone, near, far)]
    one, *others = map(finished, jobs)
    assert jobs[1].ended()["NumNodes"] == "1"
    assert jobs[2].ended()["NumNodes"] == "2"
    for run in others:
        assert_alike(run, one)
        assert len(run.entries()) == 1
        assert run.logged() == run.recorded()
    # The same numbers are added in the same order, wherever the tasks are.
    assert others[0].measured() == others[1].measured()
    assert same(others[0].weights(), others[1].weights())


@pytest.mark.parametrize("nodes", [1, 2])
def test_two_tasks_that_are_stopped_again_and_again_end_as_if_they_had_not_been(
    repository: Repository, nodes: int
) -> None:
    """Told to save, requeued from outside, and one of them killed."""
    shape = {"experiment_config": {"devices": 2 // nodes}, "training_config": {"max_epochs": 30}}
    dropout = {"dataset_config": {"batch_size": 20}}
    table = JOB | {"nodes": nodes}
    straight = repository.submit(
        repository.build(f"straight{nodes}", table, **shape, **dropout) / "submit.sbatch"
    )
    job = repository.submit(
        repository.build(f"stopped{nodes}", table, **shape, **dropout) / "submit.sbatch"
    )
    job.wait_for("epoch 3/")
    repository.cluster.run("scancel", "--signal=USR2", job.number)
    job.wait_for("start 2")
    job.wait_for("epoch ", job.log.read_text().count("epoch ") + 2)
    repository.cluster.run("scontrol", "requeue", job.number)
    job.wait_for("start 3")
    job.wait_for("epoch ", job.log.read_text().count("epoch ") + 2)
    strike_second_task(job, signal.SIGKILL)
    record = job.ended()
    assert record["JobState"] == "FAILED"
    # Whoever submits it again finds everything.
    again = repository.submit(repository.folder / "generated" / f"stopped{nodes}" / "submit.sbatch")
    run, expected = finished(again), finished(straight)
    assert run.measured() == expected.measured()
    assert same(run.weights(), expected.weights())
    assert run.logged() == run.recorded()
    assert [entry.info.status for entry in run.entries()] == ["FINISHED"]


def test_all_tasks_save_and_end_when_one_of_them_is_told_to(repository: Repository) -> None:
    settings = {"experiment_config": {"devices": 2}, "training_config": {"max_epochs": 100_000}}
    job = repository.submit(repository.build("one-told", **settings) / "submit.sbatch")
    job.wait_for("epoch 2/")
    strike_second_task(job, signal.SIGTERM)
    assert job.ended()["ExitCode"] == "143:0"
    assert job.run.json("ended.json")["status"] == 143
    assert not (job.run.path / "lock").exists()
    newest = job.run.json("checkpoints/newest.json")
    assert newest["step"] == max(job.run.series("train_loss_step"))
    assert [entry.info.status for entry in job.run.entries()] == ["KILLED"]


def strike_second_task(job: Job, number: int) -> None:
    """Send a signal to the task of rank 1; SIGKILL is what it gets where memory runs out."""
    wanted = {f"SLURM_JOB_ID={job.number}".encode(), b"SLURM_PROCID=1"}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes().split(b"\0")
            if b"--srun" in words and wanted <= {*(place / "environ").read_bytes().split(b"\0")}:
                os.kill(int(place.name), number)
                return
    raise AssertionError(f"there is no second task: {job.said()}")


def test_a_script_started_by_hand_within_an_allocation_is_a_run_of_its_own(
    repository: Repository, tmp_path: Path
) -> None:
    """The variables of the allocation name two tasks, and a port where another job's met."""
    folder = repository.build("by-hand", **EPOCHS)
    batch = tmp_path / "outer.sbatch"
    script = folder / "train_signal.py"
    batch.write_text(
        "#!/bin/bash\n#SBATCH --nodes=1 --ntasks-per-node=2 --output=outer.log\n"
        f"export MASTER_PORT=1 MASTER_ADDR=nowhere WORLD_SIZE=2\npython {script}\n"
    )
    job = repository.submit(batch, place=tmp_path)
    assert repository.cluster.wait(job.number)["JobState"] == "COMPLETED", (
        tmp_path / "outer.log"
    ).read_text()
    run = Run(repository.logs / "toy" / "by-hand")
    assert (run.path / "done").exists()
    assert len(run.entries()) == 1
