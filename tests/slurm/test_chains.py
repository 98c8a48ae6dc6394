"""The three stages of fakes on a real SLURM: in order, after a failure, and submitted again."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runs.experiments import EXPERIMENT, Run
from tests.runs.fakes import SPEC, STAGES, leptons
from tests.slurm.cluster import JOB, Job, Repository, command, recorded
from tests.spec_tables import build, merged


def build_chain(repository: Repository, name: str, *, requeue: bool = False) -> Path:
    """Compile a spec of fakes, and write its data; returns the generated folder."""
    data = repository.folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    leptons().to_parquet(data / "jets.parquet")
    named = {"experiment_config": {"run_name": name}, "slurm_config": JOB | {"requeue": requeue}}
    return build(repository.folder / "specs" / f"{name}.toml", merged(SPEC, named))


def submitted(repository: Repository, name: str, said: str) -> dict[str, Job]:
    """Return the job of each stage that a command says it submitted."""
    match = re.search(r"^submitted jobs (.*)$", said, re.MULTILINE)
    assert match, said
    found = re.findall(r"(\d+) \((\w+)\)", match[1])
    assert [stage for _, stage in found] == list(STAGES)
    return {stage: job(repository, name, stage, number) for number, stage in found}


def job(repository: Repository, name: str, stage: str, number: str) -> Job:
    run = Run(repository.logs / EXPERIMENT / f"{name}-{stage}")
    return Job(repository.cluster, number, repository.folder / f"slurm-{number}.out", run)


def states(repository: Repository, name: str) -> dict[str, str]:
    said = command(repository, "status", f"specs/{name}.toml", "--format", "json").stdout
    return {row["values"]["stage"]: row["state"] for row in json.loads(said)}


def test_a_ratio_starts_when_both_parents_are_done(repository: Repository) -> None:
    build_chain(repository, "chain")
    spec = "specs/chain.toml"
    asked = command(repository, "submit", "--test-only", spec).stdout
    assert asked.count("to start at") == 3
    with repository.cluster.full():
        jobs = submitted(repository, "chain", command(repository, "submit", spec).stdout)
        depends = repository.cluster.job(jobs["ratio"].number)["Dependency"]
        assert {jobs[stage].number for stage in STAGES[:2]} == set(
            re.findall(r"afterok:(\d+)", depends)
        )
        waits = command(repository, "rerun", spec)
        assert waits.stderr == "3 more in SLURM's queue\n"
    records = {stage: each.completed() for stage, each in jobs.items()}
    assert all(records["ratio"]["StartTime"] >= records[s]["EndTime"] for s in STAGES[:2])
    assert states(repository, "chain") == dict.fromkeys(STAGES, "done")
    assert (jobs["ratio"].run.path / "deploy" / "model.onnx").is_file()
    assert {stage: recorded(each) for stage, each in jobs.items()} == {
        stage: [each.number] for stage, each in jobs.items()
    }
    again = command(repository, "rerun", "--submit", spec)
    assert again.stdout == "nothing to run again: 3 done\n"


def test_a_ratio_waits_for_a_parent_that_was_requeued(repository: Repository) -> None:
    build_chain(repository, "requeued", requeue=True)
    # The numerator is told to save in its first two starts.
    repository.stand_in(
        "python",
        'echo "trained: $1"\n[[ $1 != *numerator* || ${SLURM_RESTART_COUNT:-0} == 2 ]] || exit 75',
    )
    said = command(repository, "submit", "specs/requeued.toml").stdout
    jobs = submitted(repository, "requeued", said)
    ratio, numerator = jobs["ratio"].completed(), jobs["numerator"].completed()
    assert (numerator["Restarts"], ratio["Restarts"]) == ("2", "0")
    assert jobs["numerator"].log.read_text().count("trained: ") == 3
    assert jobs["ratio"].log.read_text().count("trained: ") == 1
    assert ratio["StartTime"] >= numerator["EndTime"]


def test_a_ratio_whose_parent_fails_never_starts(repository: Repository) -> None:
    folder = build_chain(repository, "failing")
    data = repository.folder / "data" / "jets.parquet"
    frame = leptons()
    # A numerator needs tight data.
    frame[(frame["data_type"] == 0) | (frame["toy_type"] == 2)].to_parquet(data)
    spec = "specs/failing.toml"
    jobs = submitted(repository, "failing", command(repository, "submit", spec).stdout)
    assert jobs["numerator"].ended()["ExitCode"] == "1:0"
    ratio = jobs["ratio"].ended()
    assert (ratio["JobState"], ratio["Reason"]) == ("CANCELLED", "DependencyNeverSatisfied")
    assert not jobs["ratio"].log.exists()
    repository.cluster.drained()
    found = states(repository, "failing")
    assert found["numerator"] == "refused"
    assert found["ratio"] == "submitted"
    printed = command(repository, "rerun", spec).stdout
    assert printed == "bash generated/failing/submit.sh\n"
    # Not while a part of it may still come to an end.
    denominator = repository.submit(folder / "submit_denominator.sbatch", "--hold")
    with (jobs["denominator"].run.path / "jobs.jsonl").open("a") as file:
        file.write(json.dumps({"job": denominator.number}) + "\n")
    (jobs["denominator"].run.path / "done").unlink(missing_ok=True)
    waits = command(repository, "rerun", spec, status=1)
    assert "0 of its stages are running and 1 are waiting" in waits.stderr


def test_the_chain_by_hand_from_anywhere(repository: Repository, tmp_path: Path) -> None:
    folder = build_chain(repository, "by_hand")
    # Stands in for training.
    repository.stand_in("python", "sleep 0.2")
    ended = subprocess.run(
        ["bash", str(folder / "submit.sh"), "--partition=short"],
        cwd=tmp_path,
        env=repository.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    jobs = dict(line.split() for line in ended.stdout.splitlines())
    assert list(jobs) == list(STAGES)
    for stage, number in jobs.items():
        record = repository.cluster.wait(number)
        assert (record["Partition"], record["JobState"]) == ("short", "COMPLETED"), stage


def test_the_chain_by_hand_where_cd_has_a_path_of_its_own(repository: Repository) -> None:
    """As exported by a user's profile: cd then prints, and may go to a folder of the same name."""
    folder = build_chain(repository, "paths")
    repository.stand_in("python", "sleep 0.2")
    (repository.folder / "else" / "generated" / "paths").mkdir(parents=True)
    ended = subprocess.run(
        ["bash", os.path.relpath(folder / "submit.sh", repository.folder)],
        cwd=repository.folder,
        env=repository.environment(CDPATH=str(repository.folder / "else")),
        capture_output=True,
        text=True,
        check=True,
    )
    jobs = dict(line.split() for line in ended.stdout.splitlines())
    assert list(jobs) == list(STAGES)
    for number in jobs.values():
        assert repository.cluster.wait(number)["WorkDir"] == str(repository.folder)


@pytest.mark.parametrize("good", [1, 2])
def test_a_chain_that_cannot_be_submitted_as_a_whole_is_taken_back(
    repository: Repository, good: int
) -> None:
    folder = build_chain(repository, "half")
    # It takes so many jobs, as on a site that limits them.
    count = repository.bin / "n"
    repository.stand_in(
        "sbatch",
        f'n=$(($(cat "{count}" 2>/dev/null || echo 0) + 1)); echo $n >"{count}"\n'
        f'((n <= {good})) || {{ echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; }}\n'
        f'exec {shutil.which("sbatch")} --hold "$@"',
    )
    refused = command(repository, "submit", "specs/half.toml", status=1)
    assert "QOSMaxSubmitJobPerUserLimit" in refused.stderr
    assert "nothing was submitted" in refused.stderr
    repository.cluster.drained()
    assert not (repository.logs / EXPERIMENT / "half-numerator" / "jobs.jsonl").exists()
    assert (folder / "submit.sh").is_file()
