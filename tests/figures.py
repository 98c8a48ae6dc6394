"""What tests of figures look at."""

from io import BytesIO

from matplotlib.figure import Figure


def png(figure: Figure) -> bytes:
    """Draw a figure, as small as that takes little time."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def legends(figure: Figure) -> list[str]:
    """Return the entries of all legends."""
    found = [*(axes.get_legend() for axes in figure.get_axes()), *figure.legends]
    return [text.get_text() for legend in found if legend for text in legend.get_texts()]
