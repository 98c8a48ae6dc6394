"""Every mistake that seesawc reports, made in `base.toml` by replacing pieces of its text."""

from collections.abc import Iterator
from pathlib import Path

BASE = (Path(__file__).parent / "base.toml").read_text(encoding="utf-8")
SEED = "seed = 1\n"
NUMERICAL = 'numerical = ["lep1_pt", "lep1_eta"]\n'
BACKGROUND = 'class = "background"\n'
FILES = 'class = "signal"\nfiles = ["data/h4l.parquet"]'
SELECTION = '"process == 1"'
WEIGHT = '"weight"'
MODEL = 'model = "MLP"\n'
EPOCHS = "max_epochs = 30\n"
OPTIMIZER = 'optimizer_name = "AdamW"\noptimizer_params = { lr = 1e-3 }\n'
PARAMS = "{ lr = 1e-3 }"
TIME = 'time = "04:00:00"\n'
SAMPLE = '[[dataset_config.samples]]\nname = "ggH"\n'
THIRD = '[[dataset_config.samples]]\nname = "tt"\nclass = "top"\nfiles = ["t.csv"]\n\n'

Edits = tuple[tuple[str, str], ...]
CASES: dict[str, Edits] = {}


def spec(edits: Edits) -> str:
    """Return the base spec with pieces replaced."""
    return edited(BASE, edits)


def edited(text: str, edits: Edits) -> str:
    """Return a text with pieces replaced, each of which it has once."""
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the base"
        text = text.replace(old, new)
    return text


def add(**lines: str) -> None:
    """Add a case for each text, which goes behind the piece that `BEHIND` has for it."""
    for name, line in lines.items():
        anchor = BEHIND[name.split("__")[0]]
        CASES[name.replace("__", "-").replace("_", "-")] = ((anchor, f"{anchor}{line}\n"),)


def replace(**edits: str | tuple[str, str] | Edits) -> None:
    """Add a case for each piece to replace."""
    for name, edit in edits.items():
        pairs: Edits
        if isinstance(edit, str):
            pairs = ((PIECES[name.split("__")[0]], edit),)
        else:
            pairs = tuple(pairs_of(edit))
        CASES[name.replace("__", "-").replace("_", "-")] = pairs


def pairs_of(edit: tuple[str, str] | Edits) -> Iterator[tuple[str, str]]:
    """Yield the pairs of one edit or of several."""
    match edit:
        case (str(old), str(new)):
            yield old, new
        case _:
            for pair in edit:
                assert isinstance(pair, tuple)
                yield pair


BEHIND = {
    "experiment": SEED,
    "dataset": NUMERICAL,
    "model": "[model_config.architecture_config]\n",
    "training": EPOCHS,
    "slurm": TIME,
}
PIECES = {
    "selection": SELECTION,
    "weight": WEIGHT,
    "params": PARAMS,
    "optimizer": OPTIMIZER,
    "time": TIME,
}

# spec.py: names and types.
replace(
    spec__unknown_table=("[slurm_config]", "[slrum_config]"),
    spec__unknown_top_option=('task = "signal"', 'task = "signal"\nsede = 1'),
    spec__unknown_task=('task = "signal"', 'task = "fake"'),
    spec__missing_task=('task = "signal"\n', ""),
    spec__missing_table=('[experiment_config]\nexperiment_name = "h4l"\nseed = 1\n', ""),
    spec__missing_option=('experiment_name = "h4l"\n', ""),
    spec__missing_in_sample=('name = "ggH"\n', ""),
    spec__missing_class=('class = "signal"\n', ""),
    spec__misspelt_required=("experiment_name", "experiment_nam"),
    spec__table_is_number=(
        ('task = "signal"\n', 'task = "signal"\nslurm_config = 5\n'),
        ("\n[slurm_config]\n" + TIME, ""),
    ),
    spec__table_is_array=("[experiment_config]", "[[experiment_config]]"),
    spec__list_is_table=(NUMERICAL, "numerical = { lep1_pt = true }\n"),
    spec__list_is_text=(NUMERICAL, 'numerical = "lep1_pt"\n'),
    spec__item_is_number=(NUMERICAL, 'numerical = ["lep1_pt", 5]\n'),
    spec__text_is_number=('"h4l"', "4"),
    spec__text_is_list=('"h4l"', '["h4l"]'),
    spec__whole_is_text=(SEED, 'seed = "1"\n'),
    spec__whole_is_float=(SEED, "seed = 1.0\n"),
    spec__whole_is_bool=(SEED, "seed = true\n"),
    spec__whole_is_date=(SEED, "seed = 2026-01-01\n"),
    spec__params_is_list=(PARAMS, "[1]"),
)
add(
    dataset__number_is_text='missing = "-999"',
    dataset__bool_is_number="use_mc_weights = 1",
    dataset__unknown_option="bach_size = 5",
    dataset__unknown_in_split="split = { trian = 0.6 }",
    model__unknown_option="n_layer = 5",
    experiment__variable=(
        'comet_api_key = "${COMET_API_KEY}"\n' + 'comet_project_name = "${COMET_API_KEY}"'
    ),
    experiment__choice='accelerator = "gpus"',
    experiment__choice_is_number="accelerator = 1",
    experiment__precision="precision = 8",
    experiment__precision_text='precision = "fp16"',
    experiment__precision_float="precision = 16.0",
    experiment__precision_bool="precision = true",
    experiment__metrics_zero="check_metrics_n_epoch = 0",
    experiment__metrics_word='check_metrics_n_epoch = "nevr"',
    experiment__metrics_bool="check_metrics_n_epoch = false",
    experiment__devices_word='devices = "all"',
    experiment__devices_zero="devices = 0",
    experiment__devices_many="devices = 100000",
    experiment__devices_negative_text='devices = "-2"',
    experiment__devices_empty="devices = []",
    experiment__devices_negative="devices = [0, -1]",
    experiment__devices_twice='devices = "0,0"',
    experiment__devices_items='devices = [0, "1"]',
    experiment__devices_float="devices = 1.5",
)

