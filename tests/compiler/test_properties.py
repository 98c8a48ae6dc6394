"""Any valid spec compiles to files that pass every check; any other text is refused in words."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import pytest
import tomlkit
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from parts.grammar import FUNCTIONS
from seesawc import pipeline
from seesawc.cli.commands import main
from seesawc.diagnostics import CompileError
from seesawc.rules import checks
from seesawc.tables import signatures, slurm
from seesawc.tables.dataset import DatasetTable, SampleTable, SplitTable
from seesawc.tables.experiment import PRECISIONS, ExperimentTable
from seesawc.tables.model import ArchitectureTable, ModelTable
from seesawc.tables.signatures import Parameter, Range, Signature
from seesawc.tables.slurm import SlurmTable
from seesawc.tables.spec import Spec, keys
from seesawc.tables.training import (
    LossTable,
    OptimizerTable,
    SchedulerTable,
    TrainingTable,
    WarmupTable,
)
from seesawc.tables.values import INTERACTIVE, WINDOWS
from tests.sweeps import examples, sampled

Values = dict[str, Any]
# What is shrunk would be compiled hundreds of times.
STABLE = settings(phases=[Phase.generate], suppress_health_check=list(HealthCheck))
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
NASTY = ("'", '"', "\\", "{{", "}}", "{% raw %}", "#", "$", "`", "$(x)", "\\n", "\x02", "\x020\x03")


def is_name(text: str) -> bool:
    folded = text.lower()
    return not (text.endswith(".") or folded.split(".")[0] in WINDOWS or folded in INTERACTIVE)


names = st.builds(
    str.__add__,
    st.sampled_from(ascii_letters + digits),
    st.text(f"{ascii_letters}{digits}_.+-", max_size=40),
).filter(is_name)
columns = st.one_of(
    st.builds(
        str.__add__,
        st.sampled_from(f"{ascii_letters}_"),
        st.text(f"{ascii_letters}{digits}_", max_size=30),
    ),
    st.sampled_from(["class", "lambda", "None", "self", "DATASET", "torch"]),
)
texts = st.lists(st.one_of(st.text(PRINTABLE, max_size=8), st.sampled_from(NASTY[:-2])))
plain = texts.map("".join).filter(lambda t: t == t.strip() and 0 < len(t) < 200)


def is_path(text: str) -> bool:
    folders = text.split("/")
    if ".." in folders or any("**" in folder for folder in folders):
        return False
    return not (set(text) & set('$\\"`') or text.startswith(("~", "/")))


variables = st.sampled_from(["", "", "${HOME}/", "${ANALYSIS_ML_DATA_DIR}/a-", "/eos/${USER}/"])
paths = st.builds(str.__add__, variables, plain.filter(is_path))
places = st.one_of(st.just("../../data/"), paths.map(lambda path: f"{path}/x"))
# A sample has files of one format.
endings = st.sampled_from(
    [
        ("*.parquet", "{}.parquet", "folder/"),
        ("a?.csv", "[{b}].csv.gz"),
        ("*.root", "'.root"),
        ("{{x}}.h5", "?.hdf5"),
    ]
)
files = endings.flatmap(
    lambda known: st.lists(
        st.builds(str.__add__, places, st.sampled_from(known)), min_size=1, max_size=3
    )
)
OPERANDS = ("process", "lep1_pt", "n_jets")
selections = st.one_of(
    st.builds("{} == {!a}".format, st.sampled_from(OPERANDS), plain),
    st.builds("{} in [1, {}]".format, st.sampled_from(OPERANDS), st.integers(0, 9)),
    st.sampled_from(
        [
            "abs(lep1_eta) < 2.5 and not (n_jets > 3)",
            "~(process == 1) | (lep1_pt ** 2 >= 400)",
            " process == 1 ",
            " or ".join(f"process == {number}" for number in range(40)),
        ]
    ),
)
weights = st.sampled_from(["weight", "w_mc * w_pileup / 2", "sqrt(w_mc ** 2)", " weight "])


def inside(limits: Range) -> Mapping[str, Any]:
    low = limits.minimum if limits.minimum is not None else limits.above
    high = limits.maximum if limits.maximum is not None else limits.below
    return {
        "min_value": -10.0 if low is None else low,
        "max_value": (low or 0.0) + 10.0 if high is None else high,
        "exclude_min": limits.above is not None,
        "exclude_max": limits.below is not None,
    }


def number(kind: str, limits: Range) -> st.SearchStrategy[float]:
    numbers = st.floats(**inside(limits), allow_nan=False)
    whole = st.integers(1, 20)
    return whole.filter(limits.allows) if "int" in kind else st.one_of(whole, numbers)


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Return what a parameter may be; what torch refuses besides is left to `signatures.check`."""
    ranges = parameter.ranges or (Range(),)
    match parameter.kind:
        case "bool":
            return st.booleans()
        case "str":
            return st.sampled_from(parameter.choices or ("x",))
        case "floats" | "ints" as kind:
            items = [number(kind, ranges[i % len(ranges)]) for i in range(parameter.length or 2)]
            return st.tuples(*items).map(list)
        case kind:
            return number(kind, ranges[0])


