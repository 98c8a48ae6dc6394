"""What the shipped signatures claim is what the installed torch does."""

import io
import runpy
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from seesawc.tables import signatures
from seesawc.tables.signatures import Parameter, Signature, check, check_pair, convert

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "torch_signatures.py"))
STEPS = 8
USABLE_OPTIMIZERS = [s for s in signatures.optimizers().values() if not s.refused]
USABLE_SCHEDULERS = [s for s in signatures.schedulers().values() if not s.refused]
USABLE = USABLE_OPTIMIZERS + USABLE_SCHEDULERS
REQUIRED: dict[str, object] = {
    "T_0": 3,
    "T_max": 3,
    "base_lr": 0.01,
    "gamma": 0.9,
    "max_lr": 0.1,
    "milestones": [1, 2],
    "step_size": 2,
}
COMPANIONS: dict[str, dict[str, object]] = {"nesterov": {"momentum": 0.9}}

# Torch takes these without a word; why they are refused all the same.
SENSELESS = {
    "the step goes up the gradient": [
        "CosineAnnealingLR.eta_min -0.5",
        "CosineAnnealingWarmRestarts.eta_min -0.5",
        "CyclicLR.base_lr -0.5",
        "CyclicLR.gamma -0.5",
        "CyclicLR.max_lr -0.5",
        "ExponentialLR.gamma -0.5",
        "MultiStepLR.gamma -0.5",
        "OneCycleLR.max_lr -0.5",
        "ReduceLROnPlateau.factor -0.5",
        "ReduceLROnPlateau.min_lr -0.5",
        "SGD.dampening 1.5",
        "StepLR.gamma -0.5",
    ],
    "it is a number of steps, and the schedule is not followed": [
        "ConstantLR.total_iters 0",
        "CyclicLR.step_size_down -1",
        "LBFGS.max_eval 0",
        "LBFGS.max_iter 0",
        "LinearLR.total_iters 0",
        "MultiStepLR.milestones -1",
        "PolynomialLR.total_iters 0",
        "ReduceLROnPlateau.cooldown -1",
        "ReduceLROnPlateau.patience -1",
    ],
    "it is a tolerance or a size": [
        "LBFGS.tolerance_change -0.5",
        "LBFGS.tolerance_grad -0.5",
        "ReduceLROnPlateau.eps -0.5",
        "ReduceLROnPlateau.threshold -0.5",
        "Rprop.step_sizes[0] -0.5",
        "Rprop.step_sizes[1] -0.5",
    ],
    "the optimizers refuse it as momentum or beta of their own, or never forget": [
        "CyclicLR.base_momentum -0.5",
        "CyclicLR.base_momentum 1",
        "CyclicLR.max_momentum -0.5",
        "CyclicLR.max_momentum 1",
        "OneCycleLR.base_momentum -0.5",
        "OneCycleLR.base_momentum 1",
        "OneCycleLR.max_momentum -0.5",
        "OneCycleLR.max_momentum 1",
    ],
    "a decay or an average turned round: it grows, or is not a number": [
        "ASGD.alpha -0.5",
        "ASGD.alpha 1.5",
        "ASGD.lambd -0.5",
        "ASGD.t0 -0.5",
        "RMSprop.alpha 1.5",
        "SGD.dampening -0.5",
    ],
}
SILENT = {case for cases in SENSELESS.values() for case in cases}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def optimizer_of(name: str, network: nn.Module, params: Mapping[str, Any]) -> torch.optim.Optimizer:
    made: torch.optim.Optimizer = getattr(torch.optim, name)(network.parameters(), **params)
    return made


def scheduler_of(
    signature: Signature, optimizer: torch.optim.Optimizer, params: Mapping[str, object]
) -> Any:
    filled = {p.name: STEPS for p in signature.parameters if p.filled}
    return getattr(lr_scheduler, signature.name)(optimizer, **filled | convert(signature, params))


