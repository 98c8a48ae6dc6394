"""The commands; nothing else in seesawc prints or exits."""

import argparse
import gc
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

import click

from seesawc import __version__, pipeline
from seesawc.diagnostics import CompileError, Diagnostic, as_record, draw
from seesawc.jobs import closings, listing, local, others, slurm, submission, submitted
from seesawc.jobs.closings import Waiting
from seesawc.reading import options, source
from seesawc.rules.trainings import Checked
from seesawc.tables.fakes import STAGES
from seesawc.writing import outputs
from seesawc.writing.renamed import Left, left_beside, renamed
from seesawc.writing.runs import PlannedRun
from seesawc.writing.scripts import CLOSURE, COMBINE, SCRIPT, stage_script
from seesawc.writing.starting_spec import starting_spec

# Whether it can be read is said with the other faults of a spec.
SPEC = click.Path(path_type=Path, readable=False)
NOT_SUBMITTED = "nothing was submitted"
# Exit statuses of scripts that signals have ended.
SIGNALS: dict[int, int] = {signal.SIGTERM: 143, signal.SIGUSR2: 75, signal.SIGINT: 130}
# The spec of each folder, and what it compiles to.
Built = dict[Path, tuple[Path, pipeline.Compiled]]
FORMAT = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="How to report."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Compile a TOML spec of a training experiment into a script and a batch file.

    \b
    seesawc init higgs                       write specs/higgs.toml to start from
    seesawc check specs/higgs.toml           every mistake at once
    seesawc set specs/higgs.toml max_epochs=50
    seesawc build specs/higgs.toml           write generated/higgs/
    python generated/higgs/train_signal.py   train here; fakes: train_fakes specs/higgs.toml
    seesawc submit specs/higgs.toml          train on the cluster
    seesawc status specs/higgs.toml          how far the runs are
    seesawc rerun specs/higgs.toml           which ones are still missing
    track -p 5000                            look at the runs in MLflow's UI
    """
    # Names of folders may hold bytes that are no text.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # The process is over in a moment; to collect garbage would take a sixth of its time.
    gc.disable()


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
@click.option(
    "--data",
    "into_data",
    is_flag=True,
    help="Open the files that SPECS name, too: columns, types, events of each sample.",
)
@FORMAT
def check(specs: tuple[Path, ...], into_data: bool, style: str) -> None:
    """Report every mistake in SPECS; write nothing."""
    lines = []
    with _faults(style) as faults:
        for path in specs:
            with faults:
                checked = pipeline.check(path)
                faults.warnings += checked.warnings
                lines += _look_into(checked) if into_data else []
    for line in lines:
        _say(style, line)
    _say(style, f"{len(specs)} checked, no mistakes")


def _look_into(checked: Checked) -> list[str]:
    """Check a spec against its files; returns what to say of them."""
    try:
        # What reads files takes longer to import than all the rest.
        from seesawc.data import checking

        return [f"{checked.source.path}: {line}" for line in checking.check(checked)]
    except ModuleNotFoundError as error:
        raise CompileError(_lacking(error)) from error


def _lacking(error: ModuleNotFoundError) -> Diagnostic:
    """Return the fault of a package that reads files and is not there."""
    message = f"{error.name}, which reads files of events, is not installed"
    return Diagnostic(message, hint="pip install 'seesawc[train]'")


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
@click.option("--check", "compare", is_flag=True, help="Only compare with what is there.")
@click.option("--new-run", is_flag=True, help="Give the run a new name, if the spec gives none.")
@click.option("--out", type=SPEC, help="Folder to write into, instead of generated/.")
@click.option("--force", is_flag=True, help="Overwrite files that were edited by hand.")
@click.option(
    "--test-only",
    is_flag=True,
    help="Then ask sbatch whether it would take the jobs, and when they could start.",
)
@FORMAT
def build(
    specs: tuple[Path, ...],
    compare: bool,
    new_run: bool,
    out: Path | None,
    force: bool,
    test_only: bool,
    style: str,
) -> None:
    """Compile SPECS into generated/<name of the spec>/.

    With --test-only, exit status 1 also says that sbatch would refuse a job, or is not there to
    be asked; what was built stays.
    """
    lines: list[str] = []
    compiled: Built = {}
    with _faults(style) as faults:
        for path in dict.fromkeys(specs):
            with faults:
                folder = pipeline.output_folder(path, out)
                if folder in compiled:
                    message = f"{path} and {compiled[folder][0]} both compile to {folder}"
                    raise CompileError(Diagnostic(message, hint="another name for one of them"))
                found = pipeline.compile_spec(path, folder, new_run=new_run)
                compiled[folder] = path, found
                faults.warnings += found.warnings
        if compare:
            lines += _compare_all(compiled, faults)
        else:
            lines += _write_all(compiled, faults, force)
        if not faults.found:
            for line in lines:
                _say(style, line)
            faults.outcome = NOT_SUBMITTED
            for folder, (path, found) in compiled.items() if test_only else ():
                with faults:
                    _estimate(style, submission.locate(path, folder, found), found.runs)


def _compare_all(compiled: Built, faults: "_Faults") -> Iterator[str]:
    """Compare what specs compile to with what is there; yields what to say of each."""
    for folder, (path, found) in compiled.items():
        with faults:
            yield _compare(path, folder, found)


def _write_all(compiled: Built, faults: "_Faults", force: bool) -> Iterator[str]:
    """Write what specs compile to, where it is not there; yields what to say of each."""
    right: set[Path] = set()
    left: dict[Path, tuple[Left, ...]] = {}
    for folder, (path, found) in compiled.items():
        with faults:
            if not outputs.differing(folder, found.files):
                right.add(folder)
                continue
            if not force:
                outputs.check_merged(folder, path)
            outputs.refuse_loss(folder, force=force)
    with faults:
        left = left_beside(compiled)
    # A mistake in one spec, and none is written.
    for folder, (_, found) in () if faults.found else compiled.items():
        with faults:
            if folder in right:
                outputs.tell_git(folder.parent)
                yield _outcome("unchanged:", folder, found)
            else:
                yield _write(folder, found, force, left)


def _compare(path: Path, folder: Path, compiled: pipeline.Compiled) -> str:
    """Compare what one spec compiles to with what is there; returns what to say."""
    if names := outputs.differing(folder, compiled.files):
        outputs.check_merged(folder, path)
        message = f"{folder} is not what {path} compiles to: {', '.join(names)}"
        raise CompileError(Diagnostic(message, hint=f"seesawc build {path}"))
    return f"{folder} is what {path} compiles to"


def _write(
    folder: Path,
    compiled: pipeline.Compiled,
    force: bool,
    left: Mapping[Path, Iterable[Left]],
) -> str:
    """Write what one spec compiles to, beside what is `left` of others; returns what to say."""
    note = renamed(folder, compiled.files[outputs.RECORD], left)
    changed = outputs.write(folder, compiled.files, force=force)
    if changed and note:
        _warn(note)
    return _outcome("wrote" if changed else "unchanged:", folder, compiled)


def _outcome(word: str, folder: Path, compiled: pipeline.Compiled) -> str:
    run_name = compiled.experiment.experiment_config.run_name
    sweep = f"{len(compiled.runs)} points, " if compiled.experiment.has_points else ""
    return f"{word} {folder} ({sweep}run {run_name})"


@main.command()
@click.argument("spec", type=SPEC)
@click.option("--array", metavar="LIST", help="Only these runs of a sweep, such as 0,3-5 or 0-8:2.")
@click.option(
    "--test-only",
    is_flag=True,
    help="Only ask sbatch whether it would take the job, and when it could start.",
)
def submit(spec: Path, array: str | None, test_only: bool) -> None:
    """Submit SPEC's batch file to SLURM, as it was built.

    Refused if the generated files are not what SPEC compiles to, or if a variable that the job
    needs is not set. The job is recorded in jobs.jsonl in the folder of each of its runs. Folds are
    combined by one more job, which comes after all of them.
    """
    with _faults("text", NOT_SUBMITTED) as faults, faults:
        job = _job(spec)
        chosen = submission.choose(job, array)
        submission.check(job)
        if test_only:
            _estimate("text", job, chosen)
        else:
            _submit(job, chosen, _closing(job, chosen))


def _closing(job: submission.Submission, chosen: Sequence[PlannedRun]) -> Waiting | None:
    """Return what the combination of folds waits for besides these runs; None without folds."""
    if job.closing is None:
        return None
    rows, _ = listing.rows(job.spec, job.compiled)
    found = closings.waiting(rows, chosen, slurm.queued)
    if found.note:
        _warn(found.note)
    return found


@main.command()
@click.argument("spec", type=SPEC)
@click.option(
    "--sort",
    "by",
    type=click.Choice(["best", "index"]),
    default="best",
    show_default=True,
    help="best: done runs, the best first, then running ones likewise, then the rest by index.",
)
@FORMAT
def status(spec: Path, by: Literal["best", "index"], style: str) -> None:
    """Show how far SPEC's runs are.

    Reads the folders of the runs alone, and needs neither SLURM nor a tracker. States:

    \b
    not started    nothing is there
    submitted      a job was submitted and has not begun
    running        it holds its folder and was alive three minutes ago
    done           finished and tested
    preempted      told to save by SLURM (exit status 75); start it again to go on
    cancelled      ended by SIGTERM (143); the same
    interrupted    ended by Ctrl-C (130); the same
    lost           it ended without a word: killed, or its node failed; the same
    not finite     the loss is no longer a number (3)
    disk full      nothing more could be written (4)
    refused        it could not start as things stood (1)
    failed         any other end
    """
    with _faults(style, empty=False) as faults, faults:
        folder = pipeline.output_folder(spec)
        outputs.check_merged(folder, spec)
        compiled = pipeline.compile_spec(spec, folder)
        if outputs.differing(folder, compiled.files):
            _warn(f"{folder} is not what {spec} compiles to: shown are the runs of a new build")
        rows, note = listing.rows(spec, compiled)
        if note:
            _warn(note)
        for text in others.notes(spec, folder, compiled, rows):
            _warn(text)
        rows += listing.attempts(rows[0].path.parent, rows)
        training = compiled.experiment.training_config
        # Stages cannot be better than one another.
        by = "index" if compiled.experiment.task == "fakes" else by
        rows = listing.order(rows, by, training.monitor_mode)
        combined = closings.combined(spec, compiled)
        if style == "json":
            everything = [*listing.records(rows), *closings.records(combined)]
            click.echo(json.dumps(everything, indent=1))
        else:
            click.echo("\n".join([listing.table(rows), *closings.lines(combined)]))


@main.command()
@click.argument("spec", type=SPEC)
@click.option(
    "--failed", is_flag=True, help="Only runs that began and ended before they were done."
)
@click.option("--submit", "now", is_flag=True, help="Submit them, rather than print the command.")
def rerun(spec: Path, failed: bool, now: bool) -> None:
    """Print the command that submits SPEC's missing runs, or trains them where there is no SLURM.

    These are neither done nor running, nor waiting in SLURM's queue as jobs that seesawc
    submitted. A run that began goes on where it was.
    """
    with _faults("text", NOT_SUBMITTED) as faults, faults:
        folder = pipeline.output_folder(spec)
        compiled = pipeline.compile_spec(spec, folder)
        here = not now and local.is_local(compiled)
        job = None if here else submission.locate(spec, folder, compiled)
        _compare(spec, folder, compiled)
        rows, note = listing.rows(spec, compiled)
        missing, waiting, warning = submission.missing(rows, failed=failed)
        ask = local.nobody if job is None else slurm.queued
        combined = closings.combined(spec, compiled)
        closing, silent = closings.due(combined, rows, missing, ask)
        warning = warning or silent
        for text in filter(None, (note, warning, closing.note if closing else "")):
            _warn(text)
        if waiting:
            click.echo(f"{waiting} more in SLURM's queue", err=True)
        if not missing and closing is None:
            click.echo(f"nothing to run again: {listing.totals(rows)}")
        elif job is None:
            for command in local.commands(spec, folder, compiled, rows, missing, closing):
                click.echo(shlex.join(command))
        elif now:
            submission.check_chain(job, rows, waiting)
            if warning:
                raise CompileError(Diagnostic(warning, hint="submit the printed command, or wait"))
            submission.check(job)
            _submit(job, missing, closing)
        else:
            submission.check_chain(job, rows, waiting)
            way = "" if job.top == Path.cwd() else f"cd {shlex.quote(str(job.top))} && "
            for command in job.commands(missing, closing):
                click.echo(way + shlex.join(command))


def _job(spec: Path) -> submission.Submission:
    """Return the batch file of a spec, which must be what the spec compiles to."""
    folder = pipeline.output_folder(spec)
    compiled = pipeline.compile_spec(spec, folder)
    job = submission.locate(spec, folder, compiled)
    _compare(spec, folder, compiled)
    return job


def _estimate(style: str, job: submission.Submission, chosen: Sequence[PlannedRun]) -> None:
    _say(style, f"{job.batch}: {submission.estimate(job, chosen)}")


def _submit(
    job: submission.Submission, chosen: Sequence[PlannedRun], waiting: Waiting | None = None
) -> None:
    """Submit runs, and say which job it is and where its log will be.

    Folds are combined after them and what they are `waiting` for; None: not at all.
    """
    if files := submission.uncommitted(job):
        _warn(f"not as in git's last commit: {', '.join(files)}")
    found = submitted.submit(job, chosen, waiting)
    for warning in found.warnings:
        _warn(warning)
    members = job.members(chosen) if chosen else None
    jobs = f"job{'s' * (len(found.jobs) > 1)} {', '.join(found.jobs)}"
    click.echo(f"submitted {jobs}" + (f", runs {members}" if members else ""))
    click.echo(f"log: {found.log}")


@main.command()
@click.argument("name")
@click.option(
    "--task",
    type=click.Choice(["signal", "fakes"]),
    default="signal",
    show_default=True,
    help="What is trained.",
)
@click.option(
    "--data",
    multiple=True,
    type=SPEC,
    metavar="FILE",
    help="Look at a file, and write a spec for what it has; several: one for each process.",
)
@click.option("--class-column", metavar="NAME", help="Column of the files that tells the class.")
@click.option("--tree", metavar="NAME", help="Tree of ROOT files that have several.")
@click.option("--table", metavar="NAME", help="Array or group of HDF5 files that have several.")
def init(
    name: str,
    task: str,
    data: tuple[Path, ...],
    class_column: str | None,
    tree: str | None,
    table: str | None,
) -> None:
    """Write specs/NAME.toml, a commented spec to start from.

    \b
    seesawc init higgs --data events.root --class-column process
    seesawc init higgs --data signal.parquet --data background.parquet
    """
    if (class_column or tree or table) and not data:
        raise click.UsageError("--class-column, --tree and --table need --data")
    if data and task != "signal":
        raise click.UsageError("--data is for --task signal")
    path = Path("specs") / f"{name}.toml"
    with _faults("text") as faults, faults:
        source.check_name(path)
        if path.exists():
            raise CompileError(Diagnostic(f"{path} exists", hint="another name"))
        text = starting_spec(name, task)
        if data:
            text = _of_data(text, data, class_column, tree, table)
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="ascii")
        except UnicodeEncodeError as error:
            wrong = error.object[error.start : error.end]
            message = f"{wrong!a}, in a name of the file or in it, is no plain ASCII"
            raise CompileError(Diagnostic(message, hint="rename it")) from error
        except OSError as error:
            raise CompileError(Diagnostic(f"cannot write {path}: {error.strerror}")) from error
    click.echo(f"wrote {path}; change it, then: seesawc check {path}")


def _of_data(
    text: str, data: tuple[Path, ...], class_column: str | None, tree: str | None, table: str | None
) -> str:
    """Return a starting spec filled with what files hold."""
    named = {name: each for name, each in (("tree", tree), ("table", table)) if each}
    try:
        # No other command needs what reads files of data.
        from seesawc.data.first_spec import Wish, first_spec
        from seesawc.data.readers import readers_of
        from seesawc.data.summaries import look

        looks = [look(*each) for each in zip(data, readers_of(data, named), strict=True)]
    except ModuleNotFoundError as error:
        raise CompileError(_lacking(error)) from error
    return first_spec(text, looks, Wish(class_column, named))


@main.command("set")
@click.argument("spec", type=SPEC)
@click.argument("assignments", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--unset", multiple=True, metavar="OPTION", help="Take an option or a table out.")
def set_(spec: Path, assignments: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Change options of SPEC in place; comments and layout stay.

    The result is checked first, and nothing is written if it has a mistake. A value is TOML, or
    else a text; a table is left out where only one has the option:

    \b
    seesawc set specs/higgs.toml max_epochs=50 monitor=val_auc
    seesawc set specs/higgs.toml training_config.optimizer.optimizer_params.lr=1e-4
    seesawc set specs/higgs.toml 'dataset_config.samples.0.selection=process == 1'
    seesawc set specs/higgs.toml 'numerical=["lep1_pt", "lep1_eta"]' --unset missing
    """
    _need_options(assignments, unset)
    # It brings tomlkit, which no other command needs.
    from seesawc.writing.edits import edited

    with _faults("text") as faults, faults:
        source.check_name(spec)
        found = source.read(spec)
        wanted = options.edits(assignments, unset)
        text = edited(found, wanted)
        pipeline.check(spec, text)
        if changed := text != found.text:
            outputs.rewrite(spec, text)
        click.echo(f"{'wrote' if changed else 'unchanged:'} {spec} ({', '.join(map(str, wanted))})")


