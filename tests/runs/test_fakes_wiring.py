"""Which leptons, weights, epochs and options the trainings of fakes use, worked out anew."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.runs.experiments import Run
from tests.runs.fakes import STAGES, FakesWorkshop, leptons
from tests.runs.recomputed import Floats, best_epoch, columns, network, own, share, splits
from tests.spec_tables import merged

NUMERICAL, CATEGORICAL = ["pt", "eta"], ["n_jets"]
TIGHT = 0
FROZEN: dict[str, Any] = {
    "training_config": {"max_epochs": 1, "optimizer": {"optimizer_params": {"lr": 1e-30}}},
    "dataset_config": {"batch_size": 100_000},
}


@pytest.fixture(scope="module")
def every(fakes: FakesWorkshop) -> pd.DataFrame:
    """All leptons: those of training have a larger pt, each split a category of its own."""
    frame = leptons(0.02)
    train = splits(frame)["train"].index
    frame.loc[train, "pt"] += 1
    for category, part in enumerate(splits(frame).values(), 20):
        frame.loc[part.index[::50], "n_jets"] = category
    # As large as their sum, not one by one.
    frame["weight"] *= np.random.default_rng(3).uniform(0.5, 1.5, len(frame))
    fakes.write(frame)
    return frame


def logits(run: Run, frame: pd.DataFrame, checkpoint: str = "", prefix: str = "network.") -> Tensor:
    """Return the logits (event,) of a stage's network, or of one of its members."""
    weights = own(run.checkpoint(checkpoint), prefix)
    activated = any(name.startswith("network.") for name in weights)
    inner = {name.removeprefix("network."): tensor for name, tensor in weights.items()}
    f = network(inner, frame, NUMERICAL, CATEGORICAL, None, ["pt"], functional.silu)[:, 0]
    # What comes after numerator and denominator keeps the ratio of densities above 1.
    return torch.where(f.abs() < 1, f**2 / 2, f.abs() - 0.5) if activated else f


def best(run: Run) -> str:
    return str(run.json("done")["checkpoint"])


