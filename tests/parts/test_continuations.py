"""Going on from another run's checkpoint: what takes effect, what is refused, what is said."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import nn

from parts.batches import Batches, Rounds
from parts.classifiers import Classifier, WarmedUpClassifier, linear_warmup
from parts.events import Events
from parts.inputs import Inputs, Numerical
from parts.losses import bce
from parts.machinery.checkpoints import load, newest
from parts.machinery.continuations import worsening
from parts.machinery.described_optimizers import DescribedOptimizer
from parts.machinery.exits import ASKED, RefusedError, StoppedError
from parts.machinery.launches import Run
from parts.machinery.trackers import Tracker
from parts.machinery.trainings import Training
from parts.metrics import Outputs, binary_metrics
from parts.models import MLP, binary_probability
from tests.parts.begun import begin

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

STEPS = 3  # Of an epoch: 24 events in batches of 8.
Optimizers = torch.optim
Schedules = torch.optim.lr_scheduler
Configure = Callable[..., Any]


def events(size: int) -> Events:
    generator = torch.Generator().manual_seed(size)
    label = torch.arange(size) % 2
    numerical = torch.randn(size, 2, generator=generator) + label[:, None]
    ones = torch.ones(size)
    return Events(numerical, torch.empty(size, 0, dtype=torch.int64), label, ones, ones)


def classify(configure: Configure, warmup: float = 0.0) -> Classifier:
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "network": MLP(Inputs([Numerical(nn.Identity(), 2)]), 1, 1, 4, nn.SiLU, 0, nn.Identity),
        "loss": bce,
        "link": binary_probability,
        "configure": configure,
        "knows": {},
    }
    if warmup:
        return WarmedUpClassifier(**options, warmup=linear_warmup, epochs=warmup)
    return Classifier(**options)


def optimizer(name: str, **parameters: Any) -> Configure:
    """Return what configures an optimizer without a schedule."""
    parameters = {"lr": 0.1} | parameters
    return lambda weights, steps: getattr(Optimizers, name)(weights, **parameters)


def scheduled(name: str, interval: str = "epoch", lr: float = 0.1, **parameters: Any) -> Configure:
    """Return what configures SGD with a schedule; `...` stands for all steps of the training."""

    def configure(weights: Any, steps: int) -> dict[str, Any]:
        sgd = Optimizers.SGD(weights, lr=lr, momentum=0.9)
        given = {n: steps if value is ... else value for n, value in parameters.items()}
        schedule = {"scheduler": getattr(Schedules, name)(sgd, **given), "interval": interval}
        return {"optimizer": sgd, "lr_scheduler": schedule | {"monitor": "val_loss"}}

    return configure


class Bench:
    """Trainings below a folder, and what they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[Run] = []

    def train(
        self,
        name: str,
        configure: Configure,
        epochs: int,
        start_from: Path | None = None,
        *,
        every: int = 1,
        patience: int = 0,
        warmup: float = 0.0,
        others: tuple[Callback, ...] = (),
    ) -> Trainer:
        """Train as a script does, and return the trainer."""
        run = begin(self.folder, run_name=name)
        self.runs.append(run)
        tracker = Tracker(
            run,
            events(24),
            events(14),
            outputs=Outputs,
            metrics=binary_metrics,
            figures=lambda *_, **__: {},
            check_metrics_n_epoch=1,
            plot_metrics_n_epoch=None,
            log_every_n_steps=1,
        )
        training = Training(
            run,
            tracker,
            monitor="val_loss",
            monitor_mode="min",
            save_top_k=1,
            every_n_epochs=every,
            save_every_n_minutes=10.0,
            tqdm_refresh_rate=0,
            start_from=start_from,
        )
        stopping = [EarlyStopping("val_loss", patience=patience)] if patience else []
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            check_val_every_n_epoch=every,
            num_sanity_val_steps=0,
            precision="32-true",
            callbacks=[*training.callbacks, *stopping, *others],
            **training.options,
        )
        classifier, batches = classify(configure, warmup), Rounds(events(24), 8, 3, 0, 1)
        if training.is_due(trainer, classifier, batches, "32-true"):
            trainer.fit(
                classifier,
                batches,
                Batches(events(14), 8, 0, 1),
                ckpt_path=training.resume,
                weights_only=True,
            )
        return trainer

    def newest(self, name: str) -> Path:
        """Return the newest checkpoint of a run."""
        path = newest(self.runs[0].folder.path.parent / name / "checkpoints")
        assert path is not None
        return path

    def rates(self, name: str) -> dict[int, float]:
        """Return the learning rate of each step that a run recorded."""
        record = self.runs[0].folder.path.parent / name / "metrics.jsonl"
        lines = map(json.loads, record.read_text().splitlines())
        return {line["step"]: line["lr"] for line in lines if "lr" in line}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder for trainings, whose files are closed in the end."""
    found = Bench(tmp_path)
    yield found
    for run in found.runs:
        run.record.file.close()
        run.artist.shutdown()


NAMES = (
    *("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "LBFGS", "NAdam", "RAdam"),
    *("RMSprop", "Rprop", "SGD"),
)


@pytest.mark.parametrize("name", NAMES)
def test_another_optimizer_begins_anew(
    bench: Bench, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one does that was given the weights, and nothing else."""
    bench.train("first", optimizer("AdamW"), 1)
    start = bench.newest("first")
    found = bench.train("second", optimizer(name), 2, start).lightning_module
    assert f"  optimizer: AdamW there, {name} here\n" in capsys.readouterr().out
    expected = classify(optimizer(name))
    expected.load_state_dict(load(start)["state_dict"])
    own = expected.configure_optimizers()
    batches = Rounds(events(24), 8, 3, 0, 1)
    batches.set_epoch(1)
    for x, c, label, _, weight in (batch for each in batches for batch in each):

        def closure(x: Any = x, c: Any = c, label: Any = label, weight: Any = weight) -> Any:
            own.zero_grad()  # type: ignore[union-attr]
            loss = expected.objective(expected.network(x, c), label, weight)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        own.step(closure)  # type: ignore[union-attr]
    for each, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[each], tensor), each


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 0.01}, "lr 0.1 there, 0.01 here"),
        ({"weight_decay": 0.5}, "weight_decay 0.01 there, 0.5 here"),
        ({"amsgrad": True}, "amsgrad False there, True here"),
        ({"betas": (0.5, 0.9)}, "betas [0.9, 0.999] there, [0.5, 0.9] here"),
    ],
)
def test_a_changed_parameter_of_the_optimizer_takes_effect(
    bench: Bench, capsys: pytest.CaptureFixture[str], change: dict[str, Any], words: str
) -> None:
    bench.train("first", optimizer("AdamW"), 1)
    trainer = bench.train("second", optimizer("AdamW", **change), 2, bench.newest("first"))
    (group,) = trainer.optimizers[0].param_groups
    assert {name: group[name] for name in change} == change
    assert {int(s["step"]) for s in trainer.optimizers[0].state.values()} == {STEPS}
    said = capsys.readouterr().out
    assert f"  optimizer: {words}\n" in said
    assert "without memory of earlier gradients" in said
    assert f"the learning rate goes on at {group['lr']:g}\n" in said


