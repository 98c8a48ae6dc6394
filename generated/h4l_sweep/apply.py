"""The network that a training has left, applied to events; without torch or Lightning.

    python apply.py FILE... OUT           add the scores to events: ROOT, HDF5, Parquet or CSV
    python apply.py FILE OUT --friend     write the scores alone, as for an OUT of another format
    python apply.py --help                samples, splits, trees, and other networks
    from apply import score
    values = score(events)                events with a column for each feature, as a DataFrame

Of two classes, `score` is the probability of the signal; of more, there is a score_<class> each.
Of fakes it is `fake_factor`: loose data enter with weight * F, loose Monte Carlo with -weight * F.
The column `split` (0 training, 1 validation, 2 test) tells which events the training has seen:
judge it by the test events alone. In a DataFrame nan is a null, as masks and None are anywhere.

The network is what --network says; else it is the one beside this file, or that of the run which
the resolved.toml beside this file is about. The folder deploy/ of a run has all that is needed and
works wherever it is copied to.

Exit status: 0 done, 1 refused, 2 usage, 4 disk full, 75, 130 and 143 stopped by a signal.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "awkward==2.14.0",
#     "cramjam==2.14.0",
#     "h5py==3.16.0",
#     "numpy==2.4.6",
#     "onnxruntime==1.32.0",
#     "pyarrow==25.0.1",
#     "uproot==5.7.7",
# ]
# ///

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Python leaves it out with PYTHONSAFEPATH, or if this file is reached by a link.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from parts.applications import Application, applied, read_networks, score_of, spread_of
from parts.event_files import NAMED_TABLES
from parts.file_applications import apply_to_files
from parts.machinery.exits import DONE, RefusedError, carry_out
from parts.machinery.found_networks import find_networks
from parts.scored_columns import PREFIX, Choices
from parts.splits import SPLITS

Events = Mapping[str, Any]
Place = str | Path | None


def networks_at(place: Place) -> Application:
    """Return the network that is meant, or those of all folds; raises `RefusedError`."""
    found = find_networks(Path(__file__).resolve().parent, place)
    return read_networks(found.paths, found.trained)


def score(
    events: Events, network: Place = None, *, new: bool = False, accept_ranges: bool = False
) -> NDArray[Any]:
    """Return the probability of the signal (event,), of several classes (event, class), or F.

    Of folds, it is that of the network that has not seen an event, which its number tells; of `new`
    events, which no training has seen, the mean of all. Raises `RefusedError` for events of which
    the network knows nothing, for features unlike those of the training unless they are accepted,
    and if there is no network.
    """
    application = networks_at(network)
    found = applied(application, events, new=new, accept_ranges=accept_ranges)
    return score_of(found, application.card)


def spread(events: Events, network: Place = None, *, accept_ranges: bool = False) -> NDArray[Any]:
    """Return the standard deviation of `score` over folds, or of F over members of the ensemble."""
    application = networks_at(network)
    found = applied(application, events, new=True, accept_ranges=accept_ranges)
    return spread_of(found, application.card)


def fake_factors(
    events: Events, network: Place = None, *, accept_ranges: bool = False
) -> NDArray[Any]:
    """Return F of every member of the ensemble (event, member); 0 in the crack, if it has one."""
    application = networks_at(network)
    if application.card.gives != "fake_factor":
        raise RefusedError("the network gives scores, and no fake factor")
    return np.asarray(applied(application, events, accept_ranges=accept_ranges)[0])


def fake_factor(
    events: Events, network: Place = None, *, accept_ranges: bool = False
) -> NDArray[Any]:
    """Return F, the mean over members (event,)."""
    return np.asarray(fake_factors(events, network, accept_ranges=accept_ranges).mean(axis=1))


def parse_arguments() -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(
        description="Add the scores of a network to files of events.", allow_abbrev=False
    )
    say = parser.add_argument
    say("files", type=Path, nargs="+", metavar="FILE", help="events: ROOT, HDF5, Parquet or CSV")
    say("out", type=Path, metavar="OUT", help="file, in another format the scores alone; or folder")
    table = parser.add_mutually_exclusive_group()
    table.add_argument("--tree", metavar="NAME", help="of ROOT files; as in training by default")
    table.add_argument("--table", metavar="NAME", help="of HDF5 files")
    say("--sample", metavar="NAME", help="score what its selection takes, and write its weight")
    say("--new", action="store_true", help="no training has seen these events, such as new data")
    say("--only", choices=SPLITS, help="write the events of this split alone")
    say("--friend", action="store_true", help="write the scores, and not the events")
    say("--prefix", default="", metavar="TEXT", help="before the names of all new columns")
    say("--overwrite", action="store_true", help="replace OUT if it exists")
    say("--accept-ranges", action="store_true", help="take features unlike those of the training")
    say("--network", metavar="PLACE", help="model.onnx, a folder with it, or a run")
    given = parser.parse_intermixed_args()
    if given.new and given.only:
        parser.error("--only: events that are --new are of no split")
    if not PREFIX.fullmatch(given.prefix):
        parser.error("--prefix takes letters, digits and _")
    return given


def apply(given: argparse.Namespace) -> int:
    """Score the events of files; return the exit status."""
    named = {option: getattr(given, option[2:]) for option in NAMED_TABLES.values()}
    choices = Choices(
        table=next((pair for pair in named.items() if pair[1] is not None), None),
        sample=given.sample,
        new=given.new,
        only=given.only,
        friend=given.friend,
        prefix=given.prefix,
        overwrite=given.overwrite,
        accept_ranges=given.accept_ranges,
    )
    for line in apply_to_files(networks_at(given.network), given.files, given.out, choices):
        print(line)
    return DONE


if __name__ == "__main__":
    sys.exit(carry_out(partial(apply, parse_arguments())))
