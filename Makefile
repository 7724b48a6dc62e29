# Two commands do all the set-up: `make demo` and `make test`. Everything else is for working on tinspect.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# --- set-up -----------------------------------------------------------------------------------------------------------
# Stamps make each step run once; the scripts say exactly which Debian packages are missing when we are not root.
build/stamp/base-packages: scripts/packages.sh
	@scripts/packages.sh base
	@mkdir -p $(@D) && touch $@

build/stamp/test-packages: scripts/packages.sh
	@scripts/packages.sh base test
	@mkdir -p $(@D) && touch $@ build/stamp/base-packages

$(VENV)/stamp: build/stamp/base-packages pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages into $(VENV)" && $(BIN)/pip install -q --disable-pip-version-check 'setuptools>=77' wheel
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e '.[dev]'
	@touch $@

venv: $(VENV)/stamp  ## make the virtual environment

NATIVE_SOURCES := $(shell find tinspect/native -name '*.[ch]' -o -name '*.hpp' -o -name '*.mk' -o -name '*.in') setup.py
build/stamp/native: $(VENV)/stamp $(NATIVE_SOURCES)
	@$(BIN)/python setup.py -q build_ext --inplace
	@mkdir -p $(@D) && touch $@

build: build/stamp/native  ## build the extension modules in place

RUNTIME := build/native
build/stamp/runtime: build/stamp/base-packages $(NATIVE_SOURCES)
	@$(MAKE) -s -j$(JOBS) --no-print-directory -f tinspect/native/scope/build.mk OUT=$(RUNTIME) all demo
	@mkdir -p $(@D) && touch $@

runtime: build/stamp/runtime  ## build the scoped-thread runtime's libraries and the demo program

# --- use --------------------------------------------------------------------------------------------------------------
demo: build runtime  ## build everything needed and show a report on the bundled program
	@$(BIN)/tinspect demo

# --- checks -----------------------------------------------------------------------------------------------------------
lint: build  ## formatting, lint, types, stubs against the extensions, layers
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check -q .
	@$(BIN)/clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.hpp')
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest --ignore-disjoint-bases tinspect.native._inspect tinspect.native._scope
	@$(BIN)/lint-imports --no-logo

format: build  ## format Python and C in place
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .
	@$(BIN)/clang-format -i $$(git ls-files '*.c' '*.h' '*.hpp')

pages: build  ## make the manual page and the command-line reference anew from the parser
	@$(BIN)/python -m tinspect.cli.manual man >docs/man/tinspect.1
	@$(BIN)/python -m tinspect.cli.manual markdown >docs/reference/cli.md

# Offline, or not on Debian, the tests run without these libcs and say so.
build/stamp/libcs: tests/libcs/fetch.py build/stamp/test-packages
	@mkdir -p $(@D) && $(PYTHON) tests/libcs/fetch.py && touch $@ || echo "tests of those libcs will be skipped"

PYTEST_ARGS ?= -n $(JOBS) --dist loadgroup
check: build runtime build/stamp/test-packages build/stamp/libcs  ## run the tests without the linters
	@$(BIN)/pytest -q $(PYTEST_ARGS)

test: build/stamp/test-packages lint check  ## every check: lint, types, layers, tests

check-wheel: build  ## build the wheel, audit abi3, install it in a clean environment and try it
	@scripts/check_wheel.sh

BENCH ?=
bench: build runtime build/stamp/test-packages  ## benchmarks; prints ratios taken side by side: make bench BENCH="--full unwind"
	@$(BIN)/python -m benchmarks $(BENCH)

FUZZ_RUNS ?= 100000
fuzz: build build/stamp/test-packages  ## fuzz the parsers: make fuzz FUZZ_RUNS=1000000
	@$(BIN)/python -m tests.fuzz --runs $(FUZZ_RUNS)

KILLS ?= 10000
soak: build runtime build/stamp/test-packages  ## long tests: random kills, churn, fresh examples for the property tests: make soak KILLS=30000
	@HYPOTHESIS_PROFILE=search $(BIN)/pytest -q -m slow --timeout 3000 tests
	@HYPOTHESIS_PROFILE=search $(BIN)/pytest -q $(PYTEST_ARGS) tests/unit
	@$(BIN)/python tests/native/soak_inject.py --kills $(KILLS)

clean:  ## remove everything that was built, the environment included
	@rm -rf build dist .venv *.egg-info tinspect/native/*.so

.PHONY: help venv build runtime demo lint format pages check test check-wheel bench fuzz soak clean
