# Everything a developer or a CI job does. `make demo` and `make test` set the machine up by
# themselves: Debian packages, a virtual environment over Debian's Python, pinned Python packages.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test thorough torture fuzz bench check unit docs clean

# Two workers and many runs of the command share what was compiled once.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/.set-up
WORKERS := 2

help:
	@echo 'make demo   build a real guest, convert it, boot the result, show the report'
	@echo 'make test   all checks and tests'
	@echo 'make thorough  conversions and boots of more guests than `make test` has time for'
	@echo 'make torture   200 faults injected into conversions (as root, some 40 minutes; COUNT=, SEED=)'
	@echo 'make fuzz   damaged input for every parser; FUZZ_INPUTS=1000 for a short look'
	@echo 'make bench   speed, beside virt-v2v and qemu-img (hours; SERIES="refused floor", ROUNDS=5)'
	@echo 'make check  linters and types'
	@echo 'make unit   unit tests only'
	@echo 'make docs   write docs/errors.md from the catalogue of codes'
	@echo 'make setup  only what the others need'
	@echo 'make clean  remove the environment and what was made here (not the cache)'

setup: $(STAMP)
	@images/set-up packages

$(STAMP): images/requirements.lock pyproject.toml images/set-up images/packages.list
	@images/set-up packages
	@images/set-up python
	@touch $@

demo: setup
	$(BIN)/python -m images demo

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Thousands of small files: in memory, where there is such a place.
unit: setup
	scratch=$$(mktemp -d -p $(firstword $(wildcard /dev/shm /tmp))); \
	trap 'rm -rf "$$scratch"' EXIT; \
	$(BIN)/pytest -q -n $(WORKERS) --basetemp="$$scratch/unit" tests/unit

# FUZZ_INPUTS (100000 for each parser), FUZZ_SEED, FUZZ_TARGETS: see tests/fuzz/__main__.py.
fuzz: setup
	PYTHONHASHSEED=0 FUZZ_WORKERS=$(WORKERS) $(BIN)/python -m tests.fuzz $(FUZZ_TARGETS)

test: check unit
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --durations=40 \
	  tests/guests tests/windows tests/appliance tests/boot

thorough: setup
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m thorough tests/appliance tests/boot

docs: setup
	@mkdir -p docs
	$(BIN)/python -m converter.report.codes docs/errors.md

torture: setup
	$(BIN)/python -m tests.torture --count $(or $(COUNT),200) $(if $(SEED),--seed $(SEED))

bench: setup
	@images/set-up packages images/bench.list
	$(BIN)/python -m tests.bench --rounds $(or $(ROUNDS),5) $(SERIES)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis out build *.egg-info
