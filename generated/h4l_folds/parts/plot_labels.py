"""What stands above plots that are shown to others: experiment, energy and luminosity."""

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Label:
    """An experiment, its energy in the centre of mass, in TeV, and its luminosity, in 1/fb."""

    experiment: str | None = None
    energy: float | None = None
    luminosity: float | None = None

    @property
    def name(self) -> str:
        """The experiment, the first word in bold italics as experiments have it."""
        first, *others = (self.experiment or "").replace("$", r"\$").split(" ")
        # Mathtext sets letters and digits as they are.
        return " ".join([rf"$\mathbfit{{{first}}}$" if first.isalnum() else first, *others])

    @property
    def conditions(self) -> str:
        """Energy and luminosity."""
        energy = None if self.energy is None else rf"$\sqrt{{s}}$ = {self.energy:g} TeV"
        luminosity = None if self.luminosity is None else rf"{self.luminosity:g} fb$^{{-1}}$"
        return ", ".join(filter(None, (energy, luminosity)))


def write_above(figures: Mapping[str, Figure], text: Label | None) -> None:
    """Write the label above each figure's first panels: the experiment left, the rest right."""
    if text is None:
        return
    for figure in figures.values():
        places = [(axes, axes.get_subplotspec()) for axes in figure.axes]
        top = [(axes, spec) for axes, spec in places if spec and spec.rowspan.start == 0]
        first = min(top, key=lambda place: place[1].colspan.start)[0]
        last = max(top, key=lambda place: place[1].colspan.start)[0]
        first.set_title(text.name, loc="left", fontsize=11)
        last.set_title(text.conditions, loc="right", fontsize=10)
