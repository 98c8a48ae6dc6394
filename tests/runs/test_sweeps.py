"""The script of a sweep trains its points: one, or all in turn, each a run of its own."""

import json
import re
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, Workshop, same, wait_for_step
from tests.runs.starts import Strike
from tests.spec_tables import edited

LR = {"training_config": {"optimizer": {"optimizer_params": {"lr": [0.01, 0.003]}}}}
NETWORKS: dict[str, Any] = {"model_config": {"architecture_config": {"model": ["MLP", "ResNet"]}}}
SWEEP: dict[str, Any] = {"seeds": [1, 2], "grid": NETWORKS}


def points(script: Path) -> list[dict[str, Any]]:
    record = tomllib.loads(script.with_name("resolved.toml").read_text())
    found: list[dict[str, Any]] = record["points"]
    return found


@pytest.fixture(scope="module")
def script(workshop: Workshop) -> Path:
    return workshop.build("swept", sweep_config=SWEEP)


@pytest.fixture(scope="module")
def runs(workshop: Workshop, script: Path) -> list[Run]:
    """The runs of all points: one is trained alone, then all."""
    third = points(script)[2]
    alone = workshop.run(script, "--point", third["identity"]).done()
    assert f"run         {workshop.found(third['run_name']).path}" in alone.output
    ended = workshop.run(script, "--all")
    assert ended.status == 0, ended
    found = [workshop.found(point["run_name"]) for point in points(script)]
    assert f"{found[2].path} is finished" in ended.output
    summary = ended.output.rstrip().split("\n")[-4:]
    assert summary == [
        f"exit status 0    {point['identity']}  model={model}, seed={seed}"
        for point, (model, seed) in zip(
            points(script),
            [("MLP", 1), ("MLP", 2), ("ResNet", 1), ("ResNet", 2)],
            strict=True,
        )
    ]
    return found


def test_every_point_is_a_run_of_its_own(runs: list[Run], script: Path) -> None:
    assert all((run.path / "done").exists() for run in runs)
    assert len({run.path for run in runs}) == 4
    for run, point in zip(runs, points(script), strict=True):
        (entry,) = run.entries()
        assert entry.info.status == "FINISHED"
        assert entry.data.tags["sweep"] == "swept"
        assert entry.data.tags["point"] == point["identity"]
        assert run.json("run.json")["script"] == point["script"][:16]
        assert "model.onnx" in run.deployed()
        params = entry.data.params
        model = point["values"]["model_config.architecture_config.model"]
        assert params["model"] == model
        assert params["seed"] == str(point["values"]["experiment_config.seed"])
        assert params.get("block_size") == ("2" if model == "ResNet" else None)
        assert not {n for n in params if n.startswith(("sweep_config", "point"))}


def test_a_point_trains_as_its_plain_script_does(workshop: Workshop, runs: list[Run]) -> None:
    changes = {
        "experiment_config": {"seed": 2},
        "model_config": {"architecture_config": {"model": "ResNet"}},
    }
    plain = workshop.train("plain", **changes)
    assert same(plain.weights(), runs[3].weights())
    assert plain.measured() == runs[3].measured()


def test_adding_a_point_leaves_the_others_as_they_are(
    workshop: Workshop, runs: list[Run], script: Path
) -> None:
    before = {run.path: run.json("run.json") for run in runs}
    names = [point["run_name"] for point in points(script)]
    extra = [{"training_config": {"max_epochs": 1}}]
    workshop.build("swept", sweep_config={"seeds": [2, 1], "grid": NETWORKS, "points": extra})
    assert {*names} < {point["run_name"] for point in points(script)}
    assert names != [point["run_name"] for point in points(script)][:4]
    for name in names:
        ended = workshop.run(script, "--point", name.rpartition("-")[2])
        assert ended.status == 0, ended
        assert f"{workshop.found(name).path} is finished" in ended.output
    assert {run.path: run.json("run.json") for run in runs} == before
    workshop.run(script, "--point", "5").done()
    assert workshop.found(points(script)[5]["run_name"]).epochs("val_loss") == [1]


