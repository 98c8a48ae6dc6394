"""A sweep is many plain scripts in one: its points, their names, and how the one text is made."""

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from seesawc import pipeline
from seesawc.pipeline import Compiled
from seesawc.writing import outputs, scripts
from seesawc.writing.runs import PlannedRun
from tests.runs.experiments import SPEC
from tests.runs.variants import THREE
from tests.spec_tables import merged, write_spec
from tests.sweeps import examples, sampled

GRIDS: dict[str, dict[str, Any]] = {
    "lr": {"training_config": {"optimizer": {"optimizer_params": {"lr": [0.1, 1e-3]}}}},
    "optimizer": {"training_config": {"optimizer": {"optimizer_name": ["AdamW", "Adam", "SGD"]}}},
    "betas": {
        "training_config": {"optimizer": {"optimizer_params": {"betas": [[0.9, 0.99], [0.5, 0.9]]}}}
    },
    "scheduler": {
        "training_config": {
            "scheduler": [
                {"scheduler_name": "CosineAnnealingLR"},
                {"scheduler_name": "ReduceLROnPlateau", "scheduler_params": {"factor": 0.5}},
                {"scheduler_name": "ReduceLROnPlateau", "scheduler_params": {"factor": 0.1}},
                {"scheduler_name": "OneCycleLR", "scheduler_params": {"max_lr": 0.1}},
            ]
        }
    },
    "model": {"model_config": {"architecture_config": {"model": ["MLP", "ResNet"]}}},
    "n_hidden": {"model_config": {"architecture_config": {"n_hidden": [8, 16, 32]}}},
    "act": {"model_config": {"architecture_config": {"act": ["ReLU", "SiLU", "Tanh"]}}},
    "dropout": {"model_config": {"architecture_config": {"dropout": [0, 0.25]}}},
    "batchnorm": {"model_config": {"architecture_config": {"batchnorm": [False, True]}}},
    "scaling": {"dataset_config": {"scaling": ["standard", "none", "quantile"]}},
    "numerical": {"dataset_config": {"numerical": [["x", "y", "z"], ["x"], []]}},
    "batch_size": {"dataset_config": {"batch_size": [40, 50]}},
    "split": {
        "dataset_config": {
            "split": [
                {"train": 0.6, "validation": 0.2, "test": 0.2},
                {"train": 0.5, "validation": 0.25, "test": 0.25},
            ]
        }
    },
    "weights": {"dataset_config": {"use_mc_weights": [True, False]}},
    "loss": {"training_config": {"loss": ["bce", "mse", "focal"]}},
    "patience": {"training_config": {"early_stop_patience": [2, 3]}},
    "seed": {"experiment_config": {"seed": [1, 2]}},
    "precision": {"experiment_config": {"precision": ["32-true", "64-true"]}},
    "monitor": {"training_config": {"monitor": ["val_loss", "val_auc"]}},
    "samples": {"dataset_config": {"samples": [SPEC["dataset_config"]["samples"]]}},
}
GRIDS["samples"]["dataset_config"]["samples"].append(THREE["dataset_config"]["samples"])
POINTS: dict[str, dict[str, Any]] = {
    "warmup": {"training_config": {"warmup": {"epochs": 0.5}}},
    "cosine": {"training_config": {"warmup": {"epochs": 1, "shape": "cosine"}}},
    "stopping": {"training_config": {"early_stop_patience": 7}},
    "schedule": {"training_config": {"scheduler": {"scheduler_name": "StepLR"}}},
    "gamma": {"training_config": {"loss": "focal", "loss_params": {"gamma": 0.5}}},
    "tested": {"model_config": {"load_checkpoint": "x.ckpt"}},
    "pinned": {"dataset_config": {"fingerprints": {"../data/toy.csv": "0a" * 32}}},
}
POINTS["schedule"]["training_config"]["scheduler"]["scheduler_params"] = {"step_size": 2}


def compiled(folder: Path, tables: Mapping[str, Any], name: str = "toy") -> Compiled:
    path = write_spec(folder / "specs" / f"{name}.toml", tables)
    return pipeline.compile_spec(path, folder / "generated" / "toy")


def sweep(**table: Any) -> dict[str, Any]:
    return merged(SPEC, {"experiment_config": {"run_name": "r"}, "sweep_config": table})


