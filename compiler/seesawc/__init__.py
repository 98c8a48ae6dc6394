"""seesawc compiles a TOML spec of a training experiment into a script and a batch file."""

from seesawc.package import register_parts

__version__ = "0.1.0"

register_parts()
