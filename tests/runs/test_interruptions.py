"""Runs that are interrupted and started again end as if they had not been."""

import random
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, Workshop, give_store, same
from tests.runs.starts import PATIENCE, Strike

STEPS = 25  # Of an epoch: 248 training events in batches of 10.
CHANGES: dict[str, Any] = {
    "experiment_config": {"log_every_n_steps": 1},
    "dataset_config": {"batch_size": 10},
    "model_config": {"architecture_config": {"batchnorm": True, "dropout": 0.2}},
    "training_config": {
        "max_epochs": 6,
        "early_stop_patience": 2,
        "monitor": "val_auc",
        "scheduler": {"scheduler_name": "OneCycleLR", "scheduler_params": {"max_lr": 0.003}},
        "warmup": {"epochs": 1.5},
    },
}
PLOTTED = CHANGES | {"experiment_config": {"log_every_n_steps": 1, "plot_metrics_n_epoch": 3}}
STATUSES: dict[int, int] = {
    signal.SIGTERM: 143,
    signal.SIGUSR2: 75,
    signal.SIGINT: 130,
    signal.SIGKILL: -9,
}


@pytest.fixture(scope="module")
def script(workshop: Workshop) -> Path:
    return workshop.build("run", **CHANGES)


@pytest.fixture(scope="module")
def straight(workshop: Workshop, script: Path) -> Run:
    """The run that nothing interrupts: it stops early, in its fourth epoch or later."""
    workshop.run(script).done()
    run = workshop.found("run")
    newest = run.json("checkpoints/newest.json")
    assert newest["trained"]
    assert STEPS * 4 <= newest["step"] < STEPS * 6
    return run


@pytest.fixture(scope="module")
def plotted(workshop: Workshop) -> Path:
    return workshop.build("plotted", **PLOTTED)


@pytest.fixture(scope="module")
def straight_plotted(workshop: Workshop, plotted: Path) -> Run:
    """The run with plots that nothing interrupts."""
    workshop.run(plotted).done()
    return workshop.found("plotted")


def place(workshop: Workshop, run: Run, name: str) -> tuple[dict[str, str], Run]:
    """Return the variables that send a run's script elsewhere, and the run that it makes there."""
    logs, results = workshop.folder / name, workshop.folder / f"{name}-results"
    variables = {"ANALYSIS_ML_LOGS_DIR": str(logs), "ANALYSIS_ML_RESULTS_DIR": str(results)}
    give_store(logs)
    return variables, workshop.found(run.path.name, name)


def kept(run: Run, entry: str) -> set[str]:
    """Return the last two parts of the path of each artifact in MLflow."""
    folder = Path(run.client().download_artifacts(entry, ""))
    # MLflow's own, of a copy that a kill cut short, are hidden.
    paths = (path.relative_to(folder) for path in folder.rglob("[!.]*") if path.is_file())
    found = set(map(str, paths))
    # The code and what is handed on, which must be whole, are one artifact each of the record.
    code = run.path.parent / str(run.json("run.json")["code"])
    files = {f"code/{path.relative_to(code)}" for path in code.rglob("[!.]*") if path.is_file()}
    whole = {f".code/{code.name}": files, "/deploy": {f"deploy/{name}" for name in run.deployed()}}
    return found.difference(*whole.values()) | {n for n, each in whole.items() if each <= found}


def assert_equal(run: Run, straight: Run) -> None:
    """Assert that two runs cannot be told apart."""
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())
    for found in ("metrics", "uncertainties"):
        assert run.json("metrics.json")[found] == straight.json("metrics.json")[found]
    assert run.chosen() == straight.chosen()
    a, b = (r.json("checkpoints/newest.json") for r in (run, straight))
    assert [a[name] for name in ("file", "trained", "best")] == [
        b[name] for name in ("file", "trained", "best")
    ]
    assert_mirrored(run)
    assert run.artifacts() == straight.artifacts()
    assert run.plots() == straight.plots()
    assert run.deployed() == straight.deployed()
    # The checkpoint before the newest is of another step if the run was stopped in between.
    best = sorted(path.name for path in (straight.path / "checkpoints").glob("best-*"))
    there = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert there[: len(best)] == best
    # Besides, two last ones, which is newest, and what the run is.
    assert len(there) == len(best) + 4
    assert not list(run.path.rglob(".*"))
    assert not list(run.path.glob("lock*"))


