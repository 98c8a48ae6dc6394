"""Trainings that go on after any end: what Lightning is given, what is due, and what is left."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from matplotlib.figure import Figure
from torch import nn

from parts.batches import Batches, Rounds
from parts.classifiers import Classifier
from parts.events import Events
from parts.inputs import Inputs, Numerical
from parts.losses import bce
from parts.machinery.checkpoints import AtomicCheckpointIO, LastCheckpoints, load, newest
from parts.machinery.continuations import Continuation, last_metrics
from parts.machinery.exits import ASKED, RefusedError, StoppedError
from parts.machinery.launches import Run, Seed
from parts.machinery.places import digest
from parts.machinery.states import RandomStates
from parts.machinery.stops import SafeStop
from parts.machinery.trackers import Tracker
from parts.machinery.trained_events import TrainedEvents
from parts.machinery.trainings import Evaluation, Training
from parts.metrics import Outputs, binary_metrics
from parts.models import MLP, binary_probability
from tests.parts.begun import begin

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

EPOCHS = 2
STEPS = 3
PRECISION = "32-true"


@pytest.fixture
def begins(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begin runs below a folder, whose files are closed in the end."""
    runs: list[Run] = []

    def begun(**changed: Any) -> Run:
        runs.append(begin(tmp_path, **changed))
        return runs[-1]

    yield begun
    for run in runs:
        run.record.file.close()
        run.artist.shutdown()


def events(size: int = 24) -> Events:
    generator = torch.Generator().manual_seed(size)
    label = torch.arange(size) % 2
    numerical = torch.randn(size, 2, generator=generator) + label[:, None]
    ones = torch.ones(size)
    return Events(numerical, torch.empty(size, 0, dtype=torch.int64), label, ones, ones)


def classify() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        network=MLP(Inputs([Numerical(nn.Identity(), 2)]), 1, 1, 4, nn.SiLU, 0.2, nn.Identity),
        loss=bce,
        link=binary_probability,
        configure=lambda parameters, steps: torch.optim.SGD(parameters, lr=0.1),
        knows={"classes": ["B", "S"]},
    )


METRICS = {"validation": {"auc": 0.5, "cut": float("nan")}, "test": {"auc": 0.25}}


def tenths(outputs: Any, metrics: dict[str, float], seed: int) -> dict[str, float]:
    """A tenth of an area is its uncertainty."""
    return {name: value / 10 for name, value in metrics.items() if name == "auc"}


def picture(*_: Any, **__: Any) -> dict[str, Figure]:
    return {"score": Figure((1, 1))}


def track(run: Run, plots: int | None = None) -> Tracker:
    return Tracker(
        run,
        events(),
        events(14),
        outputs=Outputs,
        metrics=binary_metrics,
        figures=picture,
        check_metrics_n_epoch=1,
        plot_metrics_n_epoch=plots,
        log_every_n_steps=50,
    )


def prepare(run: Run, **changed: Any) -> Training:
    options: dict[str, Any] = {
        "monitor": "val_loss", "monitor_mode": "min", "save_top_k": 1, "every_n_epochs": 1,
        "save_every_n_minutes": 10.0, "tqdm_refresh_rate": 20,
    }  # fmt: skip
    return Training(run, track(run), **options | changed)


def trainer_of(training: Training, *others: Callback, **changed: Any) -> Trainer:
    options: dict[str, Any] = {
        "accelerator": "cpu", "devices": 1, "max_epochs": EPOCHS, "num_sanity_val_steps": 0,
        "precision": PRECISION, "callbacks": [*training.callbacks, *others],
    }  # fmt: skip
    return Trainer(**options | changed, **training.options)


class StopAt(Callback):
    """Asks for a stop at a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Ask."""
        if trainer.global_step == self.step:
            ASKED.status = 143


def fit(training: Training, *others: Callback, **changed: Any) -> Classifier | None:
    """Train as a script does; returns nothing if nothing was due."""
    classifier, batches = classify(), Rounds(events(), 8, 3, 0, 1)
    trainer = trainer_of(training, *others, **changed)
    if not training.is_due(trainer, classifier, batches, PRECISION):
        return None
    trainer.fit(
        classifier,
        batches,
        Batches(events(14), 8, 0, 1),
        ckpt_path=training.resume,
        weights_only=True,
    )
    return classifier


def is_due(training: Training, **changed: Any) -> bool:
    trainer = trainer_of(training, **changed)
    return training.is_due(trainer, classify(), Rounds(events(), 8, 3, 0, 1), PRECISION)


def entries(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.record.path.read_text().splitlines()]


