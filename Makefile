# One command each: demo, demo-fakes, test, lint, sweeps, mutants, regenerate, bench. All in .venv, at
# the pinned versions.
PYTHON ?= python3
# OpenMP threads spin at barriers: two of them beside another busy process are 250 times slower.
export OMP_NUM_THREADS ?= 1
BIN := .venv/bin
# One more than there are processors: some tests wait for SLURM's clock.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: demo demo-fakes test lint sweeps mutants regenerate bench

demo: .venv/train
	$(BIN)/seesawc build specs/h4l.toml
	$(BIN)/python generated/h4l/train_signal.py
	$(BIN)/python generated/h4l/apply.py specs/data/h4l.root \
		"$${ANALYSIS_ML_RESULTS_DIR:-results}/h4l_scored.root" --overwrite

demo-fakes: .venv/train specs/data/toy_pt.parquet
	$(BIN)/train_fakes specs/fakes_pt.toml
	$(BIN)/python specs/data/compare_toys.py

specs/data/toy_pt.parquet: specs/data/make_toys.py
	$(BIN)/python $< pt

# A fault of style does not keep the tests from running, and fails all the same.
test: .venv/test
	status=0; $(MAKE) --no-print-directory lint || status=$$?; \
	$(BIN)/pytest -n $(WORKERS) && exit $$status

lint: .venv/test
	status=0; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/mypy compiler/seesawc templates/parts templates/apply.py tests specs/data || status=1; \
	exit $$status

sweeps: .venv/test
	SEESAWC_SWEEPS=whole $(BIN)/pytest -n $(WORKERS) tests/compiler tests/parts tests/runs/test_exact_ends.py

mutants: .venv/test
	$(BIN)/python tests/mutants.py

regenerate: .venv/test
	$(BIN)/seesawc build --force specs/*.toml

# Each keeps its section of tests/benchmarks/RESULTS.md.
BENCHMARKS := benchmarks compiling training watching memory starting applying fakes

bench: .venv/test
	for each in $(BENCHMARKS); do \
		PYTHONPATH=compiler:templates:. $(BIN)/python tests/benchmarks/$$each.py || exit; \
	done

.venv/train: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

.venv/test: constraints.txt pyproject.toml .venv/train
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,test]'
	touch $@