@st.composite
def calls(draw: st.DrawFn, known: Mapping[str, Signature], kind: str) -> Values:
    """Return the name and some parameters of an optimizer or a scheduler."""
    usable = [signature for signature in known.values() if signature.refused is None]
    signature = draw(st.sampled_from(usable))
    needed = {p.name for p in signature.parameters if p.required and not p.filled}
    chosen = [p for p in signature.parameters if p.name in needed or draw(st.booleans())]
    params = {p.name: draw(values(p)) for p in chosen}
    for name, _, _ in signatures.check(signature, params):
        params.pop(name, None)
    if signatures.check(signature, params):
        signature, params = known["AdamW" if kind == "optimizer" else "CosineAnnealingLR"], {}
    return {f"{kind}_name": signature.name, f"{kind}_params": params}


@st.composite
def some(draw: st.DrawFn, options: Mapping[str, st.SearchStrategy[Any]]) -> Values:
    """Return some of the options: the others are left open."""
    return {name: draw(value) for name, value in options.items() if draw(st.booleans())}


@st.composite
def experiment_tables(draw: st.DrawFn, batch: bool) -> Values:
    table = {"experiment_name": draw(names)} | draw(
        some(
            {
                "run_name": names,
                "save_dir": paths,
                "tracker_path": paths,
                "seed": st.integers(0, 2**32 - 1),
                "accelerator": st.sampled_from(["cpu", "gpu", "auto"]),
                "precision": st.sampled_from([*PRECISIONS, 64, 32]),
                "float32_matmul_precision": st.sampled_from(["highest", "high", "medium"]),
                "log_every_n_steps": st.integers(1, 10**6),
                "num_sanity_val_steps": st.integers(-1, 9),
                "plot_metrics_n_epoch": st.one_of(
                    st.integers(1, 9), st.sampled_from(["end", "never"])
                ),
                "experiment_label": st.sampled_from(["ATLAS Internal", "CMS", "$x$ \\y"]),
                "energy": st.sampled_from([13, 13.6]),
                "luminosity": st.sampled_from([140.0, 0.5]),
                "tqdm_refresh_rate": st.integers(0, 100),
            }
        )
    )
    table["devices"] = draw(st.one_of(st.just("auto"), st.integers(1, 8), st.just("2")))
    if table.get("accelerator") == "cpu":
        table["precision"] = "bf16"
    elif not batch:
        table["devices"] = draw(st.sampled_from([-1, "-1", [0, 1], "0,2", [3], 1]))
    if draw(st.booleans()):
        table["comet_api_key"] = "${COMET_API_KEY}"
        table["comet_project_name"] = draw(plain)
    return table


