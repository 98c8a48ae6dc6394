"""Figures of features show what the events are, under the names that the spec gives them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from parts.csv_files import Csv
from parts.datasets import Dataset, Sample
from parts.events import Events
from parts.input_plots import feature_edges, input_figures
from parts.machinery.exits import RefusedError
from parts.plots import labelled, new_figure

N = 300


def dataset(numerical: int, categorical: int = 0, **changed: Any) -> Dataset:
    names = tuple(f"x{i}" for i in range(numerical)), tuple(f"c{i}" for i in range(categorical))
    return Dataset((Sample("s", ("s.csv",), Csv()),), *names, classes=("bkg", "sig"), **changed)


def events(of: Dataset, n: int = N) -> Events:
    random = torch.Generator().manual_seed(0)
    return Events(
        torch.randn(n, len(of.numerical), generator=random),
        torch.randint(0, 4, (n, len(of.categorical)), generator=random),
        torch.arange(n) % 2,
        torch.ones(n),
        torch.ones(n),
    )


def panels(of: Dataset, shown: Events) -> list[list[Axes]]:
    return [figure.axes for figure in input_figures(shown, of, "caption").values()]


def curves(axes: Axes) -> dict[str, Any]:
    """Return what `stairs` drew for each class: matplotlib types its data as a plain tuple."""
    found = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    return {str(patch.get_label()): patch.get_data() for patch in found}


@pytest.mark.parametrize(
    ("numerical", "categorical", "sizes"),
    [
        (1, 0, {"inputs": 1}),
        (12, 0, {"inputs": 12}),
        (12, 1, {"inputs": 12, "inputs_2": 1}),
        (13, 0, {"inputs": 12, "inputs_2": 1}),
        (20, 5, {"inputs": 12, "inputs_2": 12, "inputs_3": 1}),
    ],
)
def test_a_figure_has_twelve_features_and_the_next_one_the_rest(
    numerical: int, categorical: int, sizes: dict[str, int]
) -> None:
    of = dataset(numerical, categorical)
    figures = input_figures(events(of), of, "caption")
    assert {name: len(figure.axes) for name, figure in figures.items()} == sizes
    shown = [axes.get_xlabel() for figure in figures.values() for axes in figure.axes]
    assert shown == list(of.features)


def test_features_and_classes_are_called_as_the_labels_say() -> None:
    labels = {"x1": r"$p_\mathrm{T}$ [GeV]", "c0": "jets", "unused": "other"}
    of = dataset(2, 1, labels=labels, class_labels={"sig": r"$gg \to H$"})
    ((first, *others),) = panels(of, events(of))
    assert [axes.get_xlabel() for axes in (first, *others)] == ["x0", labels["x1"], "jets"]
    assert set(curves(first)) == {"bkg", r"$gg \to H$"}


@pytest.mark.parametrize("option", ["labels", "class_labels"])
def test_a_label_that_cannot_be_set_is_refused(option: str) -> None:
    name = "x0" if option == "labels" else "sig"
    changed: dict[str, Any] = {option: {name: r"$p_\mathrm{T$"}}
    of = dataset(1, **changed)
    with pytest.raises(RefusedError, match=f"the label of {name}, .*p_.*, is no mathtext: ") as one:
        input_figures(events(of), of, "caption")
    assert "\n" not in str(one.value)


def test_texts_that_can_be_set_are_taken_as_they_are() -> None:
    labels = {"a": "5 $", "b": r"$\eta$", "c": "", "d": r"\$5 to \$6", "e": r"\nothing"}
    assert labelled(("b", "a", "x", "c", "d", "e"), labels) == (
        r"$\eta$", "5 $", "x", "", r"\$5 to \$6", r"\nothing",
    )  # fmt: skip


@pytest.mark.parametrize("text", ["$\\fraction{1}$", "$x_{1$", "$a$ and $b^^2$"])
def test_mathtext_that_is_none_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(RefusedError, match=r"the label of pt, .*, is no mathtext: "):
        labelled(("pt",), {"pt": text})


@pytest.mark.parametrize("low", [-13, 0, 4])
def test_edges_of_few_whole_values_are_round_them(low: int) -> None:
    values = np.array([low, low + 1, low + 1, low + 3], float)
    assert feature_edges(values).tolist() == [low + i - 0.5 for i in range(5)]


def test_edges_of_whole_values_far_apart_are_even_and_hold_all() -> None:
    edges = feature_edges(np.array([0.0, 1.0, 1000.0]))
    assert (edges[0], edges[-1], len(edges)) == (0, 1000, 41)
    assert np.diff(edges) == pytest.approx(25)


def test_edges_of_real_values_leave_out_the_outermost_events() -> None:
    values = np.append(np.linspace(0, 1, 2001), 1e6)
    edges = feature_edges(values)
    assert len(edges) == 41
    assert edges[-1] < 1.01
    assert ((values >= edges[0]) & (values <= edges[-1])).mean() > 0.99


@pytest.mark.parametrize("values", [[], [2.5], [2.5] * 9, [1e9], [1e20], [2.0**53]])
def test_edges_are_some_for_any_values(values: list[float]) -> None:
    edges = feature_edges(np.array(values))
    assert len(edges) >= 2
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert all(edges[0] <= value <= edges[-1] for value in values)


def test_each_class_is_drawn_with_its_weights_and_area_one() -> None:
    of = dataset(0, 1)
    shown = events(of)
    label = torch.tensor([0, 0, 0, 1, 1, 1])
    weight = torch.tensor([1.0, 2.0, 1.0, -1.0, 4.0, 1.0])
    categorical = torch.tensor([[0], [1], [1], [0], [2], [2]])
    shown = Events(torch.zeros(6, 0), categorical, label, weight, weight)
    (((axes,),)) = panels(of, shown)
    found = {name: drawn.values.tolist() for name, drawn in curves(axes).items()}
    assert found == {"bkg": [0.25, 0.75, 0], "sig": [-0.25, 0, 1.25]}
    assert curves(axes)["bkg"].edges.tolist() == [-0.5, 0.5, 1.5, 2.5]


@pytest.mark.parametrize("missing", [-999.0, math.nan])
def test_what_is_missing_is_not_drawn(missing: float) -> None:
    of = dataset(1, missing=missing)
    shown = events(of)
    shown.numerical[::3] = missing
    ((axes,),) = panels(of, shown)
    edges = curves(axes)["bkg"].edges
    assert -5 < edges[0] < edges[-1] < 5
    # And where nothing is left, there is a panel without curves.
    shown.numerical[:] = missing
    ((axes,),) = panels(of, shown)
    assert curves(axes) == {}


def test_a_class_whose_weights_cancel_has_no_curve() -> None:
    of = dataset(1)
    shown = events(of)
    shown.weight[1::4] = -1.0
    ((axes,),) = panels(of, shown)
    assert set(curves(axes)) == {"bkg"}
    assert new_figure(1, 1, "caption").axes == []
