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
    "sweeps": "tests/runs/test_sweeps.py",
    "fakes": "tests/runs/test_fakes.py",
    "comet": "tests/runs/test_comet.py",
    "chains": "tests/slurm/test_chains.py",
    "scripts": "tests/runs/test_scripts.py",
    "diagnostics": "tests/errors/test_diagnostics.py",
    "machines": "tests/parts/test_machines.py",
    "batch": "tests/slurm/test_batch_files.py",
    "agreement": "tests/test_agreement.py",
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
    # Which events, weights and epochs serve for what.
    "templates/train_signal.py.jinja": [
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
            'binary_metrics(outputs["test"], cut)',
            'binary_metrics(outputs["validation"], cut)',
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            'binary_metrics(outputs["test"], cut)',
            'binary_metrics(outputs["test"])',
            "wiring::test_the_cut_is_the_best_one_of_validation",
        ),
        (
            'metrics["test"] = tracker.metrics(outputs["test"])',
            'metrics["test"] = tracker.metrics(outputs["validation"])',
            "wiring::test_losses_of_several_classes_are_those_that_their_options_say[plain-table0-smoothed-0.0]",
        ),
        (
            "use_mc_weights={{ dataset.use_mc_weights | py }}",
            "use_mc_weights=True",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_mc_weights={{ dataset.use_mc_weights | py }}",
            "use_mc_weights={{ (not dataset.use_mc_weights) | py }}",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_class_weights={{ dataset.use_class_weights | py }}",
            "use_class_weights=True",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "use_class_weights={{ dataset.use_class_weights | py }}",
            "use_class_weights={{ (not dataset.use_class_weights) | py }}",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "        train=TRAIN,\n        validation=VALIDATION,",
            "        train=VALIDATION,\n        validation=TRAIN,",
            "wiring::test_the_split_has_the_shares_that_are_asked_for",
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
            '        "test": tracker.predict(classifier, test),',
            '        "test": tracker.predict(classifier, validation),',
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
        (
            "tight={{ tight | py }}",
            "tight=True",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
    ],
    "templates/train_ratio.py.jinja": [
        (
            "use_data={{ fakes.use_data_in_ratio | py }}",
            "use_data=True",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say[single-False]",
        ),
        (
            "subtraction_weights(part, *parent_networks)",
            "subtraction_weights(part, *parent_networks[::-1])",
            "fakes_wiring::test_the_losses_of_the_ratio_weigh_leptons_as_their_options_say[single-True]",
        ),
        (
            "    check_fit(parent, content)\n",
            "",
            "fakes::test_a_checkpoint_that_is_another_network_is_refused",
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
            "return 0 if closure.passed else 5",
            "return 0",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "return 0 if closure.passed else 5",
            "return 5",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "        tolerance=TOLERANCE,",
            "        tolerance=2 * TOLERANCE,",
            "fakes_wiring::test_the_closure_is_one_of_test_leptons_and_passes_within_its_tolerance",
        ),
        (
            "    check_parent_data(folder, fingerprints(files))\n",
            "    fingerprints(files)\n",
            "fakes::test_a_closure_of_other_data_is_refused",
        ),
    ],
    "templates/apply.py.jinja": [
        (
            "[:, np.newaxis], 0.0, factors)",
            "[:, np.newaxis], 1.0, factors)",
            "fakes::test_three_stages_a_closure_and_a_fake_factor[everything]",
        ),
        (
            '"fake_factor_spread", pa.array(deviation(factors))',
            '"fake_factor_spread", pa.array(mean(factors))',
            "fakes::test_three_stages_a_closure_and_a_fake_factor[plain]",
        ),
        (
            '    parent_checkpoint(folder, "ratio", RATIO)\n',
            "",
            "fakes::test_a_ratio_without_parents_is_refused_at_once",
        ),
    ],
    f"{SECTIONS}/members.jinja": [
        (
            "clipped(train, CLIP_QUANTILE)",
            "clipped(train, CLIP_QUANTILE / CLIP_QUANTILE)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[clipped]",
        ),
        (
            "poisson_counts(keys, N_MEMBERS)",
            "poisson_counts(keys[::-1], N_MEMBERS)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[bootstrapped]",
        ),
    ],
    f"{SECTIONS}/trainer.jinja": [
        (
            "best = best_checkpoint(folder.checkpoints)",
            "best = newest(folder.checkpoints) or folder.path",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "best = best_checkpoint(folder.checkpoints)",
            "best = newest(folder.checkpoints) or folder.path",
            "fakes_wiring::test_the_test_is_one_of_the_best_epoch_on_test_leptons",
        ),
        (
            "mode=MONITOR_MODE, patience",
            'mode="min", patience',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            "patience=EARLY_STOP_PATIENCE,",
            "patience=EARLY_STOP_PATIENCE + 1,",
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_loss]",
        ),
        (
            "        mode=MONITOR_MODE,\n",
            '        mode="min",\n',
            "wiring::test_which_epoch_is_best_and_where_training_stops_follow_from_the_monitor[val_auc]",
        ),
        (
            "gradient_clip_val=GRADIENT_CLIP_VAL,",
            "",
            "wiring::test_gradients_are_clipped_to_their_norm",
        ),
        (
            "check_val_every_n_epoch=CHECK_EVAL_N_EPOCH,",
            "",
            "options::test_check_eval_n_epoch",
        ),
        (
            "num_sanity_val_steps=NUM_SANITY_VAL_STEPS,",
            "num_sanity_val_steps=0,",
            "options::test_num_sanity_val_steps",
        ),
        (
            "deterministic={{ deterministic }},",
            "",
            "options::test_seed_left_out",
        ),
        (
            "TQDMProgressBar(refresh_rate=TQDM_REFRESH_RATE)",
            "TQDMProgressBar(refresh_rate=1)",
            "options::test_tqdm_refresh_rate_at_a_terminal",
        ),
        (
            "        RandomStates(),\n",
            "",
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "        record.cut(0, tracker.is_kept)",
            "        pass",
            "interruptions::test_kill_and_damage",
        ),
        (
            "Batches(validation, BATCH_SIZE, None, rank, world_size)",
            "Batches(train, BATCH_SIZE, None, rank, world_size)",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
    ],
    f"{SECTIONS}/ending.jinja": [
        (
            "    # The last place to stop at: from here on the run ends, whatever signals come.\n    obey()\n"
            '    write_json(folder.path / "metrics.json"',
            '    write_json(folder.path / "metrics.json"',
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            '    write_json(folder.path / "metrics.json", {"checkpoint": str(best), "metrics": metrics})\n',
            '    write_json(folder.path / "metrics.json", {"checkpoint": str(best), "metrics": metrics})\n    obey()\n',
            "interruptions::test_a_signal_while_a_run_ends_changes_nothing",
        ),
        (
            'tracker.plot(classifier, step, epoch, outputs["test"], "test")',
            'tracker.plot(classifier, step, epoch, outputs["validation"], "test")',
            "wiring::test_the_plots_of_the_test_show_test_events",
        ),
    ],
    f"{SECTIONS}/main.jinja": [
        (
            "    listen(must_stop_together(arguments.srun))\n",
            "",
            "interruptions::test_a_signal_before_training_is_obeyed_before_it",
        ),
        (
            "    if not os.environ.get(COMET_KEY_VARIABLE) and (arguments.sync or not folder.done.exists()):",
            "    if not os.environ.get(COMET_KEY_VARIABLE) and not folder.done.exists():",
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
            "    folder.check_script(script)\n",
            "",
            "tracking::test_another_script_under_the_name_of_an_interrupted_run_is_refused",
        ),
        (
            "folder.identify(identity, arguments.accept_data)",
            "folder.identify(identity, True)",
            "refusals::test_data_that_changed_between_two_starts",
        ),
        (
            '        status = "KILLED"\n',
            '        status = "FINISHED"\n',
            "interruptions::test_signals_within_an_epoch_at_its_end_and_within_the_next",
        ),
        (
            "seed_everything(SEED, workers=True, verbose=False)",
            "seed_everything(1, workers=True, verbose=False)",
            "options::test_seed",
        ),
        (
            "torch.set_float32_matmul_precision(FLOAT32_MATMUL_PRECISION)",
            'torch.set_float32_matmul_precision("high")',
            "options::test_float32_matmul_precision",
        ),
        (
            '    check_fingerprints(identity["data"], FINGERPRINTS, SPEC_FOLDER)\n',
            "    pass\n",
            "refusals::test_a_pinned_fingerprint",
        ),
    ],
    f"{SECTIONS}/optimizer.jinja": [
        (
            "{% for name, value in optimizer.params %}",
            '{% for name, value in optimizer.params if name == "lr" %}',
            "wiring::test_the_optimizer_has_its_parameters",
        ),
        (
            '"interval": {{ scheduler.interval | py }},',
            '"interval": "epoch",',
            "wiring::test_a_schedule_moves_when_its_interval_says[step]",
        ),
    ],
    f"{SECTIONS}/network.jinja": [
        (
            "n_layers=N_LAYERS,",
            "n_layers=2,",
            "wiring::test_the_architecture_is_the_one_that_is_asked_for",
        ),
        ("dropout=DROPOUT,", "dropout=0.0,", "wiring::test_dropout_takes_part_in_training_alone"),
    ],
    f"{SECTIONS}/fakes_network.jinja": [
        (
            "            {{ each.act_out }},\n",
            "            nn.Identity(),\n",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
    ],
    f"{SECTIONS}/inputs.jinja": [
        (
            "    blocks.append(NumericalOrMissing(scaling, MISSING))",
            "    blocks.append(NumericalOrMissing(nn.Identity(), MISSING))",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
        (
            "logarithms(present(train.numerical, {{ missing }}), places)",
            "present(train.numerical, {{ missing }})",
            "fakes_wiring::test_the_scaling_is_that_of_all_training_leptons",
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
    f"{SECTIONS}/logarithms.jinja": [
        (
            "for part in (train, validation, test):",
            "for part in ():",
            "fakes::test_a_classifier_of_signal_takes_logarithms_too",
        ),
    ],
    f"{SECTIONS}/density_ratio.jinja": [
        (
            '        "numerical": list(NUMERICAL),',
            '        "numerical": sorted(NUMERICAL),',
            "fakes::test_a_checkpoint_that_is_another_network_is_refused",
        ),
    ],
    # The batch file.
    "templates/submit.sbatch.jinja": [
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
            "array[start : start + CHUNK]",
            "array[start : start + CHUNK - 1]",
            "safe_points::test_a_fake_factor_is_applied_in_chunks_without_losing_an_event",
        ),
        (
            "allowed = columns == np.floor(columns)",
            "allowed = columns == columns",
            "exports::test_values_that_training_refuses_are_refused",
        ),
        (
            "ddof=min(1, factors.shape[1] - 1)",
            "ddof=0",
            "exports::test_mean_and_deviation_over_members",
        ),
    ],
    f"{PARTS}/arguments.py": [
        (
            'r"[A-Za-z0-9_.+-]{0,50}", text',
            'r".{0,50}", text',
            "tracking::test_again_takes_names_only",
        ),
    ],
    f"{PARTS}/backends.py": [
        (
            "        if found:\n            return str(found[0].info.run_id)\n",
            "",
            "backends::test_an_entry_that_a_killed_start_had_begun_is_the_runs",
        ),
        (
            '                    self.keep("")\n                    opened = True',
            "                    opened = True",
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
        ("log_code=False,", "log_code=True,", "comet::test_comet_has_the_plots_and_the_script"),
        (
            'if line.endswith("\\n")]',
            "if line]",
            "backends::test_half_a_line_is_left_for_later",
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
            "share = len(chosen) * self.world_size / len(everybodys)",
            "share = 1.0",
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
    f"{PARTS}/checkpoints.py": [
        (
            "return path.exists() and digest(path) == sha256",
            "return path.exists()",
            "checkpoints::test_a_damaged_newest_falls_back_and_says_so",
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
    ],
    f"{PARTS}/classifiers.py": [
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
            '            group["lr"] = rate\n',
            "            pass\n",
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
    f"{PARTS}/events.py": [
        (
            "        if not is_yield(total, size):",
            "        if not total > 0:",
            "events::test_a_class_whose_weights_cancel_is_refused",
        ),
        (
            "[train, train + validation])",
            "[train, 1 - validation])",
            "events::test_a_split_holds_its_share_within_chance",
        ),
        (
            "weight * (np.bincount(label, weights) / part)[label]",
            "weight",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "weight = weight if use_mc_weights else np.ones_like(weight)",
            "weight = np.abs(weight) if use_mc_weights else np.ones_like(weight)",
            "wiring::test_losses_weigh_events_as_the_flags_say",
        ),
        (
            "    if not np.isfinite(weights).all():",
            "    if np.isnan(weights).all():",
            "refusals::test_data_that_cannot_be_used",
        ),
        (
            "            if not n or not is_yield(y, size):",
            "            if not n:",
            "refusals::test_data_that_cannot_be_used",
        ),
        (
            "        if found.get(path) != expected:",
            "        if path not in found:",
            "refusals::test_a_pinned_fingerprint",
        ),
        (
            "        while chunk := file.read(READ_AT_ONCE):\n            obey()\n",
            "        while chunk := file.read(READ_AT_ONCE):\n",
            "safe_points::test_fingerprints_are_taken_in_chunks",
        ),
    ],
    f"{PARTS}/exits.py": [
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
    ],
    f"{PARTS}/exports.py": [
        (
            "rtol=1e-3, atol=1e-6",
            "rtol=1e3, atol=1e-6",
            "exports::test_a_file_that_differs_is_not_written",
        ),
        (
            "return torch.exp(self.log_ratio(numerical",
            "return torch.exp(-self.log_ratio(numerical",
            "fakes_wiring::test_what_is_applied_is_the_best_fake_factor",
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
    ],
    f"{PARTS}/leptons.py": [
        (
            "not is_yield(total, np.abs(weight).sum())",
            "not total > 0",
            "leptons::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "table[~in_crack(",
            "table[in_crack(",
            "fakes_wiring::test_the_crack_is_left_out_of_what_is_learnt",
        ),
        (
            "events[category.column].to_numpy() == category.tight)",
            "events[category.column].to_numpy() == category.loose)",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
        (
            "    if len(others):",
            "    if len(others) > len(values):",
            "leptons::test_a_lepton_that_is_neither_tight_nor_loose_is_refused",
        ),
        (
            "    keys = np.hstack([owners[:, np.newaxis], keys])\n",
            "",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[bootstrapped]",
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
    f"{PARTS}/machines.py": [
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
    f"{PARTS}/metrics.py": [
        (
            "for row in (weight * positive, weight * ~positive, np.abs(weight * ~positive))",
            "for row in (weight * ~positive, weight * positive, np.abs(weight * positive))",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "b**2 >= 10 * variance",
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
            "score, positive, weight = outputs.probability[:, 1], outputs.label == 1",
            "score, positive, weight = outputs.probability[:, 0], outputs.label == 0",
            "wiring::test_the_cut_is_the_best_one_of_validation",
        ),
    ],
    f"{PARTS}/models.py": [
        (
            "return x + changed",
            "return changed",
            "models::test_a_block_whose_last_layer_is_zero_changes_nothing",
        ),
        (
            "torch.cat([1 - signal, signal], dim=1)",
            "torch.cat([signal, 1 - signal], dim=1)",
            "wiring::test_metrics_are_those_of_the_best_epoch_on_their_split[test]",
        ),
        (
            "layers += [nn.Linear(width, n_hidden), norm(n_hidden), act(), nn.Dropout(dropout)]",
            "layers += [nn.Linear(width, n_hidden), nn.Identity(), act(), nn.Dropout(dropout)]",
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
    ],
    f"{PARTS}/parents.py": [
        (
            '    if said["script"] != script:',
            '    if not said["script"]:',
            "fakes::test_a_parent_of_another_spec_is_refused",
        ),
        (
            '    if not is_whole(checkpoint, said["sha256"]):',
            "    if not checkpoint.exists():",
            "fakes::test_a_damaged_parent_is_refused",
        ),
        (
            "        if began != parents:",
            "        if began.keys() != parents.keys():",
            "fakes::test_a_ratio_that_began_with_other_parents_is_refused",
        ),
    ],
    f"{PARTS}/places.py": [
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
    ],
    f"{PARTS}/plots.py": [
        (
            "is_yield(yields.sum(), np.abs(yields).sum())",
            "yields.sum() > 0",
            "plots::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "is_yield(totals, sizes)",
            "totals > 0",
            "plots::test_weights_that_cancel_but_for_rounding_are_no_yield",
        ),
        (
            "plot_calibration(cases, validation.loss_weight, caption)",
            "plot_calibration(cases, weight, caption)",
            "plots::test_calibration_counts_events_as_the_loss_does",
        ),
        (
            "fractions = matrix / np.where(is_yield",
            "fractions = matrix.T / np.where(is_yield",
            "plots::test_confusion_shows_fractions_of_the_true_class_and_yields",
        ),
        (
            "for power in (1, 2))\n    there",
            "for power in (1, 1))\n    there",
            "plots::test_density_has_unit_area_and_errors_of_signed_weights",
        ),
    ],
    f"{PARTS}/records.py": [
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
            "lines = file.read(size).splitlines()",
            "lines = file.read().splitlines()",
            "trackers::test_plots_show_what_was_known_when_they_were_due",
        ),
        (
            "{k: None if is_not_finite(v) else v for k, v in line.items()}",
            "dict(line)",
            "records::test_what_is_not_finite_is_null",
        ),
    ],
    f"{PARTS}/reports.py": [
        (
            'settings = {n: value for n, value in settings.items() if n not in point["lacks"]}',
            "pass",
            "reports::test_settings_are_those_that_a_point_has",
        ),
    ],
    f"{PARTS}/runs.py": [
        (
            "        if changed or copy not in named:",
            "        if changed:",
            "runs::test_files_that_explain_the_run_are_kept_as_they_are",
        ),
        (
            "            self._remove_left_locks(holder)\n",
            "",
            "runs::test_what_killed_processes_left_of_locks_is_removed",
        ),
        (
            "daemon=True).start()",
            "daemon=True)",
            "runs::test_a_held_lock_beats_until_it_is_released",
        ),
        (
            "            self.lock.unlink(missing_ok=True)",
            "            pass",
            "runs::test_the_lock_goes_when_the_run_fails",
        ),
        (
            '        return not is_alive(other["pid"])',
            "        return True",
            "runs::test_a_second_process_is_refused_and_told_the_holder",
        ),
        (
            "                if not self.done.exists():\n",
            "                if True:\n",
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
    ],
    f"{PARTS}/states.py": [
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
    f"{PARTS}/stops.py": [
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
            "        self.settle()\n        self.checkpoints",
            "        self.checkpoints",
            "stops::test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_there",
        ),
        (
            "> 60 * self.minutes",
            "> 3600 * self.minutes + 1",
            "stops::test_a_checkpoint_is_saved_every_few_minutes_once_plots_are_there",
        ),
        ('reduce_op="max"', 'reduce_op="min"', "interruptions::test_two_processes_stop_together"),
    ],
    f"{PARTS}/sweeps.py": [
        (
            "            process.send_signal(number)\n",
            "            pass\n",
            "sweeps::test_a_signal_is_passed_on_and_ends_the_sequence",
        ),
        (
            "    return next(filter(None, statuses.values()), 0)\n",
            "    return 0\n",
            "sweeps::test_all_goes_on_after_a_failure_and_says_so",
        ),
        (
            'return planned if files.get(script.name) == found else f"{planned}+{found}"',
            "return planned",
            "sweeps::test_a_script_that_was_edited_is_another_one",
        ),
    ],
    f"{PARTS}/tasks.py": [
        ("    return values\n", "    return values[:1]\n", "options::test_devices"),
    ],
    f"{PARTS}/trackers.py": [
        (
            'return path.suffix in (".py", ".toml")',
            'return path.suffix != ""',
            "trackers::test_what_an_evaluation_that_is_repeated_makes_is_named_once",
        ),
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
            "trainer.global_step % self.log_every_n_steps == 0",
            "(trainer.global_step - 1) % self.log_every_n_steps == 0",
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
            "            self.redraw(module)\n",
            "            pass\n",
            "interruptions::test_a_run_that_is_struck_at_its_weakest_moments",
        ),
        (
            "        self.settle()\n        losses, self.losses",
            "        losses, self.losses",
            "trackers::test_plots_are_recorded_before_the_next_epoch_however_long_they_take",
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
    ],
    # The compiler.
    f"{COMPILER}/arrays.py": [
        (
            "stops = {start + 1, ends[start], max(start + 1, ends[start] - 1)}",
            "stops = {start + 1, ends[start]}",
            "arrays::test_lists_are_short",
        ),
        (
            "stops = {start + 1, ends[start], max(start + 1, ends[start] - 1)}",
            "stops = {ends[start], max(start + 1, ends[start] - 1)}",
            "arrays::test_lists_are_short",
        ),
    ],
    f"{COMPILER}/plan.py": [
        (
            '"LayerNorm" if network.layernorm',
            '"Identity" if network.layernorm',
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
        (
            '"BatchNorm1d" if network.batchnorm',
            '"Identity" if network.batchnorm',
            "wiring::test_layers_are_normalised_where_that_is_asked_for",
        ),
        (
            'f"{training.warmup.shape}_warmup"',
            '"linear_warmup"',
            "wiring::test_the_learning_rate_rises_as_the_shape_of_the_warm_up_says[cosine]",
        ),
        (
            '"False" if settings.seed is None else \'"warn"\'',
            '"False"',
            "options::test_seed_left_out",
        ),
        (
            'texts[parameter.name] = Verbatim("steps" if by_step else "MAX_EPOCHS")',
            'texts[parameter.name] = Verbatim("MAX_EPOCHS")',
            "wiring::test_a_schedule_is_as_long_as_the_training[step]",
        ),
        (
            'DTYPES.get(settings.precision, "float32")',
            '"float32"',
            "wiring::test_events_have_as_many_digits_as_the_precision",
        ),
    ],
    f"{COMPILER}/fakes_plan.py": [
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
    f"{COMPILER}/rules.py": [
        (
            "table.comet_project_name is not None and table",
            "False and table",
            "diagnostics::test_every_mistake_is_drawn_where_it_stands[experiment-comet-project]",
        ),
        (
            'experiment_name == "mlruns"',
            'experiment_name == "runs"',
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
            "if name in names[:index]:",
            "if name in names[:0]:",
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
    f"{COMPILER}/fakes_rules.py": [
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
    f"{COMPILER}/runs.py": [
        (
            "HEARTBEAT = 180.0",
            "HEARTBEAT = 30.0",
            "agreement::test_a_run_is_given_up_only_after_several_beats",
        ),
    ],
    f"{SECTIONS}/experiment.jinja": [
        (
            "SAVE_DIR = {{ experiment.save_dir | py }}",
            "SAVE_DIR = {{ experiment.tracker_path | py }}",
            "options::test_save_dir_and_tracker_path",
        ),
        (
            'RUN_NAME = f"{SWEEP}-{IDENTITY}"',
            "RUN_NAME = IDENTITY",
            "sweeps::test_every_point_is_a_run_of_its_own",
        ),
    ],
    f"{SECTIONS}/training.jinja": [
        (
            "GRADIENT_CLIP_VAL = {{ training.gradient_clip_val | py }}",
            "GRADIENT_CLIP_VAL = None",
            "wiring::test_gradients_are_clipped_to_their_norm",
        ),
    ],
    f"{SECTIONS}/fakes.jinja": [
        (
            "MC_NORMALISATION = {{ fakes.mc_normalisation | py }}",
            "MC_NORMALISATION = 0.5",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[scaled]",
        ),
    ],
    f"{SECTIONS}/leptons.jinja": [
        (
            "CATEGORY, TIGHT, LOOSE =",
            "CATEGORY, LOOSE, TIGHT =",
            "fakes_wiring::test_the_losses_of_densities_weigh_leptons_as_their_options_say[single]",
        ),
    ],
    f"{SECTIONS}/model.jinja": [
        (
            "N_HIDDEN = {{ architecture.n_hidden | py }}",
            "N_HIDDEN = {{ architecture.n_layers | py }}",
            "wiring::test_the_architecture_is_the_one_that_is_asked_for",
        ),
    ],
    f"{SECTIONS}/dataset.jinja": [
        (
            "TRAIN, VALIDATION, TEST =",
            "VALIDATION, TRAIN, TEST =",
            "wiring::test_the_split_has_the_shares_that_are_asked_for",
        ),
        (
            "MISSING = {{ dataset.missing | py }}",
            "MISSING = 999.0",
            "wiring::test_the_scaling_is_that_of_the_training_events",
        ),
    ],
    f"{SECTIONS}/header.jinja": [
        (
            '#     "{{ requirement }}",',
            '#     "torch",',
            "scripts::test_the_header_names_all_that_a_script_imports_at_the_pinned_versions",
        ),
    ],
    "templates/train_sweep.py.jinja": [
        (
            "POINT = POINTS[IDENTITY]",
            "POINT = next(iter(POINTS.values()))",
            "sweeps::test_a_point_trains_as_its_plain_script_does",
        ),
    ],
    "templates/submit.sh.jinja": [
        (
            '--dependency="afterok:',
            '--dependency="afterany:',
            "chains::test_a_ratio_whose_parent_fails_never_starts",
        ),
        (
            "trap undo EXIT\n",
            "",
            "chains::test_a_chain_that_cannot_be_submitted_as_a_whole_is_taken_back",
        ),
    ],
    f"{COMPILER}/cli.py": [
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
    f"{COMPILER}/submission.py": [
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
    f"{COMPILER}/scripts.py": [
        (
            "            found += [*resolved.numbers(each)]\n",
            "",
            "cli::test_the_run_keeps_its_name_as_long_as_its_numbers",
        ),
    ],
    f"{COMPILER}/merge.py": [
        (
            "partial = len(owners) < self.size",
            "partial = False",
            "sweep::test_each_explicit_point_is_as_its_plain_script",
        ),
    ],
    f"{COMPILER}/sweep.py": [
        (
            "json.dumps(self.values,",
            "json.dumps([self.index, self.values],",
            "sweep::test_an_identity_does_not_depend_on_other_points_or_their_order",
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
            "        case ast.Compare():\n            return True",
            "        case ast.Compare():\n            return False",
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
