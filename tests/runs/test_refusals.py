"""What cannot be trained on is refused: status 1, one clear message, and nothing lost."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.runs.experiments import NOBODY, Workshop, events, new_workshop, reading
from tests.runs.starts import Warm

Change = Callable[[pd.DataFrame], pd.DataFrame]


def with_values(**columns: float) -> Change:
    return lambda frame: frame.assign(**columns)


def with_value(column: str, value: float | str) -> Change:
    """Change two events, one of each class."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].to_list()
        values[5:7] = [value, value]
        return frame.assign(**{column: values})

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("column", lambda f: f.drop(columns="y"), ("ggH", "qqZZ", "no column 'y'")),
        ("nan", with_value("x", "nan"), ("nan or infinite values in x (1 events)",)),
        ("infinite", with_value("y", np.inf), ("nan or infinite values in y (1 events)",)),
        ("weight_nan", with_value("weight", np.inf), ("nan or infinite weights",)),
        ("null", with_value("weight", np.nan), ("weight does not exist for 1 events",)),
        ("weightless", with_values(weight=0.0), ("train: class background has", "sum 0")),
        ("few", lambda f: f.assign(weight=1.0).head(4), ("validation: class", "has 0 events")),
        ("none", lambda f: f.head(0), ("ggH: there is no event in", "none.csv")),
        ("one_class", with_values(process=1), ("qqZZ: no event is left",)),
        ("categories", with_values(n_jets=0.5), ("must be whole numbers",)),
        ("numberless", with_values(event=1.5), ("'event' does not hold whole numbers",)),
    ],
)
def test_data_that_cannot_be_used(
    workshop: Workshop, name: str, change: Change, words: tuple[str, ...]
) -> None:
    data = workshop.folder / "data"
    frame = change(events(401))
    frame.to_csv(data / f"{name}.csv", index=False)
    frame.astype(dict.fromkeys(frame, float) if len(frame) > 99 else {}).astype(
        {"event": float if name == "numberless" else int}
    ).to_parquet(data / f"{name}.parquet")
    workshop.run(workshop.build(name, **reading(name))).refused(*words)
    assert not [*(workshop.found(name).path / "checkpoints").glob("*.ckpt")]


def test_text_in_a_column_of_numbers(workshop: Workshop) -> None:
    data = workshop.folder / "data"
    for column in ("x", "weight", "event"):
        stem = f"text_{column}"
        with_value(column, "much")(events(401)).to_csv(data / f"{stem}.csv", index=False)
        events(401).to_parquet(data / f"{stem}.parquet")
        word = {"x": "'x' holds texts", "weight": "weight", "event": "column 'event'"}[column]
        workshop.run(workshop.build(stem, **reading(stem))).refused(word)


@pytest.mark.parametrize("fault", ["missing", "empty", "damaged", "folder", "binary"])
def test_files_that_cannot_be_read(workshop: Workshop, fault: str) -> None:
    data = workshop.folder / "data"
    files = [data / f"{fault}.csv", data / f"{fault}.parquet"]
    for path in files:
        good = (data / f"toy{path.suffix}").read_bytes()
        if fault == "empty":
            path.touch()
        elif fault == "damaged":
            path.write_bytes(good[:50] if path.suffix == ".csv" else good[:-20])
        elif fault == "folder":
            path.mkdir()
        elif fault == "binary":
            path.write_bytes(b"\xff\xfe\x00\x9f" * 100)
    ended = workshop.run(workshop.build(fault, **reading(fault)))
    # Both are named at once; half a CSV file is one, too, but for its values.
    ended.refused(*map(str, files[fault == "damaged" :]))


def test_a_truncated_archive_is_refused(workshop: Workshop) -> None:
    data = workshop.folder / "data"
    whole = data / "whole.csv.gz"
    events(401).to_csv(whole, index=False)
    (data / "half.csv.gz").write_bytes(whole.read_bytes()[:-5000])
    changes = reading("toy")
    changes["dataset_config"]["samples"][0]["files"] = ["../data/half.csv.gz"]
    workshop.run(workshop.build("half", **changes)).refused("half.csv.gz")


