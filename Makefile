# `make reproduce` and `make test` are all that a fresh machine needs: they make their own
# environment in .venv from requirements.lock first.

SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python
# uv brings its own certificates, which a proxy that signs with its own authority does not satisfy;
# the system's do. Newer versions of uv know the first name, older ones the second.
SYSTEM_CERTS := UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
STAMP := $(VENV)/.installed
# The first that runs and is in range; a name alone proves nothing, pyenv's shims may fail.
CANDIDATES := python3 python3.13 python3.12 python3.11 python
IN_RANGE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
ifndef PYTHON
PYTHON := $(shell for p in $(CANDIDATES); do \
  if "$$p" -c '$(IN_RANGE)' >/dev/null 2>&1; then echo "$$p"; break; fi; done)
endif

# Real photos beside the checkout, if there are any, widen the tests.
ifneq ($(wildcard ../shared/data/.),)
export LLE_DATA_DIR ?= $(abspath ../shared/data)
endif

.PHONY: help setup reproduce test book colab lint house bench sync lock clean

help:  ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP)  ## Make the environment in .venv from requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@"$(PYTHON)" -c '$(IN_RANGE)' >/dev/null 2>&1 || { \
	  found="$$("$(or $(PYTHON),python3)" --version 2>/dev/null)"; \
	  echo "Python 3.11, 3.12 or 3.13 is needed; found: $${found:-none that runs}." >&2; \
	  echo "Install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(BIN)/python" -c '$(IN_RANGE)' >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@$(PIP) uv && { $(UV) -r requirements.lock || { \
	    echo "uv tries again, with the certificates of the system." >&2; \
	    $(SYSTEM_CERTS) $(UV) -r requirements.lock; }; } || { \
	  echo "uv cannot install here; with pip it takes a minute or two longer." >&2; \
	  $(PIP) -r requirements.lock; }
	@$(PIP) --no-deps -e .
	@touch $@

reproduce: $(STAMP)  ## Run every notebook on the offline sample, then write the report page
	$(BIN)/lle run --profile quick

SLOW_TESTS := tests/web tests/notebooks
OTHER_TESTS := $(filter-out $(SLOW_TESTS) %.py %__pycache__,$(wildcard tests/*))

# Two at a time, what takes long first; tests/conftest.py says what stays together.
test: lint  ## Check style and notebooks, then run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  $(SLOW_TESTS) $(OTHER_TESTS)

book: $(STAMP)  ## Run every notebook, then build the site of their pages, and the app, in runs/book
	$(BIN)/lle run --profile quick
	@if command -v npm >/dev/null; then $(BIN)/lle site -o runs/book/app; \
	  else echo "npm is missing: the book is built without the app." >&2; fi
	$(BIN)/lle book runs/quick -o runs/book

VERSIONS ?= oldest newest
colab: $(STAMP)  ## Run all notebooks in Colab's oldest and newest versions, from a clone
	for versions in $(VERSIONS); do $(BIN)/python tests/colab/check.py $$versions || exit 1; done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lle check

house: $(STAMP)  ## Print the floors of the package and who imports whom
	$(BIN)/python tests/project/house.py

bench: $(STAMP)  ## Measure speed and memory, time the notebooks, and store the records
	$(BIN)/lle bench

sync: $(STAMP)  ## Derive every .ipynb from its .py
	$(BIN)/lle sync

lock: $(STAMP)  ## Renew requirements.lock from pyproject.toml
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet --upgrade \
	  --extra book --extra cpu --extra experiments --extra export --extra flip --extra notebooks --extra photos --extra remote --extra serve \
	  --extra test --extra video --universal --python-version 3.11 -o requirements.lock

clean:  ## Remove the environment and everything that a run made
	rm -rf $(VENV) runs build .pytest_cache .ruff_cache *.egg-info
	find lle_utils notebooks tests -name __pycache__ -prune -exec rm -rf {} +
