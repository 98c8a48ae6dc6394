"""What takes long looks at the signals between two files or chunks, and stops there."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from parts import applications, events
from parts.densities import subtraction_weights
from parts.events import Events, Sample
from parts.exports import FakeFactor, export
from parts.leptons import Leptons
from parts.machinery.exits import ASKED, StoppedError
from parts.machinery.trackers import predict

SIZE = 200_000


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


def table(folder: Path, name: str) -> Path:
    path = folder / f"{name}.csv"
    pd.DataFrame({"x": [1.0, 2.0], "event": [1, 2]}).to_csv(path, index=False)
    return path


def sample(*paths: Path) -> Sample:
    return Sample("s", 1, tuple(map(str, paths)), ("x", "event"), None, None)


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


def test_files_are_looked_at_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [table(tmp_path, name) for name in ("a", "b")]
    looked = []

    def column_names(path: Path) -> list[str]:
        looked.append(path)
        ASKED.status = 143
        return ["x", "event"]

    monkeypatch.setattr(events, "column_names", column_names)
    stopped(lambda: events.find_files([sample(*paths)], tmp_path))
    assert looked == paths[:1]


def test_files_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [table(tmp_path, name) for name in ("a", "b")]
    read = []

    def read_csv(path: Path, **_: object) -> pd.DataFrame:
        read.append(path)
        ASKED.status = 143
        return pd.DataFrame({"x": [1.0], "event": [1]})

    monkeypatch.setattr(pd, "read_csv", read_csv)
    stopped(lambda: events.read_sample(sample(*paths), paths, ["x"], None, "event"))
    assert read == paths[:1]


def test_fingerprints_are_taken_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "READ_AT_ONCE", 4)
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    whole = events.fingerprints({"s": [path]})
    assert whole == {str(path): "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"}
    chunks = []

    class Hash:
        def update(self, chunk: bytes) -> None:
            chunks.append(chunk)
            ASKED.status = 143

    monkeypatch.setattr(hashlib, "sha256", Hash)
    stopped(lambda: events.fingerprints({"s": [path]}))
    assert chunks == [b"0123"]


def test_a_fake_factor_is_applied_in_chunks_without_losing_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Log(nn.Module):
        def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
            return torch.log(numerical)

    features = {"numerical": torch.rand(10, 1) + 1, "categorical": torch.empty(10, 0).long()}
    path = tmp_path / "f.onnx"
    export(FakeFactor(Log()), path, features, {"numerical": ("pt",), "categorical": ()}, None, None)
    monkeypatch.setattr(applications, "CHUNK", 1000)
    for size in (999, 1000, 1001, 2500):
        pt = np.arange(size) + 1.0
        found = applications.member_factors(path, {"pt": pt})
        assert found[:, 0] == pytest.approx(pt, rel=1e-5)
    sizes = []
    compute = onnxruntime.InferenceSession.run

    def run(session: Any, outputs: Any, inputs: dict[str, Any]) -> Any:
        sizes.append(len(inputs["numerical"]))
        ASKED.status = 143
        return compute(session, outputs, inputs)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    stopped(lambda: applications.member_factors(path, {"pt": pt}))
    assert sizes == [1000]
