"""How long scripts may be, so that somebody reads one in a sitting (DESIGN.md, section 4)."""

import re
from pathlib import Path
from typing import Any

import pytest

from seesawc import pipeline
from tests.runs.experiments import SPEC
from tests.spec_tables import merged, write_spec

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.toml"))
PLAIN, POINT = 300, 10
# Which has the samples and features of a classifier; and a line for each run that is combined.
COMBINE = 155
BUDGETS = {
    "train_numerator.py": 280,
    "train_denominator.py": 280,
    "train_ratio.py": 340,
    "closure.py": 130,
    "apply.py": 150,
}


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_scripts_keep_to_their_budgets(spec: Path, tmp_path: Path) -> None:
    found = pipeline.compile_spec(spec, tmp_path / spec.stem)
    points = len(found.runs) if found.experiment.has_points else 0
    sweeps = {"train_signal.py": PLAIN + POINT * points, "combine.py": COMBINE + len(found.runs)}
    budgets = {**BUDGETS, **sweeps}
    lengths = {n: text.count("\n") for n, text in found.files.items() if n in budgets}
    assert lengths
    assert {n: size for n, size in lengths.items() if size > budgets[n]} == {}


def script(folder: Path, changes: dict[str, Any]) -> list[str]:
    path = write_spec(folder / "specs" / "toy.toml", merged(SPEC, changes))
    found = pipeline.compile_spec(path, folder / "generated" / "toy")
    return found.files["train_signal.py"].splitlines()


def test_a_sweep_of_the_learning_rate_adds_a_column_and_no_variant(tmp_path: Path) -> None:
    def swept(*rates: float) -> list[str]:
        params = {"training_config": {"optimizer": {"optimizer_params": {"lr": list(rates)}}}}
        return script(tmp_path, {"sweep_config": {"grid": params}})

    plain, one, three = script(tmp_path, {}), swept(0.1), swept(0.1, 0.2, 0.3)
    assert 'LR = POINT["lr"]' in three
    assert not re.search(r"\w_\d+(\(| = )", "\n".join(three))
    # All but the row of each point stands there whatever their number.
    assert len(three) == len(one) + 2
    body = plain[plain.index('if __name__ == "__main__":') - 20 :]
    assert three[-len(body) :] == body
    rows = [line for line in three if line.startswith('    "') and '"lr": ' in line]
    assert len(rows) == 3