# tables/values.py and tables/experiment.py: ranges, names, paths, texts.
replace(
    values__name_spaces=('"h4l"', '"h 4 l"'),
    values__name_slash=('"h4l"', '"../h4l"'),
    values__name_dot=('"h4l"', '"h4l."'),
    values__name_windows=('"h4l"', '"con"'),
    values__name_interactive=('"h4l"', '"bash"'),
    values__column=(NUMERICAL, 'numerical = ["  ", "lep1_eta"]\n'),
    values__seed=(SEED, "seed = -1\n"),
    values__path_in_data=('class = "signal"\nfiles = ["data', 'class = "signal"\nfiles = ["~'),
)
add(
    experiment__path_variable='save_dir = "${COMET_API_KEY}/logs"',
    experiment__path_dollar='save_dir = "$HOME/logs"',
    experiment__path_tilde='save_dir = "~/logs"',
    experiment__path_up='save_dir = "../logs"',
    experiment__path_backslash='save_dir = "logs\\\\h4l"',
    experiment__path_empty='save_dir = ""',
    experiment__path_accent='save_dir = "logs/\N{LATIN SMALL LETTER E WITH ACUTE}"',
    experiment__path_long=f'save_dir = "{"a" * 1001}"',
    experiment__too_small="log_every_n_steps = 0",
    experiment__literal_key='comet_api_key = "abc"',
    experiment__comet_project='comet_project_name = "h4l"',
    experiment__plots_without_metrics='check_metrics_n_epoch = "never"\nplot_metrics_n_epoch = 5',
)

# tables/dataset.py and expressions.py.
replace(
    dataset__file_kind=(FILES, 'class = "signal"\nfiles = ["data/h4l.txt"]'),
    dataset__file_on_a_server=(FILES, 'class = "signal"\nfiles = ["root://eos//h4l.root"]'),
    dataset__folders_of_a_pattern=(FILES, 'class = "signal"\nfiles = ["data/**.root"]'),
    dataset__files_of_two_formats=(
        FILES,
        'class = "signal"\nfiles = ["data/h4l.root", "data/more.root", "data/h4l.h5"]',
    ),
    dataset__tree_of_parquet=(FILES, f'{FILES}\ntree = "events"'),
    dataset__table_of_root=(FILES, 'class = "signal"\nfiles = ["data/h4l.root"]\ntable = "events"'),
    dataset__class_and_class_column=(BACKGROUND, f'{BACKGROUND}class_column = "process"\n'),
    dataset__unnamed_classes=(BACKGROUND, 'class_column = "process"\n'),
    dataset__no_files=(FILES, 'class = "signal"\nfiles = []'),
    dataset__feature_twice=(NUMERICAL, 'numerical = ["lep1_pt", "lep1_pt"]\n'),
    selection__syntax='"process = 1"',
    selection__attribute='"process.x == 1"',
    selection__floor_division='"process // 2 == 1"',
    selection__chained_is='"process is 1"',
    selection__function='"open(process) == 1"',
    selection__no_argument='"abs() == process"',
    selection__none='"process == None"',
    selection__no_column='"1 == 1"',
    selection__number='"process + 1"',
    selection__line_break='"process\\n== 1"',
    selection__accent='"proc\N{LATIN SMALL LETTER E WITH ACUTE}s == 1"',
    selection__nested=f'"{"~" * 200}(process == 1)"',
    selection__empty='""',
    selection__backtick='"`jet.pt > 30"',
    selection__or_number='"process == 1 or 2"',
    selection__text_order="\"process < 'b'\"",
    weight__comparison='"weight > 0"',
    weight__syntax='"weight *"',
)
add(
    dataset__fingerprint='fingerprints = { "data/h4l.parquet" = "12ab" }',
    dataset__scaling='scaling = "standart"',
    dataset__batch_size="batch_size = 0",
    dataset__max_memory='max_memory = "4 GB"',
    dataset__share="split = { train = 1.5 }",
    dataset__class_values_of_two_kinds='class_values = { background = [0, "qqZZ"], signal = [1] }',
    dataset__no_class_values="class_values = { background = [], signal = [1] }",
    dataset__class_value_is_float="class_values = { background = [0.5], signal = [1] }",
    dataset__derived_syntax='derived = { ht = "lep1_pt +" }',
    dataset__derived_number="derived = { ht = 1 }",
    dataset__empty_label='labels = { lep1_pt = "" }',
)