def assert_mirrored(run: Run) -> None:
    """Assert that MLflow has all of a finished run, once."""
    assert run.logged() == run.recorded()
    (entry,) = run.entries()
    assert entry.info.status == "FINISHED"
    assert kept(run, entry.info.run_id) == set(run.artifacts())


def assert_stopped(run: Run) -> None:
    """Assert that a start that was told to stop has left everything in order."""
    assert_released(run)
    assert {entry.info.status for entry in run.entries()} <= {"KILLED"}
    if run.entries():
        # Nothing was recorded after the tracker was told that this was all.
        assert run.json("mirrored.json")["offset"] == (run.path / "metrics.jsonl").stat().st_size


def assert_released(run: Run) -> None:
    """Assert that nobody seems to be at work on a run, and that nothing is half written."""
    assert not (run.path / "lock").exists()
    assert not list(run.path.rglob(".*"))


def test_signals_within_an_epoch_at_its_end_and_within_the_next(
    workshop: Workshop, script: Path, straight: Run
) -> None:
    variables, run = place(workshop, straight, "signals")
    stops = (
        # A round of three steps is ended first,
        (5, signal.SIGTERM, 6),
        # and at its last step an epoch.
        (STEPS - 6, signal.SIGTERM, STEPS),
        (9, signal.SIGUSR2, STEPS + 9),
        (2 * STEPS - 10, signal.SIGINT, 3 * STEPS - 1),
    )
    for steps, number, reached in stops:
        ended = workshop.run(script, strike=Strike("step", "*", steps, number), variables=variables)
        assert ended.status == STATUSES[number], ended
        ended.quiet()
        assert "start again to go on" in ended.error
        assert run.json("checkpoints/newest.json")["step"] == reached
        # The metrics of the step at which it stopped are there.
        assert max(run.series("train_loss_step")) == reached
        assert run.logged() == run.recorded()
        (entry,) = run.entries()
        assert entry.info.status == "KILLED"
        assert_stopped(run)
    workshop.run(script, variables=variables).done()
    assert_equal(run, straight)


def test_kill_and_damage(workshop: Workshop, script: Path, straight: Run) -> None:
    """At any moment, and the newest checkpoint damaged at last."""
    variables, run = place(workshop, straight, "killed")
    for steps in (17, 2 * STEPS + 3):
        strike = Strike("step", "*", steps, signal.SIGKILL)
        assert workshop.run(script, strike=strike, variables=variables).status == -9
    # What a kill within the writing of a checkpoint would leave.
    (run.path / "checkpoints" / ".last-000000099.ckpt.4711").touch()
    strike = Strike("step", "*", 8, signal.SIGTERM)
    assert workshop.run(script, strike=strike, variables=variables).status == 143
    newest = run.path / "checkpoints" / str(run.json("checkpoints/newest.json")["file"])
    newest.write_bytes(newest.read_bytes()[:-100])
    ended = workshop.run(script, variables=variables).done()
    assert f"{newest} is damaged; going on from" in ended.output
    assert_equal(run, straight)


# Before anything is trained, each in a start of its own.
EARLY = (
    ("os.link", "*/lock"),
    ("open", "*/toy.csv"),
    ("open", "*/toy.parquet"),
    ("os.rename", "*/run.json"),
    ("open", "*/metrics.jsonl"),
)


def test_a_signal_before_training_is_obeyed_before_it(
    workshop: Workshop, script: Path, straight: Run
) -> None:
    variables, run = place(workshop, straight, "early")
    for index, (event, pattern) in enumerate(EARLY):
        number = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)[index % 3]
        strike = Strike(event, pattern, 1, number)
        ended = workshop.run(script, strike=strike, variables=variables)
        assert ended.status == STATUSES[number], (strike, ended)
        ended.quiet()
        assert run.json("ended.json")["status"] == ended.status
        assert_stopped(run)
        assert not (run.path / "metrics.jsonl").exists() or run.measured() == []
    workshop.run(script, variables=variables).done()
    assert_equal(run, straight)