def grid(*names: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        found = merged(found, GRIDS[name])
    return found


def plain(tables: Mapping[str, Any], run: PlannedRun) -> dict[str, Any]:
    """The plain spec that has the values of a point."""
    found = {name: table for name, table in tables.items() if name != "sweep_config"}
    for dotted, value in run.values.items():
        *path, name = dotted.split(".", 5 if "fingerprints" not in dotted else 2)
        changes: dict[str, Any] = {name: value}
        for part in reversed(path):
            changes = {part: changes}
        found = put(found, changes)
    return merged(found, {"experiment_config": {"run_name": run.name}})


def put(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables with one option replaced as a whole."""
    ((name, value),) = changes.items()
    # Only the way to the option is given as tables of one item.
    if isinstance(value, dict) and len(value) == 1 and isinstance(table.get(name, {}), dict):
        value = put(table.get(name, {}), value)
    return {**table, name: value}


class Substituted(ast.NodeTransformer):
    """Puts a point's values where the script looks them up."""

    def __init__(self, row: Mapping[str, ast.expr]) -> None:
        self.row = row

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(ast.Name("POINT"), ast.Constant(str(column))):
                return self.row[column]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(
                ast.Attribute(ast.Name("POINT"), "get"), [ast.Constant(str(column)), *default]
            ):
                return self.row.get(column, default[0] if default else ast.Constant(None))
        return self.generic_visit(node)


def segments(script: str) -> Iterator[str]:
    """The text of each statement at top level."""
    lines = script.split("\n")
    for node in ast.parse(script).body[1:]:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        yield "\n".join(lines[first - 1 : node.end_lineno])


@cache
def tree(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


@cache
def normal(text: str) -> tuple[str, str]:
    """The name of a statement, and its text without comments."""
    node = tree(text)
    return named(node), ast.unparse(node)


def statements(texts: Iterable[str], row: Mapping[str, ast.expr]) -> Iterator[tuple[str, str]]:
    """The statements that a point has, with its values; of variants the one that it has."""
    variants: dict[str, str] = {}
    for text in texts:
        node = tree(text)
        match node:
            case ast.If(
                ast.Compare(ast.Constant(str(column)), [ast.In()], [ast.Name("POINT")]), [inner]
            ):
                if column in row:
                    yield normal(ast.unparse(Substituted(row).visit(deepcopy(inner))))
            case ast.Assign([ast.Name(name)], ast.Subscript(ast.Dict(keys, values), choice)):
                number = ast.literal_eval(Substituted(row).visit(deepcopy(choice)))
                chosen = {ast.literal_eval(k): v for k, v in zip(keys, values, strict=True) if k}
                variant = ast.unparse(chosen[number])
                yield normal(re.sub(rf"\b{variant}\b", name, variants[variant], count=1))
            case _:
                if "POINT" in text:
                    text = ast.unparse(Substituted(row).visit(deepcopy(node)))
                name, text = normal(text)
                if re.fullmatch(r"\w+_\d+", name):
                    variants[name] = text
                else:
                    yield name, text


def named(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
            return name
        case ast.Import() | ast.ImportFrom():
            return "import"
    return ast.unparse(node)


# What a sweep imports besides.
ALSO = {"from parts.machinery.arguments import parse_sweep_arguments", "from typing import Any"}
# What a sweep says where a plain script says something else, and what only a sweep has.
OWN = {
    'RUN_NAME = f"{SWEEP}-{ARGUMENTS.point}"': 'RUN_NAME = "{run}"',
    "    points=POINTS,\n    arguments=ARGUMENTS,\n": "",
}  # fmt: skip
HEAD = {"POINTS", "ARGUMENTS", "SWEEP", "POINT"}
ASKED_FOR = {"ACCELERATOR", "DEVICES", "FINGERPRINTS"}


def of_point(script: str, run: PlannedRun) -> dict[str, str]:
    """The statements of a point by name: what the script does for it."""
    for own, other in OWN.items():
        assert own in script
        script = script.replace(own, other.replace("{run}", run.name))
    texts = list(segments(script))
    (table,) = [tree(text) for text in texts if text.startswith("POINTS: ")]
    assert isinstance(table, ast.AnnAssign)
    assert isinstance(table.value, ast.Dict)
    rows = {
        ast.unparse(k): v for k, v in zip(table.value.keys, table.value.values, strict=True) if k
    }
    row = rows[f"'{run.identity}'"]
    assert isinstance(row, ast.Dict)
    columns = {ast.literal_eval(k): v for k, v in zip(row.keys, row.values, strict=True) if k}
    found = dict(statements(texts, columns))
    return {name: text for name, text in found.items() if name not in HEAD}


def imports(script: str) -> set[str]:
    """What a script imports, each name for itself."""
    found = set()
    for text in segments(script):
        if named(tree(text)) == "import":
            source, _, names = ast.unparse(tree(text)).rpartition("import ")
            found |= {f"{source}import {name}" for name in names.split(", ")}
    return found


def assert_merged(folder: Path, tables: Mapping[str, Any]) -> None:
    """Assert that the script of a sweep is, for each point, the plain script of its values."""
    found = compiled(folder, tables)
    script = found.files[scripts.SCRIPT]
    plains = [compiled(folder, plain(tables, r)).files[scripts.SCRIPT] for r in found.runs]
    assert imports(script) == set().union(*map(imports, plains)) | ALSO
    everywhere = {normal(text)[0] for each in plains for text in segments(each)}
    for run, text in zip(found.runs, plains, strict=True):
        alone = {n: t for n, t in map(normal, segments(text)) if n != "import"}
        here = of_point(without_parts(script), run)
        alone["SCRIPT"] = without_parts(alone["SCRIPT"])
        assert {name: here.get(name) for name in alone} == alone
        extra = here.keys() - alone.keys() - {"import"}
        assert extra <= everywhere
        # What trackers are told as a setting; SCRIPT asks for its own in all of its variants.
        settings = {name for name in extra if name.isupper()}
        assert settings <= ASKED_FOR, "a setting that the point lacks"
        assert f'script = "{outputs.digest(text)}"' in found.files["resolved.toml"]


def without_parts(text: str) -> str:
    """A text without the digest of parts: a sweep builds on those of all its points."""
    return re.sub("(parts=.)[0-9a-f]{64}", r"\g<1>", text)


@pytest.mark.parametrize("name", sampled(GRIDS, 3))
def test_each_option_alone_is_swept_faithfully(name: str, tmp_path: Path) -> None:
    assert_merged(tmp_path, sweep(grid=GRIDS[name]))


@pytest.mark.parametrize("name", sampled(POINTS, 2))
def test_each_explicit_point_is_as_its_plain_script(name: str, tmp_path: Path) -> None:
    assert_merged(tmp_path, sweep(points=[{}, POINTS[name]], seeds=[3, 4]))


# One that keeps every other free of mistakes, and does not test it.
COMBINED = sorted(GRIDS.keys() - {"samples", "numerical", "loss", "optimizer", "scheduler"})


@settings(max_examples=examples(1, 5))
@given(names=st.lists(st.sampled_from(COMBINED), min_size=2, max_size=2, unique=True))
def test_options_together_are_swept_faithfully(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    point = {"training_config": {"warmup": {"epochs": 0.25}, "loss": "mse"}}
    assert_merged(tmp_path_factory.mktemp("sweep"), sweep(grid=grid(*names), points=[point]))


def values(found: Compiled) -> dict[str, str]:
    """The values of each point by its identity."""
    return {run.identity: json.dumps(run.values, sort_keys=True) for run in found.runs}


def test_points_come_in_order_and_are_named_by_their_values(tmp_path: Path) -> None:
    both = grid("lr", "n_hidden")
    found = compiled(tmp_path, sweep(grid=both, points=[POINTS["gamma"]], seeds=[5, 6]))
    assert [run.index for run in found.runs] == list(range(14))
    lr, hidden = (
        "training_config.optimizer.optimizer_params.lr",
        "model_config.architecture_config.n_hidden",
    )
    assert dict(found.runs[3].values) == {lr: 0.1, hidden: 16, "experiment_config.seed": 6}
    assert dict(found.runs[12].values) == {
        "training_config.loss": "focal",
        "training_config.loss_params.gamma": 0.5,
        "experiment_config.seed": 5,
    }
    assert all(run.name == f"r-{run.identity}" for run in found.runs)
    assert len(values(found)) == 14


def test_an_identity_does_not_depend_on_other_points_or_their_order(tmp_path: Path) -> None:
    few = values(compiled(tmp_path, sweep(grid=GRIDS["lr"], seeds=[1, 2])))
    more = deepcopy(GRIDS["lr"])
    more["training_config"]["optimizer"]["optimizer_params"]["lr"] = [0.5, 1e-3, 0.1]
    many = values(compiled(tmp_path, sweep(points=[{}], grid=more, seeds=[3, 2, 1])))
    assert few.items() <= many.items()
    # Other machines, and later versions, must say the same.
    point = compiled(tmp_path, sweep(points=[POINTS["gamma"]])).runs[0]
    assert point.identity == "365a6a27bf"


def test_the_run_name_is_kept_while_the_spec_itself_is(tmp_path: Path) -> None:
    def built(**changes: Any) -> str:
        tables = merged(merged(sweep(), {"experiment_config": {"run_name": None}}), changes)
        found = compiled(tmp_path, tables)
        outputs.write(tmp_path / "generated" / "toy", found.files, force=True)
        return found.experiment.experiment_config.run_name

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        first = built(sweep_config={"seeds": [1]})
        assert first == "toy_sweep_20010909T014640Z"
        patch.setenv("SOURCE_DATE_EPOCH", "1000000060")
        assert built(sweep_config={"seeds": [1, 2], "grid": GRIDS["model"]}) == first
        assert built(sweep_config={"seeds": [4], "points": [POINTS["warmup"]]}) == first
        changed = built(sweep_config={"seeds": [4]}, training_config={"max_epochs": 9})
        assert changed == "toy_sweep_20010909T014740Z"


def test_adding_a_point_leaves_the_digests_of_the_others(tmp_path: Path) -> None:
    def digests(**table: Any) -> dict[str, str]:
        record = compiled(tmp_path, sweep(**table)).files["resolved.toml"]
        return {p["identity"]: p["script"] for p in tomllib.loads(record)["points"]}

    few = digests(grid=GRIDS["lr"], seeds=[1])
    many = digests(grid=GRIDS["lr"], points=list(POINTS.values()), seeds=[1, 2])
    assert few.items() <= many.items()


def test_the_record_states_the_sweep_and_what_follows_from_each_point(tmp_path: Path) -> None:
    job = {"slurm_config": {"time": "01:00:00"}}
    tables = sweep(grid=GRIDS["model"], seeds=[7], max_parallel=3) | job
    found = compiled(tmp_path, tables)
    record = tomllib.loads(found.files["resolved.toml"])
    assert record["sweep_config"] == {
        "seeds": [7],
        "max_parallel": 3,
        "grid": GRIDS["model"],
        "points": [],
    }
    mlp, resnet = record["points"]
    assert mlp["values"]["experiment_config.seed"] == 7
    assert mlp["follow"] == {}
    assert resnet["follow"] == {"model_config.architecture_config.block_size": 2}
    assert [point["run_name"] for point in (mlp, resnet)] == [run.name for run in found.runs]


def test_a_plain_spec_makes_one_run(tmp_path: Path) -> None:
    found = compiled(tmp_path, merged(SPEC, {"experiment_config": {"run_name": "r"}}))
    assert found.runs == (PlannedRun(0, "r", "", {}),)


def test_the_table_may_hold_names_of_libraries(tmp_path: Path) -> None:
    script = compiled(tmp_path, sweep(grid=GRIDS["act"])).files[scripts.SCRIPT]
    assert '"act": nn.SiLU,' in script
    assert 'ACT = POINT["act"]\n' in script


def test_the_example_of_the_documents_has_no_mistake(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "specs" / "README.md").read_text()
    (shown,) = re.findall(r"```toml\n(\[sweep_config\].*?)```", readme, re.DOTALL)
    path = tmp_path / "toy.toml"
    job = '[slurm_config]\ntime = "01:00:00"\n'
    path.write_text("\n".join([tomlkit.dumps(dict(SPEC)), job, shown]))
    assert len(pipeline.compile_spec(path, tmp_path / "toy").runs) == 27
