# `make demo` and `make test` need nothing beforehand but Python 3.11 or newer.
# Another interpreter: make demo PYTHON=python3.13

PYTHON ?= python3
BIN := .venv/bin
BENCHMARKS := $(filter-out benchmarks/table.py benchmarks/photographs.py,$(wildcard benchmarks/*.py))

.PHONY: demo test fast lint bench .venv

demo: .venv  ## A small trial on synthetic images, with its report
	$(BIN)/vitrial demo

test: .venv  ## All tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

fast: .venv  ## The tests that take no more than a few seconds
	$(BIN)/python -m pytest -m "not slow"

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv  ## Every benchmark; make bench OPTIONS=--quick
	set -e; for script in $(BENCHMARKS); do $(BIN)/python $$script $(OPTIONS); done

.venv: .venv/installed

# Made again whenever what it is made of changes; a failed installation leaves no stamp.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("vitrial needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name a newer one with make PYTHON=python3.12." % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
