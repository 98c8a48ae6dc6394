"""A learning rate that falls where the monitored metric gets no better, whichever way that is."""

import pytest

from tests.runs.experiments import Workshop

RATE, FACTOR, EPOCHS = 0.05, 0.5, 8


@pytest.mark.parametrize("monitor", ["val_loss", "val_auc"])
def test_a_plateau_is_one_of_the_monitored_metric(workshop: Workshop, monitor: str) -> None:
    training = {
        "max_epochs": EPOCHS,
        "monitor": monitor,
        "optimizer": {"optimizer_params": {"lr": RATE}},
        "scheduler": {
            "scheduler_name": "ReduceLROnPlateau",
            "scheduler_params": {"factor": FACTOR, "patience": 0, "threshold": 0.0},
        },
    }
    changes = {"training_config": training, "experiment_config": {"log_every_n_steps": 1}}
    run = workshop.train(f"plateau_{monitor}", **changes)
    rates: dict[int, float] = {}
    found: dict[int, float] = {}
    for line in run.measured():
        if "lr" in line:
            rates[line["epoch"]] = line["lr"]
        if monitor in line:
            found[line["epoch"]] = line[monitor] * (-1 if monitor == "val_auc" else 1)
    expected, rate = {}, RATE
    for epoch in range(1, EPOCHS + 1):
        expected[epoch] = rate
        if found[epoch] >= min((found[before] for before in range(1, epoch)), default=float("inf")):
            rate *= FACTOR
    assert 0 < len(set(expected.values()) - {RATE}) < EPOCHS - 1
    assert rates == pytest.approx(expected)