def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Any = None,
    steps: int = STEPS,
) -> None:
    """Take steps as an automatic optimization does, the closure inside the optimizer's step."""
    features, targets = torch.randn(16, 3), torch.randn(16, 1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(features), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        return loss.item()

    for _ in range(steps):
        loss = optimizer.step(closure)
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss)
        elif scheduler is not None:
            scheduler.step()


def run(signature: Signature, params: Mapping[str, object]) -> nn.Module:
    """Train with an optimizer or scheduler of these parameters; raise what torch raises."""
    network = model()
    if signature in USABLE_OPTIMIZERS:
        train(network, optimizer_of(signature.name, network, convert(signature, params)))
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
        scheduler = scheduler_of(signature, optimizer, params)
        train(network, optimizer, scheduler, getattr(scheduler, "total_steps", STEPS))
    return network


def needed(signature: Signature) -> dict[str, object]:
    return {p.name: REQUIRED[p.name] for p in signature.parameters if p.required and not p.filled}


def plausible(parameter: Parameter) -> list[object]:
    match parameter.kind:
        case "bool":
            return [True, False]
        case "str":
            return list(parameter.choices)
        case "ints":
            return [[1, 3], (2,)]
        case "floats":
            return [[0.5, 1.5]] if parameter.name == "etas" else [[0.01, 0.5]]
    allowed = parameter.ranges[0]
    values = [v for v in (0.5, 1, 2, -0.5) if allowed.allows(v)]
    values = [v for v in values if isinstance(v, int) or parameter.kind != "int"]
    return [*values, [values[0]]] if parameter.kind == "float_or_floats" else list(values)


def each_parameter() -> Iterator[Any]:
    for signature in USABLE:
        for parameter in signature.parameters:
            yield pytest.param(signature, parameter, id=f"{signature.name}.{parameter.name}")


def ends(parameter: Parameter, place: int) -> Iterator[tuple[float, bool]]:
    """Yield the values at the ends of the range of an element, and whether each is inside."""
    if not parameter.ranges:
        return
    allowed = parameter.ranges[place if len(parameter.ranges) > 1 else 0]
    step = 1 if "int" in parameter.kind else 0.5
    if allowed.minimum is not None:
        yield from [(allowed.minimum, True), (allowed.minimum - step, False)]
    if allowed.maximum is not None:
        yield from [(allowed.maximum, True), (allowed.maximum + step, False)]
    if allowed.above is not None:
        yield from [(allowed.above + 1e-6, True), (allowed.above, False)]
    if allowed.below is not None:
        yield from [(allowed.below - 1e-6, True), (allowed.below, False)]


def each_end() -> Iterator[Any]:
    for signature in USABLE:
        for parameter in signature.parameters:
            for place in range(parameter.length or 1):
                for end, inside in ends(parameter, place):
                    at = f"[{place}]" if parameter.length else ""
                    name = f"{signature.name}.{parameter.name}{at} {end:g}"
                    value = with_end(parameter, place, end)
                    yield pytest.param(signature, parameter.name, value, inside, name, id=name)


def with_end(parameter: Parameter, place: int, end: float) -> object:
    if parameter.length is None:
        return [end] if parameter.kind == "ints" else end
    assert isinstance(parameter.default, tuple)
    values = [0.001 if element is None else element for element in parameter.default]
    values[place] = end
    return values


def test_the_shipped_file_is_what_the_installed_torch_gives() -> None:
    assert SCRIPT["PATH"].read_text(encoding="utf-8") == SCRIPT["as_text"]()


def test_what_is_called_senseless_is_tried() -> None:
    assert {param.id for param in each_end()} >= SILENT


def test_the_version_is_recorded() -> None:
    assert torch.__version__.startswith(signatures.torch_version())


def test_nothing_of_torch_is_missing() -> None:
    optimizers = {c.__name__ for c in torch.optim.Optimizer.__subclasses__()}
    optimizers |= {
        c.__name__ for k in torch.optim.Optimizer.__subclasses__() for c in k.__subclasses__()
    }
    assert {name for name in optimizers if hasattr(torch.optim, name)} == set(
        signatures.optimizers()
    )
    assert set(signatures.schedulers()) == set(lr_scheduler.__all__) - {"LRScheduler"}


