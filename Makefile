# Mail-Maker. `make` alone lists what there is; slow steps leave stamps in .state/ and are not done twice.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
HOUSES := contacts ingest dispatch suppression fbl
# make test T=tests/unit/dispatch: only these. make run ARGS="--bus memory": passed on.
T ?= tests/unit tests/contract tests/integration tests/e2e
ARGS ?=

.PHONY: help setup run test unit contract integration e2e lint types bench proof proof-ci pins generate

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .state/setup ## Make .venv from the hashed pins; leaves .venv/bin/mailmaker

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Mail-Maker needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

# uv reads no pip configuration: on a machine where only pip knows the way to the packages, pip takes over.
.state/setup: requirements/dev.txt pyproject.toml $(BIN)/python
	@mkdir -p .state
	awk '/^[^ ]/ {wanted = /^uv==/} wanted' requirements/dev.txt > .state/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .state/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## Start everything on this machine (ARGS="--port 8090 ...")
	exec $(BIN)/mailmaker up $(ARGS)

test: setup ## Run unit, contract, integration and e2e tests (T=path for some of them)
	$(BIN)/pytest $(T) $(ARGS)

unit: setup ## Run the tests that do no I/O
	$(BIN)/pytest tests/unit $(ARGS)

contract: setup ## Compare documents, samples and rooms with the code
	$(BIN)/pytest tests/contract $(ARGS)

integration: setup ## Run the tests on real PostgreSQL and real Apache Kafka
	$(BIN)/pytest tests/integration $(ARGS)

e2e: setup ## Run the promises at full size: 100,000 recipients
	MAILMAKER_E2E_RECIPIENTS=100000 $(BIN)/pytest tests/e2e $(ARGS)

lint: setup ## Check style, format and the rooms' imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## Check types, strictly
	$(BIN)/mypy libs services bench

bench: setup ## Print our ratios, measured in one run (ARGS="reimport --rows 100000")
	$(BIN)/python -m bench $(ARGS)

proof: setup ## Try to break the promises at random, at full size: hours; the seed is printed
	PROOF_ROUNDS=20 PROOF_HISTORIES=10000 PROOF_MINUTES=60 PROOF_IMPORT_ROWS=1000000 PROOF_IMPORT_KILLS=20 \
	  $(BIN)/pytest tests/proof -rP $(ARGS)

proof-ci: setup ## The same, for minutes
	$(BIN)/pytest tests/proof -rP $(ARGS)

pins: setup ## Resolve requirements/dev.txt again (ARGS=--upgrade for the newest)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --quiet $(ARGS) --output-file requirements/dev.txt

generate: setup ## Write OpenAPI, AsyncAPI, topics and .env.example from the code
	$(BIN)/mailmaker asyncapi --out docs/asyncapi.json
	$(BIN)/mailmaker topics --out deploy/k8s/topics.yaml
	$(BIN)/mailmaker env-example --out .env.example
	for house in $(HOUSES); do $(BIN)/mailmaker openapi $$house --out docs/openapi/$$house.json; done
