"""Comet without a network: what a run sends is in an archive on disk, and the key is nowhere."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from seesawc import package
from seesawc.writing.parts import needed_by
from tests.runs.experiments import Run, Workshop
from tests.runs.starts import Ended

KEY = "s3nt1nelS3nt1nelS3nt1nel"
CHANGES: dict[str, Any] = {
    "experiment_config": {
        "comet_api_key": "${NIGHT_COMET_KEY}",
        "comet_project_name": "higgs-toys",
        "plot_metrics_n_epoch": 2,
        "log_every_n_steps": 7,
    }
}


@pytest.fixture(scope="module")
def archived(workshop: Workshop) -> tuple[Run, Ended, dict[str, bytes]]:
    """A run, how it ended, and the files of its one archive."""
    folder = workshop.folder / "archives"
    offline = {
        "COMET_START_ONLINE": "0",
        "COMET_OFFLINE_DIRECTORY": str(folder),
        "HOME": str(workshop.folder / "home"),
    }
    script = workshop.build("comet", **CHANGES)
    ended = workshop.run(script, cold=True, NIGHT_COMET_KEY=KEY, variables=offline)
    assert ended.status == 0, ended
    (path,) = folder.glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return workshop.found("comet"), ended, files


def messages(files: dict[str, bytes]) -> list[dict[str, Any]]:
    lines = files["messages.json"].decode().splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    return [line.get("payload", line) for line in found]


def test_comet_api_key(archived: tuple[Run, Ended, dict[str, bytes]]) -> None:
    run, _, files = archived
    sent = [m["metric"] for m in messages(files) if m.get("metric")]
    for name, values in run.recorded().items():
        found = {m["step"]: float(m["metricValue"]) for m in sent if m["metricName"] == name}
        assert found == pytest.approx(dict(values)), name
    assert not run.store.exists()


def test_comet_project_name(archived: tuple[Run, Ended, dict[str, bytes]]) -> None:
    _, _, files = archived
    about = json.loads(files["experiment.json"])
    assert about["project_name"] == "higgs-toys"


def test_comet_has_the_plots_and_the_code(
    archived: tuple[Run, Ended, dict[str, bytes]], workshop: Workshop
) -> None:
    run, _, files = archived
    text = files["messages.json"].decode()
    for name in ("epoch_0002/roc.png", "test/scores.png", "train_signal.py", "resolved.toml"):
        assert name in text, name
    # Those of an epoch, and the last ones of validation and test, these as PDF, too; the history
    # is that of both.
    pngs, pdfs = (
        sum(content.startswith(kind) for content in files.values())
        for kind in (b"\x89PNG", b"%PDF")
    )
    assert (pngs, pdfs) == (18, 12)
    # And nothing else: Comet itself would take any source code that it finds.
    kinds = [message["upload_type"] for message in messages(files) if "upload_type" in message]
    # Others lie there for apply.py.
    script = workshop.folder / "generated" / "comet" / "train_signal.py"
    parts = needed_by(package.templates(), script.read_text())
    assert len(parts) > 20
    # Besides, the script, what it was compiled from, and which run they are of.
    assets = 3 + len(parts) + pdfs + len(run.deployed())
    assert sorted(kinds) == ["asset"] * assets + ["visualization"] * pngs


def test_a_key_that_is_not_set_is_missed_where_something_is_to_be_sent(
    archived: tuple[Run, Ended, dict[str, bytes]], workshop: Workshop
) -> None:
    script = workshop.folder / "generated" / "comet" / "train_signal.py"
    for arguments in (["--sync"], ["--again", "x"]):
        workshop.run(script, *arguments).refused("NIGHT_COMET_KEY is not set")
    assert "is finished" in workshop.run(script).done().output


def test_the_key_is_nowhere(
    archived: tuple[Run, Ended, dict[str, bytes]], workshop: Workshop
) -> None:
    _, ended, files = archived
    assert KEY not in ended.output + ended.error
    assert not [name for name, content in files.items() if KEY.encode() in content]
    searched = [path for path in workshop.folder.rglob("*") if path.is_file()]
    assert not [path for path in searched if KEY.encode() in path.read_bytes()]
    kinds = {path.suffix for path in searched}
    assert kinds >= {".ckpt", ".py", ".toml", ".json", ".jsonl", ".out", ".err", ".zip"}


def test_comet_takes_no_settings_of_the_machine(
    archived: tuple[Run, Ended, dict[str, bytes]],
) -> None:
    _, _, files = archived
    # What it says itself; the code that it keeps may speak of such places.
    text = b"".join(files[f"{name}.json"] for name in ("messages", "experiment")).decode()
    assert '"run_name"' in text
    for word in ("gitpatch", "/proc/", str(Path.cwd() / "compiler")):
        assert word not in text


def test_a_key_that_is_not_set_is_named(workshop: Workshop) -> None:
    script = workshop.build("keyless", **CHANGES)
    workshop.run(script).refused("NIGHT_COMET_KEY is not set")
