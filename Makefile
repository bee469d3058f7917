# Everything runs from .venv; nothing but Python 3.11 or newer (with venv) and make has to be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= 2
CASES ?= 3000
RUNS ?= 500
STEPS ?= 50
SEED ?= 0
RUN_STAMP := $(VENV)/.run-stamp
DEV_STAMP := $(VENV)/.dev-stamp
FRONTEND := frontend/package.json frontend/package-lock.json frontend/build.mjs frontend/hatch_build.py $(wildcard frontend/src/* frontend/src/*/*)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PATHS := mailer tests bench frontend web.py worker.py

.PHONY: help setup demo up check test fuzz-segments fuzz-consent chaos soak bench screenshots

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(DEV_STAMP) ## make .venv with the project and all development tools

demo: $(RUN_STAMP) ## install what running needs and play both stories; ARGS="--exit"
	@$(BIN)/mailer demo $(ARGS)

up: $(RUN_STAMP) ## start everything on this machine
	@$(BIN)/mailer up $(ARGS)

check: $(DEV_STAMP) ## static checks: lint, format, types, contracts, migrations, templates, spelling
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mailer.migrations.check
	$(BIN)/djlint --lint --quiet templates/admin templates/public
	$(BIN)/codespell mailer tests bench docs frontend/src templates *.md

test: $(DEV_STAMP) ## every test, both databases, a browser, a short chaos run
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

fuzz-segments: $(DEV_STAMP) ## thousands of random rules against a naive oracle, 2,000 people, both engines; CASES=… SEED=…
	MAILER_ORACLE_CASES=$(CASES) MAILER_ORACLE_PEOPLE=2000 MAILER_ORACLE_SEED=$(SEED) MAILER_FUZZ_CASES=$(CASES) \
		$(BIN)/python -m pytest tests/segments/test_oracle.py tests/segments/test_fuzz.py $(ARGS)

fuzz-consent: $(DEV_STAMP) ## whatever may happen to consent, in any order, against a plain model, both engines; RUNS=… STEPS=…
	MAILER_CONSENT_RUNS=$(RUNS) MAILER_CONSENT_STEPS=$(STEPS) $(BIN)/python -m pytest tests/consent/test_stateful.py $(ARGS)

chaos: $(DEV_STAMP) ## every fault in its long form, about half an hour; SEED=… ARGS="tests/chaos/test_kills.py"
	$(BIN)/python -m pytest -m chaos --trials=2 $(ARGS)

soak: $(DEV_STAMP) ## a giant among 50 small sendings, memory watched, some minutes; ARGS="--size=100000"
	$(BIN)/python -m bench.soak $(ARGS)

bench: $(DEV_STAMP) ## every benchmark, one after the other, about twenty minutes
	$(BIN)/python -m bench $(ARGS)

screenshots: $(DEV_STAMP) ## every page, desktop, phone and dark, into build/screenshots
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv: install Python's venv module (python3-venv)" >&2; exit 1; }

$(RUN_STAMP): pyproject.toml constraints.txt $(FRONTEND) | $(BIN)/python
	@echo "installing what running needs (about a minute the first time)" >&2
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@echo "installing development tools" >&2
	@$(PIP) install --constraint constraints.txt --group dev
	@touch $@
