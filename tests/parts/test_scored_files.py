"""Files of scores are there whole or not at all, in every format, and refused in plain words."""

import csv
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from parts.csv_files import Csv
from parts.hdf5_files import Hdf5
from parts.machinery.exits import RefusedError, StoppedError
from parts.parquet_files import Parquet
from parts.readers import Column, Reader
from parts.root_files import Root
from parts.scored_files import FORMATS, opened
from seesawc.tables.dataset import READERS
from tests.parts.scoring import EVERY, N_EVENTS, NUMBERS, SCORES, SOME, with_numbers, write_scores

TEMPLATES = Path(__file__).parents[2] / "templates"
BIG = 200_000
READS: dict[str, Reader] = {
    ".root": Root(),
    ".h5": Hdf5(),
    ".parquet": Parquet(),
    ".csv": Csv(),
    ".csv.gz": Csv(),
}
each_ending = pytest.mark.parametrize("ending", READS)
each_way = pytest.mark.parametrize("beside", [True, False], ids=["beside", "friend"])


def events(folder: Path, ending: str, n_events: int = N_EVENTS) -> Path:
    """Write events with their numbers and a feature that no compression makes much smaller."""
    path = folder / f"events{ending}"
    number = NUMBERS if n_events == N_EVENTS else np.arange(n_events, dtype=np.uint64)
    columns = {"event": number, "x": np.random.default_rng(1).normal(size=n_events)}
    if ending == ".root":
        with uproot.recreate(path) as file:
            file.mktree("nominal", {name: held.dtype for name, held in columns.items()})
            file["nominal"].extend(columns)
    elif ending == ".h5":
        with h5py.File(path, "w") as file:
            for name, held in columns.items():
                file[name] = held
    elif ending == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        plain = path.with_name("plain.csv")
        with plain.open("w", newline="") as text:
            csv.writer(text).writerows([list(columns), *zip(*columns.values(), strict=True)])
        path.write_bytes(plain.read_bytes() if ending == ".csv" else packed(plain))
        plain.unlink()
    return path


def packed(path: Path) -> bytes:
    return subprocess.run(["gzip", "-c", path], check=True, capture_output=True).stdout


def refusal(source: Path, out: Path, **asked: Any) -> str:
    """Return why scores are refused before any were added; nothing is left of the output."""
    before = sorted(out.parent.glob("**/*"))
    with pytest.raises(RefusedError) as caught:
        write_scores(source, out, SCORES, EVERY[:0], **asked)
    assert sorted(out.parent.glob("**/*")) == before
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{source.parent}{os.sep}", "")


@contextmanager
def file_sizes_below(size: int) -> Iterator[None]:
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_scores_are_written_in_each_format_that_is_read() -> None:
    assert {*FORMATS, "/"} == set(READERS)


@each_ending
@each_way
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_reader_of_a_format_finds_all_numbers_in_order(
    tmp_path: Path, ending: str, beside: bool, size: int
) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    given = SCORES if beside else with_numbers()
    write_scores(source, out, given, SOME, size=size, beside=beside)
    with READS[ending].open(out) as table:
        expected = with_numbers()
        (found,) = table.chunks(list(expected), N_EVENTS)
        assert table.schema.n_events == SOME.sum()
        assert set(table.schema.columns) == {*expected, *(["x"] if beside else [])}
        for name, values in expected.items():
            column = found[name]
            assert isinstance(column, Column)
            assert column.absent is None
            # A CSV file has no types, but all digits.
            cells = column.values.astype(values.dtype) if "csv" in ending else column.values
            assert cells.dtype == values.dtype
            np.testing.assert_array_equal(cells, values[SOME])


@pytest.mark.parametrize("source_ending", READS)
@each_ending
def test_a_friend_may_be_of_another_format(tmp_path: Path, source_ending: str, ending: str) -> None:
    out = tmp_path / f"out{ending}"
    write_scores(events(tmp_path, source_ending), out, with_numbers(), beside=False)
    with READS[ending].open(out) as table:
        assert list(table.schema.columns) == list(with_numbers())
        assert table.schema.n_events == N_EVENTS


def test_scores_stand_beside_events_of_their_own_format_only(tmp_path: Path) -> None:
    source = events(tmp_path, ".parquet")
    assert refusal(source, tmp_path / "out.root") == (
        "'out.root' is no file of the kind of 'events.parquet', so that the events cannot be "
        "copied; --friend writes the scores alone"
    ).replace("'out.root'", repr(str(tmp_path / "out.root")).replace(f"{tmp_path}{os.sep}", ""))


@each_ending
@each_way
def test_what_exists_is_replaced_only_if_asked(tmp_path: Path, ending: str, beside: bool) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    out.write_text("old")
    given = SCORES if beside else with_numbers()
    with pytest.raises(RefusedError, match="exists; --overwrite replaces it"):
        write_scores(source, out, given, beside=beside)
    assert out.read_text() == "old"
    write_scores(source, out, given, beside=beside, overwrite=True)
    with READS[ending].open(out) as table:
        assert table.schema.n_events == N_EVENTS
    assert sorted(tmp_path.iterdir()) == sorted([source, out])