@st.composite
def dataset_tables(draw: st.DrawFn) -> Values:
    taken = {*FUNCTIONS, "weight", "w_mc", "w_pileup", "event"}
    distinct = st.lists(
        columns.filter(lambda c: c not in taken), min_size=1, max_size=20, unique=True
    )
    features = draw(distinct)
    cut = draw(st.integers(0, len(features)))
    classes = draw(
        st.one_of(
            st.just(["signal", "background"]),
            st.lists(names, min_size=2, max_size=4, unique_by=checks.metric_name),
        )
    )
    sample_names = draw(st.lists(names, min_size=len(classes), max_size=5, unique=True))
    samples = [
        {
            "name": name,
            "class": classes[index % len(classes)],
            "files": draw(files),
            **draw(some({"selection": selections, "weight": weights})),
        }
        for index, name in enumerate(sample_names)
    ]
    # Of one file, no two classes have the same events.
    read = Counter(file for sample in samples for file in set(sample["files"]))
    for index, sample in enumerate(samples):
        if any(read[file] > 1 for file in sample["files"]):
            sample["selection"] = f"b1 == {index}"
    split = {"split": {"train": 0.5, "validation": 0.25, "test": 0.25}}
    fold = {"folds": draw(st.integers(3, 100)), "fold": draw(st.integers(0, 2))}
    return {
        "numerical": features[:cut],
        "categorical": features[cut:],
        "samples": samples,
        **draw(st.sampled_from([{}, split, fold])),
        **draw(
            some(
                {
                    "classes": st.permutations(classes),
                    "event_number": st.just("event"),
                    "weight": weights,
                    "missing": st.one_of(
                        st.floats(width=32, allow_infinity=False), st.integers(-999, 999)
                    ),
                    "scaling": st.sampled_from(
                        ["standard", "minmax", "robust", "quantile", "none"]
                    ),
                    "batch_size": st.integers(2, 2**40),
                    "use_mc_weights": st.booleans(),
                    "use_class_weights": st.booleans(),
                    "fingerprints": st.dictionaries(
                        st.sampled_from([f for s in samples for f in s["files"]]),
                        st.just("0a" * 32),
                        max_size=2,
                    ),
                }
            )
        ),
    }


@st.composite
def model_tables(draw: st.DrawFn, embedded: bool) -> Values:
    residual = draw(st.booleans())
    norm = draw(st.sampled_from([{}, {"batchnorm": True}, {"layernorm": True}]))
    architecture = draw(
        some(
            {
                "n_layers": st.integers(1, 99),
                "n_hidden": st.integers(1, 9999),
                "act": st.sampled_from(signatures.activations()),
                "dropout": st.floats(0, 0.99),
                **({"block_size": st.integers(1, 4)} if residual else {}),
                **({"embedding_dim": st.integers(1, 99)} if embedded else {}),
            }
        )
    )
    if residual and "n_layers" in architecture:
        architecture["n_layers"] *= architecture.get("block_size", 2)
    elif "block_size" in architecture:
        architecture["n_layers"] = 2 * architecture["block_size"]
    table = {
        "architecture_config": {"model": "ResNet" if residual else "MLP", **norm, **architecture},
        **draw(some({"name": names, "load_checkpoint": paths})),
    }
    if "load_checkpoint" in table:
        table["continue_training"] = draw(st.booleans())
    return table


@st.composite
def training_tables(draw: st.DrawFn, binary: bool) -> Values:
    kinds = ["focal", "mse", "bce" if binary else "cross_entropy"]
    table = {"max_epochs": draw(st.integers(9, 999))} | draw(
        some(
            {
                "loss": st.sampled_from(kinds),
                "early_stop_patience": st.integers(0, 99),
                "save_top_k": st.integers(1, 9),
                "gradient_clip_val": st.floats(1e-300, 1e300),
                "monitor": st.sampled_from(["val_loss", "val_auc"]),
                "monitor_mode": st.sampled_from(["min", "max"]),
                "optimizer": calls(signatures.optimizers(), "optimizer"),
                "scheduler": calls(signatures.schedulers(), "scheduler"),
                "warmup": some(
                    {
                        "shape": st.sampled_from(["linear", "cosine"]),
                        "epochs": st.floats(0.25, 9),
                    }
                ),
            }
        )
    )
    if table.get("loss") == "focal":
        table["loss_params"] = draw(some({"gamma": st.floats(0, 9)}))
    if table.get("loss") == "cross_entropy":
        table["loss_params"] = draw(some({"label_smoothing": st.floats(0, 0.9)}))
    if "scheduler" in table:
        optimizer = table.get("optimizer", {"optimizer_name": "AdamW"})["optimizer_name"]
        scheduler = table["scheduler"]
        # Left out, the schedule is as long as the training, and goes the monitor's way.
        scheduler["scheduler_params"].pop("total_steps", None)
        if scheduler["scheduler_name"] == "ReduceLROnPlateau":
            scheduler["scheduler_params"].pop("mode", None)
        pair = (
            signatures.schedulers()[scheduler["scheduler_name"]],
            scheduler["scheduler_params"],
            signatures.optimizers()[optimizer],
        )
        if signatures.check_pair(*pair):
            del table["scheduler"]
        elif draw(st.booleans()) and scheduler["scheduler_name"] != "ReduceLROnPlateau":
            scheduler["interval"] = draw(st.sampled_from(["epoch", "step"]))
    return table


