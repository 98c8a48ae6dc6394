"""Figures as they are printed, kept in RESULTS.md: a section for each benchmark and machine."""

import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
ABOVE = """# Figures

Written by `make bench`, and by `tests/gpu/check.sh` where a GPU is. Ratios are of what ran side by
side in one run; absolute figures belong to the machine that is named above them.
"""
COLLECTED: list[str] = []


def say(name: str, value: str) -> None:
    """Print one figure, which the section that is open keeps; two spaces put it below another."""
    COLLECTED.append(f"{name:65} {value}".rstrip())
    print(COLLECTED[-1], flush=True)


@contextmanager
def section(title: str, *, kept: bool = True, file: Path = RESULTS) -> Iterator[None]:
    """Keep what is said meanwhile in place of the section of this title.

    What is measured in part is not `kept`, nor what ends with an error.
    """
    COLLECTED.clear()
    yield
    if kept:
        put(title, machine(), COLLECTED, file)


def put(title: str, where: str, lines: list[str], file: Path = RESULTS) -> None:
    """Write a section in its place, or behind the others."""
    text = file.read_text() if file.exists() else ABOVE
    above, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    sections = dict(other.split("\n", 1) for other in others)
    sections[title] = "\n".join(["", where, "", "```", *lines, "```", ""])
    body = "\n".join(f"## {name}\n{below.rstrip()}\n" for name, below in sections.items())
    file.write_text(f"{above.rstrip()}\n\n{body}")


def machine() -> str:
    """Return in a line what the figures were measured on, and when."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning", "numpy"))
    python = f"Python {platform.python_version()}"
    return f"{processor()}, {memory()}; {python}, {versions}; {time.strftime('%Y-%m-%d')}"


def processor() -> str:
    """Return the model of the processors, and their number."""
    said = Path("/proc/cpuinfo").read_text()
    models = re.findall(r"^model name\s*: (.*)$", said, re.MULTILINE)
    # Not all architectures say which model they are.
    return f"{models[0] if models else platform.machine()}, {said.count('processor	:')} cores"


def memory() -> str:
    """Return the memory of the machine."""
    found = re.findall(r"^MemTotal: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return f"{int(found[0]) / 1024**2:.0f} GiB of memory"
