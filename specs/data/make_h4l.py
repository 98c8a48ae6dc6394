"""Simulate pp -> four leptons at 13.6 TeV with Pythia 8 and write h4l.parquet and h4l.root.

Usage:
    pip install attrs==26.1.0 pythia8mc==8.317.2 numpy==2.4.6 pyarrow==25.0.1 \
        uproot==5.7.7 awkward==2.14.0
    python specs/data/make_h4l.py --seed 4 --out specs/data

Both files hold the same events, one row per event, in the same seeded random order. Energies,
momenta and masses are in GeV, angles in radians, weights in events expected in 140 fb^-1. The
same seed and package versions give the same bytes. It takes six minutes on one core. Values are
rounded after the cuts, to about 0.2% in pt and mass and 1/64 in angle, so that the files are small;
a lepton may so lie on or just beyond a cut.

    event          number of the event, unique over all processes
    process        0 qqZZ, 1 ggH, 2 Zjets
    weight         expected events; negative for some, see `weigh`
    lep1 .. lep4   _pt, _eta, _phi, _charge, _flavour (11 electron, 13 muon) of the quadruplet by pt
    n_jets         number of jets
    jet1, jet2     _pt, _eta, _phi of the leading jets, -999 where there is none
    m12, m34       mass of the pair nearest the Z mass, and of the other pair
    pt4l, m4l      of the quadruplet; m4l is for plots, not for training
    lep_*, jet_*   all selected leptons and jets by pt, one list per event
"""

import argparse
import datetime
import math
import uuid
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from unittest import mock

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pythia8mc
import uproot
from attrs import evolve, frozen
from numpy.random import Generator

LUMINOSITY = 140_000.0  # pb^-1
Z_MASS = 91.1876  # GeV
MISSING = -999.0
MISIDENTIFIED_ELECTRON = 0.6  # share of electrons among the jets misidentified as leptons
REFERENCE_RATE = 4e-6  # Zjets events less probable than this are thinned, see `misidentify_pair`


@frozen
class Sample:
    """A process, or a range of its parton-level mass, as Pythia is told to make it.

    `cross_section` in pb includes branching ratios; 0 takes Pythia's leading order, times
    `k_factor`. `selected` is the number of events to keep, `negative` the share of negative
    weights, `prompt` the number of leptons that do not come from a jet.
    """

    process: int
    selected: int
    negative: float
    settings: tuple[str, ...]
    cross_section: float = 0.0
    k_factor: float = 1.0
    prompt: int = 4


Z_TO_LEPTONS = ("23:onMode = off", "23:onIfAny = 11 13")
H_TO_ZZ = ("HiggsSM:gg2H = on", "25:m0 = 125", "25:onMode = off", "25:onIfMatch = 23 23")
ZZ = ("WeakDoubleBoson:ffbar2gmZgmZ = on", "23:mMin = 10", *Z_TO_LEPTONS)
SAMPLES = (
    # 52.2 pb (N3LO, LHC Higgs working group) times BR(H -> 4l, l = e, mu) = 1.24e-4.
    # The share of negative weights imitates Powheg with NNLOPS reweighting.
    Sample(
        process=1,
        selected=14_000,
        negative=0.01,
        settings=(*H_TO_ZZ, "23:mMin = 5", *Z_TO_LEPTONS),
        cross_section=52.2 * 1.24e-4,
    ),
    # gamma*/Z interference included; the single-resonant Z -> 4l peak at 91 GeV is not in Pythia.
    # Two ranges of mass, so that the region round 125 GeV is well populated. K = 1.5 is about
    # NNLO over LO. The share of negative weights imitates Sherpa at NLO.
    Sample(
        process=0,
        selected=8_000,
        negative=0.08,
        settings=(*ZZ, "PhaseSpace:mHatMin = 65", "PhaseSpace:mHatMax = 150"),
        k_factor=1.5,
    ),
    Sample(
        process=0,
        selected=8_000,
        negative=0.08,
        settings=(*ZZ, "PhaseSpace:mHatMin = 150", "PhaseSpace:mHatMax = 275"),
        k_factor=1.5,
    ),
    # Z -> ll with two jets of the parton shower misidentified as leptons. K = 1.2 is about NNLO
    # over LO. The share of negative weights imitates MadGraph5_aMC@NLO.
    Sample(
        process=2,
        selected=10_000,
        negative=0.12,
        settings=("WeakSingleBoson:ffbar2gmZ = on", "PhaseSpace:mHatMin = 45", *Z_TO_LEPTONS),
        k_factor=1.2,
        prompt=2,
    ),
)


