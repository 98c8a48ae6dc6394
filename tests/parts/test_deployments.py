"""What is deployed is whole, and all that applying it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from parts.machinery import deployments
from parts.machinery.deployments import needed_files, write_deployment
from parts.machinery.places import digest
from seesawc.writing.parts import needed_by

TEMPLATES = Path(__file__).parents[2] / "templates"
# What a folder of scripts gets for it, as the compiler finds it.
PARTS = needed_by(TEMPLATES, (TEMPLATES / "apply.py").read_text())
NEEDED = {"apply.py", *(part.file for part in PARTS)}
# What reads and writes files, and runs the network.
LIBRARIES = {"awkward", "cramjam", "h5py", "numpy", "onnxruntime", "pyarrow", "uproot"}
NETWORKS = {"model_0.onnx": b"one", "model_1.onnx": b"two"}


def deployed(folder: Path, source: Path = TEMPLATES) -> Path:
    return write_deployment(source, folder.parent, NETWORKS)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of scripts of its own."""
    for name in NEEDED | {"parts/metrics.py"}:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TEMPLATES / name, tmp_path / "source" / name)
    return tmp_path / "source"


def test_the_network_lies_with_what_applies_it_byte_for_byte(tmp_path: Path, source: Path) -> None:
    folder = deployed(tmp_path / "deploy", source)
    assert folder == tmp_path / "deploy"
    assert files(folder) == NEEDED | {*NETWORKS, "SHA256SUMS"}
    for name in NEEDED:
        assert (folder / name).read_bytes() == (source / name).read_bytes()
    for name, content in NETWORKS.items():
        assert (folder / name).read_bytes() == content
    assert files(tmp_path) == {
        *(f"source/{name}" for name in files(source)),
        *(f"deploy/{name}" for name in files(folder)),
    }


def test_what_applies_the_network_needs_no_training() -> None:
    assert set(needed_files(TEMPLATES, "apply.py")) == NEEDED
    assert {name for part in PARTS for name in part.distributions} == LIBRARIES


def test_a_part_is_needed_wherever_it_is_imported_from(source: Path) -> None:
    """Also through another part, and once in a circle."""
    script = source / "script.py"
    script.write_text("import parts_of_mine\nfrom parts.one import x\nfrom other.parts import y\n")
    (source / "parts/one.py").write_text("def x():\n    from parts.machinery.two import y\n")
    (source / "parts/machinery/two.py").write_text("from parts.one import x\n")
    packages = {"parts/__init__.py", "parts/machinery/__init__.py"}
    wanted = {"script.py", "parts/one.py", "parts/machinery/two.py"}
    assert set(needed_files(source, "script.py")) == wanted | packages
    # Without these, folders are packages all the same.
    for name in packages:
        (source / name).unlink()
    assert set(needed_files(source, "script.py")) == wanted


@pytest.mark.parametrize("name", ["apply.py", "parts/cracks.py"])
def test_without_a_file_the_network_lies_alone_and_a_line_says_so(
    tmp_path: Path, source: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / name).unlink()
    folder = deployed(tmp_path / "deploy", source)
    assert files(folder) == {*NETWORKS}
    assert f"{folder} has the network alone: {source} lacks {name}\n" in capsys.readouterr().out


def test_what_is_handed_on_can_be_proved(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(NEEDED - {"apply.py"})
    sums = "".join(f"{digest(source / name)}  {name}\n" for name in names)
    (source / "parts" / "SHA256SUMS").write_text(sums)
    folder = deployed(tmp_path / "deploy", source)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=folder, check=True)
    assert "edited" not in capsys.readouterr().out
    with (source / "parts" / "applications.py").open("a") as file:
        file.write("CHUNK = 1\n")
    folder = deployed(tmp_path / "deploy", source)
    subprocess.run(check, cwd=folder, check=True)
    assert "edited by hand: parts/applications.py\n" in capsys.readouterr().out


def test_what_another_start_has_left_is_replaced(tmp_path: Path, source: Path) -> None:
    for name in ("deploy", "deploy.unfinished"):
        (tmp_path / name / "parts").mkdir(parents=True)
        (tmp_path / name / "parts" / "left.py").touch()
    folder = deployed(tmp_path / "deploy", source)
    assert files(folder) == NEEDED | {*NETWORKS, "SHA256SUMS"}
    assert not (tmp_path / "deploy.unfinished").exists()


@pytest.mark.parametrize("count", range(1, len(NEEDED) + 4))
def test_a_folder_that_cannot_be_filled_is_not_there(
    tmp_path: Path, source: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) == count:
            raise OSError(28, "no space left")
        path.write_bytes(data)

    monkeypatch.setattr(deployments, "write_atomically", write)
    with pytest.raises(OSError, match="no space left"):
        deployed(tmp_path / "deploy", source)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
