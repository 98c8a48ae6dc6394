"""Figures of a trained classifier, on matplotlib's objects alone: no pyplot, no rcParams."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import color_sequences, colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from parts.bands import Roc, Scan, roc, scan
from parts.machinery.exits import RefusedError
from parts.metric_remarks import NO_CUT, NO_CUT_CHOSEN
from parts.metrics import (
    Bools,
    Floats,
    Ints,
    Outputs,
    confusion_matrix,
    is_yield,
    significance_above,
)

# Ten colours told apart with impaired colour vision too: M. A. Petroff, arXiv:2107.02270.
COLORS = color_sequences["petroff10"]
# Endings of the files that figures become, during training and at its end.
DRAFT = (".png",)
FINAL = (".png", ".pdf")
# Of more classes, legends stand below the figure, and without numbers.
CLASSES_WITHIN = 5
# Of more cuts, a curve has about so many.
CUTS_DRAWN = 800
# False and true positive rate, and the inverse of the former, in words.
ROC_AXES = {
    "binary": (
        "background efficiency",
        "signal efficiency",
        "background rejection (1 / efficiency)",
    ),
    "multiclass": (
        "mis-identification of the other classes",
        "efficiency of the class",
        "rejection of the others (1 / mis-identification)",
    ),
}


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


def save_figures(
    figures: Mapping[str, Figure], folder: Path, endings: Sequence[str] = DRAFT
) -> list[Path]:
    """Write figures by name into a folder, which need not be there; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        for ending in endings:
            # A date would make each start's files other ones.
            metadata = {"CreationDate": None} if ending == ".pdf" else None
            figure.savefig(folder / f"{name}{ending}", dpi=120, metadata=metadata)
            paths.append(folder / f"{name}{ending}")
            # The layout takes as long as the drawing, and is the same for the next.
            figure.set_layout_engine("none")
    return paths


def palette(size: int) -> list[Any]:
    """Return so many colours, no two alike."""
    if size <= len(COLORS):
        return list(COLORS[:size])
    return list(colormaps["turbo"](np.linspace(0.03, 0.97, size)))


def elided(name: str, most: int = 36) -> str:
    """Return a name that a legend has room for, its middle left out; mathtext stays whole."""
    kept = (most - 3) // 2
    return name if len(name) <= most or "$" in name else f"{name[:kept]}...{name[-kept:]}"


def key_below(figure: Figure, axes: Axes, **look: Any) -> None:
    """Put the legend of axes below the figure, where it hides nothing."""
    handles, texts = axes.get_legend_handles_labels()
    longest = max((len(text) for text in texts), default=1)
    room = 17 * figure.get_figwidth() * 0.8
    columns = max(1, min(len(texts), int(room / (longest + 6))))
    if texts:
        look = {"frameon": False, "fontsize": 9, "title_fontsize": 9, "ncols": columns} | look
        figure.legend(handles, texts, loc="outside lower center", **look)


def fit_text(chi2: float, ndf: int) -> str:
    """Say chi2/ndf in a legend, after a name; nothing where no bin can be compared."""
    return rf", $\chi^2$/ndf = {chi2:.1f}/{ndf}" if ndf > 0 else ""


def dress(
    axes: Axes, xlabel: str, ylabel: str, legend: bool = True, minor: bool = True, **look: Any
) -> None:
    """Labels at the ends, ticks inwards on all sides, `minor` ones too, and a legend."""
    axes.set_xlabel(xlabel, loc="right")
    axes.set_ylabel(ylabel, loc="top")
    if minor:
        axes.minorticks_on()
    axes.tick_params(which="both", direction="in", top=True, right=True)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, title_fontsize=9, borderaxespad=1, **look)


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


def plot_roc(
    curves: Mapping[str, Roc], axis: Literal["binary", "multiclass"], caption: str
) -> Figure:
    """ROC curves by legend entry, and as background rejection, with bands of one standard error."""
    figure = new_figure(11, 5.3, caption)
    panel, rejection = figure.subplots(1, 2)
    highest = 100.0
    for (name, curve), color in zip(curves.items(), palette(len(curves)), strict=True):
        area = f"{curve.area:.4f}"
        if np.isfinite(curve.area_error):
            area = rf"{curve.area:.4f} $\pm$ {curve.area_error:.4f}"
        text = f"{name}, AUC = {area}"
        panel.plot(curve.false_rate, curve.true_rate, color=color, linewidth=1.2, label=text)
        positive = np.where(curve.false_rate > 0, curve.false_rate, np.nan)
        rejection.plot(curve.true_rate, 1 / positive, color=color, linewidth=1.2)
        false_band, true_band = curve.thinned(200).band()
        band: dict[str, Any] = {"color": color, "alpha": 0.25, "linewidth": 0}
        if np.isfinite(false_band).all() and np.isfinite(positive).any():
            panel.fill(false_band, true_band, **band)
            least = float(np.nanmin(positive))
            highest = max(highest, 1 / least)
            rejection.fill(true_band, 1 / np.maximum(false_band, least / 9), **band)
    diagonal = np.linspace(0.001, 1, 200)
    panel.plot((0, 1), (0, 1), ":", color="0.5", label="random")
    rejection.plot(diagonal, 1 / diagonal, ":", color="0.5")
    rejection.set_yscale("log")
    rejection.set_ylim(0.7, 3 * highest)
    false_rate, true_rate, rejected = ROC_AXES[axis]
    dress(panel, false_rate, true_rate, legend=False)
    dress(rejection, true_rate, rejected, legend=False)
    key_below(figure, panel, title="bands: statistical errors of these events")
    return figure


