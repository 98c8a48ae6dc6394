"""Closure: tight data against tight Monte Carlo and fakes, on leptons no network was trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parts.binnings import (
    all_variables,
    binned_sums,
    bins_of,
    cell_fake_factor,
    chi2_and_ndf,
    even_edges,
    file_name,
    quantile_edges,
    quotient,
)
from parts.fake_plots import centers, chi2_text, draw_ratio, log_y, scale_x
from parts.leptons import Leptons
from parts.metrics import Bools, Floats, Ints
from parts.plots import COLORS, dress, new_figure

# The two fake factors that are tested.
KINDS = ("neural", "binned")


@dataclass(frozen=True)
class Yields:
    """Sums of weights and of their squares, each (bin,), by bins of a variable."""

    edges: Floats
    data: tuple[Floats, Floats]  # tight
    mc: tuple[Floats, Floats]  # tight
    fakes: dict[str, tuple[Floats, Floats]]  # by kind: loose data times F less loose MC times F

    def prediction(self, kind: str) -> tuple[Floats, Floats]:
        """Return MC and fakes, and their variance."""
        return self.mc[0] + self.fakes[kind][0], self.mc[1] + self.fakes[kind][1]

    def difference(self, kind: str) -> tuple[Floats, Floats]:
        """Return data - MC - fakes, and its variance."""
        predicted, variance = self.prediction(kind)
        return self.data[0] - predicted, self.data[1] + variance


@dataclass(frozen=True)
class Closure:
    """The test leptons' yields; errors are statistical, those of F itself are no part of them."""

    total: Yields  # of one bin
    variables: dict[str, Yields]
    tolerance: float
    spread: float  # standard deviation of the neural fakes' yield over members, relative
    bins: dict[str, list[float]]  # of the binned fake factor
    unknown: int  # loose test leptons in bins that have none: they take the one of all leptons

    @property
    def passed(self) -> bool:
        """Whether the neural fakes' yield is right within the tolerance."""
        return abs(totals(self.total, "neural")["fakes_ratio"] - 1) <= self.tolerance

    def values(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        found: dict[str, Any] = {"passed": self.passed, "tolerance": self.tolerance}
        for kind in KINDS:
            tests = {name: deviations(y, kind) for name, y in self.variables.items()}
            found[kind] = {**totals(self.total, kind), "variables": tests}
        found["neural"]["spread"] = self.spread
        found["binned"] |= {"bins": self.bins, "leptons_without_bin": self.unknown}
        return found


def close(
    test: Leptons,
    others: Sequence[Leptons],
    names: Sequence[str],
    factors: Floats,
    binned: dict[str, list[float]],
    tolerance: float,
    missing: float | None = None,
) -> Closure:
    """Compare tight data with tight MC and fakes = loose data times F - loose MC times F.

    `factors` (event, member) are the network's for the test leptons, whose mean is F. The binned
    fake factor is derived from the other leptons, those of training and validation: from the
    tested ones it would close by construction. `binned` has edges by name, and the product of
    several is taken; outer bins are open. Empty, it means ten bins of the first variable. A lepton
    whose value is `missing` takes the fake factor of all, and no part in the bins of that variable.
    """
    columns = with_gaps(names, all_variables(test), missing)
    known = with_gaps(names, np.hstack([all_variables(other) for other in others]), missing)
    edges = {name: np.array(bins, dtype=np.float64) for name, bins in binned.items()}
    edges = edges or {names[0]: quantile_edges(known[names[0]], 10)}
    size = math.prod(len(each) - 1 for each in edges.values())
    is_data, is_tight, weight = kinds_and_weight(*others)
    cell, there = cells_of(known, edges)
    cells, _ = cell_fake_factor(cell[there], size, is_data[there], is_tight[there], weight[there])
    single = np.zeros(len(weight), dtype=np.int64)
    inclusive, _ = cell_fake_factor(single, 1, is_data, is_tight, weight)
    cell, there = cells_of(columns, edges)
    of_cell = np.where(there, cells[cell], np.nan)

    is_data, is_tight, weight = kinds_and_weight(test)
    fakes = {
        "neural": factors.mean(axis=1),
        "binned": np.where(np.isnan(of_cell), inclusive, of_cell),
    }
    signed = np.where(is_data, weight, -weight)
    terms = {kind: np.where(is_tight, 0, signed * factor) for kind, factor in fakes.items()}

    def yields(values: Floats, edges: Floats) -> Yields:
        there = ~np.isnan(values)
        data, mc = (
            binned_sums(values[here], weight[here], edges)
            for here in (there & is_tight & is_data, there & is_tight & ~is_data)
        )
        loose = there & ~is_tight
        fakes = {k: binned_sums(values[loose], t[loose], edges) for k, t in terms.items()}
        return Yields(edges, data, mc, fakes)

    members = signed[~is_tight] @ factors[~is_tight]
    several = len(members) > 1
    return Closure(
        total=yields(np.zeros(len(weight)), np.array([-0.5, 0.5])),
        variables={n: yields(v, even_edges(v[is_tight & is_data], 20)) for n, v in columns.items()},
        tolerance=tolerance,
        spread=quotient(members.std(ddof=1), abs(members.mean())) if several else math.nan,
        bins={name: each.tolist() for name, each in edges.items()},
        unknown=int((np.isnan(of_cell) & ~is_tight).sum()),
    )


def kinds_and_weight(*leptons: Leptons) -> tuple[Bools, Bools, Floats]:
    """Return what is data, what is tight, and the weights, each (event,), of all leptons."""
    is_data, is_tight, weight = (
        np.concatenate([getattr(each, name).numpy() for each in leptons])
        for name in ("is_data", "is_tight", "weight")
    )
    return is_data, is_tight, weight.astype(np.float64)


def with_gaps(names: Sequence[str], values: Floats, missing: float | None) -> dict[str, Floats]:
    """Return variables (variable, event) by name, nan where a value is missing."""
    gaps = np.isnan(values) if missing is None else np.isnan(values) | (values == missing)
    return dict(zip(names, np.where(gaps, np.nan, values), strict=True))


def cells_of(columns: dict[str, Floats], edges: dict[str, Floats]) -> tuple[Ints, Bools]:
    """Return the place of each event (event,) in the product of bins, and whether it has one."""
    cell, there = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.bool_)
    for name, each in edges.items():
        cell = cell * (len(each) - 1) + bins_of(columns[name], each)
        there = there & ~np.isnan(columns[name])
    return cell, there


