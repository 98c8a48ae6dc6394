"""`python -m seesawc` is `seesawc`."""

from seesawc.cli import main

main()