environments = st.one_of(names, paths.map(lambda path: f"./{path}"), st.just("${HOME}"))
words = st.text(f"{ascii_letters}{digits}_.+-", max_size=9).map(lambda text: f"a{text}")


@st.composite
def slurm_tables(draw: st.DrawFn, gpus: bool) -> Values:
    hours, rest = draw(st.integers(2, 23)), draw(st.integers(0, 59))
    table: Values = {"time": draw(st.sampled_from(["", "3-"])) + f"{hours:02}:{rest:02}:{rest:02}"}
    if gpus and draw(st.booleans()):
        table["gpus"] = draw(st.integers(1, 8))
    place = draw(st.sampled_from([{"environment": environments}, {"container": paths}, {}]))
    return table | draw(
        some(
            {
                "partition": words,
                "account": words,
                "qos": words,
                "constraint": st.sampled_from(["a100|v100", "[rack1*2&rack2*4]", "(a&b),c"]),
                "nodes": st.integers(1, 64),
                "cpus": st.integers(1, 256),
                "memory": st.sampled_from(["16G", "4096M", "1T", "999999K"]),
                "modules": st.lists(words.map(lambda word: f"{word}/1.2"), max_size=3),
                **place,
                "requeue": st.booleans(),
                "signal_lead": st.integers(10, 3600),
                "mail_user": words.map(lambda word: f"{word}@cern.ch"),
                "mail_type": st.lists(st.sampled_from(slurm.MAIL_TYPES), max_size=3),
                "extra": st.sampled_from([[], ["--exclusive"], ["--licenses=eos:2", "--nice=5"]]),
            }
        )
    )


@st.composite
def specs(draw: st.DrawFn) -> Values:
    """Return a valid spec."""
    batch = draw(st.booleans())
    experiment, data = draw(experiment_tables(batch)), draw(dataset_tables())
    labels = {sample["class"] for sample in data["samples"]}
    training = draw(training_tables(binary=len(labels) == 2))
    if training.get("monitor", "val_loss") == "val_loss":
        experiment["check_metrics_n_epoch"] = draw(st.sampled_from([1, 7, "never"]))
        if experiment["check_metrics_n_epoch"] == "never":
            experiment.pop("plot_metrics_n_epoch", None)
    else:
        experiment["check_eval_n_epoch"] = draw(st.integers(1, 9))
    if experiment.get("accelerator") == "cpu":
        training.get("optimizer", {}).get("optimizer_params", {}).pop("capturable", None)
    if training.get("optimizer", {}).get("optimizer_name") == "LBFGS":
        # It does not work with 16-mixed.
        experiment["precision"] = "bf16"
    spec = {
        "task": "signal",
        "experiment_config": experiment,
        "dataset_config": data,
        "model_config": draw(model_tables(embedded=bool(data["categorical"]))),
        "training_config": training,
    }
    if batch:
        gpus = experiment["devices"] == "auto" and experiment.get("accelerator") != "cpu"
        free = gpus and experiment.get("accelerator") != "gpu"
        job = draw(slurm_tables(gpus=free or gpus))
        if is_test_only(spec):
            # One task tests; more are refused.
            experiment["devices"] = 1
            job = {name: value for name, value in job.items() if name not in ("gpus", "nodes")}
        spec["slurm_config"] = job
    return spec


