"""Each fold is scored by its own network, with weights as they are."""

from pathlib import Path

import numpy as np
import pytest

from parts import networks as networks_of_files
from parts.arrays import Arrays
from parts.fold_scores import check_fold_network, score_folds
from parts.machinery.exits import RefusedError
from parts.splits import Fold
from tests.parts.folded import fold_card, sigmoid_network

CLASSES = ("B", "S")


def events(x: list[float], label: list[int], weight: list[float]) -> Arrays:
    numerical = np.array(x, dtype=np.float32)[:, None]
    none = np.zeros((len(x), 0), dtype=np.int64)
    mark = np.zeros(len(x), dtype=bool)
    return Arrays(numerical, none, np.array(label), np.array(weight), mark, none.astype(np.uint64))


@pytest.fixture
def networks(tmp_path: Path) -> list[Path]:
    """Of fold k, s = sigmoid((k + 1) x)."""
    paths = [tmp_path / f"{number}.onnx" for number in range(3)]
    for number, path in enumerate(paths):
        card = fold_card(f"named-{number}", Fold(number, 3))
        path.write_bytes(sigmoid_network(number + 1.0, card))
    return paths


FOLDS = [
    events([0.1, -0.3, 2.0], [1, 0, 1], [1.0, 2.0, -0.5]),
    events([0.4, 1.0], [0, 1], [1.0, 1.0]),
    events([-1.0, 0.0, 0.2, 0.3], [0, 0, 1, 1], [0.5, 0.5, 3.0, 1.0]),
]


@pytest.mark.parametrize("size", [1, 2, 65_536])
def test_every_event_has_the_score_of_its_fold_whatever_the_chunks(
    networks: list[Path], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks_of_files, "CHUNK", size)
    found = score_folds(networks, FOLDS, CLASSES, True, True)
    for number, (given, outputs) in enumerate(zip(FOLDS, found, strict=True)):
        score = 1 / (1 + np.exp(-(number + 1.0) * given.numerical[:, 0].astype(float)))
        np.testing.assert_allclose(outputs.probability[:, 1], score, atol=1e-6)
        np.testing.assert_allclose(outputs.probability.sum(axis=1), 1, atol=1e-6)
        assert outputs.label is given.label
        # Physical: no event stands for another one.
        assert outputs.weight is given.weight


def test_weights_of_the_loss_are_of_the_mixture_that_was_trained_on(networks: list[Path]) -> None:
    for use_mc_weights in (True, False):
        found = score_folds(networks, FOLDS, CLASSES, use_mc_weights, True)
        label = np.concatenate([each.label for each in found])
        loss = np.concatenate([each.loss_weight for each in found])
        assert loss[label == 0].sum() == pytest.approx(loss[label == 1].sum())
        assert loss.mean() == pytest.approx(1)
    found = score_folds(networks, FOLDS, CLASSES, True, False)
    loss = np.concatenate([each.loss_weight for each in found])
    weight = np.concatenate([each.weight for each in found])
    np.testing.assert_allclose(loss / weight, np.full(len(loss), len(loss) / weight.sum()))


def test_a_score_that_is_none_is_refused(networks: list[Path]) -> None:
    bad = [*FOLDS[:2], events([np.nan, 0.0, 1.0], [0, 1, 1], [1.0, 1.0, 1.0])]
    with pytest.raises(RefusedError, match=r"2\.onnx' gives no finite score for 1 events"):
        score_folds(networks, bad, CLASSES, True, True)


def test_the_network_of_another_run_or_fold_is_refused(networks: list[Path]) -> None:
    check_fold_network(networks[1], "named-1", Fold(1, 3))
    for run, fold in (("named-2", Fold(1, 3)), ("named-1", Fold(1, 5)), ("named-1", Fold(2, 3))):
        with pytest.raises(RefusedError, match=r"1\.onnx' is another network's: of named-1"):
            check_fold_network(networks[1], run, fold)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(RefusedError, match=r"cannot (open|read) .*model\.onnx"):
        check_fold_network(path, "named", Fold(0, 3))
