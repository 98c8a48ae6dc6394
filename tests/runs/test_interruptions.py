"""Runs that are interrupted and started again end as if they had not been."""

import json
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import PATIENCE, Run, Started, Workshop, same, wait_for_step

STEPS = 25  # Of an epoch: 248 training events in batches of 10.
# Wide enough that a step takes long enough to be interrupted.
CHANGES: dict[str, Any] = {
    "experiment_config": {"log_every_n_steps": 1, "plot_metrics_n_epoch": 2},
    "dataset_config": {"batch_size": 10},
    "model_config": {
        "architecture_config": {"n_layers": 4, "n_hidden": 256, "batchnorm": True, "dropout": 0.2}
    },
    "training_config": {
        "max_epochs": 6,
        "early_stop_patience": 2,
        "monitor": "val_auc",
        "scheduler": {"scheduler_name": "OneCycleLR", "scheduler_params": {"max_lr": 0.003}},
        "warmup": {"epochs": 1.5},
    },
}


@pytest.fixture(scope="module")
def script(workshop: Workshop) -> Path:
    return workshop.build("run", **CHANGES)


@pytest.fixture(scope="module")
def straight(workshop: Workshop, script: Path) -> Run:
    """The run that nothing interrupts."""
    workshop.run(script).done()
    run = workshop.found("run")
    assert run.json("checkpoints/newest.json")["trained"]
    return run


def place(workshop: Workshop, name: str) -> tuple[dict[str, str], Run]:
    """Return the variables that send the script elsewhere, and the run that it makes there."""
    logs, results = workshop.folder / name, workshop.folder / f"{name}-results"
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs), "ANALYSIS_ML_RESULTS_DIR": str(results)}
    return variables, workshop.found("run", name)


def kept(run: Run, entry: str) -> set[str]:
    """Return the last two parts of the path of each artifact in MLflow."""
    folder = Path(run.client().download_artifacts(entry, ""))
    return {f"{path.parent.name}/{path.name}" for path in folder.rglob("*") if path.is_file()}


def assert_equal(run: Run, straight: Run) -> None:
    """Assert that two runs cannot be told apart."""
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())
    assert run.json("metrics.json")["metrics"] == straight.json("metrics.json")["metrics"]
    assert run.json("done") == straight.json("done")
    a, b = (r.json("checkpoints/newest.json") for r in (run, straight))
    assert [a[name] for name in ("file", "trained", "best")] == [
        b[name] for name in ("file", "trained", "best")
    ]
    assert run.logged() == run.recorded()
    (entry,) = run.entries()
    assert entry.info.status == "FINISHED"
    sent = {name for name in kept(run, entry.info.run_id) if name.endswith(".png")}
    assert sent == {name for name in run.artifacts() if name.endswith(".png")}
    # The checkpoint before the newest is of another step if the run was stopped in between.
    best = sorted(path.name for path in (straight.path / "checkpoints").glob("best-*"))
    there = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert there[: len(best)] == best
    assert len(there) == len(best) + 3


def test_signals(workshop: Workshop, script: Path, straight: Run) -> None:
    """Within the first epoch, about its end, and within the second."""
    variables, run = place(workshop, "signals")
    stops = ((5, signal.SIGTERM, 143), (STEPS, signal.SIGTERM, 143), (34, signal.SIGUSR2, 75))
    for step, number, status in stops:
        process = workshop.start(script, variables=variables)
        wait_for_step(run, process, step)
        ended = process.signal(number)
        assert ended.status == status, ended
        ended.quiet()
        assert "start again to go on" in ended.error
        newest = run.json("checkpoints/newest.json")
        assert newest["step"] >= step
        # The metrics of the step at which it stopped are there.
        assert max(run.series("train_loss_step")) == newest["step"]
        (entry,) = run.entries()
        assert entry.info.status == "KILLED"
        assert run.logged() == run.recorded()
        assert not (run.path / "lock").exists()
    workshop.run(script, variables=variables).done()
    assert_equal(run, straight)
    assert run.artifacts() == straight.artifacts()


