# make demo                 the whole chain on music that the program writes itself
# make demo AUDIO=~/Music   the same on your own folder
# make demo MINUTES=10      trains longer;  OUT=folder puts the results elsewhere
# make test                 lint, types, the whole test suite

PYTHON  ?= python3
VENV    ?= .venv
AUDIO   ?=
MINUTES ?= 3
OUT     ?= demo
WORKERS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test

# Through the environment, a folder with spaces or quotes in its name arrives whole. Exit code 3 means that some files
# were left out and listed: the demo is done all the same.
demo: export MIRCLR_DEMO_AUDIO = $(AUDIO)
demo: export MIRCLR_DEMO_OUT = $(OUT)
demo: $(VENV)/.installed
	$(BIN)/mirclr recipe run demo -o "$$MIRCLR_DEMO_OUT" --set minutes=$(MINUTES) \
		$(if $(AUDIO),--audio "$$MIRCLR_DEMO_AUDIO") || test $$? -eq 3

# One thread per process: two OpenMP threads on two busy cores are several times slower than one.
test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS)

# Stamps are written only after everything before them succeeded; a changed pin is newer than its stamp, and pip runs again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mirclr needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) -e '.[dev]'
	@touch $(VENV)/.installed $@
