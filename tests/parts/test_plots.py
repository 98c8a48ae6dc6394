"""Every figure is drawn, of good samples and bad ones, without warnings, pyplot or leaks."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from parts.bands import Scan
from parts.histories import plot_history
from parts.metrics import Floats, Ints, Outputs, binary_metrics
from parts.plots import (
    FINAL,
    binary_figures,
    densities,
    multiclass_figures,
    new_figure,
    plot_confusion,
    plot_scores,
    plot_significance,
    save_figures,
    score_bins,
    sums_by_bin,
)
from tests.figures import legends, png

pytestmark = pytest.mark.filterwarnings("error")

CAPTION = "h4l_MLP_20260114T101500Z, epoch 25"
BINARY = ("qqZZ", "ggH")
CLASSES = ("ggH", "VBF", "VH", "ttH", "W_jets")


def made(probability: Floats, label: Ints, weight: Floats) -> Outputs:
    """Outputs whose events weigh the same in the loss."""
    return Outputs(probability, label, weight, weight)


def sample(seed: int, n: int, n_classes: int = 2, labels: tuple[int, ...] = ()) -> Outputs:
    """Predictions of softmax outputs that know the class, a sixth of the weights negative."""
    random = np.random.default_rng(seed)
    label = random.choice(labels or range(n_classes), n)
    logits = random.normal(0, 1, (n, n_classes)) + 2 * np.eye(n_classes)[label]
    odds = np.exp(1.5 * logits)
    sign = np.where(random.random(n) < 1 / 6, -1, 1)
    return made(odds / odds.sum(1, keepdims=True), label, sign * random.uniform(0.5, 1.5, n))


def assert_drawn(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        assert png(figure).startswith(b"\x89PNG"), name


@pytest.mark.parametrize(
    "validation",
    [
        pytest.param(sample(2, 3000), id="ordinary"),
        pytest.param(sample(3, 5), id="tiny"),
        pytest.param(sample(3, 1), id="one_event"),
        pytest.param(sample(3, 0), id="empty"),
        pytest.param(sample(4, 300, labels=(0,)), id="no_signal"),
        pytest.param(sample(4, 300, labels=(1,)), id="no_background"),
        pytest.param(
            made(sample(5, 300).probability, sample(5, 300).label, np.full(300, -1.0)),
            id="all_negative",
        ),
        pytest.param(
            made(np.full((300, 2), 0.5), sample(6, 300).label, np.ones(300)), id="constant_score"
        ),
        pytest.param(
            made(np.eye(2)[sample(6, 300).label], sample(6, 300).label, np.ones(300)),
            id="perfect_score",
        ),
        pytest.param(
            made(np.full((300, 2), np.nan), sample(6, 300).label, np.ones(300)), id="nan_score"
        ),
        pytest.param(
            made(sample(7, 300).probability, sample(7, 300).label, 1e-9 * sample(7, 300).weight),
            id="small_weights",
        ),
    ],
)
def test_binary_figures_are_drawn(validation: Outputs) -> None:
    figures = binary_figures(sample(1, 3000), validation, BINARY, CAPTION)
    assert set(figures) == {"roc", "scores", "calibration", "confusion", "significance"}
    assert_drawn(figures)
    assert_drawn({"scores": plot_scores(validation, sample(1, 3000), [1], BINARY, CAPTION)})


@pytest.mark.parametrize(
    ("n", "labels", "n_classes"),
    [(2000, (), 3), (2000, (0, 2), 5), (4, (), 5), (4, (0, 2), 3)],
)
def test_multiclass_figures_are_drawn(n: int, labels: tuple[int, ...], n_classes: int) -> None:
    figures = multiclass_figures(
        sample(1, 2 * n, n_classes),
        sample(2, n, n_classes, labels),
        CLASSES[:n_classes],
        CAPTION,
    )
    assert set(figures) == {"roc", "scores", "calibration", "confusion"}
    assert_drawn(figures)


@pytest.mark.parametrize(
    ("history", "panels"),
    [
        ({}, 1),
        ({"train_loss": []}, 1),
        ({"train_loss": [(0, 0.7)]}, 1),
        ({"train_loss": [(0, 700.0), (1, 0.7)], "val_loss": [(0, 0.8), (1, -0.1)]}, 1),
        ({"val_loss": [(0, np.nan), (1, 0.5)], "val_auc": [(0, np.nan)]}, 2),
        ({"val_auc": [(1, 0.9), (2, 0.95)], "val_significance": [(1, 3.0)]}, 2),
        ({f"val_auc_{name}": [(1, 0.9), (2, 0.95)] for name in range(12)}, 1),
        ({"val_chi2_data": [(1, 3.0)], "val_chi2_mc": [(1, 1.0)], "val_ratio": [(1, 0.9)]}, 2),
        ({name: [(1, 0.5)] for name in ("val_loss", "val_auc", "val_ratio", "val_chi2", "x")}, 5),
    ],
)
@pytest.mark.parametrize("best", [None, 1])
def test_history_is_drawn(
    history: dict[str, list[tuple[int, float]]], panels: int, best: int | None
) -> None:
    figure = plot_history(history, CAPTION, best)
    assert png(figure).startswith(b"\x89PNG")
    assert len(figure.get_axes()) == panels


def test_history_has_metrics_of_a_kind_on_one_axis_and_marks_the_best_epoch() -> None:
    names = ("train_loss", "val_loss", "val_auc", "val_f1", "val_significance")
    history = {name: [(1, 0.5), (2, 0.7)] for name in (*names, "val_significance_cut")}
    figure = plot_history(history, CAPTION, best=2)
    drawn = [[line.get_label() for line in axes.lines] for axes in figure.get_axes()]
    mark = "best epoch, 2"
    assert drawn == [
        ["train_loss", "val_loss", mark], ["val_auc", "val_f1", mark],
        ["val_significance", mark], ["val_significance_cut", mark],
    ]  # fmt: skip
    assert all(np.allclose(axes.lines[-1].get_xdata(), 2) for axes in figure.get_axes())
    assert mark not in legends(plot_history(history, CAPTION))


def test_a_loss_over_two_decades_has_a_log_scale() -> None:
    losses = [(epoch, 10.0 ** (2 - epoch)) for epoch in range(5)]
    assert plot_history({"train_loss": losses}, CAPTION).get_axes()[0].get_yscale() == "log"
    assert plot_history({"train_loss": losses[:2]}, CAPTION).get_axes()[0].get_yscale() == "linear"


def test_legends_say_which_class_is_positive_and_which_is_true() -> None:
    figures = binary_figures(sample(1, 2000), sample(2, 1000), BINARY, CAPTION)
    assert legends(figures["roc"])[0].startswith("ggH against qqZZ, AUC = 0.")
    assert [text.split(",")[0] for text in legends(figures["scores"])] == [
        "qqZZ (true)",
        "ggH (true)",
    ]
    assert "ggH" in legends(figures["calibration"])
    assert "P(ggH)" in legends(figures["significance"])[-1]
    assert figures["scores"].get_axes()[1].get_xlabel() == "P(ggH)"


def test_calibration_counts_events_as_the_loss_does() -> None:
    """A network is calibrated for the mixture of classes that it was trained on."""
    outputs = sample(3, 4000)
    positive = outputs.label == 1
    # Background counts four times as much in the loss as in the yields.
    outputs = replace(outputs, loss_weight=np.where(positive, 1.0, 4.0), weight=np.ones(4000))
    figure = binary_figures(outputs, outputs, BINARY, CAPTION)["calibration"]
    fractions, yields = figure.get_axes()
    (stairs,) = yields.patches
    assert isinstance(stairs, StepPatch)
    counts, edges = map(np.asarray, stairs.get_data()[:2])
    score = outputs.probability[:, 1]
    expected = np.histogram(score, edges, weights=outputs.loss_weight)[0]
    np.testing.assert_allclose(counts, expected)
    signal = np.histogram(score[positive], edges)[0]
    drawn = next(line for line in fractions.lines if np.size(line.get_xdata()) == len(counts))
    np.testing.assert_allclose(np.asarray(drawn.get_ydata()), signal / expected)


def test_captions_are_taken_as_they_are() -> None:
    figure = plot_significance(Scan(*np.ones((3, 1))), "ggH", r"run_$\x$_1")
    assert figure.get_suptitle() == r"run_$\x$_1"
    assert png(figure)


def test_confusion_shows_fractions_of_the_true_class_and_yields() -> None:
    figure = plot_confusion(np.array([[30.0, 10.0], [0.0, 0.0]]), BINARY, CAPTION)
    assert [text.get_text() for text in figure.get_axes()[0].texts] == [
        "75.0%\n30",
        "25.0%\n10",
        "no yield\n0",
        "no yield\n0",
    ]


def test_weights_that_cancel_but_for_rounding_are_no_yield() -> None:
    weight = np.array([0.1, 0.2, -0.3])
    assert weight.sum() > 0
    score = np.array([0.2, 0.6, 0.9])
    outputs = made(np.stack([1 - score, score], 1), np.ones(3, np.int64), weight)
    assert np.isnan(densities(outputs, 1, np.linspace(0, 1, 5))[0]).all()
    matrix = np.array([[0.1 + 0.2, -0.3], [1.0, 1.0]])
    texts = plot_confusion(matrix, BINARY, CAPTION).get_axes()[0].texts
    assert [text.get_text()[:3] for text in texts] == ["no ", "no ", "50.", "50."]


def test_density_has_unit_area_and_errors_of_signed_weights() -> None:
    edges = np.array([0.0, 0.5, 1.0])
    score = np.array([0.1, 0.2, 0.9, 0.9])
    outputs = made(
        np.stack([1 - score, score], 1), np.array([1, 1, 1, 0]), np.array([2.0, -1.0, 3.0, 7.0])
    )
    values, errors = densities(outputs, 1, edges)
    np.testing.assert_allclose(values[1], [1 / 2, 3 / 2])
    np.testing.assert_allclose(errors[1], [np.sqrt(5) / 2, 3 / 2])
    np.testing.assert_allclose(values[0], [0, 2])


@pytest.mark.parametrize("bins", [20, 25])
def test_scores_on_edges_are_counted_as_numpy_does(bins: int) -> None:
    edges = np.linspace(0, 1, bins + 1)
    near = [np.nextafter(edges, end) for end in (0.0, 1.0)]
    score = np.concatenate([edges, *near, np.random.default_rng(1).random(500), [np.nan]])
    weight: Floats = np.arange(1, len(score) + 1, dtype=np.float64)
    (found,) = sums_by_bin(score_bins(score, edges), [weight], edges)
    expected = np.histogram(score[:-1], edges, weights=weight[:-1])[0]
    np.testing.assert_array_equal(found, expected)


def test_chi2_per_ndf_of_equal_samples_is_one() -> None:
    ratios = []
    for seed in range(40):
        figure = plot_scores(sample(seed, 6000), sample(1000 + seed, 3000), [1], BINARY, CAPTION)
        for text in legends(figure):
            chi2, _, ndf = text.partition("ndf = ")[2].partition("/")
            ratios.append(float(chi2) / int(ndf))
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_figures_are_drawn_in_another_thread() -> None:
    faults: list[BaseException] = []

    def draw() -> None:
        try:
            assert_drawn(binary_figures(sample(1, 500), sample(2, 500), BINARY, CAPTION))
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert not faults


def test_pyplot_is_not_imported_and_settings_stay() -> None:
    code = """
