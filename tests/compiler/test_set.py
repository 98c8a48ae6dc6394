"""`seesawc set`: options change in place, all else stays, and nothing is written that is wrong."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seesawc.cli.commands import main
from seesawc.reading import options, source
from seesawc.reading.source import Key
from seesawc.tables.spec import Spec, keys
from seesawc.writing.edits import edited as after
from tests.spec_tables import BASE, SPEC, edited
from tests.sweeps import examples

ROOT = Path(__file__).parents[2]
LIST = """\
numerical = [  # features
    "lep1_pt", "lep1_eta",  # leading
    # of the second
    "lep2_pt",
]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    SPEC.parent.mkdir()
    SPEC.write_text(BASE, encoding="utf-8")
    return tmp_path


def seesawc(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["set", str(SPEC), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def good(*arguments: str) -> str:
    result = seesawc(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str, status: int = 1) -> str:
    before = SPEC.read_bytes()
    result = seesawc(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert SPEC.read_bytes() == before
    return result.stderr


def data() -> Any:
    return tomllib.loads(SPEC.read_text(encoding="utf-8"))


def test_an_option_is_changed_where_it_stands_and_nothing_else_is() -> None:
    said = good("training_config.max_epochs=50", "experiment_config.seed=2")
    assert said == f"wrote {SPEC} (training_config.max_epochs, experiment_config.seed)\n"
    expected = edited(edited(BASE, "max_epochs = 30", "max_epochs = 50"), "seed = 1", "seed = 2")
    assert SPEC.read_text() == expected


def test_a_leading_table_is_left_out_where_one_alone_has_the_option() -> None:
    good("max_epochs=50", "time=04:30:00", "architecture_config.n_hidden=32")
    assert data()["training_config"]["max_epochs"] == 50
    assert data()["slurm_config"]["time"] == "04:30:00"
    assert data()["model_config"]["architecture_config"] == {"model": "MLP", "n_hidden": 32}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("monitor=val_auc", "val_auc"),
        ('monitor="val_auc"', "val_auc"),
        ("dataset_config.samples.0.selection=process == 2", "process == 2"),
        ("dataset_config.samples.1.selection='kind' == kind", "'kind' == kind"),
        ("missing=-999", -999),
        ("missing=-1e3", -1e3),
        ("numerical=['a', \"b\"]", ["a", "b"]),
        ("optimizer_params={ lr = 1e-2 }", {"lr": 1e-2}),
        ("slurm_config.requeue=true", True),
        ("run_name=2024-01-01", "2024-01-01"),
        ("run_name=5#x", None),
        ("run_name=a=b", None),
    ],
)
def test_a_value_is_toml_and_else_a_text(word: str, value: Any) -> None:
    word = word.replace("optimizer_params", "training_config.optimizer.optimizer_params")
    (edit,) = options.edits([word], [])
    assert edit.value == (word.partition("=")[2] if value is None else value)
    assert type(edit.value) is not float or "e" in word


def test_a_number_keeps_its_spelling() -> None:
    good("training_config.optimizer.optimizer_params.lr=3.0e-04")
    assert "optimizer_params = { lr = 3.0e-04 }\n" in SPEC.read_text()


def test_what_is_so_already_leaves_the_file_untouched() -> None:
    before = SPEC.stat()
    said = good("max_epochs=30", "experiment_config.experiment_name=h4l", "--unset", "missing")
    assert said.startswith(f"unchanged: {SPEC} (")
    assert SPEC.stat() == before


def test_a_new_table_stands_where_the_schema_has_it() -> None:
    scheduler = "training_config.scheduler.scheduler_name=CosineAnnealingLR"
    good(scheduler, "split.test=0.3", "split.train=0.5")
    assert re.search(r'1e-3 }\n\n\[training_config.scheduler\]\n.*LR"\n\n\[slurm', SPEC.read_text())
    assert '= 0"\n\n[dataset_config.split]\ntrain = 0.5\ntest = 0.3\n\n[model' in SPEC.read_text()


def test_a_split_gives_way_to_folds_and_folds_to_a_split() -> None:
    before = SPEC.read_text()
    good("folds=5")
    assert 'categorical = ["n_jets"]\nfolds = 5\n' in SPEC.read_text()
    assert "split divides the events already" in refused("split.train=0.5")
    good("--unset", "folds", "split.train=0.5", "split.test=0.3")
    good("--unset", "split", "folds=5", "fold=2")
    good("--unset", "folds", "--unset", "fold")
    assert SPEC.read_text() == before


def test_comments_above_a_header_stay_with_it() -> None:
    SPEC.write_text(edited(BASE, "[slurm_config]", "# The cluster's.\n[slurm_config]"))
    good("training_config.warmup.epochs=2")
    assert "[training_config.warmup]\nepochs = 2\n\n# The cluster's.\n[slurm" in SPEC.read_text()


def test_a_sample_more_is_the_next_number() -> None:
    words = ("name=ZH", "class=signal", 'files=["data/zh.csv"]')
    good(*(f"dataset_config.samples.2.{word}" for word in words))
    assert data()["dataset_config"]["samples"][2] == {
        "name": "ZH",
        "class": "signal",
        "files": ["data/zh.csv"],
    }
    assert "there is no dataset_config.samples.5" in refused("dataset_config.samples.5.name=x")


def test_a_sweep_is_added_and_extended() -> None:
    grid = "sweep_config.grid.training_config"
    good(f"{grid}.optimizer.optimizer_params.lr=[1e-3, 1e-4]", f"{grid}.max_epochs=[2, 3]")
    assert SPEC.read_text().endswith(
        "\n\n[sweep_config.grid]\n"
        "training_config.optimizer.optimizer_params.lr = [1e-3, 1e-4]\n"
        "training_config.max_epochs = [2, 3]\n"
    )


def test_options_and_tables_are_taken_out() -> None:
    good("--unset", "slurm_config", "--unset", "dataset_config.weight", "--unset", "categorical")
    expected = edited(edited(BASE, 'weight = "weight"\n', ""), 'categorical = ["n_jets"]\n', "")
    assert (
        SPEC.read_text().rstrip()
        == edited(expected, '[slurm_config]\ntime = "04:00:00"', "").rstrip()
    )


def test_a_list_of_several_lines_keeps_its_layout_and_comments() -> None:
    SPEC.write_text(edited(BASE, 'numerical = ["lep1_pt", "lep1_eta"]\n', LIST))
    good('numerical=["lep1_pt", "lep1_eta", "lep2_pt", "lep2_eta"]')
    text = SPEC.read_text()
    kept = LIST.removesuffix("]\n")
    assert kept in text
    assert data()["dataset_config"]["numerical"][-1] == "lep2_eta"


def test_windows_line_ends_stay() -> None:
    SPEC.write_bytes(BASE.replace("\n", "\r\n").encode())
    good("max_epochs=50", "training_config.warmup.epochs=2", "--unset", "weight")
    raw = SPEC.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") > 30
    assert b"[training_config.warmup]\r\nepochs = 2\r\n" in raw


def test_a_mistake_is_shown_as_check_shows_it_and_nothing_is_written() -> None:
    message = refused("max_epochs=0", "seed=2")
    assert f"{SPEC}:29:14: error: 0 is too small" in message
    assert message.endswith("; nothing was written\n")


def test_mistakes_of_several_words_are_told_at_once() -> None:
    message = refused(
        "max_epoch=5", "training_config.optimizer.lr=1", "name.x=1", "numerical=[a]",
        "numerical.x=1",
        "seed=1", "seed=2", "slurm_config.time=1", "--unset", "slurm_config",
    )  # fmt: skip
    for part in (
        'unknown table or option "max_epoch"',
        'did you mean "training_config.max_epochs"?',
        'unknown option "lr" in training_config.optimizer',
        "allowed: optimizer_name, optimizer_params",
        "model_config.name is no table",
        "'a' is not a value",
        'text stands in quotes: "a"',
        "dataset_config.numerical is a list",
        "experiment_config.seed is given twice",
        "slurm_config.time and slurm_config are both given",
        "7 mistakes; nothing was written",
    ):
        assert part in message


def test_a_table_is_not_written_over_by_a_value() -> None:
    assert "training_config is a table" in refused("training_config=5")


@pytest.mark.parametrize("word", ["max_epochs", "max_epochs=", "=3", "a..b=1", "a b=1", ""])
def test_what_is_no_option_with_a_value_is_wrong_usage(word: str) -> None:
    assert "is not OPTION=VALUE" in refused(word, status=2)


def test_no_option_and_a_name_of_none_are_wrong_usage() -> None:
    assert "is missing" in refused(status=2)
    assert "takes the name of an option" in refused("--unset", "a=b", status=2)


@pytest.mark.parametrize(
    "words",
    [
        ["comet_api_key=abc123"],
        ["comet_api_key", "abc123"],
        ["comet_api_key=[abc123"],
        ['comet_api_key="abc123'],
        ["comet_api_keys=abc123"],
        ["experiment_config.comet_api_key.x=abc123"],
    ],
)
def test_a_key_is_not_repeated(words: list[str]) -> None:
    result = seesawc(*words)
    assert result.exit_code in (1, 2)
    assert "abc123" not in result.output


def test_a_link_is_followed_and_the_mode_stays(project: Path) -> None:
    real = project / "real.toml"
    SPEC.rename(real)
    SPEC.symlink_to("../real.toml")
    real.chmod(0o640)
    good("max_epochs=50")
    assert SPEC.is_symlink()
    assert "max_epochs = 50" in real.read_text()
    assert real.stat().st_mode & 0o7777 == 0o640
    assert {path.name for path in project.iterdir()} == {"real.toml", "specs"}


def test_a_spec_that_is_no_toml_is_refused_with_its_own_mistakes() -> None:
    SPEC.write_text("task = signal\n")
    assert "error: 'signal' is not a value" in refused("max_epochs=3")


# Any option of any table, in several layouts


LAYOUTS = {
    "plain": BASE,
    "headers": (ROOT / "specs" / "h4l.toml").read_text(encoding="utf-8"),
    "sweep": (ROOT / "specs" / "h4l_sweep.toml").read_text(encoding="utf-8"),
    "fakes": (ROOT / "specs" / "fakes_pt.toml").read_text(encoding="utf-8"),
    "odd": """\
# First.
task = "signal"  # as ever
experiment_config.experiment_name = "h4l"  # dotted
experiment_config.seed = 1

# The cluster comes first.
[slurm_config]
# time = "1:00"
  cpus = 4   # indented
  "memory" = '4G'
# Of the network.
[model_config.architecture_config]
model = "MLP"
# After the last option.

# Between two tables.

[ training_config ]
optimizer = { optimizer_name = "AdamW", optimizer_params = { lr = 1e-3 } }  # in braces
scheduler.scheduler_name = "StepLR"
scheduler.scheduler_params.step_size = 3
loss_params = {}
[dataset_config]
numerical = [
    "a",
    "b", "c",
]
categorical = []
samples = [{ name = "s", class = "signal", files = ["a.csv"] }, { name = "b", files = [] }]
# The end.""",
}
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="#"), max_size=12
    ),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.text("ab_c", min_size=1, max_size=3), SCALARS, max_size=2),
)


