"""A folder that is new, and what lies beside it -> what a spec was called before, if that is so."""

import tomllib
from pathlib import Path

from seesawc.writing.outputs import RECORD, read_record


def renamed(folder: Path, record: str) -> str:
    """Return what is to be said of runs that a spec had under another name; `record` is its own.

    A run is known by its script, which names its spec: under a new name nothing goes on.
    """
    if (folder / RECORD).exists() or not folder.parent.is_dir():
        return ""
    numbers = tomllib.loads(record)["build"]["numbers"]
    for other in sorted(folder.parent.iterdir()):
        if other == folder or not (other / RECORD).is_file():
            continue
        build = read_record(other)
        spec = other / str(build.get("spec_folder")) / f"{other.name}.toml"
        if build.get("numbers") == numbers and not spec.exists():
            return (
                f"{other} trains the same, and its spec is gone: if that was renamed, the run"
                f" {build.get('run_name')} and its results are not found under the new name, and"
                f" {folder} trains anew; with the name {spec.name} it goes on"
            )
    return ""
