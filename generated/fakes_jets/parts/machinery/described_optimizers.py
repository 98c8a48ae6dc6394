"""An optimizer with its schedule: described in plain values, compared, and moved on."""

import warnings
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from parts.classifiers import Classifier, WarmedUp

# How an optimizer computes, and not what.
WAYS = ("foreach", "fused", "capturable", "differentiable")
# What of the first state of a schedule follows from the optimizer.
FOLLOWS = ("base_lrs", "_last_lr")


@dataclass(frozen=True)
class DescribedOptimizer:
    """An optimizer that has taken no step, with its schedule and the warm-up on top of it."""

    optimizer: Optimizer
    scheduler: Any
    interval: str
    warmup: dict[str, Any]

    @classmethod
    def of(cls, classifier: Classifier) -> "DescribedOptimizer":
        """Return what the script configures, made anew."""
        assert classifier.configure is not None
        # Not as the module configures it, which asks where weights lie: they may yet be moved.
        parameters = classifier.network.parameters()
        configured: Any = classifier.configure(parameters, classifier.steps)
        warmup = {}
        if isinstance(classifier, WarmedUp):
            warmup = {"shape": classifier.warmup.__name__, "epochs": classifier.warmup_epochs}
        if isinstance(configured, Optimizer):
            return cls(configured, None, "epoch", warmup)
        schedule = configured["lr_scheduler"]
        return cls(configured["optimizer"], schedule["scheduler"], schedule["interval"], warmup)

    def described(self) -> dict[str, dict[str, Any]]:
        """Return name and parameters of each, in plain values; a schedule's are its first state."""
        optimizer = {"name": type(self.optimizer).__name__, **self.optimizer.defaults}
        schedule: dict[str, Any] = {"name": "no schedule"}
        if self.scheduler is not None:
            (group,) = self.optimizer.param_groups
            # Those of a cycle are in the optimizer.
            first = {n: v for n, v in group.items() if n not in self.optimizer.defaults}
            state = self.scheduler.state_dict()
            schedule = {"name": type(self.scheduler).__name__, "interval": self.interval}
            schedule |= {n: v for n, v in (first | state).items() if n not in ("params", *FOLLOWS)}
        found: dict[str, dict[str, Any]] = plain(
            {"optimizer": optimizer, "schedule": schedule, "warm-up": self.warmup}
        )
        return found

    def move(self, epochs: int, steps: int) -> None:
        """Let the schedule stand where it would after so many epochs, or steps, of its own.

        One that judges by a metric begins: nobody knows what it would have seen.
        """
        if self.scheduler is None or isinstance(self.scheduler, ReduceLROnPlateau):
            return
        with warnings.catch_warnings():
            # That the optimizer has taken no step.
            warnings.simplefilter("ignore", UserWarning)
            for _ in range(epochs if self.interval == "epoch" else steps):
                self.scheduler.step()


def differences(there: dict[str, Any] | None, here: dict[str, Any]) -> list[str]:
    """Return what of an optimizer or a schedule differs from a checkpoint's, in words."""
    lacking = "unknown" if there is None else "none"
    there = {} if there is None else there
    if there.get("name") != here.get("name"):
        return [f"{there.get('name', 'unknown')} there, {here['name']} here"]
    every = [name for name in (here | there) if name not in WAYS]
    names = [name for name in every if there.get(name) != here.get(name)]
    public = [name for name in names if not name.startswith("_")]
    said = [
        f"{name} {there.get(name, lacking)} there, {here.get(name, 'none')} here" for name in public
    ]
    return said or (["parameters"] if names else [])


def with_ways(content: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of a checkpoint's optimizer, to be computed as this one computes."""
    state = content["optimizer_states"][0]
    (own,) = optimizer.param_groups
    ways = {way: own[way] for way in WAYS if way in own}
    return {**state, "param_groups": [{**group, **ways} for group in state["param_groups"]]}


def plain(value: Any) -> Any:
    """Return a value as JSON would hold it."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__
