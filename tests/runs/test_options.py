"""Each option of [experiment_config] alone shows its effect in a run."""

import json
import os
import pty
import re
import termios
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.image import imread

from tests.runs.experiments import EXPERIMENT, Run, Workshop, same
from tests.runs.starts import Ended

STEPS = 7  # Of an epoch: 248 training events in batches of 40.


def experiment(**options: Any) -> dict[str, Any]:
    return {"experiment_config": options}


@pytest.fixture(scope="module")
def plain(workshop: Workshop) -> tuple[Run, Ended]:
    """The run that the options are compared with: started cold, with a witness."""
    ended = workshop.run(
        workshop.build("plain"), cold=True, WITNESS_FOLDER=str(workshop.folder / "plain")
    )
    return workshop.found("plain"), ended.done()


@pytest.fixture(scope="module")
def cadences(workshop: Workshop) -> Run:
    """A run whose cadences do not divide each other."""
    options = {
        "log_every_n_steps": 4,
        "check_eval_n_epoch": 2,
        "check_metrics_n_epoch": 3,
        "plot_metrics_n_epoch": 5,
    }
    return workshop.train("cadences", **experiment(**options), training_config={"max_epochs": 8})


@pytest.fixture(scope="module")
def never(workshop: Workshop) -> tuple[Run, Ended]:
    """A run without metrics and plots, after a sanity check."""
    changes = experiment(
        check_metrics_n_epoch="never", plot_metrics_n_epoch="never", num_sanity_val_steps=-1
    )
    ended = workshop.run(workshop.build("never", **changes))
    return workshop.found("never"), ended.done()


def witnesses(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.iterdir()]


def test_seesawc_cannot_be_imported_where_scripts_run(
    workshop: Workshop, plain: tuple[Run, Ended]
) -> None:
    code = """
import importlib
for name in ("seesawc", "seesawc.pipeline", "parts", "parts.machinery.runs"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        print("blocked", name)
import attrs, torch
"""
    script = workshop.folder / "attempt.py"
    script.write_text(code)
    for cold in (True, False):
        ended = workshop.run(script, cold=cold)
        assert (ended.status, ended.output.count("blocked")) == (0, 4), ended
    assert [w["ours"] for w in witnesses(workshop.folder / "plain")] == [[]]


def test_experiment_name(workshop: Workshop) -> None:
    workshop.run(
        workshop.build("named", **experiment(experiment_name="h4l.v2", plot_metrics_n_epoch=50))
    ).done()
    run = Run(workshop.folder / "logs" / "h4l.v2" / "named")
    assert run.json("done")["checkpoint"].startswith("best-")
    (entry,) = run.entries("h4l.v2")
    assert entry.data.params["experiment_name"] == "h4l.v2"
    assert (workshop.folder / "results" / "h4l.v2" / "named" / "test" / "roc.png").stat().st_size