# While a checkpoint is written, a plot is drawn, the best one is read to be tested, and so on: each
# in a start of its own that goes on from the one before.
WEAKEST = (
    Strike("os.link", "*/lock", 1, signal.SIGKILL),
    Strike("os.remove", "*/lock.*", 1, signal.SIGKILL),
    Strike("open", "*/.metrics.jsonl.*", 1, signal.SIGKILL),
    Strike("open", "*/checkpoints/.last-*", 1, signal.SIGKILL),
    Strike("os.rename", "*/checkpoints/last-*", 1, signal.SIGKILL),
    Strike("os.rename", "*/checkpoints/newest.json", 1, signal.SIGTERM),
    Strike("os.rename", "*/checkpoints/best-*", 1, signal.SIGKILL),
    Strike("open", "*/checkpoints/.last-*", 1, signal.SIGUSR2),
    Strike("open", "*/.undrawn.*", 1, signal.SIGKILL),
    Strike("os.rename", "*/undrawn", 1, signal.SIGKILL),
    Strike("open", "*/epoch_0003/roc.png", 1, signal.SIGKILL),
    Strike("open", "*/epoch_0003/history.png", 1, signal.SIGTERM),
    Strike("open", "*/checkpoints/best-*", 1, signal.SIGKILL),
    Strike("open", "*/checkpoints/best-*", 1, signal.SIGUSR2),
    Strike("open", "*/deploy.unfinished/*", 1, signal.SIGKILL),
    Strike("os.rename", "*/deploy.unfinished/model.onnx", 1, signal.SIGTERM),
    Strike("os.rename", "*/deploy.unfinished", 1, signal.SIGKILL),
    Strike("open", "*/test/roc.png", 1, signal.SIGTERM),
    Strike("open", "*/test/confusion.png", 1, signal.SIGKILL),
    Strike("os.rename", "*/metrics.json", 1, signal.SIGKILL),
)


def test_a_run_that_is_struck_at_its_weakest_moments(
    workshop: Workshop, plotted: Path, straight_plotted: Run
) -> None:
    variables, run = place(workshop, straight_plotted, "struck")
    for strike in WEAKEST:
        ended = workshop.run(plotted, strike=strike, variables=variables)
        assert ended.status == STATUSES[strike.number], (strike, ended)
        ended.quiet()
        if strike.number != signal.SIGKILL:
            assert_stopped(run)
    workshop.run(plotted, variables=variables).done()
    assert_equal(run, straight_plotted)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_struck_at_random(
    workshop: Workshop, script: Path, straight: Run, seed: int
) -> None:
    variables, run = place(workshop, straight, f"random{seed}")
    chance = random.Random(seed)  # noqa: S311 (the same strikes everywhere)
    killed = False
    for _ in range(6):
        event, most = chance.choice((("step", 60), ("open", 40), ("os.rename", 20)))
        number = chance.choice(list(STATUSES))
        # Not while modules are imported: then nothing has begun, and nobody listens.
        pattern = "*" if event == "step" else f"{run.path.parents[1]}/*"
        strike = Strike(event, pattern, chance.randrange(1, most), number)
        ended = workshop.run(script, strike=strike, variables=variables)
        # It may also come when all is done.
        assert ended.status in (STATUSES[number], 0), (strike, ended)
        ended.quiet()
        killed |= number == signal.SIGKILL
        if number == signal.SIGKILL or not ended.status:
            continue
        # The tracker of one that was killed knows of no end before a later start comes to it.
        told = not killed or run.json("mirrored.json")["status"]
        (assert_stopped if told else assert_released)(run)
    workshop.run(script, variables=variables)
    assert_equal(run, straight)


