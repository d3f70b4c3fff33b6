# The one entry to this project. `make` alone lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: help setup run test test-slow check lint types docs lock bench bench-http bench-million bench-cold bench-remux bench-encrypt bench-pictures bench-sends bench-reupload bench-inbound bench-kit bench-retention behave

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Satchel needs Python 3.11 or newer as '$(PYTHON)': install python3.11, or name one with make PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: install it (on Debian and Ubuntu: apt-get install python3-venv) and run make again." >&2; exit 1; }
	@echo "Setting up .venv from requirements-dev.lock; this takes half a minute to two, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

setup: $(STAMP) ## make .venv with satchel, the test tools and the lint tools

run: setup ## start everything: Webapp on 9090, sandbox on 9091, data in ./.satchel (ARGS="--port 9190": elsewhere)
	@exec $(BIN)/satchel dev $(ARGS)

test: setup ## all tests but the slow ones, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -n 2

test-slow: setup ## everything, the whole crash sweep and five bad minutes on each engine included
	@$(BIN)/python -m pytest -n 2 -m "slow or not slow"

check: lint types docs ## the gate: style, layers, types, docs

lint: setup ## style and layers
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }

types: setup ## mypy --strict
	@$(BIN)/mypy --no-error-summary

docs: setup ## the docs are true: links, settings, errors, commands
	@$(BIN)/python -m pytest -q tests/docs

bench: bench-http bench-million bench-cold bench-remux bench-encrypt bench-pictures bench-sends bench-reupload bench-inbound bench-kit bench-retention ## everything that is measured, one after the other

bench-http: setup ## ours beside nginx and Synapse in one run; writes the table into docs/explanation/performance.md
	@$(BIN)/python -m benchmarks.http_peers --write

bench-million: setup ## the cost of a GET with 1,000,000 media against 1,000
	@$(BIN)/python -m benchmarks.million --write

bench-cold: setup ## what a download from a slow, cold disk costs the others (as root: it throttles the disk)
	@$(BIN)/python -m benchmarks.cold --write

bench-remux: setup ## the cost of a compliant video beside the ffmpeg command (apt-get install ffmpeg)
	@$(BIN)/python -m benchmarks.remux --write

bench-encrypt: setup ## 100 MiB encrypted, beside openssl and npm's baileys
	@$(BIN)/python -m benchmarks.encrypt --write

bench-pictures: setup ## what a picture costs on its way out, beside npm's sharp
	@$(BIN)/python -m benchmarks.pictures --write

bench-sends: setup ## messages and callbacks a second through a whole satchel dev
	@$(BIN)/python -m benchmarks.sends --write

bench-kit: setup ## what the test kit costs a test
	@$(BIN)/python -m benchmarks.kit --write

bench-inbound: setup ## received pictures a second through a whole satchel dev
	@$(BIN)/python -m benchmarks.inbound --write

bench-retention: setup ## gc and fsck with 1,000,000 media; builds them once, in a few minutes
	@$(BIN)/python -m benchmarks.retention --write

bench-reupload: setup ## a video whose 14 days are over, request until the phone has it, beside a plain download
	@$(BIN)/python -m benchmarks.reupload --write

behave: setup ## how the Webapp answers early refusals, slow clients, ranges and a SIGTERM, as JSON
	@$(BIN)/python -m benchmarks.behave

lock: ## renew requirements-dev.lock (needs uv)
	uv lock --upgrade -q
	uv export --format requirements-txt --group dev --no-emit-project --no-header -q > requirements-dev.lock
