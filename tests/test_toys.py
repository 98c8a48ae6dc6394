"""The toys have the distributions, weights and fake factors that they claim."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from specs.data import make_toys
from specs.data.make_toys import DATA, FAKE_SOURCE, LOOSE, MC, PROMPT_SOURCE, TIGHT

Array = NDArray[np.float64]
SCALE = 0.5
FEATURES = {"pt": ["pt"], "jets": ["pt", "eta", "n_jets"]}
FAKE_FACTORS: dict[str, Callable[..., Array]] = {
    "pt": make_toys.true_fake_factor,
    "jets": make_toys.true_jets_fake_factor,
}
DISTRIBUTIONS: dict[str, tuple[make_toys.Distribution, Callable[[Array], Array]]] = {
    "data": (make_toys.PT_SHAPES[DATA], lambda x: np.exp(-5e-4 * x) / (x + 10) ** 3),
    "mc": (make_toys.PT_SHAPES[MC], lambda x: np.exp(-3e-5 * x) / (x + 10) ** 4),
    "fake pt": (FAKE_SOURCE.pt, lambda x: 1 / (x + 30) ** 3.5),
    "fake eta": (FAKE_SOURCE.eta, lambda x: 1 + x**2 / 2 / 2.47**2),
    "prompt pt": (PROMPT_SOURCE.pt, lambda x: x / (1 + x**2 / 900) ** 2.3),
    "prompt eta": (PROMPT_SOURCE.eta, lambda x: 1 - 0.3 * x**2 / 2.47**2),
}


class Events:
    """A toy as drawn with seed 1."""

    def __init__(self, toy: str) -> None:
        self.toy, self.scale = toy, SCALE
        self.columns = make_toys.make_toy(toy, seed=1, scale=self.scale)
        self.weight = self["weight"]
        self.fake_factor = FAKE_FACTORS[toy](*(self[name] for name in FEATURES[toy]))

    def __getitem__(self, name: str) -> Array:
        return self.columns[name].astype(np.float64)

    def region(self, data_type: int, toy_type: int) -> NDArray[np.bool_]:
        return np.asarray((self["data_type"] == data_type) & (self["toy_type"] == toy_type))

    def truth(self) -> dict[tuple[int, int], tuple[float, float]]:
        """Return the expected events and sum of weights of each region."""
        entries = json.loads(json.dumps(make_toys.TOYS[self.toy][1](self.scale)))["yields"]
        return {(e["data_type"], e["toy_type"]): (e["events"], e["weight"]) for e in entries}


@pytest.fixture(scope="module", params=["pt", "jets"])
def events(request: pytest.FixtureRequest) -> Events:
    return Events(request.param)


@pytest.fixture(scope="module")
def pt_events() -> Events:
    return Events("pt")


@pytest.fixture(scope="module")
def jets_events() -> Events:
    return Events("jets")


def kolmogorov(values: Array, cumulative: Array, weights: Array) -> float:
    """Return the largest distance of the weighted sample's distribution to the given one."""
    order = np.argsort(values)
    steps = np.cumsum(weights[order]) / weights.sum()
    before = np.concatenate([[0.0], steps[:-1]])
    expected = cumulative[order]
    return float(max(np.abs(steps - expected).max(), np.abs(before - expected).max()))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_tabulated_distribution_is_as_good_as_it_says(name: str) -> None:
    distribution, shape = DISTRIBUTIONS[name]
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = distribution.edges[:: 2**8]
    half, centre = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    integral = np.cumsum((shape(centre + half * nodes) * weights * half).sum(axis=1))
    exact = integral / integral[-1]
    np.testing.assert_allclose(distribution.cumulative(edges[1:]), exact, atol=1e-7)
    np.testing.assert_allclose(distribution.quantile(exact), edges[1:], rtol=1e-6, atol=1e-6)
    between = edges[:-1] + 0.3 * np.diff(edges)
    round_trip = distribution.quantile(distribution.cumulative(between))
    np.testing.assert_allclose(round_trip, between, rtol=1e-6, atol=1e-6)
    density = shape(between) / integral[-1]
    np.testing.assert_allclose(distribution.density(between), density, rtol=1e-6)


