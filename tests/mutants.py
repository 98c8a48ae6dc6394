"""Faults, planted one at a time: does a test notice? `make mutants`, by hand; see tests/README.md.

Usage: python tests/mutants.py [--jobs N] [WORD ...]     only faults whose file or text has a word

Each fault is a change of one text in one file. It is made in a copy of the project, `generated/` is
built anew there, so that no golden file can notice, and the tests named with the fault are run: they
must fail. A fault whose text is gone is to be replaced by its like; tests/test_mutants.py says which.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parents[1]
SPECS = [f"specs/{path.name}" for path in sorted((ROOT / "specs").glob("*.toml"))]
PARTS, SECTIONS = "templates/parts", "templates/sections"
MACHINERY = f"{PARTS}/machinery"
COMPILER = "compiler/seesawc"
# Files of tests, by the names that stand for them below.
FILES = {
    "wiring": "tests/runs/test_wiring.py",
    "fakes_wiring": "tests/runs/test_fakes_wiring.py",
    "interruptions": "tests/runs/test_interruptions.py",
    "options": "tests/runs/test_options.py",
    "tracking": "tests/runs/test_tracking.py",
    "refusals": "tests/runs/test_refusals.py",
    "loading": "tests/runs/test_loading.py",
    "runs_checkpoint_events": "tests/runs/test_checkpoint_events.py",
    "sweeps": "tests/runs/test_sweeps.py",
    "fakes": "tests/runs/test_fakes.py",
    "comet": "tests/runs/test_comet.py",
    "chains": "tests/slurm/test_chains.py",
    "scripts": "tests/runs/test_scripts.py",
    "runs_variants": "tests/runs/test_variants.py",
    "diagnostics": "tests/errors/test_diagnostics.py",
    "machines": "tests/parts/test_machines.py",
    "batch": "tests/slurm/test_batch_files.py",
    "environments": "tests/slurm/test_environments.py",
    "early_stopping": "tests/runs/test_early_stopping.py",
    "plateaus": "tests/runs/test_plateaus.py",
    "agreement": "tests/test_agreement.py",
    "apply": "tests/test_apply.py",
    "applied_files": "tests/test_applied_files.py",
    "applied_chunks": "tests/test_applied_chunks.py",
    "given_columns": "tests/parts/test_given_columns.py",
    "apply_refusals": "tests/test_apply_refusals.py",
    "going_on": "tests/runs/test_going_on.py",
    "exact_ends": "tests/runs/test_exact_ends.py",
    "cross_validation": "tests/runs/test_cross_validation.py",
    "folded_runs": "tests/runs/test_trained_folds.py",
    "slurm_folds": "tests/slurm/test_fold_jobs.py",
    "deployed": "tests/runs/test_deployed.py",
}


@dataclass(frozen=True)
class Fault:
    """A text of a file, which stands there once, what it becomes, and a test that must fail."""

    file: str
    old: str
    new: str
    test: str  # "file::test", the file by its short name or that of tests/parts or tests/compiler

    def tests(self) -> str:
        """Return the test as pytest names it."""
        file, _, name = self.test.partition("::")
        for place in (FILES.get(file), f"tests/parts/test_{file}.py"):
            if place and (ROOT / place).is_file():
                return f"{place}::{name}"
        return f"tests/compiler/test_{file}.py::{name}"


def faults() -> Iterator[Fault]:
    """Yield all faults."""
    for file, rows in FAULTS.items():
        for old, new, test in rows:
            yield Fault(file, old, new, test)


FAULTS: dict[str, list[tuple[str, str, str]]] = {
    # Outlines of scripts: which events, weights and epochs serve for what.
    "templates/sections/samples.jinja": [
        (
            "split=(TRAIN, VALIDATION, TEST)",
            "split=(VALIDATION, TRAIN, TEST)",
            "wiring::test_the_split_has_the_shares_that_are_asked_for",
        ),
        (
            "split=Fold(FOLD, FOLDS)",
            "split=Fold((FOLD + 1) % FOLDS, FOLDS)",
            "folded_runs::test_every_fold_is_tested_by_the_training_that_has_not_seen_it",
        ),
    ],
    "templates/train_signal.py.jinja": [
        (
            "gradient_clip_val=GRADIENT_CLIP_VAL,",
            "",
            "wiring::test_gradients_are_clipped_to_their_norm",
        ),
        (
            "deploy(run, classifier, PRECISION, train, test)",
            "deploy(run, classifier, PRECISION, test, train)",
            "deployed::test_what_is_deployed_names_its_run_and_its_split",
        ),
        (
            "classifier = build_classifier(train, categories)",
            "classifier = build_classifier(test, categories)",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
        (
            "for column in train.categorical.T]",
            "for column in test.categorical.T]",
            "wiring::test_the_categories_are_those_of_the_training_events",
        ),
        (
            "        train,\n        validation,\n        outputs=Outputs,",
            "        train,\n        test,\n        outputs=Outputs,",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "check_metrics_n_epoch=CHECK_METRICS_N_EPOCH,",
            "check_metrics_n_epoch=1,",
            "options::test_check_metrics_n_epoch",
        ),
        (
            "plot_metrics_n_epoch=PLOT_METRICS_N_EPOCH,",
            "plot_metrics_n_epoch=CHECK_METRICS_N_EPOCH,",
            "options::test_plot_metrics_n_epoch",
        ),
        (
            "binary_metrics(tested, metrics",
            "binary_metrics(validated, metrics",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            'binary_metrics(tested, metrics["validation"]["significance_cut"])',
            "binary_metrics(tested)",
            "wiring::test_the_cut_is_the_best_one_of_validation",
        ),
        (
            'metrics["test"] = tracker.metrics(tested)',
            'metrics["test"] = tracker.metrics(validated)',
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[plain-table0-smoothed-0.0]",
        ),
        (
            "use_mc_weights=USE_MC_WEIGHTS,",
            "use_mc_weights=True,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_mc_weights=USE_MC_WEIGHTS,",
            "use_mc_weights=not USE_MC_WEIGHTS,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_class_weights=USE_CLASS_WEIGHTS,",
            "use_class_weights=True,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_class_weights=USE_CLASS_WEIGHTS,",
            "use_class_weights=not USE_CLASS_WEIGHTS,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "n_layers=N_LAYERS,",
            "n_layers=2,",
            "wiring::test_the_architecture_is_the_one_that_is_asked_for",
        ),
        (
            "n_hidden=N_HIDDEN,",
            "n_hidden=N_LAYERS,",
            "wiring::test_the_architecture_is_the_one_that_is_asked_for",
        ),
        ("dropout=DROPOUT,", "dropout=0.0,", "wiring::test_dropout_takes_part_in_training_alone"),
        (
            "validated, tested, {{ uncertainties }}, deployed",
            "validated, validated, {{ uncertainties }}, deployed",
            "wiring::test_the_plots_of_the_test_show_test_events",
        ),
        (
            "        logarithmic=LOGARITHMIC,\n",
            "",
            "fakes::test_a_classifier_of_signal_takes_logarithms_too",
        ),
        (
            "for split in (validation, test))",
            "for split in (test, test))",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[validation]",
        ),
        (
            "loss={{ loss }},",
            "loss=LOSS,",
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[smooth-table1-smoothed-0.2]",
        ),
    ],
    "templates/train_density.py.jinja": [
        (
            "classifier = build_density_ratio(leptons[0], categories)",
            "classifier = build_density_ratio(leptons[2], categories)",
            "fakes_wiring::test_the_scaling_is_that_of_all_training_leptons",
        ),
        (
            "for column in leptons[0].categorical.T]",
            "for column in leptons[2].categorical.T]",
            "fakes_wiring::test_the_categories_are_those_of_all_training_leptons",
        ),
        (
            "tight={{ tight | py }}",
            "tight=True",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            "for split in (validation, test))",
            "for split in (validation, validation))",
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
        (
            "clipped(train, CLIP_QUANTILE)",
            "clipped(train, CLIP_QUANTILE / CLIP_QUANTILE)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[clipped]",
        ),
        (
            "poisson_counts(leptons[0].keys[{{ chosen }}], N_MEMBERS)",
            "poisson_counts(leptons[0].keys[{{ chosen }}][::-1], N_MEMBERS)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[bootstrapped]",
        ),
        (
            "normalisations(N_MEMBERS, MC_NORMALISATION)",
            "normalisations(N_MEMBERS, 0.5)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
        (
            "category=Category(CATEGORY, TIGHT, LOOSE),",
            "category=Category(CATEGORY, LOOSE, TIGHT),",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        ("        logarithmic=LOGARITHMIC,\n", "", "fakes::test_a_feature_without_logarithm"),
        (
            "        crack=Crack(ETA, *CRACK),\n",
            "",
            "fakes_wiring::test_the_crack_is_left_out_of_what_is_learnt",
        ),
    ],
    "templates/train_ratio.py.jinja": [
        (
            "[USE_DATA_IN_RATIO] * 3",
            "[True] * 3",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say[single-False]",
        ),
        (
            "subtraction_weights(split, *parents)",
            "subtraction_weights(split, *parents[::-1])",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say[single-True]",
        ),
    ],
    "templates/closure.py.jinja": [
        (
            "train, validation, test = read_leptons(",
            "test, validation, train = read_leptons(",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "(train, validation),",
            "(train, validation, test),",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "        tolerance=TOLERANCE,",
            "        tolerance=2 * TOLERANCE,",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "    check_parent_data(run, fingerprints(files))\n",
            "    fingerprints(files)\n",
            "fakes::test_a_closure_of_other_data_is_refused",
        ),
    ],
    "templates/apply.py": [
        (
            "sys.path.insert(0, str(Path(__file__).resolve().parent))\n",
            "",
            "apply::test_it_finds_its_parts_wherever_it_is_started",
        ),
        (
            "networks_at(given.network)",
            "networks_at(None)",
            "apply::test_a_network_that_it_is_told_of",
        ),
        (
            "applied(application, events, new=new, accept_ranges=accept_ranges)",
            "applied(application, events, new=False, accept_ranges=accept_ranges)",
            "apply::test_scores_of_arrays",
        ),
        ("sample=given.sample,", "sample=None,", "apply::test_options_may_stand_anywhere"),
        ("only=given.only,", "only=None,", "apply::test_options_may_stand_anywhere"),
        (
            "overwrite=given.overwrite,",
            "overwrite=True,",
            "apply::test_options_may_stand_anywhere",
        ),
    ],
    "templates/script.py.jinja": [
        (
            '#     "{{ requirement }}",',
            '#     "torch",',
            "scripts::test_the_header_names_all_that_a_script_imports_at_the_pinned_versions",
        ),
        (
            "POINT = POINTS[ARGUMENTS.point]",
            "POINT = next(iter(POINTS.values()))",
            "sweeps::test_a_point_trains_as_its_plain_script_does",
        ),
    ],
    # The batch file, and the chain of fakes.
    "templates/submit.sbatch.jinja": [
        (
            "set +eu\n",
            "set +u\n",
            "environments::test_a_hook_that_finds_nothing_stops_no_job",
        ),
        (
            "point=$((10#$point + 10#${1:-0}))",
            "point=$((10#$point))",
            "batch::test_a_member_of_a_later_array_trains_a_later_point",
        ),
        (
            " --wait=300",
            "",
            "batch::test_the_tasks_are_started_by_one_srun_that_ends_those_left_over",
        ),
        (
            "unset MASTER_ADDR MASTER_PORT WORLD_SIZE RANK LOCAL_RANK NODE_RANK\n",
            "",
            "batch::test_nothing_of_an_outer_job_or_an_outer_training_reaches_the_tasks",
        ),
        (
            'unset "${!SLURM_CPU_BIND@}" "${!SLURM_GPU@}"',
            'unset "${!SLURM_CPU_BIND@}"',
            "batch::test_nothing_of_an_outer_job_or_an_outer_training_reaches_the_tasks",
        ),
        (">= 100", ">= 99", "batch::test_a_job_that_has_saved_is_requeued_a_hundred_times"),
        (">= 100", "> 100", "batch::test_a_job_that_has_saved_is_requeued_a_hundred_times"),
        (
            "status == 75 || status == 140",
            "status == 75",
            "batch::test_a_job_that_has_saved_is_requeued_a_hundred_times",
        ),
        ("|| status=$?", "|| true", "batch::test_other_ends_are_the_jobs_own"),
        (
            '${!SLURM_TRES_@}" SLURM_DISTRIBUTION',
            '${!SLURM_TRES_@}"',
            "batch::test_nothing_of_an_outer_job_or_an_outer_training_reaches_the_tasks",
        ),
    ],
    "templates/submit.sh.jinja": [
        (
            '--dependency="afterok:${jobs[0]}:',
            '--dependency="afterany:${jobs[0]}:',
            "chains::test_a_ratio_whose_parent_fails_never_starts",
        ),
        (
            '--dependency="afterok:${jobs[0]}" ',
            '--dependency="afterany:${jobs[0]}" ',
            "slurm_folds::test_folds_by_hand_from_anywhere",
        ),
        (
            "[[ $word == --array=* ]] ||",
            "true &&",
            "slurm_folds::test_folds_by_hand_from_anywhere",
        ),
        (
            "trap undo EXIT\n",
            "",
            "chains::test_a_chain_that_cannot_be_submitted_as_a_whole_is_taken_back",
        ),
    ],
    # Sections of outlines.
    f"{SECTIONS}/fakes_network.jinja": [
        (
            "return Ensemble(network() for _ in range(N_MEMBERS))",
            "return Ensemble(network() for _ in range(1))",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
    ],
    f"{SECTIONS}/inputs.jinja": [
        (
            "numerical = NumericalOrMissing(scaling, len",
            "numerical = NumericalOrMissing(nn.Identity(), len",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
        (
            "SCALING(present({{ scaled_events }}, MISSING))",
            "SCALING(present({{ scaled_events }}, 999.0))",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
        (
            "places = [NUMERICAL.index(name) for name in LOGARITHMIC]",
            "places: list[int] = []",
            "fakes_wiring::test_the_scaling_is_that_of_all_training_leptons",
        ),
    ],
    f"{SECTIONS}/optimizer.jinja": [
        (
            '"scheduler": scheduler, "interval": SCHEDULER_INTERVAL}',
            '"scheduler": scheduler, "interval": "epoch"}',
            "wiring::test_a_schedule_moves_when_its_interval_says[step]",
        ),
        (
            '"frequency": CHECK_EVAL_N_EPOCH,',
            '"frequency": 1,',
            "runs_variants::test_a_plateau_is_looked_for_after_validations",
        ),
    ],
    f"{SECTIONS}/samples.jinja": [
        (
            "selection={{ sample.selection | py }},",
            "selection=None,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "weight={{ sample.weight | py }},",
            "weight=None,",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
    ],
    f"{SECTIONS}/script.jinja": [
        ("save_dir=SAVE_DIR,", "save_dir=TRACKER_PATH,", "options::test_save_dir_and_tracker_path"),
        (
            "tracker_path=TRACKER_PATH,",
            "tracker_path=SAVE_DIR,",
            "options::test_save_dir_and_tracker_path",
        ),
        ("seed=SEED,", "seed=1,", "options::test_seed"),
        ("    fingerprints=FINGERPRINTS,\n", "", "refusals::test_a_pinned_fingerprint"),
        ("    comet_project_name=COMET_PROJECT_NAME,\n", "", "comet::test_comet_project_name"),
        ("    stage=STAGE,\n", "", "fakes::test_what_the_stages_leave"),
    ],
    f"{SECTIONS}/trainer.jinja": [
        (
            "mode=MONITOR_MODE, patience",
            'mode="min", patience',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            "patience=EARLY_STOP_PATIENCE, check_finite=False",
            "patience=EARLY_STOP_PATIENCE + 1, check_finite=False",
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_loss]",
        ),
        ("check_val_every_n_epoch=CHECK_EVAL_N_EPOCH,", "", "options::test_check_eval_n_epoch"),
        (
            "num_sanity_val_steps=NUM_SANITY_VAL_STEPS,",
            "num_sanity_val_steps=0,",
            "options::test_num_sanity_val_steps",
        ),
        (
            "validation_batches(validation, classifier, BATCH_SIZE, *tasks)",
            "validation_batches(train, classifier, BATCH_SIZE, *tasks)",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "monitor_mode=MONITOR_MODE,",
            'monitor_mode="min",',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            "save_top_k=SAVE_TOP_K,",
            "save_top_k=1,",
            "runs_variants::test_a_plateau_is_looked_for_after_validations",
        ),
        (
            "        start_from=start_from,\n",
            "",
            "loading::test_a_continued_run_equals_a_straight_one[last]",
        ),
        ("        precision=PRECISION,\n", "", "options::test_precision_64"),
        (
            "Rounds({{ learnt }}, BATCH_SIZE",
            "Rounds(train, BATCH_SIZE",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[clipped]",
        ),
        (
            "BATCH_SIZE, run.seed.number, *tasks",
            "BATCH_SIZE, 1, *tasks",
            "wiring::test_the_order_of_batches_is_that_of_the_seed",
        ),
        ("ckpt_path=training.resume,", "ckpt_path=None,", "interruptions::test_kill_and_damage"),
    ],
    # Parts.
    f"{PARTS}/activations.py": [
        (
            "size * size / 2, size - 0.5",
            "size * size / 2, size",
            "ensembles::test_activations_of_outputs",
        ),
        ("return -softabs(x)", "return softabs(x)", "ensembles::test_activations_of_outputs"),
    ],
    f"{PARTS}/applications.py": [
        (
            "split_warning([each.card for each in self.networks])",
            "split_warning([])",
            "applied_files::test_a_split_that_is_not_the_only_one_is_warned_of_where_it_is_told",
        ),
        (
            "[:, None], 0.0, found)",
            "[:, None], 1.0, found)",
            "applications::test_in_the_crack_every_member_is_zero",
        ),
        (
            "self.findings.refuse(what, eta, lacking, rows)",
            "self.findings.warn(what, eta, lacking, rows)",
            "applications::test_whether_a_lepton_is_in_the_crack_is_never_guessed",
        ),
        (
            "~np.isfinite(summed)",
            "np.isnan(summed)",
            "exports::test_no_factor_is_infinite",
        ),
        (
            "ddof=min(1, found.shape[axis] - 1)",
            "ddof=0",
            "applications::test_the_spread_is_the_standard_deviation",
        ),
        (
            "np.flatnonzero(folds == number)",
            "np.flatnonzero(folds == (number + 1) % len(self.networks))",
            "applied_files::test_of_folds_each_event_is_scored_by_the_network_that_has_not_seen_it",
        ),
        (
            "if trained and not",
            "if False and not",
            "apply_refusals::test_networks_of_other_runs_than_those_of_the_scripts_are_refused",
        ),
    ],
    f"{PARTS}/networks.py": [
        (
            "array[start : start + CHUNK]",
            "array[start : start + CHUNK - 1]",
            "safe_points::test_a_fake_factor_is_applied_in_chunks_without_losing_an_event",
        ),
        (
            "if threads.isdigit() else 1",
            "if threads.isdigit() else 0",
            "apply_refusals::test_threads_are_as_many_as_omp_num_threads",
        ),
        (
            "if there != said or",
            "if",
            "apply_refusals::test_a_graph_that_does_not_fit_its_card_is_refused",
        ),
        (
            "if card.split != Fold(number, len(paths)):",
            "if False:",
            "apply_refusals::test_networks_that_are_no_cross_validation_are_refused",
        ),
        (
            "now.st_size, now.st_mtime_ns",
            "",
            "apply_refusals::test_a_network_is_read_anew_once_it_is_replaced",
        ),
        (
            "if number not in there]",
            "if number < 0]",
            "apply_refusals::test_networks_that_are_no_cross_validation_are_refused",
        ),
    ],
    f"{PARTS}/given_columns.py": [
        (
            "absent = np.asarray(column.isna(), dtype=np.bool_)",
            "absent = np.zeros(len(column), dtype=np.bool_)",
            "given_columns::test_nan_is_a_null_to_pandas_alone",
        ),
        (
            "np.where(absent, column.dtype.type(0), column.data), absent",
            "np.asarray(column), None",
            "given_columns::test_whole_numbers_stay_exact_beside_a_null",
        ),
    ],
    f"{PARTS}/named_columns.py": [
        (
            "has(events, name) and derivable(events, name, derived)",
            "has(events, name) and False",
            "given_columns::test_a_column_is_given_or_derived_and_never_both",
        ),
    ],
    f"{PARTS}/scored_columns.py": [
        (
            "values[:, np.newaxis] if values.ndim == 1 else values",
            "values.reshape(events.size, -1)",
            "applied_chunks::test_chunks_in_which_no_event_is_chosen_have_no_score",
        ),
        (
            "if self.is_twice(name)]",
            "if False]",
            "apply_refusals::test_a_column_of_the_name_of_a_derived_one_is_refused_as_in_training",
        ),
        (
            "kept = places == SPLITS.index(self.choices.only)",
            "kept = places >= SPLITS.index(self.choices.only)",
            "applied_files::test_the_events_of_one_split_alone",
        ),
        (
            "chosen = kept & condition(chunk, self.sample.selection)",
            "chosen = kept | condition(chunk, self.sample.selection)",
            "applied_files::test_events_that_a_sample_leaves_out_may_be_anything",
        ),
        (
            "rows[chosen], folds)",
            "rows[: events.size], folds)",
            "apply_refusals::test_a_value_that_no_network_takes_is_told_of_by_its_row",
        ),
        (
            "np.uint64 if unsigned else np.int64",
            "np.int64",
            "applied_files::test_an_event_number_beyond_int64_is_exact",
        ),
        (
            "weights(events, self.sample.weight)",
            "weights(events, None)",
            "applied_files::test_the_split_is_that_of_the_training",
        ),
    ],
    f"{PARTS}/file_applications.py": [
        (
            "        row += chunk.size\n",
            "",
            "apply_refusals::test_a_value_that_no_network_takes_is_told_of_by_its_row",
        ),
        (
            "own = replace(application, findings=Findings())",
            "own = application",
            "apply_refusals::test_what_is_said_of_a_file_is_of_no_other",
        ),
        (
            "if there.is_relative_to(here):",
            "if False:",
            "apply_refusals::test_a_folder_of_events_is_not_replaced_by_its_scores",
        ),
        (
            "return names.pop() if len(names) == 1 else None",
            "return None",
            "applied_files::test_another_tree_is_named_and_that_of_the_training_is_not",
        ),
        (
            'columns.application.findings.check_values(f"{quoted(columns.path)}: ")',
            "pass",
            "apply_refusals::test_a_value_that_no_network_takes_ends_it_at_once",
        ),
        (
            'alone = "" if task.beside else',
            'alone = "" if True else',
            "applied_files::test_scores_alone_are_said_to_be_so",
        ),
        (
            "and not choices.new and None not in trained",
            "and choices.new and None not in trained",
            "applied_files::test_without_an_event_number_another_tree_has_no_split",
        ),
        (
            "if each.reader == READERS[kind]]",
            "]",
            "applied_files::test_the_name_of_a_tree_is_asked_of_no_other_format",
        ),
    ],
    f"{PARTS}/selections.py": [
        (
            "wide = np.uint64 if found.array.dtype == np.uint64 else np.int64",
            "wide = np.int32",
            "applied_files::test_scores_and_splits_stand_beside_the_events",
        ),
    ],
    f"{PARTS}/optimizations.py": [
        (
            'if group.get("capturable") and not',
            'if group.get("capturable") and alone and not',
            "optimizations::test_what_is_captured_for_a_gpu_is_refused_on_a_cpu",
        ),
        (
            'schedule["interval"] == "step" and most < steps',
            'schedule["interval"] == "step" and most < steps - 1',
            "optimizations::test_a_schedule_that_ends_before_the_training_is_refused",
        ),
    ],
    f"{PARTS}/free_memory.py": [
        (
            "int(limit) - int(used) + sum(map(int, given_up))",
            "int(limit) - int(used)",
            "memory::test_what_a_group_can_still_get_is_its_limit_without_what_it_holds",
        ),
        (
            "return min(found, default=None)",
            "return max(found, default=None)",
            "memory::test_the_limit_of_a_container_counts",
        ),
    ],
    f"{PARTS}/ranges.py": [
        (
            "np.isnan(values) if missing != missing else values ==",
            "np.isnan(values) if missing else values ==",
            "exports::test_values_that_training_refuses_are_refused",
        ),
        (
            "usable = np.isfinite(given) & (given == np.floor(given))",
            "usable = given == given",
            "exports::test_values_that_training_refuses_are_refused",
        ),
        (
            "if (there >= ENOUGH and 2 * outside > there)",
            "if (there >= ENOUGH and outside > there)",
            "apply_refusals::test_features_of_another_unit_are_refused_unless_they_are_accepted",
        ),
        (
            "(missing is not None and low <= np.float32(missing) <= high)",
            "False",
            "exports::test_a_missing_value_within_the_range_is_told_from_one_that_is_there",
        ),
        (
            "wrong = there & (column <= 0)",
            "wrong = there & (values <= 0)",
            "exports::test_values_that_training_refuses_are_refused",
        ),
        (
            "there & ((column < low) | (column > high))",
            "there & ((values < low) | (values > high))",
            "exports::test_what_the_training_has_not_seen_is_counted_and_said",
        ),
        (
            "if name not in seen.lacking:",
            "if name in seen.lacking:",
            "exports::test_what_the_training_has_not_seen_is_counted_and_said",
        ),
    ],
    f"{PARTS}/batches.py": [
        (
            "manual_seed(seed[0] * 1_000_003 + self.epoch)",
            "manual_seed(self.epoch)",
            "wiring::test_the_order_of_batches_is_that_of_the_seed",
        ),
        (
            "manual_seed(seed[0] * 1_000_003 + self.epoch)",
            "manual_seed(seed[0])",
            "options::test_each_epoch_has_an_order_of_its_own",
        ),
        (
            "*= last * self.world_size / everybodys",
            "*= 1.0",
            "batches::test_the_mean_over_ranks_is_the_mean_over_events",
        ),
        (
            "(tail >= 2 * world_size)",
            "(tail > 0)",
            "batches::test_every_event_is_seen_once_an_epoch_over_all_ranks",
        ),
        (
            "start, self.position = self.position, 0",
            "start, self.position = 0, 0",
            "batches::test_an_epoch_goes_on_exactly_where_it_was_left",
        ),
        (
            "self.position = stop % self.steps",
            "self.position = stop",
            "batches::test_the_state_is_plain_and_stands_at_the_start_after_a_whole_epoch",
        ),
        (
            "steps // LEAST_ROUNDS, few))",
            "steps // LEAST_ROUNDS))",
            "batches::test_rounds_have_many_steps_where_there_are_many_and_they_are_short",
        ),
        (
            "return max(batch_size, min(most,",
            "return min(batch_size, min(most,",
            "batches::test_validation_is_in_large_batches",
        ),
    ],
    f"{PARTS}/binnings.py": [
        (
            "np.where(is_data, weight, -weight * ratio)",
            "np.where(is_data, weight, -weight)",
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
        (
            "for here in (is_tight, ~is_tight)",
            "for here in (~is_tight, is_tight)",
            "fake_plots::test_the_binned_fake_factor_and_its_error_by_hand",
        ),
        (
            "weight, tight = estimates.loss_weight.mean(axis=1), estimates.label == 1",
            "weight, tight = estimates.weight, estimates.label == 1",
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
    ],
    f"{PARTS}/classifiers.py": [
        (
            "            self.schedule.judge(",
            "            0 and self.schedule.judge(",
            "plateaus::test_a_plateau_is_one_of_the_monitored_metric",
        ),
        (
            "            self.schedule.end_epoch()\n",
            "            pass\n",
            "wiring::test_a_schedule_is_as_long_as_the_training",
        ),
        (
            "return (self.loss(logits, label) * weight).mean()",
            "return self.loss(logits, label).mean()",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "return (loss * weight).sum() / weight.sum()",
            "return (loss * weight).mean()",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "math.ceil(self.warmup_epochs",
            "math.floor(self.warmup_epochs",
            "wiring::test_the_learning_rate_rises_as_the_shape_of_the_warm_up_says",
        ),
        (
            "return (1 - math.cos(math.pi * progress)) / 2",
            "return progress",
            "wiring::test_the_learning_rate_rises_as_the_shape_of_the_warm_up_says",
        ),
        (
            '    if problems:\n        raise RefusedError("\\n  ".join(["the checkpoint',
            '    if len(problems) > 9:\n        raise RefusedError("\\n  ".join(["the checkpoint',
            "loading::test_a_checkpoint_that_cannot_serve_is_refused",
        ),
    ],
    f"{PARTS}/closures.py": [
        (
            '"fakes_ratio"] - 1) <= self.tolerance',
            '"fakes_ratio"] - 1) <= 0.5',
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "math.sqrt(mc2 + fakes2 + yield_ratio**2 * data2)",
            "math.sqrt(mc2 + fakes2 + data2)",
            "closures::test_yields_and_errors_by_hand",
        ),
        (
            "signed = np.where(is_data, weight, -weight)\n    terms",
            "signed = np.where(is_data, weight, weight)\n    terms",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
    ],
    f"{PARTS}/cracks.py": [
        (
            "np.abs(eta) > crack.low",
            "np.abs(eta) >= crack.low",
            "leptons::test_the_crack_is_left_out_on_both_sides",
        ),
    ],
    f"{PARTS}/densities.py": [
        (
            "torch.where(leptons.is_data[:, None], -torch.expm1(-log_ratio), torch.expm1(log_ratio))",
            "torch.where(leptons.is_data[:, None], torch.expm1(log_ratio), -torch.expm1(-log_ratio))",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say",
        ),
        (
            "for label in (0, 1):",
            "for label in (1,):",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[clipped]",
        ),
        (
            "counts * mc_factors, counts)",
            "counts, counts * mc_factors)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
    ],
    f"{PARTS}/density_losses.py": [
        (
            "return 2 * direct_link(logits)",
            "return direct_link(logits)",
            "density_losses::test_the_minimum_is_at_the_ratio_of_weights",
        ),
        (
            "w_lambda * logits.square()",
            "logits.square()",
            "fakes_wiring::test_penalties_belong_to_training_alone",
        ),
        (
            "(ess_lambda / (ess + 1e-8)).sum()",
            "(ess_lambda * (ess + 1e-8)).sum()",
            "fakes_wiring::test_penalties_belong_to_training_alone",
        ),
    ],
    f"{PARTS}/density_ratios.py": [
        (
            "return (loss * weight).mean(dim=0).sum()",
            "return (loss * weight).mean()",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
        (
            '"numerical": list(numerical),',
            '"numerical": sorted(numerical),',
            "fakes::test_a_checkpoint_that_is_another_network_is_refused",
        ),
    ],
    f"{PARTS}/ensembles.py": [
        (
            "(value >= self.edges.to(value))",
            "(value > self.edges.to(value))",
            "ensembles::test_a_slice_begins_at_its_edge",
        ),
        (
            "0x5EE5 + member, dtype",
            "0x5EE5, dtype",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[bootstrapped]",
        ),
        (
            "1 + deviation * drawn / drawn.std()",
            "1 + deviation * drawn",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
    ],
    f"{PARTS}/estimates.py": [
        (
            "np.exp(estimates.log_ratio).mean(axis=1)",
            "np.exp(estimates.log_ratio.mean(axis=1))",
            "fake_plots::test_the_mean_of_members_is_what_counts",
        ),
    ],
    f"{PARTS}/arrays.py": [
        (
            "(group == number) & found.kept",
            "(group <= number) & found.kept",
            "arrays::test_each_event_is_in_one_split_in_the_order_of_the_files",
        ),
        (
            "chosen_for = partial(fold_numbers, folds=folds)",
            "chosen_for = partial(fold_numbers, folds=folds + 1)",
            "arrays::test_folds_are_what_their_trainings_test",
        ),
        (
            '"weight": events.weight,',
            '"weight": np.abs(events.weight),',
            "arrays::test_each_event_is_in_one_split_in_the_order_of_the_files",
        ),
        (
            "np.count_nonzero(np.isfinite(events.weight))",
            "np.count_nonzero(~np.isnan(events.weight))",
            "events::test_weights_that_are_not_finite_are_refused",
        ),
        (
            "np.full((size, 1), mark.key)",
            "np.zeros((size, 1), np.uint64)",
            "leptons::test_samples_that_number_their_events_alike_are_told_apart",
        ),
        (
            "self.filled.get(name, 0) + count",
            "count",
            "arrays::test_what_is_filled_is_counted_and_said",
        ),
        (
            "self._memory = grown(self._memory, 2 * needed)",
            "self._memory = mmap(-1, 2 * needed)",
            "arrays::test_rows_are_what_was_added_whatever_the_blocks",
        ),
    ],
    f"{PARTS}/columns.py": [
        (
            "absent if found.missing is None else absent | found.missing",
            "found.missing",
            "columns::test_what_is_computed_from_the_missing_value_is_missing",
        ),
        (
            "array[found.missing] = np.nan if self.missing is None else self.missing",
            "array[found.missing] = np.nan",
            "columns::test_what_is_computed_from_the_missing_value_is_missing",
        ),
        (
            "(element[1], int(element[2]))",
            "(element[1], int(element[2]) + 1)",
            "columns::test_nulls_and_what_lies_behind_the_end_of_a_list_have_the_missing_value",
        ),
        (
            "column.first[chosen], column.length[chosen]",
            "column.first, column.length[chosen]",
            "columns::test_chosen_events_keep_their_values",
        ),
    ],
    f"{PARTS}/csv_files.py": [
        (
            'return "huge" if both == {"natural", "huge"} else "real"',
            'return "real"',
            "csv_files::test_a_type_holds_for_the_whole_file",
        ),
        (
            '"n/a", "NULL", "null"]',
            '"n/a", "NULL"]',
            "csv_files::test_cells_that_say_so_are_absent",
        ),
    ],
    f"{PARTS}/datasets.py": [
        (
            "    if not dataset.drop_other_classes:",
            "    if dataset.drop_other_classes is None:",
            "datasets::test_events_of_no_class_are_refused_unless_they_may_be_left_out",
        ),
        (
            "dataset.classes.index(name) for name",
            "sorted(dataset.classes).index(name) for name",
            "datasets::test_labels_are_in_the_order_of_the_classes",
        ),
    ],
    f"{PARTS}/files.py": [
        (
            "        if found.get(path) != expected:",
            "        if path not in found:",
            "files::test_data_that_the_spec_pins_must_be_that_data",
        ),
        (
            "            while chunk := file.read(BYTES_AT_ONCE):\n                obey()\n",
            "            while chunk := file.read(BYTES_AT_ONCE):\n",
            "safe_points::test_fingerprints_are_taken_in_chunks",
        ),
    ],
    f"{PARTS}/parquet_files.py": [
        (
            'read.values.dtype.kind in "iu"',
            'read.values.dtype.kind in "u"',
            "parquet_files::test_whole_numbers_of_a_file_are_real_where_others_are",
        ),
    ],
    f"{PARTS}/readers.py": [
        (
            "there = self.length > index",
            "there = self.length >= index",
            "columns::test_nulls_and_what_lies_behind_the_end_of_a_list_have_the_missing_value",
        ),
    ],
    f"{PARTS}/splits.py": [
        (
            "[train, train + validation])",
            "[train, 1 - validation])",
            "events::test_a_split_holds_its_share_within_chance",
        ),
    ],
    f"{PARTS}/whole_numbers.py": [
        (
            'one * other if sign == "*" else one + other',
            "one + other",
            "expressions::test_no_number_wraps_whatever_type_a_file_has",
        ),
    ],
    f"{PARTS}/loss_weights.py": [
        (
            "        if not is_yield(total, size):",
            "        if not total > 0:",
            "events::test_a_class_whose_weights_cancel_is_refused",
        ),
        (
            "weight = weight if use_mc_weights",
            "weight = np.abs(weight) if use_mc_weights",
            "events::test_loss_weights_keep_signs_and_have_mean_one",
        ),
    ],
    f"{PARTS}/combinations.py": [
        (
            "significance_above(*case, cuts)",
            "significance_above(*case, float(cuts.mean()))",
            "combinations::test_signal_and_background_are_what_passes_the_cut_of_its_own_fold",
        ),
        (
            "significance_error(outputs, case[0] >= cuts)",
            "significance_error(outputs, case[0] >= 0.5)",
            "combinations::test_with_one_cut_for_all_it_is_what_the_metrics_of_one_test_are",
        ),
        (
            "    if not np.isnan(cuts).any():\n",
            "    if True:\n",
            "combinations::test_a_fold_without_a_cut_leaves_no_significance_and_all_else",
        ),
        (
            "each.std(ddof=1)",
            "each.std()",
            "combinations::test_the_spread_is_the_standard_deviation_of_the_tests",
        ),
    ],
    f"{PARTS}/fold_scores.py": [
        (
            "if (card.run, card.split) != (run, fold):",
            "if card.split != fold:",
            "fold_scores::test_the_network_of_another_run_or_fold_is_refused",
        ),
        (
            "(events.weight if use_mc_weights else 1.0) * factors[events.label],",
            "events.weight * factors[events.label],",
            "fold_scores::test_weights_of_the_loss_are_of_the_mixture_that_was_trained_on",
        ),
        (
            "zip(networks, folds, strict=True)",
            "zip(networks[::-1], folds, strict=True)",
            "fold_scores::test_every_event_has_the_score_of_its_fold_whatever_the_chunks",
        ),
    ],
    f"{PARTS}/combined_plots.py": [
        (
            "cuts = np.unique(combined.cut_of_events())",
            "cuts = combined.cut_of_events()[:1]",
            "combined_plots::test_the_cuts_of_the_folds_and_what_is_above_them_are_marked",
        ),
    ],
    f"{PARTS}/steps.py": [
        (
            "        torch.clear_autocast_cache()\n",
            "",
            "steps::test_mixed_precision_computes_each_step_with_the_weights_of_the_step_before",
        ),
        (
            '            group["lr"] = own\n',
            "            pass\n",
            "steps::test_a_step_takes_its_share_of_the_rate_and_leaves_the_rate_as_it_was",
        ),
        (
            "        self.scaler.unscale_(self.optimizer)\n",
            "",
            "steps::test_a_step_follows_the_gradient_no_further_than_its_norm_may_be",
        ),
        (
            "if self.judges and epoch % self.frequency == 0",
            "if self.judges",
            "steps::test_a_schedule_that_judges_moves_in_its_epochs_only",
        ),
        (
            "            self.clip()\n            return loss\n",
            "            return loss\n",
            "steps::test_a_step_follows_the_gradient_no_further_than_its_norm_may_be",
        ),
        (
            'if self.interval == "step" and not self.judges',
            "if not self.judges",
            "steps::test_a_schedule_moves_with_every_step_or_with_every_epoch",
        ),
    ],
    f"{MACHINERY}/fold_runs.py": [
        (
            "            check_own_data(each.folder, data, samples)\n",
            "            check_own_data(trained[0].folder, data, samples)\n",
            "fold_runs::test_other_data_are_refused_and_each_fold_that_saw_them_is_named",
        ),
        (
            "    check_fold_network(found.network, folder.name, fold)\n",
            "",
            "fold_runs::test_a_network_of_another_fold_is_refused",
        ),
    ],
    f"{MACHINERY}/combining.py": [
        (
            "        numbers.unlink(missing_ok=True)\n",
            "",
            "combining::test_no_metrics_are_left_where_the_networks_are_not",
        ),
        (
            '    if (folder / "run.json").exists():\n',
            "    if False:\n",
            "combining::test_the_folder_of_a_run_is_left_alone",
        ),
        (
            "sorted(found, key=lambda each: each[0])",
            "sorted(found, key=lambda each: -each[0])",
            "cross_validation::test_the_points_of_a_sweep_are_combined_that_are_whole_and_compared",
        ),
    ],
    f"{MACHINERY}/combined_records.py": [
        (
            "    if not begins_with(folder.record, metrics):\n",
            "    if True:\n",
            "combining::test_the_same_again_is_the_same_bytes_and_the_same_entry_of_the_tracker",
        ),
        (
            "    if not begins_with(folder.record, metrics):\n",
            "    if not folder.record.exists():\n",
            "combining::test_other_numbers_are_another_entry",
        ),
    ],
    "templates/combine.py.jinja": [
        (
            "    check_data_of_folds(trained, data, digests_by_sample(files, data))\n",
            "    fingerprints(files)\n",
            "cross_validation::test_other_data_than_those_of_the_trainings_are_refused",
        ),
    ],
    f"{PARTS}/class_yields.py": [
        (
            "if not each.events or not is_yield(np.array(each.total), np.array(each.size)):",
            "if not each.events:",
            "combinations::test_a_class_that_a_fold_lacks_is_refused_by_name",
        ),
    ],
    f"{PARTS}/windows.py": [
        (
            "mixed = rows[torch.randperm(len(rows), generator=generator)]",
            "mixed = rows",
            "windows::test_batches_differ_from_epoch_to_epoch_as_if_by_chance",
        ),
        (
            "torch.randperm(-(-self.size // BLOCK_EVENTS), generator=generator)",
            "torch.arange(-(-self.size // BLOCK_EVENTS))",
            "windows::test_batches_differ_from_epoch_to_epoch_as_if_by_chance",
        ),
        (
            "min(window + 2, len(self.windows))",
            "window + 1",
            "windows::test_a_window_is_read_with_the_next_one_and_each_once",
        ),
    ],
    f"{PARTS}/shuffled_records.py": [
        (
            'yield block[np.argsort(block[BY_HASH], kind="stable")]',
            "yield block",
            "windows::test_what_a_disk_has_mixed_does_not_depend_on_memory_or_chunks",
        ),
        (
            "records[BY_HASH] = shares(numbers[:, np.newaxis])",
            "records[BY_HASH] = numbers / 2**63",
            "windows::test_batches_of_files_that_are_sorted_by_class_are_as_mixed_as_by_chance",
        ),
    ],
    f"{PARTS}/cached_arrays.py": [
        (
            "((test + 2, test + split.folds), (test + 1, test + 2), (test, test + 1))",
            "((test + 1, test + split.folds), (test + 1, test + 2), (test, test + 1))",
            "cached_arrays::test_each_split_has_the_events_that_it_has_in_memory",
        ),
        (
            "return said if whole else None",
            "return said",
            "cached_arrays::test_a_folder_that_is_not_whole_is_known",
        ),
    ],
    f"{MACHINERY}/caches.py": [
        (
            "st_mtime < UNUSED",
            "st_mtime < 0",
            "caches::test_only_what_nobody_has_used_for_long_is_removed",
        ),
        (
            "            with kept_apart(place):\n",
            "            if True:\n",
            "caches::test_of_two_processes_one_makes_it_and_the_other_waits",
        ),
    ],
    f"{MACHINERY}/cached_data.py": [
        (
            "split=Fold(0, split.folds) if isinstance(split, Fold) else split,",
            "split=split,",
            "cached_data::test_all_folds_are_one_cache",
        ),
    ],
    f"{PARTS}/cached_events.py": [
        (
            "        note_use(self.folder)\n",
            "",
            "cached_events::test_each_epoch_shows_that_a_folder_is_in_use",
        ),
    ],
    f"{PARTS}/events.py": [
        (
            "torch.from_numpy(own * share[label])",
            "torch.from_numpy(own)",
            "events::test_parquet_and_csv_are_read_into_the_asked_columns",
        ),
        (
            "        check_class_yields(found, name)\n",
            "",
            "refusals::test_data_that_cannot_be_used",
        ),
        (
            "    for each in (one, two, three):\n        check_positive(",
            "    for each in (one, two):\n        check_positive(",
            "events::test_a_feature_without_a_logarithm_is_refused_in_any_split",
        ),
    ],
    f"{PARTS}/agreements.py": [
        (
            '"probability": 1e-5',
            '"probability": 1e-4',
            "exports::test_a_file_that_says_something_else_is_none",
        ),
        (
            "    return [*chunks, *few, *odd]",
            "    return [*chunks, *few]",
            "exports::test_a_file_that_says_something_else_is_none",
        ),
        (
            "    return float(far.max(",
            "    return float(np.nan_to_num(far).max(",
            "agreements::test_differences_are_those_of_probabilities_or_shares_of_factors",
        ),
        (
            "next(value for value in count() if value not in known)",
            "0",
            "agreements::test_each_category_is_one_that_training_did_not_have",
        ),
        (
            "for most in (0, 1)]",
            "for most in (1, 1)]",
            "agreements::test_all_events_are_compared_and_one_and_none_of_them",
        ),
    ],
    f"{PARTS}/exports.py": [
        (
            "copy.deepcopy(own).float()",
            "own.float()",
            "exports::test_another_precision_is_exported_in_single_and_what_that_changes_is_said",
        ),
        (
            "    if not far <= LIMITS[card.gives]:",
            "    if far > LIMITS[card.gives]:",
            "exports::test_a_file_that_gives_no_number_where_the_network_does_is_none",
        ),
        (
            ").cpu().eval()",
            ").cpu()",
            "exports::test_a_classifier_gives_its_probabilities_whatever_it_is_made_of",
        ),
    ],
    f"{PARTS}/model_cards.py": [
        (
            "json.loads(metadata[name])",
            'json.loads(metadata.get(name, "null"))',
            "applications::test_a_network_that_does_not_say_what_it_takes_is_refused",
        ),
    ],
    f"{PARTS}/sightings.py": [
        (
            "            lacks |= absent.any(0)",
            "            lacks = absent.any(0)",
            "sightings::test_ranges_are_of_values_that_exist",
        ),
    ],
    f"{MACHINERY}/deployed_networks.py": [
        (
            "        earlier=had_another_split(run.events),\n",
            "        earlier=False,\n",
            "deployed_networks::test_the_card_of_a_network_that_had_another_split_before_says_so",
        ),
        (
            "return torch.exp(ratio.link(logits))",
            "return torch.exp(-ratio.link(logits))",
            "deployed_networks::test_a_fake_factor_is_the_exponential_of_its_logarithm",
        ),
        (
            "        remove_deployment(run.folder.path)\n",
            "",
            "deployed_networks::test_a_network_without_a_file_is_not_deployed_and_a_line_says_so",
        ),
        (
            'said.get("tree", said.get("table"))',
            'said.get("table")',
            "deployed_networks::test_the_file_says_all_that_there_is_to_know",
        ),
    ],
    f"{PARTS}/fake_plots.py": [
        (
            "np.abs(estimates.weight[loose])",
            "estimates.weight[loose]",
            "fake_plots::test_profiles_weight_loose_events_with_the_size_of_their_weights",
        ),
    ],
    f"{PARTS}/inputs.py": [
        (
            "scaled = self.scaling(numerical).masked_fill(absent, 0.0)",
            "scaled = self.scaling(numerical)",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "torch.where(known, place + 1, 0)",
            "torch.where(known, place + 1, 1)",
            "inputs::test_unseen_categories_share_one_embedding",
        ),
        (
            "        there = column if missing is None else column[~is_missing(column, missing)]",
            "        there = column",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
        (
            "return torch.where(self.chosen, logarithm(x), x)",
            "return torch.where(self.chosen, x, x)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            "(0.25, 0.5, 0.75)",
            "(0.16, 0.5, 0.84)",
            "wiring::test_other_scalings_are_those_of_the_training_events[robust]",
        ),
        (
            "[logarithm(x) if i in places else x for i, x in enumerate(features)]",
            "[*features]",
            "fakes_wiring::test_the_scaling_is_that_of_all_training_leptons",
        ),
    ],
    f"{PARTS}/leptons.py": [
        (
            "not is_yield(total, np.abs(weight).sum())",
            "not total > 0",
            "leptons::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "return ~in_crack(eta, self.crack), tight",
            "return in_crack(eta, self.crack), tight",
            "leptons::test_the_crack_is_left_out_on_both_sides",
        ),
        (
            "np.ones(chunk.size, dtype=bool), tight",
            "np.ones(chunk.size, dtype=bool), ~tight",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            "        if not self.others:",
            "        if len(self.others) < 2:",
            "leptons::test_a_lepton_that_is_neither_tight_nor_loose_is_refused",
        ),
    ],
    f"{PARTS}/losses.py": [
        (
            "return missed**gamma * entropy",
            "return missed ** (gamma + 1) * entropy",
            "wiring::test_losses_of_two_classes_are_those_that_their_options_say[focal-table0-<lambda>]",
        ),
        (
            "label_smoothing=label_smoothing\n",
            "label_smoothing=0.0\n",
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[smooth-table1-smoothed-0.2]",
        ),
        (
            "- label.to(logits.dtype)) ** 2",
            "- label.to(logits.dtype)).abs()",
            "wiring::test_losses_of_two_classes_are_those_that_their_options_say[mse-table1-<lambda>]",
        ),
    ],
    f"{PARTS}/metric_remarks.py": [
        (
            "tested=split in tested",
            "tested=False",
            "runs_checkpoint_events::test_unseen_events_have_no_cut_where_the_checkpoint_brings_none",
        ),
    ],
    f"{PARTS}/metrics.py": [
        (
            "for row in (weight * positive, weight * ~positive, np.abs(weight * ~positive))",
            "for row in (weight * ~positive, weight * positive, np.abs(weight * positive))",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "b**2 >= LEAST_BACKGROUND * variance",
            "b**2 >= variance",
            "metrics::test_the_scan_counts_the_yields_above_each_cut",
        ),
        (
            "np.asarray(total > ROUNDING * size)",
            "np.asarray(total > 0 * size)",
            "metrics::test_scaling_the_weights_does_not_change_the_ratios",
        ),
        (
            "np.clip(np.where(there, true, 0) / np.where(there, every, 1), 0, 1)",
            "np.where(there, true, 0) / np.where(there, every, 1)",
            "metrics::test_average_precision_of_signed_weights_by_hand",
        ),
        (
            "return self.ranking_of(1)",
            "return self.ranking_of(0)",
            "wiring::test_the_cut_is_the_best_one_of_validation",
        ),
        (
            "np.flatnonzero(self.score[1:] != self.score[:-1]) + 1",
            "np.arange(1, len(self.score))",
            "metrics::test_auc_of_signed_weights_and_ties_is_the_pairwise_probability",
        ),
        (
            "np.full(len(ranked), np.nan) if unknown else weight[order]",
            "weight[order]",
            "metrics::test_a_score_that_is_nan_gives_nan",
        ),
    ],
    f"{PARTS}/models.py": [
        (
            "return x + changed",
            "return changed",
            "models::test_a_block_whose_last_layer_is_zero_changes_nothing",
        ),
        (
            "torch.cat([torch.zeros_like(logits), logits], dim=1)",
            "torch.cat([logits, torch.zeros_like(logits)], dim=1)",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "layers += [nn.Linear(width, n_hidden), norm(n_hidden), act(), nn.Dropout(dropout)]",
            "layers += [nn.Linear(width, n_hidden), nn.Identity(), act(), nn.Dropout(dropout)]",
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
    ],
    f"{PARTS}/bootstrap.py": [
        (
            "return found if found > NOISE * float(np.abs(known).max()) else 0.0",
            "return found",
            "uncertainties::test_classes_that_are_wholly_separated_have_no_uncertainty_but_of_their_yields",
        ),
        (
            "default_rng([seed, ",
            "default_rng([0, ",
            "uncertainties::test_the_seed_decides_them_to_the_last_bit",
        ),
    ],
    f"{PARTS}/fake_uncertainties.py": [
        (
            "np.where(those != 0, those, np.nan)",
            "np.where(those > 0, those, np.nan)",
            "fake_uncertainties::test_a_quotient_of_negative_sums_has_the_uncertainty_of_the_same_with_positive_ones",
        ),
        (
            "(left * sums + own)",
            "(sums + own)",
            "fake_uncertainties::test_uncertainties_are_how_metrics_of_many_samples_differ[0.0]",
        ),
    ],
    f"{PARTS}/plots.py": [
        (
            "used = None if cut is None else (cut, ",
            "used = None and (cut, ",
            "plots::test_the_plot_of_significance_marks_the_cut_that_was_used",
        ),
        (
            "is_yield(total, size)",
            "total > 0",
            "plots::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "is_yield(totals, sizes)",
            "totals > 0",
            "plots::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "plot_calibration(named, validation.loss_weight, caption)",
            "plot_calibration(named, weight, caption)",
            "plots::test_calibration_counts_events_as_the_loss_does",
        ),
        (
            "fractions = matrix / np.where(is_yield",
            "fractions = matrix.T / np.where(is_yield",
            "plots::test_confusion_shows_fractions_of_the_true_class_and_yields",
        ),
        (
            "rows = (outputs.weight, outputs.weight**2)",
            "rows = (outputs.weight, outputs.weight)",
            "plots::test_density_has_unit_area_and_errors_of_signed_weights",
        ),
        (
            "    place -= score < edges[place]\n",
            "",
            "plots::test_scores_on_edges_are_counted_as_numpy_does",
        ),
    ],
    # Parts: how a run starts, goes on and ends.
    f"{MACHINERY}/ancestors.py": [
        (
            "    check_match(ratio, knows(stage, network), content)\n",
            "",
            "fakes::test_a_checkpoint_that_is_another_network_is_refused",
        ),
        (
            '    ratio.load_state_dict(content["state_dict"], assign=True)\n',
            "",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say[single-True]",
        ),
    ],
    f"{MACHINERY}/arguments.py": [
        (
            'r"[A-Za-z0-9_.+-]{0,50}", text',
            'r".{0,50}", text',
            "tracking::test_again_takes_names_only",
        ),
    ],
    f"{MACHINERY}/backends.py": [
        (
            """        self.wait()\n        opened""",
            """        opened""",
            "backends::test_a_tracker_begins_with_what_the_run_measures",
        ),
        (
            """ and time.time() - began < self.unmeasured:""",
            """:""",
            "backends::test_a_tracker_learns_of_a_run_that_takes_long_to_begin",
        ),
        (
            """            if self.closing.wait(0.1):
                return
