"""A run that somebody has begun from another folder is named before it begins anew."""

from pathlib import Path

import pytest

from parts.machinery.elsewhere import elsewhere

LOGS = "${ANALYSIS_ML_LOGS_DIR}"


def begun(run: Path, *, done: bool = False) -> Path:
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    if done:
        (run / "done").touch()
    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR", raising=False)
    folder = tmp_path / "repository" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_folders_above_and_homes_are_looked_at(here: Path, tmp_path: Path) -> None:
    run = here / "logs" / "toy" / "r"
    above = begun(tmp_path / "repository" / "logs" / "toy" / "r", done=True)
    home = begun(tmp_path / "home" / "logs" / "toy" / "r")
    finished, other = elsewhere(LOGS, run, [tmp_path / "home", tmp_path, here])
    assert finished.startswith(f"r is finished elsewhere: {above};")
    assert f"ANALYSIS_ML_LOGS_DIR={tmp_path}/repository/logs is where that goes on" in finished
    assert other.startswith(f"r has begun elsewhere: {home};")


def test_nothing_is_said_where_a_run_goes_on_or_a_place_is_named(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = here / "logs" / "toy" / "r"
    begun(tmp_path / "repository" / "logs" / "toy" / "r")
    assert elsewhere("runs", here / "runs" / "toy" / "r", []) == []
    monkeypatch.setenv("ANALYSIS_ML_LOGS_DIR", "logs")
    assert elsewhere(LOGS, run, []) == []
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR")
    assert len(elsewhere(LOGS, run, [])) == 1
    begun(run)
    assert elsewhere(LOGS, run, []) == []