def test_the_pt_toy_has_the_truth_of_the_method() -> None:
    pt = np.array([10, 12, 15, 20, 30, 50, 80, 120, 200, 400, 1000])
    table = [0.3507, 0.3661, 0.3840, 0.4050, 0.4302, 0.4542, 0.4695, 0.4787, 0.4864, 0.4924, 0.4959]
    np.testing.assert_allclose(make_toys.true_fake_factor(pt), table, atol=1e-4)
    assert make_toys.MEAN_WEIGHTS[DATA] == pytest.approx(37.525, abs=1e-3)
    assert make_toys.MEAN_WEIGHTS[MC] == pytest.approx(0.99936, abs=1e-5)
    assert make_toys.numerator_ratio(10) == pytest.approx(2.527, abs=1e-3)
    assert make_toys.numerator_ratio(100) == pytest.approx(13.3, abs=0.05)
    assert make_toys.denominator_ratio(10) == pytest.approx(7.220, abs=1e-3)
    yields = Events("pt").truth()
    tight = yields[DATA, TIGHT][1] - yields[MC, TIGHT][1]
    assert tight / (yields[DATA, LOOSE][1] - yields[MC, LOOSE][1]) == pytest.approx(
        0.40455, abs=1e-5
    )


def test_the_events_are_numbered_in_random_order(events: Events) -> None:
    number = events["event"]
    assert events.columns["event"].dtype == np.int64
    assert len(np.unique(number)) == len(number)
    for name in ("data_type", "toy_type", "weight", *FEATURES[events.toy]):
        values = np.clip(events[name], -100, 100)
        correlation = np.corrcoef(number, values)[0, 1]
        assert abs(correlation) < 5 / np.sqrt(len(number)), name


def test_the_flags_and_types_are_those_that_are_described(events: Events) -> None:
    types = {name: column.dtype.name for name, column in events.columns.items()}
    common = {"event": "int64", "data_type": "int8", "toy_type": "int8", "weight": "float64"}
    features = {"pt": "float32"}
    if events.toy == "jets":
        features |= {"eta": "float32", "n_jets": "int8"}
    assert types == common | features
    assert set(np.unique(events["data_type"])) == {MC, DATA} == {0, 1}
    assert set(np.unique(events["toy_type"])) == {TIGHT, LOOSE} == {0, 2}
    assert all(np.isfinite(column).all() for column in events.columns.values())


def test_the_yields_are_those_expected(events: Events) -> None:
    for region, (expected, weight) in events.truth().items():
        chosen = events.region(*region)
        error = 0.0 if events.toy == "pt" else np.sqrt(expected)
        assert abs(chosen.sum() - expected) <= 4 * error, region
        error = np.sqrt((events.weight[chosen] ** 2).sum())
        assert abs(events.weight[chosen].sum() - weight) < 4 * error, region


def test_the_scale_is_that_of_the_number_of_events() -> None:
    for toy, total in (("pt", 2_000_000), ("jets", 900_000)):
        assert len(make_toys.make_toy(toy, seed=1, scale=0.01)["event"]) == total / 100


def test_pt_is_distributed_as_described(pt_events: Events) -> None:
    for data_type in (DATA, MC):
        for toy_type in (TIGHT, LOOSE):
            pt = pt_events["pt"][pt_events.region(data_type, toy_type)]
            assert pt.min() >= 10
            assert pt.max() <= 1000
            cumulative = make_toys.PT_SHAPES[data_type].cumulative(pt)
            # Larger by chance in 5 of 10^4 cases.
            assert kolmogorov(pt, cumulative, np.ones(len(pt))) < 2.04 / np.sqrt(len(pt))


def test_the_weights_of_the_pt_toy_have_their_moments(pt_events: Events) -> None:
    data = np.log(pt_events.weight[pt_events["data_type"] == DATA])
    assert data.mean() == pytest.approx(3.5, abs=4 * 0.5 / np.sqrt(len(data)))
    assert data.std() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * len(data)))
    mc = pt_events.weight[pt_events["data_type"] == MC]
    assert np.abs(mc).max() <= 200
    # Quantiles of a Cauchy distribution, and its mean and second moment once cut.
    cauchy = 0.2 * np.tan(np.pi * (np.array([0.1, 0.25, 0.5, 0.75, 0.9]) - 0.5)) + 1
    np.testing.assert_allclose(np.quantile(mc, [0.1, 0.25, 0.5, 0.75, 0.9]), cauchy, atol=6e-3)
    second = 1 + 0.2 / np.pi * 400
    assert (mc**2).mean() == pytest.approx(second, rel=0.15)
    assert mc.mean() == pytest.approx(make_toys.MEAN_WEIGHTS[MC], abs=4 * 5.1 / np.sqrt(len(mc)))
    assert (mc < 0).mean() == pytest.approx(0.5 - np.arctan(5) / np.pi, abs=2e-3)


