"""Read the signatures of the installed torch; write the compiler's `torch_signatures.json`.

Usage: python tests/torch_signatures.py
"""

import ast
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

PATH = Path(__file__).parents[1] / "compiler" / "seesawc" / "tables" / "torch_signatures.json"

FUNCTION = "it is a Python function, and a spec has only values"
REFUSED = {
    "ChainedScheduler": "it is built from other schedulers, and a spec has only values",
    "LambdaLR": "its lr_lambda is a Python function, and a spec has only values",
    "MultiplicativeLR": "its lr_lambda is a Python function, and a spec has only values",
    "Muon": "it takes 2-D parameters only, and every model also has others, such as biases",
    "SequentialLR": "it is built from other schedulers, and a spec has only values",
    "SparseAdam": "it takes sparse gradients only, and these models have dense ones",
}
LEFT_OUT = {
    "differentiable": "it is for gradients through the step, which a training loop forbids",
    "epochs": "total_steps says it, and is filled from the training when left out",
    "last_epoch": "a run that continues restores it",
    "scale_fn": FUNCTION,
    "scale_mode": "it is how scale_fn is called, which is a Python function",
    "steps_per_epoch": "total_steps says it, and is filled from the training when left out",
}
FILLED = {"CosineAnnealingLR.T_max": "epochs", "OneCycleLR.total_steps": "steps"}
BY_STEP = {"CyclicLR", "OneCycleLR"}
GPU_ONLY = {"capturable"}
CHOICES = {"LBFGS.line_search_fn": ["strong_wolfe"]}

# An annotation that is not here stops the script: somebody has to look at it.
KINDS: dict[str, dict[str, Any]] = {
    "bool": {"kind": "bool"},
    "bool | None": {"kind": "bool", "optional": True},
    "float": {"kind": "float"},
    "float | list[float]": {"kind": "float_or_floats"},
    "float | torch.Tensor": {"kind": "float"},
    "int": {"kind": "int"},
    "int | None": {"kind": "int", "optional": True},
    "Iterable[int]": {"kind": "ints"},
    "list[float] | float": {"kind": "float_or_floats"},
    "str | None": {"kind": "str", "optional": True},
    "tuple[float, float]": {"kind": "floats", "length": 2},
    "tuple[float | None, float]": {"kind": "floats", "length": 2},
    "tuple[float | torch.Tensor, float | torch.Tensor]": {"kind": "floats", "length": 2},
}

POSITIVE = [{"minimum": 0}]
COUNT = [{"minimum": 1}]
FRACTION = [{"minimum": 0, "maximum": 1}]
BELOW_ONE = [{"minimum": 0, "below": 1}]
DIVISOR = [{"above": 0}]
# By parameter, or by class and parameter where they differ. test_signatures.py proves the ends.
RANGES: dict[str, list[dict[str, int]]] = {
    "Adafactor.beta2_decay": [{"maximum": 0}],
    "Adafactor.d": COUNT,
    "Adadelta.rho": FRACTION,
    # A power, which overflows in the end.
    "ASGD.alpha": FRACTION,
    "ConstantLR.factor": [{"above": 0, "maximum": 1}],
    "OneCycleLR.pct_start": BELOW_ONE,
    "RMSprop.alpha": FRACTION,
    "ReduceLROnPlateau.factor": BELOW_ONE,
    "Rprop.etas": [{"above": 0, "below": 1}, {"above": 1}],
    "T_0": COUNT,
    "T_max": COUNT,
    "T_mult": COUNT,
    "base_lr": POSITIVE,
    "base_momentum": BELOW_ONE,
    "betas": BELOW_ONE,
    "cooldown": POSITIVE,
    "dampening": FRACTION,
    "div_factor": DIVISOR,
    "end_factor": FRACTION,
    "eps": POSITIVE,
    "eta_min": POSITIVE,
    "final_div_factor": DIVISOR,
    "gamma": POSITIVE,
    "history_size": COUNT,
    "initial_accumulator_value": POSITIVE,
    "lambd": POSITIVE,
    "lr": POSITIVE,
    "lr_decay": POSITIVE,
    "max_eval": COUNT,
    "max_iter": COUNT,
    "max_lr": POSITIVE,
    "max_momentum": BELOW_ONE,
    "milestones": POSITIVE,
    "min_lr": POSITIVE,
    "momentum": POSITIVE,
    "momentum_decay": POSITIVE,
    "patience": POSITIVE,
    "power": POSITIVE,
    "start_factor": [{"above": 0, "maximum": 1}],
    "step_size": COUNT,
    "step_size_down": POSITIVE,
    "step_size_up": COUNT,
    "step_sizes": POSITIVE,
    "t0": POSITIVE,
    "threshold": POSITIVE,
    "tolerance_change": POSITIVE,
    "tolerance_grad": POSITIVE,
    "total_iters": COUNT,
    "total_steps": COUNT,
    "weight_decay": POSITIVE,
}


