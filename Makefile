# make demo   everything on a synthetic feed, ending with the path of report.html
# make test   lint, types, tests; make test-long, those that take half a minute or more each
# make bench  speed and memory beside peers, into benchmarks/RESULTS.md
# All make .venv first, from the pinned requirements, every file of them checked against its hash.
# PYTHON=/path/to/python3.11 chooses the interpreter.

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKDIR ?= runs/demo
BIN := .venv/bin
# The checkout's own folders only: a PYTHONPATH of the caller's shell must not reach the runs.
unexport PYTHONPATH

.PHONY: help demo test test-long bench lint format lock clean
.DELETE_ON_ERROR:

help:  ## what there is to make
	@grep -hE '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z.]+):[^#]*## */  make \1\t/' | expand -t 16

demo: .venv/installed  ## every stage on the synthetic feed; ends with the path of report.html
	$(BIN)/python -m pipelines.run --config=configs/pipeline.py:demo --workdir=$(WORKDIR) --jobs=2

test: lint  ## lint, types and tests
	$(BIN)/python -m pytest -n 2 --dist=loadfile -m "not long"
	@echo "make: all but the long tests (whole pipelines, several hosts, many devices, …); those: make test-long"

test-long: .venv/installed-dev  ## the tests that take half a minute or more each
	$(BIN)/python -m pytest -n 2 --dist=loadfile -m long

bench: .venv/installed  ## speed and memory beside peers into benchmarks/RESULTS.md, on a machine that does nothing else
	$(BIN)/python -m benchmarks

lint: .venv/installed-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev  ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A stamp inside the folder says that the install ended well; a half-made one is finished by the next make.
.venv/installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "make: no Python found; install Python 3.11, or give PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "make: $(PYTHON) is not Python 3.11 (the pinned wheels are for 3.11); install it, or give PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import venv, ensurepip' || { \
	  echo "make: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt install python3.11-venv)" >&2; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# The versions stay as they are but where an .in file says otherwise. The extras' .in files name every package they add.
LOCK := uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

lock:  ## requirements*.txt again from requirements*.in, with the hashes of all files of each release; needs uv
	$(LOCK) requirements.in --output-file requirements.txt
	for extra in dev gpu tpu; do \
	  $(LOCK) --no-deps requirements-$$extra.in --output-file requirements-$$extra.lock && \
	  { grep '^#' requirements-$$extra.in; echo '-r requirements.txt'; cat requirements-$$extra.lock; } \
	    > requirements-$$extra.txt && rm requirements-$$extra.lock || exit 1; \
	done

clean:  ## removes .venv and caches; runs/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
