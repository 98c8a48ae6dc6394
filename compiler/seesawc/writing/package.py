"""What seesawc brings besides its code: the templates, and the versions that scripts pin."""

from functools import cache
from pathlib import Path


@cache
def templates() -> Path:
    """Return the folder of templates."""
    return _beside("templates")


@cache
def versions() -> dict[str, str]:
    """Return the pinned version of each package."""
    lines = _beside("constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if "==" in line)
    return {name.strip().lower(): version.strip() for name, version in pins}


def _beside(name: str) -> Path:
    """Return where something lies: in the wheel beside the package, in a checkout above it."""
    package = Path(__file__).resolve().parents[1]
    beside = package / name
    return beside if beside.exists() else package.parents[1] / name