def test_an_interrupted_point_goes_on_after_another_was_added(workshop: Workshop) -> None:
    changes: dict[str, Any] = {
        "experiment_config": {"log_every_n_steps": 1},
        "training_config": {"max_epochs": 5},
    }
    script = workshop.build("grown", sweep_config={"grid": LR}, **changes)
    run = workshop.found(points(script)[1]["run_name"])
    strike = Strike("step", "*", 20, signal.SIGUSR2)
    assert workshop.run(script, "--point", "1", strike=strike).status == 75
    extra = [{"training_config": {"loss": "mse"}}]
    assert workshop.build("grown", sweep_config={"grid": LR, "points": extra}, **changes) == script
    workshop.run(script, "--point", "1").done()
    assert run.epochs("val_loss") == list(range(1, 6))


def test_a_script_that_was_edited_is_another_one(workshop: Workshop) -> None:
    changes: dict[str, Any] = {"training_config": {"max_epochs": 1}}
    script = workshop.build("edited", sweep_config={"grid": LR}, **changes)
    workshop.run(script, "--point", "0").done()
    script.write_text(edited(script.read_text(), "DROPOUT = 0.1", "DROPOUT = 0.3"))
    workshop.run(script, "--point", "0").refused("another version of this script")
    workshop.run(script, "--point", "1").done()


def test_without_a_point_or_with_an_unknown_one_it_is_refused(
    workshop: Workshop, script: Path
) -> None:
    listed = [f"{point['identity']}  model=" for point in points(script)[:4]]
    workshop.run(script).refused("this is a sweep: --point POINT, or --all", *listed)
    workshop.run(script, "--point", "99").refused("there is no point '99'", *listed)
    workshop.run(script, "--point", "-1").refused("there is no point '-1'")
    told = workshop.run(script, "--help")
    assert told.status == 0
    for line in (*listed, "--point POINT", "--again LABEL"):
        assert line in told.output
    assert workshop.run(script, "--all", "--point", "1").status == 2
    assert workshop.run(script, "--all", "--srun").status == 2


def test_all_goes_on_after_a_failure_and_says_so(workshop: Workshop) -> None:
    data = [{"name": "ggH", "class": "signal", "files": ["../data/none.csv"]}]
    data.append({"name": "qqZZ", "class": "background", "files": ["../data/toy.csv"]})
    sweep = {
        "points": [
            {"dataset_config": {"samples": data}},
            {"training_config": {"max_epochs": 1}},
        ]
    }
    script = workshop.build("failing", sweep_config=sweep)
    ended = workshop.run(script, "--all")
    assert ended.status == 1
    assert ended.error.count("refused: ") == 1
    assert re.search(r"\nexit status 1 .*\nexit status 0 .*\n$", ended.output), ended
    assert (workshop.found(points(script)[1]["run_name"]).path / "done").exists()


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGUSR2, 75), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_signal_is_passed_on_and_ends_the_sequence(
    workshop: Workshop, number: int, status: int
) -> None:
    changes: dict[str, Any] = {
        "experiment_config": {"log_every_n_steps": 1},
        "training_config": {"max_epochs": 100_000},
    }
    script = workshop.build(f"stopped{number}", sweep_config={"grid": LR}, **changes)
    first, second = (workshop.found(point["run_name"]) for point in points(script))
    started = workshop.start(script, "--all")
    wait_for_step(first, started, 20)
    ended = started.signal(number)
    assert ended.status == status, ended
    ended.quiet()
    assert re.search(rf"\nexit status {status} .*\nnot started .*\n$", ended.output), ended
    assert first.checkpoint()["global_step"] >= 20
    assert not second.path.exists()
    assert json.loads((first.path / "run.json").read_text())["seed"] == 1