@frozen
class Lepton:
    """A reconstructed electron (flavour 11) or muon (13)."""

    pt: float
    eta: float
    phi: float
    charge: int
    flavour: int


@frozen
class Jet:
    """An anti-kt jet with R = 0.4."""

    pt: float
    eta: float
    phi: float
    mass: float


@frozen
class Quadruplet:
    """Two same-flavour opposite-charge pairs, the pair nearest the Z mass first."""

    leptons: tuple[Lepton, ...]
    m12: float
    m34: float
    pt4l: float
    m4l: float


@frozen
class Event:
    """A selected event; `weight` is what it counts for within its sample."""

    process: int
    weight: float
    quadruplet: Quadruplet
    leptons: tuple[Lepton, ...]
    jets: tuple[Jet, ...]


def delta_r(a: Lepton | Jet, b: Lepton | Jet) -> float:
    """Return the distance in eta and phi."""
    return math.hypot(a.eta - b.eta, math.remainder(a.phi - b.phi, math.tau))


def add_momenta(leptons: Sequence[Lepton]) -> tuple[float, float]:
    """Return the invariant mass and the pt of massless leptons."""
    px = sum(lepton.pt * math.cos(lepton.phi) for lepton in leptons)
    py = sum(lepton.pt * math.sin(lepton.phi) for lepton in leptons)
    pz = sum(lepton.pt * math.sinh(lepton.eta) for lepton in leptons)
    energy = sum(lepton.pt * math.cosh(lepton.eta) for lepton in leptons)
    return math.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0.0)), math.hypot(px, py)


def accept_lepton(lepton: Lepton) -> bool:
    """Tell whether a lepton is in the detector's acceptance."""
    if lepton.flavour == 11:
        return lepton.pt > 7 and abs(lepton.eta) < 2.47
    return lepton.pt > 5 and abs(lepton.eta) < 2.7


def smear_lepton(lepton: Lepton, random: Generator) -> Lepton:
    """Smear pt by a resolution like that of ATLAS: calorimeter for e, tracker for mu."""
    forward = abs(lepton.eta) > 1.4
    if lepton.flavour == 11:
        energy = lepton.pt * math.cosh(lepton.eta)
        stochastic, constant = (0.15, 0.015) if forward else (0.10, 0.010)
        resolution = math.hypot(stochastic / math.sqrt(energy), 0.3 / energy, constant)
    else:
        resolution = math.hypot(0.025 if forward else 0.016, 1.5e-4 * lepton.pt)
    pt = lepton.pt * max(1 + resolution * random.normal(), 0.1)
    return Lepton(pt, lepton.eta, lepton.phi, lepton.charge, lepton.flavour)


def lepton_efficiency(lepton: Lepton) -> float:
    """Return the probability that a lepton is reconstructed, identified and isolated."""
    eta = abs(lepton.eta)
    if lepton.flavour == 11:
        plateau = 0.75 if 1.37 < eta < 1.52 else 0.95 - 0.03 * eta
        return plateau * (1 - 0.5 * math.exp(-lepton.pt / 12))
    plateau = 0.75 if eta < 0.1 else 0.97
    return plateau * (1 - 0.4 * math.exp(-lepton.pt / 6))


def find_prompt_leptons(record: pythia8mc.Event, random: Generator) -> tuple[Lepton, ...]:
    """Reconstruct the leptons of a parton-level record, dressed with photons within 0.1."""
    particles = [p for p in record if p.isFinal() and p.idAbs() in (11, 13, 22)]
    photons = [Jet(p.pT(), p.eta(), p.phi(), 0.0) for p in particles if p.id() == 22]
    leptons = []
    for particle in particles:
        if particle.id() == 22 or particle.pT() < 3:
            continue
        charge = -1 if particle.id() > 0 else 1
        bare = Lepton(particle.pT(), particle.eta(), particle.phi(), charge, particle.idAbs())
        pt = bare.pt + sum(photon.pt for photon in photons if delta_r(bare, photon) < 0.1)
        lepton = smear_lepton(Lepton(pt, bare.eta, bare.phi, charge, bare.flavour), random)
        if accept_lepton(lepton) and random.random() < lepton_efficiency(lepton):
            leptons.append(lepton)
    return tuple(leptons)


def find_jets(finder: pythia8mc.SlowJet, record: pythia8mc.Event) -> tuple[Jet, ...]:
    """Cluster the hadrons of a record; energies are those of the generator."""
    finder.analyze(record)
    indices = range(finder.sizeJet())
    return tuple(Jet(finder.pT(i), finder.p(i).eta(), finder.phi(i), finder.m(i)) for i in indices)


