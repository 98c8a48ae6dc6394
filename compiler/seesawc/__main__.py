"""`python -m seesawc` is `seesawc`."""

from seesawc.cli.commands import main

main()
