"""Modules and environments that fail, or whose hooks only look so: the log says which."""

import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import JOB, build_job, stand_in

# As a compiler package's hook does: grep answers 1 where it finds nothing, and is the last word.
HARMLESS = "env | grep ^NOT_THERE"
ENDS = "exit 0"


class Site:
    """A place where srun only says that it was reached, and a job that loads something there."""

    def __init__(self, place: Path, **job: object) -> None:
        self.place = place
        self.folder = build_job(place, "job", JOB | job)
        for name, text in (("srun", 'echo "srun was reached"'), ("python", "exit 99")):
            stand_in(place / "bin", name, text)

    def conda(self, hook: str, names: str = "hepml") -> None:
        """Have conda know environments, whose activation calls a hook."""
        base = self.place / "conda base"
        stand_in(self.place / "bin", "conda", f'[[ "$*" == "info --base" ]] && echo "{base}"')
        profile = base / "etc" / "profile.d" / "conda.sh"
        profile.parent.mkdir(parents=True)
        for name in names.split():
            (base / "envs" / name).mkdir(parents=True)
        profile.write_text(
            "conda() {\n"
            f'    [[ -d "{base}/envs/$2" ]] || {{ echo "no environment $2" >&2; return 1; }}\n'
            f'    CONDA_PREFIX="{base}/envs/$2"\n    {hook}\n}}\n'
        )

    def run(self, **variables: str) -> tuple[int, str]:
        """Return the job's exit status, and its log without the first line."""
        environment = {
            "PATH": f"{self.place / 'bin'}:/usr/bin:/bin",
            "ANALYSIS_ML_LOGS_DIR": str(self.place / "logs"),
            "ANALYSIS_ML_RESULTS_DIR": str(self.place / "results"),
            "SLURM_SUBMIT_DIR": str(self.place),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NODELIST": "node1",
            "SLURM_CPUS_PER_TASK": "3",
        }
        file = self.folder / "submit.sbatch"
        ended = subprocess.run(["bash", file], env=environment | variables, capture_output=True)
        (log,) = (self.place / "logs" / "toy").glob("*/slurm-17.log")
        return ended.returncode, log.read_text().partition("\n")[2]


def reached(ended: tuple[int, str]) -> bool:
    return ended[0] == 0 and ended[1].endswith("srun was reached\n")


def test_a_hook_that_finds_nothing_stops_no_job(tmp_path: Path) -> None:
    site = Site(tmp_path, environment="hepml")
    site.conda(HARMLESS)
    assert reached(site.run())


@pytest.mark.parametrize("hook", [ENDS, "set -e; false", "set -u; echo $NOT_SET"])
def test_a_hook_that_ends_the_shell_is_named(tmp_path: Path, hook: str) -> None:
    site = Site(tmp_path, environment="hepml")
    site.conda(hook)
    status, log = site.run()
    assert status == 1
    assert log.endswith("refused: the job ended in: conda activate hepml\n")


@pytest.mark.parametrize("before", ["other", "myhepml", "gone/hepml"])
def test_an_environment_that_conda_does_not_know_is_refused(tmp_path: Path, before: str) -> None:
    site = Site(tmp_path, environment="hepml")
    site.conda(HARMLESS, "other myhepml")
    # What was active where the job was submitted is none that it asked for.
    status, log = site.run(CONDA_PREFIX=str(tmp_path / "conda base" / "envs" / before))
    assert status == 1
    assert "no environment hepml\nrefused: conda activate hepml failed" in log


def test_conda_that_is_not_there_is_refused(tmp_path: Path) -> None:
    status, log = Site(tmp_path, environment="hepml").run()
    assert status == 1
    assert "refused: conda activate hepml: conda is not there" in log


def test_a_venv_is_activated_whatever_its_hook_returns(tmp_path: Path) -> None:
    site = Site(tmp_path, environment=str(tmp_path / "venv"))
    stand_in(tmp_path / "venv" / "bin", "python", "exit 99")
    activate = tmp_path / "venv" / "bin" / "activate"
    activate.write_text(f'PATH="{tmp_path}/venv/bin:$PATH"\n{HARMLESS}\n')
    ended = site.run()
    assert reached(ended)
    assert f"python: {tmp_path}/venv/bin/python\n" in ended[1]
    # One that was moved leads to where it had been, and another Python would train.
    activate.write_text(f'PATH="{tmp_path}/gone/bin:$PATH"\n')
    status, log = site.run()
    assert status == 1
    assert f"failed: python is {tmp_path}/bin/python\n" in log
    activate.unlink()
    status, log = site.run()
    assert status == 1
    assert f"refused: there is no environment {tmp_path}/venv" in log


@pytest.mark.parametrize(
    ("module", "good"),
    [
        ("return 0", True),
        (HARMLESS, False),
        # The list of what is loaded is the word that counts.
        (f"export LOADEDMODULES=gcc/13:$2; {HARMLESS}", True),
        (f"export LOADEDMODULES=gcc/13:$2/12.4; {HARMLESS}", True),
        (f"export LOADEDMODULES=gcc/13:my$2; {HARMLESS}", False),
    ],
)
def test_a_module_counts_if_it_is_loaded(tmp_path: Path, module: str, good: bool) -> None:
    site = Site(tmp_path, modules=["cuda"])
    ended = site.run(**{"BASH_FUNC_module%%": f"() {{ {module}; }}"})
    assert reached(ended) is good
    if not good:
        assert ended[1].endswith("refused: module load cuda failed\n")


def test_modules_that_the_site_does_not_have_are_refused(tmp_path: Path) -> None:
    status, log = Site(tmp_path, modules=["cuda"]).run()
    assert status == 1
    assert log.endswith("refused: module load cuda failed\n")
