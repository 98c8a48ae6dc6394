"""Figures of a cross-validation are drawn, of good folds and bad ones, without warnings."""

import math

import numpy as np
import pytest

from parts.combinations import Combined, combine_binary, combine_multiclass
from parts.combined_plots import (
    BEHIND,
    combined_binary_figures,
    combined_multiclass_figures,
    over,
    plot_cuts_of_folds,
)
from parts.metrics import Outputs, binary_metrics, multiclass_metrics
from tests.figures import legends, png

pytestmark = pytest.mark.filterwarnings("error")

BINARY = ("qqZZ", "ggH")
CLASSES = ("ggH", "VBF", "VH", "ttH", "W_jets", "Z_jets")
CAPTION = "h4l-combined"
CUTS = [0.4, 0.5, 0.6]


def fold(seed: int, n: int, n_classes: int = 2) -> Outputs:
    """Predictions that know the class, a sixth of the weights negative."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % n_classes
    odds = np.exp(random.normal(0, 1, (n, n_classes)) + 2 * np.eye(n_classes)[label])
    weight = np.where(random.random(n) < 1 / 6, -1, 1) * random.uniform(0.5, 1.5, n)
    return Outputs(odds / odds.sum(axis=1, keepdims=True), label, weight, weight)


def binary(n: int, cuts: list[float]) -> Combined:
    folds = [fold(seed, n) for seed in range(len(cuts))]
    tests = [binary_metrics(each, cut) for each, cut in zip(folds, cuts, strict=True)]
    return combine_binary(folds, tests)


@pytest.mark.parametrize("n", [2, 60, 2000])
def test_every_figure_of_two_classes_is_drawn(n: int) -> None:
    figures = combined_binary_figures(binary(n, CUTS), BINARY, CAPTION)
    assert list(figures) == ["roc", "scores", "calibration", "confusion", "significance"]
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures.values())


@pytest.mark.parametrize("n_classes", [3, 6])
def test_every_figure_of_several_classes_is_drawn(n_classes: int) -> None:
    classes = CLASSES[:n_classes]
    folds = [fold(seed, 400, n_classes) for seed in range(3)]
    tests = [multiclass_metrics(each, classes) for each in folds]
    figures = combined_multiclass_figures(
        combine_multiclass(folds, tests, classes), classes, CAPTION
    )
    assert list(figures) == ["roc", "scores", "calibration", "confusion"]
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures.values())
    assert len(legends(figures["roc"])) == n_classes + 1


def test_the_area_in_the_legend_is_that_of_all_events_and_each_fold_has_its_line() -> None:
    found = binary(2000, CUTS)
    figure = combined_binary_figures(found, BINARY, CAPTION)["roc"]
    assert f"ggH against qqZZ, AUC = {found.metrics['auc']:.4f}" in legends(figure)[0]
    thin = [
        [line for line in axes.lines if line.get_linewidth() == BEHIND["linewidth"]]
        for axes in figure.axes
    ]
    assert [len(lines) for lines in thin] == [3, 3]


def test_the_cuts_of_the_folds_and_what_is_above_them_are_marked() -> None:
    found = binary(2000, CUTS)
    figure = plot_cuts_of_folds(found, "ggH", CAPTION)
    (axes,) = figure.axes
    places = sorted(
        float(line.get_xdata()[0])  # type: ignore[index, arg-type]
        for line in axes.lines
        if line.get_linestyle() == ":"
    )
    assert places == CUTS
    assert f"each fold above its own: Z = {found.metrics['significance']:.3g}" in legends(figure)


def test_a_fold_without_a_cut_is_said() -> None:
    figure = plot_cuts_of_folds(binary(2000, [0.5, math.nan, 0.5]), "ggH", CAPTION)
    (axes,) = figure.axes
    assert any("no significance: in a fold" in text.get_text() for text in axes.texts)
    assert not [text for text in legends(figure) if text.startswith("each fold above")]


def test_a_fold_is_shown_over_all_events_where_these_are() -> None:
    ratio = over(np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, -1.0]))
    np.testing.assert_array_equal(ratio, [0.5, np.nan, np.nan])