def _need_options(assignments: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Stop if something asks for nothing; it is not repeated, since it may hold a key."""
    if not (assignments or unset):
        raise click.UsageError("OPTION=VALUE or --unset OPTION is missing")
    for number, word in enumerate(assignments, 1):
        if options.ASSIGNMENT.fullmatch(word) is None:
            way = " (to take an option out: --unset OPTION)" if word.endswith("=") else ""
            raise click.UsageError(f"argument {number} after SPEC is not OPTION=VALUE{way}")
    for word in unset:
        if options.OPTION.fullmatch(word) is None:
            raise click.UsageError("--unset takes the name of an option")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("spec", type=SPEC)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train_signal(spec: Path, arguments: tuple[str, ...]) -> None:
    """Build SPEC, then train here; ARGUMENTS go to the script (see its --help).

    Of a cross-validation all folds are trained, one after another, and then combined; --point
    trains one alone.
    """
    folder, compiled = _built(spec, "signal")
    if compiled.combined and not _asks_for_one(arguments):
        sys.exit(_cross_validated(folder, arguments))
    script = folder / SCRIPT
    # Its parts lie beside it.
    os.environ.pop("PYTHONSAFEPATH", None)
    # The script takes over this process, and with it signals and the exit status.
    os.execv(sys.executable, [sys.executable, str(script), *arguments])  # noqa: S606


def _asks_for_one(arguments: Sequence[str]) -> bool:
    """Whether the script is to do something else than to train all its points."""
    return any(re.match(r"-h$|--(help|sync|srun|point)\b", word) for word in arguments)


def _cross_validated(folder: Path, arguments: Sequence[str]) -> int:
    """Train all folds and combine them; return the exit status of what fails first."""
    everything = ("--all", *(word for word in arguments if word != "--all"))
    status, asked = _run(folder / SCRIPT, everything)
    if status or asked:
        status = status or SIGNALS[asked[-1]]
        _warn(f"{COMBINE} was not run, since {SCRIPT} ended with exit status {status}")
        return status
    click.echo(f"\n{COMBINE}")
    return _run(folder / COMBINE, _label(arguments))[0]


def _label(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return what of a training's arguments a script takes that looks at runs."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--again", default="")
    label = parser.parse_known_args(arguments)[0].again
    return ("--again", label) if label else ()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("spec", type=SPEC)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train_fakes(spec: Path, arguments: tuple[str, ...]) -> None:
    """Build SPEC, then train numerator, denominator and ratio here, and draw the closure.

    ARGUMENTS go to each script (see their --help). Stages that are done are not done again.
    Exit status: that of the first script that fails.
    """
    scripts = [stage_script(stage) for stage in STAGES]
    folder, _ = _built(spec, "fakes")
    for script in scripts:
        click.echo(f"\n{script}")
        status, asked = _run(folder / script, arguments)
        # Where a script was over before it could obey a signal, that ends what comes after it.
        if status or asked:
            sys.exit(status or SIGNALS[asked[-1]])
    click.echo(f"\n{CLOSURE}")
    sys.exit(_run(folder / CLOSURE, _label(arguments))[0])


def _built(spec: Path, task: str) -> tuple[Path, pipeline.Compiled]:
    """Build a spec of a task, and return the folder; stop if it is of another task."""
    with _faults("text") as faults, faults:
        folder = pipeline.output_folder(spec)
        compiled = pipeline.compile_spec(spec, folder)
        faults.warnings += compiled.warnings
        if compiled.experiment.task != task:
            found = compiled.experiment.task
            message = f'{spec} is of task "{found}"'
            raise CompileError(Diagnostic(message, hint=f"train_{found} {spec}"))
        outputs.check_merged(folder, spec)
        click.echo(_write(folder, compiled, False, left_beside([folder])))
    _need("lightning")
    return folder, compiled


def _run(script: Path, arguments: Sequence[str]) -> tuple[int, list[int]]:
    """Run a script to its end; return its exit status and the signals that came meanwhile.

    They are its own to answer.
    """
    sys.stdout.flush()
    asked: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: asked.append(number)) for number in SIGNALS
    }
    # Its parts lie beside it.
    os.environ.pop("PYTHONSAFEPATH", None)
    process = subprocess.Popen([sys.executable, str(script), *arguments])  # noqa: S603
    passed, status = 0, None
    while status is None:
        for number in asked[passed:]:
            # A terminal sends Ctrl-C to both; the script saves, and a second one would end it at
            # once.
            if number != signal.SIGINT:
                process.send_signal(number)
            passed += 1
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=0.1)
    # Between two scripts a signal ends this process, as it would any other.
    for number, handler in before.items():
        signal.signal(number, handler)
    return (status if status >= 0 else 128 - status), asked


@click.command()
@click.option(
    "-p",
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Where the UI listens.",
)
@click.option("--save-dir", type=SPEC, help="Where runs were saved; default: ANALYSIS_ML_LOGS_DIR.")
def track(port: int, save_dir: Path | None) -> None:
    """Open MLflow's UI on the runs of this machine's store, for this machine only."""
    place = os.environ.get("ANALYSIS_ML_LOGS_DIR", "logs")
    if save_dir is None and not place:
        click.echo("error: ANALYSIS_ML_LOGS_DIR is empty; set it, or give --save-dir", err=True)
        sys.exit(1)
    folder = save_dir or Path(place)
    store = (folder / "mlruns" / "mlflow.db").absolute()
    if not store.is_file():
        click.echo(f"error: there is no store {store}; train first, or give --save-dir", err=True)
        sys.exit(1)
    _need("mlflow")
    _need_port(port)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if fault := _store_fault(store.parent):
        click.echo(f"error: {store} cannot be shown: {fault}", err=True)
        sys.exit(1)
    click.echo(f"MLflow on {store}\nopen http://127.0.0.1:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    # A path may hold what an address cannot.
    os.chdir(store.parent)
    # Five processes for jobs of language models, which no training has.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{store.name}",
    ]
    # Other users of a login node can reach its loopback, but no other machine can.
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, command)  # noqa: S606


def _store_fault(folder: Path) -> str:
    """Put the places of a store right that was moved; return why it cannot be used, if so."""
    from parts.machinery import stores

    try:
        stores.put_right(folder)
        stores.check(folder)
    # MLflow and SQLAlchemy, which take long to import, have exceptions of their own.
    except Exception as error:
        return stores.advice(error, folder)
    return ""


def _need(package: str) -> None:
    """Stop with a word of advice if a package of the extra `train` is missing."""
    if find_spec(package) is None:
        click.echo(f"error: {package} is missing; pip install 'seesawc[train]'", err=True)
        sys.exit(1)


def _need_port(port: int) -> None:
    """Stop if the port cannot be had; MLflow would show a traceback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            click.echo(f"error: port {port}: {error.strerror}; give another by -p", err=True)
            sys.exit(1)


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)


