"""Runs whose events lie on a disk: killed and continued to the bit, and one cache for all."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.runs.experiments import Run, Workshop, same
from tests.runs.starts import Strike
from tests.spec_tables import merged

STEPS = 7  # Of an epoch: about 240 training events in batches of 40.
CHANGES: dict[str, Any] = {
    "dataset_config": {"max_memory": "1G"},
    "experiment_config": {"log_every_n_steps": 1},
    "training_config": {"max_epochs": 4},
}
BEGUN = "writing events to"


@pytest.fixture(scope="module")
def straight(workshop: Workshop) -> Run:
    """A run that nothing interrupts; it makes the cache."""
    ended = workshop.run(workshop.build("straight", **CHANGES)).done()
    assert BEGUN in ended.output
    return workshop.found("straight")


def caches(workshop: Workshop, place: str = "logs") -> list[Path]:
    return sorted((workshop.folder / place / "cache").iterdir())


def test_a_second_run_uses_the_cache_of_the_first_and_ends_alike(
    workshop: Workshop, straight: Run
) -> None:
    before = [path.stat().st_mtime_ns for path in sorted(caches(workshop)[0].glob("[!c]*"))]
    ended = workshop.run(workshop.build("second", **CHANGES)).done()
    assert BEGUN not in ended.output
    [cache] = caches(workshop)
    assert before == [path.stat().st_mtime_ns for path in sorted(cache.glob("[!c]*"))]
    run = workshop.found("second")
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())


def test_a_run_that_is_killed_while_it_makes_the_cache_and_while_it_trains_ends_alike(
    workshop: Workshop, straight: Run
) -> None:
    script = workshop.build("killed", **CHANGES)
    variables = {"ANALYSIS_ML_LOGS_DIR": str(workshop.folder / "killed")}
    for strike in (
        Strike("open", "*/cache/.*.unfinished/label", 1, signal.SIGKILL),
        Strike("os.rename", "*/cache/.*.unfinished", 1, signal.SIGTERM),
        Strike("step", "*", STEPS + 3, signal.SIGKILL),
        Strike("step", "*", STEPS + 2, signal.SIGTERM),
    ):
        ended = workshop.run(script, strike=strike, variables=variables)
        assert ended.status == (-9 if strike.number == signal.SIGKILL else 143), ended
        ended.quiet()
    workshop.run(script, variables=variables).done()
    run = workshop.found("killed", "killed")
    assert run.measured() == straight.measured()
    assert same(run.weights(), straight.weights())
    assert [path.name for path in caches(workshop, "killed")] == [
        path.name for path in caches(workshop)
    ]


def test_other_data_are_another_cache(workshop: Workshop, straight: Run) -> None:
    numerical = {"dataset_config": {"numerical": ["x", "y"]}, "training_config": {"max_epochs": 1}}
    workshop.train("fewer", **merged(CHANGES, numerical))
    assert len(caches(workshop)) == 2


def test_folds_of_a_cross_validation_use_one_cache(workshop: Workshop) -> None:
    changes = merged(CHANGES, {"training_config": {"max_epochs": 1}})
    split = {"folds": 3, "numerical": ["x", "z"]}
    said = []
    for fold in (0, 1, 2):
        options = merged(changes, {"dataset_config": split | {"fold": fold}})
        said.append(workshop.run(workshop.build(f"fold{fold}", **options)).done().output)
    assert [BEGUN in each for each in said] == [True, False, False]


def test_too_little_memory_is_refused_with_what_is_needed(workshop: Workshop) -> None:
    changes = merged(CHANGES, {"dataset_config": {"max_memory": "10M"}})
    ended = workshop.run(workshop.build("little", **changes))
    ended.refused('max_memory = "10M" is too little', "MiB")


def test_tasks_that_train_together_use_one_cache(workshop: Workshop) -> None:
    changes = merged(
        CHANGES, {"experiment_config": {"devices": 2}, "training_config": {"max_epochs": 1}}
    )
    features = {"dataset_config": {"numerical": ["y", "z"]}}
    ended = workshop.run(workshop.build("tasks", **merged(changes, features)), cold=True)
    ended.done()
    assert ended.output.count(BEGUN) == 1
