"""Hypothesis without deadlines: the machines that run these tests are busy with others."""

from hypothesis import settings

settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
