"""Beside scores, a tree comes back as it was; a ROOT file that would not is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from numpy.typing import NDArray

from parts import scored_root
from parts.machinery.exits import RefusedError
from parts.root_copies import description
from tests.parts.scoring import (
    EVERY,
    N_EVENTS,
    NONE,
    NUMBERS,
    SCORES,
    SOME,
    with_numbers,
    write_scores,
)

RANDOM = np.random.default_rng(1)
LENGTHS = np.where(np.arange(N_EVENTS) // 20 == 2, 0, np.arange(N_EVENTS) % 4)
LISTS = ak.unflatten(RANDOM.normal(size=LENGTHS.sum()), LENGTHS)
TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
BRANCHES: dict[str, Any] = {
    "event": NUMBERS,
    "n": LENGTHS.astype(np.int32),
    "pt": ak.values_astype(LISTS, np.float32),
    "eta": LISTS,
    "charge": ak.values_astype(LISTS, np.int8),
    "p4": RANDOM.normal(size=(N_EVENTS, 4)).astype(np.float32),
    **{f"is_{kind}": RANDOM.integers(0, 2, N_EVENTS).astype(kind) for kind in TYPES},
}
each_size = pytest.mark.parametrize("size", [1, 33, 1000])
each_choice = pytest.mark.parametrize("kept", [EVERY, SOME, NONE], ids=["every", "some", "none"])


def type_of_branch(held: Any) -> Any:
    if isinstance(held, ak.Array):
        return f"var * {held.type.content.content}"
    return np.dtype((held.dtype, held.shape[1:]))


def tree_file(
    path: Path,
    name: str = "folder/nominal",
    branches: Mapping[str, Any] = BRANCHES,
    compression: Any = None,
) -> Path:
    """Write a tree in several baskets."""
    with uproot.recreate(path, compression=compression) as file:
        types = {each: type_of_branch(held) for each, held in branches.items()}
        tree = file.mktree(name, types, "Events", counter_name=lambda _: "n")
        for first in range(0, N_EVENTS, 23):
            tree.extend({each: held[first : first + 23] for each, held in branches.items()})
    return path


@each_size
@each_choice
def test_each_branch_comes_back_as_it_was(
    tmp_path: Path, kept: NDArray[np.bool_], size: int
) -> None:
    source, out = tree_file(tmp_path / "events.root"), tmp_path / "out.root"
    write_scores(source, out, SCORES, kept, size=size)
    with uproot.open(source) as old, uproot.open(out) as new:
        assert new.classnames() == old.classnames()
        before, after = old["folder/nominal"], new["folder/nominal"]
        assert after.title == "Events"
        assert after.keys() == [*before.keys(), *SCORES]
        for branch, again in zip(before.branches, after.branches, strict=False):
            assert description(branch) == description(again)
            held, found = branch.array()[kept], again.array()
            assert ak.array_equal(held, found)
            assert held.type == found.type
        for name, values in SCORES.items():
            found = after[name].array(library="np")
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values[kept])


@pytest.mark.parametrize(
    "compression", [None, uproot.ZLIB(1), uproot.LZ4(4), uproot.ZSTD(5), uproot.LZMA(1)]
)
def test_a_file_is_packed_as_it_was(tmp_path: Path, compression: Any) -> None:
    source = tree_file(tmp_path / "events.root", compression=compression)
    write_scores(source, tmp_path / "out.root", SCORES)
    with uproot.open(source) as old, uproot.open(tmp_path / "out.root") as new:
        assert new.file.compression == old.file.compression


def test_events_are_gathered_to_baskets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tree_file(tmp_path / "events.root"), tmp_path / "out.root"
    write_scores(source, out, SCORES, size=3)
    with uproot.open(out) as file:
        assert {branch.num_baskets for branch in file["folder/nominal"].branches} == {1}
    monkeypatch.setattr(scored_root, "CLUSTER_EVENTS", (30, 30))
    write_scores(source, out, SCORES, size=3, overwrite=True)
    with uproot.open(out) as file:
        assert {branch.num_baskets for branch in file["folder/nominal"].branches} == {4}


def test_a_tree_without_events_has_branches_for_scores(tmp_path: Path) -> None:
    source, out = tmp_path / "events.root", tmp_path / "out.root"
    with uproot.recreate(source) as file:
        file.mktree("t", {"x": np.float32})
    write_scores(source, out, SCORES, EVERY[:0])
    with uproot.open(out) as file:
        assert file["t"].keys() == ["x", *SCORES]
        assert file["t"].num_entries == 0


@each_choice
def test_a_friend_has_the_name_of_its_tree(tmp_path: Path, kept: NDArray[np.bool_]) -> None:
    source, out = tree_file(tmp_path / "events.root"), tmp_path / "out.root"
    write_scores(source, out, with_numbers(), kept, beside=False)
    with uproot.open(out) as file:
        tree = file["folder/nominal"]
        assert tree.keys() == list(with_numbers())
        for name, values in with_numbers().items():
            found = tree[name].array(library="np")
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values[kept])


def refusal(source: Path, **asked: Any) -> str:
    """Return why scores do not stand beside events; a friend takes them."""
    out = source.with_name("out.root")
    with pytest.raises(RefusedError) as caught:
        write_scores(source, out, SCORES, EVERY[:0], **asked)
    assert list(source.parent.iterdir()) == [source]
    write_scores(source, out, with_numbers(), EVERY[:0], beside=False, **asked)
    message = str(caught.value)
    suffix = ", which cannot be written anew beside scores; --friend writes the scores alone"
    assert message.endswith(suffix)
    return message.removesuffix(suffix).removeprefix(f"{str(source)!r} has ")


def test_what_else_a_file_holds_is_named(tmp_path: Path) -> None:
    source = tree_file(tmp_path / "events.root")
    with uproot.update(source) as file:
        file["cutflow"] = np.histogram([1, 2, 3])
    assert refusal(source) == "a TH1D 'cutflow' as well"


def test_of_several_trees_none_is_written_anew(tmp_path: Path) -> None:
    source = tree_file(tmp_path / "events.root")
    with uproot.update(source) as file:
        file.mktree("systematic", {"x": np.float32})
    assert refusal(source, table="folder/nominal") == "a TTree 'systematic' as well"


def test_the_former_states_of_a_tree_do_not_count(tmp_path: Path) -> None:
    source = tree_file(tmp_path / "events.root", "nominal", {"x": np.zeros(N_EVENTS)})
    with uproot.update(source) as file:
        file.mktree("nominal", {"y": np.float32})["y"]
    write_scores(source, tmp_path / "out.root", SCORES, EVERY[:0])
    with uproot.open(tmp_path / "out.root") as file:
        assert file["nominal"].keys() == ["y", *SCORES]


def test_texts_and_tuples_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "events.root"
    with uproot.recreate(source) as file:
        file.mktree("t", {"x": np.float32, "s": "str"})
    assert refusal(source) == "a branch 's' of type char* and title 's/C'"
    (tmp_path / "out.root").unlink()
    with uproot.recreate(source) as file:
        file.mkrntuple("t", {"x": np.zeros(3)})
    assert refusal(source) == "a ROOT::RNTuple 't'"


REAL = {
    "uproot-HZZ.root": "a branch 'Photon_E' of type float[] and title 'Photons_E[NPhoton]/F'",
    "uproot-Zmumu.root": "a branch 'Type' of type char* and title 'Type/C'",
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": "a branch 'HTXS_Higgs_pt' of type float and title "
    "'pt of the Higgs boson as identified in HTXS'",
}


@pytest.mark.parametrize("name", REAL)
def test_trees_of_others_are_refused_where_a_branch_would_be_another(
    real_files: Path, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "events.root"
    source.write_bytes((real_files / name).read_bytes())
    assert refusal(source) == REAL[name]
