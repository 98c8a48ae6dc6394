"""The figure of a training's history: losses and metrics by epoch, those of a kind on one axis."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from parts.metrics import Floats
from parts.plots import dress, new_figure, palette, scale_y

# What the axis says, by what the name of a metric begins with; the first that fits.
AXES = {
    "train_loss": "loss",
    "val_loss": "loss",
    "val_auc": "area, precision, fraction",
    "val_average_precision": "area, precision, fraction",
    "val_accuracy": "area, precision, fraction",
    "val_f1": "area, precision, fraction",
    "val_significance_cut": "best cut on P(signal)",
    "val_significance": "Asimov significance Z",
    "val_chi2": r"$\chi^2$/ndf",
    "val_ratio": "yield over yield",
    "val_closure": "yield over yield",
}
PANELS_ACROSS = 3
# What has more curves has its legend beside it.
CURVES_WITHIN = 5


def plot_history(
    history: Mapping[str, list[tuple[int, float]]], caption: str, best: int | None = None
) -> Figure:
    """Curves of (epoch, value) by name; `best` is the epoch whose weights are kept."""
    panels: dict[str, dict[str, Floats]] = {}
    for name, points in history.items():
        kind = next((kind for start, kind in AXES.items() if name.startswith(start)), name)
        panels.setdefault(kind, {})[name] = np.array(points, np.float64).reshape(-1, 2).T
    columns = PANELS_ACROSS if len(panels) != 4 else 2
    columns = min(columns, max(len(panels), 1))
    rows = -(-max(len(panels), 1) // columns)
    figure = new_figure(5.5 * columns, 4.2 * rows, caption)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (kind, curves) in zip(grid, panels.items(), strict=False):
        colors = palette(len(curves))
        for (name, curve), color in zip(curves.items(), colors, strict=True):
            axes.plot(*curve, "o-", markersize=3, color=color, label=name)
        if best is not None:
            axes.axvline(best, linestyle=":", color="0.4", label=f"best epoch, {best}")
        within = len(curves) <= CURVES_WITHIN
        rows_of_legend = len(curves) + (best is not None)
        headroom = 0.1 + 0.075 * rows_of_legend if within else 0.05
        scale_y(axes, np.hstack(list(curves.values()))[1], headroom)
        axes.xaxis.get_major_locator().set_params(integer=True)
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        # Of whole epochs there is nothing in between, and minor ticks take half of the time.
        place = {"loc": "upper right"} if within else beside
        dress(axes, "epoch", kind, minor=False, **place)
    for unused in list(figure.axes)[len(panels) or 1 :]:
        unused.remove()
    return figure
