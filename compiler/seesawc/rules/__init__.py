"""Checks across options, in one list by task."""
