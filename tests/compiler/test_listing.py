from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from seesawc.jobs.listing import Row, order, records, table
from seesawc.jobs.progress import Progress, State
from seesawc.writing.runs import PlannedRun


def row(index: int, state: State, best: float | None = None, **values: Any) -> Row:
    keys = {name.replace("__", "."): value for name, value in values.items()}
    run = PlannedRun(index, f"run-{index}", f"id-{index}", keys)
    return Row(
        run, Path(f"/logs/run-{index}"), 30, "val_auc", Progress(state, 3 if best else 0, best)
    )


ROWS = [
    row(0, "failed", 0.99),
    row(1, "done", 0.7),
    row(2, "running", 0.8),
    row(3, "done", 0.9),
    row(4, "not started"),
    row(5, "done"),
    row(6, "running", 0.85),
    row(7, "running"),
]


@pytest.mark.parametrize(
    ("by", "mode", "expected"),
    [
        ("best", "max", [3, 1, 5, 6, 2, 7, 0, 4]),
        ("best", "min", [1, 3, 5, 2, 6, 7, 0, 4]),
        ("index", "max", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_done_runs_come_first_then_running_ones(by: Any, mode: str, expected: list[int]) -> None:
    assert [row.run.index for row in order(ROWS[::-1], by, mode)] == expected


def test_a_table_is_aligned_and_names_options_by_their_last_part() -> None:
    rows = [
        row(0, "done", 0.91234567, optimizer__lr=0.001, a__width=8, b__width=9),
        row(1, "not started", optimizer__lr=0.01, a__width=16, b__width=9),
    ]
    assert table(rows) == (
        "state        epoch  best val_auc  lr     a.width  b.width  path\n"
        "done         3/30   0.912346      0.001  8        9        /logs/run-0\n"
        "not started  -      -             0.01   16       9        /logs/run-1\n"
        "1 done, 1 not started"
    )


def test_rows_of_several_monitors_have_no_common_title() -> None:
    rows = [row(0, "done", 0.9), evolve(row(1, "done", 0.8), monitor="val_loss")]
    assert table(rows).splitlines()[0] == "state  epoch  best  path"


def test_records_hold_what_the_table_shows_and_more() -> None:
    (record,) = records([row(3, "done", 0.9, optimizer__lr=0.1)])
    assert record == {
        "index": 3,
        "name": "run-3",
        "again": "",
        "identity": "id-3",
        "state": "done",
        "reason": "",
        "epoch": 3,
        "max_epochs": 30,
        "monitor": "val_auc",
        "best": 0.9,
        "values": {"optimizer.lr": 0.1},
        "jobs": [],
        "path": "/logs/run-3",
    }