def test_kill_and_damage(workshop: Workshop, script: Path, straight: Run) -> None:
    """At any moment, and the newest checkpoint damaged at last."""
    variables, run = place(workshop, "killed")
    chance = random.Random(3)  # noqa: S311
    for step in (chance.randrange(2, STEPS), chance.randrange(STEPS + 2, 3 * STEPS)):
        process = workshop.start(script, variables=variables)
        wait_for_step(run, process, step)
        assert process.signal(signal.SIGKILL).status == -signal.SIGKILL
        # What a kill within the writing of a checkpoint would leave.
        (run.path / "checkpoints" / f".last-000000099.ckpt.{process.pid}").touch()
    process = workshop.start(script, variables=variables)
    wait_for_step(run, process, max(run.series("train_loss_step")) + 3)
    assert process.signal(signal.SIGTERM).status == 143
    newest = run.path / "checkpoints" / str(run.json("checkpoints/newest.json")["file"])
    newest.write_bytes(newest.read_bytes()[:-100])
    ended = workshop.run(script, variables=variables).done()
    assert f"{newest} is damaged; going on from" in ended.output
    assert_equal(run, straight)
    assert run.artifacts() == straight.artifacts()
    assert not list(run.path.rglob(".*"))


Moment = Callable[[Run, Started], bool]


def held(run: Run, process: Started) -> bool:
    """Whether the start has begun to hold the folder."""
    path = run.path / "lock"
    return path.exists() and f'"pid": {process.pid},' in path.read_text()


def ending(run: Run, _: Started) -> bool:
    """Whether the first epoch is about to end."""
    path = run.path / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return bool(lines) and bool(re.match('{"step": 2[0-4],', lines[-1]))


def saving(run: Run, process: Started) -> bool:
    """Whether a checkpoint is half written."""
    return any((run.path / "checkpoints").glob(f".*.ckpt.{process.pid}"))


def drawing(run: Run, _: Started) -> bool:
    """Whether plots are half drawn."""
    results = run.path.parents[1].with_name(run.path.parents[1].name + "-results")
    pictures = results.rglob("epoch_*/*.png")
    path = run.path / "metrics.jsonl"
    return path.exists() and any(str(picture) not in path.read_text() for picture in pictures)


def evaluating(run: Run, _: Started) -> bool:
    """Whether training has come to its end, and the run has not."""
    path = run.path / "checkpoints" / "newest.json"
    return path.exists() and bool(json.loads(path.read_text())["trained"])


