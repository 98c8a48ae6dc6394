"""The networks: shapes, that each option takes effect, and that a seed decides the weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parts.inputs import Inputs, Numerical
from parts.models import MLP, ResidualBlock, ResNet, binary_probability, class_probability

Network = type[MLP] | type[ResNet]
BOTH = pytest.mark.parametrize("network", [MLP, ResNet])


def build(network: Network, seed: int = 0, **changed: Any) -> nn.Module:
    options: dict[str, Any] = {
        "n_outputs": 3, "n_layers": 4, "n_hidden": 16,
        "act": nn.ReLU, "dropout": 0.0, "norm": nn.Identity,
    }  # fmt: skip
    if network is ResNet:
        options["block_size"] = 2
    torch.manual_seed(seed)
    return network(Inputs([Numerical(nn.Identity(), 5)]), **options | changed)


def count(model: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in model.modules())


def events() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 5, generator=generator), torch.empty(8, 0, dtype=torch.int64)


@BOTH
@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize("n_layers", [2, 4])
def test_logits_have_a_column_for_each_output(
    network: Network, n_outputs: int, n_layers: int
) -> None:
    model = build(network, n_outputs=n_outputs, n_layers=n_layers)
    assert model(*events()).shape == (8, n_outputs)


def test_the_networks_are_as_deep_as_they_say() -> None:
    assert count(build(MLP, n_layers=3), nn.Linear) == 3 + 1
    # A stem, the layers of the blocks, and a head.
    deep = build(ResNet, n_layers=6, block_size=3)
    assert count(deep, ResidualBlock) == 2
    assert count(deep, nn.Linear) == 6 + 2


@BOTH
def test_every_parameter_takes_part(network: Network) -> None:
    model = build(network, norm=nn.BatchNorm1d)
    model(*events()).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@BOTH
def test_a_seed_decides_the_weights(network: Network) -> None:
    first, second = build(network), build(network)
    assert torch.equal(first(*events()), second(*events()))
    assert not torch.equal(first(*events()), build(network, seed=1)(*events()))


@BOTH
def test_the_activation_takes_effect(network: Network) -> None:
    relu, tanh = build(network), build(network, act=nn.Tanh)
    assert count(relu, nn.Tanh) == 0
    assert count(tanh, nn.Tanh) == count(relu, nn.ReLU) > 0
    assert not torch.allclose(relu(*events()), tanh(*events()))
    linear = build(network, act=nn.Identity)
    x, none = events()
    zero = linear(torch.zeros_like(x), none)
    torch.testing.assert_close(linear(2 * x, none) - zero, 2 * (linear(x, none) - zero))


@BOTH
def test_dropout_takes_effect_in_training_only(network: Network) -> None:
    model = build(network, dropout=0.5)
    assert not torch.equal(model(*events()), model(*events()))
    model.eval()
    assert torch.equal(model(*events()), model(*events()))
    assert torch.equal(model(*events()), build(network).eval()(*events()))


@BOTH
def test_the_norm_takes_effect(network: Network) -> None:
    plain, normed = build(network), build(network, norm=nn.BatchNorm1d)
    assert count(plain, nn.BatchNorm1d) == 0
    assert count(normed, nn.BatchNorm1d) >= 4
    x, none = events()
    assert not torch.allclose(normed(x, none)[:4], normed(x[:4], none[:4]))
    normed.eval()
    torch.testing.assert_close(normed(x, none)[:4], normed(x[:4], none[:4]))


def test_a_block_whose_last_layer_is_zero_changes_nothing() -> None:
    block = ResidualBlock(16, 2, nn.ReLU, 0.1, nn.BatchNorm1d)
    last = block.layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    x = torch.randn(8, 16)
    assert torch.equal(block(x), x)


@BOTH
def test_double_precision_goes_all_the_way(network: Network) -> None:
    x, none = events()
    model = build(network, norm=nn.BatchNorm1d).double()
    assert model(x.double(), none).dtype == torch.float64


def test_probabilities_are_background_then_signal() -> None:
    logits = torch.tensor([[-200.0], [0.0], [2.0], [200.0]])
    probability = binary_probability(logits)
    torch.testing.assert_close(probability[:, 1], torch.sigmoid(logits[:, 0]))
    torch.testing.assert_close(probability.sum(1), torch.ones(4))
    assert ((probability >= 0) & (probability <= 1)).all()


def test_class_probabilities_add_up_to_one() -> None:
    probability = class_probability(torch.tensor([[1e3, 0.0, -1e3], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(probability, torch.tensor([[1.0, 0, 0], [1 / 3] * 3]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_probabilities_of_half_precision_logits_are_single(dtype: torch.dtype) -> None:
    logits = torch.tensor([[3.0, -1.0]], dtype=dtype)
    assert class_probability(logits).dtype == torch.float32
    assert binary_probability(logits[:, :1]).dtype == torch.float32
