import tomllib
from pathlib import Path
from typing import Any

import pytest

from seesawc import pipeline
from seesawc.tables.resolution import numbers as numbers_of
from seesawc.tables.resolution import options
from tests.spec_tables import edited

BASE = (Path(__file__).parents[1] / "errors" / "base.toml").read_text(encoding="utf-8")
SEED = "seed = 1\n"


def record(text: str, folder: Path) -> str:
    path = folder / "h4l.toml"
    path.write_text(text, encoding="utf-8")
    return pipeline.compile_spec(path, folder / "generated").files["resolved.toml"]


def line(name: str, text: str) -> str:
    (found,) = [line for line in text.split("\n") if line.startswith(f"{name} = ")]
    return found


def numbers(text: str, folder: Path) -> dict[str, str]:
    (folder / "h4l.toml").write_text(text, encoding="utf-8")
    return dict(numbers_of(pipeline.check(folder / "h4l.toml").experiment))


def test_the_record_is_toml_with_every_option_of_the_experiment(tmp_path: Path) -> None:
    text = record(BASE, tmp_path)
    data = tomllib.loads(text)
    experiment = pipeline.check(tmp_path / "h4l.toml").experiment
    for key, value in options(experiment):
        if value is None:
            assert f"# {key[-1]} is not set" in text
            continue
        found: Any = data
        for part in key:
            found = found[part]
        is_list = isinstance(value, tuple)
        if "run_name" not in key:
            assert found == (list(value) if is_list else value), key


def test_every_option_says_where_its_value_came_from(tmp_path: Path) -> None:
    text = record(BASE, tmp_path)
    assert line("seed", text) == "seed = 1  # spec"
    assert line("accelerator", text) == 'accelerator = "auto"  # default'
    assert line("save_dir", text) == (
        'save_dir = "${ANALYSIS_ML_LOGS_DIR}"  # default, environment at run time'
    )
    assert "# partition is not set  # default" in text
    options_of_it = [ln for ln in text.split("[build]")[0].split("\n") if " = " in ln]
    assert all(ln.rpartition("# ")[2].startswith(("spec", "default")) for ln in options_of_it)


def test_a_path_of_the_spec_with_a_name_is_of_the_spec(tmp_path: Path) -> None:
    text = record(BASE.replace(SEED, f'{SEED}save_dir = "${{HOME}}/x"\n'), tmp_path)
    assert line("save_dir", text).startswith('save_dir = "${HOME}/x"  # spec')


@pytest.mark.parametrize(
    "value", ["it's", 'say "x"', "a\\b", "{{ x }}", "# no comment", "{COMET_API_KEY}", "]"]
)
def test_texts_come_back_as_they_were(value: str, tmp_path: Path) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    comet = f'comet_api_key = "${{COMET_API_KEY}}"\ncomet_project_name = "{escaped}"\n'
    data = tomllib.loads(record(BASE.replace(SEED, SEED + comet), tmp_path))
    assert data["experiment_config"]["comet_project_name"] == value


def test_nested_values_come_back_as_they_were(tmp_path: Path) -> None:
    text = BASE.replace("{ lr = 1e-3 }", "{ lr = 1e-7, betas = [0.5, 0.75], amsgrad = true }")
    digest = "0a" * 32
    text = text.replace(
        "weight = ", f'fingerprints = {{ "d/\'a b\'.csv" = "{digest}" }}\nweight = '
    ).replace("data/h4l.parquet", "d/'a b'.csv")
    data = tomllib.loads(record(text.replace(SEED, f"{SEED}devices = 3\n"), tmp_path))
    assert data["training_config"]["optimizer"]["optimizer_params"] == {
        "lr": 1e-7,
        "fused": True,
        "betas": [0.5, 0.75],
        "amsgrad": True,
    }
    assert data["dataset_config"]["fingerprints"] == {"d/'a b'.csv": digest}


def test_the_build_table_holds_digests_of_all_files(tmp_path: Path) -> None:
    build = tomllib.loads(record(BASE, tmp_path))["build"]
    # The list of digests has those of parts.
    scripts = {"train_signal.py", "apply.py", "submit.sbatch"}
    assert set(build["files"]) == {*scripts, "parts/SHA256SUMS"}
    digests = (build["numbers"]["signal"], build["spec"], *build["files"].values())
    assert all(len(digest) == 64 for digest in digests)
    assert build["timestamp"].keys() == {"signal"}
    assert build["run_name"].startswith("h4l_MLP_")


def test_a_record_of_a_record_is_possible(tmp_path: Path) -> None:
    # Without [build], a record is a spec of the same experiment, with nothing left open.
    text = record(BASE, tmp_path).split("\n[build]")[0]
    for name in ("tasks_per_node",):
        text = "\n".join(ln for ln in text.split("\n") if not ln.startswith(f"{name} = "))
    text = edited(text, "loss_params = {}", "")
    assert numbers(text, tmp_path) == numbers(BASE, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        'run_name = "x"',
        'save_dir = "x"',
        'tracker_path = "x"',
        'comet_api_key = "${COMET_API_KEY}"',
        "log_every_n_steps = 7",
        "plot_metrics_n_epoch = 7",
        "tqdm_refresh_rate = 7",
    ],
)
def test_what_is_only_shown_or_stored_changes_no_numbers(change: str, tmp_path: Path) -> None:
    changed = numbers(edited(BASE, SEED, f"{SEED}{change}\n"), tmp_path)
    assert changed == numbers(BASE, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (SEED, "seed = 2\n"),
        (SEED, ""),
        (SEED, f"{SEED}precision = 64\n"),
        (SEED, f'{SEED}accelerator = "cpu"\n'),
        (SEED, f"{SEED}check_eval_n_epoch = 2\n"),
        ("lr = 1e-3", "lr = 1e-4"),
        ("max_epochs = 30", "max_epochs = 31"),
        ("process == 1", "process == 2"),
        ('"lep1_eta"', '"lep1_phi"'),
        ("data/h4l", "data/h5l"),
        ('model = "MLP"', 'model = "ResNet"'),
    ],
)
def test_what_is_trained_changes_the_numbers(old: str, new: str, tmp_path: Path) -> None:
    assert numbers(BASE.replace(old, new), tmp_path) != numbers(BASE, tmp_path)


def test_the_batch_job_changes_no_numbers(tmp_path: Path) -> None:
    assert numbers(edited(BASE, "04:00:00", "05:00:00"), tmp_path) == numbers(BASE, tmp_path)


@pytest.mark.parametrize("requeue", ["true", "false"])
def test_every_job_is_warned_as_long_before_its_end_as_the_spec_says(
    requeue: str, tmp_path: Path
) -> None:
    path = tmp_path / "specs" / "h4l.toml"
    path.parent.mkdir()
    path.write_text(f"{BASE}requeue = {requeue}\nsignal_lead = 77\n")
    batch = pipeline.compile_spec(path, tmp_path / "generated" / "h4l").files["submit.sbatch"]
    assert "\n#SBATCH --signal=USR2@77\n" in batch
    assert f"\n#SBATCH --{'' if requeue == 'true' else 'no-'}requeue\n" in batch
