"""How a script starts and ends: its command line, its folder, what identifies it, its tracker."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import seed_everything

from parts.data_checks import find_data
from parts.datasets import Dataset
from parts.files import check_fingerprints, digests_by_sample, fingerprints
from parts.machinery.arguments import parse_arguments
from parts.machinery.backends import (
    Backend,
    CometBackend,
    Mirror,
    MlflowBackend,
    clean_key,
    is_mirrored,
)
from parts.machinery.code import KEPT, Code, code_of
from parts.machinery.elsewhere import elsewhere
from parts.machinery.exits import (
    DONE,
    FAILED,
    REFUSED,
    NotFiniteError,
    RefusedError,
    StoppedError,
    how_it_ended,
    listen,
    stop_listening,
)
from parts.machinery.machines import (
    check_hardware,
    check_srun,
    git_commit,
    keep_freed_memory,
    must_stop_together,
    quieten,
    steady_output,
    task_rank,
    thread_count,
    versions,
)
from parts.machinery.parents import attempt, check_parent_data, parent_checkpoint, parent_folders
from parts.machinery.places import digest, expand
from parts.machinery.records import Record
from parts.machinery.reports import settings
from parts.machinery.runs import RunFolder
from parts.machinery.sweeps import train_all
from parts.machinery.trained_events import SAME, described_events, events_of, with_earlier
from parts.plot_labels import Label

# Seconds after which the tracker learns of a run that still reads its data.
UNMEASURED = 15.0


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a script says of itself. Places may hold `${NAME}`; relative ones start at the spec."""

    file: str
    # The digest of the parts that it was compiled with.
    parts: str
    spec_folder: str
    constants: dict[str, Any]
    dataset: Dataset
    experiment_name: str
    run_name: str
    save_dir: str
    tracker_path: str
    float32_matmul_precision: str
    seed: int | None
    # None where nothing is trained.
    accelerator: str | None = None
    devices: int | list[int] | str = "auto"
    fingerprints: dict[str, str] = field(default_factory=dict)
    # What stands above plots, besides the run's name.
    label: Label | None = None
    # `${NAME}`, which holds it; without one, MLflow is the tracker.
    comet_api_key: str | None = None
    comet_project_name: str | None = None
    # A checkpoint of another run, and what the spec says of its events.
    load_checkpoint: str | None = None
    checkpoint_events: str = SAME
    # Of fakes: the stage, and run name and script digest of those that it builds on.
    stage: str | None = None
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)
    # Of a sweep: its points, and which one the command line names.
    points: dict[str, dict[str, Any]] = field(default_factory=dict)
    arguments: argparse.Namespace | None = None

    @property
    def comet_variable(self) -> str | None:
        """The variable that holds Comet's key."""
        return self.comet_api_key and self.comet_api_key[2:-1]

    @property
    def point(self) -> str | None:
        """The point of a sweep that is trained, by identity."""
        return self.arguments.point if self.arguments else None

    def place(self, path: str) -> Path:
        """Return where a place of the spec lies."""
        return expand(path, Path(self.file).resolve().parent / self.spec_folder)


@dataclass(frozen=True)
class Seed:
    """What a run's random numbers begin with, and what Lightning is told of that."""

    number: int
    deterministic: Literal["warn"] | bool


@dataclass(frozen=True)
class Run:
    """A run that has begun, as one of its tasks sees it."""

    script: Script
    code: Code
    folder: RunFolder
    record: Record
    # The one thread that draws.
    artist: Executor
    files: dict[str, list[Path]]
    # The best checkpoints of the trainings that this one builds on, by stage.
    parents: dict[str, Path]
    seed: Seed
    under_srun: bool
    # Of all trainings up to this one, as its checkpoints will say; the first task knows them.
    events: Sequence[Any] = ()
    # The digests of each sample's files; the first task knows them.
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Return where a place of the spec lies."""
        return self.script.place(path)

    @property
    def plots(self) -> Path:
        """Where the tracker's plots go."""
        return self.folder.plots