def test_data_that_changed_between_two_starts(workshop: Workshop) -> None:
    workshop.write(events(401), "changing")
    script = workshop.build("changing", **reading("changing"))
    workshop.run(script).done()
    run = workshop.found("changing")
    # As if the run had been interrupted.
    (run.path / "done").unlink()
    before = run.files()
    workshop.write(events(403), "changing")
    words = (str(workshop.folder / "data" / "changing.csv"), "--accept-data")
    workshop.run(script).refused("data changed since the run began", *words)
    assert run.files() == before
    workshop.run(script, "--accept-data").done()
    assert run.json("run.json")["data"] != {}


def test_a_pinned_fingerprint(workshop: Workshop) -> None:
    path = workshop.folder / "data" / "toy.csv"
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    for name, digest in (("pinned", right), ("mispinned", "0" * 64)):
        changes = reading("toy", fingerprints={"../data/toy.csv": digest})
        script = workshop.build(name, **changes, training_config={"max_epochs": 1})
        if digest == right:
            workshop.run(script).done()
        else:
            workshop.run(script).refused("has changed", right, "0" * 64)
            assert not (workshop.found(name).path / "metrics.jsonl").exists()


@pytest.fixture
def open_workshop(warm: Warm) -> Iterator[Workshop]:
    """A folder that everybody may enter; pytest's are for their owner only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield new_workshop(Path(name), warm)


def test_a_run_folder_that_cannot_be_written(open_workshop: Workshop) -> None:
    logs = open_workshop.folder / "logs"
    logs.mkdir()
    logs.chmod(0o555)
    script = open_workshop.build("unwritable")
    user = {"TOY_USER": str(NOBODY)} if os.getuid() == 0 else {}
    run = open_workshop.found("unwritable")
    open_workshop.run(script, variables=user).refused(
        f"cannot write to {run.path}", "Permission denied"
    )
    assert list(logs.iterdir()) == []


def test_a_file_in_the_place_of_the_run_folder(workshop: Workshop) -> None:
    (workshop.folder / "blocked").touch()
    script = workshop.build("blocked")
    workshop.run(script, ANALYSIS_ML_LOGS_DIR=str(workshop.folder / "blocked")).refused("cannot")


def test_a_results_folder_that_cannot_be_written_costs_only_the_plots(workshop: Workshop) -> None:
    script = workshop.build("plotless", experiment_config={"plot_metrics_n_epoch": 1})
    (workshop.folder / "nowhere").touch()
    ended = workshop.run(script, ANALYSIS_ML_RESULTS_DIR=str(workshop.folder / "nowhere"))
    assert ended.status == 0, ended
    assert "warning: plots were not drawn" in ended.output
    ended.quiet()
    assert workshop.found("plotless").json("done")


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        (
            "captured",
            {
                "experiment_config": {"accelerator": "auto"},
                "training_config": {
                    "optimizer": {
                        "optimizer_name": "Adam",
                        "optimizer_params": {"capturable": True},
                    }
                },
            },
            "capturable is for GPUs, and this training is on a CPU",
        ),
        (
            "too_short",
            {
                "training_config": {
                    "max_epochs": 2,
                    "scheduler": {
                        "scheduler_name": "OneCycleLR",
                        "scheduler_params": {"max_lr": 0.1, "total_steps": 3},
                    },
                }
            },
            "OneCycleLR ends after total_steps = 3, and the training has",
        ),
        (
            "too_wide",
            {"model_config": {"architecture_config": {"n_hidden": 600_000}}},
            "smaller n_hidden or n_layers",
        ),
    ],
)
def test_what_cannot_be_trained_here_is_refused_before_it_is(
    workshop: Workshop, name: str, changes: dict[str, Any], words: str
) -> None:
    script = workshop.build(name, **changes)
    workshop.run(script, CUDA_VISIBLE_DEVICES="").refused(words)
    assert not list(workshop.found(name).path.glob("checkpoints/*.ckpt"))


def test_srun_by_hand_is_refused(workshop: Workshop) -> None:
    workshop.run(workshop.build("by_hand"), "--srun").refused("leave --srun out")
