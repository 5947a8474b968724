# Every target installs what is missing into .venv first, with plain venv and pip.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench fidelity clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 12) else "Python 3.12 or newer is needed, found %s; try: make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[tests,style]'
	touch $@

run: $(VENV)/installed  ## pretrain on the embedded simulated scenes, about 5 minutes on 2 cores
	$(BIN)/xstars fit --config configs/pretrain.yaml

test: $(VENV)/installed  ## run the tests, two files at once
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/installed  ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed  ## bring the code into the agreed form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/installed  ## measure speed and memory against named peers; writes docs/benchmarks.md
	$(BIN)/python benchmarks/report.py $(ONLY)

fidelity: $(VENV)/installed  ## study what alignment brings, 45 minutes on 2 cores; writes docs/fidelity.md
	PYTHONPATH=benchmarks $(BIN)/python -m fidelity

clean:  ## remove the environment and caches, not the runs
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build