import sys
import matplotlib
before = matplotlib.rcParams.copy()
from test_plots import BINARY, assert_drawn, binary_figures, sample
assert_drawn(binary_figures(sample(1, 500), sample(2, 500), BINARY, ""))
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams.copy() == before
"""
    here = Path(__file__).parent
    path = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parents[1] / 'templates')!r}]"
    subprocess.run([sys.executable, "-c", path + code], check=True)


DRAWING = """
import gc
from io import BytesIO
from pathlib import Path
import numpy as np
from parts.bands import Scan
from parts.plots import plot_significance
kept = []
def draw(n):
    for _ in range(n):
        found = Scan(np.linspace(0, 1, 50), np.ones(50), np.ones(50) / 9)
        figure = plot_significance(found, "ggH", "")
        figure.savefig(BytesIO(), format="png")
        if {leak}:
            kept.append(figure)
        del figure
        gc.collect()
    # Not ru_maxrss, which a process inherits.
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])
before = draw(4)
print(draw(12) - before)
"""


@pytest.mark.parametrize("leak", [False, True])
def test_memory_stays_flat(leak: bool) -> None:
    """In a process of its own, which has not held more before; figures that are kept are seen."""
    templates = Path(__file__).parents[2] / "templates"
    ended = subprocess.run(
        [sys.executable, "-c", DRAWING.format(leak=leak)],
        env={**os.environ, "PYTHONPATH": str(templates)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (int(ended.stdout) > 10_000) is leak  # KiB


@pytest.mark.parametrize("n_classes", [2, 5])
def test_scores_stand_above_their_pulls(n_classes: int) -> None:
    outputs = sample(1, 500, n_classes)
    shown = list(range(n_classes))
    axes = plot_scores(outputs, outputs, shown, CLASSES[:n_classes], CAPTION).get_axes()
    assert len(axes) == 2 * n_classes
    for pulls in (panel for panel in axes if panel.get_xlabel()):
        (scores,) = set(pulls.get_shared_x_axes().get_siblings(pulls)) - {pulls}
        assert scores.get_xlim() == pulls.get_xlim()


def test_figures_are_files_by_their_names(tmp_path: Path) -> None:
    """In a folder that need not be there, and over those of another start; PDFs at the end."""
    folder = tmp_path / "new" / "plots"
    for _ in range(2):
        figures = {name: Figure((1, 1)) for name in ("a", "b")}
        assert save_figures(figures, folder) == [folder / "a.png", folder / "b.png"]
        assert not list(folder.glob("*.pdf"))
    written = []
    for _ in range(2):
        paths = save_figures({"a": new_figure(2, 2, "x")}, folder, FINAL)
        assert paths == [folder / "a.png", folder / "a.pdf"]
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert [content[:4] for content in written[0]] == [b"\x89PNG", b"%PDF"]


def colors_of(axes: Axes) -> list[str]:
    """The colours of curves that a legend names."""
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    return [to_hex(line.get_color()) for line in named]


@pytest.mark.parametrize("n_classes", [2, 5, 12])
def test_no_colour_stands_for_two_classes_and_no_legend_over_curves(n_classes: int) -> None:
    """Not those of 12 classes with long names."""
    names = tuple(f"a class whose name is so long that it is cut, {k}" for k in range(n_classes))
    outputs = sample(1, 2000, n_classes)
    if n_classes == 2:
        figures = binary_figures(outputs, outputs, names[:2], CAPTION)  # type: ignore[arg-type]
    else:
        figures = multiclass_figures(outputs, outputs, names, CAPTION)
    colors = colors_of(figures["roc"].get_axes()[0])
    assert len(set(colors)) == len(colors) == (2 if n_classes == 2 else n_classes + 1)
    assert len(set(legends(figures["roc"]))) == len(colors)
    for name in ("roc", "calibration"):
        figure = figures[name]
        png(figure)
        (legend,) = figure.legends
        below = legend.get_window_extent()
        assert all(not below.overlaps(axes.bbox) for axes in figure.get_axes()), name
        # Nor is it cut off.
        assert below.x0 >= 0
        assert below.x1 <= figure.bbox.x1
    assert_drawn(figures)


def test_the_words_of_several_classes_are_none_of_signal_and_background() -> None:
    outputs = sample(1, 2000, 3)
    roc = multiclass_figures(outputs, outputs, CLASSES[:3], CAPTION)["roc"]
    words = [text for axes in roc.get_axes() for text in (axes.get_xlabel(), axes.get_ylabel())]
    assert not [text for text in words if "signal" in text or "background" in text]
    assert legends(roc)[0].startswith("ggH against the rest")


def marked(figure: Figure) -> list[tuple[float, float]]:
    """The points that a plot of significance marks."""
    lines = [line for line in figure.get_axes()[0].lines if line.get_marker() == "o"]
    points = [np.ravel(np.asarray(line.get_xydata())) for line in lines]
    return [(float(point[0]), float(point[1])) for point in points]


def test_the_plot_of_significance_marks_the_cut_that_was_used() -> None:
    """As the table has it, not the optimum of the events that are judged."""
    validation, test = sample(2, 3000), sample(3, 3000)
    chosen = binary_metrics(validation)
    cut = chosen["significance_cut"]
    judged = binary_metrics(test, cut)
    assert binary_metrics(test)["significance_cut"] != cut
    own = binary_figures(test, validation, BINARY, CAPTION)["significance"]
    assert marked(own) == [(cut, chosen["significance"])]
    used = binary_figures(validation, test, BINARY, CAPTION, cut)["significance"]
    assert marked(used) == [(cut, judged["significance"])]
    assert f"chosen by validation: Z = {judged['significance']:.3g}" in legends(used)[-1]


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (None, "fewer than 10 effective background events are left at any cut"),
        (np.nan, "the validation whose cut is taken has chosen none"),
    ],
)
def test_a_plot_without_significance_says_why(cut: float | None, why: str) -> None:
    figure = binary_figures(sample(1, 99), sample(2, 9), BINARY, CAPTION, cut)["significance"]
    (text,) = figure.get_axes()[0].texts
    assert why in text.get_text()
    assert marked(figure) == []


def test_a_fit_without_bins_is_not_shown() -> None:
    texts = legends(plot_scores(sample(1, 1), sample(2, 1), [1], BINARY, CAPTION))
    assert texts == ["qqZZ (true)", "ggH (true)"]
