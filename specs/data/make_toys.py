"""Draw events whose fake factor is known, and write them with the truth beside them.

Usage:
    python specs/data/make_toys.py [pt|jets] [--seed 1] [--scale 1.0] [--out specs/data]

This writes toy_pt.parquet and toy_jets.parquet, or the one that is named, and toy_*_truth.json
with the fake factor F at some points and the expected yields. The same seed and package versions
give the same bytes. Both take a few seconds.

    event       number of the event, unique; the order is random
    data_type   1 data, 0 MC
    toy_type    0 tight, 2 loose (and not tight)
    weight      negative for some MC
    pt, ...     the features; pt in GeV

Toy `pt` has one feature on [10, 1000] GeV and broad weights: of a log-normal distribution in data,
of a Cauchy distribution in MC. Loose and tight events have the same shape. See EVENTS.

Toy `jets` has pt on [15, 300] GeV, eta on [-2.47, 2.47] and n_jets from 0 to 4. Data are fakes and
prompt leptons of weight 1, MC describes the prompt leptons with the same density and weights +-w,
15% of them negative. With x = pt / GeV and y = (eta / 2.47)^2:

    fakes        pt: (x + 30)^-3.5              eta: 1 + y / 2      n_jets: B(4, q(pt))
    prompt       pt: x / (1 + (x / 30)^2)^2.3   eta: 1 - 3 y / 10   n_jets: B(4, 0.45)
    q(pt)        0.5 - 0.2 exp(-(x - 15) / 60)
    F            exp(-1.2 - 0.35 l + 0.45 y + 0.45 l y + (n_jets - 2) / 10) with l = ln(x / 40)
    tight        fakes: F / (1 + F)             prompt: 0.88 - 0.2 exp(-(x - 15) / 40)

F runs from 0.122 to 0.706 and is no product of functions of one feature. Everywhere the density
of data exceeds that of MC: at least 1.177 times in tight and 1.989 times in loose.
"""

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]
Truth = dict[str, object]

DATA, MC = 1, 0
TIGHT, LOOSE = 0, 2


class Distribution:
    """A density between two limits, tabulated so that it is normalised and can be inverted.

    The integral is the midpoint rule on 65,536 intervals, and linear between: the cumulative
    distribution is good to 1e-7.
    """

    def __init__(self, shape: Callable[[Array], Array], edges: Array) -> None:
        self.shape = shape
        self.edges = edges
        integral = np.cumsum(shape((edges[1:] + edges[:-1]) / 2) * np.diff(edges))
        self.norm = float(integral[-1])
        self.table: Array = np.concatenate([[0.0], integral / self.norm])

    def density(self, x: ArrayLike) -> Array:
        """Return the normalised density."""
        density: Array = self.shape(np.asarray(x, dtype=np.float64)) / self.norm
        return density

    def cumulative(self, x: ArrayLike) -> Array:
        """Return the probability to lie below."""
        return np.interp(np.asarray(x, dtype=np.float64), self.edges, self.table)

    def quantile(self, probability: ArrayLike) -> Array:
        """Return the inverse of the cumulative distribution."""
        return np.interp(np.asarray(probability, dtype=np.float64), self.table, self.edges)

    def draw(self, random: Generator, size: int) -> Array:
        """Draw independent values."""
        return self.quantile(random.random(size))


EVENTS = {  # of toy `pt`
    (DATA, LOOSE): 200_000,
    (DATA, TIGHT): 100_000,
    (MC, LOOSE): 700_000,
    (MC, TIGHT): 1_000_000,
}
PT_EDGES = np.geomspace(10.0, 1000.0, 2**16 + 1)
PT_SHAPES = {
    DATA: Distribution(lambda x: 2.0 * (x + 10.0) ** -3 * np.exp(-5e-4 * x), PT_EDGES),
    MC: Distribution(lambda x: 2.0 * (x + 10.0) ** -4 * np.exp(-3e-5 * x), PT_EDGES),
}
LOG_MEAN, LOG_SIGMA = 3.5, 0.5  # of the weights of data, a log-normal distribution
CENTRE, WIDTH, LARGEST = 1.0, 0.2, 200.0  # of the weights of MC, a cut Cauchy distribution
PT_POINTS = (10, 12, 15, 20, 30, 50, 80, 100, 120, 200, 400, 1000)
RIGHT, LEFT = (LARGEST - CENTRE) ** 2 + WIDTH**2, (LARGEST + CENTRE) ** 2 + WIDTH**2
MEAN_WEIGHTS = {
    DATA: math.exp(LOG_MEAN + LOG_SIGMA**2 / 2),
    # Weights beyond +-LARGEST become CENTRE; the others are not symmetric about it.
    MC: CENTRE + WIDTH / math.tau * math.log(RIGHT / LEFT),
}


