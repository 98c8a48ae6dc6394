"""`[experiment_config]`: names, places, seeds, hardware, trackers and cadences."""

import re
from typing import Annotated, Literal

from attrs import frozen

from seesawc.tables.values import (
    Count,
    Name,
    PathText,
    Positive,
    Rule,
    Seed,
    Text,
    Whole,
    WrongValue,
    at_least,
    option,
    required,
    unchanged,
)

Precision = Literal["64-true", "32-true", "16-mixed", "bf16-mixed"]
PRECISIONS: dict[str, Precision] = {
    "64": "64-true",
    "64-true": "64-true",
    "32": "32-true",
    "32-true": "32-true",
    "16": "16-mixed",
    "16-mixed": "16-mixed",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
}


def _precision(value: int | str) -> None:
    if str(value) not in PRECISIONS:
        raise WrongValue(f"{value!a} is not a precision", f"allowed: {', '.join(PRECISIONS)}")


def _devices(value: int | str | tuple[int, ...]) -> None:
    hint = 'a number, a list of numbers, "auto", "-1", or numbers in a text such as "0,1"'
    if isinstance(value, str) and re.fullmatch(r"auto|-1|\d{1,4}(,\d{1,4})*", value) is None:
        raise WrongValue(f"{value!r} does not say which devices", hint)
    numbers = parse_devices(value)
    if isinstance(numbers, int) and numbers != -1 and not 1 <= numbers <= 1024:
        raise WrongValue(f"{numbers} devices", "1 to 1024, or -1 for all")
    if isinstance(numbers, tuple):
        if not numbers or min(numbers) < 0:
            raise WrongValue("no device, or a negative one, in the list", hint)
        if len(set(numbers)) < len(numbers):
            raise WrongValue("a device is named twice", "each device once")


def _key(value: str) -> None:
    if re.fullmatch(r"\$\{[A-Z_][A-Z0-9_]*\}", value) is None:
        # The value is not repeated: it may be the key itself.
        raise WrongValue(
            "a key is never written into a spec", 'a reference such as "${COMET_API_KEY}"'
        )


def parse_devices(value: int | str | tuple[int, ...]) -> int | tuple[int, ...] | Literal["auto"]:
    """Return what Lightning would make of `devices`: a number, indices or "auto" (#20391)."""
    if value == "auto":
        return "auto"
    if isinstance(value, str):
        return tuple(map(int, value.split(","))) if "," in value else int(value)
    return value


@frozen(kw_only=True)
class ExperimentTable:
    """What the author wrote; None: left open."""

    experiment_name: Name = required("MLflow or Comet experiment; names logs and checkpoints.")
    run_name: Name | None = option(
        "Name of the run. Left out: <experiment_name>_<architecture>_<UTC time>, fixed at build."
    )
    save_dir: PathText | None = option(
        "Folder of checkpoints and logs. Left out: ${ANALYSIS_ML_LOGS_DIR}."
    )
    tracker_path: PathText | None = option(
        "Folder of the tracker's plots. Left out: ${ANALYSIS_ML_RESULTS_DIR}."
    )
    seed: Seed | None = option("Seed of all random numbers. Left out: nothing is seeded.")
    accelerator: Literal["cpu", "gpu", "auto"] = option("Hardware to train on.", "auto")
    devices: Annotated[int | str | tuple[int, ...], Rule(_devices)] = option(
        'How many devices, or which: 2, [0, 1], "0,1", "-1" (all) or "auto".', "auto"
    )
    precision: Annotated[int | str, Rule(_precision)] = option(
        "Floating-point precision: 64, 32, 16 or bf16, with or without -true or -mixed.", "32-true"
    )
    float32_matmul_precision: Literal["highest", "high", "medium"] = option(
        "Precision of float32 matrix products, see torch.set_float32_matmul_precision.", "high"
    )
    comet_api_key: Annotated[str, Rule(_key)] | None = option(
        'Reference to the variable that holds the key: "${COMET_API_KEY}". Left out: MLflow.'
    )
    comet_project_name: Text | None = option("Comet project. Left out: Comet's default project.")
    log_every_n_steps: Count = option("Steps between two records of the training loss.", 50)
    check_eval_n_epoch: Count = option("Epochs between two passes over the validation split.", 1)
    num_sanity_val_steps: Annotated[int, at_least(-1)] = option(
        "Validation batches to try before training; -1: all of them.", 0
    )
    check_metrics_n_epoch: Count | Literal["never"] = option(
        'Epochs between two computations of the tracker\'s metrics, or "never".', 1
    )
    plot_metrics_n_epoch: Count | Literal["end", "never"] | None = option(
        'Epochs between two sets of plots. "end": only those of the best epoch, at the end.'
        ' "never": none. Left out: 5, or "end" where metrics are computed never.'
    )
    experiment_label: Text | None = option(
        'What stands above plots on the left, such as "ATLAS Internal": free text.'
    )
    energy: Positive | None = option("Energy in the centre of mass, in TeV, shown above plots.")
    luminosity: Positive | None = option("Integrated luminosity, in 1/fb, shown above plots.")
    tqdm_refresh_rate: Whole = option("Steps between two updates of the bar; 0: no bar.", 20)


@frozen(kw_only=True)
class ExperimentSettings(ExperimentTable):
    """The options with nothing left open; None only where that is a meaning."""

    run_name: str
    save_dir: str
    tracker_path: str
    devices: int | tuple[int, ...] | Literal["auto"]
    precision: Precision
    plot_metrics_n_epoch: int | Literal["end", "never"]


def resolve(table: ExperimentTable, architecture: str, timestamp: str) -> ExperimentSettings:
    """Fill the names, places and cadence that the author left open."""
    plots: int | Literal["end"] = "end" if table.check_metrics_n_epoch == "never" else 5
    return ExperimentSettings(
        **unchanged(table, ExperimentSettings),
        run_name=table.run_name or f"{table.experiment_name}_{architecture}_{timestamp}",
        save_dir=table.save_dir or "${ANALYSIS_ML_LOGS_DIR}",
        tracker_path=table.tracker_path or "${ANALYSIS_ML_RESULTS_DIR}",
        devices=parse_devices(table.devices),
        precision=PRECISIONS[str(table.precision)],
        plot_metrics_n_epoch=table.plot_metrics_n_epoch or plots,
    )
