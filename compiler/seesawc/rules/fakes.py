"""Rules of `task = "fakes"`, and of options that only fakes have."""

from collections.abc import Iterable

from seesawc.diagnostics import did_you_mean
from seesawc.rules.faults import DATASET, FAKES, MODEL, SWEEP, TRAINING, Fault, Faults
from seesawc.tables import signatures
from seesawc.tables.dataset import weight_columns
from seesawc.tables.fakes import STAGES
from seesawc.tables.resolution import Experiment
from seesawc.tables.spec import Spec
from seesawc.tables.training import DENSITY_LOSSES

# Activations of an output besides those of torch.nn.
OUTPUTS = ("none", "Softabs", "MinusSoftabs", "Abs", "MinusAbs", "ELUPlus")


def metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return the metrics of a stage of which a smaller value is a better one."""
    return ("val_chi2",) if experiment.stage == "ratio" else ("val_chi2_data", "val_chi2_mc")


def only_of_fakes(spec: Spec, _: Experiment) -> Faults:
    """Refuse in a signal training what only fakes have."""
    if spec.fakes_config is not None:
        hint = 'task = "fakes", or leave the table out'
        yield Fault((FAKES,), "a table of fakes in a signal training", hint, "key")
    for index, sample in enumerate(spec.dataset_config.samples):
        if sample.kind is not None:
            yield Fault((DATASET, "samples", index, "kind"), "kind is for fakes", "class", "key")
    if spec.model_config.architecture_config.act_out is not None:
        key = (MODEL, "architecture_config", "act_out")
        yield Fault(key, "act_out is for fakes", "leave it out", "key")
    for name in ("w_lambda", "ess_lambda", "clip_quantile"):
        if getattr(spec.training_config, name) is not None:
            yield Fault((TRAINING, name), f"{name} is for fakes", "leave it out", "key")


def requirements(spec: Spec, _: Experiment) -> Faults:
    """Refuse a spec of which no three trainings on weighted densities can be made."""
    if spec.fakes_config is None:
        hint = "a table [fakes_config], with at least category"
        yield Fault(("task",), "fakes without [fakes_config]", hint)
    if spec.sweep_config is not None:
        hint = "several specs; [fakes_config] has n_members for an ensemble"
        yield Fault((SWEEP,), "three trainings that depend on each other cannot be swept", hint)
    if spec.dataset_config.use_class_weights:
        yield Fault(
            (DATASET, "use_class_weights"),
            "with classes that count equally, densities lose their yields",
            "use_class_weights = false",
        )
    if not spec.dataset_config.use_mc_weights:
        yield Fault(
            (DATASET, "use_mc_weights"),
            "without weights there is no density of Monte Carlo",
            "use_mc_weights = true",
        )
    if spec.dataset_config.negative_weights != "keep":
        yield Fault(
            (DATASET, "negative_weights"),
            "the density of fakes is a difference: of weights, the sign is the method",
            'negative_weights = "keep"',
        )
    if spec.dataset_config.max_memory is not None:
        message = "the trainings of fakes have all leptons in memory"
        yield Fault((DATASET, "max_memory"), message, "leave it out", "key")
    for name in ("folds", "fold"):
        if getattr(spec.dataset_config, name) is not None:
            message = "fakes are not cross-validated: closure is tested on leptons that none of the"
            message += " three trainings has seen, and each fold would need three of its own"
            yield Fault((DATASET, name), message, "split; n_members for the spread", "key")
    for name in ("classes", "class_values", "drop_other_classes", "class_labels"):
        if getattr(spec.dataset_config, name):
            yield Fault((DATASET, name), "fakes have no classes", "leave it out", "key")


def inputs(spec: Spec, _: Experiment) -> Faults:
    """Refuse inputs of a stage's own: the ratio builds those of all three alike."""
    if spec.fakes_config is None:
        return
    for stage in STAGES:
        network = spec.fakes_config.stage(stage).model_config.get("architecture_config")
        if isinstance(network, dict) and "embedding_dim" in network:
            yield Fault(
                (FAKES, stage, MODEL, "architecture_config", "embedding_dim"),
                "the three networks see the same inputs",
                "embedding_dim in [model_config.architecture_config]",
                "key",
            )


def kinds(spec: Spec, _: Experiment) -> Faults:
    """Refuse samples that are not told to be data or Monte Carlo, or of which none is one."""
    samples = spec.dataset_config.samples
    for index, sample in enumerate(samples):
        key = (DATASET, "samples", index)
        if sample.kind is None:
            hint = 'kind = "data", or kind = "mc"'
            yield Fault(key, '[[dataset_config.samples]] lacks "kind"', hint, "key")
        for name, value in (("class", sample.label), ("class_column", sample.class_column)):
            if value is not None:
                yield Fault((*key, name), "fakes have no classes", "kind", "key")
    if all(sample.kind for sample in samples):
        for kind in sorted({"data", "mc"} - {sample.kind for sample in samples}):
            hint = f'a sample with kind = "{kind}"'
            yield Fault((DATASET, "samples"), f"no sample of kind {kind}", hint)