def test_the_prompt_leptons_of_the_jets_toy_are_distributed_as_described(
    jets_events: Events,
) -> None:
    mc = jets_events["data_type"] == MC
    pt, eta, n_jets = (jets_events[name][mc] for name in FEATURES["jets"])
    assert pt.min() >= 15
    assert pt.max() <= 300
    assert np.abs(eta).max() <= np.float32(2.47)
    ones = np.ones(len(pt))
    assert kolmogorov(pt, PROMPT_SOURCE.pt.cumulative(pt), ones) < 2.04 / np.sqrt(len(pt))
    assert kolmogorov(eta, PROMPT_SOURCE.eta.cumulative(eta), ones) < 2.04 / np.sqrt(len(pt))
    shares = np.bincount(n_jets.astype(int)) / len(pt)
    binomial = [0.09150625, 0.299475, 0.3675375, 0.200475, 0.04100625]
    np.testing.assert_allclose(shares, binomial, atol=4 / np.sqrt(4 * len(pt)))
    tight = jets_events["toy_type"][mc] == TIGHT
    expected = 0.88 - 0.2 * np.exp(-(pt - 15) / 40)
    for low, high in ((15, 25), (25, 40), (40, 80), (80, 300)):
        chosen = (pt >= low) & (pt < high)
        error = 0.5 / np.sqrt(chosen.sum())
        assert abs(tight[chosen].mean() - expected[chosen].mean()) < 4 * error


def test_the_weights_of_the_jets_toy_are_signed_in_mc_alone(jets_events: Events) -> None:
    data = jets_events["data_type"] == DATA
    assert set(jets_events.weight[data]) == {1.0}
    mc = jets_events.weight[~data]
    assert len(np.unique(np.abs(mc))) == 1
    assert (mc < 0).mean() == pytest.approx(0.15)
    assert mc.sum() == pytest.approx(make_toys.PROMPT * jets_events.scale)
    # MC is worth about three times as many events as there are prompt leptons in data.
    assert mc.sum() ** 2 / (mc**2).sum() / mc.sum() == pytest.approx(3, abs=0.1)
    # The sign says nothing about the features.
    for name in ("toy_type", *FEATURES["jets"]):
        correlation = np.corrcoef(mc < 0, jets_events[name][~data])[0, 1]
        assert abs(correlation) < 4 / np.sqrt(len(mc)), name


def test_fakes_of_higher_pt_have_more_jets(jets_events: Events) -> None:
    """Data minus MC are the fakes."""
    signs = np.where(jets_events["data_type"] == DATA, 1.0, -1.0) * jets_events.weight
    pt, n_jets = jets_events["pt"], jets_events["n_jets"]
    means = []
    for low, high in ((15, 20), (20, 35), (35, 70), (70, 300)):
        chosen = (pt >= low) & (pt < high)
        w, n, x = signs[chosen], n_jets[chosen], pt[chosen]
        expected = (w * 4 * (0.5 - 0.2 * np.exp(-(x - 15) / 60))).sum() / w.sum()
        means.append((w * n).sum() / w.sum())
        error = np.sqrt((w**2 * (n - expected) ** 2).sum()) / w.sum()
        assert abs(means[-1] - expected) < 4 * error
    assert means[-1] - means[0] > 0.5


def test_data_exceed_mc_everywhere() -> None:
    pt = np.geomspace(15, 300, 300)[:, None, None]
    eta = np.linspace(-2.47, 2.47, 81)[:, None]
    n_jets = np.arange(5)
    for toy_type, smallest in ((TIGHT, 1.177), (LOOSE, 1.989)):
        ratio = make_toys.jets_ratio(pt, eta, n_jets, toy_type)
        assert ratio.min() == pytest.approx(smallest, abs=1e-3)
    pt = np.geomspace(10, 1000, 300)
    assert make_toys.numerator_ratio(pt).min() > 2.5
    assert make_toys.denominator_ratio(pt).min() > 7.2


def test_data_exceed_mc_in_the_bins_of_each_region(events: Events) -> None:
    edges = np.quantile(events["pt"], np.linspace(0, 1, 9))
    for toy_type in (TIGHT, LOOSE):
        data, mc = (
            np.histogram(events["pt"][chosen], edges, weights=events.weight[chosen])[0]
            for chosen in (events.region(DATA, toy_type), events.region(MC, toy_type))
        )
        assert (data > 1.15 * mc).all()


def test_the_fake_factor_of_the_jets_toy_does_not_factorise() -> None:
    pt = np.geomspace(15, 300, 30)[:, None, None]
    eta = np.linspace(-2.47, 2.47, 21)[:, None]
    fake_factor = make_toys.true_jets_fake_factor(pt, eta, np.arange(5))
    assert fake_factor.min() == pytest.approx(0.122, abs=1e-3)
    assert fake_factor.max() == pytest.approx(0.706, abs=1e-3)
    corners = make_toys.true_jets_fake_factor([20, 20, 150, 150], [0.0, 2.4, 0.0, 2.4], 2)
    assert corners[3] / corners[2] > 2 * corners[1] / corners[0]


