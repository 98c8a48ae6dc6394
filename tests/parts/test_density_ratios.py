"""What the checkpoint of a density ratio says of itself tells it from the others."""

from pathlib import Path

import torch
from torch import nn

from parts.density_ratios import known
from parts.inputs import Inputs, Logarithms, Numerical
from parts.models import MLP


def network(act: type[nn.Module], *, logarithm: bool = True) -> nn.Module:
    scaling = Logarithms([0], 2) if logarithm else nn.Identity()
    return MLP(Inputs([Numerical(scaling, 2)]), 1, 1, 4, act, 0.0, nn.Identity)


def test_a_checkpoint_says_stage_features_and_what_the_network_is_made_of() -> None:
    found = known(("pt", "eta"), ("n_jets",), ("pt",), [[0, 1]], "ratio", network(nn.SiLU))
    assert {name: value for name, value in found.items() if name != "network"} == {
        "stage": "ratio", "numerical": ["pt", "eta"], "categorical": ["n_jets"],
        "logarithmic": ["pt"], "categories": [[0, 1]],
    }  # fmt: skip
    made_of = found["network"].split(", ")
    assert len(made_of) == len(set(made_of))
    assert {"MLP", "Logarithms", "Linear", "SiLU"} <= set(made_of)


def test_networks_of_the_same_shapes_are_told_apart() -> None:
    networks = (network(nn.SiLU), network(nn.ReLU), network(nn.SiLU, logarithm=False))
    shapes = [
        [tensor.shape for name, tensor in each.state_dict().items() if "layers" in name]
        for each in networks
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    said = {known(("pt", "eta"), (), (), [], "ratio", each)["network"] for each in networks}
    assert len(said) == 3


def test_what_a_checkpoint_says_can_be_loaded_as_plain_values(tmp_path: Path) -> None:
    said = known(("pt", "eta"), (), (), [[0, 1]], "ratio", network(nn.SiLU))
    torch.save(said, tmp_path / "x.ckpt")
    assert torch.load(tmp_path / "x.ckpt", weights_only=True) == said