# tables/model.py, tables/training.py.
add(
    model__dropout="dropout = 1.0",
    model__dropout_nan="dropout = nan",
    training__epochs="save_top_k = 0",
    training__minutes="save_every_n_minutes = 0",
    training__clip="gradient_clip_val = 0.0",
    training__gamma='loss = "focal"\nloss_params = { gamma = -1 }',
    training__loss='loss = "bec"',
    training__warmup="warmup = { epochs = 0 }",
    training__monitor_mode='monitor_mode = "low"',
)

# tables/slurm.py.
replace(
    time__one_colon='time = "1:30"\n',
    time__minutes='time = "01:75:00"\n',
    time__long='time = "900-00:00:00"\n',
    time__number="time = 4\n",
    time__missing="nodes = 1\n",
)
add(
    slurm__memory='memory = "16 GB"',
    slurm__little_memory='memory = "16M"',
    slurm__directive_that_waits='extra = ["--wait"]',
    slurm__test_on_two_nodes="nodes = 2",
    slurm__test_on_two_devices="cpus = 2",
    slurm__constraint='constraint = "a b"',
    slurm__module='modules = ["cuda; rm"]',
    slurm__mail_user='mail_user = "me at home"',
    slurm__mail_type='mail_type = ["SOMETIMES"]',
    slurm__directive='extra = ["-x node1"]',
    slurm__directive_taken='extra = ["--exclusive", "--outpu=x"]',
    slurm__nodes="nodes = 0",
    slurm__lead="signal_lead = 5",
    slurm__partition='partition = "a,b c"',
    slurm__partitions='partition = ["a", "b", "a"]',
    slurm__no_partition="partition = []",
    slurm__empty_partition='partition = "a,"',
    slurm__memory_twice='memory = "4G"\nmemory_per_cpu = "4G"\nmemory_per_gpu = "4 G"',
    slurm__memory_of_everything='memory = "4G"\nmemory_per_cpu = "4G"\nmemory_per_gpu = "4G"',
    slurm__little_memory_per_cpu='memory_per_cpu = "100M"\ncpus = 2',
    slurm__gpu_type_of_no_gpu='gpu_type = "a100"\nmemory_per_gpu = "4G"',
    slurm__gpu_type='gpu_type = "a100:2"',
    slurm__lead_and_time="signal_lead = 3600",
    slurm__environment='environment = "my env"',
    slurm__environment_and_container='environment = "venv"\ncontainer = "image.sif"',
    slurm__gpus_on_cpu="gpus = 1",
)
CASES["slurm-gpus-on-cpu"] += ((SEED, f'{SEED}accelerator = "cpu"\n'),)
TESTED = (
    "[model_config.architecture_config]\n",
    '[model_config]\nload_checkpoint = "best.ckpt"\n[model_config.architecture_config]\n',
)
CASES["slurm-test-on-two-nodes"] += (TESTED,)
CASES["slurm-test-on-two-devices"] += (TESTED, (SEED, f"{SEED}devices = 2\n"))
CASES["slurm-lead-and-time"] += ((TIME[:-1], 'time = "01:00:00"'),)
replace(
    slurm__devices_listed=(SEED, f"{SEED}devices = [0, 1]\n"),
    slurm__gpus_and_devices=(
        (SEED, f"{SEED}devices = 2\n"),
        (TIME, f"{TIME}gpus = 4\n"),
    ),
)

