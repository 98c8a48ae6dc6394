"""The code that runs: a folder copied elsewhere, files that somebody edited, what is kept of it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.runs.experiments import EXPERIMENT, Run, Workshop, same
from tests.spec_tables import edited

LOSS = "parts/losses.py"
ONE = {"training_config": {"max_epochs": 1}}


def code(run: Run) -> Path:
    """Return where the code that ran is kept."""
    return run.path.parent / str(run.json("run.json")["code"])


def edit(path: Path) -> None:
    """Halve a loss, or a learning rate."""
    old, new = ("LR = 0.01\n", "LR = 0.005\n")
    if path.name == "losses.py":
        old, new = "    return functional.binary_cross", "    return 0.5 * functional.binary_cross"
    path.write_text(edited(path.read_text(), old, new))


@pytest.fixture(scope="module")
def plain(workshop: Workshop) -> Path:
    """A script that has trained, as the run `plain`."""
    script = workshop.build("plain", **ONE)
    workshop.run(script).done()
    return script


def test_a_folder_copied_elsewhere_runs_there(workshop: Workshop, plain: Path) -> None:
    place = workshop.folder / "elsewhere"
    shutil.copytree(plain.parent, place / "generated" / "plain")
    shutil.copytree(workshop.folder / "data", place / "data")
    (place / "specs").mkdir()
    places = {"ANALYSIS_ML_LOGS_DIR": str(place / "logs")}
    workshop.run(place / "generated" / "plain" / plain.name, cold=True, **places).done()
    run = workshop.found("plain", "elsewhere/logs")
    assert same(run.weights(), workshop.found("plain").weights())
    assert run.json("run.json")["script"] == workshop.found("plain").json("run.json")["script"]


def test_the_code_that_ran_is_kept_whole(workshop: Workshop, plain: Path) -> None:
    kept = code(workshop.found("plain"))
    assert kept.parent == workshop.folder / "logs" / EXPERIMENT / ".code"
    files = [path for path in kept.rglob("*") if path.is_file() and path.name != "run"]
    assert {path.relative_to(kept).as_posix() for path in files} >= {
        *("train_signal.py", "resolved.toml", LOSS, "parts/machinery/launches.py"),
    }
    for path in files:
        assert path.read_bytes() == (plain.parent / path.relative_to(kept)).read_bytes()
    lines = [f"{digest(p)}  {p.relative_to(kept).as_posix()}" for p in files if p.suffix == ".py"]
    text = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split("  ")[1]))
    assert kept.name == hashlib.sha256(text.encode()).hexdigest()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_runs_of_the_same_code_keep_it_once(workshop: Workshop, plain: Path) -> None:
    first = workshop.found("plain")
    before = {path: path.stat().st_mtime_ns for path in code(first).rglob("*")}
    workshop.run(plain, "--again", "b").done()
    second = workshop.found("plain+b")
    assert code(second) == code(first)
    assert {path: path.stat().st_mtime_ns for path in code(first).rglob("*")} == before
    assert [name for name in first.artifacts() if ".code" in name] == [f".code/{code(first).name}"]
    assert [name for name in second.artifacts() if ".code" in name] == []
    for run, sent in ((first, True), (second, False)):
        (entry,) = run.entries()
        assert entry.data.tags["code"] == run.json("run.json")["code"]
        listed = {file.path for file in run.client().list_artifacts(entry.info.run_id, "code")}
        assert ("code/train_signal.py" in listed) == sent


@pytest.mark.parametrize("name", ["train_signal.py", LOSS])
def test_what_was_edited_says_so_and_makes_a_run_of_its_own(workshop: Workshop, name: str) -> None:
    stem = f"edited_{Path(name).stem}"
    script = workshop.build(stem, **ONE)
    edit(script.parent / name)
    ended = workshop.run(script).done()
    assert f"edited by hand: {name}" in ended.output
    run = workshop.found(stem)
    assert run.json("run.json")["edited"] == [name]
    assert run.json("done")["script"] == run.json("run.json")["script"] != digest(script) or (
        name == script.name
    )
    assert (code(run) / name).read_bytes() == (script.parent / name).read_bytes()
    # It is not what ran.
    assert not (code(run) / "resolved.toml").exists()
    (entry,) = run.entries()
    assert entry.data.tags["edited"] == name
    assert entry.data.params["lr"] == ("0.005" if name == script.name else "0.01")
    assert not [param for param in entry.data.params if "." in param]
    # Nothing tells of it once more.
    assert "edited" in workshop.run(script).output


@pytest.mark.parametrize("name", ["train_signal.py", LOSS])
def test_a_run_that_had_begun_refuses_what_was_edited_since(workshop: Workshop, name: str) -> None:
    stem = f"begun_{Path(name).stem}"
    script = workshop.build(stem, **ONE)
    workshop.run(script).done()
    run = workshop.found(stem)
    before = run.files()
    edit(script.parent / name)
    workshop.run(script).refused("belongs to another version", name, "edited by hand")
    assert run.files() == before
    (run.path / "done").unlink()
    workshop.run(script).refused("belongs to another version", name)


def test_a_run_that_had_begun_says_which_files_a_new_build_has_otherwise(
    workshop: Workshop,
) -> None:
    script = workshop.build("rebuilt", **ONE)
    workshop.run(script).done()
    again = workshop.build("rebuilt", training_config={"max_epochs": 2})
    assert again == script
    ended = workshop.run(script)
    ended.refused("another version of this script: train_signal.py")
    assert "edited by hand" not in ended.error


@pytest.mark.parametrize("name", ["train_signal.py", LOSS])
def test_a_batch_job_refuses_what_was_edited(workshop: Workshop, name: str) -> None:
    script = workshop.build(f"batch_{Path(name).stem}", **ONE)
    edit(script.parent / name)
    workshop.run(script, "--srun", SLURM_PROCID="0", SLURM_NTASKS="1").refused(
        f"edited by hand: {name}", "build the spec again"
    )


def test_the_points_of_a_sweep_share_what_is_kept(workshop: Workshop) -> None:
    script = workshop.build("points", **ONE, sweep_config={"seeds": [1, 2]})
    workshop.run(script, "--all").done()
    runs = [Run(p) for p in script.parents[2].glob(f"logs/{EXPERIMENT}/points-*")]
    assert len(runs) == 2
    assert len({code(run) for run in runs}) == 1
    assert sum(any(".code" in name for name in run.artifacts()) for run in runs) == 1
    for run in runs:
        # But for what applies the network, which is handed on with it.
        kept = {path.relative_to(run.path).parts[0] for path in run.path.rglob("*.py")}
        assert kept == {"deploy"}
        assert not list(run.path.rglob("*.toml"))


def test_trackers_get_each_setting_once(workshop: Workshop, plain: Path) -> None:
    (entry,) = workshop.found("plain").entries()
    params = entry.data.params
    assert params["lr"] == "0.01"
    assert params["seed"] == "1"
    assert params["act"] == "ReLU"
    assert params["model"] == "MLP"
    assert params["model_config.name"] == "sigBkgClassifier"
    for name in params:
        *above, last = name.split(".")
        assert not (above and last in params), name
    assert "train_signal.py" not in json.dumps(params)
