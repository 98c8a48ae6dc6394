"""`[slurm_config]`: what a batch job asks for, and what it loads before the script runs."""

import re
from typing import Annotated, Literal

from attrs import evolve, frozen

from seesawc.tables.values import (
    NAME,
    Amount,
    Count,
    PathText,
    Rule,
    Whole,
    WrongValue,
    between,
    check_amount,
    distinct,
    nonempty,
    option,
    required,
    unchanged,
)

MAIL_TYPES = (
    "NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "INVALID_DEPEND", "STAGE_OUT", "TIME_LIMIT",
    "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS",
)  # fmt: skip
LEAST_MEMORY = 256 * 1024  # In K.
TIME = re.compile(r"(?:(\d{1,3})-)?(\d{1,3}):(\d{2})(?::(\d{2}))?")
DIRECTIVE = re.compile(r"--([a-z][a-z-]*)(?:=[A-Za-z0-9_.,:+/@*&|()\[\]-]+)?")
# What seesawc writes itself, what would run another command or copy values out, and what would
# keep sbatch from submitting.
TAKEN = (
    "job-name", "partition", "account", "qos", "constraint", "time", "nodes", "ntasks",
    "ntasks-per-node", "gpus", "gpus-per-node", "gres", "cpus-per-task", "mem", "requeue",
    "no-requeue", "signal", "open-mode", "output", "error", "mail-user", "mail-type", "array",
    "tasks-per-node", "ntasks-per-gpu", "ntasks-per-core", "ntasks-per-socket", "cpus-per-gpu",
    "gpus-per-task", "gpus-per-socket", "mem-per-cpu", "mem-per-gpu", "time-min",
    "wrap", "export", "export-file", "chdir", "dependency",
    "test-only", "wait", "help", "usage", "version",
)  # fmt: skip