def totals(total: Yields, kind: str) -> dict[str, float]:
    """Yields, and ratios with their errors, which are 1 for a perfect fake factor."""
    (data, data2), (mc, mc2), (fakes, fakes2) = (
        (float(sums[0]), float(squares[0]))
        for sums, squares in (total.data, total.mc, total.fakes[kind])
    )
    yield_ratio, fakes_ratio = quotient(mc + fakes, data), quotient(fakes, data - mc)
    yield_error = math.sqrt(mc2 + fakes2 + yield_ratio**2 * data2)
    fakes_error = math.sqrt(fakes2 + fakes_ratio**2 * (data2 + mc2))
    return {
        "tight_data": data,
        "tight_mc": mc,
        "fakes": fakes,
        "yield_ratio": yield_ratio,
        "yield_ratio_error": quotient(yield_error, abs(data)),
        "fakes_ratio": fakes_ratio,
        "fakes_ratio_error": quotient(fakes_error, abs(data - mc)),
    }


def deviations(yields: Yields, kind: str) -> dict[str, Any]:
    """Chi2 of data - MC - fakes over bins with events, and the bin that is furthest from 0.

    A deviation is in standard errors, positive where data exceed the prediction.
    """
    difference, variance = yields.difference(kind)
    chi2, ndf = chi2_and_ndf(difference, variance)
    pulls = difference / np.sqrt(np.where(variance > 0, variance, np.nan))
    worst = int(np.argmax(np.nan_to_num(np.abs(pulls))))
    # The survival function of chi2 is an incomplete gamma function.
    half = torch.tensor((ndf, chi2), dtype=torch.float64) / 2
    return {
        "chi2": chi2,
        "ndf": ndf,
        "chi2_per_ndf": quotient(chi2, ndf),
        "p_value": float(torch.special.gammaincc(*half)) if ndf else math.nan,
        "largest_deviation": float(pulls[worst]),
        "largest_deviation_bin": yields.edges[worst : worst + 2].tolist(),
    }