""",
            """            time.sleep(0.1)
""",
            "backends::test_a_tracker_is_told_how_a_run_ended_that_has_measured_nothing",
        ),
        (
            """"artifact" not in entry and entry.get("time", 0.0) >= began""",
            """entry.get("time", 0.0) >= began""",
            "backends::test_a_tracker_begins_with_what_the_run_measures",
        ),
        (
            "        if found:\n            return str(found[0].info.run_id)\n",
            "",
            "backends::test_an_entry_that_a_killed_start_had_begun_is_the_runs",
        ),
        (
            '        # Whatever the entry said of the end, it says no more.\n        self.keep("")\n',
            "",
            "backends::test_an_end_that_could_not_be_told_again_is_told_by_the_next_start",
        ),
        (
            "and step > sent.get(name, -1)",
            "and step >= sent.get(name, -1)",
            "backends::test_steps_that_stand_twice_in_the_record_are_sent_once",
        ),
        (
            "                    self.backend.close(self.status)\n",
            "",
            "backends::test_an_mlflow_store_holds_what_the_record_does",
        ),
        (
            "                    self.keep(self.status)\n",
            "",
            "backends::test_a_finished_run_is_mirrored_once_its_tracker_has_all_and_knows_the_end",
        ),
        (
            'said["status"] == "FINISHED" and said["offset"]',
            'said["offset"]',
            "backends::test_a_finished_run_is_mirrored_once_its_tracker_has_all_and_knows_the_end",
        ),
        (
            'self.client.update_run(self.run_id, status="RUNNING")',
            "pass",
            "backends::test_a_later_start_goes_on_with_the_same_entry",
        ),
        (
            "self.steps |= self.backend.last_steps()",
            "pass",
            "backends::test_a_step_is_there_once_if_its_sender_was_killed_and_the_run_went_back",
        ),
        ("log_code=False,", "log_code=True,", "comet::test_comet_has_the_plots_and_the_code"),
        (
            'if line.endswith(b"\\n")]',
            "if line]",
            "backends::test_half_a_line_is_left_for_later",
        ),
    ],
    f"{MACHINERY}/best_checkpoints.py": [
        (
            '                "dirpath": self.dirpath,\n',
            "",
            "checkpoints::test_the_best_stays_the_best_when_the_run_is_moved",
        ),
    ],
    f"{MACHINERY}/stores.py": [
        (
            "    put_right(folder)\n    return address(folder)",
            "    return address(folder)",
            "stores::test_a_store_that_was_moved_names_the_files_where_they_are",
        ),
        (
            "            remove_left(folder, new)\n",
            "            pass\n",
            "stores::test_what_a_store_was_made_of_is_removed_however_that_ended",
        ),
    ],
    f"{MACHINERY}/reasons.py": [
        (
            '        said = said.replace(secret, "***")',
            "        pass",
            "reasons::test_a_reason_shows_neither_passwords_nor_keys",
        ),
    ],
    f"{MACHINERY}/checkpoints.py": [
        (
            "    named = pointer(folder) or rebuilt(folder)",
            "    named = pointer(folder)",
            "checkpoints::test_what_is_newest_is_found_among_the_checkpoints_if_it_was_lost",
        ),
        (
            "trained = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs",
            "trained = trainer.current_epoch + 1 == trainer.max_epochs",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "        if not all(bool(weight.isfinite().all()) for weight in weights):",
            "        if weights is None:",
            "interruptions::test_no_checkpoint_is_made_of_weights_that_are_not_finite",
        ),
        (
            "weights_only=True)\n    except",
            "weights_only=False)\n    except",
            "checkpoints::test_what_is_no_checkpoint_is_refused",
        ),
        (
            "        write_atomically(Path(path), buffer.getvalue())",
            "        Path(path).write_bytes(buffer.getvalue())",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "    check_fit(classifier, content)\n",
            "",
            "loading::test_a_checkpoint_that_cannot_serve_is_refused",
        ),
        (
            '    classifier.load_state_dict(content["state_dict"])\n',
            "",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
    ],
    f"{MACHINERY}/closings.py": [
        (
            "return DONE if closure.passed else FAILED_TO_CLOSE",
            "return DONE",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "return DONE if closure.passed else FAILED_TO_CLOSE",
            "return FAILED_TO_CLOSE",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
    ],
    f"{MACHINERY}/code.py": [
        (
            '        identity += f"+{everything}"\n',
            "        pass\n",
            "sweeps::test_a_script_that_was_edited_is_another_one",
        ),
        (
            "identity = planned or files[script.name]",
            "identity = files[script.name]",
            "sweeps::test_an_interrupted_point_goes_on_after_another_was_added",
        ),
        (
            "    if record.exists():\n",
            "    if False:\n",
            "code::test_an_edited_script_is_known_by_its_own_digest",
        ),
        (
            "(edited or script.name not in listed)",
            "edited",
            "code::test_a_point_is_known_by_the_script_that_was_planned_for_it",
        ),
        (
            "            if not copy.exists() or copy.read_bytes() != content:\n",
            "            if False:\n",
            "tracking::test_mlflow_holds_the_files",
        ),
        (
            "if (edited and edited != (script.name,)) or (planned and",
            "if (planned and",
            "code::test_an_edited_part_is_named_and_makes_other_code",
        ),
        (
            "path if path.exists() and not self.edited else None",
            "path if path.exists() else None",
            "launches::test_edited_code_makes_another_run_and_says_so",
        ),
        (
            "if self.files.get(name) != there.get(name)]",
            "if name not in self.files]",
            "code::test_files_that_differ_from_those_that_were_kept_are_named",
        ),
        (
            "sorted(self.files.keys() | there.keys())",
            "sorted(self.files)",
            "code::test_files_that_differ_from_those_that_were_kept_are_named",
        ),
        (
            '        edited = (*edited, "parts")\n',
            "        pass\n",
            "code::test_an_edit_is_seen_although_the_list_of_digests_was_edited_as_well",
        ),
    ],
    f"{MACHINERY}/deployments.py": [
        (
            "        shutil.rmtree(folder, ignore_errors=True)\n        unfinished",
            "        unfinished",
            "deployments::test_what_another_start_has_left_is_replaced",
        ),
        (
            "        shutil.rmtree(unfinished, ignore_errors=True)\n        raise",
            "        raise",
            "deployments::test_a_folder_that_cannot_be_filled_is_not_there",
        ),
        (
            "        return {}\n    there",
            "    there",
            "deployments::test_without_a_file_the_network_lies_alone_and_a_line_says_so",
        ),
    ],
    f"{MACHINERY}/drawings.py": [
        (
            "        gc.collect()\n",
            "",
            "drawings::test_memory_stays_flat_over_many_sets_of_plots",
        ),
        (
            "self.undrawn.keep(drawing.epoch, drawing.known, drawing.train, drawing.validation)",
            "pass",
            "trackers::test_a_checkpoint_waits_for_no_drawing_and_another_start_can_draw_it",
        ),
        (
            "            self.undrawn.forget()\n",
            "",
            "trackers::test_a_checkpoint_waits_for_no_drawing_and_another_start_can_draw_it",
        ),
    ],
    f"{MACHINERY}/exits.py": [
        (
            "    if ASKED.status and not ASKED.together:",
            "    if ASKED.status > 200 and not ASKED.together:",
            "safe_points::test_fingerprints_are_taken_in_chunks",
        ),
        (
            "signal.SIGUSR2: PREEMPTED",
            "signal.SIGUSR2: CANCELLED",
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "            signal.signal(number, signal.SIG_DFL)",
            "            pass",
            "exits::test_a_second_ctrl_c_ends_the_process_where_it_stands",
        ),
        (
            "        signal.signal(number, signal.SIG_IGN)",
            "        pass",
            "exits::test_the_exit_status_stands_once_nothing_is_listened_to",
        ),
        (
            "DISK_FULL if full else REFUSED\n    stop_listening()",
            "DISK_FULL if full else REFUSED",
            "exits::test_what_is_carried_out_ends_with_a_status_and_a_line",
        ),
        (
            "        print(error, file=sys.stderr)\n        status = error.status",
            "        print(error, file=sys.stderr)\n        status = REFUSED",
            "exits::test_what_is_carried_out_ends_with_a_status_and_a_line",
        ),
    ],
    f"{MACHINERY}/launches.py": [
        (
            'identity["events"] = with_earlier(identity["events"], began)',
            "began",
            "launches::test_a_run_that_went_on_with_other_data_knows_all_that_it_was_trained_on",
        ),
        (
            '        folder.check_start(start_from, identity["start_from"])\n',
            "",
            "launches::test_a_run_goes_on_from_the_checkpoint_that_it_began_from",
        ),
        (
            "    listen(must_stop_together(arguments.srun))\n",
            "",
            "interruptions::test_a_signal_before_training_is_obeyed_before_it",
        ),
        (
            "(folder.is_done and not sync)",
            "folder.is_done",
            "comet::test_a_key_that_is_not_set_is_missed_where_something_is_to_be_sent",
        ),
        (
            "    stop_listening()\n",
            "",
            "interruptions::test_a_signal_while_a_run_ends_changes_nothing",
        ),
        (
            "(arguments.sync or not is_mirrored(folder))",
            "arguments.sync",
            "interruptions::test_a_start_on_a_finished_run_sends_the_tracker_what_it_lacks",
        ),
        (
            "    folder.check_code(code)\n",
            "",
            "tracking::test_another_script_under_the_name_of_an_interrupted_run_is_refused",
        ),
        (
            "folder.identify(identity, accept_data)",
            "folder.identify(identity, True)",
            "refusals::test_data_that_changed_between_two_starts",
        ),
        (
            '        status = "KILLED"\n',
            '        status = "FINISHED"\n',
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "seed_everything(seed, workers=True, verbose=False)",
            "seed_everything(1, workers=True, verbose=False)",
            "options::test_seed",
        ),
        (
            "torch.set_float32_matmul_precision(script.float32_matmul_precision)",
            'torch.set_float32_matmul_precision("high")',
            "options::test_float32_matmul_precision",
        ),
        (
            '    check_fingerprints(identity["data"], script.fingerprints, spec_folder)\n',
            "",
            "refusals::test_a_pinned_fingerprint",
        ),
        (
            "resolve().parent / self.spec_folder)",
            "resolve().parent)",
            "options::test_save_dir_and_tracker_path",
        ),
        (
            "script.place(script.tracker_path) / below",
            "script.place(script.tracker_path) / name",
            "options::test_experiment_name",
        ),
        (
            "attempt(script.run_name, arguments.again)",
            "script.run_name",
            "tracking::test_again_makes_another_run",
        ),
        (
            "with folder.locked() if rank == 0 else nullcontext():",
            "with folder.locked():",
            "options::test_devices",
        ),
        (
            "    check_comet_key(script, folder, arguments.sync)\n",
            "",
            "comet::test_a_key_that_is_not_set_is_named",
        ),
        (
            "if name is None or (folder.is_done and not sync):",
            "if name is None:",
            "comet::test_a_key_that_is_not_set_is_missed_where_something_is_to_be_sent",
        ),
        (
            'mirror.finish("FINISHED" if folder.is_done else "KILLED", ',
            'mirror.finish("KILLED", ',
            "tracking::test_sync_sends_what_a_tracker_lacks",
        ),
        (
            "        check_hardware(script.accelerator, script.devices)\n",
            "        pass\n",
            "options::test_accelerator_gpu_is_refused_where_there_is_none",
        ),
        ("        folder.keep(record, code)\n", "", "tracking::test_mlflow_holds_the_files"),
        (
            'script.points[script.point]["script"] if script.point is not None else None',
            "None",
            "sweeps::test_an_interrupted_point_goes_on_after_another_was_added",
        ),
        (
            'workers=True, verbose=False), "warn")',
            "workers=True, verbose=False), False)",
            "options::test_seed_left_out",
        ),
        (
            'folder.identified().get("seed", torch.seed() % 2**32)',
            "torch.seed() % 2**32",
            "interruptions::test_an_unseeded_run_goes_on_with_its_seed",
        ),
        (
            "return Seed(begun, deterministic=False)",
            'return Seed(begun, "warn")',
            "options::test_seed_left_out",
        ),
        (
            "    folder.check_parents(built)\n",
            "",
            "fakes::test_a_ratio_that_began_with_other_parents_is_refused",
        ),
        (
            '            check_parent_data(path.parents[1], identity["data"])\n',
            "            pass\n",
            "fakes::test_parents_of_other_data_are_refused",
        ),
        (
            "        if not accept_data:\n",
            "        if True:\n",
            "fakes::test_parents_of_other_data_are_refused",
        ),
        (
            '        identity["parents"] = built\n',
            "        pass\n",
            "fakes::test_the_same_stages_give_the_same_weights",
        ),
        (
            '    status = "FAILED"\n',
            '    status = "KILLED"\n',
            "interruptions::test_a_loss_that_is_not_finite_ends_the_run_and_leaves_its_checkpoints",
        ),
        ('        status = "FINISHED"\n', "", "tracking::test_mlflow_names_the_run"),
        (
            'script.run_name.removesuffix(f"-{script.point}")',
            "script.run_name",
            "sweeps::test_every_point_is_a_run_of_its_own",
        ),
        (
            "own = script.point or script.stage",
            "own = script.stage",
            "launches::test_a_points_tags_and_settings_are_its_own",
        ),
        (
            "own = script.point or script.stage",
            "own = script.point",
            "launches::test_a_stages_tags_and_settings_are_its_own",
        ),
        (
            "Record(Path(os.devnull))",
            "Record(folder.record)",
            "launches::test_another_task_trains_in_the_folder_of_the_first_and_leaves_nothing",
        ),
        (
            "    if code.edited and under_srun:\n",
            "    if code.edited and rank > 0:\n",
            "launches::test_a_batch_job_refuses_edited_code",
        ),
        (
            "    if code.edited and rank == 0:\n",
            "    if code.edited:\n",
            "launches::test_another_task_trains_in_the_folder_of_the_first_and_leaves_nothing",
        ),
        (
            "        folder.ended.unlink(missing_ok=True)\n",
            "",
            "launches::test_a_run_gets_its_folder_and_is_told_to_the_tracker",
        ),
        (
            "    clean_key(name)\n",
            "",
            "launches::test_without_comets_key_nothing_starts_that_needs_it",
        ),
        (
            '    if code.edited:\n        tags["edited"]',
            '    if not code.edited:\n        tags["edited"]',
            "launches::test_edited_code_makes_another_run_and_says_so",
        ),
    ],
    f"{MACHINERY}/machines.py": [
        (
            'os.environ.get("SLURM_NTASKS", "1") != "1"',
            "task_rank(under_srun) > 0",
            "machines::test_a_task_that_others_wait_for_must_not_stop_alone",
        ),
        (
            "    return task_rank(under_srun) > 0",
            "    return False",
            "machines::test_a_task_that_others_wait_for_must_not_stop_alone",
        ),
        (
            "return max(1, ours - 1)",
            "return max(1, ours)",
            "machines::test_threads_are_those_that_are_ours_but_one",
        ),
        (
            '"SLURM_PROCID" if under_srun else "LOCAL_RANK"',
            '"SLURM_PROCID"',
            "machines::test_only_srun_makes_slurm_variables_count",
        ),
        ('"--dirty", ', "", "machines::test_changed_files_mark_the_commit_and_new_ones_do_not"),
    ],
    f"{MACHINERY}/parents.py": [
        (
            '{*map(str, said["data"].values()), *earlier}',
            '{*map(str, said["data"].values())}',
            "parents::test_a_parent_that_began_on_other_data_has_seen_them",
        ),
        (
            '    if not is_whole(checkpoint, said["sha256"]):',
            "    if not checkpoint.exists():",
            "fakes::test_a_damaged_parent_is_refused",
        ),
        (
            'if not said["script"].startswith(script):',
            'if not said["script"]:',
            "fakes::test_a_parent_of_another_spec_is_refused",
        ),
        (
            '    if "+" in said["script"]:\n',
            "    if False:\n",
            "parents::test_a_parent_whose_code_was_edited_is_refused_for_that",
        ),
        (
            "    if all(folder.exists() for folder in again.values()):",
            "    if not label:",
            "fakes::test_the_same_stages_give_the_same_weights",
        ),
    ],
    f"{MACHINERY}/locks.py": [
        (
            "daemon=True).start()",
            "daemon=True)",
            "locks::test_a_lock_beats_until_it_is_released",
        ),
        (
            "        return not lives(pid, holder)",
            "        return True",
            "runs::test_a_second_process_is_refused_and_told_the_holder",
        ),
        (
            '    return now != "ended" and holder.get("started") in (None, now)',
            "    return True",
            "locks::test_a_process_is_not_the_one_that_had_its_number_before",
        ),
        (
            "        if content_of(path) != left:",
            "        if False:",
            "locks::test_who_comes_late_follows_nobody",
        ),
        (
            "        if content_of(self.path) == self.content:\n            self.path.unlink",
            "        if True:\n            self.path.unlink",
            "locks::test_who_was_taken_for_dead_gives_nothing_back_and_writes_no_more",
        ),
    ],
    f"{MACHINERY}/places.py": [
        (
            "            os.fsync(file.fileno())\n",
            "",
            "places::test_content_and_name_are_on_the_disk_in_this_order",
        ),
        (
            "    os.fsync(descriptor)\n",
            "",
            "places::test_content_and_name_are_on_the_disk_in_this_order",
        ),
        (
            "    sync_folder(path.parent)\n",
            "",
            "places::test_content_and_name_are_on_the_disk_in_this_order",
        ),
        (
            "        if not os.environ.get(name):",
            "        if name not in os.environ:",
            "options::test_without_the_sites_variables_a_run_goes_below_the_current_folder",
        ),
        (
            "return path.is_file() and digest(path) == sha256",
            "return path.is_file()",
            "checkpoints::test_a_damaged_newest_falls_back_and_says_so",
        ),
    ],
    f"{MACHINERY}/ratios.py": [
        (
            '    parent_checkpoint(folder, "ratio", script)\n',
            "",
            "found_networks::test_a_run_that_this_script_has_not_finished_is_refused",
        ),
        (
            "experiment / attempt(name, again)",
            "experiment / name",
            "ratios::test_a_label_names_another_attempt",
        ),
    ],
    f"{MACHINERY}/found_networks.py": [
        (
            'expand(save_dir, record.parent / build["spec_folder"])',
            "expand(save_dir, record.parent)",
            "found_networks::test_the_network_is_that_of_the_run_of_the_record",
        ),
        (
            "if deployment(run).is_dir()]",
            "if run.is_dir()]",
            "found_networks::test_of_several_cross_validations_one_must_be_named",
        ),
        (
            'if said["script"] != digest:',
            'if "+" in said["script"]:',
            "found_networks::test_a_run_that_this_script_has_not_finished_is_refused",
        ),
        (
            "sorted(numbers.items())",
            "sorted(numbers.items(), key=lambda pair: str(pair[1]))",
            "found_networks::test_networks_of_more_than_nine_folds_are_in_the_order_of_their_numbers",
        ),
    ],
    f"{MACHINERY}/records.py": [
        (
            "        write_atomically(self.path, content[:size]",
            "        self.file.truncate(0)\n        write_atomically(self.path, content[:size]",
            "records::test_a_kill_while_the_run_goes_back_loses_nothing_that_is_kept",
        ),
        (
            "            os.fsync(self.file.fileno())",
            "            pass",
            "places::test_the_record_is_on_the_disk_before_a_checkpoint_counts_on_it",
        ),
        (
            "lines = file.read(size - self.read).splitlines()",
            "lines = file.read().splitlines()",
            "trackers::test_plots_show_what_was_known_when_they_were_due",
        ),
        (
            "{k: None if is_not_finite(v) else v for k, v in line.items()}",
            "dict(line)",
            "records::test_what_is_not_finite_is_null",
        ),
    ],
    f"{MACHINERY}/reports.py": [
        (
            "for name, value in flat(tables) if name not in lacks}",
            "for name, value in flat(tables)}",
            "reports::test_settings_are_those_that_a_point_or_a_stage_has",
        ),
        ('"POINT", "POINTS", ', "", "sweeps::test_every_point_is_a_run_of_its_own"),
        (
            "        if not constants_of(name) & constants.keys()\n",
            "        if not constants_of(name) & set()\n",
            "reports::test_a_setting_that_is_a_constant_is_shown_once_as_the_constant",
        ),
        (
            '        if row["identity"] == own:\n',
            "        if True:\n",
            "reports::test_settings_are_those_that_a_point_or_a_stage_has",
        ),
    ],
    f"{MACHINERY}/trained_events.py": [
        (
            'not set(one["files"]).isdisjoint(other["files"])',
            'one["files"] == other["files"]',
            "trained_events::test_unseen_events_of_the_training_are_refused",
        ),
        (
            "len(selections) == 1 or None in selections",
            "len(selections) == 1",
            "trained_events::test_unseen_events_of_the_training_are_refused",
        ),
        (
            "        if one != other:\n",
            "        if other is not None and one != other:\n",
            "trained_events::test_a_number_that_is_derived_otherwise_is_another_one",
        ),
    ],
    f"{MACHINERY}/described_optimizers.py": [
        (
            "(here | there)",
            "here",
            "continuations::test_a_warm_up_that_was_taken_away_is_said",
        ),
    ],
    f"{PARTS}/separations.py": [
        (
            "each[:: max(1, len(each) // EVENTS_SEEN)] for each in kinds",
            "each[:: max(1, len(label) // EVENTS_SEEN)] for each in kinds",
            "separations::test_of_a_class_that_is_rare_among_many_events_all_are_looked_at",
        ),
    ],
    f"{MACHINERY}/runs.py": [
        (
            "            if began != parents:",
            "            if began.keys() != parents.keys():",
            "fakes::test_a_ratio_that_began_with_other_parents_is_refused",
        ),
        (
            "            lock.tidy()\n",
            "",
            "runs::test_what_killed_processes_left_of_locks_is_removed",
        ),
        (
            "            lock.release()\n",
            "            pass\n",
            "runs::test_the_lock_goes_when_the_run_fails",
        ),
        (
            "                if not self.is_done:\n",
            "            if True:\n",
            "tracking::test_another_script_under_the_name_of_a_run_is_refused",
        ),
        (
            "        while self.lock.exists() and os.getppid() == PARENT:",
            "        while False:",
            "runs::test_tasks_wait_for_the_first_one",
        ),
        (
            "    if free < needed:",
            "    if free < 0:",
            "runs::test_a_run_that_would_fill_the_disk_is_refused",
        ),
        (
            "        # An earlier start may have been killed between the two.\n        if name_in(first) == self.path.name and kept not in record.artifacts():\n",
            "",
            "runs::test_the_code_that_runs_is_kept_as_it_is_beside_the_runs",
        ),
        (
            'began["script"] != code.identity and self.has_checkpoints',
            'began["script"] != code.identity',
            "runs::test_a_run_without_a_checkpoint_takes_other_code_and_other_data",
        ),
        (
            "if name_in(first) == self.path.name and kept",
            "if kept",
            "runs::test_the_tracker_gets_code_of_one_run_as_long_as_that_is_there",
        ),
        (
            "if first.exists() and not (name_in(first) and (self.path.parent / name_in(first)).exists()):",
            "if False:",
            "runs::test_the_tracker_gets_code_of_one_run_as_long_as_that_is_there",
        ),
    ],
    f"{MACHINERY}/states.py": [
        (
            "torch.manual_seed(torch.initial_seed() + self.rank)",
            "torch.manual_seed(torch.initial_seed())",
            "options::test_devices",
        ),
        (
            '            torch.set_rng_state(own["cpu"].cpu())',
            "            pass",
            "states::test_numbers_go_on_after_a_checkpoint",
        ),
    ],
    f"{MACHINERY}/stops.py": [
        (
            "        if trainer.sanity_checking:\n",
            "        if False:\n",
            "stops::test_a_signal_before_or_in_the_sanity_check_is_obeyed_after_the_batch_in_hand",
        ),
        (
            "        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]\n",
            "",
            "stops::test_lightning_leaves_the_signals_alone",
        ),
        (
            "or batch_idx + 1 == trainer.num_training_batches",
            "or False",
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "        self.secure()\n        self.checkpoints",
            "        self.checkpoints",
            "stops::test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_secured",
        ),
        (
            "> 60 * self.minutes",
            "> 3600 * self.minutes + 1",
            "stops::test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_secured",
        ),
        ('reduce_op="max"', 'reduce_op="min"', "interruptions::test_two_processes_stop_together"),
    ],
    f"{MACHINERY}/sweeps.py": [
        (
            "            process.send_signal(number)\n",
            "            pass\n",
            "sweeps::test_a_signal_is_passed_on_and_ends_the_sequence",
        ),
        (
            "    return next(filter(None, statuses.values()), 0), statuses\n",
            "    return 0, statuses\n",
            "sweeps::test_all_goes_on_after_a_failure_and_says_so",
        ),
    ],
    f"{MACHINERY}/tasks.py": [
        ("    return values\n", "    return values[:1]\n", "options::test_devices"),
    ],
    f"{MACHINERY}/trackers.py": [
        (
            "    ASKED.together = False\n",
            "",
            "trackers::test_plots_that_a_killed_start_had_not_drawn_are_drawn_by_the_next",
        ),
        (
            "epoch // cadence > self.validated // cadence",
            "epoch % cadence == 0",
            "trackers::test_a_cadence_is_due_at_the_first_validation_at_or_after_its_epochs",
        ),
        (
            "step % self.log_every_n_steps == 0",
            "(step - 1) % self.log_every_n_steps == 0",
            "options::test_log_every_n_steps",
        ),
        (
            "    module.eval()\n",
            "",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "        known = self.record.size()\n",
            "        known = 2**60\n",
            "trackers::test_plots_show_what_was_known_when_they_were_due",
        ),
        (
            "            self.redraw(module, trainer.global_step)\n",
            "            pass\n",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "            self.drawings.secure()\n",
            "            self.drawings.settle()\n",
            "trackers::test_a_checkpoint_waits_for_no_drawing_and_another_start_can_draw_it",
        ),
        (
            "            self.drawings.settle()\n        else:",
            "            pass\n        else:",
            "trackers::test_plots_are_recorded_before_the_next_epoch_however_long_they_take",
        ),
        (
            "        if step == trained:\n",
            "        if True:\n",
            "trackers::test_plots_of_weights_that_are_gone_are_said_to_be_lost",
        ),
        (
            "        if value - value != 0:",
            "        if value is None:",
            "trackers::test_a_validation_loss_that_is_not_finite_stops_before_anything_is_recorded",
        ),
        (
            '            "validated": self.validated,\n',
            '            "validated": 0,\n',
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "return path.parent.name == KEPT",
            "return True",
            "trackers::test_what_an_evaluation_that_is_repeated_makes_is_named_once",
        ),
        (
            "return path.parent.name == KEPT",
            "return False",
            "tracking::test_mlflow_holds_the_files",
        ),
        (
            "            with self.precision():\n                validation",
            "            with nullcontext():\n                validation",
            "going_on::test_plots_that_are_drawn_again_show_what_the_trainer_computed",
        ),
        (
            'rate = {} if due else {"lr": self.rate}',
            "rate: dict[str, float] = {}",
            "going_on::test_an_epoch_too_short_for_the_cadence_records_its_learning_rate",
        ),
    ],
    f"{MACHINERY}/continuations.py": [
        (
            "self.tracker.judged.items()",
            "trainer.callback_metrics.items()",
            "trainings::test_checkpoints_tell_of_the_metrics_of_their_own_epoch",
        ),
        (
            'here.move(done, content["global_step"])',
            "here.move(0, 0)",
            "continuations::test_a_changed_schedule_stands_where_it_would_had_it_been_there_always",
        ),
        (
            "            checkpoint |= self.replaced\n",
            "",
            "continuations::test_another_optimizer_begins_anew",
        ),
        (
            "    check_cycle(",
            "    print(",
            "continuations::test_a_cycle_over_a_training_is_neither_prolonged_nor_entered_midway",
        ),
        (
            '    state["patience"] = patience\n',
            "",
            "continuations::test_patience_is_the_scripts_and_one_that_had_run_out_begins_anew",
        ),
    ],
    f"{MACHINERY}/trainings.py": [
        (
            "            run.record.cut(0, tracker.is_kept)\n",
            "",
            "trainings::test_a_test_that_was_stopped_at_its_end_is_recorded_once",
        ),
        (
            "        widen(classifier, self.tracker.train)\n",
            "",
            "exact_ends::test_numbers_of_an_optimizer_are_as_precise_as_the_weights",
        ),
        (
            "checkpoint or best_checkpoint(run.folder.checkpoints)",
            "checkpoint or newest(run.folder.checkpoints) or run.folder.path",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "checkpoint or best_checkpoint(run.folder.checkpoints)",
            "checkpoint or newest(run.folder.checkpoints) or run.folder.path",
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
        (
            "            mode=monitor_mode,\n",
            '            mode="min",\n',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            '            "deterministic": run.seed.deterministic,\n',
            "",
            "options::test_seed_left_out",
        ),
        (
            "EpochBar(tqdm_refresh_rate)",
            "EpochBar(1)",
            "options::test_tqdm_refresh_rate_at_a_terminal",
        ),
        (
            "keeping = [RandomStates(), self.continuation, TrainedEvents(run.events)]",
            "keeping = [self.continuation, TrainedEvents(run.events)]",
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "            self.run.record.cut(0, self.tracker.is_kept)\n",
            "            pass\n",
            "interruptions::test_kill_and_damage",
        ),
        (
            "        # The last place to stop at: from here on the run ends, whatever signals come.\n        obey()\n",
            "",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            '(("best_val", "validation"), ',
            '(("best_val", "test"), ',
            "trainings::test_an_evaluation_is_recorded_and_drawn_where_plots_are_wished[None]",
        ),
        (
            "shown = {} if cut is None else {",
            "shown = {} and {",
            "trainings::test_the_cut_that_validation_has_chosen_is_the_one_that_is_drawn",
        ),
        (
            'write_json(folder.path / "metrics.json", said)\n',
            'write_json(folder.path / "metrics.json", said)\n        obey()\n',
            "interruptions::test_a_signal_while_a_run_ends_changes_nothing",
        ),
        (
            "[tracker, *keeping, best, last, stop]",
            "[tracker, *keeping, last, best, stop]",
            "tracking::test_again_makes_another_run",
        ),
        (
            "tqdm_refresh_rate > 0 and sys.stdout.isatty()",
            "tqdm_refresh_rate > 0",
            "options::test_without_a_terminal_there_is_one_line_an_epoch",
        ),
        (
            "[AtomicCheckpointIO(), cluster(run.under_srun)]",
            "[cluster(run.under_srun)]",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        ('            "logger": False,\n', "", "tracking::test_nothing_is_left_behind"),
        (
            "(trainer.max_epochs or 0) * rounds.steps",
            "rounds.steps",
            "wiring::test_a_schedule_is_as_long_as_the_training[step]",
        ),
        (
            "        if trainer.precision != precision:\n",
            "        if False:\n",
            "options::test_precision_16_on_a_cpu_found_at_run_time_is_refused",
        ),
        (
            "        self.resume = newest(folder.checkpoints)\n",
            "        self.resume = None\n",
            "interruptions::test_kill_and_damage",
        ),
        (
            "if self.resume is not None and is_trained(folder.checkpoints, self.resume):",
            "if False:",
            "interruptions::test_a_signal_while_a_run_ends_changes_nothing",
        ),
        (
            "            if self.start_from is not None:\n",
            "            if False:\n",
            "loading::test_a_continued_run_equals_a_straight_one[last]",
        ),
        (
            ") >= (trainer.max_epochs or 0):\n",
            ") > (trainer.max_epochs or 0):\n",
            "loading::test_nothing_is_left_to_continue[last]",
        ),
        (
            "self.best = checkpoint or best_checkpoint",
            "self.best = best_checkpoint",
            "loading::test_a_checkpoint_alone_is_only_tested",
        ),
        (
            "if self.tracker.plot_metrics_n_epoch is not None:\n            # Meanwhile",
            "if True:\n            # Meanwhile",
            "options::test_metrics_and_plots_never",
        ),
        (
            "        self.tracker.drawings.settle()\n",
            "",
            "tracking::test_two_starts_in_two_places_are_equal_bit_for_bit",
        ),
        (
            '"script": self.run.code.identity,',
            '"script": self.run.code.digest,',
            "tracking::test_mlflow_names_the_run",
        ),
        (
            '"checkpoint": self.best.name,',
            '"checkpoint": str(self.best),',
            "tracking::test_the_results_are_told_to_people_and_to_programs",
        ),
        (
            '"sha256": digest(self.best),',
            '"sha256": digest(self.run.code.script),',
            "fakes::test_three_stages_a_closure_and_a_fake_factor[plain]",
        ),
        (
            'int(os.environ["SLURM_NNODES"]) if run.under_srun else 1',
            "1",
            "trainings::test_under_srun_slurm_says_which_tasks_there_are",
        ),
        (
            "                self.check_space(classifier)\n",
            "                pass\n",
            "trainings::test_a_disk_without_room_for_the_checkpoints_is_refused",
        ),
        (
            "        # Not to start other tasks in vain.\n        obey()\n",
            "",
            "trainings::test_a_training_that_was_told_to_stop_does_not_begin",
        ),
        (
            "1 if monitor is None else every_n_epochs",
            "every_n_epochs",
            "trainings::test_the_best_is_looked_for_where_something_is_monitored",
        ),
        (
            'content["epoch"] + 1\n',
            'content["epoch"]\n',
            "trainings::test_an_evaluation_has_the_best_weights",
        ),
        (
            "resume_after_training(self.tracker, classifier, load(self.resume), device)",
            "pass",
            "trainings::test_a_run_that_was_stopped_goes_on_and_one_that_is_trained_is_not_trained_again",
        ),
    ],
    # The compiler.
    f"{COMPILER}/jobs/arrays.py": [
        (
            "if known[-1] < size:",
            "if known[-1] <= size:",
            "array_lists::test_slices_hold_every_member_once_and_no_index_too_high",
        ),
        (
            "stops = {start + 1, ends[start], max(start + 1, ends[start] - 1)}",
            "stops = {start + 1, ends[start]}",
            "array_lists::test_lists_are_short",
        ),
        (
            "stops = {start + 1, ends[start], max(start + 1, ends[start] - 1)}",
            "stops = {ends[start], max(start + 1, ends[start] - 1)}",
            "array_lists::test_lists_are_short",
        ),
    ],
    f"{COMPILER}/writing/outlines.py": [
        (
            'texts[parameter.name] = "steps" if table.interval == "step" else "MAX_EPOCHS"',
            'texts[parameter.name] = "MAX_EPOCHS"',
            "wiring::test_a_schedule_is_as_long_as_the_training[step]",
        ),
        (
            'DTYPES.get(settings.precision, "float32")',
            '"float32"',
            "wiring::test_events_have_as_many_digits_as_the_precision",
        ),
        (
            "for n in sorted(table.optimizer_params)",
            'for n in sorted(table.optimizer_params) if n == "lr"',
            "wiring::test_the_optimizer_has_its_parameters",
        ),
        (
            "Activated(logit, {act_out}())",
            "Activated(logit, nn.Identity())",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            '"learnt" if vary or clipped else "train"',
            '"learnt" if vary else "train"',
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[clipped]",
        ),
        (
            '*([f"**{trained}"] if trained else arguments)',
            "*arguments",
            "fakes::test_three_stages_a_closure_and_a_fake_factor[everything]",
        ),
        (
            'else "train.label == 0"',
            'else "train.label == 1"',
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
        (
            '"exponential": "exponential_link"',
            '"exponential": "direct_link"',
            "fakes_wiring::test_a_loss_has_its_own_link[exponential]",
        ),
        (
            '"tight": experiment.stage == "numerator",',
            '"tight": experiment.stage != "numerator",',
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            "values | own, tuple(groups(experiment, parents))",
            "values | own, tuple(groups(experiment))",
            "stages::test_a_stage_has_its_own_options_and_no_other_has_them",
        ),
    ],
    f"{COMPILER}/writing/settings.py": [
        (
            "else {NAMES: (split.train, split.validation",
            "else {NAMES: (split.validation, split.train",
            "wiring::test_the_split_has_the_shares_that_are_asked_for",
        ),
        (
            'None if table.monitor == "last" else table.monitor',
            "table.monitor",
            "fakes::test_three_stages_a_closure_and_a_fake_factor[everything]",
        ),
        (
            "stage | settings | cadences)",
            "stage | settings)",
            "options::test_metrics_and_plots_never",
        ),
        (
            '"layernorm": "LayerNorm"',
            '"layernorm": "Identity"',
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
        (
            '"batchnorm": "BatchNorm1d"',
            '"batchnorm": "Identity"',
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
        (
            'f"{table.warmup.shape}_warmup"',
            '"linear_warmup"',
            "wiring::test_the_learning_rate_rises_as_the_shape_of_the_warm_up_says[cosine]",
        ),
        (
            '"interval": scheduler.interval}, "SCHEDULER_")',
            '"interval": scheduler.interval})',
            "settings::test_no_two_options_make_the_same_constant",
        ),
        (
            'if not set(n.split(", ")).isdisjoint(names)}',
            "}",
            "settings::test_a_script_has_no_unused_name[plain]",
        ),
    ],
    f"{COMPILER}/writing/imports.py": [
        (
            '2 if root == "parts" else 1',
            "1",
            "imports::test_libraries_stand_before_parts_and_names_of_one_module_on_one_line",
        ),
        (
            "kind = 0 if len(name) > 1 and name.isupper()",
            "kind = 0 if name.isupper()",
            "imports::test_imports_are_sorted_and_wrapped_as_ruff_does",
        ),
        (
            "- here - set(dir(builtins)) - OWN",
            "- set(dir(builtins)) - OWN",
            "imports::test_what_a_text_defines_itself_is_not_asked_for",
        ),
    ],
    f"{COMPILER}/writing/parts.py": [
        (
            'r"^[ ]*from (parts',
            'r"^from (parts',
            "parts::test_what_is_read_off_a_part_is_what_python_finds_in_it",
        ),
        (
            "            left += known[module].parts\n",
            "",
            "parts::test_a_closure_is_all_that_is_imported_and_nothing_else",
        ),
        (
            'f"{value}  {file}\\n" for file',
            'f"{value} {file}\\n" for file',
            "parts::test_a_script_finds_the_digest_of_parts_that_it_was_given",
        ),
    ],
    f"{COMPILER}/writing/renamed.py": [
        (
            "            if not spec.exists():\n",
            "            if True:\n",
            "submission::test_a_spec_that_was_renamed_is_told_what_it_leaves_behind",
        ),
        (
            '        if other.build.get("numbers") == numbers:',
            "        if True:",
            "submission::test_of_several_new_specs_each_that_was_renamed_is_told",
        ),
    ],
    f"{COMPILER}/writing/timestamps.py": [
        (
            "if digests.get(training) == digest and TIMESTAMP",
            "if TIMESTAMP",
            "cli::test_the_run_keeps_its_name_as_long_as_its_numbers",
        ),
    ],
    f"{COMPILER}/pipeline.py": [
        (
            "last = {} if new_run else outputs.read_record(folder)",
            "last = outputs.read_record(folder)",
            "cli::test_new_run_renews_the_name",
        ),
        (
            "    *_, found = named.values()\n",
            "    found, *_ = named.values()\n",
            "digests::test_an_option_of_the_ratio_leaves_its_parents_alone",
        ),
    ],
    f"{COMPILER}/tables/training.py": [
        (
            '("min" if _falls(table.monitor) else "max")',
            '"min"',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            'return monitor in ("val_loss", "last") or',
            'return monitor == "val_loss" or',
            "defaults::test_defaults_that_follow_from_other_options",
        ),
        ('or monitor.startswith("val_chi2")', "", "defaults::test_defaults_of_fakes"),
        (
            '"gamma": 2.0 if',
            '"gamma": 1.0 if',
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[focal-table2-focal-2.0]",
        ),
        (
            "table.label_smoothing or 0.0",
            "0.0",
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[smooth-table1-smoothed-0.2]",
        ),
    ],
    f"{COMPILER}/tables/experiment.py": [
        (
            '"never" else 5\n',
            '"never" else 10\n',
            "defaults::test_options_that_are_left_out[experiment_config]",
        ),
        (
            "not 1 <= numbers <= 1024",
            "not 1 <= numbers < 1024",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-devices]",
        ),
    ],
    f"{COMPILER}/tables/slurm.py": [
        (
            '(("END", "FAIL") if table.mail_user else ())',
            '(("END",) if table.mail_user else ())',
            "defaults::test_defaults_that_follow_from_other_options",
        ),
        (
            "if not 60 <= seconds(value)",
            "if not 60 < seconds(value)",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-shortest time]",
        ),
        (
            "< LEAST_MEMORY",
            "<= LEAST_MEMORY",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-least memory]",
        ),
    ],
    f"{COMPILER}/tables/dataset.py": [
        (
            '(name == "signal") - (name == "background")',
            '(name == "background") - (name == "signal")',
            "defaults::test_options_that_are_left_out[dataset_config]",
        ),
        (
            'task == "signal" if table.use_class_weights is None',
            "False if table.use_class_weights is None",
            "defaults::test_options_that_are_left_out[dataset_config]",
        ),
    ],
    f"{COMPILER}/tables/model.py": [
        (
            'act_out = "Softabs" if stage in',
            'act_out = "Abs" if stage in',
            "defaults::test_defaults_of_fakes",
        ),
        (
            '4 if written.model == "ResNet" else 3',
            "3",
            "defaults::test_defaults_that_follow_from_other_options",
        ),
    ],
    f"{COMPILER}/tables/fakes.py": [
        (
            "table.n_members > 1 if table.bootstrap is None",
            "False if table.bootstrap is None",
            "defaults::test_defaults_of_fakes",
        ),
        (
            "not low < high",
            "not low <= high",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[fakes-ascending]",
        ),
    ],
    f"{COMPILER}/rules/checks.py": [
        (
            "table.fold >= table.folds",
            "table.fold > table.folds",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[dataset-fold-of-more]",
        ),
        (
            "table.comet_project_name is not None and table",
            "False and table",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[experiment-comet-project]",
        ),
        (
            '{"mlruns": ',
            '{"runs": ',
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[experiment-of-mlflows-folder]",
        ),
        (
            'settings.precision == "16-mixed"',
            'settings.precision == "16-true"',
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[experiment-mixed-on-cpu]",
        ),
        (
            "len(set(names)) < len(names)",
            "len(set(names)) < 1",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[dataset-classes-of-one-metric]",
        ),
        (
            "if sample.name in names[:index]:",
            "if sample.name in names[:0]:",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[dataset-sample-twice]",
        ),
        (
            "if name not in patterns and not any(",
            "if not patterns and not any(",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[fingerprint-of-no-file]",
        ),
        (
            "            parameter.gpu_only\n",
            "            not parameter.gpu_only\n",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[optimizer-for-a-gpu]",
        ),
        (
            'resolved.interval == "step"',
            'resolved.interval == "epoch"',
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[scheduler-plateau-by-step]",
        ),
        (
            'name.startswith("SLURM_")',
            'name.startswith("SLURMD_")',
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[experiment-saved-for-one-job]",
        ),
        (
            "max_parallel and spec.slurm_config is None",
            "max_parallel == 0 and spec.slurm_config is None",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[sweep-limit-of-no-array]",
        ),
        (
            "settings.check_eval_n_epoch > table.max_epochs",
            "settings.check_eval_n_epoch >= table.max_epochs",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-validations]",
        ),
        (
            "table.warmup.epochs > table.max_epochs",
            "table.warmup.epochs >= table.max_epochs",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-warmup]",
        ),
        (
            "job.signal_lead * 2 > slurm",
            "job.signal_lead * 2 >= slurm",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-lead]",
        ),
        (
            "(params.label_smoothing or 0) >= 1",
            "(params.label_smoothing or 0) > 1",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-smoothing]",
        ),
        (
            "cadence > validations",
            "cadence >= validations",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-metrics for the monitor]",
        ),
        (
            "min(shares) <= 0",
            "min(shares) < 0",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-share]",
        ),
        (
            "table.save_top_k > 1",
            "table.save_top_k > 2",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-kept without a monitor]",
        ),
        (
            "batch_size < 2:",
            "batch_size < 1:",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[signal-batch normalisation]",
        ),
    ],
    f"{COMPILER}/rules/fakes.py": [
        (
            '("bootstrap", fakes.bootstrap, fakes.n_members > 1',
            '("bootstrap", fakes.bootstrap, fakes.n_members > 0',
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[fakes-bootstrap]",
        ),
        (
            "not table.clip_quantile > 0",
            "table.clip_quantile < 0",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond[fakes-no quantile]",
        ),
    ],
    f"{COMPILER}/jobs/progress.py": [
        (
            "HEARTBEAT = 180.0",
            "HEARTBEAT = 30.0",
            "agreement::test_a_run_is_given_up_only_after_several_beats",
        ),
    ],
    f"{COMPILER}/cli/commands.py": [
        (
            "            if not outputs.differing(folder, found.files):\n",
            "            if True:\n",
            "cli::test_a_build_leaves_alone_what_is_right_and_writes_the_rest",
        ),
        (
            "                process.send_signal(number)",
            "                pass",
            "cli::test_a_signal_to_train_fakes_is_the_stages_and_ends_what_comes_after_it",
        ),
        (
            "        if status or asked:\n",
            "        if status:\n",
            "cli::test_a_signal_to_train_fakes_is_the_stages_and_ends_what_comes_after_it",
        ),
    ],
    f"{COMPILER}/jobs/closings.py": [
        (
            'row.run.index not in indices and row.progress.state != "done"',
            "row.run.index not in indices",
            "closings::test_what_combines_waits_for_the_jobs_of_earlier_submissions",
        ),
        (
            "if not each),",
            "if False),",
            "closings::test_rerun_trains_what_is_missing_and_combines_then",
        ),
        (
            'if any(row.progress.state != "done" for row in rows):',
            "if False:",
            "slurm_folds::test_folds_are_trained_side_by_side_and_combined_then",
        ),
        (
            "if begun:",
            "if begun and False:",
            "closings::test_rerun_trains_what_is_missing_and_combines_then",
        ),
    ],
    f"{COMPILER}/writing/combinations.py": [
        (
            "len(points) > folds else",
            "len(points) < folds else",
            "folds::test_folds_come_after_grid_points_and_seeds",
        ),
        (
            "points[start].choices[:-1]",
            "points[start].choices",
            "folds::test_folds_come_after_grid_points_and_seeds",
        ),
    ],
    f"{COMPILER}/writing/batch.py": [
        (
            '"goes_on": False,',
            '"goes_on": job.requeue,',
            "folds::test_what_combines_is_one_task_without_a_gpu",
        ),
        (
            "slurm_config=of_one_task(job)",
            "slurm_config=job",
            "folds::test_what_combines_is_one_task_without_a_gpu",
        ),
    ],
    f"{COMPILER}/jobs/submitted.py": [
        (
            "after = (*jobs, *(waiting.jobs if waiting else ()))",
            "after = jobs[:1]",
            "closings::test_folds_of_divided_arrays_are_combined_after_all_of_them",
        ),
    ],
    f"{COMPILER}/jobs/submission.py": [
        (
            "if len(parts) > 1 or (waiting and waiting.jobs):",
            "if False:",
            "closings::test_folds_of_divided_arrays_are_combined_after_all_of_them",
        ),
        (
            'f"{job}_{run.index - self.array.begin}"',
            'f"{job}_{run.index}"',
            "submission::test_members_of_a_later_array_are_recorded_by_their_own_numbers",
        ),
        (
            'NOT_FAILED = ("not started", "submitted", "running", "done")',
            'NOT_FAILED = ("not started", "running", "done")',
            "submission::test_missing_runs_are_those_that_no_job_does_or_has_done",
        ),
        (
            "if not os.environ.get(name)]",
            "if name not in os.environ]",
            "submission::test_all_that_is_missing_is_named_at_once",
        ),
    ],
    f"{COMPILER}/writing/scripts.py": [
        (
            "                list(numbers(experiment)),\n",
            "",
            "cli::test_the_run_keeps_its_name_as_long_as_its_numbers",
        ),
        (
            "Verbatim('f\"{SWEEP}-{ARGUMENTS.point}\"')",
            'Verbatim("ARGUMENTS.point")',
            "sweeps::test_every_point_is_a_run_of_its_own",
        ),
        (
            "if name != PLACES]",
            "]",
            "digests::test_where_a_run_lies_and_what_it_is_called_are_no_numbers",
        ),
        (
            "                parts.digest(self._parts(names)),\n",
            "",
            "digests::test_a_change_of_what_a_spec_uses_renews_run_name_and_digest[a part]",
        ),
        (
            "            content += [found[str(each.stage)] for each in before]\n",
            "",
            "digests::test_an_option_of_a_parent_renews_the_ratio_too_and_not_the_other_parent",
        ),
    ],
    f"{COMPILER}/writing/variants.py": [
        (
            "everywhere = len(own) == table.size",
            "everywhere = True",
            "sweep::test_each_explicit_point_is_as_its_plain_script",
        ),
        (
            """else f'.get("{column}", 1)'""",
            """else f'["{column}"]'""",
            "swept_blocks::test_a_block_that_a_point_lacks_is_chosen_for_the_others",
        ),
        (
            "if name in table.asked_for:",
            "if False:",
            "swept_blocks::test_what_statements_outside_functions_use_is_set_for_all",
        ),
        (
            "        variant = name.lower()\n",
            "        variant = name\n",
            "swept_blocks::test_variants_of_what_is_in_capitals_are_no_constants",
        ),
    ],
    f"{COMPILER}/reading/sweep.py": [
        (
            "for seed in seeds for fold in folds)",
            "for fold in folds for seed in seeds)",
            "folds::test_folds_come_after_grid_points_and_seeds",
        ),
        (
            "elif key == FOLD:",
            "elif key == FOLDS:",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[sweep-fold]",
        ),
        (
            "json.dumps(self.values,",
            "json.dumps([self.index, self.values],",
            "sweep::test_an_identity_does_not_depend_on_other_points_or_their_order",
        ),
    ],
    f"{COMPILER}/rules/known.py": [
        (
            "        if any(key[: len(cause)] == cause for cause in causes",
            "        if any(key == causes for cause in causes",
            "all_at_once::test_what_another_mistake_has_made_unknown_is_no_mistake[accelerator]",
        ),
    ],
    f"{COMPILER}/reading/mending.py": [
        (
            "        taken.add(key)\n",
            "",
            "all_at_once::test_several_mistakes_within_one_list_are_told_beside_others",
        ),
        (
            "            unknown.add((*key[:-1], fault.meant))\n",
            "            pass\n",
            "all_at_once::test_what_another_mistake_has_made_unknown_is_no_mistake[misspelt epochs]",
        ),
    ],
    f"{PARTS}/score_outputs.py": [
        (
            "        place.unlink(missing_ok=True)\n        raise",
            "        raise",
            "scored_files::test_a_block_that_fails_leaves_the_old_file_and_nothing_else",
        ),
        (
            "    if not overwrite and os.path.lexists(out):",
            "    if overwrite and os.path.lexists(out):",
            "scored_files::test_what_exists_is_replaced_only_if_asked",
        ),
    ],
    f"{PARTS}/scored_files.py": [
        (
            "if os.access(out, os.F_OK) and out.samefile(source):",
            "if out == source:",
            "scored_files::test_a_link_to_the_events_is_not_written_to",
        ),
    ],
    f"{PARTS}/scored_parquet.py": [
        (
            "            if len(rows.left) or next(rows.batches, None) is not None:",
            "            if next(rows.batches, None) is not None:",
            "scored_files::test_events_that_are_not_those_of_the_file_are_refused",
        ),
        (
            "        self.left = self.left.slice(count)",
            "        self.left = self.left.slice(count + 1)",
            "scored_parquet::test_columns_of_all_types_and_what_is_said_of_them_are_kept",
        ),
        (
            "and each.total_uncompressed_size < each.num_values",
            "and 0 < each.num_values",
            "scored_parquet::test_only_columns_of_few_values_have_each_of_them_once",
        ),
        (
            'codec.replace("UNCOMPRESSED", "NONE")',
            'codec.replace("UNCOMPRESSED", "SNAPPY")',
            "scored_parquet::test_columns_are_packed_as_they_were",
        ),
    ],
    f"{PARTS}/scored_csv.py": [
        (
            """    if b'"' not in data:""",
            """    if data:""",
            "scored_csv::test_each_row_keeps_its_bytes_and_its_line_break",
        ),
        (
            'gzip.GzipFile("", "wb", GZIP_LEVEL, file, 0)',
            'gzip.GzipFile("", "wb", GZIP_LEVEL, file)',
            "scored_csv::test_a_packed_file_has_the_same_bytes_at_any_time",
        ),
        (
            "            if keeps:\n",
            "            if added:\n",
            "scored_csv::test_rows_that_are_not_kept_go_with_all_their_lines",
        ),
    ],
    f"{PARTS}/hdf5_copies.py": [
        (
            "            self.error = error\n        return size",
            "            self.error = None\n        return size",
            "scored_files::test_a_full_disk_is_an_error_and_leaves_nothing",
        ),
        (
            "            plan.set_filter(code, flags, values)",
            "            plan.get_nfilters()",
            "scored_hdf5::test_an_array_is_packed_as_it_was",
        ),
        (
            "    copy_attributes(source, made)\n",
            "",
            "scored_hdf5::test_an_array_has_further_fields_and_all_else_stays",
        ),
        (
            "        if h5py.h5o.get_info(each.id).rc > 1:",
            "        if h5py.h5o.get_info(each.id).rc > 2:",
            "scored_hdf5::test_each_thing_that_is_not_copied_is_named",
        ),
    ],
    f"{PARTS}/scored_datasets.py": [
        (
            "    if not all(scored.kept):\n",
            "    if not any(scored.kept):\n",
            "scored_hdf5::test_datasets_are_joined_by_those_of_scores_and_all_else_stays",
        ),
    ],
    f"{PARTS}/root_copies.py": [
        (
            "        if description(branch) != description(again):",
            "        if branch.name != again.name:",
            "scored_root::test_trees_of_others_are_refused_where_a_branch_would_be_another",
        ),
        (
            '        if other != path and not path.startswith(f"{other}/"):',
            '        if other == "":',
            "scored_root::test_of_several_trees_none_is_written_anew",
        ),
    ],
    f"{PARTS}/scored_root.py": [
        (
            "    values = held.values[np.repeat(kept, held.length)]",
            "    values = held.values",
            "scored_root::test_each_branch_comes_back_as_it_was",
        ),
        (
            "        if self.count >= self.together:",
            "        if self.count:",
            "scored_root::test_events_are_gathered_to_baskets",
        ),
    ],
    f"{PARTS}/late_stopping.py": [
        (
            "if trainer.current_epoch + 1 < self.min_epochs:",
            "if trainer.current_epoch < self.min_epochs:",
            "early_stopping::test_a_training_lasts_as_long_as_it_must",
        ),
    ],
    f"{COMPILER}/tables/values.py": [
        (
            "if not value >= low:",
            "if not value > low:",
            "defaults::test_a_value_is_allowed_up_to_its_bound_and_not_beyond",
        ),
        (
            "if value.count(item) > 1:",
            "if value.count(item) > 2:",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[sweep-seeds-twice]",
        ),
    ],
    f"{COMPILER}/tables/expressions.py": [
        (
            '_gives(("number", None)',
            '_gives(("number", "condition", None)',
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[weight-comparison]",
        ),
    ],
    f"{COMPILER}/tables/sweep.py": [
        (
            "Rule(nonempty), Rule(distinct)]",
            "Rule(nonempty)]",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[sweep-seeds-twice]",
        ),
    ],
}


def copies(count: int, place: Path) -> Iterator[Path]:
    """Copy the project so many times, without what git does not know."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for number in range(count):
        copy = place / str(number)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        yield copy


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy, which finds its own modules first."""
    environment = os.environ | {
        "PYTHONPATH": f"{copy / 'compiler'}",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def survives(fault: Fault, copy: Path) -> str:
    """Plant a fault in a copy and take it out again; return what is wrong, "" if a test fails."""
    path = copy / fault.file
    text = path.read_text()
    path.write_text(text.replace(fault.old, fault.new))
    try:
        # A fault of the compiler may refuse a spec: then what was built before is tested.
        run(copy, "-m", "seesawc", "build", "--force", *SPECS)
        tested = run(copy, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", fault.tests())
    finally:
        path.write_text(text)
    if tested.returncode == 0:
        return "SURVIVES"
    # 1: a test has failed. Anything else has not come to it.
    return "" if tested.returncode == 1 else f"not tested: {tested.stdout[-500:]}"


def describe(fault: Fault) -> str:
    old, new = (" ".join(text.split())[:60] for text in (fault.old, fault.new))
    return f"{fault.file}: {old!r} -> {new!r}"


def main(arguments: Sequence[str]) -> int:
    """Plant the faults; return 0 if all were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args(arguments)
    chosen = [
        fault
        for fault in faults()
        if not asked.words or any(word in describe(fault) for word in asked.words)
    ]
    survivors = 0
    with tempfile.TemporaryDirectory() as place:
        free: Queue[Path] = Queue()
        for copy in copies(asked.jobs, Path(place)):
            free.put(copy)
        # A test that fails anyhow notices nothing.
        named = dict.fromkeys(fault.tests() for fault in chosen)
        control = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", *named)
        if control.returncode or " skipped" in control.stdout.rstrip().splitlines()[-1]:
            print(control.stdout)
            print("tests fail, or are skipped, without any fault")
            return 1

        def judge(fault: Fault) -> str:
            copy = free.get()
            try:
                return survives(fault, copy)
            finally:
                free.put(copy)

        with ThreadPoolExecutor(asked.jobs) as pool:
            for fault, wrong in zip(chosen, pool.map(judge, chosen), strict=True):
                survivors += bool(wrong)
                print(f"{wrong or 'noticed'}: {describe(fault)}", flush=True)
    print(f"{len(chosen)} faults, {survivors} not noticed")
    return min(survivors, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
