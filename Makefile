# Two commands, each by itself on a machine with Python 3.11 or later:
#   make demo    answer a hundred real stars, print some, draw pictures into demo/
#   make test    run the tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STARS := src/maury/data/ngc2547.csv

.PHONY: demo test check pictures clean

demo: $(VENV)/.installed
	@mkdir -p demo
	$(BIN)/maury infer $(STARS) -o demo/ngc2547.fits --draws 1000 --save-draws demo/draws.parquet
	$(BIN)/python examples/demo.py demo/ngc2547.fits demo/draws.parquet -o demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# What a change should pass before it is committed, besides the tests.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The README's pictures, anew from the default model.
pictures: demo
	cp demo/kiel.png demo/teff.png demo/corner.png docs/images/

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "maury needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch by itself and first: one version that the tests know, whatever else pip would choose.
$(VENV)/.torch: | $(BIN)/python
	@echo "Installing into $(VENV) (some minutes the first time) ..."
	$(BIN)/python -m pip install -qq "torch==2.13.0"
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.torch
	$(BIN)/python -m pip install -qq -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.torch
	$(BIN)/python -m pip install -qq -e ".[dev]"
	@touch $(VENV)/.installed $@

clean:
	rm -rf demo build dist
