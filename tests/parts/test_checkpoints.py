"""Checkpoints: written whole, two kept, the newest by its digest, and loaded as plain values."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from parts.machinery.best_checkpoints import BestCheckpoints
from parts.machinery.checkpoints import (
    AtomicCheckpointIO,
    LastCheckpoints,
    best_checkpoint,
    is_trained,
    load,
    newest,
    pointer,
    remove_older,
)
from parts.machinery.exits import RefusedError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


class Line(LightningModule):
    """Learns one number."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return a loss."""
        return ((self.slope - batch[0]) ** 2).mean()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log a loss that falls in the first two epochs."""
        self.log("val_loss", float(abs(self.current_epoch - 1)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return an optimizer."""
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make it one of ours."""
        checkpoint["knows"] = {}


def train(folder: Path, epochs: int, resume: Path | None = None) -> Trainer:
    best = BestCheckpoints(
        folder,
        filename="best-{step:09d}",
        auto_insert_metric_name=False,
        monitor="val_loss",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[best, LastCheckpoints(folder, best)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    data: DataLoader[tuple[Tensor, ...]] = DataLoader(TensorDataset(torch.ones(6)), batch_size=2)
    trainer.fit(Line(), data, data, ckpt_path=resume, weights_only=True)
    return trainer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    folder.mkdir()
    train(folder, 4)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of a trained run's checkpoints, to be damaged."""
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_the_last_two_and_the_best_are_kept(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == [
        "best-000000006.ckpt", "last-000000009.ckpt", "last-000000012.ckpt", "newest.json",
    ]  # fmt: skip
    assert pointer(trained)["step"] == 12
    assert is_trained(trained, trained / "last-000000012.ckpt")
    assert not is_trained(trained, trained / "last-000000009.ckpt")
    assert best_checkpoint(trained) == trained / "best-000000006.ckpt"


def test_a_checkpoint_that_a_killed_start_had_no_time_to_remove_goes(trained: Path) -> None:
    names = sorted(path.name for path in trained.iterdir())
    for step in (6, 15):
        (trained / f"last-{step:09d}.ckpt").touch()
    assert newest(trained) == trained / "last-000000012.ckpt"
    assert sorted(path.name for path in trained.iterdir()) == names


@pytest.mark.parametrize(
    "content",
    [None, b"", b'{"file": ', b"[]", b"7", b"\xff\x00", b"{}",
     b'{"file": 1, "step": 1, "sha256": "", "trained": true, "best": "", "previous": {}}'],
)  # fmt: skip
def test_what_is_newest_is_found_among_the_checkpoints_if_it_was_lost(
    folder: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    said = pointer(folder)
    note = folder / "newest.json"
    note.unlink() if content is None else note.write_bytes(content)
    remove_older(folder)
    newest_one = folder / "last-000000012.ckpt"
    assert newest(folder) == newest_one
    assert "newest.json is not there; going on from" in capsys.readouterr().out
    assert pointer(folder) == said
    assert is_trained(folder, newest_one)
    # One that is damaged, too, is passed over.
    note.unlink()
    damage(newest_one)
    newest_one.write_bytes(newest_one.read_bytes()[:500])
    assert newest(folder) == folder / "last-000000009.ckpt"
    assert not is_trained(folder, folder / "last-000000009.ckpt")
    assert best_checkpoint(folder) == folder / "best-000000006.ckpt"


def test_checkpoints_of_which_none_can_be_loaded_are_not_forgotten(folder: Path) -> None:
    (folder / "newest.json").unlink()
    for path in folder.glob("last-*.ckpt"):
        path.write_bytes(b"")
    with pytest.raises(RefusedError, match="can be loaded: what was trained is lost; remove"):
        newest(folder)
    assert len(list(folder.glob("last-*.ckpt"))) == 2


@pytest.mark.filterwarnings("error:The dirpath has changed")
def test_the_best_stays_the_best_when_the_run_is_moved(tmp_path: Path) -> None:
    """The losses of the four epochs are 1, 0, 1 and 2."""
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    train(before, 2)
    before.rename(after)
    train(after, 4, newest(after))
    assert best_checkpoint(after) == after / "best-000000006.ckpt"
    assert [path.name for path in after.glob("best-*")] == ["best-000000006.ckpt"]
    assert not before.exists()


def test_the_best_of_another_run_is_not_the_best_of_this_one(trained: Path, tmp_path: Path) -> None:
    train(tmp_path, 5, trained / "last-000000012.ckpt")
    assert best_checkpoint(tmp_path) == tmp_path / "best-000000015.ckpt"


def test_nothing_is_newest_before_the_first(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert not is_trained(tmp_path, tmp_path / "last-000000003.ckpt")
    assert pointer(tmp_path) == {}


def test_the_newest_is_the_one_pointed_at_whatever_the_clock_says(folder: Path) -> None:
    os.utime(folder / "last-000000012.ckpt", (0, 0))
    assert newest(folder) == folder / "last-000000012.ckpt"
    # Written by a process that was killed before it could say so.
    (folder / "last-000000015.ckpt").write_bytes(b"x")
    assert newest(folder) == folder / "last-000000012.ckpt"


@pytest.mark.parametrize("how", ["flipped", "truncated", "absent"])
def test_a_damaged_newest_falls_back_and_says_so(
    folder: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, other = folder / "last-000000012.ckpt", folder / "last-000000009.ckpt"
    if how == "flipped":
        damage(path)
    elif how == "truncated":
        os.truncate(path, 100)
    else:
        path.unlink()
    assert newest(folder) == other
    assert f"{path} is damaged; going on from {other}" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["flipped", "absent"])
def test_two_damaged_checkpoints_are_refused(folder: Path, how: str) -> None:
    for path in folder.glob("last-*.ckpt"):
        damage(path) if how == "flipped" else path.unlink()
    with pytest.raises(
        RefusedError, match=r"last-000000012\.ckpt is damaged and there is no other"
    ):
        newest(folder)


def test_a_damaged_only_checkpoint_is_refused(tmp_path: Path) -> None:
    train(tmp_path, 1)
    damage(tmp_path / "last-000000003.ckpt")
    with pytest.raises(RefusedError, match="no other"):
        newest(tmp_path)


def test_a_run_goes_on_from_its_fallback_as_if_nothing_had_been(folder: Path) -> None:
    damage(folder / "last-000000012.ckpt")
    train(folder, 5, newest(folder))
    found = load(folder / "last-000000015.ckpt")
    assert found["global_step"] == 15
    slope = 1 - 0.8**15
    assert float(found["state_dict"]["slope"]) == pytest.approx(slope)


def test_files_of_later_steps_do_not_crowd_out_the_one_just_saved(folder: Path) -> None:
    # Two kills, each between a checkpoint and its pointer, and a continuation from before.
    for step in (90, 93):
        (folder / f"last-{step:09d}.ckpt").write_bytes(b"x")
    train(folder, 5, newest(folder))
    assert newest(folder) == folder / "last-000000015.ckpt"
    assert sorted(path.name for path in folder.glob("last-*")) == [
        "last-000000012.ckpt", "last-000000015.ckpt",
    ]  # fmt: skip


def test_checkpoints_hold_plain_values_only(trained: Path) -> None:
    for path in trained.glob("*.ckpt"):
        assert load(path)["state_dict"].keys() == {"slope"}


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", None, "evil", "other"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path, mark = tmp_path / "x.ckpt", tmp_path / "evil"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        torch.save(
            {"knows": Evil(f"touch {mark}")} if content == "evil" else {"state_dict": {}}, path
        )
    with pytest.raises(RefusedError, match=str(path)):
        load(path)
    assert not mark.exists()


def test_a_truncated_checkpoint_is_refused(folder: Path) -> None:
    path = folder / "last-000000012.ckpt"
    content = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(RefusedError, match="cannot load the checkpoint"):
            load(path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    io = AtomicCheckpointIO()
    path = tmp_path / "last.ckpt"
    whole: dict[str, Any] = {"knows": {}, "state_dict": {}}
    io.save_checkpoint(whole, path)
    with pytest.raises((AttributeError, TypeError)):
        io.save_checkpoint({"knows": lambda: 1}, path)
    assert load(path) == whole
    with pytest.raises(FileNotFoundError):
        io.save_checkpoint({"knows": 1}, tmp_path / "absent" / "last.ckpt")
    io.remove_checkpoint(path)
    io.remove_checkpoint(path)
    assert not list(tmp_path.iterdir())


def test_the_pointer_is_plain_json(trained: Path) -> None:
    named = json.loads((trained / "newest.json").read_text())
    assert named["previous"]["file"] == "last-000000009.ckpt"
    assert len(named["sha256"]) == len(named["previous"]["sha256"]) == 64


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"epoch,loss\n1,2\n",
        b"X.",
        b"\x89PNG\r\n",
        b"PK\x03\x04junk",
        b"\x08\x08\x12\x07pytorch",
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    """Texts, pictures, networks in ONNX: whatever torch's reader makes of them."""
    path = tmp_path / "some.ckpt"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="cannot load the checkpoint"):
        load(path)
    with pytest.raises(RefusedError, match="cannot load the checkpoint"):
        load(tmp_path)


@pytest.mark.parametrize("content", [{}, {"knows": {}}, {"state_dict": {}, "knows": 5}, [1]])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(RefusedError, match="is not a checkpoint of such a script"):
        load(tmp_path / "foreign.ckpt")
