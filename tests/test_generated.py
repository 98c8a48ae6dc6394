"""`generated/` is what the specs compile to: hand edits and orphans fail, an update rewrites it."""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import Snapshot, SnapshotCollection
from syrupy.extensions.single_file import SingleFileSnapshotExtension
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex

from seesawc import pipeline
from seesawc.writing import outputs

ROOT = Path(__file__).resolve().parents[1]
SPECS = sorted((ROOT / "specs").glob("*.toml"))
FOR_GIT = {ROOT / "generated" / name: text for name, text in outputs.FOR_GIT.items()}


class GeneratedFolder(SingleFileSnapshotExtension):
    """Keeps a spec's files where `seesawc build` puts them: an index is `<spec>/<file>`."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """Return the folder of all generated files."""
        return str(ROOT / "generated")

    @classmethod
    def get_file_basename(cls, *, test_location: PyTestLocation, index: SnapshotIndex) -> str:
        """Return the file's path below that folder."""
        return str(index)

    @classmethod
    def get_location(cls, *, test_location: PyTestLocation, index: SnapshotIndex) -> str:
        """Return the file, whose name has its ending already."""
        return str(ROOT / "generated" / str(index))

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        """Return the name of a file, which an update would otherwise delete as unused."""
        return str(index)

    def is_snapshot_location(self, *, location: str) -> bool:
        """Whether a file is a snapshot: all in generated folders are, so an orphan is seen."""
        path = Path(location)
        return path.is_relative_to(ROOT / "generated") and path not in FOR_GIT

    def _read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        collection = SnapshotCollection(location=snapshot_location)
        name = Path(snapshot_location).relative_to(ROOT / "generated").as_posix()
        collection.add(Snapshot(name=name))
        return collection


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_generated_files_are_what_the_spec_compiles_to(
    spec: Path, snapshot: SnapshotAssertion
) -> None:
    folder = ROOT / "generated" / spec.stem
    files = pipeline.compile_spec(spec, folder).files
    for name, text in files.items():
        assert text.encode() == snapshot(
            extension_class=GeneratedFolder, name=f"{spec.stem}/{name}"
        )


def test_nothing_else_lies_in_generated() -> None:
    expected = {*outputs.FOR_GIT, *(spec.stem for spec in SPECS)}
    assert {path.name for path in (ROOT / "generated").iterdir()} == expected
    assert {path: path.read_text() for path in FOR_GIT} == FOR_GIT
    for spec in SPECS:
        folder = ROOT / "generated" / spec.stem
        assert outputs.differing(folder, pipeline.compile_spec(spec, folder).files) == []
