"""What all tests share: hypothesis searches alike everywhere, and skips are known ones."""

from hypothesis import HealthCheck, Phase, settings

# The same examples on every machine, whichever folder is run and whatever failed there before, and
# no deadlines: the machines are busy. `make explore` searches at random, and for longer.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore",
    deadline=None,
    database=None,
    max_examples=2000,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
settings.load_profile("steady")
