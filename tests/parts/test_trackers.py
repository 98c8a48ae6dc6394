"""The tracker in real trainings: cadences, several ranks, plots that fail, and going on."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from matplotlib.figure import Figure
from torch import nn

from parts.batches import Batches, Rounds
from parts.classifiers import WarmedUpClassifier, linear_warmup
from parts.events import Events
from parts.inputs import Inputs, Numerical
from parts.losses import bce
from parts.machinery import trackers
from parts.machinery.checkpoints import AtomicCheckpointIO, LastCheckpoints, newest
from parts.machinery.epoch_losses import EpochLosses
from parts.machinery.exits import ASKED, NotFiniteError, RefusedError, StoppedError
from parts.machinery.records import Record
from parts.machinery.states import RandomStates
from parts.machinery.stops import SafeStop
from parts.machinery.trackers import Tracker, predict, resume_after_training
from parts.metrics import Outputs, binary_metrics
from parts.models import MLP, binary_probability
from parts.plots import binary_figures
from tests.parts.begun import begin

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _closed_records(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the files of records; scripts keep theirs open to the end."""
    made: list[Record] = []
    open_record = Record.__init__

    def kept(record: Record, path: Path) -> None:
        open_record(record, path)
        made.append(record)

    monkeypatch.setattr(Record, "__init__", kept)
    yield
    for record in made:
        record.file.close()


def events(size: int, seed: int) -> Events:
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(size) % 2
    numerical = torch.randn(size, 2, generator=generator) + label[:, None]
    weight = torch.rand(size, generator=generator) + 0.5
    weight[::7] *= -1
    return Events(numerical, torch.empty(size, 0, dtype=torch.int64), label, weight, weight / 0.8)


def build(folder: Path, **changed: Any) -> Tracker:
    options: dict[str, Any] = {
        "outputs": Outputs, "metrics": binary_metrics,
        "figures": partial(binary_figures, classes=("B", "S")),
        "check_metrics_n_epoch": 1, "plot_metrics_n_epoch": None, "log_every_n_steps": 4,
    }  # fmt: skip
    options |= changed | {"train": events(96, 1), "validation": events(53, 2)}
    return Tracker(begin(folder), **options)


def classify(dropout: float = 0.2) -> WarmedUpClassifier:
    torch.manual_seed(0)
    inputs = Inputs([Numerical(nn.Identity(), 2)])
    return WarmedUpClassifier(
        network=MLP(inputs, 1, 1, 4, nn.SiLU, dropout, nn.Identity),
        loss=bce,
        link=binary_probability,
        configure=lambda parameters, steps: torch.optim.SGD(parameters, lr=0.1),
        knows={},
        warmup=linear_warmup,
        epochs=1,
    )


