"""Networks that other runs have trained, as their best checkpoints have them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from parts.classifiers import check_match
from parts.density_ratios import LogRatio
from parts.machinery.checkpoints import load


def load_ratio(
    checkpoints: Mapping[str, Path],
    stage: str,
    network: nn.Module,
    link: Callable[[Tensor], Tensor],
    knows: Callable[[str, nn.Module], dict[str, Any]],
) -> LogRatio:
    """Return a stage with its weights, from features to log r; raises `RefusedError`.

    `knows` says what the checkpoint must, for a stage and its network.
    """
    content = load(checkpoints[stage])
    ratio = LogRatio(network, link)
    check_match(ratio, knows(stage, network), content)
    # As they are: of 64 bits, where the stage was trained with as many.
    ratio.load_state_dict(content["state_dict"], assign=True)
    return ratio