def columns(spec: Spec, experiment: Experiment) -> Faults:
    """Refuse a category or features that cannot be what [fakes_config] takes them for."""
    fakes, data = spec.fakes_config, experiment.dataset_config
    if fakes is None:
        return
    if fakes.tight == fakes.loose:
        key = (FAKES, "loose" if fakes.loose != 2 else "tight")
        yield Fault(key, "tight and loose are the same", "another value")
    if fakes.category in (data.event_number, *weight_columns(data)):
        what = "the event number" if fakes.category == data.event_number else "part of the weight"
        yield Fault((FAKES, "category"), f'"{fakes.category}" is {what}', "another column")
    for kind in ("numerical", "categorical"):
        for index, name in enumerate(getattr(data, kind)):
            if name == fakes.category:
                yield Fault(
                    (DATASET, kind, index), f'"{name}" is what is estimated', "leave it out"
                )
    known = data.numerical
    if fakes.pt_slices and (fakes.pt or "pt") not in known:
        key = (FAKES, "pt" if fakes.pt else "pt_slices")
        yield Fault(key, f'"{fakes.pt or "pt"}" is no numerical feature', _hint("pt", known))
    for name in fakes.binned:
        if name not in known:
            hint = did_you_mean(name, known)
            yield Fault((FAKES, "binned", name), f'"{name}" is no numerical feature', hint, "key")
    if not known:
        yield Fault((DATASET,), "fakes need a numerical feature", "numerical", "key")


def _hint(option: str, known: Iterable[str]) -> str:
    return f"{option} names one of {', '.join(known)}"


def idle(spec: Spec, _: Experiment) -> Faults:
    """Refuse options that have no effect without another one."""
    fakes = spec.fakes_config
    if fakes is None:
        return
    needs = (
        ("pt", fakes.pt, bool(fakes.pt_slices), "pt_slices"),
        ("eta", fakes.eta, fakes.crack_veto, "crack_veto = true"),
        ("crack", fakes.crack != (1.37, 1.52), fakes.crack_veto, "crack_veto = true"),
        ("bootstrap", fakes.bootstrap, fakes.n_members > 1, "n_members of 2 or more"),
        ("mc_normalisation", fakes.mc_normalisation, fakes.n_members > 1, "n_members of 2 or more"),
    )
    for name, given, used, what in needs:
        if given and not used:
            yield Fault((FAKES, name), f"{name} has no effect without {what}", what)


def network(spec: Spec, _: Experiment) -> Faults:
    """Refuse networks that cannot be the density ratios of a stage."""
    key = (MODEL, "architecture_config", "act_out")
    written, known = spec.model_config.architecture_config, (*OUTPUTS, *signatures.activations())
    if written.act_out is not None and written.act_out not in known:
        hint = did_you_mean(written.act_out, known)
        yield Fault(key, f'no activation of an output is called "{written.act_out}"', hint)
    if spec.model_config.load_checkpoint is not None:
        hint = "leave it out; an interrupted stage goes on by itself"
        yield Fault((MODEL, "load_checkpoint"), "fakes do not begin with a checkpoint", hint, "key")
    if spec.fakes_config and spec.fakes_config.pt_slices and written.batchnorm:
        key = (MODEL, "architecture_config", "batchnorm")
        yield Fault(key, "a batch holds events of all pt slices", "layernorm")


def training(spec: Spec, experiment: Experiment) -> Faults:
    """Refuse losses without a density ratio at their minimum, and weights clipped to nothing."""
    table, loss = spec.training_config, experiment.training_config.loss
    if loss not in DENSITY_LOSSES:
        yield Fault(
            (TRAINING, "loss"),
            f"the minimum of {loss} is not at a density ratio",
            f"allowed: {', '.join(DENSITY_LOSSES)}",
        )
    for name in ("label_smoothing", "gamma"):
        if getattr(table.loss_params, name) is not None:
            yield Fault((TRAINING, "loss_params", name), f"{loss} has no {name}", "leave it out")
    if not table.export_onnx:
        yield Fault(
            (TRAINING, "export_onnx"),
            "closure.py and apply.py need the network of the ratio",
            "export_onnx = true, or leave it out",
        )
    if table.clip_quantile is not None and not table.clip_quantile > 0:
        yield Fault((TRAINING, "clip_quantile"), "no weight would be left", "such as 0.998")
