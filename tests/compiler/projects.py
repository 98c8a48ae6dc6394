"""A copy of seesawc whose templates a test may change, and what it builds."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copytree
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]


@frozen
class Project:
    """A checkout with the compiler, its templates and specs of a test's own."""

    folder: Path

    @classmethod
    def copy(cls, folder: Path) -> "Project":
        """Copy what compiles."""
        copytree(ROOT / "compiler", folder / "compiler")
        copytree(ROOT / "templates", folder / "templates")
        (folder / "constraints.txt").write_bytes((ROOT / "constraints.txt").read_bytes())
        (folder / "specs").mkdir()
        return cls(folder)

    def edit(self, file: str, old: str, new: str) -> None:
        """Change the first place where a text stands in a file."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1))

    def build(self, spec: Path, time: int) -> dict[str, Any]:
        """Build a spec at a time; return [build] of its record."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "compiler"),
            "SOURCE_DATE_EPOCH": str(time),
        }
        command = [sys.executable, "-m", "seesawc", "build", "--force", str(spec)]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        table: dict[str, Any] = tomllib.loads(
            (self.folder / "generated" / spec.stem / "resolved.toml").read_text()
        )["build"]
        return table

    def files(self, name: str) -> dict[str, str]:
        """The text of all generated files by their paths."""
        folder = self.folder / "generated" / name
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}
