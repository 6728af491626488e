# Each target installs first what it needs and this machine lacks, saying so; nothing is done twice.
# `make` alone lists the targets. PROFILE, PYTEST_ARGS and WORKERS are for `test`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
WORKERS ?= 2
export PROFILE ?= short
PYTEST_ARGS ?=
SETUP_FILES := pyproject.toml tests/setup-machine
OUR_PYTHON := xsagent tests

.PHONY: help demo test lint clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

demo: .venv/ready-demo ## boot a sandbox as a host boots, and show what there is
	@$(BIN)/xsagent sandbox demo

test: .venv/ready-test ## unit, golden, property and functional tests (PROFILE=long: a longer search)
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: .venv/ready-lint ## style, types, shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@shellcheck tests/setup-machine .ci/run

clean: ## remove what make made, the virtual environment too
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench.json
	@find $(OUR_PYTHON) -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/ready-%: $(SETUP_FILES)
	@tests/setup-machine $*
	@touch $@
