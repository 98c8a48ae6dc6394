# One command each: demo, demo-fakes, test, lint, regenerate, bench. All in .venv, at the pinned versions.
PYTHON ?= python3
# OpenMP threads spin at barriers: two of them beside another busy process are 250 times slower.
export OMP_NUM_THREADS ?= 1
BIN := .venv/bin

.PHONY: demo demo-fakes test lint regenerate bench

demo: .venv/train
	$(BIN)/seesawc build specs/h4l.toml
	$(BIN)/python generated/h4l/train_signal.py

demo-fakes: .venv/train specs/data/toy_pt.parquet
	$(BIN)/train_fakes specs/fakes_pt.toml
	$(BIN)/python specs/data/compare_toys.py

specs/data/toy_pt.parquet: specs/data/make_toys.py
	$(BIN)/python $< pt

test: .venv/test lint
	$(BIN)/pytest -n auto

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy compiler/seesawc templates/parts tests specs/data

regenerate: .venv/test
	$(BIN)/seesawc build --force specs/*.toml

bench: .venv/test
	PYTHONPATH=compiler:templates $(BIN)/python tests/benchmarks/benchmarks.py
	PYTHONPATH=compiler:templates:. $(BIN)/python tests/benchmarks/fakes.py

.venv/train: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

.venv/test: constraints.txt pyproject.toml .venv/train
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,test]'
	touch $@