# rules.py.
add(
    experiment__mixed_on_cpu='accelerator = "cpu"\nprecision = 16',
    experiment__indices_on_cpu='accelerator = "cpu"\ndevices = [0, 1]',
    experiment__saved_on_a_node='save_dir = "/tmp/runs"',
    experiment__saved_for_one_job='save_dir = "runs/${SLURM_JOB_ID}"',
    experiment__saved_in_a_jobs_folder='save_dir = "${TMPDIR}/runs"',
    experiment__no_validation="check_eval_n_epoch = 31",
    dataset__unknown_class='classes = ["background", "signel"]',
    dataset__class_without_sample='classes = ["background", "signal", "top"]',
    dataset__shares="split = { train = 0.6, validation = 0.2, test = 0.3 }",
    dataset__empty_split="split = { train = 0.8, validation = 0.2, test = 0.0 }",
    dataset__two_folds="folds = 2",
    dataset__folds_are_no_number='folds = "five"',
    dataset__many_folds="folds = 101",
    dataset__folds_and_split="folds = 5\nsplit = { train = 0.5, validation = 0.25, test = 0.25 }",
    dataset__folds_and_shares="folds = 5\nsplit.train = 0.9",
    dataset__fold_of_none="fold = 1",
    dataset__fold_of_more="folds = 5\nfold = 5",
    dataset__negative_fold="folds = 5\nfold = -1",
    dataset__idle_class_values="class_values = { background = [0], signal = [1] }",
    dataset__negative_weights_of_none='negative_weights = "drop"',
    dataset__negative_weights_unused='negative_weights = "drop"\nuse_mc_weights = false',
    dataset__idle_drop="drop_other_classes = true",
    dataset__text_of_no_class='class_labels = { signel = "$H$" }',
    dataset__text_of_no_feature='labels = { lep_pt = "$p_T$ [GeV]" }',
    dataset__values_of_no_class="""classes = ["background", "signal"]
class_values = { background = [0], signel = [1] }""",
    dataset__class_value_twice="class_values = { background = [0, 2], signal = [1, 2] }",
    dataset__class_values_of_two_columns='class_values = { background = ["b"], signal = [1] }',
    dataset__derived_circle='derived = { ht = "2 * mt", mt = "ht + lep1_pt" }',
    model__activation='act = "relu"',
    model__block_size="block_size = 2",
    model__two_norms="batchnorm = true\nlayernorm = true",
    training__bce_on_three='loss = "bce"',
    training__cross_entropy_on_two='loss = "cross_entropy"',
    training__smoothing_of_bce="loss_params = { label_smoothing = 0.1 }",
    training__gamma_of_bce="loss_params = { gamma = 2.0 }",
    training__smoothing_of_all="loss_params = { label_smoothing = 1.0 }",
    training__monitor='monitor = "val_acu"',
    training__monitor_cadence='monitor = "val_auc"',
    training__monitor_never='monitor = "val_auc"',
    training__long_warmup="warmup = { epochs = 31 }",
)
for _name in ("values-of-no-class", "class-value-twice", "class-values-of-two-columns"):
    CASES[f"dataset-{_name}"] += ((BACKGROUND, 'class_column = "process"\n'),)
