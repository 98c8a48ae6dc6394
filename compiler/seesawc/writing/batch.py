"""Compiled experiments -> the batch file that submits them, and what a job needs of its site."""

from collections.abc import Iterable
from typing import Any

from attrs import evolve

from seesawc.tables.resolution import Experiment
from seesawc.tables.slurm import of_one_task
from seesawc.tables.values import PLACE, is_relative
from seesawc.writing.combinations import combined_name
from seesawc.writing.literals import Verbatim
from seesawc.writing.runs import PlannedRun
from seesawc.writing.scripts import COMBINE, SCRIPT, Scripts

BATCH, CHAIN, CLOSING = "submit.sbatch", "submit.sh", "submit_combine.sbatch"


def places(experiment: Experiment, points: Iterable[Experiment] = ()) -> tuple[str, ...]:
    """Return the places that an experiment names."""
    settings, job = experiment.experiment_config, experiment.slurm_config
    places: list[str | None] = [settings.save_dir, settings.tracker_path]
    places += [job.environment, job.container] if job else []
    for each in (experiment, *points):
        places += [path for sample in each.dataset_config.samples for path in sample.files]
        places.append(each.model_config.load_checkpoint)
    return tuple(dict.fromkeys(place for place in places if place))


def variables(experiment: Experiment, points: Iterable[Experiment] = ()) -> tuple[str, ...]:
    """Return the variables of the environment that a job needs, the keys of trackers included."""
    texts = *places(experiment, points), experiment.experiment_config.comet_api_key or ""
    return tuple(dict.fromkeys(name for text in texts for name in PLACE.findall(text)))


def _job(experiment: Experiment, points: Iterable[Experiment]) -> dict[str, Any]:
    """Return what of the batch file the experiment decides; the points of a sweep share one."""
    settings, job = experiment.experiment_config, experiment.slurm_config
    assert job is not None, "a batch file is for an experiment with [slurm_config]"
    # An environment is a venv if it is a path, or else the name of a conda environment.
    venv = job.environment is not None and bool(set(job.environment) & set("/$"))
    places = (settings.save_dir, job.environment if venv else None, job.container)
    return {
        "experiment": settings,
        "slurm": job,
        "mail_type": ",".join(job.mail_type),
        "variable_checks": [
            Verbatim(f': "${{{name}:?is not set, and this job needs it}}"')
            for name in variables(experiment, points)
        ],
        "goes_on": job.requeue,
        "experiment_folder": f"{settings.save_dir}/{settings.experiment_name}",
        "activates": bool(job.modules) or job.environment is not None,
        "venv": venv,
        "from_spec": any(place and is_relative(place) for place in places),
    }


def batch(
    scripts: Scripts,
    experiment: Experiment,
    points: tuple[Experiment, ...],
    runs: tuple[PlannedRun, ...],
    digest: str,
    script: str = SCRIPT,
    name: str = BATCH,
) -> str:
    """Return the batch file of a script, whose text it knows by digest."""
    limit = experiment.sweep_config and experiment.sweep_config.max_parallel
    settings = experiment.experiment_config
    job = {
        **_job(experiment, points),
        "folder": scripts.folder,
        "spec_folder": scripts.spec_folder,
        "script": script,
        "batch": name,
        "script_digest": digest,
        "sweep": bool(points),
        "last_point": len(runs) - 1,
        "parallel": Verbatim(f"%{limit}" if limit else ""),
        "arguments": Verbatim(' --srun --point "$point"' if points else " --srun"),
        "runs": [run.name for run in runs],
        "run_folder": f"{settings.save_dir}/{settings.experiment_name}/{runs[0].name}",
    }
    return scripts.templates.render(f"{BATCH}.jinja", job)


def closing(
    scripts: Scripts, experiment: Experiment, points: tuple[Experiment, ...], digest: str
) -> str:
    """Return the batch file of what combines folds: a job of one task, which uses no GPU."""
    settings, job = experiment.experiment_config, experiment.slurm_config
    assert job is not None, "a batch file is for an experiment with [slurm_config]"
    name = combined_name(settings.run_name)
    found = {
        **_job(evolve(experiment, slurm_config=of_one_task(job)), points),
        "folder": scripts.folder,
        "spec_folder": scripts.spec_folder,
        "script": COMBINE,
        "batch": CLOSING,
        "script_digest": digest,
        "sweep": False,
        # It has nothing that it could go on from: begun anew, it would be as late again.
        "goes_on": False,
        "arguments": Verbatim(""),
        "run_folder": f"{settings.save_dir}/{settings.experiment_name}/{name}",
    }
    return scripts.templates.render(f"{BATCH}.jinja", found)


def chain(scripts: Scripts, *, folds: bool) -> str:
    """Return the shell script that submits one after another: stages of fakes, or folds."""
    return scripts.templates.render(f"{CHAIN}.jinja", {"folder": scripts.folder, "folds": folds})
