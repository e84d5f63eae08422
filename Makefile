# make demo   the main job on this machine, shown step by step
# make test   everything that CI checks
.PHONY: setup demo test lint typecheck bench

PYTHON ?= python3
BIN := .venv/bin

setup: .venv/installed

# Debian keeps ensurepip in a package of its own; say so instead of showing a trace.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv .venv; } \
	  || { echo "Python's venv module is missing: run 'sudo apt install python3-venv' and try again." >&2; exit 1; }
	@echo "Installing into .venv (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,dev]'
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

test: lint typecheck
	$(BIN)/pytest