def seconds(time: str) -> int:
    """Return the seconds of "HH:MM:SS" or "D-HH:MM[:SS]"."""
    match = TIME.fullmatch(time)
    assert match, "checked by the rule of the option"
    days, hours, minutes, rest = (int(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def _time(value: str) -> None:
    hint = '"HH:MM:SS" or "D-HH:MM:SS"'
    match = TIME.fullmatch(value)
    # Slurm reads "1:30" as 90 seconds and "0" as no limit (KNOWN_FAULTS 40).
    if match is None or (match[1] is None and match[4] is None):
        raise WrongValue(f"{value!a} is not a time that reads only one way", hint)
    if int(match[3]) > 59 or int(match[4] or 0) > 59 or (match[1] and int(match[2]) > 23):
        raise WrongValue(f"{value!a} is not a time", hint)
    if not 60 <= seconds(value) <= 366 * 86400:
        raise WrongValue(f"{value!a} is shorter than a minute or longer than a year", hint)


def _memory_of_node(value: str) -> None:
    check_amount(value)
    if kilobytes(value) < LEAST_MEMORY:
        raise WrongValue(f"{value!a} is too little to import torch in", 'such as "16G"')


def kilobytes(memory: str) -> int:
    """Return an amount of memory such as "16G" in K."""
    return int(memory[:-1]) << 10 * "KMGT".index(memory[-1])


def _slurm_name(value: str) -> None:
    if NAME.fullmatch(value) is None:
        hint = "one name, of the letters A-Z a-z, digits and _ . + -"
        raise WrongValue(f"{value!a} is not a name of SLURM's", hint)


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _partitions(value: str | tuple[str, ...]) -> None:
    names = _listed(value)
    nonempty(names)
    for name in names:
        _slurm_name(name)
    distinct(names)


def _constraint(value: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9(\[][A-Za-z0-9_.+&|*()\[\],-]{0,199}", value) is None:
        raise WrongValue(f"{value!a} is not a constraint", "names joined by & | * ( ) [ ] ,")


def _module(value: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+/-]{0,99}", value) is None:
        raise WrongValue(f"{value!a} is not a module", "such as cuda/12.4")


def _environment(value: str) -> None:
    if not set(value) & set("/$") and NAME.fullmatch(value) is None:
        raise WrongValue(f"{value!a} is no name of a conda environment", "./name, if it is a path")


def _mail(value: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9_.+-]+(@[A-Za-z0-9.-]+)?", value) is None:
        raise WrongValue(f"{value!a} is not a mail address", "name@host")


def _mail_type(value: str) -> None:
    if value not in MAIL_TYPES:
        raise WrongValue(f"{value!a} is no occasion for mail", f"allowed: {', '.join(MAIL_TYPES)}")


def _directive(value: str) -> None:
    match = DIRECTIVE.fullmatch(value)
    if match is None:
        raise WrongValue(f"{value!a} is not a directive", '"--name" or "--name=value"')
    # Slurm accepts any unambiguous beginning of an option's name.
    taken = [name for name in TAKEN if name.startswith(match[1])]
    if taken:
        raise WrongValue(f"--{taken[0]} is written by seesawc or not allowed", "another directive")


SlurmName = Annotated[str, Rule(_slurm_name)]


@frozen(kw_only=True)
class SlurmTable:
    """What the author wrote; None: left open."""

    time: Annotated[str, Rule(_time)] = required("Longest time that the job may take.")
    partition: Annotated[str | tuple[str, ...], Rule(_partitions)] | None = option(
        'Partition, or several: "gpu,short" or a list; the job starts in the first that has room.'
        " Left out: the cluster's default."
    )
    account: SlurmName | None = option("Account that pays. Left out: the user's default.")
    qos: SlurmName | None = option("Quality of service. Left out: the default.")
    constraint: Annotated[str, Rule(_constraint)] | None = option("Features of the nodes.")
    nodes: Annotated[int, between(1, 1024)] = option("Number of nodes.", 1)
    gpus: Whole | None = option("GPUs of a node. Left out: devices, if accelerator is gpu.")
    gpu_type: SlurmName | None = option("Type of the GPUs, such as a100. Left out: any.")
    cpus: Count = option("CPUs of a task.", 1)
    memory: Annotated[str, Rule(_memory_of_node)] | None = option("Memory of a node, such as 16G.")
    memory_per_cpu: Amount | None = option("Memory of a CPU, in the place of memory.")
    memory_per_gpu: Annotated[str, Rule(_memory_of_node)] | None = option(
        "Memory of a GPU, in the place of memory."
    )
    modules: tuple[Annotated[str, Rule(_module)], ...] = option("Modules to load.", factory=tuple)
    environment: Annotated[PathText, Rule(_environment)] | None = option(
        "venv (a path) or conda environment (a name)."
    )
    container: PathText | None = option("Apptainer image to run in.")
    requeue: bool = option("A job that is preempted or out of time goes on later.", True)
    signal_lead: Annotated[int, between(10, 3600)] = option(
        "Seconds before the time limit at which the script is told to save.", 120
    )
    mail_user: Annotated[str, Rule(_mail)] | None = option("Who gets mail.")
    mail_type: tuple[Annotated[str, Rule(_mail_type)], ...] = option(
        "When. Left out: END and FAIL.", factory=tuple
    )
    extra: tuple[Annotated[str, Rule(_directive)], ...] = option(
        "Further directives.", factory=tuple
    )


@frozen(kw_only=True)
class Slurm(SlurmTable):
    """The options with nothing left open; None only where that is a meaning."""

    tasks_per_node: int
    # Several are one text with commas.
    partition: str | None
    gpus: int
    mail_type: tuple[str, ...]


def of_one_task(job: Slurm) -> Slurm:
    """Return the job of one task without a GPU, at the same site; its node's memory stays."""
    memory = job.memory
    if job.memory_per_gpu is not None:
        memory = f"{kilobytes(job.memory_per_gpu) * job.gpus}K"
    return evolve(
        job,
        nodes=1,
        tasks_per_node=1,
        gpus=0,
        gpu_type=None,
        memory=memory,
        memory_per_gpu=None,
        extra=tuple(line for line in job.extra if not line.startswith("--gpu")),
    )


def resolve(
    table: SlurmTable, accelerator: str, devices: int | tuple[int, ...] | Literal["auto"]
) -> Slurm:
    """Fill tasks and GPUs from the number of devices, so that they always agree.

    Devices "auto" are all the GPUs that the job asks for, or one task without any.
    """
    tasks = devices if isinstance(devices, int) and devices > 0 else max(1, table.gpus or 1)
    default = tasks if accelerator == "gpu" else 0
    return Slurm(
        **unchanged(table, Slurm),
        tasks_per_node=tasks,
        partition=None if table.partition is None else ",".join(_listed(table.partition)),
        gpus=default if table.gpus is None else table.gpus,
        mail_type=table.mail_type or (("END", "FAIL") if table.mail_user else ()),
    )
