"""What seesawc brings besides its code: the templates, and the versions that scripts pin."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
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


def register_parts() -> None:
    """Make the parts importable where nothing else does: `from parts.grammar import parse`."""
    folder = templates() / "parts"
    places = [str(folder)]
    spec = spec_from_file_location(
        "parts", folder / "__init__.py", submodule_search_locations=places
    )
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    if sys.modules.setdefault("parts", package) is package:
        spec.loader.exec_module(package)


def _beside(name: str) -> Path:
    """Return where something lies: in the wheel beside the package, in a checkout above it."""
    package = Path(__file__).resolve().parent
    beside = package / name
    return beside if beside.exists() else package.parents[1] / name