def launch(script: Script, train: Callable[[Run], None]) -> int:
    """Run a script as its command line says, and return the exit status."""
    arguments = script.arguments or parse_arguments()
    if script.points and arguments.all:
        return train_all(Path(script.file), script.points)
    rank = task_rank(arguments.srun)
    folder = None
    steady_output()
    name = attempt(script.run_name, arguments.again)
    listen(must_stop_together(arguments.srun))
    try:
        below = Path(script.experiment_name, name)
        folder = RunFolder(
            script.place(script.save_dir) / below, script.place(script.tracker_path) / below
        )
        homes = (*Path(script.file).resolve().parents, script.place("."))
        for note in elsewhere(script.save_dir, folder.path, homes) if rank == 0 else ():
            print(note, file=sys.stderr)
        # The other tasks of a run work in the folder that the first one holds.
        with folder.locked() if rank == 0 else nullcontext():
            status = start(script, train, arguments, folder)
        if rank > 0 and arguments.srun:
            folder.wait_until_released()
    except Exception as error:
        status, reason = how_it_ended(error)
        if status == FAILED:
            traceback.print_exc()
        if rank == 0:
            print(reason, file=sys.stderr)
        elif folder and isinstance(error, StoppedError | NotFiniteError):
            # Who started the tasks would end the first one if another had failed before it.
            folder.wait_until_released()
    stop_listening()
    return status


def start(
    script: Script,
    train: Callable[[Run], None],
    arguments: argparse.Namespace,
    folder: RunFolder,
) -> int:
    """Check what the run builds on, and let this task train."""
    rank = task_rank(arguments.srun)
    code = checked_code(script, folder, arguments.srun, rank)
    check_srun(arguments.srun)
    check_comet_key(script, folder, arguments.sync)
    if folder.is_done or arguments.sync:
        if not arguments.sync:
            print(f"{folder.path} is finished; --again LABEL starts another run")
        # Nothing of it is touched, but a tracker that lacks something gets that.
        if rank == 0 and (arguments.sync or not is_mirrored(folder)):
            quieten(rank)
            tracker = backend(script, code, folder, folder.begun())
            # Nothing else waits for what is to be sent.
            mirror = Mirror(folder, tracker, 600.0 if arguments.sync else 30.0)
            mirror.start()
            told = mirror.finish("FINISHED" if folder.is_done else "KILLED", not arguments.sync)
            if arguments.sync and not told:
                why = mirror.reason or "it does not answer"
                print(f"refused: the tracker was not sent everything: {why}", file=sys.stderr)
                return REFUSED
        return DONE
    quieten(rank)
    if script.accelerator is not None:
        check_hardware(script.accelerator, script.devices)
    torch.set_num_threads(thread_count())
    if script.dataset.max_memory is None:
        keep_freed_memory()
    torch.set_float32_matmul_precision(script.float32_matmul_precision)
    seed = seeded(script.seed, folder)
    parents = find_parents(script, folder)
    built = built_on(parents)
    folder.check_parents(built)
    data = find_data(script.dataset, script.place("."))
    for note in data.notes if rank == 0 else ():
        print(note)
    files = data.files
    run = partial(
        Run,
        script=script,
        code=code,
        folder=folder,
        files=files,
        parents=parents,
        seed=seed,
        under_srun=arguments.srun,
    )
    if rank > 0:
        record = Record(Path(os.devnull))
        if script.accelerator is not None:
            train(run(record=record, artist=ThreadPoolExecutor()))
        return DONE
    identity = identify(script, code, folder, files, parents, built, seed, arguments.accept_data)
    record = Record(folder.record, folder.plots)
    # Nothing is drawn, or recorded, when the run's folder is given up.
    with (
        mirrored(folder, backend(script, code, folder, identity)),
        ThreadPoolExecutor(max_workers=1) as artist,
    ):
        folder.keep(record, code)
        events, samples = identity["events"], identity["samples"]
        train(run(record=record, artist=artist, events=events, samples=samples))
    return DONE


def checked_code(script: Script, folder: RunFolder, under_srun: bool, rank: int) -> Code:
    """Return the code that runs; raises `RefusedError` if it is not the one that began the run.

    Nobody edits what a batch job was submitted with; by hand, that makes another run.
    """
    planned = script.points[script.point]["script"] if script.point is not None else None
    code = code_of(Path(script.file), script.parts, planned)
    if code.edited and under_srun:
        raise RefusedError(f"edited by hand: {', '.join(code.edited)}; build the spec again")
    folder.check_code(code)
    if code.edited and rank == 0:
        print(f"edited by hand: {', '.join(code.edited)}; this is not what the spec says")
    return code


def check_comet_key(script: Script, folder: RunFolder, sync: bool) -> None:
    """Raise `RefusedError` if Comet's key would be needed and its variable does not hold it."""
    name = script.comet_variable
    if name is None or (folder.is_done and not sync):
        return
    clean_key(name)


