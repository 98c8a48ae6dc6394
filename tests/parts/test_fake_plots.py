"""Numbers of density ratios where the truth is known, and figures of good events and bad ones."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from parts.binnings import (
    all_variables,
    binned_fake_factor,
    binned_sums,
    chi2_per_bin,
    density_metrics,
    density_terms,
    even_edges,
    quantile_edges,
    ratio_metrics,
)
from parts.estimates import Estimates
from parts.fake_plots import VARIABLES_DRAWN, centers, density_figures, profiles, ratio_figures
from parts.leptons import Leptons
from parts.metrics import Floats
from tests.figures import legends, png

pytestmark = pytest.mark.filterwarnings("error")

CAPTION = "toy_MLP_20260114T101500Z, epoch 25"
NAMES = ("pt", "x", "n jets/event")


def signed(random: np.random.Generator, n: int) -> Floats:
    """Weights of mean 1/2, a quarter of them negative."""
    return np.where(random.random(n) < 0.25, -1.0, 1.0)


def densities(seed: int, n: int, factor: float = 1.0, slope: float = 1.0) -> Estimates:
    """Data whose density is 1 + x times that of MC, x in 1..2; r is factor (2 + (x - 1) slope)."""
    random = np.random.default_rng(seed)
    x, label = 1 + random.random(n), random.integers(0, 2, n)
    weight = signed(random, n) * np.where(label == 1, 1 + x, 1)
    numerical = np.stack([10 * 200 ** random.random(n), x], 1)
    log_ratio = np.log(factor * (2 + slope * (x - 1)))[:, None]
    categorical = random.integers(0, 4, (n, 1))
    return Estimates(log_ratio, label, weight, weight[:, None], numerical, categorical)


def leptons(seed: int, n: int) -> Leptons:
    """Leptons whose fake factor is 0.4: fakes are 3/5 as dense as all data."""
    random = np.random.default_rng(seed)
    x, is_data, is_tight = 1 + random.random(n), random.random(n) < 0.5, random.random(n) < 2 / 7
    weight = signed(random, n) * np.where(is_data, 5, 2)
    numerical = np.stack([10 * 200 ** random.random(n), x], 1)
    return Leptons(
        torch.tensor(numerical).float(),
        torch.tensor(random.integers(0, 4, (n, 1))),
        torch.tensor(is_data),
        torch.tensor(is_tight),
        torch.tensor(weight).float(),
        np.zeros((n, 1), dtype=np.uint64),
    )


def fakes(seed: int, n: int, factor: float = 0.4, members: int = 1) -> Estimates:
    """Data of `leptons`, rid of prompt ones; F is `factor`, a tenth more for each next member."""
    events = leptons(seed, n)
    chosen = events.is_data.numpy()
    weight = events.weight.double().numpy()[chosen]
    factors = factor * (1 + 0.1 * np.arange(members))
    return Estimates(
        np.tile(np.log(factors), (len(weight), 1)),
        events.is_tight.numpy()[chosen].astype(np.int64),
        weight,
        np.repeat(0.6 * weight[:, None], members, axis=1),
        events.numerical.double().numpy()[chosen],
        events.categorical.numpy()[chosen],
    )


def first(events: Estimates, n: int) -> Estimates:
    return Estimates(
        events.log_ratio[:n],
        events.label[:n],
        events.weight[:n],
        events.loss_weight[:n],
        events.numerical[:n],
        events.categorical[:n],
    )


def test_quantile_edges_share_the_events_evenly() -> None:
    values = np.random.default_rng(1).exponential(size=1000)
    edges = quantile_edges(values, 8)
    assert len(edges) == 9
    np.testing.assert_allclose(binned_sums(values, np.ones(1000), edges)[0], 125, atol=1)


def test_few_whole_numbers_have_a_bin_each() -> None:
    np.testing.assert_array_equal(
        quantile_edges(np.array([0.0, 3, 1, 10, 0, 0]), 2), [-0.5, 0.5, 2.5, 6.5, 10.5]
    )
    assert len(quantile_edges(np.arange(100.0), 4)) == 5


@pytest.mark.parametrize(
    "values",
    [[], [0.3] * 5, [7] * 5, [1e12] * 5, [np.nan] * 3, [np.nan, 0.1, np.inf], [0, 0, 1], [-1, 0.5]],
)
@pytest.mark.parametrize("bins", [1, 20])
def test_edges_rise_whatever_the_values(values: list[float], bins: int) -> None:
    for find in (quantile_edges, even_edges):
        edges = find(np.array(values, dtype=np.float64), bins)
        assert len(edges) >= 2
        assert (np.diff(edges) > 0).all()


def test_even_edges_are_even_but_no_bin_is_nearly_empty() -> None:
    random = np.random.default_rng(2)
    normal = np.append(random.normal(0, 1, 20_000), 1e6)
    edges = even_edges(normal, 20)
    assert edges[-1] < 3.5  # One outlier does not make the others a single bin.
    np.testing.assert_allclose(np.diff(edges)[1:-1], np.diff(edges)[5])
    falling = 10 / random.uniform(0.001, 1, 20_000)
    steps = 20 * np.log(even_edges(falling, 20) / falling.min()) / np.log(np.ptp(falling) / 10 + 1)
    np.testing.assert_allclose(steps, np.round(steps), atol=0.01)
    assert steps[-1] == pytest.approx(20, abs=0.01)
    for values in (normal, falling):
        assert binned_sums(values, np.ones(len(values)), even_edges(values, 20))[0].min() >= 40


def test_points_stand_in_the_middle_of_bins_as_the_axis_shows_them() -> None:
    np.testing.assert_allclose(centers(np.array([1.0, 2.0, 4.0])), [1.5, 3])
    np.testing.assert_allclose(centers(np.array([1.0, 100.0])), [10])


def test_sums_by_hand_lose_nothing_beyond_the_edges() -> None:
    values = np.array([-5.0, 0.0, 1.0, 2.0, 9.0])
    sums, squares = binned_sums(values, np.array([1.0, 2.0, -3.0, 4.0, 5.0]), np.array([0.0, 1, 2]))
    np.testing.assert_array_equal(sums, [3, 6])
    np.testing.assert_array_equal(squares, [5, 50])


def test_the_binned_fake_factor_and_its_error_by_hand() -> None:
    # Tight 6 - 2 and loose 10 - (3 - 1) in the first bin, no loose fakes in the second.
    values = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 1.5])
    is_data = np.array([True, False, True, False, False, True, False])
    is_tight = np.array([True, True, False, False, False, True, False])
    weight = np.array([6.0, 2.0, 10.0, 3.0, -1.0, 1.0, 1.0])
    factor, error = binned_fake_factor(values, is_data, is_tight, weight, np.array([0.0, 1, 2]))
    np.testing.assert_allclose(factor, [4 / 8, np.nan])
    np.testing.assert_allclose(error[0], math.sqrt(36 + 4 + 0.25 * (100 + 9 + 1)) / 8)
    assert math.isnan(error[1])


def test_the_error_of_the_binned_fake_factor_is_its_spread() -> None:
    pulls = []
    for seed in range(60):
        events = leptons(seed, 4000)
        kinds = (events.is_data.numpy(), events.is_tight.numpy(), events.weight.double().numpy())
        factor, error = binned_fake_factor(all_variables(events)[1], *kinds, np.linspace(1, 2, 6))
        pulls.append((factor - 0.4) / error)
    assert np.mean(pulls) == pytest.approx(0, abs=0.2)
    assert np.std(pulls) == pytest.approx(1, abs=0.15)


def test_chi2_leaves_out_empty_bins_but_not_unknown_ones() -> None:
    difference, variance = np.array([1.0, 4.0, 0.0]), np.array([1.0, 8.0, 0.0])
    assert chi2_per_bin(difference, variance) == 1.5
    assert math.isnan(chi2_per_bin(np.zeros(2), np.zeros(2)))
    assert math.isnan(chi2_per_bin(np.array([np.nan, 1]), np.array([np.nan, 1])))


def test_what_is_left_of_reweighting_is_the_difference_of_both_subtractions() -> None:
    events = densities(1, 500)
    weight, r, is_data = events.weight, np.exp(events.log_ratio[:, 0]), events.label == 1
    fakes = np.where(is_data, weight, -weight).sum()
    of_data, of_mc = density_terms(events)
    assert of_data.sum() == pytest.approx(fakes - (weight * (1 - 1 / r))[is_data].sum())
    assert of_mc.sum() == pytest.approx(fakes - (weight * (r - 1))[~is_data].sum())


def test_the_true_density_ratio_has_a_chi2_of_one() -> None:
    every = [density_metrics(densities(seed, 4000)) for seed in range(20)]
    for name in ("chi2_data", "chi2_mc"):
        assert np.mean([metrics[name] for metrics in every]) == pytest.approx(1, abs=0.1)
    assert np.mean([metrics["ratio"] for metrics in every]) == pytest.approx(1, abs=0.03)


def test_wrong_density_ratios_are_seen() -> None:
    high = density_metrics(densities(3, 40_000, factor=1.2))
    assert high["ratio"] == pytest.approx(1.2, abs=0.05)
    assert min(high["chi2_data"], high["chi2_mc"]) > 2.5
    # The yield may be right where the shape is not.
    flat = density_metrics(densities(3, 40_000, factor=1.25, slope=0))
    assert flat["ratio"] == pytest.approx(1, abs=0.05)
    assert min(flat["chi2_data"], flat["chi2_mc"]) > 1.5


def test_the_mean_of_members_is_what_counts() -> None:
    one = densities(3, 1000)
    r = np.exp(one.log_ratio)
    two = replace(one, log_ratio=np.log(np.hstack([0.5 * r, 1.5 * r])))
    assert density_metrics(two) == pytest.approx(density_metrics(one))


def test_the_true_fake_factor_closes_and_a_wrong_one_does_not() -> None:
    every = [ratio_metrics(fakes(seed, 6000)) for seed in range(20)]
    assert np.mean([metrics["closure"] for metrics in every]) == pytest.approx(1, abs=0.04)
    assert np.mean([metrics["chi2"] for metrics in every]) == pytest.approx(1, abs=0.1)
    wrong = ratio_metrics(fakes(1, 60_000, factor=0.5))
    assert wrong["closure"] == pytest.approx(1.25, abs=0.06)
    assert wrong["chi2"] > 2


def test_ratio_metrics_take_the_mean_weight_of_the_loss() -> None:
    events = fakes(1, 1000)
    both = np.hstack([0.5 * events.loss_weight, 1.5 * events.loss_weight])
    log_ratio = np.hstack([events.log_ratio] * 2)
    doubled = replace(events, log_ratio=log_ratio, loss_weight=both)
    assert ratio_metrics(doubled) == pytest.approx(ratio_metrics(events))


def test_metrics_without_events_are_unknown() -> None:
    none = first(densities(1, 1), 0)
    for metrics in (density_metrics(none), ratio_metrics(none)):
        assert all(type(value) is float and math.isnan(value) for value in metrics.values())


def test_profiles_weight_loose_events_with_the_size_of_their_weights() -> None:
    factors = np.array([[0.2, 0.4], [0.6, 1.2], [9.0, 9.0], [0.5, 0.7]])
    weight = np.array([1.0, -3.0, 5.0, 2.0])
    label = np.array([0, 0, 1, 0])
    none = np.zeros((4, 0))
    events = Estimates(np.log(factors), label, weight, weight[:, None], none, none.astype(np.int64))
    found = profiles(events, np.array([0.5, 0.5, 0.5, 1.5]), np.array([0.0, 1, 2, 3]))
    np.testing.assert_allclose(found, [[0.5, 0.5, np.nan], [1.0, 0.7, np.nan]])


AWKWARD = ["ordinary", "tiny", "one_event", "empty", "one_kind", "constant", "negative", "nan"]


def awkward(case: str, events: Estimates) -> Estimates:
    """Events as nobody wants them."""
    sizes = {"tiny": 5, "one_event": 1, "empty": 0}
    if case in sizes:
        return first(events, sizes[case])
    if case == "one_kind":
        return replace(events, label=np.ones_like(events.label))
    if case == "constant":
        numerical = np.full_like(events.numerical, 0.3)
        categorical = np.ones_like(events.categorical)
        log_ratio = np.full_like(events.log_ratio, 0.7)
        return replace(events, numerical=numerical, categorical=categorical, log_ratio=log_ratio)
    if case == "negative":
        size = -np.abs(events.weight)
        return replace(events, weight=size, loss_weight=-np.abs(events.loss_weight))
    if case == "nan":
        log_ratio, numerical = events.log_ratio.copy(), events.numerical.copy()
        log_ratio[::3], numerical[::4] = np.nan, np.nan
        return replace(events, log_ratio=log_ratio, numerical=numerical)
    return events


def assert_drawn(figures: dict[str, Figure], case: str = "ordinary") -> None:
    for name, figure in figures.items():
        assert re.fullmatch("[A-Za-z0-9_]+", name)
        # Awkward events are as awkward in one variable as in another.
        if case == "ordinary" or not name.endswith(("_x", "_n_jets_event")):
            assert png(figure).startswith(b"\x89PNG"), name


@pytest.mark.parametrize("case", AWKWARD)
def test_density_figures_are_drawn(case: str) -> None:
    train, validation = densities(1, 500), awkward(case, densities(2, 300))
    figures = density_figures(train, validation, NAMES, CAPTION)
    assert list(figures) == [
        "log_ratio",
        "reweighting",
        "subtraction_pt",
        "subtraction_x",
        "subtraction_n_jets_event",
    ]
    assert_drawn(figures, case)
    if case in ("empty", "nan"):
        assert_drawn({"log_ratio": density_figures(validation, train, NAMES, CAPTION)["log_ratio"]})


@pytest.mark.parametrize(
    ("case", "members"), [*((case, 1) for case in AWKWARD), ("ordinary", 3), ("one_event", 3)]
)
def test_ratio_figures_are_drawn(case: str, members: int) -> None:
    validation = awkward(case, fakes(2, 600, members=members))
    found = leptons(2, 0 if case == "empty" else 600)
    figures = ratio_figures(fakes(1, 800, members=members), validation, found, NAMES, CAPTION)
    assert list(figures) == [
        "fake_factor",
        "fake_factor_pt",
        "fake_factor_x",
        "fake_factor_n_jets_event",
    ]
    assert_drawn(figures, case)
    spread = [text for text in legends(figures["fake_factor_x"]) if "spread" in text]
    assert spread == ["spread of 3 networks"] * (members == 3)


def test_only_the_first_variables_are_drawn() -> None:
    events = densities(1, 50)
    wide = replace(events, numerical=np.tile(events.numerical, (1, 6)))
    names = tuple(f"v{index}" for index in range(13))
    figures = density_figures(wide, wide, names, CAPTION)
    assert len(figures) == 2 + VARIABLES_DRAWN
    assert "subtraction_v7" in figures


def test_axes_are_logarithmic_where_a_variable_spans_decades() -> None:
    figures = density_figures(densities(1, 3000), densities(2, 3000), NAMES, CAPTION)
    scales = {}
    for name in ("pt", "x"):
        axes, panel = figures[f"subtraction_{name}"].get_axes()
        scales[name] = (panel.get_xscale(), axes.get_yscale())
        assert panel.get_ylim() == (0.8, 1.2)
        assert panel.get_xlabel() == name
    assert scales == {"pt": ("log", "log"), "x": ("linear", "log")}


def test_legends_say_the_chi2_of_both_subtractions() -> None:
    figures = density_figures(densities(1, 3000), densities(2, 3000), NAMES, CAPTION)
    entries = legends(figures["subtraction_n_jets_event"])
    events = densities(2, 3000)
    edges = np.arange(-0.5, 4)
    for entry, terms in zip(entries, density_terms(events), strict=False):
        chi2, _, ndf = entry.partition("ndf = ")[2].partition("/")
        assert int(ndf) == 4
        sums, squares = binned_sums(events.categorical[:, 0].astype(float), terms, edges)
        assert float(chi2) / 4 == pytest.approx(chi2_per_bin(sums, squares), abs=0.02)
    assert entries[-1] == "data - MC"
