# `make run` and `make test` do all the set-up themselves.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Works with GNU make 3.81, the one that macOS ships.

VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(if $(shell $(name) -c 'import sys, venv, ensurepip; assert (3, 11) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null && echo yes),$(name))))
# Where uv is missing, pip installs it into the environment: that and uv take a third of the time that pip alone takes.
UV := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
PORT ?= 8501
export PYTHONUTF8 := 1

TICKERLAKE := $(VENV)/bin/tickerlake
# In a job of its own, Ctrl-C stops only the command: make would report an interrupt and fail.
JOB := set -m 2>/dev/null;

.PHONY: help run setup test test-browser test-cloud test-trino test-engine test-forecast test-arm64 test-kills cloud-demo check lint types format bench soak mutants fuzz audit licences screenshots package up preflight verify deployer-policy dashboard-aws lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.run ## Set up, collect the last session (or simulate one if Yahoo cannot be reached), open the dashboard
	@lake="$${LAKE_DIR:-lake}"; code=0; \
	$(TICKERLAKE) collect --lake "$$lake" || code=$$?; \
	if [ $$code -eq 1 ] && ! ls "$$lake"/bars/dt=*/*.parquet >/dev/null 2>&1; then \
		echo "Yahoo gave no bars (see above). Opening a lake with SIMULATED prices instead."; \
		$(JOB) $(TICKERLAKE) demo --port $(PORT); exit $$?; \
	fi; \
	case $$code in \
		1) echo "Yahoo gave no new bars (see above). Opening the lake as it is." ;; \
		2|130) exit $$code ;; \
	esac; \
	$(JOB) $(TICKERLAKE) dashboard --lake "$$lake" --port $(PORT); exit $$?

setup: $(VENV)/.all ## Install everything but the test tools

test: $(VENV)/.dev ## Set up and run every test that needs no AWS account
	@$(PY) -m pytest -n auto --dist loadfile

test-browser: $(VENV)/.dev ## Drive the dashboard in Chromium, each page and view in both widths and both themes
	@BROWSER_TESTS=1 $(PY) -m pytest -n 0 tests/dashboard/test_browser.py

test-cloud: $(VENV)/.dev ## Run the deployed pipeline in an emulator of AWS, with faults, kills and another sender (4 minutes)
	@CLOUD_TESTS=1 $(PY) -m pytest -n auto --dist loadfile tests/cloud

cloud-demo: $(VENV)/.dev ## Run the deployed pipeline in the emulator and open the dashboard on it; needs no AWS account
	@$(JOB) $(PY) -m tests.cloud --port $(PORT); exit $$?

test-trino: $(VENV)/.dev ## Run every query on a real Trino; needs a JDK and Maven, or TRINO_URL
	@TRINO_TESTS=1 $(PY) -m pytest -m trino --force-enable-socket tests/trino

test-forecast: $(VENV)/.dev ## Score forecasts on 40 seeds of noise, where no skill may be claimed (20 minutes)
	@FORECAST_TESTS=1 $(PY) -m pytest -n auto --dist loadfile tests/forecast

test-engine: $(VENV)/.dev ## Run the program under the real Pulumi engine, in the emulator; needs Go (builds the CLI once: 7 minutes)
	@ENGINE_TESTS=1 $(PY) -m pytest -n 2 --dist loadfile -m engine --force-enable-socket tests/engine

test-arm64: $(VENV)/.dev ## Run the Lambda's own zip on arm64 Python under qemu, for a nightly run (half an hour)
	@$(PY) -m tests.arm64

test-kills: $(VENV)/.dev ## Kill 200 compactors at random moments and compare every answer (5 minutes)
	@$(PY) -c "from tests.lake.kills import main; main(200)"

check: lint types audit package test ## Run everything that CI runs

lint: $(VENV)/.dev ## Check style, format and who imports whom
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/lint-imports --no-cache --no-logo

types: $(VENV)/.dev ## Check the types
	@$(VENV)/bin/ty check --quiet

format: $(VENV)/.dev ## Format the code and fix what the linter can fix
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(VENV)/.dev ## Measure speed, as ratios to a baseline in the same run
	@$(PY) -m tests.bench

soak: $(VENV)/.dev ## Kill watcher, collector, repair, importer and compaction 200 times beside a reader (6 minutes)
	@$(PY) -m tests.soak

mutants: $(VENV)/.dev ## Change the pure code in small ways and count which changes the tests notice (15 minutes)
	@$(PY) -m mutmut run
	@$(PY) -m mutmut export-cicd-stats && cat mutants/mutmut-cicd-stats.json

fuzz: $(VENV)/.dev ## Try random input of every kind for FUZZ_SECONDS each, 20 by default, and count the cases
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-20} $(PY) -m pytest -n 0 tests/fuzz

audit: $(VENV)/.dev ## Look for known vulnerabilities in the pinned packages; skipped without a network
	@if $(PY) -c 'import urllib.request as u; u.urlopen("https://pypi.org/pypi/pip/24.0/json", timeout=10)' 2>/dev/null; then \
		"$(UV)" tool run --quiet pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements-dev.txt; \
	else echo "audit skipped: pypi.org cannot be reached"; fi

licences: $(VENV)/.dev ## List the licence of every installed package
	@$(PY) -m tests.licences

screenshots: $(VENV)/.dev ## Take the README's screenshots of a simulated lake
	@$(PY) -m tests.dashboard.screenshots

package: $(VENV)/.all ## Build the Lambda's zip, build/collector.zip
	@$(PY) -m infra.packaging

up: package ## Deploy with `pulumi up`
	@pulumi up

preflight: $(VENV)/.all ## Check the AWS account before `make up`: rights, quotas, names, Lake Formation, Yahoo
	@$(PY) -m infra.preflight

verify: $(VENV)/.all ## Check the deployed stack: follow a record to Athena, run the crawler, fire the alarms
	@$(PY) -m infra.verify

deployer-policy: $(VENV)/.dev ## Write infra/deployer-policy.json again after a change of the program
	@$(PY) -m tests.infra.deployer_policy

dashboard-aws: $(VENV)/.all ## Open the dashboard on the deployed stack
	@settings="$$(pulumi stack output --json | $(PY) -m infra.settings)" || exit $$?; \
	$(JOB) env $$settings $(TICKERLAKE) dashboard --port $(PORT); exit $$?

PIN = "$(UV)" pip compile --quiet --universal --generate-hashes --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/.all ## Pin the requirements again after editing pyproject.toml; UPGRADE=1 takes the newest versions
	$(PIN) $(if $(UPGRADE),--upgrade) --python-version 3.11 pyproject.toml --extra dev -o requirements-dev.txt
	$(PIN) --python-version 3.11 pyproject.toml --extra aws --extra dashboard --extra deploy -c requirements-dev.txt -o requirements.txt
	$(PIN) --python-version 3.13 functions/collector/requirements.in -c requirements-dev.txt -o functions/collector/requirements.txt

clean: ## Remove the environment and everything built; keep the lakes
	@rm -rf $(VENV) build dist .pytest_cache .ruff_cache

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
	@"$(UV)" pip install --quiet --compile-bytecode --python $(PY) --editable . --requirements requirements-dev.txt
	@touch $@ $(VENV)/.all $(VENV)/.run
