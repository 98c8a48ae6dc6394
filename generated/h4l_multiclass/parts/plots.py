"""Figures of a trained classifier, on matplotlib's objects alone: no pyplot, no rcParams."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from parts.machinery.exits import RefusedError
from parts.metrics import (
    Bools,
    Floats,
    Outputs,
    confusion_matrix,
    is_yield,
    roc_curve,
    significance_scan,
)

# Ten colours told apart with impaired colour vision too: M. A. Petroff, arXiv:2107.02270.
COLORS = color_sequences["petroff10"]


def new_figure(width: float, height: float, caption: str) -> Figure:
    """Open a figure, its size in inches, with the caption in small print on top."""
    figure = Figure((width, height), dpi=120, layout="constrained")
    figure.suptitle(caption, x=0.01, ha="left", fontsize=8, color="0.4", parse_math=False)
    return figure


def labelled(names: Sequence[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts of names in plots; raises `RefusedError` for what mathtext cannot set."""
    parser = MathTextParser("path")
    for name, text in labels.items():
        try:
            # As an axis takes it: with a lone $ it is plain.
            if text.count("$") - text.count(r"\$") > 1:
                parser.parse(text)
        except ValueError as error:
            reason = str(error).strip().splitlines()[-1]
            raise RefusedError(
                f"the label of {name}, {text!a}, is no mathtext: {reason}"
            ) from error
    return tuple(labels.get(name, name) for name in names)


def save_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures by name into a folder, which need not be there; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{name}.png": figure for name, figure in figures.items()}
    for path, figure in paths.items():
        figure.savefig(path, dpi=120)
    return list(paths)


def dress(axes: Axes, xlabel: str, ylabel: str, **legend: Any) -> None:
    """Labels at the ends, ticks inwards on all sides, and a legend of what is labelled."""
    axes.set_xlabel(xlabel, loc="right")
    axes.set_ylabel(ylabel, loc="top")
    axes.minorticks_on()
    axes.tick_params(which="both", direction="in", top=True, right=True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, title_fontsize=9, borderaxespad=1, **legend)


def scale_y(axes: Axes, values: Floats, headroom: float = 0.05) -> None:
    """Log scale, at most five decades, if values span two; headroom as a fraction of the axis."""
    positive = values[values > 0]
    if positive.size > 0 and positive.max() > 100 * positive.min():
        high, low = positive.max(), max(positive.min(), positive.max() / 1e5) / 2
        axes.set_yscale("log")
        axes.set_ylim(low, high * (high / low) ** headroom)
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + headroom * (high - low))


def plot_roc(curves: dict[str, tuple[Floats, Floats]], caption: str) -> Figure:
    """ROC curves (false, true positive rate) by legend entry, and as background rejection."""
    figure = new_figure(11, 5, caption)
    roc, rejection = figure.subplots(1, 2)
    for index, (name, rates) in enumerate(curves.items()):
        color, area = COLORS[index % len(COLORS)], np.trapezoid(rates[1], rates[0])
        drawn = np.linspace(0, len(rates[0]) - 1, 2000).astype(int)
        false_rate, true_rate = (rate[drawn] for rate in rates)
        roc.plot(false_rate, true_rate, color=color, label=f"{name}, AUC = {area:.4f}")
        rejection.plot(true_rate, 1 / np.where(false_rate > 0, false_rate, np.nan), color=color)
    diagonal = np.linspace(0.001, 1, 1000)
    roc.plot(diagonal, diagonal, ":", color="0.5", label="random")
    rejection.plot(diagonal, 1 / diagonal, ":", color="0.5")
    rejection.set_yscale("log")
    dress(roc, "background efficiency", "signal efficiency")
    dress(rejection, "signal efficiency", "background rejection (1 / efficiency)")
    return figure


def density(outputs: Outputs, label: int, output: int, edges: Floats) -> tuple[Floats, Floats]:
    """Unit-area score density of a true class, and sqrt(sum w^2); NaN without positive yield."""
    true = outputs.label == label
    score, weight = outputs.probability[true, output], outputs.weight[true]
    yields, squares = (np.histogram(score, edges, weights=weight**power)[0] for power in (1, 2))
    there = is_yield(yields.sum(), np.abs(yields).sum())
    area = yields.sum() * np.diff(edges) if there else np.nan
    return yields / area, np.sqrt(squares) / area


