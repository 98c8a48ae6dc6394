"""The compiler and the scripts, which may not import each other, agree on what both must know."""

from pathlib import Path

import pytest

from parts.machinery import exits, places
from parts.machinery import locks as script_locks
from seesawc.cli import commands
from seesawc.diagnostics import CompileError
from seesawc.jobs import progress

STATUSES = {
    value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)
}


def test_every_way_to_end_has_a_state() -> None:
    assert set(progress.ENDED) == STATUSES - {exits.DONE, exits.FAILED}


def test_a_signal_ends_a_command_as_it_ends_a_script() -> None:
    assert exits.SIGNALS == commands.SIGNALS


def test_a_run_is_given_up_only_after_several_beats() -> None:
    assert progress.HEARTBEAT >= script_locks.BEATS_MISSED * script_locks.BEAT


@pytest.mark.parametrize(
    "place", ["logs", "/srv/logs", "${SITE}/logs", "${ANALYSIS_ML_LOGS_DIR}/x", "${SITE}"]
)
@pytest.mark.parametrize("site", ["/scratch", "below"])
def test_a_place_is_where_the_script_finds_it(
    place: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SITE", site)
    monkeypatch.delenv("ANALYSIS_ML_LOGS_DIR", raising=False)
    base = tmp_path / "specs"
    assert progress.expand(place, base)[0] == places.expand(place, base)


@pytest.mark.parametrize("value", [None, ""])
def test_both_refuse_a_variable_that_is_not_set(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("SITE", raising=False)
    else:
        monkeypatch.setenv("SITE", value)
    with pytest.raises(CompileError):
        progress.expand("${SITE}/x", tmp_path)
    with pytest.raises(exits.RefusedError):
        places.expand("${SITE}/x", tmp_path)
