"""How a script starts and ends: what is checked first, what it is given, and what it leaves."""

import errno
import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run as Entry

from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.machinery.backends import CometBackend, MlflowBackend
from parts.machinery.code import Code, code_of
from parts.machinery.exits import NotFiniteError, RefusedError, StoppedError
from parts.machinery.launches import Run, Script, backend, launch, seeded
from parts.machinery.places import digest
from parts.machinery.runs import RunFolder
from parts.machinery.stores import initialised_store
from tests.parts.begun import ALONE, forget_stores, script

OTHER = "0" * 64
DONE = {"script": OTHER, "checkpoint": "best.ckpt", "sha256": OTHER}
DATASET = Dataset((Sample("a", ("data.csv",), Csv(), 1),), ("x",))


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("save_dir") / "mlruns"
    initialised_store(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """Where a script lies, beside a tracker's store; the process is as it was afterwards."""
    for name in ("MLFLOW_TRACKING_URI", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "MLFLOW_LOGGING_LEVEL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    shutil.copytree(empty_store, tmp_path / "logs" / "mlruns")
    return tmp_path


class Starts:
    """Starts scripts that note what they are given, and do what a test has them do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.runs: list[Run] = []

    def __call__(
        self, said: Script, *arguments: str, train: Callable[[Run], None] | None = None
    ) -> int:
        self.monkeypatch.setattr(sys, "argv", [said.file, *arguments])

        def noted(run: Run) -> None:
            self.runs.append(run)
            if train:
                train(run)

        return launch(said, noted)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Starts:
    return Starts(monkeypatch)


def run_folder(folder: Path, name: str = "first") -> RunFolder:
    return RunFolder(folder / "logs" / "toy" / name)


def end(run: Run) -> None:
    """Leave what a run leaves that has come to its end."""
    run.record.write(1, 1, test_auc=0.5)
    run.folder.done.write_text(json.dumps(DONE))


def save(run: Run) -> None:
    """Leave a checkpoint, and be stopped."""
    (run.folder.checkpoints / "last-000000001.ckpt").touch()
    run.record.write(1, 1, val_auc=0.5)
    raise StoppedError(143)


def entry(folder: Path) -> Entry:
    """Return the only entry that the tracker has."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'logs' / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def record_build(folder: Path, script_digest: str, options: str = "") -> None:
    """Write what a script was compiled from, and which digest it had then."""
    text = f'{options}\n[build.files]\n"train_signal.py" = "{script_digest}"\n'
    (folder / "resolved.toml").write_text(text)


def refused(capfd: pytest.CaptureFixture[str], *told: str) -> None:
    """Assert that a start was refused in so many words."""
    error = capfd.readouterr().err
    assert error.count("refused: ") == 1, error
    assert "Traceback" not in error
    assert all(text in error for text in told), error


def test_a_run_gets_its_folder_and_is_told_to_the_tracker(start: Starts, folder: Path) -> None:
    place = run_folder(folder)
    place.path.mkdir(parents=True)
    place.ended.write_text("{}")

    def train(run: Run) -> None:
        assert place.lock.exists()
        assert not place.ended.exists()
        assert run.artist.submit(os.getpid).result() == os.getpid()
        end(run)

    said = script(folder, constants={"lr": 0.1, "seed": 1})
    record_build(folder, digest(Path(said.file)), "[training_config]\nmonitor = 'val_auc'\nlr = 1")
    assert start(said, train=train) == 0
    (run,) = start.runs
    sha = digest(Path(said.file))
    assert (run.folder.path, run.plots) == (place.path, folder / "results" / "toy" / "first")
    assert run.place("data") == folder / "data"
    assert (run.files, run.parents, run.under_srun) == ({}, {}, False)
    assert (run.seed.number, run.seed.deterministic) == (1, "warn")
    assert torch.initial_seed() == 1
    assert not place.lock.exists()
    kept = place.path.parent / ".code" / run.code.digest
    assert (kept / "train_signal.py").read_bytes() == Path(said.file).read_bytes()
    assert run.record.artifacts() == [kept]
    told = place.identified()
    assert (told["script"], told["edited"], told["seed"], told["data"]) == (sha, [], 1, {})
    assert place.path.parent / told["code"] == kept
    assert "python" in told["versions"]
    found = entry(folder)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "first"
    assert found.data.metrics == {"test_auc": 0.5}
    assert found.data.params == {"lr": "0.1", "seed": "1", "training_config.monitor": "val_auc"}
    tags = {name: value for name, value in found.data.tags.items() if not name.startswith("mlflow")}
    del tags["key"]
    assert tags == {
        "script": sha, "code": f".code/{run.code.digest}", "commit": told["commit"], "seed": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "told", "tracked"),
    [
        (RefusedError("no data"), 1, "refused: no data", "FAILED"),
        (NotFiniteError("loss nan"), 3, "stopped: loss nan; the checkpoints", "FAILED"),
        (OSError(errno.ENOSPC, "no space left for x"), 4, "stopped: no space left", "FAILED"),
        (StoppedError(75), 75, "exit status 75; start again to go on", "KILLED"),
        (ValueError("boom"), 70, "failed: ValueError('boom')", "FAILED"),
    ],
)
def test_what_ends_a_training_decides_status_message_and_entry(
    start: Starts,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    told: str,
    tracked: str,
) -> None:
    def train(_: Run) -> None:
        raise error

    assert start(script(folder), train=train) == status
    printed = capfd.readouterr().err
    assert told in printed
    # Where the program is at fault, it says where.
    assert ("Traceback" in printed) == (status == 70)
    assert json.loads(run_folder(folder).ended.read_text())["status"] == status
    assert not run_folder(folder).lock.exists()
    assert entry(folder).info.status == tracked


def test_a_finished_run_is_not_trained_again_unless_under_a_label(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = run_folder(folder)
    assert start(script(folder), train=end) == 0
    before = {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()}
    assert start(script(folder)) == 0
    assert f"{place.path} is finished; --again LABEL starts another run" in capfd.readouterr().out
    assert {path: path.read_bytes() for path in place.path.rglob("*") if path.is_file()} == before
    assert len(start.runs) == 1
    assert start(script(folder), "--again", "2") == 0
    assert start.runs[1].folder.path == run_folder(folder, "first+2").path


def test_the_tracker_gets_what_it_lacks_of_a_finished_run(start: Starts, folder: Path) -> None:
    place = run_folder(folder)
    assert start(script(folder), train=end) == 0
    place.mirrored.unlink()
    (place.path / "mlflow.json").unlink()
    shutil.rmtree(folder / "logs" / "mlruns")
    forget_stores()
    assert start(script(folder)) == 0
    assert entry(folder).info.status == "FINISHED"
    assert entry(folder).data.metrics == {"test_auc": 0.5}


def test_sync_only_sends_the_record(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start(script(folder), "--sync") == 1
    refused(capfd, f"{run_folder(folder).path} has not begun: there is nothing to send")
    assert start(script(folder), train=save) == 143
    run_folder(folder).mirrored.unlink()
    (run_folder(folder).path / "mlflow.json").unlink()
    shutil.rmtree(folder / "logs" / "mlruns")
    forget_stores()
    assert start(script(folder), "--sync") == 0
    assert len(start.runs) == 1
    assert entry(folder).info.status == "KILLED"
    assert entry(folder).data.metrics == {"val_auc": 0.5}


def test_without_comets_key_nothing_starts_that_needs_it(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOY_KEY", raising=False)
    said = script(folder, comet_api_key="${TOY_KEY}")
    told = "the variable TOY_KEY is not set; it holds Comet's key"
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("TOY_KEY", value)
        assert start(said) == 1
        refused(capfd, told)
    assert not start.runs
    # A finished run needs none, but to be sent.
    place = run_folder(folder)
    place.done.write_text(json.dumps(DONE))
    place.mirrored.write_text(json.dumps({"status": "FINISHED", "offset": 0}))
    assert start(said) == 0
    assert "is finished" in capfd.readouterr().out
    assert start(said, "--sync") == 1
    refused(capfd, told)


def test_edited_code_makes_another_run_and_says_so(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = script(folder)
    record_build(folder, OTHER, "[training_config]\nmonitor = 'val_auc'")
    assert start(said, train=end) == 0
    edited = "edited by hand: train_signal.py; this is not what the spec says"
    assert edited in capfd.readouterr().out
    assert run_folder(folder).identified()["edited"] == ["train_signal.py"]
    found = entry(folder)
    assert found.data.tags["edited"] == "train_signal.py"
    # What it was compiled from is not what runs.
    assert found.data.params == {"lr": "0.1", "seed": "1"}
    assert not list((folder / "logs").rglob("resolved.toml"))


def test_a_batch_job_refuses_edited_code(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record_build(folder, OTHER)
    assert start(script(folder), "--srun") == 1
    refused(capfd, "edited by hand: train_signal.py; build the spec again")
    assert not start.runs
    assert not run_folder(folder).identity.exists()


def test_a_run_goes_on_with_the_code_that_began_it_alone(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = script(folder)
    assert start(said, train=save) == 143
    before = Path(said.file).read_text()
    Path(said.file).write_text(before + "# Edited.\n")
    capfd.readouterr()
    assert start(said) == 1
    refused(capfd, "belongs to another version of this script: train_signal.py (began with")
    Path(said.file).write_text(before)
    assert start(said, train=end) == 0
    assert entry(folder).info.status == "FINISHED"


def test_a_seed_of_the_spec_is_the_runs_and_one_that_is_drawn_stays(folder: Path) -> None:
    place = run_folder(folder)
    place.path.mkdir(parents=True)
    given = seeded(7, place)
    assert (given.number, given.deterministic, torch.initial_seed()) == (7, "warn", 7)
    drawn = [seeded(None, place) for _ in range(2)]
    assert drawn[0].number != drawn[1].number
    assert torch.initial_seed() == drawn[1].number < 2**32
    assert not any(seed.deterministic for seed in drawn)
    began = {"script": OTHER, "data": {}, "seed": drawn[0].number}
    place.identity.write_text(json.dumps(began))
    assert seeded(None, place) == drawn[0]
    assert torch.initial_seed() == drawn[0].number


def test_a_run_without_a_seed_goes_on_with_its_own(start: Starts, folder: Path) -> None:
    assert start(script(folder, seed=None), train=save) == 143
    assert start(script(folder, seed=None), train=end) == 0
    first, second = (run.seed.number for run in start.runs)
    assert first == second == run_folder(folder).identified()["seed"]
    assert entry(folder).data.tags["seed"] == str(first)


def test_another_task_trains_in_the_folder_of_the_first_and_leaves_nothing(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = run_folder(folder)
    place.path.mkdir(parents=True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    record_build(folder, OTHER)

    def train(run: Run) -> None:
        run.record.write(1, 1, train_loss=0.5)

    assert start(script(folder, accelerator="cpu", devices=2), train=train) == 0
    (run,) = start.runs
    assert run.record.path == Path(os.devnull)
    assert list(place.path.iterdir()) == []
    assert not (place.path.parent / ".code").exists()
    # Nothing is trained by the others where nothing is trained at all.
    assert start(script(folder)) == 0
    assert len(start.runs) == 1
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_another_task_is_refused_without_a_word(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert start(script(folder, save_dir="${NO_SUCH_PLACE}")) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"save_dir": "${NO_SUCH_PLACE}/x"}, "the variable NO_SUCH_PLACE is not set"),
        ({"accelerator": "cpu", "devices": 0}, "accelerator cpu, devices 0: "),
        ({"fingerprints": {"data.csv": OTHER}}, "data.csv"),
        ({"parents": {"denominator": ("den", OTHER)}}, "the denominator has not finished: "),
    ],
)
def test_what_a_run_builds_on_is_checked_before_it_begins(
    start: Starts,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    changed: dict[str, Any],
    told: str,
) -> None:
    (folder / "data.csv").write_text("x\n1\n")
    assert start(script(folder, dataset=DATASET, **changed)) == 1
    refused(capfd, told)
    assert not start.runs
    assert not run_folder(folder).identity.exists()


def test_a_run_that_another_process_holds_is_refused(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = run_folder(folder)
    place.checkpoints.mkdir(parents=True)
    place.lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "job": None}))
    assert start(script(folder)) == 1
    refused(capfd, f"{place.path} is in use by ", "elsewhere")
    assert place.lock.exists()


def test_a_run_goes_on_with_other_data_if_that_is_accepted(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "data.csv"
    path.write_text("x\n1\n")
    said = script(folder, dataset=DATASET)
    assert start(said, train=save) == 143
    assert start.runs[0].files == {"a": [path]}
    path.write_text("x\n2\n")
    capfd.readouterr()
    assert start(said) == 1
    refused(capfd, f"data changed since the run began: {path}", "--accept-data")
    assert start(said, "--accept-data", train=end) == 0
    assert run_folder(folder).identified()["data"] == {str(path): digest(path)}


def test_a_run_that_went_on_with_other_data_knows_all_that_it_was_trained_on(
    start: Starts, folder: Path
) -> None:
    path = folder / "data.csv"
    said = script(folder, dataset=DATASET)
    digests = []
    # Once before there is a checkpoint, which does not count.
    for content, train in (("x\n0\n", None), ("x\n1\n", save), ("x\n2\n", save), ("x\n2\n", save)):
        path.write_text(content)
        assert start(said, "--accept-data", train=train) == (143 if train else 0)
        digests.append(digest(path))
    files = [[each["samples"][0]["files"] for each in run.events] for run in start.runs]
    first, second, third, _ = ([each] for each in digests)
    assert files == [[first], [second], [second, third], [second, third]]


def test_a_run_goes_on_from_the_checkpoint_that_it_began_from(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "data.csv").write_text("x\n1\n")
    other = folder / "other.ckpt"
    said = script(folder, dataset=DATASET, load_checkpoint="other.ckpt", checkpoint_events="unseen")

    def change(weight: float) -> None:
        torch.save({"knows": {}, "state_dict": {"weight": torch.tensor(weight)}}, other)

    change(1.0)
    assert start(said) == 0
    # Nothing was trained with it.
    change(2.0)
    assert start(said, train=save) == 143
    assert start(said, train=save) == 143
    change(3.0)
    capfd.readouterr()
    assert start(said, "--accept-data") == 1
    refused(capfd, f"began from another checkpoint than {other} is now", "--again LABEL")
    assert start(said, "--again", "more", train=end) == 0


def test_a_training_gets_the_checkpoints_that_it_builds_on(start: Starts, folder: Path) -> None:
    parent = run_folder(folder, "den")
    parent.checkpoints.mkdir(parents=True)
    checkpoint = parent.checkpoints / "best-000000001.ckpt"
    checkpoint.write_text("weights")
    sha = digest(checkpoint)
    parent.done.write_text(
        json.dumps({"script": OTHER, "checkpoint": checkpoint.name, "sha256": sha})
    )
    parent.identity.write_text(json.dumps({"script": OTHER, "data": {}, "seed": 1}))
    said = script(folder, stage="ratio", parents={"denominator": ("den", OTHER)})
    assert start(said, train=end) == 0
    assert start.runs[0].parents == {"denominator": checkpoint}
    assert run_folder(folder).identified()["parents"] == {"denominator": f"den {sha}"}
    tags = entry(folder).data.tags
    assert (tags["stage"], tags["denominator"]) == ("ratio", "den")


RESOLVED = """
[training_config]
max_epochs = 2

[[points]]
identity = "p2"
values = { "training_config.max_epochs" = 4 }
follow = {}
lacks = []

[[stages]]
identity = "ratio"
values = { "training_config.max_epochs" = 7 }
follow = {}
lacks = []
"""
IDENTITY = {"script": "s", "code": ".code/c", "commit": "abc", "seed": 3}


def shown(folder: Path, **changed: Any) -> tuple[Code, Any]:
    """Return the code, and the backend that shows it."""
    said = script(folder, **changed)
    record_build(folder, digest(Path(said.file)), RESOLVED)
    code = code_of(Path(said.file), ALONE)
    return code, backend(said, code, run_folder(folder), IDENTITY)


def test_a_points_tags_and_settings_are_its_own(folder: Path) -> None:
    arguments = Namespace(point="p2", all=False)
    points = {"p2": {"script": OTHER, "point": "lr=1"}}
    changed = {"points": points, "arguments": arguments, "run_name": "toy-p2"}
    _, found = shown(folder, **changed)
    assert isinstance(found, MlflowBackend)
    assert found.tags == {
        "script": "s", "code": ".code/c", "commit": "abc", "seed": "3",
        "sweep": "toy", "point": "p2",
    }  # fmt: skip
    assert found.settings == {"lr": 0.1, "seed": 1, "training_config.max_epochs": 4}


def test_a_stages_tags_and_settings_are_its_own(folder: Path) -> None:
    _, found = shown(folder, stage="ratio", run_name="toy-ratio")
    assert isinstance(found, MlflowBackend)
    tags = {name: found.tags[name] for name in found.tags.keys() - IDENTITY.keys()}
    assert tags == {"fakes": "toy", "stage": "ratio"}
    assert found.settings == {"lr": 0.1, "seed": 1, "training_config.max_epochs": 7}


def test_comet_is_shown_what_mlflow_is_shown(folder: Path) -> None:
    _, mlflow = shown(folder)
    _, comet = shown(folder, comet_api_key="${TOY_KEY}", comet_project_name="project")
    assert isinstance(comet, CometBackend)
    assert (comet.tags, comet.settings) == (mlflow.tags, mlflow.settings)
    assert (comet.key_variable, comet.project_name) == ("TOY_KEY", "project")
    assert comet.names == ("toy", "first")


POINT = """
import sys
print("started with", *sys.argv[1:], flush=True)
sys.exit(7 if "p2" in sys.argv else 0)
"""


def test_all_points_of_a_sweep_are_trained_one_after_another(
    start: Starts, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = script(
        folder,
        points={name: {"script": OTHER, "point": f"of {name}"} for name in ("p1", "p2", "p3")},
        arguments=Namespace(all=True, point="p1", again="x", srun=False, sync=False),
    )
    Path(said.file).write_text(POINT)
    assert start(said, "--all", "--again", "x") == 7
    assert not start.runs
    printed = capfd.readouterr().out.splitlines()
    started = [line for line in printed if line.startswith("started")]
    assert started == [f"started with --point {name} --again x" for name in ("p1", "p2", "p3")]
    heads = [printed[printed.index(line) - 1] for line in started]
    assert heads == [f"point {n} of 3, p{n + 1}: of p{n + 1}" for n in range(3)]
    assert [line.split() for line in printed[-3:]] == [
        ["exit", "status", "0", "p1", "of", "p1"],
        ["exit", "status", "7", "p2", "of", "p2"],
        ["exit", "status", "0", "p3", "of", "p3"],
    ]


def test_a_point_is_known_by_the_script_that_was_planned_for_it(
    start: Starts, folder: Path
) -> None:
    said = script(
        folder,
        points={"p1": {"script": OTHER, "point": "of p1"}},
        arguments=Namespace(
            all=False, point="p1", again="", srun=False, sync=False, accept_data=False
        ),
    )
    file = Path(said.file)

    def build(text: str) -> None:
        file.write_text(text)
        listed = f'"{file.name}" = "{digest(file)}"'
        file.with_name("resolved.toml").write_text(f"[build]\nfiles = {{ {listed} }}\n")

    build(file.read_text())
    assert start(said, train=save) == 143
    # Another point has come since.
    build('"""Train more."""\n')
    assert start(said, train=end) == 0
    assert run_folder(folder).identified()["script"] == OTHER
    assert [run.code.identity for run in start.runs] == [OTHER] * 2
