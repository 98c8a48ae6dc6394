"""Figures of what a classifier learns from: the distribution of each feature, class by class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parts.datasets import Dataset
from parts.events import Events
from parts.inputs import is_missing
from parts.metrics import is_yield
from parts.plots import dress, elided, key_below, labelled, new_figure, palette, scale_y

# Features of a figure, in rows of four.
PANELS = 12
COLUMNS = 4
# Of more events, these many are drawn, evenly chosen.
EVENTS_DRAWN = 200_000
# A feature of at most so many values is drawn value by value.
VALUES_DRAWN = 20


def input_figures(events: Events, dataset: Dataset, caption: str) -> dict[str, Figure]:
    """Figures "inputs", "inputs_2", ... of twelve features each; raises `RefusedError`."""
    chosen = slice(None, None, -(-len(events.label) // EVENTS_DRAWN) or 1)
    label, weight = (tensor[chosen].numpy() for tensor in (events.label, events.weight.double()))
    texts = labelled(dataset.features, dataset.labels)
    classes = labelled(dataset.classes, dataset.class_labels)
    columns = [*events.numerical[chosen].T, *events.categorical[chosen].T]
    there = [np.ones(len(label), dtype=bool) for _ in columns]
    if dataset.missing is not None:
        numerical = columns[: len(dataset.numerical)]
        there[: len(numerical)] = [~is_missing(c, dataset.missing).numpy() for c in numerical]
    figures = {}
    for first in range(0, len(columns), PANELS):
        drawn = range(first, min(first + PANELS, len(columns)))
        rows = -(-len(drawn) // COLUMNS)
        figure = new_figure(4 * COLUMNS, 3.2 * rows, caption)
        grid = figure.subplots(rows, COLUMNS, squeeze=False).flat
        for index, axes in zip(drawn, grid, strict=False):
            values, here = columns[index].double().numpy(), there[index]
            draw_feature(axes, values[here], label[here], weight[here], classes)
            dress(axes, texts[index], "normalised to unit area", legend=False)
        key_below(figure, figure.axes[0])
        for unused in list(figure.axes)[len(drawn) :]:
            unused.remove()
        page = first // PANELS
        figures[f"inputs_{page + 1}" if page else "inputs"] = figure
    return figures


def draw_feature(
    axes: Axes,
    values: NDArray[np.float64],
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
    classes: tuple[str, ...],
) -> None:
    """Draw a feature's density for each class; a class without yield has none."""
    edges = feature_edges(values)
    drawn = [np.ones(1)]
    for index, (name, color) in enumerate(zip(classes, palette(len(classes)), strict=True)):
        true = label == index
        # What lies outside counts in the outer bins.
        inside = np.clip(values[true], edges[0], edges[-1])
        yields = np.histogram(inside, edges, weights=weight[true])[0]
        if not is_yield(yields.sum(), np.abs(yields).sum()):
            continue
        density = yields / yields.sum() / np.diff(edges)
        axes.stairs(density, edges, color=color, label=elided(name), linewidth=1.5)
        drawn.append(density)
    scale_y(axes, np.concatenate(drawn[1:] or drawn), headroom=0.1)


def feature_edges(values: NDArray[np.float64], bins: int = 40) -> NDArray[np.float64]:
    """Return edges of bins: round few whole values, else over all but the outermost events."""
    if not len(values):
        return np.array([0.0, 1.0])
    distinct = np.unique(values[:: max(1, len(values) // 10_000)])
    low, high = np.quantile(values, [0.002, 0.998])
    if len(distinct) <= VALUES_DRAWN and (distinct == np.round(distinct)).all():
        low, high = distinct[0], distinct[-1]
        if high - low < 2 * VALUES_DRAWN and abs(low) < 1e9:
            return np.arange(low - 0.5, high + 1.0)
    if low == high:
        # Of large numbers, a half is less than the next number is away.
        margin = max(0.5, 1e-6 * abs(low))
        low, high = low - margin, high + margin
    return np.linspace(low, high, bins + 1)