def test_tasks_that_run_different_code_do_not_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has been started after somebody had built the spec again."""
    monkeypatch.setattr(trackers, "of_all_tasks", lambda code: [code, "f" * 64])
    with pytest.raises(RefusedError, match="do not run the same code"):
        fit(build(tmp_path), 1)


def fit(
    tracker: Tracker,
    epochs: int,
    every: int = 1,
    devices: int = 1,
    dropout: float = 0.2,
    others: Sequence[Callback] = (),
    resume: Path | None = None,
    data: Events | None = None,
) -> WarmedUpClassifier:
    classifier = classify(dropout)
    trainer = Trainer(
        accelerator="cpu",
        devices=devices,
        max_epochs=epochs,
        check_val_every_n_epoch=every,
        callbacks=[tracker, *others],
        plugins=[LightningEnvironment(), AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=bool(others),
        enable_model_summary=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        default_root_dir=tracker.folder.parent,
    )
    rank, size = trainer.global_rank, 16 // devices
    trainer.fit(
        classifier,
        Rounds(data or events(96, 1), size, 3, rank, devices),
        Batches(events(53, 2), size, rank, devices),
        ckpt_path=resume,
        weights_only=True,
    )
    return classifier


def entries(tracker: Tracker) -> list[dict[str, Any]]:
    return [json.loads(line) for line in tracker.record.path.read_text().splitlines()]


def epochs_with(tracker: Tracker, name: str) -> list[int]:
    return [entry["epoch"] for entry in entries(tracker) if name in entry]


@pytest.mark.parametrize("cadence", [None, 1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 6, 7])
def test_a_cadence_is_due_at_the_first_validation_at_or_after_its_epochs(
    tmp_path: Path, cadence: int | None, every: int
) -> None:
    tracker = build(tmp_path)
    due = []
    for epoch in range(every, 43, every):
        if tracker.is_due(cadence, epoch):
            due.append(epoch)
        tracker.validated = epoch
    wished = range(cadence, 43, cadence) if cadence else []
    expected = {-(-epoch // every) * every for epoch in wished}
    assert due == sorted(epoch for epoch in expected if epoch < 43)


def test_losses_metrics_and_plots_keep_their_own_cadences(tmp_path: Path) -> None:
    tracker = build(tmp_path, check_metrics_n_epoch=3, plot_metrics_n_epoch=5)
    fit(tracker, epochs=8, every=2)
    tracker.drawings.settle()
    assert epochs_with(tracker, "train_loss") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert epochs_with(tracker, "val_loss") == [2, 4, 6, 8]
    assert epochs_with(tracker, "val_auc") == [4, 6]
    assert set(epochs_with(tracker, "artifact")) == {6}
    drawn = set(tracker.record.artifacts())
    assert drawn == set((tracker.folder / "epoch_0006").iterdir())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert "history.png" in {path.name for path in drawn}


def test_steps_record_their_loss_and_the_rate_that_they_were_taken_with(tmp_path: Path) -> None:
    tracker = build(tmp_path, log_every_n_steps=2)
    fit(tracker, epochs=2)
    lines = [entry for entry in entries(tracker) if "train_loss_step" in entry]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert [line["lr"] for line in lines] == pytest.approx(
        [0.1 * share for share in (2 / 6, 4 / 6, 1, 1, 1, 1)]
    )
    for epoch in (1, 2):
        steps = [line["train_loss_step"] for line in lines if line["epoch"] == epoch]
        (mean,) = (
            e["train_loss"] for e in entries(tracker) if e["epoch"] == epoch and "train_loss" in e
        )
        assert np.mean(steps) == pytest.approx(mean)


def test_the_validation_loss_and_metrics_are_of_all_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = build(tmp_path)
    classifier = fit(tracker, epochs=1)
    (line,) = [entry for entry in entries(tracker) if "val_loss" in entry]
    validation = events(53, 2)
    classifier.eval()
    with torch.no_grad():
        loss = bce(
            classifier.network(validation.numerical, validation.categorical), validation.label
        )
    weight = validation.loss_weight
    assert line["val_loss"] == pytest.approx(float((loss * weight).sum() / weight.sum()), rel=1e-5)
    for name, value in binary_metrics(Outputs(**predict(classifier, validation))).items():
        recorded = line[f"val_{name}"]
        assert (np.nan if recorded is None else recorded) == pytest.approx(value, nan_ok=True)
    assert f"epoch 1/1: train_loss {line['train_loss']:.4g}" in capsys.readouterr().out


def failing(*_: Any, **__: Any) -> dict[str, Figure]:
    raise RuntimeError("no ink")


def test_plots_that_fail_only_warn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = build(tmp_path, figures=failing, plot_metrics_n_epoch=1)
    fit(tracker, epochs=2)
    tracker.drawings.settle()
    assert epochs_with(tracker, "val_auc") == [1, 2]
    printed = capsys.readouterr().out
    assert printed.count("warning: plots were not drawn: RuntimeError('no ink')") == 2


def test_drawing_changes_neither_random_states_nor_the_training(tmp_path: Path) -> None:
    plain, plotted = build(tmp_path / "a"), build(tmp_path / "b", plot_metrics_n_epoch=1)
    networks, states = [], []
    for tracker in (plain, plotted):
        np.random.seed(1)
        networks.append(fit(tracker, epochs=2).network.state_dict())
        tracker.drawings.settle()
        states.append((torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()))  # type: ignore[index]
    assert states[0] == states[1]
    assert all(torch.equal(tensor, networks[1][name]) for name, tensor in networks[0].items())
    assert (plotted.folder / "epoch_0002" / "history.png").exists()


def empty(*_: Any, **__: Any) -> dict[str, Figure]:
    return {"nothing": Figure((1, 1))}


def slowly(*_: Any, **__: Any) -> dict[str, Figure]:
    """Take longer than the steps of the next epoch."""
    time.sleep(0.2)
    return empty()


def test_plots_show_what_was_known_when_they_were_due(tmp_path: Path) -> None:
    """Not what the record gets while they are drawn."""
    pictures = []
    for name, later in (("a", {}), ("b", {"test_auc": 0.5})):
        written = threading.Event()

        def figures(*_: Any, written: threading.Event = written, **__: Any) -> dict[str, Figure]:
            assert written.wait(60)
            return {}

        tracker = build(tmp_path / name, plot_metrics_n_epoch=2, figures=figures)
        fit(tracker, epochs=2)
        tracker.record.write(12, 2, **later)
        written.set()
        tracker.drawings.settle()
        pictures.append((tracker.folder / "epoch_0002" / "history.png").read_bytes())
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("figures", [empty, slowly])
def test_plots_are_recorded_before_the_next_epoch_however_long_they_take(
    tmp_path: Path, figures: Any
) -> None:
    tracker = build(tmp_path, plot_metrics_n_epoch=1, figures=figures, log_every_n_steps=3)
    fit(tracker, epochs=3)
    tracker.drawings.settle()
    kinds = ("train_loss_step", "train_loss", "artifact")
    written = [next(kind for kind in kinds if kind in entry) for entry in entries(tracker)]
    steps, drawn = ["train_loss_step"] * 2, ["artifact"] * 2
    epoch = [*steps, *drawn, "train_loss"]
    assert written == [*steps, "train_loss", *epoch, *epoch, *drawn]


def shape(train: Outputs, validation: Outputs, **_: Any) -> dict[str, Figure]:
    """Draw all that is to be drawn of."""
    figure = Figure((2, 2))
    axes = figure.subplots()
    for split in (train, validation):
        axes.plot(split.probability[:, 1], split.weight * split.loss_weight, "o", alpha=0.5)
    return {"shape": figure}


class Held:
    """Figures that nothing draws before they are let go."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def __call__(self, *splits: Any, **shown: Any) -> dict[str, Figure]:
        """Wait, and draw."""
        assert self.free.wait(60)
        return shape(*splits, **shown)