def strike(run: Run, process: Started, moment: Moment, number: int) -> bool:
    """Send a signal at a moment; returns whether the process was there to get it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.over():
            assert process.wait().status == 0, process.wait()
            return False
        if held(run, process) and moment(run, process):
            ended = process.signal(number)
            # It may also come when all is done.
            assert ended.status in (ENDS[number], 0), ended
            ended.quiet()
            return ended.status != 0
        time.sleep(0.001)
    raise AssertionError("the moment did not come")


ENDS: dict[int, int] = {
    signal.SIGTERM: 143,
    signal.SIGUSR2: 75,
    signal.SIGINT: 130,
    signal.SIGKILL: -9,
}
STRIKES: tuple[tuple[Moment, int], ...] = (
    (held, signal.SIGTERM),
    (saving, signal.SIGKILL),
    (ending, signal.SIGTERM),
    (saving, signal.SIGUSR2),
    (drawing, signal.SIGKILL),
    (held, signal.SIGKILL),
    (drawing, signal.SIGTERM),
    (evaluating, signal.SIGKILL),
    (evaluating, signal.SIGUSR2),
)


def test_a_run_that_is_struck_at_its_weakest_moments(
    workshop: Workshop, script: Path, straight: Run
) -> None:
    """While a checkpoint is written, a plot is drawn, before the first step, after the last."""
    left = list(STRIKES)
    # A moment may be missed on a busy machine; another run then offers it again.
    for number in range(5):
        variables, run = place(workshop, f"struck{number}")
        variables["TOY_SLOW_DISK"] = "0.03"
        while left and strike(run, workshop.start(script, variables=variables), *left[0]):
            left.pop(0)
        workshop.run(script, variables=variables).done()
        assert_equal(run, straight)
        assert run.artifacts() == straight.artifacts()
        if not left:
            break
    assert not left


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_struck_at_random(
    workshop: Workshop, script: Path, straight: Run, seed: int
) -> None:
    variables, run = place(workshop, f"random{seed}")
    chance = random.Random(seed)  # noqa: S311
    for strikes in range(6):
        process = workshop.start(script, variables=variables)
        # From the start of the process on; each may come further than the one before.
        time.sleep(chance.uniform(0, 2 + 0.5 * strikes))
        ended = process.signal(chance.choice(list(ENDS)))
        assert "Traceback" not in ended.error, ended
    workshop.run(script, variables=variables).done()
    assert_equal(run, straight)
    assert run.artifacts() == straight.artifacts()


def test_an_unseeded_run_goes_on_with_its_seed(workshop: Workshop) -> None:
    options = CHANGES["experiment_config"] | {"seed": None}
    script = workshop.build("unseeded", **CHANGES | {"experiment_config": options})
    process = workshop.start(script)
    run = workshop.found("unseeded")
    wait_for_step(run, process, 5)
    # Ctrl-C saves, too.
    assert process.signal(signal.SIGINT).status == 130
    seed = run.json("run.json")["seed"]
    workshop.run(script).done()
    assert run.json("run.json")["seed"] == seed
    assert run.entries()[0].data.tags["seed"] == str(seed)


def test_two_processes_stop_together(workshop: Workshop) -> None:
    options = CHANGES["experiment_config"] | {"devices": 2}
    script = workshop.build("pair", **CHANGES | {"experiment_config": options})
    run = workshop.found("pair")
    process = workshop.start(script)
    wait_for_step(run, process, 3)
    ended = process.signal(signal.SIGTERM)
    assert ended.status == 143, ended
    ended.quiet()
    workshop.run(script).done()
    assert list(run.series("train_loss_step")) == list(range(1, max(run.series("val_loss")) + 1))
    assert run.logged() == run.recorded()


def not_finite(workshop: Workshop, name: str, **changes: Any) -> Run:
    table = {
        "max_epochs": 6,
        "optimizer": {"optimizer_name": "SGD", "optimizer_params": {"lr": 1e30}},
        **changes,
    }
    script = workshop.build(
        name,
        experiment_config={"log_every_n_steps": 1, "check_eval_n_epoch": 2},
        training_config=table,
    )
    ended = workshop.run(script)
    assert ended.status == 3, ended
    ended.quiet()
    assert re.search(r"stopped: loss (nan|inf) at step \d+, batch \d+;", ended.error), ended
    run = workshop.found(name)
    (entry,) = run.entries()
    assert entry.info.status == "FAILED"
    assert not (run.path / "done").exists()
    return run


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_its_checkpoints(
    workshop: Workshop,
) -> None:
    """The learning rate explodes at the third epoch."""
    schedule = {
        "scheduler_name": "MultiStepLR",
        "scheduler_params": {"milestones": [3], "gamma": 1e32},
    }
    optimizer = {"optimizer_name": "SGD", "optimizer_params": {"lr": 0.01}}
    run = not_finite(workshop, "nan_later", scheduler=schedule, optimizer=optimizer)
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names == [
        *("best-000000014.ckpt", "last-000000014.ckpt", "last-000000021.ckpt", "newest.json")
    ]
    assert all(t.isfinite().all() for t in run.weights().values())


def test_no_checkpoint_is_made_of_weights_that_are_not_finite(workshop: Workshop) -> None:
    """One batch an epoch and no validation at its end: only the weights show the fault."""
    script = workshop.build(
        "nan_weights",
        experiment_config={"check_eval_n_epoch": 3},
        dataset_config={"batch_size": 1000},
        training_config={
            "max_epochs": 6,
            "optimizer": {
                "optimizer_name": "SGD",
                # As large as torch takes; the decay makes the gradient as large as the weights.
                "optimizer_params": {"lr": 3e38, "weight_decay": 100.0},
            },
        },
    )
    ended = workshop.run(script)
    assert ended.status == 3, ended
    run = workshop.found("nan_weights")
    for path in (run.path / "checkpoints").glob("last-*.ckpt"):
        assert all(t.isfinite().all() for t in run.checkpoint(path.name)["state_dict"].values())