def plot_scores(
    train: Outputs, validation: Outputs, shown: list[int], classes: tuple[str, ...], caption: str
) -> Figure:
    """P(class) for each class `shown`, by true class: train (line), validation (points), pulls.

    chi2/ndf is over bins filled in both; one degree of freedom goes to the common area.
    """
    edges = np.linspace(0, 1, 26)
    centers = (edges[:-1] + edges[1:]) / 2
    columns = 2 if len(shown) == 4 else min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = new_figure(6.5 * columns, 5.5 * rows, caption)
    grid = figure.subplots(2 * rows, columns, height_ratios=(3, 1) * rows, squeeze=False)
    for unused in np.hstack([grid[::2].flat[len(shown) :], grid[1::2].flat[len(shown) :]]):
        unused.remove()
    for output, scores, pulls in zip(shown, grid[::2].flat, grid[1::2].flat, strict=False):
        pulls.sharex(scores)
        pulls.axhspan(-1, 1, color="0.9")
        drawn = []
        for index, name in enumerate(classes):
            color = COLORS[index % len(COLORS)]
            line, line_error = density(train, index, output, edges)
            points, error = density(validation, index, output, edges)
            filled = (line_error > 0) & (error > 0)
            pull = (points - line) / np.where(filled, np.hypot(line_error, error), np.nan)
            chi2 = rf"$\chi^2$/ndf = {np.nansum(pull**2):.1f}/{max(filled.sum() - 1, 0)}"
            scores.stairs(line, edges, color=color, linewidth=1.5)
            scores.stairs(line, edges, color=color, alpha=0.2, fill=index == output)
            marks = {"fmt": "o", "markersize": 4, "color": color}
            scores.errorbar(centers, points, error, **marks, label=f"{name} (true), {chi2}")
            pulls.errorbar(centers, pull, **marks)
            drawn += [line, points]
        scale_y(scores, np.array(drawn), headroom=0.1 + 0.08 * len(classes))
        limit = max(3, *np.abs(pulls.get_ylim()))
        pulls.set_ylim(-limit, limit)
        key = {"title": "line: training events, points: held-out events", "loc": "upper center"}
        dress(scores, "", "normalised to unit area", **key)
        scores.tick_params(labelbottom=False)
        dress(pulls, f"P({classes[output]})", "pull")
    return figure


def plot_calibration(
    cases: dict[str, tuple[Floats, Bools]], weight: Floats, caption: str
) -> Figure:
    """Fraction of positives against the mean score, by bin of each (score, positive) case."""
    edges = np.linspace(0, 1, 21)
    figure = new_figure(6.5, 6.5, caption)
    fractions, yields = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    fractions.plot((0, 1), (0, 1), ":", color="0.5", label="perfect calibration")
    shown = []
    for index, (name, (score, positive)) in enumerate(cases.items()):
        color = COLORS[index % len(COLORS)]
        true, false = weight * positive, weight * ~positive
        rows = (true, false, true**2, false**2, weight * score, np.abs(weight))
        s, b, s2, b2, moment, size = (np.histogram(score, edges, weights=row)[0] for row in rows)
        total = np.where(is_yield(s + b, size), s + b, np.nan)
        error = np.sqrt(b**2 * s2 + s**2 * b2) / total**2
        mean = np.clip(moment / total, edges[:-1], edges[1:])
        fractions.errorbar(mean, s / total, error, fmt="o-", markersize=4, color=color, label=name)
        yields.stairs(s + b, edges, color=color, linewidth=1.5)
        shown.append(s + b)
    scale_y(yields, np.array(shown))
    fractions.set_ylim(-0.05, 1.05)
    dress(fractions, "", "fraction of positive class")
    dress(yields, "P(positive class)", "loss weights")
    return figure


