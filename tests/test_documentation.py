"""The documents tell the truth: specs compile, faults are drawn so, no option is left out."""

import re
from pathlib import Path

import pytest
from attrs import NOTHING, Factory, fields, has

from seesawc import pipeline
from seesawc.diagnostics import CompileError, draw
from seesawc.tables.spec import Spec, keys
from seesawc.writing.starting_spec import starting_spec

ROOT = Path(__file__).resolve().parents[1]


def tables(kind: type) -> list[type]:
    """The classes of all tables, from the outermost in."""
    inner = [t for a in fields(kind) for t in classes_in(a.type)]
    return [kind, *(found for table in inner for found in tables(table))]


def classes_in(annotation: object) -> list[type]:
    """The classes of tables that an annotation mentions."""
    if isinstance(annotation, type) and has(annotation):
        return [annotation]
    return [t for inner in getattr(annotation, "__args__", ()) for t in classes_in(inner)]


def row(key: str, default: object, doc: str) -> str:
    """The line of an option in specs/README.md."""
    shown = "required" if default is NOTHING else ""
    if default is not NOTHING and default is not None and not isinstance(default, Factory):  # type: ignore[arg-type]
        shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return f"| `{key}` | {shown} | {doc.replace('|', chr(92) + '|')} |"


def test_every_option_stands_in_the_list_of_options() -> None:
    lines = (ROOT / "specs" / "README.md").read_text().splitlines()
    rows = [
        row(key, option.default, option.metadata["doc"])
        for table in list(dict.fromkeys(tables(Spec)))[1:]
        for key, option in keys(table).items()
    ]
    assert len(rows) > 80
    assert [wanted for wanted in rows if wanted not in lines] == []
    listed = lines[lines.index("## All options") :]
    assert len([line for line in listed if line.startswith("| `")]) == len(rows)


def test_the_spec_of_the_readme_has_no_mistake(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    spec = tmp_path / "h4l.toml"
    spec.write_text(found[1])
    pipeline.check(spec)


@pytest.mark.parametrize("job", ["", '\n[slurm_config]\ntime = "01:00:00"\n'])
@pytest.mark.parametrize("spec", ["readme", "h4l", "h4l_multiclass", "init"])
def test_the_sweep_of_the_readme_has_no_mistake_behind_any_spec(
    tmp_path: Path, spec: str, job: str
) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (sweep,) = (block for block in blocks if "[sweep_config]" in block)
    if spec == "readme":
        text = blocks[0]
    elif spec == "init":
        text = starting_spec("toy", "signal")
    else:
        text = (ROOT / "specs" / f"{spec}.toml").read_text()
    path = tmp_path / "scan.toml"
    path.write_text(text + ("" if "\n[slurm_config]" in text else job) + "\n" + sweep)
    assert len(pipeline.check(path).points) == 8


def test_the_mistake_of_the_readme_is_drawn_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text()
    spec = re.search(r"```toml\n(.*?)```", readme, re.DOTALL)
    shown = re.search(r"\$ seesawc check specs/higgs.toml\n(.*?)\n```", readme, re.DOTALL)
    assert spec
    assert shown
    path = tmp_path / "specs" / "higgs.toml"
    path.parent.mkdir()
    path.write_text(spec[1].replace('monitor = "val_auc"', 'monitor = "val_acu"'))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompileError) as error:
        pipeline.check(Path("specs/higgs.toml"))
    drawn = "\n".join(map(draw, error.value.diagnostics))
    assert shown[1] == drawn


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
