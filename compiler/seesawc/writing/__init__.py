"""Experiment -> the text of generated files, and their folder."""