def plot_significance(cuts: Floats, significances: Floats, signal: str, caption: str) -> Figure:
    """Asimov significance against the cut on P(signal), the best one marked."""
    figure = new_figure(6.5, 5, caption)
    axes = figure.subplots()
    axes.plot(cuts, significances, color=COLORS[0])
    if np.isfinite(significances).any():
        best = np.nanargmax(significances)
        label = f"best: Z = {significances[best]:.3g} at P({signal}) >= {cuts[best]:.4f}"
        axes.plot(cuts[best], significances[best], "o", color=COLORS[2], label=label)
        axes.axvline(cuts[best], linestyle=":", color=COLORS[2])
    scale_y(axes, significances, headroom=0.1)
    dress(axes, f"cut on P({signal})", "Asimov significance Z")
    return figure


def plot_confusion(matrix: Floats, classes: tuple[str, ...], caption: str) -> Figure:
    """Fractions of each true class (row) by predicted class, with the yields."""
    figure = new_figure(4 + 0.9 * len(classes), 3 + 0.9 * len(classes), caption)
    axes = figure.subplots()
    totals, sizes = (each.sum(axis=1, keepdims=True) for each in (matrix, np.abs(matrix)))
    fractions = matrix / np.where(is_yield(totals, sizes), totals, np.nan)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), fraction in np.ndenumerate(fractions):
        text = f"{100 * fraction:.1f}%\n{matrix[row, column]:.4g}"
        color = "white" if fraction > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=30)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class", loc="right")
    axes.set_ylabel("true class", loc="top")
    figure.colorbar(image, label="fraction of true class")
    return figure


def plot_history(history: dict[str, list[tuple[int, float]]], caption: str) -> Figure:
    """Curves of (epoch, value) by name: losses, metrics up to 1, and larger metrics."""
    panels: dict[str, dict[str, Floats]] = {"loss": {}, "metric": {}, "metric above 1": {}}
    for name, points in history.items():
        curve = np.array(points, dtype=np.float64).reshape(-1, 2).T
        metric = "metric above 1" if (curve[1] > 1).any() else "metric"
        panels["loss" if name.endswith("loss") else metric][name] = curve
    drawn = [(ylabel, curves) for ylabel, curves in panels.items() if curves]
    figure = new_figure(max(5.5 * len(drawn), 5.5), 4.5, caption)
    grid = figure.subplots(1, max(len(drawn), 1), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(grid, drawn, strict=False):
        for index, (name, curve) in enumerate(curves.items()):
            axes.plot(*curve, "o-", markersize=3, color=COLORS[index % len(COLORS)], label=name)
        scale_y(axes, np.hstack(list(curves.values()))[1])
        axes.xaxis.get_major_locator().set_params(integer=True)
        dress(axes, "epoch", ylabel)
    return figure


def classifier_figures(
    train: Outputs, validation: Outputs, shown: list[int], classes: tuple[str, ...], caption: str
) -> dict[str, Figure]:
    """Figures by name; each class `shown` is taken as the positive one against the rest."""
    probability, label, weight = validation.probability, validation.label, validation.weight
    cases = {f"{classes[k]} (positive)": (probability[:, k], label == k) for k in shown}
    curves = {name: roc_curve(*case, weight) for name, case in cases.items()}
    matrix = confusion_matrix(probability.argmax(axis=1), label, weight, len(classes))
    return {
        "roc": plot_roc(curves, caption),
        "scores": plot_scores(train, validation, shown, classes, caption),
        # A network is calibrated for the mixture of classes that it was trained on.
        "calibration": plot_calibration(cases, validation.loss_weight, caption),
        "confusion": plot_confusion(matrix, classes, caption),
    }


def binary_figures(
    train: Outputs, validation: Outputs, classes: tuple[str, str], caption: str
) -> dict[str, Figure]:
    """Figures by name, with the significance; class 1 is the positive one."""
    score, positive = validation.probability[:, 1], validation.label == 1
    scan = significance_scan(score, positive, validation.weight)
    significance = plot_significance(*scan, classes[1], caption)
    figures = classifier_figures(train, validation, [1], classes, caption)
    return figures | {"significance": significance}


def multiclass_figures(
    train: Outputs, validation: Outputs, classes: tuple[str, ...], caption: str
) -> dict[str, Figure]:
    """Figures by name, each class against the rest."""
    return classifier_figures(train, validation, list(range(len(classes))), classes, caption)
