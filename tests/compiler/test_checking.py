"""`seesawc check --data`: what files lack is said where the spec asks for it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from click.testing import CliRunner, Result

from seesawc.cli.commands import main
from tests.runs.recomputed import share

SPEC = """task = "signal"
[experiment_config]
experiment_name = "x"
[dataset_config]
event_number = "event"
weight = "w"
numerical = ["pt", "eta"]
[[dataset_config.samples]]
name = "bkg"
class = "background"
files = ["good.parquet"]
selection = "y == 0"
[[dataset_config.samples]]
name = "sig"
class = "signal"
files = ["good.parquet"]
selection = "y == 1"
"""
SIZE = 300


def columns() -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {
        "event": np.arange(SIZE), "pt": random.exponential(30, SIZE), "w": np.ones(SIZE),
        "selection_sf": [None] + [1.0] * (SIZE - 1), "selection_four": np.arange(SIZE) % 4,
        "odd": np.where(np.arange(SIZE) == 5, np.nan, 1.0), "weight of": np.arange(SIZE) % 4,
        "eta": random.normal(size=SIZE), "y": np.arange(SIZE) % 2, "label": ["sig", "bkg"] * 150,
        "four": np.arange(SIZE) % 4, "jets": [[1.0, 2.0]] * SIZE,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table(columns()), "good.parquet")
    flat = {n: v for n, v in columns().items() if n not in ("label", "jets", "selection_sf")}
    with uproot.recreate("two.root") as file:
        for tree in ("nominal", "varied"):
            file.mktree(tree, {name: values.dtype for name, values in flat.items()})
            file[tree].extend(flat)
    Path("cut.root").write_bytes(Path("two.root").read_bytes()[:2000])
    return tmp_path


def checked(text: str, *words: str) -> Result:
    Path("s.toml").write_text(text)
    return CliRunner().invoke(main, ["check", "--data", *words, "s.toml"])


def changed(*edits: tuple[str, str]) -> str:
    text = SPEC
    for old, new in edits:
        assert text.count(old) >= 1
        # The last one is that of the signal.
        head, _, tail = text.rpartition(old)
        text = head + new + tail
    return text


FILES = 'files = ["good.parquet"]'
SIGNAL = 'class = "signal"'
FAULTS: dict[str, tuple[str, str, str]] = {
    # What is changed, and the place and the words of the fault.
    "column": (changed(('"eta"]', '"etaa"]')), "7:20", "no column 'etaa'; did you mean 'eta'?"),
    "list": (changed(('"eta"]', '"jets"]')), "7:20", "'jets' holds a list in each event"),
    "text": (changed(('"eta"]', '"label"]')), "7:20", "'label' holds texts, not numbers"),
    "number": (changed(('"event"', '"pt"'), ('"pt", ', "")), "5:16", "does not hold whole numbers"),
    "weight": (changed(('weight = "w"', 'weight = "w * sf"')), "6:10", "no column 'sf'"),
    "own weight": (changed((FILES, f'{FILES}\nweight = "label"')), "17:10", "is text, no number"),
    "unquoted": (changed(('"y == 1"', '"label == sig"')), "17:13", "no column 'sig'"),
    "kinds": (changed(('"y == 1"', '"label > 1"')), "17:13", "texts"),
    "nothing left": (changed(('"y == 1"', '"y == 7"')), "17:13", "no event is left"),
    "no file": (changed((FILES, 'files = ["god.parquet"]')), "16:10", "there is no file"),
    "no variable": (changed((FILES, 'files = ["${NO}/a.root"]')), "16:10", "NO is not set"),
    "cut": (changed((FILES, 'files = ["cut.root"]\ntree = "nominal"')), "16:9", "cannot read"),
    "trees": (changed((FILES, 'files = ["two.root"]')), "16:9", "several trees, name one"),
    "tree": (
        changed((FILES, 'files = ["two.root"]\ntree = "nominl"')), "17:8", "mean 'nominal'?",
    ),
    "derived": (
        changed(('"eta"]', '"ht"]\nderived = { ht = "ptt * 2" }')), "8:18", "no column 'ptt'",
    ),
    "shadow": (
        changed(('"eta"]', '"ht"]\nderived = { ht = "eta * 2", pt = "eta" }')), "8:34", "already",
    ),
    "classes": (
        changed(
            (SIGNAL, 'class_column = "four"'),
            ('"eta"]', '"eta"]\nclass_values = { background = [0], signal = [1] }'),
            ('selection = "y == 1"\n', ""),
        ),
        "16:16",
        "'four' is 2 (75 events), 3 (75 events), which no class names",
    ),
    "names": (
        changed(
            (SIGNAL, 'class_column = "four"'),
            ('"eta"]', '"eta"]\nclasses = ["background", "signal"]'),
        ),
        "16:16",
        "nothing says which is 'signal'",
    ),
}  # fmt: skip

BY_FOUR = ('"eta"]', '"eta"]\nclass_values = { background = [0], signal = [1] }')
NOT_SELECTED = ('selection = "y == 1"\n', "")
EVEN = ('"y == 1"', '"event >= 0"')
MISLEADING: dict[str, tuple[str, str, str]] = {
    # Names of columns that are words of messages.
    "weight": (
        changed((FILES, f'{FILES}\nweight = "selection_sf"'), EVEN), "17:10", "does not exist",
    ),
    "weight alone": (
        changed(
            (FILES, f'{FILES.replace("good", "./good")}\nweight = "selection_sf"'), NOT_SELECTED
        ),
        "17:10",
        "the weight selection_sf does not exist for 1 events",
    ),
    "weight of the table": (
        changed(('weight = "w"', 'weight = "selection_sf"')), "6:10", "does not exist",
    ),
    "class column": (
        changed((SIGNAL, 'class_column = "selection_four"'), BY_FOUR, NOT_SELECTED),
        "16:16",
        "'selection_four' is 2 (75 events)",
    ),
    "another": (
        changed((SIGNAL, 'class_column = "weight of"'), BY_FOUR, NOT_SELECTED),
        "16:16",
        "'weight of' is 2 (75 events)",
    ),
    # Events of which no file alone tells.
    "nothing left": (
        changed(
            (SIGNAL, 'class_column = "four"'),
            ('"eta"]', '"eta"]\nclass_values = { background = [8], signal = [9] }'
                       "\ndrop_other_classes = true"),
            NOT_SELECTED,
        ),
        "17:16",
        "no event is left: 'four' is 0 (75 events)",
    ),
    "no such class column": (
        changed((SIGNAL, 'class_column = "fuor"'), BY_FOUR), "16:16", "did you mean 'four'?",
    ),
    "nan": (changed((FILES, f'{FILES}\nweight = "odd"')), "17:10", "nan or infinite weights"),
    "nan of the table": (changed(('weight = "w"', 'weight = "odd"')), "6:10", "nan or infinite"),
}  # fmt: skip


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", MISLEADING)
def test_a_fault_of_events_stands_at_its_option_whatever_columns_are_called(name: str) -> None:
    text, place, words = MISLEADING[name]
    ended = checked(text)
    assert ended.exit_code == 1
    [fault] = [line for line in ended.output.splitlines() if ": error: " in line]
    assert fault.startswith(f"s.toml:{place}: error: ")
    assert words in fault


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_files_stands_where_the_spec_asks_for_it(name: str) -> None:
    text, place, words = FAULTS[name]
    ended = checked(text)
    assert ended.exit_code == 1
    assert f"s.toml:{place}: error: " in ended.output
    assert words in ended.output
    assert "Traceback" not in ended.output
    found = json.loads(checked(text, "--format", "json").output)
    places = [
        f"{fault['span']['line']}:{fault['span']['column']}"
        for fault in found
        if words in fault["message"]
    ]
    assert place in places


@pytest.mark.usefixtures("folder")
def test_all_faults_are_said_at_once_and_each_once() -> None:
    text = changed(('"eta"]', '"etaa", "ptt"]'), ('"y == 1"', '"z == 1"'))
    ended = checked(text)
    assert [ended.output.count(f"no column '{name}'") for name in ("etaa", "ptt", "z")] == [1, 1, 1]
    assert "3 mistakes" in ended.output


@pytest.mark.usefixtures("folder")
def test_what_files_hold_is_said_in_lines() -> None:
    ended = checked(changed(('"eta"]', '"jets[1]"]')))
    assert ended.exit_code == 0, ended.output
    assert ended.output.splitlines() == [
        "s.toml: jets[1]: element 1 of the lists in 'jets'",
        "s.toml: sample  class       events  sum of weights  negative  effective",
        "s.toml: bkg     background     150             150      0.0%        150",
        "s.toml: sig     signal         150             150      0.0%        150",
        "1 checked, no mistakes",
    ]


@pytest.mark.usefixtures("folder")
def test_json_is_alone_also_where_there_is_something_to_say() -> None:
    text = changed(
        (SIGNAL, 'class_column = "four"'),
        ('"eta"]', '"eta"]\nclass_values = { background = [0], signal = [1] }'
                   "\ndrop_other_classes = true"),
    )  # fmt: skip
    assert "'four' is 3 (75 events): left out" in checked(text).output
    assert json.loads(checked(text, "--format", "json").output) == []


@pytest.mark.usefixtures("folder")
def test_each_point_of_a_sweep_is_checked() -> None:
    grid = '[sweep_config.grid]\ndataset_config.numerical = [["pt"], ["pt", "etaa"]]\n'
    ended = checked(SPEC + grid)
    assert ended.exit_code == 1
    assert ended.output.count("no column 'etaa'") == 1


@pytest.mark.usefixtures("folder")
def test_points_of_a_sweep_that_select_or_weigh_differently_are_each_looked_at() -> None:
    samples = [
        "[" + ", ".join(
            f'{{ name = "{name}", class = "{kind}", {FILES}, selection = "{cut}" }}'
            for name, kind, cut in (("bkg", "background", "y == 0"), ("sig", "signal", signal))
        ) + "]"
        for signal in ("y == 1", "y == 1 and event < 200")
    ]  # fmt: skip
    ended = checked(f"{SPEC}[sweep_config.grid]\ndataset_config.samples = [{', '.join(samples)}]\n")
    assert ended.exit_code == 0, ended.output
    assert ended.output.splitlines() == [
        "s.toml: sample  class       events  sum of weights  negative  effective",
        "s.toml: bkg     background     150             150      0.0%        150",
        "s.toml: sig     signal         150             150      0.0%        150",
        "s.toml: sig     signal         100             100      0.0%        100",
        "1 checked, no mistakes",
    ]
    ended = checked(f'{SPEC}[sweep_config.grid]\ndataset_config.weight = ["w", "2 * w"]\n')
    assert (
        "s.toml: sig     signal         150             300      0.0%        150\n" in ended.output
    )


FOLDED = changed(('event_number = "event"\n', 'event_number = "event"\nfolds = 3\n'))


@pytest.mark.usefixtures("folder")
def test_events_of_each_class_are_counted_fold_by_fold() -> None:
    lines = checked(FOLDED).stdout.splitlines()
    counts = [line for line in lines if line.startswith("s.toml: fold ")]
    numbers = [[int(n) for n in re.findall(r"(?:bkg|background|signal) (\d+)", c)] for c in counts]
    folds = np.minimum([share(event) * 3 for event in range(SIZE)], 2).astype(int)
    expected = [[int(((folds == f) & (np.arange(SIZE) % 2 == y)).sum()) for y in (0, 1)]
                for f in range(3)]  # fmt: skip
    assert numbers == expected
    # The files are looked at once, whatever the number of trainings.
    assert sum("effective" in line for line in lines) == 1
    assert not [line for line in checked(SPEC).stdout.splitlines() if "fold" in line]


@pytest.mark.usefixtures("folder")
def test_a_class_without_events_in_a_fold_is_found() -> None:
    text = FOLDED.replace('selection = "y == 1"', 'selection = "y == 1 and event < 6"')
    ended = checked(text)
    assert ended.exit_code == 1
    here = {int(share(event) * 3) for event in (1, 3, 5)}
    lacking = re.findall(r"(fold \d): class signal has no events", ended.output)
    assert lacking == [f"fold {fold}" for fold in range(3) if fold not in here]
    assert lacking
    # Of one fold alone, what counts is what it is trained, validated and tested on.
    alone = checked(text.replace("folds = 3\n", "folds = 3\nfold = 0\n"))
    assert re.findall(r"(train|validation|test): class signal has no events", alone.output)


@pytest.mark.usefixtures("folder")
def test_a_class_without_events_in_a_split_is_found() -> None:
    ended = checked(changed(('"y == 1"', '"y == 1 and event < 4"')))
    assert ended.exit_code == 1
    assert "class signal has no events" in ended.output


@pytest.mark.usefixtures("folder")
def test_columns_of_fakes_are_looked_for_in_their_table() -> None:
    text = SPEC.replace('"signal"\n[exp', '"fakes"\n[exp').replace(SIGNAL, 'kind = "mc"')
    text = text.replace('class = "background"', 'kind = "data"')
    fakes = '[fakes_config]\ncategory = "kind"\ncrack_veto = true\neta = "etaa"\n'
    ended = checked(text + fakes)
    assert ended.exit_code == 1
    for place, name in (("19:12", "kind"), ("21:7", "etaa")):
        assert f"s.toml:{place}: error: " in ended.output
        assert f"no column '{name}'" in ended.output


@pytest.mark.usefixtures("folder")
def test_uproot_is_needed_for_root_files_and_named_where_it_lacks() -> None:
    root = 'files = ["two.root"]\ntree = "nominal"'
    Path("s.toml").write_text(SPEC.replace(FILES, root))
    code = (
        "import sys\n{}from seesawc.cli.commands import main\n"
        'main(["check", "--data", "s.toml"], standalone_mode=False)'
    )
    ends = [
        subprocess.run([sys.executable, "-c", code.format(line)], capture_output=True, text=True)
        for line in ("", 'sys.modules["uproot"] = None\n')
    ]
    assert [done.returncode for done in ends] == [0, 1], ends[0].stderr
    assert "uproot, which reads files of events, is not installed" in ends[1].stderr
    assert "pip install 'seesawc[train]'" in ends[1].stderr
    assert "Traceback" not in ends[1].stderr


def test_torch_is_not_imported_and_a_package_that_lacks_is_named(folder: Path) -> None:
    Path("s.toml").write_text(SPEC)
    code = "import sys\nfrom seesawc.cli.commands import main\n{}\n"
    run = 'main(["check", "--data", "s.toml"], standalone_mode=False)'
    known = 'assert not {"torch", "pandas", "uproot", "h5py", "tomlkit"} & set(sys.modules)'
    done = subprocess.run(
        [sys.executable, "-c", code.format(f"{run}\n{known}")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    hidden = 'sys.modules["pyarrow"] = None'
    done = subprocess.run(
        [sys.executable, "-c", code.format(f"{hidden}\n{run}")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "pip install 'seesawc[train]'" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("folder")
def test_files_of_a_sample_hold_what_their_first_one_does() -> None:
    other = {**columns(), "event": np.arange(SIZE) + 200, "y": np.arange(SIZE) % 2 + 0.0}
    pq.write_table(pa.table(other), "more.parquet")
    both = changed((FILES, 'files = ["good.parquet", "more.parquet"]'))
    ended = checked(both)
    # Whole and real numbers are numbers.
    assert ended.exit_code == 0, ended.output
    assert "sig: 50 event numbers stand in several of its files" in ended.output
    pq.write_table(pa.table({**other, "pt": ["x"] * SIZE}), "more.parquet")
    ended = checked(both)
    assert ended.exit_code == 1
    assert "'pt' holds 'string', other than in" in ended.output
