# Two commands are enough: `make demo` and `make test`. Everything stays inside the clone and the user's cache.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready-dev

.PHONY: help demo test fast check bench docs clean

help:            ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Nodeyard needs Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e '.[etcd,cometbft]' --group test --group check
	@touch $@

demo: $(READY)   ## three real etcd nodes as local processes, one scenario, a verdict
	$(BIN)/nodeyard run examples/quickstart.yaml

test: $(READY)   ## every test, in parallel
	$(BIN)/python -m pytest

fast: $(READY)   ## the tests that start nothing
	$(BIN)/python -m pytest -m 'not real'

check: $(READY)  ## format, lint, types, levels
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)  ## benchmarks against raw lower bounds, as ratios
	$(BIN)/python -m bench

docs: $(READY)   ## rewrite the tables of docs/ that are made from the code
	PYTHONPATH=tests $(BIN)/python -m docs.tables

clean:           ## remove the environment and caches of this clone
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis
