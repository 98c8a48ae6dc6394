"""The lock of a folder, one file: its holder, who may follow a dead one, and how lives differ.

NFS keeps flock not everywhere, but makes links at once. So a lock appears whole and by a link, and
who follows a dead holder is decided by a link, too: by the one name that belongs to that holder.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from parts.machinery.exits import REFUSED, RefusedError, obey
from parts.machinery.places import write_atomically

# Seconds after which a lock shows again that its holder lives.
BEAT = 30.0
# Beats without one of which a holder is dead that nothing else can be known of.
BEATS_MISSED = 3
# The ids of this process's locks: any other that has its number was left by another life.
HELD: set[str] = set()


class Lock:
    """A file that exactly one living process holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.released = threading.Event()
        self.content = b""

    def take(self) -> None:
        """Hold the lock; raises `RefusedError` if another process does, and `OSError`."""
        said = me()
        HELD.add(said["id"])
        self.content = json.dumps(said).encode()
        new = self.path.with_name(f"{self.path.name}.new.{said['id']}")
        try:
            write_atomically(new, self.content)
            while not linked(new, self.path):
                left = content_of(self.path)
                # It has just been released.
                if left is None:
                    continue
                if not self.is_left(self.path, left):
                    raise RefusedError(left.decode(errors="replace"))
                if self.follow(self.path, left, new):
                    break
        except BaseException:
            HELD.discard(said["id"])
            raise
        finally:
            new.unlink(missing_ok=True)
        self.released.clear()
        threading.Thread(target=self.beat, daemon=True).start()

    def is_left(self, path: Path, content: bytes) -> bool:
        """Whether the holder that a file names is dead."""
        dead = is_dead(holder_of(content))
        return is_silent(path, content) if dead is None else dead

    def follow(self, path: Path, left: bytes, new: Path) -> bool:
        """Put this process in the place of the dead holder of a file; false if another was faster.

        No two holders write the same. So the name made of what the dead one wrote can be linked
        once, and whoever has done so is the only one that may replace the file, if it is still
        that one's. Who dies before that is followed in the same way.
        """
        claim = self.path.with_name(f"{self.path.name}.{hashlib.sha256(left).hexdigest()[:32]}")
        if not linked(new, claim):
            other = content_of(claim)
            # Else it has just come to its end, one way or the other.
            if other is not None and not self.is_left(claim, other):
                raise RefusedError(other.decode(errors="replace"))
            if other is None or not self.follow(claim, other, new):
                return False
        if content_of(path) != left:
            claim.unlink(missing_ok=True)
            return False
        # A server that is asked twice says that it is not there.
        with suppress(FileNotFoundError):
            claim.rename(path)
        return content_of(path) == self.content

    def tidy(self) -> None:
        """Remove what processes have left that were killed while they took the lock."""
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            content = content_of(path)
            # What says nothing of its life may be in use, and is in nobody's way.
            if content is not None and is_dead(holder_of(content)):
                path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Show by the lock's time that its holder lives, to those who only see the folder."""
        while not self.released.wait(BEAT):
            with suppress(OSError):
                found = content_of(self.path)
                if found == self.content:
                    os.utime(self.path)
                elif found and not self.released.is_set():
                    # This process slept too long: from now on, what it writes would ruin a run.
                    print(f"refused: {self.path} has been taken over: {found!r}", flush=True)
                    os._exit(REFUSED)

    def release(self) -> None:
        """Give the lock back."""
        self.released.set()
        if content_of(self.path) == self.content:
            self.path.unlink(missing_ok=True)
        HELD.discard(json.loads(self.content)["id"])


def me() -> dict[str, Any]:
    """Return what tells this life of a process, as a holder, from all others."""
    return {
        "id": uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **world(),
        "started": started(os.getpid()),
    }


def world() -> dict[str, str | None]:
    """Return where numbers of processes have a meaning: the boot, and the container if any."""
    boot = namespace = None
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return {"boot": boot, "namespace": namespace}


def started(pid: int) -> str | None:
    """Return when a process started, in ticks of its boot; None if that cannot be known."""
    try:
        # The name of the program, in brackets, may hold anything.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    # What has ended keeps its number until somebody asks how, which in a container nobody may.
    return "ended" if state in "ZX" else fields[18]


def holder_of(content: bytes) -> dict[str, Any]:
    """Return what a lock says; nothing if it is damaged."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def is_dead(holder: dict[str, Any]) -> bool | None:
    """Whether a holder is dead; None where only its silence can tell.

    Another machine's is taken to live, unless SLURM says that its job has ended.
    """
    job, restarts = holder.get("job"), os.environ.get("SLURM_RESTART_COUNT", "0")
    this_job = job is not None and job == os.environ.get("SLURM_JOB_ID")
    if this_job and holder.get("restarts") != restarts:
        return True
    here = holder.get("host") == socket.gethostname()
    told = {name: holder.get(name) for name in ("boot", "namespace")}
    pid = holder.get("pid")
    if here and type(pid) is int and told in (world(), {"boot": None, "namespace": None}):
        return not lives(pid, holder)
    if isinstance(job, str) and job and not this_job and has_ended(job):
        return True
    # Another container of this machine, or one of the same name; or this machine before a reboot.
    if here or not holder or (told["boot"] is not None and told["boot"] == world()["boot"]):
        return None
    return False


def lives(pid: int, holder: dict[str, Any]) -> bool:
    """Whether the process of this machine that a holder names is still that one."""
    if pid == os.getpid():
        return holder.get("id") in HELD
    if not is_alive(pid):
        return False
    now = started(pid)
    if now is None:
        return True
    return now != "ended" and holder.get("started") in (None, now)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_silent(path: Path, content: bytes) -> bool:
    """Whether a lock stays as it is for longer than any holder lets it, which takes a while."""
    patience = BEATS_MISSED * BEAT
    print(
        f"{path} may be a dead process's; waiting {patience:.0f} s for a sign of life", flush=True
    )
    before, until = beaten(path), time.monotonic() + patience
    while time.monotonic() < until:
        obey()
        time.sleep(min(1.0, BEAT / 10))
        if content_of(path) != content or beaten(path) != before:
            return False
    return True


def beaten(path: Path) -> int | None:
    """Return when a lock was touched last, in ns of its server's clock; None if it is gone."""
    with suppress(OSError), path.open("rb") as file:
        # Not by its name: NFS answers that from memory.
        return os.fstat(file.fileno()).st_mtime_ns
    return None


def content_of(path: Path) -> bytes | None:
    """Return what a lock says; None if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def linked(source: Path, name: Path) -> bool:
    """Give a file a second name, unless another one has that."""
    try:
        name.hardlink_to(source)
    except FileExistsError:
        # A server that is asked twice says so of its own link.
        with suppress(FileNotFoundError):
            return name.samefile(source)
        return False
    return True


def has_ended(job: str) -> bool:
    """Whether SLURM says that a job runs no more; without SLURM's word, it may."""
    program = shutil.which("squeue")
    if program is None:
        return False
    command = [program, "--noheader", "--format=%T", f"--jobs={job}"]
    # A user's settings of squeue could hide the job.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        asked = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=30, env=plain
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # A job that ended a while ago is not known any more.
    return "Invalid job id" in asked.stderr or (asked.returncode == 0 and not asked.stdout.strip())
