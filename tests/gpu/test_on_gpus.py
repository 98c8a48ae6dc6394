"""Parts that act otherwise where a GPU is."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from parts import placements
from parts.batches import Rounds, validation_batches
from parts.events import Events
from parts.steps import Steps

pytestmark = pytest.mark.gpu
SIZE = 1000


def events() -> Events:
    generator = torch.Generator().manual_seed(1)
    numerical = torch.randn(SIZE, 3, generator=generator)
    number = torch.arange(SIZE)
    weight = torch.rand(SIZE, generator=generator)
    return Events(numerical, number[:, None], number % 2, weight, -weight)


@pytest.mark.parametrize("there", [True, False])
def test_batches_are_the_same_whether_the_gpu_holds_the_events_or_not(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(placements, "SHARE", 0.5 if there else 0.0)
    gpu = torch.device("cuda", 0)
    rounds = [Rounds(events(), 32, 5, 0, 1, device) for device in (torch.device("cpu"), gpu)]
    assert (rounds[1].placed.there is not None) == there
    found = [[batch for batches in each for batch in batches] for each in rounds]
    network = nn.Linear(3, 1)
    found[0] += list(validation_batches(events(), network, 32, 0, 1, torch.device("cpu")))
    found[1] += list(validation_batches(events(), network, 32, 0, 1, gpu))
    for here, other in zip(*found, strict=True):
        assert all(tensor.is_cuda for tensor in other)
        assert all(torch.equal(a, b.cpu()) for a, b in zip(here, other, strict=True))


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_no_step_waits_for_the_gpu(dtype: torch.dtype, clip: float | None) -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)).cuda()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cuda") if dtype == torch.float16 else None
    steps = Steps(optimizer, None, clip, scaler, Tensor.backward, lambda _: 1.0)
    rounds = Rounds(events(), 32, 5, 0, 1, torch.device("cuda", 0))

    def loss_of(batch: tuple[Tensor, ...]) -> Tensor:
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            logits: Tensor = network(batch[0])
            return (logits[:, 0].float() * batch[4]).mean()

    assert rounds.placed.there is not None
    step = 0
    try:
        for batches in rounds:
            for batch in batches:
                steps.take(partial(loss_of, batch), step)
                step += 1
                if step == 3:
                    # What is made once is there.
                    torch.cuda.set_sync_debug_mode("error")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert step == rounds.steps
    assert all(weight.isfinite().all() for weight in network.parameters())