def test_how_an_optimizer_computes_is_the_scripts_and_its_memory_stays(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("first", optimizer("AdamW", foreach=False), 1)
    trainer = bench.train("second", optimizer("AdamW", foreach=True), 2, bench.newest("first"))
    assert trainer.optimizers[0].param_groups[0]["foreach"]
    assert {int(s["step"]) for s in trainer.optimizers[0].state.values()} == {2 * STEPS}
    assert "changed since" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (("CosineAnnealingLR", {"T_max": 2}), ("CosineAnnealingLR", {"T_max": 4}), "T_max 2 there"),
        (("StepLR", {"step_size": 1}), ("ExponentialLR", {"gamma": 0.5}), "StepLR there"),
        (
            ("OneCycleLR", {"max_lr": 0.3, "total_steps": ..., "interval": "step"}),
            ("StepLR", {"step_size": 1, "gamma": 0.5}),
            "OneCycleLR there, StepLR here",
        ),
        (
            ("StepLR", {"step_size": 1}),
            ("CosineAnnealingLR", {"T_max": ..., "interval": "step"}),
            "StepLR there, CosineAnnealingLR here",
        ),
        (
            ("MultiStepLR", {"milestones": [1]}),
            ("MultiStepLR", {"milestones": [3]}),
            "milestones {'1': 1} there, {'3': 1} here",
        ),
    ],
)
def test_a_changed_schedule_stands_where_it_would_had_it_been_there_always(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    first: tuple[str, Any],
    second: tuple[str, Any],
    words: str,
) -> None:
    bench.train("first", scheduled(first[0], **first[1]), 2)
    bench.train("straight", scheduled(second[0], **second[1]), 4)
    capsys.readouterr()
    trainer = bench.train("second", scheduled(second[0], **second[1]), 4, bench.newest("first"))
    said = capsys.readouterr().out
    assert words in said
    expected = {s: r for s, r in bench.rates("straight").items() if s > 2 * STEPS}
    assert bench.rates("second") == expected
    assert f"goes on at {expected[2 * STEPS + 1]:.6g}, where the schedule stands" in said
    # The optimizer is the same, and so is what it remembers.
    assert "begins anew" not in said
    state = trainer.optimizers[0].state_dict()["state"]
    assert all(each["momentum_buffer"].any() for each in state.values())


