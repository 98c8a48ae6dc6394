"""What a network sees: features scaled as the training events were, categories embedded."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from parts.machinery.exits import RefusedError
from parts.memory import check_network

QUANTILES = 201
# Events at a time while values are looked for.
LOOKED_AT_ONCE = 65_536


class Affine(nn.Module):
    """Scales each feature: (x - center) / width. Both are kept in checkpoints."""

    center: Tensor
    width: Tensor

    def __init__(self, center: Tensor, width: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        # A feature that never varies is left as it is.
        self.register_buffer("width", torch.where(width > 0, width, torch.ones_like(width)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (event, feature)."""
        return (x - self.center).div_(self.width)


class Quantiles(nn.Module):
    """Maps each feature to a normal distribution by its quantiles, kept in checkpoints."""

    edges: Tensor
    normal: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        self.register_buffer("edges", edges)
        probability = torch.linspace(0.001, 0.999, edges.shape[1], dtype=edges.dtype)
        self.register_buffer("normal", torch.special.ndtri(probability))

    def forward(self, x: Tensor) -> Tensor:
        """Interpolate (event, feature) linearly between the quantiles."""
        edges, values = self.edges, x.T.contiguous()
        above = torch.searchsorted(edges, values).clamp(1, edges.shape[1] - 1)
        low, high = edges.gather(1, above - 1), edges.gather(1, above)
        share = ((values - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
        normal = self.normal[above - 1] * (1 - share) + self.normal[above] * share
        return normal.T


class Logarithms(nn.Module):
    """Takes the logarithm of some features and leaves the others as they are."""

    chosen: Tensor

    def __init__(self, places: Sequence[int], width: int) -> None:
        super().__init__()
        self.register_buffer("chosen", torch.tensor([i in places for i in range(width)]))

    def forward(self, x: Tensor) -> Tensor:
        """Return (event, feature); a value that is not positive counts as the least that is."""
        return torch.where(self.chosen, logarithm(x), x)


def logarithm(x: Tensor) -> Tensor:
    """Return log x, finite also where x is not positive."""
    return x.clamp_min(torch.finfo(x.dtype).tiny).log()


def logarithmic(
    scaling: Callable[[Sequence[Tensor]], nn.Module] | None,
    features: Sequence[Tensor],
    places: Sequence[int],
) -> nn.Module:
    """Take the logarithms of the features at `places`, and scale them and the others.

    `features` holds the values that exist of each.
    """
    logarithms = Logarithms(places, len(features))
    if scaling is None:
        return logarithms
    taken = [logarithm(x) if i in places else x for i, x in enumerate(features)]
    return nn.Sequential(logarithms, scaling(taken))


def check_positive(
    numerical: Tensor, names: Sequence[str], positive: Sequence[str], missing: float | None
) -> None:
    """Raise `RefusedError` for a feature whose logarithm is asked for and does not exist."""
    places = [names.index(name) for name in positive]
    counts = dict.fromkeys(positive, 0)
    for block in torch.split(numerical, LOOKED_AT_ONCE) if places else ():
        for name, place in zip(positive, places, strict=True):
            wrong = block[:, place] <= 0
            if missing is not None:
                wrong &= ~is_missing(block[:, place], missing)
            counts[name] += int(wrong.sum())
    bad = ", ".join(f"{name} ({count} events)" for name, count in counts.items() if count)
    if bad:
        raise RefusedError(f"values that have no logarithm, 0 or less, in {bad}")


def standard(features: Sequence[Tensor]) -> Affine:
    """Scale to mean 0 and standard deviation 1; `features` holds the values that exist of each."""
    return Affine(
        torch.stack([x.mean() for x in features]),
        # Rounding gives equal values a small deviation, and the next unequal one a huge value.
        torch.stack([x.std(correction=0) * (x.max() > x.min()) for x in features]),
    )


def minmax(features: Sequence[Tensor]) -> Affine:
    """Scale to the range from 0 to 1."""
    low = torch.stack([x.min() for x in features])
    return Affine(low, torch.stack([x.max() for x in features]) - low)


def robust(features: Sequence[Tensor]) -> Affine:
    """Scale to median 0 and interquartile range 1: outliers do not matter."""
    ordered = [x.sort().values for x in features]
    low, middle, high = (
        torch.stack([x[int(share * (len(x) - 1))] for x in ordered]) for share in (0.25, 0.5, 0.75)
    )
    return Affine(middle, high - low)


def quantile(features: Sequence[Tensor]) -> Quantiles:
    """Map to a normal distribution."""
    edges = []
    for x in features:
        # In double precision, which counts events exactly.
        ranks = torch.linspace(0, len(x) - 1, QUANTILES, dtype=torch.float64)
        edges.append(x.sort().values[ranks.long()])
    return Quantiles(torch.stack(edges))


class Numerical(nn.Module):
    """The numerical features, scaled."""

    def __init__(self, scaling: nn.Module, n_features: int) -> None:
        super().__init__()
        self.scaling = scaling
        self.width = n_features

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        """Return (event, feature)."""
        scaled: Tensor = self.scaling(numerical)
        return scaled


class NumericalOrMissing(nn.Module):
    """The numerical features, scaled; one that is missing is 0 and has its flag set to 1."""

    def __init__(self, scaling: nn.Module, n_features: int, missing: float) -> None:
        super().__init__()
        self.scaling = scaling
        self.missing = missing
        self.width = 2 * n_features

    def forward(self, numerical: Tensor, _: Tensor) -> Tensor:
        """Return (event, 2 * feature): the values, then the flags."""
        absent = is_missing(numerical, self.missing)
        scaled = self.scaling(numerical).masked_fill(absent, 0.0)
        return torch.cat([scaled, absent.to(scaled.dtype)], dim=1)


class Embedded(nn.Module):
    """One categorical feature, embedded; values not seen in training share one embedding."""

    values: Tensor

    def __init__(self, index: int, values: Tensor, embedding_dim: int) -> None:
        super().__init__()
        self.index = index
        self.width = embedding_dim
        self.register_buffer("values", values)
        check_network((len(values) + 1) * embedding_dim, 1, "embedding_dim")
        self.embedding = nn.Embedding(len(values) + 1, embedding_dim)

    def forward(self, _: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, embedding_dim)."""
        column = categorical[:, self.index].contiguous()
        place = torch.searchsorted(self.values, column).clamp_max(len(self.values) - 1)
        known = self.values[place] == column
        embedded: Tensor = self.embedding(torch.where(known, place + 1, 0))
        return embedded


class Inputs(nn.Module):
    """Joins blocks of inputs, each a function of (numerical, categorical), `width` numbers wide."""

    def __init__(self, blocks: Sequence[Numerical | NumericalOrMissing | Embedded]) -> None:
        super().__init__()
        self.width = sum(block.width for block in blocks)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, numerical: Tensor, categorical: Tensor) -> Tensor:
        """Return (event, input)."""
        parts = [block(numerical, categorical) for block in self.blocks]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def is_missing(values: Tensor, missing: float) -> Tensor:
    """Where values are the sentinel, which may be nan."""
    return values.isnan() if missing != missing else values == missing


def present(numerical: Tensor, missing: float | None) -> list[Tensor]:
    """Return the values of each feature that exist; 0 for a feature that never does."""
    columns = []
    for column in numerical.T:
        there = column if missing is None else column[~is_missing(column, missing)]
        columns.append(there if len(there) else torch.zeros(1, dtype=column.dtype))
    return columns