def test_loading_is_quick_and_does_not_import_torch() -> None:
    def load() -> float:
        for cached in (signatures._data, signatures._signatures):
            cached.cache_clear()
        start = time.perf_counter()
        signatures.optimizers(), signatures.schedulers(), signatures.activations()
        return time.perf_counter() - start

    assert min(load() for _ in range(20)) < 0.003
    code = "import sys; from seesawc.tables import signatures as s; s.optimizers();"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("signature", USABLE, ids=lambda s: s.name)
def test_defaults_train(signature: Signature) -> None:
    params = needed(signature)
    assert check(signature, params) == []
    start, end = model().state_dict(), run(signature, params).state_dict()
    assert any(not torch.equal(start[name], end[name]) for name in start)


@pytest.mark.parametrize(("signature", "parameter"), list(each_parameter()))
def test_each_parameter_alone_trains(signature: Signature, parameter: Parameter) -> None:
    for value in plausible(parameter):
        params = needed(signature) | COMPANIONS.get(parameter.name, {}) | {parameter.name: value}
        assert check(signature, params) == []
        if parameter.gpu_only and value and not torch.cuda.is_available():
            with pytest.raises(AssertionError, match="supported devices"):
                run(signature, params)
        else:
            run(signature, params)


@pytest.mark.parametrize(("signature", "name", "value", "inside", "case"), list(each_end()))
def test_the_ends_of_a_range_are_those_of_torch(
    signature: Signature, name: str, value: object, inside: bool, case: str
) -> None:
    params = needed(signature) | {name: value}
    faults = [fault[0] for fault in check(signature, params)]
    if inside:
        assert faults == []
        run(signature, params)
        return
    assert faults == [name]
    if case in SILENT:
        run(signature, params)
    else:
        with pytest.raises((ValueError, ZeroDivisionError, IndexError)):
            run(signature, params)


@pytest.mark.parametrize("signature", USABLE_OPTIMIZERS, ids=lambda s: s.name)
def test_every_scheduler_steps_every_optimizer_unless_the_pair_is_refused(
    signature: Signature,
) -> None:
    for scheduler in USABLE_SCHEDULERS:
        network, params = model(), needed(scheduler)
        optimizer = optimizer_of(signature.name, network, {})
        if check_pair(scheduler, params, signature):
            with pytest.raises(ValueError, match="must support momentum"):
                scheduler_of(scheduler, optimizer, params)
            params |= {"cycle_momentum": False}
            assert check_pair(scheduler, params, signature) is None
        train(network, optimizer, scheduler_of(scheduler, optimizer, params))


@pytest.mark.parametrize("signature", USABLE_SCHEDULERS, ids=lambda s: s.name)
def test_the_state_of_a_scheduler_is_saved_as_plain_values(signature: Signature) -> None:
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5)
    scheduler = scheduler_of(signature, optimizer, needed(signature))
    train(network, optimizer, scheduler)
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    again = torch.load(file, weights_only=True)
    assert again == scheduler.state_dict()


@pytest.mark.parametrize("signature", USABLE_SCHEDULERS, ids=lambda s: s.name)
def test_a_monitored_scheduler_is_one_that_steps_on_a_metric(signature: Signature) -> None:
    optimizer = torch.optim.SGD(model().parameters(), lr=0.1, momentum=0.5)
    scheduler = scheduler_of(signature, optimizer, needed(signature))
    if signature.monitored:
        with pytest.raises(TypeError, match="metrics"):
            scheduler.step()
    else:
        optimizer.step()
        scheduler.step()


