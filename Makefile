# Each target installs first what it needs and this machine lacks, saying so; nothing is done twice.
# `make` alone lists the targets. PROFILE is for `test`, LAB for `test-system`, PYTEST_ARGS and WORKERS for both.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
WORKERS ?= 2
export PROFILE ?= short
PYTEST_ARGS ?=
LAB ?= ../shared/lab
SETUP_FILES := pyproject.toml tests/setup-machine
OUR_PYTHON := xsagent tests

.PHONY: help demo test test-system lint clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: .venv/ready-demo ## boot a sandbox as a host boots, and show what there is
	@$(BIN)/xsagent sandbox demo

test: .venv/ready-test ## unit, golden, property and functional tests (PROFILE=long: a longer search)
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --ignore=tests/system $(PYTEST_ARGS)

# Without a lab there is nothing to install for it: the tests then skip, or fail where XSAGENT_TEST_REQUIRE says so.
test-system: .venv/ready-test$(if $(wildcard $(LAB)/run),-system) ## what needs a kernel of its own, in the lab's virtual machine (LAB=DIR)
	@tests/system/build-image '$(LAB)'
	@LAB='$(LAB)' $(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) tests/system

bench: .venv/ready-bench ## measure beside a bash script: a table, and bench.json
	@PYTHONPATH=$(CURDIR)/tests/support $(BIN)/python tests/bench

lint: .venv/ready-lint ## style, types, shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@shellcheck tests/setup-machine tests/system/build-image tests/system/guest/start .ci/run
	@shellcheck initscripts/openvswitch initscripts/management-interface initscripts/openvswitch-xapi-update

clean: ## remove what make made, the virtual environment too
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench.json
	@find $(OUR_PYTHON) -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/ready-%: $(SETUP_FILES)
	@tests/setup-machine $*
	@touch $@
