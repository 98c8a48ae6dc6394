"""Random states: numbers go on as if nothing had happened."""

import io

import torch

from parts.machinery.states import RandomStates


def test_numbers_go_on_after_a_checkpoint() -> None:
    torch.manual_seed(4)
    torch.rand(3)
    file = io.BytesIO()
    torch.save(RandomStates().state_dict(), file)
    expected = torch.rand(5), torch.randn(5), torch.randperm(10)
    torch.manual_seed(5)
    file.seek(0)
    RandomStates().load_state_dict(torch.load(file, weights_only=True))
    found = torch.rand(5), torch.randn(5), torch.randperm(10)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_state_on_another_device_is_taken_back_to_the_cpu() -> None:
    (state,) = RandomStates().state_dict()["tasks"]
    assert state["cpu"].device.type == "cpu"
    assert state["cuda"] == [] or torch.cuda.is_available()


def test_each_task_gets_its_own_state_back() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states += RandomStates().state_dict()["tasks"]
    for rank, seed in ((0, 1), (1, 2)):
        callback = RandomStates()
        callback.rank = rank
        callback.load_state_dict({"tasks": states})
        found = torch.rand(4)
        torch.manual_seed(seed)
        assert torch.equal(found, torch.rand(4))


def test_a_task_that_was_not_there_keeps_its_own_state() -> None:
    state = RandomStates().state_dict()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    callback = RandomStates()
    callback.rank = 1
    callback.load_state_dict(state)
    assert torch.equal(torch.rand(4), expected)