def draw_weights(data_type: int, random: Generator, size: int) -> Array:
    """Draw the weights of toy `pt`; those of data are positive."""
    if data_type == DATA:
        return random.lognormal(LOG_MEAN, LOG_SIGMA, size)
    weights = CENTRE + WIDTH * random.standard_cauchy(size)
    return np.where(np.abs(weights) > LARGEST, CENTRE, weights)


def weighted_density(data_type: int, toy_type: int, pt: ArrayLike) -> Array:
    """Return the expected sum of weights per GeV of toy `pt`."""
    return EVENTS[data_type, toy_type] * MEAN_WEIGHTS[data_type] * PT_SHAPES[data_type].density(pt)


def numerator_ratio(pt: ArrayLike) -> Array:
    """Return data over MC in the tight region of toy `pt`."""
    return weighted_density(DATA, TIGHT, pt) / weighted_density(MC, TIGHT, pt)


def denominator_ratio(pt: ArrayLike) -> Array:
    """Return data over MC in the loose region of toy `pt`."""
    return weighted_density(DATA, LOOSE, pt) / weighted_density(MC, LOOSE, pt)


def true_fake_factor(pt: ArrayLike) -> Array:
    """Return F of toy `pt`: data - MC in tight over data - MC in loose."""
    tight = weighted_density(DATA, TIGHT, pt) - weighted_density(MC, TIGHT, pt)
    return tight / (weighted_density(DATA, LOOSE, pt) - weighted_density(MC, LOOSE, pt))


def draw_pt_toy(random: Generator, scale: float) -> Columns:
    """Draw the events of toy `pt`, not yet in random order."""
    sizes = [round(events * scale) for events in EVENTS.values()]
    samples = [(data_type, size) for (data_type, _), size in zip(EVENTS, sizes, strict=True)]
    data_types, toy_types = (
        np.array(column, dtype=np.int8) for column in zip(*EVENTS, strict=True)
    )
    return {
        "data_type": np.repeat(data_types, sizes),
        "toy_type": np.repeat(toy_types, sizes),
        "weight": np.concatenate([draw_weights(kind, random, size) for kind, size in samples]),
        "pt": np.concatenate(
            [PT_SHAPES[kind].draw(random, size).astype(np.float32) for kind, size in samples]
        ),
    }


def make_yield(data_type: int, toy_type: int, events: float, weight: float) -> Truth:
    """Return an entry of the expected yields; `weight` is the sum of weights."""
    return {"data_type": data_type, "toy_type": toy_type, "events": events, "weight": weight}


def tell_pt_truth(scale: float) -> Truth:
    """Return the exact ratios at some pt, and the expected yields."""
    columns = {"F": true_fake_factor, "r_num": numerator_ratio, "r_den": denominator_ratio}
    points = [
        {"pt": pt, **{name: float(ratio(pt)) for name, ratio in columns.items()}}
        for pt in PT_POINTS
    ]
    yields = []
    for (data_type, toy_type), events in EVENTS.items():
        size = round(events * scale)
        weight = size * MEAN_WEIGHTS[data_type]
        yields.append(make_yield(data_type, toy_type, size, weight))
    return {"points": points, "yields": yields}


FAKES, PROMPT, SIMULATED = 200_000, 100_000, 600_000  # events of toy `jets`
NEGATIVE = 0.15  # share of the simulated events
LOWEST_PT, LARGEST_ETA, MOST_JETS = 15.0, 2.47, 4
JETS_PT_EDGES = np.geomspace(LOWEST_PT, 300.0, 2**16 + 1)
JETS_ETA_EDGES = np.linspace(-LARGEST_ETA, LARGEST_ETA, 2**16 + 1)


def fake_jet_probability(pt: Array) -> Array:
    """Return q of the binomial distribution of n_jets: fakes of higher pt have more jets."""
    return 0.5 - 0.2 * np.exp(-(pt - LOWEST_PT) / 60.0)


