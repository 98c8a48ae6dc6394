"""The command line of a training script."""

import argparse
import re
from typing import Any


def argument_parser() -> argparse.ArgumentParser:
    """Return the options of every script."""
    parser = argparse.ArgumentParser(
        description="Train, or go on with an interrupted run.", allow_abbrev=False
    )
    add_again(parser, "train anew, as the run <run name>+LABEL")
    parser.add_argument(
        "--accept-data", action="store_true", help="go on although the data has changed"
    )
    parser.add_argument(
        "--sync", action="store_true", help="only send the tracker what it lacks of the record"
    )
    parser.add_argument(
        "--srun", action="store_true", help="this is one task of an srun step (batch files say so)"
    )
    return parser


def add_again(parser: argparse.ArgumentParser, text: str) -> None:
    """Let a script be told that another attempt than the plain run is meant."""
    parser.add_argument("--again", metavar="LABEL", type=label, default="", help=text)


def parse_again(description: str) -> str:
    """Return the label of the attempt that is meant, of a script that can be told nothing else."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add_again(parser, "for the run that was trained with --again LABEL")
    found: str = parser.parse_args().again
    return found


def parse_combining(points: dict[str, dict[str, Any]]) -> argparse.Namespace:
    """Return what is to be combined of a sweep; `point` is an identity, `all` where none is named.

    Or exit.
    """
    parser = argparse.ArgumentParser(
        description="Combine the folds of each point of the sweep.", allow_abbrev=False
    )
    add_again(parser, "of the runs that were trained with --again LABEL")
    add_point(parser, points, "combine the folds of this point, by index or identity, alone")
    arguments = parser.parse_args()
    arguments.all = arguments.point is None
    # The settings must be those of some point.
    arguments.point = "0" if arguments.all else arguments.point
    settle_point(parser, arguments, points)
    return arguments


def parse_arguments() -> argparse.Namespace:
    """Return how the script is to be started."""
    return argument_parser().parse_args()


def parse_sweep_arguments(points: dict[str, dict[str, Any]]) -> argparse.Namespace:
    """Return how the script of a sweep is to be started; `point` is an identity, or exit."""
    parser = argument_parser()
    add_point(parser, points, "train the point of this index or identity")
    parser.add_argument("--all", action="store_true", help="train all points, one after another")
    arguments = parser.parse_args()
    point = arguments.point
    if arguments.all:
        if point is not None or arguments.srun:
            parser.error("--all goes neither with --point nor with --srun")
        # The settings must be those of some point.
        point = "0"
    if point is None:
        text = f"refused: this is a sweep: --point POINT, or --all\n{listing(points)}\n"
        parser.exit(1, text)
    arguments.point = point
    settle_point(parser, arguments, points)
    return arguments


def add_point(
    parser: argparse.ArgumentParser, points: dict[str, dict[str, Any]], text: str
) -> None:
    """Let a script be told which point of a sweep is meant, and list them in its help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    # argparse fills in what follows a percent sign.
    parser.epilog = listing(points).replace("%", "%%")
    parser.add_argument("--point", metavar="POINT", help=text)


def settle_point(
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace,
    points: dict[str, dict[str, Any]],
) -> None:
    """Make the point that was named an identity, or exit."""
    point = arguments.point
    if point not in points:
        if not re.fullmatch(r"[0-9]{1,9}", point) or int(point) >= len(points):
            parser.exit(1, f"refused: there is no point {point!a}\n{listing(points)}\n")
        arguments.point = list(points)[int(point)]


def listing(points: dict[str, dict[str, Any]]) -> str:
    """Return the points by index and identity, as many as a terminal has room for."""
    lines = [f"{index:5}  {shown(*point)}" for index, point in enumerate(points.items())][:40]
    more = [f"       ... {len(points) - 40} more"] if len(points) > 40 else []
    return "\n".join(["points, by index and identity:", *lines, *more])


def shown(identity: str, point: dict[str, Any], between: str = "  ") -> str:
    """Return a line that tells a point from the others."""
    return f"{identity}{between}{point['point']}"


def label(text: str) -> str:
    """Return a text that may become part of a folder's name, or raise."""
    if re.fullmatch(r"[A-Za-z0-9_.+-]{0,50}", text) is None:
        raise argparse.ArgumentTypeError("letters, digits and _ . + - only, 50 of them at most")
    return text
