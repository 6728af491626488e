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
# What `make install` and `make rpm` take: the host's interpreter, wheels that are there already, what to stand in for.
PYTHON ?= /usr/bin/python3
WHEELS ?= build/wheels
INSTALL_PROFILE ?= full
RELEASE ?= 1
RPM_OPTIONS ?=

# One target after the other: they share the virtual environment.
.NOTPARALLEL:
.PHONY: help demo test test-system bench lint install rpm clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: .venv/ready-demo ## boot a sandbox as a host boots, and show what there is
	@$(BIN)/xsagent sandbox demo

test: .venv/ready-test build/wheels/ready ## unit, golden, property and functional tests (PROFILE=long: a longer search)
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --ignore=tests/system $(PYTEST_ARGS)

# Without a lab there is nothing to install for it: the tests then skip, or fail where XSAGENT_TEST_REQUIRE says so.
test-system: .venv/ready-test$(if $(wildcard $(LAB)/run),-system build/wheels/ready) ## what needs a kernel of its own, in the lab's virtual machine (LAB=DIR)
	@tests/system/build-image '$(LAB)'
	@LAB='$(LAB)' $(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) tests/system

bench: .venv/ready-bench ## measure beside a bash script: a table, and bench.json
	@PYTHONPATH=$(CURDIR)/tests/support $(BIN)/python tests/bench

install: $(if $(wildcard $(WHEELS)/*.whl),,build/wheels/ready) ## install below DESTDIR= (INSTALL_PROFILE=full|hotplug|none)
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m xsagent.cli.stage --destdir='$(DESTDIR)' --wheels='$(WHEELS)' --python=$(PYTHON)
ifneq ($(INSTALL_PROFILE),none)
	@'$(DESTDIR)/usr/sbin/xsagent-setup' --root-prefix='$(DESTDIR)' check $(INSTALL_PROFILE)
	@'$(DESTDIR)/usr/sbin/xsagent-setup' --root-prefix='$(DESTDIR)' take-over $(INSTALL_PROFILE)
endif

rpm: .venv/ready-rpm build/wheels/ready ## build packages from xsagent.spec into dist/ (RELEASE=, RPM_OPTIONS='--without check')
	@tests/build-rpm '$(RELEASE)' $(RPM_OPTIONS)

# The dependencies as wheels: the one step of an installation that needs a network, on the machine that builds.
build/wheels/ready: pyproject.toml | $(if $(wildcard $(BIN)/pip),,.venv/ready-install)
	@rm -rf build/wheels && mkdir -p build/wheels
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' >build/wheels/requirements.txt
	@$(BIN)/pip wheel --disable-pip-version-check --quiet --wheel-dir build/wheels --requirement build/wheels/requirements.txt
	@touch $@

lint: .venv/ready-lint ## style, types, shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@shellcheck tests/setup-machine tests/build-rpm tests/system/build-image tests/system/guest/start .ci/run
	@shellcheck initscripts/openvswitch initscripts/management-interface initscripts/openvswitch-xapi-update

clean: ## remove what make made, the virtual environment too
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench.json
	@find $(OUR_PYTHON) -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/ready-%: $(SETUP_FILES)
	@tests/setup-machine $*
	@touch $@
