"""Figures of density ratios and of the fake factor, by bins of the variables."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from parts.binnings import (
    all_variables,
    binned_fake_factor,
    binned_sums,
    chi2_and_ndf,
    density_terms,
    even_edges,
    file_name,
    spans_decades,
)
from parts.estimates import Estimates, mean_ratio, subtraction
from parts.leptons import Leptons
from parts.metrics import Floats, is_yield
from parts.plots import COLORS, dress, fit_text, key_below, new_figure, scale_y

# Each has a figure of its own.
VARIABLES_DRAWN = 8


def centers(edges: Floats, shift: float = 0.0) -> Floats:
    """Middles of bins as the axis shows them, shifted by a fraction of the bins."""
    if spans_decades(edges):
        return np.asarray(edges[:-1] ** (0.5 - shift) * edges[1:] ** (0.5 + shift))
    return np.asarray(edges[:-1] * (0.5 - shift) + edges[1:] * (0.5 + shift))


def scale_x(axes: Axes, edges: Floats) -> None:
    """Log scale, with plain numbers, if a variable spans decades; no space beyond the edges."""
    if spans_decades(edges):
        axes.set_xscale("log")
        few = edges[-1] < 2000 * edges[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(edges[0], edges[-1])


def log_y(axes: Axes, values: Floats, headroom: float) -> None:
    """Log scale, at most five decades, where any value is positive; headroom as in `scale_y`."""
    if (values > 0).any():
        high = values[values > 0].max()
        low = max(values[values > 0].min(), high / 1e5) / 2
        axes.set_yscale("log")
        axes.set_ylim(low, high * (high / low) ** headroom)


def chi2_text(difference: Floats, variance: Floats) -> str:
    """Say chi2/ndf in a legend, after a name."""
    return fit_text(*chi2_and_ndf(difference, variance))


def draw_ratio(panel: Axes, x: Floats, ratio: Floats, error: Floats, **marks: Any) -> None:
    """Points from 0.8 to 1.2; triangles point at those beyond."""
    panel.errorbar(x, ratio, error, fmt="o", markersize=4, **marks)
    for beyond, y, marker in ((ratio > 1.2, 1.19, "^"), (ratio < 0.8, 0.81, "v")):
        panel.plot(x[beyond], np.full(beyond.sum(), y), marker, markersize=5, **marks)
    panel.axhline(1, color="0.5", linewidth=1)
    panel.set_ylim(0.8, 1.2)


@dataclass(frozen=True)
class Comparison:
    """Points and lines by bins, lines as what is left of points - line without shared terms."""

    edges: Floats
    points: str
    sums: tuple[Floats, Floats]  # of the points, and their variance
    lines: dict[str, tuple[Floats, Floats]]  # difference and its variance
    xlabel: str
    ylabel: str  # of the ratio
    log: bool  # y, in any case


def plot_comparisons(comparisons: list[Comparison], caption: str) -> Figure:
    """Comparisons side by side, the ratios of lines to points below."""
    figure = new_figure(7 * len(comparisons), 6, caption)
    grid = figure.subplots(2, len(comparisons), height_ratios=(3, 1), squeeze=False, sharex="col")
    for comparison, axes, panel in zip(comparisons, *grid, strict=True):
        edges, (sums, variance) = comparison.edges, comparison.sums
        size = np.where(sums != 0, sums, np.nan)
        shown = [sums]
        for index, (name, terms) in enumerate(comparison.lines.items()):
            color, line = COLORS[index], sums - terms[0]
            legend = f"{name}{chi2_text(*terms)}"
            axes.stairs(line, edges, baseline=None, color=color, linewidth=1.5, label=legend)
            x = centers(edges, 0.2 * index - 0.1 * (len(comparison.lines) - 1))
            draw_ratio(panel, x, line / size, np.sqrt(terms[1]) / np.abs(size), color=color)
            shown.append(line)
        marks: dict[str, Any] = {"fmt": "o", "markersize": 4, "color": "black"}
        axes.errorbar(centers(edges), sums, np.sqrt(variance), **marks, label=comparison.points)
        scale_x(panel, edges)
        scale = log_y if comparison.log else scale_y
        scale(axes, np.array(shown), headroom=0.1 + 0.08 * len(shown))
        dress(axes, "", "sum of weights per bin", loc="upper right")
        axes.tick_params(labelbottom=False)
        dress(panel, comparison.xlabel, comparison.ylabel)
    return figure


def unit_area(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Density of unit area and its error (bin,); NaN without positive yield."""
    sums, squares = binned_sums(values, weight, edges)
    there = is_yield(sums.sum(), np.abs(sums).sum())
    area = sums.sum() * np.diff(edges) if there else np.nan
    return sums / area, np.sqrt(squares) / area