def entropy(f: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(f, target.double(), reduction="none")


def is_data(frame: pd.DataFrame) -> Tensor:
    return torch.tensor(frame["data_type"].to_numpy() == 1)


def is_tight(frame: pd.DataFrame) -> Tensor:
    return torch.tensor(frame["toy_type"].to_numpy() == TIGHT)


def weight(frame: pd.DataFrame) -> Tensor:
    return columns(frame, ["weight"])[:, 0]


def region(frame: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the leptons that numerator or denominator are trained on."""
    return frame[(frame["toy_type"] == TIGHT) == (stage == "numerator")]


CHI2 = {"training_config": {"monitor": "val_chi2_mc"}}
WIRED: dict[str, Any] = {
    "training_config": {
        "max_epochs": 6,
        "monitor": "val_chi2",
        "optimizer": {"optimizer_params": {"lr": 0.05}},
    },
    "fakes_config": {"numerator": CHI2, "denominator": CHI2},
}


@pytest.fixture(scope="module")
def trained(fakes: FakesWorkshop, every: pd.DataFrame) -> Path:
    """The three stages, whose best epochs are not their last ones."""
    folder = fakes.train("wired", **WIRED)
    for name in STAGES:
        run = fakes.found("wired", name)
        series = run.series("val_chi2" if name == "ratio" else "val_chi2_mc")
        assert best(run) == f"best-{best_epoch(series, 'min'):09d}.ckpt"
    assert best_epoch(series, "min") != max(series), "the best of the ratio is its last epoch"
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_the_scaling_is_that_of_all_training_leptons(
    fakes: FakesWorkshop, trained: Path, every: pd.DataFrame, stage: str
) -> None:
    train = splits(every)["train"]
    weights = fakes.found("wired", stage).weights()
    (center,) = (t for name, t in weights.items() if name.endswith("scaling.1.center"))
    expected = [np.log(train["pt"]).mean(), train["eta"].mean()]
    assert center.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("stage", STAGES)
def test_the_categories_are_those_of_all_training_leptons(
    fakes: FakesWorkshop, trained: Path, every: pd.DataFrame, stage: str
) -> None:
    known = sorted(set(splits(every)["train"]["n_jets"]))
    assert 20 in known
    assert not {21, 22} & set(known)
    assert fakes.found("wired", stage).checkpoint()["knows"]["categories"] == [known]


def subtraction(fakes: FakesWorkshop, name: str, frame: pd.DataFrame) -> Tensor:
    """Return what turns data, or MC, into data - MC: 1 - 1/r and r - 1 (arXiv:2511.06972)."""
    numerator, denominator = (
        logits(run, frame, best(run)) for run in (fakes.found(name, s) for s in STAGES[:2])
    )
    ratio = torch.where(is_tight(frame), numerator, denominator).exp()
    return torch.where(is_data(frame), 1 - 1 / ratio, ratio - 1)


def factor(fakes: FakesWorkshop, name: str, frame: pd.DataFrame) -> Tensor:
    """Return F of the ratio's best epoch."""
    run = fakes.found(name, "ratio")
    return logits(run, frame, best(run)).exp()


def test_the_test_is_one_of_the_best_epoch_on_test_leptons(
    fakes: FakesWorkshop, trained: Path, every: pd.DataFrame
) -> None:
    for split in ("validation", "test"):
        frame = splits(every)[split]
        frame = frame[frame["data_type"] == 1]
        fake = weight(frame) * subtraction(fakes, "wired", frame)
        tight = is_tight(frame)
        loose = (fake * factor(fakes, "wired", frame))[~tight].sum()
        found = fakes.found("wired", "ratio").json("metrics.json")["metrics"][split]
        assert found["closure"] == pytest.approx(float(loose / fake[tight].sum()), rel=1e-4), split
        for stage in STAGES[:2]:
            part, run = region(splits(every)[split], stage), fakes.found("wired", stage)
            ratio, data = logits(run, part, best(run)).exp(), is_data(part)
            mc = (weight(part) * ratio)[~data].sum() / weight(part)[data].sum()
            found = run.json("metrics.json")["metrics"][split]
            assert found["ratio"] == pytest.approx(float(mc), rel=1e-4), (split, stage)


def test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance(
    fakes: FakesWorkshop, trained: Path, every: pd.DataFrame
) -> None:
    test = splits(every)["test"]
    tight, data, w = is_tight(test), is_data(test), weight(test)
    signed = torch.where(data, w, -w)
    fake = float((signed * factor(fakes, "wired", test))[~tight].sum())
    yields = [float(w[tight & kind].sum()) for kind in (data, ~data)]
    wanted = dict(zip(("tight_data", "tight_mc", "fakes"), (*yields, fake), strict=True))
    wanted["fakes_ratio"] = fake / (yields[0] - yields[1])
    # The binned fake factor is that of the other leptons; here it has a single bin.
    others = every.drop(test.index)
    sums = [
        float(torch.where(is_data(part), weight(part), -weight(part)).sum())
        for part in (others[others["toy_type"] == TIGHT], others[others["toy_type"] != TIGHT])
    ]
    binned = float(signed[~tight].sum()) * sums[0] / sums[1]
    deviation = abs(wanted["fakes_ratio"] - 1)
    for tolerance, status in ((deviation * 1.01, 0), (deviation * 0.99, 5)):
        table = {"tolerance": tolerance, "binned": {"pt": [0.0, 1e6]}}
        folder = fakes.build("wired", **merged(WIRED, {"fakes_config": table}))
        ended = fakes.run(folder, "closure")
        assert ended.status == status, ended
        ended.quiet()
        assert ("closure FAILED" in ended.output) is (status == 5)
        assert f"right within {100 * tolerance:g} %" in ended.output
        found = fakes.found("wired", "ratio").json("closure.json")
        assert found["passed"] is (status == 0)
        for name, value in wanted.items():
            assert found["neural"][name] == pytest.approx(value, rel=1e-4), name
        assert found["binned"]["fakes"] == pytest.approx(binned, rel=1e-4)


def test_what_is_applied_is_the_best_fake_factor(
    fakes: FakesWorkshop, trained: Path, every: pd.DataFrame
) -> None:
    fakes.run(trained, "apply", "data/jets.parquet", "applied.parquet").done()
    found = pd.read_parquet(fakes.workshop.folder / "applied.parquet")
    assert len(found) == len(every)
    expected = factor(fakes, "wired", every).numpy()
    assert found["fake_factor"].to_numpy() == pytest.approx(expected, rel=1e-3)


# What a stage's loss weighs leptons with: seen in trainings that learn nothing.


def clipped(weights: Tensor, target: Tensor, quantile: float) -> Tensor:
    """Return weights that end at a quantile of their sizes, for each target."""
    found = weights.clone()
    for value in (False, True):
        sizes = weights[target == value].abs().sort().values
        limit = float(sizes[int(quantile * len(sizes))])
        found[target == value] = weights[target == value].clamp(-limit, limit)
    return found


def counts(frame: pd.DataFrame, member: int) -> Tensor:
    """Return how often a member sees each lepton: Poisson numbers that sample and event decide."""
    owners = {
        value: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        for value, name in ((1, "data"), (0, "prompt"))
    }
    steps = np.cumsum(np.exp(-1) / np.cumprod([1.0, *range(1, 11)]))
    pairs = zip(frame["data_type"], frame["event"], strict=True)
    shares = [share(0x5EE5 + member, owners[kind], event) for kind, event in pairs]
    return torch.tensor(np.searchsorted(steps, shares)).double()


def normalisations(members: int, deviation: float) -> list[float]:
    """Return MC yields, evenly likely under a normal distribution, that spread so much."""
    normal = torch.special.ndtri((torch.arange(members, dtype=torch.float64) + 0.5) / members)
    factors: list[float] = (1 + deviation * normal / normal.std()).tolist()
    return factors


def losses(run: Run, frame: pd.DataFrame, target: Tensor, weights: Sequence[Tensor]) -> float:
    """Return the mean weighted loss, summed over members."""
    prefixes = [f"network.members.{i}." for i in range(len(weights))]
    prefixes = prefixes if len(weights) > 1 else ["network."]
    pairs = zip(prefixes, weights, strict=True)
    return sum(float((w * entropy(logits(run, frame, "", p), target)).mean()) for p, w in pairs)


MEMBERS: dict[str, dict[str, Any]] = {
    "single": {},
    "clipped": {"training_config": {"clip_quantile": 0.9}},
    "scaled": {"fakes_config": {"n_members": 3, "bootstrap": False, "mc_normalisation": 0.2}},
    "bootstrapped": {"fakes_config": {"n_members": 2}},
}


def assert_losses(
    run: Run, parts: dict[str, pd.DataFrame], target: Any, base: Any, name: str, mc: Tensor
) -> None:
    """Assert that a frozen run's losses are those of weights that its options make of `base`."""
    members = MEMBERS[name].get("fakes_config", {}).get("n_members", 1)
    train, validation = parts["train"], parts["validation"]
    weights = [base(train)] * members
    if name == "clipped":
        weights = [clipped(w, target(train), 0.9) for w in weights]
        assert not torch.equal(weights[0], base(train))
    if name == "scaled":
        factors = normalisations(members, 0.2)
        weights = [torch.where(mc, w * f, w) for w, f in zip(weights, factors, strict=True)]
    if name == "bootstrapped":
        weights = [w * counts(train, member) for member, w in enumerate(weights)]
    (found,) = run.series("train_loss").values()
    assert found == pytest.approx(losses(run, train, target(train), weights), rel=1e-5)
    # In validation, weights are as they are.
    (found,) = run.series("val_loss").values()
    plain = losses(run, validation, target(validation), [base(validation)] * members)
    assert found == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("name", MEMBERS)
def test_the_losses_of_densities_weigh_leptons_as_their_options_say(
    fakes: FakesWorkshop, every: pd.DataFrame, name: str
) -> None:
    folder = fakes.build(f"frozen_{name}", **merged(FROZEN, MEMBERS[name]))
    for stage in STAGES[:2]:
        fakes.run(folder, stage).done()
        parts = {split: region(frame, stage) for split, frame in splits(every).items()}
        run = fakes.found(f"frozen_{name}", stage)
        assert_losses(run, parts, is_data, weight, name, ~is_data(parts["train"]))


PARENTS = merged(FROZEN, {"training_config": {"optimizer": {"optimizer_params": {"lr": 0.05}}}})


@pytest.fixture(scope="module")
def parents(fakes: FakesWorkshop, every: pd.DataFrame) -> str:
    """Numerator and denominator of ratios, which have learnt different things: their spec."""
    folder = fakes.build("ratio", **PARENTS)
    for stage in STAGES[:2]:
        fakes.run(folder, stage).done()
    return "ratio"


@pytest.mark.parametrize("use_data", [True, False])
@pytest.mark.parametrize("name", ["single", "clipped"])
def test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say(
    fakes: FakesWorkshop, every: pd.DataFrame, parents: str, name: str, use_data: bool
) -> None:
    table = merged({"training_config": FROZEN["training_config"]}, MEMBERS[name])
    own_options = {"use_data_in_ratio": use_data, "ratio": table}
    folder = fakes.build(parents, **merged(PARENTS, {"fakes_config": own_options}))
    label = f"{name}-{use_data}"
    fakes.run(folder, "ratio", "--again", label).done()
    parts = {
        split: frame[(frame["data_type"] == 1) == use_data]
        for split, frame in splits(every).items()
    }

    def fake(frame: pd.DataFrame) -> Tensor:
        return weight(frame) * subtraction(fakes, parents, frame)

    run = fakes.workshop.found(f"{parents}-ratio+{label}")
    assert_losses(run, parts, is_tight, fake, name, torch.zeros(0))


LINKS: dict[str, Any] = {
    "bce": torch.exp,
    "savage": torch.exp,
    "exponential": lambda f: (2 * f).exp(),
    "tangent": lambda f: (0.5 + f.atan()) / (0.5 - f.atan()),
}


@pytest.mark.parametrize("loss", LINKS)
def test_a_loss_has_its_own_link(fakes: FakesWorkshop, every: pd.DataFrame, loss: str) -> None:
    """From what a network says to the ratio of densities: seen in MC times r over data."""
    folder = fakes.build(f"linked_{loss}", **merged(FROZEN, {"training_config": {"loss": loss}}))
    fakes.run(folder, "denominator").done()
    run = fakes.found(f"linked_{loss}", "denominator")
    frame = region(splits(every)["test"], "denominator")
    ratio, data = LINKS[loss](logits(run, frame)), is_data(frame)
    wanted = (weight(frame) * ratio)[~data].sum() / weight(frame)[data].sum()
    found = run.json("metrics.json")["metrics"]["test"]["ratio"]
    assert found == pytest.approx(float(wanted), rel=1e-4)


def test_penalties_belong_to_training_alone(fakes: FakesWorkshop, every: pd.DataFrame) -> None:
    table = {"training_config": {"w_lambda": 0.3, "ess_lambda": 7.0}}
    folder = fakes.build("punished", **merged(FROZEN, table))
    fakes.run(folder, "numerator").done()
    run = fakes.found("punished", "numerator")
    parts = {split: region(frame, "numerator") for split, frame in splits(every).items()}
    found = {name: next(iter(run.series(name).values())) for name in ("train_loss", "val_loss")}
    plain = {}
    for name, split in (("train_loss", "train"), ("val_loss", "validation")):
        frame = parts[split]
        plain[name] = losses(run, frame, is_data(frame), [weight(frame)])
    f = logits(run, parts["train"])
    effective = f.exp().sum() ** 2 / (2 * f).exp().sum()
    penalty = 0.3 * f.square().mean() + 7.0 / (effective + 1e-8)
    assert found["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)
    assert found["train_loss"] - plain["train_loss"] == pytest.approx(float(penalty), rel=1e-2)


def arrays(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=np.float64)


def test_the_crack_is_left_out_of_what_is_learnt(fakes: FakesWorkshop, every: pd.DataFrame) -> None:
    crack = {"fakes_config": {"crack_veto": True, "crack": [1.0, 1.4]}}
    folder = fakes.build("cracked", **merged(FROZEN, crack))
    fakes.run(folder, "denominator").done()
    eta = np.abs(arrays(every, "eta"))
    outside = every[(eta <= 1.0) | (eta >= 1.4)]
    parts = {split: region(frame, "denominator") for split, frame in splits(outside).items()}
    run = fakes.found("cracked", "denominator")
    assert_losses(run, parts, is_data, weight, "single", torch.zeros(0))