CASES["training-bce-on-three"] += ((SAMPLE, THIRD + SAMPLE),)
CASES["training-smoothing-of-all"] += ((SAMPLE, THIRD + SAMPLE),)
CASES["training-monitor-cadence"] += ((SEED, f"{SEED}check_metrics_n_epoch = 2\n"),)
CASES["training-monitor-never"] += ((SEED, f'{SEED}check_metrics_n_epoch = "never"\n'),)
replace(
    dataset__no_features=((NUMERICAL, ""), ('categorical = ["n_jets"]\n', "")),
    dataset__both_kinds=(NUMERICAL, 'numerical = ["lep1_pt", "n_jets"]\n'),
    dataset__event_number_as_feature=(NUMERICAL, 'numerical = ["lep1_pt", "event"]\n'),
    dataset__one_class=(BACKGROUND, 'class = "signal"\n'),
    dataset__classes_of_one_metric=(
        ('class = "signal"\n', 'class = "h-4l"\n'),
        (BACKGROUND, 'class = "h_4l"\n'),
    ),
    dataset__sample_twice=('"qqZZ"', '"ggH"'),
    model__nothing_to_embed=(
        ('categorical = ["n_jets"]\n', ""),
        (MODEL, f"{MODEL}embedding_dim = 4\n"),
    ),
    model__nothing_to_continue=(
        "[model_config.architecture_config]\n",
        "[model_config]\ncontinue_training = true\n[model_config.architecture_config]\n",
    ),
    model__negative_weights_of_a_test=(
        ('event_number = "event"\n', 'event_number = "event"\nnegative_weights = "drop"\n'),
        (
            "[model_config.architecture_config]\n",
            '[model_config]\nload_checkpoint = "a.ckpt"\n[model_config.architecture_config]\n',
        ),
    ),
    model__events_of_no_checkpoint=(
        "[model_config.architecture_config]\n",
        '[model_config]\ncheckpoint_events = "unseen"\n[model_config.architecture_config]\n',
    ),
    model__events_without_numbers=(
        ('event_number = "event"\n', ""),
        (
            "[model_config.architecture_config]\n",
            '[model_config]\nload_checkpoint = "a.ckpt"\ncheckpoint_events = "numbered"\n'
            "[model_config.architecture_config]\n",
        ),
    ),
    model__split_of_unseen=(
        (NUMERICAL, f"{NUMERICAL}split = {{ train = 0.5, validation = 0.3 }}\n"),
        (
            "[model_config.architecture_config]\n",
            '[model_config]\nload_checkpoint = "a.ckpt"\ncheckpoint_events = "unseen"\n'
            "[model_config.architecture_config]\n",
        ),
    ),
    training__folds_without_networks=(
        (NUMERICAL, f"{NUMERICAL}folds = 5\n"),
        ("[training_config]\n", "[training_config]\nexport_onnx = false\n"),
    ),
    model__checkpoint_of_folds=(
        (NUMERICAL, f"{NUMERICAL}folds = 5\n"),
        (
            "[model_config.architecture_config]\n",
            '[model_config]\nload_checkpoint = "a.ckpt"\ncontinue_training = true\n'
            "[model_config.architecture_config]\n",
        ),
    ),
    model__folds_of_unseen=(
        (NUMERICAL, f"{NUMERICAL}folds = 5\nfold = 2\n"),
        (
            "[model_config.architecture_config]\n",
            '[model_config]\nload_checkpoint = "a.ckpt"\ncheckpoint_events = "unseen"\n'
            "[model_config.architecture_config]\n",
        ),
    ),
    optimizer__unknown='optimizer_name = "Adan"\n',
    optimizer__refused='optimizer_name = "SparseAdam"\n',
    params__unknown="{ lr = 1e-3, weight_deca = 0.1 }",
    params__left_out="{ differentiable = true }",
    params__wrong_type='{ lr = "1e-3" }',
    params__out_of_range="{ lr = -1.0 }",
    params__list="{ betas = [0.9] }",
    params__list_range="{ betas = [0.9, 1.5] }",
    params__infinite="{ lr = inf }",
    params__together="{ fused = true, foreach = true }",
    optimizer__nesterov='optimizer_name = "SGD"\noptimizer_params = { nesterov = true }\n',
)


def scheduler(name: str, text: str) -> None:
    """Add a case with a scheduler."""
    table = f"\n[training_config.scheduler]\n{text}\n"
    CASES[f"scheduler-{name}"] = ((OPTIMIZER, OPTIMIZER + table),)


CASES["optimizer-for-a-gpu"] = (
    (SEED, 'accelerator = "cpu"\n'),
    (PARAMS, "{ lr = 1e-3, capturable = true }"),
)
CASES["experiment-of-mlflows-folder"] = (('"h4l"', '"mlruns"'),)
CASES["experiment-of-the-caches-folder"] = (('"h4l"', '"cache"'),)
CASES["layers-that-fill-no-block"] = ((MODEL, 'model = "ResNet"\nn_layers = 3\n'),)
CASES["column-too-long"] = (('["lep1_pt", "lep1_eta"]', f'["{"x" * 101}"]'),)
CASES["batchnorm-of-one"] = (
    (NUMERICAL, f"{NUMERICAL}batch_size = 1\n"),
    (MODEL, f"{MODEL}batchnorm = true\n"),
)
CASES["selection-of-two-arguments"] = ((SELECTION, '"sqrt(lep1_pt, 2) > 1"'),)
CASES["fingerprint-of-no-file"] = (
    (NUMERICAL, f'{NUMERICAL}fingerprints = {{ "data/h4.parquet" = "{"0" * 64}" }}\n'),
)

CASES["fused-sgd-in-16-bits"] = (
    (SEED, 'accelerator = "gpu"\nprecision = "16-mixed"\n'),
    (OPTIMIZER, 'optimizer_name = "SGD"\noptimizer_params = { lr = 1e-3, fused = true }\n'),
    (TIME, f"{TIME}gpus = 1\n"),
)
CASES["lbfgs-in-16-bits"] = (
    (SEED, 'accelerator = "gpu"\nprecision = "16-mixed"\n'),
    (OPTIMIZER, 'optimizer_name = "LBFGS"\n'),
    (TIME, f"{TIME}gpus = 1\n"),
)
CASES["rate-beyond-32-bits"] = ((PARAMS, "{ lr = 1e300 }"),)
CASES["missing-infinite"] = ((NUMERICAL, f"{NUMERICAL}missing = -inf\n"),)
CASES["layers-beyond-all-machines"] = ((MODEL, f"{MODEL}n_layers = 2_000_000_000\n"),)
CASES["units-beyond-all-machines"] = ((MODEL, f"{MODEL}n_hidden = 10_000_000\n"),)
CASES["embedding-beyond-all-machines"] = ((MODEL, f"{MODEL}embedding_dim = 10_000_000_000\n"),)

