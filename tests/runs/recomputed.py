"""What a run must have done, worked out anew from its data and its checkpoints.

None of the scripts' own code is used, nor how it goes about things: a script that takes the wrong
split, weight or epoch cannot agree with this by making the same mistake.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float64]
SPLITS = ("train", "validation", "test")
MASK = (1 << 64) - 1


def share(*keys: int) -> float:
    """Return a number in [0, 1) that keys decide, by SplitMix64 (Steele et al., OOPSLA 2014)."""
    z = 0
    for key in keys:
        z = ((z ^ (key & MASK)) + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
    return (z >> 11) / 2**53


def split_of(event: int, train: float = 0.6, validation: float = 0.2) -> str:
    """Return the split of an event number."""
    return SPLITS[(share(event) >= train) + (share(event) >= train + validation)]


def splits(frame: pd.DataFrame, train: float = 0.6, validation: float = 0.2) -> dict[str, Any]:
    """Return the events of each split."""
    names = frame["event"].map(lambda event: split_of(event, train, validation))
    return {name: frame[names == name] for name in SPLITS}


def network(
    weights: Mapping[str, Tensor],
    frame: pd.DataFrame,
    numerical: Sequence[str],
    categorical: Sequence[str],
    missing: float | None = -999.0,
    logarithmic: Sequence[str] = (),
    act: Callable[[Tensor], Tensor] = functional.relu,
) -> Tensor:
    """Return the logits (event, output) of a multi-layer perceptron with an affine scaling.

    `weights` are those of one network, by names that begin with "inputs." and "layers.".
    """
    weights = {name: tensor.double() for name, tensor in weights.items()}
    x = columns(frame, numerical)
    gaps = torch.zeros_like(x, dtype=torch.bool) if missing is None else x == missing
    for name in logarithmic:
        x[:, numerical.index(name)] = x[:, numerical.index(name)].log()
    prefix = "inputs.blocks.0.scaling."
    center, width = (
        next(t for name, t in weights.items() if name.startswith(prefix) and name.endswith(kind))
        for kind in (".center", ".width")
    )
    blocks = [((x - center) / width).masked_fill(gaps, 0.0)]
    if missing is not None:
        blocks.append(gaps.double())
    for index, name in enumerate(categorical, 1):
        values = weights[f"inputs.blocks.{index}.values"].long().tolist()
        # Unknown values share the first embedding.
        places = [values.index(v) + 1 if v in values else 0 for v in frame[name]]
        blocks.append(weights[f"inputs.blocks.{index}.embedding.weight"][places])
    x = torch.cat(blocks, dim=1)
    layers = sorted({int(name.split(".")[1]) for name in weights if name.startswith("layers.")})
    for layer in layers:
        weight, bias = weights[f"layers.{layer}.weight"], weights[f"layers.{layer}.bias"]
        if weight.ndim == 1:
            x = functional.layer_norm(x, weight.shape, weight, bias)
        else:
            x = functional.linear(x, weight, bias)
        # A norm stands between a layer and its activation.
        if layer != layers[-1] and layer + 1 not in layers:
            x = act(x)
    return x


def own(checkpoint: Mapping[str, Any], prefix: str = "network.") -> dict[str, Tensor]:
    """Return the weights of a checkpoint's network, or of one of its networks."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }


def columns(frame: pd.DataFrame, names: Sequence[str]) -> Tensor:
    """Return columns side by side, as single precision holds them."""
    values = frame[list(names)].to_numpy(dtype=np.float32)
    return torch.tensor(values, dtype=torch.float64)


def yields(frame: pd.DataFrame, every: pd.DataFrame, weight: str = "weight") -> Floats:
    """Return the weights of a split's events, scaled to the yield that each class has in all."""
    totals = every.groupby("process")[weight].sum() / frame.groupby("process")[weight].sum()
    return np.asarray(frame[weight] * frame["process"].map(totals), dtype=np.float64)


def auc(score: Floats, positive: NDArray[np.bool_], weight: Floats) -> float:
    """Return P(a signal event scores higher than a background event), pair by pair."""
    pairs = weight[positive][:, None] * weight[~positive][None, :]
    above = score[positive][:, None] - score[~positive][None, :]
    return float((pairs * ((above > 0) + (above == 0) / 2)).sum() / pairs.sum())


def significance(
    score: Floats, positive: NDArray[np.bool_], weight: Floats, cut: float
) -> tuple[float, float]:
    """Return the Asimov significance above a cut, and the effective number of background events.

    arXiv:1007.1727, eq. 97. A score that differs from the cut by rounding passes it.
    """
    passed = score >= cut - 1e-6
    s, b = weight[passed & positive].sum(), weight[passed & ~positive].sum()
    effective = b**2 / (weight[passed & ~positive] ** 2).sum() if b > 0 else 0.0
    if s <= 0 or b <= 0:
        return 0.0, effective
    return float(np.sqrt(2 * ((s + b) * np.log1p(s / b) - s))), effective


def best_epoch(series: Mapping[int, float], mode: str) -> int:
    """Return the key of the best value; the first of those that are equal."""
    sign = 1 if mode == "min" else -1
    return min(series, key=lambda key: (sign * series[key], key))


def stopped_after(
    values: Sequence[float], mode: str, patience: int, delta: float = 0.0, least: int = 0
) -> int:
    """Return how many validations there are if so many without a better one end a training.

    Better is what is so by more than `delta`; there are `least` of them at least.
    """
    sign = 1 if mode == "min" else -1
    best, waited = np.inf, 0
    for count, value in enumerate(values, 1):
        better = sign * value < best - delta
        waited = 0 if better else waited + 1
        best = sign * value if better else best
        if waited >= patience and count >= least:
            return count
    raise AssertionError(f"no {patience} of {values} in turn are without a better one")