def seeded(seed: int | None, folder: RunFolder) -> Seed:
    """Seed everything; without a seed, torch draws one that the run goes on with."""
    if seed is not None:
        return Seed(seed_everything(seed, workers=True, verbose=False), "warn")
    begun: int = folder.identified().get("seed", torch.seed() % 2**32)
    torch.manual_seed(begun)
    return Seed(begun, deterministic=False)


def find_parents(script: Script, folder: RunFolder) -> dict[str, Path]:
    """Return the best checkpoints of the trainings before this one, which must have finished."""
    names = {stage: run_name for stage, (run_name, _) in script.parents.items()}
    places = parent_folders(folder.path, script.run_name, names)
    return {
        stage: parent_checkpoint(places[stage], stage, code)
        for stage, (_, code) in script.parents.items()
    }


def built_on(parents: dict[str, Path]) -> dict[str, str]:
    """Return what identifies parents: run name and digest of the checkpoint."""
    return {stage: f"{path.parents[1].name} {digest(path)}" for stage, path in parents.items()}


def identify(
    script: Script,
    code: Code,
    folder: RunFolder,
    files: dict[str, list[Path]],
    parents: dict[str, Path],
    built: dict[str, str],
    seed: Seed,
    accept_data: bool,
) -> dict[str, Any]:
    """Write down what the run is; raises `RefusedError` if its data are other ones."""
    spec_folder = script.place(".")
    data = fingerprints(files)
    identity: dict[str, Any] = {
        "script": code.identity,
        "code": f"{KEPT}/{code.digest}",
        "edited": list(code.edited),
        "data": data,
        # The same bytes elsewhere are the same data, if they are the same samples'.
        "samples": digests_by_sample(files, data),
        "versions": versions(code.script),
        "commit": git_commit(spec_folder),
        "seed": seed.number,
    }
    check_fingerprints(identity["data"], script.fingerprints, spec_folder)
    start_from = None if script.load_checkpoint is None else script.place(script.load_checkpoint)
    own = described_events(script.dataset, identity["samples"])
    identity["events"] = events_of(start_from, script.checkpoint_events, own)
    if folder.has_checkpoints:
        # What was trained on before data were accepted stays in the weights.
        began = folder.identified().get("events", [])
        identity["events"] = with_earlier(identity["events"], began)
    if start_from is not None:
        identity["start_from"] = digest(start_from)
        identity["checkpoint_events"] = script.checkpoint_events
        folder.check_start(start_from, identity["start_from"])
    for stage, path in parents.items():
        print(f"{stage}: {path}")
        if not accept_data:
            check_parent_data(path.parents[1], identity["data"])
    if parents:
        identity["parents"] = built
    folder.identify(identity, accept_data)
    return identity


@contextmanager
def mirrored(folder: RunFolder, backend: Backend) -> Iterator[None]:
    """Copy the record to the tracker meanwhile, and tell it how the run ended."""
    mirror = Mirror(folder, backend, unmeasured=UNMEASURED)
    mirror.start()
    status = "FAILED"
    try:
        folder.ended.unlink(missing_ok=True)
        yield
        status = "FINISHED"
    except StoppedError:
        status = "KILLED"
        raise
    finally:
        mirror.finish(status)


def backend(script: Script, code: Code, folder: RunFolder, identity: dict[str, Any]) -> Backend:
    """Return the tracker's backend, which shows the settings that run."""
    named = ("script", "code", "commit", "seed", "start_from", "checkpoint_events")
    tags: dict[str, str] = {name: str(identity[name]) for name in named if name in identity}
    if code.edited:
        tags["edited"] = ", ".join(code.edited)
    if script.point is not None:
        tags |= {"sweep": script.run_name.removesuffix(f"-{script.point}"), "point": script.point}
    if script.stage is not None:
        tags |= {"fakes": script.run_name.removesuffix(f"-{script.stage}"), "stage": script.stage}
        # With `--again`, these may be other attempts than the script names.
        tags |= {stage: said.split()[0] for stage, said in identity.get("parents", {}).items()}
    own = script.point or script.stage
    shown = settings(script.constants, code.resolved, own)
    if script.comet_variable is None:
        return MlflowBackend(folder, folder.store, script.experiment_name, shown, tags)
    return CometBackend(
        script.comet_variable,
        script.comet_project_name,
        script.experiment_name,
        folder,
        shown,
        tags,
    )
