"""What a script finds out about its machine: threads, ranks and the commit."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from parts.machinery.exits import RefusedError
from parts.machinery.machines import (
    OF_SRUN,
    check_srun,
    git_commit,
    must_stop_together,
    task_rank,
    thread_count,
    versions,
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OMP_NUM_THREADS",
        "SLURM_CPUS_PER_TASK",
        "SLURM_PROCID",
        "SLURM_NTASKS",
        "LOCAL_RANK",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("omp", "slurm", "count"), [("3", None, 3), ("1", "8", 1), (None, "8", 7), (None, "1", 1)]
)
def test_threads_are_those_that_are_ours_but_one(
    omp: str | None, slurm: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("OMP_NUM_THREADS", omp), ("SLURM_CPUS_PER_TASK", slurm)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert thread_count() == count


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_threads_follow_the_cpus_of_this_process() -> None:
    ours = os.sched_getaffinity(0)
    assert thread_count() == max(1, len(ours) - 1)
    os.sched_setaffinity(0, {min(ours)})
    try:
        assert thread_count() == 1
    finally:
        os.sched_setaffinity(0, ours)


def test_only_srun_makes_slurm_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert task_rank(under_srun=True) == task_rank(under_srun=False) == 0
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert task_rank(under_srun=True) == 3
    assert task_rank(under_srun=False) == 0
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert task_rank(under_srun=False) == 1


def test_what_srun_did_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_SRUN:
        monkeypatch.setenv(name, "0")
    check_srun(under_srun=True)
    for name in OF_SRUN:
        monkeypatch.delenv(name)
        check_srun(under_srun=False)
        with pytest.raises(RefusedError, match=f"did not start this: {name}"):
            check_srun(under_srun=True)
        monkeypatch.setenv(name, "0")


def test_output_that_was_closed_ends_no_run() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from parts.machinery.machines import steady_output\n"
        "steady_output()\nprint('out')\nprint('err', file=sys.stderr, flush=True)\nsys.exit(3)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[2] / "templates")]
    ended = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *command], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "err\n")


def test_a_task_that_others_wait_for_must_not_stop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not must_stop_together(under_srun=False)
    assert not must_stop_together(under_srun=True)
    # srun starts all of them at once.
    monkeypatch.setenv("SLURM_NTASKS", "2")
    assert must_stop_together(under_srun=True)
    assert not must_stop_together(under_srun=False)
    # Lightning's first task starts the others when there is nothing left to do alone.
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert must_stop_together(under_srun=False)


HEADER = '''"""Train."""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy==0.1",
#     "torch==0.1+cpu",
# ]
# ///

WANTED = (
    "pandas==1",
)
'''


def test_versions_are_those_installed_of_what_the_header_pins(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(HEADER)
    found = versions(script)
    assert found == {
        "python": platform.python_version(), "torch": version("torch"), "numpy": version("numpy"),
    }  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "spec.toml").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    return tmp_path


def test_the_commit_is_named_in_full(repository: Path) -> None:
    (repository / "sub").mkdir()
    assert git_commit(repository / "sub") == git(repository, "rev-parse", "HEAD")


def test_a_tag_does_not_hide_the_commit(repository: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "v1")
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")


def test_changed_files_mark_the_commit_and_new_ones_do_not(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "new").write_text("new")
    assert git_commit(repository) == commit
    (repository / "spec.toml").write_text("two")
    assert git_commit(repository) == f"{commit}-dirty"


def test_outside_of_a_repository_the_commit_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) == "unknown"
    assert git_commit(tmp_path / "nowhere") == "unknown"


def test_without_commits_the_commit_is_unknown(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) == "unknown"


def test_without_git_the_commit_is_unknown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_commit(repository) == "unknown"


FREED = """
import resource
import sys
import numpy as np
from parts.machinery.machines import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    return [np.ones(2**21) for _ in range(4)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Linux only")
def test_what_a_step_frees_is_there_for_the_next_one() -> None:
    """The system would bring 64 MiB anew, page by page."""
    templates = Path(__file__).resolve().parents[2] / "templates"
    faults = {
        name: int(
            subprocess.run(
                [sys.executable, "-c", FREED, name],
                check=True,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": str(templates)},
            ).stdout
        )
        for name in ("given back", "kept")
    }
    assert faults["kept"] < faults["given back"] / 10
