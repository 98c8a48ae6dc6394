"""Commands: all that prints and exits."""
