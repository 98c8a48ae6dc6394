"""Sets of plots leave nothing behind in memory, however many are drawn."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_memory_stays_flat_over_many_sets_of_plots() -> None:
    """In a process of its own; where figures are not collected, ten sets take 16 MB."""
    command = [sys.executable, "tests/benchmarks/watching.py", "memory", "20", "small"]
    paths = (ROOT / "compiler", ROOT / "templates", ROOT)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    ended = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=variables
    )
    assert float(ended.stdout) < 6