def main() -> None:
    """Write the file."""
    PATH.write_text(as_text(), encoding="utf-8")


def as_text() -> str:
    """Return what the file should hold for the installed torch."""
    optimizers = [name for name in torch.optim.__all__ if _is_a(name, torch.optim)]
    schedulers = [name for name in lr_scheduler.__all__ if name != "LRScheduler"]
    data = {
        "activations": sorted(filter(is_element_wise, nn.modules.activation.__all__)),
        "optimizers": {name: describe(getattr(torch.optim, name)) for name in optimizers},
        "schedulers": {name: describe(getattr(lr_scheduler, name)) for name in schedulers},
        "torch": str(torch.__version__).partition("+")[0],
    }
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _is_a(name: str, module: Any) -> bool:
    found = getattr(module, name)
    base = torch.optim.Optimizer
    return inspect.isclass(found) and issubclass(found, base) and found is not base


def describe(cls: type) -> dict[str, Any]:
    """Return the entry of an optimizer or scheduler, without what is at its default."""
    if cls.__name__ in REFUSED:
        return {"refused": REFUSED[cls.__name__]}
    taken = inspect.signature(cls).parameters.values()
    arguments = [a for a in taken if a.name not in ("params", "optimizer")]
    entry: dict[str, Any] = {
        "left_out": {a.name: LEFT_OUT[a.name] for a in arguments if a.name in LEFT_OUT},
        "parameters": {
            a.name: describe_parameter(cls.__name__, a) for a in arguments if a.name not in LEFT_OUT
        },
    }
    if cls.__name__ in BY_STEP:
        entry["interval"] = "step"
    step = getattr(cls, "step")  # noqa: B009 - neither base class says that it has one
    if "metrics" in inspect.signature(step).parameters:
        entry["monitored"] = True
    return {key: value for key, value in entry.items() if value}


def describe_parameter(owner: str, argument: inspect.Parameter) -> dict[str, Any]:
    """Return the entry of one parameter."""
    annotation = argument.annotation
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    full = f"{owner}.{argument.name}"
    if written.startswith("Literal["):
        choices = ast.literal_eval(written.removeprefix("Literal"))
        entry: dict[str, Any] = {"kind": "str", "choices": choices}
    else:
        entry = dict(KINDS[written])
    if argument.default is inspect.Parameter.empty:
        entry["required"] = True
    elif argument.default is not None:
        entry["default"] = argument.default
    if full in CHOICES:
        entry["choices"] = CHOICES[full]
    if entry["kind"] not in ("bool", "str"):
        entry["ranges"] = RANGES[full] if full in RANGES else RANGES[argument.name]
    if full in FILLED:
        entry["filled"] = FILLED[full]
    if argument.name in GPU_ONLY:
        entry["gpu_only"] = True
    return entry


def is_element_wise(name: str) -> bool:
    """Say whether it needs no argument and treats each element of `(batch, feature)` alone."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(6, 4, generator=generator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Softmax guesses its dimension.
            module = getattr(nn, name)().eval()
            whole, part = module(batch), module(batch[:4, :2])
    except (TypeError, ValueError):  # Arguments are missing, or it wants another shape.
        return False
    return whole.shape == batch.shape and torch.allclose(whole[:4, :2], part, atol=1e-6)


if __name__ == "__main__":
    main()