def test_callbacks_stand_in_the_order_in_which_they_build_on_each_other(
    begins: Callable[..., Run],
) -> None:
    run = begins()
    training = prepare(run, save_top_k=2)
    tracker, states, continuation, events, best, last, stop = training.callbacks
    assert isinstance(events, TrainedEvents)
    assert tracker is training.tracker
    assert isinstance(states, RandomStates)
    assert isinstance(continuation, Continuation)
    assert isinstance(best, ModelCheckpoint)
    assert isinstance(last, LastCheckpoints)
    assert isinstance(stop, SafeStop)
    assert (last.folder, last.best) == (run.folder.checkpoints, best)
    assert (stop.checkpoints, stop.minutes, stop.settle) == (last, 10.0, training.tracker.settle)
    assert (best.dirpath, best.monitor, best.mode, best.save_top_k) == (
        str(run.folder.checkpoints), "val_loss", "min", 2,
    )  # fmt: skip


@pytest.mark.parametrize(("monitor", "every"), [("val_auc", 3), (None, 1)])
def test_the_best_is_looked_for_where_something_is_monitored(
    begins: Callable[..., Run], monitor: str | None, every: int
) -> None:
    best = prepare(begins(), monitor=monitor, every_n_epochs=3).callbacks[4]
    assert isinstance(best, ModelCheckpoint)
    assert (best.monitor, best._every_n_epochs) == (monitor, every)


