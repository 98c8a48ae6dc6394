"""seesawc compiles a TOML spec of a training experiment into a script and a batch file."""

__version__ = "0.1.0"