def select_jets(
    jets: Sequence[Jet], leptons: Sequence[Lepton], random: Generator
) -> tuple[Jet, ...]:
    """Smear the jets and return those that pass the cuts and overlap with no lepton, by pt."""
    selected = []
    for jet in jets:
        scale = 1 + random.normal() * math.hypot(4 / jet.pt, 0.8 / math.sqrt(jet.pt), 0.04)
        far = all(delta_r(jet, lepton) > 0.4 for lepton in leptons)
        if far and jet.pt * scale > 30 and abs(jet.eta) < 4.5:
            selected.append(Jet(jet.pt * scale, jet.eta, jet.phi, max(jet.mass * scale, 0.0)))
    return tuple(sorted(selected, key=lambda jet: -jet.pt))


def misidentification_rate(jet: Jet) -> float:
    """Return the probability that a jet is taken for a lepton, summed over flavours.

    An assumption of the size seen with loose isolation, heavy-flavour decays included.
    """
    if abs(jet.eta) > 2.47:
        return 0.0
    return 5e-3 * (1 + 0.3 * abs(jet.eta)) * math.exp(-jet.pt / 40)


def misidentify(jet: Jet, flavour: int, charge: int, random: Generator) -> Lepton:
    """Return the lepton for which a jet is taken; it carries 40 to 100% of the jet's pt."""
    return Lepton(jet.pt * random.uniform(0.4, 1.0), jet.eta, jet.phi, charge, flavour)


def draw_flavour(random: Generator) -> int:
    """Draw the flavour of a misidentified lepton."""
    return 11 if random.random() < MISIDENTIFIED_ELECTRON else 13


def misidentify_jets(jets: Sequence[Jet], random: Generator) -> tuple[Lepton, ...]:
    """Take each jet for a lepton with its rate; a fifth lepton comes from here."""
    found = [jet for jet in jets if random.random() < misidentification_rate(jet)]
    leptons = [
        misidentify(jet, draw_flavour(random), int(random.choice((-1, 1))), random) for jet in found
    ]
    return tuple(lepton for lepton in leptons if accept_lepton(lepton))


def misidentify_pair(
    jets: Sequence[Jet], random: Generator
) -> tuple[float, tuple[Lepton, ...]] | None:
    """Take one pair of jets for a same-flavour opposite-charge pair of leptons.

    Drawing each jet by its rate would keep one event in about 10^5. So a pair is always drawn,
    and the event is weighted by the probability of some such pair. Events below REFERENCE_RATE
    are thinned to that weight, which keeps the weights nearly equal. None where nothing is kept.
    """
    pairs = list(combinations(jets, 2))
    rates = np.array([misidentification_rate(a) * misidentification_rate(b) for a, b in pairs])
    same_flavour = MISIDENTIFIED_ELECTRON**2 + (1 - MISIDENTIFIED_ELECTRON) ** 2
    probability = 0.5 * same_flavour * float(rates.sum())
    if random.random() * REFERENCE_RATE >= probability:
        return None
    first, second = pairs[random.choice(len(pairs), p=rates / rates.sum())]
    electron = random.random() < MISIDENTIFIED_ELECTRON**2 / same_flavour
    flavour, charge = 11 if electron else 13, int(random.choice((-1, 1)))
    leptons = (
        misidentify(first, flavour, charge, random),
        misidentify(second, flavour, -charge, random),
    )
    return max(probability, REFERENCE_RATE), leptons


def find_quadruplet(leptons: Sequence[Lepton]) -> Quadruplet | None:
    """Return the quadruplet with m12, then m34, nearest the Z mass, if it passes the cuts."""
    pairs = [
        (pair, add_momenta(pair)[0])
        for pair in combinations(leptons, 2)
        if pair[0].flavour == pair[1].flavour and pair[0].charge != pair[1].charge
    ]
    # A pair below 5 GeV may come from a J/psi or a photon.
    pairs = sorted((p for p in pairs if p[1] > 5), key=lambda p: abs(p[1] - Z_MASS))
    for (first, m12), (second, m34) in combinations(pairs, 2):
        four = tuple(sorted(first + second, key=lambda lepton: -lepton.pt))
        # Also true where the pairs share a lepton.
        if any(delta_r(a, b) < 0.1 for a, b in combinations(four, 2)):
            continue
        m4l, pt4l = add_momenta(four)
        passes = (
            all(lepton.pt > cut for lepton, cut in zip(four, (20, 15, 10), strict=False))
            and 50 < m12 < 106
            and 12 < m34 < 115
            and 70 < m4l < 250
        )
        return Quadruplet(four, m12, m34, pt4l, m4l) if passes else None
    return None


