"""Scalers against scikit-learn, sentinels, unseen categories, and checkpoints that know it all."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import preprocessing
from torch import Tensor, nn

from parts.inputs import (
    Embedded,
    Inputs,
    Numerical,
    NumericalOrMissing,
    Quantiles,
    check_positive,
    is_missing,
    logarithmic,
    minmax,
    present,
    quantile,
    robust,
    standard,
)
from parts.machinery.exits import RefusedError

NONE = torch.empty(0, 0, dtype=torch.int64)
SCALERS = (standard, minmax, robust, quantile)
Scaler = Callable[[list[Tensor]], nn.Module]


def draw(n: int = 2001, dtype: torch.dtype = torch.float64) -> Tensor:
    random = np.random.default_rng(1)
    columns = [random.normal(50, 20, n), random.exponential(3e4, n), random.uniform(-3, 3, n)]
    return torch.tensor(np.stack(columns, 1), dtype=dtype)


def scale(scaler: Scaler, x: Tensor) -> NDArray[Any]:
    values: NDArray[Any] = scaler(present(x, None))(x).numpy()
    return values


@pytest.mark.parametrize(
    ("scaler", "reference"),
    [
        (standard, preprocessing.StandardScaler()),
        (minmax, preprocessing.MinMaxScaler()),
        (robust, preprocessing.RobustScaler()),
    ],
)
def test_scalers_agree_with_scikit_learn(scaler: Scaler, reference: Any) -> None:
    # 2001 events: quartiles are events, so nothing is interpolated.
    x = draw()
    np.testing.assert_allclose(scale(scaler, x), reference.fit_transform(x), rtol=1e-9, atol=1e-12)


def test_quantiles_agree_with_scikit_learn_between_their_clamps() -> None:
    x = draw()
    reference = preprocessing.QuantileTransformer(n_quantiles=201, output_distribution="normal")
    ours, theirs = scale(quantile, x), reference.fit_transform(x)
    within = np.abs(theirs) < 2
    np.testing.assert_allclose(ours[within], theirs[within], atol=0.02)
    assert np.abs(ours).max() < 3.1
    assert ours.mean(0) == pytest.approx([0, 0, 0], abs=0.01)
    assert ours.std(0) == pytest.approx([1, 1, 1], abs=0.02)


@given(
    st.lists(st.sampled_from([-5.0, 0.0, 0.5, 1.0, 3.0, 1e6]) | st.floats(-1e5, 1e5), min_size=1),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_quantiles_are_monotone_and_clamped(training: list[float], dtype: torch.dtype) -> None:
    x = torch.tensor(training, dtype=dtype)
    scaling = quantile([x])
    probes = torch.cat([x, torch.linspace(-2e6, 2e6, 50, dtype=dtype)]).sort().values
    mapped = scaling(probes[:, None])[:, 0]
    assert mapped.isfinite().all()
    assert (mapped.diff() >= 0).all()
    assert mapped.abs().max() <= 3.0903
    if len(set(x.tolist())) > 1:
        assert mapped[[0, -1]].tolist() == pytest.approx([-3.0902, 3.0902], abs=1e-3)


def test_quantiles_of_many_events_stay_within_them() -> None:
    # Single precision cannot count beyond 2^24: the last quantile lay behind the last event.
    x = torch.zeros(2**24 + 4)
    assert quantile([x]).edges.shape == (1, 201)


def test_each_quantile_is_the_event_of_its_rank() -> None:
    x = torch.arange(201.0).flip(0)
    assert torch.equal(quantile([x]).edges[0], torch.arange(201.0))


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("value", [0.0, 0.1, -999.0, 1e5 / 3, 1e-7 / 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_feature_stays_small(scaler: Scaler, value: float, dtype: torch.dtype) -> None:
    x = torch.full((1001, 1), value, dtype=dtype)
    scaling = scaler(present(x, None))
    assert scaling(x).abs().max() <= 3.1
    # Another value than that of all training events must not explode either.
    assert scaling(x + 1).abs().max() <= 3.1


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("missing", [-999.0, -999.9, float("nan")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_missing_values_are_flagged_and_left_out(
    scaler: Scaler, missing: float, dtype: torch.dtype
) -> None:
    x = draw(dtype=dtype)
    whole = scaler(present(x[500:], None))(x)
    x[:500, 1] = missing
    complete, gappy = scaler(present(x[500:], None)), scaler(present(x, missing))
    for feature in (0, 2):
        assert torch.equal(complete(x[500:])[:, feature], whole[500:, feature])
    values, flags = NumericalOrMissing(gappy, 3, missing)(x, NONE).split(3, dim=1)
    assert values.isfinite().all()
    assert not values[:500, 1].any()
    torch.testing.assert_close(values[500:, 1], whole[500:, 1])
    assert torch.equal(flags == 1, is_missing(x, missing))
    assert flags.sum() == 500


@pytest.mark.parametrize("scaler", SCALERS)
def test_a_feature_that_is_always_missing_is_zero(scaler: Scaler) -> None:
    x = draw()
    x[:, 0] = float("nan")
    block = NumericalOrMissing(scaler(present(x, float("nan"))), 3, float("nan"))
    inputs = block(x, NONE)
    assert inputs.isfinite().all()
    assert not inputs[:, 0].any()
    assert inputs[:, 3].all()


def test_missing_values_send_no_nan_back() -> None:
    x = draw(10)
    x[3, 1] = float("nan")
    block = NumericalOrMissing(standard(present(x, float("nan"))), 3, float("nan"))
    head = nn.Linear(6, 1).double()
    head(block(x, NONE)).sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.isfinite().all()


def test_without_scaling_the_features_pass() -> None:
    x = draw(5)
    assert torch.equal(Numerical(nn.Identity(), 3)(x, NONE), x)


def test_unseen_categories_share_one_embedding() -> None:
    torch.manual_seed(0)
    block = Embedded(1, torch.tensor([-13, 11, 13]), embedding_dim=4)
    column = torch.tensor([-13, 11, 13, 0, 2**40, -(2**40), 12])
    embedded = block(draw(7), torch.stack([torch.zeros_like(column), column], 1))
    assert embedded.shape == (7, 4)
    assert all(torch.equal(row, embedded[3]) for row in embedded[3:])
    assert len(embedded.unique(dim=0)) == 4


def test_an_unseen_category_is_not_trained() -> None:
    block = Embedded(0, torch.tensor([1, 2]), embedding_dim=2)
    block(draw(3), torch.tensor([[1], [2], [2]])).sum().backward()
    assert block.embedding.weight.grad is not None
    assert block.embedding.weight.grad[:, 0].tolist() == [0, 1, 2]


def test_blocks_are_joined_in_order() -> None:
    x, categories = draw(6), torch.tensor([[0], [1], [0], [1], [5], [0]])
    embedded = Embedded(0, torch.tensor([0, 1]), 2).double()
    inputs = Inputs([Numerical(nn.Identity(), 3), embedded])(x, categories)
    assert inputs.shape == (6, 5)
    assert torch.equal(inputs[:, :3], x)
    assert torch.equal(inputs[:, 3:], embedded(x, categories))


def build(scaler: Scaler, x: Tensor, categories: Tensor) -> Inputs:
    missing = NumericalOrMissing(scaler(present(x, -999.0)), 3, -999.0)
    return Inputs([missing, Embedded(0, categories, 3).to(x.dtype)])


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_checkpoint_scales_as_its_own_training_events_ask_for(
    scaler: Scaler, dtype: torch.dtype
) -> None:
    x, categories = draw(dtype=dtype), torch.arange(2001)[:, None] % 5
    trained = build(scaler, x, torch.arange(4))
    other = build(scaler, 3 * x[:100] - 7, torch.arange(10, 14))
    assert not torch.equal(other(x, categories), trained(x, categories))
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x, categories), trained(x, categories))
    assert trained(x, categories).dtype == dtype


def test_quantiles_keep_double_precision() -> None:
    scaling = quantile(present(draw(), None))
    assert isinstance(scaling, Quantiles)
    assert scaling.edges.dtype == scaling.normal.dtype == torch.float64
    expected = torch.special.ndtri(torch.tensor(0.001, dtype=torch.float64))
    assert float(scaling.normal[0]) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize("missing", [-999.0, float("nan")])
def test_a_logarithm_that_does_not_exist_is_refused_and_a_missing_value_has_none(
    missing: float,
) -> None:
    x = torch.tensor([[1.0, -1.0], [missing, 0.0], [0.5, 3.0]])
    check_positive(x, ("pt", "eta"), ("pt",), missing)
    check_positive(x, ("pt", "eta"), (), None)
    told = r"no logarithm, 0 or less, in eta \(2 events\)$"
    with pytest.raises(RefusedError, match=told):
        check_positive(x, ("pt", "eta"), ("pt", "eta"), missing)


def test_features_are_scaled_as_their_logarithms_ask_for() -> None:
    x = draw()[:, :2].abs() + 1
    logs = torch.stack([x[:, 0], x[:, 1].log()], 1)
    features = present(x, None)
    assert torch.equal(logarithmic(None, features, [1])(x), logs)
    for scaler in SCALERS:
        found = logarithmic(scaler, features, [1])(x)
        torch.testing.assert_close(found, scaler(present(logs, None))(logs))


def test_blocks_are_as_wide_as_they_say() -> None:
    x, categories = draw(4), torch.zeros(4, 1, dtype=torch.int64)
    blocks: list[Numerical | NumericalOrMissing | Embedded] = [
        Numerical(nn.Identity(), 3),
        NumericalOrMissing(nn.Identity(), 3, -999.0),
        Embedded(0, torch.tensor([0]), 5).double(),
    ]
    for block in blocks:
        assert block(x, categories).shape == (4, block.width)
    inputs = Inputs(blocks)
    assert inputs.width == inputs(x, categories).shape[1] == 3 + 6 + 5