def _say(style: str, text: str) -> None:
    if style == "text":
        click.echo(text)


class _Faults:
    """Collects the faults of several specs, so that one does not hide another's."""

    def __init__(self, outcome: str) -> None:
        self.found: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.outcome = outcome

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if isinstance(error, CompileError):
            self.found += error.diagnostics
            return True
        # Of a pipe that nobody reads there is no name; what click does then is right.
        if isinstance(error, OSError) and error.filename is not None:
            self.found.append(Diagnostic(f"cannot use {error.filename}: {error.strerror}"))
            return True
        return False


@contextmanager
def _faults(
    style: str, outcome: str = "nothing was written", *, empty: bool = True
) -> Iterator[_Faults]:
    """Report what was collected, and exit with status 1 if it is anything.

    Nothing is reported, as JSON, by an `empty` list, unless the command prints something itself.
    """
    faults = _Faults(outcome)
    yield faults
    if faults.found or empty:
        _report(faults, style)
    if faults.found:
        sys.exit(1)


def _report(faults: _Faults, style: str) -> None:
    if style == "json":
        everything = [*faults.found, *faults.warnings]
        click.echo(json.dumps([as_record(each) for each in everything], indent=1))
        return
    for warning in faults.warnings:
        click.echo(draw(warning), err=True)
    if count := len(faults.found):
        click.echo("\n".join(map(draw, faults.found)), err=True)
        click.echo(f"{count} mistake{'s' * (count > 1)}; {faults.outcome}", err=True)
