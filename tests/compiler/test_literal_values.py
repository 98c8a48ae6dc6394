"""`${NAME}` is for paths and keys: in an option where nothing fills it in, it is an error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from attrs import has

from seesawc import pipeline
from seesawc.diagnostics import CompileError
from seesawc.tables.spec import Spec, keys
from tests.runs import fakes
from tests.runs.experiments import SPEC
from tests.spec_tables import merged, write_spec

Key = tuple[str, ...]
# Where the script, or the batch file, fills it in.
PLACES = {
    "experiment_config.save_dir",
    "experiment_config.tracker_path",
    "experiment_config.comet_api_key",
    "dataset_config.samples.files",
    "model_config.load_checkpoint",
    "slurm_config.environment",
    "slurm_config.container",
}
GIVEN = "${TOY}/x.csv"


def texts(annotation: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    """Yield the options that take a text, and what would give them `${TOY}`."""
    if annotation is str:
        yield key, "${TOY}"
    elif isinstance(annotation, type) and has(annotation):
        for name, option in keys(annotation).items():
            yield from texts(option.type, (*key, name))
    elif get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            for path, value in texts(inner, key):
                if path == key and get_origin(annotation) is tuple:
                    value = [value]
                yield path, value


OPTIONS = {".".join(key): value for key, value in texts(Spec, ()) if key[0] != "sweep_config"}


def test_all_options_are_found() -> None:
    assert len(OPTIONS) > 40
    assert {*PLACES} <= {*OPTIONS}
    assert OPTIONS["slurm_config.modules"] == ["${TOY}"]


@pytest.mark.parametrize("option", sorted(OPTIONS.keys() - PLACES))
def test_a_variable_that_nothing_fills_in_is_refused(tmp_path: Path, option: str) -> None:
    base = fakes.SPEC if option.startswith("fakes_config") else SPEC
    key, value = option.split("."), OPTIONS[option]
    tables = merged(base, {"slurm_config": {"time": "01:00:00"}} if "slurm" in option else {})
    place: Any = tables
    for name in key[:-1]:
        place = place.setdefault(name, {})
        place = place[0] if isinstance(place, list) else place
    last = place.get(key[-1])
    if isinstance(last, dict) or key[-1] in ("labels", "class_labels", "derived", "class_values"):
        known = {"labels": SPEC["dataset_config"]["numerical"][0], "class_labels": "signal"}
        value = {known.get(key[-1], "signal"): value}
    place[key[-1]] = value
    with pytest.raises(CompileError) as error:
        pipeline.check(write_spec(tmp_path / "toy.toml", tables))
    shown = [d for d in error.value.diagnostics if "TOY" in f"{d.message} {d.line}"]
    assert shown, error.value


@pytest.mark.parametrize("label", ["$p_T$ [GeV]", "${E}_T$", "${MET}$, $x$", "cost in $"])
def test_mathematics_of_labels_are_no_variables(tmp_path: Path, label: str) -> None:
    feature = SPEC["dataset_config"]["numerical"][0]
    tables = merged(SPEC, {"dataset_config": {"labels": {feature: label}}})
    pipeline.check(write_spec(tmp_path / "toy.toml", tables))
