import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from syrupy.assertion import SnapshotAssertion

import seesawc
from seesawc.cli.commands import main
from tests.errors import fakes_cases
from tests.errors.cases import BASE, CASES, LITERAL_KEYS, SECRET, SEED, WARNINGS, spec
from tests.spec_tables import edited

TEXTS = {name: spec(edits) for name, edits in CASES.items()} | {
    f"fakes-{name}": fakes_cases.spec(edits) for name, edits in fakes_cases.CASES.items()
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(text: str, *options: str) -> Result:
    Path("spec.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["check", *options, "spec.toml"])


@pytest.mark.parametrize("base", [BASE, fakes_cases.BASE], ids=["signal", "fakes"])
def test_the_base_has_no_mistake(base: str) -> None:
    result = check(base)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1 checked, no mistakes\n"


@pytest.mark.parametrize("name", TEXTS)
def test_every_mistake_is_drawn_where_it_stands(name: str, snapshot: SnapshotAssertion) -> None:
    result = check(TEXTS[name])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert list(Path().iterdir()) == [Path("spec.toml")], "nothing is written"
    assert result.stderr == snapshot


@pytest.mark.parametrize("name", TEXTS)
def test_json_tells_the_same(name: str) -> None:
    text = TEXTS[name]
    drawn, result = check(text), check(text, "--format", "json")
    assert (result.exit_code, result.stderr) == (1, "")
    records: list[dict[str, Any]] = json.loads(result.stdout)
    lines = text.split("\n")
    for record in records:
        place = record["span"]
        head = f"spec.toml:{place['line']}:{place['column']}: error: {record['message']}\n"
        assert head in drawn.stderr
        # What is underlined lies inside the line.
        assert place["column"] - 1 + place["length"] <= max(1, len(lines[place["line"] - 1]))
    assert drawn.stderr.count(": error: ") == len(records)


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_seldom_meant_is_warned_of_and_compiles(
    name: str, snapshot: SnapshotAssertion
) -> None:
    text = spec(WARNINGS[name])
    result = check(text)
    assert (result.exit_code, result.stdout) == (0, "1 checked, no mistakes\n")
    assert result.stderr == snapshot
    records = json.loads(check(text, "--format", "json").stdout)
    assert {record["severity"] for record in records} == {"warning"}
    assert len(records) == result.stderr.count(": warning: ")
    built = CliRunner().invoke(main, ["build", "spec.toml"])
    assert (built.exit_code, built.stderr) == (0, result.stderr)


def functions(module: Path) -> Iterator[int]:
    """Yield the lines of a module that make a fault."""
    makers = {"Fault", "WrongValue", "Unknown"} | ({"fault"} if module.stem == "sweep" else set())
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in makers:
                yield node.lineno


def test_every_fault_that_the_tables_and_rules_can_find_has_a_case() -> None:
    package = Path(seesawc.__file__).parent
    modules = [
        package / "reading" / "spec.py",
        package / "reading" / "sweep.py",
        *sorted((package / "rules").glob("*.py")),
        *sorted((package / "tables").glob("*.py")),
    ]
    seen: set[tuple[str, int]] = set()
    names = set(map(str, modules))

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in names:
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for text in [*TEXTS.values(), *map(spec, WARNINGS.values())]:
            check(text)
    finally:
        sys.settrace(before)
    missing = [
        f"{path.name}:{line}"
        for path in modules
        for line in functions(path)
        if (str(path), line) not in seen
    ]
    assert missing == []


MANY = spec(
    (
        ('"h4l"', '"h 4 l"'),
        (SEED, "seed = -1\nsede = 2\n"),
        ('"process == 1"', '"process + 1"'),
        ("max_epochs = 30", "max_epochs = 0"),
        ('"04:00:00"', '"4"'),
    )
)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    result = check(MANY, "--format", "json")
    lines = [record["span"]["line"] for record in json.loads(result.stdout)]
    assert lines == sorted(lines)
    assert len(lines) == 6
    assert check(MANY).stderr.endswith("6 mistakes; nothing was written\n")


def test_mistakes_of_rules_come_in_the_order_of_the_file_too() -> None:
    text = spec(
        (
            (SEED, f"{SEED}comet_project_name = 'h4l'\n"),
            ('"lep1_eta"]', '"event"]'),
            ('model = "MLP"', 'act = "relu"'),
            ("max_epochs = 30", 'max_epochs = 30\nmonitor = "auc"'),
            ("lr = 1e-3", "lr = -1.0"),
            ('"04:00:00"', '"00:01:00"'),
            ("[slurm_config]", "[slurm_config]\nsignal_lead = 60"),
        )
    )
    lines = [r["span"]["line"] for r in json.loads(check(text, "--format", "json").stdout)]
    assert lines == sorted(lines)
    assert len(lines) == 6


def test_a_mistake_in_one_spec_does_not_hide_those_of_another() -> None:
    Path("one.toml").write_text(edited(BASE, SEED, "seed = -1\n"))
    Path("two.toml").write_text(BASE.replace('"h4l"', '"h 4 l"'))
    result = CliRunner().invoke(main, ["check", "one.toml", "two.toml"])
    assert result.exit_code == 1
    assert "one.toml:5:8: error:" in result.stderr
    assert "two.toml:4:19: error:" in result.stderr


@pytest.mark.parametrize("line", LITERAL_KEYS.values(), ids=LITERAL_KEYS)
@pytest.mark.parametrize("options", [["check"], ["check", "--format", "json"], ["build"]])
def test_a_literal_key_is_refused_and_never_shown(line: str, options: list[str]) -> None:
    Path("spec.toml").write_text(edited(BASE, SEED, f"{line}\n{SEED}"), encoding="utf-8")
    result = CliRunner().invoke(main, [*options, "spec.toml"])
    assert result.exit_code == 1
    assert "spec.toml" in result.output
    assert SECRET not in result.output
    assert "7355608135" not in result.output
    assert list(Path().iterdir()) == [Path("spec.toml")]


def test_what_stands_beside_a_reference_to_a_key_is_shown() -> None:
    line = 'comet_api_key = "${COMET_API_KEY}" # the group\'s'
    result = check(BASE.replace(SEED, f"{line}\ncomet_api_key = 1\n"))
    assert '"comet_api_key" is given twice: it stands in line 5 already' in result.stderr
    fault = check(edited(BASE, SEED, f"{line}\n{SEED}") + 'monitor_key = "x"\n')
    assert 'unknown option "monitor_key"' in fault.stderr
    assert "monitor_key = ***" in fault.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["build"],
        ["chek", "spec.toml"],
        ["check", "--frmat", "json", "spec.toml"],
        ["check", "--format", "yaml", "spec.toml"],
        ["init"],
        ["init", "a", "b"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