def test_a_checkpoint_waits_for_no_drawing_and_another_start_can_draw_it(tmp_path: Path) -> None:
    """Of the plots of the second epoch, at the end of the third, with its weights."""
    straight, held = build(tmp_path / "a", plot_metrics_n_epoch=2, figures=shape), Held()
    fit(straight, epochs=3)
    straight.drawings.settle()
    killed = build(tmp_path / "b", plot_metrics_n_epoch=2, figures=held)
    classifier = fit(killed, epochs=3)
    kept = tmp_path / "b" / "logs" / "toy" / "first" / "undrawn"
    content = kept.read_bytes()
    state = json.loads(json.dumps(killed.state_dict()))
    held.free.set()
    killed.drawings.settle()
    pictures = {path.name: path.read_bytes() for path in straight.record.artifacts()}
    assert set(pictures) == {"shape.png", "history.png"}
    assert {path.name: path.read_bytes() for path in killed.record.artifacts()} == pictures
    assert not kept.exists()
    # What a kill before that leaves.
    kept.write_bytes(content)
    for path in killed.record.artifacts():
        path.unlink()
    killed.record.cut(state["record"])
    later = build(tmp_path / "b", plot_metrics_n_epoch=2, figures=shape)
    resume_after_training(later, classifier, made(classifier, state, 18), torch.device("cpu"))
    later.drawings.settle()
    assert {path.name: path.read_bytes() for path in later.record.artifacts()} == pictures
    assert {entry["epoch"] for entry in entries(later) if "artifact" in entry} == {2}
    assert not kept.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more", None])