def test_a_schedule_by_step_is_followed_to_the_last_of_its_steps() -> None:
    by_step = {s.name for s in USABLE_SCHEDULERS if s.interval == "step"}
    assert by_step == {"CyclicLR", "OneCycleLR"}
    one_cycle = signatures.schedulers()["OneCycleLR"]
    filled = {p.name: p.filled for s in USABLE for p in s.parameters if p.filled}
    assert filled == {"T_max": "epochs", "total_steps": "steps"}
    for total in (1, 2, 3, 10):
        run(one_cycle, {"max_lr": 0.1, "total_steps": total})


class TestRefused:
    """Each refused class cannot work with what a spec can say."""

    @pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
    @pytest.mark.parametrize("value", [0.5, 1, "lambda epoch: 0.5", [0.5], [], True])
    def test_needs_a_function(self, name: str, value: object) -> None:
        network = model()
        optimizer = torch.optim.SGD(network.parameters())
        with pytest.raises((TypeError, ValueError)):
            train(network, optimizer, getattr(lr_scheduler, name)(optimizer, lr_lambda=value))

    @pytest.mark.parametrize("value", [0.5, "StepLR", ["StepLR"], [], {}])
    def test_needs_schedulers(self, value: Any) -> None:
        optimizer = torch.optim.SGD(model().parameters())
        with pytest.raises((TypeError, ValueError, AttributeError)):
            lr_scheduler.ChainedScheduler(value)
        with pytest.raises((TypeError, ValueError, AttributeError)):
            lr_scheduler.SequentialLR(optimizer, value, milestones=[1])

    def test_needs_sparse_gradients(self) -> None:
        network = model()
        with pytest.raises(RuntimeError, match="does not support dense gradients"):
            train(network, torch.optim.SparseAdam(network.parameters()))

    def test_needs_matrices(self) -> None:
        with pytest.raises(ValueError, match="only supports 2D parameters"):
            torch.optim.Muon(model().parameters())
        network = nn.Linear(3, 1, bias=False)
        train(network, torch.optim.Muon(network.parameters()))

    def test_no_other_is_refused(self) -> None:
        every = [*signatures.optimizers().values(), *signatures.schedulers().values()]
        assert {s.name for s in every if s.refused} == {
            *("ChainedScheduler", "LambdaLR", "MultiplicativeLR"),
            *("Muon", "SequentialLR", "SparseAdam"),
        }
        assert check(signatures.optimizers()["Muon"], {"lr": "fast"}) == []


class TestLeftOut:
    """Each argument that is left out would fail or do nothing."""

    @pytest.mark.parametrize(
        "name", [s.name for s in USABLE_OPTIMIZERS if "differentiable" in s.left_out]
    )
    def test_differentiable_fails(self, name: str) -> None:
        network = model()
        optimizer = optimizer_of(name, network, {"differentiable": True})
        with pytest.raises(RuntimeError, match="in-place operation"):
            train(network, optimizer)

    @pytest.mark.parametrize("signature", USABLE_SCHEDULERS, ids=lambda s: s.name)
    def test_last_epoch_fails(self, signature: Signature) -> None:
        if signature.monitored:
            assert "last_epoch" not in signature.left_out
            return
        optimizer = torch.optim.SGD(model().parameters(), lr=0.1, momentum=0.5)
        params = convert(signature, needed(signature))
        filled = {p.name: STEPS for p in signature.parameters if p.filled}
        with pytest.raises(KeyError):
            getattr(lr_scheduler, signature.name)(optimizer, last_epoch=3, **params, **filled)

    def test_scale_mode_does_nothing(self) -> None:
        optimizer = torch.optim.SGD(model().parameters(), lr=0.1, momentum=0.5)
        made = lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, scale_mode="iterations")
        assert made.scale_mode == "cycle"

    def test_epochs_do_nothing_beside_total_steps(self) -> None:
        optimizer = torch.optim.SGD(model().parameters(), lr=0.1, momentum=0.5)
        made = lr_scheduler.OneCycleLR(optimizer, 0.1, 7, epochs=2, steps_per_epoch=2)
        assert made.total_steps == 7

    def test_the_fault_says_why(self) -> None:
        [(name, message, _)] = faults("AdamW", {"differentiable": True})
        assert name == "differentiable"
        assert message.endswith("which a training loop forbids")