def make_pythia(sample: Sample, seed: int) -> pythia8mc.Pythia:
    """Return Pythia ready to make a sample up to the parton level.

    Hadrons are made later, only for events that need them. Multiparton interactions are off: they
    would take 25 times as long and change jets above 30 GeV little. Pile-up is not simulated.
    """
    pythia = pythia8mc.Pythia("", False)
    run = ("Print:quiet = on", "Beams:eCM = 13600", "Random:setSeed = on", f"Random:seed = {seed}")
    level = ("PartonLevel:MPI = off", "HadronLevel:all = off")
    for setting in (*run, *level, *sample.settings):
        assert pythia.readString(setting), setting
    assert pythia.init()
    return pythia


def reconstruct(
    pythia: pythia8mc.Pythia, finder: pythia8mc.SlowJet, sample: Sample, random: Generator
) -> Event | None:
    """Return Pythia's current event as the detector sees it, if it is selected."""
    leptons = find_prompt_leptons(pythia.event, random)
    # What fails here could only be rescued by a misidentified jet, which is rare.
    if len(leptons) < sample.prompt or (sample.prompt == 4 and not find_quadruplet(leptons)):
        return None
    if not pythia.forceHadronLevel():
        return None
    jets = find_jets(finder, pythia.event)
    jets_away = [jet for jet in jets if all(delta_r(jet, lepton) > 0.4 for lepton in leptons)]
    weight = 1.0
    if sample.prompt == 4:
        leptons += misidentify_jets(jets_away, random)
    else:
        drawn = misidentify_pair(jets_away, random)
        if drawn is None:
            return None
        weight = drawn[0]
        leptons += tuple(lepton for lepton in drawn[1] if accept_lepton(lepton))
    quadruplet = find_quadruplet(leptons)
    if quadruplet is None:
        return None
    leptons = tuple(sorted(leptons, key=lambda lepton: -lepton.pt))
    jets = select_jets(jets, leptons, random)
    return Event(sample.process, weight, quadruplet, leptons, jets)


def simulate(sample: Sample, seed: int) -> list[Event]:
    """Make a sample; the weights of its events are in expected events."""
    pythia = make_pythia(sample, seed)
    finder = pythia8mc.SlowJet(-1, 0.4, 7.0, 4.9)
    random = np.random.default_rng(seed)
    events: list[Event] = []
    generated = 0
    while len(events) < sample.selected:
        generated += 1
        event = reconstruct(pythia, finder, sample, random) if pythia.next() else None
        if event is not None:
            events.append(event)
    leading_order = pythia.infoPython().sigmaGen() * 1e9  # mb to pb
    cross_section = sample.cross_section or leading_order * sample.k_factor
    weights = weigh(events, sample.negative, cross_section * LUMINOSITY / generated, random)
    return [evolve(event, weight=weight) for event, weight in zip(events, weights, strict=True)]


def weigh(
    events: Sequence[Event], negative: float, scale: float, random: Generator
) -> Iterator[float]:
    """Scale the weights and turn the sign of a share of them, keeping their sum.

    This imitates a generator at next-to-leading order, whose subtraction terms have negative
    weights. Pythia has none. The sign is independent of the kinematics, so distributions keep
    their shape and lose only statistical power.
    """
    weights = np.array([event.weight for event in events]) * scale
    flipped = random.permutation(len(weights)) < round(negative * len(weights))
    signed = np.where(flipped, -weights, weights)
    yield from (signed * weights.sum() / signed.sum()).tolist()