def compiled(spec: Values, folder: Path) -> Mapping[str, str]:
    path = folder / "specs" / "x.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(tomlkit.dumps(spec), encoding="utf-8", newline="")
    return pipeline.compile_spec(path, folder / "generated" / "x").files


def constants(script: str) -> dict[str, Any]:
    """Return the settings of a script that are literals, and the arguments of its samples."""
    found: dict[str, Any] = {}
    for node in ast.parse(script).body:
        match node:
            case ast.Assign(targets=[ast.Name("DATASET")], value=ast.Call(keywords=keywords)):
                samples = {k.arg: k.value for k in keywords}["samples"]
                assert isinstance(samples, ast.Tuple)
                found["SAMPLES"] = [
                    {str(k.arg): value_of(k.value) for k in sample.keywords}
                    for sample in samples.elts
                    if isinstance(sample, ast.Call)
                ]
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                assert node.value is not None
                found[name] = value_of(node.value)
    return found


def value_of(node: ast.expr) -> Any:
    """Return the value of a literal; None for what is none."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


# One call of ruff for all the scripts of a test: starting it takes longer than checking them.
def assert_ruff_finds_nothing(folder: Path) -> None:
    options = ["--no-cache", "--isolated", "--line-length=100", "--target-version=py311"]
    # As ruff sees it where parts lie beside the script.
    options.append("--config=lint.isort.known-first-party = ['parts']")
    for command in (
        ["format", "--diff", *options],
        ["check", "--select=E,F,I,UP,B,S", "--output-format=concise", *options],
    ):
        ruff = [sys.executable, "-m", "ruff", *command, str(folder)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_any_valid_spec_compiles_to_clean_files(tmp_path: Path) -> None:
    scripts, batches = tmp_path / "scripts", tmp_path / "batches"
    scripts.mkdir()
    batches.mkdir()

    @settings(STABLE, max_examples=examples(16, 60))
    @given(specs())
    def compiles(spec: Values) -> None:
        found = compiled(spec, tmp_path)
        number = len(list(scripts.iterdir()))
        for name, text in found.items():
            assert text.isascii()
            assert text.endswith("\n")
            assert not any(line != line.rstrip() for line in text.split("\n")), name
        compile(found["train_signal.py"], "train_signal.py", "exec")
        (scripts / f"script{number}.py").write_text(found["train_signal.py"])
        assert ("submit.sbatch" in found) == ("slurm_config" in spec)
        if "submit.sbatch" in found:
            (batches / f"{number}.sbatch").write_text(found["submit.sbatch"])
        assert_values_are_kept(spec, constants(found["train_signal.py"]))

    compiles()
    assert len(list(batches.iterdir())) > examples(2, 10)
    assert_ruff_finds_nothing(scripts)
    for batch in batches.iterdir():
        done = subprocess.run(["bash", "-n", batch], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def is_test_only(spec: Values) -> bool:
    model = spec.get("model_config", {})
    return "load_checkpoint" in model and not model.get("continue_training")


def assert_values_are_kept(spec: Values, script: Values) -> None:
    experiment, data = spec["experiment_config"], spec["dataset_config"]
    for name in ("experiment_name", "run_name", "save_dir", "tracker_path", "seed"):
        assert name not in experiment or script[name.upper()] == experiment[name]
    for name in ("max_epochs", "monitor", "monitor_mode", "gradient_clip_val", "save_top_k"):
        # A script that only tests a checkpoint has none of them.
        assert (
            name not in spec["training_config"]
            or is_test_only(spec)
            or (script[name.upper()] == spec["training_config"][name])
        )
    if "comet_api_key" in experiment:
        assert script["COMET_PROJECT_NAME"] == experiment["comet_project_name"]
    assert script["NUMERICAL"] == tuple(data["numerical"])
    assert script["CATEGORICAL"] == tuple(data["categorical"])
    assert script.get("FINGERPRINTS", {}) == data.get("fingerprints", {})
    assert [s["name"] for s in script["SAMPLES"]] == [s["name"] for s in data["samples"]]
    for made, sample in zip(script["SAMPLES"], data["samples"], strict=True):
        assert made["files"] == tuple(sample["files"])
        assert made.get("selection") == sample.get("selection")
        assert made.get("weight") == sample.get("weight", data.get("weight"))
        assert script["CLASSES"][made["label"]] == sample["class"]


PLAIN: Values = {
    "task": "signal",
    "experiment_config": {"experiment_name": "h4l", "comet_api_key": "${COMET_API_KEY}"},
    "dataset_config": {
        "numerical": ["lep1_pt"],
        "samples": [
            {"name": "ggH", "class": "signal", "files": ["a.csv"]},
            {"name": "qqZZ", "class": "background", "files": ["b.csv"]},
        ],
    },
    "model_config": {"load_checkpoint": "a.ckpt", "continue_training": True},
    "training_config": {},
    "slurm_config": {"time": "01:00:00"},
}
# Every option that is a text of the author's, by its path in the spec.
FREE = (
    "experiment_config.experiment_name",
    "experiment_config.run_name",
    "experiment_config.save_dir",
    "experiment_config.tracker_path",
    "experiment_config.comet_api_key",
    "experiment_config.comet_project_name",
    "experiment_config.precision",
    "experiment_config.devices",
    "dataset_config.numerical.0",
    "dataset_config.event_number",
    "dataset_config.weight",
    "dataset_config.samples.0.name",
    "dataset_config.samples.0.class",
    "dataset_config.samples.0.files.0",
    "dataset_config.samples.0.selection",
    "dataset_config.samples.0.weight",
    "model_config.name",
    "model_config.load_checkpoint",
    "training_config.monitor",
    "slurm_config.time",
    "slurm_config.partition",
    "slurm_config.account",
    "slurm_config.qos",
    "slurm_config.constraint",
    "slurm_config.memory",
    "slurm_config.environment",
    "slurm_config.container",
    "slurm_config.mail_user",
)


def changed(value: Any, path: list[str], new: Any) -> Any:
    """Return a copy of a spec with one value in it replaced."""
    if not path:
        return new
    if isinstance(value, list):
        return [changed(v, path[1:], new) if str(i) == path[0] else v for i, v in enumerate(value)]
    table = value or {}
    return {**table, path[0]: changed(table.get(path[0]), path[1:], new)}


def strings(script: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def bash_accepts(text: str) -> bool:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stderr


@pytest.mark.parametrize("path", sampled(FREE, 3))
def test_a_nasty_text_is_data_or_refused(path: str, tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    ends = {"files.0": ".csv", "selection": " == 1"}
    end = next((end for name, end in ends.items() if path.endswith(name)), "")
    texts = [f"a{nasty}b" for nasty in NASTY] + ["${HOME}/a'b", '${HOME}/a"b', "${HOME}/`x`", "a b"]
    if path.endswith(("selection", "weight")):
        texts += [f"process == {nasty!a}" for nasty in NASTY]
        texts += ["(process == 'it''s') & (x == \"{{ y }} # $(z)\")", "a * b"]
    refused: list[CompileError] = []
    for index, text in enumerate(texts):
        value = text if "process" in text else text + end
        try:
            files = compiled(changed(PLAIN, path.split("."), value), tmp_path)
        except CompileError as refusal:
            refused.append(refusal)
            continue
        (scripts / f"script{index}.py").write_text(files["train_signal.py"])
        if not path.startswith("slurm_config"):
            assert value in strings(files["train_signal.py"])
        assert bash_accepts(files["submit.sbatch"])
        for line in files["submit.sbatch"].split("\n"):
            assert not line.startswith("#SBATCH") or not set(line[8:]) & set("'\"\\`$# ")
    assert all(fault.span for refusal in refused for fault in refusal.diagnostics)
    assert_ruff_finds_nothing(scripts)


BASE = (Path(__file__).parents[1] / "errors" / "base.toml").read_text(encoding="utf-8")
LINES = BASE.splitlines(keepends=True)
SPELLINGS = (
    "0", "-1", "1.5", "nan", "inf", "1e400", "true", '""', '"x"', "'''y'''", "[]", "[1, \"a\"]",
    "{}", "{ a = 1 }", "1979-05-27", "07:32:00", "[[]]", '"${X}"', '"${', '"\\u0000"', "0x10",
    "[{}]", "99999999999999999999", '"never"', '["auto"]', '"1,2"', '"process == 1"', '"h4l"',
)  # fmt: skip


MISTAKES = ("delete", "duplicate", "swap", "retype", "insert", "header", "key")


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Return a valid spec with some mistakes in it."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in "ab")
        match draw(st.sampled_from(MISTAKES)):
            case "delete" if len(lines) > 1:
                del lines[at]
            case "duplicate":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "retype" if "=" in lines[at]:
                key = lines[at].partition("=")[0]
                lines[at] = f"{key}= {draw(st.sampled_from(SPELLINGS))}\n"
            case "insert":
                place = draw(st.integers(0, len(lines[at])))
                text = draw(st.one_of(st.text(max_size=3), st.sampled_from("\"'[]{}=.#,\\\n")))
                lines[at] = lines[at][:place] + text + lines[at][place:]
            case "header":
                lines[at] = draw(st.sampled_from([line for line in LINES if line[0] == "["]))
            case "key":
                key = draw(st.sampled_from([ln.partition("=")[0] for ln in LINES if "=" in ln]))
                lines[at] = f"{key}= {draw(st.sampled_from(SPELLINGS))}\n"
    raw = "".join(lines).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


def assert_refused_or_accepted(raw: bytes, command: str, path: Path) -> None:
    path.write_bytes(raw)
    result = CliRunner().invoke(main, [command, str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in (0, 1)
    assert "Traceback" not in result.output
    if result.exit_code == 1:
        head = result.stderr.split("\n")[0]
        assert head.startswith(f"{path}:")
        assert ": error: " in head


def test_no_mistake_in_a_spec_crashes_check(tmp_path: Path) -> None:
    @settings(STABLE, max_examples=400)
    @given(mutations())
    def checks(raw: bytes) -> None:
        assert_refused_or_accepted(raw, "check", tmp_path / "spec.toml")

    checks()


def test_no_mistake_in_a_spec_crashes_build(tmp_path: Path) -> None:
    @settings(STABLE, max_examples=100)
    @given(mutations())
    def builds(raw: bytes) -> None:
        assert_refused_or_accepted(raw, "build", tmp_path / "spec.toml")

    builds()


def test_random_bytes_are_refused_in_words(tmp_path: Path) -> None:
    @settings(STABLE, max_examples=200)
    @given(st.binary(max_size=60))
    def checks(raw: bytes) -> None:
        assert_refused_or_accepted(raw, "check", tmp_path / "spec.toml")

    checks()


KINDS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


OPTIONS = [
    (*path, name)
    for path, table in {
        (): Spec,
        ("experiment_config",): ExperimentTable,
        ("dataset_config",): DatasetTable,
        ("dataset_config", "split"): SplitTable,
        ("dataset_config", "samples", "0"): SampleTable,
        ("model_config",): ModelTable,
        ("model_config", "architecture_config"): ArchitectureTable,
        ("training_config",): TrainingTable,
        ("training_config", "optimizer"): OptimizerTable,
        ("training_config", "scheduler"): SchedulerTable,
        ("training_config", "warmup"): WarmupTable,
        ("training_config", "loss_params"): LossTable,
        ("slurm_config",): SlurmTable,
    }.items()
    for name in keys(table)
]


def test_a_value_of_any_type_for_any_option_is_refused_in_words(tmp_path: Path) -> None:
    @settings(STABLE, max_examples=500)
    @given(st.sampled_from(OPTIONS), KINDS)
    def checks(path: tuple[str, ...], value: Any) -> None:
        raw = tomlkit.dumps(changed(PLAIN, list(path), value)).encode("utf-8", "surrogatepass")
        assert_refused_or_accepted(raw, "build", tmp_path / "spec.toml")

    checks()
