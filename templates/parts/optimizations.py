"""What an optimizer and its schedule cannot do here, said before the first step."""

from typing import Any

from torch.optim import Optimizer

from parts.machinery.exits import RefusedError


def check_optimization(configured: Any, steps: int) -> None:
    """Raise `RefusedError` for an optimizer or a schedule that a training of `steps` is not for.

    `configured` is what a module of Lightning says, on the device that it is trained on.
    """
    alone = isinstance(configured, Optimizer)
    group = (configured if alone else configured["optimizer"]).param_groups[0]
    if group.get("capturable") and not group["params"][0].is_cuda:
        raise RefusedError("capturable is for GPUs, and this training is on a CPU")
    if alone:
        return
    schedule = configured["lr_scheduler"]
    most = getattr(schedule["scheduler"], "total_steps", None)
    if most is not None and schedule["interval"] == "step" and most < steps:
        name = type(schedule["scheduler"]).__name__
        raise RefusedError(
            f"{name} ends after total_steps = {most}, and the training has {steps} steps: leave"
            f" total_steps out, or at least {steps}"
        )
