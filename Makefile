# On a fresh machine with Python 3.11 or newer, make and git: `make search`, `make reproduce` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
INSTALLED := $(VENV)/.installed

.PHONY: search reproduce test check format lint types imports clean-venv

# A smoke-scale search from nothing to its report.
search: $(INSTALLED)
	$(BIN)/thinbert run student-search --scale smoke --runs runs --workers $(WORKERS)

# Every study of the paper's tables at cpu scale, then the book of verdicts. At most two hours of two cores; goes on
# where it stopped.
reproduce: $(INSTALLED)
	$(BIN)/thinbert reproduce --scale cpu --runs runs --book book --workers $(WORKERS)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: format lint types imports test

format: $(INSTALLED)
	$(BIN)/ruff format --check .

lint: $(INSTALLED)
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

# torch first: the constraint on its own build keeps pip from weighing all of them.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean-venv:
	rm -rf $(VENV)