def test_run_name(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    run, _ = plain
    assert run.path == workshop.folder / "logs" / EXPERIMENT / "plain"
    assert (run.path / "checkpoints").is_dir()
    assert len(run.entries()) == 1


def test_run_name_left_out_is_fixed_at_build(workshop: Workshop) -> None:
    script = workshop.build("open", **experiment(run_name=None), training_config={"max_epochs": 1})
    (name,) = re.findall(r'^RUN_NAME = "(toy_MLP_\d{8}T\d{6}Z)"$', script.read_text(), re.MULTILINE)
    workshop.run(script).done()
    assert workshop.found(name).json("done")
    assert "is finished" in workshop.run(script).output


def test_save_dir_and_tracker_path(workshop: Workshop) -> None:
    changes = experiment(
        save_dir="elsewhere/${KIND}", tracker_path="drawn/${KIND}", plot_metrics_n_epoch=50
    )
    workshop.run(workshop.build("placed", **changes), KIND="night").done()
    # Relative paths start at the spec.
    run = workshop.found("placed", "specs/elsewhere/night")
    assert run.json("done")
    assert run.entries()
    assert (run.store / "artifacts" / EXPERIMENT).is_dir()
    drawn = workshop.folder / "specs" / "drawn" / "night" / EXPERIMENT / "placed" / "validation"
    assert {path.name for path in drawn.iterdir()} >= {"roc.png", "scores.png", "history.png"}


def test_a_variable_of_a_path_that_is_not_set_is_named(workshop: Workshop) -> None:
    changes = experiment(save_dir="${NIGHT_DIR}/logs")
    workshop.run(workshop.build("unset", **changes)).refused("NIGHT_DIR is not set")


def test_without_the_sites_variables_a_run_goes_below_the_current_folder(
    workshop: Workshop,
) -> None:
    script = workshop.build("fallback", training_config={"max_epochs": 1})
    empty = {"ANALYSIS_ML_LOGS_DIR": "", "ANALYSIS_ML_RESULTS_DIR": ""}
    workshop.run(script, variables=empty).refused("ANALYSIS_ML_LOGS_DIR is not set")
    ended = workshop.run(script, unset=("ANALYSIS_ML_LOGS_DIR", "ANALYSIS_ML_RESULTS_DIR")).done()
    for name, folder in (("LOGS", "logs"), ("RESULTS", "results")):
        words = f"ANALYSIS_ML_{name}_DIR is not set, using {workshop.folder / folder}"
        assert ended.error.count(words) == 1, ended


def test_seed(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    run, _ = plain
    other_folder = str(workshop.folder / "again")
    workshop.run(workshop.build("plain"), ANALYSIS_ML_LOGS_DIR=other_folder).done()
    again = workshop.found("plain", "again")
    assert same(run.weights(), again.weights())
    assert run.measured() == again.measured()
    assert run.json("metrics.json")["metrics"] == again.json("metrics.json")["metrics"]
    other = workshop.train("seed2", **experiment(seed=2))
    assert not same(run.weights(), other.weights())
    assert run.json("run.json")["seed"] == 1
    assert other.json("run.json")["seed"] == 2


def test_each_epoch_has_an_order_of_its_own(workshop: Workshop) -> None:
    """Batches of a frozen network have the same losses only if they are the same batches."""
    run = workshop.train(
        "frozen",
        experiment_config={"log_every_n_steps": 1},
        training_config={"optimizer": {"optimizer_params": {"lr": 1e-30}}},
        model_config={"architecture_config": {"dropout": 0.0}},
    )
    losses = list(run.series("train_loss_step").values())
    assert losses[:STEPS] != losses[STEPS:]
    first, second = run.series("val_loss").values()
    assert first == second


def test_seed_left_out(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    runs = [workshop.train("unseeded1", **experiment(seed=None))]
    script, witness = workshop.build("unseeded2", **experiment(seed=None)), workshop.folder / "free"
    workshop.run(script, WITNESS_FOLDER=str(witness)).done()
    runs.append(workshop.found("unseeded2"))
    # What is to be repeated is computed so that it can be.
    assert [w["deterministic"] for w in witnesses(witness)] == [False]
    assert [w["deterministic"] for w in witnesses(workshop.folder / "plain")] == [True]
    assert not same(runs[0].weights(), runs[1].weights())
    seeds = [run.json("run.json")["seed"] for run in runs]
    assert seeds[0] != seeds[1]
    assert [run.entries()[0].data.tags["seed"] for run in runs] == [str(seed) for seed in seeds]
    # What was drawn is what was used: given as the seed, it makes the same run.
    if seeds[0] < 2**32:
        repeated = workshop.train("repeated", **experiment(seed=seeds[0]))
        assert same(repeated.weights(), runs[0].weights())


def test_accelerator_cpu(plain: tuple[Run, Ended]) -> None:
    run, _ = plain
    assert run.entries()[0].data.params["accelerator"] == "cpu"
    assert {tensor.device.type for tensor in run.weights().values()} == {"cpu"}


def test_accelerator_gpu_is_refused_where_there_is_none(workshop: Workshop) -> None:
    script = workshop.build("gpu", **experiment(accelerator="gpu"))
    workshop.run(script, CUDA_VISIBLE_DEVICES="").refused("gpu")


def test_accelerator_gpu(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    # Not in a fork: what has begun to use a GPU cannot be forked.
    workshop.run(workshop.build("on_a_gpu", **experiment(accelerator="gpu")), cold=True).done()
    losses = workshop.found("on_a_gpu").series("val_loss")
    assert losses == pytest.approx(plain[0].series("val_loss"), rel=0.05)


def test_devices(workshop: Workshop) -> None:
    """Two processes see each event once: the losses of a frozen network are those of one."""
    frozen = {
        "dataset_config": {"batch_size": 40},
        "training_config": {"optimizer": {"optimizer_params": {"lr": 1e-30}}},
        "model_config": {"architecture_config": {"dropout": 0.0}},
    }
    options = {"log_every_n_steps": 1, "num_sanity_val_steps": 2}
    one = workshop.train("one", **frozen, **experiment(**options))
    halves = frozen | {"dataset_config": {"batch_size": 20}}
    script = workshop.build("two", **halves, **experiment(**options, devices=2))
    witness = workshop.folder / "two"
    ended = workshop.run(script, WITNESS_FOLDER=str(witness)).done()
    assert sorted(w["rank"] for w in witnesses(witness)) == ["0", "1"]
    assert [w["ours"] for w in witnesses(witness)] == [[], []]
    two = workshop.found("two")
    # Dropout masks, for which there is no use here, are each task's own.
    states = two.checkpoint()["callbacks"]["RandomStates"]["tasks"]
    assert len(states) == 2
    assert not torch.equal(states[0]["cpu"], states[1]["cpu"])
    assert one.series("val_loss")[STEPS] == one.series("val_loss")[2 * STEPS]
    assert two.epochs("val_loss") == [1, 2]
    for name in ("train_loss_step", "val_loss", "val_auc", "val_accuracy", "val_significance"):
        assert two.series(name) == pytest.approx(one.series(name), rel=1e-5), name
    assert two.json("metrics.json")["metrics"]["test"] == pytest.approx(
        one.json("metrics.json")["metrics"]["test"], rel=1e-5
    )
    assert two.logged() == two.recorded()
    assert len([p for p in two.path.parent.iterdir() if p.name.startswith("two")]) == 1
    for line in ("epoch 1/2", "test: background", "sanity check passed"):
        assert ended.output.count(line) == 1, ended.output


def test_precision_64(workshop: Workshop) -> None:
    run = workshop.train("double", **experiment(precision=64))
    kinds = {t.dtype for t in run.weights().values() if t.is_floating_point()}
    assert kinds == {torch.float64}
    # The loss has more digits than float32 holds.
    assert any(v != float(torch.tensor(v).float()) for v in run.series("val_loss").values())


def test_precision_bf16(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    run = workshop.train("half", **experiment(precision="bf16"))
    assert {t.dtype for t in run.weights().values() if t.is_floating_point()} == {torch.float32}
    assert not same(run.weights(), plain[0].weights())
    assert run.series("val_loss") == pytest.approx(plain[0].series("val_loss"), rel=0.05)


def test_precision_16_on_a_cpu_found_at_run_time_is_refused(workshop: Workshop) -> None:
    changes = experiment(precision=16, accelerator="auto")
    workshop.run(workshop.build("sixteen", **changes)).refused("16-mixed is not possible")


@pytest.mark.parametrize("value", ["highest", "medium"])
def test_float32_matmul_precision(workshop: Workshop, value: str) -> None:
    changes = experiment(float32_matmul_precision=value)
    witness = workshop.folder / value
    script = workshop.build(value, **changes, training_config={"max_epochs": 1})
    workshop.run(script, WITNESS_FOLDER=str(witness)).done()
    assert [w["precision"] for w in witnesses(witness)] == [value]


def test_float32_matmul_precision_left_out(workshop: Workshop, plain: tuple[Run, Ended]) -> None:
    assert [w["precision"] for w in witnesses(workshop.folder / "plain")] == ["high"]


def test_log_every_n_steps(cadences: Run) -> None:
    assert list(cadences.series("train_loss_step")) == list(range(4, 8 * STEPS + 1, 4))
    assert cadences.series("lr") == dict.fromkeys(range(4, 8 * STEPS + 1, 4), 0.01)


def test_log_every_n_steps_left_out(plain: tuple[Run, Ended]) -> None:
    assert plain[0].series("train_loss_step") == {}


def test_check_eval_n_epoch(cadences: Run) -> None:
    assert cadences.epochs("train_loss") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert cadences.epochs("val_loss") == [2, 4, 6, 8]


def test_check_metrics_n_epoch(cadences: Run) -> None:
    # At the first validation at or after epochs 3 and 6.
    assert cadences.epochs("val_auc") == [4, 6]


def test_plot_metrics_n_epoch(cadences: Run, workshop: Workshop) -> None:
    folders = {name.split("/")[0] for name in cadences.artifacts() if name != "/deploy"}
    assert folders == {".code", "epoch_0006", "test", "validation"}
    drawn = workshop.folder / "results" / EXPERIMENT / "cadences"
    assert {path.name for path in drawn.iterdir()} == {"epoch_0006", "test", "validation"}


def test_metrics_and_plots_never(never: tuple[Run, Ended]) -> None:
    run, ended = never
    assert run.epochs("val_loss") == [1, 2]
    evaluated = ("test_", "best_val_")
    names = {name for line in run.measured() for name in line if not name.startswith(evaluated)}
    assert names == {"step", "epoch", "train_loss", "val_loss", "lr"}
    assert not run.plots()
    # No folder is named that is not there.
    assert not re.search("^plots ", ended.output, re.MULTILINE)


def test_plots_at_the_end_alone(workshop: Workshop) -> None:
    """That is what is meant where metrics are never computed, and plots are left out."""
    labelled = {"experiment_label": "ATLAS Internal", "energy": 13.6, "luminosity": 140.0}
    written = []
    for name, options in (
        ("ending", {"plot_metrics_n_epoch": "end"}),
        ("unasked", {"check_metrics_n_epoch": "never", "plot_metrics_n_epoch": None}),
        ("labelled", {"plot_metrics_n_epoch": "end", **labelled}),
    ):
        run = workshop.train(name, **experiment(**options))
        assert {plot.split("/")[0] for plot in run.plots()} == {"validation", "test"}
        folder = workshop.folder / "results" / EXPERIMENT / name / "test"
        assert {path.suffix for path in folder.iterdir()} == {".png", ".pdf"}
        written.append(imread(folder / "roc.png"))
    plain, _, above = written
    # What stands above the curves is new, and nothing else of the run.
    assert plain.shape == above.shape
    assert (plain != above).any()


def test_num_sanity_val_steps(never: tuple[Run, Ended], plain: tuple[Run, Ended]) -> None:
    # 74 validation events are one batch.
    assert "sanity check passed: 1 validation batches" in never[1].output
    assert "sanity" not in plain[1].output
    assert same(never[0].weights(), plain[0].weights())


@pytest.mark.parametrize(("rate", "drawn"), [(3, {3, 6, 7}), (0, set[int]())])
def test_tqdm_refresh_rate_at_a_terminal(workshop: Workshop, rate: int, drawn: set[int]) -> None:
    script = workshop.build(f"bar{rate}", **experiment(tqdm_refresh_rate=rate))
    status, text = at_a_terminal(workshop, script)
    assert status == 0, text
    assert "Traceback" not in text
    steps = {int(step) for step in re.findall(rf"\| (\d+)/{STEPS} \[", text)}
    assert steps - {0} == drawn
    assert bool(re.search(r"epoch 2/2: train_loss", text)) == (rate == 0)
    # As in the lines of a log.
    for epoch in (1, 2):
        bar = rf"epoch {epoch}/2: 100%\|[^\r]*\| {STEPS}/{STEPS} \[[^\r]*train_loss=\d"
        assert bool(re.search(bar, text)) == (rate > 0), text


def test_without_a_terminal_there_is_one_line_an_epoch(plain: tuple[Run, Ended]) -> None:
    _, ended = plain
    assert re.findall(r"^epoch (\d)/2: train_loss 0\.\d+, val_loss", ended.output, re.M) == [
        *("1", "2")
    ]
    assert "|" not in ended.output + ended.error
    assert "\r" not in ended.output + ended.error


def at_a_terminal(workshop: Workshop, script: Path) -> tuple[int, str]:
    """Run a script at a pseudo-terminal; return its status and what it showed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    read: list[bytes] = []

    def listen() -> None:
        try:
            while data := os.read(ours, 65536):
                read.append(data)
        except OSError:
            # The last process that had the terminal open has closed it.
            return

    listener = threading.Thread(target=listen)
    listener.start()
    started = workshop.start(script, terminal=os.ttyname(theirs))
    status = started.wait().status
    os.close(theirs)
    listener.join(10)
    os.close(ours)
    return status, b"".join(read).decode()
