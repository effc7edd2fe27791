# Uses .venv, and makes it (with the inc and dev extras) when it is missing or pyproject.toml changed.
.PHONY: check test format environment
SHELL := /bin/bash
export PYTHONPATH :=
BIN := .venv/bin

environment:
	@bash scripts/environment.sh

check: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: environment
	$(BIN)/python -m pytest $(PYTEST_ARGS)

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
