"""How much memory a process can still get, and amounts of it as people write them."""

import re
from pathlib import Path

# Where control groups are (Linux, v2).
GROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Return the bytes that this process can still get; None where the system does not say.

    The least of what the machine has left and of what a batch system or container does.
    """
    found = [left for left in (available(), *left_in_groups()) if left is not None]
    return min(found, default=None)


def available() -> int | None:
    """Return the bytes that the machine can give without swapping (Linux)."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def left_in_groups() -> list[int | None]:
    """Return what `left_in` this process's control groups is, from its own up."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return []
    folders = [GROUPS / own, *(GROUPS / own).parents]
    return [left_in(folder) for folder in folders if folder.is_relative_to(GROUPS)]


def left_in(group: Path) -> int | None:
    """Return the bytes that a control group can still get; None where it has no limit.

    What it has read of files counts as its own, and is given up where there is need.
    """
    try:
        limit, used, parts = (
            (group / name).read_text().strip()
            for name in ("memory.max", "memory.current", "memory.stat")
        )
    except OSError:
        # The topmost group has none, and a container does not see those above its own.
        return None
    if limit == "max":
        return None
    given_up = re.findall(r"^(?:in)?active_file (\d+)$", parts, re.MULTILINE)
    return max(0, int(limit) - int(used) + sum(map(int, given_up)))


def readable(size: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} PiB"


def size_of(amount: str) -> int:
    """Return the bytes of an amount such as "4G"."""
    return int(amount[:-1]) << 10 * (1 + "KMGT".index(amount[-1]))