scheduler("unknown", 'scheduler_name = "CosineAnealingLR"')
scheduler("refused", 'scheduler_name = "LambdaLR"')
scheduler("missing", 'scheduler_name = "StepLR"')
scheduler("unnamed", 'interval = "epoch"')
scheduler("plateau-by-step", 'scheduler_name = "ReduceLROnPlateau"\ninterval = "step"')
scheduler(
    "choice", 'scheduler_name = "ReduceLROnPlateau"\nscheduler_params = { threshold_mode = "x" }'
)
scheduler(
    "too-short",
    'scheduler_name = "OneCycleLR"\nscheduler_params = { max_lr = 0.1, total_steps = 29 }',
)
scheduler(
    "overflow",
    'scheduler_name = "OneCycleLR"\nscheduler_params = { max_lr = 0.1, div_factor = 1e-40 }',
)
CASES["scheduler-cyclic-without-momentum"] = (
    (
        OPTIMIZER,
        'optimizer_name = "RMSprop"\n\n[training_config.scheduler]\nscheduler_name = "CyclicLR"\n'
        "scheduler_params = { base_lr = 1e-4, max_lr = 1e-2, max_momentum = 0 }\n",
    ),
)
CASES["scheduler-cyclic-with-adam"] = (
    (
        OPTIMIZER,
        'optimizer_name = "Adafactor"\n\n[training_config.scheduler]\nscheduler_name = "CyclicLR"\n'
        "scheduler_params = { base_lr = 1e-4, max_lr = 1e-2 }\n",
    ),
)


def sweep(name: str, text: str, *edits: tuple[str, str]) -> None:
    """Add a case with a sweep."""
    CASES[f"sweep-{name}"] = ((TIME, f"{TIME}\n[sweep_config]\n{text}\n"), *edits)


LR = "grid.training_config.optimizer.optimizer_params.lr"
HIDDEN = "grid.model_config.architecture_config.n_hidden"
sweep("of-nothing", "")
sweep("unknown", "seds = [1]")
sweep("seeds-empty", "seeds = []")
sweep("seeds-twice", "seeds = [1, 2, 1]")
sweep("seeds-negative", "seeds = [1, -1]")
sweep("limit", "seeds = [1]\nmax_parallel = 0")
sweep("limit-of-no-array", "seeds = [1]\nmax_parallel = 2", (f"[slurm_config]\n{TIME}", ""))
sweep("grid-of-no-table", "grid = [1]")
sweep("grid-option-unknown", "grid.training_config.max_epoch = [1, 2]")
sweep("grid-table-unknown", "grid.traning_config.max_epochs = [1, 2]")
sweep("grid-of-no-lists", "grid.training_config.max_epochs = 3")
sweep("grid-empty-list", f"{HIDDEN} = []")
sweep("grid-of-a-table", "grid.training_config = [{ max_epochs = 3 }, { max_epochs = 4 }]")
sweep("point-of-no-table", "points = [1]")
sweep("point-table-is-number", "points = [{ training_config = 5 }]")
sweep("point-option-unknown", "[[sweep_config.points]]\ntraining_config.loss_param.gamma = 1")
sweep("task", 'grid.task = ["signal"]')
FOLDED = (NUMERICAL, f"{NUMERICAL}folds = 5\n")
sweep("folds", "grid.dataset_config.folds = [5, 10]")
sweep("fold", "grid.dataset_config.fold = [0, 1]", FOLDED)
sweep("fold-of-one", "grid.dataset_config.fold = [0, 1]", (NUMERICAL, FOLDED[1] + "fold = 1\n"))
sweep("split-and-folds", "grid.dataset_config.split = [{ train = 0.6 }]", FOLDED)
sweep("many-folds", "seeds = [" + ", ".join(map(str, range(101))) + "]",
      (NUMERICAL, f"{NUMERICAL}folds = 100\n"))  # fmt: skip
