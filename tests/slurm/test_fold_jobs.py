"""A cross-validation on a real SLURM: an array of trainings, and then what combines their folds."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seesawc import pipeline
from tests.runs.experiments import EXPERIMENT, Run
from tests.slurm.cluster import JOB, Job, Repository, command, recorded

K = 3
FOLDS: dict[str, Any] = {"dataset_config": {"folds": K}}
# In the place of Python, where training is not the question: says what it was given.
SAYS = 'echo "started: ${1##*/} ${*:2}"'


def submitted(repository: Repository, name: str, said: str) -> tuple[str, Job]:
    """Return the array, and the job that combines, that a command says it submitted."""
    match = re.search(r"^submitted jobs (\d+), (\d+) \(combine\)", said, re.MULTILINE)
    assert match, said
    return match[1], combining(repository, name, match[2])


def combining(repository: Repository, name: str, number: str) -> Job:
    run = Run(repository.logs / EXPERIMENT / f"{name}-combined")
    return Job(repository.cluster, number, repository.folder / f"slurm-{number}.out", run)


def member(repository: Repository, name: str, array: str, index: int) -> Job:
    """Return a member of an array as a job of its own."""
    folder = repository.folder / "generated" / name
    runs = pipeline.compile_spec(repository.folder / "specs" / f"{name}.toml", folder).runs
    run = Run(repository.logs / EXPERIMENT / runs[index].name)
    number = f"{array}_{index}"
    return Job(repository.cluster, number, repository.folder / f"slurm-{number}.out", run)


def states(repository: Repository, name: str) -> list[str]:
    """Return the state of each fold in order, and that of their combination."""
    words = ("status", f"specs/{name}.toml", "--sort", "index", "--format", "json")
    return [row["state"] for row in json.loads(command(repository, *words).stdout)]


def test_folds_are_trained_side_by_side_and_combined_then(repository: Repository) -> None:
    repository.build("folded", **FOLDS)
    spec = "specs/folded.toml"
    assert "to start at" in command(repository, "submit", "--test-only", spec).stdout
    with repository.cluster.full():
        array, last = submitted(repository, "folded", command(repository, "submit", spec).stdout)
        depends = repository.cluster.job(last.number)["Dependency"]
        assert re.findall(r"afterok:(\d+)", depends) == [array]
        assert states(repository, "folded") == ["submitted"] * (K + 1)
        waits = command(repository, "rerun", spec)
        assert waits.stdout.startswith("nothing to run again")
        assert waits.stderr == f"{K} more in SLURM's queue\n"
    record = last.completed()
    trained = [member(repository, "folded", array, index) for index in range(K)]
    for each in trained:
        assert record["StartTime"] >= each.completed()["EndTime"]
        assert recorded(each) == [each.number]
    assert recorded(last) == [last.number]
    assert (record["NumTasks"], record["NumNodes"]) == ("1", "1")
    assert states(repository, "folded") == ["done"] * (K + 1)
    names = {path.name for path in (last.run.path / "deploy").glob("*.onnx")}
    assert names == {f"model_{fold}.onnx" for fold in range(K)}
    again = command(repository, "rerun", "--submit", spec)
    assert again.stdout == f"nothing to run again: {K} done\n"


def test_what_combines_waits_for_a_member_that_was_requeued(repository: Repository) -> None:
    repository.build("requeued", JOB | {"requeue": True}, **FOLDS)
    # The second fold is told to save in its first two starts.
    repository.stand_in(
        "python", f'{SAYS}\n[[ $* != *"--point 1" || ${{SLURM_RESTART_COUNT:-0}} == 2 ]] || exit 75'
    )
    said = command(repository, "submit", "specs/requeued.toml").stdout
    array, last = submitted(repository, "requeued", said)
    record, second = last.completed(), member(repository, "requeued", array, 1)
    assert second.completed()["Restarts"] == "2"
    assert record["StartTime"] >= second.ended()["EndTime"]
    assert last.log.read_text().count("started: ") == 1
    assert "started: combine.py \n" in last.log.read_text()


def test_after_a_fold_has_failed_it_and_the_combination_are_run_again(
    repository: Repository,
) -> None:
    repository.build("failing", **FOLDS)
    mark = repository.bin / "failed"
    repository.stand_in(
        "python",
        f'[[ $* != *"--point 1" || -e "{mark}" ]] || {{ touch "{mark}"; exit 3; }}\n'
        f'exec "{repository.warm.launcher}/python" "$@"',
    )
    spec = "specs/failing.toml"
    array, last = submitted(repository, "failing", command(repository, "submit", spec).stdout)
    record = last.ended()
    assert (record["JobState"], record["Reason"]) == ("CANCELLED", "DependencyNeverSatisfied")
    assert not last.log.exists()
    for index in (0, 2):
        member(repository, "failing", array, index).completed()
    repository.cluster.drained()
    assert states(repository, "failing") == ["done", "submitted", "done", "submitted"]
    printed = command(repository, "rerun", spec).stdout
    assert printed == "bash generated/failing/submit.sh --array=1\n"
    said = command(repository, "rerun", "--submit", spec).stdout
    array, last = submitted(repository, "failing", said)
    assert "runs 1\n" in said
    last.completed()
    assert states(repository, "failing") == ["done"] * (K + 1)
    # It alone may be lost, and is done again alone.
    (last.run.path / "metrics.json").unlink()
    assert command(repository, "rerun", spec).stdout == (
        "sbatch generated/failing/submit_combine.sbatch\n"
    )


def test_what_combines_waits_for_members_of_earlier_arrays(repository: Repository) -> None:
    repository.build("earlier", **FOLDS)
    repository.stand_in("python", f"{SAYS}\nsleep 0.5")
    spec = "specs/earlier.toml"
    with repository.cluster.full():
        first = command(repository, "submit", "--array", "0,2", spec)
        assert "folds are not combined after them: runs 1 are" in first.stderr
        number = re.findall(r"submitted job (\d+), runs 0,2", first.stdout)[0]
        said = command(repository, "submit", "--array", "1", spec).stdout
        array, last = submitted(repository, "earlier", said)
        depends = repository.cluster.job(last.number)["Dependency"]
        assert f"afterok:{array}" in depends
        for index in (0, 2):
            assert f"afterok:{number}_{index}" in depends
    record = last.completed()
    for job, index in ((number, 0), (number, 2), (array, 1)):
        other = member(repository, "earlier", job, index).completed()
        assert record["StartTime"] >= other["EndTime"]


def test_folds_by_hand_from_anywhere(repository: Repository, tmp_path: Path) -> None:
    folder = repository.build("by_hand", **FOLDS)
    repository.stand_in("python", SAYS)
    with repository.cluster.full():
        ended = subprocess.run(
            ["bash", str(folder / "submit.sh"), "--partition=short", "--array=0,2"],
            cwd=tmp_path,
            env=repository.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        jobs = dict(line.split() for line in ended.stdout.splitlines())
        assert list(jobs) == ["trainings", "combine"]
        depends = repository.cluster.job(jobs["combine"])["Dependency"]
        assert re.findall(r"after\w+:\d+", depends) == [f"afterok:{jobs['trainings']}"]
    last = combining(repository, "by_hand", jobs["combine"])
    assert last.completed()["Partition"] == "short"
    assert "ArrayTaskId" not in last.ended()
    for index in (0, 2):
        each = member(repository, "by_hand", jobs["trainings"], index)
        assert each.completed()["Partition"] == "short"
    assert not member(repository, "by_hand", jobs["trainings"], 1).run.path.exists()


@pytest.mark.parametrize("by", ["seesawc", "hand"])
def test_trainings_that_nothing_could_combine_are_taken_back(
    repository: Repository, by: str
) -> None:
    folder = repository.build("half", **FOLDS)
    # It takes one job, as on a site that limits them.
    repository.stand_in(
        "sbatch",
        '[[ $* != *combine* ]] || { echo "sbatch: error: QOSMaxSubmitJob" >&2; exit 1; }\n'
        f'exec {shutil.which("sbatch")} --hold "$@"',
    )
    if by == "seesawc":
        refused = command(repository, "submit", "specs/half.toml", status=1)
    else:
        refused = subprocess.run(
            ["bash", str(folder / "submit.sh")],
            env=repository.environment(),
            capture_output=True,
            text=True,
        )
    assert "QOSMaxSubmitJob" in refused.stderr
    assert "nothing was submitted" in refused.stderr
    repository.cluster.drained()
    assert not list((repository.logs / EXPERIMENT).glob("half*"))
