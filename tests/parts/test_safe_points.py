"""What takes long looks at the signals between two files or chunks, and stops there."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from parts import files, networks
from parts.applications import member_factors
from parts.csv_files import Csv
from parts.data_checks import find_data
from parts.datasets import EVENTS_AT_ONCE, Dataset, Sample, selected
from parts.densities import subtraction_weights
from parts.events import Events
from parts.leptons import Leptons
from parts.machinery.exits import ASKED, StoppedError
from parts.machinery.trackers import predict
from parts.readers import Column, ColumnType, Reader, Schema, Table
from tests.parts.exported import write_factor

SIZE = 200_000
NAMES: dict[str, tuple[str, ...]] = {"numerical": ("pt",), "categorical": ()}


class Counting(nn.Module):
    """A network that is told to stop while it works on its first chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        """Return (event, 1)."""
        self.calls += 1
        ASKED.status = 143
        return numerical[:, :1]


class Module:
    """As much of a classifier as predicting needs."""

    device = torch.device("cpu")
    training = False

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def eval(self) -> None:
        """Be it already."""

    def train(self, mode: bool) -> None:
        """Never be it."""

    def outputs(self, logits: Tensor, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the logits."""
        return {"logits": logits}


@dataclass(frozen=True)
class Lines:
    """Tables of one column, whose reading is told to stop when it begins."""

    schema: Schema = field(
        default_factory=lambda: Schema({"x": ColumnType("real", "real")}, 2 * EVENTS_AT_ONCE)
    )
    opened: list[Path] = field(default_factory=list)
    chunks_read: list[int] = field(default_factory=list)
    stops_at: str = "open"

    @contextmanager
    def open(self, path: Path) -> Iterator[Table]:
        """Note the file."""
        self.opened.append(path)
        if self.stops_at == "open":
            ASKED.status = 143
        yield self

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column]]:
        """Yield two chunks, and be told to stop at the first one."""
        for index in range(2):
            self.chunks_read.append(index)
            ASKED.status = 143
            yield dict.fromkeys(names, Column(np.zeros(size)))


def dataset(reader: Reader, *paths: Path) -> Dataset:
    return Dataset((Sample("s", tuple(map(str, paths)), reader, 1),), ("x",))


def stopped(work: Callable[[], object]) -> None:
    with pytest.raises(StoppedError) as stop:
        work()
    assert stop.value.status == 143


def test_predicting_stops_after_a_chunk() -> None:
    network = Counting()
    column = torch.zeros(SIZE)
    split = Events(column[:, None], column[:, None].long(), column.long(), column, column)
    stopped(lambda: predict(Module(network), split))
    assert network.calls == 1
    # Within training, tasks stop together or not at all.
    ASKED.together = True
    predict(Module(network), split)
    assert network.calls == 1 + 4


def test_subtraction_weights_stop_after_a_chunk() -> None:
    network, other = Counting(), Counting()
    column = torch.zeros(SIZE)
    leptons = Leptons(
        column[:, None],
        column[:, None].long(),
        column > 0,
        column > 0,
        column,
        np.zeros((SIZE, 1), dtype=np.uint64),
    )
    stopped(lambda: subtraction_weights(leptons, network, other))
    assert (network.calls, other.calls) == (1, 1)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in found:
        path.write_text("x\n1\n2\n")
    return found


def test_files_are_looked_at_one_by_one(paths: list[Path], tmp_path: Path) -> None:
    lines = Lines()
    stopped(lambda: find_data(dataset(lines, *paths), tmp_path))
    assert lines.opened == paths[:1]


def test_files_are_read_chunk_by_chunk(paths: list[Path]) -> None:
    lines = Lines(stops_at="read")
    data = dataset(lines, *paths)
    events = selected(data, data.samples[0], paths, ("x",))
    stopped(lambda: list(events))
    assert (lines.opened, lines.chunks_read) == (paths[:1], [0])


def test_a_csv_file_is_looked_through_block_by_block(paths: list[Path]) -> None:
    """For the types of its columns, which may take long."""
    ASKED.status = 143
    stopped(lambda: Csv().open(paths[0]).__enter__())


def test_fingerprints_are_taken_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BYTES_AT_ONCE", 4)
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    whole = files.fingerprints({"s": [path]})
    assert whole == {str(path): "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"}
    chunks = []

    class Hash:
        def update(self, chunk: bytes) -> None:
            chunks.append(chunk)
            ASKED.status = 143

    monkeypatch.setattr(hashlib, "sha256", Hash)
    stopped(lambda: files.fingerprints({"s": [path]}))
    assert chunks == [b"0123"]


def test_a_fake_factor_is_applied_in_chunks_without_losing_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Log(nn.Module):
        def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
            return torch.log(numerical)

    features = {"numerical": torch.rand(10, 1) + 1, "categorical": torch.empty(10, 0).long()}
    path = write_factor(tmp_path / "f.onnx", Log(), features, Dataset((), ("pt",)))
    monkeypatch.setattr(networks, "CHUNK", 1000)
    for size in (999, 1000, 1001, 2500):
        pt = np.arange(size) + 1.0
        found = member_factors(path, {"pt": pt})
        assert found[:, 0] == pytest.approx(pt, rel=1e-5)
    sizes = []
    compute = onnxruntime.InferenceSession.run

    def run(session: Any, outputs: Any, inputs: dict[str, Any]) -> Any:
        sizes.append(len(inputs["numerical"]))
        ASKED.status = 143
        return compute(session, outputs, inputs)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    stopped(lambda: member_factors(path, {"pt": pt}))
    assert sizes == [1000]