class Source(NamedTuple):
    """Where leptons of toy `jets` come from: fakes or prompt."""

    pt: Distribution
    eta: Distribution
    jet_probability: Callable[[Array], Array]
    tight_probability: Callable[[Array, Array, Array], Array]

    def density(self, pt: ArrayLike, eta: ArrayLike, n_jets: ArrayLike, toy_type: int) -> Array:
        """Return the density of one lepton in pt, eta and n_jets times that of its region."""
        pt, eta, n_jets = (np.asarray(x, dtype=np.float64) for x in (pt, eta, n_jets))
        choices = np.array([math.comb(MOST_JETS, n) for n in range(MOST_JETS + 1)])
        q = self.jet_probability(pt)
        jets = choices[n_jets.astype(np.int64)] * q**n_jets * (1 - q) ** (MOST_JETS - n_jets)
        tight = self.tight_probability(pt, eta, n_jets)
        region = tight if toy_type == TIGHT else 1 - tight
        return self.pt.density(pt) * self.eta.density(eta) * jets * region

    def draw(self, random: Generator, size: int) -> Columns:
        """Draw leptons of both regions."""
        pt, eta = self.pt.draw(random, size), self.eta.draw(random, size)
        n_jets = random.binomial(MOST_JETS, self.jet_probability(pt))
        tight = random.random(size) < self.tight_probability(pt, eta, n_jets.astype(np.float64))
        return {
            "toy_type": np.where(tight, TIGHT, LOOSE).astype(np.int8),
            "pt": pt.astype(np.float32),
            "eta": eta.astype(np.float32),
            "n_jets": n_jets.astype(np.int8),
        }

    def tight_share(self) -> float:
        """Return the mean probability to be tight, good to 1e-5."""
        pt = self.pt.quantile((np.arange(500) + 0.5) / 500)[:, None, None]
        eta = self.eta.quantile((np.arange(100) + 0.5) / 100)[:, None]
        n_jets = np.arange(MOST_JETS + 1)
        tight = self.density(pt, eta, n_jets, TIGHT)
        return float(np.mean((tight / (self.pt.density(pt) * self.eta.density(eta))).sum(axis=2)))


def true_jets_fake_factor(pt: ArrayLike, eta: ArrayLike, n_jets: ArrayLike) -> Array:
    """Return F of toy `jets`, the odds of a fake to be tight."""
    pt, eta, n_jets = (np.asarray(x, dtype=np.float64) for x in (pt, eta, n_jets))
    log_pt, y = np.log(pt / 40.0), (eta / LARGEST_ETA) ** 2
    log_fake_factor = -1.2 - 0.35 * log_pt + 0.45 * y + 0.45 * log_pt * y + 0.1 * (n_jets - 2)
    return np.asarray(np.exp(log_fake_factor))


def fake_tight_probability(pt: Array, eta: Array, n_jets: Array) -> Array:
    """Return the probability of a fake to be tight, F / (1 + F)."""
    fake_factor = true_jets_fake_factor(pt, eta, n_jets)
    return fake_factor / (1 + fake_factor)


def prompt_tight_probability(pt: Array, eta: Array, n_jets: Array) -> Array:
    """Return the probability of a prompt lepton to be tight, which depends on pt alone."""
    return 0.88 - 0.2 * np.exp(-(pt - LOWEST_PT) / 40.0)


FAKE_SOURCE = Source(
    Distribution(lambda x: (x + 30.0) ** -3.5, JETS_PT_EDGES),
    Distribution(lambda x: 1 + 0.5 * (x / LARGEST_ETA) ** 2, JETS_ETA_EDGES),
    fake_jet_probability,
    fake_tight_probability,
)
PROMPT_SOURCE = Source(
    Distribution(lambda x: x / (1 + (x / 30.0) ** 2) ** 2.3, JETS_PT_EDGES),
    Distribution(lambda x: 1 - 0.3 * (x / LARGEST_ETA) ** 2, JETS_ETA_EDGES),
    lambda pt: np.full_like(pt, 0.45),
    prompt_tight_probability,
)


def jets_ratio(pt: ArrayLike, eta: ArrayLike, n_jets: ArrayLike, toy_type: int) -> Array:
    """Return data over MC in a region of toy `jets`."""
    prompt = PROMPT * PROMPT_SOURCE.density(pt, eta, n_jets, toy_type)
    return 1 + FAKES * FAKE_SOURCE.density(pt, eta, n_jets, toy_type) / prompt