# From the moment that the result is written, a run ends whatever signals come.
ENDING = (
    ("os.rename", "*/metrics.json"),
    ("os.rename", "*/done"),
    # Not `mirrored.json`, which its thread may write first before the last place to stop at.
    ("os.remove", "*/lock"),
    ("end", ""),
    ("end", ""),
    ("end", ""),
)


def test_a_signal_while_a_run_ends_changes_nothing(
    workshop: Workshop, script: Path, straight: Run
) -> None:
    variables, run = place(workshop, straight, "ending")
    for index, (event, pattern) in enumerate(ENDING):
        number = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)[index % 3]
        strike = Strike(event, pattern, 1, number)
        workshop.run(script, strike=strike, variables=variables).done()
        assert_equal(run, straight)
        # Another start then has the evaluation to do, and to end.
        (run.path / "done").unlink()


def test_a_start_on_a_finished_run_sends_the_tracker_what_it_lacks(
    workshop: Workshop, script: Path, straight: Run
) -> None:
    """Killed while a tracker that does not answer was waited for; the data have gone since."""
    variables, run = place(workshop, straight, "lacking")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = workshop.start(script, variables=variables, MLFLOW_TRACKING_URI=silent_uri)
        deadline = time.monotonic() + PATIENCE
        while not (run.path / "done").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.signal(signal.SIGKILL).status == -9
    data = workshop.folder / "data"
    data.rename(data.with_name("gone"))
    try:
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        for _ in range(2):
            ended = workshop.run(script, variables=variables).done()
            assert ended.output == f"{run.path} is finished; --again LABEL starts another run\n"
            assert_mirrored(run)
    finally:
        data.with_name("gone").rename(data)
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    changed = {path.name for path in before.keys() | after if before.get(path) != after.get(path)}
    assert changed == {"lock", "mirrored.json", "mlflow.json"}


def test_an_unseeded_run_goes_on_with_its_seed(workshop: Workshop) -> None:
    options = CHANGES["experiment_config"] | {"seed": None}
    script = workshop.build("unseeded", **CHANGES | {"experiment_config": options})
    # Ctrl-C saves, too.
    assert workshop.run(script, strike=Strike("step", "*", 5, signal.SIGINT)).status == 130
    run = workshop.found("unseeded")
    seed = run.json("run.json")["seed"]
    workshop.run(script).done()
    assert run.json("run.json")["seed"] == seed
    assert run.entries()[0].data.tags["seed"] == str(seed)


def test_two_processes_stop_together(workshop: Workshop) -> None:
    """Also if only one of them is told to."""
    options = CHANGES["experiment_config"] | {"devices": 2}
    script = workshop.build("pair", **CHANGES | {"experiment_config": options})
    run = workshop.found("pair")
    ended = workshop.run(script, strike=Strike("step", "*", 3, signal.SIGTERM, rank=1))
    assert ended.status == 143, ended
    ended.quiet()
    assert run.json("checkpoints/newest.json")["step"] == 3
    assert_stopped(run)
    workshop.run(script).done()
    assert list(run.series("train_loss_step")) == list(range(1, max(run.series("val_loss")) + 1))
    assert run.logged() == run.recorded()
    # The first of them exports alone.
    assert "model.onnx" in run.deployed()
    assert run.artifacts().count("/deploy") == 1


def test_a_process_that_is_told_to_stop_before_it_trains_does_not_leave_the_other_waiting(
    workshop: Workshop,
) -> None:
    options = CHANGES["experiment_config"] | {"devices": 2}
    script = workshop.build("early_pair", **CHANGES | {"experiment_config": options})
    strike = Strike("open", "*/toy.csv", 1, signal.SIGTERM, rank=1)
    ended = workshop.run(script, strike=strike)
    assert ended.status == 143, ended
    ended.quiet()
    run = workshop.found("early_pair")
    assert run.measured() == []
    assert_stopped(run)


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
    assert re.search(
        r"stopped: loss (nan|inf) at step \d+, batch \d+ of its epoch;", ended.error
    ), ended
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
        *("best-000000014.ckpt", "last-000000014.ckpt", "last-000000021.ckpt", "newest.json"),
        "run.json",
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
