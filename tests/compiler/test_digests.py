"""What renews a run's name, and which files a change touches: what a run uses, and nothing else."""

import difflib
from pathlib import Path
from typing import Any

import pytest

from tests.compiler.projects import Project
from tests.runs import fakes
from tests.runs.experiments import SPEC
from tests.spec_tables import merged, write_spec

FIRST, SECOND = 1_000_000_000, 1_000_000_060


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.copy(tmp_path / "project")


def build(project: Project, tables: dict[str, Any], time: int) -> dict[str, Any]:
    return project.build(write_spec(project.folder / "specs" / "toy.toml", tables), time)


# One word of each; the spec is a plain one: an MLP of numerical and categorical features.
NOT_USED = {
    "a variant of a section": (
        "templates/sections/inputs.jinja",
        "scaling = logarithmic(SCALING,",
        "scaling = logarithmic( SCALING,",
    ),
    "a section of fakes": (
        "templates/sections/fakes_network.jinja",
        "from features to one logit",
        "from features to logits",
    ),
    "an outline of fakes": ("templates/train_density.py.jinja", "It learns the", "It finds the"),
    "a part of fakes": ("templates/parts/density_losses.py", '"""', '"""Of fakes. '),
    "a batch file": ("templates/submit.sbatch.jinja", "set -euo", "set -ueo"),
    "the docstring": ("templates/train_signal.py.jinja", "Train a classifier", "Fit a classifier"),
}
USED = {
    "the outline": (
        "templates/train_signal.py.jinja",
        "    classifier = build_classifier(train, categories)",
        "    classifier = build_classifier(train,  categories)",
    ),
    "a section": (
        "templates/sections/optimizer.jinja",
        "Return the optimizer",
        "Give the optimizer",
    ),
    "a part": ("templates/parts/losses.py", '"""', '"""Mended. '),
    "a part that a part imports": ("templates/parts/machinery/states.py", '"""', '"""Mended. '),
}


@pytest.mark.parametrize("change", NOT_USED.values(), ids=NOT_USED)
def test_a_change_of_what_a_spec_does_not_use_keeps_run_name_and_digest(
    change: tuple[str, str, str], project: Project
) -> None:
    before = build(project, SPEC, FIRST)
    project.edit(*change)
    after = build(project, SPEC, SECOND)
    assert after["run_name"] == before["run_name"] == "toy_MLP_20010909T014640Z"
    assert after["numbers"] == before["numbers"]


@pytest.mark.parametrize("change", USED.values(), ids=USED)
def test_a_change_of_what_a_spec_uses_renews_run_name_and_digest(
    change: tuple[str, str, str], project: Project
) -> None:
    before = build(project, SPEC, FIRST)
    project.edit(*change)
    after = build(project, SPEC, SECOND)
    assert after["run_name"] == "toy_MLP_20010909T014740Z"
    assert after["numbers"] != before["numbers"]


def test_where_a_run_lies_and_what_it_is_called_are_no_numbers(project: Project) -> None:
    before = build(project, SPEC, FIRST)
    comet = {"comet_api_key": "${COMET_API_KEY}", "comet_project_name": "p"}
    shown = {"save_dir": "elsewhere", "experiment_name": "other", **comet}
    after = build(project, merged(SPEC, {"experiment_config": shown}), SECOND)
    assert after["numbers"] == before["numbers"]
    assert after["run_name"] == "other_MLP_20010909T014640Z"


OTHER = {"training_config": {"max_epochs": 9}}


@pytest.mark.parametrize("option", [{"ratio": OTHER}, {"use_data_in_ratio": False}], ids=str)
def test_an_option_of_the_ratio_leaves_its_parents_alone(
    option: dict[str, Any], project: Project
) -> None:
    before, files = build(project, fakes.SPEC, FIRST), project.files("toy")
    after = build(project, merged(fakes.SPEC, {"fakes_config": option}), SECOND)
    for stage in ("numerator", "denominator"):
        assert project.files("toy")[f"train_{stage}.py"] == files[f"train_{stage}.py"]
        assert after["timestamp"][stage] == before["timestamp"][stage]
        assert after["numbers"][stage] == before["numbers"][stage]
    assert after["numbers"]["ratio"] != before["numbers"]["ratio"]
    assert after["timestamp"]["ratio"] != before["timestamp"]["ratio"]
    assert after["run_name"] != before["run_name"]


