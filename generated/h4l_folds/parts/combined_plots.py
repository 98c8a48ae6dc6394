"""Figures of a cross-validation: of all events, with each fold's own curve behind."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parts.bands import Roc, roc, scan
from parts.combinations import Combined
from parts.metric_remarks import NO_CUT
from parts.metrics import Floats, Outputs, confusion_matrix
from parts.plots import (
    CLASSES_WITHIN,
    COLORS,
    CUTS_DRAWN,
    densities,
    dress,
    elided,
    key_below,
    new_figure,
    palette,
    plot_calibration,
    plot_confusion,
    plot_roc,
    scale_y,
)

# What is of a single fold.
BEHIND: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.5, "zorder": 1}


def combined_binary_figures(
    combined: Combined, classes: tuple[str, str], caption: str
) -> dict[str, Figure]:
    """Figures by name, with the significance; class 1 is the signal."""
    background, signal = classes
    words = {1: f"{elided(signal)} against {elided(background)}"}
    figures = combined_figures(combined, words, classes, caption)
    return figures | {"significance": plot_cuts_of_folds(combined, signal, caption)}


def combined_multiclass_figures(
    combined: Combined, classes: tuple[str, ...], caption: str
) -> dict[str, Figure]:
    """Figures by name, each class against the rest."""
    words = {k: f"{elided(name)} against the rest" for k, name in enumerate(classes)}
    return combined_figures(combined, words, classes, caption)


def combined_figures(
    combined: Combined, shown: Mapping[int, str], classes: tuple[str, ...], caption: str
) -> dict[str, Figure]:
    """Figures by name; each class `shown`, in words, is the positive one against the rest."""
    events = combined.outputs
    named = {classes[k]: (events.probability[:, k], events.label == k) for k in shown}
    predicted = events.probability.argmax(axis=1)
    matrix = confusion_matrix(predicted, events.label, events.weight, len(classes))
    return {
        "roc": plot_roc_of_folds(combined, shown, caption),
        "scores": plot_scores_of_folds(combined, list(shown), classes, caption),
        "calibration": plot_calibration(named, events.loss_weight, caption),
        "confusion": plot_confusion(matrix, classes, caption),
    }


def plot_roc_of_folds(combined: Combined, shown: Mapping[int, str], caption: str) -> Figure:
    """ROC curves of all events with bands of one standard error, and thin ones of each fold."""

    def curve(events: Outputs, label: int) -> Roc:
        return roc(events.ranking_of(label), CUTS_DRAWN)

    curves = {words: curve(combined.outputs, label) for label, words in shown.items()}
    figure = plot_roc(curves, "binary" if len(shown) == 1 else "multiclass", caption)
    panel, rejection = figure.axes
    for label, color in zip(shown, palette(len(shown)), strict=True):
        for fold in combined.folds:
            drawn = curve(fold, label)
            positive = np.where(drawn.false_rate > 0, drawn.false_rate, np.nan)
            panel.plot(drawn.false_rate, drawn.true_rate, color=color, **BEHIND)
            rejection.plot(drawn.true_rate, 1 / positive, color=color, **BEHIND)
    for legend in figure.legends:
        legend.set_title("all events, with bands of statistical errors; thin lines: each fold")
    return figure


def plot_scores_of_folds(
    combined: Combined, shown: Sequence[int], classes: tuple[str, ...], caption: str
) -> Figure:
    """P(class) for each class `shown`, by true class: all events, and each fold over all."""
    edges = np.linspace(0, 1, 26)
    centers = (edges[:-1] + edges[1:]) / 2
    columns = 2 if len(shown) == 4 else min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = new_figure(6.5 * columns, 5.5 * rows, caption)
    grid = figure.subplots(2 * rows, columns, height_ratios=(3, 1) * rows, squeeze=False)
    for unused in np.hstack([grid[::2].flat[len(shown) :], grid[1::2].flat[len(shown) :]]):
        unused.remove()
    colors, within = palette(len(classes)), len(classes) <= CLASSES_WITHIN
    key = "points: all events, thin lines: each fold"
    for output, scores, ratios in zip(shown, grid[::2].flat, grid[1::2].flat, strict=False):
        ratios.sharex(scores)
        ratios.axhline(1, color="0.5", linewidth=0.8)
        drawn = []
        every = zip(*densities(combined.outputs, output, edges), strict=True)
        folds = [densities(fold, output, edges)[0] for fold in combined.folds]
        for index, (name, color, shape) in enumerate(zip(classes, colors, every, strict=True)):
            points, error = shape
            look = {"fmt": "o", "markersize": 4, "color": color}
            scores.errorbar(centers, points, error, **look, label=f"{elided(name)} (true)")
            for fold in folds:
                scores.stairs(fold[index], edges, color=color, **BEHIND)
                ratios.stairs(over(fold[index], points), edges, color=color, **BEHIND)
            drawn.append(points)
        scale_y(scores, np.array(drawn), 0.1 + 0.08 * len(classes) if within else 0.05)
        ratios.set_ylim(0.5, 1.5)
        dress(scores, "", "normalised to unit area", within, loc="upper center", title=key)
        scores.tick_params(labelbottom=False)
        dress(ratios, f"P({classes[output]})", "fold / all")
    if not within:
        key_below(figure, grid[0, 0], title=key)
    return figure


def over(fold: Floats, every: Floats) -> Floats:
    """Return a fold's share of a bin over that of all events; NaN where these have none."""
    return np.asarray(fold / np.where(every > 0, every, np.nan))


def plot_cuts_of_folds(combined: Combined, signal: str, caption: str) -> Figure:
    """Asimov significance of all events against one cut, and that with each fold's own.

    Its best cut is not marked: it is one that these events have chosen for themselves.
    """
    events = combined.outputs
    found = scan(events.ranking)
    figure = new_figure(6.5, 5.3, caption)
    axes = figure.subplots()
    low, high = found.significances - found.errors, found.significances + found.errors
    axes.fill_between(
        found.cuts,
        np.maximum(low, 0),
        high,
        color=COLORS[0],
        alpha=0.25,
        linewidth=0,
        label="statistical error",
    )
    axes.plot(found.cuts, found.significances, color=COLORS[0], label="one cut for all events")
    cuts = np.unique(combined.cut_of_events())
    for number, cut in enumerate(cuts[np.isfinite(cuts)]):
        text = "cuts chosen by the validations of the folds" if number == 0 else None
        axes.axvline(cut, color=COLORS[2], linewidth=0.8, linestyle=":", label=text)
    significance = combined.metrics["significance"]
    if np.isfinite(significance):
        text = f"each fold above its own: Z = {significance:.3g}"
        axes.axhline(significance, color=COLORS[2], linewidth=1.2, label=text)
    else:
        text = f"no significance: in a fold\n{NO_CUT}"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)
    scale_y(axes, found.significances, headroom=0.1)
    dress(axes, f"cut on P({signal})", "Asimov significance Z", legend=False)
    key_below(figure, axes, ncols=1)
    return figure
