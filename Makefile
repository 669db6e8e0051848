# `make run` and `make test` do all the set-up themselves.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Works with GNU make 3.81, the one that macOS ships.

VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(if $(shell $(name) -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null && echo yes),$(name))))
# Where uv is not installed, pip puts it into the environment: faster than to have pip install everything.
UV := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
PORT ?= 8501
export PYTHONUTF8 := 1

SERVE := $(PY) -m streamlit run dashboard/app.py --server.address localhost --server.port $(PORT)
# Ctrl-C is the normal way to stop the dashboard.
CTRL_C_IS_OK := trap 'exit 0' INT;

.PHONY: help run setup test test-cloud test-trino cloud-demo check lint types format bench screenshots package up dashboard-aws lock clean

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.run ## Set up, collect the last session (or simulate one when Yahoo cannot be reached), open the dashboard
	@lake="$${LAKE_DIR:-lake}"; code=0; \
	$(VENV)/bin/tickerlake collect --lake "$$lake" || code=$$?; \
	if [ $$code -eq 1 ] && ! ls "$$lake"/bars/dt=*/*.parquet >/dev/null 2>&1; then \
		lake=lake-simulated; \
		echo "No bars from Yahoo (the reason is above): showing a SIMULATED session from $$lake/ instead."; \
		$(VENV)/bin/tickerlake collect --source simulated --lake "$$lake" || exit $$?; \
	elif [ $$code -eq 1 ]; then \
		echo "No new bars from Yahoo (the reason is above): showing what $$lake/ holds."; \
	elif [ $$code -ne 0 ] && [ $$code -ne 3 ]; then \
		exit $$code; \
	fi; \
	echo "The dashboard is at http://localhost:$(PORT) (Ctrl-C ends it)."; \
	$(CTRL_C_IS_OK) LAKE_DIR="$$lake" $(SERVE)

setup: $(VENV)/.all ## Install everything but the test tools

test: $(VENV)/.dev ## Set up and run every test that needs no cloud account
	@$(PY) -m pytest -n auto --dist loadfile

test-cloud: $(VENV)/.dev ## Run the deployed pipeline in an emulator of AWS, with faults; part of `make test`
	@$(PY) -m pytest -n auto --dist loadfile tests/cloud

cloud-demo: $(VENV)/.dev ## The same, left running with the dashboard on it; no account needed
	@$(PY) -m tests.cloud --port $(PORT)

test-trino: $(VENV)/.dev ## Run every query on a real Trino as well; needs a JDK and Maven, or TRINO_URL
	@TRINO_TESTS=1 $(PY) -m pytest -m trino --force-enable-socket tests/trino

check: lint types package test ## Lint, format, types and tests: what CI runs

lint: $(VENV)/.dev ## Lint, and check the format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/lint-imports --no-cache --no-logo

types: $(VENV)/.dev ## Check the types
	@$(VENV)/bin/ty check --quiet

format: $(VENV)/.dev ## Format the code, and mend what the linter can mend
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(VENV)/.dev ## Measure how fast it is, as ratios to a baseline of the same run
	@$(PY) -m tests.bench

screenshots: $(VENV)/.dev ## Take the README's pictures anew, from a simulated lake
	@$(PY) -m tests.dashboard.screenshots

package: $(VENV)/.all ## Build the Lambda's zip, build/collector.zip
	@$(PY) -m infra.packaging

up: package ## Deploy with Pulumi: the same as `pulumi up`
	@pulumi up

dashboard-aws: $(VENV)/.all ## Open the dashboard on the deployed stack's lake
	@settings="$$(pulumi stack output --json | $(PY) -m infra.settings)" || exit $$?; \
	$(CTRL_C_IS_OK) env $$settings $(SERVE)

PIN = "$(UV)" pip compile --quiet --universal --generate-hashes --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/.all ## Update the pinned requirements after pyproject.toml has changed (UPGRADE=1: to the newest versions)
	$(PIN) $(if $(UPGRADE),--upgrade) --python-version 3.11 pyproject.toml --extra dev -o requirements-dev.txt
	$(PIN) --python-version 3.11 pyproject.toml --extra aws --extra dashboard --extra deploy -c requirements-dev.txt -o requirements.txt
	$(PIN) --python-version 3.13 functions/collector/requirements.in -c requirements-dev.txt -o functions/collector/requirements.txt

clean: ## Remove what was built; the lakes stay
	@rm -rf $(VENV) build .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: found no Python 3.11, 3.12 or 3.13 with venv; install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; \
	fi
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@if [ -x "$(UV)" ]; then "$(UV)" venv --quiet --seed --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(VENV)/bin/uv: | $(VENV)/bin/python
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt | $(PY) -m pip install --quiet --disable-pip-version-check --requirement /dev/stdin

# The local flow alone: a fifth of the megabytes. uv checks each package against its pinned hash.
$(VENV)/.run: pyproject.toml requirements.txt | $(VENV)/bin/python $(UV)
	@echo "Installing the local flow (once) ..."
	@"$(UV)" pip install --quiet --python $(PY) --editable '.[dashboard]' --constraints requirements.txt
	@touch $@

$(VENV)/.all: pyproject.toml requirements.txt | $(VENV)/bin/python $(UV)
	@echo "Installing the local flow and Pulumi (once) ..."
	@"$(UV)" pip install --quiet --python $(PY) --editable . --requirements requirements.txt
	@touch $@ $(VENV)/.run

$(VENV)/.dev: pyproject.toml requirements-dev.txt | $(VENV)/bin/python $(UV)
	@echo "Installing everything and the test tools (once) ..."
	@"$(UV)" pip install --quiet --python $(PY) --editable . --requirements requirements-dev.txt
	@touch $@ $(VENV)/.all $(VENV)/.run
