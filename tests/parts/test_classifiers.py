"""Warm-up as the optimizer sees it, losses that are not finite, and checkpoints that do not fit."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from parts.batches import Batches, Rounds
from parts.classifiers import (
    Classifier,
    WarmedUpClassifier,
    check_fit,
    cosine_warmup,
    linear_warmup,
)
from parts.events import Events
from parts.inputs import Inputs, Numerical
from parts.losses import bce
from parts.machinery.checkpoints import load_into
from parts.machinery.exits import RefusedError
from parts.models import MLP, binary_probability

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

N_BATCHES = 4
KNOWS = {"classes": ["background", "signal"], "numerical": ["pt", "eta"], "categories": [[0, 1]]}


class NeverBetter(Callback):
    """Says that the validation loss stays the same."""

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log it."""
        module.log("val_loss", 1.0)


class Steps(torch.optim.SGD):
    """Plain gradient descent that remembers the learning rate of every step."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr=lr)
        self.rates: list[float] = []

    def step(self, closure: Any = None) -> Any:
        """Take a step."""
        loss = super().step(closure)
        self.rates.append(self.param_groups[0]["lr"])
        return loss


def network(n_hidden: int = 4) -> MLP:
    torch.manual_seed(0)
    inputs = Inputs([Numerical(nn.Identity(), 2)])
    return MLP(inputs, 1, 1, n_hidden, nn.ReLU, 0.0, nn.Identity)


def events() -> Events:
    generator = torch.Generator().manual_seed(2)
    size = 6 * N_BATCHES
    none = torch.empty(size, 0, dtype=torch.int64)
    ones = torch.ones(size)
    numerical = torch.randn(size, 2, generator=generator)
    return Events(numerical, none, torch.arange(size) % 2, ones, ones)


def batches(of: Events) -> Batches:
    return Batches(of, 6, 0, 1)


def fit(
    folder: Path,
    configure: Callable[[Iterable[nn.Parameter], int], OptimizerLRScheduler],
    epochs: int,
    data: Events | None = None,
    warmup: Callable[[float], float] | None = None,
    warmup_epochs: float = 0,
) -> Classifier:
    options: dict[str, Any] = {
        "network": network(), "loss": bce, "link": binary_probability,
        "configure": configure, "knows": KNOWS,
    }  # fmt: skip
    classifier = (
        WarmedUpClassifier(warmup=warmup, epochs=warmup_epochs, **options)
        if warmup
        else Classifier(**options)
    )
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[NeverBetter()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    classifier.steps = epochs * N_BATCHES
    trainer.fit(classifier, Rounds(data or events(), 6, 0, 0, 1), batches(events()))
    return classifier


def plain(parameters: Iterable[nn.Parameter], steps: int) -> OptimizerLRScheduler:
    return Steps(parameters, lr=0.1)


def rates(classifier: Classifier) -> list[float]:
    optimizer = classifier.trainer.optimizers[0]
    assert isinstance(optimizer, Steps)
    return optimizer.rates


def shares(warmup: Callable[[float], float], steps: int, of: int) -> list[float]:
    return [warmup(min(1.0, (step + 1) / steps)) for step in range(of)]


@pytest.mark.parametrize("warmup", [linear_warmup, cosine_warmup])
def test_warmups_rise_from_nothing_to_all(warmup: Callable[[float], float]) -> None:
    values = [warmup(x / 100) for x in range(101)]
    assert values[0] == 0
    assert values[-1] == 1
    assert values == sorted(values)
    assert warmup(0.5) == pytest.approx(0.5)


def test_a_cosine_rises_slowly_at_both_ends() -> None:
    assert cosine_warmup(0.25) == pytest.approx((1 - math.sqrt(0.5)) / 2)


def test_warmup_of_an_epoch_and_a_half_rises_step_by_step(tmp_path: Path) -> None:
    seen = rates(fit(tmp_path, plain, epochs=2, warmup=linear_warmup, warmup_epochs=1.5))
    assert seen == pytest.approx([0.1 * s for s in [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1, 1]])


def test_cosine_warmup_rises_step_by_step(tmp_path: Path) -> None:
    seen = rates(fit(tmp_path, plain, epochs=2, warmup=cosine_warmup, warmup_epochs=1))
    expected = [(1 - math.cos(math.pi * x)) / 2 for x in (0.25, 0.5, 0.75, 1)] + [1] * 4
    assert seen == pytest.approx([0.1 * share for share in expected])


def test_without_warmup_the_rate_is_full_at_once(tmp_path: Path) -> None:
    assert rates(fit(tmp_path, plain, epochs=1)) == [0.1] * N_BATCHES


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_warmup_is_a_share_of_a_schedule_that_it_does_not_change(
    tmp_path: Path, interval: str
) -> None:
    def configure(parameters: Iterable[nn.Parameter], steps: int) -> Any:
        assert steps == 3 * N_BATCHES
        optimizer = Steps(parameters, lr=0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": interval},
        }

    scheduled = rates(fit(tmp_path, configure, epochs=3))
    decays = [step if interval == "step" else step // N_BATCHES for step in range(12)]
    assert scheduled == pytest.approx([0.1 * 0.5**n for n in decays])
    warmed = rates(fit(tmp_path, configure, epochs=3, warmup=linear_warmup, warmup_epochs=2))
    rising = shares(linear_warmup, 8, 12)
    assert warmed == pytest.approx([a * b for a, b in zip(scheduled, rising, strict=True)])


def test_warmup_goes_with_a_schedule_that_waits_for_a_metric(tmp_path: Path) -> None:
    def configure(parameters: Iterable[nn.Parameter], steps: int) -> Any:
        optimizer = Steps(parameters, lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "epoch", "monitor": "val_loss"},
        }

    seen = rates(fit(tmp_path, configure, epochs=4, warmup=linear_warmup, warmup_epochs=1))
    # The loss is best in the first epoch; the third is the second without a better one.
    expected = shares(linear_warmup, 4, 4) + [1.0] * 8 + [0.1] * 4
    assert seen == pytest.approx([0.1 * share for share in expected])


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(network(), bce, binary_probability, KNOWS, plain)


def checkpoint(of: Classifier) -> dict[str, Any]:
    content: dict[str, Any] = {"state_dict": of.state_dict()}
    of.on_save_checkpoint(content)
    return content


def test_a_checkpoint_of_its_own_fits(classifier: Classifier) -> None:
    content = checkpoint(classifier)
    check_fit(classifier, content)
    classifier.on_load_checkpoint(content)
    assert content["knows"] == KNOWS


def test_all_that_does_not_fit_is_said_at_once(classifier: Classifier) -> None:
    content = checkpoint(Classifier(network(8), bce, binary_probability, KNOWS, plain))
    content["knows"] = {**KNOWS, "numerical": ["pt", "phi"], "classes": ["signal", "background"]}
    content["state_dict"]["extra"] = torch.zeros(3)
    with pytest.raises(RefusedError) as refusal:
        classifier.on_load_checkpoint(content)
    text = str(refusal.value)
    assert text.startswith("the checkpoint does not fit:")
    assert "numerical: ['pt', 'phi'] there, ['pt', 'eta'] here" in text
    assert "classes: ['signal', 'background'] there, ['background', 'signal'] here" in text
    assert "extra: [3] there, nothing here" in text
    assert "network.layers.0.weight: [8, 2] there, [4, 2] here" in text


def test_a_checkpoint_that_knows_nothing_does_not_fit(classifier: Classifier) -> None:
    with pytest.raises(RefusedError, match="classes: None there"):
        check_fit(classifier, {"state_dict": classifier.state_dict()})


def test_weights_are_taken_from_a_checkpoint_that_fits_alone(
    classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "best.ckpt"
    torch.save(checkpoint(classifier) | {"epoch": 3}, path)
    other = Classifier(network(), bce, binary_probability, KNOWS, plain)
    nn.init.zeros_(next(other.parameters()))
    assert load_into(other, path)["epoch"] == 3
    expected = classifier.state_dict()
    assert all(torch.equal(expected[n], tensor) for n, tensor in other.state_dict().items())
    wider = Classifier(network(8), bce, binary_probability, KNOWS, plain)
    before = {name: tensor.clone() for name, tensor in wider.state_dict().items()}
    with pytest.raises(RefusedError, match="the checkpoint does not fit"):
        load_into(wider, path)
    assert all(torch.equal(before[n], tensor) for n, tensor in wider.state_dict().items())


def test_weights_count_with_their_sign_in_the_loss(classifier: Classifier) -> None:
    numerical, none, label, ones, _ = next(iter(batches(events())))
    weight = torch.tensor([1.0, -0.5, 2.0, 1.0, -1.0, 0.0])
    loss = classifier.loss_of((numerical, none, label, ones, weight))
    each = bce(classifier.network(numerical, none), label)
    torch.testing.assert_close(loss, (each * weight).sum() / 6)
    outputs = classifier.validation_step((numerical, none, label, ones, weight), 0)
    torch.testing.assert_close(outputs["loss"], each)
    assert outputs["probability"].shape == (6, 2)
    assert torch.equal(outputs["loss_weight"], weight)


@pytest.mark.parametrize(
    ("value", "possible"), [(0.2, True), (0.5, True), (0.8, True), (0.81, False), (-0.1, False)]
)
def test_a_mean_lies_between_the_least_and_the_largest_loss(value: float, possible: bool) -> None:
    loss = torch.tensor([0.2, 0.8, 0.5])
    assert Classifier(network(), bce, binary_probability, {}).is_mean(value, loss) is possible


def test_rounding_makes_no_mean_impossible() -> None:
    loss = torch.full((7,), 0.1)
    found = Classifier(network(), bce, binary_probability, {})
    assert found.is_mean(float(loss.double().mean()) * (1 + 1e-7), loss)
