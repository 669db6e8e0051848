# Everything that people run. `make run` and `make test` set up what they need by themselves.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Kept to what GNU make 3.81 knows, the one that macOS ships.

VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(if $(shell $(name) -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null && echo yes),$(name))))
PORT ?= 8501
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1

SERVE := $(PY) -m streamlit run dashboard/app.py --server.address localhost --server.port $(PORT)
# Ctrl-C is how a dashboard ends, and no error.
ENDS_WELL := trap 'exit 0' INT;

LOCAL_SETS := dashboard/requirements.txt functions/collector/requirements.txt

.PHONY: help run setup test test-cloud test-trino cloud-demo check lint types format bench screenshots package up dashboard-aws lock clean

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.local ## Set up, collect the last session (or simulate one when Yahoo cannot be reached), open the dashboard
	@lake="$${LAKE_DIR:-lake}"; code=0; \
	$(PY) -m functions.collector collect --lake "$$lake" || code=$$?; \
	if [ $$code -eq 1 ] && ! ls "$$lake"/bars/dt=*/*.parquet >/dev/null 2>&1; then \
		lake=lake-simulated; \
		echo "No bars from Yahoo (the reason is above): showing a SIMULATED session from $$lake/ instead."; \
		$(PY) -m functions.collector collect --source simulated --lake "$$lake" || exit $$?; \
	elif [ $$code -eq 1 ]; then \
		echo "No new bars from Yahoo (the reason is above): showing what $$lake/ holds."; \
	elif [ $$code -ne 0 ] && [ $$code -ne 3 ]; then \
		exit $$code; \
	fi; \
	echo "The dashboard is at http://localhost:$(PORT) (Ctrl-C ends it)."; \
	$(ENDS_WELL) LAKE_DIR="$$lake" $(SERVE)

setup: $(VENV)/.whole ## Set up everything, without running anything

test: $(VENV)/.whole ## Set up and run every test that needs no cloud account
	@$(PY) -m pytest -n auto --dist loadfile

test-cloud: $(VENV)/.whole ## Run the deployed pipeline in an emulator of AWS, with faults; part of `make test`
	@$(PY) -m pytest -n auto --dist loadfile tests/cloud

cloud-demo: $(VENV)/.whole ## The same, left running with the dashboard on it; no account needed
	@$(PY) -m tests.cloud --port $(PORT)

test-trino: $(VENV)/.whole ## Run every query on a real Trino as well; needs a JDK and Maven, or TRINO_URL
	@TRINO_TESTS=1 $(PY) -m pytest -m trino --force-enable-socket tests/trino

check: lint types package test ## Lint, format, types and tests: what CI runs

lint: $(VENV)/.whole ## Lint, and check the format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: $(VENV)/.whole ## Check the types
	@$(VENV)/bin/ty check --quiet

format: $(VENV)/.whole ## Format the code, and mend what the linter can mend
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(VENV)/.whole ## Measure how fast it is, as ratios to a baseline of the same run
	@$(PY) -m tests.bench

screenshots: $(VENV)/.whole ## Take the README's pictures anew, from a simulated lake
	@$(PY) -m tests.dashboard.screenshots

package: $(VENV)/.whole ## Build the Lambda's zip, build/collector.zip
	@$(PY) -m infra.packaging

up: package ## Deploy with Pulumi: the same as `pulumi up`
	@pulumi up

dashboard-aws: $(VENV)/.whole ## Open the dashboard on the deployed stack's lake
	@settings="$$(pulumi stack output --json | $(PY) -m infra.settings)" || exit $$?; \
	$(ENDS_WELL) env $$settings $(SERVE)

PIN = $(VENV)/bin/uv pip compile --quiet --universal --no-header
lock: $(VENV)/.whole ## Pin every set of requirements anew, after a change of a requirements.in
	@$(PY) -m pip install --quiet uv
	$(PIN) --python-version 3.11 requirements.in -o requirements.txt
	$(PIN) --python-version 3.11 -c requirements.txt dashboard/requirements.in -o dashboard/requirements.txt
	$(PIN) --python-version 3.11 -c requirements.txt functions/collector/requirements.in -o functions/collector/requirements.txt
	$(PIN) --python-version 3.11 -c requirements.txt queries/requirements-trino.in -o queries/requirements-trino.txt
	$(PIN) --python-version 3.13 -c requirements.txt functions/collector/requirements-lambda.in -o functions/collector/requirements-lambda.txt

clean: ## Remove what was built; the lakes stay
	@rm -rf $(VENV) build .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: found no Python 3.11, 3.12 or 3.13 with venv; install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; \
	fi
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(LOCAL_SETS) | $(VENV)/bin/python
	@echo "Installing what the local flow needs (about a minute, once) ..."
	@$(PY) -m pip install --quiet $(addprefix -r ,$(LOCAL_SETS))
	@touch $@

$(VENV)/.whole: requirements.txt | $(VENV)/bin/python
	@echo "Installing everything (a minute or two, once) ..."
	@$(PY) -m pip install --quiet -r requirements.txt
	@touch $@ $(VENV)/.local