def score_bins(score: Floats, edges: Floats) -> Ints:
    """Return the bin (event,) of each score, in even bins from 0 to 1; of NaN, one beyond them."""
    bins = len(edges) - 1
    place = np.minimum((np.nan_to_num(score) * bins).astype(np.int64), bins - 1)
    # What lies on an edge may have been rounded to the wrong side.
    place -= score < edges[place]
    place += (score >= edges[place + 1]) & (place < bins - 1)
    place[np.isnan(score)] = bins
    return place


def sums_by_bin(place: Ints, rows: Iterable[Floats], edges: Floats, groups: int = 1) -> Floats:
    """Sum rows of weights by the bin, or by group and bin: (row, bin) or (row, group, bin)."""
    size = len(edges)
    sums = [np.bincount(place, row, groups * size).reshape(groups, size) for row in rows]
    found = np.array(sums, np.float64)[:, :, :-1]
    return found if groups > 1 else found[:, 0]


def densities(outputs: Outputs, output: int, edges: Floats) -> tuple[Floats, Floats]:
    """Unit-area score densities (true class, bin), and sqrt(sum w^2); NaN without positive yield.

    The bins are even ones from 0 to 1.
    """
    place = score_bins(outputs.probability[:, output], edges) + outputs.label * len(edges)
    rows = (outputs.weight, outputs.weight**2)
    yields, squares = sums_by_bin(place, rows, edges, outputs.probability.shape[1])
    total, size = (each.sum(axis=1, keepdims=True) for each in (yields, np.abs(yields)))
    area = np.where(is_yield(total, size), total, np.nan) * np.diff(edges)
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
    colors, within = palette(len(classes)), len(classes) <= CLASSES_WITHIN
    for output, scores, pulls in zip(shown, grid[::2].flat, grid[1::2].flat, strict=False):
        pulls.sharex(scores)
        pulls.axhspan(-1, 1, color="0.9")
        drawn = []
        # Of each class, the line with its error and the points with theirs.
        shapes = zip(
            *densities(train, output, edges), *densities(validation, output, edges), strict=True
        )
        for index, (name, color, shape) in enumerate(zip(classes, colors, shapes, strict=True)):
            line, line_error, points, error = shape
            filled = (line_error > 0) & (error > 0)
            pull = (points - line) / np.where(filled, np.hypot(line_error, error), np.nan)
            fit = fit_text(np.nansum(pull**2), filled.sum() - 1) if within else ""
            scores.stairs(line, edges, color=color, linewidth=1.5)
            scores.stairs(line, edges, color=color, alpha=0.2, fill=index == output)
            marks = {"fmt": "o", "markersize": 4, "color": color}
            scores.errorbar(centers, points, error, **marks, label=f"{elided(name)} (true){fit}")
            pulls.errorbar(centers, pull, **marks)
            drawn += [line, points]
        scale_y(scores, np.array(drawn), 0.1 + 0.08 * len(classes) if within else 0.05)
        limit = max(3, *np.abs(pulls.get_ylim()))
        pulls.set_ylim(-limit, limit)
        key: dict[str, Any] = {"title": "line: training events, points: held-out events"}
        dress(scores, "", "normalised to unit area", within, loc="upper center", **key)
        scores.tick_params(labelbottom=False)
        dress(pulls, f"P({classes[output]})", "pull")
    if not within and shown:
        key_below(figure, grid[0, 0], **key)
    return figure


def plot_calibration(
    cases: Mapping[str, tuple[Floats, Bools]], weight: Floats, caption: str
) -> Figure:
    """Fraction of a class against the mean score, by bin of each (score, is of the class) case."""
    edges = np.linspace(0, 1, 21)
    figure = new_figure(6.5, 6.5, caption)
    fractions, yields = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    fractions.plot((0, 1), (0, 1), ":", color="0.5", label="perfect calibration")
    shown = []
    for (name, (score, positive)), color in zip(cases.items(), palette(len(cases)), strict=True):
        true, false = weight * positive, weight * ~positive
        rows = (true, false, true**2, false**2, weight * score, np.abs(weight))
        s, b, s2, b2, moment, size = sums_by_bin(score_bins(score, edges), rows, edges)
        total = np.where(is_yield(s + b, size), s + b, np.nan)
        error = np.sqrt(b**2 * s2 + s**2 * b2) / total**2
        mean = np.clip(moment / total, edges[:-1], edges[1:])
        fractions.errorbar(
            mean, s / total, error, fmt="o-", markersize=4, color=color, label=elided(name)
        )
        yields.stairs(s + b, edges, color=color, linewidth=1.5)
        shown.append(s + b)
    scale_y(yields, np.array(shown))
    fractions.set_ylim(-0.05, 1.05)
    of = f"P({next(iter(cases))})" if len(cases) == 1 else "P(class)"
    dress(fractions, "", "fraction of events that are of the class", legend=False)
    dress(yields, of, "loss weights")
    key_below(figure, fractions)
    return figure