def test_the_fake_factor_of_the_jets_toy_is_that_of_its_densities() -> None:
    pt, eta, n_jets = np.array([18.0, 40, 200]), np.array([-2.0, 0.1, 1.7]), np.array([0, 2, 4])
    tight, loose = (FAKE_SOURCE.density(pt, eta, n_jets, region) for region in (TIGHT, LOOSE))
    expected = make_toys.true_jets_fake_factor(pt, eta, n_jets)
    np.testing.assert_allclose(tight / loose, expected)


def bin_events(events: Events) -> tuple[NDArray[np.int64], int]:
    """Return the bin of each event, and the number of bins."""
    pt = events["pt"]
    if events.toy == "pt":
        edges = np.array([12, 15, 19, 25, 34, 50, 80])
        return np.digitize(pt, edges), len(edges) + 1
    pt_bin = np.digitize(pt, [22, 32, 50])
    eta_bin = np.digitize(np.abs(events["eta"]), [0.8, 1.6])
    n_jets_bin = np.digitize(events["n_jets"], [1.5, 2.5])
    return (pt_bin * 3 + eta_bin) * 3 + n_jets_bin, 36


def compare_tight(events: Events, fake_factor: Array) -> tuple[float, int]:
    """Return chi2 of tight data - MC against loose data - MC times F, and the number of bins."""
    bins, number = bin_events(events)
    signed = np.where(events["data_type"] == DATA, 1.0, -1.0) * events.weight
    tight = events["toy_type"] == TIGHT
    difference = np.where(tight, signed, -signed * fake_factor)
    total = np.bincount(bins, difference, minlength=number)
    variance = np.bincount(bins, difference**2, minlength=number)
    return float((total**2 / variance).sum()), number


def test_the_binned_fake_factor_is_the_true_one(events: Events) -> None:
    chi2, number = compare_tight(events, events.fake_factor)
    spread = np.sqrt(2 * number)
    assert number - 3 * spread < chi2 < number + 3 * spread
    # The comparison is sharp enough to see another fake factor.
    assert compare_tight(events, events.fake_factor * 1.1)[0] > number + 4 * spread
    constant = np.full_like(events.fake_factor, np.median(events.fake_factor))
    assert compare_tight(events, constant)[0] > number + 4 * spread


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(make_toys.__file__), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_writes_both_toys_and_their_truth(tmp_path: Path) -> None:
    done = run("--scale", "0.01", "--seed", "3", "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    names = {f"toy_{toy}{end}" for toy in ("pt", "jets") for end in (".parquet", "_truth.json")}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    assert all(name in done.stdout for name in names)
    for toy in ("pt", "jets"):
        table = pq.read_table(tmp_path / "new" / f"toy_{toy}.parquet")
        columns = make_toys.make_toy(toy, seed=3, scale=0.01)
        assert table.column_names == list(columns)
        for name, column in columns.items():
            np.testing.assert_array_equal(table[name].to_numpy(), column)
        truth = json.loads((tmp_path / "new" / f"toy_{toy}_truth.json").read_text())
        assert (truth["toy"], truth["seed"], truth["scale"]) == (toy, 3, 0.01)
        assert len(truth["points"]) == {"pt": 12, "jets": 36}[toy]
        for point in truth["points"]:
            values = (point[name] for name in FEATURES[toy])
            assert point["F"] == pytest.approx(float(FAKE_FACTORS[toy](*values)))
            assert point["r_den"] > point["r_num"] > 1


def test_the_command_writes_the_toy_that_is_named(tmp_path: Path) -> None:
    assert run("jets", "--scale", "0.01", "--out", str(tmp_path)).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"toy_jets.parquet", "toy_jets_truth.json"}


@pytest.mark.parametrize("arguments", [("--scale", "0"), ("--scale", "nan"), ("--seed", "-1")])
def test_the_command_refuses_what_cannot_be_drawn(
    arguments: tuple[str, str], tmp_path: Path
) -> None:
    done = run(*arguments, "--out", str(tmp_path))
    assert done.returncode == 2
    assert "--scale must be positive" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("toy", ["pt", "jets"])
def test_the_seed_decides_the_bytes(toy: str, tmp_path: Path) -> None:
    contents = []
    for i, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(i)
        folder.mkdir()
        contents.append([p.read_bytes() for p in make_toys.write_toy(toy, seed, 0.01, folder)])
    assert contents[0] == contents[1]
    assert contents[0][0] != contents[2][0]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "toy_pt.parquet"
    path.write_text("before")

    def fail() -> None:
        with make_toys.replace(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "before"