def test_a_schedule_that_judges_by_a_metric_begins(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("first", scheduled("StepLR", step_size=1), 2)
    plateau = scheduled("ReduceLROnPlateau", lr=0.2, patience=9)
    trainer = bench.train("second", plateau, 3, bench.newest("first"))
    assert set(bench.rates("second").values()) == {0.2}
    assert trainer.lr_scheduler_configs[0].scheduler.state_dict()["last_epoch"] == 1
    assert "the learning rate goes on at 0.2\n" in capsys.readouterr().out


def test_a_cycle_over_a_training_is_neither_prolonged_nor_entered_midway(bench: Bench) -> None:
    cycle = scheduled("OneCycleLR", "step", max_lr=0.3, total_steps=...)
    bench.train("first", cycle, 2)
    bench.train("stepped", scheduled("StepLR", step_size=1), 2)
    longer = rf"OneCycleLR.* of {4 * STEPS} steps for max_epochs = 4, .* of {2 * STEPS} steps;"
    with pytest.raises(RefusedError, match=longer):
        bench.train("second", cycle, 4, bench.newest("first"))
    with pytest.raises(RefusedError, match=r"OneCycleLR.* comes from no such cycle;"):
        bench.train("third", cycle, 4, bench.newest("stepped"))


def test_what_did_not_change_goes_on_to_the_bit(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    plateau = scheduled("ReduceLROnPlateau", patience=0, threshold=0.5)
    straight = bench.train("straight", plateau, 4)
    bench.train("first", plateau, 2)
    found = bench.train("second", plateau, 4, bench.newest("first"))
    expected = straight.lightning_module.state_dict()
    for name, tensor in found.lightning_module.state_dict().items():
        assert torch.equal(tensor, expected[name])
    a, b = (each.lr_scheduler_configs[0].scheduler.state_dict() for each in (straight, found))
    assert a == b
    assert a["_last_lr"] != [0.1]
    assert "changed since" not in capsys.readouterr().out


@pytest.mark.parametrize("same", [True, False])
def test_a_checkpoint_that_does_not_say_how_it_was_optimised(
    bench: Bench, capsys: pytest.CaptureFixture[str], same: bool
) -> None:
    """It is older: the optimizer may be another one, and so begins anew."""
    bench.train("first", scheduled("StepLR", step_size=1, gamma=0.5), 2)
    start = bench.newest("first")
    content = load(start)
    del content["callbacks"]["Continuation"]
    torch.save(content, start)
    configure = scheduled("StepLR", step_size=1, gamma=0.5) if same else optimizer("Adam")
    trainer = bench.train("second", configure, 3, start)
    said = capsys.readouterr().out
    assert "does not say how it was optimised" in said
    assert "without memory" in said
    assert set(bench.rates("second").values()) == {0.025 if same else 0.1}
    assert worsening(load(bench.newest("second"))) == ""
    assert trainer.current_epoch == 3


def test_patience_is_the_scripts_and_one_that_had_run_out_begins_anew(bench: Bench) -> None:
    """A rate of nothing: no epoch is better than the first."""
    still = optimizer("SGD", lr=0.0)
    assert bench.train("first", still, 9, patience=1).current_epoch == 2
    start = bench.newest("first")
    assert bench.train("second", still, 9, start, patience=3).current_epoch == 5
    # Two of three, and then four are allowed.
    bench.train("third", still, 3, patience=3)
    assert bench.train("fourth", still, 9, bench.newest("third"), patience=4).current_epoch == 5


class StopAt(Callback):
    """Asks for a stop at a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Ask."""
        if trainer.global_step == self.step:
            ASKED.status = 143


def test_a_run_that_goes_on_from_its_own_checkpoint_changes_nothing(bench: Bench) -> None:
    """Its rate has fallen since, whatever it had begun with."""
    plateau = scheduled("ReduceLROnPlateau", lr=0.01, patience=0, threshold=0.9)
    bench.train("first", optimizer("Adam"), 2)
    start = bench.newest("first")
    bench.train("straight", plateau, 5, start)
    with pytest.raises(StoppedError):
        bench.train("second", plateau, 5, start, others=(StopAt(4 * STEPS + 1),))
    ASKED.status = 0
    bench.train("second", plateau, 5, start)
    assert bench.rates("second") == bench.rates("straight")
    assert len(set(bench.rates("second").values())) > 1
    assert load(bench.newest("second"))["callbacks"]["Continuation"]["began"]["epoch"] == 2


def test_epochs_without_a_validation_are_refused(bench: Bench) -> None:
    bench.train("first", optimizer("SGD"), 2, every=2)
    with pytest.raises(RefusedError, match="had 2 epochs, and none up to max_epochs = 3 is valid"):
        bench.train("second", optimizer("SGD"), 3, bench.newest("first"), every=2)
    assert bench.train("third", optimizer("SGD"), 4, bench.newest("first"), every=2)


def test_a_warm_up_that_lies_before_is_said_to_be_over(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("first", optimizer("SGD"), 2)
    bench.train("second", optimizer("SGD"), 3, bench.newest("first"), warmup=1.5)
    said = capsys.readouterr().out
    assert "warm-up: shape none there, linear_warmup here, epochs none there, 1.5" in said
    assert "the warm-up of 1.5 epochs is over by then" in said
    assert set(bench.rates("second").values()) == {0.1}


def test_a_warm_up_that_was_taken_away_is_said(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("first", optimizer("SGD"), 2, warmup=1.5)
    bench.train("second", optimizer("SGD"), 3, bench.newest("first"))
    said = capsys.readouterr().out
    assert "  warm-up: shape linear_warmup there, none here, epochs 1.5 there, none here" in said
    assert "begins anew" not in said


def test_what_is_captured_for_a_gpu_is_described_before_its_weights_are_there() -> None:
    """A continuation is prepared on the CPU, whatever it is trained on."""
    described = DescribedOptimizer.of(classify(optimizer("Adam", capturable=True))).described()
    assert described["optimizer"]["capturable"] is True


@pytest.mark.parametrize("lr", [0.1, 1000.0])
def test_a_continuation_that_is_worse_than_it_began_says_so(bench: Bench, lr: float) -> None:
    bench.train("first", optimizer("SGD"), 2)
    bench.train("second", optimizer("SGD", lr=lr), 4, bench.newest("first"))
    folder = bench.runs[-1].folder.checkpoints
    (best,) = folder.glob("best-*.ckpt")
    state = load(best)["callbacks"]["Continuation"]
    before, now = (state[name]["values"]["val_loss"] for name in ("began", "validated"))
    said = worsening(load(best))
    assert bool(said) == (now > before) == (lr > 1)
    if said:
        assert f"val_loss {now:.5g}" in said
        assert f"{before:.5g} in epoch 2, from which it went on" in said
    # The first has begun with nothing.
    assert worsening(load(bench.newest("first"))) == ""


def test_more_is_better_where_the_mode_says_so() -> None:
    values = {"epoch": 1, "values": {"val_auc": 0.7, "val_loss": 0.5}}
    state = {"monitor": "val_auc", "mode": "max", "began": values}
    for now, worse in ((0.6, True), (0.7, False), (0.8, False)):
        best = {"epoch": 2, "values": {"val_auc": now}}
        content = {"callbacks": {"Continuation": state | {"validated": best}}}
        assert bool(worsening(content)) == worse


def test_an_optimisation_is_described_in_plain_values() -> None:
    cyclic = scheduled("CyclicLR", "step", base_lr=0.1, max_lr=0.3)
    for configure in (optimizer("AdamW"), cyclic, scheduled("MultiStepLR", milestones=[1])):
        said = DescribedOptimizer.of(classify(configure, 2.0)).described()
        assert json.loads(json.dumps(said)) == said
        assert said["warm-up"] == {"shape": "linear_warmup", "epochs": 2.0}