def draw_jets_toy(random: Generator, scale: float) -> Columns:
    """Draw the events of toy `jets`, not yet in random order."""
    sizes = [round(events * scale) for events in (FAKES, PROMPT, SIMULATED)]
    sources = (FAKE_SOURCE, PROMPT_SOURCE, PROMPT_SOURCE)
    drawn = [source.draw(random, size) for source, size in zip(sources, sizes, strict=True)]
    negative = random.permutation(sizes[2]) < round(NEGATIVE * sizes[2])
    signs = np.where(negative, -1.0, 1.0)
    weights = [np.ones(sizes[0]), np.ones(sizes[1]), signs * sizes[1] / signs.sum()]
    columns: Columns = {
        "data_type": np.repeat([DATA, DATA, MC], sizes).astype(np.int8),
        "weight": np.concatenate(weights),
    }
    return columns | {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}


def tell_jets_truth(scale: float) -> Truth:
    """Return the exact ratios on a grid, and the expected yields."""
    points = [
        {
            "pt": pt,
            "eta": eta,
            "n_jets": n_jets,
            "F": float(true_jets_fake_factor(pt, eta, n_jets)),
            "r_num": float(jets_ratio(pt, eta, n_jets, TIGHT)),
            "r_den": float(jets_ratio(pt, eta, n_jets, LOOSE)),
        }
        for pt in (15, 30, 60, 120)
        for eta in (0.0, -1.5, 2.4)
        for n_jets in (0, 2, 4)
    ]
    fakes, prompt, simulated = (round(events * scale) for events in (FAKES, PROMPT, SIMULATED))
    fake_tight, prompt_tight = FAKE_SOURCE.tight_share(), PROMPT_SOURCE.tight_share()
    yields = []
    for data_type, toy_type in EVENTS:
        fake, share = fake_tight, prompt_tight
        if toy_type == LOOSE:
            fake, share = 1 - fake, 1 - share
        data = fakes * fake + prompt * share
        events, weight = (data, data) if data_type == DATA else (simulated * share, prompt * share)
        yields.append(make_yield(data_type, toy_type, events, weight))
    return {"points": points, "yields": yields}


TOYS = {"pt": (draw_pt_toy, tell_pt_truth), "jets": (draw_jets_toy, tell_jets_truth)}


def make_toy(toy: str, seed: int, scale: float) -> Columns:
    """Return the columns of a toy in random order, numbered in that order."""
    random = np.random.default_rng([seed, list(TOYS).index(toy)])
    columns = TOYS[toy][0](random, scale)
    order = random.permutation(len(columns["weight"]))
    numbers = np.arange(1, len(order) + 1, dtype=np.int64)
    return {"event": numbers} | {name: column[order] for name, column in columns.items()}


@contextmanager
def replace(path: Path) -> Iterator[Path]:
    """Give another name to write to, which becomes `path` when all is written."""
    partial = path.with_suffix(f".{os.getpid()}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_toy(toy: str, seed: int, scale: float, folder: Path) -> tuple[Path, Path]:
    """Write the events and the truth of a toy and return their paths."""
    paths = folder / f"toy_{toy}.parquet", folder / f"toy_{toy}_truth.json"
    with replace(paths[0]) as path:
        table = pa.table(make_toy(toy, seed, scale))
        pq.write_table(
            table,
            path,
            compression="zstd",
            use_dictionary=["data_type", "toy_type"],
            column_encoding={"event": "DELTA_BINARY_PACKED"},
        )
    truth = {"toy": toy, "seed": seed, "scale": scale} | TOYS[toy][1](scale)
    with replace(paths[1]) as path:
        path.write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return paths


def main() -> None:
    """Write both toys, or the one that is named."""
    parser = argparse.ArgumentParser(description="Draw events whose fake factor is known.")
    parser.add_argument("toy", nargs="?", choices=TOYS, help="both if not given")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of events")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write")
    arguments = parser.parse_args()
    if arguments.seed < 0 or not 0 < arguments.scale < math.inf:
        parser.error("--seed must not be negative, --scale must be positive and finite")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for toy in [arguments.toy] if arguments.toy else TOYS:
        for path in write_toy(toy, arguments.seed, arguments.scale, arguments.out):
            print(f"{path} ({path.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