sweep("checkpoints-and-folds", 'points = [{ model_config.load_checkpoint = "a.ckpt" }]', FOLDED)
sweep("networks-of-folds", "grid.training_config.export_onnx = [true, false]", FOLDED)
sweep("faulty-points-and-folds", 'grid.training_config.loss = ["bce", "exponential"]', FOLDED)
sweep("nothing-and-wrong-folds", "max_parallel = 2", (NUMERICAL, f'{NUMERICAL}folds = "5"\n'))
sweep("nothing-and-one-fold", "max_parallel = 2", (NUMERICAL, FOLDED[1] + "fold = 1\n"))
sweep("run-name", 'grid.experiment_config.run_name = ["a", "b"]')
sweep("experiment-name", 'points = [{ experiment_config = { experiment_name = "b" } }]')
sweep("job", 'grid.slurm_config.memory = ["4G", "8G"]')
sweep("sweep", "grid.sweep_config.seeds = [[1], [2]]")
sweep("hardware", 'grid.experiment_config.accelerator = ["cpu", "gpu"]')
sweep("seeds-and-swept-seed", "seeds = [1, 2]\ngrid.experiment_config.seed = [1, 2]")
sweep("wrong-type", f'{HIDDEN} = [64, "128"]\n{LR} = [1e-3, 1e-4]')
sweep("out-of-range", f"{HIDDEN} = [64, 0]")
sweep("rule", f"{LR} = [1e-3, -1.0]\nseeds = [1, 2]")
sweep("rule-of-a-point", '[[sweep_config.points]]\ntraining_config.monitor = "val_acu"')
sweep(
    "rule-of-what-is-not-swept",
    'grid.model_config.architecture_config.model = ["MLP", "ResNet"]',
    (MODEL, f"{MODEL}n_layers = 3\n"),
)
sweep("lacks", 'points = [{ training_config = { scheduler = { interval = "step" } } }]')
sweep("secret-in-a-point", 'points = [{ training_config = { api_key = "s3cr3tvalue" } }]')
sweep(
    "equal",
    f"{HIDDEN} = [64, 64]\nseeds = [1, 2]\n[[sweep_config.points]]\n"
    "model_config.architecture_config.n_hidden = 64",
)
sweep("equal-since-only-shown", "grid.experiment_config.tqdm_refresh_rate = [1, 2]")
sweep("equal-to-the-spec", "points = [{}, { model_config = { name = 'sigBkgClassifier' } }]")
sweep("too-many", f"{HIDDEN} = {list(range(1, 201))}\nseeds = {list(range(51))}")

# source.py and positions.py: what is not TOML, or no spec.
replace(
    source__no_quotes=('"h4l"', "h4l"),
    source__null=(SEED, "seed = null\n"),
    source__yaml=(SEED, "seed: 1\n"),
    source__given_twice=(SEED, "seed = 1\nseed = 2\n"),
    source__not_closed=(NUMERICAL, 'numerical = ["lep1_pt", "lep1_eta"\n'),
    source__quote_not_closed=('"h4l"', '"h4l'),
    source__hidden=(SEED, "seed = 1 # \N{RIGHT-TO-LEFT OVERRIDE}\n"),
    source__escaped_hidden=('"h4l"', '"h4l\\u202e"'),
    source__64_bits=(SEED, "seed = 99999999999999999999\n"),
)

# fakes_rules.py and rules.py: what only fakes have, and what goes with a metric.
replace(
    only_fakes__table=(TIME, f'{TIME}\n[fakes_config]\ncategory = "el_type"\n'),
    only_fakes__kind=(BACKGROUND, f'{BACKGROUND}kind = "mc"\n'),
    only_fakes__loss=(EPOCHS, f'{EPOCHS}loss = "tangent"\n'),
    only_fakes__w_lambda=(EPOCHS, f"{EPOCHS}w_lambda = 0.1\n"),
    only_fakes__act_out=(MODEL, f'{MODEL}act_out = "Softabs"\n'),
    logarithmic__no_feature=(NUMERICAL, f'{NUMERICAL}logarithmic = ["lep2_pt"]\n'),
    last__early_stop=(EPOCHS, f'{EPOCHS}monitor = "last"\nearly_stop_patience = 3\n'),
    epochs__least_of_no_stopping=(EPOCHS, f"{EPOCHS}min_epochs = 3\nearly_stop_min_delta = 0.1\n"),
    epochs__least_beyond_most=(EPOCHS, f"{EPOCHS}min_epochs = 99\nearly_stop_patience = 3\n"),
    last__save_top_k=(EPOCHS, f'{EPOCHS}monitor = "last"\nsave_top_k = 3\n'),
    last__plateau=(
        EPOCHS,
        f'{EPOCHS}monitor = "last"\nscheduler = {{ scheduler_name = "ReduceLROnPlateau" }}\n',
    ),
)

