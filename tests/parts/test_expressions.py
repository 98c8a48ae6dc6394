"""What the compiler allows in expressions, pandas evaluates as numpy does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from parts.events import Sample, read_sample
from seesawc.tables.expressions import FUNCTIONS, columns, is_comparison

EVENTS = pd.DataFrame(
    {
        "event": np.arange(400),
        "a": np.random.default_rng(1).normal(0, 2, 400),
        "b": np.random.default_rng(2).uniform(0.1, 5, 400),
        "n": np.random.default_rng(3).integers(-3, 4, 400),
        "m": np.random.default_rng(4).integers(0, 4, 400),
        "f": np.random.default_rng(5).normal(0, 2, 400).astype(np.float32),
        "kind": np.random.default_rng(6).choice(["ggH", "VBF", "top"], 400),
    }
)
A, B, N, M, F = (EVENTS[name].to_numpy() for name in ("a", "b", "n", "m", "f"))
KIND = EVENTS["kind"].to_numpy().astype(str)


@pytest.fixture(scope="module", params=["parquet", "csv"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / f"events.{request.param}"
    if path.suffix == ".csv":
        EVENTS.to_csv(path, index=False)
    else:
        EVENTS.to_parquet(path)
    return path


def read(file: Path, selection: str | None = None, weight: str | None = None) -> pd.DataFrame:
    used = {column for text in (selection, weight) if text for column in columns(text)}
    wanted = tuple(sorted(used | {"event"}))
    sample = Sample("s", 0, (str(file),), wanted, selection, weight)
    return read_sample(sample, [file], ["event"], None, "event")


WEIGHTS: dict[str, NDArray[np.float64]] = {
    "a + b - 1": A + B - 1,
    "a - b - 1": A - B - 1,
    "a * b / 3": A * B / 3,
    "1 / b / 2": 1 / B / 2,
    "n / 2": N / 2,
    "n % 3": (N % 3).astype(float),
    "a % 1.5": A % 1.5,
    "a ** 2": A**2,
    "-a ** 2": -(A**2),
    "2 ** -b": 2**-B,
    "2 ** m ** 2": (2 ** (M**2)).astype(float),
    "-n": -N.astype(float),
    "+a": A,
    "a - -b": A + B,
    "a + b * 2 ** 2": A + B * 4,
    "(a + b) * 2": (A + B) * 2,
    "1e-3 * a": 1e-3 * A,
    "b * (a > 1)": B * (A > 1),
    "b * (n == 1) + 2 * (n != 1)": B * (N == 1) + 2 * (N != 1),
    "abs(a)": np.abs(A),
    "sqrt(b)": np.sqrt(B),
    "exp(a)": np.exp(A),
    "log(b)": np.log(B),
    "log10(b)": np.log10(B),
    "sin(a)": np.sin(A),
    "cos(a)": np.cos(A),
    "tan(a)": np.tan(A),
    "sinh(a)": np.sinh(A),
    "cosh(a)": np.cosh(A),
    "arctan2(a, b)": np.arctan2(A, B),
    "sqrt(abs(a) ** 2 + b ** 2) * exp(-b)": np.sqrt(A**2 + B**2) * np.exp(-B),
    "abs(n)": np.abs(N).astype(float),
    "sqrt(m)": np.sqrt(M),
}

SELECTIONS: dict[str, NDArray[np.bool_]] = {
    "a > 1": A > 1,
    "a >= b": A >= B,
    "1 < a": A > 1,
    "n == 1": N == 1,
    "n != 1": N != 1,
    "a + 1 > b * 2": A + 1 > B * 2,
    "0 < a < b": (A > 0) & (A < B),
    "-1 <= n < m <= 3": (N >= -1) & (N < M) & (M <= 3),
    "a > 0 and b > 1": (A > 0) & (B > 1),
    "a > 0 or b > 1": (A > 0) | (B > 1),
    "a > 0 or b > 1 and n > 0": (A > 0) | ((B > 1) & (N > 0)),
    "(a > 0 or b > 1) and n > 0": ((A > 0) | (B > 1)) & (N > 0),
    "a > 0 and b > 1 or n > 0": ((A > 0) & (B > 1)) | (N > 0),
    "not a > 0": A <= 0,
    "not a > 0 and b > 1": (A <= 0) & (B > 1),
    "not (a > 0 and b > 1)": ~((A > 0) & (B > 1)),
    "not a > 0 or not b > 1": (A <= 0) | (B <= 1),
    "not not a > 0": A > 0,
    "~(a > 0)": A <= 0,
    "~(a > 0) & (b > 1)": (A <= 0) & (B > 1),
    "(a > 0) & (b > 1)": (A > 0) & (B > 1),
    "(a > 0) | (b > 1) & (n > 0)": (A > 0) | ((B > 1) & (N > 0)),
    "(a > 0) & (b > 1) or not (n > 0)": ((A > 0) & (B > 1)) | (N <= 0),
    "n in [1, 2]": np.isin(N, [1, 2]),
    "n in [-1]": N == -1,
    "n in [-1, 2]": np.isin(N, [-1, 2]),
    "n not in [1, 2]": ~np.isin(N, [1, 2]),
    "not n in [1, 2]": ~np.isin(N, [1, 2]),
    "n in [1, 2] and m in [0, 3] or a > 1": (np.isin(N, [1, 2]) & np.isin(M, [0, 3])) | (A > 1),
    "n not in [1, 2] and a > 0": ~np.isin(N, [1, 2]) & (A > 0),
    "kind == 'ggH'": KIND == "ggH",
    "kind != 'ggH' and a > 0": (KIND != "ggH") & (A > 0),
    "kind in ['ggH', 'VBF']": np.isin(KIND, ["ggH", "VBF"]),
    "kind not in ['ggH'] and n == 1": (KIND != "ggH") & (N == 1),
    'kind == "top" or n in [0]': (KIND == "top") | (N == 0),
    "n % 2 == 0": N % 2 == 0,
    "event % 2 == 1 and n > 0": (np.arange(400) % 2 == 1) & (N > 0),
    "abs(a) < 1": np.abs(A) < 1,
    "0.5 < sqrt(b) < 1.5": (np.sqrt(B) > 0.5) & (np.sqrt(B) < 1.5),
    "a ** 2 + b ** 2 > 9": A**2 + B**2 > 9,
    "f > 1.1": np.float32(1.1) < F,
    "(a > 0) == (b > 1)": (A > 0) == (B > 1),
}

# pandas takes & and | for `and` and `or`, as every user of `query` expects; Python would refuse.
LOOSE: dict[str, NDArray[np.bool_]] = {
    "a > 0 & b > 1": (A > 0) & (B > 1),
    "n == 1 | m == 2 & a > 0": (N == 1) | ((M == 2) & (A > 0)),
}


@pytest.mark.parametrize("weight", WEIGHTS)
def test_weights_are_evaluated_as_numpy_does(file: Path, weight: str) -> None:
    assert not is_comparison(weight)
    found = read(file, weight=weight)[" weight"].to_numpy()
    np.testing.assert_allclose(found, WEIGHTS[weight], rtol=1e-12)


@pytest.mark.parametrize("selection", [*SELECTIONS, *LOOSE])
def test_selections_are_evaluated_as_numpy_does(file: Path, selection: str) -> None:
    expected = (SELECTIONS | LOOSE)[selection]
    assert 0 < expected.sum() < 400
    assert read(file, selection)["event"].tolist() == np.flatnonzero(expected).tolist()


def test_every_function_that_is_allowed_is_evaluated_here() -> None:
    assert all(any(f"{name}(" in weight for weight in WEIGHTS) for name in FUNCTIONS)


def test_a_weight_is_that_of_the_selected_events(file: Path) -> None:
    found = read(file, "n == 1", "a * 2")
    np.testing.assert_allclose(found[" weight"], 2 * A[N == 1], rtol=1e-12)


def test_columns_named_like_ours_or_like_functions_stay_columns(tmp_path: Path) -> None:
    names = ("index", "exp", "label", "sin")
    events = EVENTS.assign(index=A, exp=B, label=N, sin=M)
    events.to_parquet(tmp_path / "events.parquet", index=False)
    file = tmp_path / "events.parquet"
    sample = Sample("s", 0, (str(file),), (*names, "event"), "index > 0 and sin in [1, 2]", "exp")
    found = read_sample(sample, [file], ["event"], None, "event")
    chosen = (A > 0) & np.isin(M, [1, 2])
    assert found["event"].tolist() == np.flatnonzero(chosen).tolist()
    np.testing.assert_array_equal(found[" weight"], B[chosen])
