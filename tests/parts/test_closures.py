"""Closure of leptons whose fake factor is known: the true one closes, others do not."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from parts.binnings import even_edges
from parts.closures import Closure, cells_of, close, closure_figures, deviations, summary, totals
from parts.leptons import Leptons
from parts.metrics import Floats
from tests.figures import legends, png

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ("pt", "x", "n jets/event")
CAPTION = "h4l fakes, closure"


def leptons(seed: int, n: int) -> Leptons:
    """Fakes that are tight in 0.4 of the cases of loose, prompt ones of 3/2 as often; signed MC.

    Both are of data; MC takes prompt leptons, of which a quarter of the weights is negative.
    """
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, n)  # fakes in data, prompt in data, prompt in MC
    prompt = kind > 0
    is_tight = random.random(n) < np.where(prompt, 0.6, 0.4 / 1.4)
    x = np.where(prompt, np.sqrt(random.random(n)), random.random(n))
    sign = np.where((kind == 2) & (random.random(n) < 0.25), -1, 1)
    weight = np.where(kind == 2, 2 * sign, 1)
    return Leptons(
        torch.tensor(np.stack([10 * 200**x, 1 + x], 1)).float(),
        torch.tensor(random.integers(0, 4, (n, 1))),
        torch.tensor(kind < 2),
        torch.tensor(is_tight),
        torch.tensor(weight).float(),
        np.zeros((n, 1), dtype=np.uint64),
    )


def factors(n: int, *values: float) -> Floats:
    """F of some members (event, member), the same for all events."""
    return np.tile(np.array(values), (n, 1))


def closed(
    seed: int,
    n: int = 9000,
    factor: float = 0.4,
    binned: dict[str, list[float]] | None = None,
    tolerance: float = 0.1,
) -> Closure:
    others = [leptons(1000 + seed, 2 * n), leptons(2000 + seed, n)]
    test = leptons(seed, n)
    return close(test, others, NAMES, factors(n, factor), binned or {}, tolerance)


def test_yields_and_errors_by_hand() -> None:
    is_data = torch.tensor([True, False, True, False, False, True])
    is_tight = torch.tensor([True, True, False, False, False, True])
    weight = torch.tensor([6.0, 2.0, 10.0, 3.0, -1.0, 1.0])
    x = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [1.0]])
    none = torch.zeros((6, 0), dtype=torch.int64)
    keys = np.zeros((6, 1), dtype=np.uint64)
    test = Leptons(x, none, is_data, is_tight, weight, keys)
    found = close(test, [test], ("x",), factors(6, 0.5), {}, 0.1)
    fakes, fakes2 = 0.5 * (10 - 3 + 1), 0.25 * (100 + 9 + 1)
    values = totals(found.total, "neural")
    assert (values["tight_data"], values["tight_mc"], values["fakes"]) == (7, 2, fakes)
    assert values["yield_ratio"] == 6 / 7
    error = math.sqrt(4 + fakes2 + (6 / 7) ** 2 * (36 + 1)) / 7
    assert values["yield_ratio_error"] == pytest.approx(error)
    assert values["fakes_ratio"] == 4 / 5
    error = math.sqrt(fakes2 + (4 / 5) ** 2 * (36 + 1 + 4)) / 5
    assert values["fakes_ratio_error"] == pytest.approx(error)
    # Two bins of the binned fake factor: (6 - 2) / (10 - 3), and 1 / 1.
    assert found.bins == {"x": [-0.5, 0.5, 1.5]}
    assert totals(found.total, "binned")["fakes"] == pytest.approx(4 + 1)
    assert found.unknown == 0


def test_deviations_by_hand() -> None:
    n = 40
    x = torch.tensor([0.0, 1.0]).repeat(n)[:, None]
    none = torch.zeros((2 * n, 0), dtype=torch.int64)
    keys, yes = np.zeros((2 * n, 1), dtype=np.uint64), torch.full((2 * n,), True)
    tight = torch.arange(2 * n) < n
    weight = torch.where(x[:, 0] > 0, 2.0, 1.0)
    test = Leptons(x, none, yes, tight, weight, keys)
    found = close(test, [test], ("x",), factors(2 * n, 0.5), {}, 0.1)
    # 20 tight and 20 loose in each bin: 20 - 10, and twice as much.
    pull = (20 - 10) / math.sqrt(20 + 0.25 * 20)
    values = deviations(found.variables["x"], "neural")
    assert values["chi2"] == pytest.approx(2 * pull**2)
    assert values["ndf"] == 2
    assert values["chi2_per_ndf"] == pytest.approx(pull**2)
    assert values["p_value"] == pytest.approx(math.exp(-(pull**2)))  # For two degrees of freedom.
    assert values["largest_deviation"] == pytest.approx(pull)
    assert values["largest_deviation_bin"] == [-0.5, 0.5]


def test_the_true_fake_factor_closes() -> None:
    every = [closed(seed) for seed in range(30)]
    pulls = []
    for closure in every:
        values = totals(closure.total, "neural")
        pulls.append((values["fakes_ratio"] - 1) / values["fakes_ratio_error"])
        error = values["yield_ratio_error"]
        assert abs(values["yield_ratio"] - 1) < 4 * error
    assert np.mean(pulls) == pytest.approx(0, abs=0.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.35)
    for name in NAMES:
        tests = [deviations(closure.variables[name], "neural") for closure in every]
        assert np.mean([test["chi2_per_ndf"] for test in tests]) == pytest.approx(1, abs=0.2)
        assert np.mean([test["p_value"] for test in tests]) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(("factor", "ratio"), [(0.48, 1.2), (0.32, 0.8)])
def test_a_wrong_fake_factor_fails_by_as_much_as_it_is_wrong(factor: float, ratio: float) -> None:
    closure = closed(1, n=240_000, factor=factor)
    values = closure.values()
    assert not values["passed"]
    assert values["neural"]["fakes_ratio"] == pytest.approx(ratio, abs=0.05)
    assert values["neural"]["variables"]["x"]["chi2_per_ndf"] > 3
    assert values["neural"]["variables"]["x"]["p_value"] < 1e-6
    # The binned fake factor is another, and right.
    assert values["binned"]["fakes_ratio"] == pytest.approx(1, abs=0.05)
    assert values["binned"]["variables"]["x"]["chi2_per_ndf"] < 2


def test_the_neural_fake_factor_decides_by_the_tolerance() -> None:
    exact = closed(1, n=60_000, factor=0.48, tolerance=0.3)
    assert exact.passed
    assert exact.values()["passed"] is True
    assert not replace(exact, tolerance=0.1).passed


def test_a_shape_that_is_wrong_is_seen_where_the_yield_closes() -> None:
    n = 240_000
    test = leptons(1, n)
    x = test.numerical[:, 1].double().numpy()[:, None] - 1
    found = close(test, [leptons(2, n)], NAMES, 0.4 * (1.4 - 0.8 * x), {}, 0.1)
    values = found.values()["neural"]
    assert values["fakes_ratio"] == pytest.approx(1, abs=0.05)
    assert values["variables"]["x"]["chi2_per_ndf"] > 3
    # Fakes that are too many at x = 0 are a deficit of data there.
    assert (
        values["variables"]["x"]["largest_deviation"]
        * (values["variables"]["x"]["largest_deviation_bin"][0] - 1.5)
        > 0
    )


def test_the_binned_fake_factor_is_that_of_the_other_leptons() -> None:
    n = 9000
    test, other = leptons(1, n), leptons(2, n)
    heavier = replace(other, weight=torch.where(other.is_tight, 2 * other.weight, other.weight))
    single = {"x": [1.0, 2.0]}
    before, after = (
        totals(close(test, [o], NAMES, factors(n, 0.4), single, 0.1).total, "binned")["fakes"]
        for o in (other, heavier)
    )
    assert after == pytest.approx(2 * before)


def test_several_columns_make_a_product_of_bins() -> None:
    columns = {"a": np.array([0.5, 0.5, 1.5, 99.0]), "b": np.array([-1.0, 1.5, 0.5, 2.5])}
    edges = {"a": np.array([0.0, 1, 2]), "b": np.array([0.0, 1, 2, 3])}
    cells, there = cells_of(columns, edges)
    np.testing.assert_array_equal(cells, [0, 1, 3, 5])
    assert there.all()
    binned = {"x": [1.0, 1.5, 2.0], "n jets/event": [-0.5, 1.5, 3.5]}
    closure = closed(3, n=30_000, binned=binned)
    assert closure.bins == binned
    values = totals(closure.total, "binned")
    assert abs(values["fakes_ratio"] - 1) < 4 * values["fakes_ratio_error"]


def test_leptons_in_bins_without_a_fake_factor_take_that_of_all_and_are_counted() -> None:
    n = 3000
    test, other = leptons(1, n), leptons(2, n)
    other = replace(other, numerical=other.numerical.clamp(max=1.5))
    given = [[1.0, 1.6, 2.0], [1.0, 2.0]]
    split, whole = (
        close(test, [other], NAMES, factors(n, 0.4), {"x": edges}, 0.1) for edges in given
    )
    beyond = (test.numerical[:, 1] >= 1.6) & ~test.is_tight
    assert split.unknown == int(beyond.sum()) > 0
    assert whole.unknown == 0
    assert f"{split.unknown} loose leptons" in summary(split)
    assert totals(split.total, "binned") == pytest.approx(totals(whole.total, "binned"))


def test_the_spread_is_that_of_the_members_yields() -> None:
    n = 3000
    test, others = leptons(1, n), [leptons(2, n)]
    members = close(test, others, NAMES, factors(n, 0.3, 0.5), {}, 0.1)
    single = close(test, others, NAMES, factors(n, 0.4), {}, 0.1)
    assert members.spread == pytest.approx(np.std([0.3, 0.5], ddof=1) / 0.4)
    assert math.isnan(single.spread)
    assert totals(members.total, "neural") == pytest.approx(totals(single.total, "neural"))


def test_the_fake_factor_of_tight_leptons_does_not_matter() -> None:
    test = leptons(1, 3000)
    given = np.where(test.is_tight.numpy()[:, None], np.nan, 0.4)
    found = close(test, [leptons(2, 3000)], NAMES, given, {}, 0.1)
    assert math.isfinite(totals(found.total, "neural")["fakes_ratio"])


def test_no_event_is_lost_beyond_the_bins_of_a_variable() -> None:
    closure = closed(1)
    for yields in closure.variables.values():
        for kind in ("neural", "binned"):
            difference, variance = yields.difference(kind)
            total, total_variance = closure.total.difference(kind)
            assert difference.sum() == pytest.approx(total[0])
            assert variance.sum() == pytest.approx(total_variance[0])


def test_values_are_plain_and_complete() -> None:
    values = closed(1).values()
    assert json.loads(json.dumps(values, allow_nan=True)).keys() == values.keys()
    assert set(values) == {"passed", "tolerance", "neural", "binned"}
    for kind in ("neural", "binned"):
        assert list(values[kind]["variables"]) == list(NAMES)
    assert values["binned"]["bins"].keys() == {"pt"}
    assert len(values["binned"]["bins"]["pt"]) == 11


def test_the_summary_shows_both_side_by_side() -> None:
    closure = closed(1, factor=0.6)
    text = summary(closure)
    values = closure.values()
    row = next(line for line in text.splitlines() if line.startswith("fakes / (data - MC)"))
    for kind in ("neural", "binned"):
        found = values[kind]
        assert f"{found['fakes_ratio']:.4f} +- {found['fakes_ratio_error']:.4f}" in row
    assert all(f"chi2/ndf by {name}" in text for name in NAMES)
    assert "closure FAILED" in text
    assert "closure passed" in summary(closed(1, n=60_000))
    assert max(map(len, text.splitlines())) <= 100


AWKWARD = ["ordinary", "one_lepton", "empty", "no_loose", "no_tight", "negative", "constant", "nan"]


def awkward(case: str) -> Leptons:
    found = leptons(1, {"one_lepton": 1, "empty": 0}.get(case, 900))
    if case in ("no_loose", "no_tight"):
        return replace(found, is_tight=torch.full_like(found.is_tight, case == "no_loose"))
    if case == "negative":
        return replace(found, weight=-found.weight.abs())
    if case == "constant":
        return replace(found, numerical=torch.full_like(found.numerical, 0.3))
    if case == "nan":
        gaps = torch.arange(900)[:, None] % 3 == 0
        return replace(found, numerical=found.numerical.masked_fill(gaps, math.nan))
    return found


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_leptons_are_drawn_and_told_of(case: str) -> None:
    test = awkward(case)
    given = factors(len(test.weight), 0.4, 0.42)
    if case == "nan":
        given[::5] = math.nan
    # What the binned fake factor is derived from is awkward too.
    for others in (leptons(2, 900), test):
        closure = close(test, [others], NAMES, given, {}, 0.5)
        assert "closure" in summary(closure)
        assert json.dumps(closure.values())
        if case in ("empty", "no_tight", "no_loose", "nan"):
            assert not closure.passed
    figures = closure_figures(closure, CAPTION)
    assert list(figures) == ["closure_pt", "closure_x", "closure_n_jets_event"]
    for name, figure in figures.items():
        assert re.fullmatch("[A-Za-z0-9_]+", name)
        # Awkward leptons are as awkward in one variable as in another.
        if case == "ordinary" or name == "closure_pt":
            assert png(figure).startswith(b"\x89PNG"), name


def test_figures_are_linear_and_logarithmic_with_ratios_below() -> None:
    closure = closed(1)
    figures = closure_figures(closure, CAPTION)
    for name, xscale in (("pt", "log"), ("x", "linear")):
        linear, log, *panels = figures[f"closure_{name}"].get_axes()
        assert (linear.get_yscale(), log.get_yscale()) == ("linear", "log")
        for panel in panels:
            assert panel.get_xscale() == xscale
            assert panel.get_xlabel() == name
            assert panel.get_ylim() == (0.8, 1.2)
    values = deviations(closure.variables["x"], "neural")
    assert any(
        f"{values['chi2']:.1f}/{values['ndf']}" in entry for entry in legends(figures["closure_x"])
    )


def test_bins_are_those_of_tight_data() -> None:
    test = leptons(1, 9000)
    closure = close(test, [leptons(2, 900)], NAMES, factors(9000, 0.4), {}, 0.1)
    chosen = (test.is_tight & test.is_data).numpy()
    wanted = even_edges(test.numerical[:, 1].double().numpy()[chosen], 20)
    np.testing.assert_array_equal(closure.variables["x"].edges, wanted)


@pytest.mark.parametrize("missing", [-999.0, math.nan])
def test_missing_values_stretch_no_axis_and_stand_in_no_bin(missing: float) -> None:
    n = 4000
    whole, others = leptons(1, n), leptons(2, n)
    gaps = np.arange(len(whole.weight)) % 3 == 0
    numerical = whole.numerical.clone()
    numerical[torch.tensor(gaps), 0] = missing
    test = replace(whole, numerical=numerical)
    given = factors(len(whole.weight), 0.4)
    edges = {NAMES[0]: [10.0, 100.0, 2000.0]}
    found = close(test, [others], NAMES, given, edges, 0.5, None if missing != missing else missing)
    yields = found.variables[NAMES[0]]
    assert yields.edges.min() >= 0
    assert len(yields.edges) > 10
    there = ~gaps & whole.is_tight.numpy() & whole.is_data.numpy()
    assert yields.data[0].sum() == pytest.approx(whole.weight.numpy()[there].sum())
    # They are no less a part of the total.
    assert found.total.data == close(whole, [others], NAMES, given, edges, 0.5).total.data
    assert found.unknown == (gaps & ~whole.is_tight.numpy()).sum()