class Minimiser(lightning.LightningModule):
    """A regression by an optimizer named, under automatic optimization."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.name, self.params = model(), name, params

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        return nn.functional.mse_loss(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return optimizer_of(self.name, self.network, self.params)


def test_lbfgs_works_under_automatic_optimization() -> None:
    features = torch.randn(32, 3, generator=torch.Generator().manual_seed(1))
    data = torch.utils.data.TensorDataset(features, features.sum(1, keepdim=True))
    loader = torch.utils.data.DataLoader(data, batch_size=32)
    module = Minimiser("LBFGS", {"lr": 0.1})
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    before = nn.functional.mse_loss(module.network(features), data.tensors[1]).item()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning advises on workers.
        trainer.fit(module, loader)
    after = nn.functional.mse_loss(module.network(features), data.tensors[1]).item()
    assert after < 0.1 * before


def faults(name: str, params: Mapping[str, object]) -> list[tuple[str, str, str | None]]:
    every = {**signatures.optimizers(), **signatures.schedulers()}
    return check(every[name], params)


def test_an_unknown_parameter_gets_the_nearest_known_one() -> None:
    [(name, message, hint)] = faults("AdamW", {"wieght_decay": 0.1})
    assert (name, message) == ("wieght_decay", "AdamW has no parameter wieght_decay")
    assert hint is not None
    assert hint.startswith('did you mean "weight_decay"? allowed: amsgrad, betas')
    for absent in ("params", "optimizer", "verbose"):
        assert faults("StepLR", {"step_size": 1, absent: 1})[0][0] == absent


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("AdamW", {"lr": True}, "lr must be a number, not true"),
        ("AdamW", {"lr": "0.1"}, "lr must be a number, not a string"),
        ("AdamW", {"lr": [0.1]}, "lr must be a number, not a list"),
        ("AdamW", {"lr": {"a": 1}}, "lr must be a number, not a table"),
        ("AdamW", {"lr": None}, "lr must be a number, not NoneType"),
        ("AdamW", {"lr": float("nan")}, "lr must be a number, not nan"),
        ("AdamW", {"lr": float("inf")}, "lr must be a number, not inf"),
        ("AdamW", {"lr": 10**400}, "lr must be a number, not one beyond 64 bits"),
        ("AdamW", {"lr": -1e-3}, "lr must be at least 0"),
        ("AdamW", {"amsgrad": 1}, "amsgrad must be true or false, not 1"),
        ("AdamW", {"betas": 0.9}, "betas must be a list of 2 numbers, not 0.9"),
        ("AdamW", {"betas": [0.9]}, "betas must have 2 numbers, not 1"),
        ("AdamW", {"betas": [0.9, True]}, "betas[1] must be a number, not true"),
        ("AdamW", {"betas": [0.9, 1.0]}, "betas[1] must be at least 0 and below 1"),
        ("Rprop", {"etas": [0.5, 1.0]}, "etas[1] must be above 1"),
        ("SGD", {"nesterov": True}, "nesterov needs a momentum above 0"),
        (
            "SGD",
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "nesterov needs a dampening of 0",
        ),
        ("AdamW", {"fused": True, "foreach": True}, "fused and foreach cannot both be true"),
        ("LBFGS", {"line_search_fn": "wolfe"}, 'line_search_fn cannot be "wolfe"'),
        ("StepLR", {}, "step_size is missing: StepLR has no default for it"),
        ("StepLR", {"step_size": 1.5}, "step_size must be a whole number, not 1.5"),
        ("StepLR", {"step_size": True}, "step_size must be a whole number, not true"),
        (
            "MultiStepLR",
            {"milestones": [1, 2.5]},
            "milestones[1] must be a whole number, not 2.5",
        ),
        (
            "MultiStepLR",
            {"milestones": 3},
            "milestones must be a list of numbers, not 3",
        ),
        ("OneCycleLR", {"max_lr": [0.1, 0.2]}, "max_lr must be a number, or a list of one"),
        (
            "OneCycleLR",
            {"max_lr": 0.1, "total_steps": 4, "pct_start": 0.25},
            "pct_start times total_steps must not be 1: torch divides by zero",
        ),
    ],
)
def test_a_fault_is_named(name: str, params: dict[str, object], message: str) -> None:
    [(parameter, found, _)] = faults(name, params)
    assert found == message
    assert parameter in params or parameter == "step_size"


def test_all_faults_are_found_at_once() -> None:
    found = faults("CyclicLR", {"mode": "triangle", "gamma": "1", "cycle": True})
    assert [name for name, *_ in found] == ["mode", "gamma", "cycle", "base_lr", "max_lr"]
    assert found[0][2] == 'did you mean "triangular"? allowed: triangular, triangular2, exp_range'


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("AdamW", {"fused": True, "foreach": True}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 4, "pct_start": 0.25}),
        ("AdamW", {"betas": [0.9]}),
        ("LBFGS", {"line_search_fn": "wolfe"}),
    ],
)
def test_torch_raises_on_what_is_refused_together(name: str, params: dict[str, object]) -> None:
    assert faults(name, params)
    every = {**signatures.optimizers(), **signatures.schedulers()}
    with pytest.raises((ValueError, RuntimeError, ZeroDivisionError, IndexError)):
        run(every[name], params)


def test_torch_raises_on_more_rates_than_parameter_groups() -> None:
    optimizer = torch.optim.SGD(model().parameters(), lr=0.1, momentum=0.5)
    with pytest.raises(ValueError, match="must have the same length"):
        lr_scheduler.OneCycleLR(optimizer, [0.1, 0.2], STEPS)
    lr_scheduler.OneCycleLR(optimizer, [0.1], STEPS)


def test_what_the_training_fills_and_what_is_none_may_be_left_open() -> None:
    assert faults("CosineAnnealingLR", {}) == []
    assert faults("OneCycleLR", {"max_lr": 0.1}) == []
    assert faults("AdamW", {"foreach": None}) == []


def test_converted_values_are_what_torch_wants() -> None:
    adam = signatures.optimizers()["Adam"]
    params = {"lr": 1, "betas": [0, 0.9], "foreach": None, "amsgrad": True}
    with pytest.raises(ValueError, match="must be either both floats"):
        torch.optim.Adam(model().parameters(), betas=(0, 0.9))
    converted = convert(adam, params)
    assert repr(converted) == repr(
        {"lr": 1.0, "betas": (0.0, 0.9), "foreach": None, "amsgrad": True}
    )
    run(adam, {"betas": [0, 0.9]})
    one_cycle, steps = signatures.schedulers()["OneCycleLR"], signatures.schedulers()["MultiStepLR"]
    assert repr(convert(one_cycle, {"max_lr": [1], "pct_start": 0})) == repr(
        {"max_lr": 1.0, "pct_start": 0.0}
    )
    assert convert(steps, {"milestones": (1, 2)}) == {"milestones": [1, 2]}


@pytest.mark.parametrize("name", signatures.activations())
def test_an_activation_is_element_wise_and_trains(name: str) -> None:
    activation = getattr(nn, name)().eval()
    batch = torch.randn(7, 4)
    single = torch.stack([activation(row[None])[0] for row in batch])
    torch.testing.assert_close(activation(batch), single)
    torch.testing.assert_close(activation(batch.T), activation(batch).T)
    network = nn.Sequential(nn.Linear(3, 4), getattr(nn, name)(), nn.Linear(4, 1))
    train(network, torch.optim.SGD(network.parameters(), lr=0.01))
    assert all(torch.isfinite(weights).all() for weights in network.parameters())


def test_the_other_activations_are_not_element_wise() -> None:
    others = set(nn.modules.activation.__all__) - set(signatures.activations())
    assert others == {
        *("GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin"),
        "Threshold",
    }
