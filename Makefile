PYTHON ?= python3
BIN := .venv/bin

# The demonstration's home; set LENDING_HOME to open your own in the UI.
export LENDING_HOME ?= $(CURDIR)/.lending/demo

# Some containers set PYTHONDONTWRITEBYTECODE, so that Python does not save compiled modules. Every process, such as each
# worker of a test run, would then compile 2,800 modules, which takes 4 to 8 seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

.PHONY: demo
demo: .venv/ready ## Make up a lender, close its 18 months, make five reports and its tapes, and say where
	$(BIN)/lending demo

.PHONY: ui
ui: .venv/ready ## Open Dagster on http://127.0.0.1:3000 with the demo's data
	$(BIN)/lending ui

.PHONY: portal
portal: .venv/ready ## Serve the portal on http://127.0.0.1:8000 with the demo's data
	$(BIN)/lending portal

.PHONY: test
# In the order of tests/conftest.py, the slowest files first, so that the workers end at the same time.
test: .venv/ready-dev ## Run every test (minutes)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: quick
quick: .venv/ready-dev ## Run the fast tests of every package, half of all (under 90 seconds)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" --hypothesis-profile quick \
	  --durations 10 --durations-min 1

.PHONY: check
check: .venv/ready-dev ## Lint, formatting, spelling, types, import directions and Dagster's validation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate -m lending_pipelines.definitions

.PHONY: bench
bench: .venv/ready-dev ## Run the benchmarks: the close, exports and others, compared with alternatives (minutes)
	$(BIN)/python -m benchmarks

.PHONY: docs
docs: .venv/ready ## Write docs/tables.md from the package's tables
	$(BIN)/python docs/write_tables.py

.PHONY: lock
lock: ## Write the lock files from pyproject.toml (needs uv)
	$(LOCK) --all-extras --group dev --output-file requirements-dev.lock
	$(LOCK) --all-extras --constraint requirements-dev.lock --output-file requirements-deploy.lock
	$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements.lock

LOCK := uv pip compile pyproject.toml --universal --generate-hashes --no-strip-extras --no-annotate \
  --no-emit-index-url --no-header --quiet

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# The packages for running are installed first; tests, checks and benchmarks add theirs.
.venv/ready-dev: .venv/ready requirements-dev.lock
	$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements-dev.lock
	touch $@