@st.composite
def located(draw: st.DrawFn, tables: dict[str, Any]) -> Key:
    """Return the key of any option; that of a list's item where there are some, or one more."""
    key: Key = ()
    at = options.Shape(Spec)
    holder: Any = tables
    while True:
        if at.is_table:
            name: str | int = draw(st.sampled_from(list(keys(at.kind))))
        elif at.is_list and (at.inside(0) or at).is_table:
            name = draw(st.integers(0, len(holder) if isinstance(holder, list) else 0))
        else:
            return key
        key, at = (*key, name), at.inside(name) or at
        try:
            holder = holder[name]
        except (KeyError, IndexError, TypeError):
            holder = None


def changed(tables: Any, key: Key, value: Any) -> Any:
    """Return tables with an option given, or without it for `...`."""
    name, rest = key[0], key[1:]
    copy = deepcopy(tables)
    if isinstance(copy, list) and name == len(copy):
        copy.append({})
    if rest:
        missing = name not in copy if isinstance(copy, dict) else False
        inner = ([] if isinstance(rest[0], int) else {}) if missing else copy[name]
        copy[name] = changed(inner, rest, value)
    elif value is ...:
        del copy[name]
    else:
        copy[name] = value
    return copy


def pruned(value: Any) -> Any:
    """Return values as texts, without tables of nothing."""
    if isinstance(value, dict):
        items = {name: pruned(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item != {}}
    return list(map(pruned, value)) if isinstance(value, list) else repr(value)


def written(value: Any) -> str:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return str(table.as_string())
    return str(tomlkit.item(value).as_string())


def comments(text: str) -> list[str]:
    return sorted(re.findall(r"#[^\r\n]*", text))


@settings(
    max_examples=examples(150, 4000),
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(st.data(), st.sampled_from(sorted(LAYOUTS)), st.booleans())
def test_any_option_gets_its_value_and_comments_stay(
    chosen: st.DataObject, layout: str, windows: bool
) -> None:
    text = LAYOUTS[layout]
    if windows:
        text = text.replace("\n", "\r\n")
    for _ in range(3):
        spec = source.parse(text, "h4l.toml")
        key = chosen.draw(located(spec.data))
        value = chosen.draw(VALUES)
        word = f"{options.dotted(key)}={written(value)}"
        new = after(spec, options.edits([word], []))
        assert pruned(tomllib.loads(new)) == pruned(changed(spec.data, key, value)), word
        assert comments(new) == comments(text)
        assert new.count("\n") == new.count("\r\n") or not windows
        again = source.parse(new, "h4l.toml")
        assert after(again, options.edits([word], [])) == new
        without = after(again, options.edits([], [options.dotted(key)]))
        assert pruned(tomllib.loads(without)) == pruned(changed(again.data, key, ...))
        text = new
