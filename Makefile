# make demo   the main job on this machine, shown step by step
# make test   everything that CI checks
.PHONY: setup demo test lint typecheck

PYTHON ?= python3
BIN := .venv/bin

setup: .venv/installed

# Debian keeps what makes virtual environments in a package of its own: root gets it installed, others are told.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Kithbook needs Python 3.11 or newer: run 'make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing python3-venv ..." \
	    && { apt-get install -y -qq python3-venv >/dev/null 2>&1 \
	      || { apt-get update -qq && apt-get install -y -qq python3-venv; } >/dev/null; } \
	    && $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; } \
	  || { echo "Python's venv module is missing: run 'sudo apt install python3-venv' and try again." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,dev]'
	@touch $@

demo: setup
	@$(BIN)/python -m tests.system.demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

# Files go to as many processes as the machine has cores; more than four would wait for the same disk.
test: lint typecheck
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile
