"""Compiled experiments -> the batch file that submits them, and what a job needs of its site."""

from collections.abc import Iterable
from typing import Any

from seesawc.tables.resolution import Experiment
from seesawc.tables.values import PLACE, is_relative
from seesawc.writing.literals import Verbatim
from seesawc.writing.runs import PlannedRun
from seesawc.writing.scripts import SCRIPT, Scripts

BATCH, CHAIN = "submit.sbatch", "submit.sh"


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
        "point": Verbatim(' --point "$point"' if points else ""),
        "runs": [run.name for run in runs],
        "run_folder": f"{settings.save_dir}/{settings.experiment_name}/{runs[0].name}",
    }
    return scripts.templates.render(f"{BATCH}.jinja", job)


def chain(scripts: Scripts) -> str:
    """Return the shell script that submits the stages of fakes one after another."""
    return scripts.templates.render(f"{CHAIN}.jinja", {"folder": scripts.folder})
