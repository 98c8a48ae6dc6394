"""Specs of fakes: what they compile to, and that any of them compiles to well-formed text."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seesawc import pipeline
from seesawc.writing import outputs
from tests.runs.fakes import SPEC, STAGES
from tests.spec_tables import merged, write_spec
from tests.sweeps import examples

ROOT = Path(__file__).parents[2]


def compiled(folder: Path, **changes: Any) -> pipeline.Compiled:
    path = write_spec(folder / "leptons.toml", merged(SPEC, changes))
    return pipeline.compile_spec(path, folder / "leptons")


def constants(text: str) -> dict[str, str]:
    """Return the settings of a script as text."""
    return {
        target.id: ast.unparse(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_the_ratio_knows_its_parents_by_name_and_digest(tmp_path: Path) -> None:
    found = compiled(tmp_path, experiment_config={"run_name": "r"})
    parents = ast.literal_eval(constants(found.files["train_ratio.py"])["PARENTS"])
    assert parents == {
        stage: (f"r-{stage}", outputs.digest(found.files[f"train_{stage}.py"])[:16])
        for stage in STAGES[:2]
    }
    assert [run.name for run in found.runs] == [f"r-{stage}" for stage in STAGES]


def test_a_stage_has_its_own_options_and_no_other_has_them(tmp_path: Path) -> None:
    network = {"architecture_config": {"n_hidden": 99}}
    own = {"training_config": {"max_epochs": 7}, "model_config": network}
    found = compiled(tmp_path, fakes_config={"denominator": own})
    for stage in STAGES:
        settings = constants(found.files[f"train_{stage}.py"])
        wanted = ("7", "99") if stage == "denominator" else ("2", "16")
        assert (settings["MAX_EPOCHS"], settings["N_HIDDEN"]) == wanted
    # The ratio builds its parents' networks as they are.
    ratio = found.files["train_ratio.py"]
    for stage, width in (("NUMERATOR", 16), ("DENOMINATOR", 99)):
        (table,) = re.findall(rf"^{stage}: dict\[str, Any\] = (\{{.*?\}})$", ratio, re.M | re.S)
        assert f'"n_hidden": {width},' in table
    assert "n_outputs=1, **DENOMINATOR)\n" in ratio
    record = tomllib.loads(found.files["resolved.toml"])
    rows = {row["identity"]: row for row in record["stages"]}
    assert rows["denominator"]["follow"]["training_config.max_epochs"] == 7
    assert "training_config.max_epochs" not in rows["ratio"]["follow"]


def test_what_changes_no_number_keeps_the_run_name_and_what_does_renews_it(
    tmp_path: Path,
) -> None:
    def name(**changes: Any) -> str:
        found = compiled(tmp_path, **changes)
        outputs.write(tmp_path / "leptons", found.files, force=True)
        timestamp: str = tomllib.loads(found.files["resolved.toml"])["build"]["numbers"]
        return timestamp

    first = name()
    assert name(experiment_config={"tqdm_refresh_rate": 3}) == first
    assert name(fakes_config={"tolerance": 0.3, "binned": {"pt": [10.0, 20.0]}}) == first
    assert name(fakes_config={"ratio": {"training_config": {"max_epochs": 9}}}) != first
    assert name(fakes_config={"use_data_in_ratio": False}) != first
    assert name() == first


FLAGS = st.booleans()
NETWORK = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["MLP", "ResNet"]),
        "n_layers": st.sampled_from([2, 4]),
        "act": st.sampled_from(["ReLU", "SiLU", "Hardshrink"]),
        "act_out": st.sampled_from(["none", "Softabs", "MinusAbs", "ELUPlus", "Softplus"]),
        "dropout": st.sampled_from([0.0, 0.25]),
        "layernorm": FLAGS,
    },
)
TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "loss": st.sampled_from(["bce", "exponential", "savage", "tangent"]),
        "w_lambda": st.floats(1e-6, 1e3),
        "ess_lambda": st.floats(1e-6, 1e3),
        "clip_quantile": st.floats(0.01, 0.999),
        "monitor": st.sampled_from(["val_loss", "last"]),
        "warmup": st.just({"epochs": 0.5}),
        "gradient_clip_val": st.floats(0.1, 10),
    },
)
STAGE = st.fixed_dictionaries(
    {},
    optional={
        "model_config": st.fixed_dictionaries({"architecture_config": NETWORK}),
        "training_config": TRAINING,
    },
)
ENSEMBLE = st.fixed_dictionaries(
    {"n_members": st.integers(2, 9)},
    optional={"bootstrap": FLAGS, "mc_normalisation": st.floats(0.001, 1)},
)
FAKES = st.tuples(
    st.fixed_dictionaries(
        {},
        optional={
            "use_data_in_ratio": FLAGS,
            "pt_slices": st.sampled_from([[20.0], [20.0, 50.0]]),
            "crack_veto": FLAGS,
            "binned": st.sampled_from([{}, {"pt": [10.0, 50.0]}, {"eta": [-1.0, 0.0, 1.0]}]),
            **dict.fromkeys(STAGES, STAGE),
        },
    ),
    st.one_of(st.just({}), ENSEMBLE),
).map(lambda both: both[0] | both[1])
DATA = st.fixed_dictionaries(
    {},
    optional={
        "scaling": st.sampled_from(["standard", "minmax", "robust", "quantile", "none"]),
        "logarithmic": st.sampled_from([[], ["pt"], ["pt", "eta"]]),
        "categorical": st.sampled_from([[], ["n_jets"]]),
        "missing": st.sampled_from([-999.0, float("nan")]),
        "batch_size": st.integers(1, 10**6),
    },
)


def test_any_spec_compiles_to_scripts_that_ruff_would_not_touch(
    tmp_path_factory: Any,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    count = 0

    @settings(max_examples=examples(8, 25), suppress_health_check=list(HealthCheck))
    @given(fakes=FAKES, network=NETWORK, training=TRAINING, data=DATA)
    def build(
        fakes: dict[str, Any], network: dict[str, Any], training: dict[str, Any], data: Any
    ) -> None:
        nonlocal count
        count += 1
        place = folder / f"n{count}"
        place.mkdir()
        found = compiled(
            place,
            fakes_config=fakes,
            dataset_config=data,
            model_config={"architecture_config": network},
            training_config=training,
        )
        for name, text in found.files.items():
            # Parts are as they are, whatever the spec.
            if name.endswith(".py") and not name.startswith("parts/"):
                ast.parse(text)
                (place / name).write_text(text)

    build()
    assert count >= examples(6, 20)
    config = f"--config={ROOT / 'pyproject.toml'}"
    rules = "--select=E,F,I,UP,B,S,PLE,RUF001,RUF100"
    for command in (["format", "--check"], ["check", rules, "--ignore=S101"]):
        ended = subprocess.run(
            [sys.executable, "-m", "ruff", *command, config, str(folder)],
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout[-3000:]