def round_relative(values: Sequence[float], bits: int) -> np.ndarray:
    """Round to `bits` binary digits after the leading one: 8 bits are steps of 0.2 to 0.4%."""
    mantissa, exponent = np.frexp(np.asarray(values, dtype=np.float64))
    rounded: np.ndarray = np.ldexp(np.round(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
    return rounded.astype(np.float32)


def round_angle(values: Sequence[float]) -> np.ndarray:
    """Round to steps of 1/64, so that the files are small."""
    return (np.round(np.asarray(values) * 64) / 64).astype(np.float32)


def make_columns(prefix: str, objects: Sequence[Lepton | Jet | None]) -> dict[str, np.ndarray]:
    """Return the columns of one object per event, rounded; None is an object that is not there."""

    def read(name: str) -> list[float]:
        return [MISSING if item is None else getattr(item, name) for item in objects]

    missing = [item is None for item in objects]
    columns: dict[str, np.ndarray] = {
        f"{prefix}_pt": np.where(missing, np.float32(MISSING), round_relative(read("pt"), 8)),
        f"{prefix}_eta": round_angle(read("eta")),
        f"{prefix}_phi": round_angle(read("phi")),
    }
    for name in ("charge", "flavour"):
        if isinstance(objects[0], Lepton):
            columns[f"{prefix}_{name}"] = np.array(read(name), dtype=np.int8)
    if prefix == "jet":
        columns["jet_m"] = round_relative(read("mass"), 6)
    return columns


def make_flat_columns(events: Sequence[Event]) -> dict[str, np.ndarray]:
    """Return the columns with one value per event."""
    columns: dict[str, np.ndarray] = {
        # Numbered after shuffling, so that the number tells nothing about the process.
        "event": np.arange(1, len(events) + 1, dtype=np.int64),
        "process": np.array([event.process for event in events], dtype=np.int8),
        "weight": round_relative([event.weight for event in events], 15),
    }
    for i in range(4):
        columns |= make_columns(f"lep{i + 1}", [event.quadruplet.leptons[i] for event in events])
    columns["n_jets"] = np.array([len(event.jets) for event in events], dtype=np.int8)
    for i in range(2):
        jets = [event.jets[i] if len(event.jets) > i else None for event in events]
        columns |= make_columns(f"jet{i + 1}", jets)
    for name in ("m12", "m34", "pt4l", "m4l"):
        columns[name] = round_relative([getattr(event.quadruplet, name) for event in events], 9)
    return columns


def make_lists(prefix: str, lists: Sequence[Sequence[Lepton | Jet]]) -> ak.Array:
    """Return records of an object's columns, one list of them per event."""
    objects = [item for items in lists for item in items]
    counts = np.array([len(items) for items in lists])
    columns = {name[4:]: column for name, column in make_columns(prefix, objects).items()}
    return ak.unflatten(ak.zip(columns), counts)


def write_parquet(path: Path, flat: dict[str, np.ndarray], lists: dict[str, ak.Array]) -> None:
    """Write one row group; the rounded values repeat, so dictionaries pack them best."""
    columns = {name: pa.array(column) for name, column in flat.items()}
    packed = [name for name in flat if name != "event"]
    for prefix, records in lists.items():
        counts = ak.to_numpy(ak.num(records))
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        for field in records.fields:
            values = pa.array(ak.to_numpy(ak.flatten(records[field])))
            columns[f"{prefix}_{field}"] = pa.ListArray.from_arrays(offsets, values)
            packed.append(f"{prefix}_{field}.list.element")
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=packed,
        column_encoding={"event": "DELTA_BINARY_PACKED"},
        write_statistics=False,
    )


def write_root(path: Path, flat: dict[str, np.ndarray], lists: dict[str, ak.Array]) -> None:
    """Write a TTree; the clock and the identifier are fixed, as both go into the bytes."""
    clock = mock.Mock(wraps=datetime.datetime)
    clock.now.return_value = datetime.datetime(2025, 1, 1)
    columns = flat | lists
    with (
        mock.patch("datetime.datetime", clock),
        uproot.recreate(
            path, compression=uproot.LZMA(9), uuid_function=lambda: uuid.UUID(int=0)
        ) as file,
    ):
        types = {
            name: column.dtype if isinstance(column, np.ndarray) else column.type
            for name, column in columns.items()
        }
        file.mktree("events", types).extend(columns)


def main() -> None:
    """Simulate all samples, shuffle their events and write both files."""
    parser = argparse.ArgumentParser(description="Simulate pp -> four leptons with Pythia 8.")
    parser.add_argument("--seed", type=int, default=4, help="seed of everything random")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the events, for a test")
    arguments = parser.parse_args()
    events: list[Event] = []
    for i, sample in enumerate(SAMPLES):
        part = evolve(sample, selected=round(sample.selected * arguments.fraction))
        made = simulate(part, seed=arguments.seed * len(SAMPLES) + i + 1)
        print(
            f"process {sample.process}: {sum(event.weight for event in made):.1f} expected events"
        )
        events += made
    order = np.random.default_rng(arguments.seed).permutation(len(events))
    events = [events[i] for i in order]
    flat = make_flat_columns(events)
    lists = {
        "lep": make_lists("lep", [event.leptons for event in events]),
        "jet": make_lists("jet", [event.jets for event in events]),
    }
    write_parquet(arguments.out / "h4l.parquet", flat, lists)
    write_root(arguments.out / "h4l.root", flat, lists)


if __name__ == "__main__":
    main()