@pytest.mark.parametrize(("rate", "terminal"), [(20, True), (0, True), (20, False)])
def test_a_bar_is_shown_at_a_terminal_alone(
    begins: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, rate: int, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    training = prepare(begins(), tqdm_refresh_rate=rate)
    bars = [each for each in training.callbacks if isinstance(each, TQDMProgressBar)]
    assert [bar.refresh_rate for bar in bars] == ([20] if rate and terminal else [])
    assert training.options["enable_progress_bar"] == bool(bars)


def test_lightning_is_given_what_keeps_a_run_safe(begins: Callable[..., Run]) -> None:
    run = begins()
    training = prepare(run)
    trainer = trainer_of(training)
    assert trainer.callbacks[0] is training.tracker  # type: ignore[attr-defined]  # set at run time
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
    assert trainer.logger is None
    assert trainer.num_nodes == 1
    assert trainer.default_root_dir == str(run.folder.path)
    plugin = training.options["plugins"][1]
    assert isinstance(plugin, LightningEnvironment)
    assert not training.options["deterministic"]
    assert not training.options["use_distributed_sampler"]


def test_under_srun_slurm_says_which_tasks_there_are(
    begins: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NNODES", "3")
    run = begins()
    seed = Seed(3, deterministic="warn")
    as_task = Run(**vars(run) | {"under_srun": True, "seed": seed})
    options = prepare(as_task).options
    assert options["num_nodes"] == 3
    assert isinstance(options["plugins"][1], SLURMEnvironment)
    assert options["deterministic"] == "warn"


def test_a_fresh_run_begins_with_an_empty_record(begins: Callable[..., Run]) -> None:
    run = begins()
    code = run.folder.path.parent / ".code" / "digest"
    run.record.write(0, 0, artifact=str(code))
    run.record.write(3, 1, train_loss=0.5)
    training = prepare(run)
    classifier = classify()
    batches = Rounds(events(), 8, 3, 0, 1)
    assert training.is_due(trainer_of(training), classifier, batches, PRECISION)
    assert training.resume is None
    assert classifier.steps == EPOCHS * STEPS
    # The code that runs is the same.
    assert run.record.artifacts() == [code]
    assert len(entries(run)) == 1


def test_a_precision_that_is_not_possible_is_refused(begins: Callable[..., Run]) -> None:
    training = prepare(begins())
    with pytest.raises(RefusedError, match="precision 32-true is not possible here, only 64-true"):
        is_due(training, precision="64-true")


def test_a_disk_without_room_for_the_checkpoints_is_refused(
    begins: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two last ones, one that is written, and two best: each of 17 numbers and their moments."""
    needed = (3 + 2) * 3 * 4 * (2 * 4 + 4 + 4 + 1)
    usage = shutil.disk_usage("/")
    for free, enough in ((needed, True), (needed - 1, False)):
        training = prepare(begins(run_name=str(free)), save_top_k=2)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        if enough:
            assert is_due(training)
        else:
            with pytest.raises(RefusedError, match="needs 0 MB for checkpoints; 0 MB are free"):
                is_due(training)
        monkeypatch.undo()


def test_a_run_that_was_stopped_goes_on_and_one_that_is_trained_is_not_trained_again(
    begins: Callable[..., Run],
) -> None:
    run = begins()
    first = prepare(run)
    with pytest.raises(StoppedError):
        fit(first, StopAt(1))
    ASKED.status = 0
    second = prepare(begins())
    trained = fit(second)
    assert trained is not None
    assert second.resume is not None
    assert second.resume.name == "last-000000002.ckpt"
    # Steps that a killed start has recorded after its last checkpoint are gone.
    third_run = begins()
    third_run.record.write(9, 9, train_loss=0.5)
    third = prepare(third_run)
    classifier = classify()
    batches = Rounds(events(), 8, 3, 0, 1)
    ASKED.together = True
    assert not third.is_due(trainer_of(third), classifier, batches, PRECISION)
    assert third.resume == newest(run.folder.checkpoints)
    assert not ASKED.together
    expected = trained.state_dict()
    assert all(torch.equal(expected[n], tensor) for n, tensor in classifier.state_dict().items())
    assert [entry["epoch"] for entry in entries(third_run) if "train_loss" in entry] == [1, 2]


def test_checkpoints_tell_of_the_metrics_of_their_own_epoch(begins: Callable[..., Run]) -> None:
    """A cut is one of these weights, or there is none."""
    run = begins()
    training = prepare(run, save_top_k=3)
    training.tracker.check_metrics_n_epoch = 2
    assert fit(training, max_epochs=3) is not None
    recorded = {entry["epoch"]: entry for entry in entries(run) if "val_loss" in entry}
    told = {}
    for path in run.folder.checkpoints.glob("best-*.ckpt"):
        content = load(path)
        told[content["epoch"] + 1] = last_metrics(content)
    assert {epoch: len(values) for epoch, values in told.items()} == {1: 1, 2: 6, 3: 1}
    for epoch, values in told.items():
        names = {"val_loss", "val_auc"} & values.keys()
        assert all(values[name] == recorded[epoch][name] for name in names)


def test_a_training_that_was_told_to_stop_does_not_begin(begins: Callable[..., Run]) -> None:
    ASKED.status = 143
    with pytest.raises(StoppedError):
        is_due(prepare(begins()))


def test_a_run_starts_from_what_another_has_left(begins: Callable[..., Run]) -> None:
    other = begins()
    assert fit(prepare(other)) is not None
    left = newest(other.folder.checkpoints)
    assert left is not None
    with pytest.raises(RefusedError, match=f"{left} has had 2 of 2 epochs"):
        is_due(prepare(begins(run_name="second"), start_from=left))
    training = prepare(begins(run_name="third"), start_from=left)
    assert fit(training, max_epochs=EPOCHS + 1) is not None
    assert training.resume == left
    (line,) = [entry for entry in entries(training.run) if "train_loss" in entry]
    assert (line["epoch"], line["step"]) == (3, 3 * STEPS)
    # From then on, it goes on from its own.
    again = prepare(begins(run_name="third"), start_from=left)
    assert not is_due(again, max_epochs=EPOCHS + 1)
    own = newest(training.run.folder.checkpoints)
    assert own is not None
    assert again.resume == own != left


@pytest.fixture
def trained(begins: Callable[..., Run]) -> Run:
    run = begins()
    assert fit(prepare(run)) is not None
    return run


def test_an_evaluation_has_the_best_weights(trained: Run) -> None:
    best = (
        trained.folder.checkpoints
        / json.loads((trained.folder.checkpoints / "newest.json").read_text())["best"]
    )
    classifier = classify()
    evaluation = Evaluation(trained, track(trained), classifier)
    content = load(best)
    assert evaluation.best == best
    assert (evaluation.step, evaluation.epoch) == (content["global_step"], content["epoch"] + 1)
    weights = content["state_dict"]
    assert all(torch.equal(weights[n], tensor) for n, tensor in classifier.state_dict().items())


def test_an_evaluation_may_be_of_a_checkpoint_that_is_named(
    trained: Run, begins: Callable[..., Run]
) -> None:
    left = newest(trained.folder.checkpoints)
    assert left is not None
    run = begins(run_name="second")
    evaluation = Evaluation(run, track(run), classify(), left)
    assert (evaluation.best, evaluation.epoch) == (left, EPOCHS)
    others = classify()
    others.knows = {"classes": ["B", "C"]}
    with pytest.raises(RefusedError, match="the checkpoint does not fit"):
        Evaluation(run, track(run), others, left)


@pytest.mark.parametrize("plots", [None, 5])
def test_an_evaluation_is_recorded_and_drawn_where_plots_are_wished(
    trained: Run, plots: int | None
) -> None:
    tracker = track(trained, plots)
    classifier = classify()
    evaluation = Evaluation(trained, tracker, classifier)
    before = len(entries(trained))
    outputs = tracker.predict(classifier, events(14))
    evaluation.finish(METRICS, outputs, outputs, tenths, deployed=trained.folder.path / "deploy")
    first, *drawn, _ = entries(trained)[before:]
    found = {n: v for n, v in first.items() if n not in ("step", "epoch", "time")}
    assert found == {
        "best_val_auc": 0.5, "best_val_auc_uncertainty": 0.05, "best_val_cut": None,
        "test_auc": 0.25, "test_auc_uncertainty": 0.025,
    }  # fmt: skip
    assert (first["step"], first["epoch"]) == (evaluation.step, evaluation.epoch)
    paths = trained.record.artifacts()[-len(drawn) - 1 : -1] if drawn else []
    named = {str(path.relative_to(tracker.folder)) for path in paths}
    assert named == {
        f"{split}/{name}.{ending}"
        for split in ("validation", "test") if plots
        for name in ("score", "history") for ending in ("png", "pdf")
    }  # fmt: skip
    assert trained.record.artifacts()[-1] == trained.folder.path / "deploy"


def test_what_is_not_there_is_not_pointed_to(
    trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a network that has no file."""
    tracker, classifier = track(trained), classify()
    before = trained.record.artifacts()
    outputs = tracker.predict(classifier, events(14))
    evaluation = Evaluation(trained, tracker, classifier)
    evaluation.finish(METRICS, outputs, outputs, tenths, deployed=None)
    assert trained.folder.done.exists()
    assert trained.record.artifacts() == before
    assert "deployed" not in capsys.readouterr().out


def test_a_run_that_was_told_to_stop_does_not_end(trained: Run) -> None:
    tracker = track(trained)
    classifier = classify()
    evaluation = Evaluation(trained, tracker, classifier)
    outputs = tracker.predict(classifier, events(14))
    ASKED.status = 75
    with pytest.raises(StoppedError):
        evaluation.finish(METRICS, outputs, outputs, tenths)
    assert entries(trained)[-1]["test_auc"] == 0.25
    assert not trained.folder.done.exists()


def test_a_test_that_was_stopped_at_its_end_is_recorded_once(
    trained: Run, begins: Callable[..., Run]
) -> None:
    left = newest(trained.folder.checkpoints)
    for status in (75, 0):
        run = begins(run_name="second")
        tracker, classifier = track(run, 5), classify()
        evaluation = Evaluation(run, tracker, classifier, left)
        outputs = tracker.predict(classifier, events(14))
        ASKED.status = status
        if status:
            with pytest.raises(StoppedError):
                evaluation.finish(METRICS, outputs, outputs, tenths)
            ASKED.status = 0
        else:
            evaluation.finish(METRICS, outputs, outputs, tenths)
    assert sum("test_auc" in entry for entry in entries(run)) == 1
    names = [path.name for path in run.record.artifacts()]
    assert sorted(names) == ["score.pdf"] * 2 + ["score.png"] * 2


def test_the_cut_that_validation_has_chosen_is_the_one_that_is_drawn(trained: Run) -> None:
    drawn = {}

    def watched(*_: Any, caption: str, cut: float | None = None) -> dict[str, Figure]:
        drawn[caption.rpartition(" ")[2]] = cut
        return {}

    tracker, classifier = track(trained, 1), classify()
    tracker.figures = watched
    evaluation = Evaluation(trained, tracker, classifier)
    outputs = tracker.predict(classifier, events(14))
    cuts = {"significance_cut": 0.375}
    evaluation.finish({"validation": cuts, "test": cuts}, outputs, outputs, tenths)
    assert drawn == {"validation": 0.375, "test": 0.375}


@pytest.mark.parametrize(("key", "place"), [(None, "mlruns"), ("${TOY_KEY}", "Comet")])
def test_a_finished_run_says_what_it_found_and_where(
    trained: Run,
    begins: Callable[..., Run],
    capsys: pytest.CaptureFixture[str],
    key: str | None,
    place: str,
) -> None:
    run = begins(comet_api_key=key)
    evaluation = Evaluation(run, track(run), classify())
    outputs = evaluation.tracker.predict(evaluation.classifier, events(14))
    capsys.readouterr()
    evaluation.finish(METRICS, outputs, outputs, tenths, network=run.folder.path / "f.onnx")
    left = json.loads((run.folder.path / "metrics.json").read_text())
    assert left == {
        "checkpoint": str(evaluation.best),
        "metrics": {"validation": {"auc": 0.5, "cut": None}, "test": {"auc": 0.25}},
        "uncertainties": {"validation": {"auc": 0.05}, "test": {"auc": 0.025}},
    }
    assert json.loads(run.folder.done.read_text()) == {
        "script": run.code.identity,
        "checkpoint": evaluation.best.name,
        "sha256": digest(evaluation.best),
    }
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[-4:])
    logs = run.folder.path.parents[1]
    assert shown == {
        "run": str(run.folder.path),
        "checkpoint": str(evaluation.best),
        "network": str(run.folder.path / "f.onnx"),
        "tracker": place if key else str(logs / place),
    }
