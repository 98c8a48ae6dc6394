"""Every loss, scaling, network and schedule trains, in one isolated interpreter after another."""

import math

import pytest

from tests.runs.experiments import Run, Workshop, events
from tests.runs.variants import RUN, VARIANTS

STEPS = 7
# The loss of a network that knows nothing, where that is easily told.
BLIND = {"focal": 0.5**1.5 * math.log(2), "mse": 0.25, "multiclass": math.log(3)}


@pytest.fixture(scope="module")
def runs(workshop: Workshop) -> dict[str, Run]:
    """All of them: they are started together, and share the time that each waits."""
    workshop.write(events(600, n_classes=3), "three")
    found = {}
    for pair in (RUN[i : i + 2] for i in range(0, len(RUN), 2)):
        started = [workshop.start(workshop.build(name, **VARIANTS[name])) for name in pair]
        for name, process in zip(pair, started, strict=True):
            process.wait().done()
            found[name] = workshop.found(name)
    return found


@pytest.mark.parametrize("name", RUN)
def test_it_trains(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    assert run.epochs("train_loss") == list(range(1, max(run.epochs("train_loss")) + 1))
    assert all(math.isfinite(value) for value in run.series("train_loss").values())
    assert all(math.isfinite(value) for value in run.series("val_loss").values())
    losses = list(run.series("train_loss").values())
    assert losses[-1] < losses[0]
    metrics = run.json("metrics.json")["metrics"]["test"]
    assert 0.5 < metrics["auc"] <= 1
    assert run.logged() == run.recorded()
    assert run.entries()[0].info.status == "FINISHED"


@pytest.mark.parametrize("name", BLIND)
def test_losses_are_those_that_their_names_say(runs: dict[str, Run], name: str) -> None:
    first = next(iter(runs[name].series("val_loss").values()))
    assert first == pytest.approx(BLIND[name], rel=0.3)


def test_several_classes(runs: dict[str, Run]) -> None:
    metrics = runs["multiclass"].json("metrics.json")["metrics"]["test"]
    assert metrics.keys() == {"auc", "auc_ggH", "auc_VBF", "auc_W_jets", "f1", "accuracy"}
    assert runs["multiclass"].weights()["network.layers.8.weight"].shape[0] == 3


def test_a_residual_network_with_embeddings(runs: dict[str, Run]) -> None:
    weights = runs["resnet"].weights()
    assert weights["network.inputs.blocks.1.embedding.weight"].shape[1] == 3
    # One in each of four layers, and one before the last.
    norms = [t for name, t in weights.items() if name.endswith(".weight") and t.ndim == 1]
    assert len(norms) == 4 + 1


def test_warm_up_and_one_cycle(runs: dict[str, Run]) -> None:
    rates = runs["onecycle"].series("lr")
    assert len(rates) == 2 * STEPS
    top = max(rates, key=rates.__getitem__)
    assert 1 < top < 2 * STEPS
    assert rates[1] < rates[2] < rates[3]
    assert rates[2 * STEPS] < rates[top]


def test_a_plateau_is_looked_for_after_validations(runs: dict[str, Run]) -> None:
    run = runs["plateau"]
    assert run.epochs("val_loss") == [2, 4, 6]
    # The second validation, after epoch 4, is the first that shows no progress.
    assert list(run.series("lr").values()) == [0.01, 0.01, 0.01, 0.01, 0.005, 0.005]
    assert len(list((run.path / "checkpoints").glob("best-*.ckpt"))) == 2


def test_scalings_are_kept_in_checkpoints(runs: dict[str, Run]) -> None:
    prefix = "network.inputs.blocks.0.scaling"
    for name in ("minmax", "robust"):
        assert runs[name].weights()[f"{prefix}.center"].shape == (3,)
    assert runs["quantile"].weights()[f"{prefix}.edges"].shape[0] == 3
    assert not [name for name in runs["unscaled"].weights() if "scaling" in name]