SECRET = "s3cr3tvalue"  # noqa: S105 (what must never be shown)
LITERAL_KEYS = {
    "quoted": f'comet_api_key = "{SECRET}"',
    "in single quotes": f"comet_api_key = '{SECRET}'",
    "bare": f"comet_api_key = {SECRET}",
    "number": "comet_api_key = 7355608135",
    "list": f'comet_api_key = ["{SECRET}"]',
    "not closed": f'comet_api_key = "{SECRET}',
    "three quotes": f'comet_api_key = """\n{SECRET}"""',
    "bad escape": f'comet_api_key = "\\q{SECRET}"',
    "bad escape in lines": f'comet_api_key = """\n\\q{SECRET}"""',
    "YAML": f"comet_api_key: {SECRET}",
    "two words": f'comet_api_key "{SECRET}"',
    "misspelt": f'comet_apikey = "{SECRET}"',
    "quoted name": f'"comet_api_key" = "{SECRET}"',
    "dotted": f'comet.api_key = "{SECRET}"',
    "upper case": f'COMET_API_KEY = "{SECRET}"',
    "given twice": f'comet_api_key = "${{COMET_API_KEY}}"\ncomet_api_key = "{SECRET}"',
    "hidden character": f'comet_api_key = "{SECRET}\u200b"',
    "beside a reference": f'comet_api_key = "${{COMET_API_KEY}}" "{SECRET}"',
    "in a reference": f'comet_api_key = "${{COMET_API_KEY}}{SECRET}"',
    "reference with default": f'comet_api_key = "${{COMET_API_KEY:-{SECRET}}}"',
    "in a comment of a fault": f'seeed = 1 # comet_api_key = "{SECRET}"',
    "beside a fault": f'table = {{ seeed = 1, comet_api_key = "{SECRET}" }}',
    "token": f'comet_token = "{SECRET}"',
    "in a sweep": f'sweep_config.grid.experiment_config.comet_api_key = ["{SECRET}"]',
}
replace(
    dataset__same_events=('selection = "process == 0"\n', ""),
    dataset__same_selected_events=('"process == 0"', '"process == 1"'),
)
CASES["dataset-negative-weights-of-none"] += (('\nweight = "weight"\n', "\n"),)
CASES["scheduler-mode-against-monitor"] = (
    (EPOCHS, f'{EPOCHS}monitor = "val_auc"\n'),
    ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "ReduceLROnPlateau"\n'
                       'scheduler_params = { mode = "min" }\n\n[slurm_config]'),
)  # fmt: skip

# What is allowed, and warned of.
WARNINGS: dict[str, Edits] = {
    "weight-as-feature": ((NUMERICAL, 'numerical = ["lep1_pt", "weight"]\n'),),
    "derived-weight-as-feature": (
        (NUMERICAL, f'{NUMERICAL}derived = {{ w = "2 * lep1_pt" }}\n'),
        ('\nweight = "weight"\n', '\nweight = "weight * w"\n'),
    ),
    "class-column-as-feature": (
        ('["n_jets"]\n', '["process", "is_h"]\nclasses = ["background", "signal"]\n'
                         'derived = { is_h = "1 == process" }\n'),
        ('class = "background"\n', 'class_column = "process"\n'),
    ),
    "selected-feature": (
        ('["n_jets"]\n', '["process", "ht"]\nderived = { ht = "lep2_pt + lep3_pt" }\n'),
        (SELECTION, '"process == 1 and ht > 50 and lep1_pt > 20"'),
        ('"process == 0"', '"lep1_pt > 20 and process == 0"'),
    ),
    "idle-parameters": (
        ('"AdamW"', '"Adam"'),
        (PARAMS, "{ decoupled_weight_decay = true }"),
        ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "CyclicLR"\n'
                           "scheduler_params = { base_lr = 1e-4, max_lr = 1e-2, gamma = 0.9,"
                           " cycle_momentum = false, max_momentum = 0.9 }\n\n[slurm_config]"),
    ),
    "exponential-cycle-without-gamma": (
        ('"AdamW"', '"SGD"'),
        (PARAMS, "{ lr = 0.1, momentum = 0.5 }"),
        ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "CyclicLR"\n'
                           "scheduler_params = { base_lr = 1e-4, max_lr = 1e-2,"
                           ' mode = "exp_range" }\n\n[slurm_config]'),
    ),
    # Of the rate alone: dampened is the schedule's momentum, and nesterov needs one at first.
    "momentum-of-the-schedule": (
        ('"AdamW"', '"SGD"'),
        (PARAMS, "{ lr = 0.1, dampening = 0.1 }"),
        ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "OneCycleLR"\n'
                           "scheduler_params = { max_lr = 1e-2 }\n\n[slurm_config]"),
    ),
    "momentum-for-nesterov": (
        ('"AdamW"', '"SGD"'),
        (PARAMS, "{ lr = 0.1, nesterov = true, momentum = 0.9 }"),
        ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "OneCycleLR"\n'
                           "scheduler_params = { max_lr = 1e-2 }\n\n[slurm_config]"),
    ),
    "rates-of-the-schedule": (
        (PARAMS, "{ lr = 1e-3, betas = [0.8, 0.99] }"),
        ("[slurm_config]", '[training_config.scheduler]\nscheduler_name = "OneCycleLR"\n'
                           "scheduler_params = { max_lr = 1e-2 }\n\n[slurm_config]"),
    ),
}  # fmt: skip
