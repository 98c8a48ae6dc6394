"""What a run leaves: record, MLflow's entry, marks and reports; and what a second start does."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from parts.machinery.reports import measurement
from seesawc import package
from seesawc.writing.parts import needed_by
from tests.runs.experiments import EXPERIMENT, Run, Workshop, same, wait_for_step
from tests.runs.starts import Ended, isolated

CHANGES: dict[str, Any] = {
    "experiment_config": {"plot_metrics_n_epoch": 2, "log_every_n_steps": 3},
    "training_config": {"max_epochs": 4},
}
FIGURES = ("roc", "scores", "calibration", "confusion", "significance", "history")


@pytest.fixture(scope="module")
def finished(workshop: Workshop) -> tuple[Run, Ended]:
    """A run with plots."""
    ended = workshop.run(workshop.build("finished", **CHANGES))
    return workshop.found("finished"), ended.done()


def test_mlflow_has_what_the_record_has(finished: tuple[Run, Ended]) -> None:
    run, _ = finished
    assert run.logged() == run.recorded()
    assert list(run.series("val_auc")) == [7, 14, 21, 28]
    assert list(run.series("train_loss_step")) == list(range(3, 29, 3))


def test_mlflow_names_the_run(finished: tuple[Run, Ended]) -> None:
    run, _ = finished
    (entry,) = run.entries()
    assert entry.info.status == "FINISHED"
    tags = entry.data.tags
    identity = run.json("run.json")
    assert tags["script"] == identity["script"] == run.json("done")["script"]
    assert tags["seed"] == "1"
    assert tags["commit"] == identity["commit"]
    assert entry.data.params.items() >= {
        ("run_name", "finished"),
        ("max_epochs", "4"),
        ("log_every_n_steps", "3"),
        ("precision", "32-true"),
        ("batch_size", "40"),
        ("monitor", "val_loss"),
    }
    assert entry.info.end_time > entry.info.start_time


def test_mlflow_holds_the_files(finished: tuple[Run, Ended], workshop: Workshop) -> None:
    run, _ = finished
    (entry,) = run.entries()
    client = run.client()
    place = Path(client.download_artifacts(entry.info.run_id, ""))
    held = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    plots = {f"{n}/{figure}.png" for n in ("epoch_0002", "epoch_0004") for figure in FIGURES}
    final = {f"{n}/{figure}" for n in ("validation", "test") for figure in FIGURES}
    final = final - {"test/history"} | {"test/inputs"}
    plots |= {f"{name}.{ending}" for name in final for ending in ("png", "pdf")}
    built = workshop.folder / "generated" / "finished"
    code = [Path("train_signal.py"), Path("resolved.toml")]
    # Others lie there for apply.py.
    script = (built / "train_signal.py").read_text()
    code += [Path(part.file) for part in needed_by(package.templates(), script)]
    deployed = run.deployed()
    assert held - {"code/run"} == (
        plots | {f"code/{path}" for path in code} | {f"deploy/{name}" for name in deployed}
    )
    for name, content in deployed.items():
        assert (place / "deploy" / name).read_bytes() == content
    for path in code:
        assert (place / "code" / path).read_bytes() == (built / path).read_bytes()
    starts = {".png": b"\x89PNG", ".pdf": b"%PDF"}
    assert all((place / n).read_bytes().startswith(starts[Path(n).suffix]) for n in plots)


def test_the_run_says_what_it_was(finished: tuple[Run, Ended]) -> None:
    run, _ = finished
    identity = run.json("run.json")
    assert identity["versions"].keys() >= {"python", "torch", "lightning", "mlflow", "numpy"}
    assert sorted(Path(name).name for name in identity["data"]) == ["toy.csv", "toy.parquet"]
    assert re.fullmatch(r"[0-9a-f]{64}", identity["script"])


def test_the_results_are_told_to_people_and_to_programs(finished: tuple[Run, Ended]) -> None:
    run, ended = finished
    result = run.json("metrics.json")
    best = min(run.series("val_loss"), key=run.series("val_loss").__getitem__)
    assert Path(result["checkpoint"]) == run.path / "checkpoints" / f"best-{best:09d}.ckpt"
    assert run.json("done")["checkpoint"] == Path(result["checkpoint"]).name
    validation = result["metrics"]["validation"]
    for name, value in validation.items():
        assert value == pytest.approx(run.series(f"val_{name}")[best], rel=1e-6)
        columns = [name]
        for prefix, split in (("best_val", "validation"), ("test", "test")):
            value, columns = result["metrics"][split][name], [*columns, rf"{value:.4f}"]
            assert run.series(f"{prefix}_{name}") == {best: value}
            if name != "significance_cut":
                error = result["uncertainties"][split][name]
                columns[-1] = re.escape(measurement(value, error))
                assert 0 < error < value / 2
                assert run.series(f"{prefix}_{name}_uncertainty") == {best: error}
        row = f"^{' +'.join(columns)}$"
        assert re.search(row, ended.output, re.MULTILINE), row
    for name in ("run", "checkpoint", "deployed", "plots", "tracker"):
        (place,) = re.findall(rf"^{name} +(/\S+)$", ended.output, re.MULTILINE)
        assert Path(place).exists()


def test_nothing_is_left_behind(finished: tuple[Run, Ended]) -> None:
    run, _ = finished
    assert {path.name for path in run.path.iterdir()} == {
        *("checkpoints", "done", "metrics.json", "metrics.jsonl", "mirrored.json", "mlflow.json"),
        *("run.json", "deploy"),
    }
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert [re.sub(r"\d+", "N", name) for name in names] == [
        *("best-N.ckpt", "last-N.ckpt", "last-N.ckpt", "newest.json", "run.json")
    ]


def test_two_starts_in_two_places_are_equal_bit_for_bit(
    finished: tuple[Run, Ended], workshop: Workshop
) -> None:
    run, _ = finished
    script = workshop.folder / "generated" / "finished" / "train_signal.py"
    folders = {
        f"ANALYSIS_ML_{name}_DIR": str(workshop.folder / f"second{name}")
        for name in ("LOGS", "RESULTS")
    }
    workshop.run(script, variables=folders).done()
    second = workshop.found("finished", "secondLOGS")
    assert same(run.weights(), second.weights())
    assert run.measured() == second.measured()
    assert run.plots() == second.plots()
    assert len(run.plots()) == 2 * len(FIGURES) + 2 * 2 * len(FIGURES)
    for found in ("metrics", "uncertainties"):
        assert run.json("metrics.json")[found] == second.json("metrics.json")[found]
    assert run.chosen() == second.chosen()


def test_a_finished_run_is_not_touched(finished: tuple[Run, Ended], workshop: Workshop) -> None:
    run, _ = finished
    before = run.files()
    script = workshop.folder / "generated" / "finished" / "train_signal.py"
    ended = workshop.run(script).done()
    assert ended.output == f"{run.path} is finished; --again LABEL starts another run\n"
    assert run.files() == before


def test_again_makes_another_run(workshop: Workshop) -> None:
    script = workshop.build("twice", training_config={"max_epochs": 1})
    workshop.run(script).done()
    first = workshop.found("twice")
    before = first.files()
    workshop.run(script, "--again", "x").done()
    again = workshop.found("twice+x")
    assert same(first.weights(), again.weights())
    assert len(again.entries()) == len(first.entries()) == 1
    kept = {name: state for name, state in first.files().items() if "/mlruns/" not in name}
    assert kept.items() >= {(n, s) for n, s in before.items() if "/mlruns/" not in n}


@pytest.mark.parametrize("label", ["../../x", "a b", "a\nb"])
def test_again_takes_names_only(workshop: Workshop, label: str) -> None:
    script = workshop.build("labelled", training_config={"max_epochs": 1})
    ended = workshop.run(script, "--again", label)
    assert ended.status in (1, 2), ended
    ended.quiet()


def test_another_script_under_the_name_of_a_run_is_refused(workshop: Workshop) -> None:
    script = workshop.build("taken", training_config={"max_epochs": 1})
    workshop.run(script).done()
    run = workshop.found("taken")
    before = run.files()
    other = workshop.build("taken", training_config={"max_epochs": 2})
    began = run.json("run.json")["script"]
    workshop.run(other).refused("another version of this script", began[:12])
    assert run.files() == before
    assert not (run.path / "ended.json").exists()


def test_another_script_under_the_name_of_an_interrupted_run_is_refused(
    workshop: Workshop,
) -> None:
    script = workshop.build("taken2", training_config={"max_epochs": 1})
    workshop.run(script).done()
    run = workshop.found("taken2")
    (run.path / "done").unlink()
    before = run.files()
    other = workshop.build("taken2", training_config={"max_epochs": 2})
    workshop.run(other).refused("another version of this script")
    assert run.files() == before
    assert run.json("ended.json")["status"] == 1


def test_a_second_start_is_refused_while_the_first_one_runs(workshop: Workshop) -> None:
    script = workshop.build(
        "busy",
        experiment_config={"log_every_n_steps": 1},
        training_config={"max_epochs": 100000},
    )
    first = workshop.start(script)
    run = workshop.found("busy")
    wait_for_step(run, first, 3)
    workshop.run(script).refused("is in use", str(first.pid))
    ended = first.signal(15)
    assert ended.status == 143, ended
    assert not (run.path / "lock").exists()


def test_sync_sends_what_a_tracker_lacks(workshop: Workshop) -> None:
    script = workshop.build("unsent", **CHANGES)
    nowhere = f"sqlite:///{workshop.folder}/data/toy.csv/mlflow.db"
    ended = workshop.run(script, MLFLOW_TRACKING_URI=nowhere)
    assert ended.status == 0, ended
    assert "the tracker lacks a part of the record; --sync sends it later" in ended.output
    ended.quiet()
    run = workshop.found("unsent")
    assert run.entries() == []
    record = (run.path / "metrics.jsonl").read_bytes()
    for _ in range(2):
        assert workshop.run(script, "--sync").status == 0
        assert run.logged() == run.recorded()
    (entry,) = run.entries()
    assert entry.info.status == "FINISHED"
    assert (run.path / "metrics.jsonl").read_bytes() == record


def test_the_record_is_plain(finished: tuple[Run, Ended]) -> None:
    run, _ = finished
    text = (run.path / "metrics.jsonl").read_text()
    assert text.isascii()
    assert "NaN" not in text
    for line in text.splitlines():
        assert json.loads(line).keys() >= {"step", "epoch", "time"}
    assert run.path.parent.name == EXPERIMENT


def test_a_run_goes_on_where_its_tracker_cannot_be_imported(workshop: Workshop) -> None:
    lacking = workshop.folder / "lacking"
    lacking.mkdir()
    said = "No module named 'mlflow'"
    (lacking / "mlflow.py").write_text(f'raise ModuleNotFoundError("{said}", name="mlflow")')
    script = workshop.build("untracked", training_config={"max_epochs": 2})
    paths = os.pathsep.join((isolated()["PYTHONPATH"], str(lacking)))
    ended = workshop.run(script, cold=True, PYTHONPATH=paths)
    assert ended.status == 0, ended
    ended.quiet()
    assert ended.output.count(said) == 1, ended
    assert "the tracker lacks a part of the record; --sync sends it later" in ended.output
    # Where it is installed later, it gets all.
    workshop.run(script).done()
    run = workshop.found("untracked")
    assert run.logged() == run.recorded()
