"""What a test of closure begins and ends with: the network of a run, and what is left there."""

from collections.abc import Sequence
from pathlib import Path

from parts.applications import member_factors
from parts.binnings import all_variables
from parts.closures import Closure, closure_figures, summary
from parts.leptons import Leptons
from parts.machinery.deployed_places import network_of
from parts.machinery.exits import DONE, obey
from parts.machinery.reports import write_json
from parts.metrics import Floats
from parts.plot_labels import Label, write_above
from parts.plots import FINAL, save_figures

# It does not close.
FAILED_TO_CLOSE = 5


def factors_of(run: Path, leptons: Leptons, features: Sequence[str]) -> Floats:
    """Return F of each member (event, member), by the network that a run of the ratio has left.

    The leptons are those outside the crack: in it, F is not what the network says.
    """
    events = dict(zip(features, all_variables(leptons), strict=True))
    return member_factors(network_of(run), events)


def leave(
    closure: Closure,
    run: Path,
    plots: Path,
    labels: tuple[str, ...] = (),
    label: Label | None = None,
) -> int:
    """Write closure.json into a run, draw the plots, print a table; return the exit status.

    `labels` are what plots call the variables, `label` is what stands above them.
    """
    obey()
    write_json(run / "closure.json", closure.values())
    figures = closure_figures(closure, f"{run.name}, test leptons", labels)
    write_above(figures, label)
    save_figures(figures, plots, FINAL)
    print(f"\n{summary(closure)}\n\nnumbers     {run / 'closure.json'}\nplots       {plots}")
    return DONE if closure.passed else FAILED_TO_CLOSE
