"""Rules of what is optimised and how: what torch or Lightning refuse only once they train."""

from seesawc.rules.faults import FAKES, MODEL, TRAINING, Fault, Faults
from seesawc.tables.resolution import Experiment
from seesawc.tables.spec import Spec

# More than any machine has for one network, in bytes: its weights in 32 bits, and their gradients.
LARGEST_NETWORK = 2**42
BYTES = 8
# What a layer takes besides its weights, roughly.
LAYER = 4096


def precision(spec: Spec, experiment: Experiment) -> Faults:
    """Refuse optimizers that mixed precision is not for."""
    mode, optimizer = experiment.experiment_config.precision, spec.training_config.optimizer
    key = (TRAINING, "optimizer")
    if mode == "16-mixed" and optimizer.optimizer_name == "LBFGS":
        hint = "bf16-mixed, or 32-true"
        yield Fault((*key, "optimizer_name"), "LBFGS does not work with 16-mixed", hint)
    params = optimizer.optimizer_params
    if (mode, optimizer.optimizer_name) == ("16-mixed", "SGD") and params.get("fused"):
        yield Fault(
            (*key, "optimizer_params", "fused"),
            "with 16-mixed, a fused SGD goes on from a momentum that torch has never written",
            "leave out fused",
        )


def length(spec: Spec, experiment: Experiment) -> Faults:
    """Refuse a schedule that is over before the training; steps are at least as many as epochs."""
    table = spec.training_config.scheduler
    most = table.scheduler_params.get("total_steps") if table else None
    epochs = experiment.training_config.max_epochs
    if isinstance(most, int) and 0 < most < epochs:
        yield Fault(
            (TRAINING, "scheduler", "scheduler_params", "total_steps"),
            f"the schedule ends after {most} steps, and the training has {epochs} epochs",
            "leave it out: then it is the length of the training",
        )


def size(spec: Spec, experiment: Experiment) -> Faults:
    """Refuse networks that no machine holds; what this one holds is asked when a run starts."""
    network, data = experiment.model_config.architecture_config, experiment.dataset_config
    embedding = network.embedding_dim or 0
    inputs = len(data.numerical) * (1 if data.missing is None else 2)
    inputs += len(data.categorical) * embedding
    hidden, layers = network.n_hidden, network.n_layers
    fakes = spec.fakes_config
    members = fakes.n_members if fakes else 1
    # One of no more than a known value, and one of others, at the least.
    weights = hidden * (inputs + (layers - 1) * hidden + 1) + 2 * len(data.categorical) * embedding
    needed = members * (weights * BYTES + layers * LAYER)
    if needed <= LARGEST_NETWORK:
        return
    architecture = (MODEL, "architecture_config")
    # The one that is furthest from what is usual is what was mistyped.
    _, key = max(
        ((hidden / 128) ** 2, (*architecture, "n_hidden")),
        (layers / 4, (*architecture, "n_layers")),
        (embedding / 8, (*architecture, "embedding_dim")),
        (float(members), (FAKES, "n_members")),
    )
    message = f"a network of {needed / 2**40:.3g} TiB, with its gradients"
    yield Fault(key, message, "a smaller one: no machine has that much memory")