@each_ending
@each_way
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, ending: str, beside: bool
) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    out.write_text("old")
    given = SCORES if beside else with_numbers()
    dtypes = {name: values.dtype for name, values in given.items()}

    def stopped() -> None:
        asked: dict[str, Any] = {
            "table": None,
            "beside": beside,
            "columns": dtypes,
            "overwrite": True,
        }
        with opened(source, out, **asked) as scored:
            scored.add({name: values[:9] for name, values in given.items()}, EVERY[:9])
            raise StoppedError(143)

    with pytest.raises(StoppedError):
        stopped()
    assert out.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == sorted([source, out])


@each_ending
@each_way
def test_a_full_disk_is_an_error_and_leaves_nothing(
    tmp_path: Path, small_disk: Path, ending: str, beside: bool
) -> None:
    source = events(tmp_path, ending, BIG)
    wide = {f"score_{i}": np.random.default_rng(i).random(BIG) for i in range(4)}
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_scores(
            source, small_disk / f"out{ending}", wide, np.ones(BIG, bool), size=9999, beside=beside
        )
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == 28
    assert list(small_disk.iterdir()) == []


@each_ending
@each_way
@pytest.mark.parametrize("limit", [0, 1000, 4000, 10_000])
def test_a_file_that_may_not_grow_is_an_error_and_leaves_nothing(
    tmp_path: Path, ending: str, beside: bool, limit: int
) -> None:
    source, n_events = events(tmp_path, ending, 5000), 5000
    wide = {"score": np.random.default_rng(7).random(n_events)}
    with pytest.raises(OSError, match="File too large"), file_sizes_below(limit):
        write_scores(
            source,
            tmp_path / f"out{ending}",
            wide,
            np.ones(n_events, bool),
            size=999,
            beside=beside,
        )
    assert list(tmp_path.iterdir()) == [source]


@each_ending
@pytest.mark.parametrize("count", [N_EVENTS - 1, N_EVENTS + 1])
def test_events_that_are_not_those_of_the_file_are_refused(
    tmp_path: Path, ending: str, count: int
) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    other = {"score": np.zeros(count)}
    with pytest.raises(RefusedError, match="has changed while it was scored"):
        write_scores(source, out, other, np.ones(count, bool))
    assert list(tmp_path.iterdir()) == [source]


@each_ending
def test_a_column_that_is_there_is_not_written_twice(tmp_path: Path, ending: str) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    with pytest.raises(
        RefusedError, match=r"has a column 'x' already; --prefix TEXT names .* and --friend"
    ):
        write_scores(source, out, {"x": SCORES["score"]})
    assert list(tmp_path.iterdir()) == [source]


def test_places_where_nothing_can_be_written_are_named(tmp_path: Path) -> None:
    source = events(tmp_path, ".parquet")
    (tmp_path / "folder.parquet").mkdir()
    found = [
        refusal(source, tmp_path / name, overwrite=True)
        for name in (
            "out.txt",
            "no/out.parquet",
            "folder.parquet",
            "events.parquet",
            f"{'n' * 250}.parquet",
        )
    ]
    assert found[0].endswith("'out.txt' does not end in one of " + ", ".join(FORMATS))
    assert found[1] == "there is no folder 'no' for 'out.parquet'"
    assert found[2] == "'folder.parquet' is a folder"
    assert found[3] == "'events.parquet' is the file of the events itself"
    assert found[4].endswith("File name too long")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    source = events(tmp_path, ".parquet")
    # Not even root makes files there.
    out = Path("/proc/self/out.parquet")
    with pytest.raises(RefusedError, match=r"cannot write '/proc/self/out.parquet': "):
        write_scores(source, out, SCORES)


def test_a_link_to_the_events_is_not_written_to(tmp_path: Path) -> None:
    source, link = events(tmp_path, ".csv"), tmp_path / "link.csv"
    link.symlink_to(source)
    assert "is the file of the events itself" in refusal(source, link, overwrite=True)


FOREIGN = {
    ".root": {"h5py", "pyarrow"},
    ".h5": {"uproot", "awkward", "pyarrow"},
    ".parquet": {"uproot", "awkward", "h5py"},
    ".csv": {"uproot", "awkward", "h5py"},
}


@each_way
@pytest.mark.parametrize("ending", FOREIGN)
def test_a_format_is_written_without_the_libraries_of_others(
    tmp_path: Path, ending: str, beside: bool
) -> None:
    source, out = events(tmp_path, ending), tmp_path / f"out{ending}"
    others = {"torch", "lightning", "onnxruntime", "seesawc", *FOREIGN[ending]}
    code = f"""
import sys
from pathlib import Path
import numpy as np
# As if they were not installed.
sys.modules |= dict.fromkeys({others!r})
from parts.scored_files import opened
assert not {{"uproot", "h5py", "pyarrow.lib"}} & set(sys.modules) - {others!r}
source, out, names = Path({str(source)!r}), Path({str(out)!r}), {{"score": np.dtype("f4")}}
with opened(source, out, table=None, beside={beside}, columns=names) as s:
    s.add({{"score": np.zeros({N_EVENTS}, "f4")}}, np.ones({N_EVENTS}, bool))
# A quarter of a second, where it is installed.
assert "pandas" not in sys.modules
"""
    place = {**os.environ, "PYTHONPATH": str(TEMPLATES)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=place, capture_output=True, text=True, check=False
    )
    assert (done.stderr, out.is_file()) == ("", True)
