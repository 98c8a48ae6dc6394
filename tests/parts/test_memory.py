"""Networks and steps that memory cannot hold are refused before any of it is taken."""

from pathlib import Path

import pytest
import torch
from torch import nn

from parts import free_memory as amounts
from parts.batches import Batches
from parts.events import Events
from parts.free_memory import free_memory, left_in, left_in_groups, readable
from parts.inputs import Embedded, Inputs, Numerical
from parts.machinery.exits import RefusedError
from parts.memory import check_network, check_step
from parts.models import MLP, ResNet

CPU = torch.device("cpu")


def inputs() -> Inputs:
    return Inputs([Numerical(nn.Identity(), 3)])


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    text = Path("/proc/meminfo").read_text()
    total = int(text.split("MemTotal:")[1].split()[0]) * 1024
    found = free_memory()
    assert found is not None
    assert 0 < found <= total


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amounts, "left_in_groups", lambda: [2**20, None, 2**21])
    assert free_memory() == 2**20
    with pytest.raises(RefusedError, match=r"needs 3\.819 MiB of memory, and 1 MiB are there"):
        check_network(10**6, 1, "n_hidden")
    check_network(10**5, 1, "n_hidden")


def test_what_a_group_can_still_get_is_its_limit_without_what_it_holds(tmp_path: Path) -> None:
    assert left_in(tmp_path) is None
    (tmp_path / "memory.stat").write_text(
        "anon 300\nfile 250\nshmem 50\ninactive_file 120\nactive_file 80\nslab 9\n"
    )
    (tmp_path / "memory.current").write_text("600\n")
    for limit, left in (("1000\n", 600), ("300\n", 0), ("max\n", None)):
        (tmp_path / "memory.max").write_text(limit)
        assert left_in(tmp_path) == left


def test_all_groups_that_a_process_is_in_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    (own,) = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    monkeypatch.setattr(amounts, "GROUPS", tmp_path)
    asked: list[Path] = []
    monkeypatch.setattr(amounts, "left_in", asked.append)
    left_in_groups()
    assert (asked[0], asked[-1]) == (tmp_path / own, tmp_path)
    assert len(asked) == len((tmp_path / own).relative_to(tmp_path).parts) + 1


@pytest.mark.parametrize(
    ("n_layers", "n_hidden"), [(2, 10**8), (10**12, 1)], ids=["units", "layers"]
)
def test_no_layer_of_a_network_that_does_not_fit_is_made(n_layers: int, n_hidden: int) -> None:
    with pytest.raises(RefusedError, match="smaller n_hidden or n_layers"):
        MLP(inputs(), 1, n_layers, n_hidden, nn.ReLU, 0.0, nn.Identity)
    with pytest.raises(RefusedError, match="smaller n_hidden or n_layers"):
        ResNet(inputs(), 1, n_layers, n_hidden, 2, nn.ReLU, 0.0, nn.Identity)


def test_no_embedding_that_does_not_fit_is_made() -> None:
    with pytest.raises(RefusedError, match="smaller embedding_dim"):
        Embedded(0, torch.tensor([1, 2]), 10**14)


def test_what_is_estimated_is_what_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for biases and norms, which are few."""
    estimates: list[int] = []
    monkeypatch.setattr("parts.models.check_network", lambda n, *_: estimates.append(n))
    networks = (
        MLP(inputs(), 2, 3, 50, nn.ReLU, 0.0, nn.Identity),
        ResNet(inputs(), 2, 4, 50, 2, nn.ReLU, 0.0, nn.Identity),
    )
    matrices = ([each for each in network.parameters() if each.dim() == 2] for network in networks)
    assert [sum(each.numel() for each in found) for found in matrices] == estimates


def test_a_step_of_more_events_than_memory_holds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = MLP(inputs(), 1, 2, 100, nn.ReLU, 0.0, nn.Identity)
    monkeypatch.setattr(amounts, "available", lambda: 10**8)
    check_step(network, 100_000, CPU)
    with pytest.raises(RefusedError, match=r"step of 200000 events .* a smaller batch_size"):
        check_step(network, 200_000, CPU)


@pytest.mark.parametrize(
    ("size", "batch_size", "tasks", "wanted"),
    [(10, 4, 1, 4), (9, 4, 1, 5), (10, 2**62, 1, 10), (10, 2**62, 3, 4), (3, 4, 1, 3)],
)
def test_the_largest_batch_is_known(size: int, batch_size: int, tasks: int, wanted: int) -> None:
    column = torch.zeros(size)
    events = Events(column[:, None], torch.empty(size, 0).long(), column.long(), column, column)
    batches = [Batches(events, batch_size, rank, tasks) for rank in range(tasks)]
    sizes = [len(label) for each in batches for _, _, label, _, _ in each]
    assert max(sizes) == wanted
    assert {each.largest for each in batches} == {wanted}


def test_sizes_are_written_as_people_do() -> None:
    assert [readable(size) for size in (5, 2**30 * 1.5, 2**61)] == [
        "5 bytes",
        "1.5 GiB",
        "2048 PiB",
    ]
