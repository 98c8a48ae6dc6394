"""What stands above plots: experiment, energy and luminosity, in any text that there may be."""

import pytest

from parts.plot_labels import Label, write_above
from parts.plots import new_figure
from tests.figures import png

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("label", "left", "right"),
    [
        (
            Label("ATLAS Internal", 13.6, 140.0),
            r"$\mathbfit{ATLAS}$ Internal",
            r"$\sqrt{s}$ = 13.6 TeV, 140 fb$^{-1}$",
        ),
        (Label("CMS"), r"$\mathbfit{CMS}$", ""),
        (Label(energy=13.0), "", r"$\sqrt{s}$ = 13 TeV"),
        (Label(luminosity=36.1), "", "36.1 fb$^{-1}$"),
        (Label("FCC-ee: $1 & $2", None, None), r"FCC-ee: \$1 & \$2", ""),
        (None, "", ""),
    ],
)
def test_labels_stand_above_the_first_panels(label: Label | None, left: str, right: str) -> None:
    figure = new_figure(9, 4, "run")
    panels = figure.subplots(2, 3)
    figure.colorbar(panels[0, 0].imshow([[0, 1]]))
    write_above({"x": figure}, label)
    assert png(figure)
    assert (panels[0, 0].get_title(loc="left"), panels[0, 2].get_title(loc="right")) == (
        left,
        right,
    )
    others = [panels[0, 1], *panels[1]]
    assert not any(axes.get_title(loc=where) for axes in others for where in ("left", "right"))
