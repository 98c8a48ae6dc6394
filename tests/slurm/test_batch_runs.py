"""Batch files run generated scripts to their end, also when they are interrupted."""

from tests.slurm.cluster import COLD, JOB, VENV, Repository

LONG = {"max_epochs": 100_000}


def test_a_job_submitted_from_the_repository_trains_to_the_end(repository: Repository) -> None:
    folder = repository.build("plain", JOB | {"cpus": 2, "memory": "2G"})
    # No cache of modules can be written there.
    for place in (folder / "parts", folder / "parts" / "machinery"):
        (place / "__pycache__").touch()
    job = repository.submit(folder / "submit.sbatch", PATH=COLD, PYTHONSAFEPATH="1")
    record = job.completed()
    assert (record["NumTasks"], record["CPUs/Task"], record["MinMemoryNode"]) == ("1", "2", "2G")
    assert job.pointer.read_text() == f"log: {job.log}\n"
    log = job.log.read_text()
    assert log.startswith(f"job {job.number} on {record['NodeList']}, start 1\n")
    assert f"python: {VENV}/python\n" in log
    assert job.run.json("metrics.json")["metrics"].keys() == {"validation", "test"}
    assert (job.run.path / "done").exists()
    assert [entry.info.status for entry in job.run.entries()] == ["FINISHED"]


def test_two_tasks_submitted_from_the_files_own_folder_share_one_run(
    repository: Repository,
) -> None:
    settings = {"experiment_config": {"devices": 2}}
    folder = repository.build("pair", JOB | {"environment": "${TOY_VENV}"}, **settings)
    # Only the environment that the spec names has Python.
    job = repository.submit(
        folder / "submit.sbatch", place=folder, PATH="/usr/bin:/bin", TOY_VENV=str(VENV.parent)
    )
    assert job.completed()["NumTasks"] == "2"
    assert job.pointer == folder / f"slurm-{job.number}.out"
    assert [path.name for path in job.run.path.parent.glob("[!.]*")] == ["pair"]
    assert len(job.run.entries()) == 1
    # 247 events to train on, in batches of 40 on each of the two.
    steps = [line["step"] for line in job.run.measured() if "train_loss_step" in line]
    assert steps == list(range(1, 9))


def test_a_job_that_is_told_to_save_is_requeued_and_goes_on(repository: Repository) -> None:
    folder = repository.build("warned", training_config={"max_epochs": 40})
    job = repository.submit(folder / "submit.sbatch")
    job.wait_for("epoch 2")
    repository.cluster.run("scancel", "--signal=USR2", job.number)
    assert job.completed()["Restarts"] == "1"
    log = job.log.read_text()
    assert log.count("exit status 75") == 1
    assert log.index(", start 1") < log.index("exit status 75") < log.index(", start 2")
    assert job.pointer.read_text().count(f"log: {job.log}\n") == 2
    epochs = job.run.epochs("val_loss")
    assert epochs == list(range(1, 41))
    assert [entry.info.status for entry in job.run.entries()] == ["FINISHED"]


def test_a_preempted_job_goes_on_and_a_cancelled_one_has_saved(repository: Repository) -> None:
    folder = repository.build("pushed", training_config=LONG)
    job = repository.submit(folder / "submit.sbatch", "--nodelist=node1")
    job.wait_for("epoch 2")
    repository.cluster.run(
        "sbatch", "--partition=urgent", "--nodelist=node1", "--exclusive", "--output=/dev/null",
        "--wrap=true",
    )  # fmt: skip
    job.wait_for(", start 2")
    # SLURM preempts by SIGTERM, as it cancels.
    assert job.log.read_text().count("exit status 143") == 1
    saved = int(job.run.checkpoint()["global_step"])
    assert saved > 0
    job.wait_for("epoch ", job.log.read_text().count("epoch ") + 2)
    repository.cluster.run("scancel", job.number)
    assert job.ended()["JobState"] == "CANCELLED"
    job.wait_for("exit status 143", 2)
    assert int(job.run.checkpoint()["global_step"]) > saved
    assert [entry.info.status for entry in job.run.entries()] == ["KILLED"]
    steps = [line["step"] for line in job.run.measured() if "train_loss_step" in line]
    assert steps == list(range(1, len(steps) + 1))