def plot_significance(
    found: Scan, signal: str, caption: str, used: tuple[float, float] | None = None
) -> Figure:
    """Asimov significance against the cut on P(signal), with a band of one standard error.

    Marked is the cut that was `used`, with its significance, or else the best one of the scan.
    """
    figure = new_figure(6.5, 5.3, caption)
    axes = figure.subplots()
    low, high = found.significances - found.errors, found.significances + found.errors
    band: dict[str, Any] = {"color": COLORS[0], "alpha": 0.25, "linewidth": 0}
    axes.fill_between(found.cuts, np.maximum(low, 0), high, **band, label="statistical error")
    axes.plot(found.cuts, found.significances, color=COLORS[0], label="significance above the cut")
    if used is None and np.isfinite(found.significances).any():
        best = np.nanargmax(found.significances)
        used, word = (float(found.cuts[best]), float(found.significances[best])), "best"
    else:
        word = "chosen by validation"
    if used is None or np.isnan(used).all():
        why = NO_CUT if used is None else NO_CUT_CHOSEN
        axes.text(0.5, 0.5, f"no significance:\n{why}", ha="center", transform=axes.transAxes)
    else:
        cut, significance = used
        axes.axvline(cut, linestyle=":", color=COLORS[2])
        label = f"{word}: Z = {significance:.3g} at P({signal}) >= {cut:.4f}"
        axes.plot(cut, significance, "o", color=COLORS[2], label=label)
        key_below(figure, axes, ncols=1)
    scale_y(axes, found.significances, headroom=0.1)
    dress(axes, f"cut on P({signal})", "Asimov significance Z", legend=False)
    return figure


def plot_confusion(matrix: Floats, classes: tuple[str, ...], caption: str) -> Figure:
    """Fractions of each true class (row) by predicted class, with the yields."""
    figure = new_figure(4 + 0.9 * len(classes), 3 + 0.9 * len(classes), caption)
    axes = figure.subplots()
    totals, sizes = (each.sum(axis=1, keepdims=True) for each in (matrix, np.abs(matrix)))
    fractions = matrix / np.where(is_yield(totals, sizes), totals, np.nan)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for (row, column), fraction in np.ndenumerate(fractions):
        share = "no yield" if np.isnan(fraction) else f"{100 * fraction:.1f}%"
        text = f"{share}\n{matrix[row, column]:.4g}"
        color = "white" if fraction > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    names = [elided(name) for name in classes]
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(classes)), names, **turned)
    axes.set_yticks(range(len(classes)), names)
    axes.set_xlabel("predicted class", loc="right")
    axes.set_ylabel("true class", loc="top")
    figure.colorbar(image, label="fraction of true class")
    return figure


def classifier_figures(
    train: Outputs,
    validation: Outputs,
    curves: Mapping[str, Roc],
    shown: Sequence[int],
    classes: tuple[str, ...],
    caption: str,
) -> dict[str, Figure]:
    """Figures by name; each class `shown` is the positive one against the rest in its curve."""
    probability, label, weight = validation.probability, validation.label, validation.weight
    matrix = confusion_matrix(probability.argmax(axis=1), label, weight, len(classes))
    named = {classes[k]: (probability[:, k], label == k) for k in shown}
    return {
        "roc": plot_roc(curves, "binary" if len(shown) == 1 else "multiclass", caption),
        "scores": plot_scores(train, validation, list(shown), classes, caption),
        # A network is calibrated for the mixture of classes that it was trained on.
        "calibration": plot_calibration(named, validation.loss_weight, caption),
        "confusion": plot_confusion(matrix, classes, caption),
    }


def binary_figures(
    train: Outputs,
    validation: Outputs,
    classes: tuple[str, str],
    caption: str,
    cut: float | None = None,
) -> dict[str, Figure]:
    """Figures by name, with the significance; class 1 is the signal.

    `cut` is that of other events which is used for these; without one, their best is shown.
    """
    background, signal = classes
    case = validation.probability[:, 1], validation.label == 1, validation.weight
    used = None if cut is None else (cut, significance_above(*case, cut))
    significance = plot_significance(scan(validation.ranking), signal, caption, used)
    curves = {f"{elided(signal)} against {elided(background)}": roc(validation.ranking, CUTS_DRAWN)}
    figures = classifier_figures(train, validation, curves, [1], classes, caption)
    return figures | {"significance": significance}


def multiclass_figures(
    train: Outputs, validation: Outputs, classes: tuple[str, ...], caption: str
) -> dict[str, Figure]:
    """Figures by name, each class against the rest."""
    curves = {
        f"{elided(name)} against the rest": roc(validation.ranking_of(index), CUTS_DRAWN)
        for index, name in enumerate(classes)
    }
    shown = range(len(classes))
    return classifier_figures(train, validation, curves, shown, classes, caption)