def test_an_option_of_a_parent_renews_the_ratio_too_and_not_the_other_parent(
    project: Project,
) -> None:
    before, files = build(project, fakes.SPEC, FIRST), project.files("toy")
    after = build(project, merged(fakes.SPEC, {"fakes_config": {"numerator": OTHER}}), SECOND)
    renewed = {n for n, digest in after["numbers"].items() if digest != before["numbers"][n]}
    assert renewed == {"numerator", "ratio"}
    renewed = {n for n, when in after["timestamp"].items() if when != before["timestamp"][n]}
    assert renewed == {"numerator", "ratio"}
    here = project.files("toy")
    assert here["train_denominator.py"] == files["train_denominator.py"]
    assert here["train_ratio.py"] != files["train_ratio.py"]


def test_a_job_of_fakes_renews_nothing(project: Project) -> None:
    before = build(project, fakes.SPEC, FIRST)
    after = build(project, merged(fakes.SPEC, {"slurm_config": {"time": "01:00:00"}}), SECOND)
    assert (after["numbers"], after["timestamp"]) == (before["numbers"], before["timestamp"])


def changed_lines(old: str, new: str) -> int:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return sum(line.startswith("+ ") for line in lines)


JOB = {"slurm_config": {"time": "01:00:00"}, "experiment_config": {"run_name": "r"}}


def mended(project: Project, tables: dict[str, Any], part: str) -> dict[str, int]:
    """How many lines of which files are others after a mend of one line in a part."""
    build(project, merged(tables, JOB), FIRST)
    before = project.files("toy")
    project.edit(f"templates/{part}", '"""', '"""Mended. ')
    build(project, merged(tables, JOB), FIRST)
    after = project.files("toy")
    assert before.keys() == after.keys()
    return {n: changed_lines(before[n], after[n]) for n in after if before[n] != after[n]}


def test_a_mend_of_a_part_changes_one_line_of_each_script_that_builds_on_it(
    project: Project,
) -> None:
    assert mended(project, SPEC, "parts/losses.py") == {
        "parts/losses.py": 1,
        "parts/SHA256SUMS": 1,
        "train_signal.py": 1,
        "submit.sbatch": 1,
        # Digests of numbers and of files.
        "resolved.toml": 2,
    }


def test_a_mend_of_a_part_that_no_script_builds_on_changes_nothing(project: Project) -> None:
    assert mended(project, SPEC, "parts/density_losses.py") == {}


def test_a_mend_of_a_part_changes_the_script_of_a_sweep_by_digests_alone(project: Project) -> None:
    sweep = merged(SPEC, {"sweep_config": {"seeds": [1, 2]}})
    found = mended(project, sweep, "parts/losses.py")
    # Each point's own plain script has another digest.
    assert found["train_signal.py"] == 1 + 2
    assert set(found) == {
        "parts/losses.py", "parts/SHA256SUMS", "train_signal.py", "submit.sbatch", "resolved.toml",
    }  # fmt: skip


def test_a_mend_of_a_part_of_the_densities_changes_the_stages_that_build_on_it(
    project: Project,
) -> None:
    found = mended(project, fakes.SPEC, "parts/density_losses.py")
    scripts = {f"train_{stage}.py" for stage in fakes.STAGES}
    assert scripts < set(found)
    # The ratio knows its parents by their digests, and the closure the ratio by its own.
    assert {name: found[name] for name in scripts} == {
        "train_numerator.py": 1,
        "train_denominator.py": 1,
        "train_ratio.py": 3,
    }
    assert "apply.py" not in found


def test_a_derived_column_that_nothing_uses_renews_nothing(project: Project) -> None:
    def numbers(**derived: str) -> object:
        changes = {"dataset_config": {"derived": derived, "numerical": ["x", "s"]}}
        return build(project, merged(SPEC, changes), FIRST)["numbers"]

    assert numbers(s="x + y", other="y") == numbers(s="x + y", other="x") == numbers(s="x + y")
    # One that a used one is derived from is used.
    assert numbers(s="x + other", other="y") != numbers(s="x + other", other="x")
