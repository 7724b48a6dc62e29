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

NATIVE_SOURCES := $(shell find tinspect/native -name '*.[ch]' -o -name '*.hpp' -o -name '*.mk') setup.py
build/stamp/native: $(VENV)/stamp $(NATIVE_SOURCES)
	@$(BIN)/python setup.py -q build_ext --inplace
	@mkdir -p $(@D) && touch $@

build: build/stamp/native  ## build the extension modules in place
