"""The folder that a run owns: its lock, its identity and its marks."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from parts.machinery.code import Code
from parts.machinery.exits import RefusedError, how_it_ended, is_disk_full
from parts.machinery.locks import Lock
from parts.machinery.notes import identity_of, noted
from parts.machinery.places import remove_unfinished, write_atomically
from parts.machinery.records import Record

# Whoever started this process.
PARENT = os.getppid()


class RunFolder:
    """`<save_dir>/<experiment_name>/<run_name>/`; raises `RefusedError` where it cannot be used."""

    def __init__(self, path: Path, plots: Path | None = None) -> None:
        self.path = path
        # Where the tracker's plots go.
        self.plots = plots or path / "plots"
        # MLflow's, of all experiments.
        self.store = path.parents[1] / "mlruns"
        self.checkpoints = path / "checkpoints"
        self.record = path / "metrics.jsonl"
        self.identity = path / "run.json"
        self.done = path / "done"
        self.lock = path / "lock"
        self.ended = path / "ended.json"
        self.mirrored = path / "mirrored.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes off the run: two at once would ruin each other's checkpoints."""
        lock = Lock(self.lock)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock.take()
        except RefusedError as error:
            raise RefusedError(
                f"{self.path} is in use by {error}; if that run is dead, remove {self.lock}"
            ) from None
        # Whoever holds it may have removed what this was writing.
        except FileNotFoundError:
            raise RefusedError(f"{self.path} is in use: another start was faster") from None
        except OSError as error:
            if is_disk_full(error):
                raise
            raise RefusedError(f"cannot write to {self.path}: {error.strerror}") from error
        try:
            remove_unfinished(self.path)
            lock.tidy()
            yield
        except BaseException as error:
            status, reason = how_it_ended(error)
            content = {"status": status, "reason": reason, "time": time.time()}
            # A finished run stays as it is; a full disk is told by the exit status alone.
            with suppress(OSError):
                if not self.is_done:
                    write_atomically(self.ended, json.dumps(content).encode())
            raise
        finally:
            lock.release()

    def wait_until_released(self) -> None:
        """Wait for the first task, or until whoever started this one is gone.

        srun ends a step some time after its first task has ended; Lightning kills the first task
        after another one has failed.
        """
        while self.lock.exists() and os.getppid() == PARENT:
            time.sleep(0.2)

    def identified(self) -> dict[str, Any]:
        """Return what the run is, as an earlier start wrote it; empty before the first.

        Raises `RefusedError` if it has checkpoints and nothing says what began them.
        """
        found = identity_of(self.path)
        if not found and self.has_checkpoints:
            raise RefusedError(
                f"{self.identity} is lost, which said what code, data and seed began the run: its"
                f" checkpoints cannot go on; remove {self.path}, or use --again LABEL"
            )
        return found

    @property
    def is_done(self) -> bool:
        """Whether the run has come to its end; where its mark is damaged, it makes that anew."""
        return bool(noted(self.done, script=str, checkpoint=str, sha256=str))

    @property
    def has_checkpoints(self) -> bool:
        """Whether the run came so far that it has something to lose."""
        return any(self.checkpoints.glob("*.ckpt"))

    def check_code(self, code: Code) -> None:
        """Raise `RefusedError`, naming files, if other code began the run."""
        began = self.identified()
        if began and began["script"] != code.identity and self.has_checkpoints:
            kept = began.get("code")
            changed = code.changed_since(self.path.parent / kept) if kept else []
            files = f": {', '.join(changed)}" if changed else ""
            by_hand = f"; edited by hand: {', '.join(code.edited)}" if code.edited else ""
            then, now = shortened(began["script"]), shortened(code.identity)
            raise RefusedError(
                f"{self.path} belongs to another version of this script{files}"
                f" (began with {then}, now {now}){by_hand};"
                " build with --new-run or change run_name, or use --again LABEL"
            )

    def check_parents(self, parents: dict[str, str]) -> None:
        """Raise `RefusedError` if the run began with other checkpoints than these."""
        if self.identified() and self.has_checkpoints:
            began = self.identified().get("parents", {})
            if began != parents:
                raise RefusedError(
                    f"{self.path} began with other parents: {began}, now {parents}; --again LABEL"
                )

    def check_start(self, checkpoint: Path, sha256: str) -> None:
        """Raise `RefusedError` if the run began from a checkpoint of another content."""
        if self.has_checkpoints and (began := self.identified().get("start_from")) != sha256:
            raise RefusedError(
                f"{self.path} began from another checkpoint than {checkpoint} is now"
                f" (SHA-256 {str(began)[:12]}, now {sha256[:12]}): bring that back, or use"
                " --again LABEL"
            )

    def identify(self, identity: dict[str, Any], accept_data: bool) -> None:
        """Write what the run is, or compare: the data must be those that began it."""
        began = self.identified()
        same = not began or not self.has_checkpoints or have_same_data(began, identity)
        if not same and not accept_data:
            changed = [n for n, d in identity["data"].items() if d not in began["data"].values()]
            raise RefusedError(
                f"data changed since the run began: {', '.join(changed or began['data'])};"
                " --accept-data goes on all the same"
            )
        for path in (self.identity, self.checkpoints / self.identity.name):
            write_atomically(path, json.dumps(identity, indent=1).encode())

    def begun(self) -> dict[str, Any]:
        """Return what the run is, as it began; raises `RefusedError` if it has not."""
        found = self.identified()
        if not found or not self.record.exists():
            raise RefusedError(f"{self.path} has not begun: there is nothing to send")
        return found

    def check_not_lost(self, record: Record) -> None:
        """Raise `RefusedError` if the run was trained, and all of its checkpoints are gone.

        A start that is killed leaves none within, or at the end of, its first epoch.
        """
        if (epochs := record.epochs()) > 1:
            raise RefusedError(
                f"{self.checkpoints} has no checkpoint to go on from, though {self.record} tells of"
                f" {epochs} epochs: bring them back, or remove {self.path} to train from zero"
            )

    def keep(self, record: Record, code: Code) -> None:
        """Keep the code that runs beside the runs of the experiment, and have the tracker get it.

        The tracker gets it of one run: of the first that had this code, as long as that is there.
        """
        kept = code.keep(self.path.parent)
        first, mine = kept / "run", kept / f".run.{self.path.name}"
        if first.exists() and not (name_in(first) and (self.path.parent / name_in(first)).exists()):
            first.unlink(missing_ok=True)
        write_atomically(mine, self.path.name.encode())
        # All members of an array begin at once.
        with suppress(FileExistsError):
            first.hardlink_to(mine)
        mine.unlink()
        # An earlier start may have been killed between the two.
        if name_in(first) == self.path.name and kept not in record.artifacts():
            record.write(0, 0, artifact=record.named(kept))


def have_same_data(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two identities have the same bytes of the same samples, wherever they lie."""
    if "samples" in one and "samples" in other:
        return bool(one["samples"] == other["samples"])
    return list(one["data"].values()) == list(other["data"].values())


def name_in(path: Path) -> str:
    """Return the name that a file holds; nothing if it is damaged."""
    return path.read_bytes().decode(errors="replace").replace("\0", "")


def shortened(identity: str) -> str:
    """Return as much of what identifies code as tells it from others."""
    return "+".join(digest[:12] for digest in identity.split("+"))


def check_space(folder: RunFolder, needed: int) -> None:
    """Raise `RefusedError` if checkpoints of so many bytes in all would fill the disk."""
    free = shutil.disk_usage(folder.checkpoints).free
    if free < needed:
        raise RefusedError(
            f"{folder.path} needs {needed / 1e6:.0f} MB for checkpoints;"
            f" {free / 1e6:.0f} MB are free"
        )