def test_plots_of_weights_that_are_gone_are_said_to_be_lost(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not drawn of later ones."""
    tracker = build(tmp_path, figures=shape)
    tracker.drawn, tracker.validated = [12, 2], 3
    state, classifier = tracker.state_dict(), classify()
    if content is not None:
        tracker.undrawn.path.write_bytes(content)
    resume_after_training(tracker, classifier, made(classifier, state, 18), torch.device("cpu"))
    tracker.drawings.settle()
    assert not tracker.record.artifacts()
    printed = capsys.readouterr().out
    assert "warning: the plots of epoch 2 are lost" in printed
    assert ("undrawn is damaged" in printed) is (content is not None)


def test_what_is_kept_of_an_epoch_that_is_drawn_is_no_more(tmp_path: Path) -> None:
    """Left by a start that was killed between the two."""
    tracker = build(tmp_path)
    tracker.undrawn.path.write_bytes(b"of an epoch that is trained anew")
    fit(tracker, epochs=1)
    assert not tracker.undrawn.path.exists()


class StopAt(Callback):
    """Asks for a stop at a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Set the flag."""
        if trainer.global_step == self.step:
            ASKED.status = 143


@pytest.mark.parametrize("steps", [(2,), (8, 9), (5, 11, 13)])
def test_a_run_that_was_stopped_ends_as_a_straight_one(
    tmp_path: Path, steps: tuple[int, ...]
) -> None:
    straight, stopped = build(tmp_path / "a"), build(tmp_path / "b")
    expected = fit(straight, epochs=3).network.state_dict()
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for step in (*steps, -1):
        best = ModelCheckpoint(checkpoints, save_top_k=0)
        last = LastCheckpoints(checkpoints, best)
        stop = SafeStop(last, 10, lambda: None)
        others = [RandomStates(), StopAt(step), best, last, stop]
        ASKED.status = 0
        # Each start has a tracker of its own.
        stopped = build(tmp_path / "b")
        with pytest.raises(StoppedError) if step >= 0 else nullcontext():
            found = fit(stopped, epochs=3, others=others, resume=newest(checkpoints))
    assert all(torch.equal(expected[n], t) for n, t in found.network.state_dict().items())
    lines = [
        [{name: v for name, v in e.items() if name != "time"} for e in entries(tracker)]
        for tracker in (straight, stopped)
    ]
    assert lines[0] == lines[1]


def test_each_epoch_of_a_training_has_an_order_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[float]] = []
    gathered = Rounds.gathered

    def watched(self: Rounds, order: torch.Tensor, *ends: int) -> Iterator[Any]:
        if ends[0] == 0:
            orders.append(order.tolist())
        return gathered(self, order, *ends)

    monkeypatch.setattr(Rounds, "gathered", watched)
    fit(build(tmp_path), epochs=3)
    assert len(orders) == 3
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])


def test_a_loss_that_is_not_finite_ends_the_epoch_that_has_it_and_is_named(tmp_path: Path) -> None:
    tracker = build(tmp_path, log_every_n_steps=1000)
    data = events(96, 1)
    data.numerical[7] = torch.nan
    order = data.shuffled(torch.Generator().manual_seed(3 * 1_000_003))
    batch = order.tolist().index(7) // 16 + 1
    with pytest.raises(NotFiniteError, match=f"loss nan at step {batch}, batch {batch}"):
        fit(tracker, epochs=2, data=data)
    assert entries(tracker) == []


def test_predicting_leaves_the_mode_and_takes_events_evenly() -> None:
    classifier = classify()
    data = events(100, 3)
    for training in (True, False):
        classifier.train(training)
        few, every = (Outputs(**predict(classifier, data, most)) for most in (10, None))
        assert classifier.training == training
        np.testing.assert_allclose(few.probability, every.probability[::10], rtol=1e-5)
        np.testing.assert_array_equal(few.weight, data.weight.double()[::10])
        np.testing.assert_allclose(every.probability.sum(1), 1, rtol=1e-6)
    assert len(predict(classifier, data, most=10_000)["label"]) == 100


def test_a_validation_loss_that_is_not_finite_stops_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    tracker = build(tmp_path)
    tracker.metrics = failing  # type: ignore[assignment]
    classifier = classify()
    data = events(53, 2)
    data.numerical[5] = torch.inf
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[tracker]
    )
    with pytest.raises(NotFiniteError, match="validation loss nan after epoch 1"):
        trainer.validate(classifier, Batches(data, 16, 0, 1), verbose=False)
    assert not entries(tracker)


def test_what_was_recorded_after_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    tracker = build(tmp_path)
    tracker.record.write(4, 1, train_loss=0.5)
    tracker.validated, tracker.losses = 1, EpochLosses([0.25])
    state = json.loads(json.dumps(tracker.state_dict()))
    tracker.record.write(8, 2, train_loss=0.4)
    later = build(tmp_path)
    later.load_state_dict(state)
    assert [entry["step"] for entry in entries(later)] == [4]
    assert later.validated == 1
    # Drawn at no epoch yet, and the plots that are drawn are kept.
    assert later.drawn == [0, 0]
    assert later.losses.values().tolist() == [0.25]
    assert later.state_dict() == state


def made(classifier: WarmedUpClassifier, state: dict[str, Any], step: int) -> dict[str, Any]:
    """A checkpoint of a step."""
    tensors = classifier.state_dict()
    return {"state_dict": tensors, "callbacks": {"Tracker": state}, "global_step": step}


def test_plots_that_a_killed_start_had_not_drawn_are_drawn_by_the_next(tmp_path: Path) -> None:
    """The state is that of the end of the second epoch; another start has drawn the first."""
    first = build(tmp_path, plot_metrics_n_epoch=1, figures=empty)
    classifier = fit(first, epochs=2)
    first.drawings.settle()
    state = json.loads(json.dumps(first.state_dict()))
    assert state["drawn"][1] == 2
    lines = first.record.path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if "epoch_0002" not in line]
    assert len(kept) < len(lines)
    first.record.path.write_text("".join(kept))
    state["record"] = len("".join(kept))
    for _ in range(2):
        # Once drawn, they are not drawn again.
        later = build(tmp_path, figures=empty)
        checkpoint = made(classifier, state, state["drawn"][0])
        ASKED.together = True
        resume_after_training(later, classifier, checkpoint, torch.device("cpu"))
        # The first task evaluates alone.
        assert not ASKED.together
        later.drawings.settle()
        named = [line for line in later.record.artifacts() if line.parent.name == "epoch_0002"]
        assert len(named) == len(set(named)) == len(lines) - len(kept)


def test_what_an_evaluation_that_is_repeated_makes_is_named_once(tmp_path: Path) -> None:
    tracker = build(tmp_path)
    tracker.validated = 1
    state = tracker.state_dict()
    for _ in range(2):
        tracker.load_state_dict(state)
        tracker.record.write(1, 1, test_auc=0.5)
        tracker.record.write(1, 1, artifact="plots/test/score.png")
        tracker.record.write(1, 1, artifact="run/model.onnx")
    assert len(entries(tracker)) == 3


def test_a_checkpoint_of_another_run_cuts_nothing(tmp_path: Path) -> None:
    tracker = build(tmp_path)
    state = tracker.state_dict()
    tracker.record.write(4, 1, train_loss=0.5)
    tracker.load_state_dict(state | {"run": "another"})
    assert len(entries(tracker)) == 1