def summary(closure: Closure) -> str:
    """Return a table for the terminal: what closes how well, the neural and the binned F."""
    values = closure.values()
    rows: list[tuple[str, ...]] = [("", *KINDS)]
    for title, name in (
        ("(MC + fakes) / data", "yield_ratio"),
        ("fakes / (data - MC)", "fakes_ratio"),
    ):
        cells = (f"{values[k][name]:.4f} +- {values[k][f'{name}_error']:.4f}" for k in KINDS)
        rows.append((title, *cells))
    for name in closure.variables:
        tests = [values[kind]["variables"][name] for kind in KINDS]
        cells = (
            f"{t['chi2']:.1f}/{t['ndf']}, p = {t['p_value']:.2g}" if t["ndf"] else "no events"
            for t in tests
        )
        rows.append((f"chi2/ndf by {name}", *cells))
        places = ("{:.3g} to {:.3g}".format(*test["largest_deviation_bin"]) for test in tests)
        pulls = (f"{test['largest_deviation']:+.1f}" for test in tests)
        both = zip(pulls, places, strict=True)
        rows.append(("  furthest (sigma)", *(f"{pull} at {place}" for pull, place in both)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if not math.isnan(closure.spread):
        lines.append(f"The members' yields of fakes spread by {100 * closure.spread:.2g} %.")
    if closure.unknown:
        lines.append(f"{closure.unknown} loose leptons lie in bins without a binned fake factor.")
    verdict = "passed" if closure.passed else "FAILED"
    limit = f"the neural fakes must be right within {100 * closure.tolerance:g} %"
    return "\n".join([*lines, f"closure {verdict}: {limit}"])


def closure_figures(
    closure: Closure, caption: str, labels: tuple[str, ...] = ()
) -> dict[str, Figure]:
    """Figures "closure_<variable>" by name; `labels` are what they call the variables."""
    drawn = zip(closure.variables.items(), labels or closure.variables, strict=True)
    return {
        f"closure_{file_name(name)}": plot_closure(yields, label, caption)
        for (name, yields), label in drawn
    }


def plot_closure(yields: Yields, name: str, caption: str) -> Figure:
    """Tight data against MC and fakes by bins of a variable, on linear and logarithmic y."""
    figure = new_figure(14, 6.5, caption)
    grid = figure.subplots(2, 2, height_ratios=(3, 1), sharex=True)
    shown = np.array([yields.data[0], yields.mc[0], *(yields.prediction(k)[0] for k in KINDS)])
    for axes, panel in grid.T:
        draw_yields(axes, yields)
        draw_ratios(panel, yields)
        scale_x(panel, yields.edges)
        dress(axes, "", "events per bin", loc="upper right", ncols=2)
        axes.tick_params(labelbottom=False)
        dress(panel, name, "data / prediction")
    low, high = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(low, high + 0.35 * (high - low))
    log_y(grid[0, 1], shown, headroom=0.35)
    return figure


def draw_yields(axes: Axes, yields: Yields) -> None:
    """Data as points, MC and neural fakes stacked, and what the binned fake factor predicts."""
    edges, mc = yields.edges, yields.mc[0]
    neural, binned = (yields.prediction(kind) for kind in KINDS)
    texts = {kind: chi2_text(*yields.difference(kind)) for kind in KINDS}
    error = np.sqrt(neural[1])
    fill: dict[str, Any] = {"fill": True, "linewidth": 0}
    axes.stairs(neural[0], edges, baseline=mc, color=COLORS[1], **fill, label="fakes, neural")
    axes.stairs(mc, edges, color=COLORS[0], **fill, label="tight MC")
    hatch: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.3", "hatch": "/////"}
    label = f"MC + fakes{texts['neural']}"
    axes.stairs(neural[0] + error, edges, baseline=neural[0] - error, **fill, **hatch, label=label)
    dashed: dict[str, Any] = {"baseline": None, "linestyle": "--", "color": COLORS[2]}
    label = f"with binned fakes{texts['binned']}"
    axes.stairs(binned[0], edges, linewidth=1.5, **dashed, label=label)
    data, variance = yields.data
    marks: dict[str, Any] = {"fmt": "o", "markersize": 4, "color": "black"}
    axes.errorbar(centers(edges), data, np.sqrt(variance), **marks, label="tight data")


def draw_ratios(panel: Axes, yields: Yields) -> None:
    """Data over prediction, with the errors of data; bands are those of the predictions."""
    data, variance = yields.data
    for kind, color, shift in (("binned", COLORS[2], 0.1), ("neural", "black", -0.1)):
        predicted, squares = yields.prediction(kind)
        size = np.where(predicted != 0, predicted, np.nan)
        error = np.sqrt(squares) / np.abs(size)
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.3", "hatch": "/////"}
        if kind == "binned":
            look = {"color": color, "alpha": 0.2}
        panel.stairs(1 + error, yields.edges, baseline=1 - error, fill=True, linewidth=0, **look)
        x = centers(yields.edges, shift)
        draw_ratio(panel, x, data / size, np.sqrt(variance) / np.abs(size), color=color)