def plot_distributions(
    panels: dict[str, dict[str, list[tuple[Floats, Floats]]]], caption: str
) -> Figure:
    """Distributions by x label and kind, of (values, weight) in training and in validation.

    Lines are training, points validation, pulls are below: see `plot_scores`. The first panel has
    all kinds.
    """
    rows = -(-len(panels) // 2)
    figure = new_figure(13, 5.5 * rows, caption)
    grid = figure.subplots(2 * rows, 2, height_ratios=(3, 1) * rows)
    pairs = zip(panels.items(), grid[::2].flat, grid[1::2].flat, strict=True)
    colors = {kind: COLORS[index] for index, kind in enumerate(next(iter(panels.values())))}
    for (xlabel, kinds), axes, pulls in pairs:
        pulls.sharex(axes)
        pulls.axhspan(-1, 1, color="0.9")
        values = [values for kind in kinds.values() for values, _ in kind]
        edges = even_edges(np.concatenate(values), 30)
        drawn = []
        for name, kind in kinds.items():
            (line, line_error), (points, error) = (unit_area(*each, edges) for each in kind)
            filled = (line_error > 0) & (error > 0)
            pull = (points - line) / np.where(filled, np.hypot(line_error, error), np.nan)
            fit = fit_text(np.nansum(pull**2), filled.sum() - 1)
            axes.stairs(line, edges, color=colors[name], linewidth=1.5)
            marks = {"fmt": "o", "markersize": 4, "color": colors[name]}
            axes.errorbar(centers(edges), points, error, **marks, label=f"{name}{fit}")
            pulls.errorbar(centers(edges), pull, **marks)
            drawn += [line, points]
        scale_x(axes, edges)
        scale_y(axes, np.array(drawn), headroom=0.2 + 0.08 * len(kinds))
        limit = max(3, *np.abs(pulls.get_ylim()))
        pulls.set_ylim(-limit, limit)
        key: dict[str, Any] = {
            "title": "line: training events, points: held-out events",
            "loc": "upper center",
        }
        dress(axes, "", "normalised to unit area", **key)
        axes.tick_params(labelbottom=False)
        dress(pulls, xlabel, "pull")
    return figure


def by_label(
    splits: tuple[Estimates, Estimates], quantity: Callable[[Floats], Floats], label: int
) -> list[tuple[Floats, Floats]]:
    """Return a quantity of r, and the weights, of each split's events of a label."""
    return [(quantity(mean_ratio(s))[s.label == label], s.weight[s.label == label]) for s in splits]


def compare_densities(estimates: Estimates) -> list[Comparison]:
    """Compare, by log r, data with MC times r, and MC with data / r."""
    log_ratio, is_data = np.log(mean_ratio(estimates)), estimates.label == 1
    edges = even_edges(log_ratio, 30)
    of_data, of_mc = (binned_sums(log_ratio, t, edges) for t in density_terms(estimates))
    data, mc = (
        binned_sums(log_ratio[kind], estimates.weight[kind], edges) for kind in (is_data, ~is_data)
    )
    flipped = (-of_data[0], of_data[1])
    return [
        Comparison(edges, "data", data, {"MC times r": of_mc}, "log r", "MC r / data", False),
        Comparison(edges, "MC", mc, {"data / r": flipped}, "log r", "data / (r MC)", False),
    ]


def compare_subtraction(estimates: Estimates, values: Floats, name: str) -> Comparison:
    """Compare data - MC by bins of a variable with what the network makes of either."""
    edges = even_edges(values, 30)
    of_data, of_mc = (binned_sums(values, t, edges) for t in density_terms(estimates))
    fakes = np.where(estimates.label == 1, estimates.weight, -estimates.weight)
    lines = {"data times 1 - 1/r": of_data, "MC times r - 1": of_mc}
    sums = binned_sums(values, fakes, edges)
    return Comparison(edges, "data - MC", sums, lines, name, "to data - MC", True)


def density_figures(
    train: Estimates,
    validation: Estimates,
    names: tuple[str, ...],
    caption: str,
    labels: tuple[str, ...] = (),
) -> dict[str, Figure]:
    """Figures of r = data / MC by name; "subtraction_<variable>" of the first 8 variables.

    `labels` are what plots call the variables, if not by their names.
    """
    splits, kinds = (train, validation), {"data": 1, "MC": 0}
    panels = {
        "log r": {name: by_label(splits, np.log, label) for name, label in kinds.items()},
        "r": {name: by_label(splits, np.asarray, label) for name, label in kinds.items()},
    }
    for name, label in kinds.items():
        weights = partial(subtraction, is_data=name == "data")
        panels[f"s of {name}"] = {name: by_label(splits, weights, label)}
    figures = {
        "log_ratio": plot_distributions(panels, caption),
        "reweighting": plot_comparisons(compare_densities(validation), caption),
    }
    drawn = zip(names, labels or names, all_variables(validation), strict=True)
    for name, text, values in list(drawn)[:VARIABLES_DRAWN]:
        comparison = compare_subtraction(validation, values, text)
        figures[f"subtraction_{file_name(name)}"] = plot_comparisons([comparison], caption)
    return figures


def profiles(estimates: Estimates, values: Floats, edges: Floats) -> Floats:
    """Mean F (member, bin) over loose events, weighted with |W|; NaN where there are none."""
    loose = estimates.label == 0
    place, weight = values[loose], np.abs(estimates.weight[loose])
    total = binned_sums(place, weight, edges)[0]
    factors = np.exp(estimates.log_ratio[loose]).T
    sums = np.array([binned_sums(place, weight * factor, edges)[0] for factor in factors])
    return np.asarray(sums / np.where(total > 0, total, np.nan))


def plot_fake_factor(
    estimates: Estimates,
    values: Floats,
    leptons: Leptons,
    lepton_values: Floats,
    name: str,
    caption: str,
) -> Figure:
    """F against a variable, and the classical fake factor of leptons by bins of it."""
    figure = new_figure(7, 5.5, caption)
    axes = figure.subplots()
    edges = even_edges(lepton_values, 20)
    members = profiles(estimates, values, edges)
    mean = members.mean(axis=0)
    line: dict[str, Any] = {"baseline": None, "color": COLORS[0], "linewidth": 1.5}
    axes.stairs(mean, edges, **line, label="network, mean by bin")
    if len(members) > 1:
        spread = members.std(axis=0, ddof=1)
        band: dict[str, Any] = {"fill": True, "color": COLORS[0], "alpha": 0.3, "linewidth": 0}
        label = f"spread of {len(members)} networks"
        axes.stairs(mean + spread, edges, baseline=mean - spread, **band, label=label)
    kinds = (leptons.is_data.numpy(), leptons.is_tight.numpy(), leptons.weight.double().numpy())
    factor, error = binned_fake_factor(lepton_values, *kinds, edges)
    marks: dict[str, Any] = {"fmt": "o", "markersize": 4, "color": "black"}
    axes.errorbar(centers(edges), factor, error, **marks, label="binned fake factor")
    # Points that say nothing do not set the scale.
    known = np.append(mean[mean > 0], factor[factor > 2 * error])
    if known.size:
        axes.set_ylim(0, 1.5 * known.max())
    scale_x(axes, edges)
    dress(axes, name, "fake factor F", legend=False)
    key_below(figure, axes)
    return figure


def ratio_figures(
    train: Estimates,
    validation: Estimates,
    leptons: Leptons,
    names: tuple[str, ...],
    caption: str,
    labels: tuple[str, ...] = (),
) -> dict[str, Figure]:
    """Figures of F = tight / loose by name; "fake_factor_<variable>" of the first 8 variables.

    Events have the weights of the loss, mean over members; `leptons` are those of validation.
    `labels` are what plots call the variables, if not by their names.
    """
    train, validation = (
        replace(split, weight=split.loss_weight.mean(axis=1)) for split in (train, validation)
    )
    kinds = {"tight": 1, "loose": 0}
    panels = {
        xlabel: {n: by_label((train, validation), quantity, k) for n, k in kinds.items()}
        for xlabel, quantity in (("log F", np.log), ("F", np.asarray))
    }
    figures = {"fake_factor": plot_distributions(panels, caption)}
    variables = (all_variables(validation), all_variables(leptons))
    drawn = zip(names, labels or names, *variables, strict=True)
    for name, text, values, lepton_values in list(drawn)[:VARIABLES_DRAWN]:
        figures[f"fake_factor_{file_name(name)}"] = plot_fake_factor(
            validation, values, leptons, lepton_values, text, caption
        )
    return figures
